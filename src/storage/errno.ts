// Errors of the platform become errors of this package: one table from errno to code, used by every adapter.
//
// Node and Bun throw errors with `code` and `syscall`; Deno sometimes throws them with neither (EINTR) or with a class name instead (NotCapable).
import { baseName, type ErrorCode, type ErrorDetail, isManifestError, ManifestError, type ManifestErrorFields } from "../errors.ts";

/** What was being done when the platform failed. */
export type IoAction = "open" | "create" | "read" | "write" | "truncate" | "sync" | "measure" | "lock" | "close";

const EVERYWHERE: Readonly<Record<string, ErrorCode>> = {
  EACCES: "PERMISSION",
  EPERM: "PERMISSION",
  NotCapable: "PERMISSION",
  PermissionDenied: "PERMISSION",
  EROFS: "READ_ONLY_MEDIUM",
  ENOSPC: "NO_SPACE",
  EDQUOT: "QUOTA",
  EFBIG: "QUOTA",
  EMFILE: "UNAVAILABLE",
  ENFILE: "UNAVAILABLE",
  ENOMEM: "UNAVAILABLE",
};

const AT_OPEN: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "NOT_FOUND",
  NotFound: "NOT_FOUND",
  ENOTDIR: "NOT_FOUND",
  EEXIST: "EXISTS",
  EISDIR: "NOT_A_REGULAR_FILE",
  ELOOP: "NOT_A_REGULAR_FILE",
  ENXIO: "NOT_A_REGULAR_FILE",
  ENODEV: "NOT_A_REGULAR_FILE",
  ENAMETOOLONG: "NAME_INVALID",
  EINVAL: "NAME_INVALID",
  EBUSY: "UNAVAILABLE",
  ETXTBSY: "UNAVAILABLE",
};

const OTHERWISE: Readonly<Record<IoAction, ErrorCode>> = {
  open: "IO_READ",
  create: "IO_WRITE",
  read: "IO_READ",
  write: "IO_WRITE",
  truncate: "IO_WRITE",
  sync: "SYNC_FAILED",
  measure: "IO_READ",
  lock: "IO_WRITE",
  close: "IO_WRITE",
};

/** What errors of calls on names below a folder mean where that differs from opening a file. */
const AT_NAME: Readonly<Record<string, ErrorCode>> = {
  ENOTDIR: "NOT_A_DIRECTORY",
  NotADirectory: "NOT_A_DIRECTORY",
  ENOTEMPTY: "EXISTS",
  FilesystemLoop: "NOT_A_REGULAR_FILE",
  IsADirectory: "NOT_A_REGULAR_FILE",
  AlreadyExists: "EXISTS",
};

const STATES: Partial<Readonly<Record<ErrorCode, string>>> = {
  PERMISSION: "permission denied",
  READ_ONLY_MEDIUM: "the medium is read-only",
  NO_SPACE: "no space left on the device",
  QUOTA: "the file would exceed a quota or size limit",
  UNAVAILABLE: "the system is out of a resource",
  NOT_FOUND: "no such file",
  EXISTS: "the file exists",
  NOT_A_REGULAR_FILE: "not a regular file",
  NOT_A_DIRECTORY: "not a directory",
  NAME_INVALID: "the name is not usable",
  SYNC_FAILED: "the sync failed, what is durable is unknown",
};

/** The errno name of a platform error ("EIO"), or its class name where it has none. */
export function errnoOf(error: unknown): string {
  const { code, name } = Object(error) as { code?: unknown; name?: unknown };
  if (typeof code === "string") return code;
  if (isInterrupted(error)) return "EINTR";
  return typeof name === "string" ? name : "unknown";
}

/** Whether the platform gave a call up because of a signal: it may be made again. */
export function isInterrupted(error: unknown): boolean {
  const { code, name, message } = Object(error) as { code?: unknown; name?: unknown; message?: unknown };
  if (code !== undefined) return code === "EINTR";
  return name === "Interrupted" || (typeof message === "string" && /interrupted system call|os error 4\b/i.test(message));
}

/**
 * The error for a failed platform call. A failed sync is always SYNC_FAILED; a failed read of bytes is IO_READ whatever the errno, unless access was denied.
 */
export function platformError(action: IoAction, name: string, error: unknown, facts: ErrorDetail = {}): ManifestErrorFields {
  if (isManifestError(error)) return error;
  const errno = errnoOf(error);
  const opening = action === "open" || action === "create" || action === "lock";
  let code = EVERYWHERE[errno] ?? (opening ? AT_OPEN[errno] : undefined) ?? OTHERWISE[action];
  if (action === "sync") code = "SYNC_FAILED";
  if (action === "read" && code !== "PERMISSION") code = "IO_READ";
  const syscall = (Object(error) as { syscall?: unknown }).syscall;
  const detail: Record<string, unknown> = { file: name, errno, ...facts };
  if (typeof syscall === "string") detail.syscall = syscall;
  return new ManifestError(code, `Cannot ${action} "${name}": ${STATES[code] ?? "input or output failed"} (${errno})`, {
    detail,
    cause: error,
    handle: opening ? "closed" : undefined,
  });
}

/** What was being done in a folder when the platform failed, and what that is an error of when nothing else is known. */
const IN_FOLDER = {
  open: "IO_READ",
  create: "IO_WRITE",
  list: "IO_READ",
  "look at": "IO_READ",
  rename: "IO_WRITE",
  remove: "IO_WRITE",
  "make directory": "IO_WRITE",
  "remove directory": "IO_WRITE",
  "sync directory": "SYNC_FAILED",
  measure: "IO_READ",
  read: "IO_READ",
  write: "IO_WRITE",
  sync: "SYNC_FAILED",
  close: "IO_WRITE",
} as const satisfies Record<string, ErrorCode>;

/** A call on a name or an open file in a folder. */
export type FolderAction = keyof typeof IN_FOLDER;

/** Calls on open files. */
const BYTES: ReadonlySet<FolderAction> = new Set(["measure", "read", "write", "sync", "close"]);

/** The error for a failed platform call on a name or an open file below a folder. The folder goes on: `handle` is "ok". As {@linkcode platformError} for reads and syncs. */
export function folderError(action: FolderAction, path: string, error: unknown, facts: ErrorDetail = {}): ManifestErrorFields {
  if (isManifestError(error)) return error;
  const errno = errnoOf(error);
  let code: ErrorCode = EVERYWHERE[errno] ?? (BYTES.has(action) ? undefined : AT_NAME[errno] ?? AT_OPEN[errno]) ?? IN_FOLDER[action];
  if (action === "sync") code = "SYNC_FAILED";
  if (action === "read" && code !== "PERMISSION") code = "IO_READ";
  const syscall = (Object(error) as { syscall?: unknown }).syscall;
  const detail: Record<string, unknown> = { file: path, errno, ...facts };
  if (typeof syscall === "string") detail.syscall = syscall;
  const state = errno === "ENOTEMPTY" ? "it is not empty" : STATES[code] ?? "input or output failed";
  return new ManifestError(code, `Cannot ${action} "${baseName(path)}": ${state} (${errno})`, { detail, cause: error, handle: "ok" });
}
