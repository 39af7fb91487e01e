// What one process knows of a manifest's file sets beside its rows: who reads which version, which files a commit has in hand, which are being deleted.
//
// All handles of a process on one manifest share a desk, by its file id. Everything here happens inside one turn, so between a look and a mark nobody comes.
// - A version that is pinned is kept by every prune of this process. One that a prune has dropped is pinned by nobody any more, not even by a handle whose state still shows it.
// - A file is never deleted while a commit has it in hand, and a commit takes none that is being deleted. Files are told apart by their folder and their path.
// - Prunes and deletions of orphans go one after the other.
import { isManifestError } from "../../errors.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Folder } from "../../storage/folder.ts";
import { DroppedVersions } from "./dropped_versions.ts";
import { fileVersions, storedFiles } from "./tables.ts";

/** Counts of uses by key. */
export class Uses<K> {
  readonly #counts = new Map<K, number>();

  /** One more. */
  add(key: K): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** One less. */
  remove(key: K): void {
    const count = this.#counts.get(key)! - 1;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }

  /** Whether there is one. */
  has(key: K): boolean {
    return this.#counts.has(key);
  }

  /** What is in use. */
  keys(): Iterable<K> {
    return this.#counts.keys();
  }
}

/** Readers of one catalog in this process. */
export class Pins {
  /** Versions that are read. */
  readonly versions: Uses<number> = new Uses();
  /** Whole states that are read, by their newest version. */
  readonly states: Uses<number> = new Uses();
  /** The same states: what their rows name stays, also what was condemned since, of a version that was dropped before. */
  readonly views: Set<Reader> = new Set();

  /** Whether a whole state that is read names a file. */
  names(catalog: string, folded: string): boolean {
    for (const view of this.views) if (view.has(storedFiles, [catalog, folded])) return true;
    return false;
  }

  /** Whether a version is read, or a state that shows it. */
  show(catalog: string, version: number): boolean {
    if (this.versions.has(version)) return true;
    for (const view of this.views) if (view.has(fileVersions, [catalog, version])) return true;
    return false;
  }

  /** Whether a version is read, or may be by who reads a whole state. */
  has(version: number): boolean {
    if (this.versions.has(version)) return true;
    for (const newest of this.states.keys()) if (version <= newest) return true;
    return false;
  }
}

/** Folders remembered of a catalog: one that has more is never known to be elsewhere. */
const PLACES = 16;

/** Which folder it is: the identity of the directory; "" when there is none. */
export type Place = string;

/** Where the files of a file set are, seen from a folder: in it, in another one, or nobody in this process knows. */
export type Standing = "same" | "apart" | "unknown";

/** Names a file in this process: its folder, and its folded path in there. */
export function fileKey(place: Place, folded: string): string {
  return `${place}\0${folded}`;
}

/** Looks which folder it is. */
export async function placeOf(folder: Folder): Promise<Place> {
  return (await folder.facts(""))?.identity ?? "";
}

/** What one process knows of the file sets of a manifest. */
export class Desk {
  /** Files that a commit has in hand, by key. */
  readonly inHand: Uses<string> = new Uses();
  /** Files that are being deleted, by key. */
  readonly deleting: Set<string> = new Set();
  readonly #pins = new Map<string, Pins>();
  readonly #dropped = new Map<string, DroppedVersions>();
  /** The folders that catalogs were opened over. */
  readonly #places = new Map<string, Map<Place, Folder>>();
  /** Catalogs of which not all folders are known. */
  readonly #many = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();

  /** Readers of a catalog. */
  pins(catalog: string): Pins {
    let pins = this.#pins.get(catalog);
    if (pins === undefined) this.#pins.set(catalog, pins = new Pins());
    return pins;
  }

  /** Versions of a catalog that prunes of this process have dropped, in a folder: a copy of the manifest over a copy of the folder goes its own way. */
  dropped(catalog: string, place: Place): DroppedVersions {
    const key = `${place}\0${catalog}`;
    let dropped = this.#dropped.get(key);
    if (dropped === undefined) this.#dropped.set(key, dropped = new DroppedVersions());
    return dropped;
  }

  /** Looks which folder a catalog's handle is over, and remembers it. */
  async settle(catalog: string, folder: Folder): Promise<Place> {
    const place = await placeOf(folder);
    if (place === "") return place;
    const known = this.#places.get(catalog);
    if (known === undefined) this.#places.set(catalog, new Map([[place, folder]]));
    else {
      known.delete(place);
      known.set(place, folder);
      if (known.size > PLACES) {
        for (const [oldest] of known) {
          known.delete(oldest);
          break;
        }
        this.#many.add(catalog);
      }
    }
    return place;
  }

  /** Looks at the folders of all other catalogs again: one that was moved away has left its path to another. Where one cannot be looked at, nobody knows. */
  async settleOthers(own: string): Promise<void> {
    const known = [...this.#places].flatMap(([catalog, folders]) => [...folders].map(([place, folder]) => ({ catalog, place, folder })));
    for (const { catalog, place, folder } of known) {
      if (catalog === own) continue;
      try {
        if (await this.settle(catalog, folder) === place) continue;
      } catch (error) {
        if (!isManifestError(error)) throw error;
        this.#many.add(catalog);
      }
      this.#places.get(catalog)!.delete(place);
    }
  }

  /** Where the files of a catalog are, seen from a folder. */
  standing(catalog: string, place: Place): Standing {
    const known = this.#places.get(catalog);
    if (known === undefined || known.size === 0) return "unknown";
    return known.has(place) ? "same" : this.#many.has(catalog) ? "unknown" : "apart";
  }

  /** The folders that catalogs were opened over. */
  *places(): Generator<Place> {
    for (const folders of this.#places.values()) yield* folders.keys();
  }

  /** Runs behind everything that was given before. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

const desks = new Map<string, WeakRef<Desk>>();

/** The desk of a manifest. */
export function deskOf(manifest: Manifest): Desk {
  const found = desks.get(manifest.fileId)?.deref();
  if (found !== undefined) return found;
  for (const [id, ref] of desks) if (ref.deref() === undefined) desks.delete(id);
  const desk = new Desk();
  desks.set(manifest.fileId, new WeakRef(desk));
  return desk;
}

/** The folders that file sets of any manifest were opened over in this process. */
export function openPlaces(): Set<Place> {
  const places = new Set<Place>();
  for (const ref of desks.values()) for (const place of ref.deref()?.places() ?? []) places.add(place);
  return places;
}
