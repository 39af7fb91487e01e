// Transactions: operations are collected, then committed together or not at all.
import { fail, failType } from "../errors.ts";
import type { AnyTable, KeyInput, Table } from "../schema/schema.ts";
import type { Batch } from "./batch.ts";
import type { RangeBounds } from "./bounds.ts";
import { NO_GENERATIONS } from "./change.ts";
import type { ManifestCore } from "./core.ts";
import type { OperationKind } from "./operation.ts";
import { DELETE_CHUNK, UPSERT_CHUNK } from "./operations/chunks.ts";
import { DELETE_DB, PUT_DB } from "./operations/databases.ts";
import { DELETE, DELETE_RANGE, PUT } from "./operations/plain.ts";
import { DROP_SNAPSHOT, PUBLISH_SNAPSHOT } from "./operations/snapshots.ts";
import { type ChunkInput, chunks } from "./tables/chunks.ts";
import { type DatabaseInput, databases } from "./tables/databases.ts";
import type { CommitReceipt } from "./receipt.ts";
import { type SnapshotInput, snapshots } from "./tables/snapshots.ts";

/** How to begin a transaction. */
export interface TxnOptions {
  /** Tags the change, so that a replicator can skip its own. */
  origin?: string;
  /** About how many operations it will hold: a hint. */
  capacity?: number;
}

/** How to commit. */
export interface CommitOptions {
  /** Calls the commit off while it waits for its turn; ignored once it is applied. */
  signal?: AbortSignal;
}

/**
 * A write-only transaction. Its methods collect operations and return the transaction; `commit` applies all of them or none. Keys and values are taken by reference and
 * encoded at `commit`: do not change them before.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const receipt = await manifest.begin()
 *   .putDb(1, { name: "events" })
 *   .upsertChunk([1, 42], { fileName: "c-42.seg", generation: 7, sizeBytes: 1 << 20 })
 *   .publishSnapshot([1, 1], { sourceGeneration: 7, chunks: [{ chunkId: 42 }] })
 *   .commit();
 * console.log(receipt.sequence);
 * ```
 */
export class ManifestTxn {
  readonly #core: ManifestCore;
  readonly #batch: Batch;
  #closed = false;

  /** Made by `Manifest.begin`. */
  constructor(core: ManifestCore, batch: Batch) {
    this.#core = core;
    this.#batch = batch;
  }

  /** The transaction's id, 32 hex digits. Ask for it before `commit` to be able to `resolve` it whatever happens. */
  get commitId(): string {
    return this.#batch.commitId ??= this.#core.store.newCommitId();
  }

  /** Number of operations collected. */
  get length(): number {
    return this.#batch.length;
  }

  #add(kind: OperationKind, table: AnyTable, key: unknown, value: unknown): this {
    if (this.#closed) fail("TXN_CLOSED", "Cannot use the transaction: it has been committed or given up");
    this.#batch.add(kind, table, key, value);
    return this;
  }

  // ---- any table --------------------------------------------------------------------------------------------

  /** Puts a row. A table that is not there yet is made with the commit. On a built-in table this is the table's own operation. */
  put<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>, value: V): this {
    return this.#add(PUT, checkTable(table), key, value);
  }

  /** Deletes a row; nothing happens when there is none. On a built-in table this is the table's own operation. */
  delete<K extends readonly unknown[], V>(table: Table<K, V>, key: KeyInput<K>): this {
    return this.#add(DELETE, checkTable(table), key, undefined);
  }

  /** Deletes all rows of a range of a user table. */
  deleteRange<K extends readonly unknown[], V>(table: Table<K, V>, bounds: RangeBounds<K>): this {
    return this.#add(DELETE_RANGE, checkTable(table), bounds, undefined);
  }

  // ---- databases --------------------------------------------------------------------------------------------

  /** Puts a database. */
  putDb(db: number, database: DatabaseInput): this {
    return this.#add(PUT_DB, databases, db, database);
  }

  /** Deletes a database with its chunks and its snapshots, whose objects are released. NOT_FOUND when there is none. */
  deleteDb(db: number): this {
    return this.#add(DELETE_DB, databases, db, undefined);
  }

  // ---- chunks -----------------------------------------------------------------------------------------------

  /** Puts a chunk of a database, which must exist. With another generation it names another stored object; the old one stays counted for the snapshots that list it. */
  upsertChunk(key: readonly [db: number, chunk: number], chunk: ChunkInput): this {
    return this.#add(UPSERT_CHUNK, chunks, key, chunk);
  }

  /** Deletes a chunk; nothing happens when there is none. Its object stays counted for the snapshots that list it. */
  deleteChunk(key: readonly [db: number, chunk: number]): this {
    return this.#add(DELETE_CHUNK, chunks, key, undefined);
  }

  // ---- snapshots --------------------------------------------------------------------------------------------

  /** Publishes a snapshot: counts the object that each listed chunk has now. Published over an existing one, its old list is released. NOT_FOUND when a chunk does not exist. */
  publishSnapshot(key: readonly [db: number, snapshot: number], snapshot: SnapshotInput): this {
    return this.#add(PUBLISH_SNAPSHOT, snapshots, key, snapshot);
  }

  /** Drops a snapshot and releases its objects: those that no other snapshot lists may be collected. NOT_FOUND when there is none. */
  dropSnapshot(key: readonly [db: number, snapshot: number]): this {
    return this.#add(DROP_SNAPSHOT, snapshots, key, undefined);
  }

  // ---- the end ----------------------------------------------------------------------------------------------

  /**
   * Commits: resolves when all operations are applied and durable as the durability mode says. Rejects with nothing applied when one of them is not possible; the error's detail names it
   * (`operation`, `index`). A transaction without operations commits nothing and takes no sequence.
   */
  commit(options?: CommitOptions): Promise<CommitReceipt> {
    if (this.#closed) return rejected("Cannot commit: the transaction has been committed or given up");
    if (options !== undefined && (typeof options !== "object" || options === null)) {
      return rejectedType("Cannot commit: the options are not an object");
    }
    this.#closed = true;
    const batch = this.#batch;
    if (batch.length === 0) return this.#commitNothing();
    if (options !== undefined) batch.signal = options.signal;
    let made: Promise<void> | undefined;
    try {
      made = batch.prepare();
    } catch (error) {
      return Promise.reject(error);
    }
    const receipt = this.#core.store.commit(batch) as unknown as Promise<CommitReceipt>; // made by the batch's finish
    return made === undefined ? receipt : Promise.all([receipt, made]).then(([own]) => own);
  }

  async #commitNothing(): Promise<CommitReceipt> {
    await undefined;
    this.#core.store.assertOpen("commit");
    return { sequence: 0, commitId: this.commitId, generations: NO_GENERATIONS };
  }

  /** Gives the transaction up: nothing of it is applied. */
  rollback(): void {
    this.#closed = true;
  }
}

/** A table definition, or an error. */
export function checkTable<T extends AnyTable>(table: T): T {
  if (typeof table?.name !== "string" || !(table.schema instanceof Uint8Array)) {
    failType("Cannot use a table: it is no definition made by defineTable");
  }
  return table;
}

async function rejectedType(message: string): Promise<never> {
  await undefined;
  failType(message);
}

async function rejected(message: string): Promise<never> {
  await undefined;
  fail("TXN_CLOSED", message);
}
