// The operations of a transaction, as chainable methods: what write-only and read-write transactions have in common.
import { readArgument } from "../../arguments.ts";
import { failType } from "../../errors.ts";
import type { AnyTable, KeyInput, Table } from "../../schema/schema.ts";
import type { RangeBounds } from "../read/bounds.ts";
import { checkCursorId, checkSequence } from "../log/cursor_moves.ts";
import type { OperationKind } from "./operation.ts";
import { ACKNOWLEDGE } from "../operations/acknowledge.ts";
import { ADJUST_REFCOUNT, BUMP_GENERATION, MERGE_METRIC } from "../operations/aggregates.ts";
import { DELETE_CHUNK, DELETE_CHUNK_DELTA, UPSERT_CHUNK, UPSERT_CHUNK_DELTA } from "../operations/chunks.ts";
import { CREATE_DB, DELETE_DB, PUT_DB } from "../operations/databases.ts";
import { FORK_DB } from "../operations/fork.ts";
import { DELETE_PENDING_JOB, PERSIST_JOB_COUNTER, PUT_JOB, REMOVE_JOB, UPDATE_JOB_STATE, UPSERT_PENDING_JOB } from "../operations/jobs.ts";
import { DELETE, DELETE_RANGE, PUT } from "../operations/plain.ts";
import { DELETE_REMOTE_NAMESPACE, PUT_REMOTE_NAMESPACE } from "../operations/remote_namespaces.ts";
import { DROP_SNAPSHOT, PUBLISH_SNAPSHOT } from "../operations/snapshots.ts";
import { DELETE_WAL_ARTIFACT, DELETE_WAL_STATE, PUT_WAL_STATE, UPSERT_WAL_ARTIFACT } from "../operations/write_ahead_log.ts";
import { type ChunkDeltaInput, chunkDeltas } from "../tables/chunk_deltas.ts";
import { type ChunkInput, chunks } from "../tables/chunks.ts";
import { cursors } from "../tables/cursors.ts";
import { type DatabaseInput, databases } from "../tables/databases.ts";
import { generations } from "../tables/generations.ts";
import { type JobInput, jobs, type JobStateInput } from "../tables/jobs.ts";
import { meta, NEXT_JOB_ID } from "../tables/meta.ts";
import { type MetricInput, metrics } from "../tables/metrics.ts";
import { refcounts, type StoredObject } from "../tables/refcounts.ts";
import { type RemoteNamespaceInput, remoteNamespaces } from "../tables/remote_namespaces.ts";
import { type SnapshotInput, snapshots } from "../tables/snapshots.ts";
import { type WalArtifactInput, walArtifacts } from "../tables/wal_artifacts.ts";
import { type WalStateInput, walStates } from "../tables/wal_states.ts";

/**
 * Collects one operation.
 * @internal
 */
export const ADD: unique symbol = Symbol("add");

/**
 * The next id for a job.
 * @internal
 */
export const NEXT_JOB: unique symbol = Symbol("nextJob");

// Both are named by symbols and nothing here is private, because Transaction, which has another parent, takes the methods over.
/** Collects operations. Every method but `enqueueJob` returns the transaction. Keys and values are taken by reference: do not change them before the commit has settled. */
export abstract class OperationBuilder {
  /**
   * Collects one operation.
   * @internal
   */
  abstract [ADD](kind: OperationKind, table: AnyTable, key: unknown, value: unknown): this;
  /**
   * The next id for a job.
   * @internal
   */
  abstract [NEXT_JOB](): number;

  // ---- any table --------------------------------------------------------------------------------------------

  /** Puts a row. A table that is not there yet is made with the commit. On a built-in table this is the table's own operation. */
  put<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>, value: V): this {
    return this[ADD](PUT, checkTable(table), key, value);
  }

  /** Deletes a row; nothing happens when there is none. On a built-in table this is the table's own operation. */
  delete<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>): this {
    return this[ADD](DELETE, checkTable(table), key, undefined);
  }

  /** Deletes all rows of a range of a user table. */
  deleteRange<K extends readonly unknown[], V>(table: Table<K, V>, bounds: RangeBounds<K>): this {
    return this[ADD](DELETE_RANGE, checkTable(table), bounds, undefined);
  }

  // ---- change log -------------------------------------------------------------------------------------------

  /**
   * Acknowledges changes in the same commit: what a consumer has made of them and how far it has come are kept together or not at all. Everything before `nextSequence` is done; going back does
   * nothing. CURSOR_UNKNOWN; a RangeError when it is beyond the newest durable change. It appears in no change, and a transaction that does nothing else is none: its receipt has sequence 0.
   *
   * @example
   * ```ts
   * import { defineTable, Manifest, memoryStorage, u53 } from "@waybill/manifest";
   *
   * const totals = defineTable({ name: "totals", key: [u53("db")], value: { changes: u53() } });
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const cursor = await manifest.registerChangeCursor("totals");
   * await manifest.begin().putDb(1, { name: "events" }).commit();
   * const page = await manifest.fetchChangePage(cursor.id);
   * await manifest.begin().put(totals, 1, { changes: page.changes.length }).acknowledge(cursor.id, page.nextSequence).commit();
   * ```
   */
  acknowledge(cursorId: number, nextSequence: number): this {
    return this[ADD](ACKNOWLEDGE, cursors, checkCursorId(cursorId), checkSequence(nextSequence, "nextSequence"));
  }

  // ---- databases --------------------------------------------------------------------------------------------

  /** Puts a database, whether it exists or not. */
  putDb(db: number, database: DatabaseInput): this {
    return this[ADD](PUT_DB, databases, db, database);
  }

  /** Puts a database that must not exist yet: EXISTS otherwise. The change says `putDb`. */
  createDb(db: number, database: DatabaseInput): this {
    return this[ADD](CREATE_DB, databases, db, database);
  }

  /**
   * Deletes a database with its write-ahead-log state and artifacts, chunks, deltas, waiting jobs, and snapshots, whose objects are released. Jobs under way or ended stay. NOT_FOUND when there is none.
   */
  deleteDb(db: number): this {
    return this[ADD](DELETE_DB, databases, db, undefined);
  }

  /**
   * Makes database `target` as `source` is in this commit: with its options unless `input` says otherwise, its write-ahead-log state (without error and active job), chunks, deltas, log artifacts and
   * snapshots. Stored objects are shared, and counted for both. NOT_FOUND, EXISTS; OBJECT_CONDEMNED when an object that the source names is being deleted.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * await manifest.begin().putDb(1, { name: "events" }).upsertChunk([1, 42], { fileName: "c-42.seg" }).commit();
   * await manifest.begin().forkDb(1, 2, { name: "events-test" }).commit();
   * console.log(manifest.getChunk(2, 42)?.originDb); // 1
   * ```
   */
  forkDb(source: number, target: number, input: Partial<DatabaseInput> = {}): this {
    return this[ADD](FORK_DB, databases, target, { source, input });
  }

  // ---- write-ahead logs -------------------------------------------------------------------------------------

  /** Puts the state of a database's write-ahead log. NOT_FOUND when there is no such database. */
  putWalState(db: number, state: WalStateInput): this {
    return this[ADD](PUT_WAL_STATE, walStates, db, state);
  }

  /** Deletes the state of a database's write-ahead log; nothing happens when there is none. */
  deleteWalState(db: number): this {
    return this[ADD](DELETE_WAL_STATE, walStates, db, undefined);
  }

  /** Puts an artifact of a database's write-ahead log. NOT_FOUND when there is no such database. */
  upsertWalArtifact(key: readonly [db: number, artifact: number], artifact: WalArtifactInput): this {
    return this[ADD](UPSERT_WAL_ARTIFACT, walArtifacts, key, artifact);
  }

  /** Deletes an artifact; nothing happens when there is none. */
  deleteWalArtifact(key: readonly [db: number, artifact: number]): this {
    return this[ADD](DELETE_WAL_ARTIFACT, walArtifacts, key, undefined);
  }

  // ---- chunks -----------------------------------------------------------------------------------------------

  /**
   * Puts a chunk of a database, which must exist. With another generation it names another stored object; the old one stays counted for the snapshots that list it. OBJECT_CONDEMNED when the
   * object is being deleted.
   */
  upsertChunk(key: readonly [db: number, chunk: number], chunk: ChunkInput): this {
    return this[ADD](UPSERT_CHUNK, chunks, key, chunk);
  }

  /** Deletes a chunk; nothing happens when there is none. Its object stays counted for the snapshots that list it. */
  deleteChunk(key: readonly [db: number, chunk: number]): this {
    return this[ADD](DELETE_CHUNK, chunks, key, undefined);
  }

  /** Puts a delta of a chunk's generation. The database must exist; the chunk need not. OBJECT_CONDEMNED when the object is being deleted. */
  upsertChunkDelta(key: readonly [db: number, chunk: number, generation: number, delta: number], delta: ChunkDeltaInput): this {
    return this[ADD](UPSERT_CHUNK_DELTA, chunkDeltas, key, delta);
  }

  /** Deletes a delta; nothing happens when there is none. Its object stays counted for the snapshots that list it. */
  deleteChunkDelta(key: readonly [db: number, chunk: number, generation: number, delta: number]): this {
    return this[ADD](DELETE_CHUNK_DELTA, chunkDeltas, key, undefined);
  }

  // ---- snapshots and counts ---------------------------------------------------------------------------------

  /**
   * Publishes a snapshot: counts the object that each listed chunk has now, and each listed delta. Published over an existing one, its old list is released. NOT_FOUND when a chunk or delta does not
   * exist; OBJECT_CONDEMNED when its object is being deleted.
   */
  publishSnapshot(key: readonly [db: number, snapshot: number], snapshot: SnapshotInput): this {
    return this[ADD](PUBLISH_SNAPSHOT, snapshots, key, snapshot);
  }

  /** Drops a snapshot and releases its objects: those that no other snapshot lists may be collected. NOT_FOUND when there is none. */
  dropSnapshot(key: readonly [db: number, snapshot: number]): this {
    return this[ADD](DROP_SNAPSHOT, snapshots, key, undefined);
  }

  /**
   * Adds to the uses of a stored object that no snapshot stands for: a reader that has its file open, a copy under way. Counted apart from snapshots; an object is kept while either count is above zero.
   * 0 does nothing. REFCOUNT_UNDERFLOW below zero; OBJECT_CONDEMNED.
   */
  adjustRefcount(object: StoredObject, delta: number): this {
    return delta === 0 ? this : this[ADD](ADJUST_REFCOUNT, refcounts, object, delta);
  }

  // ---- jobs -------------------------------------------------------------------------------------------------

  /** Enqueues a job under an id from `reserveJobId`. It waits to be taken. EXISTS when there is one with this id. */
  putJob(job: number, input: JobInput): this {
    return this[ADD](PUT_JOB, jobs, job, input);
  }

  /** Enqueues a job under a new id, and returns that id. */
  enqueueJob(input: JobInput): number {
    const id = this[NEXT_JOB]();
    this.putJob(id, input);
    return id;
  }

  /**
   * Moves a job to another state: pending to in-flight or held, held to pending, in-flight to completed, failed or (requeued) pending, failed to (tried again) pending. NOT_FOUND, also when it is to wait and its database is gone; ILLEGAL_TRANSITION.
   */
  updateJobState(job: number, state: JobStateInput): this {
    return this[ADD](UPDATE_JOB_STATE, jobs, job, state);
  }

  /** Removes a job, whatever its state. NOT_FOUND. */
  removeJob(job: number): this {
    return this[ADD](REMOVE_JOB, jobs, job, undefined);
  }

  /** Puts a held, failed or taken job back among those that wait; nothing happens to one that does. NOT_FOUND; ILLEGAL_TRANSITION for a completed one. */
  upsertPendingJob(job: number): this {
    return this[ADD](UPSERT_PENDING_JOB, jobs, job, undefined);
  }

  /** Takes a job out of those that wait, without removing it: it is held. NOT_FOUND; ILLEGAL_TRANSITION when it has been taken or has ended. */
  deletePendingJob(job: number): this {
    return this[ADD](DELETE_PENDING_JOB, jobs, job, undefined);
  }

  /** Makes reserved ids durable: the next job's id will not be less than `next`. Never goes back. */
  persistJobCounter(next: number): this {
    return this[ADD](PERSIST_JOB_COUNTER, meta, NEXT_JOB_ID, next);
  }

  // ---- metrics and generations ------------------------------------------------------------------------------

  /** Adds to a metric: counts and sums add up, the least and the greatest stay. Numbers that are not finite are refused. */
  mergeMetric(key: readonly [scope: number, kind: number], metric: MetricInput): this {
    return this[ADD](MERGE_METRIC, metrics, key, metric);
  }

  /** Raises a component's generation; the receipt says to what. It stays at 2^53 − 1 once it is there. An increment of 0 does nothing. */
  bumpGeneration(component: number, increment: number = 1, at?: number): this {
    return increment === 0 ? this : this[ADD](BUMP_GENERATION, generations, component, { increment, at });
  }

  // ---- remote namespaces ------------------------------------------------------------------------------------

  /** Puts a remote namespace. */
  putRemoteNamespace(namespace: number, input: RemoteNamespaceInput): this {
    return this[ADD](PUT_REMOTE_NAMESPACE, remoteNamespaces, namespace, input);
  }

  /** Deletes a remote namespace; nothing happens when there is none. That objects still name it is not looked for. */
  deleteRemoteNamespace(namespace: number): this {
    return this[ADD](DELETE_REMOTE_NAMESPACE, remoteNamespaces, namespace, undefined);
  }
}

/** A table definition, or an error. */
export function checkTable<T extends AnyTable>(table: T): T {
  return readArgument("use a table", "its definition", () => {
    if (typeof table?.name !== "string" || !(table.schema instanceof Uint8Array)) {
      failType("Cannot use a table: it is no definition made by defineTable");
    }
    return table;
  });
}
