// Looking one row up.
import { setWord } from "./ctrl";
import {
  CELL_OVERFLOW,
  CTRL_RUN_BIRTH_HI,
  CTRL_RUN_BIRTH_LO,
  CTRL_RUN_CRC,
  CTRL_RUN_PAGE,
  CTRL_RUN_PAGES,
  CTRL_VALUE_AT,
  CTRL_VALUE_LENGTH,
  CTRL_VALUE_RUN,
  KEY_MAX,
  KEY_TOO_LONG,

  OK,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_SIZE,
} from "./format";
import { nextTick } from "./frame";
import { codecKeyEncode } from "./key";
import { cellOf, payloadOf, restOf, suffixOf } from "./page";
import { handleRoot, rootAt } from "./roots";
import { hitPage, hitSlot, KEY, lookupKey, setKey } from "./tree_path";
import { runPages } from "./tree_put";

/** Looks up a key (bytes at `key`): OK with CTRL_VALUE_*, NOT_FOUND, NEED_PAGE, … */
export function treeGet(tree: u32, key: usize, length: u32): i32 {
  if (length > <u32> KEY_MAX) return KEY_TOO_LONG;
  nextTick();
  const status = handleRoot(tree); // may use KEY
  if (status != OK) return status;
  setKey(key, length);
  return getKey(rootAt, length);
}

/** The same for a key on a tape (addresses on it count from `base`). */
export function treeGetTyped(tree: u32, codec: u32, tape: usize, base: usize): i32 {
  nextTick();
  const status = handleRoot(tree);
  if (status != OK) return status;
  const length = codecKeyEncode(codec, tape, base, KEY, KEY_MAX);
  if (length < 0) return -length;
  store<u64>(KEY + <u32> length, 0);
  return getKey(rootAt, length);
}

function getKey(root: usize, length: u32): i32 {
  const status = lookupKey(root, length);
  if (status != OK) return status;
  const cell = cellOf(hitPage, hitSlot);
  const value = cell + 2 + restOf(suffixOf(hitSlot));
  if (load<u16>(cell) & CELL_OVERFLOW) {
    setWord(CTRL_VALUE_AT, 0);
    setWord(CTRL_VALUE_LENGTH, load<u32>(value, POINTER_SIZE));
    setWord(CTRL_VALUE_RUN, 1);
    describeRun(value);
    return OK;
  }
  setWord(CTRL_VALUE_AT, <u32> value);
  setWord(CTRL_VALUE_LENGTH, payloadOf(cell));
  setWord(CTRL_VALUE_RUN, 0);
  return OK;
}

/** Leaves what is needed to read a run (pointer and length at `value`) in the control block. */
export function describeRun(value: usize): void {
  setWord(CTRL_RUN_PAGE, load<u32>(value));
  setWord(CTRL_RUN_PAGES, runPages(load<u32>(value, POINTER_SIZE)));
  setWord(CTRL_RUN_CRC, load<u32>(value, POINTER_CRC));
  setWord(CTRL_RUN_BIRTH_LO, load<u32>(value, POINTER_BIRTH));
  setWord(CTRL_RUN_BIRTH_HI, load<u16>(value, POINTER_BIRTH + 4));
}
