// Which pages of the file are free, and giving them out.
//
// A page may be given out when no listed meta generation has its bit and this period has not given it out. Placement is a pure function of that:
// always the lowest free page, always the lowest run that is long enough. Cursors only remember where a search need not look again, so undoing a
// group simply resets them, and neither caching nor the timing of reads can change a place.
//
// A period runs from one freeze to the next: changes go to a log and to the busy pages (for each chunk touched: union of the listed generations and of
// everything given out). space_freeze.ts turns the log into the next generation. Freed pages stay busy for the period.
//
// Invariants:
//   1. busy(chunk) ⊇ every listed generation's bits, plus what the log gave or reserved; the meta pages are always busy.
//   2. The list of generations, and with it availability, changes only in spaceFreezeBegin and at the end of spaceFinalize.
//   3. Functions that return NEED_PAGE have changed nothing.
import { bitmapBits, bitmapMetaPages, bitmapPageSize, bitmapSetup, clearBits, mergeBits, nextClear, nextSet, setBits } from "./bitmap";
import { corruptPage, invariant } from "./ctrl";
import { OK, OUT_OF_MEMORY, OUT_OF_SPACE, PAGE_NUMBER_MAX, POINTER_PAGE, REASON_BOUNDS } from "./format";
import {
  chunkNode,
  GEN_HOLDS,
  GEN_LEVEL,
  GEN_PAGES,
  generationAppend,
  generationAt,
  generationCount,
  generationOf,
  generationOpen,
  generationPrepend,
  generationRoom,
  generationsLoad,
  generationsPrune,
  generationsSetup,
  image,
  imageBuffer,
  made,
  newest,
  NODE_USED,
  nodeAt,
  nodeCount,
} from "./generation";
import { listAt, listCount, listEntry, listInit, listReserve, listSetCount } from "./list";
import { allocate, release, resize } from "./mem";

// Log entry, 12 bytes.
export const LOG_PAGE: usize = 0;
export const LOG_COUNT: usize = 4;
export const LOG_KIND: usize = 8;
export const LOG_GIVE: u32 = 1;
export const LOG_FREE: u32 = 2;
export const LOG_RESERVE: u32 = 3;

const log = memory.data(16, 8);
/** Entries before this one are final: they do not grow by merging. */
let logFloor: u32 = 0;

/** True while spaceFinalize is under way. */
let finalizing: bool = false;
let loaded: bool = false;
/** The page that spaceAllocate or spaceAllocateRun gave. */
let place: u32 = 0;
/** 1 + the highest page in the log, and the page count of the newest generation. */
let high: u32 = 0;
/** Chunks from here on are free as a whole. */
let topChunk: u32 = 0;

// Busy pages: per chunk an address or 0; `ring` lists the chunks that have one, for eviction.
let busyAt: usize = 0;
let busyRoom: u32 = 0;
const ring = memory.data(16, 8);
let ringMax: u32 = 0;
let ringHand: u32 = 0;

// The busy page under construction.
let buildBuffer: usize = 0;
let buildChunk: u32 = 0;
let buildStep: u32 = 0; // generations merged so far; NONE: nothing under construction
const NONE: u32 = 0xffffffff;
/** Page numbers stay below this. */
const LIMIT: u32 = <u32> PAGE_NUMBER_MAX;

// Cursors: no free run of at least sizeOf(i) pages starts below entry i. 1–64 exact, then powers of two.
const CURSORS: u32 = 90;
const cursors = memory.data(90 * 4, 8);

// The search for a run under way: what it wants, where it is, the free stretch that ends there, the first stretch of its cursor's size.
let seekWant: u32 = 0;
let seekAt: u32 = 0;
let seekStart: u32 = 0;
let seekFirst: u32 = 0;

/** Prepares the manager; once per instance. */
export function spaceReset(pageShift: u32, fileIdLo: u32, fileIdHi: u32): i32 {
  bitmapSetup(pageShift, <u64> fileIdLo | (<u64> fileIdHi << 32));
  listInit(log, 12);
  listInit(ring, 4);
  ringMax = max<u32>(8, (2 << 20) / bitmapPageSize);
  logFloor = 0;
  high = 0;
  topChunk = 0;
  loaded = false;
  finalizing = false;
  buildBuffer = allocate(bitmapPageSize);
  if (!buildBuffer) return OUT_OF_MEMORY;
  buildStep = NONE;
  forgetSearches();
  return generationsSetup();
}

/** Starts an empty file whose first `reservedPages` pages are in use. */
export function spaceNew(reservedPages: u32): i32 {
  if (generationCount() || listCount(log)) return invariant(7010);
  return spaceReserve(0, max<u32>(reservedPages, bitmapMetaPages));
}

/** Takes the newest durable generation from its meta slot: pointer (14 bytes at `pointer`), levels, page count, checkpoint number. */
export function spaceOpen(pointer: usize, level: u32, pageCount: u32, birth: u64): i32 {
  if (generationCount() || listCount(log)) return invariant(7011);
  if (!generationRoom()) return OUT_OF_MEMORY;
  const status = generationOpen(pointer, level, pageCount, birth);
  if (status != OK) return status;
  generationAppend(made);
  loaded = false;
  high = pageCount;
  return OK;
}

/** Adds the older durable generation; a pointer of page 0 is none. */
export function spaceOlder(pointer: usize, level: u32, pageCount: u32, birth: u64): i32 {
  if (!load<u32>(pointer, POINTER_PAGE)) return OK;
  if (generationOf(birth)) return invariant(7012);
  if (!generationRoom()) return OUT_OF_MEMORY;
  const status = generationOpen(pointer, level, pageCount, birth);
  if (status != OK) return status;
  generationPrepend(made);
  loaded = false;
  return OK;
}

/** Reads the indexes of the listed generations, which the first allocation does otherwise. OK, NEED_PAGE. */
export function spaceLoad(): i32 {
  if (loaded) return OK;
  const status = generationsLoad();
  if (status != OK) return status;
  topChunk = (high + bitmapBits - 1) / bitmapBits;
  for (let i: u32 = 0; i < generationCount(); i++) topChunk = max<u32>(topChunk, nodeCount(generationAt(i), 0));
  loaded = true;
  return OK;
}

// ---- getters --------------------------------------------------------------------------------------------

/** First page of what the last successful spaceAllocate or spaceAllocateRun gave. */
export function spacePlace(): u32 {
  return place;
}

/** Pages in use by the newest generation, 0 before its index is loaded. */
export function spaceUsed(): f64 {
  const gen = newest();
  return gen ? <f64> load<u32>(nodeAt(gen, load<u32>(gen, GEN_LEVEL), 0), NODE_USED) : 0;
}

/**
 * Pages the file needs: up to the highest one that a listed generation or this period's allocations use. One that is no longer held counts until the
 * next freeze takes it off the list: runs are still placed around it, so its bitmap must stay readable.
 */
export function spaceFilePages(): u32 {
  let pages = high;
  for (let i: u32 = 0; i < generationCount(); i++) {
    pages = max<u32>(pages, load<u32>(generationAt(i), GEN_PAGES));
  }
  return pages;
}

// ---- generations ----------------------------------------------------------------------------------------

/** Keeps the pages of a listed generation from being given out until spaceDrop. Counts. */
export function spaceHold(birth: u64): i32 {
  const gen = generationOf(birth);
  if (!gen) return invariant(7013);
  store<u32>(gen, load<u32>(gen, GEN_HOLDS) + 1, GEN_HOLDS);
  return OK;
}

/** Ends one hold (a generation is listed with one). Allocation notices at the next spaceFreezeBegin. */
export function spaceDrop(birth: u64): i32 {
  const gen = generationOf(birth);
  if (!gen || !load<u32>(gen, GEN_HOLDS)) return invariant(7014);
  store<u32>(gen, load<u32>(gen, GEN_HOLDS) - 1, GEN_HOLDS);
  return OK;
}

/** A freeze begins: availability follows the generations that are held now. */
export function spaceFreezeBegin(): i32 {
  if (finalizing) return invariant(7015);
  if (generationsPrune()) spaceForgetBusy();
  return OK;
}

/** Availability has changed: drops every busy page and starts all searches over. */
export function spaceForgetBusy(): void {
  for (let i: u32 = 0; i < listCount(ring); i++) {
    const slot = busyAt + (<usize> load<u32>(listEntry(ring, i)) << 2);
    release(<usize> load<u32>(slot), bitmapPageSize);
    store<u32>(slot, 0);
  }
  listSetCount(ring, 0);
  ringHand = 0;
  buildStep = NONE;
  loaded = false;
  forgetSearches();
}

function forgetSearches(): void {
  memory.fill(cursors, 0, CURSORS << 2);
  seekWant = 0;
}

// ---- the log --------------------------------------------------------------------------------------------

@inline
export function logCount(): u32 {
  return listCount(log);
}

@inline
export function logEntry(index: u32): usize {
  return listEntry(log, index);
}

/** Room for `more` entries. */
export function logRoom(more: u32): bool {
  return listReserve(log, more);
}

/** Appends to the log (room was made), merging with the last entry where it continues it. */
export function logAppend(kind: u32, page: u32, count: u32): void {
  const n = listCount(log);
  if (n > logFloor) {
    const last = listEntry(log, n - 1);
    const from = load<u32>(last, LOG_PAGE);
    const length = load<u32>(last, LOG_COUNT);
    if (load<u32>(last, LOG_KIND) == kind) {
      if (from + length == page) {
        store<u32>(last, length + count, LOG_COUNT);
        return;
      }
      if (page + count == from) {
        store<u32>(last, page, LOG_PAGE);
        store<u32>(last, length + count, LOG_COUNT);
        return;
      }
    }
  }
  listSetCount(log, n + 1);
  const at = listEntry(log, n);
  store<u32>(at, page, LOG_PAGE);
  store<u32>(at, count, LOG_COUNT);
  store<u32>(at, kind, LOG_KIND);
}

/** What is in the log now stays as it is. */
export function logSettle(): void {
  logFloor = listCount(log);
}

/** A new period: empty log, the file as long as the newest generation. */
export function logClear(pageCount: u32): void {
  listSetCount(log, 0);
  logFloor = 0;
  high = pageCount;
}

/** Where the log stands, for spaceRollback. Valid until the next generation is finalized. */
export function spaceMark(): u32 {
  logSettle();
  return listCount(log);
}

/** Undoes allocations and frees since the mark; reservations stay. */
export function spaceRollback(mark: u32): i32 {
  const n = listCount(log);
  if (mark > n || finalizing) return invariant(7016);
  let kept = mark;
  for (let i = mark; i < n; i++) {
    const at = listEntry(log, i);
    if (load<u32>(at, LOG_KIND) == LOG_GIVE) unmarkBusy(load<u32>(at, LOG_PAGE), load<u32>(at, LOG_COUNT));
    if (load<u32>(at, LOG_KIND) != LOG_RESERVE) continue;
    if (kept != i) memory.copy(listEntry(log, kept), at, 12);
    kept++;
  }
  listSetCount(log, kept);
  logFloor = kept;
  for (let i = mark; i < kept; i++) markBusy(load<u32>(listEntry(log, i), LOG_PAGE), load<u32>(listEntry(log, i), LOG_COUNT));
  const gen = newest();
  high = gen ? load<u32>(gen, GEN_PAGES) : 0;
  for (let i: u32 = 0; i < kept; i++) {
    const at = listEntry(log, i);
    if (load<u32>(at, LOG_KIND) != LOG_FREE) high = max<u32>(high, load<u32>(at, LOG_PAGE) + load<u32>(at, LOG_COUNT));
  }
  forgetSearches();
  return OK;
}

/** Pages that the newest generation has, or that this period gave out, are not used by the next generation. Reads nothing. */
export function spaceFree(page: u32, count: u32): i32 {
  if (finalizing) return invariant(7017);
  if (!count) return OK;
  if (page < bitmapMetaPages || page >= high || count > high - page) return corruptPage(page, REASON_BOUNDS, high, count);
  if (!listReserve(log, 1)) return OUT_OF_MEMORY;
  logAppend(LOG_FREE, page, count);
  return OK;
}

/** Given pages are in use by the next generation, whatever they were (meta slots, journal extents). Not undone by spaceRollback. */
export function spaceReserve(page: u32, count: u32): i32 {
  if (finalizing) return invariant(7018);
  if (!count) return OK;
  if (page >= LIMIT || count > LIMIT - page) return invariant(7019);
  if (!listReserve(log, 1)) return OUT_OF_MEMORY;
  logAppend(LOG_RESERVE, page, count);
  taken(page, count);
  return OK;
}

/** Pages are in use from now on. */
function taken(page: u32, count: u32): void {
  high = max<u32>(high, page + count);
  topChunk = max<u32>(topChunk, (page + count + bitmapBits - 1) / bitmapBits);
  seekWant = 0;
  markBusy(page, count);
}

/** spaceFinalize is under way, or over. */
export function spaceFinalizing(on: bool): void {
  finalizing = on;
}

export function spaceIsFinalizing(): bool {
  return finalizing;
}

// ---- busy pages -----------------------------------------------------------------------------------------

@inline
function busyOf(chunk: u32): usize {
  return chunk < busyRoom ? <usize> load<u32>(busyAt + (<usize> chunk << 2)) : 0;
}

function markBusy(page: u32, count: u32): void {
  buildStep = NONE;
  while (count) {
    const chunk = page / bitmapBits;
    const bit = page - chunk * bitmapBits;
    const step = min<u32>(count, bitmapBits - bit);
    const buffer = busyOf(chunk);
    if (buffer) setBits(buffer, bit, step);
    page += step;
    count -= step;
  }
}

function unmarkBusy(page: u32, count: u32): void {
  buildStep = NONE;
  while (count) {
    const chunk = page / bitmapBits;
    const bit = page - chunk * bitmapBits;
    const step = min<u32>(count, bitmapBits - bit);
    const buffer = busyOf(chunk);
    if (buffer) clearBits(buffer, bit, step);
    page += step;
    count -= step;
  }
}

/** Whether a generation alone fills the chunk, as its index says. */
function isFull(chunk: u32): bool {
  for (let i = generationCount(); i > 0; i--) {
    const node = chunkNode(generationAt(i - 1), chunk);
    if (node && load<u32>(node, NODE_USED) == bitmapBits) return true;
  }
  return false;
}

/** Makes the busy page of a chunk: OK (busyOf has it), NEED_PAGE. The indexes are loaded. */
function busyBuild(chunk: u32): i32 {
  if (chunk >= busyRoom) {
    const want = max<u32>(64, max<u32>(chunk + 1, busyRoom << 1));
    const moved = busyAt ? resize(busyAt, busyRoom << 2, want << 2, busyRoom << 2) : allocate(want << 2);
    if (!moved) return OUT_OF_MEMORY;
    memory.fill(moved + (<usize> busyRoom << 2), 0, (want - busyRoom) << 2);
    busyAt = moved;
    busyRoom = want;
  }
  if (!listReserve(ring, 1)) return OUT_OF_MEMORY;
  if (buildStep == NONE || buildChunk != chunk) {
    memory.fill(buildBuffer, 0, bitmapPageSize);
    buildChunk = chunk;
    buildStep = 0;
  }
  while (buildStep < generationCount()) {
    const status = image(generationAt(buildStep), chunk);
    if (status != OK) return status;
    if (imageBuffer) mergeBits(buildBuffer, imageBuffer);
    buildStep++;
  }
  const base = chunk * bitmapBits;
  if (!chunk) setBits(buildBuffer, 0, bitmapMetaPages);
  for (let i: u32 = 0, n = listCount(log); i < n; i++) {
    const at = listEntry(log, i);
    if (load<u32>(at, LOG_KIND) == LOG_FREE) continue;
    const from = max<u32>(load<u32>(at, LOG_PAGE), base);
    const end = min<u32>(load<u32>(at, LOG_PAGE) + load<u32>(at, LOG_COUNT), base + bitmapBits);
    if (from < end) setBits(buildBuffer, from - base, end - from);
  }
  let spare: usize;
  if (listCount(ring) < ringMax) {
    spare = allocate(bitmapPageSize);
    if (!spare) return OUT_OF_MEMORY;
    listSetCount(ring, listCount(ring) + 1);
    store<u32>(listEntry(ring, listCount(ring) - 1), chunk);
  } else {
    const victim = listAt(ring) + (<usize> ringHand << 2);
    const slot = busyAt + (<usize> load<u32>(victim) << 2);
    spare = <usize> load<u32>(slot);
    store<u32>(slot, 0);
    store<u32>(victim, chunk);
    ringHand = (ringHand + 1) % ringMax;
  }
  store<u32>(busyAt + (<usize> chunk << 2), <u32> buildBuffer);
  buildBuffer = spare;
  buildStep = NONE;
  return OK;
}

// ---- giving out -----------------------------------------------------------------------------------------

/** Gives the lowest free page: spacePlace. OK, NEED_PAGE, OUT_OF_SPACE. */
export function spaceAllocate(): i32 {
  return finalizing ? invariant(7020) : allocateLowest();
}

/** spaceAllocate, also for spaceFinalize. */
export function allocateLowest(): i32 {
  if (!loaded) {
    const status = spaceLoad();
    if (status != OK) return status;
  }
  if (!listReserve(log, 1)) return OUT_OF_MEMORY;
  const cursor = load<u32>(cursors, 4);
  let chunk = cursor / bitmapBits;
  let bit = cursor - chunk * bitmapBits;
  for (;;) {
    let buffer = busyOf(chunk);
    if (!buffer && !isFull(chunk)) {
      const status = busyBuild(chunk);
      if (status != OK) return status;
      buffer = busyOf(chunk);
    }
    if (buffer) {
      bit = nextClear(buffer, bit);
      if (bit < bitmapBits) break;
    }
    chunk++;
    bit = 0;
    store<u32>(cursors, chunk * bitmapBits, 4);
    if (chunk * bitmapBits >= LIMIT) return OUT_OF_SPACE;
  }
  const page = chunk * bitmapBits + bit;
  if (page >= LIMIT) return OUT_OF_SPACE;
  store<u32>(cursors, page, 4);
  logAppend(LOG_GIVE, page, 1);
  taken(page, 1);
  place = page;
  return OK;
}

/** The cursor for runs of `count` pages. */
@inline
function cursorOf(count: u32): u32 {
  return count <= 64 ? count : 64 + (25 - <u32> clz<u32>(count));
}

/** Gives the lowest run of `count` free pages: spacePlace is its first. OK, NEED_PAGE, OUT_OF_SPACE. */
export function spaceAllocateRun(count: u32): i32 {
  if (finalizing) return invariant(7021);
  if (count <= 1) return count ? spaceAllocate() : invariant(7022);
  if (count > LIMIT) return OUT_OF_SPACE;
  if (!loaded) {
    const status = spaceLoad();
    if (status != OK) return status;
  }
  if (!listReserve(log, 1)) return OUT_OF_MEMORY;
  const cursor = cursorOf(count);
  const least: u32 = cursor <= 64 ? cursor : <u32> 1 << (cursor - 58);
  if (seekWant != count) {
    let from: u32 = 0;
    for (let i: u32 = 1; i <= cursor; i++) from = max<u32>(from, load<u32>(cursors + (i << 2)));
    seekWant = count;
    seekAt = from;
    seekStart = from;
    seekFirst = NONE;
  }
  for (;;) {
    const chunk = seekAt / bitmapBits;
    if (chunk >= topChunk) break; // everything from seekStart on is free
    const base = chunk * bitmapBits;
    let buffer = busyOf(chunk);
    if (!buffer) {
      if (isFull(chunk)) {
        endStretch(least);
        seekAt = seekStart = base + bitmapBits;
        continue;
      }
      const status = busyBuild(chunk);
      if (status != OK) return status;
      buffer = busyOf(chunk);
    }
    if (seekStart == seekAt) {
      seekStart = base + nextClear(buffer, seekAt - base);
      seekAt = seekStart;
      if (seekStart == base + bitmapBits) continue;
    }
    const end = nextSet(buffer, seekAt - base);
    seekAt = base + end;
    if (seekAt - seekStart >= count) break;
    if (end < bitmapBits) {
      endStretch(least);
      seekStart = seekAt;
    }
  }
  const page = seekStart;
  if (page >= LIMIT || count > LIMIT - page) {
    seekWant = 0;
    return OUT_OF_SPACE;
  }
  store<u32>(cursors + (cursor << 2), min<u32>(seekFirst, page));
  logAppend(LOG_GIVE, page, count);
  taken(page, count);
  place = page;
  return OK;
}

/** A free stretch that was too short has ended: remembers the first one that its cursor must not skip. */
@inline
function endStretch(least: u32): void {
  if (seekFirst == NONE && seekAt - seekStart >= least) seekFirst = seekStart;
}
