// A folder around another one, and one whose calls fail: what tests of catalogs and backups do to the files they lean on.
import { ManifestError } from "../../src/errors.ts";
import type { FileFacts, Folder, FolderEntry, FolderFile } from "../../src/storage/folder.ts";
import type { Durability, Storage } from "../../src/storage/storage.ts";

/** What a folder is asked to do. */
export type FolderCall =
  | "list"
  | "facts"
  | "open"
  | "create"
  | "rename"
  | "remove"
  | "makeDirectory"
  | "removeDirectory"
  | "syncDirectory"
  | "read"
  | "write"
  | "sync"
  | "close";

/** Hands every call on, after `before` has heard of it. */
export class WrappedFolder implements Folder {
  readonly inner: Folder;

  constructor(inner: Folder) {
    this.inner = inner;
  }

  /** Called before each call; what it throws the call throws. */
  before(_call: FolderCall, _path: string): void | Promise<void> {}

  get name(): string {
    return this.inner.name;
  }

  get durability(): Durability {
    return this.inner.durability;
  }

  async list(directory: string): Promise<FolderEntry[]> {
    await this.before("list", directory);
    return await this.inner.list(directory);
  }

  async facts(path: string): Promise<FileFacts | undefined> {
    await this.before("facts", path);
    return await this.inner.facts(path);
  }

  async open(path: string): Promise<FolderFile> {
    await this.before("open", path);
    return this.#wrap(path, await this.inner.open(path));
  }

  async create(path: string): Promise<FolderFile> {
    await this.before("create", path);
    return this.#wrap(path, await this.inner.create(path));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.before("rename", from);
    await this.inner.rename(from, to);
  }

  async remove(path: string): Promise<boolean> {
    await this.before("remove", path);
    return await this.inner.remove(path);
  }

  async makeDirectory(directory: string): Promise<void> {
    await this.before("makeDirectory", directory);
    await this.inner.makeDirectory(directory);
  }

  async removeDirectory(directory: string): Promise<boolean> {
    await this.before("removeDirectory", directory);
    return await this.inner.removeDirectory(directory);
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.before("syncDirectory", directory);
    await this.inner.syncDirectory(directory);
  }

  storage(path: string, options?: { create?: boolean; readOnly?: boolean }): Storage {
    return this.inner.storage(path, options);
  }

  #wrap(path: string, file: FolderFile): FolderFile {
    return {
      facts: () => file.facts(),
      read: async (at, into) => {
        await this.before("read", path);
        return await file.read(at, into);
      },
      write: async (at, from) => {
        await this.before("write", path);
        await file.write(at, from);
      },
      sync: async () => {
        await this.before("sync", path);
        await file.sync();
      },
      close: async () => {
        await this.before("close", path);
        await file.close();
      },
    };
  }
}

/** A folder whose calls fail from the n-th on, as those of a process that is gone: nothing is changed any more. */
export class FailingFolder extends WrappedFolder {
  /** Calls so far. */
  calls = 0;
  /** The first call that fails. */
  from = Infinity;
  /** How many fail. */
  times = Infinity;
  code: "NO_SPACE" | "IO_WRITE" = "NO_SPACE";
  /** Which calls count. */
  counts: (call: FolderCall) => boolean = () => true;

  override before(call: FolderCall, path: string): void {
    if (!this.counts(call)) return;
    const number = this.calls++;
    if (number < this.from || number >= this.from + this.times) return;
    throw new ManifestError(this.code, `Cannot ${call}: the call fails`, { detail: { file: path } });
  }
}
