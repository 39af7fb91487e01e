// The reference of the model: tables as sorted arrays, and a log that takes the last commits back.
//
// Keys are strings with one character a byte, so that strings compare as keys do. Commits enter the reference when they are issued, in order; the log knows how to undo each, so
// that the state at any sequence since the last durable one can be had: for a reader that sees fewer commits, and after a crash.
import type { Value } from "./model_value.ts";

/** Rows in key order. */
export class Rows {
  keys: string[] = [];
  values: Value[] = [];

  /** Index of the first key not less than `key`. */
  find(key: string): number {
    let low = 0, high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get(key: string): Value | undefined {
    const at = this.find(key);
    return this.keys[at] === key ? this.values[at] : undefined;
  }

  /** Puts a row and returns what was there. */
  put(key: string, value: Value): Value | undefined {
    const at = this.find(key);
    if (this.keys[at] === key) {
      const old = this.values[at]!;
      this.values[at] = value;
      return old;
    }
    this.keys.splice(at, 0, key);
    this.values.splice(at, 0, value);
    return undefined;
  }

  delete(key: string): Value | undefined {
    const at = this.find(key);
    if (this.keys[at] !== key) return undefined;
    this.keys.splice(at, 1);
    return this.values.splice(at, 1)[0];
  }

  copy(): Rows {
    const rows = new Rows();
    rows.keys = this.keys.slice();
    rows.values = this.values.slice();
    return rows;
  }
}

/** A table of the reference. */
export interface ModelTable {
  id: number;
  readonly name: string;
  readonly schema: string;
  readonly rows: Rows;
}

/** All tables by id. */
export type Tables = Map<number, ModelTable>;

/** One change of a transaction. */
export type Change =
  | { readonly kind: "put"; readonly table: number; readonly key: string; readonly value: Value }
  | { readonly kind: "delete"; readonly table: number; readonly key: string }
  | { readonly kind: "deleteRange"; readonly table: number; readonly key: string; readonly upper: string };

/** One commit that may yet be taken back. */
export interface Entry {
  readonly serial: number;
  /** Change sequence; 0 = a change of the registry. */
  readonly sequence: number;
  /** The receipt has come. */
  acknowledged: boolean;
  /** A crash has taken it back. */
  lost: boolean;
  undo(tables: Tables): void;
}

function copyTables(tables: Tables): Tables {
  return new Map([...tables].map(([id, table]) => [id, { ...table, rows: table.rows.copy() }]));
}

/** The reference. */
export class Model {
  tables: Tables = new Map();
  /** Newest issued sequence. */
  sequence = 0;
  #serial = 0;
  #log: Entry[] = [];

  #enter(sequence: number, undo: (tables: Tables) => void): Entry {
    const entry = { serial: ++this.#serial, sequence, acknowledged: false, lost: false, undo };
    this.#log.push(entry);
    return entry;
  }

  /** A commit of changes: it takes the next sequence. */
  commit(changes: readonly Change[]): Entry {
    const old: { table: number; key: string; value: Value | undefined }[] = [];
    for (const change of changes) {
      const { rows } = this.tables.get(change.table)!;
      const { table, key } = change;
      if (change.kind === "put") old.push({ table, key, value: rows.put(key, change.value) });
      else if (change.kind === "delete") old.push({ table, key, value: rows.delete(key) });
      else {
        const from = rows.find(key);
        const count = Math.max(0, rows.find(change.upper) - from);
        const keys = rows.keys.splice(from, count);
        const values = rows.values.splice(from, count);
        keys.forEach((each, i) => old.push({ table, key: each, value: values[i] }));
      }
    }
    return this.#enter(++this.sequence, (tables) => {
      for (const { table, key, value } of old.reverse()) {
        const { rows } = tables.get(table)!;
        if (value === undefined) rows.delete(key);
        else rows.put(key, value);
      }
      old.reverse();
    });
  }

  /** A table is being created; its id comes with the receipt. */
  create(table: ModelTable): Entry {
    return this.#enter(0, (tables) => void tables.delete(table.id));
  }

  /** A table has been created. */
  created(table: ModelTable): void {
    this.tables.set(table.id, table);
  }

  /** A table is being dropped. */
  drop(id: number): Entry {
    const table = this.tables.get(id)!;
    this.tables.delete(id);
    return this.#enter(0, (tables) => void tables.set(id, { ...table, rows: table.rows.copy() }));
  }

  /** A table is being given another schema. */
  describe(id: number, schema: string): Entry {
    const table = this.tables.get(id)!;
    this.tables.set(id, { ...table, schema });
    return this.#enter(0, (tables) => void tables.set(id, { ...tables.get(id)!, schema: table.schema }));
  }

  /** Serial of the newest commit that must survive a crash at this moment. */
  kept(durable: number, acknowledgedIsDurable: boolean): number {
    let serial = 0;
    for (const entry of this.#log) {
      if (acknowledgedIsDurable ? entry.acknowledged : entry.sequence > 0 && entry.sequence <= durable) serial = entry.serial;
    }
    return serial;
  }

  /** The state at a sequence. Changes of the registry next to it count when `same` says so. Returns also how many commits of the log it holds. */
  at(sequence: number, same: (tables: Tables) => boolean): { tables: Tables; held: number } {
    const tables = copyTables(this.tables);
    let held = this.#log.length;
    const first = this.#log.findIndex((entry) => entry.sequence > sequence);
    if (first >= 0) { while (held > first) this.#log[--held]!.undo(tables); }
    while (held > 0 && this.#log[held - 1]!.sequence === 0 && !same(tables)) this.#log[--held]!.undo(tables);
    return { tables, held };
  }

  /** Serial of the newest commit among the first `held` of the log. */
  serialOf(held: number): number {
    return held === 0 ? 0 : this.#log[held - 1]!.serial;
  }

  /** A crash has taken back all but `held` commits of the log. */
  fall(sequence: number, tables: Tables, held: number): void {
    for (const entry of this.#log.splice(held)) entry.lost = true;
    this.sequence = sequence;
    this.tables = tables;
  }

  /** Nothing up to this sequence can be taken back any more; `all`: nothing at all. */
  settle(durable: number, all: boolean): void {
    if (all) this.#log = [];
    let last = -1;
    this.#log.forEach((entry, i) => {
      if (entry.sequence > 0 && entry.sequence <= durable) last = i;
    });
    if (last >= 0) this.#log.splice(0, last + 1);
  }
}
