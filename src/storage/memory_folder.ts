// deno-lint-ignore-file require-await
// A folder in memory: for tests, for catalogs that end with the process, and for runtimes without files.
//
// Bytes live in `MemoryFile`s, which outlive their names: an open file goes on when it is removed. Everything is durable as soon as it is done, for as long as the process lives.
import { failType } from "../errors.ts";
import type { EntryKind, FileFacts, Folder, FolderEntry, FolderFile } from "./folder.ts";
import { checkDirectory, checkFile, checkRename, failEntry, failMissing, findNode, lastOf, needDirectory } from "./folder_entry.ts";
import { checkRange, failClosed, failReadOnly } from "./guard.ts";
import { MemoryFile, MemoryStorage } from "./memory.ts";
import { checkDirectoryPath, checkRelativePath, directoryOf } from "./relative_path.ts";
import type { Durability, Storage } from "./storage.ts";

/** Where a folder in memory takes the time from: an environment is one. */
export interface FolderClock {
  /** Milliseconds since 1970. */
  now(): number;
}

/**
 * A folder in memory, empty. Files are given the time of `clock` when they are made, written and renamed; without a clock it is always 1970, so that every file counts as old.
 *
 * INVALID_ARGUMENT for a clock without `now`.
 */
export function memoryFolder(clock?: FolderClock): Folder {
  if (clock !== undefined && typeof clock?.now !== "function") failType("Cannot make folder: the clock has no now()", { field: "clock" });
  return new MemoryFolder(clock ?? { now: () => 0 });
}

class Directory {
  readonly kind: EntryKind = "directory";
  readonly names = new Map<string, Directory | File>();
  readonly identity = new MemoryFile(undefined, "directory").identity;
  changedAt: number;
  constructor(public modifiedAt: number) {
    this.changedAt = modifiedAt;
  }
}

class File {
  readonly kind: EntryKind = "file";
  readonly names?: never;
  changedAt: number;
  constructor(readonly bytes: MemoryFile, public modifiedAt: number) {
    this.changedAt = modifiedAt;
  }
}

function factsOf(node: Directory | File): FileFacts {
  const { kind, modifiedAt, changedAt } = node;
  if (node instanceof Directory) return { kind, sizeBytes: 0, modifiedAt, changedAt, identity: node.identity };
  return { kind, sizeBytes: node.bytes.size, modifiedAt, changedAt, identity: node.bytes.identity };
}

class MemoryFolder implements Folder {
  readonly name = "memory";
  readonly durability: Durability = "memory";
  #clock: FolderClock;
  #root: Directory;

  constructor(clock: FolderClock) {
    this.#clock = clock;
    this.#root = new Directory(clock.now());
  }

  async list(directory: string): Promise<FolderEntry[]> {
    checkDirectoryPath(directory, "list");
    return [...this.#directory(directory, "list").names].map(([name, { kind }]) => ({ name, kind }));
  }

  async facts(path: string): Promise<FileFacts | undefined> {
    checkDirectoryPath(path, "look at");
    const node = this.#find(path, "look at");
    return node && factsOf(node);
  }

  async open(path: string): Promise<FolderFile> {
    checkRelativePath(path, "open");
    const node = this.#find(path, "open");
    if (node === undefined) failMissing("open", path);
    checkFile(node.kind, "open", path);
    return new OpenMemoryFile(node as File, path, this.#clock, true);
  }

  async create(path: string): Promise<FolderFile> {
    checkRelativePath(path, "create");
    const { names } = this.#directory(directoryOf(path), "create");
    if (names.has(lastOf(path))) failEntry("EXISTS", "create", path, "the file exists");
    const file = new File(new MemoryFile(undefined, lastOf(path)), this.#clock.now());
    names.set(lastOf(path), file);
    return new OpenMemoryFile(file, path, this.#clock, false);
  }

  async rename(from: string, to: string): Promise<void> {
    checkRelativePath(from, "rename");
    checkRelativePath(to, "rename");
    const node = this.#find(from, "rename");
    if (node === undefined) failMissing("rename", from);
    const target = this.#directory(directoryOf(to), "rename");
    checkRename(node.kind, from, to, from === to ? undefined : target.names.get(lastOf(to))?.kind);
    this.#directory(directoryOf(from), "rename").names.delete(lastOf(from));
    target.names.set(lastOf(to), node);
    node.changedAt = Math.max(node.changedAt, this.#clock.now());
  }

  async remove(path: string): Promise<boolean> {
    checkRelativePath(path, "remove");
    const node = this.#find(path, "remove");
    if (node === undefined) return false;
    checkFile(node.kind, "remove", path);
    return this.#directory(directoryOf(path), "remove").names.delete(lastOf(path));
  }

  async makeDirectory(directory: string): Promise<void> {
    checkDirectoryPath(directory, "make directory");
    if (directory === "") return;
    const { names } = this.#directory(directoryOf(directory), "make directory");
    const found = names.get(lastOf(directory));
    if (found === undefined) names.set(lastOf(directory), new Directory(this.#clock.now()));
    else if (found.kind !== "directory") failEntry("EXISTS", "make directory", directory, "something else is there");
  }

  async removeDirectory(directory: string): Promise<boolean> {
    checkDirectoryPath(directory, "remove directory");
    const node = this.#find(directory, "remove directory");
    if (node === undefined) return false;
    checkDirectory(node.kind, "remove directory", directory);
    if ((node as Directory).names.size > 0) failEntry("EXISTS", "remove directory", directory, "it is not empty");
    return directory === "" || this.#directory(directoryOf(directory), "remove directory").names.delete(lastOf(directory));
  }

  async syncDirectory(directory: string): Promise<void> {
    checkDirectoryPath(directory, "sync directory");
    this.#directory(directory, "sync directory");
  }

  storage(path: string, { create = false, readOnly = false }: { create?: boolean; readOnly?: boolean } = {}): Storage {
    checkRelativePath(path, "open");
    const { names } = this.#directory(directoryOf(path), "open");
    const found = names.get(lastOf(path));
    if (found !== undefined) checkFile(found.kind, "open", path);
    else if (!create || readOnly) failMissing("open", path);
    const file = found ?? new File(new MemoryFile(undefined, lastOf(path)), this.#clock.now());
    names.set(lastOf(path), file);
    return new MemoryStorage((file as File).bytes, { readOnly, created: found === undefined });
  }

  #find(path: string, action: string): Directory | File | undefined {
    return findNode<Directory | File>(this.#root, path, action);
  }

  #directory(path: string, action: string): Directory {
    return needDirectory<Directory | File>(this.#root, path, action) as Directory;
  }
}

class OpenMemoryFile implements FolderFile {
  #file: File;
  #name: string;
  #clock: FolderClock;
  #readOnly: boolean;
  #closed = false;

  constructor(file: File, path: string, clock: FolderClock, readOnly: boolean) {
    this.#file = file;
    this.#name = lastOf(path);
    this.#clock = clock;
    this.#readOnly = readOnly;
  }

  async facts(): Promise<FileFacts> {
    this.#check("measure");
    return factsOf(this.#file);
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    checkRange("read", at, into.length);
    this.#check("read");
    return this.#file.bytes.read(at, into);
  }

  async write(at: number, from: Uint8Array): Promise<void> {
    checkRange("write", at, from.length);
    this.#check("write");
    if (this.#readOnly) failReadOnly("write", this.#name);
    this.#file.bytes.write(at, from);
    this.#file.modifiedAt = this.#clock.now();
    this.#file.changedAt = Math.max(this.#file.changedAt, this.#file.modifiedAt);
  }

  async sync(): Promise<void> {
    this.#check("sync");
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(action: string): void {
    if (this.#closed) failClosed(action, this.#name);
  }
}
