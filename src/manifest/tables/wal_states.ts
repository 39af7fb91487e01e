// Table "wal_state": how far the write-ahead log of each database has been sealed, applied and checkpointed.
import { defineTable, optional, record, type Table, timestamp, u32, u53 } from "../../schema/schema.ts";

/** Whether a flush of a database runs, and how the last one ended. */
export interface FlushGate {
  /** The job that flushes now. */
  activeJobId?: number;
  /** When a flush last succeeded, milliseconds since 1970. */
  lastSuccessAt?: number;
  /** Since when flushes have failed, milliseconds since 1970; absent while they succeed. */
  erroredSince?: number;
}

/** What the manifest knows of a database's write-ahead log. */
export interface WalState {
  /** Number of the last segment that takes no more writes. */
  lastSealedSegment: number;
  /** Everything up to this log sequence number is in the chunks. */
  lastAppliedLsn: number;
  /** Generation of the last checkpoint. */
  lastCheckpointGeneration: number;
  /** How often the log was started again. */
  restartEpoch: number;
  /** State of flushing. */
  flushGate: FlushGate;
}

/** What `putWalState` takes: everything has a default, 0 or absent. */
export type WalStateInput = Partial<WalState>;

/** Key: database id. */
export const walStates: Table<[db: number], WalState> = defineTable({
  name: "wal_state",
  key: [u53("db")],
  value: {
    lastSealedSegment: u53(),
    lastAppliedLsn: u53(),
    lastCheckpointGeneration: u53(),
    restartEpoch: u32(),
    flushGate: record({
      activeJobId: optional(u53()),
      lastSuccessAt: optional(timestamp()),
      erroredSince: optional(timestamp()),
    }),
  },
});

const OPEN: FlushGate = Object.freeze({});

/** The whole record behind an input. */
export function walStateRecord(input: WalStateInput): WalState {
  return {
    lastSealedSegment: input.lastSealedSegment ?? 0,
    lastAppliedLsn: input.lastAppliedLsn ?? 0,
    lastCheckpointGeneration: input.lastCheckpointGeneration ?? 0,
    restartEpoch: input.restartEpoch ?? 0,
    flushGate: input.flushGate ?? OPEN,
  };
}
