// Reading: what a manifest and a read transaction have in common. Every method shows one state; which one is the subclass's business.
import { readArgument, takeOptions } from "../../arguments.ts";
import { failRange } from "../../errors.ts";
import type { AnyTable, KeyInput, Table } from "../../schema/schema.ts";
import { type RangeBounds, takeBounds } from "./bounds.ts";
import type { Change } from "../log/change.ts";
import { NumberedRange } from "./numbered_range.ts";
import { NumberedReader } from "./numbered_table.ts";
import { Range, type RangeKind, type RangeOptions, type RangeSource, takeRangeOptions } from "./range.ts";
import type { RowReader } from "./table_reader.ts";
import { changeLog } from "../tables/change_log.ts";
import { type ChunkDelta, chunkDeltas } from "../tables/chunk_deltas.ts";
import { type Chunk, chunks } from "../tables/chunks.ts";
import { type Database, databases } from "../tables/databases.ts";
import { type GenerationRecord, generations } from "../tables/generations.ts";
import { type Job, jobs, type JobStateName, jobStates, pendingJobs } from "../tables/jobs.ts";
import { type Metric, metrics } from "../tables/metrics.ts";
import { type PendingBatch, pendingBatches } from "../tables/pending_batches.ts";
import { type RuntimeState, runtimeStates } from "../tables/runtime_state.ts";
import { collectable, objectKey, objectOf, type Refcount, refcounts, type StoredObject } from "../tables/refcounts.ts";
import { type RemoteNamespace, remoteNamespaces } from "../tables/remote_namespaces.ts";
import { type Snapshot, snapshots } from "../tables/snapshots.ts";
import { type WalArtifact, walArtifacts } from "../tables/wal_artifacts.ts";
import { type WalState, walStates } from "../tables/wal_states.ts";

/** Options of a list of the built-in tables. */
export type ListOptions<K extends readonly unknown[]> = Omit<RangeOptions<K>, "prefix" | "startsWith">;

/** A stored object that is not live. */
export interface CollectableObject extends StoredObject {
  /** Since when, milliseconds since 1970. */
  since: number;
}

/** Which jobs to list. Together with `kind` any of the other two is a range; a database with a state is a range of its waiting jobs only. */
export interface JobFilter {
  /** In this state. */
  state?: JobStateName;
  /** Of this kind. */
  kind?: string;
  /** At most this many. */
  limit?: number;
}

/** A job with its id. */
export interface QueuedJob extends Job {
  /** Its id. */
  job: number;
}

/** Reads tables: the methods that a {@linkcode Manifest} and a {@linkcode ReadTransaction} share. */
export abstract class Reader {
  /**
   * The reader of a table in this state.
   * @internal
   */
  protected abstract source(table: AnyTable): RowReader;
  /**
   * Where a range reads: a state that stays for as long as the range runs.
   * @internal
   */
  protected abstract openSource(table: AnyTable): RangeSource;

  /**
   * A record, decoded; undefined when there is no such key. Everything in it is a copy.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage, chunks } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * await manifest.begin().putDb(1, { name: "events" }).upsertChunk([1, 42], { fileName: "c-42.seg" }).commit();
   * console.log(manifest.get(chunks, [1, 42])?.fileName);
   * ```
   */
  get<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>): V | undefined {
    return this.source(table).get(key) as V | undefined;
  }

  /** The encoded record as a view of the engine's memory, valid until the next call on this manifest: copy what must last. */
  getBytes<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>): Uint8Array | undefined {
    return this.source(table).bytes(key);
  }

  /**
   * A record of a table whose required fields all have a fixed width, read where it lies: nothing is decoded before a property is read. Valid until the next call on this
   * manifest; the same object is moved by the next `getView` of the table. Optional fields are not in it.
   */
  getView<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>): Readonly<V> | undefined {
    return this.source(table).view(key) as Readonly<V> | undefined;
  }

  /** Whether there is a row with this key. */
  has<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>): boolean {
    return this.source(table).find(key);
  }

  /** How many rows a table or a range of it has. A whole table's count is kept, that of a range is counted. */
  count<K extends readonly unknown[], V>(table: Table<K, V>, bounds?: RangeBounds<K>): number {
    const reader = this.source(table);
    if (bounds === undefined) return reader.rows;
    const taken = takeBounds(bounds as RangeBounds<readonly unknown[]>, "count rows");
    if (reader instanceof NumberedReader) return reader.count(taken);
    const scan = reader.scan(taken, true);
    if (scan === undefined) return 0;
    try {
      return scan.count();
    } finally {
      scan.close();
    }
  }

  /** Rows in key order as `[key, record]`. */
  range<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<[key: K, value: V]> {
    return this.#range(table, options, "entries");
  }

  /** Rows in key order as `[key, encoded record]`. The bytes are copies that stay valid. */
  rangeBytes<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<[key: K, value: Uint8Array]> {
    return this.#range(table, options, "bytes");
  }

  /** Keys in order. */
  keys<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<K> {
    return this.#range(table, options, "keys");
  }

  /** Records in the order of their keys. */
  values<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<V> {
    return this.#range(table, options, "values");
  }

  #range<T>(table: AnyTable, options: object, kind: RangeKind): Range<T> {
    const reader = this.source(table); // an unknown table is refused where the range is made, not where it is read
    const open = (): RangeSource => this.openSource(table);
    const taken: RangeOptions<readonly unknown[]> = takeRangeOptions(options);
    return reader instanceof NumberedReader ? new NumberedRange(open, taken, kind) : new Range(open, taken, kind);
  }

  // ---- computed tables --------------------------------------------------------------------------------------

  /** A change, while the log keeps it. */
  getChange(sequence: number): Change | undefined {
    return this.get(changeLog, [sequence]);
  }

  /** Transactions that are durable in the journal only, by frame number. */
  listPendingBatches(options: ListOptions<[frame: number]> = {}): Range<[key: [frame: number], value: PendingBatch]> {
    return this.range(pendingBatches, options);
  }

  /** The opening for writing that has not been closed; undefined when the last one was. */
  runtimeState(): RuntimeState | undefined {
    return this.get(runtimeStates, [0]);
  }

  // ---- built-in tables --------------------------------------------------------------------------------------

  /** A database. */
  getDb(db: number): Database | undefined {
    return this.get(databases, [db]);
  }

  /** Databases by id. */
  listDbs(options: ListOptions<[db: number]> = {}): Range<[key: [db: number], value: Database]> {
    return this.range(databases, options);
  }

  /** The greatest database id in use, 0 when there is none. */
  maxDbId(): number {
    for (const [db] of this.keys(databases, { reverse: true, limit: 1 })) return db;
    return 0;
  }

  /** A chunk of a database. */
  getChunk(db: number, chunk: number): Chunk | undefined {
    return this.get(chunks, [db, chunk]);
  }

  /** Chunks of a database by id. */
  listChunks(db: number, options: ListOptions<[db: number, chunk: number]> = {}): Range<[key: [db: number, chunk: number], value: Chunk]> {
    return this.range(chunks, { ...takeRangeOptions(options), prefix: [db] });
  }

  /** A delta. */
  getChunkDelta(db: number, chunk: number, generation: number, delta: number): ChunkDelta | undefined {
    return this.get(chunkDeltas, [db, chunk, generation, delta]);
  }

  /** Deltas of a database, or of one of its chunks, by chunk, generation and id. */
  listChunkDeltas(
    db: number,
    chunk?: number,
    options: ListOptions<[db: number, chunk: number, generation: number, delta: number]> = {},
  ): Range<[key: [db: number, chunk: number, generation: number, delta: number], value: ChunkDelta]> {
    return this.range(chunkDeltas, { ...takeRangeOptions(options), prefix: chunk === undefined ? [db] : [db, chunk] });
  }

  /** A published snapshot of a database. */
  getSnapshot(db: number, snapshot: number): Snapshot | undefined {
    return this.get(snapshots, [db, snapshot]);
  }

  /** Published snapshots of a database by id. */
  listSnapshots(
    db: number,
    options: ListOptions<[db: number, snapshot: number]> = {},
  ): Range<[key: [db: number, snapshot: number], value: Snapshot]> {
    return this.range(snapshots, { ...takeRangeOptions(options), prefix: [db] });
  }

  // ---- built-in tables: stored objects ------------------------------------------------------------------------

  /** What is known of a stored object: how many live snapshots list it, its state; undefined when there is no such object. */
  getRefcount(object: StoredObject): Refcount | undefined {
    return this.get(refcounts, readArgument("read a reference count", "the object", () => objectKey(object)));
  }

  /** Stored objects that no snapshot lists any more and nobody holds, those that have waited longest first. A range, not a scan of all counts. */
  listCollectable(options: { limit?: number; before?: number } = {}): CollectableObject[] {
    return this.#objects("collectable", options);
  }

  /**
   * Stored objects that were put and never listed by a snapshot, oldest first; with `before` only those put before that time, milliseconds since 1970. They are not collected, because an
   * upload may be under way.
   */
  listUnnamed(options: { limit?: number; before?: number } = {}): CollectableObject[] {
    return this.#objects("unnamed", options);
  }

  /** Stored objects that are being deleted: a `reclaim` has condemned them and not finished. */
  listCondemned(options: { limit?: number; before?: number } = {}): CollectableObject[] {
    return this.#objects("condemned", options);
  }

  #objects(state: "collectable" | "unnamed" | "condemned", options: { limit?: number; before?: number }): CollectableObject[] {
    const { limit, before } = takeOptions(options, { limit: true, before: true }, "list objects");
    const bounds = before === undefined ? { prefix: [state] as const } : { prefix: [state] as const, lt: [state, before] as const };
    const out: CollectableObject[] = [];
    for (const [, since, originDb, chunkId, generation, delta] of this.keys(collectable, { ...bounds, limit })) {
      out.push({ ...objectOf(originDb, chunkId, generation, delta), since });
    }
    return out;
  }

  /** How many stored objects no snapshot lists any more. */
  countCollectable(): number {
    return this.count(collectable, { prefix: ["collectable"] });
  }

  // ---- built-in tables: write-ahead logs ----------------------------------------------------------------------

  /** The state of a database's write-ahead log. */
  getWalState(db: number): WalState | undefined {
    return this.get(walStates, [db]);
  }

  /** States of write-ahead logs by database. */
  listWalStates(options: ListOptions<[db: number]> = {}): Range<[key: [db: number], value: WalState]> {
    return this.range(walStates, options);
  }

  /** An artifact of a database's write-ahead log. */
  getWalArtifact(db: number, artifact: number): WalArtifact | undefined {
    return this.get(walArtifacts, [db, artifact]);
  }

  /** Artifacts of a database's write-ahead log by id. */
  listWalArtifacts(
    db: number,
    options: ListOptions<[db: number, artifact: number]> = {},
  ): Range<[key: [db: number, artifact: number], value: WalArtifact]> {
    return this.range(walArtifacts, { ...takeRangeOptions(options), prefix: [db] });
  }

  // ---- built-in tables: jobs, metrics, generations, namespaces ------------------------------------------------

  /** A job. */
  getJob(job: number): Job | undefined {
    return this.get(jobs, [job]);
  }

  /** Jobs by id; with a state, by kind and id. */
  listJobs(filter: JobFilter = {}): QueuedJob[] {
    const { state, kind, limit = Infinity } = takeOptions(filter, { state: true, kind: true, limit: true }, "list jobs");
    if (typeof limit !== "number" || !(limit >= 0)) failRange("Cannot list jobs: limit is not a number from 0 on", { field: "limit" });
    const out: QueuedJob[] = [];
    if (state !== undefined) {
      const prefix = kind === undefined ? [state] as const : [state, kind] as const;
      for (const [, , job] of this.keys(jobStates, { prefix, limit: limit === Infinity ? undefined : limit })) {
        out.push({ job, ...this.getJob(job)! });
      }
      return out;
    }
    for (const [[job], row] of this.range(jobs)) {
      if (out.length >= limit) break;
      if (kind === undefined || row.kind === kind) out.push({ job, ...row });
    }
    return out;
  }

  /** Jobs that wait to be taken, those of a database (null: of none) and of a kind, oldest id first within them. */
  listPendingJobs(filter: { db?: number | null; kind?: string; limit?: number } = {}): QueuedJob[] {
    const { db, kind, limit } = takeOptions(filter, { db: true, kind: true, limit: true }, "list jobs");
    if (db === undefined) return this.listJobs({ state: "pending", kind, limit });
    const prefix = kind === undefined ? [db ?? -1] as const : [db ?? -1, kind] as const;
    return this.keys(pendingJobs, { prefix, limit }).toArray().map(([, , job]) => ({ job, ...this.getJob(job)! }));
  }

  /** A metric. */
  getMetric(scope: number, kind: number): Metric | undefined {
    return this.get(metrics, [scope, kind]);
  }

  /** Metrics by scope and kind. */
  listMetrics(
    options: RangeOptions<[scope: number, kind: number]> = {},
  ): Range<[key: [scope: number, kind: number], value: Metric]> {
    return this.range(metrics, options);
  }

  /** The generation of a component; undefined when it never had one. */
  currentGeneration(component: number): number | undefined {
    return this.get(generations, [component])?.generation;
  }

  /** Generations by component. */
  listGenerations(options: ListOptions<[component: number]> = {}): Range<[key: [component: number], value: GenerationRecord]> {
    return this.range(generations, options);
  }

  /** A remote namespace. */
  getRemoteNamespace(namespace: number): RemoteNamespace | undefined {
    return this.get(remoteNamespaces, [namespace]);
  }

  /** Remote namespaces by id. */
  listRemoteNamespaces(
    options: ListOptions<[namespace: number]> = {},
  ): Range<[key: [namespace: number], value: RemoteNamespace]> {
    return this.range(remoteNamespaces, options);
  }
}
