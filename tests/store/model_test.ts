// The store against a reference in memory: long seeded sequences of everything a user can do, compared row by row and through read transactions held open.
import { assert, assertEquals } from "@std/assert";
import { type RawOp, stageRaw } from "../../src/store/raw_ops.ts";
import { type ReadTransaction, Store, type StoreOptions } from "../../src/store/store.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { type Random, seeded } from "../support/random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A table as the reference sees it: key → seed and length of the value, whose bytes follow from both. */
type Rows = Map<string, { seed: number; length: number }>;

interface Held {
  readonly transaction: ReadTransaction;
  readonly tables: Map<number, Rows>;
}

/** How a run is shaped. */
interface Shape {
  readonly operations: number;
  readonly keys: number;
  readonly options: StoreOptions;
  /** One value in so many is long. */
  readonly longEvery: number;
  readonly longest: number;
}

function bytesOf({ seed, length }: { seed: number; length: number }): Uint8Array {
  const out = new Uint8Array(length);
  let x = (seed | 1) >>> 0;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    out[i] = x >>> 24;
  }
  return out;
}

/** One run. */
class Run {
  store!: Store;
  readonly file = new MemoryFile();
  readonly random: Random;
  readonly shape: Shape;
  readonly tables = new Map<string, { id: number; rows: Rows }>();
  held: Held[] = [];
  operations = 0;
  sequence = 0;
  names = 0;
  maxHeld = 0;

  constructor(seed: number, shape: Shape) {
    this.random = seeded(seed);
    this.shape = shape;
  }

  async open(): Promise<void> {
    this.store = await Store.open(new MemoryStorage(this.file), {
      create: true,
      idleCheckpoint: 0,
      environment: testEnvironment(this.random.u32()),
      ...this.shape.options,
    });
  }

  key(): string {
    const n = this.random.int(this.shape.keys);
    return n % 3 === 0 ? `shared/prefix/${n}` : n % 3 === 1 ? `${n}` : `k${n}${"-".repeat(n % 200)}`;
  }

  value(): { seed: number; length: number } {
    const { random, shape } = this;
    const length = random.int(shape.longEvery) === 0
      ? random.int(shape.longest)
      : random.chance(0.1)
      ? 0
      : random.int(random.chance(0.1) ? 2000 : 120);
    return { seed: random.u32(), length };
  }

  /** A transaction over some tables; the reference changes at once, as commits apply in order. */
  commit(): Promise<unknown> {
    const { random } = this;
    const ops: RawOp[] = [];
    for (let i = random.chance(0.05) ? random.int(200) : random.between(1, 6); i > 0; i--) {
      const { id, rows } = random.pick([...this.tables.values()]);
      const key = this.key();
      this.operations++;
      if (random.chance(0.72)) {
        const value = this.value();
        rows.set(key, value);
        ops.push({ kind: "put", table: id, key: encoder.encode(key), value: bytesOf(value) });
      } else if (random.chance(0.95)) {
        rows.delete(key);
        ops.push({ kind: "delete", table: id, key: encoder.encode(key) });
      } else {
        const upper = this.key();
        const [from, to] = key < upper ? [key, upper] : [upper, key];
        for (const each of [...rows.keys()]) if (each >= from && each < to) rows.delete(each);
        ops.push({ kind: "deleteRange", table: id, key: encoder.encode(from), value: encoder.encode(to) });
      }
    }
    const expected = ++this.sequence;
    return this.store.commit({ stage: () => stageRaw(this.store.kernel, ops) }).then((receipt) => assertEquals(receipt.sequence, expected));
  }

  async createTable(): Promise<void> {
    const name = `table ${this.names++}`;
    const id = await this.store.createTable(name, encoder.encode(name));
    for (const { id: other } of this.tables.values()) assert(id !== other);
    this.tables.set(name, { id, rows: new Map() });
  }

  async dropTable(): Promise<void> {
    if (this.tables.size < 2) return;
    const name = this.random.pick([...this.tables.keys()]);
    this.tables.delete(name);
    await this.store.dropTable(name);
  }

  hold(): void {
    const tables = new Map([...this.tables.values()].map(({ id, rows }) => [id, new Map(rows)]));
    this.held.push({ transaction: this.store.read(), tables });
    this.maxHeld = Math.max(this.maxHeld, this.held.length);
  }

  release(): void {
    if (this.held.length === 0) return;
    const [held] = this.held.splice(this.random.int(this.held.length), 1);
    for (const [id, rows] of held!.tables) this.compare(held!.transaction, id, rows);
    held!.transaction.close();
  }

  /** Compares a table row by row, in one direction. */
  compare(transaction: ReadTransaction, id: number, rows: Rows): void {
    const reverse = this.random.chance(0.5);
    const wanted = [...rows.keys()].sort();
    if (reverse) wanted.reverse();
    const tree = transaction.tree(id);
    assertEquals(tree.rows, wanted.length);
    using scan = tree.scan({ reverse });
    let at = 0;
    while (scan.next(64, 1 << 15) > 0) {
      for (let row = 0; row < scan.rows; row++) {
        const key = decoder.decode(scan.key(row));
        if (key !== wanted[at]) throw new Error(`row ${at} is ${JSON.stringify(key)}, expected ${JSON.stringify(wanted[at])}`);
        const length = rows.get(key)!.length;
        // Contents of some: all of them would make the run about generating bytes.
        if (length < 4000 ? at % 7 === 0 : at % 3 === 0) assertEquals(same(scan.value(row), bytesOf(rows.get(key)!)), true, key);
        at++;
      }
    }
    assertEquals(at, wanted.length);
  }

  /** Looks a few keys up. */
  lookUp(): void {
    using transaction = this.store.read();
    for (const { id, rows } of this.tables.values()) {
      for (let i = 0; i < 5; i++) {
        const key = this.key();
        const found = transaction.tree(id).get(encoder.encode(key));
        const wanted = rows.get(key);
        assertEquals(found === undefined, wanted === undefined, key);
        if (wanted) assert(same(found!, bytesOf(wanted)), key);
      }
    }
  }

  compareAll(): void {
    using transaction = this.store.read();
    assertEquals(transaction.sequence, this.sequence);
    assertEquals(transaction.tables().map((table) => table.name), [...this.tables.keys()].sort());
    for (const { id, rows } of this.tables.values()) this.compare(transaction, id, rows);
  }

  async reopen(): Promise<void> {
    while (this.held.length > 0) this.release();
    await this.store.close();
    await this.open();
    assert(this.store.recovery.clean);
    this.compareAll();
  }

  async check(): Promise<void> {
    const report = await this.store.check();
    assertEquals(report.problems, []);
  }

  async run(): Promise<void> {
    const { random, shape } = this;
    await this.open();
    await this.createTable();
    await this.createTable();
    while (this.operations < shape.operations) {
      const roll = random.int(1000);
      if (roll < 700) await this.commit();
      else if (roll < 800) await Promise.all(Array.from({ length: random.between(2, 40) }, () => this.commit()));
      else if (roll < 900) this.lookUp();
      else if (roll < 930 && this.held.length < 6) this.hold();
      else if (roll < 965) this.release();
      else if (roll < 972) await this.createTable();
      else if (roll < 976) await this.dropTable();
      else if (roll < 985) await this.store.checkpoint();
      else if (roll < 990) this.compareAll();
      else if (roll < 993) await this.reopen();
      else if (roll < 995) await this.store.compact();
      else if (roll < 997) await this.check();
    }
    this.compareAll();
    await this.reopen();
    await this.check();
    await this.store.close();
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

async function model(seed: number, shape: Shape): Promise<void> {
  const run = new Run(seed, shape);
  try {
    await run.run();
  } catch (error) {
    throw new Error(`seed ${seed} after ${run.operations} operations`, { cause: error });
  }
}

const SHAPES: Record<string, Shape> = {
  "pages of 4 KiB, a small cache": {
    operations: 20_000,
    keys: 4000,
    longEvery: 60,
    longest: 20_000,
    options: { cacheBytes: 64 << 12, syncMode: "inline" },
  },
  "pages of 16 KiB": {
    operations: 10_000,
    keys: 3000,
    longEvery: 100,
    longest: 100_000,
    options: { pageSize: 16384, cacheBytes: 64 << 14 },
  },
  "pages of 64 KiB": { operations: 6000, keys: 3000, longEvery: 200, longest: 1 << 20, options: { pageSize: 65536, cacheBytes: 64 << 16 } },
  "asynchronous syncs": {
    operations: 10_000,
    keys: 2000,
    longEvery: 100,
    longest: 30_000,
    options: { syncMode: "async", cacheBytes: 1 << 20 },
  },
  "relaxed durability": { operations: 6000, keys: 2000, longEvery: 100, longest: 30_000, options: { durability: "relaxed" } },
  "no journal": { operations: 6000, keys: 2000, longEvery: 100, longest: 30_000, options: { durability: "none", cacheBytes: 1 << 19 } },
};

Object.entries(SHAPES).forEach(([name, shape], index) => {
  test(`Store: agrees with the reference, ${name}`, async () => {
    await model(9100 + index, shape);
  });
});
