// The store as its users see it: opening, committing, reading, tables, durability modes, costs, wrong use.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ManifestError } from "../../src/errors.ts";
import { type RawOp, stageRaw } from "../../src/store/raw_ops.ts";
import { type Receipt, Store, type StoreOptions } from "../../src/store/store.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NO_SCHEMA = new Uint8Array(0);

function open(file: MemoryFile = new MemoryFile(), options: StoreOptions = {}): Promise<Store> {
  return Store.open(new MemoryStorage(file), { create: true, idleCheckpoint: 0, environment: testEnvironment(1), ...options });
}

function put(store: Store, table: number, key: string, value: string | Uint8Array, extra: Partial<RawOp> = {}): Promise<Receipt> {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  return store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: encoder.encode(key), value: bytes, ...extra }]) });
}

function get(store: Store, table: number, key: string): string | undefined {
  using transaction = store.read();
  const value = transaction.tree(table).get(encoder.encode(key));
  return value && decoder.decode(value);
}

async function code(promise: Promise<unknown>): Promise<string> {
  return ((await assertRejects(() => promise)) as ManifestError).code;
}

test("Store.open: a fresh file is at most 256 KiB at every page size, and opens again clean and unclean", async () => {
  for (const pageSize of [4096, 8192, 16384, 32768, 65536]) {
    const file = new MemoryFile();
    const store = await open(file, { pageSize });
    assert(store.recovery.created);
    assert(file.size <= 256 << 10, `${pageSize}: ${file.size}`);
    const unclean = new MemoryFile(file.bytes());
    await store.close();
    const again = await open(file);
    assertEquals([again.pageSize, again.recovery.clean, again.recovery.created], [pageSize, true, false]);
    await again.close();
    const recovered = await open(unclean);
    assertEquals([recovered.pageSize, recovered.recovery.clean, recovered.fileId], [pageSize, false, again.fileId]);
    await recovered.close();
  }
});

test("Store.open: empty, foreign and interrupted files", async () => {
  assertEquals(await code(open(new MemoryFile(), { create: false })), "EMPTY_FILE");
  assertEquals(await code(open(new MemoryFile(new Uint8Array(50_000)), { create: false })), "EMPTY_FILE");
  assertEquals(await code(open(new MemoryFile(encoder.encode("hello")))), "NOT_A_MANIFEST");
  assertEquals(await code(open(new MemoryFile(seeded(3).bytes(300_000)))), "NOT_A_MANIFEST");
  assertEquals(await code(open(new MemoryFile(new Uint8Array(300_000)))), "NOT_A_MANIFEST");
  const store = await open(new MemoryFile(new Uint8Array(50_000)));
  assert(store.recovery.created);
  await store.close();
});

test("Store.open: a storage is closed when opening fails, and is not shared by two writers", async () => {
  const file = new MemoryFile();
  const store = await open(file);
  assertEquals(await code(open(file)), "LOCKED");
  await store.close();
  const again = await open(file);
  await again.close();
});

test("Store.open: options out of range are refused", async () => {
  for (
    const options of [{ pageSize: 5000 }, { pageSize: 2048 }, { cacheBytes: -1 }, { queueCapacity: 0 }, { durability: "often" }, {
      groupWindow: 1.5,
    }]
  ) {
    const error = await assertRejects(() => open(new MemoryFile(), options as StoreOptions)) as ManifestError;
    assertEquals(error.code, "INVALID_ARGUMENT", JSON.stringify(options));
  }
});

test("Store.commit: receipts count up, rows are there, and a read transaction keeps its state", async () => {
  const store = await open();
  const table = await store.createTable("t", NO_SCHEMA);
  const first = await put(store, table, "a", "1");
  assertEquals([first.sequence, first.commitId.length], [1, 32]);
  using before = store.read();
  const second = await put(store, table, "a", "2");
  assertEquals([second.sequence, second.frame], [2, first.frame + 1]);
  assert(second.committedAt >= first.committedAt);
  assertEquals(get(store, table, "a"), "2");
  assertEquals(decoder.decode(before.tree(table).get(encoder.encode("a"))), "1");
  assertEquals([before.sequence, store.durableSequence, store.appliedSequence], [1, 2, 2]);
  await store.checkpoint();
  await store.checkpoint();
  await put(store, table, "a", "3");
  await store.checkpoint();
  assertEquals(decoder.decode(before.tree(table).get(encoder.encode("a"))), "1");
  before.close();
  await store.close();
});

test("Store.commit: bookkeeping takes a frame and no sequence", async () => {
  const store = await open();
  const table = await store.createTable("t", NO_SCHEMA);
  const hidden = await store.commit({
    change: false,
    stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: encoder.encode("x"), value: encoder.encode("y") }]),
  });
  assertEquals(hidden.sequence, 0);
  assertEquals((await put(store, table, "a", "1")).sequence, 1);
  assertEquals(get(store, table, "x"), "y");
  await store.close();
});

test("Store.commit: what stage throws rejects that commit alone", async () => {
  const store = await open();
  const table = await store.createTable("t", NO_SCHEMA);
  const results = await Promise.allSettled([
    put(store, table, "a", "1"),
    store.commit({
      stage: () => {
        throw new RangeError("no");
      },
    }),
    put(store, table, "x".repeat(1025), "1"),
    put(store, table, "b", "2"),
  ]);
  assertEquals(results.map((result) => result.status), ["fulfilled", "rejected", "rejected", "fulfilled"]);
  assertEquals((results[1] as PromiseRejectedResult).reason.message, "no");
  assertEquals((results[2] as PromiseRejectedResult).reason.code, "LIMIT");
  assertEquals((results[3] as PromiseFulfilledResult<Receipt>).value.sequence, 2);
  await store.close();
});

test("Store.commit: a value over maxTransactionBytes is refused, one below it is kept", async () => {
  const store = await open(new MemoryFile(), { maxTransactionBytes: 1 << 20 });
  const table = await store.createTable("t", NO_SCHEMA);
  assertEquals(await code(put(store, table, "big", new Uint8Array((1 << 20) + 1))), "LIMIT");
  const value = seeded(4).bytes(1_000_000);
  await put(store, table, "big", value);
  using transaction = store.read();
  assertEquals(transaction.tree(table).get(encoder.encode("big")), value);
  transaction.close();
  await store.close();
});

test("Store.commit: one operation costs one write and one sync; a thousand together at most 8 syncs", async () => {
  const storage = new CountingStorage(new MemoryStorage());
  const store = await Store.open(storage, { create: true, idleCheckpoint: 0, environment: testEnvironment(1) });
  const table = await store.createTable("t", NO_SCHEMA);
  storage.reset();
  await put(store, table, "a", "1");
  assertEquals([storage.counts.write, storage.counts.sync + storage.counts.syncAsync], [1, 1]);
  storage.reset();
  await Promise.all(Array.from({ length: 1000 }, (_, i) => put(store, table, `key ${i}`, `value ${i}`)));
  assert(storage.counts.sync + storage.counts.syncAsync <= 8, JSON.stringify(storage.counts));
  await store.close();
});

test("Store.commit: the queue's capacity and the caller's signal", async () => {
  const store = await open(new MemoryFile(), { queueCapacity: 3, syncMode: "async" });
  const table = await store.createTable("t", NO_SCHEMA);
  const checkpoint = store.checkpoint(); // commits wait for the group boundary
  const abort = new AbortController();
  const waiting = [put(store, table, "a", "1"), put(store, table, "b", "2")];
  const given = store.commit({ stage: () => stageRaw(store.kernel, []), signal: abort.signal });
  const refused = put(store, table, "c", "3");
  abort.abort();
  const codes = await Promise.all([code(refused), code(given)]);
  assertEquals(codes, ["UNAVAILABLE", "ABORTED"]);
  assertEquals(await code(store.commit({ stage: () => stageRaw(store.kernel, []), signal: abort.signal })), "ABORTED");
  await checkpoint;
  assertEquals((await Promise.all(waiting)).map((receipt) => receipt.sequence), [1, 2]);
  await store.close();
});

test("Store.createTable: names, ids, schemas", async () => {
  const file = new MemoryFile();
  let store = await open(file);
  const [a, b] = await store.createTables([{ name: "a", schema: encoder.encode("A") }, { name: "b", schema: NO_SCHEMA }]);
  assertEquals(b, a! + 1);
  assertEquals(await code(store.createTable("a", NO_SCHEMA)), "EXISTS");
  assertEquals(await code(store.dropTable("c")), "TABLE_UNKNOWN");
  for (const name of ["", "a\0b", "\ud800"]) assertEquals(await code(store.createTable(name, NO_SCHEMA)), "NAME_INVALID");
  assertEquals(await code(store.createTable("x".repeat(256), NO_SCHEMA)), "LIMIT");
  using before = store.read();
  await store.setSchema("a", encoder.encode("AA"));
  await put(store, b!, "k", "v");
  await store.dropTable("b");
  const c = await store.createTable("b", NO_SCHEMA);
  assert(c > b!, "ids are never reused");
  assertEquals(get(store, c, "k"), undefined);
  assertEquals(store.listTables().map((table) => [table.name, table.id, decoder.decode(table.schema)]), [["a", a, "AA"], ["b", c, ""]]);
  assertEquals(before.tables().map((table) => [table.id, decoder.decode(table.schema)]), [[a, "A"], [b, ""]]);
  before.close();
  await store.close();
  store = await open(file);
  assertEquals(store.table("a")?.schema, encoder.encode("AA"));
  assertEquals(await store.createTable("d", NO_SCHEMA), c + 1);
  await store.close();
});

test("Store.dropTable: the pages of a large table come back", async () => {
  const file = new MemoryFile();
  const store = await open(file);
  const table = await store.createTable("t", NO_SCHEMA);
  for (let i = 0; i < 40; i++) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => put(store, table, `key ${i} ${j}`, new Uint8Array(500).fill(i))));
  }
  await put(store, table, "long", new Uint8Array(1 << 20));
  await store.dropTable("t");
  for (let i = 0; i < 4; i++) {
    await store.checkpoint();
    await put(store, 99, "x", `${i}`);
  }
  assertEquals((await store.check()).problems, []);
  await store.compact();
  const { problems, counters } = await store.check();
  assertEquals(problems, []);
  assert(counters[5] === 0 || counters[5]! < 2000, "runs of the dropped table are gone");
  await store.close();
});

test("Store.resolve: applied, not applied, expired", async () => {
  const file = new MemoryFile();
  let store = await open(file);
  const table = await store.createTable("t", NO_SCHEMA);
  const early = store.newCommitId();
  const id = store.newCommitId();
  const receipt = await store.commit({
    commitId: id,
    stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: NO_SCHEMA, value: NO_SCHEMA }]),
  });
  assertEquals(receipt.commitId, id);
  assertEquals(await store.resolve(id), { state: "applied", sequence: receipt.sequence, frame: receipt.frame });
  assertEquals(await store.resolve(early), { state: "not_applied" });
  await store.close();
  store = await open(file);
  assertEquals((await store.resolve(id)).state, "applied");
  await Promise.all(Array.from({ length: 1000 }, (_, i) => put(store, table, `k${i}`, "")));
  assertEquals((await store.resolve(id)).state, "applied");
  for (let i = 0; i < 5; i++) await Promise.all(Array.from({ length: 1000 }, (_, j) => put(store, table, `k${j}`, "")));
  assertEquals([(await store.resolve(id)).state, (await store.resolve(early)).state], ["expired", "expired"]);
  using transaction = store.read();
  const rows = transaction.tree(3).rows;
  assert(rows >= 1024 && rows <= 4096, `${rows} commit ids are kept`);
  transaction.close();
  assertEquals(await code(store.resolve("xyz")), "INVALID_ARGUMENT");
  await store.close();
});

test("Store: relaxed receipts come before the sync, which follows within 100 ms", async () => {
  const environment = testEnvironment(1);
  const storage = new CountingStorage(new MemoryStorage());
  const store = await Store.open(storage, { create: true, idleCheckpoint: 0, durability: "relaxed", environment });
  const table = await store.createTable("t", NO_SCHEMA);
  storage.reset();
  const heard: number[] = [];
  store.onDurable((sequence) => heard.push(sequence));
  await put(store, table, "a", "1");
  assertEquals([storage.counts.write, storage.counts.sync + storage.counts.syncAsync], [1, 0]);
  assertEquals([get(store, table, "a"), store.durableSequence, store.appliedSequence], ["1", 0, 1]);
  environment.advance(100);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals([store.durableSequence, storage.counts.sync + storage.counts.syncAsync], [1, 1]);
  await put(store, table, "b", "1");
  await store.sync();
  assertEquals([store.durableSequence, heard], [2, [1, 2]]);
  await store.close();
});

test("Store: without a journal nothing is written before a checkpoint", async () => {
  const file = new MemoryFile();
  const storage = new CountingStorage(new MemoryStorage(file));
  const store = await Store.open(storage, { create: true, idleCheckpoint: 0, durability: "none", environment: testEnvironment(1) });
  const table = await store.createTable("t", NO_SCHEMA);
  storage.reset();
  for (let i = 0; i < 50; i++) await put(store, table, `${i}`, "x");
  assertEquals([storage.counts.write, store.durableSequence, store.appliedSequence], [0, 0, 50]);
  await store.sync();
  assertEquals(store.durableSequence, 50);
  await put(store, table, "late", "x");
  const lost = new MemoryFile(file.bytes());
  await store.close();
  const again = await open(lost);
  assertEquals(again.appliedSequence, 50);
  await again.close();
});

test("Store: an idle store checkpoints by itself when asked to", async () => {
  const environment = testEnvironment(1);
  const store = await Store.open(new MemoryStorage(), { create: true, idleCheckpoint: 1000, environment });
  const table = await store.createTable("t", NO_SCHEMA);
  await put(store, table, "a", "1");
  const before = store.stats().checkpoints;
  environment.advance(600);
  await put(store, table, "b", "1");
  environment.advance(600);
  await store.sync();
  assertEquals(store.stats().checkpoints, before);
  environment.advance(1000);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(store.stats().checkpoints, before + 1);
  await store.close();
});

test("Store: opened for reading it replays into memory and writes nothing", async () => {
  const file = new MemoryFile();
  const store = await open(file);
  const table = await store.createTable("t", NO_SCHEMA);
  await put(store, table, "a", "1");
  await store.checkpoint();
  await put(store, table, "b", "2");
  const value = seeded(5).bytes(20_000);
  await put(store, table, "long", value);
  const image = file.bytes();
  const storage = new CountingStorage(new MemoryStorage(image));
  const reader = await Store.open(storage, { readOnly: true, environment: testEnvironment(2) });
  assertEquals([get(reader, table, "a"), get(reader, table, "b"), reader.durableSequence, reader.readOnly], ["1", "2", 3, true]);
  {
    using transaction = reader.read();
    assertEquals(transaction.tree(table).get(encoder.encode("long")), value);
  }
  assertEquals(await code(put(reader, table, "c", "3")), "READ_ONLY");
  assertEquals(await code(reader.checkpoint()), "READ_ONLY");
  assertEquals(reader.listTables().length, 1);
  await reader.close();
  assertEquals([storage.counts.write, storage.counts.sync + storage.counts.syncAsync, storage.counts.truncate, storage.counts.lock], [
    0,
    0,
    0,
    0,
  ]);
  await store.close();
});

test("Store: opened for reading, a journal that replays into more than the cache is LIMIT, and with a larger cache it is read", async () => {
  const file = new MemoryFile();
  const store = await open(file, { cacheBytes: 16 << 20 });
  const table = await store.createTable("t", NO_SCHEMA);
  const random = seeded(6);
  // The journal has to grow first; then it takes what no checkpoint has taken over.
  const values = Array.from({ length: 60 }, (_, i) => ({ key: `k${i % 30}`, value: random.bytes(80_000) }));
  for (const { key, value } of values.slice(0, 30)) await put(store, table, key, value);
  await store.checkpoint();
  for (const { key, value } of values.slice(30)) await put(store, table, key, value);
  const image = file.bytes();
  const storage = new CountingStorage(new MemoryStorage(image, { readOnly: true }));
  const options = { readOnly: true, environment: testEnvironment(2) };
  const error = await assertRejects(() => Store.open(storage, { ...options, cacheBytes: 0 })) as ManifestError;
  assertEquals([error.code, error.handle, storage.counts.write], ["LIMIT", "closed", 0]);
  const reader = await Store.open(new MemoryStorage(image, { readOnly: true }), { ...options, cacheBytes: 16 << 20 });
  using transaction = reader.read();
  for (const { key, value } of values.slice(30)) assertEquals(transaction.tree(table).get(encoder.encode(key)), value);
  await reader.close();
  await store.close();
});

test("Store.check: a file whose writer has made no checkpoint yet is sound for a reader", async () => {
  const file = new MemoryFile();
  const store = await open(file);
  const table = await store.createTable("t", NO_SCHEMA);
  await put(store, table, "a", "1");
  const reader = await Store.open(new MemoryStorage(file.bytes(), { readOnly: true }), { readOnly: true, environment: testEnvironment(2) });
  assertEquals([reader.recovery.clean, get(reader, table, "a")], [false, "1"]);
  const { ok, problems } = await reader.check();
  assertEquals([ok, problems], [true, []]);
  await reader.close();
  await store.close();
});

test("Store: opened for reading beside a writer it sees one state, and says when that has been replaced", async () => {
  const random = seeded(77);
  const file = new MemoryFile();
  const writer = await open(file, { cacheBytes: 1 << 20 });
  const table = await writer.createTable("t", NO_SCHEMA);
  const write = (round: number): Promise<unknown> =>
    Promise.all(Array.from({ length: 1500 }, (_, i) => put(writer, table, `key ${i}`, `${round} `.repeat(random.between(60, 100)))));
  await write(0);
  await writer.checkpoint();
  let expired = 0;
  let newest = 0;
  for (let round = 1; round < 30; round++) {
    if (round % 3) await writer.checkpoint(); // else it replays what the journal holds
    else await Promise.all(Array.from({ length: 3 }, (_, i) => put(writer, table, `key ${i}`, `${newest} `)));
    const reader = await Store.open(new MemoryStorage(file, { readOnly: true }), {
      cacheBytes: 1 << 18,
      environment: testEnvironment(round),
    });
    const seen = reader.durableSequence;
    assertEquals(seen, writer.durableSequence);
    for (let more = random.int(4); more > 0; more--) {
      await write(newest = round);
      await writer.checkpoint();
    }
    try {
      using transaction = reader.read();
      assertEquals([transaction.sequence, transaction.tree(table).rows], [seen, 1500]);
      using scan = transaction.tree(table).scan();
      const rounds = new Set<string>();
      while (scan.next(10, 4096) > 0) for (let row = 0; row < scan.rows; row++) rounds.add(decoder.decode(scan.value(row)).split(" ")[0]!);
      assertEquals(rounds.size, 1, "rows of one state");
    } catch (error) {
      assertEquals((error as ManifestError).code, "SNAPSHOT_EXPIRED", `${error}`);
      expired++;
    }
    try {
      assertEquals((await reader.check()).problems, []);
    } catch (error) {
      assertEquals((error as ManifestError).code, "SNAPSHOT_EXPIRED", `${error}`);
    }
    await reader.close();
  }
  assert(expired > 3 && expired < 29, `${expired} expired`);
  await writer.close();
});

test("Store.scan: bounds, direction, keys only, values only, count", async () => {
  const store = await open();
  const table = await store.createTable("t", NO_SCHEMA);
  const keys = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(3, "0")}`);
  await Promise.all(keys.map((key) => put(store, table, key, `v${key}`)));
  using transaction = store.read();
  const list = (options: Parameters<ReturnType<typeof transaction.tree>["scan"]>[0]): string[] => {
    using scan = transaction.tree(table).scan(options);
    const out: string[] = [];
    while (scan.next(7, 4096) > 0) {
      for (let row = 0; row < scan.rows; row++) out.push(decoder.decode(options?.valuesOnly ? scan.value(row) : scan.key(row)));
    }
    return out;
  };
  const k = (text: string): Uint8Array => encoder.encode(text);
  assertEquals(list({}), keys);
  assertEquals(list({ reverse: true }), [...keys].reverse());
  assertEquals(list({ lower: k("k100"), upper: k("k105") }), keys.slice(100, 105));
  assertEquals(list({ lower: k("k100"), lowerExclusive: true, upper: k("k105"), upperInclusive: true }), keys.slice(101, 106));
  assertEquals(list({ lower: k("k100"), upper: k("k105"), reverse: true, keysOnly: true }), keys.slice(100, 105).reverse());
  assertEquals(list({ lower: k("k498"), valuesOnly: true }), ["vk498", "vk499"]);
  assertEquals(list({ lower: k("z") }), []);
  using counting = transaction.tree(table).scan({ lower: k("k100") });
  assertEquals(counting.count(), 400);
  counting.close();
  assertThrows(() => counting.next(1, 1), ManifestError, "closed");
  transaction.close();
  assertThrows(() => transaction.tree(table), ManifestError, "closed");
  await store.close();
});

test("Store.close: marks the file clean, ends read transactions, and refuses everything afterwards", async () => {
  const file = new MemoryFile();
  const store = await open(file);
  const table = await store.createTable("t", NO_SCHEMA);
  const late = put(store, table, "a", "1");
  const transaction = store.read();
  await Promise.all([store.close(), store.close()]);
  assertEquals((await late).sequence, 1);
  assert(transaction.closed);
  assertThrows(() => store.read(), ManifestError, "closed");
  assertThrows(() => store.stats(), ManifestError, "closed");
  for (
    const call of [
      put(store, table, "b", "2"),
      store.checkpoint(),
      store.compact(),
      store.check(),
      store.sync(),
      store.createTable("x", NO_SCHEMA),
    ]
  ) {
    assertEquals(await code(call), "HANDLE_CLOSED");
  }
  const again = await open(file);
  assert(again.recovery.clean);
  assertEquals(get(again, table, "a"), "1");
  await again.close();
});

test("Store.compact: cuts the file after deletes and gives the journal back", async () => {
  const file = new MemoryFile();
  const store = await open(file);
  const table = await store.createTable("t", NO_SCHEMA);
  const value = new Uint8Array(200);
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 1000 }, (_, j) => put(store, table, `${i}/${j}`, value)));
  await store.commit({
    stage: () => stageRaw(store.kernel, [{ kind: "deleteRange", table, key: encoder.encode("1"), value: encoder.encode("a") }]),
  });
  await store.commit({
    change: false,
    stage: () => stageRaw(store.kernel, [{ kind: "deleteRange", table: 2, key: new Uint8Array(8), value: new Uint8Array(8).fill(255) }]),
  });
  const before = file.size;
  await store.compact();
  assertEquals((await store.check()).problems, []);
  using transaction = store.read();
  assertEquals(transaction.tree(table).rows, 1000);
  transaction.close();
  assert(file.size < 1000 * 210 * 1.5 + 2048 * 60 + (256 << 10), `${before} → ${file.size}`);
  await store.close();
});
