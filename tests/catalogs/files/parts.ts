// What the tests of file sets share: a manifest and a folder in memory that outlive their handles, a clock, and files to put there.
import type { Manifest, ManifestOptions } from "../../../mod.ts";
import {
  type FileChanges,
  FileSetCatalog,
  type FileSetOptions,
  type Folder,
  memoryFolder,
  type SetFile,
} from "../../../src/catalogs/files/mod.ts";
import { MemoryFile } from "../../../src/storage/memory.ts";
import type { Environment } from "../../../src/store/environment.ts";
import { Medium } from "../../manifest/open_manifest.ts";
import { testEnvironment } from "../../support/environment.ts";

const encoder = new TextEncoder();

/** Writes a file, with its directories. */
export async function putFile(folder: Folder, path: string, content: string | Uint8Array): Promise<void> {
  const segments = path.split("/");
  for (let i = 1; i < segments.length; i++) await folder.makeDirectory(segments.slice(0, i).join("/"));
  const file = await folder.create(path);
  await file.write(0, typeof content === "string" ? encoder.encode(content) : content);
  await file.close();
}

/** The bytes of a file. */
export async function fileBytes(folder: Folder, path: string): Promise<Uint8Array> {
  const file = await folder.open(path);
  const bytes = new Uint8Array((await file.facts()).sizeBytes);
  await file.read(0, bytes);
  await file.close();
  return bytes;
}

/** Puts another file in the place of one. */
export async function replaceFile(folder: Folder, path: string, content: string | Uint8Array): Promise<void> {
  await folder.remove(path);
  await putFile(folder, path, content);
}

/** All files of a folder, by path. */
export async function filesIn(folder: Folder, directory = ""): Promise<string[]> {
  const found: string[] = [];
  for (const { name, kind } of await folder.list(directory)) {
    const path = directory === "" ? name : `${directory}/${name}`;
    if (kind === "directory") found.push(...await filesIn(folder, path));
    else found.push(path);
  }
  return found.sort();
}

/** A clock that stands unless it is moved. */
export class StandingClock {
  time = 1_700_000_000_000;
  now = (): number => this.time;
}

/** A name of the kind "data". */
export function data(name: string, path: string): SetFile {
  return { kind: "data", name, path };
}

let places = 0;

/** A manifest and a folder. No two have manifests of one file id. */
export class Place {
  medium: Medium = new Medium();
  readonly clock: StandingClock = new StandingClock();
  readonly folder: Folder;
  readonly environment: Environment;
  manifest!: Manifest;
  catalog!: FileSetCatalog;
  readonly #options: FileSetOptions;

  /** Over a folder in memory unless another is given. */
  constructor(folder?: (clock: StandingClock) => Folder, options: FileSetOptions = {}) {
    this.folder = folder === undefined ? memoryFolder(this.clock) : folder(this.clock);
    this.environment = { ...testEnvironment(++places), now: this.clock.now };
    this.#options = options;
  }

  /** A new one that is open. */
  static async open(options: FileSetOptions = {}, more: ManifestOptions = {}): Promise<Place> {
    const place = new Place(undefined, options);
    await place.open(more);
    return place;
  }

  /** Opens it. */
  async open(more: ManifestOptions = {}): Promise<void> {
    this.manifest = await this.medium.open({ environment: this.environment, ...more });
    this.catalog = await this.another();
  }

  /** Another handle of the catalog, or another catalog. */
  another(options: FileSetOptions = {}): Promise<FileSetCatalog> {
    return this.over(this.folder, options);
  }

  /** Another handle of the catalog, over another folder. */
  over(folder: Folder, options: FileSetOptions = {}): Promise<FileSetCatalog> {
    return FileSetCatalog.open(this.manifest, folder, { environment: this.environment, ...this.#options, ...options });
  }

  /** Closes the manifest and opens it again. */
  async reopen(more: ManifestOptions = {}): Promise<void> {
    await this.manifest.close();
    await this.open(more);
  }

  /** What a crash of the process leaves, opened: the bytes as they are now, and the same folder. This handle goes on with its own. */
  async crashed(): Promise<Place> {
    const after = new Place(() => this.folder, this.#options);
    after.clock.time = this.clock.time;
    after.medium = Object.assign(new Medium(), { file: new MemoryFile(this.medium.file.bytes()) });
    await after.open();
    return after;
  }

  /** Writes files whose texts are their paths, and commits them as names of their own. */
  async commit(files: Record<string, string>, more: Partial<FileChanges> = {}): Promise<number> {
    const set: SetFile[] = [];
    for (const [name, path] of Object.entries(files)) {
      if (await this.folder.facts(path) === undefined) await putFile(this.folder, path, path);
      set.push(data(name, path));
    }
    return (await this.catalog.commit({ set, ...more })).version;
  }

  /** What names stand for in a version. */
  names(version?: number): Record<string, string> {
    using view = this.catalog.read(version);
    return Object.fromEntries([...view.entries()].map(({ kind, name, path }) => [kind === "data" ? name : `${kind}:${name}`, path]));
  }
}

/** A folder of which some calls are others. */
export function altered(folder: Folder, calls: Partial<Folder>): Folder {
  return new Proxy(folder, {
    get: (target, name) => {
      const other = (calls as Record<string | symbol, unknown>)[name];
      if (other !== undefined) return other;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A folder that notes the calls that matter for durability, and looks, in their order. */
export function noting(folder: Folder, log: string[]): Folder {
  return altered(folder, {
    facts: async (path) => {
      const facts = await folder.facts(path);
      log.push(`look ${path}`);
      return facts;
    },
    open: async (path) => {
      const file = await folder.open(path);
      return {
        facts: () => file.facts(),
        read: async (at, into) => {
          log.push(`read ${path}`);
          return await file.read(at, into);
        },
        write: (at, from) => file.write(at, from),
        sync: async () => {
          await file.sync();
          log.push(`sync ${path}`);
        },
        close: async () => {
          log.push(`close ${path}`);
          await file.close();
        },
      };
    },
    syncDirectory: async (directory) => {
      await folder.syncDirectory(directory);
      log.push(`directory ${directory || "."}`);
    },
    remove: async (path) => {
      log.push(`remove ${path}`);
      return await folder.remove(path);
    },
  });
}
