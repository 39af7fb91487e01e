// One page of the space bitmap: bits behind the page header, one per page of the file, set = in use.
//
// Every buffer here is a whole page; bit 0 is the lowest bit of the first byte behind the header. The bits of a page are a whole number of
// 64-bit words at every page size. Index pages hold fixed entries {pointer, used count} and are sealed and verified in the same way.
import { corruptPage } from "./ctrl";
import { crc32c } from "./crc32c";
import {
  BITMAP_ENTRY,
  BITMAP_POSITION,
  META_BYTES,
  OK,
  PAGE_BIRTH,
  PAGE_BITMAP,
  PAGE_BITMAP_INDEX,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_HEADER,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_TYPE,
  REASON_CRC,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_STALE,
  REASON_TYPE,
} from "./format";

/** Levels of index above the bitmaps never exceed this: 2^31 pages at the smallest page size. */
export const LEVEL_MAX: u32 = 3;

/** Bytes of a page, bits in a bitmap page, entries in an index page. */
export let bitmapPageSize: u32 = 4096;
export let bitmapBits: u32 = 32512;
export let bitmapFanout: u32 = 225;
/** Pages at the start of the file that hold the meta slots: never given out, whatever a bitmap says. */
export let bitmapMetaPages: u32 = 4;
let fileId: u64 = 0;

export function bitmapSetup(pageShift: u32, id: u64): void {
  bitmapPageSize = 1 << pageShift;
  bitmapBits = (bitmapPageSize - PAGE_HEADER) << 3;
  bitmapFanout = (bitmapPageSize - PAGE_HEADER) / BITMAP_ENTRY;
  bitmapMetaPages = max<u32>(1, <u32> META_BYTES >> pageShift);
  fileId = id;
}

/** Levels of index a file needs whose pages lie in `chunks` bitmaps. */
export function bitmapLevels(chunks: u32): u32 {
  let level: u32 = 0;
  for (let span: u64 = 1; span < chunks; span *= bitmapFanout) level++;
  return level;
}

// ---- bits -----------------------------------------------------------------------------------------------

@inline
function word(buffer: usize, bit: u32): usize {
  return buffer + PAGE_HEADER + (<usize> (bit >> 6) << 3);
}

/** The first clear bit at or behind `from`; bitmapBits when there is none. */
export function nextClear(buffer: usize, from: u32): u32 {
  if (from >= bitmapBits) return bitmapBits;
  let at = word(buffer, from);
  const end = buffer + bitmapPageSize;
  let bits = ~load<u64>(at) & (<u64> -1 << (from & 63));
  while (!bits) {
    at += 8;
    if (at == end) return bitmapBits;
    bits = ~load<u64>(at);
  }
  return (<u32> (at - buffer - PAGE_HEADER) << 3) + <u32> ctz<u64>(bits);
}

/** The first set bit at or behind `from`; bitmapBits when there is none. */
export function nextSet(buffer: usize, from: u32): u32 {
  if (from >= bitmapBits) return bitmapBits;
  let at = word(buffer, from);
  const end = buffer + bitmapPageSize;
  let bits = load<u64>(at) & (<u64> -1 << (from & 63));
  while (!bits) {
    at += 8;
    if (at == end) return bitmapBits;
    bits = load<u64>(at);
  }
  return (<u32> (at - buffer - PAGE_HEADER) << 3) + <u32> ctz<u64>(bits);
}

/** Bits in use: 1 + the highest set bit, 0 when all are clear. */
export function bitsEnd(buffer: usize): u32 {
  let at = buffer + bitmapPageSize;
  while (at > buffer + PAGE_HEADER) {
    at -= 8;
    const bits = load<u64>(at);
    if (bits) return (<u32> (at - buffer - PAGE_HEADER) << 3) + 64 - <u32> clz<u64>(bits);
  }
  return 0;
}

export function countBits(buffer: usize): u32 {
  let total: u32 = 0;
  for (let at = buffer + PAGE_HEADER, end = buffer + bitmapPageSize; at < end; at += 8) total += <u32> popcnt<u64>(load<u64>(at));
  return total;
}

/** The part of a word's bits that [bit, bit + count) covers. */
@inline
function maskOf(bit: u32, count: u32): u64 {
  const low = bit & 63;
  const take = min<u32>(64 - low, count);
  return (take == 64 ? <u64> -1 : ((<u64> 1 << take) - 1)) << low;
}

/** Sets bits [bit, bit + count); the caller keeps them inside the page. */
export function setBits(buffer: usize, bit: u32, count: u32): void {
  while (count) {
    const at = word(buffer, bit);
    store<u64>(at, load<u64>(at) | maskOf(bit, count));
    const step = min<u32>(64 - (bit & 63), count);
    bit += step;
    count -= step;
  }
}

/** Clears bits [bit, bit + count) and returns how many of them were set. */
export function clearBits(buffer: usize, bit: u32, count: u32): u32 {
  let were: u32 = 0;
  while (count) {
    const at = word(buffer, bit);
    const mask = maskOf(bit, count);
    const bits = load<u64>(at);
    were += <u32> popcnt<u64>(bits & mask);
    store<u64>(at, bits & ~mask);
    const step = min<u32>(64 - (bit & 63), count);
    bit += step;
    count -= step;
  }
  return were;
}

/** Adds the set bits of `from` to `into`. */
export function mergeBits(into: usize, from: usize): void {
  for (let i: u32 = PAGE_HEADER; i < bitmapPageSize; i += 8) {
    store<u64>(into + i, load<u64>(into + i) | load<u64>(from + i));
  }
}

// ---- pages ----------------------------------------------------------------------------------------------

/** A u48 at `at`. */
@inline
export function load48(at: usize): u64 {
  return <u64> load<u32>(at) | (<u64> load<u16>(at, 4) << 32);
}

@inline
export function store48(at: usize, value: u64): void {
  store<u32>(at, <u32> value);
  store<u16>(at, <u16> (value >> 32), 4);
}

/** Writes the header of a bitmap or index page whose contents are complete and returns its checksum. */
export function bitmapSeal(buffer: usize, page: u32, level: u32, position: u32, birth: u64): u32 {
  memory.fill(buffer, 0, PAGE_HEADER);
  store<u8>(buffer, level ? PAGE_BITMAP_INDEX : PAGE_BITMAP, PAGE_TYPE);
  store<u8>(buffer, <u8> level, PAGE_LEVEL);
  store<u32>(buffer, page, PAGE_NUMBER);
  store<u64>(buffer, fileId, PAGE_FILE_ID);
  store48(buffer + PAGE_BIRTH, birth);
  store<u32>(buffer, position, BITMAP_POSITION);
  const crc = crc32c(buffer + 4, bitmapPageSize - 4, 0);
  store<u32>(buffer, crc, PAGE_CRC);
  return crc;
}

/** Whether a buffer holds the page that a pointer names: OK or CORRUPT_PAGE. */
export function bitmapVerify(buffer: usize, page: u32, crc: u32, birth: u64, level: u32, position: u32): i32 {
  const actual = crc32c(buffer + 4, bitmapPageSize - 4, 0);
  if (actual != load<u32>(buffer, PAGE_CRC)) return corruptPage(page, REASON_CRC, load<u32>(buffer, PAGE_CRC), actual);
  if (load<u64>(buffer, PAGE_FILE_ID) != fileId) return corruptPage(page, REASON_FOREIGN, <u32> fileId, load<u32>(buffer, PAGE_FILE_ID));
  const number = load<u32>(buffer, PAGE_NUMBER);
  if (number != page) return corruptPage(page, REASON_MISPLACED, page, number);
  if (actual != crc) return corruptPage(page, REASON_STALE, crc, actual);
  if (load48(buffer + PAGE_BIRTH) != birth) return corruptPage(page, REASON_STALE, <u32> birth, load<u32>(buffer, PAGE_BIRTH));
  const type = load<u8>(buffer, PAGE_TYPE);
  const want: u32 = level ? PAGE_BITMAP_INDEX : PAGE_BITMAP;
  if (type != want) return corruptPage(page, REASON_TYPE, want, type);
  if (load<u8>(buffer, PAGE_LEVEL) != level) return corruptPage(page, REASON_TYPE, level, load<u8>(buffer, PAGE_LEVEL));
  const there = load<u32>(buffer, BITMAP_POSITION);
  if (there != position) return corruptPage(page, REASON_MISPLACED, position, there);
  return OK;
}
