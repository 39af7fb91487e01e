// The folder contract: the files beside a manifest, as catalogs of files need them.
//
// Rules that every adapter keeps (tests/support/folder_suite.ts is the definition in code):
// - A path is relative and passes `checkRelativePath` (relative_path.ts), which every call makes: it cannot lead out of the folder. "" is the folder itself, where a directory is asked for; it need not exist, and may be reached over a link.
// - No call follows a symbolic link below the folder, at any segment: NOT_A_REGULAR_FILE. A file where the path needs a directory is NOT_A_DIRECTORY.
// - A file is durable when it has been synced since its last write. Its name is durable when the directory that holds it has been synced since; so is a rename (both directories) and a removal.
// - `rename` replaces a file that is there; `create` does not (EXISTS). Neither makes a directory.
// - An open file goes on when its name is moved or removed, until it is closed.
// - After a failed write the bytes of its range are undefined, all others untouched. A failed sync is reported once and never retried here.
// - Errors are ManifestError with `file` (the relative path) in detail, and only its last segment in the message. Their `handle` is "ok": the folder goes on. Paths that are refused are NAME_INVALID.
import type { Durability, Storage } from "./storage.ts";

/** What lies under a name. */
export type EntryKind = "file" | "directory" | "link" | "other";

/** A name in a directory. */
export interface FolderEntry {
  /** One segment of a path. It may be a name that `checkRelativePath` refuses. */
  readonly name: string;
  /** What it is; links are not followed. */
  readonly kind: EntryKind;
}

/** What the file system says of a path or an open file. */
export interface FileFacts {
  /** What it is; links are not followed. */
  readonly kind: EntryKind;
  /** Length in bytes. */
  readonly sizeBytes: number;
  /** Last modification, milliseconds since 1970, perhaps with a fraction. Runtimes tell it with different precision, and systems advance it in steps: equal times do not prove equal bytes. */
  readonly modifiedAt: number;
  /** Since when it has been what it is and where it is, as far as the system tells: the latest of its last modification, the last change of its name, owner or mode, and its birth. Never before `modifiedAt`; nobody sets it back. */
  readonly changedAt: number;
  /** The same for the same file, whatever its name, as long as it lives: device and inode. */
  readonly identity: string;
}

/** A file that is open. */
export interface FolderFile {
  /** What it is now. */
  facts(): Promise<FileFacts>;
  /** Reads from byte `at` into all of `into`, and returns how many bytes were read: fewer only where the file ends. `into` must not be memory of WebAssembly that may grow meanwhile. IO_READ. */
  read(at: number, into: Uint8Array): Promise<number>;
  /** Writes all of `from` at byte `at`, or throws. The bytes are not changed by the caller until it has resolved. A gap before `at` reads as zeros. IO_WRITE, NO_SPACE, QUOTA, READ_ONLY. */
  write(at: number, from: Uint8Array): Promise<void>;
  /** Makes everything written, and the length, durable. SYNC_FAILED. */
  sync(): Promise<void>;
  /** Frees what it holds, when the calls under way have ended; does not sync. A second call does nothing; every other call behind it throws HANDLE_CLOSED. */
  close(): Promise<void>;
}

/** A folder of files. */
export interface Folder {
  /** Base name for messages and errors; never a whole path. */
  readonly name: string;
  /** What a completed sync promises here. */
  readonly durability: Durability;
  /** Names in a directory, in no order. NOT_FOUND, NOT_A_DIRECTORY. */
  list(directory: string): Promise<FolderEntry[]>;
  /** What lies at a path ("": the folder); undefined when there is nothing, also when a directory on the way is missing. A link at the last segment is told as one. */
  facts(path: string): Promise<FileFacts | undefined>;
  /** Opens a regular file; only read and, with the platform's leave, sync are allowed. NOT_FOUND, NOT_A_REGULAR_FILE. */
  open(path: string): Promise<FolderFile>;
  /** Makes a file that is not there and opens it. EXISTS, also for a directory or a link; NOT_FOUND when its directory is missing. */
  create(path: string): Promise<FolderFile>;
  /**
   * Gives a file or a directory another name, at once. A file takes the place of one that may be there; a directory only one where nothing is (EXISTS), and never one inside itself (NAME_INVALID).
   * NOT_FOUND; NOT_A_REGULAR_FILE for links and devices, and for a file in the place of a directory.
   */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, a link or a device; false when there is none. NOT_A_REGULAR_FILE for a directory. */
  remove(path: string): Promise<boolean>;
  /** Makes a directory unless there is one. NOT_FOUND when its parent is missing, EXISTS when something else is there. For "" the name in the parent is made durable too: nobody else can. */
  makeDirectory(directory: string): Promise<void>;
  /** Removes an empty directory; false when there is none. EXISTS when it is not empty, NOT_A_DIRECTORY when it is something else. */
  removeDirectory(directory: string): Promise<boolean>;
  /** Makes the names in a directory durable. SYNC_FAILED; NOT_FOUND, NOT_A_DIRECTORY. */
  syncDirectory(directory: string): Promise<void>;
  /** A manifest's storage in the folder; it is the caller's to close. NOT_FOUND when there is no such file and `create` is not set; NOT_A_REGULAR_FILE. */
  storage(path: string, options?: { create?: boolean; readOnly?: boolean }): Storage;
}
