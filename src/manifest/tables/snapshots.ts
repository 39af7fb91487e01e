// Table "snapshot_index": published snapshots, and for each chunk that one lists the stored object that it counted.
//
// Dropping a snapshot releases exactly the objects in its row, whatever has become of the chunks since.
import { defineTable, list, optional, record, type Table, timestamp, u53 } from "../../schema/schema.ts";

/** A chunk in a snapshot, and the object that is counted for it. */
export interface SnapshotChunk {
  /** The chunk. */
  chunkId: number;
  /** The database that wrote the object. */
  originDb: number;
  /** Generation of the object. */
  generation: number;
  /** The delta, when the object is one. */
  deltaId?: number;
  /** The chunk that the delta applies to. */
  baseChunkId?: number;
}

/** A published snapshot. */
export interface Snapshot {
  /** When it was published, milliseconds since 1970. */
  createdAt: number;
  /** The generation it shows. */
  sourceGeneration: number;
  /** Its chunks. */
  chunks: SnapshotChunk[];
}

/** An item of what `publishSnapshot` takes: a chunk, or one of its deltas. */
export interface SnapshotItem {
  /** The chunk. */
  readonly chunkId: number;
  /** The delta, when it is one. */
  readonly deltaId?: number;
  /** Of a delta the generation that it applies to, by default the chunk's present one. Of a chunk the generation that it must have now. */
  readonly generation?: number;
}

/** What `publishSnapshot` takes. */
export interface SnapshotInput {
  /** The generation it shows. Default 0. */
  sourceGeneration?: number;
  /** Default: now. */
  createdAt?: number;
  /** Its chunks and deltas, each once: the object that each has now is counted. */
  chunks: readonly SnapshotItem[];
}

/** Key: database id, snapshot id. */
export const snapshots: Table<[db: number, snapshot: number], Snapshot> = defineTable({
  name: "snapshot_index",
  key: [u53("db"), u53("snapshot")],
  value: {
    createdAt: timestamp(),
    sourceGeneration: u53(),
    chunks: list(record({
      chunkId: u53(),
      originDb: u53(),
      generation: u53(),
      deltaId: optional(u53()),
      baseChunkId: optional(u53()),
    })),
  },
});
