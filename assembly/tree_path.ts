// Descent through a B+tree, and the path it leaves for those who change the tree.
//
// A tree is named by its root record (ROOT_*, 32 bytes): pointer, level, rows. A pointer's address is all that is needed to reach or replace a
// page: the root's lies in the record, every other one in a branch cell. Keys given to a tree lie in `KEY`, followed by zeros.
//
// A page is held against the separators above it when it is first reached under its parent, and again under another one: a file with right checksums can
// still have keys where no search finds them, or subtrees that hang in two places. Inside a page, order was verified when it was read.
import { bitmapMetaPages } from "./bitmap";
import { corruptPage } from "./ctrl";
import { DIRTY, fetch, fetchStatus, flagsOf, FRAME_PARENT, FRAME_SLOT, idOf, peek, refuse } from "./frame";
import {
  KEY_MAX,
  NOT_FOUND,
  OK,
  PAGE_NUMBER_MAX,
  POINTER_PAGE,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_DEPTH,
  REASON_ORDER,
  ROOT_FLAGS,
  ROOT_LEVEL,
  ROOT_POINTER,
  ROOT_ROWS,
  ROOT_RUN_PAGES,
  ROOT_SIZE,
} from "./format";
import { cellOf, childIndex, countOf, find, found, orderAcross, prefixOf, restOf, slotOf, suffixOf } from "./page";

/** Levels a tree may have. */
export const LEVEL_MAX: u32 = 31;
/** The key of the running operation and eight zeros. */
export const KEY = memory.data(1024 + 16, 16);
/** Frame and index at each level of the last descent. */
const path = memory.data(32 * 8, 8);

/** Copies a key to KEY and pads it; the caller has checked the length. */
export function setKey(at: usize, length: u32): void {
  assert(length <= <u32> KEY_MAX);
  memory.copy(KEY, at, length);
  store<u64>(KEY + length, 0);
}

@inline
export function pathFrame(level: u32): usize {
  return <usize> load<u32>(path + (<usize> level << 3));
}

@inline
export function pathIndex(level: u32): u32 {
  return load<u32>(path + (<usize> level << 3), 4);
}

@inline
export function setPath(level: u32, frame: usize, index: u32): void {
  store<u32>(path + (<usize> level << 3), <u32> frame);
  store<u32>(path + (<usize> level << 3), index, 4);
}

@inline
export function isEmpty(root: usize): bool {
  return load<u32>(root, ROOT_POINTER + POINTER_PAGE) == 0;
}

@inline
export function rootLevel(root: usize): u32 {
  return load<u8>(root, ROOT_LEVEL);
}

/** Address of the child pointer at `index` of a branch. */
@inline
export function pointerAt(page: usize, index: u32): usize {
  return cellOf(page, slotOf(page, index));
}

/** Address of the pointer that leads to the page at `level` of the path. */
export function pointerTo(root: usize, level: u32): usize {
  return level == rootLevel(root) ? root + ROOT_POINTER : pointerAt(pathFrame(level + 1), pathIndex(level + 1));
}

// ---- pages held against what is above them --------------------------------------------------------------------

/** In ROOT_FLAGS of a root record in memory: it is the roots tree's own. */
export const ROOTS_TREE: u32 = 1;
/** Parent of a root page. */
const TOP: u32 = 0xffffffff;
/** 64-bit numbers from storage are below this. */
const NUMBER_LIMIT: u64 = 1 << 53;

/** Whether the page was held against its separators under this parent. */
@inline
function isAdmitted(page: usize, parent: u32, slot: u32): bool {
  return load<u32>(page - FRAME_PARENT) == parent && load<u32>(page - FRAME_SLOT) == slot;
}

/** Holds a page at `level`, child `index` of the path's page above it, against the separators of the path: OK or CORRUPT_PAGE. */
function admit(root: usize, page: usize, level: u32, index: u32): i32 {
  const top = rootLevel(root);
  // What this instance has changed was held against them before.
  if (!(flagsOf(page) & DIRTY)) {
    if (!level && load<u8>(root, ROOT_FLAGS) & ROOTS_TREE) {
      const status = rootRecords(page);
      if (status != OK) return status;
    }
    const count = countOf(page);
    const first: u32 = level ? 1 : 0;
    if (count > first) {
      let at = index;
      let low = true;
      let high = true;
      for (let l = level + 1; l <= top && (low || high); l++) {
        const above = pathFrame(l);
        if (low && at) {
          low = false;
          const order = orderAcross(page, first, above, at);
          if (order < 0 || (!order && level)) return corruptPage(idOf(page), REASON_ORDER, at, first);
        }
        if (high && at + 1 < countOf(above)) {
          high = false;
          if (orderAcross(page, count - 1, above, at + 1) >= 0) return corruptPage(idOf(page), REASON_ORDER, at + 1, count - 1);
        }
        if (l < top) at = pathIndex(l + 1);
      }
    }
  }
  store<u32>(page - FRAME_PARENT, level == top ? TOP : idOf(pathFrame(level + 1)));
  store<u32>(page - FRAME_SLOT, index);
  if (level) {
    // Children at the edges have the page's own fences: under another parent they are looked at again.
    readmit(page, 0);
    readmit(page, countOf(page) - 1);
  }
  return OK;
}

function readmit(page: usize, index: u32): void {
  const child = peek(pointerAt(page, index));
  if (child) store<u32>(child - FRAME_PARENT, 0);
}

/** Whether every record in a leaf of the roots tree can be a tree's root. */
function rootRecords(page: usize): i32 {
  const place = idOf(page);
  const count = countOf(page);
  for (let i: u32 = 0; i < count; i++) {
    const slot = slotOf(page, i);
    const cell = cellOf(page, slot);
    if (prefixOf(page) + suffixOf(slot) != 4 || load<u16>(cell) != ROOT_SIZE) return corruptPage(place, REASON_BOUNDS, ROOT_SIZE, load<u16>(cell));
    const record = cell + 2 + restOf(suffixOf(slot));
    const root = load<u32>(record, ROOT_POINTER + POINTER_PAGE);
    if (root < bitmapMetaPages || root > <u32> PAGE_NUMBER_MAX || load<u8>(record, ROOT_FLAGS)) return corruptPage(place, REASON_BOUNDS, PAGE_NUMBER_MAX, root);
    const level = <u32> load<u8>(record, ROOT_LEVEL);
    if (level > LEVEL_MAX) return corruptPage(place, REASON_DEPTH, LEVEL_MAX, level);
    const rows = load<u64>(record, ROOT_ROWS);
    if (!rows || rows >= NUMBER_LIMIT || load<u64>(record, ROOT_RUN_PAGES) >= NUMBER_LIMIT) return corruptPage(place, REASON_COUNT, 1, <u32> rows);
  }
  return OK;
}

/** The page of child `index` of the path's page at `level` + 1, held against its separators; or 0 with fetchStatus set. */
export function fetchChild(root: usize, level: u32, index: u32): usize {
  const parent = pathFrame(level + 1);
  const page = fetch(pointerAt(parent, index), level);
  if (!page || isAdmitted(page, idOf(parent), index)) return page;
  const status = admit(root, page, level, index);
  return status == OK ? page : refuse(status);
}

/** The tree's root page, held against what a root must be; or 0 with fetchStatus set. */
export function fetchRoot(root: usize): usize {
  const level = rootLevel(root);
  const page = fetch(root + ROOT_POINTER, level);
  if (!page || isAdmitted(page, TOP, 0)) return page;
  const status = admit(root, page, level, 0);
  return status == OK ? page : refuse(status);
}

// ---- descent --------------------------------------------------------------------------------------------------

/** Descends to the leaf for KEY, leaving the path: OK, or what fetch says. The tree is not empty. Leaf index and `found` are set. */
export function descend(root: usize, length: u32): i32 {
  let level = rootLevel(root);
  let page = fetchRoot(root);
  while (page) {
    if (!level) {
      setPath(0, page, find(page, 0, KEY, length));
      return OK;
    }
    const index = childIndex(page, KEY, length);
    setPath(level, page, index);
    level--;
    page = fetchChild(root, level, index);
  }
  return fetchStatus;
}

/** Looks KEY up; the path that it leaves is of no use: OK with the slot's address in `hitSlot` and its page in `hitPage`, NOT_FOUND, or what fetch says. */
export let hitPage: usize = 0;
export let hitSlot: usize = 0;
export function lookupKey(root: usize, length: u32): i32 {
  if (isEmpty(root)) return NOT_FOUND;
  let level = rootLevel(root);
  let pointer = root + ROOT_POINTER;
  let parent = TOP;
  let slot: u32 = 0;
  while (true) {
    const page = fetch(pointer, level);
    if (!page) return fetchStatus;
    if (!isAdmitted(page, parent, slot)) {
      // Reached here for the first time: all the way down once more, with a path to hold it against.
      const status = descend(root, length);
      if (status != OK) return status;
      if (!found) return NOT_FOUND;
      hitPage = pathFrame(0);
      hitSlot = slotOf(hitPage, pathIndex(0));
      return OK;
    }
    if (!level) {
      const index = find(page, 0, KEY, length);
      if (!found) return NOT_FOUND;
      hitPage = page;
      hitSlot = slotOf(page, index);
      return OK;
    }
    slot = childIndex(page, KEY, length);
    parent = idOf(page);
    pointer = pointerAt(page, slot);
    level--;
  }
}
