// Looking up rows of one catalog, in a state or within a transaction, and changing the counts of stored files.
import { fail } from "../../errors.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import {
  condemnedFiles,
  type DropRow,
  fileDrops,
  fileEntries,
  type FileSetRow,
  fileSets,
  fileVersions,
  foldPath,
  pathField,
  pathOf,
  storedFiles,
  type StoredRow,
  type VersionRow,
} from "./tables.ts";

/** An entry with the version it begins with. */
export interface Entry {
  /** The version. */
  readonly version: number;
  /** The stored file; undefined: removed. */
  readonly path: string | undefined;
}

/** A version that is kept, or dropped and not yet gone. */
export interface Neighbour {
  /** The version. */
  readonly version: number;
  /** Whether it is dropped. */
  readonly dropped: boolean;
  /** Its row. */
  readonly row: DropRow;
}

/** The counters of a catalog. */
export function setRow(reader: Reader, catalog: string): FileSetRow {
  const row = reader.get(fileSets, catalog);
  if (row === undefined) {
    fail("CORRUPT_RECORD", "Cannot read a file set: its own row is missing", { detail: { table: fileSets.name } });
  }
  return row;
}

function firstEntry(reader: Reader, options: object): Entry | undefined {
  for (const [[, , , version], { path }] of reader.range(fileEntries, { ...options, limit: 1 })) return { version, path };
  return undefined;
}

/** What a name stands for in a version; undefined when nothing was ever said of it up to there. */
export function entryAt(reader: Reader, catalog: string, kind: string, name: string, version: number): Entry | undefined {
  return firstEntry(reader, { prefix: [catalog, kind, name], lte: [catalog, kind, name, version], reverse: true });
}

/** The newest entry of a name. */
export function lastEntry(reader: Reader, catalog: string, kind: string, name: string): Entry | undefined {
  return firstEntry(reader, { prefix: [catalog, kind, name], reverse: true });
}

/** The entry of a name before a version. */
export function entryBefore(reader: Reader, catalog: string, kind: string, name: string, version: number): Entry | undefined {
  return firstEntry(reader, { prefix: [catalog, kind, name], lt: [catalog, kind, name, version], reverse: true });
}

/** The entry of a name behind a version. */
export function entryBehind(reader: Reader, catalog: string, kind: string, name: string, version: number): Entry | undefined {
  return firstEntry(reader, { prefix: [catalog, kind, name], gt: [catalog, kind, name, version] });
}

function neighbour(reader: Reader, catalog: string, version: number, reverse: boolean): Neighbour | undefined {
  const bound = reverse ? { lt: [catalog, version] } : { gt: [catalog, version] };
  const options = { ...bound, prefix: [catalog], reverse, limit: 1 } as never;
  let found: Neighbour | undefined;
  const take = (dropped: boolean, one: number, row: VersionRow): void => {
    if (found === undefined || (reverse ? one > found.version : one < found.version)) found = { version: one, dropped, row };
  };
  for (const [[, one], row] of reader.range(fileVersions, options)) take(false, one, row);
  for (const [[, one], row] of reader.range(fileDrops, options)) take(true, one, row);
  return found;
}

/** The version before one, dropped ones included. */
export function versionBefore(reader: Reader, catalog: string, version: number): Neighbour | undefined {
  return neighbour(reader, catalog, version, true);
}

/** The version behind one, dropped ones included. */
export function versionBehind(reader: Reader, catalog: string, version: number): Neighbour | undefined {
  return neighbour(reader, catalog, version, false);
}

/** A stored file and its path, under any spelling of the path. */
export function findStored(reader: Reader, catalog: string, path: string): { path: string; row: StoredRow } | undefined {
  const folded = foldPath(path);
  const row = reader.get(storedFiles, [catalog, folded]);
  return row === undefined ? undefined : { path: pathOf(folded, row), row };
}

/** Takes entries of stored files away: collected, and written at the end, so that nothing is read behind a write. */
export class Releases {
  readonly #counts = new Map<string, number>();

  /** An entry that named this file goes. */
  add(path: string): void {
    this.#counts.set(path, (this.#counts.get(path) ?? 0) + 1);
  }

  /** Reads what is to change, then says how to write it: files that no entry names any more are condemned, and the counters follow. */
  prepare(txn: Transaction, catalog: string, set: FileSetRow, now: number): () => void {
    const found = [...this.#counts].map(([path, count]) => {
      const stored = findStored(txn, catalog, path);
      if (stored === undefined || stored.path !== path || stored.row.entries < count) {
        fail("CORRUPT_RECORD", "Cannot release a stored file: its row is not what its entries say", {
          detail: { table: storedFiles.name },
        });
      }
      return { path, row: stored.row, left: stored.row.entries - count };
    });
    return () => {
      for (const { path, row, left } of found) {
        const folded = foldPath(path);
        if (left > 0) {
          txn.put(storedFiles, [catalog, folded], { ...row, entries: left });
          continue;
        }
        txn.delete(storedFiles, [catalog, folded]);
        txn.put(condemnedFiles, [catalog, folded], { ...pathField(path, folded), sizeBytes: row.sizeBytes, since: now });
        set.files--;
        set.bytes -= row.sizeBytes;
        set.condemned++;
      }
    };
  }
}
