// Compaction of one tree, a few pages a step, beside commits.
//
// Level by level from the leaves up: neighbours under one parent are packed full, and every page that lies at or above a limit is copied, so that the next
// freeze places it lower. Nothing a reader can see changes. Between steps only a key is kept: whatever commits do in between is fine.
import { DONE, MORE, OK, ROOT_POINTER } from "./format";
import { fetch, fetchStatus, idOf, isUnplaced, loosen, nextTick, pageSize, peek, reserveFrames } from "./frame";
import { mark, MARK_PACK } from "./marks";
import { countOf, freeOf, keyCopy, slotOf } from "./page";
import { rootAt, rootChanged, writerRoot } from "./roots";
import { shrinkRoot, removeChild } from "./tree_delete";
import { cells, fits, gather, separatorFor, writeRange } from "./tree_pack";
import { fetchChild, fetchRoot, isEmpty, KEY, pathFrame, pathIndex, pointerAt, rootLevel, setKey, setPath } from "./tree_path";
import { acceptsReplacement, ownPath, replaceSeparatorWith } from "./tree_put";
import { childIndex } from "./page";
import { ROOTS, supersede, touched, writable } from "./version";

const NONE: u32 = 0xffffffff;
const position = memory.data(1024 + 16, 16);
let positionLength: u32 = 0;
const upper = memory.data(1024 + 16, 16);
const separator = memory.data(1024 + 16, 16);
const fence = memory.data(1024 + 16, 16);
let table: u32 = 0;
let level: u32 = 0;
let limit: u32 = 0;

/** Starts on a table (0: the roots tree): pages at or above `moveFrom` are moved down. */
export function packBegin(tableId: u32, moveFrom: u32): void {
  table = tableId;
  limit = moveFrom;
  level = 0;
  positionLength = 0;
}

@inline
function liesHigh(page: usize): bool {
  return !isUnplaced(idOf(page)) && idOf(page) >= limit;
}

/** Works on up to about `most` pages: MORE, DONE, or what fetch says. */
export function packStep(most: u32): i32 {
  nextTick();
  let root = ROOTS;
  if (table) {
    const status = writerRoot(table);
    if (status != OK) return status;
    root = rootAt;
  }
  if (isEmpty(root)) return DONE;
  if (level >= rootLevel(root)) return finish(root);
  // The parent, at level + 1, of the child that holds the position; `upper` is where its range ends.
  const status = reserveFrames(2 * rootLevel(root) + 8);
  if (status != OK) return status;
  setKey(position, positionLength);
  let l = rootLevel(root);
  let upperLength: u32 = NONE;
  let page = fetchRoot(root);
  while (true) {
    if (!page) return fetchStatus;
    const index = childIndex(page, KEY, positionLength);
    setPath(l, page, index);
    if (l == level + 1) break;
    if (index + 1 < countOf(page)) upperLength = keyCopy(page, slotOf(page, index + 1), upper);
    l--;
    page = fetchChild(root, l, index);
  }
  for (let done: u32 = 0; done < most; done++) {
    const parent = pathFrame(level + 1);
    const index = pathIndex(level + 1);
    const left = fetchChild(root, level, index);
    if (!left) return fetchStatus;
    if (index + 1 == countOf(parent)) {
      if (liesHigh(left)) move(root, index, left);
      if (upperLength == NONE) {
        level++;
        positionLength = 0;
      } else {
        memory.copy(position, upper, upperLength);
        positionLength = upperLength;
      }
      return MORE;
    }
    const right = fetchChild(root, level, index + 1);
    if (!right) return fetchStatus;
    const room = reserveFrames(rootLevel(root) + 4);
    if (room != OK) return room;
    if (!pack(root, index, left, right)) {
      const now = peek(pointerAt(pathFrame(level + 1), index)); // packing may have copied it
      if (liesHigh(now)) move(root, index, now);
      loosen(peek(pointerAt(pathFrame(level + 1), index)));
      setPath(level + 1, pathFrame(level + 1), index + 1);
      keep(pathFrame(level + 1), index + 1);
    }
  }
  return MORE;
}

/** The child at `index` is the next to work on. */
function keep(parent: usize, index: u32): void {
  positionLength = keyCopy(parent, slotOf(parent, index), position);
  store<u64>(position + positionLength, 0);
}

function own(root: usize): void {
  ownPath(root, level + 1);
  touched();
  if (table) rootChanged(root);
}

function move(root: usize, index: u32, page: usize): void {
  own(root);
  writable(pointerAt(pathFrame(level + 1), index), page);
}

/** Moves cells from the right page into the left one; true when the right page went away (the same left page is next). */
function pack(root: usize, index: u32, left: usize, right: usize): bool {
  if (freeOf(left, pageSize) < pageSize >> 4) return false;
  const parent = pathFrame(level + 1);
  const fenceLength = level ? keyCopy(parent, slotOf(parent, index + 1), fence) : 0;
  gather(left, right, fence, fenceLength, false, NONE, 0, 0, 0, 0, 0);
  if (fits(0, cells)) {
    own(root);
    const up = pathFrame(level + 1);
    writeRange(writable(pointerAt(up, index), left), 0, cells);
    loosen(right);
    supersede(right);
    removeChild(up, index + 1);
    mark(MARK_PACK);
    return true;
  }
  // The most cells that fit the left page.
  let lo = countOf(left);
  let hi = cells - 1;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (fits(0, mid)) lo = mid;
    else hi = mid - 1;
  }
  if (lo <= countOf(left) || !fits(lo, cells)) return false;
  const length = separatorFor(lo, separator);
  if (!acceptsReplacement(parent, index + 1, separator, length)) return false;
  own(root);
  const up = pathFrame(level + 1);
  const a = writable(pointerAt(up, index), left);
  const b = writable(pointerAt(up, index + 1), right);
  writeRange(a, 0, lo);
  writeRange(b, lo, cells);
  replaceSeparatorWith(up, index + 1, separator, length);
  mark(MARK_PACK);
  return false;
}

/** The root: moved if it lies high, replaced by its child while it has only one. */
function finish(root: usize): i32 {
  const page = fetchRoot(root);
  if (!page) return fetchStatus;
  const single = rootLevel(root) > 0 && countOf(page) == 1;
  if (single && !fetch(pointerAt(page, 0), rootLevel(root) - 1)) return fetchStatus;
  if (!single && !liesHigh(page)) return DONE;
  const status = reserveFrames(2);
  if (status != OK) return status;
  setPath(rootLevel(root), page, 0);
  ownPath(root, rootLevel(root));
  touched();
  if (table) rootChanged(root);
  if (single) {
    shrinkRoot(root);
    return MORE;
  }
  return DONE;
}
