// Reading: what a manifest and a read transaction have in common. Every method shows one state; which one is the subclass's business.
import { failType } from "../errors.ts";
import type { AnyTable, KeyInput, Table } from "../schema/schema.ts";
import type { RangeBounds } from "./bounds.ts";
import { Range, type RangeOptions, type RangeSource } from "./range.ts";
import type { TableReader } from "./table_reader.ts";
import { type Chunk, chunks } from "./tables/chunks.ts";
import { type Database, databases } from "./tables/databases.ts";
import { collectable, type Refcount, refcounts, type StoredObject } from "./tables/refcounts.ts";
import { type Snapshot, snapshots } from "./tables/snapshots.ts";

/** Options of a list of the built-in tables. */
export type ListOptions<K extends readonly unknown[]> = Omit<RangeOptions<K>, "prefix" | "startsWith">;

/** An object that no snapshot lists any more. */
export interface CollectableObject extends StoredObject {
  /** Since when, milliseconds since 1970. */
  since: number;
}

/** Reads tables: the methods that a {@linkcode Manifest} and a {@linkcode ReadTransaction} share. */
export abstract class Reader {
  /**
   * The reader of a table in this state.
   * @internal
   */
  protected abstract source(table: AnyTable): TableReader;
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
    checkOptions(bounds);
    const scan = reader.scan(bounds as RangeBounds<readonly unknown[]>, true);
    if (scan === undefined) return 0;
    try {
      return scan.count();
    } finally {
      scan.close();
    }
  }

  /** Rows in key order as `[key, record]`. */
  range<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<[key: K, value: V]> {
    return new Range(this.#opener(table), checkOptions(options), "entries");
  }

  /** Rows in key order as `[key, encoded record]`. The bytes are copies that stay valid. */
  rangeBytes<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<[key: K, value: Uint8Array]> {
    return new Range(this.#opener(table), checkOptions(options), "bytes");
  }

  /** Keys in order. */
  keys<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<K> {
    return new Range(this.#opener(table), checkOptions(options), "keys");
  }

  /** Records in the order of their keys. */
  values<K extends readonly unknown[], V>(table: Table<K, V>, options: RangeOptions<K> = {}): Range<V> {
    return new Range(this.#opener(table), checkOptions(options), "values");
  }

  #opener(table: AnyTable): () => RangeSource {
    this.source(table); // an unknown table is refused where the range is made, not where it is read
    return () => this.openSource(table);
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
    return this.range(chunks, { ...options, prefix: [db] });
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
    return this.range(snapshots, { ...options, prefix: [db] });
  }

  /** How many live snapshots list a stored object; undefined when none ever did. */
  getRefcount(object: StoredObject): Refcount | undefined {
    return this.get(refcounts, [object.originDb, object.chunkId, object.generation, object.deltaId ?? -1]);
  }

  /** Stored objects that no snapshot lists any more, those that have waited longest first. A range, not a scan of all counts. */
  listCollectable(options: { limit?: number } = {}): CollectableObject[] {
    const out: CollectableObject[] = [];
    for (
      const [, since, originDb, chunkId, generation, delta] of this.keys(collectable, { prefix: ["collectable"], limit: options.limit })
    ) {
      const object: CollectableObject = { originDb, chunkId, generation, since };
      if (delta >= 0) object.deltaId = delta;
      out.push(object);
    }
    return out;
  }

  /** How many stored objects no snapshot lists any more. */
  countCollectable(): number {
    return this.count(collectable, { prefix: ["collectable"] });
  }
}

// deno-lint-ignore no-explicit-any
function checkOptions(options: any): RangeOptions<readonly unknown[]> {
  if (typeof options !== "object" || options === null) failType("Cannot read a range: its options are not an object");
  return options;
}
