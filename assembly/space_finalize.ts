// From the log of a period to the next meta generation: new places for the changed bitmap pages, sealed and handed out for writing.
//
// Placing a bitmap page changes bits, which changes bitmap pages. So placing runs through a work list that grows until nothing is left to place; every
// node is placed at most once, hence it ends. Only then the bits are computed, all at once, from the newest generation's bitmaps and the log.
// What turns out to be empty afterwards (a cut tail) gives its place back.
//
// Invariants:
//   1. Each step resumes where NEED_PAGE left it, and what it does never depends on where that was.
//   2. Nothing of the newest generation is changed in place: its bitmaps are copied before bits change.
import { bitmapBits, bitmapFanout, bitmapLevels, bitmapPageSize, bitmapSeal, bitsEnd, clearBits, countBits, LEVEL_MAX, setBits, store48 } from "./bitmap";
import { corruptPage, getWord, invariant, setWord } from "./ctrl";
import {
  BITMAP_ENTRY,
  BITMAP_USED,
  CORRUPT_PAGE,
  CTRL_ERROR_A,
  CTRL_ERROR_B,
  CTRL_ERROR_PAGE,
  CTRL_ERROR_REASON,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  DONE,
  OK,
  OUT_OF_MEMORY,
  PAGE_HEADER,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  REASON_DUPLICATE,
} from "./format";
import {
  chunkNode,
  GEN_BIRTH,
  GEN_LEVEL,
  GEN_LOADED,
  GEN_PAGES,
  generationAppend,
  generationCreate,
  generationRoom,
  image,
  imageBuffer,
  imagePut,
  imageWritten,
  newest,
  NODE_BIRTH,
  NODE_CRC,
  NODE_DIRTY,
  NODE_FLAGS,
  NODE_PAGE,
  NODE_USED,
  NODE_WORK,
  nodeAt,
  nodeCount,
  nodesGrow,
  nodeSetCount,
} from "./generation";
import { listCount, listEntry, listInit, listReserve, listSetCount } from "./list";
import { allocate, release } from "./mem";
import {
  allocateLowest,
  LOG_COUNT,
  LOG_FREE,
  LOG_KIND,
  LOG_PAGE,
  logAppend,
  logClear,
  logCount,
  logEntry,
  logRoom,
  logSettle,
  spaceFinalizing,
  spaceForgetBusy,
  spaceLoad,
  spacePlace,
} from "./space";

const STAGE_IDLE: u32 = 0;
const STAGE_PLACE: u32 = 1;
const STAGE_COPY: u32 = 2;
const STAGE_APPLY: u32 = 3;
const STAGE_END: u32 = 4;
const STAGE_SEAL: u32 = 5;
const STAGE_FAILED: u32 = 6;

let stage: u32 = STAGE_IDLE;
// Why it has failed: it says so again whenever it is asked.
let failedStatus: i32 = OK;
let failedPage: u32 = 0;
let failedReason: u32 = 0;
let failedExpected: u32 = 0;
let failedActual: u32 = 0;
/** The generation being made. */
let next: usize = 0;
/** Nodes to place: {level, position}. */
const work = memory.data(16, 8);
let placed: u32 = 0;
let noted: u32 = 0;
/** Highest chunk in use by the new generation, plus one. */
let chunks: u32 = 0;

/** Sealed pages to write: {page, buffer, level}. */
const outs = memory.data(16, 8);
let outNext: u32 = 0;
let outReady = false;

/** Bitmap pages at or beyond this page move at the next finalize. */
let moveFrom: u32 = 0xffffffff;

/** Lets the next spaceFinalize move every bitmap and index page that lies at `page` or beyond to a lower place, so that the file can shrink. */
export function spaceMoveFrom(page: u32): void {
  moveFrom = page;
}

/** Makes the next generation from this period. `birth` is its checkpoint number. OK, NEED_PAGE, OUT_OF_SPACE. */
export function spaceFinalize(birth: u64): i32 {
  if (stage == STAGE_FAILED) {
    return failedStatus == CORRUPT_PAGE ? corruptPage(failedPage, failedReason, failedExpected, failedActual) : invariant(7030);
  }
  if (stage == STAGE_IDLE) {
    if (outReady && outNext < listCount(outs)) return invariant(7031);
    const status = spaceLoad();
    if (status != OK) return status;
    const begun = begin(birth);
    if (begun != OK) return begun;
    stage = STAGE_PLACE;
    spaceFinalizing(true);
  }
  if (load<u64>(next, GEN_BIRTH) != birth) return invariant(7032);
  if (stage == STAGE_PLACE) {
    const status = placeAll();
    if (status != OK) return status;
    stage = STAGE_COPY;
  }
  if (stage == STAGE_COPY) {
    const status = copyAll();
    if (status != OK) return status;
    stage = STAGE_APPLY;
  }
  if (stage == STAGE_APPLY) {
    stage = STAGE_FAILED;
    const status = applyLog();
    if (status != OK) {
      failedStatus = status;
      failedPage = getWord(CTRL_ERROR_PAGE);
      failedReason = getWord(CTRL_ERROR_REASON);
      failedExpected = getWord(CTRL_ERROR_A);
      failedActual = getWord(CTRL_ERROR_B);
      return status;
    }
    settle();
    stage = STAGE_END;
  }
  if (stage == STAGE_END) {
    const status = findEnd();
    if (status != OK) return status;
    stage = STAGE_SEAL;
  }
  const status = sealAll(birth);
  if (status != OK) return status;
  stage = STAGE_IDLE;
  spaceFinalizing(false);
  return OK;
}

/** The new generation starts as a copy of the newest one. */
function begin(birth: u64): i32 {
  const old = newest();
  if (old && load<u64>(old, GEN_BIRTH) >= birth) return invariant(7033);
  if (!load<u32>(work, 12)) {
    listInit(work, 8);
    listInit(outs, 12);
  }
  if (!generationRoom()) return OUT_OF_MEMORY;
  if (!next) {
    next = generationCreate(birth);
    if (!next) return OUT_OF_MEMORY;
  }
  store<u64>(next, birth, GEN_BIRTH);
  store<u32>(next, 1, GEN_LOADED);
  if (old) {
    const top = load<u32>(old, GEN_LEVEL);
    for (let level: u32 = 0; level <= top; level++) {
      const count = nodeCount(old, level);
      if (!nodesGrow(next, level, count)) return OUT_OF_MEMORY;
      memory.copy(nodeAt(next, level, 0), nodeAt(old, level, 0), <usize> count << 5);
      for (let i: u32 = 0; i < count; i++) store<u64>(nodeAt(next, level, i), 0, NODE_FLAGS); // flags and NODE_WORK
    }
    store<u32>(next, top, GEN_LEVEL);
    store<u32>(next, load<u32>(old, GEN_PAGES), GEN_PAGES);
  }
  listSetCount(work, 0);
  listSetCount(outs, 0);
  outReady = false;
  outNext = 0;
  placed = 0;
  noted = 0;
  return OK;
}

// ---- placing --------------------------------------------------------------------------------------------

function placeAll(): i32 {
  if (!noted && moveFrom != 0xffffffff) {
    if (!noteMoves()) return OUT_OF_MEMORY;
    moveFrom = 0xffffffff;
  }
  for (;;) {
    logSettle();
    while (noted < logCount()) {
      if (!noteRange(load<u32>(logEntry(noted), LOG_PAGE), load<u32>(logEntry(noted), LOG_COUNT))) return OUT_OF_MEMORY;
      noted++;
    }
    if (placed == listCount(work)) break;
    if (!logRoom(2)) return OUT_OF_MEMORY;
    const status = allocateLowest();
    if (status != OK) return status;
    const entry = listEntry(work, placed++);
    const node = nodeAt(next, load<u32>(entry), load<u32>(entry, 4));
    const old = load<u32>(node, NODE_PAGE);
    if (old) logAppend(LOG_FREE, old, 1);
    store<u32>(node, spacePlace(), NODE_PAGE);
  }
  return OK;
}

/** The nodes of every chunk that [page, page + count) touches are to be placed; false when memory is exhausted (call again). */
function noteRange(page: u32, count: u32): bool {
  const last = (page + count - 1) / bitmapBits;
  for (let chunk = page / bitmapBits; chunk <= last; chunk++) {
    if (!noteChunk(chunk)) return false;
  }
  return true;
}

function noteChunk(chunk: u32): bool {
  const count = max<u32>(nodeCount(next, 0), chunk + 1);
  const top = bitmapLevels(count);
  for (let level: u32 = 0, want = count; level <= top; level++) {
    if (!nodesGrow(next, level, want)) return false;
    want = (want + bitmapFanout - 1) / bitmapFanout;
  }
  store<u32>(next, top, GEN_LEVEL);
  for (let level: u32 = 0, i = chunk; level <= top; level++) {
    if (!noteNode(level, i)) return false;
    i /= bitmapFanout;
  }
  // The leftmost path: new levels need it to reach the old root, and a tree that loses levels must not keep their pages.
  for (let level: u32 = 1; level <= top; level++) {
    if (!noteNode(level, 0)) return false;
  }
  return true;
}

function noteNode(level: u32, position: u32): bool {
  const node = nodeAt(next, level, position);
  if (load<u32>(node, NODE_FLAGS) & NODE_DIRTY) return true;
  if (!listReserve(work, 1)) return false;
  store<u32>(node, NODE_DIRTY, NODE_FLAGS);
  const n = listCount(work);
  listSetCount(work, n + 1);
  store<u32>(listEntry(work, n), level);
  store<u32>(listEntry(work, n), position, 4);
  return true;
}

/** Notes the nodes whose pages lie at `moveFrom` or beyond. */
function noteMoves(): bool {
  const top = load<u32>(next, GEN_LEVEL);
  for (let level: u32 = 0; level <= top; level++) {
    for (let i: u32 = 0, n = nodeCount(next, level); i < n; i++) {
      const page = load<u32>(nodeAt(next, level, i), NODE_PAGE);
      if (page < moveFrom) continue;
      for (let up = level, j = i; up <= top; up++) {
        if (!noteNode(up, j)) return false;
        j /= bitmapFanout;
      }
    }
  }
  return true;
}

// ---- bits -----------------------------------------------------------------------------------------------

/** Gives every changed bitmap a buffer with the newest generation's bits. */
function copyAll(): i32 {
  const old = newest();
  for (let i: u32 = 0, n = listCount(work); i < n; i++) {
    const entry = listEntry(work, i);
    if (load<u32>(entry)) continue;
    const chunk = load<u32>(entry, 4);
    const node = nodeAt(next, 0, chunk);
    if (load<u32>(node, NODE_WORK)) continue;
    if (old && chunkNode(old, chunk)) {
      const status = image(old, chunk);
      if (status != OK) return status;
    }
    const buffer = allocate(bitmapPageSize);
    if (!buffer) return OUT_OF_MEMORY;
    if (old && chunkNode(old, chunk) && imageBuffer) {
      memory.copy(buffer, imageBuffer, bitmapPageSize);
    } else {
      memory.fill(buffer, 0, bitmapPageSize);
    }
    store<u32>(node, <u32> buffer, NODE_WORK);
  }
  return OK;
}

/** Applies the log in order. A page that is freed without being in use is an error of whoever freed it. */
function applyLog(): i32 {
  for (let i: u32 = 0, n = logCount(); i < n; i++) {
    const at = logEntry(i);
    const free = load<u32>(at, LOG_KIND) == LOG_FREE;
    let page = load<u32>(at, LOG_PAGE);
    let count = load<u32>(at, LOG_COUNT);
    while (count) {
      const chunk = page / bitmapBits;
      const bit = page - chunk * bitmapBits;
      const step = min<u32>(count, bitmapBits - bit);
      const buffer = <usize> load<u32>(nodeAt(next, 0, chunk), NODE_WORK);
      if (!buffer) return invariant(7034);
      if (!free) {
        setBits(buffer, bit, step);
      } else if (clearBits(buffer, bit, step) != step) {
        return corruptPage(page, REASON_DUPLICATE, step, 0);
      }
      page += step;
      count -= step;
    }
  }
  for (let i: u32 = 0, n = listCount(work); i < n; i++) {
    const entry = listEntry(work, i);
    if (load<u32>(entry)) continue;
    const node = nodeAt(next, 0, load<u32>(entry, 4));
    store<u32>(node, countBits(<usize> load<u32>(node, NODE_WORK)), NODE_USED);
  }
  return OK;
}

/** Takes places back from bitmaps without bits and index pages without children, until none is left. */
function settle(): void {
  for (;;) {
    let changed = false;
    chunks = nodeCount(next, 0);
    while (chunks && !load<u32>(nodeAt(next, 0, chunks - 1), NODE_PAGE)) chunks--;
    const top = bitmapLevels(chunks);
    for (let i: u32 = 0, n = listCount(work); i < n; i++) {
      const entry = listEntry(work, i);
      const level = load<u32>(entry);
      const node = nodeAt(next, level, load<u32>(entry, 4));
      const page = load<u32>(node, NODE_PAGE);
      if (!page || level <= top && isNeeded(level, load<u32>(entry, 4), node)) continue;
      const home = nodeAt(next, 0, page / bitmapBits);
      store<u32>(home, load<u32>(home, NODE_USED) - clearBits(<usize> load<u32>(home, NODE_WORK), page % bitmapBits, 1), NODE_USED);
      store<u32>(node, 0, NODE_PAGE);
      changed = true;
    }
    if (!changed) break;
  }
}

/** Whether a node has anything below it; a bitmap that holds nothing but its own page has not. */
function isNeeded(level: u32, position: u32, node: usize): bool {
  if (!level) {
    const used = load<u32>(node, NODE_USED);
    return used > 1 || used == 1 && load<u32>(node, NODE_PAGE) / bitmapBits != position;
  }
  const end = min<u32>((position + 1) * bitmapFanout, nodeCount(next, level - 1));
  for (let i = position * bitmapFanout; i < end; i++) {
    if (load<u32>(nodeAt(next, level - 1, i), NODE_PAGE)) return true;
  }
  return false;
}

/** The new page count: the highest page in use, plus one. */
function findEnd(): i32 {
  if (!chunks) return invariant(7035);
  const node = nodeAt(next, 0, chunks - 1);
  let bits = <usize> load<u32>(node, NODE_WORK);
  const old = newest();
  if (!bits && chunks != nodeCount(old, 0)) {
    const status = image(old, chunks - 1);
    if (status != OK) return status;
    bits = imageBuffer;
    if (!bits) return invariant(7036);
  }
  if (bits) store<u32>(next, (chunks - 1) * bitmapBits + bitsEnd(bits), GEN_PAGES);
  const top = bitmapLevels(chunks);
  store<u32>(next, top, GEN_LEVEL);
  for (let level: u32 = 0, want = chunks; level <= LEVEL_MAX; level++) {
    nodeSetCount(next, level, level <= top ? want : 0);
    want = (want + bitmapFanout - 1) / bitmapFanout;
  }
  return OK;
}

// ---- sealing --------------------------------------------------------------------------------------------

/** Seals the placed pages, children first, lists them for writing and makes the generation the newest. */
function sealAll(birth: u64): i32 {
  const n = listCount(work);
  if (!listReserve(outs, n)) return OUT_OF_MEMORY;
  // All memory first, so that nothing can fail once pages are being listed.
  for (let i: u32 = 0; i < n; i++) {
    const entry = listEntry(work, i);
    if (!load<u32>(entry)) continue;
    const node = placedNode(entry);
    if (!node || load<u32>(node, NODE_WORK) || !(load<u32>(node, NODE_FLAGS) & NODE_DIRTY)) continue;
    const buffer = allocate(bitmapPageSize);
    if (!buffer) return OUT_OF_MEMORY;
    store<u32>(node, <u32> buffer, NODE_WORK);
  }
  const top = load<u32>(next, GEN_LEVEL);
  for (let level: u32 = 0; level <= top; level++) {
    for (let i: u32 = 0; i < n; i++) {
      const entry = listEntry(work, i);
      const node = placedNode(entry);
      if (load<u32>(entry) != level || !node) continue;
      if (!sealNode(node, level, load<u32>(entry, 4), birth)) return OUT_OF_MEMORY;
    }
  }
  // Bitmaps that lost their place.
  for (let i: u32 = 0; i < n; i++) {
    const entry = listEntry(work, i);
    if (load<u32>(entry) || placedNode(entry)) continue;
    const node = nodeAt(next, 0, load<u32>(entry, 4));
    release(<usize> load<u32>(node, NODE_WORK), bitmapPageSize);
    store<u32>(node, 0, NODE_WORK);
  }
  listSetCount(work, 0);
  outReady = true;
  generationAppend(next);
  logClear(load<u32>(next, GEN_PAGES));
  next = 0;
  spaceForgetBusy();
  return OK;
}

/** The node of a work entry, or 0 when it is no part of the tree (any more). */
@inline
function placedNode(entry: usize): usize {
  const level = load<u32>(entry);
  if (level > load<u32>(next, GEN_LEVEL) || load<u32>(entry, 4) >= nodeCount(next, level)) return 0;
  const node = nodeAt(next, level, load<u32>(entry, 4));
  return load<u32>(node, NODE_PAGE) ? node : 0;
}

function sealNode(node: usize, level: u32, position: u32, birth: u64): bool {
  const buffer = <usize> load<u32>(node, NODE_WORK);
  if (!buffer) return true; // sealed before memory ran out
  const page = load<u32>(node, NODE_PAGE);
  if (level) store<u32>(node, compose(buffer, level, position), NODE_USED);
  store<u32>(node, bitmapSeal(buffer, page, level, position, birth), NODE_CRC);
  store<u64>(node, birth, NODE_BIRTH);
  if (!level && !imagePut(node, position, buffer, true)) return false;
  const i = listCount(outs);
  listSetCount(outs, i + 1);
  store<u32>(listEntry(outs, i), page);
  store<u32>(listEntry(outs, i), <u32> buffer, 4);
  store<u32>(listEntry(outs, i), level, 8);
  store<u64>(node, 0, NODE_FLAGS); // flags and NODE_WORK: the buffer belongs to the image or to the list
  return true;
}

/** Writes the entries of an index page and returns the pages in use below it. */
function compose(buffer: usize, level: u32, position: u32): u32 {
  memory.fill(buffer, 0, bitmapPageSize);
  let used: u32 = 0;
  const first = position * bitmapFanout;
  const end = min<u32>(first + bitmapFanout, nodeCount(next, level - 1));
  for (let i = first; i < end; i++) {
    const child = nodeAt(next, level - 1, i);
    if (!load<u32>(child, NODE_PAGE)) continue;
    const entry = buffer + PAGE_HEADER + (i - first) * BITMAP_ENTRY;
    putPointer(entry, child);
    store<u32>(entry, load<u32>(child, NODE_USED), BITMAP_USED);
    used += load<u32>(child, NODE_USED);
  }
  return used;
}

function putPointer(at: usize, node: usize): void {
  store<u32>(at, load<u32>(node, NODE_PAGE), POINTER_PAGE);
  store<u32>(at, load<u32>(node, NODE_CRC), POINTER_CRC);
  store48(at + POINTER_BIRTH, load<u64>(node, NODE_BIRTH));
}

// ---- results --------------------------------------------------------------------------------------------

/** The next page of the newest generation's bitmap to write; asking for it says that the one before is written. OK or DONE. */
export function spaceOutNext(): i32 {
  if (!outReady) return DONE;
  if (outNext) {
    const before = listEntry(outs, outNext - 1);
    if (load<u32>(before, 8)) {
      release(<usize> load<u32>(before, 4), bitmapPageSize);
    } else {
      imageWritten(load<u32>(before));
    }
  }
  if (outNext == listCount(outs)) {
    outReady = false;
    listSetCount(outs, 0);
    outNext = 0;
    return DONE;
  }
  const at = listEntry(outs, outNext++);
  setWord(CTRL_OUT_AT, load<u32>(at, 4));
  setWord(CTRL_OUT_PAGE, load<u32>(at));
  setWord(CTRL_OUT_COUNT, 1);
  return OK;
}

/** Writes the pointer to the newest generation's bitmap to `at` (14 bytes). */
export function spaceRoot(at: usize): void {
  const gen = newest();
  if (gen) {
    putPointer(at, nodeAt(gen, load<u32>(gen, GEN_LEVEL), 0));
  } else {
    memory.fill(at, 0, 14);
  }
}

/** Levels of index above the newest generation's bitmaps. */
export function spaceLevel(): u32 {
  const gen = newest();
  return gen ? load<u32>(gen, GEN_LEVEL) : 0;
}

/** Page count of the newest generation. */
export function spacePageCount(): u32 {
  const gen = newest();
  return gen ? load<u32>(gen, GEN_PAGES) : 0;
}
