// A short suite that needs every export of the kernel's data path: the traps stage runs it with each export replaced by a trap, and it must fail each time.
//
// It works on stores in memory, with the smallest cache, and compares every answer with a plain map. Rows go through table codecs, so keys and records are
// those of the package; journal images are damaged by hand, so that recovery has something to do.
import { BLOCK_SIZE, JOURNAL_GROUP, JOURNAL_INDEX, JOURNAL_MAGIC, JOURNAL_MAGIC_VALUE } from "../../assembly/format.ts";
import { Manifest, memoryStorage } from "../../mod.ts";
import { describePage, salvage } from "../../src/inspect/mod.ts";
import { Arena } from "../../src/schema/arena.ts";
import { TableCodec } from "../../src/schema/codec.ts";
import { bytes, defineTable, f64, optional, text, u32 } from "../../src/schema/schema.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type RawOp, stageRaw } from "../../src/store/raw_ops.ts";
import { ARENA_START, Store, type View } from "../../src/store/store.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FaultyStorage } from "./faulty_storage.ts";
import { seeded } from "./random.ts";

const ROWS = 3000;
const RUN_LENGTH = 50_000;

const records = defineTable({
  name: "records",
  key: [u32("group"), text("name")],
  value: { count: u32(), label: text(), share: f64(), blob: optional(bytes()) },
});

interface Row {
  count: number;
  label: string;
  share: number;
  blob?: Uint8Array;
}

/** A store, its table, and what the table must hold. */
class Subject {
  readonly arena: Arena;
  readonly codec: TableCodec<[number, string], Row>;
  readonly model = new Map<string, Row>();

  constructor(readonly store: Store, readonly table: number) {
    this.arena = new Arena(store.kernel);
    this.codec = new TableCodec(store.kernel, this.arena, records) as unknown as TableCodec<[number, string], Row>;
  }

  /** Puts rows (undefined: deletes) in one commit. */
  async write(rows: [key: [number, string], row: Row | undefined][]): Promise<void> {
    const ops: RawOp[] = [];
    this.arena.reset(ARENA_START);
    for (const [key, row] of rows) {
      const encoded = this.codec.encodeKey(key);
      if (row === undefined) ops.push({ kind: "delete", table: this.table, key: encoded });
      else ops.push({ kind: "put", table: this.table, key: encoded, value: this.codec.encodeValue(row) });
    }
    await this.store.commit({ stage: () => stageRaw(this.store.kernel, ops) });
    for (const [key, row] of rows) {
      if (row === undefined) this.model.delete(JSON.stringify(key));
      else this.model.set(JSON.stringify(key), row);
    }
  }

  /** Compares lookups, ranges in both directions, a prefix and counts with the model. */
  verify(): void {
    using view = this.store.read();
    const tree = view.tree(this.table);
    assertEquals(tree.rows, this.model.size);
    const expected = [...this.model].map(([key, row]) => ({ key: JSON.parse(key) as [number, string], row }))
      .sort((a, b) => a.key[0] - b.key[0] || (a.key[1] < b.key[1] ? -1 : 1));
    for (let i = 0; i < expected.length; i += 37) {
      const { key, row } = expected[i]!;
      this.arena.reset(ARENA_START);
      const tape = this.codec.writeKey(this.arena, key);
      assert(tree.findTyped(this.codec.keyCodec, this.arena.base + tape), "a row is missing");
      assertEquals(this.codec.decodeValue(tree.valueAt, tree.valueLength), row);
      const found = tree.get(this.codec.encodeKey(key));
      assertEquals(this.codec.valueFromBytes(found!), row);
    }
    assertEquals(tree.get(this.codec.encodeKey([7777, "none"])), undefined);
    assertEquals(this.#keys(view, {}), expected.map(({ key }) => key));
    assertEquals(this.#keys(view, { reverse: true }), expected.map(({ key }) => key).reverse());
    const group = expected[0]!.key[0];
    const range = this.codec.prefixRange([group]);
    const inGroup = expected.filter(({ key }) => key[0] === group);
    assertEquals(this.#keys(view, range), inGroup.map(({ key }) => key));
    using scan = tree.scan(range);
    assertEquals(scan.count(), inGroup.length);
  }

  #keys(view: View, options: { reverse?: boolean; lower?: Uint8Array; upper?: Uint8Array }): [number, string][] {
    const keys: [number, string][] = [];
    using scan = view.tree(this.table).scan(options);
    while (scan.next(100, 1 << 16) > 0) {
      for (let i = 0; i < scan.rows; i++) keys.push(this.codec.keyFromBytes(scan.key(i)));
      const plain = Array.from({ length: scan.rows }, (_, i) => i).filter((i) => !scan.isRun(i));
      const last = keys.length - scan.rows;
      const rows = plain.map((i) => this.codec.valueFromBytes(scan.value(i)));
      plain.forEach((i, n) => assertEquals(rows[n], this.model.get(JSON.stringify(keys[last + i]))));
    }
    return keys;
  }

  /** Decodes a batch of rows at once. */
  verifyBatch(): void {
    using view = this.store.read();
    using scan = view.tree(this.table).scan();
    const rows = scan.next(50, 1 << 16);
    const runs = Array.from({ length: rows }, (_, i) => scan.isRun(i));
    const tapes = this.codec.decodeRows(scan.rowsAt, rows, scan.dataAt, true, true);
    const { keys, values } = { ...tapes };
    for (let i = 0; i < rows; i++) {
      if (runs[i]) continue;
      const key = this.codec.readKey(keys + i * this.codec.keyTapeBytes);
      assertEquals(this.codec.readValue(values + i * this.codec.valueTapeBytes), this.model.get(JSON.stringify(key)));
    }
  }
}

function row(i: number, extra = 0): Row {
  return { count: i, label: `label ${i} `.repeat(1 + (i % 5)), share: i / 7, ...extra > 0 ? { blob: seeded(i).bytes(extra) } : {} };
}

function key(i: number): [number, string] {
  return [i % 5, `name-${String((i * 7919) % 100_003).padStart(6, "0")}`];
}

async function open(storage: Storage, wasm: WebAssembly.Module, create = false, cacheBytes = 0): Promise<Store> {
  return await Store.open(storage, { create, wasm, cacheBytes, idleCheckpoint: 0, syncMode: "inline" });
}

/** Another store over a copy of the bytes, as a crash would leave them. */
async function reopened(image: Uint8Array, wasm: WebAssembly.Module, model: Map<string, Row>): Promise<Store> {
  const store = await open(new MemoryStorage(image), wasm);
  const subject = new Subject(store, store.table("records")!.id);
  for (const [name, value] of model) subject.model.set(name, value);
  subject.verify();
  return store;
}

/** Offsets of the journal blocks of the newest complete groups, oldest first. */
function journalBlocks(image: Uint8Array): { at: number; group: number; index: number }[] {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const blocks = [];
  for (let at = 0; at + BLOCK_SIZE <= image.length; at += BLOCK_SIZE) {
    if (view.getUint32(at + JOURNAL_MAGIC, true) !== JOURNAL_MAGIC_VALUE) continue;
    blocks.push({ at, group: view.getUint32(at + JOURNAL_GROUP, true), index: view.getUint16(at + JOURNAL_INDEX, true) });
  }
  return blocks.sort((a, b) => a.group - b.group || a.index - b.index);
}

async function checkSound(store: Store): Promise<void> {
  assertEquals((await store.check()).problems, []);
}

/** Rows, large values, batches beyond the cache and the journal, dropping, compacting, reopening. */
async function tables(wasm: WebAssembly.Module): Promise<void> {
  const storage = new MemoryStorage();
  let store = await open(storage, wasm, true);
  let subject = new Subject(store, await store.createTable("records", records.schema));
  const { model } = subject;
  await subject.write(Array.from({ length: ROWS }, (_, i) => [key(i), row(i)]));
  await subject.write([[key(1), row(1, RUN_LENGTH)], [key(2), row(2, RUN_LENGTH)]]);
  await subject.write([[key(1), row(1)]]);
  subject.verify();
  subject.verifyBatch();
  await Promise.all(Array.from({ length: 200 }, (_, i) => subject.write([[key(i * 3), undefined]])));
  const old = store.read();
  await subject.write(Array.from({ length: ROWS }, (_, i) => [key(i * 2 + 1), row(i, 200)]));
  assert(store.stats().memoryBytes > 0);
  subject.verify();
  old.close();
  const other = await store.createTable("other", records.schema);
  await store.commit({
    stage: () =>
      stageRaw(
        store.kernel,
        Array.from({ length: 800 }, (_, i) => ({ kind: "put", table: other, key: Uint8Array.of(i >> 8, i), value: new Uint8Array(60) })),
      ),
  });
  await store.checkpoint();
  await store.dropTable("other");
  await store.checkpoint();
  await checkSound(store);
  await subject.write(Array.from({ length: ROWS - 100 }, (_, i) => [key(i), undefined]));
  await store.compact();
  subject.verify();
  await checkSound(store);
  subject.codec.release();
  await store.close();

  store = await open(storage.reopen(), wasm);
  assert(store.recovery.clean, "the store had been closed");
  subject = new Subject(store, store.table("records")!.id);
  for (const [name, value] of model) subject.model.set(name, value);
  subject.verify();
  await store.close();
}

/** Recovery from a crash: replay, a block rebuilt from parity, a torn tail, and damage that must be refused. */
async function recovery(wasm: WebAssembly.Module): Promise<void> {
  const storage = new MemoryStorage();
  const store = await open(storage, wasm, true, 4 << 20); // no checkpoint in so few groups: all are still to be replayed
  const subject = new Subject(store, await store.createTable("records", records.schema));
  for (let i = 0; i < 8; i++) await subject.write(Array.from({ length: 20 }, (_, j) => [key(i * 20 + j), row(j)]));
  assertEquals(store.stats().checkpoints, 0);
  const before = new Map(subject.model);
  await subject.write([[key(5000), row(5000)]]);
  const image = storage.bytes();
  const blocks = journalBlocks(image);
  const last = blocks.at(-1)!.group;

  const replayed = await reopened(image.slice(), wasm, subject.model);
  assert(replayed.recovery.frames > 0, "nothing was replayed");
  await replayed.close();

  const scratched = image.slice();
  scratched[blocks.find((block) => block.group === last - 2 && block.index === 0)!.at + 100]! ^= 1;
  const rebuilt = await reopened(scratched, wasm, subject.model);
  assertEquals(rebuilt.recovery.rebuilt.length, 1);
  await rebuilt.close();

  const torn = image.slice();
  for (const block of blocks) if (block.group === last) torn.fill(0, block.at, block.at + BLOCK_SIZE);
  await (await reopened(torn, wasm, before)).close();

  const holed = image.slice();
  for (const block of blocks) if (block.group === last - 3) holed.fill(0, block.at, block.at + BLOCK_SIZE);
  const error = await assertRejects(() => open(new MemoryStorage(holed), wasm));
  assertEquals((error as { code?: string }).code, "CORRUPT_JOURNAL");
  await store.close();
}

/** A transaction whose page cannot be read fails alone: the others of its group are applied again from their bodies. */
async function failures(wasm: WebAssembly.Module): Promise<void> {
  const storage = new MemoryStorage();
  const first = await open(storage, wasm, true);
  const filled = new Subject(first, await first.createTable("records", records.schema));
  await filled.write(Array.from({ length: 4 * ROWS }, (_, i) => [key(i), row(i)]));
  await first.close();

  const faulty = new FaultyStorage(storage.reopen());
  const store = await open(faulty, wasm);
  const subject = new Subject(store, store.table("records")!.id);
  for (const [name, value] of filled.model) subject.model.set(name, value);
  await subject.write([[key(1), row(99)]]);
  const good = subject.write([[key(1), row(100)]]);
  faulty.plan({ at: 0, errno: "EIO", kinds: ["read"] });
  const error = await assertRejects(() => subject.write([[key(4 * ROWS - 1), row(101)]]));
  assertEquals((error as { code?: string }).code, "IO_READ");
  faulty.plan(undefined);
  await good;
  subject.verify();
  await store.close();
}

/** The change log tells through a cursor what was committed. */
async function changes(wasm: WebAssembly.Module): Promise<void> {
  await using manifest = await Manifest.open(memoryStorage(), { create: true, wasm });
  const cursor = await manifest.registerChangeCursor("smoke", { start: "oldest" });
  const receipt = await manifest.begin().put(records, [1, "a"], { count: 3, label: "three", share: 0.5 }).commit();
  const page = await manifest.fetchChangePage(cursor.id, 10);
  const change = page.changes.at(-1)!;
  assertEquals([change.sequence, change.commitId, change.operations.length], [receipt.sequence, receipt.commitId, 1]);
  const { value } = await manifest.transact((txn) => {
    const { count, ...rest } = txn.get(records, [1, "a"])!;
    txn.put(records, [1, "a"], { ...rest, count: count + 1 });
    return txn.get(records, [1, "a"])!.count;
  });
  assertEquals([value, manifest.get(records, [1, "a"])!.count], [4, 4]);
}

/** Pages parked beyond the end of the file, for read transactions held open, make way when the file grows to where they lie. */
async function spilling(wasm: WebAssembly.Module): Promise<void> {
  const store = await Store.open(new MemoryStorage(), {
    create: true,
    wasm,
    cacheBytes: 0,
    maxTransactionBytes: 1 << 20,
    idleCheckpoint: 0,
    syncMode: "inline",
  });
  const subject = new Subject(store, await store.createTable("records", records.schema));
  await subject.write(Array.from({ length: 2 * ROWS }, (_, i) => [key(i), row(i)]));
  const held = [];
  for (let round = 0; round < 12; round++) {
    for (let i = round; i < 2 * ROWS; i += 240) await subject.write([[key(i), row(i + round)]]);
    held.push({ transaction: store.read(), model: new Map(subject.model) });
  }
  assert(store.stats().spilledPages > 0, "nothing was spilled");
  for (let i = 0; i < 24; i++) await subject.write([[key(10_000 + i), row(i, 900_000)]]);
  assert(store.stats().spilledPages > 0, "nothing has stayed spilled");
  for (const { transaction, model } of held) {
    const tree = transaction.tree(subject.table);
    assertEquals(tree.rows, model.size);
    let i = 0;
    for (const [name, value] of model) {
      if (i++ % 40 === 0) assertEquals(subject.codec.valueFromBytes(tree.get(subject.codec.encodeKey(JSON.parse(name)))!), value);
    }
    transaction.close();
  }
  subject.verify();
  await checkSound(store);
  await store.close();
}

/** A file is looked into page by page, and what a scan salvages of it is what it held. */
async function inspection(wasm: WebAssembly.Module): Promise<void> {
  const source = new MemoryStorage();
  await using manifest = await Manifest.open(source, { create: true, wasm });
  for (let i = 0; i < 300; i++) manifest.begin().put(records, [1, `${i}`], { count: i, label: "x".repeat(100), share: 0.5 }).commit();
  await manifest.checkpoint();
  const { fileBytes, pageSize } = manifest.stats();
  const kinds = new Set<string>();
  for (let page = 0; page < fileBytes / pageSize; page++) {
    const { kind, valid } = await describePage(source.reopen({ readOnly: true }), page, { wasm });
    if (kind === "leaf" || kind === "branch") assert(valid, `page ${page}`);
    kinds.add(kind);
  }
  assert(kinds.has("leaf") && kinds.has("branch"), [...kinds].join());
  const target = new MemoryStorage();
  await salvage(source.reopen({ readOnly: true }), target, { from: "scan", wasm });
  await using copy = await Manifest.open(target.reopen(), { wasm });
  assertEquals([...copy.range(records)].length, 300);
}

/** Throws unless a kernel does its whole work. */
export async function smoke(wasm: WebAssembly.Module): Promise<void> {
  await recovery(wasm);
  await failures(wasm);
  await changes(wasm);
  await tables(wasm);
  await spilling(wasm);
  await inspection(wasm);
}
