// Items 30, 31 and 49 of the test list: snapshots, counts and forks.
import { assertEquals } from "@std/assert";
import type { Manifest } from "../../mod.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { stateOf, Subject } from "./subject.ts";

/** Snapshots that list the base object of a chunk. */
function strong(manifest: Manifest, chunkId: number, generation = 0, originDb = 1): number | undefined {
  return manifest.getRefcount({ originDb, chunkId, generation })?.strong;
}

/** A subject whose database 1 has chunks 0 to `count` − 1. */
async function withChunks(count: number): Promise<Subject> {
  const subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" });
  for (let i = 0; i < count; i++) txn.upsertChunk([1, i], { fileName: `c${i}` });
  await txn.commit();
  return subject;
}

/** The deep check finds nothing: every count equals a recount. */
async function assertSound(manifest: Manifest): Promise<void> {
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
}

test("item 30: publishing counts up, dropping counts down, the last drop makes an object collectable", async () => {
  await using subject = await withChunks(3);
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }, { chunkId: 1 }] }).commit();
  await subject.manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }, { chunkId: 2 }] }).commit();
  let manifest = await subject.crashAndReopen();
  assertEquals([0, 1, 2].map((id) => strong(manifest, id)), [1, 2, 1]);
  await manifest.begin().dropSnapshot([1, 1]).commit();
  manifest = await subject.crashAndReopen();
  assertEquals([0, 1, 2].map((id) => strong(manifest, id)), [0, 1, 1]);
  assertEquals(manifest.listCollectable().map(({ chunkId }) => chunkId), [0]);
  await assertSound(manifest);
});

test("item 30: publishing the same key twice is neutral, and another list releases the first", async () => {
  await using subject = await withChunks(3);
  for (let i = 0; i < 3; i++) {
    await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }, { chunkId: 1 }] }).commit();
  }
  let manifest = await subject.reopen();
  assertEquals([0, 1, 2].map((id) => strong(manifest, id)), [1, 1, 0]);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 2 }] }).commit();
  manifest = await subject.reopen();
  assertEquals([0, 1, 2].map((id) => strong(manifest, id)), [0, 0, 1]);
  assertEquals(manifest.countCollectable(), 2);
  await manifest.begin().dropSnapshot([1, 1]).commit();
  assertEquals(manifest.countCollectable(), 3);
  await assertSound(manifest);
});

test("item 30: dropping a snapshot that is not there is NOT_FOUND, and counts stay", async () => {
  await using subject = await withChunks(1);
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  for (const key of [[1, 2], [2, 1]] as const) {
    const error = await errorOf(() => subject.manifest.begin().dropSnapshot(key).commit());
    assertEquals([error.code, error.detail.operation, error.detail.index, error.detail.snapshot], ["NOT_FOUND", "dropSnapshot", 0, key[1]]);
  }
  const manifest = await subject.reopen();
  assertEquals([strong(manifest, 0), manifest.latestChangeSequence()], [1, 2]);
});

test("item 31: a count below zero is REFCOUNT_UNDERFLOW and never clamped, for snapshots and for holds", async () => {
  await using subject = await withChunks(2);
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }] })
    .adjustRefcount({ originDb: 1, chunkId: 1, generation: 0 }, 2).commit();
  await subject.manifest.close();
  // The count of chunk 0 is taken away behind the manifest's back.
  const store = await Store.open(subject.disk.open(), { idleCheckpoint: 0 });
  const lower = new Uint8Array(0), upper = new Uint8Array(16);
  upper.set([1], 7);
  upper.set([1], 15); // (1, 1): everything of chunk 0 is before it
  const ops = [{ kind: "deleteRange" as const, table: store.table("gc_refcounts")!.id, key: lower, value: upper }];
  await store.commit({ stage: () => stageRaw(store.kernel, ops), change: false });
  await store.close();
  let manifest = await subject.reopen();
  const before = stateOf(manifest);
  const dropped = await errorOf(() => manifest.begin().putDb(9, { name: "x" }).dropSnapshot([1, 1]).commit());
  assertEquals([dropped.code, dropped.detail.operation, dropped.detail.index, dropped.detail.chunkId], [
    "REFCOUNT_UNDERFLOW",
    "dropSnapshot",
    1,
    0,
  ]);
  const object = { originDb: 1, chunkId: 1, generation: 0 };
  assertEquals((await errorOf(() => manifest.begin().adjustRefcount(object, -3).commit())).code, "REFCOUNT_UNDERFLOW");
  assertEquals((await errorOf(() => manifest.begin().adjustRefcount({ ...object, chunkId: 77 }, -1).commit())).code, "REFCOUNT_UNDERFLOW");
  manifest = await subject.reopen();
  assertEquals(stateOf(manifest), before);
  await manifest.begin().adjustRefcount(object, -2).dropSnapshot([1, 2]).commit();
  assertEquals(manifest.listCollectable().map(({ chunkId }) => chunkId), [1]);
});

test("item 31: each database has counts of its own, and one that shares an object shares its count", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" }).upsertChunk([1, 5], { fileName: "x" })
    .upsertChunk([2, 5], { fileName: "y" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] })
    .publishSnapshot([2, 1], { chunks: [{ chunkId: 5 }] }).forkDb(1, 3, { name: "c" }).commit();
  let manifest = await subject.reopen();
  assertEquals([strong(manifest, 5, 0, 1), strong(manifest, 5, 0, 2), strong(manifest, 5, 0, 3)], [2, 1, undefined]);
  await manifest.begin().dropSnapshot([2, 1]).commit();
  manifest = await subject.reopen();
  assertEquals(manifest.listCollectable().map(({ originDb }) => originDb), [2]);
  assertEquals(strong(manifest, 5, 0, 1), 2);
});

test("item 49: a fork beside other commits is the source as it was at one place in the order", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const commits: Promise<{ sequence: number }>[] = [];
  // Each commit moves chunk and delta together and lists them: a copy between two of them is one that never was.
  for (let i = 1; i <= 60; i++) {
    commits.push(
      subject.manifest.begin().upsertChunk([1, 5], { fileName: `c${i}`, generation: i }).upsertChunkDelta([1, 5, i, 0], {
        fileName: `d${i}`,
      })
        .publishSnapshot([1, 1], { sourceGeneration: i, chunks: [{ chunkId: 5 }, { chunkId: 5, deltaId: 0 }] })
        .putWalState(1, { lastAppliedLsn: i }).upsertWalArtifact([1, i], { kind: { is: "bundle", frameCount: i }, localPath: "w" })
        .commit(),
    );
    if (i % 10 === 0) commits.push(subject.manifest.begin().forkDb(1, i, { name: `fork${i}` }).commit());
  }
  await Promise.all(commits);
  const manifest = await subject.crashAndReopen();
  for (let i = 10; i <= 60; i += 10) {
    assertEquals([
      manifest.getChunk(i, 5)?.generation,
      manifest.getWalState(i)?.lastAppliedLsn,
      manifest.getSnapshot(i, 1)?.sourceGeneration,
    ], [i, i, i]);
    assertEquals(manifest.getSnapshot(i, 1)!.chunks.map(({ originDb, generation, deltaId }) => [originDb, generation, deltaId]), [
      [1, i, undefined],
      [1, i, 0],
    ]);
    assertEquals([manifest.listChunkDeltas(i).toArray().length, manifest.listWalArtifacts(i).toArray().length], [i, i]);
    assertEquals(strong(manifest, 5, i), i === 60 ? 2 : 1); // its own snapshot, and in the end the source's
  }
  await assertSound(manifest);
});

test("item 49: a fork takes snapshots and deltas with their counts, and neither active job nor error of flushing", async () => {
  await using subject = await withChunks(2);
  await subject.manifest.begin().upsertChunkDelta([1, 0, 0, 3], { fileName: "d" })
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }, { chunkId: 0, deltaId: 3 }] })
    .putWalState(1, { lastAppliedLsn: 9, flushGate: { activeJobId: 4, lastSuccessAt: 5, erroredSince: 6 } }).putJob(1, {
      kind: "flush",
      db: 1,
    })
    .commit();
  await subject.manifest.begin().forkDb(1, 2, { name: "b" }).commit();
  let manifest = await subject.reopen();
  const delta = { originDb: 1, chunkId: 0, generation: 0, deltaId: 3 };
  assertEquals([strong(manifest, 0), strong(manifest, 1), manifest.getRefcount(delta)?.strong], [2, 0, 2]);
  const { flushGate, lastAppliedLsn } = manifest.getWalState(2)!;
  assertEquals([lastAppliedLsn, flushGate.activeJobId, flushGate.lastSuccessAt, flushGate.erroredSince], [9, undefined, 5, undefined]);
  assertEquals(manifest.listPendingJobs({ db: 2 }), []);
  await manifest.begin().deleteDb(1).commit();
  manifest = await subject.reopen();
  assertEquals([strong(manifest, 0), manifest.getRefcount(delta)?.strong, manifest.getSnapshot(2, 1)?.chunks.length], [1, 1, 2]);
  await assertSound(manifest);
});
