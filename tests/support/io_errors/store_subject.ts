// A store under a fault. The model is a map of rows after the commits that were kept.
import { Buffer } from "node:buffer";
import { stageRaw } from "../../../src/store/raw_ops.ts";
import { Store } from "../../../src/store/store.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import type { TestEnvironment } from "../environment.ts";
import type { Random } from "../random.ts";
import { Subject, type SubjectOptions } from "./subject.ts";

const TABLE = 16;
const { compare } = Buffer;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What one commit does. */
export interface RowChanges {
  readonly puts: readonly (readonly [string, Uint8Array])[];
  readonly deletes: readonly string[];
}

/** Rows by key. */
export type RowMap = Map<string, Uint8Array>;

/** A run of a store. */
export class StoreSubject extends Subject<Store> {
  /** Rows that were there before the first commit. */
  base: RowMap = new Map();
  /** The newest change then. */
  baseSequence = 0;
  readonly #commits: RowChanges[] = [];

  protected override openHandle(storage: Storage, options: SubjectOptions, environment: TestEnvironment): Promise<Store> {
    return Store.open(storage, {
      create: options.readOnly !== true,
      idleCheckpoint: 0,
      syncMode: "inline",
      cacheBytes: 1 << 18,
      ...options,
      environment,
    });
  }

  /** Commits rows. */
  async put(puts: RowChanges["puts"], deletes: readonly string[] = []): Promise<boolean> {
    this.goOn();
    const store = this.open;
    this.#commits.push({ puts, deletes });
    const commitId = store.newCommitId();
    const stage = () =>
      stageRaw(store.kernel, [
        ...puts.map(([key, value]) => ({ kind: "put" as const, table: TABLE, key: encoder.encode(key), value })),
        ...deletes.map((key) => ({ kind: "delete" as const, table: TABLE, key: encoder.encode(key) })),
      ]);
    return await this.commit(commitId, () => store.commit({ commitId, stage }));
  }

  /** Commits some random rows over a small key space. */
  some(keys: number, largest: number): Promise<boolean> {
    return this.put(...someRows(this.random, keys, largest));
  }

  protected override commitOne(): Promise<unknown> {
    return this.put([["last", encoder.encode(`${this.ledger.entries.length}`)]]);
  }

  /** Rows after some commits. */
  rowsAfter(kept: ReadonlySet<number>): RowMap {
    const rows = new Map(this.base);
    this.#commits.forEach(({ puts, deletes }, number) => {
      if (!kept.has(number)) return;
      for (const [key, value] of puts) rows.set(key, value);
      for (const key of deletes) rows.delete(key);
    });
    return rows;
  }

  /** The commits that may be there in a state with this newest change. */
  keptUntil(sequence: number): Set<number> {
    const may = this.ledger.entries.filter(({ outcome }) => outcome !== "not_applied").map(({ number }) => number);
    return new Set(may.slice(0, Math.max(0, sequence - this.baseSequence)));
  }

  protected override compare(store: Store, kept: ReadonlySet<number>): void {
    compareRows(store, this.rowsAfter(kept));
  }
}

/** Random rows to put, and keys to delete. */
export function someRows(random: Random, keys: number, largest: number): [[string, Uint8Array][], string[]] {
  const puts: [string, Uint8Array][] = [];
  for (let i = random.between(1, 4); i > 0; i--) puts.push([`key${random.int(keys)}`, random.bytes(random.int(largest))]);
  return [puts, random.chance(0.3) ? [`key${random.int(keys)}`] : []];
}

/** Throws unless a store's published state has exactly these rows. */
export function compareRows(store: Store, wanted: RowMap): void {
  let count = 0;
  using transaction = store.read();
  const tree = transaction.tree(TABLE);
  using scan = tree.scan();
  while (scan.next(100, 1 << 16) > 0) {
    const keys = Array.from({ length: scan.rows }, (_, row) => scan.key(row));
    const values = keys.map((_, row) => scan.value(row));
    keys.forEach((key, row) => {
      const text = decoder.decode(key);
      const value = wanted.get(text);
      if (value === undefined) throw new Error(`row ${text} should not be there`);
      if (compare(value, values[row]!) !== 0) throw new Error(`row ${text} has another value`);
      count++;
    });
  }
  if (count !== wanted.size || tree.rows !== count) throw new Error(`${count} rows, counted ${tree.rows}, expected ${wanted.size}`);
}
