// The tables that describe databases and their files: every field of the source document's records is kept.
import { assertEquals } from "@std/assert";
import { chunkDeltas, chunks, databases, remoteNamespaces, type RemoteObject, snapshots, walArtifacts, walStates } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { Subject } from "./subject.ts";

const REMOTE: RemoteObject = { namespaceId: 3, originDb: 1, chunkId: 5, kind: { is: "delta", deltaId: 65535 }, generation: 9, etag: "e" };

test("parity table db: descriptors with every option and status are read by get, list and range", async () => {
  await using subject = await Subject.make();
  const configHash = new Uint8Array(32).map((_, i) => i);
  const options = {
    walDir: "wal",
    chunkDir: "chunks",
    compression: "zstd",
    encryption: "aes-256-gcm",
    retention: { keep: "generations", count: 4 },
    labels: ["hot"],
  } as const;
  await subject.manifest.begin()
    .putDb(7, {
      name: "full",
      createdAt: 11,
      walShards: 3,
      options: { ...options, labels: ["hot"] },
      status: { state: "tombstoned", at: 12 },
      configHash,
    })
    .putDb(2, { name: "draining", status: { state: "draining" } })
    .putDb(10, { name: "plain" })
    .commit();
  const manifest = await subject.reopen();
  const full = manifest.getDb(7)!;
  assertEquals([full.name, full.createdAt, full.walShards, full.configHash], ["full", 11, 3, configHash]);
  assertEquals({ ...full.options, labels: undefined }, { ...options, labels: undefined });
  assertEquals(full.options.labels, ["hot"]);
  assertEquals(full.status, { state: "tombstoned", at: 12 });
  assertEquals(manifest.getDb(2)!.status, { state: "draining" });
  const plain = manifest.getDb(10)!;
  assertEquals([plain.walShards, plain.options.compression, plain.options.encryption, plain.options.retention, plain.status], [
    1,
    "none",
    "none",
    { keep: "all" },
    { state: "active" },
  ]);
  assertEquals(manifest.listDbs().toArray().map(([[db]]) => db), [2, 7, 10]);
  assertEquals(manifest.range(databases, { gt: [2], reverse: true }).toArray().map(([[db]]) => db), [10, 7]);
});

test("parity table wal_state: sealed segment, LSN, checkpoint, epoch and flush gate are kept", async () => {
  await using subject = await Subject.make();
  const state = {
    lastSealedSegment: 4,
    lastAppliedLsn: 2 ** 53 - 1,
    lastCheckpointGeneration: 6,
    restartEpoch: 2 ** 32 - 1,
    flushGate: { activeJobId: 8, lastSuccessAt: 9, erroredSince: 10 },
  };
  await subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" }).putWalState(2, state).putWalState(1, {}).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.getWalState(2), state);
  assertEquals(manifest.listWalStates().toArray().map(([[db], { lastAppliedLsn }]) => [db, lastAppliedLsn]), [[1, 0], [2, 2 ** 53 - 1]]);
  assertEquals(manifest.keys(walStates, { gte: [2] }).toArray(), [[2]]);
});

test("parity table chunk_catalog: chunks with every residency are kept, by database and chunk", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" });
  txn.upsertChunk([1, 5], {
    fileName: "c5",
    generation: 3,
    sizeBytes: 4,
    compression: "zstd",
    encrypted: true,
    residency: { at: "remote", object: REMOTE, verified: true },
    uploadedAt: 6,
    purgeAfter: 7,
    contentHash: new Uint8Array([1, 2, 3]),
    pageSize: 4096,
    pageCount: 12,
  });
  txn.upsertChunk([1, 6], {
    fileName: "c6",
    residency: { at: "local-and-remote", object: { ...REMOTE, kind: { is: "base" } }, verified: false },
  });
  txn.upsertChunk([1, 40], { fileName: "c40", residency: { at: "evicted" } }).upsertChunk([2, 1], { fileName: "other" });
  await txn.commit();
  const manifest = await subject.reopen();
  const { residency, contentHash, ...chunk } = manifest.getChunk(1, 5)!;
  assertEquals(residency, { at: "remote", object: REMOTE, verified: true });
  assertEquals(contentHash, new Uint8Array([1, 2, 3]));
  const { fileName, generation, sizeBytes, compression, encrypted, uploadedAt, purgeAfter, pageSize, pageCount } = chunk;
  assertEquals([fileName, generation, sizeBytes, compression, encrypted, uploadedAt, purgeAfter, pageSize, pageCount], [
    "c5",
    3,
    4,
    "zstd",
    true,
    6,
    7,
    4096,
    12,
  ]);
  assertEquals(manifest.listChunks(1).toArray().map(([[, id], { residency: { at } }]) => [id, at]), [
    [5, "remote"],
    [6, "local-and-remote"],
    [40, "evicted"],
  ]);
  assertEquals(manifest.range(chunks).toArray().map(([key]) => key), [[1, 5], [1, 6], [1, 40], [2, 1]]);
});

test("parity table chunk_delta_index: deltas are kept by database, chunk, generation and delta", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" });
  const keys = [[1, 5, 2, 0], [1, 5, 10, 1], [1, 5, 2, 65535], [1, 40, 1, 0]] as const;
  for (const key of keys) txn.upsertChunkDelta(key, { fileName: key.join("-"), sizeBytes: key[3], baseChunkId: 4 });
  txn.upsertChunkDelta([1, 41, 1, 0], { fileName: "far", residency: { at: "remote", object: REMOTE, verified: false } });
  await txn.commit();
  const manifest = await subject.reopen();
  const { fileName, sizeBytes, baseChunkId, residency } = manifest.getChunkDelta(1, 5, 2, 65535)!;
  assertEquals([fileName, sizeBytes, baseChunkId, residency], ["1-5-2-65535", 65535, 4, { at: "local" }]);
  assertEquals(manifest.getChunkDelta(1, 41, 1, 0)!.residency, { at: "remote", object: REMOTE, verified: false });
  assertEquals(manifest.listChunkDeltas(1, 5).toArray().map(([key]) => key), [[1, 5, 2, 0], [1, 5, 2, 65535], [1, 5, 10, 1]]);
  assertEquals(manifest.count(chunkDeltas, { prefix: [1] }), 5);
});

test("parity table snapshot_index: a snapshot keeps its generation, time and list of base objects and deltas", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" })
    .upsertChunk([1, 5], { fileName: "c5", generation: 3 }).upsertChunkDelta([1, 5, 3, 2], { fileName: "d", baseChunkId: 4 })
    .publishSnapshot([1, 9], { createdAt: 77, sourceGeneration: 8, chunks: [{ chunkId: 5 }, { chunkId: 5, deltaId: 2 }] })
    .publishSnapshot([1, 10], { chunks: [] })
    .commit();
  const manifest = await subject.reopen();
  const { createdAt, sourceGeneration, chunks: listed } = manifest.getSnapshot(1, 9)!;
  assertEquals([createdAt, sourceGeneration], [77, 8]);
  assertEquals(listed.map((one) => [one.chunkId, one.originDb, one.generation, one.deltaId, one.baseChunkId]), [
    [5, 1, 3, undefined, undefined],
    [5, 1, 3, 2, 4],
  ]);
  assertEquals(manifest.listSnapshots(1).toArray().map(([[, id]]) => id), [9, 10]);
  assertEquals(manifest.keys(snapshots, { reverse: true, limit: 1 }).toArray(), [[1, 10]]);
});

test("parity table wal_catalog: segments and bundles are kept by database and artifact", async () => {
  await using subject = await Subject.make();
  const segment = { is: "segment", startPage: 1, endPage: 20, sizeBytes: 4096 } as const;
  await subject.manifest.begin().putDb(1, { name: "a" })
    .upsertWalArtifact([1, 2 ** 40], { kind: segment, localPath: "s", createdAt: 5, remote: { ...REMOTE, kind: { is: "wal", shard: 2 } } })
    .upsertWalArtifact([1, 3], { kind: { is: "bundle", frameCount: 6 }, localPath: "b" })
    .commit();
  const manifest = await subject.reopen();
  const { kind, localPath, createdAt, remote } = manifest.getWalArtifact(1, 2 ** 40)!;
  assertEquals([kind, localPath, createdAt, remote], [segment, "s", 5, { ...REMOTE, kind: { is: "wal", shard: 2 } }]);
  assertEquals(manifest.listWalArtifacts(1).toArray().map(([[, id], artifact]) => [id, artifact.kind.is]), [[3, "bundle"], [
    2 ** 40,
    "segment",
  ]]);
  assertEquals(manifest.count(walArtifacts), 2);
});

test("parity table remote_namespaces: bucket, prefix and profile are written and read", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putRemoteNamespace(4, { bucket: "b4", prefix: "p/", encryptionProfile: "kms" })
    .putRemoteNamespace(3, { bucket: "b3" }).commit();
  const manifest = await subject.reopen();
  const { bucket, prefix, encryptionProfile } = manifest.getRemoteNamespace(4)!;
  assertEquals([bucket, prefix, encryptionProfile], ["b4", "p/", "kms"]);
  assertEquals(manifest.listRemoteNamespaces().toArray().map(([[id], row]) => [id, row.bucket, row.prefix]), [[3, "b3", ""], [
    4,
    "b4",
    "p/",
  ]]);
  assertEquals(manifest.has(remoteNamespaces, [5]), false);
});
