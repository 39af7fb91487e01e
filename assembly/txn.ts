// Applying a frame body to the private version.
//
//   effects, one after the other → change-log row → commit-id row → the body joins the group
//
// Resumable: NEED_PAGE, NEED_ROOM and NEED_RUN leave the progress here and the same call goes on. Any other failure leaves a half-applied private
// version, which the host drops. The body's bytes stay where they are until the call has returned OK.
import { effectKeyAt, effectKeyLength, effectKind, effectNext, effectTable, effectValueAt, effectValueLength } from "./body";
import { setWord } from "./ctrl";
import { crc32c } from "./crc32c";
import {
  BODY_COMMIT_ID,
  BODY_EFFECTS,
  BODY_EXTRA,
  BODY_FLAGS,
  BODY_HAS_ID,
  BODY_HEADER,
  BODY_IS_CHANGE,
  BODY_VERSION,
  CELL_OVERFLOW,
  CORRUPT_RECORD,
  CTRL_RUN_FIRST,
  CTRL_RUN_LAST,
  CTRL_RUN_MIDDLE,
  CTRL_RUN_PAGE,
  CTRL_RUN_PAGES,
  CTRL_RUN_SOURCE,
  EFFECT_DELETE,
  EFFECT_DELETE_RANGE,
  EFFECT_DROP_TABLE,
  EFFECT_PUT,
  KEY_MAX,
  NEED_RUN,
  NOT_FOUND,
  OK,
  OVERFLOW_SIZE,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_SIZE,
  RUN_HEADER,
  RUN_LENGTH,
  TABLE_ID_CHANGES,
  TABLE_ID_COMMITS,
} from "./format";
import { fileId, nextTick, pageSize } from "./frame";
import { frameAppend } from "./journal";
import { mark, MARK_RUN_PUT } from "./marks";
import { allocate } from "./mem";
import { compare, stamp } from "./page";
import { dropTable, rootAt, rootChanged, writerRoot } from "./roots";
import { spaceAllocateRun, spacePlace } from "./space";
import { treeDelete } from "./tree_delete";
import { KEY, setKey } from "./tree_path";
import { overflows, runPages, treePut } from "./tree_put";
import { seek, SEEK_AT_OR_AFTER, seekKey, seekLength } from "./tree_seek";
import { birth, takeFrameNumber, takeSequence } from "./version";

let body: usize = 0;
let bodyLength: u32 = 0;
let bodyEnd: usize = 0; // end of the effects
let at: usize = 0; // the next effect
let effectsLeft: u32 = 0;
const STEP_NONE: u32 = 0;
let step: u32 = STEP_NONE;
const STEP_EFFECTS: u32 = 1;
const STEP_CHANGE: u32 = 2;
const STEP_COMMIT: u32 = 3;
const STEP_FRAME: u32 = 4;

/** Sequence and frame number the last body took. */
export let lastSequence: f64 = 0;
export let lastFrame: f64 = 0;
/** Pages in runs written since the last freeze. */
export let runPagesWritten: u32 = 0;

// The run being placed: written by the host between two calls.
const RUN_NONE: u32 = 0;
let runState: u32 = RUN_NONE;
const RUN_GIVEN: u32 = 1;
const runPayload = memory.data(24, 8);
let runFirst: usize = 0;
let runLast: usize = 0;

const ownKey = memory.data(32, 8);
const commitRow = memory.data(32, 8);

/** Takes a body; it must stay where it is until txnApply has returned OK. CORRUPT_RECORD when its header is no body's. */
export function txnLoad(bodyAt: usize, length: u32): i32 {
  if (length < <u32> BODY_HEADER || load<u8>(bodyAt, BODY_VERSION) != 1) return CORRUPT_RECORD;
  const extra = load<u32>(bodyAt, BODY_EXTRA);
  if (extra > length - BODY_HEADER) return CORRUPT_RECORD;
  body = bodyAt;
  bodyLength = length;
  bodyEnd = bodyAt + length - extra;
  at = bodyAt + BODY_HEADER;
  effectsLeft = load<u32>(bodyAt, BODY_EFFECTS);
  step = STEP_EFFECTS;
  runState = RUN_NONE;
  return OK;
}

/** Applies the body taken by txnLoad. */
export function txnApply(): i32 {
  assert(step != STEP_NONE);
  if (step == STEP_EFFECTS) {
    while (effectsLeft) {
      nextTick();
      const next = effectNext(at, bodyEnd);
      if (!next) return CORRUPT_RECORD;
      const status = applyEffect();
      if (status != OK) return status;
      at = next;
      effectsLeft--;
    }
    if (at != bodyEnd) return CORRUPT_RECORD;
    step = STEP_CHANGE;
    lastSequence = load<u8>(body, BODY_FLAGS) & BODY_IS_CHANGE ? takeSequence() : 0;
    lastFrame = takeFrameNumber();
  }
  if (step == STEP_CHANGE) {
    if (lastSequence) {
      nextTick();
      store<u64>(ownKey, bswap<u64>(<u64> lastSequence));
      const status = putValue(TABLE_ID_CHANGES, ownKey, 8, body, bodyLength);
      if (status != OK) return status;
    }
    step = STEP_COMMIT;
  }
  if (step == STEP_COMMIT) {
    if (load<u8>(body, BODY_FLAGS) & BODY_HAS_ID) {
      nextTick();
      store<u64>(ownKey, bswap<u64>(<u64> lastFrame));
      memory.copy(commitRow, body + BODY_COMMIT_ID, 16);
      store<u64>(commitRow, <u64> lastSequence, 16);
      const status = putValue(TABLE_ID_COMMITS, ownKey, 8, commitRow, 24);
      if (status != OK) return status;
    }
    step = STEP_FRAME;
  }
  const status = frameAppend(body, bodyLength);
  if (status == OK) step = STEP_NONE;
  return status;
}

function applyEffect(): i32 {
  const kind = effectKind;
  const table = effectTable;
  if (!table || effectKeyLength > <u32> KEY_MAX) return CORRUPT_RECORD;
  if (kind == EFFECT_PUT) return putValue(table, effectKeyAt, effectKeyLength, effectValueAt, effectValueLength);
  if (kind == EFFECT_DROP_TABLE) return dropTable(table);
  const keyAt = effectKeyAt;
  const keyLength = effectKeyLength;
  const upperAt = effectValueAt;
  const upperLength = effectValueLength;
  let status = writerRoot(table);
  if (status != OK) return status;
  const root = rootAt;
  if (kind == EFFECT_DELETE) {
    setKey(keyAt, keyLength);
    status = treeDelete(root, keyLength);
    if (status == OK) rootChanged(root);
    return status == NOT_FOUND ? OK : status;
  }
  if (kind != EFFECT_DELETE_RANGE) return CORRUPT_RECORD;
  // Every row deleted is gone for good, so going on after NEED_PAGE means starting from the lower bound again.
  while (true) {
    setKey(keyAt, keyLength);
    status = seek(root, keyLength, SEEK_AT_OR_AFTER);
    if (status == NOT_FOUND) return OK;
    if (status != OK) return status;
    const length = seekLength();
    seekKey(KEY);
    const order = compare(KEY, upperAt, min(length, upperLength));
    if (order > 0 || (!order && length >= upperLength)) return OK;
    status = treeDelete(root, length);
    if (status != OK) return status;
    rootChanged(root);
    nextTick();
  }
}

function putValue(table: u32, key: usize, keyLength: u32, value: usize, length: u32): i32 {
  let status = writerRoot(table);
  if (status != OK) return status;
  const root = rootAt;
  if (!overflows(keyLength, length)) {
    setKey(key, keyLength);
    status = treePut(root, keyLength, length, value, length);
  } else {
    if (runState == RUN_NONE) {
      status = placeRun(value, length);
      if (status != OK) return status;
    }
    setKey(key, keyLength);
    status = treePut(root, keyLength, CELL_OVERFLOW, runPayload, OVERFLOW_SIZE);
    if (status == OK) runState = RUN_NONE;
  }
  if (status == OK) rootChanged(root);
  return status;
}

/** Gives a run its pages and composes what the host has to write: NEED_RUN, or why not. */
function placeRun(value: usize, length: u32): i32 {
  const pages = runPages(length);
  const status = spaceAllocateRun(pages);
  if (status != OK) return status;
  if (!runFirst) {
    runFirst = allocate(pageSize);
    runLast = allocate(pageSize);
    assert(runFirst != 0 && runLast != 0);
  }
  const place = spacePlace();
  // The next freeze is the first generation that names it.
  const born = birth + 1;
  const inFirst = min(length, pageSize - RUN_HEADER);
  memory.fill(runFirst, 0, pageSize);
  store<u8>(runFirst, PAGE_RUN, PAGE_TYPE);
  stamp(runFirst, place, fileId, born);
  store<u32>(runFirst, length, RUN_LENGTH);
  memory.copy(runFirst + RUN_HEADER, value, inFirst);
  const left = length - inFirst;
  const middle = left / pageSize;
  const tail = left - middle * pageSize;
  let crc = crc32c(runFirst + 4, pageSize - 4, 0);
  if (middle) crc = crc32c(value + inFirst, middle * pageSize, crc);
  if (tail) {
    memory.fill(runLast, 0, pageSize);
    memory.copy(runLast, value + inFirst + middle * pageSize, tail);
    crc = crc32c(runLast, pageSize, crc);
  }
  store<u32>(runFirst, crc);
  store<u32>(runPayload, place);
  store<u32>(runPayload, crc, POINTER_CRC);
  store<u32>(runPayload, <u32> born, POINTER_BIRTH);
  store<u16>(runPayload, <u16> (born >> 32), POINTER_BIRTH + 4);
  store<u32>(runPayload, length, POINTER_SIZE);
  setWord(CTRL_RUN_PAGE, place);
  setWord(CTRL_RUN_PAGES, pages);
  setWord(CTRL_RUN_FIRST, <u32> runFirst);
  setWord(CTRL_RUN_SOURCE, <u32> (value + inFirst));
  setWord(CTRL_RUN_MIDDLE, middle);
  setWord(CTRL_RUN_LAST, tail ? <u32> runLast : 0);
  runState = RUN_GIVEN;
  runPagesWritten += pages;
  mark(MARK_RUN_PUT);
  return NEED_RUN;
}

/** A freeze has taken the runs written so far into its generation. */
export function runsFrozen(): void {
  runPagesWritten = 0;
}
