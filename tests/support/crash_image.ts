// Builds the bytes that a crash could leave behind: a durable base plus changes that are kept, dropped or cut.
//
// One scratch copy of the base serves all images of a base. What an image touched is put back from the base before the next one, and the hash of an image is the hash of the base with the touched sectors
// exchanged, so that an image costs what it changes and not what the file holds. Bytes behind the size are zero, in the base and in the scratch: growth needs no work.
import type { Random } from "./random.ts";

const SECTOR = 512;
const WORDS = SECTOR / 4;

/** A recorded change of the file. */
export type Change =
  | { readonly kind: "write"; readonly at: number; readonly data: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number };

/**
 * What became of one change: kept, dropped, only its growth (as zeros), a part of its bytes from `from` to `to`, or the sectors whose bit is set (bit i mod 32 for the i-th sector it touches; the others keep
 * what they held, or turn into garbage).
 */
export type Fate =
  | "keep"
  | "drop"
  | "grow"
  | { readonly from: number; readonly to: number }
  | { readonly mask: number; readonly garbage?: Random };

/** The place where images are built. */
export class ImageBuilder {
  #base: Uint8Array;
  #baseSize = 0;
  #scratch: Uint8Array;
  #words: Uint32Array;
  #size = 0;
  #hashes: Uint32Array; // two for each sector of the base
  #sum0 = 0;
  #sum1 = 0;
  #isTouched: Uint8Array;
  #touched: number[] = [];

  /** A builder for files of at most `capacity` bytes, with this base. */
  constructor(capacity: number, bytes: Uint8Array) {
    const sectors = Math.ceil(capacity / SECTOR);
    this.#base = new Uint8Array(sectors * SECTOR);
    this.#scratch = new Uint8Array(sectors * SECTOR);
    this.#words = new Uint32Array(this.#scratch.buffer);
    this.#hashes = new Uint32Array(sectors * 2);
    this.#isTouched = new Uint8Array(sectors);
    this.#scratch.set(bytes);
    this.#size = bytes.length;
    this.#touch(0, bytes.length);
    this.adopt();
  }

  /** Bytes there is room for. */
  get capacity(): number {
    return this.#base.length;
  }

  /** Goes back to the base. */
  reset(): void {
    for (const sector of this.#touched) {
      const at = sector * SECTOR;
      this.#scratch.set(this.#base.subarray(at, at + SECTOR), at);
      this.#isTouched[sector] = 0;
    }
    this.#touched.length = 0;
    this.#size = this.#baseSize;
  }

  /** Makes what has been built the base. */
  adopt(): void {
    for (const sector of this.#touched) {
      const at = sector * SECTOR;
      this.#base.set(this.#scratch.subarray(at, at + SECTOR), at);
      for (const lane of [0, 1] as const) {
        const hash = this.#hash(sector, lane);
        if (lane === 0) this.#sum0 ^= this.#hashes[sector * 2]! ^ hash;
        else this.#sum1 ^= this.#hashes[sector * 2 + 1]! ^ hash;
        this.#hashes[sector * 2 + lane] = hash;
      }
      this.#isTouched[sector] = 0;
    }
    this.#touched.length = 0;
    this.#baseSize = this.#size;
  }

  /** Applies one change with its fate. */
  apply(change: Change, fate: Fate): void {
    if (fate === "drop") return;
    if (change.kind === "truncate") {
      if (change.size < this.#size) {
        this.#touch(change.size, this.#size);
        this.#scratch.fill(0, change.size, this.#size);
      }
      this.#size = change.size;
      return;
    }
    const { at, data } = change;
    if (fate === "keep") this.#put(at, data, 0, data.length);
    else if (fate === "grow") this.#size = Math.max(this.#size, at + data.length);
    else if ("from" in fate) this.#put(at, data, fate.from, Math.min(fate.to, data.length));
    else this.#putSectors(at, data, fate.mask, fate.garbage);
  }

  #putSectors(at: number, data: Uint8Array, mask: number, garbage: Random | undefined): void {
    const first = Math.floor(at / SECTOR);
    for (let from = 0; from < data.length;) {
      const sector = Math.floor((at + from) / SECTOR);
      const to = Math.min(data.length, (sector + 1) * SECTOR - at);
      if ((mask >>> ((sector - first) & 31)) & 1) this.#put(at, data, from, to);
      else if (garbage !== undefined) this.#put(at + from, garbage.bytes(to - from), 0, to - from);
      from = to;
    }
  }

  #put(at: number, data: Uint8Array, from: number, to: number): void {
    if (to <= from) return;
    this.#touch(at + from, at + to);
    this.#scratch.set(from === 0 && to === data.length ? data : data.subarray(from, to), at + from);
    this.#size = Math.max(this.#size, at + to);
  }

  #touch(from: number, to: number): void {
    const last = Math.floor((to - 1) / SECTOR);
    for (let sector = Math.floor(from / SECTOR); sector <= last; sector++) {
      if (this.#isTouched[sector] === 1) continue;
      this.#isTouched[sector] = 1;
      this.#touched.push(sector);
    }
  }

  // Zero for a sector of zeros, so that a file's hash does not depend on the capacity.
  #hash(sector: number, lane: 0 | 1): number {
    let hash = Math.imul(sector + 1, lane === 0 ? 0x9e3779b1 : 0x85ebca77);
    let any = 0;
    const prime = lane === 0 ? 0x01000193 : 0x27d4eb2f;
    const end = (sector + 1) * WORDS;
    for (let at = sector * WORDS; at < end; at++) {
      const word = this.#words[at]!;
      any |= word;
      hash = Math.imul(hash ^ word, prime);
      hash ^= hash >>> 15;
    }
    if (any === 0) return 0;
    hash = Math.imul(hash, 0x2c1b3c6d);
    return (hash ^ (hash >>> 13)) >>> 0;
  }

  /** Hash of what has been built: 53 bits of it, equal for equal bytes whatever the base. */
  hash(): number {
    let sum0 = this.#sum0 ^ Math.imul(this.#size + 1, 0x165667b1), sum1 = this.#sum1 ^ Math.imul(this.#size + 1, 0x5bd1e995);
    for (const sector of this.#touched) {
      sum0 ^= this.#hashes[sector * 2]! ^ this.#hash(sector, 0);
      sum1 ^= this.#hashes[sector * 2 + 1]! ^ this.#hash(sector, 1);
    }
    return ((sum1 >>> 0) & 0x1fffff) * 0x1_0000_0000 + (sum0 >>> 0);
  }

  /** A copy of what has been built. */
  bytes(): Uint8Array {
    return this.#scratch.slice(0, this.#size);
  }
}
