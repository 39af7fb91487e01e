// Items 1 to 4 of the test list: keys, records, tables.
import { assert, assertEquals } from "@std/assert";
import { type AnyTable, chunkDeltas, chunks, defineTable, pendingJobs, type Table, u53, u64 } from "../../mod.ts";
import { BUILT_IN } from "../../src/manifest/operations/built_in.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { codeOf, errorOf } from "../manifest/open_manifest.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { EVERY_OPERATION } from "./every_operation.ts";
import { lastChange, stateOf, Subject } from "./subject.ts";

const wide: Table<[high: bigint, low: bigint], { n: number }> = defineTable({
  name: "wide",
  key: [u64("high"), u64("low")],
  value: { n: u53() },
});

const BOUNDARIES = [0, 1, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, 2 ** 53 - 1];

test("item 1: composite keys iterate in numeric order, boundaries of 32, 53 and 64 bits included", async () => {
  await using subject = await Subject.make();
  const random = seeded(101);
  const wides = [...BOUNDARIES.map(BigInt), 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
  const pairs = random.shuffle(BOUNDARIES.flatMap((db) => BOUNDARIES.map((chunk) => [db, chunk] as const)));
  const widePairs = random.shuffle(wides.flatMap((high) => wides.map((low) => [high, low] as const)));
  const txn = subject.manifest.begin();
  for (const db of random.shuffle([...BOUNDARIES])) txn.putDb(db, { name: `${db}` });
  for (const [db, chunk] of pairs) txn.upsertChunk([db, chunk], { fileName: "c" });
  for (const generation of random.shuffle([...BOUNDARIES])) {
    for (const delta of [65_535, 0, 256, 255]) txn.upsertChunkDelta([1, 2 ** 32, generation, delta], { fileName: "d" });
  }
  for (const [high, low] of widePairs) txn.put(wide, [high, low], { n: 1 });
  await txn.commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.listDbs().toArray().map(([[db]]) => db), BOUNDARIES);
  assertEquals(manifest.keys(chunks).toArray(), BOUNDARIES.flatMap((db) => BOUNDARIES.map((chunk) => [db, chunk] as [number, number])));
  assertEquals(
    manifest.keys(chunkDeltas, { prefix: [1] }).toArray().map(([, , generation, delta]) => [generation, delta]),
    BOUNDARIES.flatMap((generation) => [0, 255, 256, 65_535].map((delta) => [generation, delta])),
  );
  const inOrder = wides.flatMap((high) => wides.map((low) => [high, low] as [bigint, bigint]));
  assertEquals(manifest.keys(wide).toArray(), inOrder);
  assertEquals(manifest.keys(wide, { reverse: true }).toArray(), inOrder.toReversed());
  assertEquals(manifest.maxDbId(), 2 ** 53 - 1);
  for (const beyond of [2 ** 53, -1, 0.5, NaN]) {
    const { kind } = await errorOf(() => manifest.begin().putDb(beyond, { name: "x" }).commit());
    assertEquals(kind, "usage", `${beyond}`);
  }
});

test("item 2: every record of every table is read back as it was written, and none is left out", async () => {
  await using subject = await Subject.make();
  await subject.manifest.registerChangeCursor("a");
  const txn = subject.manifest.begin();
  for (const [, call] of EVERY_OPERATION) call(txn);
  await txn.commit();
  const before = stateOf(subject.manifest);
  const change = (await subject.manifest.fetchChangePage(1)).changes;
  assertEquals(BUILT_IN.filter(({ table }) => (before[table.name] as unknown[]).length === 0), []);
  let manifest = await subject.reopen();
  assertEquals(stateOf(manifest), before);
  manifest = await subject.crashAndReopen({ requeueJobs: false });
  assertEquals(stateOf(manifest), before);
  // What the change log says of each row is what the table holds.
  assertEquals((await manifest.fetchChangePage(1)).changes, change);
  assertEquals((await lastChange(manifest)).operations.length, EVERY_OPERATION.length);
});

/** A table's schema as a later version may have it: with one more optional field. */
function later(table: AnyTable): Uint8Array {
  const json = JSON.parse(new TextDecoder().decode(table.schema));
  json.value.push(["addedLater", "u53", 1]);
  return new TextEncoder().encode(JSON.stringify(json));
}

/** The store under a manifest's bytes. */
function storeOver(disk: SimDisk): Promise<Store> {
  return Store.open(disk.open(), { idleCheckpoint: 0 });
}

test("item 2: a table written by a newer schema, whichever it is, is SCHEMA_TOO_NEW and untouched", async () => {
  for (const { table } of BUILT_IN) {
    const subject = await Subject.make();
    await subject.manifest.begin().putDb(1, { name: "a" }).commit();
    await subject.manifest.close();
    const store = await storeOver(subject.disk);
    await store.setSchema(table.name, later(table));
    await store.close();
    const image = subject.disk.live();
    const error = await errorOf(() => Subject.reopened(image));
    assertEquals([error.code, error.detail.table, error.handle], ["SCHEMA_TOO_NEW", table.name, "closed"]);
    const again = await storeOver(new SimDisk(image));
    assertEquals(again.table(table.name)!.schema, later(table));
    await again.close();
  }
});

test("item 2: a record that is none of its table's is CORRUPT_RECORD, and its neighbours are read", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" }).putDb(3, { name: "c" }).commit();
  await subject.manifest.close();
  const store = await storeOver(subject.disk);
  const { id } = store.table("db")!;
  const key = new Uint8Array(8);
  key[7] = 2;
  const ops = [{ kind: "put" as const, table: id, key, value: new Uint8Array([255, 255, 255, 255, 9]) }];
  await store.commit({ stage: () => stageRaw(store.kernel, ops), change: false });
  await store.close();
  const manifest = await subject.reopen();
  assertEquals(await codeOf(() => manifest.getDb(2)), "CORRUPT_RECORD");
  assertEquals([manifest.getDb(1)?.name, manifest.getDb(3)?.name], ["a", "c"]);
  assert(!(await manifest.check({ level: "deep" })).ok);
});

test("item 3: remote_namespaces can be written, read, replaced and deleted", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putRemoteNamespace(0, { bucket: "a" }).putRemoteNamespace(2 ** 32 - 1, { bucket: "b", prefix: "p/" })
    .commit();
  let manifest = await subject.reopen();
  assertEquals(manifest.listRemoteNamespaces().toArray().map(([[id], { bucket, prefix }]) => [id, bucket, prefix]), [
    [0, "a", ""],
    [2 ** 32 - 1, "b", "p/"],
  ]);
  await manifest.begin().putRemoteNamespace(0, { bucket: "a", encryptionProfile: "kms" }).deleteRemoteNamespace(2 ** 32 - 1).commit();
  manifest = await subject.reopen();
  assertEquals(manifest.listRemoteNamespaces().toArray().map(([[id], { encryptionProfile }]) => [id, encryptionProfile]), [[0, "kms"]]);
});

test("item 4: deleting a database deletes what is its own and nothing of another, and releases its objects", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin();
  for (const db of [1, 2]) {
    txn.putDb(db, { name: `d${db}` }).putWalState(db, {}).upsertChunk([db, 5], { fileName: "c" })
      .upsertChunkDelta([db, 5, 0, 1], { fileName: "d" }).publishSnapshot([db, 1], { chunks: [{ chunkId: 5 }] })
      .upsertWalArtifact([db, 9], { kind: { is: "bundle", frameCount: 1 }, localPath: "w" })
      .putJob(db * 10, { kind: "flush", db }).putJob(db * 10 + 1, { kind: "gc", db });
  }
  txn.forkDb(1, 3, { name: "fork" });
  await txn.commit();
  await subject.manifest.begin().updateJobState(11, "in-flight").commit();
  await subject.manifest.begin().deleteDb(1).commit();
  const manifest = await subject.crashAndReopen({ requeueJobs: false });
  const of = (db: number) => [
    manifest.getDb(db)?.name,
    manifest.getWalState(db)?.restartEpoch,
    manifest.listChunks(db).toArray().length,
    manifest.listChunkDeltas(db).toArray().length,
    manifest.listSnapshots(db).toArray().length,
    manifest.listWalArtifacts(db).toArray().length,
    manifest.count(pendingJobs, { prefix: [db] }),
  ];
  assertEquals(of(1), [undefined, undefined, 0, 0, 0, 0, 0]);
  assertEquals(of(2), ["d2", 0, 1, 1, 1, 1, 2]);
  assertEquals(of(3), ["fork", 0, 1, 1, 1, 1, 0]);
  assertEquals([manifest.getJob(10), manifest.getJob(11)?.state.is], [undefined, "in-flight"]); // what is under way is history
  assertEquals([1, 2].map((originDb) => manifest.getRefcount({ originDb, chunkId: 5, generation: 0 })?.strong), [1, 1]);
  await manifest.begin().deleteDb(3).commit();
  assertEquals(manifest.listCollectable().map(({ originDb, chunkId }) => [originDb, chunkId]), [[1, 5]]);
  const { problems } = await manifest.check({ level: "deep" });
  assertEquals(problems, []);
});
