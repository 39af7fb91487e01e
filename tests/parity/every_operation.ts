// Every operation of a transaction once, in an order in which each is possible, over an empty manifest.
import { defineTable, type ManifestTxn, type Table, text, u53 } from "../../mod.ts";
import type { OperationName } from "../../src/manifest/write/operation.ts";

/** A table of the user. */
export const owners: Table<[id: number], { team: string }> = defineTable({
  name: "owners",
  key: [u53("id")],
  value: { team: text() },
});

/** Name and call of each. */
export const EVERY_OPERATION: readonly (readonly [name: OperationName, call: (txn: ManifestTxn) => unknown])[] = [
  ["putDb", (txn) => txn.putDb(1, { name: "events" })],
  ["createDb", (txn) => txn.createDb(2, { name: "metrics" })],
  ["putRemoteNamespace", (txn) => txn.putRemoteNamespace(1, { bucket: "b" })],
  ["putWalState", (txn) => txn.putWalState(1, { lastAppliedLsn: 5 })],
  ["upsertWalArtifact", (txn) => txn.upsertWalArtifact([1, 1], { kind: { is: "bundle", frameCount: 2 }, localPath: "w1" })],
  ["upsertChunk", (txn) => txn.upsertChunk([1, 1], { fileName: "c1", generation: 7 })],
  ["upsertChunk", (txn) => txn.upsertChunk([1, 2], { fileName: "c2", generation: 7 })],
  ["upsertChunkDelta", (txn) => txn.upsertChunkDelta([1, 1, 7, 0], { fileName: "d0" })],
  ["upsertChunkDelta", (txn) => txn.upsertChunkDelta([1, 1, 7, 1], { fileName: "d1" })],
  ["publishSnapshot", (txn) => txn.publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }, { chunkId: 1, deltaId: 0 }] })],
  ["publishSnapshot", (txn) => txn.publishSnapshot([1, 2], { chunks: [{ chunkId: 2 }] })],
  ["dropSnapshot", (txn) => txn.dropSnapshot([1, 2])],
  ["adjustRefcount", (txn) => txn.adjustRefcount({ originDb: 1, chunkId: 1, generation: 7 }, 2)],
  ["putJob", (txn) => txn.putJob(1, { kind: "flush", db: 1 })],
  ["putJob", (txn) => txn.putJob(2, { kind: "upload", db: 2 })],
  ["putJob", (txn) => txn.putJob(3, { kind: "gc" })],
  ["putJob", (txn) => txn.putJob(4, { kind: "gc" })],
  ["updateJobState", (txn) => txn.updateJobState(1, "in-flight")],
  ["deletePendingJob", (txn) => txn.deletePendingJob(2)],
  ["upsertPendingJob", (txn) => txn.upsertPendingJob(2)],
  ["removeJob", (txn) => txn.removeJob(3)],
  ["persistJobCounter", (txn) => txn.persistJobCounter(50)],
  ["mergeMetric", (txn) => txn.mergeMetric([1, 1], { sum: 3, min: 3, max: 3 })],
  ["bumpGeneration", (txn) => txn.bumpGeneration(1, 4)],
  ["forkDb", (txn) => txn.forkDb(1, 3, { name: "copy" })],
  ["deleteChunkDelta", (txn) => txn.deleteChunkDelta([1, 1, 7, 1])],
  ["deleteChunk", (txn) => txn.deleteChunk([1, 2])],
  ["upsertWalArtifact", (txn) => txn.upsertWalArtifact([1, 2], { kind: { is: "bundle", frameCount: 3 }, localPath: "w2" })],
  ["deleteWalArtifact", (txn) => txn.deleteWalArtifact([1, 1])],
  ["putWalState", (txn) => txn.putWalState(2, {})],
  ["deleteWalState", (txn) => txn.deleteWalState(2)],
  ["putRemoteNamespace", (txn) => txn.putRemoteNamespace(2, { bucket: "c" })],
  ["deleteRemoteNamespace", (txn) => txn.deleteRemoteNamespace(1)],
  ["deleteDb", (txn) => txn.deleteDb(2)],
  ["put", (txn) => txn.put(owners, 1, { team: "one" })],
  ["put", (txn) => txn.put(owners, 2, { team: "two" })],
  ["put", (txn) => txn.put(owners, 3, { team: "three" })],
  ["delete", (txn) => txn.delete(owners, 2)],
  ["deleteRange", (txn) => txn.deleteRange(owners, { gte: [3] })],
];
