// Operations of the source document on databases and their files: each is there behind a power loss, with its change.
import { assertEquals } from "@std/assert";
import { test } from "../support/harness.ts";
import { lastChange, lastOperations, Subject } from "./subject.ts";

/** A subject with database 1. */
async function withDatabase(): Promise<Subject> {
  const subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "events" }).commit();
  return subject;
}

test("parity operation PutDb: a database is put and replaced", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().putDb(1, { name: "renamed", walShards: 4 }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getDb(1)?.name, manifest.getDb(1)?.walShards, manifest.listDbs().toArray().length], ["renamed", 4, 1]);
  const { operations: [operation] } = await lastChange(manifest);
  assertEquals(operation, { op: "putDb", table: "db", key: [1], value: manifest.getDb(1)! });
});

test("parity operation DeleteDb: a database goes with all that belongs to it", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().putWalState(1, {}).upsertChunk([1, 1], { fileName: "c" }).putJob(1, { kind: "gc", db: 1 }).commit();
  await subject.manifest.begin().deleteDb(1).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getDb(1), manifest.getWalState(1), manifest.getChunk(1, 1), manifest.getJob(1)], [
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals((await lastChange(manifest)).operations, [{ op: "deleteDb", table: "db", key: [1] }]);
});

test("parity operation PutWalState: the state of a log is put and replaced whole", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().putWalState(1, { lastAppliedLsn: 5, restartEpoch: 2 }).commit();
  await subject.manifest.begin().putWalState(1, { lastAppliedLsn: 9 }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getWalState(1)?.lastAppliedLsn, manifest.getWalState(1)?.restartEpoch], [9, 0]);
  assertEquals(await lastOperations(manifest), ["putWalState"]);
});

test("parity operation DeleteWalState: the state of a log goes and the database stays", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().putWalState(1, {}).commit();
  await subject.manifest.begin().deleteWalState(1).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getWalState(1), manifest.getDb(1)?.name], [undefined, "events"]);
  assertEquals(await lastOperations(manifest), ["deleteWalState"]);
});

test("parity operation UpsertChunk: a chunk is put, and with another generation names another object", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().upsertChunk([1, 5], { fileName: "old", generation: 1 }).commit();
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] }).commit();
  await subject.manifest.begin().upsertChunk([1, 5], { fileName: "new", generation: 2 }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getChunk(1, 5)?.fileName, manifest.getChunk(1, 5)?.generation], ["new", 2]);
  const strong = (generation: number) => manifest.getRefcount({ originDb: 1, chunkId: 5, generation })?.strong;
  assertEquals([strong(1), strong(2)], [1, 0]);
  assertEquals(await lastOperations(manifest), ["upsertChunk"]);
});

test("parity operation DeleteChunk: a chunk goes, and what a snapshot lists stays counted", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().upsertChunk([1, 5], { fileName: "c" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] }).commit();
  await subject.manifest.begin().deleteChunk([1, 5]).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getChunk(1, 5), manifest.getRefcount({ originDb: 1, chunkId: 5, generation: 0 })?.strong], [undefined, 1]);
  assertEquals((await lastChange(manifest)).operations, [{ op: "deleteChunk", table: "chunk_catalog", key: [1, 5] }]);
});

test("parity operation UpsertChunkDelta: a delta is put and replaced", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().upsertChunkDelta([1, 5, 2, 3], { fileName: "a" }).commit();
  await subject.manifest.begin().upsertChunkDelta([1, 5, 2, 3], { fileName: "b", sizeBytes: 9 }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getChunkDelta(1, 5, 2, 3)?.fileName, manifest.getChunkDelta(1, 5, 2, 3)?.sizeBytes], ["b", 9]);
  assertEquals(await lastOperations(manifest), ["upsertChunkDelta"]);
});

test("parity operation DeleteChunkDelta: one delta goes and its neighbours stay", async () => {
  await using subject = await withDatabase();
  const txn = subject.manifest.begin();
  for (const delta of [0, 1, 2]) txn.upsertChunkDelta([1, 5, 2, delta], { fileName: `${delta}` });
  await txn.commit();
  await subject.manifest.begin().deleteChunkDelta([1, 5, 2, 1]).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.listChunkDeltas(1, 5).toArray().map(([, { fileName }]) => fileName), ["0", "2"]);
  assertEquals(await lastOperations(manifest), ["deleteChunkDelta"]);
});

test("parity operation PublishSnapshot: counts one more for every object that it lists", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().upsertChunk([1, 5], { fileName: "c5" }).upsertChunk([1, 6], { fileName: "c6" }).commit();
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }, { chunkId: 6 }] }).commit();
  await subject.manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 6 }] }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([5, 6].map((chunkId) => manifest.getRefcount({ originDb: 1, chunkId, generation: 0 })?.strong), [1, 2]);
  assertEquals(manifest.listSnapshots(1).toArray().map(([[, id]]) => id), [1, 2]);
  assertEquals(await lastOperations(manifest), ["publishSnapshot"]);
});

test("parity operation DropSnapshot: counts one less, and what nobody lists may be collected", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().upsertChunk([1, 5], { fileName: "c5" }).upsertChunk([1, 6], { fileName: "c6" })
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }, { chunkId: 6 }] }).publishSnapshot([1, 2], { chunks: [{ chunkId: 6 }] }).commit();
  await subject.manifest.begin().dropSnapshot([1, 1]).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getSnapshot(1, 1), manifest.getRefcount({ originDb: 1, chunkId: 6, generation: 0 })?.strong], [undefined, 1]);
  assertEquals(manifest.listCollectable().map(({ chunkId }) => chunkId), [5]);
  assertEquals(await lastOperations(manifest), ["dropSnapshot"]);
});

test("parity operation UpsertWalArtifact: an artifact is put and replaced", async () => {
  await using subject = await withDatabase();
  await subject.manifest.begin().upsertWalArtifact([1, 8], { kind: { is: "bundle", frameCount: 1 }, localPath: "a" }).commit();
  await subject.manifest.begin().upsertWalArtifact([1, 8], { kind: { is: "bundle", frameCount: 2 }, localPath: "b" }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getWalArtifact(1, 8)?.kind, manifest.getWalArtifact(1, 8)?.localPath], [{ is: "bundle", frameCount: 2 }, "b"]);
  assertEquals(await lastOperations(manifest), ["upsertWalArtifact"]);
});

test("parity operation DeleteWalArtifact: an artifact goes", async () => {
  await using subject = await withDatabase();
  const kind = { is: "bundle", frameCount: 1 } as const;
  await subject.manifest.begin().upsertWalArtifact([1, 8], { kind, localPath: "a" }).upsertWalArtifact([1, 9], { kind, localPath: "b" })
    .commit();
  await subject.manifest.begin().deleteWalArtifact([1, 8]).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.listWalArtifacts(1).toArray().map(([[, id]]) => id), [9]);
  assertEquals(await lastOperations(manifest), ["deleteWalArtifact"]);
});

test("parity operation PutRemoteNamespace: a namespace is put and replaced", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putRemoteNamespace(3, { bucket: "a" }).commit();
  await subject.manifest.begin().putRemoteNamespace(3, { bucket: "b", prefix: "p" }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getRemoteNamespace(3)?.bucket, manifest.getRemoteNamespace(3)?.prefix], ["b", "p"]);
  assertEquals(await lastOperations(manifest), ["putRemoteNamespace"]);
});

test("parity operation DeleteRemoteNamespace: a namespace goes", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putRemoteNamespace(3, { bucket: "a" }).putRemoteNamespace(4, { bucket: "b" }).commit();
  await subject.manifest.begin().deleteRemoteNamespace(3).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.listRemoteNamespaces().toArray().map(([[id]]) => id), [4]);
  assertEquals(await lastOperations(manifest), ["deleteRemoteNamespace"]);
});
