// Ranges of computed tables: as any range, but its rows come from the table's own reader.
import { failType } from "../../errors.ts";
import type { Position } from "./bounds.ts";
import type { NumberedReader, NumberedRow } from "./numbered_table.ts";
import { Range, type RangeKind, type RangeOptions, type RangeSource } from "./range.ts";

const FIRST_ROWS = 32;
const MOST_ROWS = 512;
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Rows of a computed table in key order. */
export class NumberedRange<T> extends Range<T> {
  readonly #start: () => RangeSource;
  readonly #request: RangeOptions<readonly unknown[]>;
  readonly #rowKind: RangeKind;
  #newest: NumberedIterator<T> | undefined;

  constructor(open: () => RangeSource, options: RangeOptions<readonly unknown[]>, kind: RangeKind) {
    super(open, options, kind);
    if (kind === "bytes") failType("Cannot read a range as bytes: the rows of this table are computed; use range");
    this.#start = open;
    this.#request = options;
    this.#rowKind = kind;
  }

  override [Symbol.iterator](): IterableIterator<T> {
    return this.#newest = new NumberedIterator<T>(this.#start, this.#request, this.#rowKind);
  }

  override get position(): Position | undefined {
    return this.#newest?.position ?? this.#request.after;
  }
}

/** One iteration. */
class NumberedIterator<T> implements IterableIterator<T> {
  readonly #open: () => RangeSource;
  readonly #options: RangeOptions<readonly unknown[]>;
  readonly #kind: RangeKind;
  #source: RangeSource | undefined;
  #reader: NumberedReader | undefined;
  #low = 0;
  #high = -1;
  #left: number;
  #size = FIRST_ROWS;
  #rows: NumberedRow[] = [];
  #at = 0;
  #ended = false;
  /** What it has failed with: it stays failed. */
  #failure: { readonly error: unknown } | undefined;
  #last: number | undefined;

  constructor(open: () => RangeSource, options: RangeOptions<readonly unknown[]>, kind: RangeKind) {
    this.#open = open;
    this.#options = options;
    this.#kind = kind;
    this.#left = options.limit ?? Infinity;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this;
  }

  next(): IteratorResult<T> {
    if (this.#at === this.#rows.length && !this.#refill()) return DONE;
    const [number, value] = this.#rows[this.#at++]!;
    this.#last = number;
    const row = this.#kind === "keys" ? [number] : this.#kind === "values" ? value : [[number], value];
    return { done: false, value: row as T };
  }

  return(): IteratorResult<T> {
    this.#end();
    this.#rows = [];
    this.#at = 0;
    return DONE;
  }

  get position(): Position | undefined {
    return this.#last === undefined ? undefined : this.#reader!.codec.encodeKey([this.#last]);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#source?.release();
    this.#source = undefined;
  }

  #refill(): boolean {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#ended) return false;
    try {
      if (this.#source === undefined) {
        this.#source = this.#open();
        this.#reader = this.#source.reader as NumberedReader;
        const interval = this.#reader.interval(this.#options);
        if (interval !== undefined) ({ low: this.#low, high: this.#high } = interval);
      }
      const reverse = this.#options.reverse === true;
      const most = Math.min(this.#size, this.#left);
      this.#rows = most === 0 || this.#low > this.#high
        ? []
        : this.#reader!.batch(this.#low, this.#high, reverse, most, this.#kind === "keys");
      this.#at = 0;
      const last = this.#rows[this.#rows.length - 1]?.[0];
      if (last === undefined) {
        this.#end();
        return false;
      }
      if (reverse) this.#high = last - 1;
      else this.#low = last + 1;
      this.#left -= this.#rows.length;
      this.#size = Math.min(this.#size * 4, MOST_ROWS);
      if (this.#left === 0) this.#end();
      return true;
    } catch (error) {
      this.#failure = { error };
      this.#end();
      throw error;
    }
  }
}
