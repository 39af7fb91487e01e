// Ranges: rows of a table in key order, as an iterable that can be resumed.
//
// Rows are fetched in chunks, decoded at once and handed out one by one, so the loop's body may use the manifest as it likes. The first chunk is small, because
// many loops stop early; then they grow.
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { failRange, failType } from "../../errors.ts";
import { BOUNDS, type Position, type RangeBounds } from "./bounds.ts";
import type { RangeProgress, RowReader, RowScan } from "./table_reader.ts";

/** What to read, and how. */
export interface RangeOptions<K extends readonly unknown[]> extends RangeBounds<K> {
  /** From the last row to the first. */
  reverse?: boolean;
  /** At most this many rows. */
  limit?: number;
  /** Goes on behind the `position` of an earlier range with the same bounds and direction. */
  after?: Position;
}

const NAMES: OptionNames<RangeOptions<readonly unknown[]>> = { ...BOUNDS, reverse: true, limit: true, after: true };

/** Options of a range as a caller gave them, or an error. */
export function takeRangeOptions<T extends object>(options: T): T {
  return takeOptions<object>(options, NAMES, "read a range") as T;
}

/** What an iteration hands out. */
export type RangeKind = "entries" | "keys" | "values" | "bytes";

/** Where an iteration reads; `release` is called when it ends. */
export interface RangeSource {
  readonly reader: RowReader;
  release(): void;
}

const FIRST_ROWS = 32;
const MOST_ROWS = 512;
const MOST_BYTES = 1 << 18;
const RUN = 0xffffffff;
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Rows of a table in key order. Iterating it again reads again.
 *
 * @example
 * ```ts
 * import { defineTable, Manifest, memoryStorage, text, u53 } from "@waybill/manifest";
 *
 * const owners = defineTable({ name: "owners", key: [u53("db"), text("path")], value: { team: text() } });
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin().put(owners, [1, "a"], { team: "core" }).put(owners, [1, "b"], { team: "web" }).commit();
 * const first = manifest.range(owners, { prefix: [1], limit: 1 });
 * for (const [key, owner] of first) console.log(key, owner.team);
 * for (const [key, owner] of manifest.range(owners, { prefix: [1], after: first.position })) console.log(key, owner.team);
 * ```
 */
export class Range<T> implements Iterable<T> {
  readonly #open: () => RangeSource;
  readonly #options: RangeOptions<readonly unknown[]>;
  readonly #kind: RangeKind;
  #last: RangeIterator<T> | undefined;

  /** Made by `range`, `keys`, `values` and `rangeBytes`. */
  constructor(open: () => RangeSource, options: RangeOptions<readonly unknown[]>, kind: RangeKind) {
    const { limit, reverse } = options;
    if (reverse !== undefined && typeof reverse !== "boolean") {
      failType("Cannot read a range: reverse is not a boolean", { field: "reverse" });
    }
    if (limit !== undefined && (typeof limit !== "number" || !Number.isInteger(limit) || limit < 0)) {
      failRange("Cannot read a range: limit is not a whole number from 0 on", { field: "limit" });
    }
    this.#open = open;
    this.#options = options;
    this.#kind = kind;
  }

  /** Starts an iteration. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#last = new RangeIterator<T>(this.#open, this.#options, this.#kind);
  }

  /** Where the newest iteration stands: give it to another range as `after`. Undefined before its first row. */
  get position(): Position | undefined {
    return this.#last?.position ?? this.#options.after;
  }

  /** All rows as an array. */
  toArray(): T[] {
    const out: T[] = [];
    for (const row of this) out.push(row);
    return out;
  }
}

/** One iteration of a range. */
class RangeIterator<T> implements IterableIterator<T> {
  readonly #options: RangeOptions<readonly unknown[]>;
  readonly #kind: RangeKind;
  readonly #open: () => RangeSource;
  #source: RangeSource | undefined;
  #codec: RowReader["codec"] | undefined;
  #scan: RowScan | undefined;
  #progress: RangeProgress | undefined;
  /** The scan has come to its end, not only to the limit. */
  #exhausted = false;
  #ended = false;
  /** What it has failed with: it stays failed, so that no row is skipped in silence. */
  #failure: { readonly error: unknown } | undefined;
  #left: number;
  #size = FIRST_ROWS;
  /** Rows of the chunk, decoded, and the next one to hand out. */
  #rows: T[] = [];
  #at = 0;
  /** The chunk's bytes and, per row, where its key lies in them: kept where rows do not hold their key. */
  #data: Uint8Array | undefined;
  #keys: Uint32Array | undefined;
  #position: Position | undefined;

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
    this.#progress?.check();
    const at = this.#at;
    if (at < this.#rows.length || this.#next()) return { done: false, value: this.#rows[this.#at++]! };
    this.#progress?.end(this.position, this.#exhausted);
    return DONE;
  }

  return(): IteratorResult<T> {
    this.#keepPosition();
    this.#progress?.end(this.#position, false);
    this.#end();
    this.#rows = [];
    this.#at = 0;
    return DONE;
  }

  get position(): Position | undefined {
    this.#keepPosition();
    return this.#position;
  }

  #keepPosition(): void {
    const row = this.#at - 1;
    if (row < 0) return;
    if (this.#keys !== undefined) {
      const from = this.#keys[row * 2]!;
      this.#position = this.#data!.slice(from, from + this.#keys[row * 2 + 1]!);
      return;
    }
    const item = this.#rows[row] as unknown;
    const key = this.#kind === "keys" ? item : (item as [unknown, unknown])[0];
    this.#position = this.#codec!.encodeKey(key);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#scan?.close();
    this.#source?.release();
    this.#scan = undefined;
    this.#source = undefined;
  }

  #next(): boolean {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      return this.#refill();
    } catch (error) {
      this.#failure = { error };
      this.#rows = [];
      this.#at = 0;
      this.#end();
      throw error;
    }
  }

  /** Fetches the next chunk; false at the end. */
  #refill(): boolean {
    if (this.#ended) return false;
    this.#keepPosition();
    if (this.#source === undefined) {
      this.#source = this.#open();
      this.#codec = this.#source.reader.codec;
      this.#scan = this.#source.reader.scan(this.#options, this.#kind === "keys");
      this.#progress = this.#scan?.progress;
      this.#progress?.begin(this);
    }
    this.#rows = [];
    this.#at = 0;
    if (this.#scan === undefined || this.#left === 0) {
      this.#end();
      return false;
    }
    const count = this.#scan.next(Math.min(this.#size, this.#left), MOST_BYTES);
    if (count === 0) {
      this.#exhausted = true;
      this.#end();
      return false;
    }
    this.#size = Math.min(this.#size * 4, MOST_ROWS);
    this.#left -= count;
    this.#decode(this.#source.reader, this.#scan, count);
    if (this.#left === 0) this.#end();
    return true;
  }

  #decode(reader: RowReader, scan: RowScan, count: number): void {
    const { codec, kernel } = reader;
    const kind = this.#kind;
    const { rowsAt, dataAt } = scan;
    const rows = this.#rows as unknown[];
    const wantKeys = kind !== "values";
    const wantValues = kind === "entries" || kind === "values";
    let data: Uint8Array | undefined;
    let index: Uint32Array | undefined;
    let runs = 0;
    // A row that was handed out may be changed by who got it: where the position matters, it is taken from the bytes.
    const keepKeys = kind === "values" || this.#progress !== undefined;
    if (kind !== "keys" || keepKeys) {
      const from = rowsAt >>> 2;
      index = kernel.u32.slice(from, from + count * 4);
      if (kind !== "keys") { for (let i = 3; i < count * 4; i += 4) if (index[i] === RUN) runs++; }
      if (kind === "bytes" || keepKeys) data = reader.copyBatch(scan);
    }
    if (keepKeys) {
      this.#data = data;
      const keys = this.#keys = new Uint32Array(count * 2);
      for (let i = 0; i < count; i++) {
        keys[i * 2] = index![i * 4]!;
        keys[i * 2 + 1] = index![i * 4 + 1]!;
      }
    }
    const tapes = codec.decodeRows(rowsAt, count, dataAt, wantKeys, wantValues);
    const keyStep = codec.keyTapeBytes, valueStep = codec.valueTapeBytes;
    let keyTape = tapes.keys, valueTape = tapes.values;
    if (kind === "keys") {
      for (let i = 0; i < count; i++, keyTape += keyStep) rows.push(codec.readKey(keyTape));
      return;
    }
    if (kind === "entries") {
      if (runs === 0) {
        for (let i = 0; i < count; i++, keyTape += keyStep, valueTape += valueStep) {
          rows.push([codec.readKey(keyTape), codec.readValue(valueTape)]);
        }
      } else {
        for (let i = 0; i < count; i++, keyTape += keyStep, valueTape += valueStep) {
          rows.push([codec.readKey(keyTape), index![i * 4 + 3] === RUN ? undefined : codec.readValue(valueTape)]);
        }
      }
    } else if (kind === "bytes") {
      for (let i = 0; i < count; i++, keyTape += keyStep) {
        const at = index![i * 4 + 2]!;
        rows.push([codec.readKey(keyTape), data!.subarray(at, at + index![i * 4 + 3]!)]);
      }
    } else {
      for (let i = 0; i < count; i++, valueTape += valueStep) rows.push(index![i * 4 + 3] === RUN ? undefined : codec.readValue(valueTape));
    }
    if (runs > 0) this.#loadRuns(reader, scan, index!);
  }

  /** Values that lie in runs of pages of their own: read one by one, behind everything that the chunk's tapes are needed for. */
  #loadRuns(reader: RowReader, scan: RowScan, index: Uint32Array): void {
    const rows = this.#rows as unknown[];
    for (let i = 0; i < rows.length; i++) {
      if (index[i * 4 + 3] !== RUN) continue;
      if (this.#kind === "bytes") {
        (rows[i] as [unknown, Uint8Array])[1] = scan.value(i);
        continue;
      }
      const value = reader.codec.decodeValue(scan.loadValue(i), scan.valueLength);
      if (this.#kind === "values") rows[i] = value;
      else (rows[i] as [unknown, unknown])[1] = value;
    }
  }
}
