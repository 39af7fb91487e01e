// Transactions: all or nothing, once, with an error that names what is wrong; the manifest stays usable.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  bool,
  bytes,
  chunks,
  defineTable,
  enumOf,
  f64,
  fixedBytes,
  i32,
  list,
  Manifest,
  type ManifestErrorFields,
  optional,
  record,
  text,
  timestamp,
  u32,
  u53,
  u64,
  u8,
  union,
} from "../../mod.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { test } from "../support/harness.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id"), text("name")], value: { a: u53(), b: text(), c: optional(fixedBytes(4)) } });
const wide = defineTable({
  name: "wide",
  key: [i32("k")],
  value: {
    small: u8(),
    big: u64(),
    ratio: f64(),
    flag: bool(),
    raw: bytes(),
    kind: enumOf("a", "b"),
    at: timestamp(),
    items: list(record({ n: u53() })),
    either: union("is", { one: { v: u53() }, two: {} }),
    inner: record({ deep: record({ leaf: text() }) }),
  },
});

function good() {
  return {
    small: 1,
    big: 1n,
    ratio: 1,
    flag: true,
    raw: new Uint8Array(1),
    kind: "a" as const,
    at: 1,
    items: [{ n: 1 }],
    either: { is: "one" as const, v: 1 },
    inner: { deep: { leaf: "x" } },
  };
}

test("commit: a transaction used twice is TXN_CLOSED, whatever became of it", async () => {
  const manifest = await new Medium().open();
  const txn = manifest.begin().put(table, [1, "a"], { a: 1, b: "" });
  await txn.commit();
  assertEquals(await codeOf(() => txn.commit()), "TXN_CLOSED");
  assertEquals(await codeOf(() => txn.put(table, [1, "b"], { a: 1, b: "" })), "TXN_CLOSED");
  const failed = manifest.begin().put(table, [1, "\ud800"], { a: 1, b: "" });
  assertEquals(await codeOf(() => failed.commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => failed.commit()), "TXN_CLOSED");
  const given = manifest.begin().put(table, [1, "c"], { a: 1, b: "" });
  given.rollback();
  assertEquals(await codeOf(() => given.commit()), "TXN_CLOSED");
  assertEquals(manifest.keys(table).toArray(), [[1, "a"]]);
  await manifest.close();
});

test("commitId: is there from begin on, is the receipt's and the change's, and resolves after opening again", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin().put(table, [1, "a"], { a: 1, b: "" });
  const other = manifest.begin();
  const id = txn.commitId;
  assert(/^[0-9a-f]{32}$/.test(id));
  assertEquals(txn.commitId, id);
  assertNotEquals(other.commitId, id);
  assertEquals((await manifest.resolve(id)).state, "not_applied");
  const { id: cursor } = await manifest.registerChangeCursor("c");
  const receipt = await txn.commit();
  assertEquals(receipt.commitId, id);
  assertEquals((await manifest.fetchChangePage(cursor)).changes[0]!.commitId, id);
  await manifest.close();
  manifest = await medium.open();
  const found = await manifest.resolve(id);
  assert(found.state === "applied" && found.sequence === 1);
  assertEquals((await manifest.resolve(other.commitId)).state, "not_applied");
  assertEquals(await codeOf(() => manifest.resolve("xyz")), "INVALID_ARGUMENT");
  await manifest.close();
});

/** Each of these is wrong in one place; the error must name it. */
const WRONG: [what: string, field: string, code: string, type: string, change: Record<string, unknown>][] = [
  ["a number above its range", "small", "INVALID_ARGUMENT", "RangeError", { small: 256 }],
  ["a negative number", "small", "INVALID_ARGUMENT", "RangeError", { small: -1 }],
  ["a fraction", "small", "INVALID_ARGUMENT", "RangeError", { small: 0.5 }],
  ["NaN", "at", "INVALID_ARGUMENT", "RangeError", { at: NaN }],
  ["text for a number", "small", "INVALID_ARGUMENT", "TypeError", { small: "1" }],
  ["a number above 2^53 - 1", "at", "LIMIT", "RangeError", { at: 2 ** 53 }],
  ["a number for a bigint", "big", "INVALID_ARGUMENT", "TypeError", { big: 1 }],
  ["a bigint out of range", "big", "INVALID_ARGUMENT", "RangeError", { big: 2n ** 64n }],
  ["text for a float", "ratio", "INVALID_ARGUMENT", "TypeError", { ratio: "1" }],
  ["a number for a boolean", "flag", "INVALID_ARGUMENT", "TypeError", { flag: 1 }],
  ["an array for bytes", "raw", "INVALID_ARGUMENT", "TypeError", { raw: [1] }],
  ["an unknown enum value", "kind", "INVALID_ARGUMENT", "TypeError", { kind: "c" }],
  ["a missing field", "flag", "INVALID_ARGUMENT", "TypeError", { flag: undefined }],
  ["null", "raw", "INVALID_ARGUMENT", "TypeError", { raw: null }],
  ["no array for a list", "items", "INVALID_ARGUMENT", "TypeError", { items: {} }],
  ["a wrong list element", "items[].n", "INVALID_ARGUMENT", "RangeError", { items: [{ n: 1 }, { n: -1 }] }],
  ["an unknown union variant", "either", "INVALID_ARGUMENT", "TypeError", { either: { is: "three" } }],
  ["a wrong field of a variant", "either.one.v", "INVALID_ARGUMENT", "TypeError", { either: { is: "one", v: "x" } }],
  ["a wrong nested field", "inner.deep.leaf", "INVALID_ARGUMENT", "TypeError", { inner: { deep: { leaf: 1 } } }],
  ["a lone surrogate", "inner.deep.leaf", "INVALID_ARGUMENT", "TypeError", { inner: { deep: { leaf: "a\udc00" } } }],
];

test("put: a wrong field is refused by name, operation and index, with nothing applied", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().put(wide, 0, good()).commit();
  for (const [what, field, code, type, change] of WRONG) {
    const error = await errorOf(() =>
      manifest.begin().put(wide, 1, good()).put(wide, 2, { ...good(), ...change } as never).put(wide, 3, good()).commit()
    );
    assertEquals([error.code, error.name, error.detail.field, error.detail.table], [code, type, field, "wide"], what);
    assertEquals([error.detail.operation, error.detail.index, error.outcome, error.handle], ["put", 1, "not_applied", "ok"], what);
    assert(error.message.includes(`"${field}"`), error.message);
  }
  assertEquals(manifest.keys(wide).toArray(), [[0]]);
  assertEquals(manifest.latestChangeSequence(), 1);
  await manifest.begin().put(wide, 1, good()).commit();
  assertEquals([manifest.get(wide, 1), manifest.latestChangeSequence()], [good(), 2]);
  await manifest.close();
});

const KEYS: [what: string, key: unknown, code: string, field: string | undefined][] = [
  ["an id above 2^53 - 1", [2 ** 53, "a"], "LIMIT", "id"],
  ["a negative id", [-1, "a"], "INVALID_ARGUMENT", "id"],
  ["a fraction", [0.5, "a"], "INVALID_ARGUMENT", "id"],
  ["text for a number", ["1", "a"], "INVALID_ARGUMENT", "id"],
  ["a lone surrogate", [1, "\ud800x"], "INVALID_ARGUMENT", "name"],
  ["a number for text", [1, 1], "INVALID_ARGUMENT", "name"],
  ["too few components", [1], "INVALID_ARGUMENT", undefined],
  ["too many components", [1, "a", 2], "INVALID_ARGUMENT", undefined],
  ["no array", 1, "INVALID_ARGUMENT", undefined],
  ["nothing", undefined, "INVALID_ARGUMENT", undefined],
  ["a key over the limit", [1, "x".repeat(2000)], "LIMIT", undefined],
];

test("keys: wrong ones are refused in put, delete and get, and the component is named", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().put(table, [1, "a"], { a: 1, b: "" }).commit();
  for (const [what, key, code, field] of KEYS) {
    const calls: (() => unknown)[] = [
      () => manifest.begin().put(table, key as never, { a: 1, b: "" }).commit(),
      () => manifest.begin().put(table, [5, "z"], { a: 1, b: "" }).delete(table, key as never).commit(),
      () => manifest.get(table, key as never),
      () => manifest.has(table, key as never),
    ];
    for (const call of calls) {
      const error = await errorOf(call);
      assertEquals([error.code, error.detail.field], [code, field], `${what}: ${error.message}`);
    }
  }
  assertEquals(manifest.keys(table).toArray(), [[1, "a"]]);
  await manifest.begin().put(table, [Number.MAX_SAFE_INTEGER, "x".repeat(900)], { a: 1, b: "" }).commit();
  assertEquals(manifest.count(table), 2);
  await manifest.close();
});

test("built-in operations: wrong fields and keys are refused by name", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "d" }).commit();
  const cases: [call: () => Promise<unknown>, code: string, field: string | undefined][] = [
    [() => manifest.begin().putDb(1, {} as never).commit(), "INVALID_ARGUMENT", "name"],
    [() => manifest.begin().putDb(1, null as never).commit(), "INVALID_ARGUMENT", undefined],
    [() => manifest.begin().putDb(-1, { name: "x" }).commit(), "INVALID_ARGUMENT", "db"],
    [() => manifest.begin().putDb(2 ** 53, { name: "x" }).commit(), "LIMIT", "db"],
    [() => manifest.begin().putDb(2, { name: "\udfff" }).commit(), "INVALID_ARGUMENT", "name"],
    [() => manifest.begin().putDb(2, { name: "x", configHash: new Uint8Array(31) }).commit(), "INVALID_ARGUMENT", "configHash"],
    [() => manifest.begin().upsertChunk([1, 2], {} as never).commit(), "INVALID_ARGUMENT", "fileName"],
    [() => manifest.begin().upsertChunk([1, 2], { fileName: "f", sizeBytes: -1 }).commit(), "INVALID_ARGUMENT", "sizeBytes"],
    [() => manifest.begin().upsertChunk([1, 2], { fileName: "f", generation: 2 ** 53 }).commit(), "LIMIT", "generation"],
    [() => manifest.begin().upsertChunk([1, 2 ** 53], { fileName: "f" }).commit(), "LIMIT", "chunk"],
    [() => manifest.begin().upsertChunk([1] as never, { fileName: "f" }).commit(), "INVALID_ARGUMENT", undefined],
    [() => manifest.begin().publishSnapshot([1, -1], { chunks: [] }).commit(), "INVALID_ARGUMENT", "snapshot"],
    [
      () => manifest.begin().publishSnapshot([1, 1], { chunks: [], sourceGeneration: 0.5 }).commit(),
      "INVALID_ARGUMENT",
      "sourceGeneration",
    ],
  ];
  for (const [call, code, field] of cases) {
    const error = await errorOf(call);
    assertEquals([error.code, error.detail.field, error.detail.index], [code, field, 0], error.message);
  }
  assertEquals([manifest.latestChangeSequence(), manifest.count(chunks)], [1, 0]);
  await manifest.close();
});

test("commit: a value over the limit is LIMIT, and names the operation", async () => {
  const manifest = await new Medium().open({ maxTransactionBytes: 100_000 });
  const error = await errorOf(() =>
    manifest.begin().put(table, [1, "a"], { a: 1, b: "" }).put(table, [1, "b"], { a: 1, b: "x".repeat(200_000) }).commit()
  );
  assertEquals([error.code, error.detail.operation, error.detail.index], ["LIMIT", "put", 1]);
  const many = manifest.begin();
  for (let i = 0; i < 50; i++) many.put(table, [2, `${i}`], { a: 1, b: "x".repeat(30_000) });
  assertEquals(await codeOf(() => many.commit()), "LIMIT");
  assertEquals(manifest.latestChangeSequence(), 0);
  await manifest.begin().put(table, [1, "b"], { a: 1, b: "x".repeat(90_000) }).commit();
  assertEquals(manifest.get(table, [1, "b"])?.b.length, 90_000);
  await manifest.close();
});

test("commit: a refused transaction writes nothing, also when its table does not exist yet", async () => {
  const storage = new CountingStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0 });
  const writes = () => storage.counts.write;
  const before = writes();
  assertEquals(await codeOf(() => manifest.begin().put(wide, 1, { ...good(), small: -1 }).commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.begin().put(wide, 1, good()).dropSnapshot([1, 1]).commit()), "NOT_FOUND");
  assertEquals(writes(), before);
  assertEquals(manifest.tableDefinition("wide"), undefined);
  await manifest.begin().put(wide, 1, good()).commit();
  assertEquals(manifest.count(wide), 1);
  await manifest.close();
});

test("commit: one operation is one write and one sync; 1,000 commits issued together are at most 8 syncs", async () => {
  const storage = new CountingStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0 });
  await manifest.begin().put(table, [0, ""], { a: 1, b: "" }).commit();
  const counts = () => [storage.counts.write, storage.counts.sync + storage.counts.syncAsync];
  let [writes, syncs] = counts();
  await manifest.begin().put(table, [0, "b"], { a: 1, b: "" }).commit();
  assertEquals(counts(), [writes! + 1, syncs! + 1]);
  [writes, syncs] = counts();
  const all: Promise<{ sequence: number }>[] = [];
  for (let i = 0; i < 1000; i++) all.push(manifest.begin().put(table, [1, `${i}`], { a: i, b: "x" }).commit());
  const receipts = await Promise.all(all);
  assert(counts()[1]! - syncs! <= 8, `${counts()[1]! - syncs!} syncs`);
  assertEquals(receipts.map(({ sequence }) => sequence), Array.from({ length: 1000 }, (_, i) => i + 3));
  await manifest.close();
});

test("commit: an invalid transaction among concurrent ones leaves the others applied, in order, without a gap", async () => {
  const manifest = await new Medium().open();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 60 }, (_, i) => manifest.begin().put(table, [i, ""], { a: i % 7 === 3 ? -1 : i, b: "" }).commit()),
  );
  const sequences: number[] = [];
  outcomes.forEach((outcome, i) => {
    assertEquals(outcome.status, i % 7 === 3 ? "rejected" : "fulfilled");
    if (outcome.status === "fulfilled") sequences.push(outcome.value.sequence);
  });
  assertEquals(sequences, sequences.map((_, i) => i + 1));
  assertEquals(manifest.count(table), sequences.length);
  await manifest.close();
});

test("begin: wrong options are refused", async () => {
  const manifest = await new Medium().open();
  assertEquals(await codeOf(() => manifest.begin({ origin: 1 as never })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.begin({ capacity: -1 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.begin({ origin: "\ud800" }).put(table, [1, ""], { a: 1, b: "" }).commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.begin().put({} as never, [1], {})), "INVALID_ARGUMENT");
  const aborted = AbortSignal.abort();
  assertEquals(await codeOf(() => manifest.begin().put(table, [1, ""], { a: 1, b: "" }).commit({ signal: aborted })), "ABORTED");
  assertEquals(manifest.latestChangeSequence(), 0);
  await manifest.begin({ origin: "o", capacity: 1000 }).put(table, [1, ""], { a: 1, b: "" }).commit();
  await manifest.close();
});

test("close: waits for what was committed; afterwards everything is HANDLE_CLOSED", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const view = manifest.read();
  const late = manifest.begin().put(table, [2, ""], { a: 1, b: "" });
  const pending = manifest.begin().put(table, [1, ""], { a: 1, b: "" }).commit();
  await Promise.all([manifest.close(), manifest.close()]);
  assertEquals((await pending).sequence, 1);
  const calls: (() => unknown)[] = [
    () => late.commit(),
    () => manifest.begin().put(table, [2, ""], { a: 1, b: "" }).commit(),
    () => manifest.get(table, [1, ""]),
    () => manifest.range(table),
    () => manifest.read(),
    () => manifest.registerChangeCursor("a"),
    () => manifest.fetchChangePage(1),
    () => manifest.checkpoint(),
    () => manifest.check(),
    () => manifest.dropTable("t"),
    () => manifest.createTable(wide),
  ];
  for (const call of calls) assertEquals(await codeOf(call), "HANDLE_CLOSED", String(call));
  const closed: ManifestErrorFields = await errorOf(() => view.get(table, [1, ""]));
  assert(closed.code === "HANDLE_CLOSED" || closed.code === "TXN_CLOSED");
  manifest = await medium.open();
  assertEquals(manifest.count(table), 1);
  await manifest.close();
});

test("open: a read-only manifest reads and refuses to write; without the built-in tables it is TABLE_UNKNOWN", async () => {
  const medium = new Medium();
  const writer = await medium.open();
  await writer.begin().put(table, [1, ""], { a: 1, b: "" }).commit();
  const { id } = await writer.registerChangeCursor("a");
  await writer.close();
  const manifest = await medium.open({ readOnly: true });
  assert(manifest.readOnly);
  assertEquals(manifest.count(table), 1);
  assertEquals((await manifest.fetchChangePage(id)).changes.length, 1);
  assertEquals(await codeOf(() => manifest.begin().put(table, [2, ""], { a: 1, b: "" }).commit()), "READ_ONLY");
  assertEquals(await codeOf(() => manifest.acknowledgeChanges(id, 2)), "READ_ONLY");
  assertEquals(await codeOf(() => manifest.registerChangeCursor("b")), "READ_ONLY");
  assertEquals(await codeOf(() => manifest.createTable(wide)), "READ_ONLY");
  await manifest.close();

  const { Store } = await import("../../src/store/store.ts");
  const bare = new Medium();
  await (await Store.open(new MemoryStorage(bare.file), { create: true, idleCheckpoint: 0 })).close();
  assertEquals(await codeOf(() => bare.open({ readOnly: true })), "TABLE_UNKNOWN");
  await (await bare.open()).close();
  await (await bare.open({ readOnly: true })).close();
});

test("open: a built-in table with another schema is SCHEMA_MISMATCH, with a newer one SCHEMA_TOO_NEW", async () => {
  const { Store } = await import("../../src/store/store.ts");
  const other = defineTable({ name: "db", key: [u53("db")], value: { title: text() } });
  const newer = defineTable({
    name: "change_cursors",
    key: [u53("cursor")],
    value: { name: text(), next: u53(), createdAt: timestamp(), updatedAt: timestamp(), maxLag: optional(u53()), more: optional(text()) },
  });
  for (const [schema, code] of [[other, "SCHEMA_MISMATCH"], [newer, "SCHEMA_TOO_NEW"]] as const) {
    const medium = new Medium();
    const store = await Store.open(new MemoryStorage(medium.file), { create: true, idleCheckpoint: 0 });
    await store.createTable(schema.name, schema.schema);
    await store.close();
    const error = await errorOf(() => medium.open());
    assertEquals([error.code, error.detail.table], [code, schema.name]);
  }
});

test("open: wrong arguments are refused", async () => {
  assertEquals(await codeOf(() => Manifest.open(5 as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open({} as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open(new MemoryStorage(), null as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open(new MemoryStorage(), { create: true, logRetention: { changes: -1 } })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open(new MemoryStorage(), { create: true, durability: "maybe" as never })), "INVALID_ARGUMENT");
});

test("ManifestTxn.commit: one that a getter or a codec makes while another is encoded waits its turn", async () => {
  const manifest = await Manifest.open(new MemoryStorage(), { create: true });
  const inner = defineTable({ name: "reentrant", key: [text("name")], value: { a: u32() } });
  await manifest.createTable(inner);
  let nested: Promise<unknown> | undefined;
  const value = {
    get a(): number {
      nested ??= manifest.begin().put(inner, ["inner"], { a: 9 }).commit();
      return 3;
    },
  };
  await manifest.begin().put(inner, ["outer"], value).put(inner, ["last"], { a: 4 }).commit();
  await nested;
  assertEquals([...manifest.range(inner)], [[["inner"], { a: 9 }], [["last"], { a: 4 }], [["outer"], { a: 3 }]]);
  const unknown = defineTable({ name: "unknown", key: [text("name")], value: { a: u32() } });
  await manifest.begin().put(inner, ["outer"], {
    get a(): number {
      nested = manifest.begin().put(unknown, ["x"], { a: 1 }).commit();
      return 5;
    },
  }).commit();
  await nested;
  assertEquals([manifest.get(inner, ["outer"]), manifest.get(unknown, ["x"])], [{ a: 5 }, { a: 1 }]);
  await manifest.close();
});

test("ManifestTxn.commit: a table that is not there is made with the transaction, or not at all", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const [one, two] = ["one", "two"].map((name) => defineTable({ name, key: [text("name")], value: { a: u32() } }));
  const own = (): string[] => manifest.listTables().filter(({ builtIn }) => !builtIn).map(({ name }) => name);
  // Found when it is staged, when it is encoded, when it is called off before its turn.
  assertEquals(await codeOf(() => manifest.begin().put(one!, ["x"], { a: 1 }).dropSnapshot([1, 1]).commit()), "NOT_FOUND");
  assertEquals(await codeOf(() => manifest.begin().put(one!, ["x".repeat(2000)], { a: 1 }).commit()), "LIMIT");
  assertEquals(await codeOf(() => manifest.begin().put(one!, ["x"], { a: 1 }).commit({ signal: AbortSignal.abort() })), "ABORTED");
  assertEquals(own(), []);
  // Behind commits that wait in line, and needed by it.
  const checkpoint = manifest.checkpoint();
  const before = manifest.begin().putDb(9, { name: "waits" }).commit();
  const receipt = await manifest.begin().putWalState(9, {}).put(one!, ["x"], { a: 1 }).put(two!, ["y"], { a: 2 }).commit();
  await Promise.all([checkpoint, before]);
  assertEquals(receipt.sequence, 2);
  // Two of one turn make the same table once.
  const three = defineTable({ name: "three", key: [text("name")], value: { a: u32() } });
  await Promise.all([manifest.begin().put(three, ["x"], { a: 3 }).commit(), manifest.begin().put(three, ["y"], { a: 4 }).commit()]);
  await manifest.close();
  manifest = await medium.open();
  assertEquals(own(), ["one", "three", "two"]);
  assertEquals([manifest.get(one!, ["x"]), manifest.get(two!, ["y"]), manifest.count(three)], [{ a: 1 }, { a: 2 }, 2]);
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
  await manifest.close();
});

test("ManifestTxn.commitId: asked behind the commit it is the receipt's; an unknown outcome names it", async () => {
  const manifest = await new Medium().open();
  const txn = manifest.begin().putDb(1, { name: "a" });
  const committing = txn.commit();
  const asked = txn.commitId;
  const receipt = await committing;
  assertEquals([asked, { ...receipt }.commitId, structuredClone(receipt)], [receipt.commitId, receipt.commitId, receipt]);
  assertEquals((await manifest.resolve(asked)).state, "applied");
  let inside = "";
  let kept: { commitId: string } | undefined;
  const { receipt: own } = await manifest.transact((read) => {
    kept = read;
    inside = read.putDb(2, { name: "b" }).commitId;
  });
  assertEquals([inside, kept!.commitId], [own.commitId, own.commitId]);
  const { receipt: blind } = await manifest.transact((read) => {
    kept = read.putDb(3, { name: "c" });
  });
  assertEquals(kept!.commitId, blind.commitId);
  await manifest.close();
});

test("ManifestTxn.commit: a getter that throws is a typed error with the operation, and nothing is applied", async () => {
  const manifest = await new Medium().open();
  const boo = new Error("boo");
  const error = await errorOf(() =>
    manifest.begin().putDb(1, { name: "a" }).putDb(2, {
      get name(): string {
        throw boo;
      },
    }).commit()
  );
  assertEquals([error.code, error.cause, error.detail.operation, error.detail.index], ["INVALID_ARGUMENT", boo, "putDb", 1]);
  assertEquals([manifest.getDb(1), manifest.latestChangeSequence()], [undefined, 0]);
  await manifest.close();
});
