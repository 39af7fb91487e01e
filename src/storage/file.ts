// Storage in a file, over the synchronous positional calls of `node:fs`: the same code on Deno, Bun and Node.
//
// Invariants:
// - Only a regular file is ever opened for I/O: not a directory, FIFO, socket or device, and a symbolic link only when asked.
// - A new file is made exclusively, readable by its owner alone, and its directory is synced before `openFile` returns.
// - A descriptor is closed only when no sync is in flight on it: its number could already mean another file.
import { baseName, fail, failType, ManifestError } from "../errors.ts";
import { errnoOf, isInterrupted, platformError } from "./errno.ts";
import { type FileLock, lockFile, type Locking, recordOf } from "./file_lock.ts";
import { checkRange, failClosed, failReadOnly, syncInFlight } from "./guard.ts";
import { holderOf } from "./lock_record.ts";
import { builtinModule, type FileStat, mayAskSystem, type NodeFs, type NodePath, platformName, runtimeName } from "./platform.ts";
import { claimIdentity } from "./registry.ts";
import type { Durability, LockRequest, Storage, StorageLock } from "./storage.ts";

/** How to open a file. */
export interface FileOpenOptions {
  /** Make the file when it is missing; without it that is NOT_FOUND. */
  create?: boolean;
  /** Open for reading only: no lock, no writes, no new file. */
  readOnly?: boolean;
  /** Open what a symbolic link leads to; without it a link is NOT_A_REGULAR_FILE. The lock lies beside the file it leads to. */
  followSymlink?: boolean;
  /** How the file may be locked. */
  locking?: Locking;
}

/** No file system has longer names: what is longer is cut in errors. */
const NAME_LENGTH = 255;
const MODE = 0o600;
const PART = 1 << 30;
const OPEN_RACES = 8;
const INTERRUPTS = 1000;

// statfs types whose files end with the machine's memory, or whose sync is another machine's word.
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const REMOTE: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x01021997, 0x65735546]);

/** Opens a file as storage. `fs` is the runtime's unless another is given. */
export function openFile(path: string | URL, options: FileOpenOptions = {}, fs: NodeFs = nodeFs()): FileStorage {
  const paths = nodePath();
  let full = paths.resolve(pathText(path));
  const name = baseName(full).slice(0, NAME_LENGTH);
  const readOnly = options.readOnly ?? false;
  const { O_RDONLY = 0, O_RDWR = 2, O_CREAT = 0o100, O_EXCL = 0o200, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  for (let race = 0; race < OPEN_RACES; race++) {
    const found = lookAt(fs, full, name);
    if (found?.isSymbolicLink()) {
      if (options.followSymlink !== true) failKind(name, "a symbolic link, and followSymlink is not set");
      full = resolveLink(fs, full, name);
      continue;
    }
    const create = found === undefined;
    if (create && (options.create !== true || readOnly)) {
      fail("NOT_FOUND", `Cannot open "${name}": no such file`, { handle: "closed", detail: { file: name } });
    }
    if (found !== undefined && !found.isFile()) failKind(name, found.isDirectory() ? "a directory" : "not a regular file");
    // O_NONBLOCK: if a FIFO takes the file's place just now, the open must not wait for its other end.
    const flags = (readOnly ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT | O_EXCL : 0);
    let fd: number;
    try {
      fd = uninterrupted(() => fs.openSync(full, flags, MODE));
    } catch (error) {
      const errno = errnoOf(error);
      if (create ? errno === "EEXIST" : errno === "ENOENT" || errno === "ELOOP") continue; // it changed since the look: look again
      throw platformError(create ? "create" : "open", name, error);
    }
    try {
      const stat = fs.fstatSync(fd, { bigint: true });
      if (!stat.isFile()) failKind(name, "not a regular file");
      if (create) syncDirectory(fs, paths.dirname(full), name);
      return new FileStorage(fs, fd, full, stat, { created: create, readOnly, locking: options.locking ?? "auto" });
    } catch (error) {
      fs.closeSync(fd);
      if (create) discard(fs, full);
      throw platformError(create ? "create" : "open", name, error);
    }
  }
  fail("UNAVAILABLE", `Cannot open "${name}": the file keeps changing`, { handle: "closed", detail: { file: name } });
}

/** Whether this runtime has files that are durable. */
export function hasFiles(): boolean {
  return runtimeName() !== "workerd" && builtinModule("node:fs") !== undefined && builtinModule("node:path") !== undefined;
}

/** `node:fs`; RUNTIME_UNSUPPORTED where no file is durable. */
export function nodeFs(): NodeFs {
  // workerd can offer a node:fs whose writes end with the request: a store there would lose everything without a word.
  if (!hasFiles()) {
    fail("RUNTIME_UNSUPPORTED", "Cannot open a file: this runtime has no durable files", { detail: { runtime: runtimeName() } });
  }
  return builtinModule<NodeFs>("node:fs")!;
}

/** `node:path`. */
export function nodePath(): NodePath {
  return builtinModule<NodePath>("node:path")!;
}

/** The path that a caller has given. */
export function pathText(path: string | URL): string {
  if (path instanceof URL) {
    if (path.protocol !== "file:") failType("Cannot open a file: the URL is not a file: URL", { protocol: path.protocol });
    return builtinModule<{ fileURLToPath(url: URL): string }>("node:url")!.fileURLToPath(path);
  }
  if (typeof path !== "string") failType("Cannot open a file: the path is neither a string nor a URL");
  if (path === "" || path.includes("\0")) failType("Cannot open a file: the path is empty or holds a NUL character");
  return path;
}

function failKind(name: string, state: string): never {
  fail("NOT_A_REGULAR_FILE", `Cannot open "${name}": it is ${state}`, { detail: { file: name } });
}

function lookAt(fs: NodeFs, path: string, name: string): FileStat | undefined {
  try {
    return uninterrupted(() => fs.lstatSync(path, { bigint: true }));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw platformError("open", name, error);
  }
}

function resolveLink(fs: NodeFs, path: string, name: string): string {
  try {
    return fs.realpathSync(path);
  } catch (error) {
    throw platformError("open", name, error);
  }
}

// Some systems have no directories to open or to sync; there the name of a new file is as durable as they make it.
function syncDirectory(fs: NodeFs, directory: string, name: string): void {
  if (platformName() === "win32") return;
  const { O_RDONLY = 0, O_DIRECTORY = 0 } = fs.constants;
  let fd: number | undefined;
  try {
    fd = uninterrupted(() => fs.openSync(directory, O_RDONLY | O_DIRECTORY));
    uninterrupted(() => fs.fsyncSync(fd!));
  } catch (error) {
    if (!["EINVAL", "ENOTSUP", "EOPNOTSUPP"].includes(errnoOf(error))) {
      throw platformError("create", name, error, { step: "sync of the directory" });
    }
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function discard(fs: NodeFs, path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // an empty file stays behind, which creation may take over
  }
}

function uninterrupted<T>(call: () => T): T {
  for (let interrupts = 0;; interrupts++) {
    try {
      return call();
    } catch (error) {
      if (!isInterrupted(error) || interrupts === INTERRUPTS) throw error;
    }
  }
}

/** What a sync of a file at this path promises, as far as the system tells. */
export function durabilityOf(fs: Pick<NodeFs, "statfsSync">, path: string): Durability {
  if (platformName() === "linux" && fs.statfsSync !== undefined && mayAskSystem("statfs")) {
    try {
      const { type } = fs.statfsSync(path);
      if (IN_MEMORY.has(type)) return "memory";
      if (REMOTE.has(type)) return "best-effort";
    } catch {
      // said of the platform in general, then
    }
  }
  // macOS flushes the drive only on F_FULLFSYNC, which Deno and Node ask for and Bun does not.
  return platformName() === "darwin" && runtimeName() === "bun" ? "os" : "media";
}

/** A file as storage; made by {@linkcode openFile}. */
export class FileStorage implements Storage {
  readonly name: string;
  readonly identity: string;
  readonly durability: Durability;
  readonly readOnly: boolean;
  readonly created: boolean;
  /** Absolute path, symbolic links resolved; not for errors. */
  readonly path: string;
  #fs: NodeFs;
  #fd: number;
  #locking: Locking;
  #lock: StorageLock | undefined;
  #closed = false;
  #syncing = false;

  /** Takes over an open descriptor of a regular file. */
  constructor(fs: NodeFs, fd: number, path: string, stat: FileStat, facts: { created: boolean; readOnly: boolean; locking: Locking }) {
    this.#fs = fs;
    this.#fd = fd;
    this.#locking = facts.locking;
    this.path = path;
    this.name = baseName(path);
    this.identity = `${stat.dev}:${stat.ino}`;
    this.durability = durabilityOf(fs, path);
    this.readOnly = facts.readOnly;
    this.created = facts.created;
  }

  size(): number {
    if (this.#closed) failClosed("measure", this.name);
    for (;;) {
      try {
        return this.#fs.fstatSync(this.#fd).size;
      } catch (error) {
        if (!isInterrupted(error)) throw platformError("measure", this.name, error);
      }
    }
  }

  read(at: number, into: Uint8Array): number {
    if (this.#closed) failClosed("read", this.name);
    checkRange("read", at, into.length);
    let done = 0;
    for (let stalls = 0, interrupts = 0; done < into.length;) {
      const length = Math.min(into.length - done, PART);
      let got: number;
      try {
        got = this.#fs.readSync(this.#fd, into, done, length, at + done);
      } catch (error) {
        if (isInterrupted(error) && ++interrupts < INTERRUPTS) continue;
        throw platformError("read", this.name, error, { offset: at + done, length });
      }
      if (got > 0) {
        done += got;
        stalls = 0;
      } else if (at + done >= this.size()) {
        break;
      } else if (++stalls === 2) {
        throw this.#stalled("IO_READ", "read", at + done, length);
      }
    }
    return done;
  }

  write(at: number, from: Uint8Array): void {
    this.#checkWritable("write");
    checkRange("write", at, from.length);
    for (let done = 0, stalls = 0, interrupts = 0; done < from.length;) {
      const length = Math.min(from.length - done, PART);
      let put: number;
      try {
        put = this.#fs.writeSync(this.#fd, from, done, length, at + done);
      } catch (error) {
        if (isInterrupted(error) && ++interrupts < INTERRUPTS) continue;
        throw platformError("write", this.name, error, { offset: at + done, length });
      }
      done += put;
      if (put > 0) stalls = 0;
      else if (++stalls === 2) throw this.#stalled("IO_WRITE", "write", at + done, length);
    }
  }

  truncate(size: number): void {
    this.#checkWritable("truncate");
    checkRange("truncate", size, 0);
    try {
      uninterrupted(() => this.#fs.ftruncateSync(this.#fd, size));
    } catch (error) {
      throw platformError("truncate", this.name, error, { length: size });
    }
  }

  sync(): void {
    this.#checkWritable("sync");
    if (this.#syncing) throw syncInFlight(this.name);
    try {
      // An interrupted sync has not failed: no write error was taken off the file's record, so asking again is sound.
      uninterrupted(() => this.#fs.fdatasyncSync(this.#fd));
    } catch (error) {
      throw platformError("sync", this.name, error);
    }
  }

  async syncAsync(): Promise<void> {
    this.#checkWritable("sync");
    if (this.#syncing) throw syncInFlight(this.name);
    this.#syncing = true;
    try {
      for (let interrupts = 0;; interrupts++) {
        const error = await new Promise<Error | null>((done) => this.#fs.fdatasync(this.#fd, done));
        if (!error) return;
        if (!isInterrupted(error) || interrupts === INTERRUPTS) throw platformError("sync", this.name, error);
      }
    } finally {
      this.#syncing = false;
      if (this.#closed) this.#free();
    }
  }

  lock(request: LockRequest): StorageLock {
    this.#checkWritable("lock");
    const holder = holderOf(recordOf(this.#fs, request, "kernel"));
    const forget = claimIdentity(this.identity, this.name, holder);
    try {
      const lock = lockFile(this.#fs, { path: this.path, name: this.name, identity: this.identity, locking: this.#locking }, request);
      this.#lock = registered(lock, forget);
      return this.#lock;
    } catch (error) {
      forget();
      throw error;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#syncing) this.#free();
  }

  #free(): void {
    this.#lock?.release();
    try {
      this.#fs.closeSync(this.#fd);
    } catch (error) {
      if (!isInterrupted(error)) throw platformError("close", this.name, error);
    }
  }

  #checkWritable(action: string): void {
    if (this.#closed) failClosed(action, this.name);
    if (this.readOnly) failReadOnly(action, this.name);
  }

  #stalled(code: "IO_READ" | "IO_WRITE", action: string, offset: number, length: number): ManifestError {
    return new ManifestError(code, `Cannot ${action} "${this.name}": the system makes no progress`, {
      detail: { file: this.name, offset, length },
    });
  }
}

// The claim of the process goes with the claim of the file.
function registered(lock: FileLock, forget: () => void): StorageLock {
  const { strength, holder, previous } = lock;
  return {
    strength,
    holder,
    previous,
    verify: () => lock.verify(),
    release: () => {
      lock.release();
      forget();
    },
  };
}
