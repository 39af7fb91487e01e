// Reading the change log by sequence, through the cache of recent records.
//
// Invariants: only durable changes are read, so what is in the cache is the same for every handle of the file; the cache and its observer are told behind the scan, never inside it, because they may use the
// manifest. What is handed out is frozen at its upper levels: the change, its list of operations, each operation, its key and its value.
import type { View } from "../../store/store.ts";
import type { Change, ChangeCodec } from "./change.ts";
import type { ChangeCache, ChangeCacheId } from "./change_cache.ts";
import { type ChangeLog, PAGE_BYTES } from "./change_log.ts";

/** Freezes a change with everything in it but bytes, which cannot be frozen: from the cache it is handed out more than once. */
export function freezeChange(change: Change): Change {
  for (const operation of change.operations) {
    if (operation.op !== "unreadable" && "key" in operation) Object.freeze(operation.key);
    if (operation.op !== "unreadable" && "value" in operation) freezeAll(operation.value);
    Object.freeze(operation);
  }
  Object.freeze(change.operations);
  Object.freeze(change.generations);
  return Object.freeze(change);
}

function freezeAll(value: object): void {
  for (const item of Object.values(value)) if (typeof item === "object" && item !== null && !ArrayBuffer.isView(item)) freezeAll(item);
  Object.freeze(value);
}

/** Reads changes of one store. */
export class ChangeRecords {
  readonly #log: ChangeLog;
  readonly #codec: ChangeCodec;
  readonly #cache: ChangeCache | undefined;
  readonly #id: ChangeCacheId;
  #oldest = 0;

  constructor(log: ChangeLog, codec: ChangeCodec, cache: ChangeCache | undefined, id: ChangeCacheId) {
    this.#log = log;
    this.#codec = codec;
    this.#cache = cache;
    this.#id = id;
  }

  /** Changes from `from` on, which the view has, at most `size` and about 8 MiB, up to the newest durable one. */
  read(view: View, from: number, size: number): Change[] {
    const end = Math.min(this.#log.latest, from + size - 1);
    const changes: Change[] = [];
    if (this.#cache === undefined) {
      for (const [change] of this.#scan(view, from, end - from + 1)) changes.push(change);
      return changes;
    }
    for (let next = from, bytes = 0; next <= end && bytes < PAGE_BYTES;) {
      const known = this.#cache.get(this.#id, next);
      if (known !== undefined) {
        changes.push(known.change);
        bytes += known.bytes;
        next++;
        continue;
      }
      let count = 1;
      while (next + count <= end && !this.#cache.has(this.#id, next + count)) count++;
      const read = this.#scan(view, next, count, PAGE_BYTES - bytes);
      if (read.length === 0) break;
      read.forEach(([change, length], i) => {
        if (i > 0) this.#cache!.get(this.#id, change.sequence); // looked up and not found, as the first one
        if (this.#isRecent(change.sequence, length)) this.#cache!.insert(this.#id, freezeChange(change), length);
        changes.push(change);
        bytes += length;
      });
      next += read.length;
    }
    return changes;
  }

  /** Whether a change would still be in the cache when all that came after it have been put in, were they of its length: who reads a long log from its beginning does not push out what the others read. */
  #isRecent(sequence: number, length: number): boolean {
    return (this.#log.latest - sequence + 1) * length <= this.#cache!.capacityBytes;
  }

  #scan(view: View, from: number, count: number, bytes = PAGE_BYTES): [change: Change, length: number][] {
    const out: [Change, number][] = [];
    if (count < 1) return out;
    view.tables(); // read now: the records below must not be disturbed by it
    const tables = new Map();
    this.#log.read(view, from, this.#log.latest, count, bytes, (sequence, at, length) => {
      out.push([this.#codec.decode(view, tables, sequence, at, length), length]);
    });
    return out;
  }

  /** Everything before `oldest` is gone from the log, or will be soon. */
  truncated(oldest: number): void {
    if (oldest <= this.#oldest) return;
    this.#cache?.drop(this.#id, this.#oldest, oldest - 1);
    this.#oldest = oldest;
  }

  /** The file ends with `latest`: what an earlier handle has seen behind it never was. */
  ends(latest: number): void {
    this.#cache?.drop(this.#id, latest + 1, Infinity);
  }

  /** A table was dropped: its operations decode differently from now on. */
  forget(): void {
    this.#cache?.clear(this.#id);
  }
}
