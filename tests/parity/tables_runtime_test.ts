// The tables that hold work, counters and counts.
import { assertEquals } from "@std/assert";
import { collectable, cursors, generations, jobs, jobStates, meta, metrics, pendingJobs, refcounts } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { Subject } from "./subject.ts";

test("parity table job_queue: jobs with every kind, payload and state are kept", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" });
  const kinds = ["flush", "checkpoint", "upload", "delete", "gc", "custom-65535"];
  const payloads = [
    { is: "none" },
    { is: "flush-shard", shard: 3 },
    { is: "chunk-upload", chunkId: 9 },
    { is: "bytes", bytes: new Uint8Array([7, 8]) },
  ] as const;
  const ids = kinds.map((kind, i) => txn.enqueueJob({ kind, db: 1, payload: payloads[i % 4], createdAt: 100 + i }));
  await txn.commit();
  await subject.manifest.begin().updateJobState(ids[1]!, { is: "in-flight", startedAt: 5 }).updateJobState(ids[2]!, {
    is: "in-flight",
    startedAt: 6,
  })
    .updateJobState(ids[3]!, "in-flight").deletePendingJob(ids[4]!).commit();
  await subject.manifest.begin().updateJobState(ids[2]!, { is: "completed", completedAt: 7 })
    .updateJobState(ids[3]!, { is: "failed", failedAt: 8, reason: "no space" }).commit();
  const manifest = await subject.reopen();
  assertEquals(ids.map((id) => manifest.getJob(id)!.kind), kinds);
  assertEquals(ids.map((id) => manifest.getJob(id)!.createdAt), [100, 101, 102, 103, 104, 105]);
  assertEquals(ids.slice(0, 4).map((id) => manifest.getJob(id)!.payload), [...payloads]);
  assertEquals(ids.map((id) => manifest.getJob(id)!.state.is), ["pending", "in-flight", "completed", "failed", "held", "pending"]);
  assertEquals([1, 2, 3].map((i) => manifest.getJob(ids[i]!)!.state), [
    { is: "in-flight", startedAt: 5 },
    { is: "completed", completedAt: 7 },
    { is: "failed", failedAt: 8, reason: "no space" },
  ]);
  assertEquals(manifest.listJobs({ kind: "upload" }).map(({ job }) => job), [ids[2]!]);
  assertEquals(manifest.keys(jobs).toArray(), ids.map((id) => [id]));
});

test("parity table job_pending_index: holds exactly the jobs that wait, by database and kind, whatever becomes of them", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" }).putJob(1, { kind: "flush", db: 1 }).putJob(2, {
    kind: "gc",
  })
    .putJob(3, { kind: "flush", db: 1 }).putJob(4, { kind: "upload", db: 2 }).putJob(5, { kind: "flush", db: 1 }).commit();
  await subject.manifest.begin().updateJobState(3, "in-flight").removeJob(5).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.keys(pendingJobs).toArray(), [[-1, "gc", 2], [1, "flush", 1], [2, "upload", 4]]);
  assertEquals(manifest.listPendingJobs({ db: 1, kind: "flush" }).map(({ job }) => job), [1]);
  assertEquals(manifest.listPendingJobs({ db: null }).map(({ job }) => job), [2]);
});

test("parity table job_state_index: lists jobs by state and kind without reading the others", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "flush" }).putJob(2, { kind: "gc" }).putJob(3, { kind: "flush" }).commit();
  await subject.manifest.begin().updateJobState(3, "in-flight").deletePendingJob(2).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.keys(jobStates).toArray(), [["pending", "flush", 1], ["held", "gc", 2], ["in-flight", "flush", 3]]);
  assertEquals(manifest.listJobs({ state: "in-flight", kind: "flush" }).map(({ job }) => job), [3]);
  assertEquals(manifest.listJobs({ state: "completed" }), []);
});

test("parity table metrics: count, sum, least and greatest by scope and kind", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().mergeMetric([1, 2], { count: 3, sum: 4.5, min: -1, max: 9 }).mergeMetric([1, 10], { sum: 2 })
    .mergeMetric([0, 11], {}).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.getMetric(1, 2), { count: 3, sum: 4.5, min: -1, max: 9 });
  assertEquals(manifest.listMetrics().toArray().map(([key, { count }]) => [...key, count]), [[0, 11, 1], [1, 2, 3], [1, 10, 1]]);
  assertEquals(manifest.range(metrics, { prefix: [1] }).toArray().length, 2);
});

test("parity table generation_watermarks: the generation and its time by component", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().bumpGeneration(9, 4, 123).bumpGeneration(2).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.get(generations, [9]), { generation: 4, updatedAt: 123 });
  assertEquals(manifest.listGenerations().toArray().map(([[component], { generation }]) => [component, generation]), [[2, 1], [9, 4]]);
});

test("parity table gc_refcounts: a count for each stored object, by origin, chunk, generation and delta", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 5], { fileName: "c", generation: 3 })
    .upsertChunkDelta([1, 5, 3, 2], { fileName: "d" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }, { chunkId: 5, deltaId: 2 }] })
    .publishSnapshot([1, 2], { chunks: [{ chunkId: 5 }] }).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.range(refcounts).toArray().map(([key, { strong, state }]) => [...key, strong, state]), [
    [1, 5, 3, -1, 2, "live"],
    [1, 5, 3, 2, 1, "live"],
  ]);
  assertEquals(manifest.getRefcount({ originDb: 1, chunkId: 5, generation: 3, deltaId: 2 })?.strong, 1);
});

test("parity table gc_collectable: what may be collected is a range of its own", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 5], { fileName: "c" }).upsertChunk([1, 6], { fileName: "e" })
    .upsertChunk([1, 7], { fileName: "f" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }, { chunkId: 7 }] }).commit();
  await subject.manifest.begin().dropSnapshot([1, 1]).publishSnapshot([1, 2], { chunks: [{ chunkId: 7 }] }).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.keys(collectable).toArray().map(([state, , , chunk]) => [state, chunk]), [["unnamed", 6], ["collectable", 5]]);
  assertEquals([manifest.listCollectable().length, manifest.listUnnamed().length, manifest.listCondemned().length], [1, 1, 0]);
});

test("parity table change_cursors: name, place and times of each cursor", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("replica");
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  await subject.manifest.begin().putDb(2, { name: "b" }).commit();
  await subject.manifest.acknowledgeChanges(id, 2);
  const manifest = await subject.reopen();
  const { name, next, createdAt, updatedAt } = manifest.get(cursors, [id])!;
  assertEquals([name, next, updatedAt > createdAt], ["replica", 2, true]);
  assertEquals(manifest.listChangeCursors().map((one) => [one.id, one.name, one.nextSequence]), [[id, "replica", 2]]);
});

test("parity table meta: counters of jobs and cursors outlive the rows that they numbered", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("gone");
  await subject.manifest.unregisterChangeCursor(id);
  await subject.manifest.begin().putJob(41, { kind: "gc" }).commit();
  await subject.manifest.begin().removeJob(41).commit();
  const manifest = await subject.reopen();
  assertEquals(manifest.get(meta, ["next_job_id"])?.number, 42);
  assertEquals(manifest.get(meta, ["next_cursor_id"])?.number, id + 1);
  assertEquals(manifest.range(meta).toArray().map(([[name]]) => name), ["next_cursor_id", "next_job_id"]);
});
