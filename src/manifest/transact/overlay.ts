// The overlay: what a read-write transaction has written so far, above the state that it reads.
//
// Invariant: a row of the overlay stands for itself; a key without one that lies in a deleted range is absent; everything else is as the state below has it.
import { type KeptRows, RowCursor, SortedRows } from "./sorted_rows.ts";

/** A range of deleted keys: `upper` exclusive. */
type Span = readonly [lower: string, upper: string];

/** A kept state of one table's part. */
export interface KeptTable {
  readonly rows: KeptRows;
  readonly deleted: readonly Span[];
}

/** Whether a key lies in one of the spans, which are in order and apart. */
export function inSpans(spans: readonly Span[], key: string): boolean {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (spans[middle]![1] <= key) low = middle + 1;
    else high = middle;
  }
  return low < spans.length && spans[low]![0] <= key;
}

/** What was written to one table. */
export class TableOverlay {
  readonly #rows = new SortedRows();
  #deleted: readonly Span[] = [];

  /** Whether nothing was. */
  get empty(): boolean {
    return this.#rows.empty && this.#deleted.length === 0;
  }

  /** A row: its encoded record, null when it is deleted, undefined when the state below has to be asked. */
  get(key: string): Uint8Array | null | undefined {
    const row = this.#rows.get(key);
    if (row !== undefined) return row.value;
    return this.#deleted.length > 0 && inSpans(this.#deleted, key) ? null : undefined;
  }

  /** Puts a row, or with null deletes it. */
  set(key: string, value: Uint8Array | null): void {
    this.#rows.set(key, { value, inBase: this.#rows.get(key)?.inBase });
  }

  /** Deletes the rows from `lower` on, before `upper`. */
  deleteRange(lower: string, upper: string): void {
    if (lower >= upper) return;
    this.#rows.removeRange(lower, upper);
    const spans: Span[] = [];
    let from = lower;
    let to = upper;
    for (const span of this.#deleted) {
      if (span[1] < from || span[0] > to) spans.push(span);
      else {
        if (span[0] < from) from = span[0];
        if (span[1] > to) to = span[1];
      }
    }
    spans.push([from, to]);
    this.#deleted = spans.sort((a, b) => a[0] < b[0] ? -1 : 1);
  }

  /**
   * How many rows more, or fewer, the table has than below. `has` tells whether there is a row below, `count` how many there are in a range.
   */
  difference(has: (key: string) => boolean, count: (lower: string, upper: string) => number): number {
    let sum = 0;
    for (const [lower, upper] of this.#deleted) sum -= count(lower, upper);
    const { rows, deleted } = this.keep();
    for (const cursor = new RowCursor(rows, "", undefined, false); cursor.key !== undefined; cursor.next()) {
      const row = cursor.row!;
      if (row.value !== null) sum++;
      if (inSpans(deleted, cursor.key)) continue; // counted with the range
      row.inBase ??= has(cursor.key);
      if (row.inBase) sum--;
    }
    return sum;
  }

  /** The state as it is. */
  keep(): KeptTable {
    return { rows: this.#rows.keep(), deleted: this.#deleted };
  }

  /** Goes back to a kept state. */
  restore(kept: KeptTable): void {
    this.#rows.restore(kept.rows);
    this.#deleted = kept.deleted;
  }
}

const NOTHING: KeptTable = { rows: [], deleted: [] };

/** What was written to all tables. */
export class Overlay {
  readonly #tables = new Map<number, TableOverlay>();

  /** The part of a table, made when it is missing. */
  table(id: number): TableOverlay {
    let table = this.#tables.get(id);
    if (table === undefined) this.#tables.set(id, table = new TableOverlay());
    return table;
  }

  /** The part of a table that something was written to. */
  written(id: number): TableOverlay | undefined {
    const table = this.#tables.get(id);
    return table === undefined || table.empty ? undefined : table;
  }

  /** The state as it is; the result goes back to it. */
  keep(): () => void {
    const kept = new Map([...this.#tables].map(([id, table]) => [id, table.keep()]));
    return () => {
      for (const [id, table] of this.#tables) table.restore(kept.get(id) ?? NOTHING);
    };
  }
}
