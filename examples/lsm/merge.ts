// Several sorted sources as one: of the entries of a key only that with the greatest log sequence number.
import { compareKeys } from "./bytes.ts";
import type { Entry } from "./entry.ts";

/** Entries by key. */
export type Source = AsyncIterable<Entry> | Iterable<Entry>;

/** Entries of all sources by key, one for each key, deletions included. */
export async function* merge(sources: readonly Source[]): AsyncGenerator<Entry> {
  const iterators = sources.map((source) => Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]());
  const heads: (Entry | undefined)[] = [];
  const step = async (i: number): Promise<void> => {
    const { done, value } = await iterators[i]!.next();
    heads[i] = done ? undefined : value;
  };
  try {
    for (let i = 0; i < iterators.length; i++) await step(i);
    for (;;) {
      let newest: Entry | undefined;
      for (const head of heads) {
        if (head === undefined) continue;
        const order = newest === undefined ? -1 : compareKeys(head.key, newest.key);
        if (order < 0 || (order === 0 && head.lsn > newest!.lsn)) newest = head;
      }
      if (newest === undefined) return;
      for (let i = 0; i < heads.length; i++) {
        while (heads[i] !== undefined && compareKeys(heads[i]!.key, newest.key) === 0) await step(i);
      }
      yield newest;
    }
  } finally {
    for (const iterator of iterators) await iterator.return?.();
  }
}
