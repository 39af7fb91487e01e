// Operations on jobs, as their documentation has them.
import type { Job, JobInput, JobState, JobStateInput, JobStateName, OperationBuilder } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";
import { refuse, type State } from "./state.ts";

/** Where a job may go: pending to in-flight or held, held to pending, in-flight to completed, failed or pending, failed to pending. */
const LEGAL: readonly string[] = [
  "pending to in-flight",
  "pending to held",
  "held to pending",
  "in-flight to completed",
  "in-flight to failed",
  "in-flight to pending",
  "failed to pending",
];

/** Every way of a job, for coverage. */
export const JOB_WAYS: readonly string[] = [
  ...LEGAL,
  "none to pending",
  ...["pending", "held", "in-flight", "completed", "failed"].map((state) => `${state} to none`),
].map((way) => `job ${way}`);

function requireJob(state: State, id: number): Job {
  return state.jobs.get(id) ?? refuse("NOT_FOUND");
}

function move(state: State, id: number, to: JobState, op: string): void {
  const job = requireJob(state, id);
  const way = `${job.state.is} to ${to.is}`;
  if (!LEGAL.includes(way)) refuse("ILLEGAL_TRANSITION");
  if (to.is === "pending" && job.db !== undefined) state.requireDb(job.db);
  const row: Job = { ...job, state: to, attempts: job.attempts + (to.is === "in-flight" ? 1 : 0) };
  state.jobs.set([id], row);
  state.note(`job ${way}`);
  state.show(op, "job_queue", [id], row);
}

function end(state: State, id: number): void {
  state.note(`job ${requireJob(state, id).state.is} to none`);
  state.jobs.delete(id);
}

/** The jobs of a database that nobody has taken go with it. */
export function endWaitingJobs(state: State, db: number): void {
  for (const { key: [id], value } of state.jobs.all()) {
    if (value.db === db && (value.state.is === "pending" || value.state.is === "held")) end(state, id as number);
  }
}

/** A job that was under way waits again. */
export function requeue(state: State, id: number): void {
  move(state, id, { is: "pending", enqueuedAt: state.now }, "updateJobState");
}

/** Jobs under way whose database, if they have one, is there: in the order in which they are listed. */
export function jobsUnderWay(state: State): number[] {
  const rows = state.jobs.all().filter(({ value }) =>
    value.state.is === "in-flight" && (value.db === undefined || state.databases.get(value.db) !== undefined)
  );
  const order = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0;
  rows.sort((a, b) => order(a.value.kind, b.value.kind) || (a.key[0] as number) - (b.key[0] as number));
  return rows.map(({ key }) => key[0] as number);
}

/** Enqueued under an id, or under a new one, which is told. */
export function putJob(id: number | ((id: number) => void), input: JobInput): ModelOperation {
  let job = typeof id === "number" ? id : -1;
  return {
    name: "putJob",
    add(txn: OperationBuilder) {
      if (typeof id === "number") txn.putJob(id, input);
      else id(job = txn.enqueueJob(input));
    },
    apply(state) {
      if (input.db !== undefined) state.requireDb(input.db);
      if (state.jobs.has(job)) refuse("EXISTS");
      const row: Job = {
        kind: input.kind,
        state: { is: "pending", enqueuedAt: state.now },
        payload: input.payload ?? { is: "none" },
        createdAt: input.createdAt ?? state.now,
        attempts: 0,
        db: input.db,
      };
      state.jobs.set([job], row);
      state.note("job none to pending");
      state.show("putJob", "job_queue", [job], row);
      if (job >= state.nextJobId) state.meta.set(["next_job_id"], { number: job + 1 });
    },
  };
}

export function updateJobState(id: number, input: JobStateInput): ModelOperation {
  return {
    name: "updateJobState",
    add: (txn) => txn.updateJobState(id, input),
    apply(state) {
      const given = typeof input === "string" ? { is: input } : input;
      const at: Record<Exclude<JobStateName, "failed">, string> = {
        pending: "enqueuedAt",
        held: "enqueuedAt",
        "in-flight": "startedAt",
        completed: "completedAt",
      };
      const time = given.is === "failed" ? "failedAt" : at[given.is];
      const to = { ...given, [time]: (given as Record<string, unknown>)[time] ?? state.now };
      move(state, id, to as unknown as JobState, "updateJobState");
    },
  };
}

export function removeJob(id: number): ModelOperation {
  return {
    name: "removeJob",
    add: (txn) => txn.removeJob(id),
    apply(state) {
      end(state, id);
      state.show("removeJob", "job_queue", [id]);
    },
  };
}

function putInLine(name: "upsertPendingJob" | "deletePendingJob", id: number, is: "pending" | "held"): ModelOperation {
  return {
    name,
    add: (txn) => txn[name](id),
    apply(state) {
      const job = requireJob(state, id);
      if (job.state.is === is) state.show(name, "job_queue", [id], job);
      else move(state, id, { is, enqueuedAt: state.now }, name);
    },
  };
}

export function upsertPendingJob(id: number): ModelOperation {
  return putInLine("upsertPendingJob", id, "pending");
}

export function deletePendingJob(id: number): ModelOperation {
  return putInLine("deletePendingJob", id, "held");
}

export function persistJobCounter(next: number): ModelOperation {
  return {
    name: "persistJobCounter",
    add: (txn) => txn.persistJobCounter(next),
    apply(state) {
      const row = { number: Math.max(next, state.nextJobId) };
      state.meta.set(["next_job_id"], row);
      state.show("persistJobCounter", "meta", ["next_job_id"], row);
    },
  };
}
