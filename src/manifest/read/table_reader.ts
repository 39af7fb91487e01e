// One table in one state: look-ups and scans with typed keys.
//
// Keys are written to the arena's top and taken off again, so reading is possible while a transaction is being staged below.
import { CTRL_DATA_LENGTH } from "../../../assembly/format.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Arena } from "../../schema/arena.ts";
import { ARENA_START, type Scan, type ScanOptions, type Tree } from "../../store/store.ts";
import type { AnyCodec, Bound } from "../bindings.ts";
import { encodeBounds, type Position, type RangeBounds } from "./bounds.ts";
import { makeRecordView, type RecordView } from "./record_view.ts";

/** What a range of a table asks of a scan. */
export interface ScanRequest extends RangeBounds<readonly unknown[]> {
  reverse?: boolean;
  after?: Position;
}

/** How far an iteration has read, for a transaction that will be validated. */
export interface RangeProgress {
  /** Throws when the state can no longer be read. */
  check(): void;
  /** The iteration begins; its position is asked for when the transaction is validated before it has ended. */
  begin(iteration: { readonly position: Position | undefined }): void;
  /** It has ended behind the row at `position`, or, when `whole`, behind the last row. */
  end(position: Position | undefined, whole: boolean): void;
}

/** A scan of encoded rows, a batch at a time, in kernel memory until the next call of the store: see `Scan`. */
export interface RowScan {
  readonly rowsAt: number;
  readonly dataAt: number;
  readonly valueLength: number;
  /** Wants to know how far the rows are handed out. */
  readonly progress?: RangeProgress;
  next(maxRows: number, maxBytes: number): number;
  value(row: number): Uint8Array;
  loadValue(row: number): number;
  count(): number;
  close(): void;
}

/** Look-ups and scans of one table in one state, whatever the state is made of. */
export interface RowReader {
  readonly bound: Bound;
  readonly kernel: Kernel;
  readonly codec: AnyCodec;
  /** Rows in the table. */
  readonly rows: number;
  /** Whether there is a row. */
  find(key: unknown): boolean;
  /** A record, decoded; with `fields` at least those of it. */
  get(key: unknown, fields?: readonly string[]): unknown;
  /** An encoded record, valid until the next call of the store. */
  bytes(key: unknown): Uint8Array | undefined;
  /** An accessor of a record of fixed width, valid until the next call of the store. */
  view(key: unknown): object | undefined;
  /** Starts a scan; undefined when no row can be in the range. */
  scan(request: ScanRequest, keysOnly: boolean): RowScan | undefined;
  /** A copy of the bytes of a scan's batch. */
  copyBatch(scan: RowScan): Uint8Array;
}

/** Reads one table. */
export class TableReader implements RowReader {
  /** The table. */
  readonly bound: Bound;
  /** The kernel. */
  readonly kernel: Kernel;
  /** Its codecs. */
  readonly codec: AnyCodec;
  readonly #arena: Arena;
  readonly #tree: Tree;
  #view: RecordView | undefined;

  constructor(kernel: Kernel, arena: Arena, bound: Bound, tree: Tree) {
    this.kernel = kernel;
    this.#arena = arena;
    this.bound = bound;
    this.codec = bound.codec;
    this.#tree = tree;
  }

  /** Rows in the table. */
  get rows(): number {
    return this.#tree.rows;
  }

  /** Looks a key up. */
  find(key: unknown): boolean {
    const arena = this.#arena;
    arena.renew();
    const top = arena.top;
    if (top < ARENA_START) arena.top = ARENA_START;
    try {
      const tape = this.codec.writeKey(arena, key);
      return this.#tree.findTyped(this.codec.keyCodec, arena.base + tape);
    } finally {
      arena.top = top;
    }
  }

  /** A record, decoded; with `fields` those of it. */
  get(key: unknown, fields?: readonly string[]): unknown {
    if (!this.find(key)) return undefined;
    const { valueAt, valueLength } = this.#tree;
    return fields === undefined ? this.codec.decodeValue(valueAt, valueLength) : this.codec.decodeFields(valueAt, valueLength, fields);
  }

  /** A view of an encoded record, valid until the next call of the store. */
  bytes(key: unknown): Uint8Array | undefined {
    if (!this.find(key)) return undefined;
    const at = this.#tree.valueAt;
    return new Uint8Array(this.kernel.u8.buffer, at, this.#tree.valueLength); // half the cost of subarray
  }

  /** An accessor of a record of fixed width, valid until the next call of the store. */
  view(key: unknown): object | undefined {
    const view = this.#view ??= makeRecordView(this.codec);
    if (!this.find(key)) return undefined;
    view.move(this.#tree.valueAt);
    return view.record;
  }

  /** Starts a scan; undefined when no row can be in the range. */
  scan(request: ScanRequest, keysOnly: boolean): Scan | undefined {
    const bounds = encodeBounds(this.codec, request, request.after, request.reverse === true);
    if (bounds === undefined) return undefined;
    const options: ScanOptions = {
      lower: bounds.lower,
      lowerExclusive: bounds.lowerExclusive,
      upper: bounds.upper,
      reverse: request.reverse === true,
      keysOnly,
    };
    return this.#tree.scan(options);
  }

  /** A copy of the bytes of a scan's batch: keys and values that are in it. */
  copyBatch(scan: RowScan): Uint8Array {
    const kernel = this.kernel;
    const at = scan.dataAt;
    return kernel.u8.slice(at, at + kernel.word(CTRL_DATA_LENGTH));
  }
}
