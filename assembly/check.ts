// The whole-file check: every page is reached exactly once or free, never both, never neither; and every page is what its pointer says.
//
// It works on one durable meta generation as storage has it. Order of work: meta and journal pages; the roots tree, below each of its rows that table's
// tree, with runs (check_walk.ts); the bitmap's own pages, then its bits against the pages reached (check_bitmap.ts). It goes on after damage: what
// lies below a page that cannot be used stays unknown.
//
// Invariants:
//   1. No arrangement of pointers makes it run forever: tree pages are read when reached for the first time, bitmap positions once per pass.
//   2. Nothing outside its own buffers is written, whatever the pages hold.
//   3. The generation does not change under the check: the caller holds it (spaceHold) from checkBegin to DONE or checkEnd.
import { bitmapMetaPages, bitmapSetup, load48 } from "./bitmap";
import { bitmapsEnd, bitmapsStart, compareBitmaps } from "./check_bitmap";
import { count, finding, reportEnd, reportStart, see, seenPages, setCounter } from "./check_report";
import { sourceReset } from "./check_source";
import { visitStart, walk, walkEnd, walkStart } from "./check_walk";
import { corruptPage, invariant } from "./ctrl";
import {
  CHECK_JOURNAL_PAGES,
  CHECK_META_PAGES,
  CHECK_PAGES,
  CHECK_UNLINKED,
  DONE,
  META_BIRTH,
  META_BITMAP,
  META_BITMAP_LEVEL,
  META_EXTENT_COUNT,
  META_EXTENTS,
  META_EXTENTS_MAX,
  META_FILE_ID,
  META_PAGE_COUNT,
  META_PAGE_SHIFT,
  META_ROOTS,
  META_ROOTS_LEVEL,
  MORE,
  OK,
  PAGE_NUMBER_MAX,
  PAGE_SHIFT_MAX,
  PAGE_SHIFT_MIN,
  POINTER_PAGE,
  REASON_BOUNDS,
  REASON_DUPLICATE,
  SEVERITY_ERROR,
} from "./format";

const IDLE: u32 = 0;
const TREES: u32 = 1;
const BITMAPS: u32 = 2;
const FINISHED: u32 = 3;
const VISIT: u32 = 4;
let phase: u32 = IDLE;
const pointer = memory.data(16, 8);
let bitmapLevel: u32 = 0;
let hasTables: bool = false;
let tellLeaks: bool = false;

/**
 * Starts a check of what a verified meta slot names. Level 1: everything but the contents of overflow runs; 2: those too. With CHECK_UNLINKED added, pages in use that nothing leads to are findings also where that may
 * be for damage above them.
 */
export function checkBegin(meta: usize, level: u32): i32 {
  let status = begin(meta);
  if (status != OK) return status;
  extents(meta);
  memory.copy(pointer, meta + META_BITMAP, 14);
  bitmapLevel = load<u8>(meta, META_BITMAP_LEVEL);
  hasTables = load<u32>(meta, META_ROOTS + POINTER_PAGE) != 0;
  status = walkStart(meta + META_ROOTS, load<u8>(meta, META_ROOTS_LEVEL), load<u64>(meta, META_FILE_ID), load48(meta + META_BIRTH), (level & ~CHECK_UNLINKED) > 1);
  tellLeaks = (level & CHECK_UNLINKED) != 0;
  return began(status, TREES);
}

/**
 * Starts a visit of one tree, from the page that a pointer names, in a file of which a meta slot says page size, page count, file id and newest birth. Then visitStep until DONE; findings as in a check.
 */
export function visitBegin(meta: usize, root: usize, level: u32, table: u32): i32 {
  const status = begin(meta);
  if (status != OK) return status;
  return began(visitStart(root, level, table, load<u64>(meta, META_FILE_ID), load48(meta + META_BIRTH)), VISIT);
}

/** Goes to the next leaf, or the next place that is lost: OK with CTRL_VISIT_*, DONE, MORE (nothing yet), NEED_PAGE, OUT_OF_MEMORY. */
export function visitStep(): i32 {
  if (phase != VISIT) return phase == FINISHED ? DONE : invariant(7041);
  const status = walk();
  if (status == OK) return MORE;
  if (status == MORE) return OK;
  if (status == DONE) {
    giveBack();
    phase = FINISHED;
  }
  return status;
}

function began(status: i32, next: u32): i32 {
  if (status == OK) phase = next;
  else reportEnd();
  return status;
}

/** What a check and a visit have in common. */
function begin(meta: usize): i32 {
  checkEnd();
  const shift = <u32> load<u8>(meta, META_PAGE_SHIFT);
  const pages = load<u32>(meta, META_PAGE_COUNT);
  if (shift < <u32> PAGE_SHIFT_MIN || shift > <u32> PAGE_SHIFT_MAX) return corruptPage(0, REASON_BOUNDS, PAGE_SHIFT_MAX, shift);
  const fileId = load<u64>(meta, META_FILE_ID);
  bitmapSetup(shift, fileId);
  if (pages < bitmapMetaPages || pages > <u32> PAGE_NUMBER_MAX) return corruptPage(0, REASON_BOUNDS, PAGE_NUMBER_MAX, pages);
  const status = reportStart(pages);
  if (status != OK) return status;
  sourceReset();
  setCounter(CHECK_PAGES, pages);
  setCounter(CHECK_META_PAGES, bitmapMetaPages);
  for (let i: u32 = 0; i < bitmapMetaPages; i++) see(i);
  return OK;
}

/** The journal's extents are in use. */
function extents(meta: usize): void {
  const have = <u32> load<u16>(meta, META_EXTENT_COUNT);
  if (have > <u32> META_EXTENTS_MAX) finding(SEVERITY_ERROR, REASON_BOUNDS, 0, 0, META_EXTENTS_MAX, have, 0, 0);
  for (let i: u32 = 0, n = min<u32>(have, META_EXTENTS_MAX); i < n; i++) {
    const first = load<u32>(meta + META_EXTENTS + (i << 3));
    const length = load<u32>(meta + META_EXTENTS + (i << 3), 4);
    if (first >= seenPages || length > seenPages - first) {
      finding(SEVERITY_ERROR, REASON_BOUNDS, first, 0, seenPages, length, 0, 0);
      continue;
    }
    let twice = false;
    for (let k: u32 = 0; k < length; k++) {
      if (!see(first + k)) {
        if (!twice) finding(SEVERITY_ERROR, REASON_DUPLICATE, first + k, 0, 0, 0, 0, 0);
        twice = true;
      }
    }
    count(CHECK_JOURNAL_PAGES, <f64> length);
  }
}

/** Goes on for at most `maxPages` pages: MORE, DONE, NEED_PAGE (the check's own request), OUT_OF_MEMORY. Results: checkFindings. */
export function checkStep(maxPages: u32): i32 {
  if (phase == IDLE || phase == VISIT) return invariant(7040);
  for (let n: u32 = 0; n < maxPages; n++) {
    if (phase == FINISHED) return DONE;
    const status = phase == TREES ? walk() : compareBitmaps();
    if (status == OK) continue;
    if (status != DONE) return status;
    if (phase == TREES) {
      walkEnd();
      bitmapsStart(pointer, bitmapLevel, hasTables, tellLeaks);
      phase = BITMAPS;
    } else {
      giveBack();
      phase = FINISHED;
      return DONE;
    }
  }
  return phase == FINISHED ? DONE : MORE;
}

function giveBack(): void {
  walkEnd();
  bitmapsEnd();
  reportEnd();
}

/** Ends a check, finished or not, and gives its memory back. Findings and summary stay until the next one. */
export function checkEnd(): void {
  if (phase != IDLE && phase != FINISHED) giveBack();
  phase = IDLE;
}
