// A folder of the file system, over `node:fs`: the same code on Deno, Bun and Node.
//
// Looks at names are synchronous, because they are short and there are many; reads, writes, syncs and changes of names run off the event loop, so that it turns while gigabytes are digested.
//
// Invariants:
// - Below the folder no link is followed: every segment is looked at before it is used, and the last one is opened with O_NOFOLLOW. Against somebody who exchanges directories for links while a call is under way
//   the permissions of the folder must help: there is no openat here.
// - Only a regular file is ever opened for reading and writing.
// - A descriptor is closed only when no call is in flight on it.
import { baseName } from "../errors.ts";
import { errnoOf, type FolderAction, folderError } from "./errno.ts";
import { durabilityOf, nodeFs, nodePath, openFile, pathText } from "./file.ts";
import type { FileFacts, Folder, FolderEntry, FolderFile } from "./folder.ts";
import { checkDirectory, checkFile, checkRename, failEntry, failMissing } from "./folder_entry.ts";
import { awaitCall, factsOf, kindOf, makeCall, OpenFile } from "./open_file.ts";
import { type FolderStat, type NodeEntry, type NodeFolderFs, platformName } from "./platform.ts";
import { checkDirectoryPath, checkRelativePath, directoryOf } from "./relative_path.ts";
import type { Durability, Storage } from "./storage.ts";

const NAME_LENGTH = 255;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Systems that cannot sync a directory: there a name is as durable as they make it. */
const NO_DIRECTORY_SYNC = ["EINVAL", "ENOTSUP", "EOPNOTSUPP"];

/**
 * A folder of the file system, for the files beside a manifest. It need not exist yet: `makeDirectory("")` makes it. Nothing is opened and nothing is looked at before a call needs it.
 *
 * INVALID_ARGUMENT for what is no path or no file: URL; RUNTIME_UNSUPPORTED where the runtime has no files that are durable.
 */
export function fileFolder(path: string | URL): Folder {
  return new FileFolder(path);
}

/** A folder of the file system; made by {@linkcode fileFolder}. */
export class FileFolder implements Folder {
  readonly name: string;
  #fs: NodeFolderFs;
  #root: string;

  /** `fs` is the runtime's unless another is given. */
  constructor(path: string | URL, fs: NodeFolderFs = nodeFs() as unknown as NodeFolderFs) {
    this.#fs = fs;
    this.#root = nodePath().resolve(pathText(path));
    this.name = baseName(this.#root).slice(0, NAME_LENGTH);
  }

  get durability(): Durability {
    return durabilityOf(this.#fs, this.#root);
  }

  async list(directory: string): Promise<FolderEntry[]> {
    checkDirectoryPath(directory, "list");
    this.#need(directory, "list");
    const found = await this.#attempt(
      "list",
      directory,
      () => awaitCall<NodeEntry[]>((done) => this.#fs.readdir(this.#full(directory), { withFileTypes: true }, done)),
    );
    return found.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  }

  // deno-lint-ignore require-await
  async facts(path: string): Promise<FileFacts | undefined> {
    checkDirectoryPath(path, "look at");
    const stat = this.#find(path, "look at");
    return stat === undefined ? undefined : factsOf(stat);
  }

  // deno-lint-ignore require-await
  async open(path: string): Promise<FolderFile> {
    checkRelativePath(path, "open");
    const found = this.#find(path, "open");
    if (found === undefined) failMissing("open", path);
    checkFile(kindOf(found), "open", path);
    const { O_RDONLY = 0, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = this.#fs.constants;
    // O_NONBLOCK: if a FIFO takes the file's place just now, the open must not wait for its other end.
    return this.#opened("open", path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  // deno-lint-ignore require-await
  async create(path: string): Promise<FolderFile> {
    checkRelativePath(path, "create");
    this.#need(directoryOf(path), "create");
    const { O_RDWR = 2, O_CREAT = 0o100, O_EXCL = 0o200, O_NOFOLLOW = 0 } = this.#fs.constants;
    return this.#opened("create", path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
  }

  async rename(from: string, to: string): Promise<void> {
    checkRelativePath(from, "rename");
    checkRelativePath(to, "rename");
    const found = this.#find(from, "rename");
    if (found === undefined) failMissing("rename", from);
    this.#need(directoryOf(to), "rename");
    const there = from === to ? undefined : this.#find(to, "rename");
    checkRename(kindOf(found), from, to, there && kindOf(there));
    await this.#attempt("rename", from, () => awaitCall((done) => this.#fs.rename(this.#full(from), this.#full(to), done)));
  }

  async remove(path: string): Promise<boolean> {
    checkRelativePath(path, "remove");
    const found = this.#find(path, "remove");
    if (found === undefined) return false;
    if (found.isDirectory()) checkFile("directory", "remove", path);
    return await this.#removed("remove", path, () => awaitCall((done) => this.#fs.unlink(this.#full(path), done)));
  }

  async makeDirectory(directory: string): Promise<void> {
    checkDirectoryPath(directory, "make directory");
    if (directory !== "") this.#need(directoryOf(directory), "make directory");
    const found = this.#look(directory, "make directory");
    if (found !== undefined) {
      if (!found.isDirectory()) failEntry("EXISTS", "make directory", this.#named(directory), "something else is there");
      return;
    }
    const full = this.#full(directory);
    await this.#attempt("make directory", directory, async () => {
      try {
        await awaitCall((done) => this.#fs.mkdir(full, { mode: DIRECTORY_MODE }, done));
      } catch (error) {
        if (errnoOf(error) !== "EEXIST" || !this.#look(directory, "make directory")?.isDirectory()) throw error;
      }
      if (directory === "") await this.#syncAt(nodePath().dirname(full), directory);
    });
  }

  async removeDirectory(directory: string): Promise<boolean> {
    checkDirectoryPath(directory, "remove directory");
    const found = this.#find(directory, "remove directory");
    if (found === undefined) return false;
    checkDirectory(kindOf(found), "remove directory", this.#named(directory));
    return await this.#removed("remove directory", directory, () => awaitCall((done) => this.#fs.rmdir(this.#full(directory), done)));
  }

  async syncDirectory(directory: string): Promise<void> {
    checkDirectoryPath(directory, "sync directory");
    this.#need(directory, "sync directory");
    await this.#attempt("sync directory", directory, () => this.#syncAt(this.#full(directory), directory));
  }

  storage(path: string, options: { create?: boolean; readOnly?: boolean } = {}): Storage {
    checkRelativePath(path, "open");
    this.#need(directoryOf(path), "open");
    return openFile(this.#full(path), options);
  }

  #full(path: string): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }

  /** A path in errors. */
  #named(path: string): string {
    return path === "" ? this.name : path;
  }

  /** What lies at a path whose directories have been looked at; links are told, but for the folder itself, where they are followed. */
  #look(path: string, action: FolderAction): FolderStat | undefined {
    try {
      const stat = makeCall(() => this.#fs.lstatSync(this.#full(path), { bigint: true }));
      if (path !== "" || !stat.isSymbolicLink()) return stat;
      return makeCall(() => this.#fs.lstatSync(this.#fs.realpathSync(this.#root), { bigint: true }));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw folderError(action, this.#named(path), error);
    }
  }

  /** What lies at a path; every directory on the way is looked at. */
  #find(path: string, action: FolderAction): FolderStat | undefined {
    for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
      const directory = path.slice(0, end);
      const found = this.#look(directory, action);
      if (found === undefined) return undefined;
      checkDirectory(kindOf(found), action, directory);
    }
    return this.#look(path, action);
  }

  /** Throws unless there is a directory. */
  #need(directory: string, action: FolderAction): void {
    const found = this.#find(directory, action);
    if (found === undefined) failMissing(action, this.#named(directory));
    checkDirectory(kindOf(found), action, this.#named(directory));
  }

  #opened(action: "open" | "create", path: string, flags: number): FolderFile {
    let fd: number;
    try {
      fd = makeCall(() => this.#fs.openSync(this.#full(path), flags, FILE_MODE));
    } catch (error) {
      throw folderError(action, path, error);
    }
    try {
      checkFile(kindOf(makeCall(() => this.#fs.fstatSync(fd, { bigint: true }))), action, path);
      return new OpenFile(this.#fs, fd, path, action === "open");
    } catch (error) {
      this.#fs.closeSync(fd);
      throw folderError(action, path, error);
    }
  }

  async #attempt<T>(action: FolderAction, path: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw folderError(action, this.#named(path), error);
    }
  }

  /** True when the call went well, false when there was nothing any more. */
  async #removed(action: FolderAction, path: string, call: () => Promise<unknown>): Promise<boolean> {
    return await this.#attempt(action, path, async () => {
      try {
        await call();
        return true;
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return false;
        throw error;
      }
    });
  }

  async #syncAt(full: string, directory: string): Promise<void> {
    if (platformName() === "win32") return;
    const { O_RDONLY = 0, O_DIRECTORY = 0 } = this.#fs.constants;
    const fd = makeCall(() => this.#fs.openSync(full, O_RDONLY | O_DIRECTORY));
    try {
      await awaitCall((done) => this.#fs.fsync(fd, done));
    } catch (error) {
      if (!NO_DIRECTORY_SYNC.includes(errnoOf(error))) throw folderError("sync", this.#named(directory), error);
    } finally {
      this.#fs.closeSync(fd);
    }
  }
}
