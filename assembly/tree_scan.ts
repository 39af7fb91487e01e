// Scans: many rows a call, in either direction, between bounds.
//
// A scan keeps its bounds and the last key it delivered, not a place in memory: each call descends again, so eviction, checkpoints and (for the writer's
// handle) changes in between do no harm. Rows are copied to the row buffer, which the next scanNext of any scan reuses.
import { setWord } from "./ctrl";
import {
  CELL_OVERFLOW,
  CTRL_DATA_AT,
  CTRL_DATA_LENGTH,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  CTRL_TREE,
  DONE,
  KEY_MAX,
  KEY_TOO_LONG,
  MORE,
  NOT_FOUND,
  OK,
  OUT_OF_MEMORY,
} from "./format";
import { loosen, nextTick, pageSize } from "./frame";
import { listCount, listEntry, listInit, listPush } from "./list";
import { allocate, release } from "./mem";
import { cellOf, countOf, find, found, keyCopy, payloadOf, restOf, slotOf, suffixOf } from "./page";
import { handleRoot, rootAt } from "./roots";
import { pathFrame, pathIndex, setKey } from "./tree_path";
import { seek, SEEK_AFTER, SEEK_AT_OR_AFTER, SEEK_AT_OR_BEFORE, SEEK_BEFORE, SEEK_LAST, stepLeaf } from "./tree_seek";

export const SCAN_LOWER_EXCLUSIVE: u32 = 1;
export const SCAN_UPPER_INCLUSIVE: u32 = 2;
export const SCAN_REVERSE: u32 = 4;
export const SCAN_NO_UPPER: u32 = 8;
export const SCAN_KEYS_ONLY: u32 = 16;
export const SCAN_VALUES_ONLY: u32 = 32;
/** An overflow value's length in the row index: 18 bytes describing the run are there instead. */
const RUN_MARK: u32 = 0xffffffff;

// Scan, 32 bytes: state (0 free, 1 fresh, 2 moving, 3 done), tree, flags, lower length, upper length, position length, bounds block.
const scans = memory.data(16, 8);
const S_TREE: usize = 4;
const S_FLAGS: usize = 8;
const S_LOWER: usize = 12;
const S_UPPER: usize = 16;
const S_POSITION: usize = 20;
const S_BLOCK: usize = 24;
const BOUND: u32 = 1048; // a key and its padding
const FRESH: u32 = 1;
const MOVING: u32 = 2;
const ENDED: u32 = 3;

let rowsAt: usize = 0;
let rowsRoom: u32 = 0;
let dataAt: usize = 0;
let dataRoom: u32 = 0;

export function scansInit(): void {
  listInit(scans, 32);
}

function boundOf(scan: usize, which: u32): usize {
  return <usize> load<u32>(scan, S_BLOCK) + <usize> (which * BOUND);
}

/** Starts a scan over a tree handle; CTRL_TREE is its handle. Bounds are copied. */
export function scanOpen(tree: u32, lower: usize, lowerLength: u32, upper: usize, upperLength: u32, flags: u32): i32 {
  if (lowerLength > <u32> KEY_MAX || upperLength > <u32> KEY_MAX) return KEY_TOO_LONG;
  let index: u32 = 0;
  const n = listCount(scans);
  while (index < n && load<u32>(listEntry(scans, index))) index++;
  const block = allocate(BOUND * 3);
  if (!block) return OUT_OF_MEMORY;
  if (index == n) listPush(scans);
  const s = listEntry(scans, index);
  store<u32>(s, FRESH);
  store<u32>(s, tree, S_TREE);
  store<u32>(s, flags, S_FLAGS);
  store<u32>(s, lowerLength, S_LOWER);
  store<u32>(s, upperLength, S_UPPER);
  store<u32>(s, 0, S_POSITION);
  store<u32>(s, <u32> block, S_BLOCK);
  memory.copy(boundOf(s, 0), lower, lowerLength);
  store<u64>(boundOf(s, 0) + lowerLength, 0);
  memory.copy(boundOf(s, 1), upper, upperLength);
  store<u64>(boundOf(s, 1) + upperLength, 0);
  setWord(CTRL_TREE, index);
  return OK;
}

export function scanClose(scan: u32): void {
  assert(scan < listCount(scans));
  const s = listEntry(scans, scan);
  if (!load<u32>(s)) return;
  release(<usize> load<u32>(s, S_BLOCK), BOUND * 3);
  store<u32>(s, 0);
}

/** Goes to the scan's next row: OK, DONE, or what fetch says. */
function position(s: usize, root: usize): i32 {
  const flags = load<u32>(s, S_FLAGS);
  const back = (flags & SCAN_REVERSE) != 0;
  let status: i32;
  if (load<u32>(s) == MOVING) {
    setKey(boundOf(s, 2), load<u32>(s, S_POSITION));
    status = seek(root, load<u32>(s, S_POSITION), back ? SEEK_BEFORE : SEEK_AFTER);
  } else if (!back) {
    setKey(boundOf(s, 0), load<u32>(s, S_LOWER));
    status = seek(root, load<u32>(s, S_LOWER), flags & SCAN_LOWER_EXCLUSIVE ? SEEK_AFTER : SEEK_AT_OR_AFTER);
  } else if (flags & SCAN_NO_UPPER) {
    status = seek(root, 0, SEEK_LAST);
  } else {
    setKey(boundOf(s, 1), load<u32>(s, S_UPPER));
    status = seek(root, load<u32>(s, S_UPPER), flags & SCAN_UPPER_INCLUSIVE ? SEEK_AT_OR_BEFORE : SEEK_BEFORE);
  }
  return status == NOT_FOUND ? DONE : status;
}

/**
 * How many rows of the current leaf, from the position on in the scan's direction, lie within the far bound.
 */
function within(s: usize): u32 {
  const flags = load<u32>(s, S_FLAGS);
  const leaf = pathFrame(0);
  const index = pathIndex(0);
  if (!(flags & SCAN_REVERSE)) {
    if (flags & SCAN_NO_UPPER) return countOf(leaf) - index;
    let end = find(leaf, index, boundOf(s, 1), load<u32>(s, S_UPPER));
    if (found && flags & SCAN_UPPER_INCLUSIVE) end++;
    return end - index;
  }
  let first = find(leaf, 0, boundOf(s, 0), load<u32>(s, S_LOWER));
  if (found && flags & SCAN_LOWER_EXCLUSIVE) first++;
  return index + 1 > first ? index + 1 - first : 0;
}

/** Rows of the current leaf that the scan has not reached, were there no bound. */
@inline
function rest(back: bool): u32 {
  return back ? pathIndex(0) + 1 : countOf(pathFrame(0)) - pathIndex(0);
}

function keep(s: usize, leaf: usize, index: u32): void {
  const into = boundOf(s, 2);
  const n = keyCopy(leaf, slotOf(leaf, index), into);
  store<u64>(into + n, 0);
  store<u32>(s, n, S_POSITION);
  store<u32>(s, MOVING);
}

/** The next rows, at most `maxRows` and about `maxBytes`: OK with CTRL_ROWS ≥ 1, DONE, NEED_PAGE, … */
export function scanNext(scan: u32, maxRows: u32, maxBytes: u32): i32 {
  assert(scan < listCount(scans) && maxRows > 0 && maxRows <= 1 << 20 && maxBytes <= 1 << 26);
  nextTick();
  let s = listEntry(scans, scan);
  setWord(CTRL_ROWS, 0);
  if (load<u32>(s) == ENDED) return DONE;
  let status = handleRoot(load<u32>(s, S_TREE));
  if (status != OK) return status;
  const root = rootAt;
  status = position(s, root);
  if (status != OK) {
    if (status == DONE) store<u32>(s, ENDED);
    return status;
  }
  if (rowsRoom < maxRows) {
    release(rowsAt, rowsRoom << 4);
    rowsAt = allocate(maxRows << 4);
    rowsRoom = rowsAt ? maxRows : 0;
    if (!rowsAt) return OUT_OF_MEMORY;
  }
  const slack = KEY_MAX + 16 + (pageSize >> 1);
  if (dataRoom < maxBytes + slack) {
    release(dataAt, dataRoom);
    dataAt = allocate(maxBytes + slack);
    dataRoom = dataAt ? maxBytes + slack : 0;
    if (!dataAt) return OUT_OF_MEMORY;
  }
  const flags = load<u32>(s, S_FLAGS);
  const back = (flags & SCAN_REVERSE) != 0;
  let rows: u32 = 0;
  let used: u32 = 0;
  while (true) {
    const leaf = pathFrame(0);
    const all = within(s);
    const last = all < rest(back);
    let n = min(all, maxRows - rows);
    let index = pathIndex(0);
    let taken: u32 = 0;
    while (taken < n && used < maxBytes) {
      const slot = slotOf(leaf, index);
      const entry = rowsAt + (<usize> rows << 4);
      let keyLength: u32 = 0;
      const keyAt = used;
      if (!(flags & SCAN_VALUES_ONLY)) {
        keyLength = keyCopy(leaf, slot, dataAt + used);
        used += keyLength;
      }
      store<u32>(entry, keyAt);
      store<u32>(entry, keyLength, 4);
      store<u32>(entry, used, 8);
      if (flags & SCAN_KEYS_ONLY) store<u32>(entry, 0, 12);
      else {
        const cell = cellOf(leaf, slot);
        const size = payloadOf(cell);
        memory.copy(dataAt + used, cell + 2 + restOf(suffixOf(slot)), size);
        store<u32>(entry, load<u16>(cell) & CELL_OVERFLOW ? RUN_MARK : size, 12);
        used += size;
      }
      rows++;
      taken++;
      index += back ? -1 : 1;
    }
    if (taken) keep(s, leaf, back ? index + 1 : index - 1);
    if (taken == all && last) {
      store<u32>(s, ENDED);
      break;
    }
    if (taken < all || rows == maxRows || used >= maxBytes) break;
    loosen(leaf);
    status = stepLeaf(root, back);
    if (status == DONE) {
      store<u32>(s, ENDED);
      break;
    }
    if (status != OK) {
      if (rows) break;
      return status;
    }
  }
  if (!rows) return DONE;
  setWord(CTRL_ROWS_AT, <u32> rowsAt);
  setWord(CTRL_ROWS, rows);
  setWord(CTRL_DATA_AT, <u32> dataAt);
  setWord(CTRL_DATA_LENGTH, used);
  return OK;
}

/** Counts rows without copying them, at most `most` and a few a call; CTRL_ROWS. MORE, DONE (the count is complete), NEED_PAGE, … */
export function scanCount(scan: u32, most: u32): i32 {
  assert(scan < listCount(scans));
  nextTick();
  const s = listEntry(scans, scan);
  setWord(CTRL_ROWS, 0);
  if (load<u32>(s) == ENDED) return DONE;
  let status = handleRoot(load<u32>(s, S_TREE));
  if (status != OK) return status;
  const root = rootAt;
  status = position(s, root);
  if (status != OK) {
    if (status == DONE) store<u32>(s, ENDED);
    return status;
  }
  const back = (load<u32>(s, S_FLAGS) & SCAN_REVERSE) != 0;
  let rows: u32 = 0;
  while (true) {
    const all = within(s);
    rows += all;
    const last = all < rest(back);
    if (all) {
      const index = pathIndex(0);
      keep(s, pathFrame(0), back ? index + 1 - all : index + all - 1);
    }
    if (!last) {
      if (rows >= most) break;
      loosen(pathFrame(0));
      status = stepLeaf(root, back);
      if (status == OK) continue;
      if (status != DONE) {
        if (rows) break;
        return status;
      }
    }
    store<u32>(s, ENDED);
    setWord(CTRL_ROWS, rows);
    return DONE;
  }
  setWord(CTRL_ROWS, rows);
  return MORE;
}
