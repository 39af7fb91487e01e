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
import type { Environment } from "../../../src/store/environment.ts";
import { Medium } from "../../manifest/open_manifest.ts";
import { testEnvironment } from "../../support/environment.ts";

const encoder = new TextEncoder();

/** Writes a file, with its directories. */
export async function putFile(folder: Folder, path: string, text: string): Promise<void> {
  const segments = path.split("/");
  for (let i = 1; i < segments.length; i++) await folder.makeDirectory(segments.slice(0, i).join("/"));
  const file = await folder.create(path);
  await file.write(0, encoder.encode(text));
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
export async function replaceFile(folder: Folder, path: string, text: string): Promise<void> {
  await folder.remove(path);
  await putFile(folder, path, text);
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

/** A manifest and a folder. */
export class Place {
  readonly medium: Medium = new Medium();
  readonly clock: StandingClock = new StandingClock();
  readonly folder: Folder;
  readonly environment: Environment;
  manifest!: Manifest;
  catalog!: FileSetCatalog;
  readonly #options: FileSetOptions;

  /** Over a folder in memory unless another is given. */
  constructor(folder?: (clock: StandingClock) => Folder, options: FileSetOptions = {}) {
    this.folder = folder === undefined ? memoryFolder(this.clock) : folder(this.clock);
    this.environment = { ...testEnvironment(1), now: this.clock.now };
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
    return FileSetCatalog.open(this.manifest, this.folder, { environment: this.environment, ...this.#options, ...options });
  }

  /** Closes the manifest and opens it again. */
  async reopen(more: ManifestOptions = {}): Promise<void> {
    await this.manifest.close();
    await this.open(more);
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
