// A store of raw rows, and its reference: a Map of Maps.
import type { Storage } from "../../../src/storage/storage.ts";
import { type RawOp, stageRaw } from "../../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../../src/store/store.ts";
import { testEnvironment } from "../environment.ts";
import type { Random } from "../random.ts";
import { ROWS } from "./starts.ts";
import { Subject } from "./subject.ts";

/** Rows by table name and key. */
type Tables = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A store under test with its reference. */
export class StoreSubject extends Subject<Store, Tables> {
  #tables = new Map<string, ReadonlyMap<string, Uint8Array>>();

  constructor(random: Random, start: Uint8Array, sector: number) {
    super(random, start, sector);
    if (start.length > 0) this.#tables.set(ROWS, new Map());
  }

  protected override state(): Tables {
    return new Map(this.#tables);
  }

  protected override restore(state: Tables): void {
    this.#tables = new Map(state);
  }

  protected override async begin(storage: Storage): Promise<void> {
    await Store.open(storage, { ...this.options, environment: this.environment });
  }

  protected override confirm(state: Tables): (store: Store) => void {
    return (store) => compare(store, state);
  }

  override async examine(storage: Storage, options: StoreOptions, confirm: (store: Store) => void): Promise<void> {
    const store = await Store.open(storage, { ...options, environment: testEnvironment(2) });
    confirm(store);
    const { ok, problems } = await store.check();
    if (!ok || problems.length > 0) throw new Error(`the check finds ${JSON.stringify(problems.slice(0, 3))}`);
    await store.close();
  }

  /** Makes a table. */
  async make(name: string): Promise<void> {
    await this.store.createTable(name, encoder.encode(`schema of ${name}`));
    this.#tables.set(name, new Map());
    this.settle();
  }

  /** Drops a table. */
  async drop(name: string): Promise<void> {
    await this.store.dropTable(name);
    this.#tables.delete(name);
    this.settle();
  }

  /** Commits puts and deletes. */
  async commit(puts: readonly (readonly [string, Uint8Array])[], deletes: readonly string[] = [], table: string = ROWS): Promise<void> {
    const rows = new Map(this.#tables.get(table));
    for (const [key, value] of puts) rows.set(key, value);
    for (const key of deletes) rows.delete(key);
    this.#tables.set(table, rows);
    await this.handOver(() => {
      const { id } = this.store.table(table)!;
      const ops: RawOp[] = [
        ...puts.map(([key, value]) => ({ kind: "put" as const, table: id, key: encoder.encode(key), value })),
        ...deletes.map((key) => ({ kind: "delete" as const, table: id, key: encoder.encode(key) })),
      ];
      return this.store.commit({ stage: () => stageRaw(this.store.kernel, ops) });
    });
  }

  /** A commit of one to four random rows over a small key space. */
  some(keys: number, longest: number, table?: string): Promise<void> {
    const { random } = this;
    const puts: [string, Uint8Array][] = [];
    for (let i = random.between(1, 4); i > 0; i--) puts.push([`key${random.int(keys)}`, random.bytes(random.int(longest))]);
    return this.commit(puts, random.chance(0.3) ? [`key${random.int(keys)}`] : [], table);
  }

  /** Rows of a length, numbered. */
  block(from: number, count: number, length: number): [string, Uint8Array][] {
    return Array.from({ length: count }, (_, i) => [`row${String(from + i).padStart(5, "0")}`, this.random.bytes(length)]);
  }
}

/** The store has these tables with these rows, and no others. */
function compare(store: Store, wanted: Tables): void {
  const names = store.listTables().map(({ name }) => name).sort();
  if (names.join() !== [...wanted.keys()].sort().join()) throw new Error(`the tables are ${names}, expected ${[...wanted.keys()]}`);
  using transaction = store.read();
  for (const [name, rows] of wanted) {
    using scan = transaction.tree(store.table(name)!.id).scan();
    let seen = 0;
    while (scan.next(100, 1 << 16) > 0) {
      const keys = Array.from({ length: scan.rows }, (_, row) => decoder.decode(scan.key(row)));
      for (const [row, key] of keys.entries()) {
        const value = scan.value(row), expected = rows.get(key);
        if (expected === undefined || value.length !== expected.length || value.some((byte, i) => byte !== expected[i])) {
          throw new Error(`${name}: the row of ${key} is ${expected === undefined ? "not to be there" : "wrong"}`);
        }
        seen++;
      }
    }
    if (seen !== rows.size) throw new Error(`${name} has ${seen} rows, expected ${rows.size}`);
  }
}
