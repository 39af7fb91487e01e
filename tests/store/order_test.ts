// The order of writes and syncs, watched from below: what must be durable before what, at every call of a storage.
//
//   receipts     nothing that was written before a receipt is without a completed sync
//   checkpoint   whatever was written before copy 1 of a meta slot is synced; so is copy 1 before copy 2, and copy 2 before anything else is written
//   copies       at its end both copies of a generation are in the file, and durable
import { assert, assertEquals } from "@std/assert";
import { BLOCK_SIZE, JOURNAL_EPOCH, JOURNAL_MAGIC, JOURNAL_MAGIC_VALUE, META_BYTES } from "../../assembly/format.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { readMeta } from "../../src/store/meta.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { test } from "../support/harness.ts";

/** Storage that knows what no completed sync covers, and breaks the rules out loud. */
class Watched extends WrappedStorage {
  /** Writes so far, and how many of them completed syncs cover. */
  written = 0;
  covered = 0;
  /** The journal group written last: where it lies, and how many writes there were with it. */
  group = { at: 0, length: 0, written: 0 };
  /** Meta slots written, in order. */
  readonly slots: number[] = [];
  readonly broken: string[] = [];
  /** Copy 2 of a slot was written and not synced: nothing else may be written before that is. Not behind a clean opening, whose second copy the first commit's sync covers. */
  #pending = false;
  strict = false;
  /** Commits go on beside checkpoints: of what was written before a meta slot all but journal groups must be synced. */
  beside = false;
  /** Microtasks that a sync off the event loop takes before it begins to end. */
  turns = 0;
  /** How many writes there were with the last one that is no journal group. */
  #page = 0;
  /** Blocks that were ever written, from creation on; undefined where that is not known. */
  blocks: Set<number> | undefined;

  /** Growing by length alone reserves nothing: only creation does so, before anything is in the file. */
  override truncate(size: number): void {
    if (this.written > 0 && size > this.size()) this.broken.push(`the file grows to ${size} without being written`);
    super.truncate(size);
  }

  override write(at: number, from: Uint8Array): void {
    if (this.strict && this.#pending) this.broken.push(`a write at ${at} behind copy 2 of a meta slot, which is not synced`);
    if (at < META_BYTES) this.#slot(at / BLOCK_SIZE);
    this.written++;
    const view = new DataView(from.buffer, from.byteOffset);
    const isGroup = view.getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE && view.getUint32(JOURNAL_EPOCH, true) > 0; // epoch 0: blank
    if (isGroup) this.group = { at, length: from.length, written: this.written };
    else this.#page = this.written;
    for (let block = at / BLOCK_SIZE; block < (at + from.length) / BLOCK_SIZE; block++) {
      if (isGroup && this.blocks?.has(block) === false) {
        this.broken.push(`a group at block ${block}, which was never written: its space is not reserved`);
      }
      this.blocks?.add(block);
    }
    super.write(at, from);
  }

  #slot(slot: number): void {
    if (this.strict && this.uncovered > 0) {
      this.broken.push(`slot ${slot} is written, and ${this.uncovered} writes before it are not synced`);
    }
    if (this.beside && this.#page > this.covered) this.broken.push(`slot ${slot} is written before what it names is synced`);
    this.slots.push(slot);
    this.#pending = slot >= 2;
  }

  get uncovered(): number {
    return this.written - this.covered;
  }

  #done(covers: number): void {
    this.covered = Math.max(this.covered, covers);
    if (this.uncovered === 0) this.#pending = false;
  }

  override sync(): void {
    super.sync();
    this.#done(this.written);
  }

  override async syncAsync(): Promise<void> {
    const covers = this.written;
    for (let i = 0; i < this.turns; i++) await undefined;
    await super.syncAsync();
    this.#done(covers);
  }
}

const encoder = new TextEncoder();

function put(store: Store, key: string, size = 100): Promise<unknown> {
  const value = encoder.encode(key.padEnd(size, "."));
  return store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table: 16, key: encoder.encode(key), value }]) });
}

function options(more: StoreOptions): StoreOptions {
  return { create: true, idleCheckpoint: 0, environment: testEnvironment(1), ...more };
}

/** Generations of the four slots. */
function generations(file: MemoryFile): number[] {
  const bytes = file.bytes();
  return [0, 1, 2, 3].map((slot) => readMeta(bytes.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE)).generation);
}

for (const syncMode of ["inline", "async"] as const) {
  test(`Store: no receipt before the sync that covers its group, ${syncMode}`, async () => {
    const storage = new Watched(new MemoryStorage(new MemoryFile()));
    storage.blocks = new Set();
    const store = await Store.open(storage, options({ syncMode }));
    let receipts = 0;
    const commit = (key: number): Promise<unknown> =>
      store.commit({
        stage: () => stageRaw(store.kernel, [{ kind: "put", table: 16, key: encoder.encode(`${key}`), value: new Uint8Array(key % 3000) }]),
        finish: () => {
          receipts++;
          if (storage.covered < storage.group.written) storage.broken.push(`receipt ${key}: its group is not synced`);
          return {};
        },
      });
    for (let i = 0; i < 200; i++) await Promise.all([commit(i), commit(i + 1000)]);
    assertEquals([receipts, storage.broken], [400, []]);
    assert(store.stats().journalExtents > 1, "the journal has grown");
    await store.close();
  });
}

test("Store.checkpoint: pages, copy 1, copy 2 and the journal's reuse are each behind the sync of what they rest on", async () => {
  const file = new MemoryFile();
  const storage = new Watched(new MemoryStorage(file));
  const store = await Store.open(storage, options({ syncMode: "inline" }));
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < 20; i++) await put(store, `${round}/${i}`, i === 7 ? 20_000 : 700);
    storage.strict = true;
    storage.slots.length = 0;
    await store.checkpoint();
    assertEquals(storage.uncovered, 0, "the journal is free: both copies must be durable");
    const { generation } = store.stats();
    assertEquals(storage.slots, [generation % 2, generation % 2 + 2], "copy 1, then copy 2");
    const found = generations(file);
    assertEquals([found[generation % 2], found[generation % 2 + 2]], [generation, generation]);
    assertEquals([found[1 - generation % 2], found[3 - generation % 2]], [generation - 1, generation - 1]);
  }
  await store.close();
  assertEquals(storage.broken, []);
  assert(storage.covered > 100);
});

test("Store.checkpoint: beside commits no meta slot is written before what it names is synced, however long their syncs take", async () => {
  for (let turns = 0; turns < 24; turns++) {
    const storage = new Watched(new MemoryStorage(new MemoryFile()));
    const store = await Store.open(storage, options({ syncMode: "async" }));
    storage.turns = turns;
    let beside = 0;
    for (let round = 0; round < 4; round++) {
      await Promise.all(Array.from({ length: 40 }, (_, i) => put(store, `${round}/${i}`, 300)));
      storage.beside = true;
      let over = false;
      const checkpoint = store.checkpoint().then(() => over = true);
      for (; !over; beside++) await put(store, `beside ${beside % 20}`);
      await checkpoint;
      storage.beside = false;
    }
    assertEquals(storage.broken, [], `syncs of ${turns} turns`);
    assert(beside > 8);
    await store.close();
  }
});

test("Store.open: behind a clean close copy 1 of the new epoch is durable before copy 2 is written", async () => {
  const file = new MemoryFile();
  const made = await Store.open(new MemoryStorage(file), options({}));
  await put(made, "a");
  await made.close();
  const storage = new Watched(new MemoryStorage(file));
  storage.strict = true;
  const store = await Store.open(storage, options({ syncMode: "inline" }));
  assertEquals([storage.slots.length, storage.broken], [2, []]);
  const { generation } = store.stats();
  assertEquals(generations(file).map((one) => generation - one).sort(), [0, 0, 1, 1]);
  storage.strict = false;
  await put(store, "b");
  assertEquals(storage.uncovered, 0);
  await store.close();
});

test("Store.open: behind a crash, and behind a torn group, the epoch rises and nothing of the old journal is built upon", async () => {
  const file = new MemoryFile();
  const before = new Watched(new MemoryStorage(file));
  const made = await Store.open(before, options({ syncMode: "inline" }));
  for (let i = 0; i < 5; i++) await put(made, `${i}`, 9000);
  const whole = file.bytes();
  const { at, length } = before.group;
  await made.close();
  const torn = whole.slice();
  torn.fill(0, at + length - 2 * BLOCK_SIZE, at + length); // more than parity mends
  for (const [image, cut] of [[whole, false], [torn, true]] as const) {
    const left = new MemoryFile(image);
    const epoch = Math.max(...[0, 1, 2, 3].map((slot) => readMeta(image.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE)).epoch));
    const storage = new Watched(new MemoryStorage(left));
    storage.strict = true;
    const store = await Store.open(storage, options({ syncMode: "inline" }));
    assertEquals([store.recovery.cut !== undefined, store.epoch], [cut, epoch + 1]);
    assertEquals(store.recovery.frames > 0, true);
    assertEquals(store.checkpointFrame, store.durableFrame, "what was adopted is in the tree");
    assertEquals([storage.uncovered, storage.broken], [0, []]);
    const bytes = left.bytes();
    const meta = [0, 1, 2, 3].map((slot) => readMeta(bytes.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE)));
    assertEquals(Math.max(...meta.map((one) => one.epoch)), epoch + 1, "the new epoch is in the file");
    await store.close();
  }
});

test("Store.open: what is committed behind a torn group, or a whole one, is there after the next crash", async () => {
  const file = new MemoryFile();
  const before = new Watched(new MemoryStorage(file));
  const made = await Store.open(before, options({ syncMode: "inline" }));
  for (let i = 0; i < 3; i++) await put(made, `before ${i}`);
  const blank = file.bytes();
  await Promise.all(Array.from({ length: 12 }, (_, i) => put(made, `last ${i}`, 900)));
  const whole = file.bytes();
  const { at, length } = before.group;
  await made.close();
  assert(length >= 4 * BLOCK_SIZE);
  for (let left = 0; left <= length; left += BLOCK_SIZE) {
    let image = whole.slice() as Uint8Array;
    image.set(blank.subarray(at + left, at + length), at + left);
    for (let round = 0; round < 3; round++) {
      const here = new MemoryFile(image);
      const store = await Store.open(new MemoryStorage(here), options({ syncMode: "inline" }));
      for (let i = 0; i <= round; i++) await put(store, `behind it ${round} ${i}`);
      const frames = store.durableFrame;
      const crashed = here.bytes();
      await store.close();
      const again = await Store.open(new MemoryStorage(new MemoryFile(crashed)), options({ syncMode: "inline" }));
      assertEquals([again.durableFrame, again.recovery.cut], [frames, undefined], `${left} bytes of the group are left, round ${round}`);
      await again.close();
      image = crashed;
    }
  }
});

test("Store.open: what a recovery has cut does not come back when the file is opened again before anything is written", async () => {
  const file = new MemoryFile();
  const before = new Watched(new MemoryStorage(file));
  const made = await Store.open(before, options({ durability: "relaxed" }));
  await put(made, "kept");
  const blank = file.bytes();
  const several = (name: string): Promise<unknown> => Promise.all(Array.from({ length: 12 }, (_, i) => put(made, `${name} ${i}`, 900)));
  await several("torn");
  const { at, length } = before.group;
  await several("behind it");
  const image = file.bytes();
  const afterwards = before.group;
  assert(afterwards.at === at + length && length >= 4 * BLOCK_SIZE, "the two groups lie side by side");
  await made.close();
  // Power is lost before any sync: of the first group only the first block has arrived, the second is whole.
  image.set(blank.subarray(at + BLOCK_SIZE, at + length), at + BLOCK_SIZE);
  const left = new MemoryFile(image);
  const first = await Store.open(new MemoryStorage(left), options({}));
  assert(first.recovery.cut !== undefined);
  const frames = first.durableFrame;
  const recovered = left.bytes();
  await first.close();
  const again = await Store.open(new MemoryStorage(new MemoryFile(recovered)), options({}));
  assertEquals([again.durableFrame, again.recovery.frames], [frames, 0], "nothing of the old epoch is replayed");
  await again.close();
});

test("Store.commit: a group that was written and whose write failed all the same is not there when the file is opened again", async () => {
  const file = new MemoryFile();
  const storage = new FaultyStorage(new MemoryStorage(file));
  const store = await Store.open(storage, options({ syncMode: "inline" }));
  await put(store, "kept");
  storage.plan({ at: 0, errno: "EIO", kinds: ["write"], part: 1 });
  const error = await put(store, "lost").then(() => undefined, (error) => error);
  assertEquals([error.code, error.outcome], ["IO_WRITE", "not_applied"]);
  const left = await Store.open(new MemoryStorage(new MemoryFile(file.bytes())), options({ syncMode: "inline" }));
  using view = left.read();
  const there = ["kept", "lost"].map((key) => view.tree(16).get(encoder.encode(key)) !== undefined);
  assertEquals(there, [true, false]);
  view.close();
  await left.close();
  await put(store, "later");
  await store.close();
});
