// Jobs: ids rise for ever, states change as they may, and both indexes say what the jobs say.
import { assert, assertEquals } from "@std/assert";
import {
  type Job,
  jobs,
  type JobState,
  type JobStateInput,
  type JobStateName,
  jobStates,
  Manifest,
  meta,
  type OperationBuilder,
  pendingJobs,
} from "../../mod.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const STATES: readonly JobStateName[] = ["pending", "held", "in-flight", "completed", "failed"];
const LEGAL: readonly string[] = [
  "pending→in-flight",
  "pending→held",
  "held→pending",
  "in-flight→completed",
  "in-flight→failed",
  "in-flight→pending",
  "failed→pending",
];
/** What leads a new job to each state. */
const PATHS: Readonly<Record<JobStateName, readonly JobStateInput[]>> = {
  pending: [],
  held: ["held"],
  "in-flight": ["in-flight"],
  completed: ["in-flight", "completed"],
  failed: ["in-flight", { is: "failed", reason: "r" }],
};

function inputOf(state: JobStateName): JobStateInput {
  return state === "failed" ? { is: "failed", reason: "no" } : state;
}

function bring<T extends OperationBuilder>(txn: T, job: number, state: JobStateName): T {
  for (const step of PATHS[state]) txn.updateJobState(job, step);
  return txn;
}

/** Both indexes, recomputed from the jobs, and the deep check. */
async function assertIndexes(manifest: Manifest): Promise<void> {
  const states: string[] = [], waiting: string[] = [];
  for (const [[job], { state: { is }, kind, db }] of manifest.range(jobs)) {
    states.push(`${is}/${kind}/${job}`);
    if (is === "pending") waiting.push(`${db ?? -1}/${kind}/${job}`);
  }
  const have = (keys: Iterable<readonly unknown[]>): string[] => [...keys].map((key) => key.join("/")).toSorted();
  assertEquals(have(manifest.keys(jobStates)), states.toSorted());
  assertEquals(have(manifest.keys(pendingJobs)), waiting.toSorted());
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
}

async function reopened(manifest: Manifest, medium: Medium): Promise<Manifest> {
  await manifest.close();
  return medium.open();
}

/** A manifest whose process dies: what is on the disk is opened again. */
class Crashing {
  readonly disk = new SimDisk();

  open(requeueJobs?: boolean): Promise<Manifest> {
    return Manifest.open(this.disk.open(), { create: true, idleCheckpoint: 0, environment: testEnvironment(1), requeueJobs });
  }

  /** The manifest is given up without closing it. */
  async crash(requeueJobs?: boolean): Promise<Manifest> {
    const bytes = this.disk.durable();
    return await Manifest.open(new SimDisk(bytes).open(), { idleCheckpoint: 0, environment: testEnvironment(2), requeueJobs });
  }
}

test("enqueueJob: ids rise, within a transaction and over restarts, also when the newest job is removed", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin();
  assertEquals([1, 2, 3].map(() => txn.enqueueJob({ kind: "flush" })), [1, 2, 3]);
  await txn.commit();
  manifest = await reopened(manifest, medium);
  await manifest.begin().removeJob(3).removeJob(2).commit();
  manifest = await reopened(manifest, medium);
  const next = manifest.begin();
  assertEquals(next.enqueueJob({ kind: "flush" }), 4);
  await next.commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.reserveJobId(), manifest.reserveJobId()], [5, 6]);
  assertEquals(manifest.listJobs().map(({ job }) => job), [1, 4]);
  await assertIndexes(manifest);
  await manifest.close();
});

test("reserveJobId: durable with the first job at or above it; a gap below stays a gap", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  assertEquals([manifest.reserveJobId(), manifest.reserveJobId(), manifest.reserveJobId()], [1, 2, 3]);
  await manifest.begin().putJob(2, { kind: "gc" }).commit();
  assertEquals(manifest.reserveJobId(), 4, "what was handed out is not handed out again in this process");
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.reserveJobId(), 3);
  await manifest.begin().putJob(1, { kind: "gc" }).commit();
  await manifest.begin().putJob(1000, { kind: "gc" }).commit();
  assertEquals(manifest.reserveJobId(), 1001, "an id of somebody else's counts too");
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.reserveJobId(), manifest.listJobs().map(({ job }) => job)], [1001, [1, 2, 1000]]);
  await assertIndexes(manifest);
  await manifest.close();
  assertEquals(await codeOf(() => manifest.reserveJobId()), "HANDLE_CLOSED");
});

test("persistJobCounter: raises what the next job gets, over a restart and a crash, and never lowers it", async () => {
  const crashing = new Crashing();
  const manifest = await crashing.open();
  await manifest.begin().persistJobCounter(50).commit();
  await manifest.begin().persistJobCounter(20).persistJobCounter(0).commit();
  let after = await crashing.crash();
  assertEquals([after.reserveJobId(), after.get(meta, ["next_job_id"])?.number], [50, 50]);
  await after.close();
  const medium = new Medium();
  after = await medium.open();
  await after.begin().putJob(7, { kind: "gc" }).persistJobCounter(3).commit();
  after = await reopened(after, medium);
  assertEquals(after.reserveJobId(), 8);
  for (const wrong of ["5", null, -1, 1.5, NaN, 2 ** 53]) {
    const error = await errorOf(() => after.begin().putDb(1, { name: "x" }).persistJobCounter(wrong as never).commit());
    assertEquals([error.kind, error.detail.operation, error.detail.index], ["usage", "persistJobCounter", 1]);
  }
  assertEquals(after.getDb(1), undefined);
  await after.close();
});

test("putJob: a crash before the commit gives the id out again, an aborted transaction does not lose the counter", async () => {
  const crashing = new Crashing();
  const manifest = await crashing.open();
  assertEquals(manifest.reserveJobId(), 1);
  const txn = manifest.begin();
  txn.enqueueJob({ kind: "flush" });
  txn.rollback();
  const refused = manifest.begin();
  assertEquals(refused.enqueueJob({ kind: "flush", db: 9 }), 3);
  assertEquals(await codeOf(() => refused.commit()), "NOT_FOUND");
  const after = await crashing.crash();
  assertEquals([after.reserveJobId(), after.count(jobs)], [1, 0]);
  await after.close();
});

test("putJob: takes defaults, keeps everything it is given, and refuses what it cannot keep with nothing applied", async () => {
  const medium = new Medium();
  let manifest = await medium.open({ environment: testEnvironment(1) });
  await manifest.begin().putDb(4, { name: "d" })
    .putJob(1, { kind: "x".repeat(64) }).putJob(2, { kind: "flush", db: 4, payload: { is: "flush-shard", shard: 3 }, createdAt: 5 })
    .putJob(3, { kind: "own", payload: { is: "bytes", bytes: new Uint8Array([1, 2]) } })
    .putJob(4, { kind: "upload", payload: { is: "chunk-upload", chunkId: 9 } }).commit();
  manifest = await reopened(manifest, medium);
  const [first, second, third, fourth] = [1, 2, 3, 4].map((id) => manifest.getJob(id)!);
  assertEquals([first!.kind.length, first!.attempts, first!.payload, first!.state.is, first!.db], [
    64,
    0,
    { is: "none" },
    "pending",
    undefined,
  ]);
  assert(first!.createdAt > 0 && (first!.state as { enqueuedAt: number }).enqueuedAt === first!.createdAt);
  assertEquals([second!.db, second!.createdAt, second!.payload], [4, 5, { is: "flush-shard", shard: 3 }]);
  assertEquals([third!.payload, fourth!.payload], [{ is: "bytes", bytes: new Uint8Array([1, 2]) }, { is: "chunk-upload", chunkId: 9 }]);
  const sequence = manifest.latestChangeSequence();
  const wrong: [string, () => unknown][] = [
    ["EXISTS", () => manifest.begin().putJob(9, { kind: "a" }).putJob(1, { kind: "a" }).commit()],
    ["EXISTS", () => manifest.begin().putJob(9, { kind: "a" }).putJob(9, { kind: "a" }).commit()],
    ["NOT_FOUND", () => manifest.begin().putJob(9, { kind: "a", db: 5 }).commit()],
    ["INVALID_ARGUMENT", () => manifest.begin().putJob(9, { kind: "" }).commit()],
    ["INVALID_ARGUMENT", () => manifest.begin().putJob(9, {} as never).commit()],
    ["INVALID_ARGUMENT", () => manifest.begin().putJob(9, null as never).commit()],
    ["LIMIT", () => manifest.begin().putJob(9, { kind: "x".repeat(65) }).commit()],
    ["INVALID_ARGUMENT", () => manifest.begin().putJob(9, { kind: "a", payload: { is: "what" } as never }).commit()],
    ["INVALID_ARGUMENT", () => manifest.begin().putJob("9" as never, { kind: "a" }).commit()],
  ];
  for (const [code, call] of wrong) assertEquals(await codeOf(call), code, String(call));
  assertEquals([manifest.latestChangeSequence(), manifest.count(jobs), manifest.reserveJobId()], [sequence, 4, 5]);
  await assertIndexes(manifest);
  await manifest.close();
});

test("updateJobState: of all 25 transitions the seven legal ones are done, the others are ILLEGAL_TRANSITION with nothing applied", async () => {
  const done: string[] = [];
  for (const from of STATES) {
    for (const to of STATES) {
      const medium = new Medium();
      let manifest = await medium.open({ environment: testEnvironment(1) });
      await bring(manifest.begin().putJob(1, { kind: "k" }), 1, from).commit();
      const before = manifest.getJob(1)!;
      const sequence = manifest.latestChangeSequence();
      const txn = manifest.begin().putDb(1, { name: "beside" }).updateJobState(1, inputOf(to));
      const pair = `${from}→${to}`;
      if (LEGAL.includes(pair)) {
        await txn.commit();
        done.push(pair);
      } else {
        const error = await errorOf(() => txn.commit());
        assertEquals([error.code, error.outcome, error.detail.from, error.detail.to, error.detail.operation, error.detail.index], [
          "ILLEGAL_TRANSITION",
          "not_applied",
          from,
          to,
          "updateJobState",
          1,
        ]);
      }
      manifest = await reopened(manifest, medium);
      const legal = LEGAL.includes(pair);
      const after = manifest.getJob(1)!;
      assertEquals(after.state.is, legal ? to : from, pair);
      if (!legal) assertEquals(after, before, pair);
      assertEquals([manifest.getDb(1) !== undefined, manifest.latestChangeSequence()], [legal, sequence + (legal ? 1 : 0)]);
      assertEquals(after.attempts, before.attempts + (legal && to === "in-flight" ? 1 : 0));
      await assertIndexes(manifest);
      await manifest.close();
    }
  }
  assertEquals(done.toSorted(), [...LEGAL].toSorted());
});

test("updateJobState: times are given or now, the reason of a failure is kept, and a state that is none is refused", async () => {
  const medium = new Medium();
  let manifest = await medium.open({ environment: testEnvironment(1) });
  const state = async (input: JobStateInput): Promise<JobState> => {
    await manifest.begin().updateJobState(1, input).commit();
    manifest = await reopened(manifest, medium);
    return manifest.getJob(1)!.state;
  };
  await manifest.begin().putJob(1, { kind: "k" }).commit();
  assertEquals(await state({ is: "held", enqueuedAt: 4 }), { is: "held", enqueuedAt: 4 });
  assertEquals(await state({ is: "pending", enqueuedAt: 5 }), { is: "pending", enqueuedAt: 5 });
  assertEquals(await state({ is: "in-flight", startedAt: 6 }), { is: "in-flight", startedAt: 6 });
  assertEquals(await state({ is: "failed", failedAt: 7, reason: "disk full" }), { is: "failed", failedAt: 7, reason: "disk full" });
  assert((await state("pending") as { enqueuedAt: number }).enqueuedAt > 1e12);
  await state("in-flight");
  assertEquals(await state({ is: "completed", completedAt: 8 }), { is: "completed", completedAt: 8 });
  assertEquals(manifest.getJob(1)!.attempts, 2);
  await manifest.begin().putJob(2, { kind: "k" }).updateJobState(2, "in-flight").commit();
  for (const wrong of ["failed", "done", undefined, null, {}, { is: "failed" }, { is: "failed", reason: 4 }, { is: "what" }]) {
    assertEquals(await codeOf(() => manifest.begin().updateJobState(2, wrong as never).commit()), "INVALID_ARGUMENT");
  }
  assertEquals(manifest.getJob(2)!.state.is, "in-flight");
  await manifest.close();
});

test("removeJob, updateJobState, upsertPendingJob, deletePendingJob: a missing job is NOT_FOUND by name and index, with nothing applied", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putJob(1, { kind: "k" }).removeJob(1).commit();
  const calls: Record<string, (txn: OperationBuilder) => unknown> = {
    removeJob: (txn) => txn.removeJob(1),
    updateJobState: (txn) => txn.updateJobState(1, "in-flight"),
    upsertPendingJob: (txn) => txn.upsertPendingJob(1),
    deletePendingJob: (txn) => txn.deletePendingJob(1),
  };
  for (const [operation, add] of Object.entries(calls)) {
    const txn = manifest.begin().putDb(1, { name: "beside" });
    add(txn);
    const error = await errorOf(() => txn.commit());
    assertEquals([error.code, error.detail.operation, error.detail.index, error.detail.job], ["NOT_FOUND", operation, 1, 1]);
  }
  assertEquals([manifest.getDb(1), manifest.count(jobs)], [undefined, 0]);
  await assertIndexes(manifest);
  await manifest.close();
});

test("removeJob: takes a job out of every state, with its places in the indexes", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  for (const [index, state] of STATES.entries()) await bring(manifest.begin().putJob(index + 1, { kind: "k" }), index + 1, state).commit();
  for (const index of STATES.keys()) {
    await manifest.begin().removeJob(index + 1).commit();
    manifest = await reopened(manifest, medium);
    assertEquals(manifest.count(jobs), STATES.length - index - 1);
    await assertIndexes(manifest);
  }
  await manifest.close();
});

test("upsertPendingJob and deletePendingJob: what each does from every state", async () => {
  const results: Record<string, string> = {};
  for (const state of STATES) {
    for (const name of ["upsertPendingJob", "deletePendingJob"] as const) {
      const medium = new Medium();
      let manifest = await medium.open();
      await bring(manifest.begin().putJob(1, { kind: "k" }), 1, state).commit();
      const outcome = await manifest.begin()[name](1).commit().then(() => "", (error) => error.code);
      manifest = await reopened(manifest, medium);
      results[`${name} ${state}`] = outcome || manifest.getJob(1)!.state.is;
      if (outcome) assertEquals(manifest.getJob(1)!.state.is, state);
      await assertIndexes(manifest);
      await manifest.close();
    }
  }
  assertEquals(results, {
    "upsertPendingJob pending": "pending",
    "upsertPendingJob held": "pending",
    "upsertPendingJob in-flight": "pending",
    "upsertPendingJob completed": "ILLEGAL_TRANSITION",
    "upsertPendingJob failed": "pending",
    "deletePendingJob pending": "held",
    "deletePendingJob held": "held",
    "deletePendingJob in-flight": "ILLEGAL_TRANSITION",
    "deletePendingJob completed": "ILLEGAL_TRANSITION",
    "deletePendingJob failed": "ILLEGAL_TRANSITION",
  });
});

test("listJobs and listPendingJobs: by state, kind and database, with a limit, in the order of their ids", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin().putDb(0, { name: "zero" }).putDb(1, { name: "one" });
  const dbs = [undefined, 0, 1], kinds = ["flush", "gc"];
  let id = 0;
  for (const state of STATES) {
    for (const db of dbs) for (const kind of kinds) bring(txn.putJob(++id, { kind, db }), id, state);
  }
  await txn.commit();
  manifest = await reopened(manifest, medium);
  const all = [...manifest.range(jobs)].map(([[job], row]) => ({ job, ...row }));
  assertEquals(all.length, 30);
  assertEquals(manifest.listJobs(), all);
  for (const state of STATES) {
    for (const kind of [undefined, ...kinds]) {
      for (const limit of [undefined, 0, 1, 2, 100]) {
        const wanted = all.filter((job) => job.state.is === state && (kind === undefined || job.kind === kind))
          .toSorted((a, b) => a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.job - b.job).slice(0, limit);
        assertEquals(manifest.listJobs({ state, kind, limit }), wanted, `${state} ${kind} ${limit}`);
        if (state === "pending") assertEquals(manifest.listPendingJobs({ kind, limit }), wanted);
      }
    }
  }
  for (const kind of kinds) {
    assertEquals(manifest.listJobs({ kind, limit: 4 }), all.filter((job) => job.kind === kind).slice(0, 4));
    for (const db of [null, 0, 1]) {
      const wanted = all.filter((job) => job.state.is === "pending" && job.kind === kind && (job.db ?? null) === db);
      assertEquals([wanted.length, manifest.listPendingJobs({ db, kind })], [1, wanted]);
      assertEquals(
        manifest.listPendingJobs({ db }).map(({ job }) => job),
        all.filter((job) => job.state.is === "pending" && (job.db ?? null) === db).map(({ job }) => job),
      );
    }
  }
  assertEquals(manifest.listPendingJobs({ db: 5 }), []);
  assertEquals(await codeOf(() => manifest.listJobs({ state: "what" as never })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.listJobs({ limit: -1 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.listJobs(null as never)), "INVALID_ARGUMENT");
  await manifest.close();
});

test("deleteDb: removes its waiting and held jobs, also those of the same transaction; jobs under way or ended and those of others stay", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin().putDb(1, { name: "one" }).putDb(2, { name: "two" });
  let id = 0;
  const kept: number[] = [];
  for (const db of [undefined, 1, 2]) {
    for (const state of STATES) {
      bring(txn.putJob(++id, { kind: "k", db }), id, state);
      if (db !== 1 || !(state === "pending" || state === "held")) kept.push(id);
    }
  }
  await txn.commit();
  // One that begins to wait, one that is taken, and new ones, all in the transaction that deletes.
  const [flying, failed] = manifest.listJobs().filter(({ db, state: { is } }) => db === 1 && (is === "in-flight" || is === "failed"));
  await manifest.begin().updateJobState(failed!.job, "pending").updateJobState(flying!.job, "completed").putJob(90, { kind: "k", db: 1 })
    .putJob(91, { kind: "k", db: 1 }).updateJobState(91, "in-flight").putJob(92, { kind: "k", db: 1 }).deletePendingJob(92).deleteDb(1)
    .commit();
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.listJobs().map(({ job }) => job), [...kept.filter((one) => one !== failed!.job), 91]);
  assertEquals(manifest.getJob(flying!.job)!.state.is, "completed");
  await assertIndexes(manifest);
  assertEquals(manifest.reserveJobId(), 93);
  // What is left of it ends or stays; it cannot wait for a database that is gone.
  assertEquals(await codeOf(() => manifest.begin().updateJobState(91, "pending").commit()), "NOT_FOUND");
  assertEquals(
    await manifest.requeueJobs(),
    manifest.listJobs({ state: "pending", limit: 0 }).map(({ job }) => job).concat(
      kept.filter((one) => STATES[(one - 1) % STATES.length] === "in-flight" && one !== flying!.job),
    ),
  );
  await manifest.begin().updateJobState(91, { is: "failed", reason: "gone" }).commit();
  assertEquals(await codeOf(() => manifest.begin().upsertPendingJob(91).commit()), "NOT_FOUND");
  await assertIndexes(manifest);
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
  await manifest.close();
});

test("Manifest.open: after a crash jobs under way wait again, once; after a clean close and with requeueJobs: false they do not", async () => {
  const crashing = new Crashing();
  const manifest = await crashing.open();
  const txn = manifest.begin();
  for (const [index, state] of STATES.entries()) bring(txn.putJob(index + 1, { kind: "k" }), index + 1, state);
  await txn.commit();
  const flying = STATES.indexOf("in-flight") + 1;
  const left = await crashing.crash(false);
  assertEquals([left.requeuedJobs, left.getJob(flying)!.state.is], [[], "in-flight"]);
  await left.close();
  const after = await crashing.crash();
  assertEquals([after.recovery.clean, after.requeuedJobs, after.getJob(flying)!.state.is, after.getJob(flying)!.attempts], [
    false,
    [flying],
    "pending",
    1,
  ]);
  assertEquals(after.listJobs().map(({ state: { is } }) => is), ["pending", "held", "pending", "completed", "failed"]);
  await assertIndexes(after);
  await after.close();
  assertEquals(await codeOf(() => crashing.open(1 as never)), "INVALID_ARGUMENT");

  const medium = new Medium();
  let clean = await medium.open();
  await clean.begin().putJob(1, { kind: "k" }).updateJobState(1, "in-flight").commit();
  clean = await reopened(clean, medium);
  assertEquals([clean.recovery.clean, clean.requeuedJobs, clean.getJob(1)!.state.is], [true, [], "in-flight"]);
  await clean.close();
});

test("Manifest.open: for reading only requeues nothing, and a new manifest has nothing to requeue", async () => {
  const crashing = new Crashing();
  const manifest = await crashing.open();
  assertEquals(manifest.requeuedJobs, []);
  await manifest.begin().putJob(1, { kind: "k" }).updateJobState(1, "in-flight").commit();
  const reader = await Manifest.open(new SimDisk(crashing.disk.durable()).open({ readOnly: true }), { readOnly: true });
  assertEquals([reader.requeuedJobs, reader.getJob(1)!.state.is], [[], "in-flight"]);
  assertEquals(await codeOf(() => reader.requeueJobs()), "READ_ONLY");
  await reader.close();
});

test("requeueJobs: all that are under way, or those taken before a time; nothing under way is no change", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin();
  for (let id = 1; id <= 4; id++) txn.putJob(id, { kind: "k" }).updateJobState(id, { is: "in-flight", startedAt: id * 10 });
  await txn.putJob(5, { kind: "k" }).deletePendingJob(5).commit();
  assertEquals(await manifest.requeueJobs({ startedBefore: 10 }), []);
  assertEquals(await manifest.requeueJobs({ startedBefore: 30 }), [1, 2]);
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.listJobs().map(({ state: { is } }) => is), ["pending", "pending", "in-flight", "in-flight", "held"]);
  assertEquals(await manifest.requeueJobs(), [3, 4]);
  const sequence = manifest.latestChangeSequence();
  assertEquals([await manifest.requeueJobs(), manifest.latestChangeSequence()], [[], sequence]);
  for (const wrong of [null, 5, { startedBefore: "1" }, { startedBefore: NaN }]) {
    assertEquals(await codeOf(() => manifest.requeueJobs(wrong as never)), "INVALID_ARGUMENT", String(wrong));
  }
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.listJobs({ state: "pending" }).length, 4);
  await assertIndexes(manifest);
  await manifest.close();
});

test("requeueJobs: a job that ends, or is taken anew, in the same turn is left as it is and not reported", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin();
  for (let id = 1; id <= 3; id++) txn.putJob(id, { kind: "k" }).updateJobState(id, { is: "in-flight", startedAt: 10 });
  await txn.commit();
  const ended = manifest.begin().updateJobState(1, "completed").updateJobState(2, "pending")
    .updateJobState(2, { is: "in-flight", startedAt: 50 }).commit();
  const ids = await manifest.requeueJobs({ startedBefore: 20 });
  await ended;
  manifest = await reopened(manifest, medium);
  assertEquals([ids, manifest.listJobs().map(({ state: { is } }) => is)], [[3], ["completed", "in-flight", "pending"]]);
  // Twice at once: the second finds nothing, and makes no change.
  await manifest.begin().updateJobState(3, "in-flight").commit();
  const sequence = manifest.latestChangeSequence();
  assertEquals(await Promise.all([manifest.requeueJobs(), manifest.requeueJobs()]), [[2, 3], []]);
  assertEquals(manifest.latestChangeSequence(), sequence + 1);
  await assertIndexes(manifest);
  await manifest.close();
});

test("jobs: 1,200 random operations equal a reference, over restarts and crashes", async () => {
  const seed = 77;
  const random = seeded(seed);
  let disk = new SimDisk();
  const open = () => Manifest.open(disk.open(), { create: true, idleCheckpoint: 0, environment: testEnvironment(seed) });
  let manifest = await open();
  const reference = new Map<number, Pick<Job, "kind" | "db" | "attempts"> & { is: JobStateName }>();
  const dbs = new Set<number>();
  let next = 1, operations = 0, refused = 0;
  while (operations < 1200) {
    const txn = manifest.begin();
    const copy = new Map([...reference].map(([id, job]) => [id, { ...job }]));
    const dbsCopy = new Set(dbs);
    let highest = next, legal = true;
    for (let i = random.between(1, 5); i > 0 && legal; i--) {
      operations++;
      const ids = [...copy.keys()];
      const id = random.chance(0.03) || ids.length === 0 ? 100_000 : random.pick(ids);
      const job = copy.get(id);
      const roll = random.int(20);
      const move = (to: JobStateName): void => {
        if (job === undefined || !LEGAL.includes(`${job.is}→${to}`)) return void (legal = false);
        job.is = to;
        if (to === "in-flight") job.attempts++;
      };
      if (roll < 6) {
        const kind = random.pick(["flush", "gc", "own"]);
        const db = random.chance(0.5) ? random.int(3) : undefined;
        const fresh = Math.max(highest, next) + random.int(3);
        txn.putJob(fresh, { kind, db });
        if (db !== undefined && !dbsCopy.has(db)) legal = false;
        else copy.set(fresh, { kind, db, attempts: 0, is: "pending" });
        highest = fresh + 1;
      } else if (roll < 13) {
        const to = random.pick(STATES);
        txn.updateJobState(id, inputOf(to));
        move(to);
      } else if (roll < 14) {
        txn.removeJob(id);
        legal = copy.delete(id);
      } else if (roll < 16) {
        txn.upsertPendingJob(id);
        if (job?.is !== "pending") move("pending");
      } else if (roll < 18) {
        txn.deletePendingJob(id);
        if (job?.is !== "held") move("held");
      } else if (roll < 19) {
        const db = random.int(3);
        txn.putDb(db, { name: "d" });
        dbsCopy.add(db);
      } else {
        const db = random.int(3);
        txn.deleteDb(db);
        legal = dbsCopy.delete(db);
        for (const [one, { db: of, is }] of [...copy]) if (of === db && (is === "pending" || is === "held")) copy.delete(one);
      }
    }
    const outcome = await txn.commit().then(() => true, () => false);
    assertEquals(outcome, legal, `seed ${seed}, operation ${operations}`);
    if (legal) {
      reference.clear();
      for (const [id, job] of copy) reference.set(id, job);
      dbs.clear();
      for (const db of dbsCopy) dbs.add(db);
      next = highest;
    } else refused++;
    if (random.chance(0.06)) {
      const crashed = random.chance(0.5);
      if (crashed) {
        for (const job of reference.values()) if (job.is === "in-flight") job.is = "pending";
        disk = new SimDisk(disk.durable());
      } else await manifest.close();
      manifest = await open();
    }
    if (random.chance(0.1)) {
      const have = manifest.listJobs().map(({ job, kind, db, attempts, state: { is } }) => [job, kind, db, attempts, is]);
      const want = [...reference].toSorted(([a], [b]) => a - b).map(([job, { kind, db, attempts, is }]) => [job, kind, db, attempts, is]);
      assertEquals(have, want, `seed ${seed}, operation ${operations}`);
      await assertIndexes(manifest);
      assert(manifest.reserveJobId() >= next);
    }
  }
  assert(refused > 50 && reference.size > 10, `${refused} refused, ${reference.size} jobs`);
  await manifest.close();
});
