// Laying a sequence of cells out over pages: the one routine behind splits, merges, redistribution and packing.
//
// A sequence is taken from one or two neighbouring pages (copied to scratch first, because the same frames are written again), optionally with one
// new cell in between. `fits` and `chooseSplit` decide, `writeRange` builds a page from a stretch of the sequence with the longest prefix its keys share.
import {
  KEY_MAX,
  PAGE_CELLS,
  PAGE_COUNT,
  PAGE_HEADER,
  PAGE_PREFIX,
  POINTER_SIZE,
  SLOT_KEY,
  SLOT_OFFSET,
  SLOT_SIZE,
  CELL_OVERFLOW,
  OVERFLOW_SIZE,
} from "./format";
import { pageSize } from "./frame";
import { allocate } from "./mem";
import { cellOf, compare, countOf, fixedOf, HEAD_BYTES, keyCopy, levelOf, pageInit, payloadOf, prefixOf, restOf, slotOf, suffixOf } from "./page";

// Sequence entry, 24 bytes: page copy (0 = the new cell), slot, key override address, key length, bytes besides slot and key rest.
const E_PAGE: usize = 0;
const E_SLOT: usize = 4;
const E_KEY: usize = 8;
const E_LENGTH: usize = 12;
const E_EXTRA: usize = 16;
const E_SIZE: u32 = 24;

let entries: usize = 0;
let scratchA: usize = 0;
let scratchB: usize = 0;
/** Cells in the sequence. */
export let cells: u32 = 0;
/** Level of the pages it comes from. */
let level: u32 = 0;

// The new cell.
let newAt: u32 = 0xffffffff;
let newKey: usize = 0;
let newWord: u32 = 0;
let newPayload: usize = 0;
let newSize: u32 = 0;

const keyA = memory.data(1024 + 16, 16);
const keyB = memory.data(1024 + 16, 16);
/** The separator key of a right neighbour's first branch cell. */
const fence = memory.data(1024 + 16, 16);
/** Where writeRange left the new cell. */
export let placedPage: usize = 0;
export let placedIndex: u32 = 0;

/** Takes scratch memory for the page size; false when there is none. */
export function packInit(): bool {
  const most = (pageSize / 10) * 2 + 4;
  entries = allocate(most * E_SIZE);
  scratchA = allocate(pageSize);
  scratchB = allocate(pageSize);
  return entries != 0 && scratchA != 0 && scratchB != 0;
}

/** A page's worth of scratch for defragmenting. */
export function scratchPage(): usize {
  return scratchA;
}

@inline
function entry(i: u32): usize {
  return entries + <usize> (i * E_SIZE);
}

function push(page: usize, slot: usize, key: usize, length: u32, extra: u32): void {
  const e = entry(cells++);
  store<u32>(e, <u32> page, E_PAGE);
  store<u32>(e, <u32> slot, E_SLOT);
  store<u32>(e, <u32> key, E_KEY);
  store<u32>(e, length, E_LENGTH);
  store<u32>(e, extra, E_EXTRA);
}

function take(copy: usize, page: usize, from: u32, to: u32, fenceLength: i32): void {
  const prefix = prefixOf(copy);
  for (let i = from; i < to; i++) {
    const slot = slotOf(copy, i);
    const extra = level ? POINTER_SIZE : 2 + payloadOf(cellOf(copy, slot));
    if (!i && fenceLength >= 0) push(copy, slot, fence, <u32> fenceLength, extra);
    else push(copy, slot, 0, level && !i ? 0 : prefix + suffixOf(slot), extra);
  }
}

/**
 * Starts a sequence with the cells of `left` and, unless 0, of `right`, whose separator key (in the parent) is given for branches. A new cell goes
 * before index `at` of the left (`inRight` false) or right page; `at` 0xFFFFFFFF: none. For a leaf `word` is the cell's u16 and payload follows the
 * key; for a branch payload is the pointer. The key is followed by zeros.
 */
export function gather(
  left: usize,
  right: usize,
  separator: usize,
  separatorLength: u32,
  inRight: bool,
  at: u32,
  key: usize,
  length: u32,
  word: u32,
  payload: usize,
  size: u32,
): void {
  level = levelOf(left);
  cells = 0;
  newAt = 0xffffffff;
  memory.copy(scratchA, left, pageSize);
  const n = countOf(left);
  const none: u32 = 0xffffffff;
  if (at != none && !inRight) {
    take(scratchA, left, 0, at, -1);
    pushNew(key, length, word, payload, size);
    take(scratchA, left, at, n, -1);
  } else {
    take(scratchA, left, 0, n, -1);
  }
  if (!right) return;
  memory.copy(scratchB, right, pageSize);
  let fenceLength: i32 = -1;
  if (level) {
    memory.copy(fence, separator, separatorLength);
    store<u64>(fence + separatorLength, 0);
    fenceLength = <i32> separatorLength;
  }
  const m = countOf(right);
  if (at != none && inRight) {
    take(scratchB, right, 0, at, fenceLength);
    pushNew(key, length, word, payload, size);
    take(scratchB, right, at, m, fenceLength);
  } else {
    take(scratchB, right, 0, m, fenceLength);
  }
}

function pushNew(key: usize, length: u32, word: u32, payload: usize, size: u32): void {
  newAt = cells;
  newKey = key;
  newWord = word;
  newPayload = payload;
  newSize = size;
  push(0, 0, key, length, level ? POINTER_SIZE : 2 + size);
}

/** Writes the key of cell `i` to `into`, followed by zeros, and returns its length. */
export function cellKey(i: u32, into: usize): u32 {
  const e = entry(i);
  const length = load<u32>(e, E_LENGTH);
  const given = <usize> load<u32>(e, E_KEY);
  if (given) memory.copy(into, given, length);
  else if (length) keyCopy(<usize> load<u32>(e, E_PAGE), <usize> load<u32>(e, E_SLOT), into);
  store<u64>(into + length, 0);
  return length;
}

/** Length of the prefix that the keys of cells [a, b) share, as a page would store it. */
function sharedPrefix(a: u32, b: u32): u32 {
  const first = level ? a + 1 : a;
  if (first >= b) return 0;
  const la = cellKey(first, keyA);
  const lb = cellKey(b - 1, keyB);
  const n = min(la, lb);
  let i: u32 = 0;
  while (i < n && load<u8>(keyA + i) == load<u8>(keyB + i)) i++;
  return i;
}

/** Bytes of a page that holds cells [a, b). */
export function rangeSize(a: u32, b: u32): u32 {
  const prefix = sharedPrefix(a, b);
  let size: u32 = PAGE_HEADER + ((prefix + 3) & ~3);
  for (let i = a; i < b; i++) {
    const e = entry(i);
    size += SLOT_SIZE + load<u32>(e, E_EXTRA);
    if (!(level && i == a)) size += restOf(load<u32>(e, E_LENGTH) - prefix);
  }
  return size;
}

@inline
export function fits(a: u32, b: u32): bool {
  return rangeSize(a, b) <= pageSize;
}

/** Where to cut the sequence in two pages that both fit, as even as can be, or with the right page as small as can be; 0 = nowhere. */
export function chooseSplit(rightSmall: bool): u32 {
  if (cells < 2) return 0;
  let s: u32 = cells - 1;
  if (!rightSmall) {
    let total: u32 = 0;
    for (let i: u32 = 0; i < cells; i++) total += cellCost(i);
    let sum: u32 = 0;
    for (s = 0; s < cells - 1; s++) {
      sum += cellCost(s);
      if (sum * 2 >= total) break;
    }
    s = max<u32>(1, s + (sum * 2 - total < cellCost(s) ? 1 : 0));
    if (s > cells - 1) s = cells - 1;
  }
  for (let d: u32 = 0; d < cells; d++) {
    if (s >= 1 + d && fits(0, s - d) && fits(s - d, cells)) return s - d;
    if (d && s + d < cells && fits(0, s + d) && fits(s + d, cells)) return s + d;
  }
  return 0;
}

/** A cell's weight for an even cut. */
@inline
function cellCost(i: u32): u32 {
  return SLOT_SIZE + load<u32>(entry(i), E_EXTRA) + min<u32>(load<u32>(entry(i), E_LENGTH), 8);
}

/** The key that separates cells [.., s) from [s, ..), followed by zeros at `into`: shortened for leaves. Returns its length. */
export function separatorFor(s: u32, into: usize): u32 {
  const length = cellKey(s, into);
  if (level) return length;
  const before = cellKey(s - 1, keyB);
  const n = min(length, before);
  let i: u32 = 0;
  while (i < n && load<u8>(into + i) == load<u8>(keyB + i)) i++;
  const short = min(i + 1, length);
  store<u64>(into + short, 0);
  return short;
}

/** Builds a page of cells [a, b) in `page`, which is not one of the pages gathered from (they are in scratch by now, so it may be their frame). */
export function writeRange(page: usize, a: u32, b: u32): void {
  const prefix = sharedPrefix(a, b);
  pageInit(page, pageSize, level);
  store<u16>(page, <u16> prefix, PAGE_PREFIX);
  store<u16>(page, <u16> (b - a), PAGE_COUNT);
  if (prefix) memory.copy(page + PAGE_HEADER, keyA, prefix);
  const slots = page + PAGE_HEADER + <usize> ((prefix + 3) & ~3);
  const fixed = level ? POINTER_SIZE : <u32> 2;
  let end = pageSize;
  for (let i = a; i < b; i++) {
    const e = entry(i);
    const slot = slots + <usize> ((i - a) * SLOT_SIZE);
    const bare = level && i == a;
    let length = bare ? 0 : cellKey(i, keyB);
    const suffix = bare ? 0 : length - prefix;
    const rest = restOf(suffix);
    const extra = load<u32>(e, E_EXTRA);
    end -= extra + rest;
    const cell = page + end;
    store<u32>(slot, suffix ? bswap<u32>(load<u32>(keyB + prefix)) : 0);
    store<u16>(slot, <u16> end, SLOT_OFFSET);
    store<u16>(slot, <u16> suffix, SLOT_KEY);
    if (rest) memory.copy(cell + fixed, keyB + prefix + HEAD_BYTES, rest);
    const source = <usize> load<u32>(e, E_PAGE);
    if (!source) {
      placedPage = page;
      placedIndex = i - a;
      if (level) memory.copy(cell, newPayload, POINTER_SIZE);
      else {
        store<u16>(cell, <u16> newWord);
        memory.copy(cell + 2 + rest, newPayload, newSize);
      }
    } else {
      const from = <usize> load<u32>(e, E_SLOT);
      const old = cellOf(source, from);
      if (level) memory.copy(cell, old, POINTER_SIZE);
      else {
        store<u16>(cell, load<u16>(old));
        memory.copy(cell + 2 + rest, old + 2 + restOf(suffixOf(from)), extra - 2);
      }
    }
  }
  store<u16>(page, <u16> (pageSize - end), PAGE_CELLS);
}
