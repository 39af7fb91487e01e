// Checking arguments of flushes; `action` completes "Cannot …".
import { readArgument } from "../arguments.ts";
import { failRange, failType } from "../errors.ts";
import type { FlushSegment } from "./sink.ts";

/** The longest time that every platform's timer takes, milliseconds. */
const LONGEST = 0x7fffffff;

/** An object. */
export function checkObject(action: string, what: string, value: unknown): void {
  if (typeof value !== "object" || value === null) failType(`Cannot ${action}: ${what} is not an object`);
}

/** A whole number from `least` on. */
export function checkWhole(action: string, field: string, value: unknown, least = 0): void {
  if (typeof value !== "number") failType(`Cannot ${action}: ${field} is not a number`, { field });
  if (!Number.isSafeInteger(value) || value < least) {
    failRange(`Cannot ${action}: ${field} is not a whole number from ${least} on`, { field, value });
  }
}

/** Milliseconds that a timer can take. */
export function checkTime(action: string, field: string, value: unknown, least = 0): void {
  if (typeof value !== "number") failType(`Cannot ${action}: ${field} is not a number`, { field });
  if (!(value >= least && value <= LONGEST)) failRange(`Cannot ${action}: ${field} is not from ${least} to ${LONGEST}`, { field, value });
}

/** A function. */
export function checkFunction(action: string, field: string, value: unknown): void {
  if (typeof value !== "function") failType(`Cannot ${action}: ${field} is not a function`, { field });
}

/** A segment. */
export function checkSegment(action: string, segment: FlushSegment): void {
  checkObject(action, "the segment", segment);
  readArgument(action, "the segment", () => {
    checkWhole(action, "db", segment.db);
    checkWhole(action, "segment", segment.segment);
    checkWhole(action, "target", segment.target);
  });
}
