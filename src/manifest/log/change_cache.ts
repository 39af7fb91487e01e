// The cache of recent change records: decoded changes, so that several consumers of the log, or several manifests, decode each change once.
//
// Entries are found by an object id, which stands for a file, and a sequence. Beyond the capacity an entry goes by second chance: those looked up since the hand came by last are passed over once.
// Invariants: `bytes` is the sum over all entries; the observer is called behind each step, when everything is consistent, in order and never inside another of its calls, so it may use the
// cache and its manifests; what it throws surfaces as an error of its own turn.
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { failRange, failType } from "../../errors.ts";
import type { Change } from "./change.ts";
import { surface } from "../events.ts";

/** Names a file in a cache that several manifests share. */
export type ChangeCacheId = string | number;

/** Which change. */
export interface ChangeCacheKey {
  /** The file. */
  readonly id: ChangeCacheId;
  /** The change. */
  readonly sequence: number;
}

/** Hears what a cache does. */
export interface ChangeCacheObserver {
  /** A change was found. */
  onHit?(key: ChangeCacheKey): void;
  /** A change was not found. */
  onMiss?(key: ChangeCacheKey): void;
  /** A change was put in, with the length of its record in bytes. */
  onInsert?(key: ChangeCacheKey, bytes: number): void;
  /** A change has gone: for others, with the log, or with its table. */
  onEvict?(key: ChangeCacheKey, bytes: number): void;
}

/** How a cache is made. */
export interface ChangeCacheOptions {
  /** Bytes of records that it holds at most. Default 4 MiB. 0 = none. */
  capacityBytes?: number;
  /** Hears what it does. */
  observer?: ChangeCacheObserver;
}

/** Numbers about a cache. */
export interface ChangeCacheMetrics {
  /** Changes found. */
  readonly hits: number;
  /** Changes not found. */
  readonly misses: number;
  /** Changes put in. */
  readonly insertions: number;
  /** Changes gone. */
  readonly evictions: number;
  /** Changes in it. */
  readonly entries: number;
  /** Bytes of their records. */
  readonly bytes: number;
  /** Bytes that it holds at most. */
  readonly capacityBytes: number;
}

interface Entry {
  readonly key: ChangeCacheKey;
  readonly change: Change;
  readonly bytes: number;
  /** Looked up since the hand came by. */
  used: boolean;
  /** No longer in the cache; the hand drops it. */
  gone: boolean;
}

const CAPACITY = 4 << 20;
const NAMES: OptionNames<ChangeCacheOptions> = { capacityBytes: true, observer: true };

/**
 * A cache of recent change records. Every manifest has one of its own unless `open` is given another: manifests of the same or of different files may share one. Bytes are those of the encoded
 * records. What it hands out is shared and therefore frozen, but for bytes, which cannot be: do not change those. Changes so old that newer ones would push them out are not kept. When a table is dropped all changes of its file go, because they decode differently from then on.
 *
 * @example
 * ```ts
 * import { ChangeCache, Manifest, memoryStorage } from "@waybill/manifest";
 *
 * const changeCache = new ChangeCache({ capacityBytes: 1 << 20 });
 * await using manifest = await Manifest.open(memoryStorage(), { create: true, changeCache });
 * await manifest.begin().putDb(1, { name: "events" }).commit();
 * for await (const change of manifest.changes()) console.log(change.sequence);
 * for await (const change of manifest.changes()) console.log(change.sequence);
 * console.log(changeCache.metrics.hits); // 1
 * ```
 */
export class ChangeCache {
  readonly #capacity: number;
  readonly #observer: ChangeCacheObserver | undefined;
  readonly #files = new Map<ChangeCacheId, Map<number, Entry>>();
  /** Entries in the order of the hand, from `#hand` on. */
  #ring: Entry[] = [];
  #hand = 0;
  #gone = 0;
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  #insertions = 0;
  #evictions = 0;
  #calls: (() => void)[] = [];
  #telling = false;

  /** An empty cache. */
  constructor(options: ChangeCacheOptions = {}) {
    const { capacityBytes = CAPACITY, observer } = takeOptions(options, NAMES, "make a change cache");
    if (typeof capacityBytes !== "number") {
      failType("Cannot make a change cache: capacityBytes is not a number", { option: "capacityBytes" });
    }
    if (!Number.isSafeInteger(capacityBytes) || capacityBytes < 0) {
      failRange("Cannot make a change cache: capacityBytes is not a whole number from 0 on", { option: "capacityBytes" });
    }
    if (observer !== undefined && (typeof observer !== "object" || observer === null)) {
      failType("Cannot make a change cache: its observer is not an object", { option: "observer" });
    }
    this.#capacity = capacityBytes;
    this.#observer = observer;
  }

  /** Bytes that it holds at most. */
  get capacityBytes(): number {
    return this.#capacity;
  }

  /** Numbers about it. */
  get metrics(): ChangeCacheMetrics {
    return {
      hits: this.#hits,
      misses: this.#misses,
      insertions: this.#insertions,
      evictions: this.#evictions,
      entries: this.#ring.length - this.#hand - this.#gone,
      bytes: this.#bytes,
      capacityBytes: this.#capacity,
    };
  }

  /** Whether a change is in it. Counts nothing. */
  has(id: ChangeCacheId, sequence: number): boolean {
    return this.#files.get(id)?.has(sequence) ?? false;
  }

  /** A change and the length of its record; undefined when it is not in it. */
  get(id: ChangeCacheId, sequence: number): { readonly change: Change; readonly bytes: number } | undefined {
    const entry = this.#files.get(id)?.get(sequence);
    if (entry === undefined) {
      this.#misses++;
      if (this.#observer?.onMiss !== undefined) this.#note((observer) => observer.onMiss?.({ id, sequence }));
      this.#tell();
      return undefined;
    }
    entry.used = true;
    this.#hits++;
    if (this.#observer?.onHit !== undefined) this.#note((observer) => observer.onHit?.(entry.key));
    this.#tell();
    return entry;
  }

  /** Puts a change in, with the length of its record; others go for it. One that alone is longer than the capacity is not put in. */
  insert(id: ChangeCacheId, change: Change, bytes: number): void {
    const { sequence } = change;
    if (bytes > this.#capacity) return;
    let file = this.#files.get(id);
    const before = file?.get(sequence);
    if (before !== undefined) this.#remove(before);
    while (this.#bytes + bytes > this.#capacity && this.#evictOne());
    file = this.#files.get(id);
    if (file === undefined) this.#files.set(id, file = new Map());
    const entry: Entry = { key: { id, sequence }, change, bytes, used: false, gone: false };
    file.set(sequence, entry);
    this.#ring.push(entry);
    this.#bytes += bytes;
    this.#insertions++;
    if (this.#observer?.onInsert !== undefined) this.#note((observer) => observer.onInsert?.(entry.key, bytes));
    this.#tell();
  }

  /** Takes out the changes of a file whose sequences are from `first` to `last`. */
  drop(id: ChangeCacheId, first: number, last: number): void {
    const file = this.#files.get(id);
    if (file === undefined) return;
    if (last - first < file.size) {
      for (let sequence = first; sequence <= last; sequence++) {
        const entry = file.get(sequence);
        if (entry !== undefined) this.#remove(entry);
      }
    } else for (const [sequence, entry] of [...file]) if (sequence >= first && sequence <= last) this.#remove(entry);
    this.#tell();
  }

  /** Takes all changes of a file out, or all there are. */
  clear(id?: ChangeCacheId): void {
    for (const file of id === undefined ? [...this.#files.values()] : [this.#files.get(id)]) {
      if (file !== undefined) { for (const entry of [...file.values()]) this.#remove(entry); }
    }
    this.#tell();
  }

  /** The hand goes on to the first entry that was not looked up, and takes it out; false when there is none at all. */
  #evictOne(): boolean {
    while (this.#hand < this.#ring.length) {
      const entry = this.#ring[this.#hand++]!;
      if (entry.gone) this.#gone--;
      else if (entry.used) {
        entry.used = false;
        this.#ring.push(entry);
      } else {
        this.#leave(entry);
        return true;
      }
      this.#tidy();
    }
    return false;
  }

  #remove(entry: Entry): void {
    if (entry.gone) return;
    this.#gone++;
    this.#leave(entry);
  }

  /** An entry that the ring holds no more, or holds as gone. */
  #leave(entry: Entry): void {
    const { key, bytes } = entry;
    entry.gone = true;
    const file = this.#files.get(key.id)!;
    file.delete(key.sequence);
    if (file.size === 0) this.#files.delete(key.id);
    this.#bytes -= bytes;
    this.#evictions++;
    this.#tidy();
    if (this.#observer?.onEvict !== undefined) this.#note((observer) => observer.onEvict?.(key, bytes));
  }

  /** Drops what the hand has passed and what is gone, when that is most of the ring. */
  #tidy(): void {
    if ((this.#hand + this.#gone) * 2 <= this.#ring.length + 64) return;
    this.#ring = this.#ring.slice(this.#hand).filter((entry) => !entry.gone);
    this.#hand = this.#gone = 0;
  }

  #note(call: (observer: ChangeCacheObserver) => void): void {
    const observer = this.#observer!;
    this.#calls.push(() => call(observer));
  }

  /** Tells the observer what was noted: the last thing that a method does. */
  #tell(): void {
    if (this.#telling || this.#calls.length === 0) return;
    this.#telling = true;
    for (let next = this.#calls.shift(); next !== undefined; next = this.#calls.shift()) {
      try {
        next();
      } catch (error) {
        surface(error);
      }
    }
    this.#telling = false;
  }
}
