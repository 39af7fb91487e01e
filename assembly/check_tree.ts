// One tree page under check: everything about it that can be judged without looking at other pages.
import { setBits, nextSet } from "./bitmap";
import { crc32c } from "./crc32c";
import {
  OK,
  PAGE_BIRTH,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_HEADER,
  PAGE_LEVEL,
  PAGE_NUMBER,
  REASON_CRC,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_ORDER,
  REASON_OVERLAP,
  REASON_STALE,
  REASON_TYPE,
  SLOT_OFFSET,
} from "./format";
import { load48 } from "./bitmap";
import { cellSize, countOf, levelOf, orderActual, orderExpected, pageProblem, slotOf } from "./page";

/** What the last function that returned a reason expected and found. */
export let expected: u32 = 0;
export let actual: u32 = 0;

function problem(reason: u32, want: u32, have: u32): u32 {
  expected = want;
  actual = have;
  return reason;
}

/** Why `length` bytes are not what a pointer names: 0 or a reason. `bytes` is a page. */
export function identityProblem(bytes: usize, pageSize: u32, page: u32, crc: u32, birth: u64, fileId: u64): u32 {
  const sum = crc32c(bytes + 4, pageSize - 4, 0);
  if (sum != load<u32>(bytes, PAGE_CRC)) return problem(REASON_CRC, load<u32>(bytes, PAGE_CRC), sum);
  if (load<u64>(bytes, PAGE_FILE_ID) != fileId) return problem(REASON_FOREIGN, <u32> fileId, load<u32>(bytes, PAGE_FILE_ID));
  if (load<u32>(bytes, PAGE_NUMBER) != page) return problem(REASON_MISPLACED, page, load<u32>(bytes, PAGE_NUMBER));
  if (sum != crc) return problem(REASON_STALE, crc, sum);
  if (load48(bytes + PAGE_BIRTH) != birth) return problem(REASON_STALE, <u32> birth, load<u32>(bytes, PAGE_BIRTH));
  return OK;
}

/** Why the contents of a tree page of this level are wrong: 0 or a reason. `scratch` holds a page. */
export function contentProblem(bytes: usize, pageSize: u32, level: u32, scratch: usize): u32 {
  if (load<u8>(bytes, PAGE_LEVEL) != level) return problem(REASON_TYPE, level, load<u8>(bytes, PAGE_LEVEL));
  const fault = pageProblem(bytes, pageSize);
  if (fault && fault != REASON_ORDER) return problem(fault, 0, 0);
  memory.fill(scratch, 0, pageSize);
  const count = countOf(bytes);
  for (let i: u32 = 0; i < count; i++) {
    const slot = slotOf(bytes, i);
    const size = cellSize(bytes, slot);
    const offset = <u32> load<u16>(slot, SLOT_OFFSET);
    if (nextSet(scratch, offset - PAGE_HEADER) < offset - PAGE_HEADER + size) return problem(REASON_OVERLAP, i, offset);
    setBits(scratch, offset - PAGE_HEADER, size);
  }
  // Cells that share bytes may have equal keys: that they do is said first.
  return fault ? problem(fault, orderExpected, orderActual) : OK;
}

/** The first slot whose key means something. */
@inline
export function firstKey(page: usize): u32 {
  return levelOf(page) ? 1 : 0;
}
