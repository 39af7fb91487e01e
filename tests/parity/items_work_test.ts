// Items 41 to 44 of the test list: jobs, metrics, generations.
import { assert, assertEquals } from "@std/assert";
import type { JobStateName, MetricInput } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { stateOf, Subject } from "./subject.ts";

test("item 41: enqueued ids rise over restarts and crashes, also when the last jobs were removed", async () => {
  await using subject = await Subject.make();
  const ids: number[] = [];
  for (let round = 0; round < 4; round++) {
    const txn = subject.manifest.begin();
    for (let i = 0; i < 3; i++) ids.push(txn.enqueueJob({ kind: "gc" }));
    await txn.commit();
    const clear = subject.manifest.begin();
    for (const id of ids.slice(-3)) clear.removeJob(id);
    await clear.commit();
    if (round % 2 === 0) await subject.reopen();
    else await subject.crashAndReopen();
  }
  assertEquals(ids, Array.from({ length: 12 }, (_, i) => i + 1));
  assertEquals(subject.manifest.reserveJobId(), 13);
});

test("item 41: updating or removing a job that is not there is NOT_FOUND, and nothing else of the transaction is applied", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "gc" }).commit();
  const before = stateOf(subject.manifest);
  for (const operation of ["updateJobState", "removeJob", "upsertPendingJob", "deletePendingJob"] as const) {
    const txn = subject.manifest.begin().putDb(1, { name: "a" });
    if (operation === "updateJobState") txn.updateJobState(2, "in-flight");
    else txn[operation](2);
    const error = await errorOf(() => txn.commit());
    assertEquals([error.code, error.detail.operation, error.detail.index, error.detail.job], ["NOT_FOUND", operation, 1, 2]);
  }
  assertEquals(stateOf(await subject.reopen()), before);
});

const STATES: readonly JobStateName[] = ["pending", "held", "in-flight", "completed", "failed"];
const LEGAL = new Set([
  "pending in-flight",
  "pending held",
  "held pending",
  "in-flight completed",
  "in-flight failed",
  "in-flight pending",
  "failed pending",
]);

test("item 42: of the 25 transitions the legal ones happen and the others are ILLEGAL_TRANSITION", async () => {
  await using subject = await Subject.make();
  const way: Record<JobStateName, readonly JobStateName[]> = {
    pending: [],
    held: ["held"],
    "in-flight": ["in-flight"],
    completed: ["in-flight", "completed"],
    failed: ["in-flight", "failed"],
  };
  const input = (to: JobStateName) => to === "failed" ? { is: to, reason: "r" } as const : to;
  const expected: [number, JobStateName][] = [];
  for (const from of STATES) {
    for (const to of STATES) {
      const txn = subject.manifest.begin();
      const id = txn.enqueueJob({ kind: "gc" });
      for (const step of way[from]) txn.updateJobState(id, input(step));
      await txn.commit();
      const change = subject.manifest.begin().updateJobState(id, input(to));
      const legal = LEGAL.has(`${from} ${to}`);
      if (legal) await change.commit();
      else {
        const error = await errorOf(() => change.commit());
        assertEquals([error.code, error.detail.from, error.detail.to], ["ILLEGAL_TRANSITION", from, to]);
      }
      expected.push([id, legal ? to : from]);
    }
  }
  const manifest = await subject.crashAndReopen({ requeueJobs: false });
  assertEquals(expected.map(([id]) => [id, manifest.getJob(id)!.state.is]), expected);
  for (const state of STATES) {
    const wanted = expected.filter(([, is]) => is === state).map(([id]) => id);
    assertEquals(manifest.listJobs({ state }).map(({ job }) => job), wanted, state);
  }
  assertEquals(manifest.listPendingJobs().map(({ job }) => job), expected.filter(([, is]) => is === "pending").map(([id]) => id));
});

test("item 42: jobs that were under way when the process died wait again; after a clean close they do not", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putJob(1, { kind: "gc" }).putJob(2, { kind: "gc" }).updateJobState(1, "in-flight").commit();
  let manifest = await subject.reopen();
  assertEquals([manifest.requeuedJobs, manifest.getJob(1)?.state.is], [[], "in-flight"]);
  manifest = await subject.crashAndReopen();
  assertEquals([[...manifest.requeuedJobs], manifest.getJob(1)?.state.is, manifest.getJob(1)?.attempts], [[1], "pending", 1]);
  manifest = await subject.reopen();
  assertEquals(manifest.listPendingJobs().map(({ job }) => job), [1, 2]);
});

test("item 43: merging is the same in any order and grouping, nothing is its identity, and the count saturates", async () => {
  await using subject = await Subject.make();
  const random = seeded(43);
  const values = Array.from({ length: 60 }, () => random.between(-1000, 1000));
  for (const value of values) await subject.manifest.begin().mergeMetric([1, 1], { sum: value, min: value, max: value }).commit();
  const all = subject.manifest.begin();
  for (const value of random.shuffle([...values])) all.mergeMetric([1, 2], { sum: value, min: value, max: value });
  await all.commit();
  const half = (part: number[]): MetricInput => ({
    count: part.length,
    sum: part.reduce((a, b) => a + b),
    min: Math.min(...part),
    max: Math.max(...part),
  });
  await subject.manifest.begin().mergeMetric([1, 3], half(values.slice(0, 23))).mergeMetric([1, 3], half(values.slice(23)))
    .mergeMetric([1, 3], { count: 0 }).mergeMetric([1, 4], { count: 0 }).commit();
  await subject.manifest.begin().mergeMetric([1, 5], { count: Number.MAX_SAFE_INTEGER - 1, sum: 1 }).mergeMetric([1, 5], {
    count: 5,
    sum: 1,
  })
    .commit();
  const manifest = await subject.crashAndReopen();
  const wanted = { ...half(values) };
  for (const kind of [1, 2, 3]) assertEquals({ ...manifest.getMetric(1, kind) }, wanted);
  assertEquals([manifest.getMetric(1, 4)?.count, manifest.getMetric(1, 4)?.min], [0, undefined]);
  assertEquals([manifest.getMetric(1, 5)?.count, manifest.getMetric(1, 5)?.sum], [Number.MAX_SAFE_INTEGER, 2]);
});

test("item 43: NaN and infinity are refused, also when only the sum would be one", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().mergeMetric([1, 1], { sum: Number.MAX_VALUE }).commit();
  const before = stateOf(subject.manifest);
  const bad: MetricInput[] = [
    { sum: NaN },
    { min: NaN },
    { max: NaN },
    { count: NaN },
    { sum: Infinity },
    { sum: -Infinity },
    { min: -Infinity },
    { max: Infinity },
    { count: Infinity },
    { count: -1 },
    { count: 0.5 },
    { min: 2, max: 1 },
    { sum: Number.MAX_VALUE },
  ];
  for (const input of bad) {
    const error = await errorOf(() => subject.manifest.begin().putDb(1, { name: "a" }).mergeMetric([1, 1], input).commit());
    assertEquals([error.code, error.detail.operation, error.detail.index], ["INVALID_ARGUMENT", "mergeMetric", 1], JSON.stringify(input));
  }
  assertEquals(stateOf(await subject.reopen()), before);
});

test("item 44: a generation rises by its increments, the receipt says to what, and it saturates", async () => {
  await using subject = await Subject.make();
  const receipts = [];
  for (const increment of [1, 5, 0, 2]) receipts.push((await subject.manifest.begin().bumpGeneration(3, increment).commit()).generations);
  assertEquals(receipts, [{ 3: 1 }, { 3: 6 }, { 3: 6 }, { 3: 8 }]); // an empty commit answers with what there is
  const both = await subject.manifest.begin().bumpGeneration(3).bumpGeneration(4, 2).bumpGeneration(3).commit();
  assertEquals(both.generations, { 3: 10, 4: 2 });
  await subject.manifest.begin().bumpGeneration(5, Number.MAX_SAFE_INTEGER - 1).commit();
  const top = await subject.manifest.begin().bumpGeneration(5, 9).commit();
  assertEquals(top.generations, { 5: Number.MAX_SAFE_INTEGER });
  let manifest = await subject.crashAndReopen();
  assertEquals([3, 4, 5, 6].map((component) => manifest.currentGeneration(component)), [10, 2, Number.MAX_SAFE_INTEGER, undefined]);
  for (const increment of [-1, 0.5, NaN]) {
    assertEquals((await errorOf(() => manifest.begin().bumpGeneration(3, increment).commit())).code, "INVALID_ARGUMENT");
  }
  manifest = await subject.reopen();
  assertEquals(manifest.currentGeneration(3), 10);
});

test("item 44: the job counter only moves forward, with reserved ids and over restarts", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().persistJobCounter(100).commit();
  await subject.manifest.begin().persistJobCounter(7).commit();
  let manifest = await subject.reopen();
  assertEquals([manifest.reserveJobId(), manifest.reserveJobId()], [100, 101]);
  await manifest.begin().persistJobCounter(102).commit();
  manifest = await subject.crashAndReopen();
  assertEquals(manifest.reserveJobId(), 102);
  await manifest.begin().putJob(500, { kind: "gc" }).putJob(5, { kind: "gc" }).commit();
  manifest = await subject.reopen();
  const txn = manifest.begin();
  assertEquals(txn.enqueueJob({ kind: "gc" }), 501);
  assert((await txn.commit()).sequence > 0);
});
