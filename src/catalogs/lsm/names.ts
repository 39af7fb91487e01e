// Which sorted tables have a file of a given name: the index of file names.
//
// Invariant: a file name is in one row of `lsm_ssts` or `lsm_obsolete` at most; only a salvage can find it in more. So a file is listed for deletion only behind the last table that it was given to.
import type { Reader } from "../../manifest/read/reader.ts";
import { fileNameKey, lsmNames, lsmSsts } from "./tables.ts";

/** Ids of tables and of removed tables whose file may have this name: all that have, and those whose names begin alike. */
export function idsOfFileName(reader: Reader, name: string, fileName: string): number[] {
  return reader.keys(lsmNames, { prefix: [name, fileNameKey(fileName)] }).toArray().map(([, , id]) => id);
}

/** Whether a table of this state has a file of this name. */
export function hasFileName(reader: Reader, name: string, fileName: string): boolean {
  return idsOfFileName(reader, name, fileName).some((id) => reader.get(lsmSsts, [name, id])?.fileName === fileName);
}
