// The newest entries, in memory, in the order of their keys: one for each key.
import { compareKeys } from "./bytes.ts";
import type { Entry } from "./entry.ts";

const OVERHEAD = 32;

/** Entries of one write-ahead segment. */
export class Memtable {
  /** The segment that holds the same entries. */
  readonly wal: number;
  #entries: Entry[] = [];
  #sizeBytes = 0;
  #maxLsn = 0;

  /** An empty one. */
  constructor(wal: number) {
    this.wal = wal;
  }

  /** About how much memory it takes. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The greatest log sequence number in it; 0 when it is empty. */
  get maxLsn(): number {
    return this.#maxLsn;
  }

  /** Its entries by key. Not to be changed; changes with the next `put`. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  #find(key: Uint8Array): number {
    let low = 0, high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#entries[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The entry of a key. */
  get(key: Uint8Array): Entry | undefined {
    const entry = this.#entries[this.#find(key)];
    return entry !== undefined && compareKeys(entry.key, key) === 0 ? entry : undefined;
  }

  /** Takes an entry in, instead of the one that its key had. */
  put(entry: Entry): void {
    const at = this.#find(entry.key);
    const before = this.#entries[at];
    const sizeOf = ({ key, value }: Entry): number => OVERHEAD + key.length + (value?.length ?? 0);
    if (before !== undefined && compareKeys(before.key, entry.key) === 0) {
      this.#sizeBytes -= sizeOf(before);
      this.#entries[at] = entry;
    } else this.#entries.splice(at, 0, entry);
    this.#sizeBytes += sizeOf(entry);
    this.#maxLsn = Math.max(this.#maxLsn, entry.lsn);
  }

  /** Its entries as they are now, for a reader that must not see later ones. */
  snapshot(): readonly Entry[] {
    return this.#entries.slice();
  }
}
