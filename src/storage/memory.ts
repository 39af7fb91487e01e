// Storage in memory: for tests, for stores that end with the process, and for runtimes without files.
//
// Bytes live in chunks by index, so growth copies no more than the first one and a gap costs nothing. The bytes belong to a `MemoryFile`, which outlives its handles: closing and opening again finds
// them, as with a file.
import { fail } from "../errors.ts";
import { checkRange, failClosed, failReadOnly } from "./guard.ts";
import { processId, runtimeName } from "./platform.ts";
import { claimIdentity } from "./registry.ts";
import type { Durability, LockHolder, LockRequest, LockStrength, Storage, StorageLock } from "./storage.ts";

const CHUNK = 1 << 16;
/** The first chunk begins with so many bytes, and doubles until it has all of its own. */
const LEAST = 1 << 10;
const NOTHING = new Uint8Array(0);

let files = 0;
const named = new Map<string, MemoryFile>();

/** The bytes behind memory handles. */
export class MemoryFile {
  /** Name for messages. */
  readonly name: string;
  /** Unlike every other memory file of this process. */
  readonly identity: string;
  #chunks = new Map<number, Uint8Array>();
  #size = 0;

  /** A file with a copy of these bytes. */
  constructor(bytes?: Uint8Array, name = "memory") {
    this.name = name;
    this.identity = `memory:${++files}`;
    if (bytes !== undefined && bytes.length > 0) this.write(0, bytes);
  }

  /** Length in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Copies from `at` into `into`; returns how many bytes there were. */
  read(at: number, into: Uint8Array): number {
    const length = Math.max(0, Math.min(into.length, this.#size - at));
    for (let done = 0; done < length;) {
      const index = Math.floor((at + done) / CHUNK);
      const within = at + done - index * CHUNK;
      const part = Math.min(CHUNK - within, length - done);
      const held = this.#chunks.get(index)?.subarray(within, within + part) ?? NOTHING;
      into.set(held, done);
      if (held.length < part) into.fill(0, done + held.length, done + part);
      done += part;
    }
    return length;
  }

  /** Copies `from` to `at`, growing the file where needed. */
  write(at: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const index = Math.floor((at + done) / CHUNK);
      const within = at + done - index * CHUNK;
      const part = Math.min(CHUNK - within, from.length - done);
      let chunk = this.#chunks.get(index);
      if (chunk === undefined || chunk.length < within + part) {
        const grown = this.#allocate(index > 0 ? CHUNK : within + part);
        if (chunk !== undefined) grown.set(chunk);
        this.#chunks.set(index, chunk = grown);
      }
      chunk.set(from.subarray(done, done + part), within);
      done += part;
    }
    if (from.length > 0) this.#size = Math.max(this.#size, at + from.length);
  }

  /** A chunk for at least so many bytes: small files are many. */
  #allocate(least: number): Uint8Array {
    let length = LEAST;
    while (length < least) length *= 2;
    try {
      return new Uint8Array(length);
    } catch (cause) {
      fail("NO_SPACE", `Cannot write "${this.name}": out of memory`, { cause, detail: { file: this.name } });
    }
  }

  /** Cuts, or grows with zeros. */
  truncate(size: number): void {
    if (size < this.#size) {
      const last = Math.floor(size / CHUNK);
      for (const index of [...this.#chunks.keys()]) if (index > last) this.#chunks.delete(index);
      this.#chunks.get(last)?.fill(0, size - last * CHUNK); // beyond a short chunk there are zeros anyway
    }
    this.#size = size;
  }

  /** A copy of all bytes. */
  bytes(): Uint8Array {
    const out = new Uint8Array(this.#size);
    this.read(0, out);
    return out;
  }
}

/** How to open memory storage by name. */
export interface MemoryOpenOptions {
  /** Make it when it is not there; without it a missing name is NOT_FOUND. */
  create?: boolean;
  /** Refuse writes. */
  readOnly?: boolean;
}

/** A handle on a {@linkcode MemoryFile}. */
export class MemoryStorage implements Storage {
  /** The bytes behind this handle. */
  readonly file: MemoryFile;
  readonly name: string;
  readonly identity: string;
  readonly durability: Durability = "memory";
  readonly readOnly: boolean;
  readonly created: boolean;
  #closed = false;
  #lock: MemoryLock | undefined;

  /** A handle on new bytes (a copy of those given), or on an existing memory file. */
  constructor(content?: Uint8Array | MemoryFile, options: { readOnly?: boolean; created?: boolean; name?: string } = {}) {
    this.file = content instanceof MemoryFile ? content : new MemoryFile(content, options.name);
    this.name = this.file.name;
    this.identity = this.file.identity;
    this.readOnly = options.readOnly ?? false;
    this.created = options.created ?? content === undefined;
  }

  /** Opens memory that the whole process shares under a name. */
  static open(name: string, options: MemoryOpenOptions = {}): MemoryStorage {
    const found = named.get(name);
    if (found !== undefined) return new MemoryStorage(found, { readOnly: options.readOnly, created: false });
    if (options.create !== true || options.readOnly === true) {
      fail("NOT_FOUND", `Cannot open "${name}": no memory storage has this name`, { handle: "closed", detail: { file: name } });
    }
    const file = new MemoryFile(undefined, name);
    named.set(name, file);
    return new MemoryStorage(file, { created: true });
  }

  /** Forgets shared memory; handles that are open keep working. True when there was one. */
  static remove(name: string): boolean {
    return named.delete(name);
  }

  /** Another handle on the same bytes. */
  reopen(options: { readOnly?: boolean } = {}): MemoryStorage {
    return new MemoryStorage(this.file, { readOnly: options.readOnly, created: false });
  }

  /** A copy of all bytes; also after `close`. */
  bytes(): Uint8Array {
    return this.file.bytes();
  }

  size(): number {
    this.#check("measure");
    return this.file.size;
  }

  read(at: number, into: Uint8Array): number {
    this.#check("read");
    checkRange("read", at, into.length);
    return this.file.read(at, into);
  }

  write(at: number, from: Uint8Array): void {
    this.#checkWritable("write");
    checkRange("write", at, from.length);
    this.file.write(at, from);
  }

  truncate(size: number): void {
    this.#checkWritable("truncate");
    checkRange("truncate", size, 0);
    this.file.truncate(size);
  }

  sync(): void {
    this.#checkWritable("sync");
  }

  // deno-lint-ignore require-await
  async syncAsync(): Promise<void> {
    this.#checkWritable("sync");
  }

  lock(request: LockRequest): StorageLock {
    this.#checkWritable("lock");
    this.#lock = new MemoryLock(this, request);
    return this.#lock;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lock?.release();
  }

  #check(action: string): void {
    if (this.#closed) failClosed(action, this.name);
  }

  #checkWritable(action: string): void {
    if (this.#closed) failClosed(action, this.name);
    if (this.readOnly) failReadOnly(action, this.name);
  }
}

class MemoryLock implements StorageLock {
  readonly strength: LockStrength = "process";
  readonly holder: LockHolder;
  readonly previous: LockHolder | undefined = undefined;
  #release: (() => void) | undefined;

  constructor(storage: MemoryStorage, request: LockRequest) {
    const since = new Date(request.now).toISOString();
    this.holder = { pid: processId(), started: "", host: "", boot: "", runtime: runtimeName(), since, nonce: request.nonce };
    this.#release = claimIdentity(storage.identity, storage.name, this.holder);
  }

  verify(): void {
    if (this.#release === undefined) fail("FENCED", "Cannot continue to write: the writer claim was given back");
  }

  release(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
