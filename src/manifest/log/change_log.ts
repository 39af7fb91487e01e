// The change log: which changes there are, and which are kept.
//
// Without cursors the newest changes are kept, by number and by bytes; with cursors, everything that the slowest has not done, but for one with a `maxLag` no more than so many of the newest.
// What goes is deleted by hidden effects inside
// other commits, so truncation follows from the commits alone and costs no commit of its own. Rows are looked at again only every so many commits, and deleted so many at a
// time; between two looks the log may be longer than what it keeps by as much.
import { OVERFLOW_SIZE, TABLE_ID_CHANGES } from "../../../assembly/format.ts";
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { failRange, failType } from "../../errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Scan, Store, View } from "../../store/store.ts";
import { bigEndian } from "../../store/raw_ops.ts";
import type { Staging } from "../write/staging.ts";
import { CursorIndex } from "./cursor_index.ts";

/** How much of the change log is kept when no cursor is registered: whatever is less. */
export interface LogRetention {
  /** The newest changes. Default 1024. */
  changes?: number;
  /** Bytes of the newest changes. Default 1 MiB. The newest change is kept in any case. */
  bytes?: number;
}

const CHANGES = 1024;
const BYTES = 1 << 20;
/** Looks after this many commits, or this many staged bytes. */
const LOOK_COMMITS = 64;
const LOOK_BYTES = 1 << 17;
/** A page of changes ends behind so many bytes of records, however few changes they are. */
export const PAGE_BYTES = 8 << 20;
/** Changes deleted by one commit. */
const STEP = 4096;
const RUN = 0xffffffff;
const START = new Uint8Array(0);

function whole(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") failType(`Cannot open: option ${name} is not a number`, { option: name });
  if (!Number.isSafeInteger(value) || value < 0) {
    failRange(`Cannot open: option ${name} is not a whole number from 0 on`, { option: name, value });
  }
  return value;
}

const RETENTION: OptionNames<LogRetention> = { changes: true, bytes: true };

/** Validates a retention and fills in the defaults. */
export function resolveRetention(retention: LogRetention = {}): Required<LogRetention> {
  if (typeof retention !== "object" || retention === null) {
    failType("Cannot open: option logRetention is not an object", { option: "logRetention" });
  }
  const { changes, bytes } = takeOptions(retention, RETENTION, "open");
  return { changes: whole("logRetention.changes", changes, CHANGES), bytes: whole("logRetention.bytes", bytes, BYTES) };
}

/** The change log of one store. */
export class ChangeLog {
  /** The cursors. */
  readonly cursors: CursorIndex;
  /** Cursors that lose changes with what was staged: whoever tells them takes them out when that is durable. */
  readonly losing: Set<number> = new Set();
  readonly #store: Store;
  readonly #kernel: Kernel;
  readonly #keepChanges: number;
  readonly #keepBytes: number;
  #commits = LOOK_COMMITS;
  #bytes = 0;
  /** Sizes of the newest changes, from `#first` on, and their sum. */
  #sizes: number[] = [];
  #first = 1;
  #sum = 0;
  /** Everything before this may go, because all cursors have done it. */
  #goal = 0;
  #truncated = 0;

  constructor(store: Store, staging: Staging, retention: LogRetention | undefined) {
    this.cursors = new CursorIndex(store, staging);
    this.#store = store;
    this.#kernel = store.kernel;
    const { changes, bytes } = resolveRetention(retention);
    this.#keepChanges = changes;
    this.#keepBytes = bytes;
  }

  /** The newest change that consumers may see. */
  get latest(): number {
    return this.#store.durableSequence;
  }

  /** The oldest change that a state holds; the one behind its last when it holds none. */
  oldest(view: View): number {
    const scan = view.tree(TABLE_ID_CHANGES).scan({ keysOnly: true });
    try {
      return scan.next(1, 256) === 0 ? view.sequence + 1 : sequenceAt(scan, this.#kernel, 0);
    } finally {
      scan.close();
    }
  }

  /** Calls back for each change from `from` to `last`, at most `count` and a little more than `most` bytes of them: sequence, address and length of its record. */
  read(
    view: View,
    from: number,
    last: number,
    count: number,
    most: number,
    visit: (sequence: number, at: number, length: number) => void,
  ): void {
    const scan = view.tree(TABLE_ID_CHANGES).scan({ lower: bigEndian(from), upper: bigEndian(last + 1) });
    try {
      let bytes = 0;
      for (let left = count; left > 0;) {
        const rows = scan.next(Math.min(left, 256), 1 << 18);
        if (rows === 0) return;
        for (let row = 0; row < rows; row++) {
          const sequence = sequenceAt(scan, this.#kernel, row);
          const at = scan.loadValue(row);
          visit(sequence, at, scan.valueLength);
          bytes += scan.valueLength;
          if (bytes >= most) return;
        }
        left -= rows;
      }
    } finally {
      scan.close();
    }
  }

  // ---- truncation -------------------------------------------------------------------------------------------

  /** Everything before this change is gone, or will be with what was staged. */
  get truncated(): number {
    return this.#truncated;
  }

  /** Everything before this change may go. */
  get goal(): number {
    return this.#goal;
  }

  /**
   * Cursors have gone or moved in the transaction that is being staged: stages the first part of the truncation that follows; other commits do the rest. What a cursor loses to its `maxLag` goes only with the
   * looks: one that has skipped what it had lost gets time to read what is there.
   */
  settle(staging: Staging, lagging = false): void {
    const end = this.#store.newest.sequence + 1;
    let slowest = Infinity;
    for (const [, { next, maxLag }] of this.cursors.pending()) {
      slowest = Math.min(slowest, maxLag === undefined || !lagging ? next : Math.max(next, end - maxLag));
    }
    if (slowest === Infinity) {
      // The last one is gone: what is kept follows from the retention again.
      this.#goal = 0;
      this.#commits = LOOK_COMMITS;
      return;
    }
    this.#goal = slowest;
    this.#step(staging);
  }

  /** Stages what is due with any commit. */
  maintain(staging: Staging): void {
    if (this.cursors.staged) return this.settle(staging);
    // This transaction's own change counts too: it is kept whatever its size, what is older makes room for it.
    const own = staging.bytes;
    this.#bytes += own;
    if (++this.#commits < LOOK_COMMITS && this.#bytes < LOOK_BYTES) return;
    this.#commits = own < LOOK_BYTES ? 0 : LOOK_COMMITS; // behind a large one the next looks again
    this.#bytes = 0;
    if (this.cursors.rows.size > 0) return this.settle(staging, true);
    this.#measure();
    let first = this.#first;
    while (this.#sizes.length > 0 && (this.#sizes.length >= this.#keepChanges || this.#sum + own > this.#keepBytes)) {
      this.#sum -= this.#sizes.shift()!;
      first++;
    }
    this.#first = this.#goal = first;
    this.#step(staging);
  }

  #step(staging: Staging): void {
    if (this.#goal === 0) return;
    const view = this.#store.newest;
    const oldest = this.oldest(view);
    if (oldest >= this.#goal || oldest > view.sequence) return;
    const first = Math.min(this.#goal, oldest + STEP);
    for (const [id, { next }] of this.cursors.pending()) if (next >= oldest && next < first) this.losing.add(id);
    staging.deleteRange(TABLE_ID_CHANGES, START, bigEndian(first), 0, true);
    this.#truncated = first;
  }

  /** Takes the sizes of changes that are new since the last look. */
  #measure(): void {
    const view = this.#store.newest;
    const latest = view.sequence;
    let from = this.#first + this.#sizes.length;
    if (from > latest + 1 || latest - from >= this.#keepChanges) {
      this.#sizes = [];
      this.#sum = 0;
      from = this.#first = Math.max(this.oldest(view), latest - this.#keepChanges + 1);
    }
    const scan = view.tree(TABLE_ID_CHANGES).scan({ lower: bigEndian(from) });
    try {
      for (let rows = scan.next(256, 1 << 18); rows > 0; rows = scan.next(256, 1 << 18)) {
        const words = this.#kernel.u32;
        for (let row = 0, at = scan.rowsAt >>> 2; row < rows; row++, at += 4) {
          if (this.#sizes.length === 0) this.#first = sequenceAt(scan, this.#kernel, row);
          const size = words[at + 3] === RUN ? runLength(this.#kernel, scan.dataAt + words[at + 2]!) : words[at + 3]!;
          this.#sizes.push(size);
          this.#sum += size;
        }
      }
    } finally {
      scan.close();
    }
  }
}

/** Bytes of the run that is described at an address: the last word of the description. */
function runLength(kernel: Kernel, at: number): number {
  const u8 = kernel.u8;
  const end = at + OVERFLOW_SIZE;
  return u8[end - 4]! + u8[end - 3]! * 0x100 + u8[end - 2]! * 0x1_0000 + u8[end - 1]! * 0x100_0000;
}

/** The sequence in a row's key, 8 bytes big-endian. */
function sequenceAt(scan: Scan, kernel: Kernel, row: number): number {
  const u8 = kernel.u8;
  const at = scan.dataAt + kernel.u32[(scan.rowsAt >>> 2) + row * 4]!;
  const high = u8[at]! * 0x100_0000 + u8[at + 1]! * 0x1_0000 + u8[at + 2]! * 0x100 + u8[at + 3]!;
  return high * 0x1_0000_0000 + u8[at + 4]! * 0x100_0000 + u8[at + 5]! * 0x1_0000 + u8[at + 6]! * 0x100 + u8[at + 7]!;
}
