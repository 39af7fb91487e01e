// Cuts a stream of items into pieces so that streams that are alike have pieces in common.
//
// A cut depends on the item before it and on nothing else, once a piece is long enough: behind a change the cuts of two streams meet again soon. So a backup of rows of which few have changed stores few pieces.
// Source: content-defined chunking, as in A. Muthitacharoen et al., "A Low-bandwidth Network File System" (SOSP 2001), with whole items in place of a sliding window.

const LEAST = 1 << 16;
const MOST = 1 << 21;
/** One item in so many ends a piece. */
const MASK = 0xff;

/** Gathers items. */
export class PieceWriter {
  #bytes = new Uint8Array(LEAST * 4);
  #length = 0;

  /** Puts an item; returns the finished piece, a copy, when one ends with it. */
  put(item: Uint8Array): Uint8Array | undefined {
    this.#reserve(item.length);
    this.#bytes.set(item, this.#length);
    this.#length += item.length;
    const ends = this.#length >= MOST || (this.#length >= LEAST && (hashOf(item) & MASK) === 0);
    return ends ? this.#take() : undefined;
  }

  /** What is left; undefined when nothing is. */
  end(): Uint8Array | undefined {
    return this.#length === 0 ? undefined : this.#take();
  }

  #take(): Uint8Array {
    const piece = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return piece;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

// FNV-1a, with its high bits mixed into the low ones that decide.
function hashOf(item: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < item.length; i++) hash = Math.imul(hash ^ item[i]!, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
