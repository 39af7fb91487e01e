// A storage object belongs to one store; signals and compaction keep their word under odd use.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { isManifestError } from "../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const encoder = new TextEncoder();
const options = { create: true, idleCheckpoint: 0, environment: testEnvironment(1) };

function put(store: Store, table: number, key: string, value: Uint8Array, signal?: AbortSignal): Promise<unknown> {
  return store.commit({ signal, stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: encoder.encode(key), value }]) });
}

test("Store.open: a storage object that is in use is refused, and the store that has it goes on", async () => {
  const storage = new MemoryStorage(new MemoryFile());
  const store = await Store.open(storage, options);
  const table = await store.createTable("t", new Uint8Array(0));
  const error = await assertRejects(() => Store.open(storage, options));
  assert(isManifestError(error) && error.code === "LOCKED");
  await put(store, table, "a", encoder.encode("1"));
  using view = store.read();
  assertEquals(view.tree(table).rows, 1);
  view.close();
  await store.close();
});

test("Store.commit: what is no AbortSignal is refused before anything waits in line", async () => {
  const store = await Store.open(new MemoryStorage(new MemoryFile()), options);
  const table = await store.createTable("t", new Uint8Array(0));
  const outcomes = await Promise.allSettled(
    Array.from({ length: 3000 }, (_, i) => put(store, table, `${i}`, new Uint8Array(100), i % 2 ? {} as AbortSignal : undefined)),
  );
  for (const [i, outcome] of outcomes.entries()) {
    assertEquals(outcome.status, i % 2 ? "rejected" : "fulfilled");
    if (outcome.status === "rejected") assert(isManifestError(outcome.reason) && outcome.reason.code === "INVALID_ARGUMENT");
  }
  using view = store.read();
  assertEquals(view.tree(table).rows, 1500);
  view.close();
  await store.close();
});

test("Store.compact: leaves the journal short, however much overflow values it has moved", async () => {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), options);
  const table = await store.createTable("t", new Uint8Array(0));
  for (let i = 0; i < 40; i++) await put(store, table, `${i}`, new Uint8Array(200_000).fill(i));
  for (let i = 0; i < 3000; i++) await put(store, table, `s${i}`, new Uint8Array(300));
  const drop = (from: string, to: string, id: number) =>
    store.commit({
      stage: () => stageRaw(store.kernel, [{ kind: "deleteRange", table: id, key: encoder.encode(from), value: encoder.encode(to) }]),
    });
  await drop("0", "35", table);
  await drop("s", "t", table);
  await store.commit({
    change: false,
    stage: () => stageRaw(store.kernel, [{ kind: "deleteRange", table: 2, key: new Uint8Array(8), value: new Uint8Array(8).fill(255) }]),
  });
  await store.compact();
  assertEquals(store.stats().journalBytes, 128 << 10);
  let live = 0;
  {
    using view = store.read();
    using scan = view.tree(table).scan();
    while (scan.next(64, 1 << 16) > 0) for (let row = 0; row < scan.rows; row++) live += scan.value(row).length;
  }
  assert(file.size < live * 1.5 + 2048 * 60 + (256 << 10), `${live} live bytes, a file of ${file.size}`);
  assertEquals((await store.check()).problems, []);
  await store.close();
});

test("Store.close: while a compaction runs it ends the compaction with an error, and every promise settles", async () => {
  for (const durability of ["sync", "relaxed", "none"] as const) {
    const file = new MemoryFile();
    const store = await Store.open(new MemoryStorage(file), { ...options, durability });
    const table = await store.createTable("t", new Uint8Array(0));
    const commits = Array.from({ length: 50 }, (_, i) => put(store, table, `${i}`, new Uint8Array(100)));
    commits.push(put(store, table, "large", new Uint8Array(20 << 20)));
    const compaction = assertRejects(() => store.compact());
    const [outcome] = await Promise.all([Promise.allSettled(commits), store.close()]);
    assert(outcome.every(({ status }) => status === "fulfilled"));
    const error = await compaction;
    assert(isManifestError(error) && error.code === "HANDLE_CLOSED");
    const again = await Store.open(new MemoryStorage(file), options);
    using view = again.read();
    assertEquals(view.tree(table).rows, 51);
    view.close();
    assertEquals((await again.check()).problems, []);
    await again.close();
  }
});
