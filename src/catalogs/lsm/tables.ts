// The tables of LSM catalogs. Every key begins with the catalog's name.
//
// Invariants, of each catalog: `lsm_ranges` has one row for each of `lsm_ssts`, with its level and the beginning of its first key; `lsm_levels` has one row for each level with tables, with their sums, and says whether
// the ranges of any two of them may overlap; an id has a row in `lsm_ssts` or in `lsm_obsolete`, never in both; so has a file name, and `lsm_names` has one row for each of these with a file name; a segment is active, or has a row in `lsm_wals`, or both, or one in `lsm_obsolete`, never that and
// another. Rows with `since` (and `removedAt`) are named by the states whose edit is at least the first (and less than the second).
import {
  bool,
  bytes,
  defineTable,
  enumOf,
  named,
  optional,
  type Table,
  text,
  timestamp,
  u16,
  u53,
  type ValueOf,
} from "../../schema/schema.ts";

/** What there is once in a catalog. */
export interface LsmStateRecord {
  /** The engine's own number. */
  version: number;
  /** The greatest log sequence number told. */
  lastLsn: number;
  /** The next id of a sorted table. */
  nextSstId: number;
  /** The next id of a write-ahead segment, unless the engine chooses another. */
  nextWalId: number;
  /** How many commits have changed the catalog: numbers its states. */
  edit: number;
  /** The history of the manifest that the rows belong to. */
  historyId: string;
  /** The rows have come from another history, by a restore or a salvage, and nobody has said yet that they are right. */
  foreign: boolean;
  /** The segment that is written to. */
  activeWal?: number;
  /** The first edit that named it. */
  activeSince?: number;
}

/** Scalars of each catalog. */
export const lsmStates: Table<[catalog: string], LsmStateRecord> = defineTable({
  name: "lsm_state",
  key: [text("catalog")],
  value: {
    version: u53(),
    lastLsn: u53(),
    nextSstId: u53(),
    nextWalId: u53(),
    edit: u53(),
    historyId: text(),
    foreign: bool(),
    activeWal: optional(u53()),
    activeSince: optional(u53()),
  },
});

/** A sorted table, as it is stored. */
export interface SstRecord {
  /** Its level. */
  level: number;
  /** Its first key. */
  minKey: Uint8Array;
  /** Its last key. */
  maxKey: Uint8Array;
  /** Length of its file. */
  sizeBytes: number;
  /** How many entries it has. */
  entries: number;
  /** The first edit that named its file. */
  since: number;
  /** Its file, where the engine does not find it by the id. */
  fileName?: string;
  /** The least log sequence number in it. */
  minLsn?: number;
  /** The greatest one. */
  maxLsn?: number;
  /** Digest of its file, as the engine writes it. */
  digest?: string;
  /** When it was made, milliseconds since 1970. */
  createdAt?: number;
}

/** Sorted tables by id. */
export const lsmSsts: Table<[catalog: string, sst: number], SstRecord> = defineTable({
  name: "lsm_ssts",
  key: [text("catalog"), u53("sst")],
  value: {
    level: u16(),
    minKey: bytes(),
    maxKey: bytes(),
    sizeBytes: u53(),
    entries: u53(),
    since: u53(),
    fileName: optional(text()),
    minLsn: optional(u53()),
    maxLsn: optional(u53()),
    digest: optional(text()),
    createdAt: optional(timestamp()),
  },
});

/** Sorted tables by level and the beginning of their first key: what overlap queries walk along. */
export const lsmRanges: Table<[catalog: string, level: number, minKey: Uint8Array, sst: number], Record<never, never>> = defineTable({
  name: "lsm_ranges",
  key: [text("catalog"), u16("level"), bytes("minKey"), u53("sst")],
  value: {},
});

/** A level with tables, as it is stored. */
export interface LevelRecord {
  /** Its tables. */
  ssts: number;
  /** Bytes of their files. */
  sizeBytes: number;
  /** Their entries. */
  entries: number;
  /** Ranges of two of them may overlap. Always so in level 0. */
  overlapping: boolean;
}

/** Levels with tables. */
export const lsmLevels: Table<[catalog: string, level: number], LevelRecord> = defineTable({
  name: "lsm_levels",
  key: [text("catalog"), u16("level")],
  value: { ssts: u53(), sizeBytes: u53(), entries: u53(), overlapping: bool() },
});

/** Write-ahead segments that may hold what no sorted table has, besides the active one. */
export const lsmWals: Table<[catalog: string, wal: number], WalRecord> = defineTable({
  name: "lsm_wals",
  key: [text("catalog"), u53("wal")],
  value: { state: enumOf("frozen", "retired"), since: u53() },
});

/** A write-ahead segment, as it is stored. */
export interface WalRecord {
  /** `frozen`: waits to be flushed. `retired`: was active, and was replaced without being frozen. */
  state: "frozen" | "retired";
  /** The first edit that named its file. */
  since: number;
}

/** What files there are. */
export type FileKind = "sst" | "wal";

/** A file that was removed from the catalog, as it is stored. */
export interface ObsoleteRecord {
  /** The first edit that named it. */
  since: number;
  /** The first edit that does not. */
  removedAt: number;
  /** Its length, as far as known. */
  sizeBytes: number;
  /** Its name, where the engine had told one. */
  fileName?: string;
}

/** Files that the catalog does not name any more and that nobody has told to be deleted. */
export const lsmObsolete: Table<[catalog: string, kind: FileKind, id: number], ObsoleteRecord> = defineTable({
  name: "lsm_obsolete",
  key: [text("catalog"), named("kind", enumOf("sst", "wal")), u53("id")],
  value: { since: u53(), removedAt: u53(), sizeBytes: u53(), fileName: optional(text()) },
});

/** Sorted tables, and removed ones, by the beginnings of their file names. */
export const lsmNames: Table<[catalog: string, fileName: Uint8Array, sst: number], Record<never, never>> = defineTable({
  name: "lsm_names",
  key: [text("catalog"), bytes("fileName"), u53("sst")],
  value: {},
});

/** All of them. */
export const LSM_TABLES = [lsmStates, lsmSsts, lsmRanges, lsmLevels, lsmWals, lsmObsolete, lsmNames] as const;

/** The state of a new catalog. */
export function newState(historyId: string): ValueOf<typeof lsmStates> {
  return { version: 1, lastLsn: 0, nextSstId: 1, nextWalId: 1, edit: 0, historyId, foreign: false };
}

/** So much of a first key, or of a file name, is part of a row's key: with a name of 128 bytes and every byte escaped it stays below 1,024 bytes. */
const INDEX_BYTES = 384;

/** The beginning of a key, for the index: the order of beginnings is that of the keys, but equal ones say nothing. */
export function indexKey(key: Uint8Array): Uint8Array {
  return key.length <= INDEX_BYTES ? key : key.subarray(0, INDEX_BYTES);
}

const encoder = new TextEncoder();

/** The beginning of a file name, for its index: equal ones say nothing. */
export function fileNameKey(fileName: string): Uint8Array {
  return indexKey(encoder.encode(fileName));
}
