// Pages looked at by themselves, without a pointer that says what they must be: for inspections and salvage.
//
// Invariant: nothing outside the page and this file's own buffers is read or written, whatever the page holds.
import { actual, contentProblem, expected, identityProblem } from "./check_tree";
import { corruptPage, invariant, setWord } from "./ctrl";
import { bitmapSetup, load48 } from "./bitmap";
import {
  CELL_OVERFLOW,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  OK,
  OUT_OF_MEMORY,
  PAGE_BIRTH,
  PAGE_BITMAP,
  PAGE_BITMAP_INDEX,
  PAGE_BRANCH,
  PAGE_CRC,
  PAGE_HEADER,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_SHIFT_MAX,
  PAGE_SHIFT_MIN,
  PAGE_TYPE,
  POINTER_SIZE,
  REASON_TYPE,
} from "./format";
import { allocate, release, resize, roomOf } from "./mem";
import { cellOf, countOf, fixedOf, keyCopy, levelOf, pageProblem, prefixOf, restOf, slotOf, suffixOf } from "./page";

const RUN: u32 = 0xffffffff;
/** Index of the rows listed last: per row 4 u32 {key address, key length, value address, value length}. */
let rows: usize = 0;
let rowsRoom: u32 = 0;
/** Their keys. */
let keys: usize = 0;
let keysRoom: u32 = 0;

function inMemory(at: usize, length: u32): bool {
  return <u64> at + length <= <u64> memory.size() << 16;
}

/**
 * Whether the page at `at` is page number `page` of this file and holds what its kind asks for: OK, or CORRUPT_PAGE with the reason. Of an overflow run only the kind can be judged: its checksum is over all its
 * pages.
 */
export function imageVerify(at: usize, pageSize: u32, page: u32, fileIdLo: u32, fileIdHi: u32): i32 {
  const shift = ctz<u32>(pageSize);
  if (!inMemory(at, pageSize) || shift < <u32> PAGE_SHIFT_MIN || shift > <u32> PAGE_SHIFT_MAX || pageSize != <u32> 1 << shift) return invariant(7050);
  const type = <u32> load<u8>(at, PAGE_TYPE);
  if (type < <u32> PAGE_LEAF || type > <u32> PAGE_BITMAP_INDEX) return corruptPage(page, REASON_TYPE, PAGE_LEAF, type);
  const fileId = <u64> fileIdLo | <u64> fileIdHi << 32;
  bitmapSetup(shift, fileId);
  // Without a pointer, checksum and birth can only be compared with themselves.
  let reason = identityProblem(at, pageSize, page, load<u32>(at, PAGE_CRC), load48(at + PAGE_BIRTH), fileId);
  if (reason) return corruptPage(page, reason, expected, actual);
  if (type == <u32> PAGE_BITMAP || type == <u32> PAGE_BITMAP_INDEX) {
    return (type == <u32> PAGE_BITMAP) == !load<u8>(at, PAGE_LEVEL) ? OK : corruptPage(page, REASON_TYPE, 0, load<u8>(at, PAGE_LEVEL));
  }
  if (type != <u32> PAGE_LEAF && type != <u32> PAGE_BRANCH) return OK;
  const scratch = allocate(pageSize);
  if (!scratch) return OUT_OF_MEMORY;
  reason = contentProblem(at, pageSize, load<u8>(at, PAGE_LEVEL), scratch);
  release(scratch, pageSize);
  return reason ? corruptPage(page, reason, expected, actual) : OK;
}

/**
 * Lists the cells of a leaf or branch page at `at`, in key order: CTRL_ROWS of them, index at CTRL_ROWS_AT, per cell 4 u32 {key address, key length, value address, value length}. The value of a branch is its
 * pointer; value length 0xFFFFFFFF: 18 bytes describing an overflow run. Valid until the next call, and while the page stays. OK or CORRUPT_PAGE.
 */
export function imageRows(at: usize, pageSize: u32): i32 {
  if (!inMemory(at, pageSize) || pageSize < <u32> PAGE_HEADER) return invariant(7051);
  const reason = pageProblem(at, pageSize);
  if (reason) return corruptPage(0, reason, 0, 0);
  const count = countOf(at);
  const prefix = prefixOf(at);
  let bytes: u32 = 8;
  for (let i: u32 = 0; i < count; i++) bytes += prefix + suffixOf(slotOf(at, i));
  if (!make(count << 4, bytes)) return OUT_OF_MEMORY;
  let into = keys;
  for (let i: u32 = 0; i < count; i++) {
    const slot = slotOf(at, i);
    const suffix = suffixOf(slot);
    const cell = cellOf(at, slot);
    const row = rows + <usize> (i << 4);
    // A branch's first slot stands for everything below the second: it has no key, also no prefix.
    const length = levelOf(at) && !i ? 0 : keyCopy(at, slot, into);
    store<u32>(row, <u32> into);
    store<u32>(row, length, 4);
    into += length;
    const rest = restOf(suffix);
    if (levelOf(at)) {
      store<u32>(row, <u32> cell, 8);
      store<u32>(row, POINTER_SIZE, 12);
    } else {
      const size = <u32> load<u16>(cell);
      store<u32>(row, <u32> (cell + fixedOf(at) + rest), 8);
      store<u32>(row, size & CELL_OVERFLOW ? RUN : size, 12);
    }
  }
  setWord(CTRL_ROWS, count);
  setWord(CTRL_ROWS_AT, <u32> rows);
  return OK;
}

function make(rowBytes: u32, keyBytes: u32): bool {
  if (rowBytes > rowsRoom) {
    const moved = resize(rows, rowsRoom, rowBytes, 0);
    if (!moved) return false;
    rows = moved;
    rowsRoom = roomOf(rowBytes);
  }
  if (keyBytes > keysRoom) {
    const moved = resize(keys, keysRoom, keyBytes, 0);
    if (!moved) return false;
    keys = moved;
    keysRoom = roomOf(keyBytes);
  }
  return true;
}
