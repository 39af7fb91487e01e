// What fails half way and is taken up again: compactions that could not shorten the journal, checkpoints whose end could not be tidied up, recovery of a journal that the storage does not give.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ManifestError } from "../../src/errors.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { test } from "../support/harness.ts";

const TABLE = 16;
const encoder = new TextEncoder();

function open(storage: FaultyStorage | MemoryStorage): Promise<Store> {
  return Store.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline", cacheBytes: 1 << 18, environment: testEnvironment(1) });
}

function put(store: Store, key: string, length: number): Promise<unknown> {
  const value = new Uint8Array(length).fill(key.length);
  return store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: encoder.encode(key), value }]) });
}

async function assertHolds(image: Uint8Array, keys: readonly string[], what: string): Promise<void> {
  const store = await open(new MemoryStorage(image));
  {
    using transaction = store.read();
    const tree = transaction.tree(TABLE);
    for (const key of keys) assert(tree.get(encoder.encode(key)) !== undefined, `${what}: ${key} was acknowledged and is gone`);
  }
  assertEquals((await store.check()).problems, [], what);
  await store.close();
}

test("Store: no commit goes into a journal that a compaction has begun to shorten, whichever write of it fails", async () => {
  let calls = 0;
  for (let at = 0; at === 0 || at < calls; at++) {
    const disk = new SimDisk();
    const storage = new FaultyStorage(disk.open());
    const store = await open(storage);
    const kept: string[] = [];
    const tryPut = (key: string, length: number) => put(store, key, length).then(() => void kept.push(key), () => {});
    for (let i = 0; i < 12; i++) await tryPut(`before ${i}`, 14_000); // the journal has grown
    storage.plan({ at, errno: "EIO", kinds: ["write"], times: at % 2 === 0 ? 1 : 5 });
    await store.compact().catch(() => {});
    if (at === 0) {
      storage.plan({ at: Infinity, errno: "EIO", kinds: ["write"] });
      await store.compact();
      calls = storage.counted;
      assert(calls > 20);
    }
    storage.plan(undefined);
    for (let i = 0; i < 3; i++) await tryPut(`behind ${i}`, 3000);
    assert(store.readOnly || kept.includes("behind 2"), `call ${at}: the store does not go on`);
    await assertHolds(disk.durable(), kept, `call ${at}, a crash`);
    await store.close();
    await assertHolds(disk.live(), kept, `call ${at}, closed`);
  }
});

test("Store: a checkpoint is done although the length of the file cannot be asked for", async () => {
  const disk = new SimDisk();
  const storage = new FaultyStorage(disk.open());
  const store = await open(storage);
  for (let i = 0; i < 3; i++) {
    await put(store, `row ${i}`, 500);
    storage.plan({ at: 0, errno: "EIO", kinds: ["size"], times: Infinity });
    await store.checkpoint();
    storage.plan(undefined);
    assertEquals((await store.check()).problems, []);
  }
  await store.close();
  await assertHolds(disk.live(), ["row 0", "row 1", "row 2"], "closed");
});

test("Store: opening fails when the storage does not give the journal, and finds everything when it does again", async () => {
  const disk = new SimDisk();
  const first = await open(new FaultyStorage(disk.open()));
  const keys = Array.from({ length: 40 }, (_, i) => `row ${i}`);
  for (const key of keys) await put(first, key, 3000);
  const image = disk.durable();
  let failed = 0, reads = 0;
  for (let at = 0; at <= reads; at++) {
    const storage = new FaultyStorage(new MemoryStorage(image), { at, errno: "EIO", kinds: ["read"], times: Infinity });
    const { file } = storage.inner as MemoryStorage;
    const error = await assertRejects(() => open(storage), ManifestError).catch(() => undefined);
    reads = Math.max(reads, storage.counted);
    if (error === undefined) break; // the reads of opening are over
    failed++;
    assertEquals([error.code, error.handle], ["IO_READ", "closed"], `read ${at}`);
    await assertHolds(file.bytes(), keys, `reads from ${at} on`);
  }
  assert(failed > 8, `${failed} openings`);
});

test("Store: one journal block that the storage does not give is made again from the others", async () => {
  const disk = new SimDisk();
  const first = await open(new FaultyStorage(disk.open()));
  const keys = Array.from({ length: 4 }, (_, i) => `row ${i}`);
  for (const key of keys) await put(first, key, 3000);
  const image = disk.durable();
  class BadBlock extends FaultyStorage {
    bad = 0;
    override read(at: number, into: Uint8Array): number {
      if (at <= this.bad && at + into.length > this.bad) throw new ManifestError("IO_READ", "Cannot read: a bad block");
      return super.read(at, into);
    }
  }
  let rebuilt = 0;
  for (let bad = 16384; bad < image.length; bad += 4096) {
    const storage = new BadBlock(new MemoryStorage(image));
    const file = (storage.inner as MemoryStorage).file;
    // Whether a fresh file may be an interrupted creation is told from all of its bytes: the block is bad behind that.
    const read = storage.read.bind(storage);
    storage.read = (at, into) => into.length > 1 << 16 && at === 0 ? storage.inner.read(at, into) : read(at, into);
    storage.bad = bad;
    const store = await open(storage);
    rebuilt += store.recovery.rebuilt.length;
    storage.bad = -1;
    await store.close();
    await assertHolds(file.bytes(), keys, `block at ${bad}`);
  }
  assert(rebuilt >= 8, `${rebuilt} blocks made again`);
});
