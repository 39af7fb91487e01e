// A directory of a folder as a folder of its own.
import type { FileFacts, Folder, FolderEntry, FolderFile } from "./folder.ts";
import { checkDirectoryPath, checkRelativePath } from "./relative_path.ts";
import type { Durability, Storage } from "./storage.ts";

/** The directory `directory` of `folder` as a folder: its paths begin there, and none leads out of it. */
export function subFolder(folder: Folder, directory: string): Folder {
  return new SubFolder(folder, directory);
}

class SubFolder implements Folder {
  readonly name: string;
  readonly #folder: Folder;
  readonly #directory: string;

  constructor(folder: Folder, directory: string) {
    checkRelativePath(directory, "open folder");
    this.name = directory.slice(directory.lastIndexOf("/") + 1);
    this.#folder = folder;
    this.#directory = directory;
  }

  get durability(): Durability {
    return this.#folder.durability;
  }

  list(directory: string): Promise<FolderEntry[]> {
    return this.#folder.list(this.#directoryAt(directory, "list"));
  }

  facts(path: string): Promise<FileFacts | undefined> {
    return this.#folder.facts(this.#directoryAt(path, "look at"));
  }

  open(path: string): Promise<FolderFile> {
    return this.#folder.open(this.#fileAt(path, "open"));
  }

  create(path: string): Promise<FolderFile> {
    return this.#folder.create(this.#fileAt(path, "create"));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#folder.rename(this.#fileAt(from, "rename"), this.#fileAt(to, "rename"));
  }

  remove(path: string): Promise<boolean> {
    return this.#folder.remove(this.#fileAt(path, "remove"));
  }

  makeDirectory(directory: string): Promise<void> {
    return this.#folder.makeDirectory(this.#directoryAt(directory, "make directory"));
  }

  removeDirectory(directory: string): Promise<boolean> {
    return this.#folder.removeDirectory(this.#directoryAt(directory, "remove directory"));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#folder.syncDirectory(this.#directoryAt(directory, "sync directory"));
  }

  storage(path: string, options?: { create?: boolean; readOnly?: boolean }): Storage {
    return this.#folder.storage(this.#fileAt(path, "open"), options);
  }

  // Checked before it is put behind the directory: "../x" must not become a path that is one.
  #fileAt(path: string, action: string): string {
    checkRelativePath(path, action);
    return `${this.#directory}/${path}`;
  }

  #directoryAt(path: string, action: string): string {
    checkDirectoryPath(path, action);
    return path === "" ? this.#directory : `${this.#directory}/${path}`;
  }
}
