// The store: tables of bytes in one page file. A facade; each part has a file of its own.
import type { Kernel } from "../kernel/kernel.ts";
import type { Storage } from "../storage/storage.ts";
import type {
  CheckReport,
  CommitRequest,
  Receipt,
  RecoveryReport,
  Resolution,
  ScanOptions,
  StoreOptions,
  StoreStats,
  TableDefinition,
  TableInfo,
} from "./types.ts";

export type * from "./types.ts";

/** Arena offsets below this are the store's (body header, scan bounds); callers stage from here on. */
export const ARENA_START = 4096;

/** A running scan. Rows are in kernel memory until the next kernel call that scans or reads. */
export declare class Scan {
  /** Rows of the current batch. */
  readonly rows: number;
  /** Address of the batch's index: per row 4 u32 {key offset, key length, value offset, value length}. */
  readonly rowsAt: number;
  /** Address that the offsets count from. */
  readonly dataAt: number;
  /** Fetches the next batch; returns its rows, 0 at the end. */
  next(maxRows: number, maxBytes: number): number;
  /** Whether a row's value is an overflow run (its bytes are not in the batch). */
  isRun(row: number): boolean;
  /** Copies a row's key. */
  key(row: number): Uint8Array;
  /** Copies a row's value, reading and verifying its overflow run where it has one. */
  value(row: number): Uint8Array;
  /** Puts a row's value into kernel memory as a whole, overflow runs included, and returns its address; `valueLength` holds the length. */
  loadValue(row: number): number;
  /** Length of the value loaded last. */
  readonly valueLength: number;
  /** Counts the rows that are left. */
  count(): number;
  /** Ends the scan; a second call does nothing. */
  close(): void;
  [Symbol.dispose](): void;
}

/** A table as one view sees it. */
export declare class Tree {
  /** Table id. */
  readonly tableId: number;
  /** Rows in the table. */
  readonly rows: number;
  /** Address of the value found last, in kernel memory until the next kernel call. */
  readonly valueAt: number;
  /** Its length. */
  readonly valueLength: number;
  /** Looks up encoded key bytes at an absolute address. True: `valueAt` and `valueLength` (overflow values are read, verified and placed in memory too). */
  find(keyAt: number, keyLength: number): boolean;
  /** The same with the key tape of a codec at an absolute address. */
  findTyped(codec: number, tapeAt: number): boolean;
  /** Looks up an encoded key and copies its value. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** The same with a key tape. */
  getTyped(codec: number, tapeAt: number): Uint8Array | undefined;
  /** Starts a scan; close it. */
  scan(options?: ScanOptions): Scan;
}

/** A state of all tables: a read transaction, or `store.newest`. */
export declare class View {
  /** Last change sequence in this state. */
  readonly sequence: number;
  /** Last frame in this state. */
  readonly frame: number;
  /** A table by id; an id without rows reads as empty. */
  tree(tableId: number): Tree;
  /** A table's registry entry. */
  table(name: string): TableInfo | undefined;
  /** All tables, by name. */
  tables(): TableInfo[];
}

/** A pinned view. Close it; one that stays open keeps old pages alive. */
export declare class ReadTransaction extends View {
  /** Whether it has been closed. */
  readonly closed: boolean;
  /** Ends it; a second call does nothing. */
  close(): void;
  [Symbol.dispose](): void;
}

/** A store over one storage. */
export declare class Store {
  /** Opens or creates a store. The storage belongs to it from then on: it is closed with the store, and when opening fails. */
  static open(storage: Storage, options?: StoreOptions): Promise<Store>;
  /** The kernel instance: arena, codecs, control block. */
  readonly kernel: Kernel;
  /** What recovery did. */
  readonly recovery: RecoveryReport;
  /** Whether it was opened for reading only, or a failed sync has made it so. */
  readonly readOnly: boolean;
  /** File id, 32 hex digits. */
  readonly fileId: string;
  /** History id, 32 hex digits. */
  readonly historyId: string;
  /** The newest applied state, followed as commits are applied. Not pinned: use it within one turn, or inside `stage`. */
  readonly newest: View;
  /** Newest durable change sequence: all that consumers may see. */
  readonly durableSequence: number;
  /** Newest applied change sequence. */
  readonly appliedSequence: number;
  /** Newest durable frame number. */
  readonly durableFrame: number;
  /** A commit id: 48 bits of the newest durable frame number, 80 random bits; 32 hex digits. */
  newCommitId(): string;
  /** Commits a transaction. The promise resolves with the receipt when the durability mode's promise holds. */
  commit(request: CommitRequest): Promise<Receipt>;
  /** Pins the newest published state. */
  read(): ReadTransaction;
  /** Registers a table; TABLE_EXISTS when the name is taken. Returns its id. */
  createTable(name: string, schema: Uint8Array): Promise<number>;
  /** Registers several tables in one commit. Returns their ids in order. */
  createTables(tables: readonly TableDefinition[]): Promise<number[]>;
  /** Replaces a table's schema bytes. */
  setSchema(name: string, schema: Uint8Array): Promise<void>;
  /** Drops a table; TABLE_UNKNOWN when there is none. Its pages are freed in bounded steps. */
  dropTable(name: string): Promise<void>;
  /** All tables of the newest applied state, by name. */
  listTables(): TableInfo[];
  /** A table of the newest applied state. */
  table(name: string): TableInfo | undefined;
  /** Calls back after each publication that moved the durable sequence; returns a function that ends it. */
  onDurable(listener: (sequence: number) => void): () => void;
  /** Moves everything applied into the tree and frees the journal. */
  checkpoint(): Promise<void>;
  /** Moves pages low and cuts the tail of the file. */
  compact(): Promise<void>;
  /** Checks the whole file. */
  check(): Promise<CheckReport>;
  /** Resolves when everything applied before the call is durable. */
  sync(): Promise<void>;
  /** What became of a commit id. */
  resolve(commitId: string): Resolution;
  /** Numbers about the store. */
  stats(): StoreStats;
  /** Checkpoints, marks the file clean and closes the storage. A second call waits for the first. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
