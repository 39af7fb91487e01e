// Reference counts: what the transaction being staged changes in them.
//
// Counts are added up over the whole transaction and written once, hidden, at its end: a snapshot that is published again over the same objects writes none.
// Invariants: a count below zero is a defect or damage, never clamped; a condemned object is never counted again; an object is in gc_collectable exactly while it is not
// live, under its state and the time it got there.
import { fail } from "../../errors.ts";
import type { Staging } from "../write/staging.ts";
import { collectable, factsOf, objectKey, type ObjectState, type Refcount, refcounts, type StoredObject } from "../tables/refcounts.ts";

/** One stored object's count. */
class Count {
  readonly originDb: number;
  readonly chunkId: number;
  readonly generation: number;
  readonly delta: number;
  strong: number;
  held: number;
  /** Whether a snapshot has listed it since it was put: such an object is collectable when its count is back at zero. */
  named: boolean;
  condemned: boolean;
  /** Its rows are to go. */
  gone = false;
  /** An operation has staged its row already, as it was then. */
  shown = false;
  /** The row in the tree. */
  readonly row: Refcount | undefined;
  /** Another object of the same chunk. */
  readonly next: Count | undefined;

  constructor(key: readonly [number, number, number, number], row: Refcount | undefined, next: Count | undefined) {
    [this.originDb, this.chunkId, this.generation, this.delta] = key;
    this.row = row;
    this.strong = row?.strong ?? 0;
    this.held = row?.held ?? 0;
    this.named = row !== undefined && row.state !== "unnamed" && row.unlisted !== true;
    this.condemned = row?.state === "condemned";
    this.next = next;
  }

  get key(): [number, number, number, number] {
    return [this.originDb, this.chunkId, this.generation, this.delta];
  }

  get state(): ObjectState {
    if (this.strong > 0 || this.held > 0) return "live";
    if (this.condemned) return "condemned";
    return this.named ? "collectable" : "unnamed";
  }

  /** Its row as it stands now. One that is in the same state as before the transaction has been there since then. */
  current(staging: Staging): Refcount {
    const { state, row, strong, held } = this;
    const since = state === "live" ? undefined : row?.state === state ? row.since : staging.now;
    const unlisted = state === "live" && !this.named ? true : undefined;
    return { strong, state, held: held === 0 ? undefined : held, since, unlisted };
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
    const key = objectKey(object);
    const [originDb, chunkId, generation, delta] = key;
    const first = this.#counts.get(chunkId);
    for (let count = first; count !== undefined; count = count.next) {
      if (count.generation === generation && count.originDb === originDb && count.delta === delta) return count;
    }
    const row = this.#staging.reader(refcounts).get(key) as Refcount | undefined;
    const count = new Count(key, row, first);
    this.#counts.set(chunkId, count);
    this.#order.push(count);
    return count;
  }

  /** The object's count, unless it is condemned: OBJECT_CONDEMNED; `action` completes "Cannot …". */
  #usable(object: StoredObject, action: string): Count {
    const count = this.#count(object);
    if (count.condemned && !count.gone) {
      fail("OBJECT_CONDEMNED", `Cannot ${action}: the object of chunk ${object.chunkId} is being deleted`, { detail: factsOf(object) });
    }
    return count;
  }

  /**
   * A catalog row names the object; `anew` when it did not before. One that is put is unnamed until a snapshot lists it, also when it had been listed before under the same name: an upload may be
   * under way.
   */
  note(object: StoredObject, anew: boolean, action: string): void {
    const count = this.#usable(object, action);
    if (anew && count.strong === 0) count.named = false;
  }

  /** One more snapshot lists the object. */
  increment(object: StoredObject, action: string): void {
    const count = this.#usable(object, action);
    count.strong++;
    count.named = true;
  }

  /** One snapshot less lists the object. REFCOUNT_UNDERFLOW when none did. */
  decrement(object: StoredObject): void {
    const count = this.#count(object);
    if (count.strong === 0) this.#underflow(object);
    count.strong--;
  }

  /** Adds to the uses that no snapshot stands for; returns the row as it stands now. REFCOUNT_UNDERFLOW below zero. */
  adjust(object: StoredObject, delta: number): Refcount {
    const count = delta > 0 ? this.#usable(object, "adjust a reference count") : this.#count(object);
    if (count.held + delta < 0) this.#underflow(object);
    if (count.held + delta > Number.MAX_SAFE_INTEGER) {
      fail("LIMIT", "Cannot adjust a reference count: it would pass 2^53 − 1", { detail: factsOf(object) });
    }
    count.held += delta;
    count.shown = true;
    return count.current(this.#staging);
  }

  #underflow(object: StoredObject): never {
    fail("REFCOUNT_UNDERFLOW", `Cannot release a stored object: the count of the one of chunk ${object.chunkId} is zero already`, {
      detail: factsOf(object),
    });
  }

  /** The object's present state. */
  state(object: StoredObject): ObjectState {
    return this.#count(object).state;
  }

  /** Nobody may list the object any more: it is about to be deleted. */
  condemn(object: StoredObject): void {
    this.#count(object).condemned = true;
  }

  /** The object has been deleted: its rows go. */
  remove(object: StoredObject): void {
    this.#count(object).gone = true;
  }

  /** Stages the rows that differ from those in the tree. */
  stage(): void {
    const staging = this.#staging;
    for (const count of this.#order) {
      const { key, row, state } = count;
      if (count.gone ? row === undefined : !count.shown && isSame(count)) continue;
      const before = row === undefined || row.state === "live" ? undefined : row.since;
      const now = count.current(staging);
      const since = count.gone ? undefined : now.since;
      const moved = before !== since || row?.state !== state;
      if (before !== undefined && moved) staging.delete(staging.bind(collectable), [row!.state, before, ...key], 0, true);
      if (since !== undefined && moved) staging.put(staging.bind(collectable), [state, since, ...key], {}, 0, true);
      if (count.gone) staging.delete(staging.bind(refcounts), key, 0, true);
      else staging.put(staging.bind(refcounts), key, now, 0, true);
    }
  }
}

/** Whether the tree's row says what the count says. */
function isSame({ row, strong, held, state, named }: Count): boolean {
  if (row === undefined || row.strong !== strong || (row.held ?? 0) !== held || row.state !== state) return false;
  return state !== "live" || named !== (row.unlisted === true);
}
