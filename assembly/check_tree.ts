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
  REASON_BOUNDS,
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
import { cellOf, cellSize, compare, countOf, fixedOf, HEAD_BYTES, keyCopy, levelOf, pageProblem, slotOf, suffixOf } from "./page";

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
  if (load<u32>(bytes, PAGE_NUMBER) != page) return problem(REASON_MISPLACED, page, load<u32>(bytes, PAGE_NUMBER));
  if (load<u64>(bytes, PAGE_FILE_ID) != fileId) return problem(REASON_FOREIGN, <u32> fileId, load<u32>(bytes, PAGE_FILE_ID));
  if (sum != crc) return problem(REASON_STALE, crc, sum);
  if (load48(bytes + PAGE_BIRTH) != birth) return problem(REASON_STALE, <u32> birth, load<u32>(bytes, PAGE_BIRTH));
  return OK;
}

/** Why the contents of a tree page of this level are wrong: 0 or a reason. `scratch` holds a page. */
export function contentProblem(bytes: usize, pageSize: u32, level: u32, scratch: usize): u32 {
  if (load<u8>(bytes, PAGE_LEVEL) != level) return problem(REASON_TYPE, level, load<u8>(bytes, PAGE_LEVEL));
  const fault = pageProblem(bytes, pageSize);
  if (fault) return problem(fault, 0, 0);
  memory.fill(scratch, 0, pageSize);
  const count = countOf(bytes);
  for (let i: u32 = 0; i < count; i++) {
    const slot = slotOf(bytes, i);
    const suffix = suffixOf(slot);
    // The head is zero behind the key's end.
    if (suffix < HEAD_BYTES && load<u32>(slot) << (suffix << 3)) return problem(REASON_ORDER, suffix, i);
    const size = cellSize(bytes, slot);
    const offset = <u32> load<u16>(slot, SLOT_OFFSET);
    if (nextSet(scratch, offset - PAGE_HEADER) < offset - PAGE_HEADER + size) return problem(REASON_OVERLAP, i, offset);
    setBits(scratch, offset - PAGE_HEADER, size);
    if (i > (level ? <u32> 1 : 0) && order(bytes, slotOf(bytes, i - 1), slot) >= 0) return problem(REASON_ORDER, i - 1, i);
  }
  return OK;
}

/** Order of two slots of one page: −1, 0, 1. */
function order(page: usize, a: usize, b: usize): i32 {
  const x = load<u32>(a);
  const y = load<u32>(b);
  if (x != y) return x < y ? -1 : 1;
  const m = suffixOf(a);
  const n = suffixOf(b);
  if (m > HEAD_BYTES && n > HEAD_BYTES) {
    const fixed = fixedOf(page);
    const rest = compare(cellOf(page, a) + fixed, cellOf(page, b) + fixed, min(m, n) - HEAD_BYTES);
    if (rest) return rest;
  }
  return <i32> (m > n) - <i32> (m < n);
}

/** A full key is at most this long, with room for what keyCopy writes beyond it. */
const left = memory.data(2064, 16);
const right = memory.data(2064, 16);

/** Order of the key of one page's slot against the key of another's: −1, 0, 1. */
export function orderAcross(page: usize, index: u32, other: usize, otherIndex: u32): i32 {
  const m = keyCopy(page, slotOf(page, index), left);
  const n = keyCopy(other, slotOf(other, otherIndex), right);
  const sign = compare(left, right, min(m, n));
  return sign ? sign : <i32> (m > n) - <i32> (m < n);
}

/** The first slot whose key means something. */
@inline
export function firstKey(page: usize): u32 {
  return levelOf(page) ? 1 : 0;
}
