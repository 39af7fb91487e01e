// Tables "job_queue", "job_pending_index" and "job_state_index": work that must survive the process.
//
// The two indexes follow from the jobs and are written by the engine alone: job_pending_index holds the jobs that wait to be taken, by database and kind; job_state_index holds all of
// them, by state and kind.
import { bytes, defineTable, enumOf, f64, named, optional, type Table, text, timestamp, u32, u53, union } from "../../schema/schema.ts";

/** What a job does: one of these, or a word of the user's own. At most 64 characters. */
// deno-lint-ignore ban-types
export type JobKind = "flush" | "checkpoint" | "upload" | "delete" | "gc" | (string & {});

/** Names of a job's states. */
export type JobStateName = "pending" | "held" | "in-flight" | "completed" | "failed";

/** Where a job stands. Times are milliseconds since 1970. */
export type JobState =
  | { is: "pending"; enqueuedAt: number }
  | { is: "held"; enqueuedAt: number }
  | { is: "in-flight"; startedAt: number }
  | { is: "completed"; completedAt: number }
  | { is: "failed"; failedAt: number; reason: string };

/** What `updateJobState` takes: the name of a state, with what belongs to it; times are now unless given. */
export type JobStateInput =
  | Exclude<JobStateName, "failed">
  | { is: "pending"; enqueuedAt?: number }
  | { is: "held"; enqueuedAt?: number }
  | { is: "in-flight"; startedAt?: number }
  | { is: "completed"; completedAt?: number }
  | { is: "failed"; failedAt?: number; reason: string };

/** What a job is about. */
export type JobPayload =
  | { is: "none" }
  | { is: "flush-shard"; shard: number }
  | { is: "chunk-upload"; chunkId: number }
  | { is: "bytes"; bytes: Uint8Array };

/** A job. */
export interface Job {
  /** What it does. */
  kind: string;
  /** Where it stands. */
  state: JobState;
  /** What it is about. */
  payload: JobPayload;
  /** When it was enqueued first, milliseconds since 1970. */
  createdAt: number;
  /** How often it was taken. */
  attempts: number;
  /** Its database, when it has one. */
  db?: number;
}

/** What `putJob` and `enqueueJob` take: everything but the kind has a default. */
export interface JobInput {
  /** What it does. */
  kind: JobKind;
  /** Its database, which must exist. Default: none. */
  db?: number;
  /** What it is about. Default: nothing. */
  payload?: JobPayload;
  /** Default: now. */
  createdAt?: number;
}

/** An entry of an index of jobs. */
export type JobIndexEntry = Record<never, never>;

/** Key: job id. Ids are handed out in rising order. */
export const jobs: Table<[job: number], Job> = defineTable({
  name: "job_queue",
  key: [u53("job")],
  value: {
    kind: text(),
    state: union("is", {
      pending: { enqueuedAt: timestamp() },
      held: { enqueuedAt: timestamp() },
      "in-flight": { startedAt: timestamp() },
      completed: { completedAt: timestamp() },
      failed: { failedAt: timestamp(), reason: text() },
    }),
    payload: union("is", {
      none: {},
      "flush-shard": { shard: u32() },
      "chunk-upload": { chunkId: u53() },
      bytes: { bytes: bytes() },
    }),
    createdAt: timestamp(),
    attempts: u32(),
    db: optional(u53()),
  },
});

/** Jobs that wait to be taken. Key: database id (−1: none), kind, job id. */
export const pendingJobs: Table<[db: number, kind: string, job: number], JobIndexEntry> = defineTable({
  name: "job_pending_index",
  key: [f64("db"), text("kind"), u53("job")],
  value: {},
});

/** All jobs. Key: state, kind, job id. */
export const jobStates: Table<[state: JobStateName, kind: string, job: number], JobIndexEntry> = defineTable({
  name: "job_state_index",
  key: [named("state", enumOf("pending", "held", "in-flight", "completed", "failed")), text("kind"), u53("job")],
  value: {},
});
