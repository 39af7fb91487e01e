// The control block: fixed words in linear memory where a call leaves what does not fit its return value.
import { CTRL_ERROR_A, CTRL_ERROR_B, CTRL_ERROR_PAGE, CTRL_ERROR_REASON, CTRL_NEED_AT, CTRL_NEED_PAGE, CTRL_WORDS } from "./format";
import { CORRUPT_PAGE, INVARIANT, NEED_PAGE } from "./format";

const words = memory.data(64 * 4, 16);
assert(CTRL_WORDS == 64);

/** Address of the control block. */
export function ctrlAddress(): usize {
  return words;
}

@inline
export function setWord(index: i32, value: u32): void {
  store<u32>(words + (<usize> index << 2), value);
}

@inline
export function getWord(index: i32): u32 {
  return load<u32>(words + (<usize> index << 2));
}

/** Asks the host to read a page to `at`. */
export function needPage(page: u32, at: usize): i32 {
  setWord(CTRL_NEED_PAGE, page);
  setWord(CTRL_NEED_AT, <u32> at);
  return NEED_PAGE;
}

/** Names a damaged page. */
export function corruptPage(page: u32, reason: u32, expected: u32, actual: u32): i32 {
  setWord(CTRL_ERROR_PAGE, page);
  setWord(CTRL_ERROR_REASON, reason);
  setWord(CTRL_ERROR_A, expected);
  setWord(CTRL_ERROR_B, actual);
  return CORRUPT_PAGE;
}

/** A defect of the engine itself; `where` is a number unique to the check. */
export function invariant(where: u32): i32 {
  setWord(CTRL_ERROR_A, where);
  return INVARIANT;
}
