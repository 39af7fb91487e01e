// One table in one state: look-ups and scans with typed keys.
//
// Keys are written to the arena's top and taken off again, so reading is possible while a transaction is being staged below.
import { CTRL_DATA_LENGTH } from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Arena } from "../schema/arena.ts";
import { ARENA_START, type Scan, type ScanOptions, type Tree } from "../store/store.ts";
import type { AnyCodec, Bound } from "./bindings.ts";
import { encodeBounds, type Position, type RangeBounds } from "./bounds.ts";
import { makeRecordView, type RecordView } from "./record_view.ts";

/** What a range of a table asks of a scan. */
export interface ScanRequest extends RangeBounds<readonly unknown[]> {
  reverse?: boolean;
  after?: Position;
}

/** Reads one table. */
export class TableReader {
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

  /** Address and length of the value found last. */
  get valueAt(): number {
    return this.#tree.valueAt;
  }

  get valueLength(): number {
    return this.#tree.valueLength;
  }

  /** Looks a key up; true leaves `valueAt` and `valueLength`. */
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

  /** A record, decoded. */
  get(key: unknown): unknown {
    return this.find(key) ? this.codec.decodeValue(this.#tree.valueAt, this.#tree.valueLength) : undefined;
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
  copyBatch(scan: Scan): Uint8Array {
    const kernel = this.kernel;
    const at = scan.dataAt;
    return kernel.u8.slice(at, at + kernel.word(CTRL_DATA_LENGTH));
  }
}
