// Failing storage: whatever call fails, what was acknowledged is there after opening again, what was reported as not applied is not, and the handle says what it can still do.
// Of what the stage "io_errors" does at every call a sample; three failures in a row, and a write that was made and fails, are looked at here alone.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { isManifestError, ManifestError, type ManifestErrorFields } from "../../src/errors.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { type Fault, FaultyStorage } from "../support/faulty_storage.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { recycling } from "../support/kernel_pool.ts";
import { type Random, seeded } from "../support/random.ts";
import { isShare, SHARE } from "../support/share.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const TABLE = 16;

interface Outcome {
  readonly number: number;
  readonly commitId: string;
  readonly outcome: "applied" | "not_applied" | "unknown";
}

/** Commits numbered transactions, each with a row of its own, and notes what became of each. */
class Subject {
  readonly outcomes: Outcome[] = [];
  readonly store: Store;
  #next = 0;

  constructor(store: Store) {
    this.store = store;
  }

  /** Commits one row of so many bytes, and `more` rows besides. */
  async commit(length: number, more = 0): Promise<void> {
    const number = this.#next++;
    const commitId = this.store.newCommitId();
    const stage = () =>
      stageRaw(this.store.kernel, [
        { kind: "put", table: TABLE, key: encoder.encode(`n${number}`), value: new Uint8Array(length).fill(number) },
        { kind: "put", table: TABLE, key: encoder.encode("last"), value: encoder.encode(`${number}`) },
        ...Array.from({ length: more }, (_, i) => ({
          kind: "put" as const,
          table: TABLE,
          key: encoder.encode(`row ${i * 17 % 997} ${number % 3}`),
          value: new Uint8Array(700).fill(number),
        })),
      ]);
    try {
      await this.store.commit({ commitId, stage });
      this.outcomes.push({ number, commitId, outcome: "applied" });
    } catch (error) {
      assert(isManifestError(error), `${error}`);
      this.outcomes.push({ number, commitId, outcome: error.outcome });
    }
  }
}

/** Opens an image and holds it against the outcomes. */
async function verify(image: Uint8Array, outcomes: readonly Outcome[], label: string): Promise<void> {
  const store = await Store.open(new MemoryStorage(image), { idleCheckpoint: 0, environment: testEnvironment(9) });
  {
    using transaction = store.read();
    const tree = transaction.tree(TABLE);
    for (const { number, outcome } of outcomes) {
      const found = tree.get(encoder.encode(`n${number}`)) !== undefined;
      if (outcome === "applied") assert(found, `${label}: commit ${number} was acknowledged and is gone`);
      if (outcome === "not_applied") assert(!found, `${label}: commit ${number} was reported as not applied and is there`);
    }
  }
  for (const { number, commitId, outcome } of outcomes) {
    const { state } = await store.resolve(commitId);
    if (outcome !== "unknown") assertEquals(state, outcome, `${label}: commit ${number}`);
    else assert(state !== "expired");
  }
  assertEquals((await store.check()).problems, [], label);
  await store.close();
}

async function run(store: Store, random: Random): Promise<Subject> {
  const subject = new Subject(store);
  for (let round = 0; round < 10; round++) {
    if (random.chance(0.4)) await Promise.all(Array.from({ length: 5 }, () => subject.commit(random.int(600))));
    else await subject.commit(random.chance(0.1) ? 60_000 : random.int(3000));
    if (random.chance(0.15)) await store.checkpoint().catch(() => {});
  }
  return subject;
}

function inject(seed: number, fault: Fault, options: StoreOptions = {}): Promise<boolean> {
  return recycling(() => injected(seed, fault, options));
}

async function injected(seed: number, fault: Fault, options: StoreOptions): Promise<boolean> {
  const random = seeded(seed);
  const disk = new SimDisk();
  const storage = new FaultyStorage(disk.open());
  const store = await Store.open(storage, {
    create: true,
    idleCheckpoint: 0,
    syncMode: random.chance(0.5) ? "inline" : "async",
    cacheBytes: 1 << 18,
    environment: testEnvironment(seed),
    ...options,
  });
  storage.plan(fault);
  const subject = await run(store, random);
  const label = `seed ${seed}, ${fault.kinds} ${fault.errno} at ${fault.at} times ${fault.times ?? 1} part ${fault.part ?? 0}`;
  const failed = storage.counted > fault.at;
  storage.plan(undefined);
  // The store is still readable, and either still writable or says why not.
  {
    using transaction = store.read();
    for (const { number, outcome } of subject.outcomes) {
      const found = transaction.tree(TABLE).get(encoder.encode(`n${number}`)) !== undefined;
      if (outcome === "applied") assert(found, `${label}: commit ${number} is not readable`);
      if (outcome === "not_applied") assert(!found, `${label}: commit ${number} is readable`);
    }
    const last = transaction.tree(TABLE).get(encoder.encode("last"));
    assert(last === undefined || decoder.decode(last) !== "");
  }
  if (store.readOnly) {
    const error = await assertRejects(() => store.commit({ stage: () => stageRaw(store.kernel, []) })) as ManifestErrorFields;
    assertEquals([error.code, error.outcome], ["READ_ONLY", "not_applied"], label);
  } else await subject.commit(10);
  // What a power loss now would leave at the least, and what is there without one.
  await verify(disk.durable(), subject.outcomes, `${label}, durable`);
  await store.close().catch(() => {});
  await verify(disk.live(), subject.outcomes, `${label}, live`);
  return failed;
}

/** Calls at which failures that the stage makes too are made here. */
function isSampled(at: number): boolean {
  return at < 6 || at % 5 === 0;
}

for (const errno of ["EIO", "ENOSPC"]) {
  test(`Store: keeps its word when any one write fails with ${errno}`, async () => {
    for (let at = 0, seed = 100; at < 60; at++, seed++) {
      const part = seed % 3 / 2;
      if (isShare(at) && (isSampled(at) || part === 1)) await inject(seed, { at, errno, kinds: ["write"], part });
    }
  });

  test(`Store: keeps its word when all writes fail with ${errno} from some point on`, async () => {
    for (let at = 0, seed = 300; at < 60; at++, seed++) {
      const times = seed % 2 ? Infinity : 3, part = seed % 3 / 2;
      if (isShare(at) && (isSampled(at) || times === 3 || part === 1)) await inject(seed, { at, errno, kinds: ["write"], times, part });
    }
  });
}

test("Store: keeps its word when any sync fails", async () => {
  let failed = 0;
  for (let at = 0, seed = 500; at < 16; at++, seed++) if (await inject(seed, { at, errno: "EIO", kinds: ["sync"] })) failed++;
  assert(failed > 5, `${failed} of them were reached`);
});

test("Store: keeps its word when reads or truncations fail", async () => {
  for (let at = 0, seed = 600; at < 40; at++, seed++) {
    if (isShare(at)) await inject(seed, { at, errno: "EIO", kinds: at % 2 ? ["read"] : ["truncate"], times: 1 + at % 3 });
  }
});

test("Store: out of space while a checkpoint writes, it goes on when there is space again", async () => {
  const disk = new SimDisk();
  const storage = new FaultyStorage(disk.open());
  const store = await Store.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(1) });
  const subject = new Subject(store);
  for (let i = 0; i < 10; i++) await subject.commit(500);
  storage.plan({ at: 1, errno: "ENOSPC", kinds: ["write"], times: Infinity, part: 0.5 });
  const error = await assertRejects(() => store.checkpoint()) as ManifestErrorFields;
  assertEquals([error.code, error.retryable], ["NO_SPACE", true]);
  assert(!store.readOnly);
  storage.plan(undefined);
  for (let i = 0; i < 10; i++) await subject.commit(500);
  await store.checkpoint();
  assert(subject.outcomes.every(({ outcome }) => outcome === "applied"));
  assertEquals((await store.check()).problems, []);
  await store.close();
  await verify(disk.live(), subject.outcomes, "after");
});

test("Store.compact: whichever of its writes finds no space, what is committed behind it is kept", async () => {
  let failed = 0, refused = 0;
  for (let at = 0, reached = true; reached; at += at < 30 ? SHARE : 11) {
    const disk = new SimDisk();
    const storage = new FaultyStorage(disk.open());
    const store = await Store.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(at) });
    const subject = new Subject(store);
    // The journal has grown, and groups lie beyond its first extent.
    for (let i = 0; i < 40; i++) await subject.commit(20_000, 20);
    assert(store.stats().journalExtents > 1);
    storage.plan({ at, errno: "ENOSPC", kinds: ["write", "truncate"] });
    const code = await store.compact().then(() => "", (error: ManifestErrorFields) => error.code);
    reached = storage.failed > 0;
    if (code === "COMMIT_UNKNOWN") {
      // A batch beyond the journal was half way into the file, in space that had been made sure of: no full disk does that.
      assert(store.readOnly);
      await verify(disk.durable(), subject.outcomes, `write ${at}, durable`);
      await store.close();
      continue;
    }
    if (code !== "") {
      failed++;
      assertEquals(code, "NO_SPACE", `write ${at}`);
    }
    for (let i = 0; i < 6; i++) {
      if (i < 2) storage.plan({ at: 0, errno: "ENOSPC", kinds: ["write", "truncate"] });
      await subject.commit(300);
      if (subject.outcomes.at(-1)!.outcome === "not_applied") refused++;
    }
    storage.plan(undefined);
    await verify(disk.durable(), subject.outcomes, `write ${at}, durable`);
    await subject.commit(300);
    assertEquals(subject.outcomes.at(-1)!.outcome, "applied", `write ${at}: there is space again`);
    await store.checkpoint();
    await verify(disk.durable(), subject.outcomes, `write ${at}, durable behind a checkpoint`);
    await store.close();
  }
  assert(failed > 10 / SHARE && refused > 0, `${failed} failed, ${refused} commits were refused`);
});

test("Store: a read that fails fails its transaction alone, or those behind it too; the group is applied in order", async () => {
  const random = seeded(700);
  const disk = new SimDisk();
  const storage = new FaultyStorage(disk.open());
  const store = await Store.open(storage, {
    create: true,
    idleCheckpoint: 0,
    syncMode: "inline",
    cacheBytes: 64 << 12,
    environment: testEnvironment(1),
  });
  const rows = new Map<string, number>();
  const commit = (key: string, value: number): Promise<void> =>
    store.commit({
      stage: () =>
        stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: encoder.encode(key), value: new Uint8Array(300).fill(value) }]),
    })
      .then(() => void rows.set(key, value));
  for (let i = 0; i < 30; i++) await Promise.all(Array.from({ length: 100 }, (_, j) => commit(`key ${i * 100 + j}`, i)));
  let applied = 0;
  let refused = 0;
  let behind = 0; // one that failed when it was applied again
  for (let round = 0; round < 150; round++) {
    storage.plan({ at: random.int(8), errno: "EIO", kinds: ["read"], times: random.between(1, 2) });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => commit(`key ${random.int(3000)}`, round)));
    for (const result of results) {
      if (result.status === "fulfilled") applied++;
      else {
        refused++;
        const { code, outcome, cause } = result.reason;
        assertEquals([code === "UNAVAILABLE" ? cause.code : code, outcome], ["IO_READ", "not_applied"]);
        if (code === "UNAVAILABLE") behind++;
      }
    }
    assert(!store.readOnly);
  }
  storage.plan(undefined);
  assert(applied > 300 && refused > 50 && behind > 5, `${applied} applied, ${refused} refused, ${behind} of them behind another`);
  assertEquals(store.appliedSequence, 3000 + applied);
  await store.close();
  const again = await Store.open(new MemoryStorage(disk.live()), { idleCheckpoint: 0, environment: testEnvironment(2) });
  using transaction = again.read();
  for (const [key, value] of rows) assertEquals(transaction.tree(TABLE).get(encoder.encode(key))?.[0], value % 256, key);
  assertEquals((await again.check()).problems, []);
  await again.close();
});

/** A medium with room for so many bytes. */
class FullStorage extends WrappedStorage {
  limit = Infinity;

  override write(at: number, from: Uint8Array): void {
    if (at + from.length > this.limit) throw new ManifestError("NO_SPACE", "Cannot write: the medium is full");
    super.write(at, from);
  }
}

test("Store: on a full medium every commit is applied or not applied, never unknown, and the store goes on when there is room", async () => {
  const random = seeded(900);
  const disk = new SimDisk();
  const storage = new FullStorage(disk.open());
  const store = await Store.open(storage, {
    create: true,
    idleCheckpoint: 0,
    syncMode: "inline",
    cacheBytes: 8 << 20,
    environment: testEnvironment(1),
  });
  const subject = new Subject(store);
  for (let round = 0; round < 60; round++) {
    // Room for some more, or none, or plenty.
    storage.limit = random.chance(0.2) ? Infinity : storage.size() + random.int(3) * 40_000;
    for (let i = 0; i < 4; i++) await subject.commit(random.pick([100, 3000, 60_000, 400_000]), random.chance(0.3) ? 300 : 0);
    if (random.chance(0.3)) await store.checkpoint().catch(() => {});
  }
  assert(!store.readOnly);
  const count = (outcome: string): number => subject.outcomes.filter((each) => each.outcome === outcome).length;
  assert(count("applied") > 40 && count("not_applied") > 20, `${count("applied")} applied, ${count("not_applied")} not applied`);
  assertEquals(count("unknown"), 0);
  storage.limit = Infinity;
  await subject.commit(500_000);
  assertEquals(subject.outcomes.at(-1)!.outcome, "applied");
  await verify(disk.durable(), subject.outcomes, "durable");
  await store.close();
  await verify(disk.live(), subject.outcomes, "live");
});

test("Store: a batch beyond the journal on a full medium is not applied, and applied when there is room", async () => {
  for (let room = 0; room <= 1200; room += room < 120 ? 10 : 60) {
    const disk = new SimDisk();
    const storage = new FullStorage(disk.open());
    const store = await Store.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(1) });
    const subject = new Subject(store);
    await subject.commit(100);
    storage.limit = storage.size() + room * 4096;
    await subject.commit(100, 300);
    const [, batch] = subject.outcomes;
    assertEquals(batch!.outcome, room < 60 ? "not_applied" : batch!.outcome, `room for ${room} pages`);
    assert(batch!.outcome !== "unknown" && !store.readOnly, `room for ${room} pages: ${batch!.outcome}`);
    storage.limit = Infinity;
    await subject.commit(100, 300);
    assertEquals(subject.outcomes[2]!.outcome, "applied");
    await verify(disk.durable(), subject.outcomes, "durable");
    await store.close();
  }
});
