// The read set: what a read-write transaction has seen, and whether it would see the same now.
//
// Keys, present or absent, as they were asked for; ranges as far as their rows were handed out; whole tables' counts by their value. A table that was not there is known by its name:
// making it changes nothing that was read, putting rows into it may.
import type { View, WriteWatch } from "../../store/store.ts";
import { keyText } from "../../store/store.ts";
import type { Position } from "../read/bounds.ts";
import type { RangeProgress } from "../read/table_reader.ts";

/** What a transaction had read and another one changed. */
export interface Conflict {
  /** The table; undefined when it is none in particular. */
  readonly table: string | undefined;
  /** What was read: a key, a range, a whole table's count; or that too much was written since to tell. */
  readonly what: "key" | "range" | "count" | "capacity";
  /** The change that did it; 0 when that is none. */
  readonly sequence: number;
  /** Its frame. */
  readonly frame: number;
}

/** Keys from `lower` on, before `upper`; undefined: to the end. */
type Span = [lower: string, upper: string | undefined];

/** A range that was read, or is being read. */
export class RangeRead implements RangeProgress {
  readonly #lower: string;
  readonly #upper: string | undefined;
  readonly #reverse: boolean;
  readonly #check: () => void;
  #iteration: { readonly position: Position | undefined } | undefined;
  #last: string | undefined;
  #whole = false;

  constructor(lower: string, upper: string | undefined, reverse: boolean, check: () => void) {
    this.#lower = lower;
    this.#upper = upper;
    this.#reverse = reverse;
    this.#check = check;
  }

  check(): void {
    this.#check();
  }

  begin(iteration: { readonly position: Position | undefined }): void {
    this.#iteration = iteration;
  }

  end(position: Position | undefined, whole: boolean): void {
    if (this.#iteration === undefined) return;
    this.#iteration = undefined;
    this.#whole = whole;
    if (position !== undefined) this.#last = keyText(position);
  }

  /** All rows are taken as read. */
  all(): void {
    this.#whole = true;
  }

  /** What has been read: undefined when nothing. */
  get span(): Span | undefined {
    if (this.#whole) return [this.#lower, this.#upper];
    const position = this.#iteration?.position;
    const last = position === undefined ? this.#last : keyText(position);
    if (last === undefined) return undefined;
    return this.#reverse ? [last, this.#upper] : [this.#lower, behind(last)];
  }
}

/** The first key behind one. */
export function behind(key: string): string {
  return key + "\0";
}

/** What was read of one table. */
export class TableReads {
  readonly name: string;
  /** Its id in the state that was read; undefined: it was not there. */
  readonly id: number | undefined;
  readonly keys: Set<string> = new Set();
  readonly ranges: RangeRead[] = [];
  /** Its rows, when somebody has asked for the number. */
  rows: number | undefined;
  #spans: Span[] | undefined;
  #sorted: string[] | undefined;

  constructor(name: string, id: number | undefined) {
    this.name = name;
    this.id = id;
  }

  /** Fixes how far the ranges were read. */
  close(): void {
    const spans = this.ranges.map((range) => range.span).filter((span) => span !== undefined);
    spans.sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
    const merged: Span[] = [];
    for (const [lower, upper] of spans) {
      const last = merged[merged.length - 1];
      if (last === undefined || (last[1] !== undefined && last[1] < lower)) merged.push([lower, upper]);
      else if (last[1] !== undefined && (upper === undefined || upper > last[1])) last[1] = upper;
    }
    this.#spans = merged;
  }

  /** Whether a write to the table changes what was read. */
  hit(key: string, upper: string | null | undefined): "key" | "range" | undefined {
    if (upper === undefined) {
      if (this.keys.has(key)) return "key";
      return this.#crosses(key, behind(key)) ? "range" : undefined;
    }
    if (this.#crosses(key, upper ?? undefined)) return "range";
    const sorted = this.#sorted ??= [...this.keys].sort();
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low < sorted.length && (upper === null || sorted[low]! < upper) ? "key" : undefined;
  }

  /** Whether one of the ranges read crosses that from `lower` on, before `upper`. */
  #crosses(lower: string, upper: string | undefined): boolean {
    const spans = this.#spans!;
    let low = 0;
    let high = spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const end = spans[middle]![1];
      if (end !== undefined && end <= lower) low = middle + 1;
      else high = middle;
    }
    return low < spans.length && (upper === undefined || spans[low]![0] < upper);
  }
}

/** What a transaction has read. */
export class ReadSet {
  readonly #tables = new Map<string, TableReads>();
  #watch: WriteWatch | undefined;

  /** What was read of a table. */
  table(name: string, id: number | undefined): TableReads {
    let reads = this.#tables.get(name);
    if (reads === undefined) this.#tables.set(name, reads = new TableReads(name, id));
    return reads;
  }

  /** Fixes how far everything was read, and what to compare it with. */
  close(watch: WriteWatch): void {
    this.#watch = watch;
    for (const reads of this.#tables.values()) reads.close();
  }

  /** What was read and is not the same any more in the newest applied state. */
  conflict(newest: View): Conflict | undefined {
    const watch = this.#watch;
    if (watch === undefined || this.#tables.size === 0 || newest.frame === watch.frame) return undefined;
    if (watch.missed) return { table: undefined, what: "capacity", sequence: newest.sequence, frame: newest.frame };
    const byId = new Map<number, TableReads>();
    for (const reads of this.#tables.values()) {
      const id = reads.id ?? newest.table(reads.name)?.id;
      if (id !== undefined) byId.set(id, reads);
    }
    for (const { frame, sequence, writes } of watch.writes()) {
      for (const { table, key, upper } of writes) {
        const reads = byId.get(table);
        const what = reads?.hit(key, upper);
        if (what !== undefined) return { table: reads!.name, what, sequence, frame };
      }
    }
    for (const { name, rows } of this.#tables.values()) {
      if (rows === undefined) continue;
      const info = newest.table(name);
      const now = info === undefined ? 0 : newest.tree(info.id).rows;
      if (now !== rows) return { table: name, what: "count", sequence: newest.sequence, frame: newest.frame };
    }
    return undefined;
  }
}
