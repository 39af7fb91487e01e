// The whole-file check's way through the roots tree, every table's tree and their overflow runs; and, for salvage, through one tree from leaf to leaf.
//
// An explicit stack of pages from the roots tree's root down; a table's root page lies on top of the roots leaf that names it. Each frame keeps its
// page's bytes, so a page's separators are at hand as the fences of everything below it. A page is pushed only when it is reached for the first time.
import { bitmapMetaPages, bitmapPageSize, load48 } from "./bitmap";
import { count, counter, finding as keepFinding, findingPath, see, seenPages, setCounter } from "./check_report";
import { take } from "./check_source";
import { visitLeaf, visitLost } from "./check_visit";
import { readRun, runBegin, runEnd, runPages } from "./check_run";
import { actual, contentProblem, expected, firstKey, identityProblem } from "./check_tree";
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
  MORE,
  NEED_PAGE,
  OK,
  OUT_OF_MEMORY,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  POINTER_SIZE,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_CYCLE,
  REASON_DEPTH,
  REASON_DUPLICATE,
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
  SEVERITY_ERROR,
  TABLE_DROPPED,
} from "./format";
import { allocate, release } from "./mem";
import { cellOf, countOf, keyCopy, orderAcross, prefixOf, restOf, slotOf, suffixOf } from "./page";

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
export let depth: u32 = 0;
export let scratch: usize = 0;

let deep: bool = false;
export let fileId: u64 = 0;
let newestBirth: u64 = 0;
/** Something could not be followed, so not every page in use has been reached. */
export let incomplete: bool = false;

/** One tree is visited: the walk stops at each leaf and wherever it could not follow. */
let visiting: bool = false;
/** Pages of all runs reached so far. */
let runReach: u64 = 0;
let lost: bool = false;

// The table being walked: what its root says, what was found, whether all of it could be followed.
let tableRows: u64 = 0;
let tableRunPages: u64 = 0;
let foundRows: u64 = 0;
let foundRunPages: u64 = 0;
let whole: bool = false;

@inline
function frame(index: u32): usize {
  return frames + <usize> (index * 48);
}

/** A page on the way to the place that is being looked at; 0 is the root. */
export function pageOnWay(index: u32): usize {
  return <usize> load<u32>(frame(index), F_BYTES);
}

/** Its slot that leads on. */
export function slotOnWay(index: u32): u32 {
  return load<u32>(frame(index), F_INDEX) - 1;
}

/** Prepares the walk; `roots` is the pointer to the roots tree's root page (page 0: no tables). */
export function walkStart(roots: usize, level: u32, id: u64, birth: u64, readRuns: bool): i32 {
  const status = start(id, birth, readRuns);
  if (status != OK) return status;
  return load<u32>(roots, POINTER_PAGE) ? push(roots, level, 0, TREE_ROOT | IN_ROOTS, 0) : OK;
}

/** Prepares a visit of one tree. */
export function visitStart(root: usize, level: u32, table: u32, id: u64, birth: u64): i32 {
  const status = start(id, birth, false);
  if (status != OK) return status;
  visiting = true;
  return push(root, level, table, TREE_ROOT, 0);
}

function start(id: u64, birth: u64, readRuns: bool): i32 {
  walkEnd();
  scratch = allocate(bitmapPageSize);
  if (!scratch) return OUT_OF_MEMORY;
  fileId = id;
  newestBirth = birth;
  deep = readRuns;
  incomplete = false;
  runEnd();
  runReach = 0;
  visiting = false;
  lost = false;
  whole = false;
  return OK;
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
    if (visiting && lost) {
      lost = false;
      return visitLost();
    }
    if (runPages) return readRun();
    if (!depth) break;
    const f = frame(depth - 1);
    const bytes = <usize> load<u32>(f, F_BYTES);
    if (!(load<u32>(f, F_FLAGS) & READ)) {
      const status = take(load<u32>(f, F_PAGE), bytes);
      if (status == NEED_PAGE) return status;
      const good = arrived(f, bytes, status == OK);
      if (visiting && good && !load<u32>(f, F_LEVEL)) return visitLeaf(load<u32>(f, F_PAGE), bytes);
      return OK;
    }
    const i = load<u32>(f, F_INDEX);
    if (i == countOf(bytes) || visiting && !load<u32>(f, F_LEVEL)) {
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

/** A finding about what the topmost frame names. */
export function findingBelow(page: u32, reason: u32, want: u32, have: u32): void {
  finding(SEVERITY_ERROR, reason, page, load<u32>(frame(depth - 1), F_TABLE), want, have, 0, depth);
}

/** A finding with the way to it. */
function finding(severity: u32, reason: u32, page: u32, table: u32, expected: u32, actual: u32, level: u32, depth: u32): void {
  keepFinding(severity, reason, page, table, expected, actual, level, depth);
  let last: u32 = 0;
  for (let i: u32 = 0; i < depth; i++) {
    last = load<u32>(frame(i), F_PAGE);
    findingPath(last);
  }
  if (last != page) findingPath(page);
}

/** What lies below cannot be followed. */
function lose(): void {
  incomplete = true;
  whole = false;
  lost = true;
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
function arrived(f: usize, bytes: usize, readable: bool): bool {
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
    return false;
  }
  if (load<u64>(f, F_BIRTH) > newestBirth) report(f, REASON_STALE, <u32> newestBirth, load<u32>(f, F_BIRTH));
  store<u32>(f, load<u32>(f, F_FLAGS) | READ, F_FLAGS);
  count(level ? CHECK_BRANCH_PAGES : CHECK_LEAF_PAGES, 1);
  if (countOf(bytes) > firstKey(bytes)) fences(f, bytes);
  return true;
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
  // Runs together cannot have more pages than there are. What goes beyond is not followed: no arrangement of runs costs more than twice that.
  runReach += pages;
  let twice: u32 = 0;
  for (let i: u32 = 0; i < pages && !(twice && runReach > seenPages); i++) {
    if (!see(page + i) && !twice) twice = page + i;
  }
  count(CHECK_RUNS, 1);
  count(CHECK_RUN_PAGES, <f64> pages);
  foundRunPages += pages;
  if (twice) {
    findingBelow(twice, REASON_DUPLICATE, 0, load<u32>(f, F_PAGE));
    return;
  }
  if (!deep) return;
  runBegin(pointer, page, pages, length);
}
