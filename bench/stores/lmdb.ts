// lmdb-js at its best: binary values, binary keys in one buffer that is filled for each call (faster for it than key arrays in its own encoding),
// `getBinaryFast`, batches inside one transaction, overlapping syncs as its default, no zeroing of memory. Durable is `flushed`, or a synchronous transaction, which returns
// after its fdatasync: both forms take part where they differ.
import { Buffer } from "node:buffer";
import { type Contender, foldBytes, foldRecord, foldRow, type WorkloadId } from "../contender.ts";
import { type ChunkRecord, chunkRecord, type DataSet, KEY_BYTES, type Writes } from "../data.ts";

/** What is used of a database. */
export interface LmdbDatabase {
  getBinaryFast(key: Buffer | number): Buffer | undefined;
  get(key: Buffer): unknown;
  put(key: Buffer | number, value: unknown): Promise<boolean>;
  transaction(action: () => void): Promise<unknown>;
  transactionSync(action: () => void): unknown;
  getRange(): Iterable<{ key: Buffer; value: Buffer }>;
  readonly flushed: Promise<boolean>;
  close(): Promise<void>;
}

/** The package's exports that are used. */
export interface LmdbModule {
  open(options: Record<string, unknown>): LmdbDatabase;
}

const OPTIONS = { encoding: "binary", keyEncoding: "binary", noMemInit: true };

/** lmdb-js with asynchronous transactions. */
export class LmdbStore implements Contender {
  readonly name: string = "lmdb-js";
  readonly version: string;
  readonly options: string = `${JSON.stringify(OPTIONS)}, await flushed`;
  readonly takes: readonly WorkloadId[] = ["S1", "S2", "S3", "S4", "S5", "S6"];
  readonly #module: LmdbModule;
  readonly #key = Buffer.alloc(KEY_BYTES);
  #db!: LmdbDatabase;
  #records: LmdbDatabase | undefined;
  #data!: DataSet;
  #folder = "";

  constructor(module: LmdbModule, version: string) {
    this.#module = module;
    this.version = version;
  }

  open(folder: string, data: DataSet): Promise<void> {
    this.#data = data;
    this.#folder = folder;
    this.#db = this.#module.open({ path: `${folder}/rows`, ...OPTIONS });
    return Promise.resolve();
  }

  gets(rows: Uint32Array): number {
    const data = this.#data, db = this.#db, key = this.#key;
    let hash = 0;
    for (let i = 0; i < rows.length; i++) {
      data.writeKey(rows[i]!, key);
      hash = foldBytes(hash, db.getBinaryFast(key)!, 0);
    }
    return hash;
  }

  async loadRecords(): Promise<void> {
    // Shared structures are its fast form of msgpack: field names are stored once.
    const shared = { sharedStructuresKey: Buffer.from([0]), noMemInit: true, keyEncoding: "binary" };
    const db = this.#records = this.#module.open({ path: `${this.#folder}/records`, ...shared });
    const data = this.#data, key = this.#key;
    await db.transaction(() => {
      for (let i = 0; i < data.count; i++) {
        data.writeKey(i, key);
        db.put(key, chunkRecord(data, i));
      }
    });
    await db.flushed;
  }

  records(rows: Uint32Array): number {
    const data = this.#data, db = this.#records!, key = this.#key;
    let hash = 0;
    for (let i = 0; i < rows.length; i++) {
      data.writeKey(rows[i]!, key);
      const record = db.get(key) as ChunkRecord;
      hash = foldRecord(hash, record.generation, record.sizeBytes, record.fileName, record.contentHash);
    }
    return hash;
  }

  scan(): number {
    let hash = 0;
    for (const { key, value } of this.#db.getRange()) {
      hash = foldRow(hash, key.readUInt32BE(0), key.readUInt32BE(4) * 0x1_0000_0000 + key.readUInt32BE(8), value, 0);
    }
    return hash;
  }

  async commitEach({ rows, values }: Writes): Promise<void> {
    const data = this.#data, db = this.#db, key = this.#key;
    for (let i = 0; i < rows.length; i++) {
      data.writeKey(rows[i]!, key);
      await db.put(key, data.values[values[i]!]!);
      await db.flushed;
    }
  }

  async commitTogether({ rows, values }: Writes): Promise<void> {
    const data = this.#data, db = this.#db, key = this.#key;
    const commits: Promise<boolean>[] = [];
    for (let i = 0; i < rows.length; i++) {
      data.writeKey(rows[i]!, key);
      commits.push(db.put(key, data.values[values[i]!]!));
    }
    await Promise.all(commits);
    await db.flushed;
  }

  async commitBatches(writes: Writes, size: number): Promise<void> {
    for (let from = 0; from < writes.rows.length; from += size) {
      await this.#db.transaction(() => this.putRange(writes, from, size));
      await this.#db.flushed;
    }
  }

  /** Puts a stretch of the writes in the transaction that is open. */
  protected putRange({ rows, values }: Writes, from: number, size: number): void {
    const data = this.#data, db = this.#db, key = this.#key;
    for (let i = from, end = Math.min(from + size, rows.length); i < end; i++) {
      data.writeKey(rows[i]!, key);
      db.put(key, data.values[values[i]!]!);
    }
  }

  /** One synchronous transaction, durable when it returns. */
  protected transactionSync(action: () => void): void {
    this.#db.transactionSync(action);
  }

  async close(): Promise<void> {
    await this.#records?.close();
    await this.#db.close();
  }
}

/** lmdb-js with synchronous transactions, which hold the thread until their sync is done. */
export class LmdbSyncStore extends LmdbStore {
  override readonly name: string = "lmdb-js (sync)";
  override readonly options: string = `${JSON.stringify(OPTIONS)}, transactionSync`;
  override readonly takes: readonly WorkloadId[] = ["S4", "S6"];

  override commitEach(writes: Writes): Promise<void> {
    return this.commitBatches(writes, 1);
  }

  override commitBatches(writes: Writes, size: number): Promise<void> {
    for (let from = 0; from < writes.rows.length; from += size) this.transactionSync(() => this.putRange(writes, from, size));
    return Promise.resolve();
  }
}
