// The operation that moves a change cursor in the commit of a transaction: a consumer's result and its progress are kept together or not at all.
//
// It is bookkeeping: not in the change record, and a transaction with nothing else is no change.
import { checkCursorId, checkSequence, stageAcknowledge } from "../log/cursor_moves.ts";
import type { OperationKind } from "../write/operation.ts";

/** Acknowledges changes; the key is the cursor's id, the value the next sequence. */
export const ACKNOWLEDGE: OperationKind = {
  name: "acknowledge",
  tag: 0,
  bookkeeping: true,
  stage(staging, _table, key, value) {
    stageAcknowledge(staging, checkCursorId(key), checkSequence(value, "nextSequence"));
  },
};
