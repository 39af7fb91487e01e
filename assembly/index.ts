// The kernel's exports: the whole boundary. src/kernel/abi.ts says what each does.
import { arena, arenaBase } from "./arena";
import { bodyEncode } from "./body";
import { checkAbandon, checkInstall, checkWants } from "./check_source";
import { ctrlAddress, setWord } from "./ctrl";
import { CTRL_OUT_PAGE, NEED_ROOM, OK, OUT_OF_MEMORY, PAGE_SHIFT_MAX, PAGE_SHIFT_MIN } from "./format";
import { dirtyCount, evictions, frameAbandon, frameInstall, framesInit, frameWanted, pagesRead, spills } from "./frame";
import { freezeInit } from "./freeze";
import { journalInit } from "./journal";
import { invariant } from "./ctrl";
import { rootsFlush, rootsForget, rootsInit } from "./roots";
import { sealTablesInit } from "./seal_table";
import { spaceAbandon, spaceInstall, spaceWants } from "./generation";
import { checkBegin as beginCheck, checkEnd as endCheck, checkStep as stepCheck } from "./check";
import { META_BIRTH } from "./format";
import { spaceDrop, spaceHold, spaceAllocateRun, spaceFilePages, spaceFree, spacePlace, spaceReset } from "./space";
import { packInit } from "./tree_pack";
import { treeGetTyped as treeGetTape } from "./tree_read";
import { scansInit } from "./tree_scan";
import { lastFrame, lastSequence, runPagesWritten, txnLoad } from "./txn";
import { damage, dirtyGroup, discardPrivate, newestVersion, publish, publishedVersion, sealVersion, unplaced, versionsInit } from "./version";
import { CTRL_OUT_AT, CTRL_OUT_COUNT, CTRL_TREE, DONE } from "./format";
import { getWord } from "./ctrl";

export { arena, ctrlAddress };
export { crc32c } from "./crc32c";
export { bodyLimits } from "./body";
export { codecRegister, codecRelease, codecTape } from "./codec";
export { codecKeyDecode, codecKeyEncode, codecKeyEncodePrefix, codecKeySuccessor } from "./key";
export { codecRecordDecode, codecRecordEncode } from "./record";
export { rowsDecode } from "./rows";
export { spillBase, spillBelow, spilledPages, spillDone, spillMoved, spillNext, spillReset } from "./frame";
export { stateLoad, stateNew, stateSave, freezeBegin, freezeDone, sealLeft, sealNext, sealWritten } from "./freeze";
export { pin as versionPin, pinnedPages, unpin as versionUnpin, versionFrame, versionSequence } from "./version";
export { dropStep, treeClose, treeLevel, treeOpen, treeRows, treeRunPages } from "./roots";
export { treeGet } from "./tree_read";
export { scanClose, scanCount, scanNext, scanOpen } from "./tree_scan";
export { txnApply, txnLoad } from "./txn";
export {
  blockPeek,
  frameAppend,
  frameAt,
  groupBlocks,
  groupBody,
  groupBytes,
  groupClear,
  groupFrames,
  groupParse,
  groupRecord,
  journalBuffer,
  journalEncode,
  parsedCount,
  parsedDurableGroup,
  parsedFirstFrame,
  parsedRebuilt,
  parsedSize,
  parsedTorn,
  peekDurable,
  peekGroup,
} from "./journal";
export { checkFindings } from "./check_report";
export { visitBegin, visitStep } from "./check";
export { imageRows, imageVerify } from "./page_image";
export { packBegin, packStep } from "./tree_compact";
export { spaceMoveFrom as bitmapMoveFrom, spacePageCount as frozenPages } from "./space_finalize";
export { spaceUsed as usedPages } from "./space";
export { bodyRead } from "./body";
export { marks } from "./marks";

// ---- life -------------------------------------------------------------------------------------------------------

/** Sets page size (1 << shift), cache size in frames and the low half of the file id. Once per instance. */
export function init(pageShift: u32, frames: u32, fileIdLo: u32, fileIdHi: u32): i32 {
  if (pageShift < <u32> PAGE_SHIFT_MIN || pageShift > <u32> PAGE_SHIFT_MAX || frames < 32) return invariant(1);
  const status = framesInit(pageShift, frames, <u64> fileIdLo | (<u64> fileIdHi << 32));
  if (status != OK) return status;
  sealTablesInit();
  versionsInit();
  rootsInit();
  scansInit();
  if (!packInit() || !freezeInit()) return OUT_OF_MEMORY;
  journalInit(fileIdLo, fileIdHi);
  return spaceReset(pageShift, fileIdLo, fileIdHi);
}

// ---- pages ------------------------------------------------------------------------------------------------------

/** The page asked for has been read: verify and install it. */
export function pageInstall(): i32 {
  if (checkWants()) return checkInstall();
  return spaceWants() ? spaceInstall() : frameInstall();
}

/** The page asked for could not be read: forgets the request. */
export function pageAbandon(): void {
  checkAbandon();
  spaceAbandon();
  frameAbandon();
}

/** Dirty frames in the cache. */
export function dirtyPages(): u32 {
  return dirtyCount;
}

/** Pages of the newest state that have no place yet. */
export function unplacedPages(): u32 {
  return unplaced;
}

/** Pages in overflow runs written since the last freeze. */
export function dirtyRunPages(): u32 {
  return runPagesWritten;
}

/** Pages read into frames, frames evicted, frames spilled so far. */
export function cacheReads(): f64 {
  return <f64> pagesRead;
}

export function cacheEvictions(): f64 {
  return <f64> evictions;
}

export function cacheSpills(): f64 {
  return <f64> spills;
}

/** Pages the file needs: up to the highest one in use by a generation that is kept. */
export function filePages(): u32 {
  return spaceFilePages();
}

/** Contiguous pages for a journal extent, in use from the next freeze on; the first in CTRL_OUT_PAGE. */
export function extentAllocate(pages: u32): i32 {
  const status = spaceAllocateRun(pages);
  if (status == OK) setWord(CTRL_OUT_PAGE, spacePlace());
  return status;
}

/** Gives a journal extent's pages back. */
export function extentFree(page: u32, pages: u32): i32 {
  return spaceFree(page, pages);
}

// ---- check ------------------------------------------------------------------------------------------------------

let checked: u64 = 0;

/** Starts the check of a verified meta slot; its generation is held until the check ends. */
export function checkBegin(meta: usize, level: u32): i32 {
  checkEnd();
  const status = beginCheck(meta, level);
  const birth = load<u64>(meta, META_BIRTH) & 0xffffffffffff;
  if (status == OK && spaceHold(birth) == OK) checked = birth;
  return status;
}

export function checkStep(maxPages: u32): i32 {
  const status = stepCheck(maxPages);
  if (status == DONE) releaseChecked();
  return status;
}

export function checkEnd(): void {
  endCheck();
  releaseChecked();
}

function releaseChecked(): void {
  if (checked) spaceDrop(checked);
  checked = 0;
}

// ---- versions ---------------------------------------------------------------------------------------------------

/** Closes the private version; its id is in CTRL_TREE. DONE: nothing changed since the last one. */
export function groupSeal(): i32 {
  if (!dirtyGroup) return DONE;
  const status = rootsFlush();
  if (status != OK) return status;
  if (damage != OK) return damage;
  setWord(CTRL_TREE, sealVersion());
  return OK;
}

/** Drops everything since the last groupSeal. The gathered journal group is the host's to clear. */
export function groupDiscard(): void {
  frameAbandon();
  rootsForget();
  discardPrivate();
}

export function versionPublish(version: u32): void {
  publish(version);
}

export function versionPublished(): u32 {
  return publishedVersion();
}

export function versionNewest(): u32 {
  return newestVersion();
}

// ---- transactions -----------------------------------------------------------------------------------------------

/** Looks up the key on the tape at an absolute address; addresses on the tape count from the arena. */
export function treeGetTyped(tree: u32, codec: u32, tape: usize): i32 {
  return treeGetTape(tree, codec, tape, arenaBase);
}

/** Operation records in the arena → body, loaded for txnApply. Offsets count from the arena. */
export function txnEncode(at: u32, count: u32, header: u32, extra: u32, extraLength: u32): i32 {
  const status = bodyEncode(arenaBase + at, count, arenaBase, arenaBase + header, arenaBase + extra, extraLength);
  return status == OK ? txnLoad(<usize> getWord(CTRL_OUT_AT), getWord(CTRL_OUT_COUNT)) : status;
}

export function txnSequence(): f64 {
  return lastSequence;
}

export function txnFrame(): f64 {
  return lastFrame;
}
