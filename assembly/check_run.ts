// The overflow run that the whole-file check is reading: page after page, against the pointer that names it.
import { take } from "./check_source";
import { fileId, findingBelow, scratch } from "./check_walk";
import { bitmapPageSize, load48 } from "./bitmap";
import { crc32c } from "./crc32c";
import {
  NEED_PAGE,
  OK,
  PAGE_BIRTH,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_NUMBER,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
  REASON_COUNT,
  REASON_CRC,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_STALE,
  REASON_TYPE,
  REASON_UNREADABLE,
  RUN_LENGTH,
} from "./format";

/** Pages of the run being read; 0: none is. */
export let runPages: u32 = 0;
let runPage: u32 = 0;
let runIndex: u32 = 0;
let runCrc: u32 = 0;
let runHeaderCrc: u32 = 0;
let runWantCrc: u32 = 0;
let runBirth: u64 = 0;
let runLength: u32 = 0;

/** Begins to read a run that lies inside the file. */
export function runBegin(pointer: usize, page: u32, pages: u32, length: u32): void {
  runPage = page;
  runPages = pages;
  runIndex = 0;
  runCrc = 0;
  runWantCrc = load<u32>(pointer, POINTER_CRC);
  runBirth = load48(pointer + POINTER_BIRTH);
  runLength = length;
}

/** Ends the run. */
export function runEnd(): void {
  runPages = 0;
}

function fault(page: u32, reason: u32, want: u32, have: u32): void {
  findingBelow(page, reason, want, have);
  runEnd();
}

/** Reads the next page of the run. */
export function readRun(): i32 {
  const status = take(runPage + runIndex, scratch);
  if (status == NEED_PAGE) return status;
  if (status != OK) {
    fault(runPage + runIndex, REASON_UNREADABLE, 0, 0);
    return OK;
  }
  if (runIndex) {
    runCrc = crc32c(scratch, bitmapPageSize, runCrc);
  } else {
    runHeaderCrc = load<u32>(scratch, PAGE_CRC);
    runCrc = crc32c(scratch + 4, bitmapPageSize - 4, 0);
    const number = load<u32>(scratch, PAGE_NUMBER);
    const birth = load48(scratch + PAGE_BIRTH);
    if (load<u8>(scratch, PAGE_TYPE) != PAGE_RUN) fault(runPage, REASON_TYPE, PAGE_RUN, load<u8>(scratch, PAGE_TYPE));
    else if (number != runPage) fault(runPage, REASON_MISPLACED, runPage, number);
    else if (load<u64>(scratch, PAGE_FILE_ID) != fileId) fault(runPage, REASON_FOREIGN, <u32> fileId, load<u32>(scratch, PAGE_FILE_ID));
    else if (birth != runBirth) fault(runPage, REASON_STALE, <u32> runBirth, <u32> birth);
    else if (load<u32>(scratch, RUN_LENGTH) != runLength) fault(runPage, REASON_COUNT, runLength, load<u32>(scratch, RUN_LENGTH));
    if (!runPages) return OK;
  }
  if (++runIndex < runPages) return OK;
  if (runCrc != runHeaderCrc) fault(runPage, REASON_CRC, runHeaderCrc, runCrc);
  else if (runCrc != runWantCrc) fault(runPage, REASON_STALE, runWantCrc, runCrc);
  runPages = 0;
  return OK;
}
