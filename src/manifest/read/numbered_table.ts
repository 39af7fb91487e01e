// Tables whose rows are computed, keyed by one number: read like any other, never written.
//
// Bounds and positions are those of every table, encoded keys, so a position may be kept and used again; they are turned into the first and the last number that lie within.
import { TABLE_ID_CHANGES } from "../../../assembly/format.ts";
import { failType } from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import type { View } from "../../store/store.ts";
import type { Bound } from "../bindings.ts";
import { encodeBounds, type RangeBounds } from "./bounds.ts";
import { type ScanRequest, TableReader } from "./table_reader.ts";

/** The rows of a computed table in one state. */
export interface NumberedRows {
  /** How many there are. */
  count(): number;
  /** One of them; undefined when there is none. */
  get(number: number): object | undefined;
  /** Those from `low` to `high`, in order or from the end, at most `most`; without values for `keysOnly`. */
  read(low: number, high: number, reverse: boolean, most: number, keysOnly: boolean): NumberedRow[];
}

/** A row and its number. */
export type NumberedRow = [number: number, value: object | undefined];

/** A computed table. */
interface NumberedTable {
  /** Its definition. */
  readonly table: AnyTable;
  /** Its rows in a state. */
  rows(view: View): NumberedRows;
}

const NUMBER_BYTES = 8;
const BATCH = 512;

/** The number that 8 bytes stand for, and whether bytes follow. Missing bytes count as zeros. */
function numberIn(bytes: Uint8Array): number {
  let number = 0;
  for (let i = 0; i < NUMBER_BYTES; i++) number = number * 256 + (bytes[i] ?? 0);
  return number;
}

/** Reads a computed table. */
export class NumberedReader extends TableReader {
  readonly #rows: NumberedRows;

  constructor(
    kernel: TableReader["kernel"],
    arena: ConstructorParameters<typeof TableReader>[1],
    bound: Bound,
    view: View,
    rows: NumberedRows,
  ) {
    super(kernel, arena, bound, view.tree(TABLE_ID_CHANGES));
    this.#rows = rows;
  }

  override get rows(): number {
    return this.#rows.count();
  }

  /** The number of a key, checked as the key of any table. */
  #number(key: unknown): number {
    return numberIn(this.codec.encodeKey(key));
  }

  override find(key: unknown): boolean {
    const number = this.#number(key);
    return this.#rows.read(number, number, false, 1, true).length > 0;
  }

  override get(key: unknown): unknown {
    return this.#rows.get(this.#number(key));
  }

  override bytes(): never {
    failType(`Cannot read "${this.bound.table.name}" as bytes: its rows are computed; use get`, { table: this.bound.table.name });
  }

  override view(): never {
    failType(`Cannot view "${this.bound.table.name}": its rows are computed; use get`, { table: this.bound.table.name });
  }

  override scan(): never {
    return this.bytes();
  }

  /** First and last number within bounds; undefined when there can be none. */
  interval(request: ScanRequest): { low: number; high: number } | undefined {
    const bounds = encodeBounds(this.codec, request, request.after, request.reverse === true);
    if (bounds === undefined) return undefined;
    let low = 0;
    let high = Number.MAX_SAFE_INTEGER;
    const { lower, lowerExclusive, upper } = bounds;
    if (lower !== undefined) {
      low = numberIn(lower) + (lower.length > NUMBER_BYTES || (lowerExclusive && lower.length === NUMBER_BYTES) ? 1 : 0);
    }
    if (upper !== undefined) high = Math.min(high, numberIn(upper) - (upper.length > NUMBER_BYTES ? 0 : 1));
    return low > high ? undefined : { low, high };
  }

  /** Rows of an interval, some at a time. */
  batch(low: number, high: number, reverse: boolean, most: number, keysOnly: boolean): NumberedRow[] {
    return this.#rows.read(low, high, reverse, most, keysOnly);
  }

  /** How many rows lie within bounds. */
  count(bounds: RangeBounds<readonly unknown[]>): number {
    const interval = this.interval(bounds);
    if (interval === undefined) return 0;
    let sum = 0;
    for (let { low } = interval;;) {
      const rows = this.#rows.read(low, interval.high, false, BATCH, true);
      if (rows.length === 0) return sum;
      sum += rows.length;
      low = rows[rows.length - 1]![0] + 1;
    }
  }
}
