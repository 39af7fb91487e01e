// Table "runtime_state": the sentinel of an open writer. Computed from the clean mark, the epoch and the writer claim: it can be read, never written.
import { defineTable, type Table, u53 } from "../../schema/schema.ts";

/** An opening for writing that has not been closed. */
export interface RuntimeState {
  /** Names this opening for writing: file id and epoch. The next one has another. */
  readonly instanceId: string;
  /** Epoch of the writer: every opening for writing has a greater one. */
  readonly epoch: number;
  /** Whether this handle found the file closed in order, or made it. False also for a handle for reading beside a live writer. */
  readonly clean: boolean;
  /** Whether this handle is that writer. */
  readonly own: boolean;
  /** Its process; only known to itself. */
  readonly pid?: number;
  /** Its runtime; only known to itself. */
  readonly runtime?: string;
  /** When it opened the file, milliseconds since 1970; only known to itself. */
  readonly startedAt?: number;
}

/** Key: 0. One row while the file is open for writing, or after a writer that did not close it; none when it was closed in order. */
export const runtimeStates: Table<[id: number], RuntimeState> = defineTable({
  name: "runtime_state",
  key: [u53("id")],
  value: {},
}) as unknown as Table<[id: number], RuntimeState>;
