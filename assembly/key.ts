// Key encoding: bytes that sort, compared as unsigned bytes, the way the tuples of components do.
//
// Integers are big-endian, signed ones with the sign bit flipped. Floats: all bits flipped when negative, else the sign bit. −0 becomes +0, NaN is
// refused. Text and bytes end with 00; a byte 00 inside is written 01 01, a byte 01 is written 01 02. So no component is a beginning of another one
// of its type: tuples, nested or not, are their components one behind the other, and the encoding of the first n components is a prefix of exactly
// the keys that start with them. Decoding accepts only what encoding produces.
import {
  CODEC_KEY, CORRUPT_RECORD, CTRL_ERROR_A, CTRL_TAPE_AT, FIELD_LENGTH, FIELD_NAN, FIELD_RANGE, FIELD_TYPE, FIELD_UTF8, INVALID_FIELD,
  KEY_TOO_LONG, KIND_BOOL, KIND_BYTES, KIND_ENUM, KIND_F32, KIND_F64, KIND_FIXED, KIND_I16, KIND_I32, KIND_I64, KIND_I8, KIND_RECORD,
  KIND_TEXT, KIND_U16, KIND_U32, KIND_U53, KIND_U64, KIND_U8, OK, OUT_OF_MEMORY, PREFIX_OPEN,
} from "./format";
import { copyBytes, loadBE16, loadBE32, loadBE64, storeBE16, storeBE32, storeBE64 } from "./bytes";
import {
  areaReset, areaTake, codecRoot, NODE_CHILD, NODE_KIND, NODE_PARAM, NODE_SIZE, NODE_SLOT, NODE_TAPE, numberReason, refuseField, utf8Valid,
} from "./codec";
import { setWord } from "./ctrl";

const SAFE_MAX: f64 = 9007199254740991;

/** Status of the last failed step. */
let failure: i32 = OK;

// ---- encoding -------------------------------------------------------------------------------------------

function refuse(node: usize, reason: u32): usize {
  failure = refuseField(node, reason);
  return 0;
}

function tooLong(length: usize): usize {
  setWord(CTRL_ERROR_A, <u32> length);
  failure = KEY_TOO_LONG;
  return 0;
}

/** Whether a byte of the eight is 00 or 01. */
@inline
function needsEscape(word: u64): bool {
  const x = word & 0xfefefefefefefefe;
  return ((x - 0x0101010101010101) & ~x & 0x8080808080808080) != 0;
}

function encodeText(from: usize, length: u32, out: usize, end: usize, start: usize, open: bool): usize {
  if (<u64> out + length + (open ? 0 : 1) > <u64> end) return tooLong(out - start + length + 1);
  const stop = from + length;
  while (from < stop) {
    while (from + 8 <= stop && out + 8 <= end) {
      const word = load<u64>(from);
      if (needsEscape(word)) break;
      store<u64>(out, word);
      from += 8;
      out += 8;
    }
    if (from >= stop) break;
    const byte = load<u8>(from++);
    if (byte > 1) {
      if (out >= end) return tooLong(out - start + 1);
      store<u8>(out++, byte);
    } else {
      if (out + 2 > end) return tooLong(out - start + 2);
      store<u16>(out, byte ? 0x0201 : 0x0101);
      out += 2;
    }
  }
  if (open) return out;
  if (out >= end) return tooLong(out - start + 1);
  store<u8>(out, 0);
  return out + 1;
}

/** Encodes `count` components; the address behind them, or 0 with `failure` set. */
function encodeComponents(first: usize, count: u32, tape: usize, base: usize, out: usize, end: usize, start: usize, open: bool): usize {
  for (let i: u32 = 0; i < count; i++) {
    const node = first + <usize> i * NODE_SIZE;
    const slot = tape + load<u32>(node, NODE_SLOT);
    switch (<i32> load<u8>(node, NODE_KIND)) {
      case KIND_U8: {
        const value = load<f64>(slot);
        if (!(value >= 0 && value <= 255 && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 1 > end) return tooLong(out - start + 1);
        store<u8>(out, <u8> <u32> value);
        out += 1;
        break;
      }
      case KIND_U16: {
        const value = load<f64>(slot);
        if (!(value >= 0 && value <= 65535 && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 2 > end) return tooLong(out - start + 2);
        storeBE16(out, <u32> value);
        out += 2;
        break;
      }
      case KIND_U32: {
        const value = load<f64>(slot);
        if (!(value >= 0 && value <= 4294967295 && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 4 > end) return tooLong(out - start + 4);
        storeBE32(out, <u32> value);
        out += 4;
        break;
      }
      case KIND_U53: {
        const value = load<f64>(slot);
        if (!(value >= 0 && value <= SAFE_MAX && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 8 > end) return tooLong(out - start + 8);
        storeBE64(out, <u64> value);
        out += 8;
        break;
      }
      case KIND_U64:
        if (out + 8 > end) return tooLong(out - start + 8);
        storeBE64(out, load<u64>(slot));
        out += 8;
        break;
      case KIND_I8: {
        const value = load<f64>(slot);
        if (!(value >= -128 && value <= 127 && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 1 > end) return tooLong(out - start + 1);
        store<u8>(out, <u8> (<i32> value ^ 0x80));
        out += 1;
        break;
      }
      case KIND_I16: {
        const value = load<f64>(slot);
        if (!(value >= -32768 && value <= 32767 && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 2 > end) return tooLong(out - start + 2);
        storeBE16(out, <u32> (<i32> value ^ 0x8000));
        out += 2;
        break;
      }
      case KIND_I32: {
        const value = load<f64>(slot);
        if (!(value >= -2147483648 && value <= 2147483647 && trunc(value) == value)) return refuse(node, numberReason(value));
        if (out + 4 > end) return tooLong(out - start + 4);
        storeBE32(out, <u32> <i32> value ^ 0x80000000);
        out += 4;
        break;
      }
      case KIND_I64:
        if (out + 8 > end) return tooLong(out - start + 8);
        storeBE64(out, load<u64>(slot) ^ 0x8000000000000000);
        out += 8;
        break;
      case KIND_F32: {
        const value = <f32> load<f64>(slot);
        if (value != value) return refuse(node, FIELD_NAN);
        if (out + 4 > end) return tooLong(out - start + 4);
        const bits = value == 0 ? 0 : reinterpret<u32>(value);
        storeBE32(out, bits ^ (<u32> (<i32> bits >> 31) | 0x80000000));
        out += 4;
        break;
      }
      case KIND_F64: {
        const value = load<f64>(slot);
        if (value != value) return refuse(node, FIELD_NAN);
        if (out + 8 > end) return tooLong(out - start + 8);
        const bits: u64 = value == 0 ? 0 : reinterpret<u64>(value);
        storeBE64(out, bits ^ (<u64> (<i64> bits >> 63) | 0x8000000000000000));
        out += 8;
        break;
      }
      case KIND_BOOL: {
        const value = load<f64>(slot);
        if (value != 0 && value != 1) return refuse(node, FIELD_TYPE);
        if (out + 1 > end) return tooLong(out - start + 1);
        store<u8>(out, <u8> <u32> value);
        out += 1;
        break;
      }
      case KIND_ENUM: {
        const value = load<f64>(slot);
        if (!(value >= 0 && value < <f64> load<u32>(node, NODE_PARAM) && trunc(value) == value)) return refuse(node, FIELD_RANGE);
        if (out + 1 > end) return tooLong(out - start + 1);
        store<u8>(out, <u8> <u32> value);
        out += 1;
        break;
      }
      case KIND_TEXT:
      case KIND_BYTES: {
        const from = base + load<u32>(slot);
        const length = load<u32>(slot, 4);
        if (<u64> base + load<u32>(slot) + length > <u64> memory.size() << 16) return refuse(node, FIELD_LENGTH);
        if (load<u8>(node, NODE_KIND) == KIND_TEXT && !utf8Valid(from, length)) return refuse(node, FIELD_UTF8);
        out = encodeText(from, length, out, end, start, open && i == count - 1);
        if (!out) return 0;
        break;
      }
      case KIND_FIXED: {
        const from = base + load<u32>(slot);
        const length = load<u32>(node, NODE_PARAM);
        if (load<u32>(slot, 4) != length || <u64> base + load<u32>(slot) + length > <u64> memory.size() << 16) return refuse(node, FIELD_LENGTH);
        if (<u64> out + length > <u64> end) return tooLong(out - start + length);
        copyBytes(out, from, length);
        out += length;
        break;
      }
      case KIND_RECORD:
        out = encodeComponents(load<u32>(node, NODE_CHILD), load<u32>(node, NODE_PARAM), slot, base, out, end, start, false);
        if (!out) return 0;
        break;
      default:
        return refuse(node, FIELD_TYPE);
    }
  }
  return out;
}

/** Encodes the key on a tape; its length, or the negative of KEY_TOO_LONG or INVALID_FIELD. Addresses on the tape count from `base`. */
export function codecKeyEncode(codec: u32, tape: usize, base: usize, out: usize, limit: u32): i32 {
  const root = codecRoot(codec, CODEC_KEY);
  if (!root) return -INVALID_FIELD;
  const end = encodeComponents(load<u32>(root, NODE_CHILD), load<u32>(root, NODE_PARAM), tape, base, out, out + limit, out, false);
  return end ? <i32> (end - out) : -failure;
}

/**
 * The same for the first `components` components: what all keys that start with them begin with. With PREFIX_OPEN set, the last of them (text or
 * bytes) only has to begin that way itself.
 */
export function codecKeyEncodePrefix(codec: u32, tape: usize, base: usize, components: u32, out: usize, limit: u32): i32 {
  const root = codecRoot(codec, CODEC_KEY);
  const count = components & ~(<u32> PREFIX_OPEN);
  if (!root || count > load<u32>(root, NODE_PARAM)) return -INVALID_FIELD;
  const open = (components & <u32> PREFIX_OPEN) != 0;
  const end = encodeComponents(load<u32>(root, NODE_CHILD), count, tape, base, out, out + limit, out, open);
  return end ? <i32> (end - out) : -failure;
}

/** Turns a prefix into the first key behind all that begin with it, in place; its length, 0 when there is none (every key is below). */
export function codecKeySuccessor(at: usize, length: u32): u32 {
  while (length && load<u8>(at + length - 1) == 0xff) length--;
  if (length) store<u8>(at + length - 1, load<u8>(at + length - 1) + 1);
  return length;
}

// ---- decoding -------------------------------------------------------------------------------------------

/** Reads one text or bytes component to the slot; the address behind it, or 0. */
function decodeText(at: usize, end: usize, slot: usize, isText: bool): usize {
  let escapes: u32 = 0;
  let stop = at;
  while (true) {
    while (stop + 8 <= end && !needsEscape(load<u64>(stop))) stop += 8;
    if (stop >= end) return 0;
    const byte = load<u8>(stop);
    if (!byte) break;
    if (byte == 1) {
      if (stop + 1 >= end || <u32> load<u8>(stop, 1) - 1 > 1) return 0;
      escapes++;
      stop++;
    }
    stop++;
  }
  const length = <u32> (stop - at) - escapes;
  let text = at;
  if (escapes) {
    text = areaTake(length);
    if (!text) {
      failure = OUT_OF_MEMORY;
      return 0;
    }
    let to = text;
    for (let from = at; from < stop; from++) {
      let byte = load<u8>(from);
      if (byte == 1) byte = load<u8>(++from) - 1;
      store<u8>(to++, byte);
    }
  }
  if (isText && !utf8Valid(text, length)) return 0;
  store<u32>(slot, <u32> text);
  store<u32>(slot, length, 4);
  return stop + 1;
}

function decodeComponents(first: usize, count: u32, at: usize, end: usize, tape: usize): usize {
  for (let i: u32 = 0; i < count; i++) {
    const node = first + <usize> i * NODE_SIZE;
    const slot = tape + load<u32>(node, NODE_SLOT);
    const left = <u32> (end - at);
    switch (<i32> load<u8>(node, NODE_KIND)) {
      case KIND_U8:
        if (left < 1) return 0;
        store<f64>(slot, <f64> load<u8>(at));
        at += 1;
        break;
      case KIND_U16:
        if (left < 2) return 0;
        store<f64>(slot, <f64> loadBE16(at));
        at += 2;
        break;
      case KIND_U32:
        if (left < 4) return 0;
        store<f64>(slot, <f64> loadBE32(at));
        at += 4;
        break;
      case KIND_U53: {
        if (left < 8) return 0;
        const value = loadBE64(at);
        if (value > 9007199254740991) return 0;
        store<f64>(slot, <f64> value);
        at += 8;
        break;
      }
      case KIND_U64:
        if (left < 8) return 0;
        store<u64>(slot, loadBE64(at));
        at += 8;
        break;
      case KIND_I8:
        if (left < 1) return 0;
        store<f64>(slot, <f64> <i32> <i8> (load<u8>(at) ^ 0x80));
        at += 1;
        break;
      case KIND_I16:
        if (left < 2) return 0;
        store<f64>(slot, <f64> <i32> <i16> (loadBE16(at) ^ 0x8000));
        at += 2;
        break;
      case KIND_I32:
        if (left < 4) return 0;
        store<f64>(slot, <f64> <i32> (loadBE32(at) ^ 0x80000000));
        at += 4;
        break;
      case KIND_I64:
        if (left < 8) return 0;
        store<u64>(slot, loadBE64(at) ^ 0x8000000000000000);
        at += 8;
        break;
      case KIND_F32: {
        if (left < 4) return 0;
        const sorted = loadBE32(at);
        const bits = sorted ^ (<u32> (<i32> ~sorted >> 31) | 0x80000000);
        const value = reinterpret<f32>(bits);
        if (value != value || bits == 0x80000000) return 0;
        store<f64>(slot, <f64> value);
        at += 4;
        break;
      }
      case KIND_F64: {
        if (left < 8) return 0;
        const sorted = loadBE64(at);
        const bits = sorted ^ (<u64> (<i64> ~sorted >> 63) | 0x8000000000000000);
        const value = reinterpret<f64>(bits);
        if (value != value || bits == 0x8000000000000000) return 0;
        store<f64>(slot, value);
        at += 8;
        break;
      }
      case KIND_BOOL:
        if (left < 1 || load<u8>(at) > 1) return 0;
        store<f64>(slot, <f64> load<u8>(at));
        at += 1;
        break;
      case KIND_ENUM:
        if (left < 1 || load<u8>(at) >= load<u32>(node, NODE_PARAM)) return 0;
        store<f64>(slot, <f64> load<u8>(at));
        at += 1;
        break;
      case KIND_TEXT:
      case KIND_BYTES:
        at = decodeText(at, end, slot, load<u8>(node, NODE_KIND) == KIND_TEXT);
        if (!at) return 0;
        break;
      case KIND_FIXED: {
        const length = load<u32>(node, NODE_PARAM);
        if (left < length) return 0;
        store<u32>(slot, <u32> at);
        store<u32>(slot, length, 4);
        at += length;
        break;
      }
      case KIND_RECORD:
        at = decodeComponents(load<u32>(node, NODE_CHILD), load<u32>(node, NODE_PARAM), at, end, slot);
        if (!at) return 0;
        break;
      default:
        return 0;
    }
  }
  return at;
}

/** Decodes a key below `root` to a tape, without starting the output area over. */
export function keyDecode(root: usize, key: usize, length: u32, tape: usize): i32 {
  failure = CORRUPT_RECORD;
  const end = decodeComponents(load<u32>(root, NODE_CHILD), load<u32>(root, NODE_PARAM), key, key + length, tape);
  return end && end == key + length ? OK : failure;
}

/**
 * Decodes a key to the tape at `tape`, or to one in the output area when that is 0; its address is left in CTRL_TAPE_AT. Addresses on the tape are
 * absolute and point into the key, or into the output area where the key had escapes. CORRUPT_RECORD when the bytes are no key of this codec.
 */
export function codecKeyDecode(codec: u32, key: usize, length: u32, tape: usize): i32 {
  const root = codecRoot(codec, CODEC_KEY);
  if (!root) return INVALID_FIELD;
  areaReset();
  if (!tape) tape = areaTake(load<u32>(root, NODE_TAPE));
  if (!tape) return OUT_OF_MEMORY;
  setWord(CTRL_TAPE_AT, <u32> tape);
  return keyDecode(root, key, length, tape);
}
