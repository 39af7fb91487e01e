// Roots: where the trees of a version start, and the handles that readers hold.
//
// The roots tree maps a table id (u32 big-endian) to a root record. The writer keeps the records it has touched in a small table and writes them back
// when a group is sealed. Readers open a handle: a copy of the record at their version, or a name that follows the writer.
import { setWord } from "./ctrl";
import {
  CELL_OVERFLOW,
  CORRUPT_RECORD,
  CTRL_TREE,
  DONE,
  MORE,
  NOT_FOUND,
  OK,
  POINTER_PAGE,
  ROOT_LEVEL,
  ROOT_POINTER,
  ROOT_ROWS,
  ROOT_RUN_PAGES,
  ROOT_SIZE,
  TABLE_DROPPED,
  POINTER_SIZE,
} from "./format";
import { FRAME_VERSION, fetch, fetchStatus, isUnplaced, nextTick, reserveFrames, virtualEntry, VIRTUAL_FRAME, VIRTUAL_PLACE, VIRTUAL_STATE, V_PLACED, V_RESIDENT } from "./frame";
import { listCount, listEntry, listInit, listPush, listSetCount } from "./list";
import { mark, MARK_DROP_STEP } from "./marks";
import { cellOf, countOf, removeCell, restOf, slotOf, suffixOf } from "./page";
import { pageSize } from "./frame";
import { spaceFree } from "./space";
import { treeDelete } from "./tree_delete";
import { hitPage, hitSlot, isEmpty, KEY, lookupKey, pathFrame, pathIndex, pointerAt, rootLevel, setPath } from "./tree_path";
import { freeRun, ownPath, treePut } from "./tree_put";
import { ROOTS, SLOT_ROOTS, supersede, superseded, touched, versionAt } from "./version";
import { seek, SEEK_AT_OR_AFTER, seekKey, seekLength } from "./tree_seek";

// Writer's entry, 48 bytes: table id, dirty, next in bucket (index + 1), pad, record.
const entries = memory.data(16, 8);
const W_DIRTY: usize = 4;
const W_NEXT: usize = 8;
const W_RECORD: usize = 16;
const buckets = memory.data(256 * 4, 8);

// Handle, 48 bytes: state (0 free), version (−1 writer), table id, pad, record.
const handles = memory.data(16, 8);
const H_VERSION: usize = 4;
const H_TABLE: usize = 8;
const H_RECORD: usize = 16;

/** The record found by the last call that returned OK. */
export let rootAt: usize = 0;

export function rootsInit(): void {
  listInit(entries, 48);
  listInit(handles, 48);
}

function setIdKey(table: u32): void {
  store<u32>(KEY, bswap<u32>(table));
  store<u64>(KEY + 4, 0);
}

/** Reads a table's record at a roots tree into `into`; a table without rows has an empty one. */
function readRoot(roots: usize, table: u32, into: usize): i32 {
  setIdKey(table);
  const status = lookupKey(roots, 4);
  if (status == NOT_FOUND) {
    memory.fill(into, 0, ROOT_SIZE);
    return OK;
  }
  if (status != OK) return status;
  const cell = cellOf(hitPage, hitSlot);
  if (load<u16>(cell) != ROOT_SIZE) return CORRUPT_RECORD;
  memory.copy(into, cell + 2 + restOf(suffixOf(hitSlot)), ROOT_SIZE);
  return OK;
}

/** The writer's record of a table: OK with `rootAt` (valid until the next table is looked up), or what fetch says. Uses KEY. */
export function writerRoot(table: u32): i32 {
  const bucket = buckets + (<usize> (table & 255) << 2);
  for (let i = load<u32>(bucket); i;) {
    const e = listEntry(entries, i - 1);
    if (load<u32>(e) == table) {
      rootAt = e + W_RECORD;
      return OK;
    }
    i = load<u32>(e, W_NEXT);
  }
  const e = listPush(entries);
  const n = listCount(entries);
  const status = readRoot(ROOTS, table, e + W_RECORD);
  if (status != OK) {
    listSetCount(entries, n - 1);
    return status;
  }
  store<u32>(e, table);
  store<u32>(e, 0, W_DIRTY);
  store<u32>(e, load<u32>(bucket), W_NEXT);
  store<u32>(bucket, n);
  rootAt = e + W_RECORD;
  return OK;
}

/** Marks a writer's record as changed. */
@inline
export function rootChanged(record: usize): void {
  store<u32>(record - W_RECORD + W_DIRTY, 1);
}

/** Forgets the writer's records: they are read again from the roots tree. */
export function rootsForget(): void {
  listSetCount(entries, 0);
  memory.fill(buckets, 0, 256 * 4);
}

/** Writes the changed records back into the roots tree; resumable. */
export function rootsFlush(): i32 {
  const n = listCount(entries);
  for (let i: u32 = 0; i < n; i++) {
    const e = listEntry(entries, i);
    if (!load<u32>(e, W_DIRTY)) continue;
    nextTick();
    setIdKey(load<u32>(e));
    const status = isEmpty(e + W_RECORD) ? treeDelete(ROOTS, 4) : treePut(ROOTS, 4, ROOT_SIZE, e + W_RECORD, ROOT_SIZE);
    if (status != OK && status != NOT_FOUND) return status;
    store<u32>(e, 0, W_DIRTY);
  }
  return OK;
}

// ---- handles ----------------------------------------------------------------------------------------------------

/** Opens a table for reading; CTRL_TREE is the handle. */
export function treeOpen(version: i32, table: u32): i32 {
  nextTick();
  let index: u32 = 0;
  const n = listCount(handles);
  while (index < n && load<u32>(listEntry(handles, index))) index++;
  if (index == n) store<u32>(listPush(handles), 0);
  const h = listEntry(handles, index);
  if (version >= 0) {
    const status = readRoot(versionAt(<u32> version) + SLOT_ROOTS, table, h + H_RECORD);
    if (status != OK) return status;
  }
  store<u32>(h, 1);
  store<i32>(h, version, H_VERSION);
  store<u32>(h, table, H_TABLE);
  setWord(CTRL_TREE, index);
  return OK;
}

export function treeClose(tree: u32): void {
  assert(tree < listCount(handles));
  store<u32>(listEntry(handles, tree), 0);
}

/** The record behind a handle: OK with `rootAt`, or what fetch says. */
export function handleRoot(tree: u32): i32 {
  assert(tree < listCount(handles));
  const h = listEntry(handles, tree);
  assert(load<u32>(h) != 0);
  if (load<i32>(h, H_VERSION) < 0) return writerRoot(load<u32>(h, H_TABLE));
  rootAt = h + H_RECORD;
  return OK;
}

/** Rows of the table behind a handle; −1 when its record could not be read (call treeGet first). */
export function treeRows(tree: u32): f64 {
  return handleRoot(tree) == OK ? <f64> load<u64>(rootAt, ROOT_ROWS) : -1;
}

/** Pages in overflow runs of the table behind a handle. */
export function treeRunPages(tree: u32): f64 {
  return handleRoot(tree) == OK ? <f64> load<u64>(rootAt, ROOT_RUN_PAGES) : -1;
}

/** Level of the root page: a tree of one leaf has 0. */
export function treeLevel(tree: u32): i32 {
  return handleRoot(tree) == OK ? <i32> rootLevel(rootAt) : -1;
}

// ---- dropping ---------------------------------------------------------------------------------------------------

/** Takes the rows of a table away; its pages are freed later, in steps. */
export function dropTable(table: u32): i32 {
  let status = writerRoot(table | TABLE_DROPPED);
  if (status != OK) return status;
  status = writerRoot(table);
  if (status != OK) return status;
  if (isEmpty(rootAt)) return OK;
  const record = rootAt;
  status = writerRoot(table | TABLE_DROPPED);
  if (status != OK) return status;
  memory.copy(rootAt, record, ROOT_SIZE);
  rootChanged(rootAt);
  memory.fill(record, 0, ROOT_SIZE);
  rootChanged(record);
  touched();
  return OK;
}

/** Frees up to `most` pages of dropped tables: MORE, DONE (none left), or what fetch says. */
export function dropStep(most: u32): i32 {
  let left = most;
  while (left) {
    nextTick();
    // The writer's records first (not yet in the roots tree), then the roots tree.
    let table: u32 = 0;
    const n = listCount(entries);
    for (let i: u32 = 0; i < n && !table; i++) {
      const e = listEntry(entries, i);
      if (load<u32>(e) & TABLE_DROPPED && !isEmpty(e + W_RECORD)) table = load<u32>(e);
    }
    if (!table) {
      let from: u32 = TABLE_DROPPED;
      while (true) {
        setIdKey(from);
        const status = seek(ROOTS, 4, SEEK_AT_OR_AFTER);
        if (status == NOT_FOUND) return DONE;
        if (status != OK) return status;
        if (seekLength() != 4) return CORRUPT_RECORD;
        seekKey(KEY);
        table = bswap<u32>(load<u32>(KEY));
        const found = writerRoot(table);
        if (found != OK) return found;
        if (!isEmpty(rootAt)) break;
        if (table == 0xffffffff) return DONE;
        from = table + 1; // emptied in this group
      }
    } else {
      const status = writerRoot(table);
      if (status != OK) return status;
    }
    const root = rootAt;
    const status = dropPages(root, left);
    if (status != OK) return status;
    left -= dropped;
    rootChanged(root);
    mark(MARK_DROP_STEP);
  }
  return MORE;
}

let dropped: u32 = 0;

/** Frees up to `most` leaves from the right end of a tree, and the branches that this empties. */
function dropPages(root: usize, most: u32): i32 {
  dropped = 0;
  let level = rootLevel(root);
  const status = reserveFrames(2 * level + 4);
  if (status != OK) return status;
  const withRuns = load<u64>(root, ROOT_RUN_PAGES) != 0;
  let pointer = root + ROOT_POINTER;
  const bottom: u32 = level ? 1 : 0;
  while (true) {
    const page = fetch(pointer, level);
    if (!page) return fetchStatus;
    setPath(level, page, countOf(page) - 1);
    if (level == bottom) break;
    pointer = pointerAt(page, countOf(page) - 1);
    level--;
  }
  if (!bottom) {
    const leaf = pathFrame(0);
    for (let i: u32 = 0; i < countOf(leaf); i++) freeRun(root, leaf, i);
    supersede(leaf);
    memory.fill(root, 0, ROOT_SIZE);
    dropped = 1;
    return OK;
  }
  if (withRuns) {
    // One leaf at a time: it has to be read.
    const leaf = fetch(pointerAt(pathFrame(1), pathIndex(1)), 0);
    if (!leaf) return fetchStatus;
    for (let i: u32 = 0; i < countOf(leaf); i++) freeRun(root, leaf, i);
  }
  ownPath(root, 1);
  let branch = pathFrame(1);
  do {
    const last = countOf(branch) - 1;
    superseded(pointerAt(branch, last));
    removeCell(branch, pageSize, last);
    dropped++;
  } while (countOf(branch) && dropped < most && !withRuns);
  for (let l: u32 = 1; !countOf(pathFrame(l)); l++) {
    supersede(pathFrame(l));
    if (l == rootLevel(root)) {
      memory.fill(root, 0, ROOT_SIZE);
      break;
    }
    removeCell(pathFrame(l + 1), pageSize, pathIndex(l + 1));
  }
  return OK;
}
