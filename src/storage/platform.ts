// The runtime underneath: node:fs and its neighbours where they exist, and who this process is.
//
// No static `node:` import: bundles for browsers and edge runtimes hold this file too. Modules come through `process.getBuiltinModule`, which Deno, Bun and Node have.
// Only the few functions that the file adapter calls are typed here, so that no types of a runtime are needed to check this package.

/** What `fs.fstatSync(fd, { bigint: true })` answers, as far as it is used. */
export interface FileStat {
  /** Device. */
  readonly dev: bigint;
  /** Inode. */
  readonly ino: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** A regular file. */
  isFile(): boolean;
  /** A symbolic link (lstat only). */
  isSymbolicLink(): boolean;
  /** A directory. */
  isDirectory(): boolean;
}

/** The part of `node:fs` that the file adapter uses. */
export interface NodeFs {
  /** Flags of open, by name; some are missing on some systems. */
  readonly constants: Readonly<Record<string, number | undefined>>;
  /** open(2). */
  openSync(path: string, flags: number, mode?: number): number;
  /** close(2). */
  closeSync(fd: number): void;
  /** pread(2): bytes read, perhaps fewer than asked. */
  readSync(fd: number, into: Uint8Array, offset: number, length: number, position: number): number;
  /** pwrite(2): bytes written, perhaps fewer than given. */
  writeSync(fd: number, from: Uint8Array, offset: number, length: number, position: number): number;
  /** ftruncate(2). */
  ftruncateSync(fd: number, length: number): void;
  /** fdatasync(2). */
  fdatasyncSync(fd: number): void;
  /** fdatasync(2) off the event loop. */
  fdatasync(fd: number, done: (error: Error | null) => void): void;
  /** fsync(2); for directories. */
  fsyncSync(fd: number): void;
  /** fstat(2). */
  fstatSync(fd: number): { size: number };
  /** fstat(2) with exact numbers. */
  fstatSync(fd: number, options: { bigint: true }): FileStat;
  /** lstat(2). */
  lstatSync(path: string, options: { bigint: true }): FileStat;
  /** statfs(2); newer than the rest. */
  statfsSync?(path: string): { type: number };
  /** The path without symbolic links. */
  realpathSync(path: string): string;
  /** Names in a directory. */
  readdirSync(path: string): string[];
  /** A small text file. */
  readFileSync(path: string, encoding: "utf8"): string;
  /** Writes a small text file. */
  writeFileSync(path: string, text: string, options: { flag: string; mode: number }): void;
  /** mkdir(2). */
  mkdirSync(path: string, options: { mode: number }): void;
  /** rename(2). */
  renameSync(from: string, to: string): void;
  /** unlink(2). */
  unlinkSync(path: string): void;
}

/** What a callback of `node:fs` is given. */
export type NodeCallback<T = void> = (error: Error | null, result: T) => void;

/** What `lstat` answers, as far as the folder adapter uses it. */
export interface FolderStat extends FileStat {
  /** Last modification, milliseconds since 1970. */
  readonly mtimeMs: bigint;
  /** The same in nanoseconds. */
  readonly mtimeNs: bigint;
  /** Last change of what is known of it, its name included, nanoseconds since 1970. */
  readonly ctimeNs: bigint;
  /** When it was made; 0 or something else, even a time to come, where that is not known. */
  readonly birthtimeNs?: bigint;
}

/** A name that `readdir` has found. */
export interface NodeEntry {
  /** One segment. */
  readonly name: string;
  /** A regular file. */
  isFile(): boolean;
  /** A symbolic link. */
  isSymbolicLink(): boolean;
  /** A directory. */
  isDirectory(): boolean;
}

/** The part of `node:fs` that the folder adapter uses: looks are synchronous, whatever may take long is not. */
export interface NodeFolderFs extends Pick<NodeFs, "constants" | "openSync" | "closeSync" | "realpathSync" | "statfsSync"> {
  /** fstat(2). */
  fstatSync(fd: number, options: { bigint: true }): FolderStat;
  /** lstat(2). */
  lstatSync(path: string, options: { bigint: true }): FolderStat;
  /** pread(2): bytes read, perhaps fewer than asked. */
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number, done: NodeCallback<number>): void;
  /** pwrite(2): bytes written, perhaps fewer than given. */
  write(fd: number, from: Uint8Array, offset: number, length: number, position: number, done: NodeCallback<number>): void;
  /** fdatasync(2). */
  fdatasync(fd: number, done: NodeCallback): void;
  /** fsync(2); for directories. */
  fsync(fd: number, done: NodeCallback): void;
  /** Names in a directory. */
  readdir(path: string, options: { withFileTypes: true }, done: NodeCallback<NodeEntry[]>): void;
  /** rename(2). */
  rename(from: string, to: string, done: NodeCallback): void;
  /** unlink(2). */
  unlink(path: string, done: NodeCallback): void;
  /** mkdir(2). */
  mkdir(path: string, options: { mode: number }, done: NodeCallback): void;
  /** rmdir(2). */
  rmdir(path: string, done: NodeCallback): void;
}

/** The part of `node:child_process` that the lock uses. */
export interface NodeChildProcess {
  /** Runs a program and waits for it. */
  spawnSync(
    command: string,
    args: readonly string[],
    options: { stdio: readonly (string | number)[]; timeout: number },
  ): { status: number | null; error?: Error & { code?: string } };
}

/** The part of `node:path` that the file adapter uses. */
export interface NodePath {
  /** The directory part. */
  dirname(path: string): string;
  /** The absolute path. */
  resolve(path: string): string;
}

/** The part of the `Deno` namespace that the lock uses. */
export interface DenoNamespace {
  /** Opens a file. */
  openSync(path: string, options: { read: boolean; write?: boolean; create?: boolean; mode?: number }): DenoFile;
  /** What may be done without asking. */
  permissions?: { querySync?(descriptor: { name: string; path?: string; kind?: string }): { state: string } };
}

/** The part of `Deno.FsFile` that the lock uses. */
export interface DenoFile {
  /** flock(2) without waiting. */
  tryLockSync?(exclusive: boolean): boolean;
  /** fstat(2). */
  statSync(): { dev: number; ino: number | null };
  /** close(2). */
  close(): void;
}

/** The part of `bun:ffi` that the lock uses. */
export interface BunFfi {
  /** Loads a library. */
  dlopen(
    library: string,
    symbols: Record<string, { args: readonly string[]; returns: string }>,
  ): { symbols: Record<string, (...args: number[]) => number> };
  /** Reads memory by address. */
  read: {
    /** A signed 32-bit number. */
    i32(address: number, offset: number): number;
  };
}

interface NodeProcess {
  readonly pid?: number;
  readonly platform?: string;
  getBuiltinModule?(name: string): unknown;
  kill?(pid: number, signal: number): unknown;
}

interface Globals {
  readonly process?: NodeProcess;
  readonly Deno?: DenoNamespace;
  readonly Bun?: unknown;
  readonly navigator?: { readonly userAgent?: string };
  readonly require?: (name: string) => unknown;
}

const globals: Globals = globalThis as unknown as Globals;

/** The runtime's name as it stands in the lock file. */
export type RuntimeName = "deno" | "bun" | "node" | "workerd" | "other";

/** Which runtime this is. */
export function runtimeName(): RuntimeName {
  if (globals.navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  if (globals.Deno !== undefined) return "deno";
  if (globals.Bun !== undefined) return "bun";
  return globals.process?.getBuiltinModule !== undefined ? "node" : "other";
}

/** A built-in module of the runtime, or undefined where it has none. */
export function builtinModule<T>(name: string): T | undefined {
  try {
    return globals.process?.getBuiltinModule?.(name) as T | undefined;
  } catch {
    return undefined;
  }
}

/** The `Deno` namespace, or undefined elsewhere. */
export function denoNamespace(): DenoNamespace | undefined {
  return globals.Deno;
}

/** The operating system as Node names it ("linux", "darwin", "win32"), or "". */
export function platformName(): string {
  return globals.process?.platform ?? "";
}

/** This process's id, or 0. */
export function processId(): number {
  return globals.process?.pid ?? 0;
}

/**
 * Whether a read-only look outside the user's file may be tried. In Deno a call without permission can stop at a prompt, which a store must not cause; elsewhere true.
 */
export function mayRead(path: string): boolean {
  return mayUse({ name: "read", path });
}

/** As {@linkcode mayRead} for a fact about the system, such as "statfs". */
export function mayAskSystem(kind: string): boolean {
  return mayUse({ name: "sys", kind });
}

function mayUse(descriptor: { name: string; path?: string; kind?: string }): boolean {
  if (globals.Deno === undefined) return true;
  try {
    return globals.Deno.permissions?.querySync?.(descriptor).state === "granted";
  } catch {
    return false;
  }
}

/** Whether a process with this id exists; true when that cannot be found out. */
export function processExists(pid: number): boolean {
  try {
    globals.process?.kill?.(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== "ESRCH";
  }
}

/** Stops this thread for some milliseconds, where the platform lets it. */
export function pause(milliseconds: number): void {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  } catch {
    // The main thread of a browser may not wait; the caller's loop then turns faster.
  }
}
