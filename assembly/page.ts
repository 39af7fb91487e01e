// One slotted page: prefix, slots in key order, cells at the end.
//
//   | header 32 | prefix, padded to 4 | slot 0 | slot 1 | …      free      … | cell | cell |
//                                       \ head u32, offset u16, key length u16 behind the prefix
//
// Invariants:
//   1. Every key in the page starts with the prefix; a slot's head is the next four key bytes as a big-endian number, zero padded.
//   2. Slots are in key order without duplicates; a branch's slot 0 stands for minus infinity and has no key bytes.
//   3. Cells lie between the end of the slots and the end of the page and do not overlap; PAGE_CELLS counts that area, PAGE_HOLES its unused bytes.
// pageProblem establishes what makes the rest memory-safe for any page that came from storage.
import {
  CELL_OVERFLOW,
  OVERFLOW_SIZE,
  PAGE_BIRTH,
  PAGE_CELLS,
  PAGE_COUNT,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_HEADER,
  PAGE_HOLES,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_PREFIX,
  PAGE_TYPE,
  PAGE_BRANCH,
  KEY_MAX,
  POINTER_SIZE,
  REASON_BOUNDS,
  REASON_ORDER,
  REASON_TYPE,
  SLOT_KEY,
  SLOT_OFFSET,
  SLOT_SIZE,
  UNPLACED,
} from "./format";

export const HEAD_BYTES: u32 = 4;

// ---- header ---------------------------------------------------------------------------------------------

@inline
export function levelOf(page: usize): u32 {
  return load<u8>(page, PAGE_LEVEL);
}

@inline
export function countOf(page: usize): u32 {
  return load<u16>(page, PAGE_COUNT);
}

@inline
export function prefixOf(page: usize): u32 {
  return load<u16>(page, PAGE_PREFIX);
}

/** Address of slot 0. */
@inline
export function slotsOf(page: usize): usize {
  return page + PAGE_HEADER + <usize> ((prefixOf(page) + 3) & ~3);
}

@inline
export function slotOf(page: usize, index: u32): usize {
  return slotsOf(page) + <usize> (index * SLOT_SIZE);
}

/** Key length behind the prefix. */
@inline
export function suffixOf(slot: usize): u32 {
  return load<u16>(slot, SLOT_KEY);
}

@inline
export function cellOf(page: usize, slot: usize): usize {
  return page + load<u16>(slot, SLOT_OFFSET);
}

/** Key bytes kept in the cell. */
@inline
export function restOf(suffix: u32): u32 {
  return suffix > HEAD_BYTES ? suffix - HEAD_BYTES : 0;
}

/** Bytes before the key rest in a cell. */
@inline
export function fixedOf(page: usize): u32 {
  return levelOf(page) ? POINTER_SIZE : 2;
}

/** Bytes of payload behind a leaf cell's key rest. */
@inline
export function payloadOf(cell: usize): u32 {
  const n = <u32> load<u16>(cell);
  return n & CELL_OVERFLOW ? OVERFLOW_SIZE : n;
}

/** Bytes of the cell of a slot. */
@inline
export function cellSize(page: usize, slot: usize): u32 {
  const rest = restOf(suffixOf(slot));
  return levelOf(page) ? POINTER_SIZE + rest : 2 + rest + payloadOf(cellOf(page, slot));
}

/** Bytes free for another slot and cell, holes included. */
@inline
export function freeOf(page: usize, pageSize: u32): u32 {
  const slotsEnd = <u32> (slotsOf(page) - page) + countOf(page) * SLOT_SIZE;
  return pageSize - load<u16>(page, PAGE_CELLS) - slotsEnd + load<u16>(page, PAGE_HOLES);
}

/** Bytes in use, header included. */
@inline
export function usedOf(page: usize, pageSize: u32): u32 {
  return pageSize - freeOf(page, pageSize);
}

export function pageInit(page: usize, pageSize: u32, level: u32): void {
  memory.fill(page, 0, pageSize); // nothing that was in memory before reaches the file
  store<u8>(page, level ? PAGE_BRANCH : PAGE_LEAF, PAGE_TYPE);
  store<u8>(page, <u8> level, PAGE_LEVEL);
}

// ---- verification -----------------------------------------------------------------------------------------

/** Why a page from storage cannot be used, or 0: every length and offset in it stays inside it, and its keys rise. */
export function pageProblem(page: usize, pageSize: u32): u32 {
  const type = load<u8>(page, PAGE_TYPE);
  const level = load<u8>(page, PAGE_LEVEL);
  if (type != (level ? PAGE_BRANCH : PAGE_LEAF)) return REASON_TYPE;
  const count = countOf(page);
  const prefix = prefixOf(page);
  const cells = <u32> load<u16>(page, PAGE_CELLS);
  const first = PAGE_HEADER + ((prefix + 3) & ~3);
  if (prefix > <u32> KEY_MAX || !count) return REASON_BOUNDS;
  const slotsEnd = first + count * SLOT_SIZE;
  if (cells + slotsEnd > pageSize || load<u16>(page, PAGE_HOLES) > cells) return REASON_BOUNDS;
  const cellsAt = pageSize - cells;
  let total: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const slot = page + <usize> (first + i * SLOT_SIZE);
    const suffix = suffixOf(slot);
    const offset = <u32> load<u16>(slot, SLOT_OFFSET);
    if (prefix + suffix > <u32> KEY_MAX || offset < cellsAt) return REASON_BOUNDS;
    let size: u32;
    if (level) {
      if (offset + POINTER_SIZE > pageSize) return REASON_BOUNDS;
      const child = load<u32>(page + offset);
      if (!child || child & UNPLACED) return REASON_BOUNDS;
      if (!i && suffix) return REASON_BOUNDS;
      size = POINTER_SIZE + restOf(suffix);
    } else {
      if (offset + 2 > pageSize) return REASON_BOUNDS;
      size = 2 + restOf(suffix) + payloadOf(page + offset);
    }
    if (offset + size > pageSize) return REASON_BOUNDS;
    total += size;
  }
  if (total + load<u16>(page, PAGE_HOLES) != cells) return REASON_BOUNDS;
  // A branch's slot 0 has no key.
  for (let i: u32 = level ? 1 : 0; i < count; i++) {
    const slot = page + <usize> (first + i * SLOT_SIZE);
    const suffix = suffixOf(slot);
    // The head is zero behind the key's end.
    if (suffix < HEAD_BYTES && load<u32>(slot) << (suffix << 3)) return unordered(suffix, i);
    if (i > <u32> (level ? 1 : 0) && slotOrder(page, slot - SLOT_SIZE, slot) >= 0) return unordered(i - 1, i);
  }
  return 0;
}

/** What the last pageProblem that returned REASON_ORDER expected and found: slots, or a key length and its slot. */
export let orderExpected: u32 = 0;
export let orderActual: u32 = 0;

function unordered(expected: u32, actual: u32): u32 {
  orderExpected = expected;
  orderActual = actual;
  return REASON_ORDER;
}

/** Order of two slots of one page: −1, 0, 1. */
export function slotOrder(page: usize, a: usize, b: usize): i32 {
  const x = load<u32>(a);
  const y = load<u32>(b);
  if (x != y) return x < y ? -1 : 1;
  const m = suffixOf(a);
  const n = suffixOf(b);
  if (m > HEAD_BYTES && n > HEAD_BYTES) {
    const fixed = fixedOf(page);
    const rest = compare(cellOf(page, a) + fixed, cellOf(page, b) + fixed, min(m, n) - HEAD_BYTES);
    if (rest) return rest;
  }
  return <i32> (m > n) - <i32> (m < n);
}

/** A full key is at most this long, with room for what keyCopy writes beyond it. */
const left = memory.data(2064, 16);
const right = memory.data(2064, 16);

/** Order of the key of one page's slot against the key of another's: −1, 0, 1. */
export function orderAcross(page: usize, index: u32, other: usize, otherIndex: u32): i32 {
  const m = keyCopy(page, slotOf(page, index), left);
  const n = keyCopy(other, slotOf(other, otherIndex), right);
  const sign = compare(left, right, min(m, n));
  return sign ? sign : <i32> (m > n) - <i32> (m < n);
}

// ---- keys ---------------------------------------------------------------------------------------------------

/** Writes the full key of a slot to `into` and returns its length. */
export function keyCopy(page: usize, slot: usize, into: usize): u32 {
  const prefix = prefixOf(page);
  const suffix = suffixOf(slot);
  memory.copy(into, page + PAGE_HEADER, prefix);
  const at = into + prefix;
  store<u32>(at, bswap<u32>(load<u32>(slot))); // up to four bytes too many: callers leave room
  if (suffix > HEAD_BYTES) memory.copy(at + HEAD_BYTES, cellOf(page, slot) + fixedOf(page), suffix - HEAD_BYTES);
  return prefix + suffix;
}

/** Set by find: whether the key is there. */
export let found: bool = false;

/**
 * Index of the first slot at or behind `from` whose key is not below the key (its bytes are followed by four zeros).
 */
export function find(page: usize, from: u32, key: usize, length: u32): u32 {
  found = false;
  const count = countOf(page);
  const prefix = prefixOf(page);
  if (prefix) {
    const n = min(prefix, length);
    const order = compare(key, page + PAGE_HEADER, n);
    if (order < 0) return from;
    if (order > 0) return count;
    if (length < prefix) return from;
  }
  const suffix = length - prefix;
  const at = key + prefix;
  // The bytes behind the key's end are zero, as in the heads.
  const head = bswap<u32>(load<u32>(at));
  const slots = slotsOf(page);
  let lo = from;
  let hi = count;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    const slot = slots + <usize> (mid << 3);
    const h = load<u32>(slot);
    if (h < head) lo = mid + 1;
    else if (h > head) hi = mid;
    else {
      const order = tie(page, slot, at, suffix);
      if (order < 0) lo = mid + 1;
      else {
        hi = mid;
        if (!order) {
          found = true;
          return mid;
        }
      }
    }
  }
  return lo;
}

/** Order of a slot's key against a key with the same head: −1, 0, 1. */
function tie(page: usize, slot: usize, key: usize, length: u32): i32 {
  const suffix = suffixOf(slot);
  if (suffix <= HEAD_BYTES || length <= HEAD_BYTES) return <i32> (suffix > length) - <i32> (suffix < length);
  const order = compare(
    cellOf(page, slot) + fixedOf(page),
    key + HEAD_BYTES,
    min(suffix, length) - HEAD_BYTES,
  );
  return order ? order : <i32> (suffix > length) - <i32> (suffix < length);
}

/** Order of `n` bytes: −1, 0, 1. */
export function compare(a: usize, b: usize, n: u32): i32 {
  let i: u32 = 0;
  while (i + 8 <= n) {
    const x = load<u64>(a + i);
    const y = load<u64>(b + i);
    if (x != y) return bswap<u64>(x) < bswap<u64>(y) ? -1 : 1;
    i += 8;
  }
  for (; i < n; i++) {
    const x = load<u8>(a + i);
    const y = load<u8>(b + i);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Index of the branch slot whose subtree holds the key. */
@inline
export function childIndex(page: usize, key: usize, length: u32): u32 {
  const at = find(page, 1, key, length);
  return found ? at : at - 1;
}

// ---- changing -------------------------------------------------------------------------------------------------

/** Removes slot `index` and leaves its cell as a hole (or gives it back when it is the lowest). */
export function removeCell(page: usize, pageSize: u32, index: u32): void {
  const count = countOf(page);
  const slot = slotOf(page, index);
  const size = cellSize(page, slot);
  const cells = <u32> load<u16>(page, PAGE_CELLS);
  if (<u32> load<u16>(slot, SLOT_OFFSET) == pageSize - cells) store<u16>(page, <u16> (cells - size), PAGE_CELLS);
  else store<u16>(page, <u16> (load<u16>(page, PAGE_HOLES) + size), PAGE_HOLES);
  memory.copy(slot, slot + SLOT_SIZE, (count - index - 1) * SLOT_SIZE);
  store<u16>(page, <u16> (count - 1), PAGE_COUNT);
}

/**
 * Opens a slot at `index` for a key (absolute bytes, followed by four zeros, starting with the page's prefix) and returns the address of a
 * cell with room for `payload` bytes behind the fixed part and the key rest, which is already written; 0 when the contiguous space is too small.
 */
export function insertCell(page: usize, pageSize: u32, index: u32, key: usize, length: u32, payload: u32): usize {
  const count = countOf(page);
  const prefix = prefixOf(page);
  const suffix = length - prefix;
  const rest = restOf(suffix);
  const fixed = fixedOf(page);
  const size = fixed + rest + payload;
  const cells = <u32> load<u16>(page, PAGE_CELLS);
  const slots = slotsOf(page);
  const slotsEnd = <u32> (slots - page) + count * SLOT_SIZE;
  if (slotsEnd + SLOT_SIZE + cells + size > pageSize) return 0;
  const slot = slots + <usize> (index * SLOT_SIZE);
  memory.copy(slot + SLOT_SIZE, slot, (count - index) * SLOT_SIZE);
  const offset = pageSize - cells - size;
  store<u32>(slot, suffix ? bswap<u32>(load<u32>(key + prefix)) : 0);
  store<u16>(slot, <u16> offset, SLOT_OFFSET);
  store<u16>(slot, <u16> suffix, SLOT_KEY);
  store<u16>(page, <u16> (count + 1), PAGE_COUNT);
  store<u16>(page, <u16> (cells + size), PAGE_CELLS);
  const cell = page + offset;
  if (rest) memory.copy(cell + fixed, key + prefix + HEAD_BYTES, rest);
  return cell;
}

/** Whether the key starts with the page's prefix. */
@inline
export function hasPrefix(page: usize, key: usize, length: u32): bool {
  const prefix = prefixOf(page);
  return !prefix || (length >= prefix && !compare(key, page + PAGE_HEADER, prefix));
}

/** Moves the cells together so that all free space is contiguous. `scratch` holds a page. */
export function defragment(page: usize, pageSize: u32, scratch: usize): void {
  if (!load<u16>(page, PAGE_HOLES)) return;
  memory.copy(scratch, page, pageSize);
  const count = countOf(page);
  const slots = slotsOf(page);
  let end = pageSize;
  for (let i: u32 = 0; i < count; i++) {
    const slot = slots + <usize> (i * SLOT_SIZE);
    const size = cellSize(scratch, scratch + (slot - page));
    end -= size;
    memory.copy(page + end, scratch + load<u16>(slot, SLOT_OFFSET), size);
    store<u16>(slot, <u16> end, SLOT_OFFSET);
  }
  store<u16>(page, <u16> (pageSize - end), PAGE_CELLS);
  store<u16>(page, 0, PAGE_HOLES);
  const slotsEnd = <u32> (slots - page) + count * SLOT_SIZE;
  memory.fill(page + slotsEnd, 0, end - slotsEnd);
}

// ---- sealing --------------------------------------------------------------------------------------------------

/** Writes place, file id and birth into the header; the checksum comes from the caller. */
export function stamp(page: usize, place: u32, fileId: u64, birth: u64): void {
  store<u32>(page, place, PAGE_NUMBER);
  store<u64>(page, fileId, PAGE_FILE_ID);
  store<u32>(page, <u32> birth, PAGE_BIRTH);
  store<u16>(page, <u16> (birth >> 32), PAGE_BIRTH + 4);
}

@inline
export function setChecksum(page: usize, crc: u32): void {
  store<u32>(page, crc, PAGE_CRC);
}
