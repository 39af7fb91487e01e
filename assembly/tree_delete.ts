// Deleting a cell from a B+tree.
//
// A page that falls under a third joins a neighbour under the same parent if both fit one page; under a fifth it takes cells from a neighbour instead.
// All neighbours that may be involved are resident before anything changes. A parent that loses a child is treated the same way, up to the root; a
// root with one child gives way to it, a tree without rows has no pages.
import { NOT_FOUND, OK, POINTER_SIZE, ROOT_LEVEL, ROOT_POINTER, ROOT_ROWS, SLOT_SIZE, PAGE_HOLES, SLOT_KEY } from "./format";
import { fetch, fetchStatus, pageSize, peek, reserveFrames } from "./frame";
import {
  mark,
  MARK_MERGE_BRANCH,
  MARK_MERGE_LEAF,
  MARK_REDISTRIBUTE_BRANCH,
  MARK_REDISTRIBUTE_DELETE,
  MARK_ROOT_SHRINK,
  MARK_TREE_EMPTIED,
} from "./marks";
import { cellSize, countOf, found, keyCopy, removeCell, restOf, slotOf, suffixOf, usedOf } from "./page";
import { cells, chooseSplit, fits, gather, separatorFor, writeRange } from "./tree_pack";
import { descend, fetchChild, isEmpty, pathFrame, pathIndex, pointerAt, rootLevel } from "./tree_path";
import { acceptsReplacement, freeRun, ownPath, replaceSeparatorWith } from "./tree_put";
import { supersede, writable } from "./version";

const NONE: u32 = 0xffffffff;
const fence = memory.data(1024 + 16, 16);
const separator = memory.data(1024 + 16, 16);

@inline
function isThin(used: u32): bool {
  return used * 3 < pageSize;
}

/** Deletes KEY: OK, NOT_FOUND, NEED_PAGE, NEED_ROOM. */
export function treeDelete(root: usize, length: u32): i32 {
  if (isEmpty(root)) return NOT_FOUND;
  let status = reserveFrames(3 * rootLevel(root) + 6);
  if (status != OK) return status;
  status = descend(root, length);
  if (status != OK) return status;
  if (!found) return NOT_FOUND;
  const top = rootLevel(root);
  // Bring in the neighbours of every page that may become thin.
  let loss: u32 = <u32> SLOT_SIZE + cellSize(pathFrame(0), slotOf(pathFrame(0), pathIndex(0)));
  for (let l: u32 = 0; l < top; l++) {
    const page = pathFrame(l);
    const used = usedOf(page, pageSize);
    if (used > loss && !isThin(used - loss)) break;
    const parent = pathFrame(l + 1);
    const at = pathIndex(l + 1);
    if (at + 1 < countOf(parent) && !fetchChild(root, l, at + 1)) return fetchStatus;
    if (at && !fetchChild(root, l, at - 1)) return fetchStatus;
    loss = SLOT_SIZE + POINTER_SIZE + 1024; // the largest separator that may go
  }
  ownPath(root, 0);
  freeRun(root, pathFrame(0), pathIndex(0));
  removeCell(pathFrame(0), pageSize, pathIndex(0));
  store<u64>(root, load<u64>(root, ROOT_ROWS) - 1, ROOT_ROWS);
  settle(root, 0);
  return OK;
}

/** Restores the shape from `level` upwards after a page lost a cell. */
export function settle(root: usize, from: u32): void {
  for (let l = from; ; l++) {
    const page = pathFrame(l);
    const count = countOf(page);
    if (l == rootLevel(root)) {
      if (!count) {
        supersede(page);
        memory.fill(root + ROOT_POINTER, 0, POINTER_SIZE);
        store<u8>(root, 0, ROOT_LEVEL);
        mark(MARK_TREE_EMPTIED);
      } else shrinkRoot(root);
      return;
    }
    const parent = pathFrame(l + 1);
    const at = pathIndex(l + 1);
    if (!count) {
      supersede(page);
      removeChild(parent, at);
      continue;
    }
    if (!isThin(usedOf(page, pageSize))) return;
    const n = countOf(parent);
    if (at + 1 < n && join(parent, at, l)) continue;
    if (at && join(parent, at - 1, l)) continue;
    if (usedOf(page, pageSize) * 5 < pageSize) {
      if (at + 1 < n && even(parent, at, l)) return;
      if (at && even(parent, at - 1, l)) return;
    }
    return;
  }
}

/** Replaces a root that has a single child by that child, as often as needed. */
export function shrinkRoot(root: usize): void {
  while (rootLevel(root)) {
    const page = peek(root + ROOT_POINTER);
    if (!page || countOf(page) != 1) return; // always resident when a delete calls; compaction comes again
    memory.copy(root + ROOT_POINTER, pointerAt(page, 0), POINTER_SIZE);
    store<u8>(root, <u8> (rootLevel(root) - 1), ROOT_LEVEL);
    supersede(page);
    mark(MARK_ROOT_SHRINK);
  }
}

/** Removes the child at `index` of a writable branch; the next child takes over minus infinity when it was the first. */
export function removeChild(page: usize, index: u32): void {
  removeCell(page, pageSize, index);
  if (index || !countOf(page)) return;
  const slot = slotOf(page, 0);
  store<u16>(page, <u16> (load<u16>(page, PAGE_HOLES) + restOf(suffixOf(slot))), PAGE_HOLES);
  store<u32>(slot, 0);
  store<u16>(slot, 0, SLOT_KEY);
}

/** The neighbours at `left` and `left + 1` as a sequence; treeDelete made both resident. */
let leftPage: usize = 0;
let rightPage: usize = 0;
function gatherPair(parent: usize, left: u32, level: u32): void {
  leftPage = fetch(pointerAt(parent, left), level);
  rightPage = leftPage ? fetch(pointerAt(parent, left + 1), level) : 0;
  assert(leftPage != 0 && rightPage != 0);
  const fenceLength = level ? keyCopy(parent, slotOf(parent, left + 1), fence) : 0;
  gather(leftPage, rightPage, fence, fenceLength, false, NONE, 0, 0, 0, 0, 0);
}

/** Moves the right page's cells into the left one if they fit. */
function join(parent: usize, left: u32, level: u32): bool {
  gatherPair(parent, left, level);
  if (!fits(0, cells)) return false;
  const page = writable(pointerAt(parent, left), leftPage);
  writeRange(page, 0, cells);
  supersede(rightPage);
  removeChild(parent, left + 1);
  mark(level ? MARK_MERGE_BRANCH : MARK_MERGE_LEAF);
  return true;
}

/** Shares the cells of two neighbours evenly. */
function even(parent: usize, left: u32, level: u32): bool {
  gatherPair(parent, left, level);
  const s = chooseSplit(false);
  if (!s) return false;
  const length = separatorFor(s, separator);
  if (!acceptsReplacement(parent, left + 1, separator, length)) return false;
  const a = writable(pointerAt(parent, left), leftPage);
  const b = writable(pointerAt(parent, left + 1), rightPage);
  writeRange(a, 0, s);
  writeRange(b, s, cells);
  replaceSeparatorWith(parent, left + 1, separator, length);
  mark(level ? MARK_REDISTRIBUTE_BRANCH : MARK_REDISTRIBUTE_DELETE);
  return true;
}
