// Databases, chunks and user tables: what is put is read, also after opening again.
import { assert, assertEquals } from "@std/assert";
import {
  bytes,
  chunks,
  custom,
  databases,
  defineTable,
  enumOf,
  f64,
  i64,
  list,
  optional,
  record,
  text,
  timestamp,
  u32,
  u53,
  u64,
  union,
} from "../../mod.ts";
import { test } from "../support/harness.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const owners = defineTable({ name: "owners", key: [u53("db"), text("path")], value: { team: text(), seen: u53() } });

test("Manifest: the example of the documentation works and survives opening again", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const receipt = await manifest.begin()
    .putDb(1, { name: "events" })
    .upsertChunk([1, 42], { fileName: "c-42.seg", generation: 7, sizeBytes: 1 << 20 })
    .publishSnapshot([1, 1], { sourceGeneration: 7, chunks: [{ chunkId: 42 }] })
    .commit();
  assertEquals(receipt.sequence, 1);
  assertEquals(receipt.generations, {});
  assert(/^[0-9a-f]{32}$/.test(receipt.commitId));
  assertEquals(await manifest.resolve(receipt.commitId), {
    state: "applied",
    sequence: 1,
    frame: (await frameOf(manifest, receipt.commitId))!,
  });
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.getDb(1)?.name, "events");
  assertEquals(manifest.getChunk(1, 42)?.sizeBytes, 1 << 20);
  assertEquals(manifest.getSnapshot(1, 1)?.chunks, [{ chunkId: 42, originDb: 1, generation: 7 }]);
  assertEquals((await manifest.check()).problems, []);
  await manifest.close();
});

async function frameOf(
  manifest: { resolve(id: string): Promise<{ state: string; frame?: number }> },
  id: string,
): Promise<number | undefined> {
  return (await manifest.resolve(id)).frame;
}

test("putDb: everything but the name has a default; every field is read back after opening again", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin().putDb(1, { name: "plain", createdAt: 5 }).putDb(Number.MAX_SAFE_INTEGER, {
    name: "full",
    createdAt: 9,
    walShards: 4,
    configHash: new Uint8Array(32).fill(7),
    status: { state: "tombstoned", at: 77 },
    options: {
      walDir: "/wal",
      chunkDir: "/chunks",
      compression: "zstd",
      encryption: "aes-256-gcm",
      retention: { keep: "generations", count: 3 },
      labels: ["a", "b"],
    },
  }).commit();
  await manifest.close();
  manifest = await medium.open();
  const plain = {
    name: "plain",
    createdAt: 5,
    walShards: 1,
    options: { compression: "none" as const, encryption: "none" as const, retention: { keep: "all" as const } },
    status: { state: "active" as const },
  };
  assertEquals(manifest.getDb(1), plain);
  const full = manifest.getDb(Number.MAX_SAFE_INTEGER)!;
  assertEquals(full.options.retention, { keep: "generations", count: 3 });
  assertEquals(full.status, { state: "tombstoned", at: 77 });
  assertEquals(full.options.labels, ["a", "b"]);
  assertEquals(full.configHash, new Uint8Array(32).fill(7));
  assertEquals(manifest.listDbs().toArray().map(([[id]]) => id), [1, Number.MAX_SAFE_INTEGER]);
  assertEquals(manifest.maxDbId(), Number.MAX_SAFE_INTEGER);
  await manifest.close();
});

test("upsertChunk: every variant of residency and every optional field is read back", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const object = { namespaceId: 3, originDb: 1, chunkId: 8, kind: { is: "delta" as const, deltaId: 5 }, generation: 2, etag: "x" };
  const txn = manifest.begin().putDb(1, { name: "d" });
  txn.upsertChunk([1, 1], { fileName: "a" });
  txn.upsertChunk([1, 2], { fileName: "b", residency: { at: "remote", object, verified: true } });
  txn.upsertChunk([1, 3], {
    fileName: "c",
    residency: { at: "local-and-remote", object, verified: false },
    compression: "zstd",
    encrypted: true,
  });
  txn.upsertChunk([1, 4], {
    fileName: "d",
    generation: 9,
    residency: { at: "evicted" },
    originDb: 4,
    uploadedAt: 1,
    purgeAfter: 2,
    contentHash: new Uint8Array([1, 2]),
    pageSize: 4096,
    pageCount: 12,
  });
  await txn.commit();
  await manifest.close();
  manifest = await medium.open({ readOnly: true });
  const rows = manifest.listChunks(1).toArray();
  assertEquals(rows.map(([key]) => key), [[1, 1], [1, 2], [1, 3], [1, 4]]);
  assertEquals(rows[1]![1].residency, { at: "remote", object, verified: true });
  assertEquals(rows[2]![1].encrypted, true);
  assertEquals(rows[3]![1], {
    fileName: "d",
    generation: 9,
    sizeBytes: 0,
    compression: "none",
    encrypted: false,
    residency: { at: "evicted" },
    originDb: 4,
    uploadedAt: 1,
    purgeAfter: 2,
    contentHash: new Uint8Array([1, 2]),
    pageSize: 4096,
    pageCount: 12,
  });
  await manifest.close();
});

test("deleteDb: takes chunks and snapshots with it and releases their objects", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" })
    .upsertChunk([1, 1], { fileName: "a1", generation: 1 }).upsertChunk([2, 1], { fileName: "b1", generation: 1 })
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }] }).publishSnapshot([2, 1], { chunks: [{ chunkId: 1 }] }).commit();
  await manifest.begin().deleteDb(1).commit();
  assertEquals(manifest.listDbs().toArray().map(([[id]]) => id), [2]);
  assertEquals(manifest.count(chunks), 1);
  assertEquals(manifest.listSnapshots(1).toArray(), []);
  assertEquals(manifest.getRefcount({ originDb: 1, chunkId: 1, generation: 1 })?.strong, 0);
  assertEquals(manifest.getRefcount({ originDb: 2, chunkId: 1, generation: 1 })?.strong, 1);
  assertEquals(manifest.listCollectable().map(({ originDb }) => originDb), [1]);
  // In one transaction: what was there is gone for what comes behind it.
  assertEquals(
    await codeOf(() => manifest.begin().deleteDb(2).putDb(2, { name: "c" }).publishSnapshot([2, 5], { chunks: [{ chunkId: 1 }] }).commit()),
    "NOT_FOUND",
  );
  await manifest.begin().deleteDb(2).putDb(2, { name: "c" }).upsertChunk([2, 9], { fileName: "n" }).commit();
  assertEquals(manifest.listChunks(2).toArray().map(([[, id]]) => id), [9]);
  await manifest.close();
});

test("put: a table is made at its first use; several definitions of one table are the same table", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const again = defineTable({ name: "owners", key: [u53("db"), text("path")], value: { team: text(), seen: u53() } });
  await Promise.all([
    manifest.begin().put(owners, [1, "a"], { team: "x", seen: 1 }).commit(),
    manifest.begin().put(again, [1, "b"], { team: "y", seen: 2 }).commit(),
  ]);
  assertEquals(manifest.range(owners).toArray(), [[[1, "a"], { team: "x", seen: 1 }], [[1, "b"], { team: "y", seen: 2 }]]);
  assertEquals(manifest.listTables().find(({ name }) => name === "owners"), { name: "owners", builtIn: false, rows: 2 });
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.get(again, [1, "b"]), { team: "y", seen: 2 });
  await manifest.dropTable(owners);
  assertEquals(await codeOf(() => manifest.get(owners, [1, "a"])), "TABLE_UNKNOWN");
  await manifest.begin().put(owners, [2, "z"], { team: "n", seen: 3 }).commit();
  assertEquals(manifest.keys(owners).toArray(), [[2, "z"]]);
  await manifest.close();
});

test("createTable: added optional fields are taken up, older definitions are too new, others mismatch", async () => {
  const medium = new Medium();
  const first = defineTable({ name: "t", key: [u32("id")], value: { a: text() } });
  const second = defineTable({ name: "t", key: [u32("id")], value: { a: text(), b: optional(u53()) } });
  const other = defineTable({ name: "t", key: [u32("id")], value: { a: u53() } });
  let manifest = await medium.open();
  await manifest.begin().put(first, [1], { a: "x" }).commit();
  assertEquals(manifest.get(second, [1]), { a: "x" });
  assertEquals(await codeOf(() => manifest.get(other, [1])), "SCHEMA_MISMATCH");
  const { code, detail } = await errorOf(() => manifest.begin().putDb(1, { name: "d" }).put(other, [2], { a: 1 }).commit());
  assertEquals([code, detail.operation, detail.index], ["SCHEMA_MISMATCH", "put", 1]);
  await manifest.begin().put(second, [2], { a: "y", b: 5 }).commit();
  await manifest.close();
  manifest = await medium.open();
  assertEquals(await codeOf(() => manifest.get(first, [2])), "SCHEMA_TOO_NEW");
  assertEquals(manifest.range(second).toArray(), [[[1], { a: "x" }], [[2], { a: "y", b: 5 }]]);
  await manifest.close();
});

test("tableDefinition: a table that the program does not know is read with its stored schema", async () => {
  const medium = new Medium();
  const wide = defineTable({
    name: "wide",
    key: [i64("a"), text("b")],
    value: {
      big: u64(),
      x: f64(),
      at: timestamp(),
      kind: enumOf("p", "q"),
      items: list(record({ n: u53() })),
      either: union("is", { one: { v: u53() }, two: {} }),
      raw: optional(bytes()),
    },
  });
  const value = {
    big: 2n ** 64n - 1n,
    x: -0.5,
    at: 1,
    kind: "q" as const,
    items: [{ n: 1 }, { n: 2 }],
    either: { is: "one" as const, v: 4 },
    raw: new Uint8Array([9]),
  };
  let manifest = await medium.open();
  await manifest.begin().put(wide, [-5n, "k"], value).commit();
  await manifest.close();
  manifest = await medium.open({ readOnly: true });
  const found = manifest.tableDefinition("wide")!;
  assertEquals(manifest.range(found).toArray(), [[[-5n, "k"], value]]);
  assertEquals(manifest.tableDefinition("nothing"), undefined);
  await manifest.close();
});

test("custom: values of a custom codec are read through it, also in changes", async () => {
  const day = custom(u53(), { encode: (value: Date) => value.getTime(), decode: (ms) => new Date(ms) });
  const days = defineTable({ name: "days", key: [u53("id")], value: { day } });
  const manifest = await new Medium().open();
  const cursor = await manifest.registerChangeCursor("c");
  await manifest.begin().put(days, 1, { day: new Date(5) }).commit();
  assertEquals(manifest.get(days, 1), { day: new Date(5) });
  const [change] = (await manifest.fetchChangePage(cursor.id)).changes;
  assertEquals(change!.operations, [{ op: "put", table: "days", key: [1], value: { day: new Date(5) } }]);
  await manifest.close();
});

test("getView: fixed-width records are read where they lie, others are refused", async () => {
  const fixed = defineTable({ name: "fixed", key: [u32("id")], value: { count: u64(), ratio: f64(), small: u32() } });
  const manifest = await new Medium().open();
  await manifest.begin().put(fixed, [1], { count: 7n, ratio: 0.5, small: 3 }).put(fixed, [2], { count: 8n, ratio: 1.5, small: 4 })
    .put(owners, [1, "a"], { team: "x", seen: 1 }).commit();
  using view = manifest.read();
  const row = view.getView(fixed, [2])!;
  assertEquals([row.count, row.ratio, row.small], [8n, 1.5, 4]);
  assertEquals(view.getView(fixed, [1])!.small, 3);
  assertEquals(view.getView(fixed, [9]), undefined);
  assertEquals(await codeOf(() => view.getView(owners, [1, "a"])), "INVALID_ARGUMENT");
  view.close();
  await manifest.close();
});

test("put: on a built-in table it is the table's own operation, and the engine's own are refused", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().put(databases, [1], { name: "d" } as never).put(chunks, [1, 1], { fileName: "f" } as never).commit();
  assertEquals(manifest.getDb(1)?.walShards, 1);
  const { refcounts } = await import("../../mod.ts");
  assertEquals(
    await codeOf(() => manifest.begin().put(refcounts, [1, 1, 1, -1], { strong: 5, state: "live" }).commit()),
    "INVALID_ARGUMENT",
  );
  assertEquals(await codeOf(() => manifest.begin().delete(refcounts, [1, 1, 1, -1]).commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.begin().deleteRange(chunks, {}).commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.dropTable("db")), "INVALID_ARGUMENT");
  await manifest.begin().delete(databases, [1]).commit();
  assertEquals(manifest.count(chunks), 0);
  await manifest.close();
});
