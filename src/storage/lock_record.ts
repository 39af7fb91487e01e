// The holder of a writer claim as text: what stands in the lock file and in claim files.
//
// One write of a fixed length, so that a new record covers an older one whole. A lock file that is empty, blank or not understood names nobody.
import { isInterrupted } from "./errno.ts";
import type { NodeFs } from "./platform.ts";
import type { LockHolder, LockStrength } from "./storage.ts";

/** A holder and how it holds. */
export interface LockRecord extends LockHolder {
  /** "kernel" or "claim". */
  strength: LockStrength;
}

const LENGTH = 512;
const TEXT_FIELDS = ["started", "host", "boot", "runtime", "since", "nonce"] as const;

/** A record as bytes of fixed length: one line of JSON, padded with spaces. */
export function encodeRecord(record: LockRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record).padEnd(LENGTH - 1) + "\n");
}

/** The record in a text, or undefined when it names nobody. */
export function decodeRecord(text: string): LockRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  if (!Number.isSafeInteger(fields.pid)) return undefined;
  for (const name of TEXT_FIELDS) if (typeof fields[name] !== "string" || fields[name].length > LENGTH) return undefined;
  const { pid, started, host, boot, runtime, since, nonce } = fields as unknown as LockHolder;
  return { pid, started, host, boot, runtime, since, nonce, strength: fields.strength === "claim" ? "claim" : "kernel" };
}

/** Reads the record of an open lock file. */
export function readRecord(fs: NodeFs, fd: number): LockRecord | undefined {
  const into = new Uint8Array(LENGTH * 2);
  for (;;) {
    try {
      const length = fs.readSync(fd, into, 0, into.length, 0);
      return decodeRecord(new TextDecoder().decode(into.subarray(0, length)));
    } catch (error) {
      if (!isInterrupted(error)) return undefined;
    }
  }
}

/** Writes a record over the one in an open lock file; nothing for undefined. */
export function writeRecord(fs: NodeFs, fd: number, record: LockRecord | undefined): void {
  if (record === undefined) return fs.ftruncateSync(fd, 0);
  const bytes = encodeRecord(record);
  for (let done = 0, stalls = 0; done < bytes.length;) {
    try {
      const wrote = fs.writeSync(fd, bytes, done, bytes.length - done, done);
      done += wrote;
      if (wrote === 0 && ++stalls > 1) throw new Error("no progress");
    } catch (error) {
      if (!isInterrupted(error)) throw error;
    }
  }
}

/** The holder alone, without how it holds. */
export function holderOf(record: LockRecord): LockHolder {
  const { strength: _, ...holder } = record;
  return holder;
}
