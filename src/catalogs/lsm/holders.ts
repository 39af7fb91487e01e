// Who holds which versions of a catalog: all handles of this process on the same bytes, the writer's and those that only read beside it.
//
// Invariants: a file is listed for deletion only when no version that is held names it; no version is held any more that may name a file that was listed before. A reader's state may be old: it is held only when it is not older than
// the newest one whose files the writer has let go.
import type { Manifest } from "../../manifest/manifest.ts";
import type { FileKind } from "./tables.ts";

/** A version that somebody holds. */
export interface Pin {
  /** Its state. */
  readonly edit: number;
  /** Whether it was let go, or its manifest closed. */
  readonly closed: boolean;
  /** Whether it names a file, or may name it: where the state cannot be read any more. */
  names(kind: FileKind, id: number): boolean;
  /** Whether one of its sorted tables has a file of this name, or may have. */
  namesFileName(fileName: string): boolean;
}

/** Stands for a manifest that writes, as long as it is open. Not the manifest itself: what is found here keeps none alive. */
export type Writing = Readonly<Record<never, never>>;

/** Those who hold versions of a catalog. */
export class Holders {
  /** States before this one may name files that are deleted. */
  released = 0;
  #writing: Writing | undefined;
  readonly #pins = new Set<Pin>();

  /** The manifest that writes; undefined: none in this process, or it is closed. */
  get writing(): Writing | undefined {
    return this.#writing;
  }

  /** Versions that are held. One whose manifest was closed is not any more. */
  *pins(): Generator<Pin> {
    for (const pin of this.#pins) {
      if (pin.closed) this.#pins.delete(pin);
      else yield pin;
    }
  }

  /** Holds a version. */
  hold(pin: Pin): void {
    this.#pins.add(pin);
  }

  /** Lets a version go. */
  letGo(pin: Pin): void {
    this.#pins.delete(pin);
  }

  /** Whether a state that is held names a file. */
  names(kind: FileKind, id: number): boolean {
    for (const pin of this.pins()) if (pin.names(kind, id)) return true;
    return false;
  }

  /** Whether a state that is held names a file by its name. */
  namesFileName(fileName: string): boolean {
    for (const pin of this.pins()) if (pin.namesFileName(fileName)) return true;
    return false;
  }

  /** Notes that files may be deleted which states before this one name. */
  release(edit: number): void {
    this.released = Math.max(this.released, edit);
  }

  /** A manifest that writes was opened, whose newest state is this one: what came before may have been released by others. */
  enter(manifest: Manifest, edit: number): void {
    const writing = this.#writing = {};
    this.release(edit);
    manifest.subscribe(({ type }) => {
      if (type === "closed" && this.#writing === writing) this.#writing = undefined;
    });
  }
}

const all = new Map<string, WeakRef<Holders>>();
/** So many there are when those that are gone are looked for: then a look costs what made them cost. */
let sweepAt = 64;

function sweep(): void {
  for (const [key, ref] of all) if (ref.deref() === undefined) all.delete(key);
  sweepAt = Math.max(64, 2 * all.size);
}

/** Those who hold versions of a catalog. A copy of the file has the same id and other bytes. */
export function holdersOf(manifest: Manifest, name: string): Holders {
  const key = `${manifest.storageIdentity}\0${manifest.fileId}\0${name}`;
  const found = all.get(key)?.deref();
  if (found !== undefined) return found;
  if (all.size >= sweepAt) sweep();
  const holders = new Holders();
  all.set(key, new WeakRef(holders));
  return holders;
}
