// Operations on jobs. The two indexes follow each job's state; ids rise for ever.
//
//   pending ──▶ in-flight ──▶ completed
//    ▲ │ ▲          │ ├─────▶ failed
//    │ ▼ └──────────┘ │          │
//   held   (requeue)  │          │
//    ▲────────────────┼──────────┘ (retry: to pending)
import { fail, failLimit, failRange, failType } from "../../errors.ts";
import { type OperationKind, tagOf } from "../write/operation.ts";
import { Range } from "../read/range.ts";
import type { Staging } from "../write/staging.ts";
import {
  type Job,
  type JobInput,
  type JobPayload,
  jobs,
  type JobState,
  type JobStateInput,
  type JobStateName,
  jobStates,
  pendingJobs,
} from "../tables/jobs.ts";
import { meta, NEXT_JOB_ID } from "../tables/meta.ts";
import { databases } from "../tables/databases.ts";
import { numberOf, objectOf, requireDatabase, rowOf } from "./rows.ts";

const KIND_MAX = 64;
const NONE: JobPayload = { is: "none" };
const NO_DB = -1;

/** States that a job may go to, by the state it is in. */
const LEGAL: Readonly<Record<JobStateName, readonly JobStateName[]>> = {
  pending: ["in-flight", "held"],
  held: ["pending"],
  "in-flight": ["completed", "failed", "pending"],
  failed: ["pending"],
  completed: [],
};

/** A job as the transaction has left it. */
function jobOf(staging: Staging, id: number): Job | undefined {
  return rowOf(staging, jobs, id, 0, [id]);
}

function requireJob(staging: Staging, id: number, action: string): Job {
  return jobOf(staging, id) ??
    fail("NOT_FOUND", `Cannot ${action}: there is no job ${id}`, { detail: { table: jobs.name, job: id } });
}

/** Stages the entries of a job in the indexes, or their end. */
function index(staging: Staging, id: number, job: Job, there: boolean): void {
  const { kind, state: { is } } = job;
  const write = (table: typeof pendingJobs | typeof jobStates, key: readonly unknown[]): void =>
    there ? staging.put(staging.bind(table), key, {}, 0, true) : staging.delete(staging.bind(table), key, 0, true);
  write(jobStates, [is, kind, id]);
  if (is === "pending") write(pendingJobs, [job.db ?? NO_DB, kind, id]);
}

function put(staging: Staging, id: number, job: Job, tag: number): void {
  staging.put(staging.bind(jobs), [id], job, tag, false);
  index(staging, id, job, true);
  staging.pending(jobs).set(id, 0, job);
}

function drop(staging: Staging, id: number, job: Job, tag: number, hidden: boolean): void {
  staging.delete(staging.bind(jobs), [id], tag, hidden);
  index(staging, id, job, false);
  staging.pending(jobs).set(id, 0, null);
}

/** The id that the next job gets, as the transaction has left it. */
function nextId(staging: Staging): number {
  return staging.nextJobId ??= (staging.reader(meta).get([NEXT_JOB_ID]) as { number?: number } | undefined)?.number ?? 1;
}

/** Enqueues a job under an id. */
export const PUT_JOB: OperationKind = {
  name: "putJob",
  tag: tagOf("putJob"),
  stage(staging, _table, key, value) {
    const id = numberOf(key);
    const input = objectOf<JobInput>(jobs, value, "a job");
    if (typeof input.kind !== "string" || input.kind === "") failType("Cannot put a job: its kind is not text", { field: "kind" });
    if (input.kind.length > KIND_MAX) {
      failLimit(`Cannot put a job: its kind is longer than ${KIND_MAX} characters`, { length: input.kind.length });
    }
    if (input.db !== undefined) requireDatabase(staging, input.db, "put a job");
    if (jobOf(staging, id) !== undefined) {
      fail("EXISTS", `Cannot put a job: there is a job ${id}`, { detail: { table: jobs.name, job: id } });
    }
    const { now } = staging;
    put(staging, id, {
      kind: input.kind,
      state: { is: "pending", enqueuedAt: now },
      payload: input.payload ?? NONE,
      createdAt: input.createdAt ?? now,
      attempts: 0,
      db: input.db,
    }, this.tag);
    if (id >= nextId(staging)) persist(staging, id + 1, 0, true);
  },
};

function persist(staging: Staging, next: number, tag: number, hidden: boolean): void {
  staging.nextJobId = next;
  staging.put(staging.bind(meta), [NEXT_JOB_ID], { number: next }, tag, hidden);
}

function stateOf(input: JobStateInput, now: number): JobState {
  const given = typeof input === "string" ? { is: input } as Exclude<JobStateInput, string> : input;
  switch (given?.is) {
    case "pending":
    case "held":
      return { is: given.is, enqueuedAt: given.enqueuedAt ?? now };
    case "in-flight":
      return { is: "in-flight", startedAt: given.startedAt ?? now };
    case "completed":
      return { is: "completed", completedAt: given.completedAt ?? now };
    case "failed":
      if (typeof given.reason !== "string") failType("Cannot change a job: the reason of its failure is not text", { field: "reason" });
      return { is: "failed", failedAt: given.failedAt ?? now, reason: given.reason };
    default:
      failType("Cannot change a job: there is no such state", { field: "state" });
  }
}

function change(staging: Staging, id: number, input: JobStateInput, tag: number, action: string): void {
  const job = requireJob(staging, id, action);
  const state = stateOf(input, staging.now);
  const from = job.state.is, to = state.is;
  if (!LEGAL[from].includes(to)) {
    fail("ILLEGAL_TRANSITION", `Cannot ${action}: job ${id} is ${from} and cannot become ${to}`, {
      detail: { table: jobs.name, job: id, from, to },
    });
  }
  if (to === "pending" && job.db !== undefined) requireDatabase(staging, job.db, action);
  index(staging, id, job, false);
  put(staging, id, { ...job, state, attempts: job.attempts + (to === "in-flight" ? 1 : 0) }, tag);
}

/** Moves a job to another state. */
export const UPDATE_JOB_STATE: OperationKind = {
  name: "updateJobState",
  tag: tagOf("updateJobState"),
  stage(staging, _table, key, value) {
    change(staging, numberOf(key), value as JobStateInput, this.tag, "change a job");
  },
};

/** Puts a job that is under way back among those that wait: one that was taken before a time, when one is given. One whose database is gone is left as it is. Returns whether it did. */
export function requeueJob(staging: Staging, id: number, startedBefore: number | undefined): boolean {
  const job = jobOf(staging, id);
  if (job?.state.is !== "in-flight" || (startedBefore !== undefined && job.state.startedAt >= startedBefore)) return false;
  if (job.db !== undefined && !staging.reader(databases).find([job.db])) return false;
  change(staging, id, "pending", UPDATE_JOB_STATE.tag, "requeue a job");
  return true;
}

/** Removes a job in whatever state. */
export const REMOVE_JOB: OperationKind = {
  name: "removeJob",
  tag: tagOf("removeJob"),
  stage(staging, _table, key) {
    const id = numberOf(key);
    drop(staging, id, requireJob(staging, id, "remove a job"), this.tag, false);
  },
};

/** Puts a job among those that wait to be taken. */
export const UPSERT_PENDING_JOB: OperationKind = {
  name: "upsertPendingJob",
  tag: tagOf("upsertPendingJob"),
  stage(staging, _table, key) {
    const id = numberOf(key);
    const job = requireJob(staging, id, "put a job in line");
    if (job.state.is === "pending") return put(staging, id, job, this.tag);
    change(staging, id, "pending", this.tag, "put a job in line");
  },
};

/** Takes a job out of those that wait to be taken, without removing it: it is held. */
export const DELETE_PENDING_JOB: OperationKind = {
  name: "deletePendingJob",
  tag: tagOf("deletePendingJob"),
  stage(staging, _table, key) {
    const id = numberOf(key);
    const job = requireJob(staging, id, "hold a job");
    if (job.state.is === "held") return put(staging, id, job, this.tag);
    change(staging, id, "held", this.tag, "hold a job");
  },
};

/** Raises the id that the next job gets; never lowers it. */
export const PERSIST_JOB_COUNTER: OperationKind = {
  name: "persistJobCounter",
  tag: tagOf("persistJobCounter"),
  stage(staging, _table, _key, value) {
    const next = value as number;
    if (typeof next !== "number") failType("Cannot keep the job counter: it is not a number", { field: "next" });
    if (!Number.isSafeInteger(next) || next < 0) {
      failRange("Cannot keep the job counter: it is not a whole number from 0 on", { field: "next" });
    }
    persist(staging, Math.max(next, nextId(staging)), this.tag, false);
  },
};

/** Removes the jobs of a database that nobody has taken: those that wait and those that are held. */
export function removeWaitingJobs(staging: Staging, db: number): void {
  const ids: number[] = [];
  const waiting = { reader: staging.reader(pendingJobs), release: () => {} };
  for (const [, , id] of new Range<[number, string, number]>(() => waiting, { prefix: [db] } as object, "keys")) ids.push(id);
  const held = { reader: staging.reader(jobStates), release: () => {} };
  for (const [, , id] of new Range<[string, string, number]>(() => held, { prefix: ["held"] } as object, "keys")) ids.push(id);
  ids.push(...staging.pending(jobs).firsts());
  for (const id of new Set(ids)) {
    const job = jobOf(staging, id);
    if (job !== undefined && job.db === db && (job.state.is === "pending" || job.state.is === "held")) drop(staging, id, job, 0, true);
  }
}
