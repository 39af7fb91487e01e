// Stretches of encoded keys: what is lost of a table, and what of that an older state fills in.
import type { LostRange } from "./visitor.ts";

/** All keys. */
export const EVERYTHING: readonly LostRange[] = [{ low: undefined, high: undefined }];

/** Order of two keys: below 0, 0, above 0. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** Whether a key lies in one of the ranges, which are in key order without overlaps. */
export function isIn(ranges: readonly LostRange[], key: Uint8Array): boolean {
  let from = 0;
  let end = ranges.length;
  // The first range that ends behind the key is the only one that can hold it.
  while (from < end) {
    const middle = (from + end) >>> 1;
    const { high } = ranges[middle]!;
    if (high === undefined || compareKeys(key, high) < 0) end = middle;
    else from = middle + 1;
  }
  const range = ranges[from];
  return range !== undefined && (range.low === undefined || compareKeys(key, range.low) >= 0);
}

/** The range of a single key. */
export function onlyKey(key: Uint8Array): LostRange {
  const high = new Uint8Array(key.length + 1);
  high.set(key);
  return { low: key, high };
}

function later(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareKeys(a, b) >= 0 ? a : b;
}

function earlier(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareKeys(a, b) <= 0 ? a : b;
}

/** What lies in a range of both lists; each is in key order without overlaps. */
export function intersect(a: readonly LostRange[], b: readonly LostRange[]): LostRange[] {
  const both: LostRange[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const low = later(a[i]!.low, b[j]!.low);
    const high = earlier(a[i]!.high, b[j]!.high);
    if (low === undefined || high === undefined || compareKeys(low, high) < 0) both.push({ low, high });
    // The one that ends first is done with.
    const first = earlier(a[i]!.high, b[j]!.high);
    if (first !== undefined && first === a[i]!.high) i++;
    else if (first !== undefined) j++;
    else if (a[i]!.high === undefined && b[j]!.high === undefined) break;
  }
  return both;
}

/** What is left of ranges, in key order without overlaps, without the keys from `first` to `last`. */
export function without(ranges: readonly LostRange[], first: Uint8Array, last: Uint8Array): LostRange[] {
  const { high: behind } = onlyKey(last);
  return merged([...intersect(ranges, [{ low: undefined, high: first }]), ...intersect(ranges, [{ low: behind, high: undefined }])]);
}

/** Ranges put in key order, those that touch or overlap made one. */
export function merged(ranges: readonly LostRange[]): LostRange[] {
  const sorted = [...ranges].sort((a, b) => a.low === undefined ? -1 : b.low === undefined ? 1 : compareKeys(a.low, b.low));
  const out: LostRange[] = [];
  for (const range of sorted) {
    const last = out[out.length - 1];
    if (last === undefined || (last.high !== undefined && range.low !== undefined && compareKeys(range.low, last.high) > 0)) {
      out.push(range);
      continue;
    }
    const high = last.high === undefined || range.high === undefined
      ? undefined
      : compareKeys(last.high, range.high) >= 0
      ? last.high
      : range.high;
    out[out.length - 1] = { low: last.low, high };
  }
  return out;
}
