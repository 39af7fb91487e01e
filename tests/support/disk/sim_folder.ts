// A simulated folder that knows every state a crash could leave behind: what SimDisk is for one file, for a tree of them.
//
// It passes the suite of folders. Every call that changes or syncs something is in its log, with the number of calls that a disk beside it had answered by then: so both have one order (sim_machine.ts).
// deno-lint-ignore-file require-await
import type { FileFacts, Folder, FolderEntry, FolderFile } from "../../../src/storage/folder.ts";
import {
  checkDirectory,
  checkFile,
  checkRename,
  failEntry,
  failMissing,
  findNode,
  lastOf,
  needDirectory,
} from "../../../src/storage/folder_entry.ts";
import { checkRange, failClosed, failReadOnly } from "../../../src/storage/guard.ts";
import { checkDirectoryPath, checkRelativePath, directoryOf } from "../../../src/storage/relative_path.ts";
import type { Durability } from "../../../src/storage/storage.ts";
import { type TreeCall, type TreeChange, type TreeCrash, TreeLog } from "./tree_log.ts";
import { type NodeRef, ROOT, TreeState } from "./tree_state.ts";

/** What a folder is made with. */
export interface SimFolderOptions {
  /** The time of changes. Default: 0. */
  now?: () => number;
  /** Calls of the disk beside it so far. Default: 0. */
  beside?: () => number;
  /** How long a sync takes: a promise made when it starts. Default: three turns of the microtask queue. */
  syncTime?: () => Promise<void>;
}

interface FileNode extends NodeRef {
  readonly kind: "file";
  readonly names?: never;
  /** With room behind `size`; of a state when `shared`: copied before it is written. */
  bytes: Uint8Array;
  shared: boolean;
  size: number;
  modifiedAt: number;
  changedAt: number;
}

interface DirectoryNode extends NodeRef {
  readonly kind: "directory";
  readonly names: Map<string, Node>;
  modifiedAt: number;
  changedAt: number;
}

type Node = FileNode | DirectoryNode;

const refOf = ({ id, kind }: NodeRef): NodeRef => ({ id, kind });
let folders = 0;

/** The folder: its tree, its log, its possible crashes. */
export class SimFolder implements Folder {
  readonly name = "simulated";
  readonly durability: Durability = "memory";
  readonly #serial = ++folders;
  readonly #log: TreeLog;
  readonly #options: SimFolderOptions;
  readonly #root: DirectoryNode;
  #next: number;

  /** A folder with this tree, durable. */
  constructor(start: TreeState = new TreeState(), options: SimFolderOptions = {}) {
    this.#log = new TreeLog(start);
    this.#options = options;
    this.#next = start.highest + 1;
    const known = new Map<number, Node>();
    const live = (ref: NodeRef): Node => {
      let node = known.get(ref.id);
      if (node !== undefined) return node;
      if (ref.kind === "file") {
        const { bytes, modifiedAt } = start.file(ref.id);
        node = { id: ref.id, kind: "file", bytes, shared: true, size: bytes.length, modifiedAt, changedAt: modifiedAt };
        known.set(ref.id, node);
        return node;
      }
      const directory: DirectoryNode = { id: ref.id, kind: "directory", names: new Map(), modifiedAt: 0, changedAt: 0 };
      known.set(ref.id, directory);
      for (const [name, to] of start.names(ref.id)) directory.names.set(name, live(to));
      return directory;
    };
    this.#root = live(ROOT) as DirectoryNode;
  }

  /** Every call so far. */
  get log(): readonly TreeCall[] {
    return this.#log.calls;
  }

  /** How many calls were made. */
  get calls(): number {
    return this.#log.calls.length;
  }

  /** The changes that a crash after the first `at` calls may lose, and the tree for the fates of all of them. */
  crash(at: number): TreeCrash {
    return this.#log.crash(at);
  }

  /** Every file as it is now, by path: views, which hold until the file is written again. */
  live(): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    const walk = ({ names }: DirectoryNode, before: string): void => {
      for (const [name, node] of names) {
        if (node.kind === "file") {
          found.set(before + name, node.bytes.length === node.size ? node.bytes : node.bytes.subarray(0, node.size));
        } else walk(node, `${before}${name}/`);
      }
    };
    walk(this.#root, "");
    return found;
  }

  async list(directory: string): Promise<FolderEntry[]> {
    checkDirectoryPath(directory, "list");
    return [...this.#directory(directory, "list").names].map(([name, { kind }]) => ({ name, kind }));
  }

  async facts(path: string): Promise<FileFacts | undefined> {
    checkDirectoryPath(path, "look at");
    const node = this.#find(path, "look at");
    return node && this.factsOf(node);
  }

  async open(path: string): Promise<FolderFile> {
    checkRelativePath(path, "open");
    const node = this.#find(path, "open");
    if (node === undefined) failMissing("open", path);
    checkFile(node.kind, "open", path);
    return new OpenSimFile(this, node as FileNode, path, true);
  }

  async create(path: string): Promise<FolderFile> {
    checkRelativePath(path, "create");
    const directory = this.#directory(directoryOf(path), "create");
    if (directory.names.has(lastOf(path))) failEntry("EXISTS", "create", path, "the file exists");
    const now = this.#now();
    const node: FileNode = {
      id: this.#next++,
      kind: "file",
      bytes: new Uint8Array(0),
      shared: true,
      size: 0,
      modifiedAt: now,
      changedAt: now,
    };
    this.#setNames(directory, [[lastOf(path), node]]);
    return new OpenSimFile(this, node, path, false);
  }

  async rename(from: string, to: string): Promise<void> {
    checkRelativePath(from, "rename");
    checkRelativePath(to, "rename");
    const node = this.#find(from, "rename");
    if (node === undefined) failMissing("rename", from);
    const source = this.#directory(directoryOf(from), "rename");
    const target = this.#directory(directoryOf(to), "rename");
    checkRename(node.kind, from, to, from === to ? undefined : target.names.get(lastOf(to))?.kind);
    if (from === to) return;
    node.changedAt = Math.max(node.changedAt, this.#now());
    if (source === target) return this.#setNames(source, [[lastOf(from), undefined], [lastOf(to), node]]);
    this.#setNames(target, [[lastOf(to), node]]);
    this.#setNames(source, [[lastOf(from), undefined]]);
  }

  async remove(path: string): Promise<boolean> {
    checkRelativePath(path, "remove");
    const node = this.#find(path, "remove");
    if (node === undefined) return false;
    checkFile(node.kind, "remove", path);
    this.#setNames(this.#directory(directoryOf(path), "remove"), [[lastOf(path), undefined]]);
    return true;
  }

  async makeDirectory(directory: string): Promise<void> {
    checkDirectoryPath(directory, "make directory");
    if (directory === "") return;
    const parent = this.#directory(directoryOf(directory), "make directory");
    const found = parent.names.get(lastOf(directory));
    if (found?.kind === "directory") return;
    if (found !== undefined) failEntry("EXISTS", "make directory", directory, "something else is there");
    const now = this.#now();
    const node: DirectoryNode = { id: this.#next++, kind: "directory", names: new Map(), modifiedAt: now, changedAt: now };
    this.#setNames(parent, [[lastOf(directory), node]]);
  }

  async removeDirectory(directory: string): Promise<boolean> {
    checkDirectoryPath(directory, "remove directory");
    const node = this.#find(directory, "remove directory");
    if (node === undefined) return false;
    checkDirectory(node.kind, "remove directory", directory);
    if ((node as DirectoryNode).names.size > 0) failEntry("EXISTS", "remove directory", directory, "it is not empty");
    if (directory !== "") this.#setNames(this.#directory(directoryOf(directory), "remove directory"), [[lastOf(directory), undefined]]);
    return true;
  }

  async syncDirectory(directory: string): Promise<void> {
    checkDirectoryPath(directory, "sync directory");
    await this.sync(this.#directory(directory, "sync directory"));
  }

  /** For open files: syncs a node. What is written while it runs may or may not be covered; here it is not. */
  async sync(node: NodeRef): Promise<void> {
    const covers = this.calls;
    if (this.#options.syncTime !== undefined) await this.#options.syncTime();
    else for (let turn = 0; turn < 3; turn++) await undefined;
    this.#log.calls.push({ kind: "sync", node: node.id, beside: this.#beside(), covers });
  }

  /** For open files: writes. */
  write(node: FileNode, at: number, data: Uint8Array): void {
    if (data.length === 0) return;
    const end = at + data.length;
    if (node.shared || end > node.bytes.length) {
      const grown = new Uint8Array(end > node.bytes.length ? Math.max(end, 2 * node.size) : node.size);
      grown.set(node.bytes.subarray(0, node.size));
      [node.bytes, node.shared] = [grown, false];
    }
    node.bytes.set(data, at);
    node.size = Math.max(node.size, end);
    node.modifiedAt = this.#now();
    node.changedAt = Math.max(node.changedAt, node.modifiedAt);
    this.#note({ kind: "write", node: node.id, beside: this.#beside(), time: node.modifiedAt, at, data: data.slice() });
  }

  /** What is said of a node. */
  factsOf(node: Node): FileFacts {
    const { kind, modifiedAt, changedAt } = node;
    return { kind, sizeBytes: kind === "file" ? node.size : 0, modifiedAt, changedAt, identity: `simulated:${this.#serial}:${node.id}` };
  }

  #now(): number {
    return this.#options.now?.() ?? 0;
  }

  #beside(): number {
    return this.#options.beside?.() ?? 0;
  }

  #note(change: TreeChange): void {
    this.#log.calls.push(change);
  }

  #setNames(directory: DirectoryNode, sets: [name: string, to: Node | undefined][]): void {
    for (const [name, to] of sets) {
      if (to === undefined) directory.names.delete(name);
      else directory.names.set(name, to);
    }
    directory.modifiedAt = directory.changedAt = this.#now();
    const refs = sets.map(([name, to]) => [name, to && refOf(to)] as const);
    this.#note({ kind: "names", node: directory.id, beside: this.#beside(), time: directory.modifiedAt, sets: refs });
  }

  #find(path: string, action: string): Node | undefined {
    return findNode<Node>(this.#root, path, action);
  }

  #directory(path: string, action: string): DirectoryNode {
    return needDirectory<Node>(this.#root, path, action) as DirectoryNode;
  }

  /** A simulated folder holds no manifest: that has a disk of its own, beside it (sim_machine.ts). */
  storage(): never {
    throw new Error("the manifest lies on a disk of its own");
  }
}

class OpenSimFile implements FolderFile {
  readonly #folder: SimFolder;
  readonly #node: FileNode;
  readonly #name: string;
  readonly #readOnly: boolean;
  #closed = false;

  constructor(folder: SimFolder, node: FileNode, path: string, readOnly: boolean) {
    this.#folder = folder;
    this.#node = node;
    this.#name = lastOf(path);
    this.#readOnly = readOnly;
  }

  async facts(): Promise<FileFacts> {
    this.#check("measure");
    return this.#folder.factsOf(this.#node);
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    checkRange("read", at, into.length);
    this.#check("read");
    const end = Math.min(this.#node.size, at + into.length);
    if (end <= at) return 0;
    into.set(this.#node.bytes.subarray(at, end));
    return end - at;
  }

  async write(at: number, from: Uint8Array): Promise<void> {
    checkRange("write", at, from.length);
    this.#check("write");
    if (this.#readOnly) failReadOnly("write", this.#name);
    this.#folder.write(this.#node, at, from);
  }

  async sync(): Promise<void> {
    this.#check("sync");
    await this.#folder.sync(this.#node);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(action: string): void {
    if (this.#closed) failClosed(action, this.#name);
  }
}
