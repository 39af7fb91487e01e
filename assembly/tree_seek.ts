// Positions in key order: the leaf and index of a bound, and the steps from there in both directions.
//
// A position lives in the path (tree_path.ts) and is valid within one operation only; longer scans keep the last key instead.
import { DONE, NOT_FOUND, OK } from "./format";
import { fetchStatus } from "./frame";
import { countOf, found, keyCopy, prefixOf, slotOf, suffixOf } from "./page";
import { descend, fetchChild, fetchRoot, isEmpty, pathFrame, pathIndex, rootLevel, setPath } from "./tree_path";

export const SEEK_AT_OR_AFTER: u32 = 0;
export const SEEK_AFTER: u32 = 1;
export const SEEK_AT_OR_BEFORE: u32 = 2;
export const SEEK_BEFORE: u32 = 3;
export const SEEK_LAST: u32 = 4;

/** Moves to a row relative to KEY: OK with the position in the path, NOT_FOUND, or what fetch says. */
export function seek(root: usize, length: u32, mode: u32): i32 {
  if (isEmpty(root)) return NOT_FOUND;
  if (mode == SEEK_LAST) {
    return descendEdge(root, rootLevel(root), fetchRoot(root), true);
  }
  const status = descend(root, length);
  if (status != OK) return status;
  const index = pathIndex(0);
  const leaf = pathFrame(0);
  if (mode <= SEEK_AFTER) {
    setPath(0, leaf, found && mode == SEEK_AFTER ? index + 1 : index);
    if (pathIndex(0) < countOf(leaf)) return OK;
    const next = stepLeaf(root, false);
    return next == DONE ? NOT_FOUND : next;
  }
  if (found && mode == SEEK_AT_OR_BEFORE) return OK;
  if (index) {
    setPath(0, leaf, index - 1);
    return OK;
  }
  const next = stepLeaf(root, true);
  return next == DONE ? NOT_FOUND : next;
}

/** Descends along the first or last children from a page at `level` (0: as fetch says), leaving the path on the first or last row. */
function descendEdge(root: usize, from: u32, start: usize, last: bool): i32 {
  let level = from;
  let page = start;
  while (page) {
    const index = last ? countOf(page) - 1 : 0;
    setPath(level, page, index);
    if (!level) return OK;
    level--;
    page = fetchChild(root, level, index);
  }
  return fetchStatus;
}

/** Moves to the first row of the next leaf, or the last of the previous one: OK, DONE, or what fetch says. */
export function stepLeaf(root: usize, back: bool): i32 {
  const top = rootLevel(root);
  for (let l: u32 = 1; l <= top; l++) {
    const page = pathFrame(l);
    const index = pathIndex(l);
    if (back ? index > 0 : index + 1 < countOf(page)) {
      const next = back ? index - 1 : index + 1;
      setPath(l, page, next);
      const status = descendEdge(root, l - 1, fetchChild(root, l - 1, next), back);
      if (status != OK) setPath(l, page, index);
      return status;
    }
  }
  return DONE;
}

/** Length of the key at the position. */
export function seekLength(): u32 {
  const leaf = pathFrame(0);
  return prefixOf(leaf) + suffixOf(slotOf(leaf, pathIndex(0)));
}

/** Copies the key at the position (room for four bytes more) and returns its length. */
export function seekKey(into: usize): u32 {
  const leaf = pathFrame(0);
  const n = keyCopy(leaf, slotOf(leaf, pathIndex(0)), into);
  store<u64>(into + n, 0);
  return n;
}
