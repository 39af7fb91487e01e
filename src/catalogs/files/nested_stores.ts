// Stores inside a file set's folder that are somebody else's: nothing in them is an orphan of the set.
//
//   backup     a directory with the directories that a backup store makes; what it keeps lies in these two, and nothing else of the directory is its
//   manifest   a directory with a manifest, as a restore makes one: all of it is that manifest's
//   restore    what a restore is building, or has left: another one may be at work in it
//   files      the folder of a file set that is open in this process, of whatever manifest
//
// The folder itself may hold its manifest, and a backup; it is never another set's.
import { isManifestError } from "../../errors.ts";
import { isManifestHead, MANIFEST_HEAD } from "../../manifest/own_files.ts";
import type { Folder, FolderEntry } from "../../storage/folder.ts";
import { whyNotRelative } from "../../storage/relative_path.ts";
import { openPlaces, type Place } from "./desk.ts";
import { unlessMissing } from "./prune.ts";

/** What is in a directory that is not the set's. */
export type NestedKind = "backup" | "manifest" | "restore" | "files";

/** A store inside the folder. */
export interface NestedStore {
  /** Its directory; "" is the folder itself. */
  readonly directory: string;
  /** What it is. */
  readonly kind: NestedKind;
}

/** Directories of a backup, and the one that tells it from others of these names. */
const BACKUP: readonly string[] = ["backups", "objects"];
const BACKUP_MARK = "objects/new";
/** The end of the name of a directory that a restore works in. */
const RESTORING = /\.restoring-[0-9a-f]{12}$/;
/** The directory of a backup's record. */
const RECORD = /^[0-9]{8,15}$/;

/** The path of a name in a directory. */
export function joined(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** Whether a manifest lies under a path. */
export async function holdsManifest(folder: Folder, path: string): Promise<boolean> {
  if (whyNotRelative(path) !== undefined) return false;
  let file;
  try {
    file = await folder.open(path);
  } catch (error) {
    if (isManifestError(error) && (error.code === "NOT_FOUND" || error.code === "NOT_A_REGULAR_FILE")) return false;
    throw error;
  }
  try {
    const head = new Uint8Array(MANIFEST_HEAD);
    return isManifestHead(head.subarray(0, await file.read(0, head)));
  } finally {
    await file.close();
  }
}

/** Finds the stores in a folder. */
export class NestedStores {
  readonly #folder: Folder;
  readonly #named: (path: string) => boolean;
  readonly #others: Set<Place>;
  readonly #known = new Map<string, NestedKind | undefined>();

  /** Files for which `named` is true are the set's, whatever is in them. */
  constructor(folder: Folder, place: Place, named: (path: string) => boolean) {
    this.#folder = folder;
    this.#named = named;
    this.#others = openPlaces();
    this.#others.delete(place);
  }

  /** What a directory is, whose names are given. */
  async kindOf(directory: string, entries: readonly FolderEntry[]): Promise<NestedKind | undefined> {
    if (directory !== "") {
      if (RESTORING.test(directory)) return "restore";
      const facts = this.#others.size === 0 ? undefined : await unlessMissing(() => this.#folder.facts(directory));
      if (facts !== undefined && this.#others.has(facts.identity)) return "files";
      for (const { name, kind } of entries) {
        const path = joined(directory, name);
        if (kind === "file" && !this.#named(path) && await holdsManifest(this.#folder, path)) return "manifest";
      }
    }
    const parts = BACKUP.filter((part) => entries.some(({ name, kind }) => name === part && kind === "directory"));
    if (parts.length < BACKUP.length) return undefined;
    if ((await unlessMissing(() => this.#folder.facts(joined(directory, BACKUP_MARK))))?.kind === "directory") return "backup";
    const records = await unlessMissing(() => this.#folder.list(joined(directory, BACKUP[0]!))) ?? [];
    return records.some(({ name, kind }) => kind === "directory" && RECORD.test(name)) ? "backup" : undefined;
  }

  /** Whether a name in a directory of this kind is the store's. */
  static holds(kind: NestedKind, name: string): boolean {
    return kind !== "backup" || BACKUP.includes(name);
  }

  /** The store that a path is in; undefined: none. */
  async around(path: string): Promise<NestedStore | undefined> {
    const segments = path.split("/");
    for (const [i, name] of segments.entries()) {
      const directory = segments.slice(0, i).join("/");
      if (!this.#known.has(directory)) {
        this.#known.set(directory, await this.kindOf(directory, await unlessMissing(() => this.#folder.list(directory)) ?? []));
      }
      const kind = this.#known.get(directory);
      if (kind !== undefined && NestedStores.holds(kind, name)) return { directory, kind };
    }
    return undefined;
  }
}
