// What the visit of a tree tells the host: a leaf page, or between which keys a subtree is lost.
import { depth, pageOnWay, slotOnWay } from "./check_walk";
import { setWord } from "./ctrl";
import {
  CTRL_VISIT,
  CTRL_VISIT_AT,
  CTRL_VISIT_HIGH_AT,
  CTRL_VISIT_HIGH_LENGTH,
  CTRL_VISIT_LOW_AT,
  CTRL_VISIT_LOW_LENGTH,
  CTRL_VISIT_PAGE,
  MORE,
  VISIT_LEAF,
  VISIT_LOST,
} from "./format";
import { countOf, keyCopy, slotOf } from "./page";

/** Keys of the separators around a place that was lost, with room for what keyCopy writes beyond them. */
const low = memory.data(2064, 16);
const high = memory.data(2064, 16);
const UNBOUNDED: u32 = 0xffffffff;

/** A leaf page has arrived and is good. */
export function visitLeaf(page: u32, bytes: usize): i32 {
  setWord(CTRL_VISIT, VISIT_LEAF);
  setWord(CTRL_VISIT_PAGE, page);
  setWord(CTRL_VISIT_AT, <u32> bytes);
  return MORE;
}

/** Says between which keys the subtree lies that could not be followed: the slot of the topmost frame that was to be visited last. */
export function visitLost(): i32 {
  let lowLength = UNBOUNDED;
  let highLength = UNBOUNDED;
  for (let d = depth; d > 0 && (lowLength == UNBOUNDED || highLength == UNBOUNDED); d--) {
    const bytes = pageOnWay(d - 1);
    const at = slotOnWay(d - 1);
    if (lowLength == UNBOUNDED && at) lowLength = keyCopy(bytes, slotOf(bytes, at), low);
    if (highLength == UNBOUNDED && at + 1 < countOf(bytes)) highLength = keyCopy(bytes, slotOf(bytes, at + 1), high);
  }
  setWord(CTRL_VISIT, VISIT_LOST);
  setWord(CTRL_VISIT_LOW_AT, <u32> low);
  setWord(CTRL_VISIT_LOW_LENGTH, lowLength);
  setWord(CTRL_VISIT_HIGH_AT, <u32> high);
  setWord(CTRL_VISIT_HIGH_LENGTH, highLength);
  return MORE;
}
