// All that a state holds, as bytes: every row of every table in key order, the registry, the change log and the commit ids included. Two states are equal when their dumps are.
//
//   all keys and values one behind the other, padded to four bytes; then words: frame, sequence, and for each table its id and rows, and of each row the lengths of key and value (of an overflow value: a mark, then its length).
import { CTRL_DATA_LENGTH, OVERFLOW_SIZE, TABLE_ID_CHANGES, TABLE_ID_COMMITS, TABLE_ID_TABLES } from "../../../assembly/format.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import type { View } from "../../../src/store/store.ts";

const BATCH_ROWS = 256;
const BATCH_BYTES = 1 << 15;
const RUN_MARK = 0xffffffff;

let data = new Uint8Array(1 << 20);
let length = 0;
let words = new Uint32Array(1 << 16);
let count = 0;

function put(bytes: Uint8Array): void {
  if (length + bytes.length + 4 > data.length) {
    const longer = new Uint8Array(2 * (length + bytes.length));
    longer.set(data);
    data = longer;
  }
  data.set(bytes, length);
  length += bytes.length;
}

function putWord(word: number): void {
  if (count === words.length) {
    const longer = new Uint32Array(2 * count);
    longer.set(words);
    words = longer;
  }
  words[count++] = word;
}

function collect(kernel: Kernel, view: View): void {
  length = 0;
  count = 0;
  putWord(view.frame);
  putWord(view.sequence);
  const ids: number[] = [];
  collectTable(kernel, view, TABLE_ID_TABLES, ids);
  ids.sort((a, b) => a - b);
  for (const id of [TABLE_ID_CHANGES, TABLE_ID_COMMITS, ...ids]) collectTable(kernel, view, id);
  while (length & 3) data[length++] = 0;
}

/** `ids`: where the ids go that rows of the registry begin with; the counter of ids has a key of one byte. */
function collectTable(kernel: Kernel, view: View, id: number, ids?: number[]): void {
  const tree = view.tree(id);
  const { rows } = tree;
  putWord(id);
  putWord(rows);
  const scan = tree.scan();
  try {
    let left = rows;
    for (; scan.next(BATCH_ROWS, BATCH_BYTES) > 0; left -= scan.rows) collectBatch(kernel, scan, ids);
    if (left !== 0) throw new Error(`table ${id} says that it has ${rows} rows, and has ${rows - left}`);
  } finally {
    scan.close();
  }
}

type Batch = ReturnType<ReturnType<View["tree"]>["scan"]>;

function collectBatch(kernel: Kernel, scan: Batch, ids: number[] | undefined): void {
  const { u32, u8 } = kernel;
  const bytes = kernel.word(CTRL_DATA_LENGTH);
  let hasRuns = false;
  for (let row = 0, at = scan.rowsAt >>> 2; row < scan.rows; row++, at += 4) {
    const keyLength = u32[at + 1]!, valueLength = u32[at + 3]!;
    putWord(keyLength);
    putWord(valueLength);
    if (valueLength === RUN_MARK) {
      hasRuns = true;
      putWord(runLength(u8, scan.valueAddress(row)));
    } else if (ids !== undefined && keyLength > 1) {
      const value = scan.dataAt + u32[at + 2]!;
      ids.push(u8[value]! | (u8[value + 1]! << 8) | (u8[value + 2]! << 16) | (u8[value + 3]! << 24));
    }
  }
  if (!hasRuns) return put(u8.subarray(scan.dataAt, scan.dataAt + bytes));
  // The batch holds where an overflow value lies, which is no part of the state.
  for (let row = 0; row < scan.rows; row++) {
    put(scan.key(row));
    put(scan.value(row));
  }
}

/** Bytes of the overflow run that is described at an address: the last word of the description. */
function runLength(u8: Uint8Array, at: number): number {
  const end = at + OVERFLOW_SIZE;
  return (u8[end - 4]! | (u8[end - 3]! << 8) | (u8[end - 2]! << 16) | (u8[end - 1]! << 24)) >>> 0;
}

/** The dump of a state. */
export function dumpState(kernel: Kernel, view: View): Uint32Array {
  collect(kernel, view);
  const dump = new Uint32Array((length >>> 2) + count);
  dump.set(new Uint32Array(data.buffer, 0, length >>> 2));
  dump.set(words.subarray(0, count), length >>> 2);
  return dump;
}

/** Whether a state is the one that was dumped. */
export function hasState(kernel: Kernel, view: View, dump: Uint32Array): boolean {
  collect(kernel, view);
  const first = length >>> 2;
  if (dump.length !== first + count) return false;
  const bytes = new Uint32Array(data.buffer, 0, first);
  for (let i = 0; i < first; i++) if (bytes[i] !== dump[i]) return false;
  for (let i = 0; i < count; i++) if (words[i] !== dump[first + i]) return false;
  return true;
}
