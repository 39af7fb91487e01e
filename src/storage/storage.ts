// The storage contract: one growable array of bytes with positional I/O, a sync and an exclusive writer claim.
//
// Rules that every adapter keeps (tests/support/storage_suite.ts is the definition in code):
// - I/O is synchronous and positional; offsets are numbers up to 2^53 - 1, so files beyond 4 GiB work.
// - `into` and `from` may be views of WebAssembly memory that grows later: an adapter uses them during the call and never keeps them.
// - A write is complete or throws. After a failed write the bytes of its range are undefined (old, new or mixed); all others are untouched.
// - Nothing is durable before a sync that began after it returned. Writes between two syncs may reach the medium in any order.
// - A failed sync is reported once and never retried here; what is durable after it is unknown.
// - A call that makes no progress twice in a row is an error (IO_READ, IO_WRITE), never an endless loop.
// - Every method but `close` throws HANDLE_CLOSED after `close`.
// - Errors are ManifestError. Platform errors become codes (see `platformError` in errno.ts) with `syscall`, `errno`, `offset`, `length`, `file` in detail.

/**
 * What a completed sync promises: `media` survives power loss, `os` survives the process but perhaps not power loss, `best-effort` is the platform's word
 * without a documented promise, `memory` ends with the process.
 */
export type Durability = "media" | "os" | "best-effort" | "memory";

/**
 * How a writer claim is held. `kernel`: the operating system excludes every other writer and frees it when the holder dies. `claim`: a file names the holder and
 * others respect it, so the writer must re-read its epoch before it trusts the claim. `process`: nothing outside this process can reach the storage.
 */
export type LockStrength = "kernel" | "claim" | "process";

/** Who holds the writer claim of a file; kept as JSON in the lock file. */
export interface LockHolder {
  /** Process id on `host`; 0 where the platform has none. */
  pid: number;
  /** Start of that process in clock ticks since boot (field 22 of /proc/PID/stat), or "" where unknown: tells a reused pid apart. */
  started: string;
  /** Host name, or "". */
  host: string;
  /** Boot id of that host, or "": after a reboot no claim of before is alive. */
  boot: string;
  /** "deno", "bun", "node" or "other". */
  runtime: string;
  /** When the claim was taken, ISO 8601. */
  since: string;
  /** Random text that makes this claim different from every other. */
  nonce: string;
}

/** What the store says about itself when it claims the storage: clock and entropy are the store's, never the adapter's. */
export interface LockRequest {
  /** When the claim is taken, milliseconds since 1970. */
  now: number;
  /** Random text, at least 16 characters. */
  nonce: string;
}

/** A writer claim that is held. */
export interface StorageLock {
  /** How strongly others are excluded. */
  readonly strength: LockStrength;
  /** What was written about the holder: this process. */
  readonly holder: LockHolder;
  /** The dead holder whose claim was taken over, when one was found. */
  readonly previous: LockHolder | undefined;
  /**
   * Throws FENCED when the claim was lost to another writer, and FILE_MOVED when the path no longer leads to what was claimed: renamed, removed or replaced. Looks at the path once, and with
   * strength `claim` at the claim.
   */
  verify(): void;
  /** Gives the claim back; a second call does nothing. */
  release(): void;
}

/** Where bytes are kept. One object is one open handle. */
export interface Storage {
  /** Base name for messages and errors; never a whole path. */
  readonly name: string;
  /**
   * Names the bytes behind this handle within the process, the same for every path that leads to them (device and inode of a file): two handles with equal identity are the same
   * storage.
   */
  readonly identity: string;
  /** What a completed sync promises here. */
  readonly durability: Durability;
  /** True when opened for reading only: write, truncate, sync and lock throw READ_ONLY. */
  readonly readOnly: boolean;
  /** True when `open` made the file: nothing was there before. */
  readonly created: boolean;

  /** Length in bytes now. Another process may change it at any time. */
  size(): number;

  /**
   * Reads from byte `at` into all of `into` and returns how many bytes were read: less than `into.length` only where the storage ends, 0 at or beyond the end. Bytes of `into` behind
   * that count are unchanged. Short reads of the platform are continued.
   *
   * Throws IO_READ.
   */
  read(at: number, into: Uint8Array): number;

  /**
   * Writes all of `from` at byte `at`, or throws. Writing at or beyond the end grows the storage; a gap between the old end and `at` reads as zeros. Short writes of the platform
   * are continued.
   *
   * Throws IO_WRITE, NO_SPACE, QUOTA, PERMISSION, READ_ONLY_MEDIUM, READ_ONLY.
   */
  write(at: number, from: Uint8Array): void;

  /** Cuts the storage to `size` bytes, or grows it with bytes that read as zeros (which reserves no space on the medium). */
  truncate(size: number): void;

  /** Makes everything written, and the length, durable. Throws SYNC_FAILED; the caller must then treat the handle as ended for writing. */
  sync(): void;

  /**
   * As `sync`, off the event loop where the platform can. Covers what was written before the call; writes made while it runs may or may not be covered. At most one may be in flight.
   */
  syncAsync(): Promise<void>;

  /**
   * Claims the storage for one writer, without waiting. Throws LOCKED with the holder in `detail.holder` when another process, or another handle of this process with the
   * same identity, holds it. A holder that is dead is no holder.
   */
  lock(request: LockRequest): StorageLock;

  /** Frees the platform's resources and the lock when held. A second call does nothing. Does not sync. */
  close(): void;
}
