// Damaged files: every answer is right or an error that names the place. Never another value, never a row that is silently gone.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { isManifestError, type ManifestErrorFields } from "../../src/errors.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { recycling } from "../support/kernel_pool.ts";
import { type Random, seeded } from "../support/random.ts";
import { isShare, SHARE } from "../support/share.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const TABLE = 16;
const BLOCK = 4096;
/** Blocks behind the first extent of the journal that are damaged where pages are small, about. */
const SAMPLED = 290;

interface Made {
  readonly image: Uint8Array;
  readonly rows: Map<string, Uint8Array>;
  readonly sequence: number;
}

/** A file with several checkpoints, overflow values, and acknowledged groups in the journal. */
async function make(random: Random, pageSize: number, clean: boolean): Promise<Made> {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), {
    create: true,
    idleCheckpoint: 0,
    syncMode: "inline",
    pageSize,
    environment: testEnvironment(1),
  });
  const rows = new Map<string, Uint8Array>();
  const commit = async (count: number, largest: number): Promise<void> => {
    const puts = Array.from({ length: count }, () => [`key ${random.int(300)}`, random.bytes(random.int(largest))] as const);
    for (const [key, value] of puts) rows.set(key, value);
    await store.commit({
      stage: () => stageRaw(store.kernel, puts.map(([key, value]) => ({ kind: "put", table: TABLE, key: encoder.encode(key), value }))),
    });
  };
  for (let i = 0; i < 40; i++) await commit(4, 500);
  await commit(1, 30_000);
  await store.checkpoint();
  for (let i = 0; i < 20; i++) await commit(2, 900);
  await store.checkpoint();
  for (let i = 0; i < 8; i++) await commit(3, 700);
  await Promise.all(Array.from({ length: 10 }, () => commit(2, 900)));
  const sequence = store.appliedSequence;
  const unclean = file.bytes();
  await store.close();
  return { image: clean ? file.bytes() : unclean, rows, sequence };
}

/** Opens a damaged image and asks for everything. Returns the codes of the errors met. */
function interrogate(made: Made, image: Uint8Array, label: string): Promise<string[]> {
  return recycling(() => ask(made, image, label));
}

async function ask(made: Made, image: Uint8Array, label: string): Promise<string[]> {
  const codes: string[] = [];
  const note = (error: unknown): void => {
    if (!isManifestError(error)) throw new Error(`${label}: not an error of ours`, { cause: error });
    assert(/^(CORRUPT_|TRUNCATED|NOT_A_MANIFEST|FORMAT_|UNKNOWN_FEATURE)/.test(error.code), `${label}: ${error.code} ${error.message}`);
    codes.push(error.code);
  };
  let store: Store;
  try {
    store = await Store.open(new MemoryStorage(image), { idleCheckpoint: 0, environment: testEnvironment(2) });
  } catch (error) {
    note(error);
    return codes;
  }
  assertEquals(store.appliedSequence, made.sequence, `${label}: commits are gone without a word`);
  using transaction = store.read();
  for (const [key, value] of made.rows) {
    try {
      const found = transaction.tree(TABLE).get(encoder.encode(key));
      assert(found !== undefined, `${label}: row ${key} is gone`);
      assertEquals(found, value, `${label}: row ${key} is another`);
    } catch (error) {
      note(error);
    }
  }
  try {
    const seen: string[] = [];
    using scan = transaction.tree(TABLE).scan();
    while (scan.next(50, 1 << 16) > 0) for (let row = 0; row < scan.rows; row++) seen.push(decoder.decode(scan.key(row)));
    assertEquals(seen, [...made.rows.keys()].sort(), `${label}: a scan`);
  } catch (error) {
    note(error);
  }
  transaction.close();
  try {
    const { ok } = await store.check();
    if (!ok) codes.push("check");
  } catch (error) {
    note(error);
  }
  await store.close().catch(note);
  return codes;
}

for (const [pageSize, clean] of [[4096, false], [4096, true], [16384, false]] as const) {
  test(`Store: one damaged block anywhere is absorbed or named, ${pageSize >> 10} KiB pages, ${clean ? "closed" : "crashed"}`, async () => {
    const random = seeded(8100 + pageSize + (clean ? 1 : 0));
    const made = await make(random, pageSize, clean);
    assertEquals(await interrogate(made, made.image, "undamaged"), []);
    let named = 0;
    const blocks = made.image.length / BLOCK;
    for (let block = 0; block < blocks; block++) {
      const covered = block * BLOCK < 16384 + (128 << 10);
      // Of small pages the stage "corruption" damages every block; of larger ones only this does.
      if (!covered && pageSize === 4096 && random.int(blocks) > SAMPLED) continue;
      const kind = random.pick(["bit", "bit", "zeros", "garbage"]);
      const image = made.image.slice();
      const at = block * BLOCK;
      if (kind === "bit") image[at + random.int(BLOCK)]! ^= 1 << random.int(8);
      else if (kind === "zeros") image.fill(0, at, at + BLOCK);
      else image.set(random.bytes(BLOCK), at);
      if (!isShare(block)) continue;
      const codes = await interrogate(made, image, `seed ${random.seed}, block ${block} ${kind}`);
      if (codes.length > 0) named++;
      // Meta slots and single journal blocks have a copy or parity.
      if (covered) assertEquals(codes, [], `seed ${random.seed}, block ${block} ${kind}`);
    }
    console.log(`${blocks} blocks, ${named} named`);
    assert(named > 10 / SHARE, `${named} named`);
  });
}

test("Store: blocks that changed places are named", async () => {
  const random = seeded(8200);
  const made = await make(random, 4096, true);
  for (let round = 0; round < 60; round++) {
    const image = made.image.slice();
    const [from, to] = [random.int(image.length / BLOCK), random.int(image.length / BLOCK)];
    image.copyWithin(to * BLOCK, from * BLOCK, (from + 1) * BLOCK);
    await interrogate(made, image, `seed 8200 round ${round}: block ${from} over ${to}`);
  }
});

test("Store: a file cut short is named", async () => {
  const made = await make(seeded(8300), 4096, true);
  for (let size = made.image.length - BLOCK; size > 0; size -= BLOCK * 7) {
    const codes = await interrogate(made, made.image.slice(0, size), `cut to ${size}`);
    assert(codes.length > 0, `cut to ${size}`);
  }
});

test("Store: both copies of a meta generation unreadable is CORRUPT_HEADER", async () => {
  const made = await make(seeded(8400), 4096, true);
  for (const slots of [[0, 2], [1, 3]]) {
    const image = made.image.slice();
    for (const slot of slots) image.fill(7, slot * BLOCK, (slot + 1) * BLOCK);
    const error = await assertRejects(() =>
      Store.open(new MemoryStorage(image), { environment: testEnvironment(3) })
    ) as ManifestErrorFields;
    assertEquals(error.code, "CORRUPT_HEADER");
  }
});

test("Store: an acknowledged group damaged beyond parity is CORRUPT_JOURNAL when a later one stands behind it", async () => {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), {
    create: true,
    idleCheckpoint: 0,
    syncMode: "inline",
    environment: testEnvironment(1),
  });
  for (let i = 0; i < 5; i++) {
    await store.commit({
      stage: () => stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: encoder.encode(`${i}`), value: new Uint8Array(100) }]),
    });
  }
  const image = file.bytes();
  await store.close();
  // Groups of two blocks from the start of the journal on.
  for (let group = 0; group < 5; group++) {
    const damaged = image.slice();
    damaged.fill(0, 16384 + group * 2 * BLOCK, 16384 + (group + 1) * 2 * BLOCK);
    const opened = Store.open(new MemoryStorage(damaged), { idleCheckpoint: 0, environment: testEnvironment(3) });
    if (group < 4) assertEquals(((await assertRejects(() => opened)) as ManifestErrorFields).code, "CORRUPT_JOURNAL");
    else {
      // Nothing behind the last one tells a damaged group from one that a crash has torn: both are reported.
      const again = await opened;
      assertEquals(again.appliedSequence, 4);
      assertEquals(again.recovery.cut, { group: 5, frames: 0 });
      await again.close();
    }
  }
});

test("Store: a damaged block of a group is rebuilt and reported", async () => {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), {
    create: true,
    idleCheckpoint: 0,
    syncMode: "inline",
    environment: testEnvironment(1),
  });
  await store.commit({
    stage: () => stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: encoder.encode("k"), value: seeded(1).bytes(10_000) }]),
  });
  const image = file.bytes();
  await store.close();
  for (let block = 0; block < 4; block++) {
    const damaged = image.slice();
    damaged.fill(0, 16384 + block * BLOCK, 16384 + (block + 1) * BLOCK);
    const again = await Store.open(new MemoryStorage(damaged), { idleCheckpoint: 0, environment: testEnvironment(3) });
    assertEquals(again.recovery.rebuilt, [{ group: 1, block }]);
    using transaction = again.read();
    assertEquals(transaction.tree(TABLE).get(encoder.encode("k")), seeded(1).bytes(10_000));
    transaction.close();
    await again.close();
  }
});
