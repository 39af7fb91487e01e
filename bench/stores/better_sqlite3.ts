// better-sqlite3: WAL, `synchronous=FULL`, one table `WITHOUT ROWID`, prepared statements, batches as one transaction.
import { type Contender, foldBytes, foldRow, type WorkloadId } from "../contender.ts";
import type { DataSet, Writes } from "../data.ts";

interface Statement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): unknown;
  iterate(): Iterable<unknown>;
  pluck(): Statement;
  raw(): Statement;
}

interface Database {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): Statement;
  transaction(action: (writes: Writes, from: number, end: number) => void): (writes: Writes, from: number, end: number) => void;
  close(): void;
}

/** The package's export. */
export type BetterSqlite3Module = new (path: string) => Database;

/** better-sqlite3. */
export class BetterSqlite3Store implements Contender {
  readonly name = "better-sqlite3";
  readonly version: string;
  readonly options = "journal_mode=WAL, synchronous=FULL, cache_size=64 MiB, WITHOUT ROWID";
  readonly takes: readonly WorkloadId[] = ["S1", "S3", "S4", "S6"];
  readonly #module: BetterSqlite3Module;
  #db!: Database;
  #data!: DataSet;
  #put!: Statement;
  #get!: Statement;
  #all!: Statement;
  #batch!: (writes: Writes, from: number, end: number) => void;

  constructor(module: BetterSqlite3Module, version: string) {
    this.#module = module;
    this.version = version;
  }

  open(folder: string, data: DataSet): Promise<void> {
    this.#data = data;
    const db = this.#db = new this.#module(`${folder}/rows.sqlite`);
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.pragma("cache_size = -65536");
    db.exec("CREATE TABLE IF NOT EXISTS chunks (db INTEGER, chunk INTEGER, value BLOB, PRIMARY KEY (db, chunk)) WITHOUT ROWID");
    this.#put = db.prepare("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?)");
    this.#get = db.prepare("SELECT value FROM chunks WHERE db = ? AND chunk = ?").pluck();
    this.#all = db.prepare("SELECT db, chunk, value FROM chunks ORDER BY db, chunk").raw();
    this.#batch = db.transaction((writes, from, end) => {
      for (let i = from; i < end; i++) this.#putRow(writes, i);
    });
    return Promise.resolve();
  }

  #putRow({ rows, values }: Writes, i: number): void {
    const data = this.#data, row = rows[i]!;
    this.#put.run(data.dbs[row], data.chunks[row], data.values[values[i]!]);
  }

  gets(rows: Uint32Array): number {
    const data = this.#data, get = this.#get;
    let hash = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      hash = foldBytes(hash, get.get(data.dbs[row], data.chunks[row]) as Uint8Array, 0);
    }
    return hash;
  }

  scan(): number {
    let hash = 0;
    for (const row of this.#all.iterate()) {
      const [db, chunk, value] = row as [number, number, Uint8Array];
      hash = foldRow(hash, db, chunk, value, 0);
    }
    return hash;
  }

  commitEach(writes: Writes): Promise<void> {
    for (let i = 0; i < writes.rows.length; i++) this.#putRow(writes, i);
    return Promise.resolve();
  }

  commitBatches(writes: Writes, size: number): Promise<void> {
    for (let from = 0; from < writes.rows.length; from += size) this.#batch(writes, from, Math.min(from + size, writes.rows.length));
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }
}
