// What one process knows of a manifest's file sets beside its rows: who reads which version, which files a commit has in hand, which are being deleted.
//
// All handles of a process on one manifest share a desk, by its file id. Everything here happens inside one turn, so between a look and a mark nobody comes.
// - A version that is pinned is kept by every prune of this process.
// - A file is never deleted while a commit has it in hand, and a commit takes none that is being deleted.
// - Prunes and deletions of orphans go one after the other.
import type { Manifest } from "../../manifest/manifest.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import { storedFiles } from "./tables.ts";

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

  /** Whether a version is read. */
  has(version: number): boolean {
    if (this.versions.has(version)) return true;
    for (const newest of this.states.keys()) if (version <= newest) return true;
    return false;
  }
}

/** What one process knows of the file sets of a manifest. */
export class Desk {
  /** Folded paths of files that a commit has in hand. */
  readonly inHand: Uses<string> = new Uses();
  /** Folded paths of files that are being deleted. */
  readonly deleting: Set<string> = new Set();
  readonly #pins = new Map<string, Pins>();
  #last: Promise<unknown> = Promise.resolve();

  /** Readers of a catalog. */
  pins(catalog: string): Pins {
    let pins = this.#pins.get(catalog);
    if (pins === undefined) this.#pins.set(catalog, pins = new Pins());
    return pins;
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
