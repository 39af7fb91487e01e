// Sorted tables as callers see them, and the arguments of the catalog.
//
// Invariant: what is taken from a caller is checked and copied before anything is begun; changing it later changes nothing.
import { type OptionNames, readArgument, takeOptions } from "../../arguments.ts";
import { failLimit, failRange, failType } from "../../errors.ts";
import { compareBytes } from "../../manifest/read/bounds.ts";
import { isWellFormed } from "../../schema/text.ts";
import { checkRelativePath } from "../../storage/relative_path.ts";
import type { SstRecord } from "./tables.ts";

/** A sorted table that the catalog names. */
export interface Sst {
  /** Names it for good. */
  readonly id: number;
  /** Its level. In level 0 ranges may overlap. */
  readonly level: number;
  /** Its first key, included. */
  readonly minKey: Uint8Array;
  /** Its last key, included. */
  readonly maxKey: Uint8Array;
  /** Length of its file in bytes. */
  readonly sizeBytes: number;
  /** How many entries it has. */
  readonly entries: number;
  /** Its file, where the engine does not find it by the id: a relative path. No two tables have the same; a commit may move it from one that it removes to one that it adds. */
  readonly fileName?: string;
  /** The least log sequence number in it. */
  readonly minLsn?: number;
  /** The greatest log sequence number in it. */
  readonly maxLsn?: number;
  /** Digest of its file, as the engine writes it. */
  readonly digest?: string;
  /** When it was made, milliseconds since 1970. */
  readonly createdAt?: number;
}

/** A sorted table to add. Level, size and entries are 0 unless they are given. */
export type SstInput = Omit<Sst, "level" | "sizeBytes" | "entries"> & Partial<Pick<Sst, "level" | "sizeBytes" | "entries">>;

const FIELDS: OptionNames<SstInput> = {
  id: true,
  level: true,
  minKey: true,
  maxKey: true,
  sizeBytes: true,
  entries: true,
  fileName: true,
  minLsn: true,
  maxLsn: true,
  digest: true,
  createdAt: true,
};

/** The greatest level. */
export const LEVEL_MAX = 0xffff;
/** The greatest id: the next one must be a number too. */
export const ID_MAX: number = Number.MAX_SAFE_INTEGER - 1;

/** A whole number from 0 to `most`; `action` completes "Cannot …". */
export function checkNumber(action: string, field: string, value: unknown, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number") failType(`Cannot ${action}: ${field} is not a number`, { field });
  if (!Number.isInteger(value) || value < 0) failRange(`Cannot ${action}: ${field} is not a whole number from 0 on`, { field, value });
  if (value > most) failLimit(`Cannot ${action}: ${field} is above ${most}`, { field, limit: most });
  return value === 0 ? 0 : value; // never −0
}

/** Bytes, copied. */
export function checkKey(action: string, field: string, value: unknown): Uint8Array {
  return readArgument(action, field, () => {
    if (!(value instanceof Uint8Array)) failType(`Cannot ${action}: ${field} is not a Uint8Array`, { field });
    return value.slice();
  });
}

function checkText(action: string, field: string, value: unknown): string {
  if (typeof value !== "string") failType(`Cannot ${action}: ${field} is not a text`, { field });
  if (!isWellFormed(value)) failType(`Cannot ${action}: ${field} is not well-formed text`, { field });
  return value;
}

/** What an engine says of a sorted table, checked and copied. */
export function checkSst(action: string, input: SstInput): Sst {
  if (typeof input !== "object" || input === null) failType(`Cannot ${action}: the sorted table is not an object`, { field: "sst" });
  const given = takeOptions(input, FIELDS, action);
  const { level = 0, sizeBytes = 0, entries = 0, fileName, minLsn, maxLsn, digest, createdAt } = given;
  const sst: { -readonly [K in keyof Sst]: Sst[K] } = {
    id: checkNumber(action, "id", given.id, ID_MAX),
    level: checkNumber(action, "level", level, LEVEL_MAX),
    minKey: checkKey(action, "minKey", given.minKey),
    maxKey: checkKey(action, "maxKey", given.maxKey),
    sizeBytes: checkNumber(action, "sizeBytes", sizeBytes),
    entries: checkNumber(action, "entries", entries),
  };
  if (compareBytes(sst.minKey, sst.maxKey) > 0) failRange(`Cannot ${action}: minKey is behind maxKey`, { field: "minKey" });
  if (fileName !== undefined) {
    checkRelativePath(fileName, action);
    sst.fileName = fileName;
  }
  if (minLsn !== undefined) sst.minLsn = checkNumber(action, "minLsn", minLsn);
  if (maxLsn !== undefined) sst.maxLsn = checkNumber(action, "maxLsn", maxLsn);
  if (sst.minLsn !== undefined && sst.maxLsn !== undefined && sst.minLsn > sst.maxLsn) {
    failRange(`Cannot ${action}: minLsn is above maxLsn`, { field: "minLsn" });
  }
  if (digest !== undefined) sst.digest = checkText(action, "digest", digest);
  if (createdAt !== undefined) sst.createdAt = checkNumber(action, "createdAt", createdAt);
  return sst;
}

/** A list, as an array; `what` is named in the message. */
export function checkList<T>(action: string, field: string, value: Iterable<T> | undefined): readonly T[] {
  if (value === undefined) return [];
  if (typeof value === "string") failType(`Cannot ${action}: ${field} is not a list`, { field });
  return readArgument(action, field, () => {
    if (typeof (value as { [Symbol.iterator]?: unknown } | null)?.[Symbol.iterator] !== "function") {
      failType(`Cannot ${action}: ${field} is not a list`, { field });
    }
    return [...value];
  });
}

/** A stored table with its id, as callers see it. */
export function sstOf(id: number, { since: _since, ...record }: SstRecord): Sst {
  return { id, ...record };
}

/** A table as it is stored. */
export function recordOf({ id: _id, ...sst }: Sst, since: number): SstRecord {
  return { ...sst, since };
}

/** Whether two rows say the same. */
export function sameRecord(a: SstRecord, b: SstRecord): boolean {
  return a.level === b.level && a.sizeBytes === b.sizeBytes && a.entries === b.entries && a.since === b.since &&
    a.fileName === b.fileName &&
    a.minLsn === b.minLsn && a.maxLsn === b.maxLsn && a.digest === b.digest && a.createdAt === b.createdAt &&
    compareBytes(a.minKey, b.minKey) === 0 && compareBytes(a.maxKey, b.maxKey) === 0;
}

/** Keys from `from` to `to`, both included; undefined: without an end on that side. */
export interface KeyRange {
  /** First key. */
  readonly from: Uint8Array | undefined;
  /** Last key. */
  readonly to: Uint8Array | undefined;
}

/** Whether a table has room for a key of the range. */
export function overlaps({ minKey, maxKey }: Pick<Sst, "minKey" | "maxKey">, { from, to }: KeyRange): boolean {
  return (to === undefined || compareBytes(minKey, to) <= 0) && (from === undefined || compareBytes(maxKey, from) >= 0);
}
