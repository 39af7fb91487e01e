// What moves a change cursor: one rule for `acknowledgeChanges` and for `acknowledge` of a transaction.
import { failRange, failType } from "../../errors.ts";
import type { Staging } from "../write/staging.ts";
import { cursors } from "../tables/cursors.ts";

/** A cursor id, or an error. */
export function checkCursorId(id: unknown): number {
  if (typeof id !== "number") failType("Cannot use a change cursor: its id is not a number", { field: "cursorId" });
  if (!Number.isSafeInteger(id) || id < 0) {
    failRange("Cannot use a change cursor: its id is not a whole number from 0 on", { field: "cursorId" });
  }
  return id;
}

/** A sequence, or an error. */
export function checkSequence(sequence: unknown, field: string): number {
  if (typeof sequence !== "number") failType(`Cannot use a change cursor: ${field} is not a number`, { field });
  if (!Number.isSafeInteger(sequence) || sequence < 0) {
    failRange(`Cannot use a change cursor: ${field} is not a whole number from 0 on`, { field });
  }
  return sequence;
}

/**
 * Stages that a cursor has done everything before `next`. Going back does nothing; going beyond the newest durable change is an error, because the consumer cannot have seen it. What of the log
 * nobody needs any more is deleted in the same commit.
 */
export function stageAcknowledge(staging: Staging, id: number, next: number): void {
  const { log } = staging;
  const row = staging.cursors.need(id);
  if (next > log.latest + 1) {
    failRange(`Cannot acknowledge changes before ${next}: the newest is ${log.latest}`, {
      field: "nextSequence",
      nextSequence: next,
      latestSequence: log.latest,
    });
  }
  if (next <= row.next) return;
  const moved = { ...row, next, updatedAt: staging.now };
  staging.put(staging.bind(cursors), [id], moved, 0, true);
  staging.cursors.stage(id, moved);
}
