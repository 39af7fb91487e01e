// Reading: a view is one state of all tables, a tree is a table in it, a scan walks a tree.
//
// Found values and scanned rows lie in kernel memory until the next kernel call that reads; whatever is returned as Uint8Array is a copy.
import {
  CTRL_DATA_AT,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  CTRL_RUN_BIRTH_HI,
  CTRL_RUN_BIRTH_LO,
  CTRL_RUN_CRC,
  CTRL_RUN_PAGE,
  CTRL_TREE,
  CTRL_VALUE_AT,
  CTRL_VALUE_LENGTH,
  CTRL_VALUE_RUN,
  KEY_MAX,
  MORE,
  NOT_FOUND,
  OK,
} from "../../assembly/format.ts";
import { fail, failLimit, failType } from "../errors.ts";
import type { KernelExports } from "../kernel/abi.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PageIo } from "./page_io.ts";
import type { Run, RunReader } from "./runs.ts";
import type { ScanOptions, TableInfo } from "./types.ts";

/** Arena offsets below this are the store's (body header, scan bounds, meta slots); callers stage from here on. */
export const ARENA_START = 4096;
const LOWER_AT = 64;
const UPPER_AT = LOWER_AT + KEY_MAX;

const LOWER_EXCLUSIVE = 1;
const UPPER_INCLUSIVE = 2;
const REVERSE = 4;
const NO_UPPER = 8;
const KEYS_ONLY = 16;
const VALUES_ONLY = 32;
const RUN_MARK = 0xffffffff;
const COUNT_STEP = 1 << 16;
const NOTHING = new Uint8Array(0);

/** What reading needs of a store. */
export interface ReadContext {
  readonly kernel: Kernel;
  readonly io: PageIo;
  readonly runs: RunReader;
  /** Tables of a view, from cache where the registry has not changed. */
  tablesOf(view: View): Map<string, TableInfo>;
  /** Throws when reading is not possible any more. */
  checkReadable(): void;
}

function putKey(kernel: Kernel, offset: number, key: Uint8Array): number {
  if (key.length > KEY_MAX) failLimit("Cannot read: the key is longer than 1024 encoded bytes", { length: key.length, limit: KEY_MAX });
  const at = (kernel.exports.arena(ARENA_START) >>> 0) + offset;
  kernel.u8.set(key, at);
  return at;
}

/** A running scan. Rows are in kernel memory until the next kernel call that scans or reads. */
export class Scan {
  /** Rows of the current batch. */
  rows = 0;
  /** Address of the batch's index: per row 4 u32 {key offset, key length, value offset, value length}. */
  rowsAt = 0;
  /** Address that the offsets count from. */
  dataAt = 0;
  /** Length of the value loaded last. */
  valueLength = 0;
  readonly #context: ReadContext;
  readonly #view: View;
  #handle: number;
  #open = true;

  /** Made by `Tree.scan`. */
  constructor(context: ReadContext, view: View, tree: number, options: ScanOptions) {
    this.#context = context;
    this.#view = view;
    const { kernel, io } = context;
    const lower = options.lower ?? new Uint8Array(0);
    const upper = options.upper ?? new Uint8Array(0);
    const flags = (options.lowerExclusive ? LOWER_EXCLUSIVE : 0) | (options.upperInclusive ? UPPER_INCLUSIVE : 0) |
      (options.reverse ? REVERSE : 0) |
      (options.upper === undefined ? NO_UPPER : 0) | (options.keysOnly ? KEYS_ONLY : 0) | (options.valuesOnly ? VALUES_ONLY : 0);
    if (options.keysOnly && options.valuesOnly) failType("Cannot scan: keysOnly and valuesOnly exclude each other");
    const lowerAt = putKey(kernel, LOWER_AT, lower);
    const upperAt = putKey(kernel, UPPER_AT, upper);
    io.run(() => kernel.exports.scanOpen(tree, lowerAt, lower.length, upperAt, upper.length, flags), "scan a table");
    this.#handle = kernel.word(CTRL_TREE);
    view.scans.add(this);
  }

  #check(): void {
    if (!this.#open) fail("TXN_CLOSED", "Cannot scan: the scan or its read transaction is closed");
    this.#context.checkReadable();
  }

  /** Fetches the next batch; returns its rows, 0 at the end. */
  next(maxRows: number, maxBytes: number): number {
    this.#check();
    const { kernel, io } = this.#context;
    const x = kernel.exports;
    const status = io.run(() => x.scanNext(this.#handle, maxRows, maxBytes), "scan a table");
    this.rows = status === OK ? kernel.word(CTRL_ROWS) : 0;
    this.rowsAt = kernel.word(CTRL_ROWS_AT);
    this.dataAt = kernel.word(CTRL_DATA_AT);
    return this.rows;
  }

  #word(row: number, index: number): number {
    return this.#context.kernel.u32[(this.rowsAt >>> 2) + row * 4 + index]!;
  }

  /** Whether a row's value is an overflow run (its bytes are not in the batch). */
  isRun(row: number): boolean {
    return this.#word(row, 3) === RUN_MARK;
  }

  #run(row: number): Run {
    return this.#context.runs.describe(this.dataAt + this.#word(row, 2));
  }

  /** Address of a row's value in the batch, or of the description of its overflow run. */
  valueAddress(row: number): number {
    return this.dataAt + this.#word(row, 2);
  }

  /** Copies a row's key. */
  key(row: number): Uint8Array {
    const at = this.dataAt + this.#word(row, 0);
    return this.#context.kernel.u8.slice(at, at + this.#word(row, 1));
  }

  /** Copies a row's value, reading and verifying its overflow run where it has one. */
  value(row: number): Uint8Array {
    if (this.isRun(row)) return this.#context.runs.copy(this.#run(row));
    const at = this.dataAt + this.#word(row, 2);
    return this.#context.kernel.u8.slice(at, at + this.#word(row, 3));
  }

  /** Puts a row's value into kernel memory as a whole, overflow runs included, and returns its address; `valueLength` holds the length. */
  loadValue(row: number): number {
    if (this.isRun(row)) {
      const run = this.#run(row);
      this.valueLength = run.length;
      return this.#context.runs.load(run);
    }
    this.valueLength = this.#word(row, 3);
    return this.dataAt + this.#word(row, 2);
  }

  /** Counts the rows that are left. */
  count(): number {
    this.#check();
    const { kernel, io } = this.#context;
    let sum = 0;
    for (;;) {
      const status = io.run(() => kernel.exports.scanCount(this.#handle, COUNT_STEP), "count rows");
      sum += kernel.word(CTRL_ROWS);
      if (status !== MORE) return sum;
    }
  }

  /** Ends the scan; a second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.rows = 0;
    this.#view.scans.delete(this);
    if (!this.#context.io.trapped) this.#context.kernel.exports.scanClose(this.#handle);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A table as one view sees it. */
export class Tree {
  /** Table id. */
  readonly tableId: number;
  /** Address of the value found last, in kernel memory until the next kernel call. */
  valueAt = 0;
  /** Its length. */
  valueLength = 0;
  #run: Run | undefined;
  readonly #context: ReadContext;
  readonly #exports: KernelExports;
  readonly #view: View;
  readonly #handle: number;

  /** Made by `View.tree`. */
  constructor(context: ReadContext, view: View, tableId: number) {
    this.tableId = tableId;
    this.#context = context;
    this.#exports = context.kernel.exports;
    this.#view = view;
    context.io.run(() => this.#exports.treeOpen(view.version, tableId), "open a table");
    this.#handle = context.kernel.word(CTRL_TREE);
  }

  /** Rows in the table. */
  get rows(): number {
    this.#view.check();
    const rows = this.#exports.treeRows(this.#handle);
    if (rows >= 0) return rows;
    // The writer's record of this table is not in memory: any lookup brings it there.
    this.#look(putKey(this.#context.kernel, LOWER_AT, NOTHING), 0);
    return this.#exports.treeRows(this.#handle);
  }

  /** Releases the kernel's handle. Only for the view that opened it. */
  release(): void {
    if (!this.#context.io.trapped) this.#exports.treeClose(this.#handle);
  }

  #found(status: number): boolean {
    if (status === NOT_FOUND) return false;
    const kernel = this.#context.kernel;
    const words = kernel.u32;
    const at = kernel.ctrl;
    this.valueLength = words[at + CTRL_VALUE_LENGTH]!;
    if (words[at + CTRL_VALUE_RUN] === 0) {
      this.valueAt = words[at + CTRL_VALUE_AT]!;
      this.#run = undefined;
      return true;
    }
    this.valueAt = 0;
    this.#run = {
      page: words[at + CTRL_RUN_PAGE]!,
      crc: words[at + CTRL_RUN_CRC]!,
      birth: words[at + CTRL_RUN_BIRTH_LO]! + words[at + CTRL_RUN_BIRTH_HI]! * 0x1_0000_0000,
      length: this.valueLength,
    };
    return true;
  }

  #look(keyAt: number, keyLength: number): boolean {
    this.#view.check();
    const x = this.#exports;
    return this.#found(this.#context.io.run(() => x.treeGet(this.#handle, keyAt, keyLength), "read a row"));
  }

  /** The hot path of reading: one kernel call, and no closure unless a page is missing. */
  #lookTyped(codec: number, tapeAt: number): boolean {
    const view = this.#view;
    if (view.ended || this.#context.io.trapped) view.check();
    let status = this.#exports.treeGetTyped(this.#handle, codec, tapeAt);
    if (status > NOT_FOUND) {
      status = this.#context.io.resume(status, () => this.#exports.treeGetTyped(this.#handle, codec, tapeAt), "read a row");
    }
    return this.#found(status);
  }

  #load(found: boolean): boolean {
    if (found && this.#run) this.valueAt = this.#context.runs.load(this.#run);
    return found;
  }

  #copy(found: boolean): Uint8Array | undefined {
    if (!found) return undefined;
    if (this.#run) return this.#context.runs.copy(this.#run);
    return this.#context.kernel.u8.slice(this.valueAt, this.valueAt + this.valueLength);
  }

  /** Looks up encoded key bytes at an absolute address. True: `valueAt` and `valueLength` (overflow values are read, verified and placed in memory too). */
  find(keyAt: number, keyLength: number): boolean {
    return this.#load(this.#look(keyAt, keyLength));
  }

  /** The same with the key tape of a codec at an absolute address. */
  findTyped(codec: number, tapeAt: number): boolean {
    return this.#load(this.#lookTyped(codec, tapeAt));
  }

  /** Looks up an encoded key and copies its value. */
  get(key: Uint8Array): Uint8Array | undefined {
    const at = putKey(this.#context.kernel, LOWER_AT, key);
    return this.#copy(this.#look(at, key.length));
  }

  /** Starts a scan; close it. */
  scan(options: ScanOptions = {}): Scan {
    this.#view.check();
    return new Scan(this.#context, this.#view, this.#handle, options);
  }
}

/** A state of all tables: a read transaction, or the newest applied state. */
export class View {
  /** Kernel version; −1 follows the writer. */
  readonly version: number;
  /** Scans that are open; for the store. */
  readonly scans: Set<Scan> = new Set();
  readonly #context: ReadContext;
  readonly #trees = new Map<number, Tree>();
  /** Whether it was closed. */
  ended = false;

  /** Made by the store. */
  constructor(context: ReadContext, version: number) {
    this.#context = context;
    this.version = version;
  }

  /** Throws when this state can no longer be read. */
  check(): void {
    if (this.ended) fail("TXN_CLOSED", "Cannot read: the read transaction is closed");
    this.#context.checkReadable();
  }

  /** Last change sequence in this state. */
  get sequence(): number {
    this.check();
    return this.#context.kernel.exports.versionSequence(this.version);
  }

  /** Last frame in this state. */
  get frame(): number {
    this.check();
    return this.#context.kernel.exports.versionFrame(this.version);
  }

  /** A table by id; an id without rows reads as empty. */
  tree(tableId: number): Tree {
    let tree = this.#trees.get(tableId);
    if (!tree) {
      this.check();
      tree = new Tree(this.#context, this, tableId);
      this.#trees.set(tableId, tree);
    }
    return tree;
  }

  /** A table's registry entry. */
  table(name: string): TableInfo | undefined {
    this.check();
    return this.#context.tablesOf(this).get(name);
  }

  /** All tables, by name. */
  tables(): TableInfo[] {
    this.check();
    return [...this.#context.tablesOf(this).values()];
  }

  /** Closes scans and handles; for the store. */
  end(): void {
    if (this.ended) return;
    for (const scan of [...this.scans]) scan.close();
    for (const tree of this.#trees.values()) tree.release();
    this.#trees.clear();
    this.ended = true;
  }
}
