// Marks: counters of rarely taken branches, so that a test can prove that it reached them.
import { setWord } from "./ctrl";
import { CTRL_OUT_AT, CTRL_OUT_COUNT } from "./format";

export const MARK_SPLIT_LEAF = 0;
export const MARK_SPLIT_BRANCH = 1;
export const MARK_SPLIT_APPEND = 2;
export const MARK_SPLIT_LONGER = 3;
export const MARK_REDISTRIBUTE_PUT = 4;
export const MARK_REPREFIX = 5;
export const MARK_ROOT_GROW = 6;
export const MARK_MERGE_LEAF = 7;
export const MARK_MERGE_BRANCH = 8;
export const MARK_REDISTRIBUTE_DELETE = 9;
export const MARK_ROOT_SHRINK = 10;
export const MARK_TREE_EMPTIED = 11;
export const MARK_DEFRAGMENT = 12;
export const MARK_RUN_PUT = 13;
export const MARK_RUN_FREED = 14;
export const MARK_GROUP_DISCARD = 15;
export const MARK_FREEZE = 16;
export const MARK_DROP_STEP = 17;
export const MARK_PACK = 18;
export const MARK_DEPTH_4 = 19;
export const MARK_REDISTRIBUTE_BRANCH = 20;
const MARKS = 32;

const counters = memory.data(32 * 4, 8);

@inline
export function mark(which: i32): void {
  const at = counters + (<usize> which << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Leaves the address of the counters (u32 each, MARK_* order) and their number in CTRL_OUT_AT and CTRL_OUT_COUNT. */
export function marks(): void {
  setWord(CTRL_OUT_AT, <u32> counters);
  setWord(CTRL_OUT_COUNT, MARKS);
}
