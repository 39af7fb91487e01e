// One table as a read-write transaction sees it: the state that it reads with what it has written over it. Everything that the state below answers is noted in the read set.
import { CTRL_DATA_LENGTH } from "../../../assembly/format.ts";
import { failType } from "../../errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Arena } from "../../schema/arena.ts";
import { ARENA_START, keyBytes, keyText, type Scan, type ScanOptions, type Tree } from "../../store/store.ts";
import type { AnyCodec, Bound } from "../bindings.ts";
import { encodeBounds } from "../read/bounds.ts";
import { inSpans, type KeptTable, type TableOverlay } from "./overlay.ts";
import { RangeRead, type TableReads } from "./read_set.ts";
import { makeRecordView, type RecordView } from "../read/record_view.ts";
import { RowCursor } from "./sorted_rows.ts";
import type { RangeProgress, RowReader, RowScan, ScanRequest } from "../read/table_reader.ts";

/** Rows taken from the state below at a time, and their bytes, when they are merged with the transaction's own. */
const BASE_ROWS = 128;
const BASE_BYTES = 1 << 16;

/** What a table reader needs of its transaction. */
export interface TransactionTable {
  readonly kernel: Kernel;
  readonly arena: Arena;
  readonly bound: Bound;
  /** The table in the state below; undefined when it is not there yet. */
  readonly tree: Tree | undefined;
  /** What was read of it. */
  readonly reads: TableReads;
  /** What the transaction has written to it, when that is to be seen. */
  own(): TableOverlay | undefined;
  /** Throws when the transaction has ended. */
  check(): void;
}

/** Reads one table in a read-write transaction. */
export class TransactionReader implements RowReader {
  readonly bound: Bound;
  readonly kernel: Kernel;
  readonly codec: AnyCodec;
  readonly #table: TransactionTable;
  #view: RecordView | undefined;
  /** The transaction's own record found last. */
  #found: Uint8Array | undefined;

  constructor(table: TransactionTable) {
    this.#table = table;
    this.bound = table.bound;
    this.kernel = table.kernel;
    this.codec = table.bound.codec;
  }

  get rows(): number {
    const { tree, reads } = this.#table;
    const below = tree?.rows ?? 0;
    reads.rows ??= below;
    const own = this.#table.own();
    if (own === undefined) return below;
    return below + own.difference((key) => this.#below(key), (lower, upper) => this.#countBelow(lower, upper));
  }

  #countBelow(lower: string, upper: string): number {
    const { tree, reads, check } = this.#table;
    const read = new RangeRead(lower, upper, false, check);
    read.all();
    reads.ranges.push(read);
    if (tree === undefined) return 0;
    const scan = tree.scan({ lower: keyBytes(lower), upper: keyBytes(upper), keysOnly: true });
    try {
      return scan.count();
    } finally {
      scan.close();
    }
  }

  /** Looks an encoded key up in the state below. */
  #below(key: string): boolean {
    const { tree, reads, arena } = this.#table;
    reads.keys.add(key);
    if (tree === undefined) return false;
    arena.renew();
    const top = arena.top;
    if (top < ARENA_START) arena.top = ARENA_START;
    try {
      const at = arena.put(keyBytes(key));
      return tree.find(arena.base + at, key.length);
    } finally {
      arena.top = top;
    }
  }

  find(key: unknown): boolean {
    const encoded = keyText(this.codec.encodeKey(key as never));
    const own = this.#table.own()?.get(encoded);
    this.#found = own ?? undefined;
    if (own !== undefined) return own !== null;
    return this.#below(encoded);
  }

  get(key: unknown): unknown {
    if (!this.find(key)) return undefined;
    if (this.#found !== undefined) return this.codec.valueFromBytes(this.#found);
    const tree = this.#table.tree!;
    return this.codec.decodeValue(tree.valueAt, tree.valueLength);
  }

  bytes(key: unknown): Uint8Array | undefined {
    if (!this.find(key)) return undefined;
    if (this.#found !== undefined) return this.#found.slice();
    const tree = this.#table.tree!;
    return this.kernel.u8.subarray(tree.valueAt, tree.valueAt + tree.valueLength);
  }

  view(key: unknown): object | undefined {
    const view = this.#view ??= makeRecordView(this.codec);
    if (!this.find(key)) return undefined;
    view.move(this.#found === undefined ? this.#table.tree!.valueAt : this.#place(this.#found));
    return view.record;
  }

  /** Puts a record where the kernel's memory is free until the next call. */
  #place(record: Uint8Array): number {
    const { arena } = this.#table;
    arena.renew();
    const top = arena.top;
    if (top < ARENA_START) arena.top = ARENA_START;
    try {
      const at = arena.put(record); // may move the base
      return arena.base + at;
    } finally {
      arena.top = top;
    }
  }

  scan(request: ScanRequest, keysOnly: boolean): RowScan | undefined {
    const { reads, check } = this.#table;
    const reverse = request.reverse === true;
    const bounds = encodeBounds(this.codec, request, request.after, reverse);
    if (bounds === undefined) return undefined;
    const lower = (bounds.lower === undefined ? "" : keyText(bounds.lower)) + (bounds.lowerExclusive ? "\0" : "");
    const upper = bounds.upper === undefined ? undefined : keyText(bounds.upper);
    const read = new RangeRead(lower, upper, reverse, check);
    reads.ranges.push(read);
    const options: ScanOptions = {
      lower: bounds.lower,
      lowerExclusive: bounds.lowerExclusive,
      upper: bounds.upper,
      reverse,
      keysOnly,
    };
    const own = this.#table.own()?.keep();
    const base = this.#table.tree?.scan(options);
    if (own === undefined && base !== undefined) return new BaseScan(base, read);
    return new MergedScan(this.#table, base, own ?? { rows: [], deleted: [] }, lower, upper, reverse, keysOnly, read);
  }

  copyBatch(scan: RowScan): Uint8Array {
    const { kernel } = this;
    const at = scan.dataAt;
    return kernel.u8.slice(at, at + (scan instanceof MergedScan ? scan.dataLength : kernel.word(CTRL_DATA_LENGTH)));
  }
}

/** A scan of the state below, where the transaction has written nothing. */
class BaseScan implements RowScan {
  readonly progress: RangeProgress;
  readonly #scan: Scan;
  readonly #read: RangeRead;

  constructor(scan: Scan, read: RangeRead) {
    this.#scan = scan;
    this.#read = read;
    this.progress = read;
  }

  get rowsAt(): number {
    return this.#scan.rowsAt;
  }

  get dataAt(): number {
    return this.#scan.dataAt;
  }

  get valueLength(): number {
    return this.#scan.valueLength;
  }

  next(maxRows: number, maxBytes: number): number {
    return this.#scan.next(maxRows, maxBytes);
  }

  value(row: number): Uint8Array {
    return this.#scan.value(row);
  }

  loadValue(row: number): number {
    return this.#scan.loadValue(row);
  }

  count(): number {
    this.#read.all();
    return this.#scan.count();
  }

  close(): void {
    this.#scan.close();
  }
}

/** A scan of the state below and the transaction's own rows, as they were when it began. Its batches lie in the arena. */
class MergedScan implements RowScan {
  rowsAt = 0;
  dataAt = 0;
  valueLength = 0;
  /** Bytes of the batch. */
  dataLength = 0;
  readonly progress: RangeProgress;
  readonly #table: TransactionTable;
  readonly #read: RangeRead;
  readonly #reverse: boolean;
  readonly #keysOnly: boolean;
  readonly #deleted: KeptTable["deleted"];
  readonly #own: RowCursor;
  readonly #base: Scan | undefined;
  /** Rows of the state below that have been fetched; a value is null when it lies in pages of its own. */
  #keys: string[] = [];
  #values: (Uint8Array | null)[] = [];
  #at = 0;
  #ended: boolean;
  #lengths: number[] = [];

  constructor(
    table: TransactionTable,
    base: Scan | undefined,
    own: KeptTable,
    lower: string,
    upper: string | undefined,
    reverse: boolean,
    keysOnly: boolean,
    read: RangeRead,
  ) {
    this.#table = table;
    this.#base = base;
    this.#own = new RowCursor(own.rows, lower, upper, reverse);
    this.#deleted = own.deleted;
    this.#reverse = reverse;
    this.#keysOnly = keysOnly;
    this.#read = read;
    this.progress = read;
    this.#ended = base === undefined;
  }

  /** The next row of the state below, which stays. */
  #peek(): string | undefined {
    if (this.#at < this.#keys.length) return this.#keys[this.#at];
    if (this.#ended) return undefined;
    const base = this.#base!;
    const rows = base.next(BASE_ROWS, BASE_BYTES);
    this.#ended = rows === 0;
    this.#keys = [];
    this.#values = [];
    this.#at = 0;
    for (let row = 0; row < rows; row++) {
      this.#keys.push(keyText(base.key(row)));
      this.#values.push(this.#keysOnly || base.isRun(row) ? null : base.value(row));
    }
    return this.#keys[0];
  }

  /** Takes the next row: its key, and its value unless only keys are wanted. Undefined at the end. */
  #take(): { key: string; value: Uint8Array | null } | undefined {
    for (;;) {
      const base = this.#peek();
      const own = this.#own.key;
      if (base === undefined && own === undefined) return undefined;
      const ownFirst = own !== undefined && (base === undefined || (this.#reverse ? own >= base : own <= base));
      if (!ownFirst) {
        const value = this.#values[this.#at++]!;
        if (inSpans(this.#deleted, base!)) continue;
        if (value !== null || this.#keysOnly) return { key: base!, value };
        return { key: base!, value: this.#table.tree!.get(keyBytes(base!))! };
      }
      if (own === base) this.#at++;
      const { value } = this.#own.row!;
      this.#own.next();
      if (value !== null) return { key: own, value };
    }
  }

  next(maxRows: number, maxBytes: number): number {
    this.#table.check();
    const rows: { key: string; value: Uint8Array | null }[] = [];
    let bytes = 0;
    while (rows.length < maxRows && bytes < maxBytes) {
      const row = this.#take();
      if (row === undefined) break;
      rows.push(row);
      bytes += row.key.length + (this.#keysOnly ? 0 : row.value!.length);
    }
    this.#lay(rows, bytes);
    return rows.length;
  }

  /** Lays a batch out as the kernel would. */
  #lay(rows: readonly { key: string; value: Uint8Array | null }[], bytes: number): void {
    const { arena } = this.#table;
    arena.renew();
    const top = arena.top;
    if (top < ARENA_START) arena.top = ARENA_START;
    try {
      const index = arena.tape(rows.length * 2) * 8;
      const data = arena.take(bytes);
      const { u8, u32 } = arena;
      this.#lengths = [];
      let at = 0;
      let word = index >>> 2;
      for (const { key, value } of rows) {
        u32[word++] = at;
        u32[word++] = key.length;
        for (let i = 0; i < key.length; i++) u8[data + at++] = key.charCodeAt(i);
        const length = this.#keysOnly ? 0 : value!.length;
        u32[word++] = at;
        u32[word++] = length;
        if (length > 0) u8.set(value!, data + at);
        at += length;
        this.#lengths.push(length);
      }
      this.rowsAt = arena.base + index;
      this.dataAt = arena.base + data;
      this.dataLength = bytes;
    } finally {
      arena.top = top;
    }
  }

  value(row: number): Uint8Array {
    const at = this.loadValue(row);
    return this.#table.kernel.u8.slice(at, at + this.valueLength);
  }

  loadValue(row: number): number {
    this.valueLength = this.#lengths[row] ?? failType("Cannot scan: there is no such row");
    return this.dataAt + this.#table.kernel.u32[(this.rowsAt >>> 2) + row * 4 + 2]!;
  }

  count(): number {
    this.#table.check();
    this.#read.all();
    let sum = 0;
    while (this.#take() !== undefined) sum++;
    return sum;
  }

  close(): void {
    this.#base?.close();
  }
}
