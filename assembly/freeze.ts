// The freeze: giving the dirty pages of one version their places, and sealing them afterwards in slices.
//
//   freezeBegin   walk the dirty pages from the roots tree down, children first; place each, point its parent at it; finish the bitmap
//   sealNext      in the same order: fill in the children's checksums, stamp, checksum, hand out stretches of consecutive places
//   freezeDone    the meta generation that names all this is durable
//
// Invariants:
//   1. After freezeBegin no page reachable from the newest version is unplaced; versions after it copy what they change.
//   2. A page is sealed after all its children. A sealed page never changes.
//   3. A frame handed out for writing stays until sealWritten says that the bytes are in the file.
// Walking again after NEED_PAGE skips what is placed already: the walk is restarted, not resumed.
import { corruptPage, getWord, invariant, setWord } from "./ctrl";
import { crc32c } from "./crc32c";
import {
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  DONE,
  META_BIRTH,
  META_BITMAP,
  META_BITMAP_LEVEL,
  META_FRAME,
  META_PAGE_COUNT,
  META_ROOTS,
  META_ROOTS_LEVEL,
  META_SEQUENCE,
  OK,
  OUT_OF_MEMORY,
  PAGE_NUMBER_MAX,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_SIZE,
  REASON_BOUNDS,
  REASON_DEPTH,
  ROOT_FLAGS,
  ROOT_LEVEL,
  ROOT_POINTER,
  ROOT_SIZE,
} from "./format";
import {
  fetch,
  fetchStatus,
  fileId,
  forgetPlace,
  FRAME_CRC_HAS,
  FRAME_FLAGS,
  isUnplaced,
  loosen,
  nextTick,
  pageSize,
  placeFrame,
  sealedFrame,
  virtualEntry,
  VIRTUAL_CRC,
  VIRTUAL_PLACE,
  VIRTUAL_STATE,
  V_PLACED,
  V_RESIDENT,
  WRITING,
} from "./frame";
import { listCount, listEntry, listInit, listPush, listSetCount } from "./list";
import { mark, MARK_FREEZE } from "./marks";
import { allocate } from "./mem";
import { cellOf, countOf, levelOf, restOf, setChecksum, slotOf, stamp, suffixOf } from "./page";
import { rootsForget } from "./roots";
import { SEAL_CRC, SEAL_DONE, sealEntry, sealInsert, SEAL_SPILL, SEAL_STATE, sealTableNew } from "./seal_table";
import { spaceAllocate, spaceDrop, spaceFreezeBegin, spaceNew, spaceOlder, spaceOpen, spacePlace } from "./space";
import { spaceFinalize, spaceLevel, spaceOutNext, spacePageCount, spaceRoot } from "./space_finalize";
import { bitmapMetaPages } from "./bitmap";
import { isEmpty, LEVEL_MAX, pointerAt, rootLevel, ROOTS_TREE } from "./tree_path";
import { runsFrozen } from "./txn";
import { lookup } from "./page_table";
import { addAlias, birth, dirtyGroup, freezeEnd, newestNumber, newestVersion, releaseHeldRuns, ROOTS, startBirth, versionFrame, versionSequence, versionsStart } from "./version";

/** Pages handed out at a time, at most. */
const STRETCH: u32 = 64;

// Queue entry, 8 bytes: place, level (bit 8: leaf of the roots tree).
const queue = memory.data(16, 8);
const ROOTS_LEAF: u32 = 256;
let queueAt: u32 = 0;
const IDLE: u32 = 0;
let phase: u32 = IDLE;
const WALKING: u32 = 1;
const FINISHING: u32 = 2;
const SEALING: u32 = 3;
const BITMAPS: u32 = 4;
const SEALED: u32 = 5;

let out: usize = 0;
let outPlace: u32 = 0;
let outCount: u32 = 0;
let outAt: usize = 0;
/** Handed out and not known written. */
let pending: bool = false;

/** Roots, sequence and frame number of the last freeze (or of the meta slot the file was opened with). */
const frozenRoots = memory.data(32, 8);
let frozenSequence: f64 = 0;
let frozenFrame: f64 = 0;
let frozenBirth: u64 = 0;
const frozenBitmap = memory.data(16, 8);
let frozenBitmapLevel: u32 = 0;
let frozenPages: u32 = 0;
/** Births of the durable generations, newest first; 0 = none. */
let durable: u64 = 0;
let durableOlder: u64 = 0;

const pointer = memory.data(16, 8);

export function freezeInit(): bool {
  listInit(queue, 8);
  out = allocate(STRETCH * pageSize);
  return out != 0;
}

// ---- state from and to meta slots -----------------------------------------------------------------------------

/** Starts from a verified meta slot and, unless 0, the older generation's. */
export function stateLoad(at: usize, older: usize): i32 {
  memory.fill(ROOTS, 0, ROOT_SIZE);
  const rootsPage = load<u32>(at, META_ROOTS);
  const rootsLevel = <u32> load<u8>(at, META_ROOTS_LEVEL);
  if (rootsPage > <u32> PAGE_NUMBER_MAX || (rootsPage && rootsPage < bitmapMetaPages)) return corruptPage(rootsPage, REASON_BOUNDS, PAGE_NUMBER_MAX, rootsPage);
  if (rootsLevel > LEVEL_MAX) return corruptPage(rootsPage, REASON_DEPTH, LEVEL_MAX, rootsLevel);
  memory.copy(ROOTS + ROOT_POINTER, at + META_ROOTS, POINTER_SIZE);
  store<u8>(ROOTS, <u8> rootsLevel, ROOT_LEVEL);
  store<u8>(ROOTS, ROOTS_TREE, ROOT_FLAGS);
  memory.copy(frozenRoots, ROOTS, ROOT_SIZE);
  frozenBirth = load<u64>(at, META_BIRTH) & 0xffffffffffff;
  frozenSequence = <f64> load<u64>(at, META_SEQUENCE);
  frozenFrame = <f64> load<u64>(at, META_FRAME);
  memory.copy(frozenBitmap, at + META_BITMAP, POINTER_SIZE);
  frozenBitmapLevel = load<u8>(at, META_BITMAP_LEVEL);
  frozenPages = load<u32>(at, META_PAGE_COUNT);
  // A file that has never seen a checkpoint has no bitmap: its pages so far are meta slots and journal.
  let status = load<u32>(at, META_BITMAP) ? spaceOpen(at + META_BITMAP, frozenBitmapLevel, frozenPages, frozenBirth) : spaceNew(frozenPages);
  if (status != OK) return status;
  durable = frozenBirth;
  durableOlder = frozenBirth;
  if (older) {
    const olderBirth = load<u64>(older, META_BIRTH) & 0xffffffffffff;
    if (olderBirth != frozenBirth && load<u32>(older, META_BITMAP)) {
      status = spaceOlder(older + META_BITMAP, load<u8>(older, META_BITMAP_LEVEL), load<u32>(older, META_PAGE_COUNT), olderBirth);
      if (status != OK) return status;
      durableOlder = olderBirth;
    }
  }
  versionsStart(frozenSequence, frozenFrame, max(frozenBirth, durableOlder));
  return OK;
}

/** Starts an empty file whose first `reservedPages` pages are meta slots and journal. */
export function stateNew(reservedPages: u32): i32 {
  memory.fill(ROOTS, 0, ROOT_SIZE);
  store<u8>(ROOTS, ROOTS_TREE, ROOT_FLAGS);
  const status = spaceNew(reservedPages);
  frozenPages = reservedPages;
  if (status == OK) versionsStart(0, 0, 0);
  return status;
}

/** Writes what the last freeze left into a meta slot. */
export function stateSave(at: usize): void {
  memory.copy(at + META_ROOTS, frozenRoots + ROOT_POINTER, POINTER_SIZE);
  store<u8>(at, load<u8>(frozenRoots, ROOT_LEVEL), META_ROOTS_LEVEL);
  memory.copy(at + META_BITMAP, frozenBitmap, POINTER_SIZE);
  store<u8>(at, <u8> frozenBitmapLevel, META_BITMAP_LEVEL);
  store<u32>(at, frozenPages, META_PAGE_COUNT);
  store<u64>(at, <u64> frozenSequence, META_SEQUENCE);
  store<u64>(at, <u64> frozenFrame, META_FRAME);
  store<u32>(at, <u32> frozenBirth, META_BIRTH);
  store<u16>(at, <u16> (frozenBirth >> 32), META_BIRTH + 4);
}

// ---- walking ----------------------------------------------------------------------------------------------------

/** Gives the newest sealed version places; resumable. The private version is empty. */
export function freezeBegin(): i32 {
  nextTick();
  if (phase == IDLE) {
    if (dirtyGroup) return invariant(200);
    if (!sealTableNew(newestNumber())) return OUT_OF_MEMORY;
    const status = spaceFreezeBegin();
    if (status != OK) return status;
    startBirth();
    listSetCount(queue, 0);
    queueAt = 0;
    phase = WALKING;
  }
  if (phase == WALKING) {
    if (!isEmpty(ROOTS)) {
      const status = walk(ROOTS + ROOT_POINTER, rootLevel(ROOTS), true);
      if (status != OK) return status;
    }
    rootsForget();
    releaseHeldRuns();
    phase = FINISHING;
  }
  if (phase != FINISHING) return invariant(201);
  const status = spaceFinalize(birth);
  if (status != OK) return status;
  freezeEnd();
  memory.copy(frozenRoots, ROOTS, ROOT_SIZE);
  frozenSequence = versionSequence(<i32> newestVersion());
  frozenFrame = versionFrame(<i32> newestVersion());
  frozenBirth = birth;
  spaceRoot(frozenBitmap);
  frozenBitmapLevel = spaceLevel();
  frozenPages = spacePageCount();
  runsFrozen();
  mark(MARK_FREEZE);
  phase = SEALING;
  return OK;
}

/** Places the page behind a pointer and everything unplaced below it, children first. Depth is bounded by the levels of two trees. */
function walk(at: usize, level: u32, roots: bool): i32 {
  const id = load<u32>(at);
  if (!isUnplaced(id)) {
    // Copied from a page that was being sealed: its checksum exists by now.
    if (!load<u32>(at, POINTER_CRC)) fillChecksum(at);
    return OK;
  }
  const v = virtualEntry(id);
  if (load<u32>(v, VIRTUAL_STATE) == V_PLACED) return invariant(202);
  if (level || roots) {
    const page = fetch(at, level);
    if (!page) return fetchStatus;
    const n = countOf(page);
    for (let i: u32 = 0; i < n; i++) {
      const slot = slotOf(page, i);
      let status: i32 = OK;
      if (level) status = walk(cellOf(page, slot), level - 1, roots);
      else {
        const record = recordOf(page, slot);
        if (!isEmpty(record)) status = walk(record + ROOT_POINTER, rootLevel(record), false);
      }
      if (status != OK) return status;
    }
  }
  const status = spaceAllocate();
  if (status != OK) return status;
  const place = spacePlace();
  forgetPlace(place);
  const e = sealInsert(place);
  const entry = virtualEntry(id);
  if (load<u32>(entry, VIRTUAL_STATE) == V_RESIDENT) {
    const frame = <usize> load<u32>(entry);
    placeFrame(frame, place);
    // Only the path to the page being placed has to stay: a version may have more dirty branches than there are frames.
    loosen(frame);
  } else {
    store<u32>(e, load<u32>(entry, VIRTUAL_PLACE), SEAL_SPILL);
    store<u32>(e, load<u32>(entry, VIRTUAL_CRC), SEAL_CRC);
  }
  store<u32>(entry, 0);
  store<u32>(entry, place, VIRTUAL_PLACE);
  store<u32>(entry, V_PLACED, VIRTUAL_STATE);
  addAlias(id);
  const q = listPush(queue);
  store<u32>(q, place);
  store<u32>(q, roots && !level ? ROOTS_LEAF : level, 4);
  store<u32>(at, place);
  store<u32>(at, 0, POINTER_CRC);
  store<u32>(at, <u32> birth, POINTER_BIRTH);
  store<u16>(at, <u16> (birth >> 32), POINTER_BIRTH + 4);
  return OK;
}

/** The root record in a cell of a leaf of the roots tree. */
@inline
function recordOf(page: usize, slot: usize): usize {
  return cellOf(page, slot) + 2 + restOf(suffixOf(slot));
}

function fillChecksum(at: usize): void {
  const e = sealEntry(load<u32>(at));
  if (e && load<u32>(e, SEAL_STATE) == SEAL_DONE) store<u32>(at, load<u32>(e, SEAL_CRC), POINTER_CRC);
}

// ---- sealing ----------------------------------------------------------------------------------------------------

/** Seals up to `maxPages` pages: OK with bytes to write (then call sealWritten), DONE, NEED_PAGE, NEED_ROOM. */
export function sealNext(maxPages: u32): i32 {
  if (pending) {
    // Not written yet: the same once more.
    setWord(CTRL_OUT_AT, <u32> outAt);
    setWord(CTRL_OUT_PAGE, outPlace);
    setWord(CTRL_OUT_COUNT, outCount);
    return OK;
  }
  if (phase == SEALING) {
    nextTick();
    const n = listCount(queue);
    const most = min(STRETCH, maxPages);
    outCount = 0;
    while (queueAt < n && outCount < most) {
      const q = listEntry(queue, queueAt);
      const place = load<u32>(q);
      const level = load<u32>(q, 4);
      if (outCount && place != outPlace + outCount) break;
      let page = lookup(place);
      if (!page) {
        store<u32>(pointer, place);
        page = fetch(pointer, level & 255);
        if (!page) {
          if (outCount) break;
          return fetchStatus;
        }
      }
      sealPage(page, place, level);
      memory.copy(out + outCount * pageSize, page, pageSize);
      if (!outCount) outPlace = place;
      outCount++;
      queueAt++;
    }
    if (outCount) {
      outAt = out;
      pending = true;
      return sealNext(maxPages);
    }
    // The roots page is sealed by now: the meta slot can name it.
    if (!isEmpty(frozenRoots) && !load<u32>(frozenRoots, POINTER_CRC)) fillChecksum(frozenRoots + ROOT_POINTER);
    phase = BITMAPS;
  }
  if (phase == BITMAPS) {
    const status = spaceOutNext();
    if (status == OK) {
      outAt = <usize> getWord(CTRL_OUT_AT);
      outPlace = getWord(CTRL_OUT_PAGE);
      outCount = 1;
      pending = true;
      return OK;
    }
    if (status != DONE) return status;
    phase = SEALED;
  }
  return phase == SEALED || phase == IDLE ? DONE : invariant(203);
}

function sealPage(page: usize, place: u32, level: u32): void {
  const n = countOf(page);
  if (level) {
    for (let i: u32 = 0; i < n; i++) {
      const slot = slotOf(page, i);
      const child = level & ROOTS_LEAF ? recordOf(page, slot) + ROOT_POINTER : cellOf(page, slot);
      if (load<u32>(child) && !load<u32>(child, POINTER_CRC)) fillChecksum(child);
    }
  }
  stamp(page, place, fileId, birth);
  const crc = crc32c(page + 4, pageSize - 4, 0);
  setChecksum(page, crc);
  const e = sealEntry(place);
  store<u32>(e, crc, SEAL_CRC);
  store<u32>(e, SEAL_DONE, SEAL_STATE);
  sealedFrame(page, crc);
}

/** What sealNext handed out is in the file. */
export function sealWritten(): void {
  for (let i: u32 = 0; i < outCount; i++) {
    const page = lookup(outPlace + i);
    if (page) store<u32>(page - FRAME_FLAGS, load<u32>(page - FRAME_FLAGS) & ~WRITING);
  }
  outCount = 0;
  pending = false;
}

/** Pages of the frozen version not sealed yet. */
export function sealLeft(): u32 {
  return phase == SEALING ? listCount(queue) - queueAt : 0;
}

/** A meta generation with the state of stateSave is durable: the older of the two before may be overwritten. */
export function freezeDone(): void {
  assert(phase == SEALED || phase == IDLE);
  phase = IDLE;
  if (durableOlder && durableOlder != durable) spaceDrop(durableOlder);
  durableOlder = durable ? durable : frozenBirth;
  durable = frozenBirth;
  if (!durableOlder) durableOlder = durable;
}
