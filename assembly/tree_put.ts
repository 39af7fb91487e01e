// Putting a cell into a B+tree.
//
// An operation first makes its whole path, and every neighbour it may involve, resident and reserves frames; only then does it change pages, so
// that a missing page never leaves a half-done change. A full leaf first shares with a neighbour, then splits. A branch without room for the new
// separator is split by itself before the leaf is touched, and the operation starts again: at most one page of each level changes shape at a time.
import { OK, POINTER_SIZE, ROOT_LEVEL, ROOT_POINTER, ROOT_ROWS, SLOT_SIZE, CELL_OVERFLOW, OVERFLOW_SIZE, RUN_HEADER, POINTER_BIRTH, POINTER_PAGE, ROOT_RUN_PAGES, PAGE_HEADER } from "./format";
import { fetchStatus, idOf, pageSize, reserveFrames } from "./frame";
import { invariant } from "./ctrl";
import {
  mark,
  MARK_DEFRAGMENT,
  MARK_DEPTH_4,
  MARK_REDISTRIBUTE_PUT,
  MARK_REPREFIX,
  MARK_ROOT_GROW,
  MARK_RUN_FREED,
  MARK_SPLIT_APPEND,
  MARK_SPLIT_BRANCH,
  MARK_SPLIT_LONGER,
  MARK_SPLIT_LEAF,
} from "./marks";
import { cellOf, countOf, defragment, found, freeOf, hasPrefix, insertCell, levelOf, pageInit, prefixOf, removeCell, restOf, slotOf, suffixOf } from "./page";
import { cells, chooseSplit, fits, gather, scratchPage, separatorFor, writeRange } from "./tree_pack";
import { descend, fetchChild, isEmpty, KEY, LEVEL_MAX, pathFrame, pathIndex, pointerAt, pointerTo, rootLevel, setPath } from "./tree_path";
import { createPage, setPointer, supersedeRun, writable } from "./version";

const NONE: u32 = 0xffffffff;
const separator = memory.data(1024 + 16, 16);
const newPointer = memory.data(16, 8);

/** Pages of a run that holds a value of `length` bytes. */
export function runPages(length: u32): u32 {
  return <u32> ((<u64> length + RUN_HEADER + pageSize - 1) / pageSize);
}

/**
 * Whether a value of this length goes to an overflow run: when two such rows would not share a page. (Cells of at most half a page also mean that a full
 * page and one more cell always fit two pages.)
 */
export function overflows(keyLength: u32, valueLength: u32): bool {
  return valueLength > <u32> OVERFLOW_SIZE && keyLength + valueLength + 10 > (pageSize - <u32> PAGE_HEADER - 16) >> 1;
}

/** Gives back the run of a leaf cell that is about to go. */
export function freeRun(root: usize, page: usize, index: u32): void {
  const slot = slotOf(page, index);
  const cell = cellOf(page, slot);
  if (!(load<u16>(cell) & CELL_OVERFLOW)) return;
  const value = cell + 2 + restOf(suffixOf(slot));
  const pages = runPages(load<u32>(value, POINTER_SIZE));
  supersedeRun(load<u32>(value, POINTER_PAGE), pages, load<u64>(value, POINTER_BIRTH) & 0xffffffffffff);
  store<u64>(root, load<u64>(root, ROOT_RUN_PAGES) - pages, ROOT_RUN_PAGES);
  mark(MARK_RUN_FREED);
}

/** Makes the pages of the path writable from the root down to `level`. */
export function ownPath(root: usize, level: u32): void {
  let l = rootLevel(root);
  while (true) {
    setPath(l, writable(pointerTo(root, l), pathFrame(l)), pathIndex(l));
    if (l == level) return;
    l--;
  }
}

/** Whether a branch has room for a separator, as it is or with a shorter prefix. */
function acceptsSeparator(page: usize, index: u32, length: u32): bool {
  if (hasPrefix(page, separator, length)) return freeOf(page, pageSize) >= <u32> (SLOT_SIZE + POINTER_SIZE) + restOf(length - prefixOf(page));
  gather(page, 0, 0, 0, false, index, separator, length, 0, newPointer, 0);
  return fits(0, cells);
}

/** Inserts a cell (for a branch `payload` is the pointer) before `index` into a writable page that has room. False: it had not. */
export function insertInto(page: usize, index: u32, key: usize, length: u32, word: u32, payload: usize, size: u32): bool {
  if (!hasPrefix(page, key, length)) {
    gather(page, 0, 0, 0, false, index, key, length, word, payload, size);
    if (!fits(0, cells)) return false;
    mark(MARK_REPREFIX);
    writeRange(page, 0, cells);
    return true;
  }
  const leaf = levelOf(page) == 0;
  const need = <u32> SLOT_SIZE + (leaf ? 2 + size : <u32> POINTER_SIZE) + restOf(length - prefixOf(page));
  if (freeOf(page, pageSize) < need) return false;
  let cell = insertCell(page, pageSize, index, key, length, leaf ? size : 0);
  if (!cell) {
    mark(MARK_DEFRAGMENT);
    defragment(page, pageSize, scratchPage());
    cell = insertCell(page, pageSize, index, key, length, leaf ? size : 0);
  }
  if (leaf) {
    store<u16>(cell, <u16> word);
    memory.copy(cell + 2 + restOf(length - prefixOf(page)), payload, size);
  } else memory.copy(cell, payload, POINTER_SIZE);
  return true;
}

/** Puts a new root above the current one. */
function growRoot(root: usize): i32 {
  const level = rootLevel(root) + 1;
  if (level > LEVEL_MAX) return invariant(100);
  const page = createPage();
  pageInit(page, pageSize, level);
  const cell = insertCell(page, pageSize, 0, KEY, 0, 0);
  memory.copy(cell, root + ROOT_POINTER, POINTER_SIZE);
  setPointer(root + ROOT_POINTER, idOf(page));
  store<u8>(root, <u8> level, ROOT_LEVEL);
  setPath(level, page, 0);
  mark(MARK_ROOT_GROW);
  if (level == 3) mark(MARK_DEPTH_4);
  return OK;
}

/**
 * Splits the lowest branch from `level` up whose parent takes the separator; the leaf's change is tried again afterwards. `edge`: the separator
 * that must go in lies outside the page's prefix.
 */
function splitBranch(root: usize, from: u32, append: bool): i32 {
  let level = from;
  while (true) {
    const page = pathFrame(level);
    const n = countOf(page);
    // The separator that the level below wants to insert goes behind the path's index.
    const at = pathIndex(level) + 1;
    gather(page, 0, 0, 0, false, NONE, 0, 0, 0, 0, 0);
    let s: u32 = 0;
    if (append && at == n) s = n - 1;
    else s = chooseSplit(false);
    if (n < 2 || !s) return invariant(101);
    const length = separatorFor(s, separator);
    if (level < rootLevel(root)) {
      if (!acceptsSeparator(pathFrame(level + 1), pathIndex(level + 1) + 1, length)) {
        level++;
        continue;
      }
    } else {
      const status = growRoot(root);
      if (status != OK) return status;
    }
    ownPath(root, level);
    const left = pathFrame(level);
    gather(left, 0, 0, 0, false, NONE, 0, 0, 0, 0, 0);
    const right = createPage();
    writeRange(right, s, cells);
    writeRange(left, 0, s);
    setPointer(newPointer, idOf(right));
    if (!insertInto(pathFrame(level + 1), pathIndex(level + 1) + 1, separator, length, 0, newPointer, 0)) return invariant(102);
    mark(MARK_SPLIT_BRANCH);
    return OK;
  }
}

/** Tries to share the full leaf's cells and the new one with a neighbour under the same parent. OK: done; DECLINED: not worth it; else fetch's status. */
const DECLINED: i32 = -1;
function share(root: usize, length: u32, word: u32, payload: usize, size: u32, withRight: bool): i32 {
  const parent = pathFrame(1);
  const mine = pathIndex(1);
  const leftIndex = withRight ? mine : mine - 1;
  const leaf = pathFrame(0);
  const other = fetchChild(root, 0, withRight ? mine + 1 : mine - 1);
  if (!other) return fetchStatus;
  if (freeOf(other, pageSize) < pageSize >> 2) return DECLINED;
  gather(withRight ? leaf : other, withRight ? other : leaf, 0, 0, !withRight, pathIndex(0), KEY, length, word, payload, size);
  const s = chooseSplit(false);
  if (!s) return DECLINED;
  const sepLength = separatorFor(s, separator);
  // The old separator goes, the new one must fit.
  const oldSlot = slotOf(parent, leftIndex + 1);
  if (!hasPrefix(parent, separator, sepLength)) return DECLINED;
  const prefix = prefixOf(parent);
  if (freeOf(parent, pageSize) + restOf(suffixOf(oldSlot)) < restOf(sepLength - prefix)) return DECLINED;
  ownPath(root, 0);
  const up = pathFrame(1);
  const mineNow = pathFrame(0);
  const theirs = writable(pointerAt(up, withRight ? mine + 1 : mine - 1), other);
  const left = withRight ? mineNow : theirs;
  const right = withRight ? theirs : mineNow;
  writeRange(left, 0, s);
  writeRange(right, s, cells);
  replaceSeparator(up, leftIndex + 1, sepLength);
  mark(MARK_REDISTRIBUTE_PUT);
  return OK;
}

/** Gives the child at `index` of a writable branch the key in `separator`; the caller knows that it fits. */
function replaceSeparator(page: usize, index: u32, length: u32): void {
  memory.copy(newPointer, pointerAt(page, index), POINTER_SIZE);
  removeCell(page, pageSize, index);
  assert(insertInto(page, index, separator, length, 0, newPointer, 0));
}

/** The separator used by tree_delete's redistribution. */
export function replaceSeparatorWith(page: usize, index: u32, key: usize, length: u32): void {
  memory.copy(separator, key, length + 8);
  replaceSeparator(page, index, length);
}

/** Whether a branch could hold this key at `index` instead of the separator there. */
export function acceptsReplacement(page: usize, index: u32, key: usize, length: u32): bool {
  if (!hasPrefix(page, key, length)) return false;
  return freeOf(page, pageSize) + restOf(suffixOf(slotOf(page, index))) >= restOf(length - prefixOf(page));
}

/**
 * Puts KEY with a cell of `size` payload bytes and the u16 `word` (length, or CELL_OVERFLOW). Replaces what is there. OK, NEED_PAGE, NEED_ROOM.
 */
export function treePut(root: usize, length: u32, word: u32, payload: usize, size: u32): i32 {
  for (let attempt: u32 = 0; attempt < 4 * LEVEL_MAX; attempt++) {
    let status = reserveFrames(2 * rootLevel(root) + 8);
    if (status != OK) return status;
    if (isEmpty(root)) {
      const page = createPage();
      pageInit(page, pageSize, 0);
      setPointer(root + ROOT_POINTER, idOf(page));
      store<u8>(root, 0, ROOT_LEVEL);
      setPath(0, page, 0);
      if (!insertInto(page, 0, KEY, length, word, payload, size)) return invariant(103);
      countRun(root, word, payload);
      store<u64>(root, load<u64>(root, ROOT_ROWS) + 1, ROOT_ROWS);
      return OK;
    }
    status = descend(root, length);
    if (status != OK) return status;
    let leaf = pathFrame(0);
    const index = pathIndex(0);
    const exists = found;
    if (exists) {
      const slot = slotOf(leaf, index);
      const cell = cellOf(leaf, slot);
      const rest = restOf(suffixOf(slot));
      const oldWord = <u32> load<u16>(cell);
      if (oldWord == word || (oldWord & word & CELL_OVERFLOW)) {
        // Same size: in place.
        ownPath(root, 0);
        leaf = pathFrame(0);
        freeRun(root, leaf, index);
        countRun(root, word, payload);
        const at = cellOf(leaf, slotOf(leaf, index));
        store<u16>(at, <u16> word);
        memory.copy(at + 2 + rest, payload, size);
        return OK;
      }
      // Another size: out, then in. If it still does not fit, the leaf is changed only after all pages for a split are at hand.
      const old = 2 + rest + (oldWord & CELL_OVERFLOW ? OVERFLOW_SIZE : oldWord);
      if (freeOf(leaf, pageSize) + old >= 2 + rest + size) {
        ownPath(root, 0);
        leaf = pathFrame(0);
        freeRun(root, leaf, index);
        removeCell(leaf, pageSize, index);
        if (!insertInto(leaf, index, KEY, length, word, payload, size)) return invariant(104);
        countRun(root, word, payload);
        return OK;
      }
      // Split first, without the new value; the second attempt finds room.
      status = makeRoom(root);
      if (status != OK) return status;
      continue;
    }
    // In place when it fits; a key outside the prefix may rebuild the page.
    if (roomFor(leaf, index, length, word, payload, size)) {
      ownPath(root, 0);
      if (!insertInto(pathFrame(0), index, KEY, length, word, payload, size)) return invariant(105);
      return added(root, word, payload);
    }
    const level = rootLevel(root);
    const n = countOf(leaf);
    let append = index == n;
    for (let l: u32 = 1; l <= level && append; l++) append = pathIndex(l) + 1 == countOf(pathFrame(l));
    if (!append && level) {
      const mine = pathIndex(1);
      status = DECLINED;
      if (mine + 1 < countOf(pathFrame(1))) status = share(root, length, word, payload, size, true);
      if (status == DECLINED && mine) status = share(root, length, word, payload, size, false);
      if (status == OK) return added(root, word, payload);
      if (status != DECLINED) return status;
    }
    // Split in two, new cell included. A cut always exists: either side of the insertion point fits a page without the new cell, the smaller one with it.
    gather(leaf, 0, 0, 0, false, index, KEY, length, word, payload, size);
    const s = chooseSplit(append);
    if (!s) return invariant(106);
    const sepLength = separatorFor(s, separator);
    if (level) {
      if (!acceptsSeparator(pathFrame(1), pathIndex(1) + 1, sepLength)) {
        status = splitBranch(root, 1, append);
        if (status != OK) return status;
        continue;
      }
    } else {
      status = growRoot(root);
      if (status != OK) return status;
    }
    ownPath(root, 0);
    gather(pathFrame(0), 0, 0, 0, false, index, KEY, length, word, payload, size);
    const right = createPage();
    writeRange(right, s, cells);
    writeRange(pathFrame(0), 0, s);
    setPointer(newPointer, idOf(right));
    if (!insertInto(pathFrame(1), pathIndex(1) + 1, separator, sepLength, 0, newPointer, 0)) return invariant(107);
    mark(append ? MARK_SPLIT_APPEND : MARK_SPLIT_LEAF);
    return added(root, word, payload);
  }
  return invariant(108);
}

/** Whether insertInto would succeed, without changing anything. */
function roomFor(page: usize, index: u32, length: u32, word: u32, payload: usize, size: u32): bool {
  if (hasPrefix(page, KEY, length)) return freeOf(page, pageSize) >= <u32> SLOT_SIZE + 2 + size + restOf(length - prefixOf(page));
  if (freeOf(page, pageSize) < <u32> SLOT_SIZE + 2 + size) return false;
  gather(page, 0, 0, 0, false, index, KEY, length, word, payload, size);
  return fits(0, cells);
}

/** Splits the path's leaf in the middle (to make room for a longer value). */
function makeRoom(root: usize): i32 {
  mark(MARK_SPLIT_LONGER);
  const leaf = pathFrame(0);
  if (countOf(leaf) < 2) return invariant(109);
  gather(leaf, 0, 0, 0, false, NONE, 0, 0, 0, 0, 0);
  const s = chooseSplit(false);
  return s ? cutLeaf(root, s) : invariant(110);
}

/** Splits the path's leaf before cell `s`, or a branch above it that has no room for the separator. */
function cutLeaf(root: usize, s: u32): i32 {
  gather(pathFrame(0), 0, 0, 0, false, NONE, 0, 0, 0, 0, 0);
  const length = separatorFor(s, separator);
  if (rootLevel(root)) {
    if (!acceptsSeparator(pathFrame(1), pathIndex(1) + 1, length)) return splitBranch(root, 1, false);
  } else {
    const status = growRoot(root);
    if (status != OK) return status;
  }
  ownPath(root, 0);
  gather(pathFrame(0), 0, 0, 0, false, NONE, 0, 0, 0, 0, 0);
  const right = createPage();
  writeRange(right, s, cells);
  writeRange(pathFrame(0), 0, s);
  setPointer(newPointer, idOf(right));
  if (!insertInto(pathFrame(1), pathIndex(1) + 1, separator, length, 0, newPointer, 0)) return invariant(111);
  return OK;
}

function added(root: usize, word: u32, payload: usize): i32 {
  countRun(root, word, payload);
  store<u64>(root, load<u64>(root, ROOT_ROWS) + 1, ROOT_ROWS);
  return OK;
}

function countRun(root: usize, word: u32, payload: usize): void {
  if (word & CELL_OVERFLOW) store<u64>(root, load<u64>(root, ROOT_RUN_PAGES) + runPages(load<u32>(payload, POINTER_SIZE)), ROOT_RUN_PAGES);
}
