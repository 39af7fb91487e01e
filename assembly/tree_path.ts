// Descent through a B+tree, and the path it leaves for those who change the tree.
//
// A tree is named by its root record (ROOT_*, 32 bytes): pointer, level, rows. A pointer's address is all that is needed to reach or replace a
// page: the root's lies in the record, every other one in a branch cell. Keys given to a tree lie in `KEY`, followed by zeros.
import { fetch, fetchStatus } from "./frame";
import { KEY_MAX, NOT_FOUND, OK, POINTER_PAGE, ROOT_LEVEL, ROOT_POINTER } from "./format";
import { cellOf, childIndex, find, found, slotOf } from "./page";

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

/** Descends to the leaf for KEY, leaving the path: OK, or what fetch says. The tree is not empty. Leaf index and `found` are set. */
export function descend(root: usize, length: u32): i32 {
  let level = rootLevel(root);
  let pointer = root + ROOT_POINTER;
  while (true) {
    const page = fetch(pointer, level);
    if (!page) return fetchStatus;
    if (!level) {
      setPath(0, page, find(page, 0, KEY, length));
      return OK;
    }
    const index = childIndex(page, KEY, length);
    setPath(level, page, index);
    pointer = pointerAt(page, index);
    level--;
  }
}

/** Looks KEY up without leaving a path: OK with the slot's address in `hitSlot` and its page in `hitPage`, NOT_FOUND, or what fetch says. */
export let hitPage: usize = 0;
export let hitSlot: usize = 0;
export function lookupKey(root: usize, length: u32): i32 {
  if (isEmpty(root)) return NOT_FOUND;
  let level = rootLevel(root);
  let pointer = root + ROOT_POINTER;
  while (true) {
    const page = fetch(pointer, level);
    if (!page) return fetchStatus;
    if (!level) {
      const index = find(page, 0, KEY, length);
      if (!found) return NOT_FOUND;
      hitPage = page;
      hitSlot = slotOf(page, index);
      return OK;
    }
    pointer = pointerAt(page, childIndex(page, KEY, length));
    level--;
  }
}
