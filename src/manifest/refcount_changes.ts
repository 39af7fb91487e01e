// Reference counts: what the transaction being staged changes in them.
//
// Counts are added up over the whole transaction and written once, hidden, at its end: a snapshot that is published again over the same objects writes none.
// A count below zero is a defect or damage, never clamped.
import { fail } from "../errors.ts";
import type { Staging } from "./staging.ts";
import { collectable, type Refcount, refcounts, type StoredObject } from "./tables/refcounts.ts";

/** One stored object's count. */
class Count {
  readonly originDb: number;
  readonly chunkId: number;
  readonly generation: number;
  readonly delta: number;
  /** The row in the tree. */
  readonly row: Refcount | undefined;
  strong: number;
  /** Another object of the same chunk. */
  readonly next: Count | undefined;

  constructor(key: readonly [number, number, number, number], row: Refcount | undefined, next: Count | undefined) {
    [this.originDb, this.chunkId, this.generation, this.delta] = key;
    this.row = row;
    this.strong = row?.strong ?? 0;
    this.next = next;
  }
}

/** Changes of reference counts in one transaction. */
export class RefcountChanges {
  readonly #staging: Staging;
  /** By chunk, because objects of one transaction rarely share it. */
  readonly #counts = new Map<number, Count>();
  readonly #order: Count[] = [];

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  #count(object: StoredObject): Count {
    const { originDb, chunkId, generation } = object;
    const delta = object.deltaId ?? -1;
    const first = this.#counts.get(chunkId);
    for (let count = first; count !== undefined; count = count.next) {
      if (count.generation === generation && count.originDb === originDb && count.delta === delta) return count;
    }
    const key = [originDb, chunkId, generation, delta] as const;
    const row = this.#staging.reader(refcounts).get(key) as Refcount | undefined;
    const count = new Count(key, row, first);
    this.#counts.set(chunkId, count);
    this.#order.push(count);
    return count;
  }

  /** One more snapshot lists the object. */
  increment(object: StoredObject): void {
    this.#count(object).strong++;
  }

  /** One snapshot less lists the object. REFCOUNT_UNDERFLOW when none did. */
  decrement(object: StoredObject): void {
    const count = this.#count(object);
    if (count.strong === 0) {
      const { originDb, chunkId, generation, deltaId } = object;
      fail("REFCOUNT_UNDERFLOW", `Cannot release an object of chunk ${chunkId}: its count is zero already`, {
        detail: { originDb, chunkId, generation, deltaId },
      });
    }
    count.strong--;
  }

  /** Stages the rows that have changed. */
  stage(): void {
    const staging = this.#staging;
    for (const { originDb, chunkId, generation, delta, row, strong } of this.#order) {
      if (row !== undefined && row.strong === strong) continue;
      const key = [originDb, chunkId, generation, delta];
      const now = staging.now;
      staging.put(staging.bind(refcounts), key, { strong, zeroSince: strong === 0 ? now : undefined }, 0, true);
      const since = row?.zeroSince;
      if (since !== undefined) staging.delete(staging.bind(collectable), ["collectable", since, ...key], 0, true);
      if (strong === 0) staging.put(staging.bind(collectable), ["collectable", now, ...key], {}, 0, true);
    }
  }
}
