// A table of the reference: a Map of plain records, never changed in place, and what takes a change back.

/** Components of a key. */
export type Key = readonly (number | string)[];

/** A row. */
export interface Row<V> {
  readonly key: Key;
  readonly value: V;
}

/** What a transaction has done, so that it can be taken back: a row of a table, or something else. */
export interface Step {
  readonly rows?: Rows<unknown>;
  readonly key?: Key;
  back(): void;
}

/** The steps of a transaction. */
export type Undo = Step[];

/** Compares keys component by component: numbers by size, text by its code units. */
export function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!, y = b[i]!;
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Rows by key. */
export class Rows<V> {
  #rows = new Map<string, Row<V>>();
  readonly #undo: Undo;

  constructor(undo: Undo) {
    this.#undo = undo;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(...key: Key): V | undefined {
    return this.#rows.get(key.join("\0"))?.value;
  }

  has(...key: Key): boolean {
    return this.#rows.has(key.join("\0"));
  }

  set(key: Key, value: V): void {
    this.#change(key, { key, value });
  }

  delete(...key: Key): void {
    this.#change(key, undefined);
  }

  #change(key: Key, row: Row<V> | undefined): void {
    const rows = this.#rows;
    const name = key.join("\0");
    const before = rows.get(name);
    this.#undo.push({
      rows: this as Rows<unknown>,
      key,
      back: () => void (before === undefined ? rows.delete(name) : rows.set(name, before)),
    });
    if (row === undefined) rows.delete(name);
    else rows.set(name, row);
  }

  /** Rows in no particular order; the list stays as it is. */
  all(): Row<V>[] {
    return [...this.#rows.values()];
  }

  /** Rows whose key begins with a number. */
  of(first: number): Row<V>[] {
    const out: Row<V>[] = [];
    for (const row of this.#rows.values()) if (row.key[0] === first) out.push(row);
    return out;
  }

  /** Rows in key order. */
  sorted(): Row<V>[] {
    return this.all().sort((a, b) => compareKeys(a.key, b.key));
  }

  /** The same rows, in a table of another state. */
  copy(undo: Undo): Rows<V> {
    const copy = new Rows<V>(undo);
    copy.#rows = new Map(this.#rows);
    return copy;
  }
}
