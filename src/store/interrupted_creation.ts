// What a creation that did not come to its end has left, and what is too much of a file to be that.
//
// Invariant: nothing that was ever acknowledged is taken for an interrupted creation, because only such files are made anew.
import {
  BLOCK_SIZE,
  JOURNAL_EPOCH,
  JOURNAL_FILE_ID,
  JOURNAL_HEADER,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  META_BYTES,
  META_FILE_ID,
  META_SLOTS,
} from "../../assembly/format.ts";
import { type Checksum, isBlank, isValid, readMeta, slotOf, toHex, viewOf } from "./meta.ts";

/** Whether the first 16 KiB (shorter where the file is) say that creation was over: it ends with the slots of generation 1. */
export function isCreated(region: Uint8Array, checksum: Checksum): boolean {
  return region.length >= META_BYTES && (isValid(slotOf(region, 1), checksum) || isValid(slotOf(region, 3), checksum));
}

/**
 * Whether these bytes (the whole file) are what an interrupted creation leaves. Creation sets the length of a fresh file, writes slot A1, then blank blocks over the journal,
 * then the other slots, each behind the sync of the step before. So either A1 is that of a fresh file, no slot of the next generation is valid and nothing in the
 * journal was ever written under that file id; or nothing but A1 and blank blocks is there, and the file is `freshLengths` long unless it is all zeros.
 */
export function isInterruptedCreation(whole: Uint8Array, checksum: Checksum, freshLengths: readonly number[]): boolean {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < Math.max(whole.length, META_BYTES); at += BLOCK_SIZE) {
    const block = new Uint8Array(BLOCK_SIZE);
    block.set(whole.subarray(at, at + BLOCK_SIZE));
    blocks.push(block);
  }
  const valid = (block: Uint8Array): boolean => isValid(block, checksum);
  const [first, ...rest] = blocks as [Uint8Array, ...Uint8Array[]];
  if (!valid(first)) {
    return rest.every((block) => isBlank(block) || isBlankJournal(block)) && (isBlank(first) || freshLengths.includes(whole.length));
  }
  const meta = readMeta(first);
  if (meta.generation !== 0 || meta.frame !== 0 || !freshLengths.includes(whole.length)) return false;
  if (valid(blocks[1]!) || valid(blocks[3]!)) return false;
  const id = toHex(first.subarray(META_FILE_ID, META_FILE_ID + 8));
  return !blocks.slice(META_SLOTS).some((block) =>
    viewOf(block).getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE && viewOf(block).getUint32(JOURNAL_EPOCH, true) !== 0 &&
    toHex(block.subarray(JOURNAL_FILE_ID, JOURNAL_FILE_ID + 8)) === id
  );
}

/** A journal block that no group has used yet. */
function isBlankJournal(block: Uint8Array): boolean {
  const view = viewOf(block);
  return view.getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE && view.getUint32(JOURNAL_EPOCH, true) === 0 &&
    isBlank(block.subarray(JOURNAL_HEADER));
}
