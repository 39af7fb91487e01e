// Codes of errors: what each one asks of the caller, and what it says of the store and the handle unless the place that throws it knows better.
//
// Every code is described in docs/errors.md and provoked in tests/errors: one that nothing throws does not belong here.

/** What the caller of a failed operation should do. */
export type ErrorKind =
  /** Fix the call. */
  | "usage"
  /** Read again and retry the transaction. */
  | "conflict"
  /** Retry later on the same handle. */
  | "unavailable"
  /** Ask `resolve(commitId)` before retrying. */
  | "unknown_outcome"
  /** Close, look at the device, open again. */
  | "io"
  /** Run the check; restore or salvage. */
  | "data"
  /** Fix the deployment. */
  | "config"
  /** Report it: a defect in this package. */
  | "internal";

/** Whether the failed operation changed the store. */
export type ErrorOutcome = "not_applied" | "applied" | "unknown";

/** What is left of the handle: usable, usable for reading only, or not usable (never opened, or closed). */
export type ErrorHandle = "ok" | "read_only" | "closed";

/** Stable code of an error. */
export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "LIMIT"
  | "TXN_CLOSED"
  | "HANDLE_CLOSED"
  | "READ_ONLY"
  | "NOT_FOUND"
  | "EXISTS"
  | "NAME_INVALID"
  | "TABLE_UNKNOWN"
  | "SCHEMA_MISMATCH"
  | "SCHEMA_TOO_NEW"
  | "ILLEGAL_TRANSITION"
  | "REFCOUNT_UNDERFLOW"
  | "CALLBACK_FAILED"
  | "CURSOR_UNKNOWN"
  | "CURSOR_TRUNCATED"
  | "ABORTED"
  | "CATALOG_MISMATCH"
  | "BACKUP_MISMATCH"
  | "LEVEL_OVERLAP"
  | "CONFLICT"
  | "OBJECT_CONDEMNED"
  | "FILE_CHANGED"
  | "LOCKED"
  | "FENCED"
  | "SNAPSHOT_EXPIRED"
  | "UNAVAILABLE"
  | "TIMEOUT"
  | "NO_SPACE"
  | "QUOTA"
  | "FLUSH_FAILED"
  | "COMMIT_UNKNOWN"
  | "SYNC_FAILED"
  | "IO_READ"
  | "IO_WRITE"
  | "PERMISSION"
  | "READ_ONLY_MEDIUM"
  | "FILE_MOVED"
  | "NOT_A_REGULAR_FILE"
  | "NOT_A_DIRECTORY"
  | "CORRUPT_HEADER"
  | "CORRUPT_PAGE"
  | "CORRUPT_RECORD"
  | "CORRUPT_JOURNAL"
  | "CORRUPT_LOG"
  | "TRUNCATED"
  | "EMPTY_FILE"
  | "ROLLED_BACK"
  | "FILE_DAMAGED"
  | "NOT_A_MANIFEST"
  | "FORMAT_TOO_NEW"
  | "FORMAT_TOO_OLD"
  | "UNKNOWN_FEATURE"
  | "ORPHANS_REFUSED"
  | "BACKUP_DAMAGED"
  | "BACKUP_INCOMPLETE"
  | "RUNTIME_UNSUPPORTED"
  | "CORE_TRAP"
  | "INVARIANT";

/** What a code implies unless a call site says otherwise: kind, retryable, handle ("ok" when not said), outcome ("not_applied" when not said). */
export type CodeRow = readonly [kind: ErrorKind, retryable: boolean, handle?: ErrorHandle, outcome?: ErrorOutcome];

/** What each code implies. */
export const CODES: Readonly<Record<ErrorCode, CodeRow>> = {
  // usage
  INVALID_ARGUMENT: ["usage", false],
  LIMIT: ["usage", false],
  TXN_CLOSED: ["usage", false],
  HANDLE_CLOSED: ["usage", false, "closed"],
  READ_ONLY: ["usage", false],
  NOT_FOUND: ["usage", false],
  EXISTS: ["usage", false],
  NAME_INVALID: ["usage", false],
  TABLE_UNKNOWN: ["usage", false],
  SCHEMA_MISMATCH: ["usage", false],
  SCHEMA_TOO_NEW: ["usage", false],
  ILLEGAL_TRANSITION: ["usage", false],
  REFCOUNT_UNDERFLOW: ["usage", false],
  CALLBACK_FAILED: ["usage", false],
  CURSOR_UNKNOWN: ["usage", false],
  CURSOR_TRUNCATED: ["usage", false],
  ABORTED: ["usage", false],
  CATALOG_MISMATCH: ["usage", false],
  BACKUP_MISMATCH: ["usage", false],
  LEVEL_OVERLAP: ["usage", false],
  // conflict
  CONFLICT: ["conflict", true],
  OBJECT_CONDEMNED: ["conflict", true],
  FILE_CHANGED: ["conflict", true],
  LOCKED: ["conflict", true, "closed"],
  FENCED: ["conflict", false, "read_only"],
  SNAPSHOT_EXPIRED: ["conflict", true],
  // unavailable
  UNAVAILABLE: ["unavailable", true],
  TIMEOUT: ["unavailable", true],
  NO_SPACE: ["unavailable", true],
  QUOTA: ["unavailable", true],
  FLUSH_FAILED: ["unavailable", true],
  // unknown outcome
  COMMIT_UNKNOWN: ["unknown_outcome", false, "read_only", "unknown"],
  SYNC_FAILED: ["unknown_outcome", false, "read_only", "unknown"],
  // io
  IO_READ: ["io", false],
  IO_WRITE: ["io", false],
  PERMISSION: ["io", false],
  READ_ONLY_MEDIUM: ["io", false],
  FILE_MOVED: ["io", false, "closed"],
  NOT_A_REGULAR_FILE: ["io", false, "closed"],
  NOT_A_DIRECTORY: ["io", false],
  // data
  CORRUPT_HEADER: ["data", false],
  CORRUPT_PAGE: ["data", false],
  CORRUPT_RECORD: ["data", false],
  CORRUPT_JOURNAL: ["data", false],
  CORRUPT_LOG: ["data", false],
  TRUNCATED: ["data", false, "closed"],
  EMPTY_FILE: ["data", false, "closed"],
  ROLLED_BACK: ["data", false, "closed"],
  FILE_DAMAGED: ["data", false],
  NOT_A_MANIFEST: ["data", false, "closed"],
  FORMAT_TOO_NEW: ["data", false, "closed"],
  FORMAT_TOO_OLD: ["data", false, "closed"],
  UNKNOWN_FEATURE: ["data", false, "closed"],
  ORPHANS_REFUSED: ["data", false],
  BACKUP_DAMAGED: ["data", false],
  BACKUP_INCOMPLETE: ["data", false],
  // config
  RUNTIME_UNSUPPORTED: ["config", false, "closed"],
  // internal
  CORE_TRAP: ["internal", false, "closed"],
  INVARIANT: ["internal", false, "closed", "unknown"],
};
