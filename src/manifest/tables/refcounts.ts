// Tables "gc_refcounts" and "gc_collectable": how many live snapshots list each stored object, and which objects none lists any more.
//
// A count belongs to the stored object, not to the chunk: (origin database, chunk, generation, delta), delta −1 for a chunk's base object. The row stays at zero;
// an object at zero also has a row in gc_collectable, ordered by state and by when it got there, so that what may be collected is a range and not a scan of all counts. The
// two are written by the engine alone. That a chunk's row still names the object does not keep it: only snapshots do.
import { defineTable, enumOf, i32, named, optional, type Table, timestamp, u53 } from "../../schema/schema.ts";

/** A stored object. */
export interface StoredObject {
  /** The database that wrote it. */
  originDb: number;
  /** Its chunk. */
  chunkId: number;
  /** Its generation. */
  generation: number;
  /** The delta, when it is one. */
  deltaId?: number;
}

/** The count of a stored object. */
export interface Refcount {
  /** Live snapshots that list it. */
  strong: number;
  /** Since when that is zero, milliseconds since 1970. */
  zeroSince?: number;
}

/** An entry of the list of objects that no snapshot lists any more. */
export type Collectable = Record<never, never>;

/** Key: origin database, chunk, generation, delta (−1: the base object). */
export const refcounts: Table<[originDb: number, chunk: number, generation: number, delta: number], Refcount> = defineTable({
  name: "gc_refcounts",
  key: [u53("originDb"), u53("chunk"), u53("generation"), i32("delta")],
  value: { strong: u53(), zeroSince: optional(timestamp()) },
});

/** Key: state, since when, then the key of gc_refcounts. */
export const collectable: Table<
  [state: "collectable", since: number, originDb: number, chunk: number, generation: number, delta: number],
  Collectable
> = defineTable({
  name: "gc_collectable",
  key: [named("state", enumOf("collectable")), u53("since"), u53("originDb"), u53("chunk"), u53("generation"), i32("delta")],
  value: {},
});
