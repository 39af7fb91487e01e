// What is promised about a commit, through crashes and failing syncs: what readers see, what relaxed commits may lose, what an id resolves to.
import { assert, assertEquals } from "@std/assert";
import { isManifestError, Manifest, type ManifestErrorFields, type ManifestOptions, type ManifestTxn } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { type CrashStorage, SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { type TestEnvironment, testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { SHARE } from "../support/share.ts";
import { HISTORY, historyOps, historyRows, type HistoryShape, stageHistory } from "../support/proof_history.ts";
import { checkClean, compareTable, planTable } from "../support/proof_run.ts";
import { seeded } from "../support/random.ts";

const SHAPE: HistoryShape = { keys: 40, longest: 20_000, bigEvery: 15, batchEvery: 30 };
const table = planTable(HISTORY);

interface Known {
  number: number;
  id: string;
}

/** A manifest on a simulated disk that commits a numbered history. */
class Subject {
  manifest!: Manifest;
  readonly disk: SimDisk;
  readonly environment: TestEnvironment;
  readonly seed: number;
  readonly options: ManifestOptions;
  readonly begun: Known[] = [];
  /** After so many calls of the disk at least so many changes are durable. */
  readonly durable: { calls: number; sequence: number }[] = [];
  number = 0;

  constructor(seed: number, options: ManifestOptions = {}, disk = new SimDisk()) {
    this.seed = seed;
    this.disk = disk;
    this.environment = testEnvironment(seed);
    this.options = { idleCheckpoint: 0, cacheBytes: 1 << 20, ...options };
  }

  async open(storage: CrashStorage = this.disk.open()): Promise<this> {
    this.manifest = await Manifest.open(storage, { create: true, environment: this.environment, ...this.options });
    await this.manifest.createTable(table);
    return this;
  }

  begin(): { txn: ManifestTxn; number: number } {
    const number = ++this.number;
    const txn = stageHistory(this.manifest.begin(), historyOps(this.seed, number, SHAPE));
    this.begun.push({ number, id: txn.commitId });
    return { txn, number };
  }

  async commit(): Promise<void> {
    const { txn, number } = this.begin();
    assertEquals((await txn.commit()).sequence, number);
    this.note();
  }

  /** Remembers what the manifest says is durable now. */
  note(): void {
    this.durable.push({ calls: this.disk.calls, sequence: this.manifest.latestChangeSequence() });
  }

  /** Opens an image of a crash and compares it with the history; every id must say what the rows say. Returns how many changes it holds. */
  async verify(image: Uint8Array, at: number): Promise<number> {
    const label = `seed ${this.seed}, crash after call ${at}`;
    try {
      const manifest = await Manifest.open(new MemoryStorage(image), { ...this.options, create: true, environment: testEnvironment(1) });
      await manifest.createTable(table);
      const held = manifest.latestChangeSequence();
      const least = Math.max(0, ...this.durable.filter(({ calls }) => calls <= at).map(({ sequence }) => sequence));
      assert(held >= least, `holds ${held} changes, ${least} were durable`);
      compareTable(manifest, HISTORY, historyRows(this.seed, held, SHAPE));
      for (const { number, id } of this.begun) {
        const resolution = await manifest.resolve(id);
        const state = resolution.state === "applied" ? `applied as ${resolution.sequence}` : resolution.state;
        assertEquals(state, number <= held ? `applied as ${number}` : "not_applied", `transaction ${number} of ${held}`);
      }
      await checkClean(manifest);
      await manifest.close();
      return held;
    } catch (error) {
      throw new Error(label, { cause: error });
    }
  }
}

async function errorOf(promise: Promise<unknown>): Promise<ManifestErrorFields> {
  try {
    await promise;
  } catch (error) {
    assert(isManifestError(error), String(error));
    return error;
  }
  throw new Error("expected an error");
}

// ---- what readers see ---------------------------------------------------------------------------------------------

test("Manifest.read: shows nothing before it is durable", async () => {
  let release: (() => void)[] = [];
  const disk = new SimDisk(undefined, { syncTime: () => new Promise((done) => release.push(done)) });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 200; turn++) {
      for (const done of release.splice(0)) done();
      await undefined;
    }
  };
  const subject = new Subject(9200, { syncMode: "async" }, disk);
  const opening = subject.open();
  await settle();
  await opening;
  const { manifest } = subject;
  for (let round = 1; round <= 20; round++) {
    using before = manifest.read();
    const { txn } = subject.begin();
    let delivered = false;
    const receipt = txn.commit().then((value) => {
      delivered = true;
      return value;
    });
    for (let turn = 0; turn < 30; turn++) await undefined;
    assertEquals(delivered, false, "a receipt before the sync ended");
    assertEquals(manifest.latestChangeSequence(), round - 1);
    compareTable(manifest, HISTORY, historyRows(9200, round - 1, SHAPE));
    {
      using during = manifest.read();
      compareTable(during, HISTORY, historyRows(9200, round - 1, SHAPE));
    }
    await settle();
    assertEquals((await receipt).sequence, round);
    compareTable(manifest, HISTORY, historyRows(9200, round, SHAPE));
    compareTable(before, HISTORY, historyRows(9200, round - 1, SHAPE));
  }
  release = [];
  const closing = manifest.close();
  await settle();
  await closing;
});

test("Manifest, relaxed: sequence and change cursors show durable changes only, and never one that a crash takes back", async () => {
  const subject = await new Subject(9201, { durability: "relaxed" }).open();
  const { manifest, environment, disk } = subject;
  const cursor = await manifest.registerChangeCursor("reader");
  await manifest.sync();
  const seen: { calls: number; sequence: number }[] = [];
  for (let i = 0; i < 40; i++) {
    const { txn } = subject.begin();
    await txn.commit();
    const page = await manifest.fetchChangePage(cursor.id, 1000);
    assertEquals(page.changes.length, manifest.latestChangeSequence());
    assertEquals(manifest.latestChangeSequence(), page.latestSequence);
    seen.push({ calls: disk.calls, sequence: page.changes.length });
    if (i % 7 === 6) {
      // 100 ms later everything is synced.
      environment.advance(100);
      await manifest.sync();
      assertEquals(manifest.latestChangeSequence(), i + 1);
    }
  }
  assert(seen.some(({ sequence }, i) => sequence < i + 1), "some receipts came before the sync");
  const random = seeded(9201);
  for (let i = 0; i < seen.length; i += 3) {
    for (const image of disk.images(seen[i]!.calls, random, 4)) {
      assert(await subject.verify(image, seen[i]!.calls) >= seen[i]!.sequence, "a change that a cursor showed is gone");
    }
  }
});

test("Manifest, relaxed: commits are synced within 100 ms by themselves", async () => {
  const subject = await new Subject(9202, { durability: "relaxed" }).open();
  const { manifest, environment } = subject;
  for (let i = 1; i <= 5; i++) {
    await subject.commit();
    environment.advance(50);
    for (let turn = 0; turn < 50; turn++) await undefined;
    const half = manifest.latestChangeSequence();
    environment.advance(50);
    for (let turn = 0; turn < 50; turn++) await undefined;
    assertEquals([half, manifest.latestChangeSequence()], [i - 1, i]);
  }
  await manifest.close();
});

// ---- what a crash may take ----------------------------------------------------------------------------------------

for (const durability of ["sync", "relaxed", "none"] as const) {
  test(`Manifest, ${durability}: a crash takes at most a suffix of what was not durable, and every id resolves to what the rows say`, async () => {
    for (const seed of [9210, 9211, 9212].slice(0, 3 / SHARE)) {
      const subject = await new Subject(seed, { durability }).open();
      const random = seeded(seed);
      for (let i = 0; i < 25; i++) {
        const roll = random.int(10);
        if (roll < 6) await subject.commit();
        else if (roll < 8) await Promise.all(Array.from({ length: random.between(2, 6) }, () => subject.commit()));
        else if (roll < 9) {
          await subject.manifest.sync();
          subject.note();
        } else {
          await subject.manifest.checkpoint();
          subject.note();
        }
      }
      const seen = new Set<number>();
      let lost = 0;
      for (let at = 0; at <= subject.disk.calls; at += 1) {
        for (const image of subject.disk.images(at, random, 2, seen)) {
          const begun = subject.begun.length;
          if (await subject.verify(image, at) < begun && at === subject.disk.calls) lost++;
        }
      }
      assert(seen.size > 50, `${seen.size} images`);
      console.log(
        `${durability}, seed ${seed}: ${seen.size} images of ${subject.begun.length} transactions; ${lost} images of the end had lost some`,
      );
    }
  });
}

// ---- failing syncs ------------------------------------------------------------------------------------------------

for (const syncMode of ["inline", "async"] as const) {
  test(`Manifest, ${syncMode}: after a failed sync the outcome is unknown, the handle reads only, and opening again resolves it`, async () => {
    const outcomes = new Map<string, number>();
    for (const seed of [9220, 9221, 9222, 9223]) {
      const subject = await new Subject(seed, { syncMode }).open();
      const { manifest, disk } = subject;
      for (let i = 0; i < 5; i++) await subject.commit();
      disk.failNextSync("EIO");
      const group = Array.from({ length: 3 }, () => subject.begin());
      const errors = await Promise.all(group.map(({ txn }) => errorOf(txn.commit())));
      for (const error of errors) {
        assertEquals([error.code, error.outcome, error.kind, error.retryable, error.handle], [
          "SYNC_FAILED",
          "unknown",
          "unknown_outcome",
          false,
          "read_only",
        ]);
      }
      assertEquals(manifest.readOnly, true);
      assertEquals(manifest.latestChangeSequence(), 5);
      compareTable(manifest, HISTORY, historyRows(seed, 5, SHAPE));
      const calls = disk.calls;
      const refused = await errorOf(stageHistory(manifest.begin(), historyOps(seed, 99, SHAPE)).commit());
      assertEquals([refused.code, refused.outcome], ["READ_ONLY", "not_applied"]);
      for (const attempt of [() => manifest.checkpoint(), () => manifest.compact(), () => manifest.sync()]) {
        assertEquals((await errorOf(attempt())).outcome !== "applied", true);
      }
      assertEquals(disk.calls, calls, "nothing is written or synced behind a failed sync");
      await manifest.close();
      assertEquals(disk.calls, calls, "closing writes nothing either");

      // Here and now what was written is there; after a crash it may be or not. Opening again tells, for good.
      for (const image of [disk.live(), ...disk.images(disk.calls, seeded(seed), 20)]) {
        const held = await subject.verify(image, disk.calls);
        assert(held >= 5 && held <= 8);
        const name = held === 8 ? "applied" : held === 5 ? "not_applied" : "a part";
        outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
      }
    }
    console.log(`${syncMode}: ${[...outcomes].map(([name, count]) => `${name} ${count}`).join(", ")}`);
    assert((outcomes.get("applied") ?? 0) > 0 && (outcomes.get("not_applied") ?? 0) > 0, "both outcomes were met");
  });
}

test("Manifest: whatever sync fails, no receipt is a lie and the file opens, 30 failing syncs", async () => {
  let failed = 0;
  for (let at = 0; at < 30; at++) {
    const subject = new Subject(9230 + at, { syncMode: at % 2 === 0 ? "inline" : "async" });
    const faulty = new FaultyStorage(subject.disk.open(), { at, errno: "EIO", kinds: ["sync"] });
    const random = seeded(9230 + at);
    try {
      await subject.open(faulty as unknown as CrashStorage);
      for (let i = 0; i < 20; i++) {
        if (random.chance(0.2)) await subject.manifest.checkpoint();
        else await subject.commit();
      }
      await subject.manifest.close();
    } catch (error) {
      assert(isManifestError(error), String(error));
      failed++;
      await subject.manifest?.close().catch(() => {});
    }
    const { disk } = subject;
    for (const image of disk.images(disk.calls, random, 6)) await subject.verify(image, disk.calls);
  }
  assert(failed >= 25, `${failed} runs met their failing sync`);
});

// ---- ids ------------------------------------------------------------------------------------------------------------

test("Manifest.resolve: at least the newest 1,024 commits are known, older ones are expired, never said not to be applied", async () => {
  const subject = await new Subject(9240).open();
  const { manifest } = subject;
  const small = (id: number): ManifestTxn => manifest.begin().putDb(1, { name: `n${id}` });
  const ids: string[] = [];
  const never = small(0).commitId;
  for (let i = 0; i < 5000; i += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, j) => {
      const txn = small(i + j);
      ids.push(txn.commitId);
      return txn.commit();
    }));
  }
  const late = small(0).commitId;
  const check = async (of: Manifest): Promise<void> => {
    assertEquals((await of.resolve(ids.at(-1024)!)).state, "applied", "the newest 1,024 are known");
    const found: string[] = [];
    for (let i = 0; i < ids.length; i += 23) found.push((await of.resolve(ids[i]!)).state);
    const first = found.indexOf("applied");
    assertEquals([...new Set(found.slice(0, first)), ...new Set(found.slice(first))], ["expired", "applied"]);
    assertEquals((await of.resolve(never)).state, "expired");
    assertEquals((await of.resolve(late)).state, "not_applied");
    const newest = await of.resolve(ids.at(-1)!);
    assertEquals(newest.state === "applied" && newest.sequence, 5000);
  };
  await check(manifest);
  // After a crash, too.
  const crashed = await Manifest.open(new MemoryStorage(subject.disk.durable()), { environment: testEnvironment(2) });
  assertEquals(crashed.latestChangeSequence(), 5000);
  await check(crashed);
  await crashed.close();
  await manifest.close();
});

test("Manifest.resolve: an id that was never committed stays not applied after it was asked about, committed or not", async () => {
  const subject = await new Subject(9241).open();
  const { manifest } = subject;
  const txn = stageHistory(manifest.begin(), historyOps(9241, 1, SHAPE));
  assertEquals((await manifest.resolve(txn.commitId)).state, "not_applied");
  const refused = manifest.begin().put(table, ["x"], { data: new Uint8Array(1) }).dropSnapshot([7, 7]);
  assertEquals((await errorOf(refused.commit())).outcome, "not_applied");
  assertEquals((await manifest.resolve(refused.commitId)).state, "not_applied");
  const { sequence } = await txn.commit();
  assertEquals(await manifest.resolve(txn.commitId).then((r) => r.state === "applied" && r.sequence), sequence);
  await manifest.close();
});
