// The shapes that go in and out of a store.
import type { ManifestErrorFields } from "../errors.ts";
import type { Environment } from "./environment.ts";
import type { KernelModule } from "../kernel/loader.ts";

/** When a receipt is delivered: after a sync, after a write that is synced within 100 ms, or at once (durable at checkpoints). */
export type DurabilityMode = "sync" | "relaxed" | "none";

/** Where syncs of commits run: chosen by measuring, always inside the turn, or always off the event loop. */
export type SyncMode = "auto" | "inline" | "async";

/** How a store is opened. */
export interface StoreOptions {
  /** Starts a new file where the storage is empty. Default false. */
  create?: boolean;
  /** Opens without writing: the journal is replayed into memory. Default false. */
  readOnly?: boolean;
  /** Page size of a new file: 4096 to 65536, a power of two. Default 4096. */
  pageSize?: number;
  /** Bytes of page cache. Default 16 MiB. */
  cacheBytes?: number;
  /** When receipts are delivered. Default "sync". */
  durability?: DurabilityMode;
  /** Where syncs of commits run. Default "auto": inside the turn while they take less than 1 ms. */
  syncMode?: SyncMode;
  /** Waits this long for more commits before a group closes, in milliseconds. Default 0: the group closes in a microtask. */
  groupWindow?: number;
  /** Commits that may be without a receipt at once; beyond it `commit` fails with UNAVAILABLE. Default 65536. */
  queueCapacity?: number;
  /** Largest transaction, and largest value, in bytes. Default 64 MiB. */
  maxTransactionBytes?: number;
  /** Checkpoints after this long without a commit, in milliseconds. 0 = never. Default 5000. */
  idleCheckpoint?: number;
  /**
   * The least change sequence that the file must hold, from a receipt that was kept elsewhere: ROLLED_BACK when an older copy lies in its place, which nothing in the file can tell. Default 0.
   */
  expectSequence?: number;
  /** Clock, entropy and timers. Default: the platform's. */
  environment?: Environment;
  /** A compiled kernel, for runtimes that forbid compiling. */
  wasm?: KernelModule;
}

/** What `stage` leaves in the arena. All offsets count from the arena's start. */
export interface Staged {
  /** Offset of the operation records (OP_*), a multiple of 4. */
  at: number;
  /** Number of records. */
  count: number;
  /** Offset of the extra bytes that the change record carries behind its effects. */
  extraAt: number;
  /** Their length; 0 = none. */
  extraLength: number;
}

/** One transaction handed to the store. */
export interface CommitRequest {
  /**
   * Writes operation records into the kernel's arena, at offsets from {@linkcode ARENA_START} on, and says where. Called exactly once, synchronously, when this
   * transaction's turn has come: nearly always inside `commit`, later when earlier commits wait for a checkpoint. `store.newest` then shows the state that the
   * transaction is applied to. What it throws rejects the commit with nothing applied.
   */
  stage(): Staged;
  /** Takes the next change sequence and a row in the change log. Default true. */
  change?: boolean;
  /** The transaction's id from `newCommitId`, 32 hex digits. Default: a new one. */
  commitId?: string;
  /** Set by the store when it takes the transaction: its id, whose digits `toString` makes. */
  id?: { toString(): string };
  /** When it was committed, milliseconds since 1970. Default: the clock, never less than the commit before. */
  committedAt?: number;
  /** Gives up while the transaction still waits for its turn; ignored once its turn has come. */
  signal?: AbortSignal;
  /** What the commit's promise resolves with instead of the receipt: made of its sequence and its id, whose digits are costly and made only by `toString`. */
  finish?(sequence: number, id: { toString(): string }): unknown;
  /** What it rejects with instead of the error. */
  explain?(error: unknown): unknown;
  /** Read behind `stage`: the transaction changes the registry of tables. */
  registry?: boolean;
}

/** What a commit was given. */
export interface Receipt {
  /** Change sequence; 0 when the transaction is no change. */
  readonly sequence: number;
  /** 32 hex digits. */
  readonly commitId: string;
  /** Frame number. */
  readonly frame: number;
  /** Milliseconds since 1970. */
  readonly committedAt: number;
}

/** What a store tells besides what calls return: a checkpoint is durable, the clock has gone back, or writing has ended for good. */
export type StoreEvent =
  | { readonly type: "clock-backwards"; readonly shown: number; readonly committedAt: number }
  | { readonly type: "checkpoint"; readonly generation: number; readonly sequence: number; readonly frame: number }
  | { readonly type: "write-failed"; readonly error: ManifestErrorFields };

/** What became of a commit id: applied with its sequence (0: no change) and frame, certainly not applied, or too long ago to tell. */
export type Resolution =
  | { readonly state: "applied"; readonly sequence: number; readonly frame: number }
  | { readonly state: "not_applied" }
  | { readonly state: "expired" };

/** A table in the registry. */
export interface TableInfo {
  /** Never reused. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  /** Schema bytes as given at creation, or by `setSchema`. */
  readonly schema: Uint8Array;
}

/** A table to create. */
export interface TableDefinition {
  /** Its name: 1 to 255 bytes of UTF-8 without NUL. */
  name: string;
  /** Schema bytes, kept as they are. */
  schema: Uint8Array;
}

/** Bounds and direction of a scan. Keys are encoded. */
export interface ScanOptions {
  /** First key, inclusive unless `lowerExclusive`. Default: the start. */
  lower?: Uint8Array;
  /** Excludes `lower` itself. */
  lowerExclusive?: boolean;
  /** Last key, exclusive unless `upperInclusive`. Default: the end. */
  upper?: Uint8Array;
  /** Includes `upper` itself. */
  upperInclusive?: boolean;
  /** From the last key to the first. */
  reverse?: boolean;
  /** Leaves values out. */
  keysOnly?: boolean;
  /** Leaves keys out. */
  valuesOnly?: boolean;
}

/** What recovery did when the store was opened. */
export interface RecoveryReport {
  /** The file was made new. */
  created: boolean;
  /** The last writer had closed it. */
  clean: boolean;
  /** Journal groups and frames applied again. */
  groups: number;
  /** Frames applied again. */
  frames: number;
  /** A torn group at the journal's end was cut: group number and what was kept of it. */
  cut: { group: number; frames: number } | undefined;
  /** Journal blocks rebuilt from parity: group number and block index. */
  rebuilt: { group: number; block: number }[];
  /** Groups of them that had been durable, so that no crash has left them as they were: something has damaged the file. */
  damagedGroups: number[];
  /** Meta slots that were written again from their copy: 0 A1, 1 B1, 2 A2, 3 B2. */
  repairedSlots: number[];
  /** Those of them that no crash leaves as they were: something has damaged the file. */
  damagedSlots: number[];
}

/** What `check` found at one place. */
export interface CheckProblem {
  /** An error is damage; a warning is space that nothing uses. */
  severity: "error" | "warning";
  /** Page number; 0 = none in particular. */
  page: number;
  /** Table id; 0 = no table's tree. */
  table: number;
  /** Reason in words. */
  reason: string;
  /** Expected number, where there is one. */
  expected: number;
  /** Actual number. */
  actual: number;
}

/** What `check` found. */
export interface CheckReport {
  /** No error was found. */
  ok: boolean;
  /** Pages of the file. */
  pages: number;
  /** Counters by their number: CHECK_* of the format. */
  counters: number[];
  /** The first findings, errors and warnings. */
  problems: CheckProblem[];
}

/** A read transaction that is open. */
export interface ReaderStats {
  /** Milliseconds since it began. */
  age: number;
  /** Sequence it sees. */
  sequence: number;
}

/** Numbers about a store. */
export interface StoreStats {
  /** Bytes of the file. */
  fileBytes: number;
  /** Page size. */
  pageSize: number;
  /** Journal capacity and bytes in use. */
  journalBytes: number;
  /** Journal bytes in use. */
  journalUsed: number;
  /** Journal extents. */
  journalExtents: number;
  /** Meta generation. */
  generation: number;
  /** Writer epoch. */
  epoch: number;
  /** Newest sequences: applied and durable. */
  appliedSequence: number;
  /** Newest durable sequence. */
  durableSequence: number;
  /** Newest durable frame. */
  durableFrame: number;
  /** Cache size and dirty pages. */
  cachePages: number;
  /** Dirty pages in the cache. */
  dirtyPages: number;
  /** Dirty pages parked beyond the end of the file. */
  spilledPages: number;
  /** Superseded pages that only open read transactions keep. */
  pinnedPages: number;
  /** Linear memory of the kernel. */
  memoryBytes: number;
  /** Commits acknowledged, groups, syncs, writes since opening. */
  commits: number;
  /** Groups written. */
  groups: number;
  /** Syncs. */
  syncs: number;
  /** Writes. */
  writes: number;
  /** Bytes written. */
  bytesWritten: number;
  /** Page reads. */
  pageReads: number;
  /** Checkpoints finished. */
  checkpoints: number;
  /** Commits that wait. */
  waiting: number;
  /** Open read transactions, oldest first. */
  readers: ReaderStats[];
}
