// What the whole-file check has found: findings, counters, and the set of pages reached.
import { bitmapBits } from "./bitmap";
import { setWord } from "./ctrl";
import {
  CHECK_ERRORS,
  CHECK_WARNINGS,
  CHECK_WORDS,
  CTRL_CHECK_FINDINGS,
  CTRL_CHECK_KEPT,
  CTRL_CHECK_SUMMARY,
  FINDING_PATH,
  FINDING_PATH_MAX,
  FINDING_WORDS,
  FINDINGS_MAX,
  OK,
  OUT_OF_MEMORY,
  SEVERITY_ERROR,
} from "./format";
import { allocate, release } from "./mem";

const summary = memory.data(18 * 8, 16);
let findings: usize = 0;
let kept: u32 = 0;
/** The finding made last; 0: it was not kept. */
let latest: usize = 0;
/** One bit a page: reached, or known to be in use. */
let seen: usize = 0;
let seenBytes: u32 = 0;
export let seenPages: u32 = 0;

export function reportStart(pageCount: u32): i32 {
  assert(CHECK_WORDS == 18);
  reportEnd();
  if (!findings) findings = allocate(FINDINGS_MAX * FINDING_WORDS * 4);
  // Whole bitmaps, so that the set can be compared with them word by word.
  const bytes = (<u64> (pageCount + bitmapBits - 1) / bitmapBits) * (bitmapBits >> 3);
  if (!findings || bytes > 1 << 30) return OUT_OF_MEMORY;
  seenBytes = <u32> bytes;
  seen = allocate(seenBytes);
  if (!seen) return OUT_OF_MEMORY;
  memory.fill(seen, 0, seenBytes);
  seenPages = pageCount;
  kept = 0;
  memory.fill(summary, 0, CHECK_WORDS * 8);
  return OK;
}

/** Gives the set of pages back; findings and summary stay. */
export function reportEnd(): void {
  release(seen, seenBytes);
  seen = 0;
}

/** Adds to a counter of the summary. */
@inline
export function count(index: u32, by: f64): void {
  const at = summary + (<usize> index << 3);
  store<f64>(at, load<f64>(at) + by);
}

@inline
export function counter(index: u32): f64 {
  return load<f64>(summary + (<usize> index << 3));
}

@inline
export function setCounter(index: u32, value: f64): void {
  store<f64>(summary + (<usize> index << 3), value);
}

export function finding(severity: u32, reason: u32, page: u32, table: u32, expected: u32, actual: u32, level: u32, depth: u32): void {
  count(severity == SEVERITY_ERROR ? CHECK_ERRORS : CHECK_WARNINGS, 1);
  latest = 0;
  if (kept == FINDINGS_MAX) return;
  const at = findings + (<usize> kept * (FINDING_WORDS * 4));
  kept++;
  store<u32>(at, severity);
  store<u32>(at, reason, 4);
  store<u32>(at, page, 8);
  store<u32>(at, table, 12);
  store<u32>(at, expected, 16);
  store<u32>(at, actual, 20);
  store<u32>(at, level, 24);
  store<u32>(at, depth, 28);
  store<u32>(at, 0, FINDING_PATH << 2);
  latest = at;
}

/** Adds a page to the way to the finding made last. */
export function findingPath(page: u32): void {
  if (!latest) return;
  const length = load<u32>(latest, FINDING_PATH << 2);
  if (length == <u32> FINDING_PATH_MAX) return;
  store<u32>(latest, length + 1, FINDING_PATH << 2);
  store<u32>(latest + <usize> (length << 2), page, (FINDING_PATH + 1) << 2);
}

/** Leaves CTRL_CHECK_*: the findings kept so far and the summary. Returns how many there are. */
export function checkFindings(): u32 {
  setWord(CTRL_CHECK_FINDINGS, <u32> findings);
  setWord(CTRL_CHECK_KEPT, kept);
  setWord(CTRL_CHECK_SUMMARY, <u32> summary);
  return kept;
}

/** Whether a page (inside the file) was reached. */
@inline
export function isSeen(page: u32): bool {
  return (load<u8>(seen + (page >> 3)) >> <u8> (page & 7) & 1) != 0;
}

/** Notes that a page (inside the file) is reached; false when it was before. */
@inline
export function see(page: u32): bool {
  const at = seen + (page >> 3);
  const bits = load<u8>(at);
  const bit: u8 = 1 << <u8> (page & 7);
  store<u8>(at, bits | bit);
  return !(bits & bit);
}

/** 64 pages of the set; `page` is a multiple of 64 below the end of the last bitmap. */
@inline
export function seenWord(page: u32): u64 {
  return load<u64>(seen + (page >> 3));
}
