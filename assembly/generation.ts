// Meta generations as the space manager knows them: for each, the pointers to its bitmap pages, and a cache of bitmap pages.
//
// A generation's index is held flat: one array of nodes per level, level 0 being the bitmaps. A node of page 0 means that nothing below it is in
// use. Index pages are read once, when the generation is first needed, and never kept; bitmaps are cached as immutable images.
//
// Invariants:
//   1. The list runs from the oldest to the newest generation; the last entry is never removed.
//   2. Sizes follow from the page count alone: a generation whose page count, level and used counts do not fit together is refused.
//   3. A pending image (sealed, not known written) is never evicted, so nothing is read that storage does not have yet.
import { bitmapBits, bitmapFanout, bitmapLevels, bitmapPageSize, bitmapVerify, bitsEnd, countBits, LEVEL_MAX, load48 } from "./bitmap";
import { corruptPage, getWord, invariant, needPage } from "./ctrl";
import {
  BITMAP_ENTRY,
  BITMAP_USED,
  CTRL_NEED_AT,
  OK,
  OUT_OF_MEMORY,
  PAGE_HEADER,
  PAGE_NUMBER_MAX,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_DEPTH,
} from "./format";
import { listAt, listCount, listEntry, listInit, listReserve, listSetCount } from "./list";
import { allocate, release, resize } from "./mem";

// Generation, 96 bytes.
export const GEN_BIRTH: usize = 0; // u64
export const GEN_HOLDS: usize = 8; // u32; at 0 the generation leaves with the next freeze
export const GEN_LEVEL: usize = 12;
export const GEN_PAGES: usize = 16; // page count
export const GEN_LOADED: usize = 20;
export const GEN_NODES: usize = 24; // per level: address, count, room
const GEN_SIZE: u32 = 96;

// Node, 32 bytes.
export const NODE_PAGE: usize = 0; // u32
export const NODE_CRC: usize = 4;
export const NODE_BIRTH: usize = 8; // u64
export const NODE_USED: usize = 16; // pages in use below
export const NODE_FLAGS: usize = 20; // NODE_*
export const NODE_WORK: usize = 24; // page being composed
export const NODE_READ: u32 = 1; // its children are known
export const NODE_DIRTY: u32 = 2;
const NODE_SHIFT: u32 = 5;

// Image of a bitmap page, 40 bytes, in a chain per bucket.
const IMAGE_PAGE: usize = 0;
const IMAGE_CRC: usize = 4;
const IMAGE_BIRTH: usize = 8; // u64
const IMAGE_CHUNK: usize = 16;
const IMAGE_BUFFER: usize = 20;
const IMAGE_PENDING: usize = 24;
const IMAGE_NEXT: usize = 28;
const IMAGE_SIZE: u32 = 32;
const BUCKETS: u32 = 64;

const gens = memory.data(16, 8);
const buckets = memory.data(64 * 4, 8);
let cleanImages: u32 = 0;
let cleanMax: u32 = 0;
let evictHand: u32 = 0;

// The outstanding read.
let stage: usize = 0;
let wantGen: usize = 0;
let wantNode: usize = 0;
let wantLevel: u32 = 0;
let wantPosition: u32 = 0;

export function generationsSetup(): i32 {
  listInit(gens, 4);
  memory.fill(buckets, 0, BUCKETS * 4);
  cleanImages = 0;
  cleanMax = max<u32>(8, (1 << 20) / bitmapPageSize);
  stage = allocate(bitmapPageSize);
  return stage ? OK : OUT_OF_MEMORY;
}

// ---- the list -------------------------------------------------------------------------------------------

@inline
export function generationCount(): u32 {
  return listCount(gens);
}

/** Generation `index`, 0 being the oldest. */
@inline
export function generationAt(index: u32): usize {
  return <usize> load<u32>(listEntry(gens, index));
}

/** The newest generation, or 0 before the first freeze of a new file. */
@inline
export function newest(): usize {
  const count = listCount(gens);
  return count ? generationAt(count - 1) : 0;
}

/** The generation of a birth, or 0. */
export function generationOf(birth: u64): usize {
  for (let i: u32 = 0; i < listCount(gens); i++) {
    if (load<u64>(generationAt(i), GEN_BIRTH) == birth) return generationAt(i);
  }
  return 0;
}

/** A generation without nodes, in no list; 0 when memory is exhausted. */
export function generationCreate(birth: u64): usize {
  const gen = allocate(GEN_SIZE);
  if (!gen) return 0;
  memory.fill(gen, 0, GEN_SIZE);
  store<u64>(gen, birth, GEN_BIRTH);
  store<u32>(gen, 1, GEN_HOLDS);
  return gen;
}

export function generationRelease(gen: usize): void {
  for (let level: u32 = 0; level <= LEVEL_MAX; level++) release(<usize> load<u32>(levelOf(gen, level)), load<u32>(levelOf(gen, level), 8) << NODE_SHIFT);
  if (wantGen == gen) wantGen = 0;
  release(gen, GEN_SIZE);
}

/** Makes room for one more generation in the list. */
export function generationRoom(): bool {
  return listReserve(gens, 1);
}

/** Puts a generation at the end of the list (room was made). */
export function generationAppend(gen: usize): void {
  const count = listCount(gens);
  listSetCount(gens, count + 1);
  store<u32>(listEntry(gens, count), <u32> gen);
}

/** Puts a generation at the front of the list (room was made). */
export function generationPrepend(gen: usize): void {
  const count = listCount(gens);
  listSetCount(gens, count + 1);
  memory.copy(listAt(gens) + 4, listAt(gens), count << 2);
  store<u32>(listAt(gens), <u32> gen);
}

/** Removes generations that nobody holds; true when there were any. */
export function generationsPrune(): bool {
  const count = listCount(gens);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const gen = generationAt(i);
    if (load<u32>(gen, GEN_HOLDS) || i + 1 == count) {
      store<u32>(listEntry(gens, kept++), <u32> gen);
    } else {
      generationRelease(gen);
    }
  }
  listSetCount(gens, kept);
  return kept != count;
}

// ---- nodes ----------------------------------------------------------------------------------------------

/** The record {address, count, room} of a level. */
@inline
function levelOf(gen: usize, level: u32): usize {
  return gen + GEN_NODES + <usize> (level * 12);
}

@inline
export function nodeCount(gen: usize, level: u32): u32 {
  return load<u32>(levelOf(gen, level), 4);
}

@inline
export function nodeAt(gen: usize, level: u32, position: u32): usize {
  return <usize> load<u32>(levelOf(gen, level)) + (<usize> position << NODE_SHIFT);
}

export function nodeSetCount(gen: usize, level: u32, count: u32): void {
  store<u32>(levelOf(gen, level), count, 4);
}

/** Gives a level at least `count` nodes, new ones empty; false when memory is exhausted. */
export function nodesGrow(gen: usize, level: u32, count: u32): bool {
  const record = levelOf(gen, level);
  const have = load<u32>(record, 4);
  if (count <= have) return true;
  const room = load<u32>(record, 8);
  if (count > room) {
    const want = max<u32>(count, room << 1);
    const old = <usize> load<u32>(record);
    const moved = old ? resize(old, room << NODE_SHIFT, want << NODE_SHIFT, have << NODE_SHIFT) : allocate(want << NODE_SHIFT);
    if (!moved) return false;
    store<u32>(record, <u32> moved);
    store<u32>(record, want, 8);
  }
  memory.fill(nodeAt(gen, level, have), 0, (count - have) << NODE_SHIFT);
  store<u32>(record, count, 4);
  return true;
}

/** The bitmap node of a chunk, or 0 when the generation does not reach that far. */
@inline
export function chunkNode(gen: usize, chunk: u32): usize {
  return chunk < nodeCount(gen, 0) ? nodeAt(gen, 0, chunk) : 0;
}

function setNode(node: usize, pointer: usize): void {
  store<u32>(node, load<u32>(pointer, POINTER_PAGE), NODE_PAGE);
  store<u32>(node, load<u32>(pointer, POINTER_CRC), NODE_CRC);
  store<u64>(node, load48(pointer + POINTER_BIRTH), NODE_BIRTH);
}

/** A durable generation from what its meta slot says; the list is not touched. CTRL_ERROR_* when it contradicts itself; `made` has the address. */
export function generationOpen(pointer: usize, level: u32, pageCount: u32, birth: u64): i32 {
  const page = load<u32>(pointer, POINTER_PAGE);
  if (!pageCount || pageCount > <u32> PAGE_NUMBER_MAX) return corruptPage(page, REASON_BOUNDS, PAGE_NUMBER_MAX, pageCount);
  if (!page || page >= pageCount) return corruptPage(page, REASON_BOUNDS, pageCount, page);
  let count = (pageCount + bitmapBits - 1) / bitmapBits;
  if (level != bitmapLevels(count)) return corruptPage(page, REASON_DEPTH, bitmapLevels(count), level);
  const gen = generationCreate(birth);
  if (!gen) return OUT_OF_MEMORY;
  for (let k: u32 = 0; k <= level; k++) {
    if (!nodesGrow(gen, k, count)) {
      generationRelease(gen);
      return OUT_OF_MEMORY;
    }
    count = (count + bitmapFanout - 1) / bitmapFanout;
  }
  store<u32>(gen, level, GEN_LEVEL);
  store<u32>(gen, pageCount, GEN_PAGES);
  setNode(nodeAt(gen, level, 0), pointer);
  made = gen;
  return OK;
}

/** What the last generationOpen made. */
export let made: usize = 0;

// ---- reading --------------------------------------------------------------------------------------------

function request(gen: usize, node: usize, level: u32, position: u32): i32 {
  wantGen = gen;
  wantNode = node;
  wantLevel = level;
  wantPosition = position;
  return needPage(load<u32>(node, NODE_PAGE), stage);
}

/** Whether the outstanding NEED_PAGE is ours. */
export function spaceWants(): bool {
  return wantGen != 0 && getWord(CTRL_NEED_AT) == <u32> stage;
}

/** Forgets the outstanding request. */
export function spaceAbandon(): void {
  wantGen = 0;
}

/** The page asked for has been read: verifies it and takes it in. OK or CORRUPT_PAGE. */
export function spaceInstall(): i32 {
  if (!wantGen) return invariant(7001);
  const gen = wantGen;
  const node = wantNode;
  wantGen = 0;
  const page = load<u32>(node, NODE_PAGE);
  const status = bitmapVerify(stage, page, load<u32>(node, NODE_CRC), load<u64>(node, NODE_BIRTH), wantLevel, wantPosition);
  if (status != OK) return status;
  return wantLevel ? takeIndex(gen, node, page) : takeBitmap(gen, node, page);
}

/** Fills in the children of an index node from its page. */
function takeIndex(gen: usize, node: usize, page: u32): i32 {
  const below = wantLevel - 1;
  const first = wantPosition * bitmapFanout;
  const count = nodeCount(gen, below);
  const pages = load<u32>(gen, GEN_PAGES);
  let span: u64 = bitmapBits;
  for (let k: u32 = 0; k < below; k++) span *= bitmapFanout;
  let sum: u64 = 0;
  for (let i: u32 = 0; i < bitmapFanout; i++) {
    const entry = stage + PAGE_HEADER + i * BITMAP_ENTRY;
    const child = load<u32>(entry, POINTER_PAGE);
    const used = load<u32>(entry, BITMAP_USED);
    if (!child) {
      if (used) return corruptPage(page, REASON_COUNT, 0, used);
      continue;
    }
    if (first + i >= count) return corruptPage(page, REASON_BOUNDS, count, first + i);
    if (child >= pages) return corruptPage(page, REASON_BOUNDS, pages, child);
    if (!used || used > span) return corruptPage(page, REASON_COUNT, <u32> min<u64>(span, 0xffffffff), used);
    sum += used;
    const to = nodeAt(gen, below, first + i);
    setNode(to, entry);
    store<u32>(to, used, NODE_USED);
  }
  if (wantLevel == load<u32>(gen, GEN_LEVEL)) {
    if (!sum || sum > pages) return corruptPage(page, REASON_COUNT, pages, <u32> min<u64>(sum, 0xffffffff));
    store<u32>(node, <u32> sum, NODE_USED);
  } else if (sum != load<u32>(node, NODE_USED)) {
    return corruptPage(page, REASON_COUNT, load<u32>(node, NODE_USED), <u32> min<u64>(sum, 0xffffffff));
  }
  store<u32>(node, NODE_READ, NODE_FLAGS);
  return OK;
}

/** Makes an image of a bitmap page. */
function takeBitmap(gen: usize, node: usize, page: u32): i32 {
  const used = countBits(stage);
  if (!load<u32>(gen, GEN_LEVEL)) store<u32>(node, used, NODE_USED); // a lone bitmap: nothing else says how much it has
  if (!used || used != load<u32>(node, NODE_USED)) return corruptPage(page, REASON_COUNT, load<u32>(node, NODE_USED), used);
  const end = wantPosition * bitmapBits + bitsEnd(stage);
  if (end > load<u32>(gen, GEN_PAGES)) return corruptPage(page, REASON_BOUNDS, load<u32>(gen, GEN_PAGES), end);
  const buffer = allocate(bitmapPageSize);
  if (!buffer) return OUT_OF_MEMORY;
  memory.copy(buffer, stage, bitmapPageSize);
  if (!imagePut(node, wantPosition, buffer, false)) {
    release(buffer, bitmapPageSize);
    return OUT_OF_MEMORY;
  }
  store<u32>(node, NODE_READ, NODE_FLAGS);
  return OK;
}

/** Reads the index of every listed generation. OK, NEED_PAGE. */
export function generationsLoad(): i32 {
  for (let i = listCount(gens); i > 0; i--) {
    const gen = generationAt(i - 1);
    if (load<u32>(gen, GEN_LOADED)) continue;
    const status = generationLoad(gen);
    if (status != OK) return status;
  }
  return OK;
}

function generationLoad(gen: usize): i32 {
  const top = load<u32>(gen, GEN_LEVEL);
  if (!top) {
    const node = nodeAt(gen, 0, 0);
    if (!(load<u32>(node, NODE_FLAGS) & NODE_READ)) return request(gen, node, 0, 0);
  }
  for (let level = top; level > 0; level--) {
    const count = nodeCount(gen, level);
    for (let i: u32 = 0; i < count; i++) {
      const node = nodeAt(gen, level, i);
      if (!load<u32>(node, NODE_PAGE) || load<u32>(node, NODE_FLAGS) & NODE_READ) continue;
      if (!copyChildren(gen, node, level, i)) return request(gen, node, level, i);
    }
  }
  store<u32>(gen, 1, GEN_LOADED);
  return OK;
}

@inline
function samePage(a: usize, b: usize): bool {
  return load<u32>(a, NODE_PAGE) == load<u32>(b, NODE_PAGE) && load<u32>(a, NODE_CRC) == load<u32>(b, NODE_CRC) &&
    load<u64>(a, NODE_BIRTH) == load<u64>(b, NODE_BIRTH);
}

/** Takes the children of an index node from a loaded generation that has the same page there; false when none has. */
function copyChildren(gen: usize, node: usize, level: u32, position: u32): bool {
  const first = position * bitmapFanout;
  const count = min<u32>(bitmapFanout, nodeCount(gen, level - 1) - first);
  for (let i: u32 = 0; i < listCount(gens); i++) {
    const other = generationAt(i);
    if (!load<u32>(other, GEN_LOADED) || position >= nodeCount(other, level)) continue;
    const twin = nodeAt(other, level, position);
    if (!samePage(node, twin)) continue;
    // The same subtree in files of different length: what one has beyond the other's end is empty in both.
    const shared = min<u32>(count, nodeCount(other, level - 1) - first);
    const used = load<u32>(node, NODE_USED);
    if (used && used != load<u32>(twin, NODE_USED)) return false;
    memory.copy(nodeAt(gen, level - 1, first), nodeAt(other, level - 1, first), <usize> shared << NODE_SHIFT);
    for (let k: u32 = 0; k < shared; k++) store<u32>(nodeAt(gen, level - 1, first + k), 0, NODE_FLAGS);
    store<u32>(node, load<u32>(twin, NODE_USED), NODE_USED);
    store<u32>(node, NODE_READ, NODE_FLAGS);
    return true;
  }
  return false;
}

// ---- images ---------------------------------------------------------------------------------------------

/** Address of the last image that `image` found. */
export let imageBuffer: usize = 0;

/** Finds the bitmap of a chunk of a loaded generation: OK (`imageBuffer`; 0 = nothing in use) or NEED_PAGE. */
export function image(gen: usize, chunk: u32): i32 {
  imageBuffer = 0;
  const node = chunkNode(gen, chunk);
  if (!node || !load<u32>(node, NODE_PAGE)) return OK;
  const page = load<u32>(node, NODE_PAGE);
  for (let at = <usize> load<u32>(buckets + ((page % BUCKETS) << 2)); at; at = <usize> load<u32>(at, IMAGE_NEXT)) {
    if (
      load<u32>(at, IMAGE_PAGE) == page && load<u32>(at, IMAGE_CHUNK) == chunk && load<u32>(at, IMAGE_CRC) == load<u32>(node, NODE_CRC) &&
      load<u64>(at, IMAGE_BIRTH) == load<u64>(node, NODE_BIRTH)
    ) {
      imageBuffer = <usize> load<u32>(at, IMAGE_BUFFER);
      return OK;
    }
  }
  return request(gen, node, 0, chunk);
}

/** Adds an image, which owns `buffer` from now on; false when memory is exhausted. A pending one stays until imageWritten. */
export function imagePut(node: usize, chunk: u32, buffer: usize, pending: bool): bool {
  const at = allocate(IMAGE_SIZE);
  if (!at) return false;
  if (!pending) {
    while (cleanImages >= cleanMax) evictOne();
    cleanImages++;
  }
  const page = load<u32>(node, NODE_PAGE);
  store<u32>(at, page, IMAGE_PAGE);
  store<u32>(at, load<u32>(node, NODE_CRC), IMAGE_CRC);
  store<u64>(at, load<u64>(node, NODE_BIRTH), IMAGE_BIRTH);
  store<u32>(at, chunk, IMAGE_CHUNK);
  store<u32>(at, <u32> buffer, IMAGE_BUFFER);
  store<u32>(at, <u32> pending, IMAGE_PENDING);
  const head = buckets + ((page % BUCKETS) << 2);
  store<u32>(at, load<u32>(head), IMAGE_NEXT);
  store<u32>(head, <u32> at);
  return true;
}

/** Storage has the pending image of this page. */
export function imageWritten(page: u32): void {
  for (let at = <usize> load<u32>(buckets + ((page % BUCKETS) << 2)); at; at = <usize> load<u32>(at, IMAGE_NEXT)) {
    if (load<u32>(at, IMAGE_PAGE) != page || !load<u32>(at, IMAGE_PENDING)) continue;
    store<u32>(at, 0, IMAGE_PENDING);
    cleanImages++;
    while (cleanImages > cleanMax) evictOne();
    return;
  }
}

/** Drops the oldest clean image of the next bucket that has one. */
function evictOne(): void {
  for (;;) {
    let link = buckets + (evictHand << 2);
    evictHand = (evictHand + 1) % BUCKETS;
    let victim: usize = 0;
    for (let at = <usize> load<u32>(link); at; at = <usize> load<u32>(at, IMAGE_NEXT)) {
      if (!load<u32>(at, IMAGE_PENDING)) victim = link;
      link = at + IMAGE_NEXT;
    }
    if (!victim) continue;
    const at = <usize> load<u32>(victim);
    store<u32>(victim, load<u32>(at, IMAGE_NEXT));
    release(<usize> load<u32>(at, IMAGE_BUFFER), bitmapPageSize);
    release(at, IMAGE_SIZE);
    cleanImages--;
    return;
  }
}
