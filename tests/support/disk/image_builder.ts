// Builds the bytes that a crash could leave behind: a durable base plus changes that are kept, dropped or cut.
//
// One scratch copy of the base serves all images of a base. What an image touched, be it by a change or by a store that was opened on it, is put back from the base before the next one. The hash of an image is
// the hash of the base with the touched sectors exchanged, and a sector that one change covers has a hash that is worked out once: an image costs what it changes, not what the file holds. Bytes behind the size are
// zero, in the base and in the scratch: growth needs no work.
import type { Change, Fate, Outcome } from "./change.ts";
import { landWrite, type Write } from "./landing.ts";

/** Sectors that are hashed and put back; no device has smaller ones. */
export const SECTOR = 512;
const WORDS = SECTOR / 4;
/** Room behind the longest known file, so that a store that grows it does not make the builder move. */
const SLACK = 256 << 10;

/** The place where images are built. */
export class ImageBuilder {
  #base!: Uint8Array;
  #baseSize = 0;
  #scratch!: Uint8Array;
  #words!: Uint32Array;
  #size = 0;
  #hashes!: Uint32Array; // two for each sector of the base
  #known!: Uint32Array; // two for each sector of the scratch, where they are known
  #sum0 = 0;
  #sum1 = 0;
  #state!: Uint8Array; // of each sector: 0 as in the base, 1 touched, 2 touched and its hash known
  #touched: number[] = [];
  /** Of each sector of a change: whether its hash is known, and the hash. */
  readonly #ofChange = new WeakMap<Write, Uint32Array>();

  /** A builder whose base holds these bytes. */
  constructor(bytes: Uint8Array) {
    this.#allocate(bytes.length + SLACK);
    this.#touch(0, bytes.length);
    this.#scratch.set(bytes);
    this.#size = bytes.length;
    this.adopt();
  }

  #allocate(capacity: number): void {
    const sectors = Math.ceil(capacity / SECTOR);
    const grown = <T extends Uint8Array | Uint32Array>(old: T | undefined, fresh: T): T => {
      if (old !== undefined) fresh.set(old);
      return fresh;
    };
    this.#base = grown(this.#base, new Uint8Array(sectors * SECTOR));
    this.#scratch = grown(this.#scratch, new Uint8Array(sectors * SECTOR));
    this.#words = new Uint32Array(this.#scratch.buffer);
    this.#hashes = grown(this.#hashes, new Uint32Array(sectors * 2));
    this.#known = grown(this.#known, new Uint32Array(sectors * 2));
    this.#state = grown(this.#state, new Uint8Array(sectors));
  }

  #reserve(size: number): void {
    if (size > this.#scratch.length) this.#allocate(size + SLACK);
  }

  /** Length of what has been built. */
  get size(): number {
    return this.#size;
  }

  /** Goes back to the base. */
  reset(): void {
    const touched = this.#touched;
    for (let i = 0; i < touched.length;) {
      // Changes touch stretches: each goes back at once.
      const first = touched[i++]!;
      let end = first + 1;
      while (touched[i] === end) i++, end++;
      this.#scratch.set(this.#base.subarray(first * SECTOR, end * SECTOR), first * SECTOR);
      this.#state.fill(0, first, end);
    }
    touched.length = 0;
    this.#size = this.#baseSize;
  }

  /** Makes what has been built the base. */
  adopt(): void {
    for (const sector of this.#touched) {
      this.#settle(sector);
      const at = sector * SECTOR;
      this.#base.set(this.#scratch.subarray(at, at + SECTOR), at);
      this.#sum0 ^= this.#hashes[sector * 2]! ^ this.#known[sector * 2]!;
      this.#sum1 ^= this.#hashes[sector * 2 + 1]! ^ this.#known[sector * 2 + 1]!;
      this.#hashes[sector * 2] = this.#known[sector * 2]!;
      this.#hashes[sector * 2 + 1] = this.#known[sector * 2 + 1]!;
      this.#state[sector] = 0;
    }
    this.#touched.length = 0;
    this.#baseSize = this.#size;
  }

  /** Goes back to the base and applies all of these. */
  build(outcomes: readonly Outcome[]): void {
    this.reset();
    for (const { change, fate } of outcomes) this.apply(change, fate);
  }

  /** Applies one change with its fate. */
  apply(change: Change, fate: Fate): void {
    if (change.kind === "write") landWrite(change, fate, this);
    else if (fate !== "drop") this.truncate(change.size);
  }

  /** Grows with zeros, unless it is as long. */
  grow(size: number): void {
    this.#reserve(size);
    this.#size = Math.max(this.#size, size);
  }

  /** Writes bytes, as a change that is kept or as a store that was opened on the image. */
  write(at: number, data: Uint8Array): void {
    if (data.length === 0) return;
    const end = at + data.length;
    this.#reserve(end);
    this.#touch(at, end);
    this.#scratch.set(data, at);
    if (end > this.#size) this.#size = end;
  }

  /** Cuts, or grows with zeros. */
  truncate(size: number): void {
    this.#reserve(size);
    if (size < this.#size) {
      this.#touch(size, this.#size);
      this.#scratch.fill(0, size, this.#size);
    }
    this.#size = size;
  }

  /** Copies from `at` into `into`; returns how many bytes there were. */
  read(at: number, into: Uint8Array): number {
    const end = Math.min(this.#size, at + into.length);
    if (end <= at) return 0;
    into.set(this.#scratch.subarray(at, end));
    return end - at;
  }

  #touch(from: number, to: number): void {
    const last = Math.floor((to - 1) / SECTOR);
    for (let sector = Math.floor(from / SECTOR); sector <= last; sector++) {
      if (this.#state[sector] === 0) this.#touched.push(sector);
      this.#state[sector] = 1;
    }
  }

  /** Writes a part of a change. The hash of a sector that it covers whole is worked out once for all images. */
  land(change: Write, from: number, to: number): void {
    const { at, data } = change;
    this.write(at + from, from === 0 && to === data.length ? data : data.subarray(from, to));
    const first = Math.ceil(at / SECTOR);
    const end = Math.floor((at + to) / SECTOR);
    let hashes = this.#ofChange.get(change);
    if (hashes === undefined) {
      const whole = Math.max(0, Math.floor((at + data.length) / SECTOR) - first);
      this.#ofChange.set(change, hashes = new Uint32Array(whole * 3));
    }
    for (let sector = Math.ceil((at + from) / SECTOR); sector < end; sector++) {
      const i = (sector - first) * 3;
      if (hashes[i] === 0) {
        this.#settle(sector);
        hashes[i] = 1;
        hashes[i + 1] = this.#known[sector * 2]!;
        hashes[i + 2] = this.#known[sector * 2 + 1]!;
      } else {
        this.#known[sector * 2] = hashes[i + 1]!;
        this.#known[sector * 2 + 1] = hashes[i + 2]!;
        this.#state[sector] = 2;
      }
    }
  }

  #settle(sector: number): void {
    if (this.#state[sector] === 2) return;
    // Two hashes, zero for a sector of zeros, so that a file's hash does not depend on the capacity.
    const words = this.#words;
    let one = Math.imul(sector + 1, 0x9e3779b1), two = Math.imul(sector + 1, 0x85ebca77), any = 0;
    const end = (sector + 1) * WORDS;
    for (let at = sector * WORDS; at < end; at++) {
      const word = words[at]!;
      any |= word;
      one = Math.imul(one ^ word, 0x01000193);
      one ^= one >>> 15;
      two = Math.imul(two ^ word, 0x27d4eb2f);
      two ^= two >>> 15;
    }
    this.#known[sector * 2] = any === 0 ? 0 : finished(one);
    this.#known[sector * 2 + 1] = any === 0 ? 0 : finished(two);
    this.#state[sector] = 2;
  }

  /** Hash of what has been built: 53 bits of it, equal for equal bytes whatever the base. */
  hash(): number {
    let sum0 = this.#sum0 ^ Math.imul(this.#size + 1, 0x165667b1), sum1 = this.#sum1 ^ Math.imul(this.#size + 1, 0x5bd1e995);
    for (const sector of this.#touched) {
      this.#settle(sector);
      sum0 ^= this.#hashes[sector * 2]! ^ this.#known[sector * 2]!;
      sum1 ^= this.#hashes[sector * 2 + 1]! ^ this.#known[sector * 2 + 1]!;
    }
    return ((sum1 >>> 0) & 0x1fffff) * 0x1_0000_0000 + (sum0 >>> 0);
  }

  /** A copy of what has been built. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#scratch.slice(0, this.#size) as Uint8Array<ArrayBuffer>;
  }
}

/** The last step of a hash. */
function finished(hash: number): number {
  const mixed = Math.imul(hash, 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
