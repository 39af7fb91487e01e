// The whole-file check's way through the roots tree, every table's tree and their overflow runs.
//
// An explicit stack of pages from the roots tree's root down; a table's root page lies on top of the roots leaf that names it. Each frame keeps its
// page's bytes, so a page's separators are at hand as the fences of everything below it. A page is pushed only when it is reached for the first time.
import { bitmapMetaPages, bitmapPageSize, load48 } from "./bitmap";
import { count, counter, finding, see, seenPages, setCounter } from "./check_report";
import { take } from "./check_source";
import { actual, contentProblem, expected, firstKey, identityProblem, orderAcross } from "./check_tree";
import { crc32c } from "./crc32c";
import {
  CELL_OVERFLOW,
  CHECK_BRANCH_PAGES,
  CHECK_DEPTH,
  CHECK_KEY_BYTES,
  CHECK_LEAF_PAGES,
  CHECK_ROWS,
  CHECK_RUN_PAGES,
  CHECK_RUNS,
  CHECK_TABLES,
  CHECK_VALUE_BYTES,
  DONE,
  NEED_PAGE,
  OK,
  OUT_OF_MEMORY,
  PAGE_BIRTH,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_NUMBER,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  POINTER_SIZE,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_CRC,
  REASON_CYCLE,
  REASON_DEPTH,
  REASON_DUPLICATE,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_ORDER,
  REASON_STALE,
  REASON_TYPE,
  REASON_UNREADABLE,
  ROOT_LEVEL,
  ROOT_POINTER,
  ROOT_ROWS,
  ROOT_RUN_PAGES,
  ROOT_SIZE,
  RUN_HEADER,
  RUN_LENGTH,
  SEVERITY_ERROR,
  TABLE_DROPPED,
} from "./format";
import { allocate, release } from "./mem";
import { cellOf, countOf, keyCopy, prefixOf, restOf, slotOf, suffixOf } from "./page";

const LEVEL_MAX: u32 = 31;
/** Levels of the roots tree and of the deepest table together. */
const DEPTH_MAX: u32 = 40;

// Frame, 48 bytes.
const F_BYTES: usize = 0; // the page; kept from one page to the next
const F_PAGE: usize = 4;
const F_LEVEL: usize = 8;
const F_INDEX: usize = 12; // next slot to visit
const F_FLAGS: usize = 16;
const F_TABLE: usize = 20;
const F_BIRTH: usize = 24; // u64
const F_CRC: usize = 32;
const READ: u32 = 1;
const TREE_ROOT: u32 = 2; // fences end here
const IN_ROOTS: u32 = 4; // a page of the roots tree
const frames = memory.data(40 * 48, 16);
let depth: u32 = 0;
let scratch: usize = 0;

let deep: bool = false;
let fileId: u64 = 0;
let newestBirth: u64 = 0;
/** Something could not be followed, so not every page in use has been reached. */
export let incomplete: bool = false;

// The table being walked: what its root says, what was found, whether all of it could be followed.
let tableRows: u64 = 0;
let tableRunPages: u64 = 0;
let foundRows: u64 = 0;
let foundRunPages: u64 = 0;
let whole: bool = false;

// The run being read.
let runPage: u32 = 0;
let runPages: u32 = 0; // 0: none
let runIndex: u32 = 0;
let runCrc: u32 = 0;
let runHeaderCrc: u32 = 0;
let runWantCrc: u32 = 0;
let runBirth: u64 = 0;
let runLength: u32 = 0;

@inline
function frame(index: u32): usize {
  return frames + <usize> (index * 48);
}

/** Prepares the walk; `roots` is the pointer to the roots tree's root page (page 0: no tables). */
export function walkStart(roots: usize, level: u32, id: u64, birth: u64, readRuns: bool): i32 {
  walkEnd();
  scratch = allocate(bitmapPageSize);
  if (!scratch) return OUT_OF_MEMORY;
  fileId = id;
  newestBirth = birth;
  deep = readRuns;
  incomplete = false;
  runPages = 0;
  return load<u32>(roots, POINTER_PAGE) ? push(roots, level, 0, TREE_ROOT | IN_ROOTS, 0) : OK;
}

/** Gives the buffers back. */
export function walkEnd(): void {
  depth = 0;
  for (let i: u32 = 0; i < DEPTH_MAX; i++) {
    release(<usize> load<u32>(frame(i), F_BYTES), bitmapPageSize);
    store<u32>(frame(i), 0, F_BYTES);
  }
  release(scratch, bitmapPageSize);
  scratch = 0;
}

/** Work up to and including the next page read: OK, NEED_PAGE, DONE (all trees walked), OUT_OF_MEMORY. */
export function walk(): i32 {
  for (;;) {
    if (runPages) return readRun();
    if (!depth) break;
    const f = frame(depth - 1);
    const bytes = <usize> load<u32>(f, F_BYTES);
    if (!(load<u32>(f, F_FLAGS) & READ)) {
      const status = take(load<u32>(f, F_PAGE), bytes);
      if (status == NEED_PAGE) return status;
      arrived(f, bytes, status == OK);
      return OK;
    }
    const i = load<u32>(f, F_INDEX);
    if (i == countOf(bytes)) {
      if (load<u32>(f, F_FLAGS) & TREE_ROOT) tableEnd(f);
      depth--;
      continue;
    }
    store<u32>(f, i + 1, F_INDEX);
    let status = OK;
    if (load<u32>(f, F_LEVEL)) {
      const flags = load<u32>(f, F_FLAGS) & IN_ROOTS;
      status = push(cellOf(bytes, slotOf(bytes, i)), load<u32>(f, F_LEVEL) - 1, load<u32>(f, F_TABLE), flags, load<u32>(f, F_PAGE));
    } else if (load<u32>(f, F_FLAGS) & IN_ROOTS) {
      status = rootRow(f, bytes, i);
    } else {
      row(f, bytes, i);
    }
    if (status != OK) {
      store<u32>(f, i, F_INDEX);
      return status;
    }
  }
  return DONE;
}

function report(f: usize, reason: u32, want: u32, have: u32): void {
  finding(SEVERITY_ERROR, reason, load<u32>(f, F_PAGE), load<u32>(f, F_TABLE), want, have, load<u32>(f, F_LEVEL), depth);
}

/** What lies below cannot be followed. */
function lose(): void {
  incomplete = true;
  whole = false;
}

/** Reaches a tree page through a pointer in page `from` (0: the meta slot). */
function push(pointer: usize, level: u32, table: u32, flags: u32, from: u32): i32 {
  const page = load<u32>(pointer, POINTER_PAGE);
  if (level > LEVEL_MAX || depth == DEPTH_MAX) {
    lose();
    finding(SEVERITY_ERROR, REASON_DEPTH, page, table, LEVEL_MAX, level, level, depth);
    return OK;
  }
  if (page < bitmapMetaPages || page >= seenPages) {
    lose();
    finding(SEVERITY_ERROR, REASON_BOUNDS, from, table, seenPages, page, level, depth);
    return OK;
  }
  const f = frame(depth);
  if (!load<u32>(f, F_BYTES)) {
    const bytes = allocate(bitmapPageSize);
    if (!bytes) return OUT_OF_MEMORY;
    store<u32>(f, <u32> bytes, F_BYTES);
  }
  if (!see(page)) {
    lose();
    let reason: u32 = REASON_DUPLICATE;
    for (let i: u32 = 0; i < depth; i++) if (load<u32>(frame(i), F_PAGE) == page) reason = REASON_CYCLE;
    finding(SEVERITY_ERROR, reason, page, table, 0, from, level, depth);
    return OK;
  }
  store<u32>(f, page, F_PAGE);
  store<u32>(f, level, F_LEVEL);
  store<u32>(f, 0, F_INDEX);
  store<u32>(f, flags, F_FLAGS);
  store<u32>(f, table, F_TABLE);
  store<u64>(f, load48(pointer + POINTER_BIRTH), F_BIRTH);
  store<u32>(f, load<u32>(pointer, POINTER_CRC), F_CRC);
  depth++;
  return OK;
}

/** Judges a page that has been read; a page that cannot be used is left. */
function arrived(f: usize, bytes: usize, readable: bool): void {
  const level = load<u32>(f, F_LEVEL);
  let reason: u32 = REASON_UNREADABLE;
  let want: u32 = 0;
  let have: u32 = 0;
  if (readable) {
    reason = identityProblem(bytes, bitmapPageSize, load<u32>(f, F_PAGE), load<u32>(f, F_CRC), load<u64>(f, F_BIRTH), fileId);
    if (!reason) reason = contentProblem(bytes, bitmapPageSize, level, scratch);
    want = expected;
    have = actual;
  }
  if (reason) {
    lose();
    report(f, reason, want, have);
    depth--;
    return;
  }
  if (load<u64>(f, F_BIRTH) > newestBirth) report(f, REASON_STALE, <u32> newestBirth, load<u32>(f, F_BIRTH));
  store<u32>(f, load<u32>(f, F_FLAGS) | READ, F_FLAGS);
  count(level ? CHECK_BRANCH_PAGES : CHECK_LEAF_PAGES, 1);
  if (countOf(bytes) > firstKey(bytes)) fences(f, bytes);
}

/** Keys lie within the separators above: at or behind the left one (behind it in a branch, whose keys are separators too), before the right one. */
function fences(f: usize, bytes: usize): void {
  let low = true;
  let high = true;
  for (let d = depth - 1; d > 0 && (low || high); d--) {
    if (load<u32>(frame(d), F_FLAGS) & TREE_ROOT) return;
    const above = frame(d - 1);
    const parent = <usize> load<u32>(above, F_BYTES);
    const at = load<u32>(above, F_INDEX) - 1;
    if (low && at) {
      low = false;
      const order = orderAcross(bytes, firstKey(bytes), parent, at);
      if (order < 0 || !order && load<u32>(f, F_LEVEL)) report(f, REASON_ORDER, load<u32>(above, F_PAGE), firstKey(bytes));
    }
    if (high && at + 1 < countOf(parent)) {
      high = false;
      if (orderAcross(bytes, countOf(bytes) - 1, parent, at + 1) >= 0) report(f, REASON_ORDER, load<u32>(above, F_PAGE), countOf(bytes) - 1);
    }
  }
}

// ---- rows -----------------------------------------------------------------------------------------------

const id = memory.data(1040, 16);

/** A row of the roots tree: goes on with the table it names. */
function rootRow(f: usize, bytes: usize, index: u32): i32 {
  const slot = slotOf(bytes, index);
  const length = prefixOf(bytes) + suffixOf(slot);
  const cell = cellOf(bytes, slot);
  if (length != 4 || load<u16>(cell) != ROOT_SIZE) {
    lose();
    report(f, REASON_BOUNDS, ROOT_SIZE, load<u16>(cell));
    return OK;
  }
  keyCopy(bytes, slot, id);
  const table = bswap<u32>(load<u32>(id));
  const root = cell + 2 + restOf(suffixOf(slot));
  tableRows = load<u64>(root, ROOT_ROWS);
  tableRunPages = load<u64>(root, ROOT_RUN_PAGES);
  foundRows = 0;
  foundRunPages = 0;
  whole = true;
  const level = <u32> load<u8>(root, ROOT_LEVEL);
  if (!load<u32>(root + ROOT_POINTER)) {
    if (tableRows || tableRunPages) finding(SEVERITY_ERROR, REASON_COUNT, load<u32>(f, F_PAGE), table, <u32> tableRows, 0, 0, depth);
  } else {
    const status = push(root + ROOT_POINTER, level, table, TREE_ROOT, load<u32>(f, F_PAGE));
    if (status != OK) return status;
    if (level <= LEVEL_MAX) setCounter(CHECK_DEPTH, max(counter(CHECK_DEPTH), <f64> (level + 1)));
  }
  count(CHECK_TABLES, 1);
  return OK;
}

/** A table's pages are all walked. */
function tableEnd(f: usize): void {
  if (load<u32>(f, F_FLAGS) & IN_ROOTS || !whole) return;
  // A dropped table is freed leaf by leaf without reading the leaves: its rows are not counted down.
  if (foundRows != tableRows && !(load<u32>(f, F_TABLE) & TABLE_DROPPED)) report(f, REASON_COUNT, <u32> tableRows, <u32> foundRows);
  if (foundRunPages != tableRunPages) report(f, REASON_COUNT, <u32> tableRunPages, <u32> foundRunPages);
}

/** A row of a table. */
function row(f: usize, bytes: usize, index: u32): void {
  const slot = slotOf(bytes, index);
  const cell = cellOf(bytes, slot);
  const length = <u32> load<u16>(cell);
  foundRows++;
  count(CHECK_ROWS, 1);
  count(CHECK_KEY_BYTES, <f64> (prefixOf(bytes) + suffixOf(slot)));
  if (length & CELL_OVERFLOW) startRun(f, cell + 2 + restOf(suffixOf(slot)));
  else count(CHECK_VALUE_BYTES, <f64> length);
}

// ---- runs -----------------------------------------------------------------------------------------------

/** Reaches the pages of a run; with runs to be read, reads it next. */
function startRun(f: usize, pointer: usize): void {
  const page = load<u32>(pointer, POINTER_PAGE);
  const length = load<u32>(pointer, POINTER_SIZE);
  const pages = <u32> ((<u64> length + RUN_HEADER + bitmapPageSize - 1) / bitmapPageSize);
  count(CHECK_VALUE_BYTES, <f64> length);
  if (page < bitmapMetaPages || page >= seenPages || pages > seenPages - page) {
    lose();
    report(f, REASON_BOUNDS, seenPages, page);
    return;
  }
  let twice: u32 = 0;
  for (let i: u32 = 0; i < pages; i++) {
    if (!see(page + i) && !twice) twice = page + i;
  }
  count(CHECK_RUNS, 1);
  count(CHECK_RUN_PAGES, <f64> pages);
  foundRunPages += pages;
  if (twice) {
    finding(SEVERITY_ERROR, REASON_DUPLICATE, twice, load<u32>(f, F_TABLE), 0, load<u32>(f, F_PAGE), 0, depth);
    return;
  }
  if (!deep) return;
  runPage = page;
  runPages = pages;
  runIndex = 0;
  runCrc = 0;
  runWantCrc = load<u32>(pointer, POINTER_CRC);
  runBirth = load48(pointer + POINTER_BIRTH);
  runLength = length;
}

/** Reads the next page of the run. */
function readRun(): i32 {
  const status = take(runPage + runIndex, scratch);
  if (status == NEED_PAGE) return status;
  if (status != OK) {
    runEnd(runPage + runIndex, REASON_UNREADABLE, 0, 0);
    return OK;
  }
  if (runIndex) {
    runCrc = crc32c(scratch, bitmapPageSize, runCrc);
  } else {
    runHeaderCrc = load<u32>(scratch, PAGE_CRC);
    runCrc = crc32c(scratch + 4, bitmapPageSize - 4, 0);
    const number = load<u32>(scratch, PAGE_NUMBER);
    const birth = load48(scratch + PAGE_BIRTH);
    if (load<u8>(scratch, PAGE_TYPE) != PAGE_RUN) runEnd(runPage, REASON_TYPE, PAGE_RUN, load<u8>(scratch, PAGE_TYPE));
    else if (number != runPage) runEnd(runPage, REASON_MISPLACED, runPage, number);
    else if (load<u64>(scratch, PAGE_FILE_ID) != fileId) runEnd(runPage, REASON_FOREIGN, <u32> fileId, load<u32>(scratch, PAGE_FILE_ID));
    else if (birth != runBirth) runEnd(runPage, REASON_STALE, <u32> runBirth, <u32> birth);
    else if (load<u32>(scratch, RUN_LENGTH) != runLength) runEnd(runPage, REASON_COUNT, runLength, load<u32>(scratch, RUN_LENGTH));
    if (!runPages) return OK;
  }
  if (++runIndex < runPages) return OK;
  if (runCrc != runHeaderCrc) runEnd(runPage, REASON_CRC, runHeaderCrc, runCrc);
  else if (runCrc != runWantCrc) runEnd(runPage, REASON_STALE, runWantCrc, runCrc);
  runPages = 0;
  return OK;
}

function runEnd(page: u32, reason: u32, want: u32, have: u32): void {
  finding(SEVERITY_ERROR, reason, page, load<u32>(frame(depth - 1), F_TABLE), want, have, 0, depth);
  runPages = 0;
}
