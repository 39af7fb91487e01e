// Journal groups: the bytes of one write and one sync.
//
// A group is k data blocks of 4096 bytes and one parity block, the XOR of their payloads. The payload is a stream through the data blocks:
// group header, then frames {length, crc, body} back to back. Bodies are laid into the blocks as they come; sealing adds headers, parity and checksums.
// Invariants: a sealed group stays untouched until the next one is sealed (it is being written meanwhile); every data block but the last is full; bytes behind
// the payload are zero, so equal bodies give equal blocks; nothing read back is believed before checksum, file id, epoch, group, index and bounds agree.
// At most one damaged block of a group is rebuilt; beyond that the frames in front of the damage are offered and the group is called torn.
import { crc32c } from "./crc32c";
import { invariant, setWord } from "./ctrl";
import {
  BLOCK_SIZE,
  CORRUPT_JOURNAL,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  DONE,
  FRAME_CRC,
  FRAME_HEADER,
  FRAME_LENGTH,
  GROUP_DURABLE,
  GROUP_FIRST_FRAME,
  GROUP_FLAGS,
  GROUP_FRAMES,
  GROUP_HEADER,
  JOURNAL_COUNT,
  JOURNAL_CRC,
  JOURNAL_EPOCH,
  JOURNAL_FILE_ID,
  JOURNAL_GROUP,
  JOURNAL_HEADER,
  JOURNAL_INDEX,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  JOURNAL_PAYLOAD,
  JOURNAL_USED,
  MORE,
  NOT_FOUND,
  OK,
  OUT_OF_MEMORY,
} from "./format";
import { allocate, release, resize, roomOf } from "./mem";

// The shared constants are plain numbers: these have the type that lengths are compared in.
const PAYLOAD: u32 = <u32> JOURNAL_PAYLOAD;
const HEADER: u32 = <u32> FRAME_HEADER;
/** A group's first block holds at least the group header and one frame header. */
const FIRST_USED: u32 = <u32> (GROUP_HEADER + FRAME_HEADER);
/** Data blocks fit the u16 count, and a buffer fits the largest block of memory. */
const DATA_BLOCKS_MAX: u32 = 65534;
/** A buffer larger than this is given back after use. */
const KEEP_BYTES: u32 = 4 << 20;
const GROUP_NUMBER_MAX: f64 = 281474976710655;

let fileLo: u32 = 0;
let fileHi: u32 = 0;

// The group being gathered.
let gather: usize = 0;
let gatherRoom: u32 = 0;
/** Payload bytes so far, group header included; 0 = nothing gathered. */
let gathered: u32 = 0;
let frames: u32 = 0;
let recording: bool = true;
// The group sealed last.
let sealed: usize = 0;
let sealedRoom: u32 = 0;
// A body copied out of its blocks, and the place of the one copied last.
let copy: usize = 0;
let copyRoom: u32 = 0;
let copyIndex: u32 = 0;
let copyOffset: u32 = 0;

// Journal bytes read back.
let inbox: usize = 0;
let inboxRoom: u32 = 0;
// The group parsed last: its payload, flattened in place.
let flat: usize = 0;
let flatLength: u32 = 0;
let parsedFrames: u32 = 0;
let parsedBlocks: u32 = 0;
let parsedFirst: f64 = 0;
let parsedDurable: f64 = 0;
let rebuilt: i32 = -1;
let torn: i32 = 0;
let frameIndex: u32 = 0;
let frameOffset: u32 = 0;
// The block peeked last.
let peekedGroup: f64 = 0;
let peekedDurable: f64 = -1;

/** Names the file whose blocks these are: low half of the file id. */
export function journalInit(fileIdLo: u32, fileIdHi: u32): void {
  fileLo = fileIdLo;
  fileHi = fileIdHi;
}

// ---- gathering ----------------------------------------------------------------------------------------

@inline
function dataBlocks(payload: u32): u32 {
  return (payload + PAYLOAD - 1) / PAYLOAD;
}

/** Address of payload byte `offset` in a group laid out at `base`. */
@inline
function payloadAt(base: usize, offset: u32): usize {
  const block = offset / PAYLOAD;
  return base + <usize> block * BLOCK_SIZE + JOURNAL_HEADER + (offset - block * PAYLOAD);
}

/** Copies bytes into the gathered payload. */
function streamIn(offset: u32, from: usize, length: u32): void {
  while (length) {
    const part = min<u32>(length, PAYLOAD - offset % PAYLOAD);
    memory.copy(payloadAt(gather, offset), from, part);
    offset += part;
    from += part;
    length -= part;
  }
}

/** Copies bytes out of the gathered payload. */
function streamOut(offset: u32, to: usize, length: u32): void {
  while (length) {
    const part = min<u32>(length, PAYLOAD - offset % PAYLOAD);
    memory.copy(to, payloadAt(gather, offset), part);
    offset += part;
    to += part;
    length -= part;
  }
}

/** Makes the gathering buffer long enough for `payload` bytes and the parity block. */
function makeRoom(payload: u64): bool {
  const blocks = (payload + PAYLOAD - 1) / PAYLOAD;
  if (blocks > DATA_BLOCKS_MAX) return false;
  const bytes = (<u32> blocks + 1) * BLOCK_SIZE;
  if (bytes <= gatherRoom) return true;
  const moved = resize(gather, gatherRoom, bytes, dataBlocks(gathered) * BLOCK_SIZE);
  if (!moved) return false;
  gather = moved;
  gatherRoom = roomOf(bytes);
  return true;
}

/** Scratch of this module, 8 bytes. */
const scratch = memory.data(8, 8);

/** Adds a body to the group. Nothing is changed when memory does not suffice. */
export function frameAppend(body: usize, length: u32): i32 {
  if (!recording) {
    frames++;
    return OK;
  }
  const start: u32 = gathered ? gathered : GROUP_HEADER;
  const end = <u64> start + HEADER + length;
  if (!makeRoom(end)) return OUT_OF_MEMORY;
  store<u32>(scratch, length, FRAME_LENGTH);
  store<u32>(scratch, crc32c(body, length, 0), FRAME_CRC);
  streamIn(start, scratch, HEADER);
  streamIn(start + HEADER, body, length);
  gathered = <u32> end;
  frames++;
  return OK;
}

/** Whether bodies are kept: a batch that commits by its own checkpoint is counted, never gathered. */
export function groupRecord(on: i32): void {
  assert(frames == 0);
  recording = on != 0;
}

/** Payload bytes of the gathered group. */
export function groupBytes(): u32 {
  return gathered;
}

/** Blocks of the gathered group, parity included; 0 when nothing is gathered. */
export function groupBlocks(): u32 {
  return gathered ? dataBlocks(gathered) + 1 : 0;
}

/** Bodies in the gathered group. */
export function groupFrames(): u32 {
  return frames;
}

/** Drops the gathered group. */
export function groupClear(): void {
  gathered = 0;
  frames = 0;
  copyIndex = 0;
  copyOffset = 0;
  recording = true;
  if (gatherRoom > KEEP_BYTES) {
    release(gather, gatherRoom);
    gather = 0;
    gatherRoom = 0;
  }
}

/** Body `index` of the gathered group in one piece: CTRL_OUT_AT, CTRL_OUT_COUNT bytes, valid until the next call. NOT_FOUND behind the last. */
export function groupBody(index: u32): i32 {
  if (!gathered || index >= frames) return NOT_FOUND;
  if (copyOffset == 0 || index < copyIndex) {
    copyIndex = 0;
    copyOffset = GROUP_HEADER;
  }
  for (;;) {
    assert(copyOffset + HEADER <= gathered);
    streamOut(copyOffset, scratch, HEADER);
    const length = load<u32>(scratch, FRAME_LENGTH);
    assert(length <= gathered - copyOffset - HEADER);
    if (copyIndex < index) {
      copyOffset += HEADER + length;
      copyIndex++;
      continue;
    }
    if (copyRoom < length || !copy) {
      const moved = resize(copy, copyRoom, max<u32>(length, 16), 0);
      if (!moved) return OUT_OF_MEMORY;
      copy = moved;
      copyRoom = roomOf(max<u32>(length, 16));
    }
    streamOut(copyOffset + HEADER, copy, length);
    setWord(CTRL_OUT_AT, <u32> copy);
    setWord(CTRL_OUT_COUNT, length);
    return OK;
  }
}

// ---- sealing ------------------------------------------------------------------------------------------

/** Writes the header of block `index` (`count` data blocks) and its checksum. */
function sealBlock(block: usize, epoch: u32, group: u64, index: u32, count: u32, used: u32): void {
  store<u32>(block, JOURNAL_MAGIC_VALUE, JOURNAL_MAGIC);
  store<u32>(block, fileLo, JOURNAL_FILE_ID);
  store<u32>(block, fileHi, JOURNAL_FILE_ID + 4);
  store<u32>(block, epoch, JOURNAL_EPOCH);
  store<u32>(block, <u32> group, JOURNAL_GROUP);
  store<u16>(block, <u16> (group >> 32), JOURNAL_GROUP + 4);
  store<u16>(block, <u16> index, JOURNAL_INDEX);
  store<u16>(block, <u16> count, JOURNAL_COUNT);
  store<u16>(block, <u16> used, JOURNAL_USED);
  store<u32>(block, crc32c(block + JOURNAL_MAGIC, BLOCK_SIZE - JOURNAL_MAGIC, 0), JOURNAL_CRC);
}

/** XORs the payload of `block` into that of `into`. */
function xorPayload(into: usize, block: usize): void {
  let a = into + JOURNAL_HEADER;
  let b = block + JOURNAL_HEADER;
  const end = into + BLOCK_SIZE;
  while (a < end) {
    store<u64>(a, load<u64>(a) ^ load<u64>(b));
    store<u64>(a, load<u64>(a, 8) ^ load<u64>(b, 8), 8);
    a += 16;
    b += 16;
  }
}

/** Closes the gathered group: CTRL_OUT_AT, CTRL_OUT_COUNT blocks to write, valid until the next group is closed. DONE when there is none. */
export function journalEncode(epoch: u32, group: f64, firstFrame: f64, durableGroup: f64): i32 {
  if (!gathered) return DONE;
  assert(group >= 0 && group <= GROUP_NUMBER_MAX);
  const count = dataBlocks(gathered);
  assert(count > 0 && count <= DATA_BLOCKS_MAX && (count + 1) * BLOCK_SIZE <= gatherRoom);
  const first = payloadAt(gather, 0);
  store<u64>(first, <u64> firstFrame, GROUP_FIRST_FRAME);
  store<u32>(first, frames, GROUP_FRAMES);
  store<u32>(first, 0, GROUP_FLAGS);
  store<u64>(first, <u64> durableGroup, GROUP_DURABLE);
  const tail = gathered - (count - 1) * PAYLOAD;
  assert(tail > 0 && tail <= PAYLOAD);
  const last = gather + <usize> (count - 1) * BLOCK_SIZE;
  memory.fill(last + JOURNAL_HEADER + tail, 0, PAYLOAD - tail);
  const parity = last + BLOCK_SIZE;
  memory.copy(parity + JOURNAL_HEADER, gather + JOURNAL_HEADER, PAYLOAD);
  let usedAll: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const block = gather + <usize> i * BLOCK_SIZE;
    const used: u32 = i + 1 < count ? PAYLOAD : tail;
    usedAll ^= used;
    if (i) xorPayload(parity, block);
    sealBlock(block, epoch, <u64> group, i, count, used);
  }
  sealBlock(parity, epoch, <u64> group, count, count, usedAll);
  const spare = sealed;
  const spareRoom = sealedRoom;
  sealed = gather;
  sealedRoom = gatherRoom;
  gather = spare;
  gatherRoom = spareRoom;
  groupClear();
  setWord(CTRL_OUT_AT, <u32> sealed);
  setWord(CTRL_OUT_COUNT, count + 1);
  return OK;
}

// ---- reading back -------------------------------------------------------------------------------------

/** A buffer of at least `bytes` for journal blocks, keeping what it holds; 0 when memory does not suffice. `journalBuffer(0)` gives it back. */
export function journalBuffer(bytes: u32): usize {
  if (!bytes) {
    release(inbox, inboxRoom);
    inbox = 0;
    inboxRoom = 0;
    forget();
    return 0;
  }
  if (bytes <= inboxRoom) return inbox;
  const moved = resize(inbox, inboxRoom, bytes, inboxRoom);
  if (!moved) return 0;
  forget();
  inbox = moved;
  inboxRoom = roomOf(bytes);
  return inbox;
}

function forget(): void {
  flat = 0;
  flatLength = 0;
  parsedFrames = 0;
  parsedBlocks = 0;
  parsedFirst = 0;
  parsedDurable = 0;
  rebuilt = -1;
  torn = 0;
  frameIndex = 0;
  frameOffset = 0;
}

@inline
function groupOf(block: usize): u64 {
  return <u64> load<u32>(block, JOURNAL_GROUP) | <u64> load<u16>(block, JOURNAL_GROUP + 4) << 32;
}

/** Whether a block is whole, of this file, and makes sense on its own. */
function blockValid(block: usize): bool {
  if (load<u32>(block, JOURNAL_MAGIC) != JOURNAL_MAGIC_VALUE) return false;
  if (load<u32>(block, JOURNAL_FILE_ID) != fileLo || load<u32>(block, JOURNAL_FILE_ID + 4) != fileHi) return false;
  const count = <u32> load<u16>(block, JOURNAL_COUNT);
  const index = <u32> load<u16>(block, JOURNAL_INDEX);
  if (count == 0 || count > DATA_BLOCKS_MAX || index > count) return false;
  if (index < count) {
    const used = <u32> load<u16>(block, JOURNAL_USED);
    if (used == 0 || used > PAYLOAD || (index + 1 < count && used != PAYLOAD)) return false;
    if (index == 0 && used < FIRST_USED) return false;
  }
  return load<u32>(block, JOURNAL_CRC) == crc32c(block + JOURNAL_MAGIC, BLOCK_SIZE - JOURNAL_MAGIC, 0);
}

/** Whether a block is number `index` of the group asked for; `count` 0 accepts any count. */
function blockOf(block: usize, epoch: u32, group: u64, index: u32, count: u32): bool {
  return load<u32>(block, JOURNAL_EPOCH) == epoch && groupOf(block) == group && load<u16>(block, JOURNAL_INDEX) == index &&
    (count == 0 || load<u16>(block, JOURNAL_COUNT) == count) && blockValid(block);
}

/** Whether `length` bytes at `at` lie in the buffer. */
@inline
function inInbox(at: usize, length: u64): bool {
  return inbox != 0 && at >= inbox && <u64> at + length <= <u64> inbox + inboxRoom;
}

/**
 * Looks at one block of the buffer. OK: CTRL_OUT_AT = index, CTRL_OUT_COUNT = data blocks of its group, CTRL_OUT_PAGE = epoch, `peekGroup`, `peekDurable`.
 * NOT_FOUND: no valid block of this file.
 */
export function blockPeek(at: usize): i32 {
  if (!inInbox(at, BLOCK_SIZE) || !blockValid(at)) return NOT_FOUND;
  const index = <u32> load<u16>(at, JOURNAL_INDEX);
  const count = <u32> load<u16>(at, JOURNAL_COUNT);
  setWord(CTRL_OUT_AT, index);
  setWord(CTRL_OUT_COUNT, count);
  setWord(CTRL_OUT_PAGE, load<u32>(at, JOURNAL_EPOCH));
  peekedGroup = <f64> groupOf(at);
  // The parity of a single block is its mirror.
  const readable = index == 0 || (index == 1 && count == 1);
  peekedDurable = readable ? <f64> load<u64>(at + JOURNAL_HEADER, GROUP_DURABLE) : -1;
  return OK;
}

/** Group number of the block peeked last. */
export function peekGroup(): f64 {
  return peekedGroup;
}

/** Newest group known durable when the group of the block peeked last was written; −1 when that block does not say. */
export function peekDurable(): f64 {
  return peekedDurable;
}

/**
 * Reads group `group` of `epoch` from the buffer at `at`, where `blocks` whole blocks have been put. Destroys the bytes of its blocks.
 * OK: `parsedCount` frames, `parsedSize` blocks; `parsedRebuilt` and `parsedTorn` say what was damaged. MORE: CTRL_OUT_COUNT blocks are needed at `at`.
 * NOT_FOUND: nothing of it can be kept. CORRUPT_JOURNAL: whole blocks with impossible contents.
 */
export function groupParse(at: usize, blocks: u32, epoch: u32, group: f64): i32 {
  forget();
  if (!(group >= 0 && group <= GROUP_NUMBER_MAX) || !inInbox(at, <u64> blocks * BLOCK_SIZE)) return invariant(701);
  const number = <u64> group;
  // Whichever of the first two blocks is whole tells the length; without both, parity cannot help and no prefix exists.
  let count: u32 = 0;
  if (blocks >= 1 && blockOf(at, epoch, number, 0, 0)) count = load<u16>(at, JOURNAL_COUNT);
  else if (blocks >= 2 && blockOf(at + BLOCK_SIZE, epoch, number, 1, 0)) count = load<u16>(at + BLOCK_SIZE, JOURNAL_COUNT);
  if (!count) return NOT_FOUND;
  if (blocks < count + 1) {
    setWord(CTRL_OUT_COUNT, count + 1);
    return MORE;
  }
  parsedBlocks = count + 1;
  let bad: u32 = 0;
  let firstBad: u32 = 0;
  for (let i: u32 = 0; i <= count; i++) {
    if (blockOf(at + <usize> i * BLOCK_SIZE, epoch, number, i, count)) continue;
    if (!bad) firstBad = i;
    bad++;
  }
  let whole = count;
  if (bad == 1) {
    rebuilt = <i32> firstBad;
    if (firstBad < count && !rebuildBlock(at, count, firstBad)) return CORRUPT_JOURNAL;
  } else if (bad > 1) {
    torn = 1;
    whole = firstBad;
    if (whole == 0) return NOT_FOUND;
  }
  // Payloads move together, in place.
  for (let i: u32 = 0; i < whole; i++) {
    const block = at + <usize> i * BLOCK_SIZE;
    const used = <u32> load<u16>(block, JOURNAL_USED);
    memory.copy(at + flatLength, block + JOURNAL_HEADER, used);
    flatLength += used;
  }
  flat = at;
  parsedFirst = <f64> load<u64>(flat, GROUP_FIRST_FRAME);
  parsedDurable = <f64> load<u64>(flat, GROUP_DURABLE);
  return countFrames();
}

/** Recovers data block `index` from the others and the parity. */
function rebuildBlock(at: usize, count: u32, index: u32): bool {
  const block = at + <usize> index * BLOCK_SIZE;
  const parity = at + <usize> count * BLOCK_SIZE;
  memory.copy(block, parity, BLOCK_SIZE);
  let used = <u32> load<u16>(parity, JOURNAL_USED);
  for (let i: u32 = 0; i < count; i++) {
    if (i == index) continue;
    const other = at + <usize> i * BLOCK_SIZE;
    used ^= <u32> load<u16>(other, JOURNAL_USED);
    xorPayload(block, other);
  }
  if (used == 0 || used > PAYLOAD || (index + 1 < count && used != PAYLOAD)) return false;
  if (index == 0 && used < FIRST_USED) return false;
  store<u16>(block, <u16> used, JOURNAL_USED);
  return true;
}

/** Verifies the frames of the flattened payload. */
function countFrames(): i32 {
  const claimed = load<u32>(flat, GROUP_FRAMES);
  let offset: u32 = GROUP_HEADER;
  while (parsedFrames < claimed) {
    if (flatLength - offset < HEADER) break;
    const length = load<u32>(flat + offset, FRAME_LENGTH);
    if (length > flatLength - offset - HEADER) break;
    if (load<u32>(flat + offset, FRAME_CRC) != crc32c(flat + offset + HEADER, length, 0)) break;
    offset += HEADER + length;
    parsedFrames++;
  }
  frameIndex = 0;
  frameOffset = GROUP_HEADER;
  if (torn) return OK;
  return parsedFrames == claimed && offset == flatLength && claimed > 0 ? OK : CORRUPT_JOURNAL;
}

/** Frames of the parsed group that are whole. */
export function parsedCount(): u32 {
  return parsedFrames;
}

/** Blocks of the parsed group, parity included. */
export function parsedSize(): u32 {
  return parsedBlocks;
}

/** Number of the parsed group's first frame. */
export function parsedFirstFrame(): f64 {
  return parsedFirst;
}

/** Newest group known durable when the parsed one was written. */
export function parsedDurableGroup(): f64 {
  return parsedDurable;
}

/** The damaged block that parity made good (the count itself: the parity block); −1: none. */
export function parsedRebuilt(): i32 {
  return rebuilt;
}

/** 1 when the damage was beyond parity and only the frames in front of it are there. */
export function parsedTorn(): i32 {
  return torn;
}

/** Body `index` of the parsed group: CTRL_OUT_AT, CTRL_OUT_COUNT bytes, valid while the buffer is left alone. NOT_FOUND behind the last. */
export function frameAt(index: u32): i32 {
  if (!flat || index >= parsedFrames) return NOT_FOUND;
  if (index < frameIndex) {
    frameIndex = 0;
    frameOffset = GROUP_HEADER;
  }
  // Lengths were verified by `countFrames`; the bytes have not moved since, but they lie where the host writes, so they are bounded once more.
  for (;;) {
    if (flatLength - frameOffset < HEADER) return invariant(702);
    const length = load<u32>(flat + frameOffset, FRAME_LENGTH);
    if (length > flatLength - frameOffset - HEADER) return invariant(703);
    if (frameIndex == index) {
      setWord(CTRL_OUT_AT, <u32> (flat + frameOffset + HEADER));
      setWord(CTRL_OUT_COUNT, length);
      return OK;
    }
    frameOffset += HEADER + length;
    frameIndex++;
  }
  return NOT_FOUND;
}
