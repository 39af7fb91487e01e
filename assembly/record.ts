// Record encoding: compact bytes from tapes and back.
//
// A record is its required fields in program order, then the optional part: the presence bits as one varint (bit i: optional field i is there), then
// the fields that are. The outermost record leaves the optional part out when no field is present; a nested record with optional fields always has
// its bits. Hence a record written before optional fields were added at the end reads, and re-encodes, exactly the same under the newer schema.
//
// When all required fields of a record have a fixed width they are stored in place, little-endian, so each can be read where it lies; in any
// other record, and in the optional part, integers are varints (signed ones zigzag). There is exactly one encoding for a value: decoding refuses
// padded varints, undefined bits, other NaNs than the usual one, ill-formed text and left-over bytes.
//
// Encoding goes over the tape twice: `measure` checks every field and sums up the bytes, `write` then cannot fail.
import {
  CODEC_RECORD, CORRUPT_RECORD, CTRL_ERROR_A, CTRL_ERROR_REASON, CTRL_TAPE_AT, FIELD_LENGTH, FIELD_RANGE, FIELD_TYPE, FIELD_UTF8,
  INVALID_FIELD, KIND_BOOL, KIND_BYTES, KIND_ENUM, KIND_F32, KIND_F64, KIND_FIXED, KIND_I16, KIND_I32, KIND_I64, KIND_I8, KIND_LIST,
  KIND_TEXT, KIND_U16, KIND_U32, KIND_U53, KIND_U64, KIND_U8, KIND_UNION, KIND_VECTOR, LIMIT_VALUE, OK, OUT_OF_MEMORY, VALUE_TOO_LONG,
} from "./format";
import { copyBytes, varintLoad, varintNext, varintSize, varintStore } from "./bytes";
import {
  areaReset, areaTake, codecRoot, FLAG_FIXED, NODE_CHILD, NODE_FLAGS, NODE_KIND, NODE_MIN, NODE_PARAM, NODE_REQUIRED, NODE_SIZE, NODE_SLOT,
  NODE_TAPE, NODE_WIDTH, numberReason, refuseField, utf8Valid,
} from "./codec";
import { setWord } from "./ctrl";

const SAFE_MAX: f64 = 9007199254740991;
const LENGTH_MAX: i64 = 0x3fffffff;
const NAN64: u64 = 0x7ff8000000000000;
const NAN32: u32 = 0x7fc00000;

/** Status of the last failed step. */
let failure: i32 = OK;

@inline
function zigzag(value: i64): u64 {
  return <u64> (value << 1) ^ <u64> (value >> 63);
}

@inline
function unzigzag(value: u64): i64 {
  return <i64> (value >> 1) ^ -<i64> (value & 1);
}

// ---- measuring ------------------------------------------------------------------------------------------

function refuse(node: usize, reason: u32): i64 {
  failure = refuseField(node, reason);
  return -1;
}

/** Whether what the slot points to, `length` bytes, does not lie in memory. */
@inline
function outside(base: usize, offset: u32, length: u64): bool {
  return <u64> base + offset + length > <u64> memory.size() << 16;
}

@inline
function whole(value: f64, least: f64, most: f64): bool {
  return value >= least && value <= most && trunc(value) == value;
}

/** Checks one value and returns the bytes it takes, or −1. `fixed`: in a fixed layout. */
function measure(node: usize, slot: usize, base: usize, fixed: bool): i64 {
  switch (<i32> load<u8>(node, NODE_KIND)) {
    case KIND_U8: {
      const value = load<f64>(slot);
      if (!whole(value, 0, 255)) return refuse(node, numberReason(value));
      return 1;
    }
    case KIND_U16: {
      const value = load<f64>(slot);
      if (!whole(value, 0, 65535)) return refuse(node, numberReason(value));
      return fixed ? 2 : varintSize(<u64> value);
    }
    case KIND_U32: {
      const value = load<f64>(slot);
      if (!whole(value, 0, 4294967295)) return refuse(node, numberReason(value));
      return fixed ? 4 : varintSize(<u64> value);
    }
    case KIND_U53: {
      const value = load<f64>(slot);
      if (!whole(value, 0, SAFE_MAX)) return refuse(node, numberReason(value));
      return varintSize(<u64> value);
    }
    case KIND_U64:
      return fixed ? 8 : varintSize(load<u64>(slot));
    case KIND_I8: {
      const value = load<f64>(slot);
      if (!whole(value, -128, 127)) return refuse(node, numberReason(value));
      return 1;
    }
    case KIND_I16: {
      const value = load<f64>(slot);
      if (!whole(value, -32768, 32767)) return refuse(node, numberReason(value));
      return fixed ? 2 : varintSize(zigzag(<i64> value));
    }
    case KIND_I32: {
      const value = load<f64>(slot);
      if (!whole(value, -2147483648, 2147483647)) return refuse(node, numberReason(value));
      return fixed ? 4 : varintSize(zigzag(<i64> value));
    }
    case KIND_I64:
      return fixed ? 8 : varintSize(zigzag(load<i64>(slot)));
    case KIND_F32:
      return 4;
    case KIND_F64:
      return 8;
    case KIND_BOOL: {
      const value = load<f64>(slot);
      if (value != 0 && value != 1) return refuse(node, FIELD_TYPE);
      return 1;
    }
    case KIND_TEXT: {
      const length = load<u32>(slot, 4);
      if (outside(base, load<u32>(slot), length)) return refuse(node, FIELD_LENGTH);
      if (!utf8Valid(base + load<u32>(slot), length)) return refuse(node, FIELD_UTF8);
      return varintSize(length) + length;
    }
    case KIND_BYTES: {
      const length = load<u32>(slot, 4);
      if (outside(base, load<u32>(slot), length)) return refuse(node, FIELD_LENGTH);
      return varintSize(length) + length;
    }
    case KIND_FIXED: {
      const length = load<u32>(node, NODE_PARAM);
      if (load<u32>(slot, 4) != length || outside(base, load<u32>(slot), length)) return refuse(node, FIELD_LENGTH);
      return length;
    }
    case KIND_VECTOR: {
      const count = load<u32>(node, NODE_PARAM);
      if (load<u32>(slot, 4) != count || outside(base, load<u32>(slot), count << 2)) return refuse(node, FIELD_LENGTH);
      return count << 2;
    }
    case KIND_ENUM: {
      const value = load<f64>(slot);
      if (!(value >= 0 && value < <f64> load<u32>(node, NODE_PARAM) && trunc(value) == value)) return refuse(node, FIELD_RANGE);
      return varintSize(<u64> value);
    }
    case KIND_LIST: {
      const element = <usize> load<u32>(node, NODE_CHILD);
      const step = <usize> load<u32>(element, NODE_TAPE);
      const count = load<u32>(slot, 4);
      let at = base + load<u32>(slot);
      if (outside(base, load<u32>(slot), <u64> count * step)) return refuse(node, FIELD_LENGTH);
      let sum: i64 = varintSize(count);
      for (let i: u32 = 0; i < count; i++) {
        const size = measure(element, at, base, false);
        if (size < 0) return -1;
        sum += size;
        at += step;
      }
      return sum > LENGTH_MAX ? refuse(node, FIELD_LENGTH) : sum;
    }
    case KIND_UNION: {
      const tag = load<u32>(slot);
      if (tag >= load<u32>(node, NODE_PARAM)) return refuse(node, FIELD_RANGE);
      const variant = <usize> load<u32>(node, NODE_CHILD) + <usize> tag * NODE_SIZE;
      const at = base + load<u32>(slot, 4);
      if (outside(base, load<u32>(slot, 4), load<u32>(variant, NODE_TAPE))) return refuse(node, FIELD_LENGTH);
      const size = measureRecord(variant, at, base, false);
      return size < 0 ? -1 : varintSize(tag) + size;
    }
    default:
      return measureRecord(node, slot, base, false);
  }
}

/** Checks a record and returns the bytes it takes, or −1. */
function measureRecord(node: usize, tape: usize, base: usize, outer: bool): i64 {
  let field = <usize> load<u32>(node, NODE_CHILD);
  const fixed = (load<u8>(node, NODE_FLAGS) & FLAG_FIXED) != 0;
  const behind = field + <usize> load<u32>(node, NODE_REQUIRED) * NODE_SIZE;
  const end = field + <usize> load<u32>(node, NODE_PARAM) * NODE_SIZE;
  let sum: i64 = 0;
  while (field < behind) {
    const size = measure(field, tape + load<u32>(field, NODE_SLOT), base, fixed);
    if (size < 0) return -1;
    sum += size;
    field += NODE_SIZE;
  }
  if (field < end) {
    let bits: u64 = 0;
    let bit: u64 = 1;
    while (field < end) {
      const slot = tape + load<u32>(field, NODE_SLOT);
      const present = load<f64>(slot - 8);
      if (present == 1) {
        const size = measure(field, slot, base, false);
        if (size < 0) return -1;
        sum += size;
        bits |= bit;
      } else if (present != 0) return refuse(field, FIELD_TYPE);
      bit <<= 1;
      field += NODE_SIZE;
    }
    if (bits || !outer) sum += varintSize(bits);
  }
  return sum > LENGTH_MAX ? refuse(node, FIELD_LENGTH) : sum;
}

/** Bytes the record on a tape takes, or the negative of a status: every field has been checked. */
export function recordMeasure(root: usize, tape: usize, base: usize): i32 {
  const size = measureRecord(root, tape, base, true);
  return size < 0 ? -failure : <i32> size;
}

// ---- writing --------------------------------------------------------------------------------------------

function write(node: usize, slot: usize, base: usize, out: usize, fixed: bool): usize {
  switch (<i32> load<u8>(node, NODE_KIND)) {
    case KIND_U8:
    case KIND_BOOL:
      store<u8>(out, <u8> <u32> load<f64>(slot));
      return out + 1;
    case KIND_I8:
      store<u8>(out, <u8> <i32> load<f64>(slot));
      return out + 1;
    case KIND_U16:
      if (!fixed) return varintStore(out, <u64> load<f64>(slot));
      store<u16>(out, <u16> <u32> load<f64>(slot));
      return out + 2;
    case KIND_U32:
      if (!fixed) return varintStore(out, <u64> load<f64>(slot));
      store<u32>(out, <u32> load<f64>(slot));
      return out + 4;
    case KIND_U53:
    case KIND_ENUM:
      return varintStore(out, <u64> load<f64>(slot));
    case KIND_U64:
      if (!fixed) return varintStore(out, load<u64>(slot));
      store<u64>(out, load<u64>(slot));
      return out + 8;
    case KIND_I16:
      if (!fixed) return varintStore(out, zigzag(<i64> load<f64>(slot)));
      store<u16>(out, <u16> <i32> load<f64>(slot));
      return out + 2;
    case KIND_I32:
      if (!fixed) return varintStore(out, zigzag(<i64> load<f64>(slot)));
      store<i32>(out, <i32> load<f64>(slot));
      return out + 4;
    case KIND_I64:
      if (!fixed) return varintStore(out, zigzag(load<i64>(slot)));
      store<i64>(out, load<i64>(slot));
      return out + 8;
    case KIND_F32: {
      const value = <f32> load<f64>(slot);
      store<u32>(out, value == value ? reinterpret<u32>(value) : NAN32);
      return out + 4;
    }
    case KIND_F64: {
      const value = load<f64>(slot);
      store<u64>(out, value == value ? reinterpret<u64>(value) : NAN64);
      return out + 8;
    }
    case KIND_TEXT:
    case KIND_BYTES: {
      const length = load<u32>(slot, 4);
      out = varintStore(out, length);
      copyBytes(out, base + load<u32>(slot), length);
      return out + length;
    }
    case KIND_FIXED: {
      const length = load<u32>(node, NODE_PARAM);
      copyBytes(out, base + load<u32>(slot), length);
      return out + length;
    }
    case KIND_VECTOR: {
      const length = load<u32>(node, NODE_PARAM) << 2;
      copyBytes(out, base + load<u32>(slot), length);
      return out + length;
    }
    case KIND_LIST: {
      const element = <usize> load<u32>(node, NODE_CHILD);
      const step = <usize> load<u32>(element, NODE_TAPE);
      const count = load<u32>(slot, 4);
      let at = base + load<u32>(slot);
      out = varintStore(out, count);
      for (let i: u32 = 0; i < count; i++) {
        out = write(element, at, base, out, false);
        at += step;
      }
      return out;
    }
    case KIND_UNION: {
      const tag = load<u32>(slot);
      out = varintStore(out, tag);
      return writeRecord(<usize> load<u32>(node, NODE_CHILD) + <usize> tag * NODE_SIZE, base + load<u32>(slot, 4), base, out, false);
    }
    default:
      return writeRecord(node, slot, base, out, false);
  }
}

function writeRecord(node: usize, tape: usize, base: usize, out: usize, outer: bool): usize {
  let field = <usize> load<u32>(node, NODE_CHILD);
  const fixed = (load<u8>(node, NODE_FLAGS) & FLAG_FIXED) != 0;
  const behind = field + <usize> load<u32>(node, NODE_REQUIRED) * NODE_SIZE;
  const end = field + <usize> load<u32>(node, NODE_PARAM) * NODE_SIZE;
  while (field < behind) {
    out = write(field, tape + load<u32>(field, NODE_SLOT), base, out, fixed);
    field += NODE_SIZE;
  }
  if (field == end) return out;
  let bits: u64 = 0;
  let bit: u64 = 1;
  for (; field < end; field += NODE_SIZE) {
    if (load<f64>(tape + load<u32>(field, NODE_SLOT) - 8) != 0) bits |= bit;
    bit <<= 1;
  }
  if (!bits) {
    if (!outer) store<u8>(out++, 0);
    return out;
  }
  out = varintStore(out, bits);
  for (field = behind; bits; field += NODE_SIZE) {
    if (bits & 1) out = write(field, tape + load<u32>(field, NODE_SLOT), base, out, false);
    bits >>= 1;
  }
  return out;
}

/** Writes the record that `recordMeasure` has just measured; the address behind it. */
@inline
export function recordWrite(root: usize, tape: usize, base: usize, out: usize): usize {
  return writeRecord(root, tape, base, out, true);
}

/** Encodes the record on a tape; its length, or the negative of INVALID_FIELD or VALUE_TOO_LONG. Addresses on the tape count from `base`. */
export function codecRecordEncode(codec: u32, tape: usize, base: usize, out: usize, limit: u32): i32 {
  const root = codecRoot(codec, CODEC_RECORD);
  if (!root) return -INVALID_FIELD;
  const length = recordMeasure(root, tape, base);
  if (length < 0) return length;
  if (<u32> length > limit) {
    setWord(CTRL_ERROR_A, <u32> length);
    setWord(CTRL_ERROR_REASON, LIMIT_VALUE);
    return -VALUE_TOO_LONG;
  }
  const end = recordWrite(root, tape, base, out);
  assert(end == out + <usize> length);
  return length;
}

// ---- reading --------------------------------------------------------------------------------------------

/** Reads one value to its slots; the address behind it, or 0. */
function read(node: usize, at: usize, end: usize, slot: usize, fixed: bool): usize {
  switch (<i32> load<u8>(node, NODE_KIND)) {
    case KIND_U8:
      if (at >= end) return 0;
      store<f64>(slot, <f64> load<u8>(at));
      return at + 1;
    case KIND_I8:
      if (at >= end) return 0;
      store<f64>(slot, <f64> load<i8>(at));
      return at + 1;
    case KIND_BOOL:
      if (at >= end || load<u8>(at) > 1) return 0;
      store<f64>(slot, <f64> load<u8>(at));
      return at + 1;
    case KIND_U16: {
      if (fixed) {
        if (end - at < 2) return 0;
        store<f64>(slot, <f64> load<u16>(at));
        return at + 2;
      }
      const value = varintLoad(at, end);
      if (value > 0xffff) return 0;
      store<f64>(slot, <f64> value);
      return varintNext;
    }
    case KIND_U32: {
      if (fixed) {
        if (end - at < 4) return 0;
        store<f64>(slot, <f64> load<u32>(at));
        return at + 4;
      }
      const value = varintLoad(at, end);
      if (value > 0xffffffff) return 0;
      store<f64>(slot, <f64> value);
      return varintNext;
    }
    case KIND_U53: {
      const value = varintLoad(at, end);
      if (value > 9007199254740991) return 0;
      store<f64>(slot, <f64> value);
      return varintNext;
    }
    case KIND_ENUM: {
      const value = varintLoad(at, end);
      if (value >= load<u32>(node, NODE_PARAM)) return 0;
      store<f64>(slot, <f64> value);
      return varintNext;
    }
    case KIND_U64:
      if (fixed) {
        if (end - at < 8) return 0;
        store<u64>(slot, load<u64>(at));
        return at + 8;
      }
      store<u64>(slot, varintLoad(at, end));
      return varintNext;
    case KIND_I16: {
      if (fixed) {
        if (end - at < 2) return 0;
        store<f64>(slot, <f64> load<i16>(at));
        return at + 2;
      }
      const value = varintLoad(at, end);
      if (value > 0xffff) return 0;
      store<f64>(slot, <f64> unzigzag(value));
      return varintNext;
    }
    case KIND_I32: {
      if (fixed) {
        if (end - at < 4) return 0;
        store<f64>(slot, <f64> load<i32>(at));
        return at + 4;
      }
      const value = varintLoad(at, end);
      if (value > 0xffffffff) return 0;
      store<f64>(slot, <f64> unzigzag(value));
      return varintNext;
    }
    case KIND_I64:
      if (fixed) {
        if (end - at < 8) return 0;
        store<i64>(slot, load<i64>(at));
        return at + 8;
      }
      store<i64>(slot, unzigzag(varintLoad(at, end)));
      return varintNext;
    case KIND_F32: {
      if (end - at < 4) return 0;
      const value = load<f32>(at);
      if (value != value && load<u32>(at) != NAN32) return 0;
      store<f64>(slot, <f64> value);
      return at + 4;
    }
    case KIND_F64: {
      if (end - at < 8) return 0;
      const value = load<f64>(at);
      if (value != value && load<u64>(at) != NAN64) return 0;
      store<f64>(slot, value);
      return at + 8;
    }
    case KIND_TEXT:
    case KIND_BYTES: {
      const length = varintLoad(at, end);
      at = varintNext;
      if (!at || length > <u64> (end - at)) return 0;
      if (load<u8>(node, NODE_KIND) == KIND_TEXT && !utf8Valid(at, <u32> length)) return 0;
      store<u32>(slot, <u32> at);
      store<u32>(slot, <u32> length, 4);
      return at + <usize> length;
    }
    case KIND_FIXED:
    case KIND_VECTOR: {
      const width = load<u32>(node, NODE_WIDTH);
      if (<usize> width > end - at) return 0;
      store<u32>(slot, <u32> at);
      store<u32>(slot, load<u32>(node, NODE_PARAM), 4);
      return at + width;
    }
    case KIND_LIST: {
      const element = <usize> load<u32>(node, NODE_CHILD);
      const step = <usize> load<u32>(element, NODE_TAPE);
      const count = varintLoad(at, end);
      at = varintNext;
      // Every element takes at least NODE_MIN ≥ 1 bytes, so a damaged count cannot ask for more room than its bytes can fill.
      if (!at || count > <u64> (end - at) / load<u32>(element, NODE_MIN)) return 0;
      let tape = areaTake(count * <u64> step);
      if (!tape) {
        failure = OUT_OF_MEMORY;
        return 0;
      }
      store<u32>(slot, <u32> tape);
      store<u32>(slot, <u32> count, 4);
      for (let i: u32 = 0; i < <u32> count; i++) {
        at = read(element, at, end, tape, false);
        if (!at) return 0;
        tape += step;
      }
      return at;
    }
    case KIND_UNION: {
      const tag = varintLoad(at, end);
      at = varintNext;
      if (!at || tag >= load<u32>(node, NODE_PARAM)) return 0;
      const variant = <usize> load<u32>(node, NODE_CHILD) + <usize> tag * NODE_SIZE;
      const tape = areaTake(load<u32>(variant, NODE_TAPE));
      if (!tape) {
        failure = OUT_OF_MEMORY;
        return 0;
      }
      store<u32>(slot, <u32> tag);
      store<u32>(slot, <u32> tape, 4);
      return readRecord(variant, at, end, tape, false);
    }
    default:
      return readRecord(node, at, end, slot, false);
  }
}

function readRecord(node: usize, at: usize, end: usize, tape: usize, outer: bool): usize {
  let field = <usize> load<u32>(node, NODE_CHILD);
  const fixed = (load<u8>(node, NODE_FLAGS) & FLAG_FIXED) != 0;
  const behind = field + <usize> load<u32>(node, NODE_REQUIRED) * NODE_SIZE;
  const last = field + <usize> load<u32>(node, NODE_PARAM) * NODE_SIZE;
  while (field < behind) {
    at = read(field, at, end, tape + load<u32>(field, NODE_SLOT), fixed);
    if (!at) return 0;
    field += NODE_SIZE;
  }
  if (field == last) return at;
  let bits: u64 = 0;
  if (!outer || at < end) {
    bits = varintLoad(at, end);
    at = varintNext;
    if (!at || (outer && !bits)) return 0;
  }
  while (field < last) {
    const slot = tape + load<u32>(field, NODE_SLOT);
    store<f64>(slot - 8, <f64> (bits & 1));
    if (bits & 1) {
      at = read(field, at, end, slot, false);
      if (!at) return 0;
    }
    bits >>= 1;
    field += NODE_SIZE;
  }
  return bits ? 0 : at;
}

/** Decodes a record below `root` to a tape, without starting the output area over. */
export function recordDecode(root: usize, at: usize, length: u32, tape: usize): i32 {
  failure = CORRUPT_RECORD;
  const end = readRecord(root, at, at + length, tape, true);
  return end && end == at + length ? OK : failure;
}

/**
 * Decodes a record to the tape at `tape`, or to one in the output area when that is 0; its address is left in CTRL_TAPE_AT. Addresses on the tape
 * are absolute: texts, bytes and vectors point into the record, lists and unions into the output area, which the next decoding call starts over.
 * CORRUPT_RECORD when the bytes are no record of this codec.
 */
export function codecRecordDecode(codec: u32, at: usize, length: u32, tape: usize): i32 {
  const root = codecRoot(codec, CODEC_RECORD);
  if (!root) return INVALID_FIELD;
  areaReset();
  if (!tape) tape = areaTake(load<u32>(root, NODE_TAPE));
  if (!tape) return OUT_OF_MEMORY;
  setWord(CTRL_TAPE_AT, <u32> tape);
  return recordDecode(root, at, length, tape);
}
