// Where the whole-file check gets its pages from: storage, through buffers of its own, one request at a time.
//
// The page cache is not asked: the check judges what storage has. A page that cannot be read is a finding, not the end of the check.
import { count } from "./check_report";
import { getWord, needPage } from "./ctrl";
import { CHECK_READ, CTRL_NEED_AT, NOT_FOUND, OK } from "./format";

const NOTHING: u32 = 0;
const ARRIVED: u32 = 1;
const FAILED: u32 = 2;

let wanted: usize = 0;
let answer: u32 = NOTHING;

export function sourceReset(): void {
  wanted = 0;
  answer = NOTHING;
}

/** Reads a page to `at`: OK (it is there), NOT_FOUND (storage could not read it), NEED_PAGE. */
export function take(page: u32, at: usize): i32 {
  if (answer == NOTHING) {
    wanted = at;
    return needPage(page, at);
  }
  const got = answer;
  answer = NOTHING;
  if (got == FAILED) return NOT_FOUND;
  count(CHECK_READ, 1);
  return OK;
}

/** Whether the outstanding NEED_PAGE is the check's. */
export function checkWants(): bool {
  return wanted != 0 && getWord(CTRL_NEED_AT) == <u32> wanted;
}

/** The page asked for has been read; checkStep judges it. */
export function checkInstall(): i32 {
  wanted = 0;
  answer = ARRIVED;
  return OK;
}

/** The page asked for could not be read: checkStep reports that and goes on. Nothing when the request is somebody else's. */
export function checkAbandon(): void {
  if (!checkWants()) return;
  wanted = 0;
  answer = FAILED;
}
