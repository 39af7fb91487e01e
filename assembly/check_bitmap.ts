// The whole-file check's second half: the bitmap's own pages, then its bits against the pages reached.
//
// Two passes over the index, because the bitmap's pages have bits as well: the first reaches every index and bitmap page, the second reads the bitmaps
// and compares. A subtree whose index page is damaged is unknown to both. A position is visited once per pass, so the work is bounded by the page count.
import { bitmapBits, bitmapFanout, bitmapLevels, bitmapMetaPages, bitmapPageSize, bitmapVerify, bitsEnd, countBits, LEVEL_MAX, load48 } from "./bitmap";
import { count, finding, see, seenPages, seenWord } from "./check_report";
import { take } from "./check_source";
import { incomplete } from "./check_walk";
import { getWord } from "./ctrl";
import {
  BITMAP_ENTRY,
  BITMAP_USED,
  CHECK_BITMAP_PAGES,
  CHECK_FREE_PAGES,
  CHECK_LEAKED_PAGES,
  CTRL_ERROR_A,
  CTRL_ERROR_B,
  CTRL_ERROR_REASON,
  DONE,
  NEED_PAGE,
  OK,
  OUT_OF_MEMORY,
  PAGE_HEADER,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_DEPTH,
  REASON_DUPLICATE,
  REASON_LEAK,
  REASON_UNMARKED,
  REASON_UNREADABLE,
  SEVERITY_ERROR,
  SEVERITY_WARNING,
} from "./format";
import { allocate, release } from "./mem";

// Frame, 40 bytes.
const F_BYTES: usize = 0;
const F_PAGE: usize = 4;
const F_LEVEL: usize = 8;
const F_POSITION: usize = 12;
const F_INDEX: usize = 16; // next entry
const F_READ: usize = 20;
const F_BIRTH: usize = 24; // u64
const F_CRC: usize = 32;
const F_USED: usize = 36; // what the entry above says; UNKNOWN for the root
const UNKNOWN: u32 = 0xffffffff;
const frames = memory.data(4 * 40, 16);
const root = memory.data(16, 8);
let depth: u32 = 0;
let topLevel: u32 = 0;
let chunks: u32 = 0;
/** No checkpoint was made yet: there is no bitmap, and every page is in use. */
let fresh: bool = false;
/** Pages in use that were not reached are told also when that may be for damage above them. */
let tellLeaks: bool = false;
/** 1: reaching the bitmap's pages, 2: comparing bits. */
let pass: u32 = 0;

// Stretches of equal findings: first page, length, reason.
let stretchAt: u32 = 0;
let stretchLength: u32 = 0;
let stretchReason: u32 = 0;

@inline
function frame(index: u32): usize {
  return frames + <usize> (index * 40);
}

/** Prepares both passes; the meta slot says where the bitmap is, how many levels it has, and whether there are tables. */
export function bitmapsStart(pointer: usize, level: u32, tables: bool, leaks: bool): void {
  bitmapsEnd();
  tellLeaks = leaks;
  memory.copy(root, pointer, 14);
  fresh = !tables && !load<u32>(root);
  topLevel = level;
  chunks = (seenPages + bitmapBits - 1) / bitmapBits;
  pass = 0;
}

/** Gives the buffers back. */
export function bitmapsEnd(): void {
  depth = 0;
  for (let i: u32 = 0; i <= LEVEL_MAX; i++) {
    release(<usize> load<u32>(frame(i), F_BYTES), bitmapPageSize);
    store<u32>(frame(i), 0, F_BYTES);
  }
}

/** Work up to and including the next page read: OK, NEED_PAGE, DONE, OUT_OF_MEMORY. */
export function compareBitmaps(): i32 {
  for (;;) {
    if (!depth) {
      if (pass == 2) break;
      if (fresh) {
        for (let chunk: u32 = 0; chunk < chunks; chunk++) compare(chunk, 0);
        break;
      }
      if (!pass && topLevel != bitmapLevels(chunks)) {
        finding(SEVERITY_ERROR, REASON_DEPTH, load<u32>(root), 0, bitmapLevels(chunks), topLevel, topLevel, 0);
        break;
      }
      const status = enter(root, topLevel, 0, UNKNOWN, 0, pass + 1);
      if (status != OK) return status;
      pass++;
      continue;
    }
    const f = frame(depth - 1);
    const bytes = <usize> load<u32>(f, F_BYTES);
    if (!load<u32>(f, F_READ)) {
      const status = take(load<u32>(f, F_PAGE), bytes);
      if (status == NEED_PAGE) return status;
      arrived(f, bytes, status == OK);
      return OK;
    }
    const i = load<u32>(f, F_INDEX);
    if (i == bitmapFanout) {
      depth--;
      continue;
    }
    const status = entry(f, bytes, i);
    if (status != OK) return status;
    store<u32>(f, i + 1, F_INDEX);
  }
  flush();
  return DONE;
}

function report(f: usize, reason: u32, want: u32, have: u32): void {
  finding(SEVERITY_ERROR, reason, load<u32>(f, F_PAGE), 0, want, have, load<u32>(f, F_LEVEL), depth);
}

/** Pages below one position of a level. */
function spanOf(level: u32): u64 {
  let span: u64 = bitmapBits;
  for (let i: u32 = 0; i < level; i++) span *= bitmapFanout;
  return span;
}

/** One entry of an index page. */
function entry(f: usize, bytes: usize, index: u32): i32 {
  const below = load<u32>(f, F_LEVEL) - 1;
  const at = bytes + PAGE_HEADER + index * BITMAP_ENTRY;
  const position = load<u32>(f, F_POSITION) * bitmapFanout + index;
  const inside = <u64> position * spanOf(below) < <u64> seenPages;
  if (!load<u32>(at, POINTER_PAGE)) {
    if (pass == 2 && inside) compareEmpty(position, below);
    return OK;
  }
  if (!inside) {
    if (pass == 1) report(f, REASON_BOUNDS, seenPages, load<u32>(at, POINTER_PAGE));
    return OK;
  }
  return enter(at, below, position, load<u32>(at, BITMAP_USED), load<u32>(f, F_PAGE), pass);
}

/** Reaches a bitmap or index page through a pointer in page `from`. */
function enter(pointer: usize, level: u32, position: u32, used: u32, from: u32, now: u32): i32 {
  const page = load<u32>(pointer, POINTER_PAGE);
  const good = page >= bitmapMetaPages && page < seenPages;
  const f = frame(depth);
  if (good && !load<u32>(f, F_BYTES)) {
    const bytes = allocate(bitmapPageSize);
    if (!bytes) return OUT_OF_MEMORY;
    store<u32>(f, <u32> bytes, F_BYTES);
  }
  if (now == 1) {
    if (!good) {
      finding(SEVERITY_ERROR, REASON_BOUNDS, from, 0, seenPages, page, level, depth);
    } else if (!see(page)) {
      finding(SEVERITY_ERROR, REASON_DUPLICATE, page, 0, 0, from, level, depth);
    } else {
      count(CHECK_BITMAP_PAGES, 1);
    }
    if (!level) return OK;
  }
  if (!good) return OK;
  store<u32>(f, page, F_PAGE);
  store<u32>(f, level, F_LEVEL);
  store<u32>(f, position, F_POSITION);
  store<u32>(f, 0, F_INDEX);
  store<u32>(f, 0, F_READ);
  store<u64>(f, load48(pointer + POINTER_BIRTH), F_BIRTH);
  store<u32>(f, load<u32>(pointer, POINTER_CRC), F_CRC);
  store<u32>(f, used, F_USED);
  depth++;
  return OK;
}

/** Judges a page that has been read. Index pages are judged in the first pass, bitmaps in the second. */
function arrived(f: usize, bytes: usize, readable: bool): void {
  const level = load<u32>(f, F_LEVEL);
  const position = load<u32>(f, F_POSITION);
  const loud = !level || pass == 1;
  let fault = !readable;
  if (fault) {
    if (loud) report(f, REASON_UNREADABLE, 0, 0);
  } else if (bitmapVerify(bytes, load<u32>(f, F_PAGE), load<u32>(f, F_CRC), load<u64>(f, F_BIRTH), level, position) != OK) {
    fault = true;
    if (loud) report(f, getWord(CTRL_ERROR_REASON), getWord(CTRL_ERROR_A), getWord(CTRL_ERROR_B));
  }
  if (fault) {
    depth--;
    return;
  }
  const used = level ? sumOf(bytes) : countBits(bytes);
  const want = load<u32>(f, F_USED);
  if (loud && want != UNKNOWN && used != want) report(f, REASON_COUNT, want, <u32> min<u64>(used, 0xffffffff));
  if (level) {
    store<u32>(f, 1, F_READ);
    return;
  }
  const end = position * bitmapBits + bitsEnd(bytes);
  if (end > seenPages) report(f, REASON_BOUNDS, seenPages, end);
  compare(position, bytes);
  depth--;
}

function sumOf(bytes: usize): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < bitmapFanout; i++) sum += load<u32>(bytes + PAGE_HEADER + i * BITMAP_ENTRY, BITMAP_USED);
  return sum;
}

// ---- bits -----------------------------------------------------------------------------------------------

/** Every bitmap below a missing entry is all free. */
function compareEmpty(position: u32, level: u32): void {
  let first: u64 = position;
  let span: u64 = 1;
  for (let i: u32 = 0; i < level; i++) {
    first *= bitmapFanout;
    span *= bitmapFanout;
  }
  const end = min<u64>(first + span, chunks);
  for (; first < end; first++) compare(<u32> first, 0);
}

/** Bits in use against pages reached; `bytes` 0: all free, in a fresh file none. */
function compare(chunk: u32, bytes: usize): void {
  const base = chunk * bitmapBits;
  const end = min<u32>(base + bitmapBits, seenPages);
  let free: u32 = 0;
  for (let page = base; page < end; page += 64) {
    const valid: u64 = end - page >= 64 ? <u64> -1 : (<u64> 1 << (end - page)) - 1;
    const used = (bytes ? load<u64>(bytes + PAGE_HEADER + ((page - base) >> 3)) : fresh ? <u64> -1 : 0) & valid;
    const reached = seenWord(page) & valid;
    free += <u32> popcnt<u64>(~used & valid);
    let odd = used ^ reached;
    while (odd) {
      const bit = <u32> ctz<u64>(odd);
      odd &= odd - 1;
      differs(page + bit, used >> bit & 1 ? REASON_LEAK : REASON_UNMARKED);
    }
  }
  count(CHECK_FREE_PAGES, <f64> free);
}

/** A page where bitmap and reach differ. After damage, pages in use may just not have been reached: then that is no finding. */
function differs(page: u32, reason: u32): void {
  if (reason == REASON_LEAK) {
    if (incomplete && !tellLeaks) return;
    count(CHECK_LEAKED_PAGES, 1);
  }
  if (stretchLength && stretchReason == reason && stretchAt + stretchLength == page) {
    stretchLength++;
    return;
  }
  flush();
  stretchAt = page;
  stretchLength = 1;
  stretchReason = reason;
}

/** Reports the stretch gathered so far: its first page, and its length as the actual value. */
function flush(): void {
  if (!stretchLength) return;
  finding(stretchReason == REASON_LEAK ? SEVERITY_WARNING : SEVERITY_ERROR, stretchReason, stretchAt, 0, 0, stretchLength, 0, 0);
  stretchLength = 0;
}
