// Tables "gc_refcounts" and "gc_collectable": what is known of each stored object, and which of them nobody needs.
//
//   unnamed ──publish──▶ live ──last drop──▶ collectable ──reclaim──▶ condemned ──deleted──▶ (no row)
//      ▲                  ▲                      │   │
//      │                  └───────publish────────┘   │
//      └──────────────put again by another row───────┘
//
// A count belongs to the stored object, not to the chunk: (origin database, chunk, generation, delta), delta −1 for a chunk's base object. An object that is not live also has a row in
// gc_collectable, ordered by state and by when it got there, so that what may be collected is a range and not a scan of all counts. Both are written by the engine
// alone. That a chunk's row still names the object does not keep it: only snapshots and holds do.
import { bool, defineTable, enumOf, i32, named, optional, type Table, timestamp, u53 } from "../../schema/schema.ts";

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

/**
 * What becomes of a stored object: `unnamed` was put and never listed by a snapshot (an upload may be under way); `live` is listed or held; `collectable` was, and is no more;
 * `condemned` is being deleted and can no longer be listed.
 */
export type ObjectState = "live" | "unnamed" | "collectable" | "condemned";

/** What is known of a stored object. */
export interface Refcount {
  /** Live snapshots that list it. */
  strong: number;
  /** Its state. */
  state: ObjectState;
  /** What `adjustRefcount` has added up to: uses that no snapshot stands for. */
  held?: number;
  /** Since when it is in its state, milliseconds since 1970; absent for a live one. */
  since?: number;
  /** Of a held one: no snapshot has ever listed it. */
  unlisted?: boolean;
}

/** An entry of the list of objects that are not live. */
export type Collectable = Record<never, never>;

/** Key: origin database, chunk, generation, delta (−1: the base object). */
export const refcounts: Table<[originDb: number, chunk: number, generation: number, delta: number], Refcount> = defineTable({
  name: "gc_refcounts",
  key: [u53("originDb"), u53("chunk"), u53("generation"), i32("delta")],
  value: {
    strong: u53(),
    state: enumOf("live", "unnamed", "collectable", "condemned"),
    held: optional(u53()),
    since: optional(timestamp()),
    unlisted: optional(bool()),
  },
});

/** Key: state, since when, then the key of gc_refcounts. */
export const collectable: Table<
  [
    state: "unnamed" | "collectable" | "condemned",
    since: number,
    originDb: number,
    chunk: number,
    generation: number,
    delta: number,
  ],
  Collectable
> = defineTable({
  name: "gc_collectable",
  key: [
    named("state", enumOf("unnamed", "collectable", "condemned")),
    u53("since"),
    u53("originDb"),
    u53("chunk"),
    u53("generation"),
    i32("delta"),
  ],
  value: {},
});

/** The key of a stored object in gc_refcounts. */
export function objectKey({ originDb, chunkId, generation, deltaId }: StoredObject): [number, number, number, number] {
  return [originDb, chunkId, generation, deltaId ?? -1];
}

/** A stored object in an error: what names it, and nothing else that the caller's object may hold. */
export function factsOf({ originDb, chunkId, generation, deltaId }: StoredObject): Record<string, number> {
  return deltaId === undefined ? { originDb, chunkId, generation } : { originDb, chunkId, generation, deltaId };
}

/** The stored object of a key in gc_refcounts. */
export function objectOf(originDb: number, chunkId: number, generation: number, delta: number): StoredObject {
  return delta < 0 ? { originDb, chunkId, generation } : { originDb, chunkId, generation, deltaId: delta };
}
