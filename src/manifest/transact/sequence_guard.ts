// The optimistic guard of a commit: it is refused unless the newest applied change is the one that the caller knows.
import { fail, failRange, failType } from "../../errors.ts";
import type { Store } from "../../store/store.ts";

/** A valid option `expectedSequence`; `action` completes "Cannot …". */
export function expectedSequenceOf(value: unknown, action: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number") failType(`Cannot ${action}: expectedSequence is not a number`, { field: "expectedSequence" });
  if (!Number.isSafeInteger(value) || value < 0) {
    failRange(`Cannot ${action}: expectedSequence is not a whole number from 0 on`, { field: "expectedSequence" });
  }
  return value;
}

/** Throws CONFLICT unless the newest applied change has the expected sequence. */
export function checkExpected(store: Store, expected: number): void {
  const { sequence, frame } = store.newest;
  if (sequence === expected) return;
  fail("CONFLICT", `Cannot commit: the newest change is ${sequence}, not ${expected}`, {
    detail: { what: "sequence", expected, sequence, frame, attempts: 1 },
  });
}
