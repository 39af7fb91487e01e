// A storage over one flat array that goes back to its base image quickly: what a case has touched is put back, block by block, so that hundreds of thousands of cases share one buffer.
//
// Every call counts against a budget. A case that uses it up is going round in circles: the call throws `Hang`, which is no error of the package.
import type { Durability, LockHolder, LockRequest, LockStrength, Storage, StorageLock } from "../../../src/storage/storage.ts";

const BLOCK = 4096;

/** Thrown by a storage whose case does not end. */
export class Hang extends Error {}

/** The writer claim of a storage that nobody else uses. */
class FlatLock implements StorageLock {
  readonly strength: LockStrength = "process";
  readonly holder: LockHolder;
  readonly previous: LockHolder | undefined = undefined;

  constructor(request: LockRequest) {
    this.holder = { pid: 1, started: "", host: "", boot: "", runtime: "test", since: "", nonce: request.nonce };
  }

  verify(): void {}
  release(): void {}
}

/** The bytes that handles share. */
export class FlatFile {
  /** Calls that a case may make. */
  budget = Infinity;
  /** Calls made since the last reset. */
  calls = 0;
  /** Writes and truncations since the last reset. */
  changes = 0;
  readonly #base: Uint8Array;
  readonly #bytes: Uint8Array;
  #size: number;
  readonly #touched = new Set<number>();
  #hang: Hang | undefined;

  /** A file with these bytes; `room` is the most that it can grow to. */
  constructor(base: Uint8Array, room = base.length + (8 << 20)) {
    this.#base = base.slice();
    this.#bytes = new Uint8Array(Math.ceil(room / BLOCK) * BLOCK);
    this.#bytes.set(base);
    this.#size = base.length;
  }

  /** The image that `reset` goes back to. */
  get base(): Uint8Array {
    return this.#base;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#size;
  }

  /** The bytes as they are; not to be changed. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Goes back to the base. */
  reset(): void {
    for (const block of this.#touched) {
      const at = block * BLOCK;
      this.#bytes.fill(0, at, at + BLOCK);
      if (at < this.#base.length) this.#bytes.set(this.#base.subarray(at, at + BLOCK), at);
    }
    this.#touched.clear();
    this.#size = this.#base.length;
    this.calls = 0;
    this.changes = 0;
    this.#hang = undefined;
  }

  /** Does damage: not a call of the store. */
  damage(at: number, bytes: Uint8Array): void {
    this.#touch(at, bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Changes one byte: not a call of the store. */
  damageByte(at: number, value: number): void {
    this.#touched.add(Math.floor(at / BLOCK));
    this.#bytes[at] = value;
  }

  /** Changes the length: not a call of the store. */
  resize(size: number): void {
    if (size < this.#size) {
      this.#touch(size, this.#size - size);
      this.#bytes.fill(0, size, this.#size);
    }
    this.#size = size;
  }

  #touch(at: number, length: number): void {
    for (let block = Math.floor(at / BLOCK); block * BLOCK < at + length; block++) this.#touched.add(block);
  }

  /** Throws when a case has used up its budget, whatever the store has made of that. */
  checkEnded(): void {
    if (this.#hang !== undefined) throw this.#hang;
  }

  #endless(why: string): never {
    throw this.#hang ??= new Hang(why);
  }

  /** Counts a call. */
  call(): void {
    if (++this.calls > this.budget) this.#endless(`more than ${this.budget} storage calls`);
  }

  /** Copies from `at`; returns how many bytes there were. */
  read(at: number, into: Uint8Array): number {
    this.call();
    const length = Math.max(0, Math.min(into.length, this.#size - at));
    into.set(this.#bytes.subarray(at, at + length));
    return length;
  }

  /** Writes at `at`. */
  write(at: number, from: Uint8Array): void {
    this.call();
    this.changes++;
    if (at + from.length > this.#bytes.length) this.#endless(`a write up to byte ${at + from.length}`);
    this.damage(at, from);
    this.#size = Math.max(this.#size, at + from.length);
  }

  /** Cuts, or grows with zeros. */
  truncate(size: number): void {
    this.call();
    this.changes++;
    if (size > this.#bytes.length) this.#endless(`a truncation to ${size} bytes`);
    this.resize(size);
  }
}

let identities = 0;

/** A handle on a flat file. */
export class FlatStorage implements Storage {
  readonly name = "flat";
  readonly identity = `flat:${++identities}`;
  readonly durability: Durability = "memory";
  readonly readOnly: boolean;
  readonly created = false;
  readonly #file: FlatFile;

  constructor(file: FlatFile, readOnly = false) {
    this.#file = file;
    this.readOnly = readOnly;
  }

  size(): number {
    return this.#file.size;
  }
  read(at: number, into: Uint8Array): number {
    return this.#file.read(at, into);
  }
  write(at: number, from: Uint8Array): void {
    this.#file.write(at, from);
  }
  truncate(size: number): void {
    this.#file.truncate(size);
  }
  sync(): void {
    this.#file.call();
  }
  syncAsync(): Promise<void> {
    this.#file.call();
    return Promise.resolve();
  }
  lock(request: LockRequest): StorageLock {
    return new FlatLock(request);
  }
  close(): void {}
}
