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

/** Those who hold versions of a catalog. */
export class Holders {
  /** The manifest that writes, as long as it is open. */
  writer: Manifest | undefined;
  /** States before this one may name files that are deleted. */
  released = 0;
  readonly #pins = new Map<Manifest, Set<Pin>>();

  /** Versions that are held. */
  *pins(): Generator<Pin> {
    for (const pins of this.#pins.values()) for (const pin of pins) if (!pin.closed) yield pin;
  }

  /** Holds a version until the manifest is closed; returns what lets it go. */
  hold(manifest: Manifest, pin: Pin): () => void {
    let pins = this.#pins.get(manifest);
    if (pins === undefined) {
      this.#pins.set(manifest, pins = new Set());
      onClosed(manifest, () => this.#pins.delete(manifest));
    }
    pins.add(pin);
    return () => void pins.delete(pin);
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
    this.writer = manifest;
    this.release(edit);
    onClosed(manifest, () => {
      if (this.writer === manifest) this.writer = undefined;
    });
  }
}

function onClosed(manifest: Manifest, then: () => void): void {
  manifest.subscribe(({ type }) => void (type === "closed" && then()));
}

const all = new Map<string, WeakRef<Holders>>();

/** Those who hold versions of a catalog. A copy of the file has the same id and other bytes. */
export function holdersOf(manifest: Manifest, name: string): Holders {
  const key = `${manifest.storageIdentity}\0${manifest.fileId}\0${name}`;
  const found = all.get(key)?.deref();
  if (found !== undefined) return found;
  for (const [key, ref] of all) if (ref.deref() === undefined) all.delete(key);
  const holders = new Holders();
  all.set(key, new WeakRef(holders));
  return holders;
}
