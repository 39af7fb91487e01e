// Argument and state checks that every adapter makes in the same words.
import { fail, failRange, ManifestError } from "../errors.ts";

const LONGEST = Number.MAX_SAFE_INTEGER;

/** Throws unless `at` and `at + length` are whole numbers from 0 to 2^53 - 1. */
export function checkRange(action: string, at: number, length: number): void {
  if (!Number.isSafeInteger(at) || at < 0) failRange(`Cannot ${action}: offset is not a whole number from 0 to 2^53 - 1`, { offset: at });
  if (!Number.isSafeInteger(length) || length < 0 || at > LONGEST - length) {
    failRange(`Cannot ${action}: the range ends beyond 2^53 - 1`, { offset: at, length });
  }
}

/** Throws HANDLE_CLOSED. */
export function failClosed(action: string, name: string): never {
  fail("HANDLE_CLOSED", `Cannot ${action} "${name}": the storage is closed`, { detail: { file: name } });
}

/** Throws READ_ONLY. */
export function failReadOnly(action: string, name: string): never {
  fail("READ_ONLY", `Cannot ${action} "${name}": it was opened for reading only`, { detail: { file: name } });
}

/** The error of a second sync beside one in flight: a defect of the caller. */
export function syncInFlight(name: string): ManifestError {
  return new ManifestError("INVARIANT", `Cannot sync "${name}": a sync is already in flight`, { detail: { file: name }, handle: "ok" });
}
