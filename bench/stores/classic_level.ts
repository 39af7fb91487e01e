// classic-level (LevelDB): binary keys and values, `sync: true` on every commit, batches as one batch, `getSync`, ranges fetched a thousand rows at a time.
import { Buffer } from "node:buffer";
import { type Contender, foldBytes, type WorkloadId } from "../contender.ts";
import { type DataSet, KEY_BYTES, type Writes } from "../data.ts";

interface Database {
  open(): Promise<void>;
  close(): Promise<void>;
  getSync(key: Buffer): Uint8Array | undefined;
  put(key: Buffer, value: Uint8Array, options: { sync: boolean }): Promise<void>;
  batch(operations: { type: "put"; key: Buffer; value: Uint8Array }[], options: { sync: boolean }): Promise<void>;
}

/** The package's exports that are used. */
export interface ClassicLevelModule {
  ClassicLevel: new (path: string, options: Record<string, unknown>) => Database;
}

const OPTIONS = { keyEncoding: "buffer", valueEncoding: "buffer", cacheSize: 64 << 20 };
const SYNC = { sync: true };

/** classic-level. */
export class ClassicLevelStore implements Contender {
  readonly name = "classic-level";
  readonly version: string;
  readonly options = `${JSON.stringify(OPTIONS)}, ${JSON.stringify(SYNC)}`;
  readonly takes: readonly WorkloadId[] = ["S1", "S4", "S6"];
  readonly #module: ClassicLevelModule;
  readonly #key = Buffer.alloc(KEY_BYTES);
  #db!: Database;
  #data!: DataSet;

  constructor(module: ClassicLevelModule, version: string) {
    this.#module = module;
    this.version = version;
  }

  async open(folder: string, data: DataSet): Promise<void> {
    this.#data = data;
    this.#db = new this.#module.ClassicLevel(`${folder}/level`, OPTIONS);
    await this.#db.open();
  }

  gets(rows: Uint32Array): number {
    const data = this.#data, db = this.#db, key = this.#key;
    let hash = 0;
    for (let i = 0; i < rows.length; i++) {
      data.writeKey(rows[i]!, key);
      hash = foldBytes(hash, db.getSync(key)!, 0);
    }
    return hash;
  }

  async commitEach({ rows, values }: Writes): Promise<void> {
    const data = this.#data, db = this.#db, key = this.#key;
    for (let i = 0; i < rows.length; i++) {
      data.writeKey(rows[i]!, key);
      await db.put(key, data.values[values[i]!]!, SYNC);
    }
  }

  async commitBatches({ rows, values }: Writes, size: number): Promise<void> {
    const data = this.#data, db = this.#db;
    for (let from = 0; from < rows.length; from += size) {
      const operations: { type: "put"; key: Buffer; value: Uint8Array }[] = [];
      for (let i = from, end = Math.min(from + size, rows.length); i < end; i++) {
        const key = Buffer.allocUnsafe(KEY_BYTES);
        data.writeKey(rows[i]!, key);
        operations.push({ type: "put", key, value: data.values[values[i]!]! });
      }
      await db.batch(operations, SYNC);
    }
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}
