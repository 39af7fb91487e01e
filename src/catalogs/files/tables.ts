// The tables of file sets: which versions there are, which file each name stands for in them, and what is known of every stored file.
//
// The layout is made so that every step costs what it changes, never what is there:
//
//   file_sets        [catalog]                       counters, the newest version, the number of the next one
//   file_versions    [catalog, version]              the versions that are kept
//   file_entries     [catalog, kind, name, version]  the file that a name stands for from this version on; without a path: from here on the name is not there
//   file_changes     [catalog, version, kind, name]  which entries begin with a version, for all versions but the oldest
//   stored_files     [catalog, folded path]          size, digest, and how many entries name it
//   condemned_files  [catalog, folded path]          files that no entry names any more: the file is deleted first, then the row
//   file_drops       [catalog, version]              versions that are dropped and whose entries have not been looked through yet
//   file_pins        [catalog, owner, version]       versions that somebody keeps, until when
//
// A name's file in version v is the entry of the greatest version up to v, so a commit writes what it changes and nothing else, and any kept version is read with one look-up a name.
//
// Invariants, when no drop waits (check.ts looks):
// - Every entry is seen in a kept version, and differs from the entry before it. In the oldest version no entry is a removal.
// - An entry is in file_changes unless it began with the oldest version, or before. Between two neighbours of the kept versions a name is there at most once.
// - A stored file's count is that of its entries, and never zero. No path is stored and condemned at once.
//
// Paths are keys with their ASCII letters in lower case: two paths that differ only there are one file on many platforms, and are refused.
import { type AnyTable, bool, bytes, defineTable, enumOf, optional, type Table, text, timestamp, u53 } from "../../schema/schema.ts";

/** How a file's content is digested. `xxh3` is its 128-bit form: fast, and no protection from somebody who forges. */
export type DigestAlgorithm = "blake3" | "sha256" | "xxh3";

/** What is kept of a whole catalog. */
export interface FileSetRow {
  /** The newest version; 0 when there never was one. */
  current: number;
  /** The number of the next version: greater than every one there was. */
  next: number;
  /** Versions kept. */
  versions: number;
  /** Rows of file_entries. */
  entries: number;
  /** Rows of file_changes. */
  changes: number;
  /** Rows of stored_files. */
  files: number;
  /** Bytes of the stored files. */
  bytes: number;
  /** Rows of condemned_files. */
  condemned: number;
  /** The dropped version whose entries are being looked through; 0: none. */
  merging: number;
  /** History that the manifest had when the catalog was made, or when somebody accepted another: a salvage and a restore begin a new one. */
  history: string;
}

/** What is kept of a version. */
export interface VersionRow {
  /** When it was committed. */
  committedAt: number;
  /** What it was called. */
  label?: string;
  /** Names in it. */
  entries: number;
  /** Bytes of their files; a file with two names counts twice. */
  bytes: number;
  /** Names that were not there in the version before, when it was committed. */
  added: number;
  /** Names that stood for another file. */
  changed: number;
  /** Names that were there. */
  removed: number;
  /** Entries in file_changes behind the kept version before this, up to this. */
  group: number;
}

/** What is kept of a version that is dropped. */
export interface DropRow extends VersionRow {
  /** Which changes are gone through: its own or those behind it; absent: not begun. */
  side?: "own" | "behind";
  /** The change that was looked at last. */
  afterVersion?: number;
  /** Its kind. */
  afterKind?: string;
  /** Its name. */
  afterName?: string;
}

/** What an entry says. */
export interface EntryRow {
  /** The stored file; absent: removed. */
  path?: string;
}

/** What is known of a stored file. */
export interface StoredRow {
  /** Its path, where it is not the key. */
  path?: string;
  /** Its length. */
  sizeBytes: number;
  /** How it was digested. */
  algorithm: DigestAlgorithm;
  /** The digest. */
  digest: Uint8Array;
  /** How many entries name it. */
  entries: number;
  /** The version that first named it. */
  version: number;
}

/** What is known of a condemned file. */
export interface CondemnedRow {
  /** Its path, where it is not the key. */
  path?: string;
  /** Its length. */
  sizeBytes: number;
  /** Since when. */
  since: number;
}

/** What is known of a durable pin. */
export interface PinRow {
  /** Also every version before it. */
  all: boolean;
  /** When it was taken. */
  since: number;
  /** When it ends by itself. */
  expiresAt: number;
}

const version = {
  committedAt: timestamp(),
  label: optional(text()),
  entries: u53(),
  bytes: u53(),
  added: u53(),
  changed: u53(),
  removed: u53(),
  group: u53(),
};

/** The catalogs. */
export const fileSets: Table<[catalog: string], FileSetRow> = defineTable({
  name: "file_sets",
  key: [text("catalog")],
  value: {
    current: u53(),
    next: u53(),
    versions: u53(),
    entries: u53(),
    changes: u53(),
    files: u53(),
    bytes: u53(),
    condemned: u53(),
    merging: u53(),
    history: text(),
  },
});

/** The versions that are kept. */
export const fileVersions: Table<[catalog: string, version: number], VersionRow> = defineTable({
  name: "file_versions",
  key: [text("catalog"), u53("version")],
  value: version,
});

/** What names stand for, from which version on. */
export const fileEntries: Table<[catalog: string, kind: string, name: string, version: number], EntryRow> = defineTable({
  name: "file_entries",
  key: [text("catalog"), text("kind"), text("name"), u53("version")],
  value: { path: optional(text()) },
});

/** Which entries begin with a version. */
export const fileChanges: Table<[catalog: string, version: number, kind: string, name: string], Record<never, never>> = defineTable({
  name: "file_changes",
  key: [text("catalog"), u53("version"), text("kind"), text("name")],
  value: {},
});

/** Stored files. */
export const storedFiles: Table<[catalog: string, folded: string], StoredRow> = defineTable({
  name: "stored_files",
  key: [text("catalog"), text("folded")],
  value: {
    path: optional(text()),
    sizeBytes: u53(),
    algorithm: enumOf("blake3", "sha256", "xxh3"),
    digest: bytes(),
    entries: u53(),
    version: u53(),
  },
});

/** Files to be deleted. */
export const condemnedFiles: Table<[catalog: string, folded: string], CondemnedRow> = defineTable({
  name: "condemned_files",
  key: [text("catalog"), text("folded")],
  value: { path: optional(text()), sizeBytes: u53(), since: timestamp() },
});

/** Versions that are dropped. */
export const fileDrops: Table<[catalog: string, version: number], DropRow> = defineTable({
  name: "file_drops",
  key: [text("catalog"), u53("version")],
  value: {
    ...version,
    side: optional(enumOf("own", "behind")),
    afterVersion: optional(u53()),
    afterKind: optional(text()),
    afterName: optional(text()),
  },
});

/** Versions that somebody keeps. */
export const filePins: Table<[catalog: string, owner: string, version: number], PinRow> = defineTable({
  name: "file_pins",
  key: [text("catalog"), text("owner"), u53("version")],
  value: { all: bool(), since: timestamp(), expiresAt: timestamp() },
});

/** All of them. */
export const FILE_TABLES: readonly AnyTable[] = [
  fileSets,
  fileVersions,
  fileEntries,
  fileChanges,
  storedFiles,
  condemnedFiles,
  fileDrops,
  filePins,
];

/** A path as a key: the same for all paths that differ in the case of ASCII letters only. */
export function foldPath(path: string): string {
  return path.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** The path of a row under its key. */
export function pathOf(folded: string, row: { path?: string }): string {
  return row.path ?? folded;
}

/** The field `path` of a row, where its key does not say it. */
export function pathField(path: string, folded: string): { path?: string } {
  return path === folded ? {} : { path };
}

/** The row of a catalog that has just been made. */
export function newSet(history: string): FileSetRow {
  return { current: 0, next: 1, versions: 0, entries: 0, changes: 0, files: 0, bytes: 0, condemned: 0, merging: 0, history };
}
