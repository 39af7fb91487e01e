// Frame bodies: operation records from the arena become resolved effects, and effects are read back one by one.
//
// The body lies in one growing block of the kernel. It stays valid until the next `bodyEncode`. Reading trusts nothing: a body comes from the
// journal or the change log, and a wrong length in it must not lead outside.
import {
  BODY_EFFECTS, BODY_EXTRA, BODY_HEADER, BODY_VERSION, CODEC_RECORD, CORRUPT_RECORD, CTRL_DATA_AT, CTRL_DATA_LENGTH, CTRL_ERROR_A,
  CTRL_ERROR_FIELD, CTRL_ERROR_OP, CTRL_ERROR_REASON, CTRL_OUT_AT, CTRL_OUT_COUNT, CTRL_ROWS, CTRL_ROWS_AT, EFFECT_DELETE,
  EFFECT_DELETE_RANGE, EFFECT_DROP_TABLE, EFFECT_HIDDEN, EFFECT_KEY_AT_WORD, EFFECT_KEY_LENGTH_WORD, EFFECT_KIND_WORD, EFFECT_PUT,
  EFFECT_TABLE_WORD, EFFECT_TAG_WORD, EFFECT_VALUE_AT_WORD, EFFECT_VALUE_LENGTH_WORD, EFFECT_WORDS, FIELD_LENGTH, FIELD_TYPE, INVALID_FIELD,
  KEY_MAX, KEY_TOO_LONG, LIMIT_BODY, LIMIT_VALUE, OK, OP_KEY_AT, OP_KEY_CODEC, OP_KEY_LENGTH, OP_KIND, OP_TABLE, OP_VALUE_AT,
  OP_VALUE_CODEC, OP_VALUE_LENGTH, OP_WORDS, OUT_OF_MEMORY, VALUE_TOO_LONG,
} from "./format";
import { copyBytes, varintLoad, varintNext, varintStore } from "./bytes";
import { codecRoot } from "./codec";
import { setWord } from "./ctrl";
import { codecKeyEncode } from "./key";
import { allocate, release, resize, roomOf } from "./mem";
import { recordMeasure, recordWrite } from "./record";

/** A block above this is given back before the next body. */
const KEEP_SIZE: u32 = 1 << 20;
/** What an effect takes at most besides its value: kind, tag, three varints, a key and room to encode it. */
const EFFECT_ROOM: u32 = 2 + 5 + 5 + 5 + KEY_MAX + 16;
/** Bodies and values are addressed with 31 bits and a block is at most 1 GiB. */
const BODY_MOST: u32 = 0x3fff0000;

let block: usize = 0;
let blockSize: u32 = 0;
let maxValue: u32 = 64 << 20;
let maxBody: u32 = BODY_MOST;

/** Sets the longest value and the longest body that `bodyEncode` makes. */
export function bodyLimits(value: f64, body: f64): void {
  maxValue = <u32> max<f64>(0, min<f64>(value, <f64> BODY_MOST));
  maxBody = <u32> max<f64>(<f64> BODY_HEADER, min<f64>(body, <f64> BODY_MOST));
}

function refuseOp(op: u32, status: i32, reason: u32, length: u32): i32 {
  setWord(CTRL_ERROR_OP, op);
  setWord(CTRL_ERROR_FIELD, 0xffffffff);
  setWord(CTRL_ERROR_REASON, reason);
  setWord(CTRL_ERROR_A, length);
  return status;
}

/** Makes the block hold `size` bytes, of which `used` are kept. */
function grow(used: u32, size: u64): bool {
  if (size > 0x40000000) return false;
  const wanted = max<u32>(<u32> size, min<u32>(blockSize << 1, 0x40000000));
  const moved = resize(block, blockSize, wanted, used);
  if (!moved) return false;
  block = moved;
  blockSize = roomOf(wanted);
  return true;
}

/** Encodes a key behind a length that takes one byte, and makes room when it takes two; the address behind it, or 0 with `keyStatus` set. */
function putKey(codec: u32, at: u32, length: u32, base: usize, out: usize): usize {
  if (!codec) {
    if (length > <u32> KEY_MAX) {
      setWord(CTRL_ERROR_A, length);
      keyStatus = KEY_TOO_LONG;
      return 0;
    }
    if (<u64> base + at + length > <u64> memory.size() << 16) {
      keyStatus = refuseOp(0, INVALID_FIELD, FIELD_LENGTH, length);
      return 0;
    }
    out = varintStore(out, length);
    copyBytes(out, base + at, length);
    return out + length;
  }
  const encoded = codecKeyEncode(codec, base + at, base, out + 1, KEY_MAX);
  if (encoded < 0) {
    keyStatus = -encoded;
    return 0;
  }
  if (encoded > 127) memory.copy(out + 2, out + 1, encoded);
  return varintStore(out, <u64> encoded) + <usize> encoded;
}

let keyStatus: i32 = OK;

/**
 * Turns `count` operation records (OP_*, OP_WORDS each) at `ops` into a body: the header is copied from `header` (BODY_HEADER bytes; its counts are
 * filled in), `extraLength` bytes from `extra` come last. Addresses in the records and on tapes count from `base`. OK: CTRL_OUT_AT and
 * CTRL_OUT_COUNT are address and length. Errors name the operation in CTRL_ERROR_OP.
 */
export function bodyEncode(ops: usize, count: u32, base: usize, header: usize, extra: usize, extraLength: u32): i32 {
  if (blockSize > KEEP_SIZE) {
    release(block, blockSize);
    block = 0;
    blockSize = 0;
  }
  const least = <u64> BODY_HEADER + EFFECT_ROOM + extraLength;
  if (<u64> BODY_HEADER + extraLength > <u64> maxBody) return refuseOp(0, VALUE_TOO_LONG, LIMIT_BODY, extraLength);
  if (least > <u64> blockSize && !grow(0, max<u64>(least, 8192))) return OUT_OF_MEMORY;
  let out = block + BODY_HEADER;
  // Up to here an effect without its value always fits; behind it the extra bytes do.
  let room = block + blockSize - EFFECT_ROOM - extraLength;
  let record = ops;
  for (let i: u32 = 0; i < count; i++) {
    if (out > room) {
      const used = <u32> (out - block);
      if (!grow(used, <u64> used + EFFECT_ROOM + extraLength)) return OUT_OF_MEMORY;
      out = block + used;
      room = block + blockSize - EFFECT_ROOM - extraLength;
    }
    const kindAndTag = load<u32>(record, OP_KIND << 2);
    const kind = kindAndTag & 0xff & ~EFFECT_HIDDEN;
    store<u16>(out, <u16> kindAndTag);
    out = varintStore(out + 2, load<u32>(record, OP_TABLE << 2));
    const keyCodec = load<u32>(record, OP_KEY_CODEC << 2);
    const valueCodec = load<u32>(record, OP_VALUE_CODEC << 2);
    const valueAt = load<u32>(record, OP_VALUE_AT << 2);
    if (kind == EFFECT_DROP_TABLE) {
      store<u8>(out++, 0);
    } else {
      if (kind < <u32> EFFECT_PUT || kind > <u32> EFFECT_DELETE_RANGE) return refuseOp(i, INVALID_FIELD, FIELD_TYPE, kind);
      out = putKey(keyCodec, load<u32>(record, OP_KEY_AT << 2), load<u32>(record, OP_KEY_LENGTH << 2), base, out);
      if (!out) {
        setWord(CTRL_ERROR_OP, i);
        return keyStatus;
      }
      if (kind == EFFECT_PUT) {
        let root: usize = 0;
        let length = load<u32>(record, OP_VALUE_LENGTH << 2);
        if (valueCodec) {
          root = codecRoot(valueCodec, CODEC_RECORD);
          if (!root) return refuseOp(i, INVALID_FIELD, FIELD_TYPE, valueCodec);
          const measured = recordMeasure(root, base + valueAt, base);
          if (measured < 0) {
            setWord(CTRL_ERROR_OP, i);
            return -measured;
          }
          length = <u32> measured;
        }
        if (length > maxValue) return refuseOp(i, VALUE_TOO_LONG, LIMIT_VALUE, length);
        if (<u64> out + 5 + length > <u64> room + EFFECT_ROOM) {
          const used = <u32> (out - block);
          const wanted = <u64> used + 5 + length + EFFECT_ROOM + extraLength;
          if (<u64> used + length + extraLength > <u64> maxBody) return refuseOp(i, VALUE_TOO_LONG, LIMIT_BODY, used);
          if (!grow(used, wanted)) return OUT_OF_MEMORY;
          out = block + used;
          room = block + blockSize - EFFECT_ROOM - extraLength;
        }
        out = varintStore(out, length);
        if (root) {
          const end = recordWrite(root, base + valueAt, base, out);
          assert(end == out + length);
        } else {
          if (<u64> base + valueAt + length > <u64> memory.size() << 16) return refuseOp(i, INVALID_FIELD, FIELD_LENGTH, length);
          copyBytes(out, base + valueAt, length);
        }
        out += length;
      } else if (kind == EFFECT_DELETE_RANGE) {
        // The first key took up to KEY_MAX of the room already.
        const used = <u32> (out - block);
        if (out > room) {
          if (!grow(used, <u64> used + EFFECT_ROOM + extraLength)) return OUT_OF_MEMORY;
          out = block + used;
          room = block + blockSize - EFFECT_ROOM - extraLength;
        }
        out = putKey(valueCodec, valueAt, load<u32>(record, OP_VALUE_LENGTH << 2), base, out);
        if (!out) {
          setWord(CTRL_ERROR_OP, i);
          return keyStatus;
        }
      }
    }
    if (<u32> (out - block) + extraLength > maxBody) return refuseOp(i, VALUE_TOO_LONG, LIMIT_BODY, <u32> (out - block) + extraLength);
    record += OP_WORDS << 2;
  }
  memory.copy(block, header, BODY_HEADER);
  store<u32>(block, count, BODY_EFFECTS);
  store<u32>(block, extraLength, BODY_EXTRA);
  copyBytes(out, extra, extraLength);
  setWord(CTRL_OUT_AT, <u32> block);
  setWord(CTRL_OUT_COUNT, <u32> (out - block) + extraLength);
  return OK;
}

// ---- reading effects --------------------------------------------------------------------------------------

/** What `effectNext` read. The kind is without EFFECT_HIDDEN; a delete has no value, that of a range is its exclusive upper key. */
export let effectKind: u32 = 0;
export let effectHidden: bool = false;
export let effectTag: u32 = 0;
export let effectTable: u32 = 0;
export let effectKeyAt: usize = 0;
export let effectKeyLength: u32 = 0;
export let effectValueAt: usize = 0;
export let effectValueLength: u32 = 0;

/** Reads the effect at `at`, which ends at `end` or before; the address behind it, or 0 when it is malformed. */
export function effectNext(at: usize, end: usize): usize {
  if (at >= end || end - at < 4) return 0;
  const kind = <u32> load<u8>(at);
  effectKind = kind & ~EFFECT_HIDDEN;
  effectHidden = (kind & EFFECT_HIDDEN) != 0;
  effectTag = load<u8>(at, 1);
  const table = varintLoad(at + 2, end);
  at = varintNext;
  if (!at || table > 0xffffffff) return 0;
  effectTable = <u32> table;
  const keyLength = varintLoad(at, end);
  at = varintNext;
  if (!at || keyLength > <u64> KEY_MAX || keyLength > <u64> (end - at)) return 0;
  effectKeyAt = at;
  effectKeyLength = <u32> keyLength;
  at += <usize> keyLength;
  effectValueAt = 0;
  effectValueLength = 0;
  if (effectKind == EFFECT_DELETE) return at;
  if (effectKind == EFFECT_DROP_TABLE) return keyLength ? 0 : at;
  if (effectKind != EFFECT_PUT && effectKind != EFFECT_DELETE_RANGE) return 0;
  const length = varintLoad(at, end);
  at = varintNext;
  if (!at || length > <u64> (end - at) || (effectKind == EFFECT_DELETE_RANGE && length > <u64> KEY_MAX)) return 0;
  effectValueAt = at;
  effectValueLength = <u32> length;
  return at + <usize> length;
}

// ---- whole bodies for the host ----------------------------------------------------------------------------

let index: usize = 0;
let indexSize: u32 = 0;

/**
 * Reads a body of the change log: CTRL_ROWS_AT is an index of EFFECT_WORDS u32 an effect (EFFECT_*_WORD, absolute addresses), CTRL_ROWS their number,
 * CTRL_DATA_AT and CTRL_DATA_LENGTH the host's extra bytes. The index stays valid until the next `bodyRead`. CORRUPT_RECORD when it is no body.
 */
export function bodyRead(at: usize, length: u32): i32 {
  if (length < <u32> BODY_HEADER || load<u8>(at, BODY_VERSION) != 1) return CORRUPT_RECORD;
  const count = load<u32>(at, BODY_EFFECTS);
  const extra = load<u32>(at, BODY_EXTRA);
  const room = length - BODY_HEADER;
  // An effect takes at least four bytes.
  if (extra > room || count > (room - extra) >>> 2) return CORRUPT_RECORD;
  const size = max<u32>(count * (EFFECT_WORDS << 2), 16);
  if (size > indexSize || indexSize > KEEP_SIZE) {
    release(index, indexSize);
    indexSize = 0;
    index = allocate(size);
    if (!index) return OUT_OF_MEMORY;
    indexSize = roomOf(size);
  }
  const end = at + length - extra;
  let next = at + BODY_HEADER;
  let row = index;
  for (let i: u32 = 0; i < count; i++) {
    next = effectNext(next, end);
    if (!next) return CORRUPT_RECORD;
    store<u32>(row, effectKind | (effectHidden ? EFFECT_HIDDEN : 0), EFFECT_KIND_WORD << 2);
    store<u32>(row, effectTag, EFFECT_TAG_WORD << 2);
    store<u32>(row, effectTable, EFFECT_TABLE_WORD << 2);
    store<u32>(row, <u32> effectKeyAt, EFFECT_KEY_AT_WORD << 2);
    store<u32>(row, effectKeyLength, EFFECT_KEY_LENGTH_WORD << 2);
    store<u32>(row, <u32> effectValueAt, EFFECT_VALUE_AT_WORD << 2);
    store<u32>(row, effectValueLength, EFFECT_VALUE_LENGTH_WORD << 2);
    row += EFFECT_WORDS << 2;
  }
  if (next != end) return CORRUPT_RECORD;
  setWord(CTRL_ROWS_AT, <u32> index);
  setWord(CTRL_ROWS, count);
  setWord(CTRL_DATA_AT, <u32> end);
  setWord(CTRL_DATA_LENGTH, extra);
  return OK;
}
