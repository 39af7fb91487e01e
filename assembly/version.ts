// Versions: the states after each group of commits, what keeps their pages alive, and copy-on-write.
//
//   private ── groupSeal ──▶ sealed ── versionPublish ──▶ published ──▶ (pinned by readers) ──▶ dead
//
// Version slot, 128 bytes: number, pins, state, level word of the roots tree, its root record, sequence, frame number, meta generation it rests on.
//
// Invariants:
//   1. A dirty page written by the private version is changed in place; every other page is copied first.
//   2. A page superseded at version s and written by version b is kept while a live version v has b ≤ v < s.
//   3. The newest sealed and the published version are always live.
//   4. Dropping the private version leaves every older version, the freed places and the roots as they were at the last seal.
import { flagsOf, DIRTY, FRAME_VERSION, FROZEN, idOf, isUnplaced, loosen, newDirty, pageSize, recycle, virtualEntry, freeVirtual, VIRTUAL_FRAME, VIRTUAL_PLACE, VIRTUAL_STATE, V_FREE, V_PLACED, V_RESIDENT } from "./frame";
import { mark as countMark, MARK_GROUP_DISCARD } from "./marks";
import { OK, POINTER_BIRTH, POINTER_CRC, ROOT_SIZE } from "./format";
import { listCount, listEntry, listInit, listPush, listSetCount } from "./list";
import { sealTableDrop, sealTableFrom, sealTables, sealTableTo } from "./seal_table";
import { spaceDrop, spaceFree, spaceHold, spaceMark, spaceReserve, spaceRollback } from "./space";

// Version slot.
const SLOT_NUMBER: usize = 0; // u32
const SLOT_PINS: usize = 4; // u32
const SLOT_STATE: usize = 8; // u32
export const SLOT_ROOTS: usize = 16; // root record of the roots tree
const SLOT_SEQUENCE: usize = 48; // f64
const SLOT_FRAME: usize = 56; // f64
const SLOT_BASE: usize = 64; // u64 birth of the freeze the version rests on
const SLOT_HELD: usize = 72; // u64 birth of a later freeze whose places it may reach, 0 = none
const SLOT_BYTES: u32 = 80;
const S_FREE: u32 = 0;
const S_SEALED: u32 = 1; // applied, not durable
const S_PUBLISHED: u32 = 2;
const S_OLD: u32 = 3; // kept by pins

/** Number of the private version. */
export let current: u32 = 2;
/** Root record of the newest applied state's roots tree; the private version's while there is one. */
export const ROOTS = memory.data(32, 16);
/** ROOTS as of the last seal. */
const sealedRoots = memory.data(32, 16);
export let sequence: f64 = 0;
export let frameNumber: f64 = 0;
let sealedSequence: f64 = 0;
let sealedFrame: f64 = 0;
/** Birth number of the last freeze begun. */
export let birth: u64 = 0;
/** Pages of the newest state that have no place yet: what the next freeze will have to write. It follows from the commits alone. */
export let unplaced: u32 = 0;
let sealedUnplaced: u32 = 0;
/** Pages placed by the running freeze. */
let placed: u32 = 0;
/** Whether the private version differs from the last sealed one. */
export let dirtyGroup: bool = false;

const slots = memory.data(16, 8);
/** Superseded unplaced pages: {id, born, superseded}, in order of the last. */
const retired = memory.data(16, 8);
/** Those that an older reader kept alive when their turn came. */
const stuck = memory.data(16, 8);
/** Ids of the pages written by the private version. */
const created = memory.data(16, 8);
/** Unplaced ids that a freeze gave places: {id, version frozen}. */
const aliases = memory.data(16, 8);
/** Superseded runs that no generation names: {place, pages, first version that may reach it, superseded}. */
const heldRuns = memory.data(16, 8);
/** Those at the front of the list that were reserved for this period. */
let heldBefore: u32 = 0;
/** Number of the version frozen last. */
let frozenVersion: u32 = 0;
let published: u32 = 0;
let newest: u32 = 0;
let mark: u32 = 0;
/** Why the private version cannot be sealed, or OK. */
export let damage: i32 = OK;

export function versionsInit(): void {
  listInit(slots, SLOT_BYTES);
  listInit(retired, 12);
  listInit(stuck, 12);
  listInit(created, 4);
  listInit(aliases, 8);
  listInit(heldRuns, 16);
}

@inline
export function versionAt(id: u32): usize {
  assert(id < listCount(slots));
  return listEntry(slots, id);
}

function freeSlot(): u32 {
  const n = listCount(slots);
  for (let i: u32 = 0; i < n; i++) {
    if (load<u32>(listEntry(slots, i), SLOT_STATE) == S_FREE) return i;
  }
  listPush(slots);
  return n;
}

/** The state of the newest meta generation becomes version 1, published. ROOTS, sequence and frame number are set by the caller. */
export function versionsStart(lastSequence: f64, lastFrame: f64, lastBirth: u64): void {
  sequence = lastSequence;
  frameNumber = lastFrame;
  birth = lastBirth;
  current = 1;
  const id = sealVersion();
  published = id;
  store<u32>(versionAt(id), S_PUBLISHED, SLOT_STATE);
}

// ---- copy-on-write ------------------------------------------------------------------------------------------

/** A new page of the private version; bytes undefined. */
export function createPage(): usize {
  const page = newDirty(current);
  store<u32>(listPush(created), idOf(page));
  unplaced++;
  dirtyGroup = true;
  return page;
}

/** Points a pointer at an unplaced page. */
@inline
export function setPointer(pointer: usize, id: u32): void {
  store<u32>(pointer, id);
  store<u32>(pointer, 0, POINTER_CRC);
  store<u32>(pointer, 0, POINTER_BIRTH);
  store<u16>(pointer, 0, POINTER_BIRTH + 4);
}

@inline
export function isPrivate(page: usize): bool {
  return load<u32>(page - FRAME_VERSION) == current && (flagsOf(page) & (DIRTY | FROZEN)) == DIRTY;
}

/** The page behind `pointer`, in a frame that the private version may change; the pointer follows. */
export function writable(pointer: usize, page: usize): usize {
  if (isPrivate(page)) return page;
  const copy = createPage();
  memory.copy(copy, page, pageSize);
  loosen(page);
  supersede(page);
  setPointer(pointer, idOf(copy));
  return copy;
}

/** Frees placed pages. A refusal (a damaged pointer to pages that cannot be freed) is kept for groupSeal. */
function free(place: u32, pages: u32): void {
  const status = spaceFree(place, pages);
  if (status != OK) damage = status;
}

/** The private version has no use for this page any more. */
export function supersede(page: usize): void {
  dirtyGroup = true;
  const id = idOf(page);
  if (!isUnplaced(id)) {
    free(id, 1);
    return;
  }
  unplaced--;
  if (isPrivate(page)) {
    recycle(id);
    return;
  }
  const e = listPush(retired);
  store<u32>(e, id);
  store<u32>(e, load<u32>(page - FRAME_VERSION), 4);
  store<u32>(e, current, 8);
}

/** The same for the page behind a pointer, which need not be resident. */
export function superseded(pointer: usize): void {
  const id = load<u32>(pointer);
  dirtyGroup = true;
  if (!isUnplaced(id)) {
    free(id, 1);
    return;
  }
  const v = virtualEntry(id);
  const state = load<u32>(v, VIRTUAL_STATE);
  if (state == V_PLACED) {
    free(load<u32>(v, VIRTUAL_PLACE), 1);
    return;
  }
  unplaced--;
  const page = <usize> load<u32>(v);
  const born = state == V_RESIDENT ? load<u32>(page - FRAME_VERSION) : load<u32>(v, VIRTUAL_FRAME);
  if (born == current) {
    recycle(id);
    return;
  }
  const e = listPush(retired);
  store<u32>(e, id);
  store<u32>(e, born, 4);
  store<u32>(e, current, 8);
}

/**
 * The private version has no use for a run any more. One that was written since the last freeze is in no generation, so the generations that
 * readers hold do not protect it: it is remembered until no version can reach it.
 */
export function supersedeRun(place: u32, pages: u32, born: u64): void {
  dirtyGroup = true;
  free(place, pages);
  if (born <= birth) return;
  const e = listPush(heldRuns);
  store<u32>(e, place);
  store<u32>(e, pages, 4);
  store<u32>(e, frozenVersion + 1, 8);
  store<u32>(e, current, 12);
}

/** Runs kept from the last period leave the generation that is about to be finished. */
export function releaseHeldRuns(): void {
  for (let i: u32 = 0; i < heldBefore; i++) {
    const e = listEntry(heldRuns, i);
    free(load<u32>(e), load<u32>(e, 4));
  }
  heldBefore = 0;
}

/** Something outside the trees' pages changed in the private version. */
export function touched(): void {
  dirtyGroup = true;
}

// ---- life of versions ---------------------------------------------------------------------------------------

function isLive(from: u32, to: u32): bool {
  const n = listCount(slots);
  for (let i: u32 = 0; i < n; i++) {
    const s = listEntry(slots, i);
    if (load<u32>(s, SLOT_STATE) == S_FREE) continue;
    const number = load<u32>(s);
    if (number >= from && number < to) return true;
  }
  return false;
}

/** Number of the oldest live version. */
export function oldestVersion(): u32 {
  let oldest: u32 = current;
  const n = listCount(slots);
  for (let i: u32 = 0; i < n; i++) {
    const s = listEntry(slots, i);
    if (load<u32>(s, SLOT_STATE) != S_FREE) oldest = min(oldest, load<u32>(s));
  }
  return oldest;
}

/** Closes the private version: its state becomes a version of its own. Returns the id. */
export function sealVersion(): u32 {
  const id = freeSlot();
  const s = versionAt(id);
  store<u32>(s, current, SLOT_NUMBER);
  store<u32>(s, 0, SLOT_PINS);
  store<u32>(s, S_SEALED, SLOT_STATE);
  memory.copy(s + SLOT_ROOTS, ROOTS, ROOT_SIZE);
  store<f64>(s, sequence, SLOT_SEQUENCE);
  store<f64>(s, frameNumber, SLOT_FRAME);
  store<u64>(s, birth, SLOT_BASE);
  store<u64>(s, 0, SLOT_HELD);
  spaceHold(birth);
  memory.copy(sealedRoots, ROOTS, ROOT_SIZE);
  sealedSequence = sequence;
  sealedFrame = frameNumber;
  sealedUnplaced = unplaced;
  newest = id;
  current++;
  listSetCount(created, 0);
  mark = spaceMark();
  dirtyGroup = false;
  return id;
}

/** Drops the private version. */
export function discardPrivate(): void {
  countMark(MARK_GROUP_DISCARD);
  let n = listCount(created);
  for (let i: u32 = 0; i < n; i++) {
    const id = load<u32>(listEntry(created, i));
    const e = virtualEntry(id);
    const state = load<u32>(e, VIRTUAL_STATE);
    if (state == V_FREE || state == V_PLACED) continue;
    const wrote = state == V_RESIDENT ? load<u32>(<usize> load<u32>(e) - FRAME_VERSION) : load<u32>(e, VIRTUAL_FRAME);
    if (wrote == current) recycle(id);
  }
  listSetCount(created, 0);
  n = listCount(retired);
  while (n && load<u32>(listEntry(retired, n - 1), 8) == current) n--;
  listSetCount(retired, n);
  n = listCount(heldRuns);
  while (n > heldBefore && load<u32>(listEntry(heldRuns, n - 1), 12) == current) n--;
  listSetCount(heldRuns, n);
  spaceRollback(mark);
  damage = OK;
  memory.copy(ROOTS, sealedRoots, ROOT_SIZE);
  sequence = sealedSequence;
  frameNumber = sealedFrame;
  unplaced = sealedUnplaced;
  dirtyGroup = false;
}

function kill(id: u32): void {
  const s = versionAt(id);
  store<u32>(s, S_FREE, SLOT_STATE);
  spaceDrop(load<u64>(s, SLOT_BASE));
  if (load<u64>(s, SLOT_HELD)) spaceDrop(load<u64>(s, SLOT_HELD));
}

/** Recycles what only dead versions needed. */
function sweep(): void {
  let n = listCount(stuck);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const e = listEntry(stuck, i);
    if (isLive(load<u32>(e, 4), load<u32>(e, 8))) {
      if (kept != i) memory.copy(listEntry(stuck, kept), e, 12);
      kept++;
    } else recycle(load<u32>(e));
  }
  listSetCount(stuck, kept);
  const oldest = oldestVersion();
  n = listCount(aliases);
  kept = 0;
  for (let i: u32 = 0; i < n; i++) {
    const e = listEntry(aliases, i);
    if (load<u32>(e, 4) >= oldest) {
      if (kept != i) memory.copy(listEntry(aliases, kept), e, 8);
      kept++;
    } else freeVirtual(load<u32>(e));
  }
  listSetCount(aliases, kept);
  for (let i = sealTables(); i > 0; i--) {
    const to = sealTableTo(i - 1);
    if (to != 0xffffffff && !isLive(sealTableFrom(i - 1), to + 1)) sealTableDrop(i - 1);
  }
}

/** Moves on what was superseded up to the published version. */
function sweepRetired(): void {
  const upTo = load<u32>(versionAt(published));
  const n = listCount(retired);
  let i: u32 = 0;
  for (; i < n; i++) {
    const e = listEntry(retired, i);
    if (load<u32>(e, 8) > upTo) break;
    const id = load<u32>(e);
    const born = load<u32>(e, 4);
    const superseded = load<u32>(e, 8);
    if (isLive(born, superseded)) {
      const to = listPush(stuck);
      store<u32>(to, id);
      store<u32>(to, born, 4);
      store<u32>(to, superseded, 8);
    } else recycle(id);
  }
  if (i) {
    memory.copy(listEntry(retired, 0), listEntry(retired, i), (n - i) * 12);
    listSetCount(retired, n - i);
  }
}

/** Readers see this version from now on. Versions sealed between the published one and this one die with the published one. */
export function publish(id: u32): void {
  if (id == published) return;
  const number = load<u32>(versionAt(id));
  const n = listCount(slots);
  for (let i: u32 = 0; i < n; i++) {
    const s = listEntry(slots, i);
    const state = load<u32>(s, SLOT_STATE);
    if ((state == S_PUBLISHED || state == S_SEALED) && load<u32>(s) < number) {
      if (load<u32>(s, SLOT_PINS)) store<u32>(s, S_OLD, SLOT_STATE);
      else kill(i);
    }
  }
  store<u32>(versionAt(id), S_PUBLISHED, SLOT_STATE);
  published = id;
  sweepRetired();
  if (listCount(aliases) || listCount(stuck) || sealTables() > 1) sweep();
}

export function publishedVersion(): u32 {
  return published;
}

export function newestVersion(): u32 {
  return newest;
}

export function pin(id: u32): void {
  const s = versionAt(id);
  store<u32>(s, load<u32>(s, SLOT_PINS) + 1, SLOT_PINS);
}

export function unpin(id: u32): void {
  const s = versionAt(id);
  const pins = load<u32>(s, SLOT_PINS);
  assert(pins != 0);
  store<u32>(s, pins - 1, SLOT_PINS);
  if (pins == 1 && load<u32>(s, SLOT_STATE) == S_OLD) {
    kill(id);
    sweep();
  }
}

export function versionSequence(id: i32): f64 {
  return id < 0 ? sequence : load<f64>(versionAt(<u32> id), SLOT_SEQUENCE);
}

export function versionFrame(id: i32): f64 {
  return id < 0 ? frameNumber : load<f64>(versionAt(<u32> id), SLOT_FRAME);
}

/** Superseded pages that only pinned versions keep. */
export function pinnedPages(): u32 {
  return listCount(stuck);
}

export function takeSequence(): f64 {
  sequence += 1;
  dirtyGroup = true;
  return sequence;
}

export function takeFrameNumber(): f64 {
  frameNumber += 1;
  dirtyGroup = true;
  return frameNumber;
}

// ---- freezing -------------------------------------------------------------------------------------------------

/** A freeze begins: the newest sealed version gets places under this birth. */
export function startBirth(): u64 {
  assert(!dirtyGroup);
  birth++;
  return birth;
}

/** An unplaced page now has a place; older versions still know it by its id. */
export function addAlias(id: u32): void {
  placed++;
  const e = listPush(aliases);
  store<u32>(e, id);
  store<u32>(e, load<u32>(versionAt(newest)), 4);
}

/** Every live version that rests on an older freeze may reach places of this one. Roots of the newest version were placed in ROOTS. */
export function freezeEnd(): void {
  const n = listCount(slots);
  for (let i: u32 = 0; i < n; i++) {
    const s = listEntry(slots, i);
    if (load<u32>(s, SLOT_STATE) == S_FREE) continue;
    if (!load<u64>(s, SLOT_HELD)) {
      store<u64>(s, birth, SLOT_HELD);
      spaceHold(birth);
    }
  }
  memory.copy(versionAt(newest) + SLOT_ROOTS, ROOTS, ROOT_SIZE);
  memory.copy(sealedRoots, ROOTS, ROOT_SIZE);
  frozenVersion = newestNumber();
  assert(unplaced == placed);
  unplaced = 0;
  sealedUnplaced = 0;
  placed = 0;
  let kept: u32 = 0;
  const held = listCount(heldRuns);
  for (let i: u32 = 0; i < held; i++) {
    const e = listEntry(heldRuns, i);
    if (!isLive(load<u32>(e, 8), load<u32>(e, 12))) continue;
    spaceReserve(load<u32>(e), load<u32>(e, 4));
    if (kept != i) memory.copy(listEntry(heldRuns, kept), e, 16);
    kept++;
  }
  listSetCount(heldRuns, kept);
  heldBefore = kept;
  mark = spaceMark();
}

/** Number of the newest sealed version. */
export function newestNumber(): u32 {
  return load<u32>(versionAt(newest));
}
