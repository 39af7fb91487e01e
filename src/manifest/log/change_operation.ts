// Operations as consumers of the change log see them.
import type { Position } from "../read/bounds.ts";
import type { ChunkDelta } from "../tables/chunk_deltas.ts";
import type { Chunk } from "../tables/chunks.ts";
import type { Database } from "../tables/databases.ts";
import type { GenerationRecord } from "../tables/generations.ts";
import type { Job } from "../tables/jobs.ts";
import type { MetaRecord } from "../tables/meta.ts";
import type { Metric } from "../tables/metrics.ts";
import type { Refcount } from "../tables/refcounts.ts";
import type { RemoteNamespace } from "../tables/remote_namespaces.ts";
import type { Snapshot } from "../tables/snapshots.ts";
import type { WalArtifact } from "../tables/wal_artifacts.ts";
import type { WalState } from "../tables/wal_states.ts";

/** An operation that left a row behind: its value is the whole row. */
export interface RowPut<Op extends string, Table extends string, Key extends readonly unknown[], Value> {
  /** Its name, as the method of a transaction. */
  readonly op: Op;
  /** The table. */
  readonly table: Table;
  /** The row's key. */
  readonly key: Key;
  /** The row as it is now. */
  readonly value: Value;
}

/** An operation that ended a row. */
export interface RowDeleted<Op extends string, Table extends string, Key extends readonly unknown[]> {
  /** Its name, as the method of a transaction. */
  readonly op: Op;
  /** The table. */
  readonly table: Table;
  /** The row's key. */
  readonly key: Key;
}

/**
 * One operation of a change. Keys and values are decoded. What followed from it inside the manifest (reference counts, indexes, the cascade of a deletion, the copies of a fork) is not shown:
 * the same operation has the same consequences elsewhere.
 */
export type ChangeOperation =
  | RowPut<"put", string, readonly unknown[], Readonly<Record<string, unknown>>>
  | RowDeleted<"delete", string, readonly unknown[]>
  | { readonly op: "deleteRange"; readonly table: string; readonly from: Position; readonly until: Position }
  | RowPut<"putDb", "db", readonly [db: number], Database>
  | RowDeleted<"deleteDb", "db", readonly [db: number]>
  | RowPut<"forkDb", "db", readonly [db: number], Database>
  | RowPut<"putWalState", "wal_state", readonly [db: number], WalState>
  | RowDeleted<"deleteWalState", "wal_state", readonly [db: number]>
  | RowPut<"upsertWalArtifact", "wal_catalog", readonly [db: number, artifact: number], WalArtifact>
  | RowDeleted<"deleteWalArtifact", "wal_catalog", readonly [db: number, artifact: number]>
  | RowPut<"upsertChunk", "chunk_catalog", readonly [db: number, chunk: number], Chunk>
  | RowDeleted<"deleteChunk", "chunk_catalog", readonly [db: number, chunk: number]>
  | RowPut<"upsertChunkDelta", "chunk_delta_index", readonly [db: number, chunk: number, generation: number, delta: number], ChunkDelta>
  | RowDeleted<"deleteChunkDelta", "chunk_delta_index", readonly [db: number, chunk: number, generation: number, delta: number]>
  | RowPut<"publishSnapshot", "snapshot_index", readonly [db: number, snapshot: number], Snapshot>
  | RowDeleted<"dropSnapshot", "snapshot_index", readonly [db: number, snapshot: number]>
  | RowPut<"adjustRefcount", "gc_refcounts", readonly [originDb: number, chunk: number, generation: number, delta: number], Refcount>
  | RowPut<"putJob" | "updateJobState" | "upsertPendingJob" | "deletePendingJob", "job_queue", readonly [job: number], Job>
  | RowDeleted<"removeJob", "job_queue", readonly [job: number]>
  | RowPut<"persistJobCounter", "meta", readonly [name: string], MetaRecord>
  | RowPut<"mergeMetric", "metrics", readonly [scope: number, kind: number], Metric>
  | RowPut<"bumpGeneration", "generation_watermarks", readonly [component: number], GenerationRecord>
  | RowPut<"putRemoteNamespace", "remote_namespaces", readonly [namespace: number], RemoteNamespace>
  | RowDeleted<"deleteRemoteNamespace", "remote_namespaces", readonly [namespace: number]>
  | UnreadableOperation;

/** An operation on a table that has been dropped since, or one that only a newer version knows: as bytes. */
export interface UnreadableOperation {
  /** Always "unreadable". */
  readonly op: "unreadable";
  /** The table's id. */
  readonly tableId: number;
  /** What was done. */
  readonly effect: "put" | "delete" | "deleteRange";
  /** Encoded key; of a range its first position. */
  readonly key: Uint8Array;
  /** Encoded value; of a range its last position, exclusive; of a delete empty. */
  readonly value: Uint8Array;
}
