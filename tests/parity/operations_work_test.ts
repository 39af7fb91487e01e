// Operations of the source document on jobs, metrics, counts and generations, and those that it lacks: each is there behind a power loss, with its change.
import { assert, assertEquals } from "@std/assert";
import { BUILT_IN } from "../../src/manifest/operations/built_in.ts";
import { OPERATION_NAMES } from "../../src/manifest/write/operation.ts";
import { test } from "../support/harness.ts";
import { EVERY_OPERATION, owners } from "./every_operation.ts";
import { lastChange, lastOperations, Subject } from "./subject.ts";

test("parity operation PutJob: a job waits under its id", async () => {
  await using subject = await Subject.make();
  const id = subject.manifest.reserveJobId();
  await subject.manifest.begin().putJob(id, { kind: "flush", payload: { is: "flush-shard", shard: 3 } }).commit();
  const manifest = await subject.crashAndReopen();
  const job = manifest.getJob(id)!;
  assertEquals([job.kind, job.payload, job.state.is, job.attempts, job.db], [
    "flush",
    { is: "flush-shard", shard: 3 },
    "pending",
    0,
    undefined,
  ]);
  assertEquals(await lastOperations(manifest), ["putJob"]);
});

test("parity operation UpdateJobState: a job moves on, and its indexes with it", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "flush" }).commit();
  await subject.manifest.begin().updateJobState(1, "in-flight").updateJobState(1, { is: "failed", failedAt: 5, reason: "r" }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getJob(1)?.state, manifest.getJob(1)?.attempts], [{ is: "failed", failedAt: 5, reason: "r" }, 1]);
  assertEquals([manifest.listPendingJobs().length, manifest.listJobs({ state: "failed" }).map(({ job }) => job)], [0, [1]]);
  assertEquals(await lastOperations(manifest), ["updateJobState", "updateJobState"]);
});

test("parity operation RemoveJob: a job goes with its entries in the indexes", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "flush" }).putJob(2, { kind: "flush" }).commit();
  await subject.manifest.begin().removeJob(1).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getJob(1), manifest.listPendingJobs().map(({ job }) => job)], [undefined, [2]]);
  assertEquals((await lastChange(manifest)).operations, [{ op: "removeJob", table: "job_queue", key: [1] }]);
});

test("parity operation UpsertPendingJob: a job that failed waits again", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "flush" }).updateJobState(1, "in-flight").updateJobState(1, {
    is: "failed",
    reason: "r",
  })
    .commit();
  await subject.manifest.begin().upsertPendingJob(1).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getJob(1)?.state.is, manifest.listPendingJobs({ kind: "flush" }).map(({ job }) => job)], ["pending", [1]]);
  assertEquals(await lastOperations(manifest), ["upsertPendingJob"]);
});

test("parity operation DeletePendingJob: a job is held: it is there and does not wait", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "flush" }).commit();
  await subject.manifest.begin().deletePendingJob(1).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getJob(1)?.state.is, manifest.listPendingJobs()], ["held", []]);
  assertEquals(await lastOperations(manifest), ["deletePendingJob"]);
});

test("parity operation MergeMetric: the change shows the merged row", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().mergeMetric([1, 2], { sum: 3, min: 3, max: 3 }).commit();
  await subject.manifest.begin().mergeMetric([1, 2], { count: 4, sum: -1, min: -9, max: 2 }).commit();
  const manifest = await subject.crashAndReopen();
  const value = { count: 5, sum: 2, min: -9, max: 3 };
  assertEquals(manifest.getMetric(1, 2), value);
  assertEquals((await lastChange(manifest)).operations, [{ op: "mergeMetric", table: "metrics", key: [1, 2], value }]);
});

test("parity operation AdjustRefcount: uses beside the snapshots keep an object", async () => {
  await using subject = await Subject.make();
  const object = { originDb: 1, chunkId: 5, generation: 0 };
  await subject.manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 5], { fileName: "c" })
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] }).commit();
  await subject.manifest.begin().adjustRefcount(object, 3).adjustRefcount(object, -1).dropSnapshot([1, 1]).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getRefcount(object)?.held, manifest.getRefcount(object)?.strong, manifest.getRefcount(object)?.state], [
    2,
    0,
    "live",
  ]);
  assertEquals(await lastOperations(manifest), ["adjustRefcount", "adjustRefcount", "dropSnapshot"]);
});

test("parity operation BumpGeneration: raises by the increment, at the given time", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().bumpGeneration(7, 2, 100).commit();
  const { generations } = await subject.manifest.begin().bumpGeneration(7, 5, 200).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([generations, manifest.currentGeneration(7)], [{ 7: 7 }, 7]);
  const change = await lastChange(manifest);
  assertEquals(change.generations, { 7: 7 });
  assertEquals(change.operations, [{
    op: "bumpGeneration",
    table: "generation_watermarks",
    key: [7],
    value: { generation: 7, updatedAt: 200 },
  }]);
});

test("parity operation PersistJobCounter: moves the next id on and never back", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().persistJobCounter(500).commit();
  await subject.manifest.begin().persistJobCounter(9).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.reserveJobId(), 500);
  assertEquals(await lastOperations(manifest), ["persistJobCounter"]);
});

test("parity operation createDb: refuses a database that is there", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().createDb(1, { name: "first" }).commit();
  const second = await subject.manifest.begin().createDb(1, { name: "second" }).commit().catch((error) => error.code);
  const manifest = await subject.crashAndReopen();
  assertEquals([second, manifest.getDb(1)?.name], ["EXISTS", "first"]);
  assertEquals(await lastOperations(manifest), ["putDb"]);
});

test("parity operation forkDb: one change makes the whole copy", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 5], { fileName: "c" })
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] }).commit();
  await subject.manifest.begin().forkDb(1, 2, { name: "b" }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getDb(2)?.name, manifest.getDb(2)?.forkOf, manifest.getChunk(2, 5)?.originDb], ["b", 1, 1]);
  assertEquals(manifest.getRefcount({ originDb: 1, chunkId: 5, generation: 0 })?.strong, 2);
  assertEquals(await lastOperations(manifest), ["forkDb"]);
});

test("parity operation put, delete, deleteRange: rows of the user's tables commit with the manifest's own", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" });
  for (let id = 0; id < 6; id++) txn.put(owners, id, { team: `t${id}` });
  await txn.commit();
  await subject.manifest.begin().delete(owners, 0).deleteRange(owners, { gte: [2], lt: [5] }).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.range(owners).toArray(), [[[1], { team: "t1" }], [[5], { team: "t5" }]]);
  assertEquals(await lastOperations(manifest), ["delete", "deleteRange"]);
});

test("parity operations: all of them in one transaction, which a consumer sees in order, and no table is left out", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin();
  for (const [, call] of EVERY_OPERATION) call(txn);
  await txn.commit();
  const manifest = await subject.crashAndReopen({ requeueJobs: false });
  const called = EVERY_OPERATION.map(([name]) => name);
  assertEquals(await lastOperations(manifest), called.map((name) => name === "createDb" ? "putDb" : name));
  assertEquals(OPERATION_NAMES.filter((name) => !called.includes(name)), []);
  const { ok, problems } = await manifest.check({ level: "deep" });
  assert(ok, JSON.stringify(problems));
  const cursor = await manifest.registerChangeCursor("any");
  assert(cursor.id > 0);
  assertEquals(BUILT_IN.filter(({ table }) => manifest.count(table) === 0).map(({ table }) => table.name), []);
});
