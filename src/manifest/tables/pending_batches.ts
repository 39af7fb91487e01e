// Table "pending_batches": what lies in the journal and not yet in the tree. Computed: it can be read, never written.
import { defineTable, type Table, u53 } from "../../schema/schema.ts";
import type { ChangeOperation } from "../log/change_operation.ts";

/** A transaction that the journal holds and the newest durable meta generation does not. */
export interface PendingBatch {
  /** The transaction's id, 32 hex digits. */
  readonly commitId: string;
  /** Its change; 0 when it is none: registering and acknowledging, making and dropping tables. */
  readonly sequence: number;
  /** When it was committed, milliseconds since 1970; missing when it is no change, or the log no longer has it. */
  readonly committedAt?: number;
  /** Its operations; none when it is no change, or the log no longer has it. */
  readonly operations: readonly ChangeOperation[];
}

/**
 * Key: frame number. Transactions that are durable in the journal only: recovery would apply them again. A checkpoint empties it, so does opening for writing; at least the newest 2,048 frames are
 * listed.
 */
export const pendingBatches: Table<[frame: number], PendingBatch> = defineTable({
  name: "pending_batches",
  key: [u53("frame")],
  value: {},
}) as unknown as Table<[frame: number], PendingBatch>;
