// Page frames: where pages live in linear memory, and how they come and go.
//
//   frame struct, 32 bytes before the page bytes (the struct and the page header share a cache line):
//     -4  id         place (page number) or unplaced id; 0 = frame is free
//     -8  version    version that wrote it (dirty pages)
//     -12 parent     page under which its keys were held against the separators, 0 = none yet; see tree_path.ts
//     -16 crc        checksum the file has (clean pages)
//     -20 flags      DIRTY, FROZEN, WRITING
//     -24 tick       last operation that used it
//     -28 index      position in the list of all frames
//     -32 slot       its slot in that parent
//
// Invariants:
//   1. A resident placed page is in the page table under its place, at most once; a dirty unplaced one is in the unplaced table.
//   2. Only clean frames that the running operation has not touched are evicted. Dirty ones leave by spilling, frozen ones also by sealing.
//   3. Bytes read from storage become a page only in pageInstall, after checksum, identity and structure were verified.
//   4. One read request is outstanding at most; whoever asks again for another page gives the first one up.
import { corruptPage, needPage, setWord } from "./ctrl";
import { crc32c } from "./crc32c";
import {
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  DONE,
  INVARIANT,
  NEED_PAGE,
  NEED_ROOM,
  OK,
  OUT_OF_MEMORY,
  PAGE_BIRTH,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_LEVEL,
  PAGE_NUMBER,
  POINTER_BIRTH,
  POINTER_CRC,
  REASON_CRC,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_STALE,
  REASON_TYPE,
  UNPLACED,
} from "./format";
import { listAt, listCount, listEntry, listInit, listPush, listSetCount } from "./list";
import { allocateForever } from "./mem";
import { pageProblem } from "./page";
import { lookup, tableInit, tableInsert, tableRemove } from "./page_table";
import { sealEntry, SEAL_CRC, SEAL_SPILL, sealSpilledBelow } from "./seal_table";

export const FRAME_ID: usize = 4;
export const FRAME_VERSION: usize = 8;
export const FRAME_PARENT: usize = 12;
export const FRAME_CRC_HAS: usize = 16;
export const FRAME_FLAGS: usize = 20;
export const FRAME_TICK: usize = 24;
export const FRAME_INDEX: usize = 28;
export const FRAME_SLOT: usize = 32;
const STRUCT: u32 = 32;
const PAD: u32 = 32;

export const DIRTY: u32 = 1;
/** Placed by a freeze, not sealed yet. */
export const FROZEN: u32 = 2;
/** Sealed, handed to the host, not known written yet. */
export const WRITING: u32 = 4;

// Unplaced table entry: 16 bytes.
export const VIRTUAL_FRAME: usize = 0; // frame; while spilled: the version that wrote the page
export const VIRTUAL_PLACE: usize = 4; // spill place, or the place a freeze gave
export const VIRTUAL_CRC: usize = 8; // checksum of the spilled bytes
export const VIRTUAL_STATE: usize = 12; // V_*
export const V_FREE: u32 = 0; // VIRTUAL_FRAME = next free index
export const V_RESIDENT: u32 = 1;
export const V_SPILLED: u32 = 2;
export const V_PLACED: u32 = 3;

export let pageShift: u32 = 12;
export let pageSize: u32 = 4096;
export let fileId: u64 = 0;
/** The running operation. */
export let tick: u32 = 1;
/** The next operation is the last one tried again. */
let again: bool = false;
/** Status of the last fetch or frame request that returned 0. */
export let fetchStatus: i32 = OK;
/** Dirty frames (unplaced or frozen), resident. */
export let dirtyCount: u32 = 0;
export let pagesRead: u64 = 0;
export let evictions: u64 = 0;
export let spills: u64 = 0;

let frameMax: u32 = 0;
let freeHead: usize = 0;
let freeCount: u32 = 0;
let hand: u32 = 0;

const all = memory.data(16, 8); // list of frame addresses
const virtuals = memory.data(16, 8); // unplaced table
let virtualFree: u32 = 0;

const spillFree = memory.data(16, 8); // list of free spill places
let spillNextPlace: u32 = 0;
let spillStart: u32 = 0;
/** Pages that lie at spill places and are needed. */
let spillLive: u32 = 0;
/** Where the place of the page being moved to a higher spill place is kept, and the place it goes to. */
let moveAt: usize = 0;
let movePlace: u32 = 0;
/** Unplaced ids below this have been looked at by spillBelow. */
let moveIndex: u32 = 1;
let spillFrame: usize = 0;
let spillPlace: u32 = 0;

// The outstanding read.
let wantFrame: usize = 0;
let wantPlace: u32 = 0; // where in the file
let wantId: u32 = 0; // what it is: place, or unplaced id
let wantCrc: u32 = 0;
let wantBirth: u64 = 0;
let wantLevel: u32 = 0;
let wantKind: u32 = 0; // W_*
const W_PLACED: u32 = 1;
const W_SPILLED: u32 = 2;
const W_FROZEN: u32 = 3; // spilled, placed by the running freeze

export function framesInit(shift: u32, frames: u32, id: u64): i32 {
  pageShift = shift;
  pageSize = 1 << shift;
  fileId = id;
  frameMax = frames;
  listInit(all, 4);
  listInit(virtuals, 16);
  listInit(spillFree, 4);
  listPush(virtuals); // index 0 is never used
  if (!tableInit(frames)) return OUT_OF_MEMORY;
  return OK;
}

// ---- frames ---------------------------------------------------------------------------------------------

/**
 * Starts an operation: whatever it fetches stays resident until the next one starts. A call made again after a page came in or was spilled goes on
 * with the same tick, else a small cache would evict the pages that the first attempt brought.
 */
@inline
export function nextTick(): void {
  if (again) again = false;
  else tick++;
}

/** Lets a page that this operation has finished with be evicted again. */
@inline
export function loosen(frame: usize): void {
  store<u32>(frame - FRAME_TICK, tick - 1);
}

@inline
export function flagsOf(frame: usize): u32 {
  return load<u32>(frame - FRAME_FLAGS);
}

@inline
export function idOf(frame: usize): u32 {
  return load<u32>(frame - FRAME_ID);
}

function pushFree(frame: usize): void {
  store<u32>(frame - FRAME_ID, 0);
  store<u32>(frame - FRAME_FLAGS, 0);
  store<u32>(frame, <u32> freeHead);
  freeHead = frame;
  freeCount++;
}

/** Gives a frame back; its page table or unplaced entry is already gone. */
export function dropFrame(frame: usize): void {
  if (load<u32>(frame - FRAME_FLAGS) & DIRTY) dirtyCount--;
  pushFree(frame);
}

/** Takes memory for more frames; false at the limit. */
function growFrames(): bool {
  const have = listCount(all);
  if (have >= frameMax) return false;
  const n = min<u32>(frameMax - have, max<u32>(1, 65536 >> pageShift));
  const stride = STRUCT + pageSize + PAD;
  const at = allocateForever(n * stride, 0);
  if (!at) return false;
  for (let i: u32 = 0; i < n; i++) {
    const frame = at + <usize> (i * stride + STRUCT);
    memory.fill(frame - STRUCT, 0, STRUCT);
    store<u32>(frame - FRAME_INDEX, listCount(all));
    store<u32>(listPush(all), <u32> frame);
    pushFree(frame);
  }
  return true;
}

/** Evicts the least recently used of a few clean frames from the hand on. */
function evict(): bool {
  const n = listCount(all);
  const frames = listAt(all);
  let best: usize = 0;
  let bestAge: u32 = 0;
  let seen: u32 = 0;
  for (let i: u32 = 0; i < n && seen < 8; i++) {
    hand++;
    if (hand >= n) hand = 0;
    const frame = <usize> load<u32>(frames + (<usize> hand << 2));
    if (!load<u32>(frame - FRAME_ID) || load<u32>(frame - FRAME_FLAGS)) continue;
    const age = tick - load<u32>(frame - FRAME_TICK);
    if (!age || frame == wantFrame) continue;
    seen++;
    if (age > bestAge) {
      bestAge = age;
      best = frame;
    }
  }
  if (!best) return false;
  tableRemove(load<u32>(best - FRAME_ID));
  pushFree(best);
  evictions++;
  return true;
}

/** Makes `n` frames free to take; OK or NEED_ROOM. */
export function reserveFrames(n: u32): i32 {
  while (freeCount < n) {
    if (!growFrames() && !evict()) {
      if (wantFrame) {
        pushFree(wantFrame);
        wantFrame = 0;
        continue;
      }
      return NEED_ROOM;
    }
  }
  return OK;
}

/** A free frame, or 0 (fetchStatus = NEED_ROOM). */
function takeFrame(): usize {
  if (!freeHead && reserveFrames(1) != OK) {
    fetchStatus = NEED_ROOM;
    return 0;
  }
  const frame = freeHead;
  freeHead = <usize> load<u32>(frame);
  freeCount--;
  store<u32>(frame - FRAME_TICK, tick);
  store<u32>(frame - FRAME_PARENT, 0);
  return frame;
}

// ---- unplaced pages ---------------------------------------------------------------------------------------

@inline
export function virtualEntry(id: u32): usize {
  return listEntry(virtuals, id & ~UNPLACED);
}

/** Whether an id from memory names an entry of the table; ids in pages from storage never have the top bit (checked on install). */
@inline
export function isUnplaced(id: u32): bool {
  return (id & UNPLACED) != 0;
}

/** A new dirty page of `version` in a frame reserved before; its bytes are undefined. Its id is in the frame struct. */
export function newDirty(version: u32): usize {
  const frame = takeFrame();
  assert(frame != 0); // operations reserve before they change anything
  let index: u32;
  if (virtualFree) {
    index = virtualFree;
    virtualFree = load<u32>(listEntry(virtuals, index));
  } else {
    index = listCount(virtuals);
    listPush(virtuals);
  }
  const e = listEntry(virtuals, index);
  store<u32>(e, <u32> frame);
  store<u32>(e, 0, VIRTUAL_PLACE);
  store<u32>(e, 0, VIRTUAL_CRC);
  store<u32>(e, V_RESIDENT, VIRTUAL_STATE);
  store<u32>(frame - FRAME_ID, index | UNPLACED);
  store<u32>(frame - FRAME_VERSION, version);
  store<u32>(frame - FRAME_FLAGS, DIRTY);
  dirtyCount++;
  return frame;
}

export function freeVirtual(id: u32): void {
  const e = virtualEntry(id);
  store<u32>(e, virtualFree);
  store<u32>(e, V_FREE, VIRTUAL_STATE);
  virtualFree = id & ~UNPLACED;
}

/** Forgets an unplaced page that no live version reaches. */
export function recycle(id: u32): void {
  const e = virtualEntry(id);
  const state = load<u32>(e, VIRTUAL_STATE);
  if (state == V_RESIDENT) dropFrame(<usize> load<u32>(e));
  else if (state == V_SPILLED) freeSpill(load<u32>(e, VIRTUAL_PLACE));
  if (state != V_PLACED) freeVirtual(id);
}

/** The spill place of a page that now has a real one may be used again. */
export function freeSpill(place: u32): void {
  spillLive--;
  // A place below the start is no spill place any more.
  if (place >= spillStart) store<u32>(listPush(spillFree), place);
}

/** A place is given to another page: what the cache still holds of the old one goes. */
export function forgetPlace(place: u32): void {
  const frame = lookup(place);
  if (!frame) return;
  assert(load<u32>(frame - FRAME_FLAGS) == 0);
  tableRemove(place);
  pushFree(frame);
}

/** A freeze gives a resident dirty page its place. */
export function placeFrame(frame: usize, place: u32): void {
  store<u32>(frame - FRAME_ID, place);
  store<u32>(frame - FRAME_FLAGS, DIRTY | FROZEN);
  tableInsert(place, frame);
}

/** A frozen page is sealed; it stays until it is written. */
export function sealedFrame(frame: usize, crc: u32): void {
  store<u32>(frame - FRAME_FLAGS, WRITING);
  store<u32>(frame - FRAME_CRC_HAS, crc);
  dirtyCount--;
}

// ---- fetching -----------------------------------------------------------------------------------------------

/** The frame of the page that the pointer at `pointer` names, which must be at `level`; or 0 with fetchStatus set (NEED_PAGE, NEED_ROOM). */
export function fetch(pointer: usize, level: u32): usize {
  let id = load<u32>(pointer);
  if (id & UNPLACED) {
    const e = virtualEntry(id);
    const frame = <usize> load<u32>(e);
    const state = load<u32>(e, VIRTUAL_STATE);
    if (state == V_RESIDENT) {
      store<u32>(frame - FRAME_TICK, tick);
      return frame;
    }
    if (state == V_SPILLED) return want(load<u32>(e, VIRTUAL_PLACE), id, load<u32>(e, VIRTUAL_CRC), 0, level, W_SPILLED);
    assert(state == V_PLACED);
    id = load<u32>(e, VIRTUAL_PLACE);
  }
  const frame = lookup(id);
  if (frame) {
    // It was read for another pointer, which may have been another level's.
    const have = <u32> load<u8>(frame, PAGE_LEVEL);
    if (have != level) return refuse(corruptPage(id, REASON_TYPE, level, have));
    store<u32>(frame - FRAME_TICK, tick);
    return frame;
  }
  const sealed = sealEntry(id);
  if (sealed) {
    const spill = load<u32>(sealed, SEAL_SPILL);
    if (spill) return want(spill, id, load<u32>(sealed, SEAL_CRC), 0, level, W_FROZEN);
    return want(id, id, load<u32>(sealed, SEAL_CRC), 0, level, W_PLACED);
  }
  return want(id, id, load<u32>(pointer, POINTER_CRC), load<u64>(pointer, POINTER_BIRTH) & 0xffffffffffff, level, W_PLACED);
}

/** No frame, and why. */
export function refuse(status: i32): usize {
  fetchStatus = status;
  return 0;
}

/** The same page's frame if it is resident, else 0; touches nothing. */
export function peek(pointer: usize): usize {
  let id = load<u32>(pointer);
  if (id & UNPLACED) {
    const e = virtualEntry(id);
    if (load<u32>(e, VIRTUAL_STATE) == V_RESIDENT) return <usize> load<u32>(e);
    if (load<u32>(e, VIRTUAL_STATE) != V_PLACED) return 0;
    id = load<u32>(e, VIRTUAL_PLACE);
  }
  return lookup(id);
}

function want(place: u32, id: u32, crc: u32, birth: u64, level: u32, kind: u32): usize {
  if (!wantFrame) {
    const frame = takeFrame();
    if (!frame) return 0;
    wantFrame = frame;
  }
  wantPlace = place;
  wantId = id;
  wantCrc = crc;
  wantBirth = birth;
  wantLevel = level;
  wantKind = kind;
  fetchStatus = needPage(place, wantFrame);
  return 0;
}

/** Whether the outstanding request is a page frame's. */
export function frameWanted(): bool {
  return wantFrame != 0;
}

/** Verifies what the host read and makes it a page. */
export function frameInstall(): i32 {
  const frame = wantFrame;
  if (!frame) return INVARIANT;
  const actual = crc32c(frame + 4, pageSize - 4, 0);
  if (wantKind != W_PLACED) {
    // Our own bytes, parked: the checksum is in memory.
    if (actual != wantCrc) return abandonAs(REASON_CRC, wantCrc, actual);
  } else {
    const stored = load<u32>(frame, PAGE_CRC);
    if (stored != actual) return abandonAs(REASON_CRC, stored, actual);
    if (load<u64>(frame, PAGE_FILE_ID) != fileId) return abandonAs(REASON_FOREIGN, <u32> fileId, load<u32>(frame, PAGE_FILE_ID));
    if (load<u32>(frame, PAGE_NUMBER) != wantPlace) return abandonAs(REASON_MISPLACED, wantPlace, load<u32>(frame, PAGE_NUMBER));
    const birth = load<u64>(frame, PAGE_BIRTH) & 0xffffffffffff;
    if (stored != wantCrc || (wantBirth && birth != wantBirth)) return abandonAs(REASON_STALE, wantCrc, stored);
  }
  if (load<u8>(frame, PAGE_LEVEL) != wantLevel) return abandonAs(REASON_TYPE, wantLevel, load<u8>(frame, PAGE_LEVEL));
  if (wantKind == W_PLACED) {
    const problem = pageProblem(frame, pageSize);
    if (problem) return abandonAs(problem, 0, 0);
  }
  wantFrame = 0;
  again = true;
  pagesRead++;
  store<u32>(frame - FRAME_TICK, tick);
  if (wantKind == W_SPILLED) {
    const e = virtualEntry(wantId);
    store<u32>(frame - FRAME_VERSION, load<u32>(e));
    store<u32>(e, <u32> frame);
    store<u32>(e, V_RESIDENT, VIRTUAL_STATE);
    store<u32>(frame - FRAME_ID, wantId);
    store<u32>(frame - FRAME_FLAGS, DIRTY);
    freeSpill(wantPlace);
    dirtyCount++;
    return OK;
  }
  store<u32>(frame - FRAME_ID, wantId);
  store<u32>(frame - FRAME_CRC_HAS, actual);
  tableInsert(wantId, frame);
  if (wantKind == W_FROZEN) {
    const e = sealEntry(wantId);
    freeSpill(load<u32>(e, SEAL_SPILL));
    store<u32>(e, 0, SEAL_SPILL);
    store<u32>(frame - FRAME_FLAGS, DIRTY | FROZEN);
    dirtyCount++;
  } else {
    store<u32>(frame - FRAME_FLAGS, 0);
  }
  return OK;
}

function abandonAs(reason: u32, expected: u32, actual: u32): i32 {
  frameAbandon();
  return corruptPage(wantPlace, reason, expected, actual);
}

/** Forgets the outstanding request. */
export function frameAbandon(): void {
  if (wantFrame) {
    pushFree(wantFrame);
    wantFrame = 0;
  }
}

// ---- spilling -----------------------------------------------------------------------------------------------

/** Pages from here on are free for spilling; those spilled lower stay until they are moved (spillBelow). */
export function spillBase(page: u32): void {
  spillStart = page;
  spillNextPlace = max(spillNextPlace, page);
  listSetCount(spillFree, 0);
  moveIndex = 1;
}

/** Pages spilled and not taken back or forgotten; 0 lets the file's tail be cut. */
export function spilledPages(): u32 {
  return spillLive;
}

/** Nothing is spilled: the next place is the first again. */
export function spillReset(page: u32): void {
  if (spillLive) return;
  listSetCount(spillFree, 0);
  spillStart = page;
  spillNextPlace = page;
}

/** The next page spilled below the start: the host copies page CTRL_OUT_PAGE to page CTRL_OUT_COUNT, then calls spillMoved. OK or DONE. */
export function spillBelow(): i32 {
  moveAt = 0;
  for (const n = listCount(virtuals); moveIndex < n && !moveAt; moveIndex++) {
    const e = listEntry(virtuals, moveIndex);
    if (load<u32>(e, VIRTUAL_STATE) == V_SPILLED && load<u32>(e, VIRTUAL_PLACE) < spillStart) moveAt = e + VIRTUAL_PLACE;
  }
  if (!moveAt) {
    const e = sealSpilledBelow(spillStart);
    if (!e) return DONE;
    moveAt = e + SEAL_SPILL;
  }
  movePlace = spillNextPlace++;
  setWord(CTRL_OUT_PAGE, load<u32>(moveAt));
  setWord(CTRL_OUT_COUNT, movePlace);
  return OK;
}

/** The page named by spillBelow has been copied. */
export function spillMoved(): void {
  assert(moveAt != 0);
  store<u32>(moveAt, movePlace);
  moveAt = 0;
}

/** Chooses an old dirty page, frozen or not, that the running operation does not use. */
export function spillNext(): i32 {
  const n = listCount(all);
  const frames = listAt(all);
  let best: usize = 0;
  let bestAge: u32 = 0;
  let seen: u32 = 0;
  for (let i: u32 = 0; i < n && seen < 8; i++) {
    hand++;
    if (hand >= n) hand = 0;
    const frame = <usize> load<u32>(frames + (<usize> hand << 2));
    if (!load<u32>(frame - FRAME_ID) || !(load<u32>(frame - FRAME_FLAGS) & DIRTY)) continue;
    const age = tick - load<u32>(frame - FRAME_TICK);
    if (!age) continue;
    seen++;
    if (age > bestAge) {
      bestAge = age;
      best = frame;
    }
  }
  if (!best) return DONE;
  spillFrame = best;
  const spare = listCount(spillFree);
  if (spare) {
    spillPlace = load<u32>(listEntry(spillFree, spare - 1));
    listSetCount(spillFree, spare - 1);
  } else {
    spillPlace = spillNextPlace++;
  }
  setWord(CTRL_OUT_AT, <u32> best);
  setWord(CTRL_OUT_PAGE, spillPlace);
  return OK;
}

/** The page named by spillNext is written: its frame is free. */
export function spillDone(): void {
  const frame = spillFrame;
  assert(frame != 0);
  spillFrame = 0;
  again = true;
  spillLive++;
  const id = load<u32>(frame - FRAME_ID);
  const crc = crc32c(frame + 4, pageSize - 4, 0);
  spills++;
  if (!isUnplaced(id)) {
    const sealed = sealEntry(id);
    store<u32>(sealed, crc, SEAL_CRC);
    store<u32>(sealed, spillPlace, SEAL_SPILL);
    tableRemove(id);
    dropFrame(frame);
    return;
  }
  const e = virtualEntry(id);
  store<u32>(e, crc, VIRTUAL_CRC);
  store<u32>(e, spillPlace, VIRTUAL_PLACE);
  store<u32>(e, V_SPILLED, VIRTUAL_STATE);
  store<u32>(e, load<u32>(frame - FRAME_VERSION));
  dropFrame(frame);
}
