// Which tables of a level have room for keys of a range.
//
// In a level without overlaps the tables lie in the order of their first keys: the last one that begins before the range may reach into it, the others begin in it. The index has beginnings of first keys only, so the
// last one "that begins before" is a group of equal beginnings, mostly of one. The cost is that of a look-up and of the result. Where ranges may overlap, every table that begins before the end of the range is looked at.
import { fail } from "../../errors.ts";
import { compareBytes } from "../../manifest/read/bounds.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import { type KeyRange, overlaps } from "./sst.ts";
import { indexKey, lsmRanges, lsmSsts, type SstRecord } from "./tables.ts";

/** A stored table and its id. */
export type SstRow = readonly [id: number, record: SstRecord];

/** The row of a table that the index names. */
export function sstRow(reader: Reader, catalog: string, id: number): SstRecord {
  return reader.get(lsmSsts, [catalog, id]) ??
    fail("CORRUPT_RECORD", `Cannot read the catalog "${catalog}": the index names a sorted table that is not there`, {
      detail: { table: lsmRanges.name },
    });
}

/** Tables of a level that overlap a range: in the order of their first keys where `overlapping` is false, else in that of their ids, newest first. */
export function overlappingIn(reader: Reader, catalog: string, level: number, overlapping: boolean, range: KeyRange): SstRow[] {
  const found: SstRow[] = [];
  const look = (id: number): void => {
    const record = sstRow(reader, catalog, id);
    if (overlaps(record, range)) found.push([id, record]);
  };
  const { from, to } = range;
  const start = from === undefined || overlapping ? undefined : indexKey(from);
  if (start !== undefined) {
    const before = { prefix: [catalog, level] as const, lt: [catalog, level, start] as const, reverse: true };
    const [last, next] = reader.keys(lsmRanges, { ...before, limit: 2 }).toArray();
    if (last !== undefined) {
      const [, , group, id] = last;
      if (next === undefined || compareBytes(next[2], group) !== 0) look(id);
      else for (const [, , , one] of reader.keys(lsmRanges, { prefix: [catalog, level, group] })) look(one);
    }
  }
  const bounds = {
    prefix: [catalog, level] as const,
    ...start === undefined ? {} : { gte: [catalog, level, start] as const },
    ...to === undefined ? {} : { lte: [catalog, level, indexKey(to)] as const },
  };
  for (const [, , , id] of reader.keys(lsmRanges, bounds)) look(id);
  if (overlapping) return found.sort((a, b) => b[0] - a[0]);
  return found.sort((a, b) => compareBytes(a[1].minKey, b[1].minKey) || a[0] - b[0]);
}
