// Compiled schemas: programs registered by the host, and the area decoded lists and unions are put in.
//
// A program (CODEC_*, KIND_* in format.ts) is checked and turned into a tree of 32-byte nodes once; encoding and decoding walk that tree. The depth
// of the tree is bounded by CODEC_DEPTH, so is every recursion over it. The fields of a record come in program order: required ones first,
// optional ones behind. That is also the order of their slots on the tape and of their bytes.
//
// A codec is one block: a header, then the nodes. Blocks never move, so nodes point to each other by address.
import {
  CODEC_DEPTH, CODEC_FIELDS, CODEC_KEY, CODEC_OPTIONALS, CODEC_RECORD, CTRL_ERROR_FIELD, CTRL_ERROR_REASON, FIELD_NAN, FIELD_RANGE,
  FIELD_TYPE, INVALID_FIELD, KIND_BOOL, KIND_BYTES, KIND_ENUM, KIND_F32, KIND_F64, KIND_FIXED, KIND_I16, KIND_I32, KIND_I64, KIND_I8,
  KIND_LIST, KIND_OPTIONAL, KIND_RECORD, KIND_TEXT, KIND_U16, KIND_U32, KIND_U53, KIND_U64, KIND_U8, KIND_UNION, KIND_VECTOR, OUT_OF_MEMORY,
} from "./format";
import { varintLoad, varintNext } from "./bytes";
import { setWord } from "./ctrl";
import { allocate, release, resize } from "./mem";

// Node.
export const NODE_KIND: usize = 0; // u8
export const NODE_FLAGS: usize = 1; // u8 FLAG_*
export const NODE_FIELD: usize = 2; // u16, the field of the outermost record this belongs to, for errors
export const NODE_SLOT: usize = 4; // u32, where its slots start on the tape of the enclosing record
export const NODE_PARAM: usize = 8; // u32, length, values, variants or fields
export const NODE_CHILD: usize = 12; // u32, address of the first child
export const NODE_TAPE: usize = 16; // u32, bytes of tape it takes
export const NODE_WIDTH: usize = 20; // u32, bytes it takes in a fixed layout, 0 when its length varies
export const NODE_REQUIRED: usize = 24; // u32, required fields of a record
export const NODE_MIN: usize = 28; // u32, fewest bytes an encoding takes
export const NODE_SIZE: usize = 32;

/** The node is an optional field: its presence slot lies right before NODE_SLOT. */
export const FLAG_OPTIONAL: u32 = 1;
/** The required fields of this record all have a fixed width and are stored in place. */
export const FLAG_FIXED: u32 = 2;

// Header of a codec's block.
export const CODEC_SIZE: usize = 0; // u32, size of the block
export const CODEC_CLASS: usize = 4; // u32, CODEC_KEY or CODEC_RECORD
export const CODEC_ROOT: usize = 32; // the root node

/** Texts, vectors and lists above this cannot be described: lengths are u32 and sums must not overflow. */
const LENGTH_MAX: u32 = 0x3fffffff;

/** Codec id − 1 → block (0: free). */
let table: usize = 0;
let tableSize: u32 = 0;
let used: u32 = 0;

// ---- compiling ----------------------------------------------------------------------------------------

let programAt: usize = 0;
let programEnd: usize = 0;
let nodeNext: usize = 0;
let forKey: bool = false;

function programNumber(most: u32): i32 {
  const value = varintLoad(programAt, programEnd);
  if (!varintNext || value > most) return -1;
  programAt = varintNext;
  return <i32> value;
}

@inline
function scalar(node: usize, width: u32, min: u32): bool {
  store<u32>(node, 8, NODE_TAPE);
  store<u32>(node, width, NODE_WIDTH);
  store<u32>(node, min, NODE_MIN);
  return true;
}

function compileRecord(node: usize, depth: u32): bool {
  const count = programNumber(CODEC_FIELDS);
  if (count < 0 || (forKey && !count)) return false;
  const first = nodeNext;
  // Every field takes at least a byte of the program, and the block has a node for each of them.
  if (<usize> count > programEnd - programAt) return false;
  nodeNext += <usize> count * NODE_SIZE;
  let slot: u32 = 0;
  let required: u32 = 0;
  let optionals: u32 = 0;
  let width: u32 = 0;
  let min: u64 = 0;
  let fixed = true;
  for (let i = 0; i < count; i++) {
    const field = first + <usize> i * NODE_SIZE;
    let flags: u32 = 0;
    if (programAt < programEnd && load<u8>(programAt) == KIND_OPTIONAL) {
      if (forKey || optionals == CODEC_OPTIONALS) return false;
      programAt++;
      flags = FLAG_OPTIONAL;
      slot += 8;
      optionals++;
    } else if (optionals) return false;
    if (!compileType(field, depth + 1, depth == 0 ? i : <i32> load<u16>(node, NODE_FIELD))) return false;
    store<u8>(field, load<u8>(field, NODE_FLAGS) | flags, NODE_FLAGS);
    store<u32>(field, slot, NODE_SLOT);
    slot += load<u32>(field, NODE_TAPE);
    if (slot > LENGTH_MAX) return false;
    if (!flags) {
      required++;
      min += load<u32>(field, NODE_MIN);
      const w = load<u32>(field, NODE_WIDTH);
      if (!w) fixed = false;
      width += w;
      if (width > LENGTH_MAX) return false;
    }
  }
  if (min > LENGTH_MAX) return false;
  if (fixed) min = width;
  // A nested record with optional fields always has its presence bits; the outermost one leaves them out when none is present.
  if (optionals && depth > 0) min++;
  store<u32>(node, <u32> count, NODE_PARAM);
  store<u32>(node, <u32> first, NODE_CHILD);
  store<u32>(node, slot, NODE_TAPE);
  store<u32>(node, required, NODE_REQUIRED);
  store<u32>(node, <u32> min, NODE_MIN);
  store<u32>(node, fixed && !optionals && required ? width : 0, NODE_WIDTH);
  store<u8>(node, fixed ? FLAG_FIXED : 0, NODE_FLAGS);
  return true;
}

function compileType(node: usize, depth: u32, field: u32): bool {
  if (depth >= <u32> CODEC_DEPTH || programAt >= programEnd) return false;
  const kind = <i32> load<u8>(programAt++);
  store<u32>(node, <u32> kind | (field << 16), NODE_KIND);
  store<u32>(node, 0, NODE_SLOT);
  switch (kind) {
    case KIND_U8:
    case KIND_I8:
    case KIND_BOOL:
      return scalar(node, 1, 1);
    case KIND_U16:
    case KIND_I16:
      return scalar(node, 2, 1);
    case KIND_U32:
    case KIND_I32:
      return scalar(node, 4, 1);
    case KIND_U64:
    case KIND_I64:
      return scalar(node, 8, 1);
    case KIND_U53:
      return scalar(node, 0, 1);
    case KIND_F32:
      return scalar(node, 4, 4);
    case KIND_F64:
      return scalar(node, 8, 8);
    case KIND_TEXT:
    case KIND_BYTES:
      return scalar(node, 0, 1);
    case KIND_FIXED: {
      const length = programNumber(LENGTH_MAX);
      if (length < 1) return false;
      store<u32>(node, <u32> length, NODE_PARAM);
      return scalar(node, <u32> length, <u32> length);
    }
    case KIND_ENUM: {
      const values = programNumber(forKey ? 255 : 65535);
      if (values < 1) return false;
      store<u32>(node, <u32> values, NODE_PARAM);
      return scalar(node, 0, 1);
    }
    case KIND_VECTOR: {
      const count = programNumber(LENGTH_MAX >>> 2);
      if (count < 1 || forKey) return false;
      store<u32>(node, <u32> count, NODE_PARAM);
      return scalar(node, <u32> count << 2, <u32> count << 2);
    }
    case KIND_LIST: {
      if (forKey) return false;
      const element = nodeNext;
      nodeNext += NODE_SIZE;
      if (!compileType(element, depth + 1, field)) return false;
      // Elements without bytes would let a few bytes stand for any number of them.
      if (!load<u32>(element, NODE_MIN)) return false;
      store<u32>(node, <u32> element, NODE_CHILD);
      return scalar(node, 0, 1);
    }
    case KIND_UNION: {
      if (forKey) return false;
      const variants = programNumber(CODEC_FIELDS);
      if (variants < 1 || <usize> variants > programEnd - programAt) return false;
      const first = nodeNext;
      nodeNext += <usize> variants * NODE_SIZE;
      for (let i = 0; i < variants; i++) {
        if (programAt >= programEnd || load<u8>(programAt) != KIND_RECORD) return false;
        if (!compileType(first + <usize> i * NODE_SIZE, depth + 1, field)) return false;
      }
      store<u32>(node, <u32> variants, NODE_PARAM);
      store<u32>(node, <u32> first, NODE_CHILD);
      return scalar(node, 0, 1);
    }
    case KIND_RECORD:
      return compileRecord(node, depth);
    default:
      return false;
  }
}

/** Registers a program; returns its id (≥ 1) or a negative status. */
export function codecRegister(at: usize, length: u32): i32 {
  if (length < 2 || length > 65536) return -INVALID_FIELD;
  const size = <u32> (CODEC_ROOT + NODE_SIZE * <usize> (length + 1));
  const block = allocate(size);
  if (!block) return -OUT_OF_MEMORY;
  memory.fill(block, 0, size);
  forKey = load<u8>(at) == CODEC_KEY;
  programAt = at + 1;
  programEnd = at + length;
  nodeNext = block + CODEC_ROOT + NODE_SIZE;
  if (
    (!forKey && load<u8>(at) != CODEC_RECORD) || load<u8>(at + 1) != KIND_RECORD || !compileType(block + CODEC_ROOT, 0, 0) || programAt != programEnd
  ) {
    release(block, size);
    setWord(CTRL_ERROR_FIELD, <u32> (programAt - at));
    setWord(CTRL_ERROR_REASON, FIELD_TYPE);
    return -INVALID_FIELD;
  }
  assert(nodeNext <= block + size);
  store<u32>(block, size, CODEC_SIZE);
  store<u32>(block, forKey ? CODEC_KEY : CODEC_RECORD, CODEC_CLASS);
  for (let i: u32 = 0; i < used; i++) {
    if (!load<u32>(table + (<usize> i << 2))) {
      store<u32>(table + (<usize> i << 2), <u32> block);
      return <i32> i + 1;
    }
  }
  if ((used + 1) << 2 > tableSize) {
    const wanted = max<u32>(256, tableSize << 1);
    const moved = resize(table, tableSize, wanted, used << 2);
    if (!moved) {
      release(block, size);
      return -OUT_OF_MEMORY;
    }
    table = moved;
    tableSize = wanted;
  }
  store<u32>(table + (<usize> used << 2), <u32> block);
  return <i32> ++used;
}

/** Forgets a codec; its id may be given out again. */
export function codecRelease(id: u32): void {
  const block = codecBlock(id);
  if (!block) return;
  store<u32>(table + (<usize> (id - 1) << 2), 0);
  release(block, load<u32>(block, CODEC_SIZE));
}

/** Bytes of tape a codec's key or record takes; 0 for an unknown codec (and for a record without fields). */
export function codecTape(id: u32): u32 {
  const block = codecBlock(id);
  return block ? load<u32>(block + CODEC_ROOT, NODE_TAPE) : 0;
}

@inline
function codecBlock(id: u32): usize {
  return id - 1 < used ? <usize> load<u32>(table + (<usize> (id - 1) << 2)) : 0;
}

/** The root node of a codec of the given class, or 0. */
@inline
export function codecRoot(id: u32, kind: u32): usize {
  const block = codecBlock(id);
  return block && load<u32>(block, CODEC_CLASS) == kind ? block + CODEC_ROOT : 0;
}

/** Leaves in the control block which field was refused and why. */
export function refuseField(node: usize, reason: u32): i32 {
  setWord(CTRL_ERROR_FIELD, <u32> load<u16>(node, NODE_FIELD));
  setWord(CTRL_ERROR_REASON, reason);
  return INVALID_FIELD;
}

/** Why a number does not fit an integer kind: it is none, not a whole one, or out of range. */
export function numberReason(value: f64): u32 {
  return value != value ? FIELD_NAN : trunc(value) == value ? FIELD_RANGE : FIELD_TYPE;
}

// ---- texts --------------------------------------------------------------------------------------------

/** Whether bytes are well-formed UTF-8: shortest forms, no surrogates, nothing above U+10FFFF. */
export function utf8Valid(at: usize, length: u32): bool {
  const end = at + length;
  while (at < end) {
    while (at + 8 <= end && !(load<u64>(at) & 0x8080808080808080)) at += 8;
    if (at >= end) return true;
    const a = <u32> load<u8>(at);
    if (a < 0x80) {
      at++;
      continue;
    }
    const left = end - at;
    if (a < 0xc2 || left < 2) return false;
    const b = <u32> load<u8>(at, 1);
    if ((b & 0xc0) != 0x80) return false;
    if (a < 0xe0) {
      at += 2;
      continue;
    }
    if (left < 3 || (load<u8>(at, 2) & 0xc0) != 0x80) return false;
    if (a < 0xf0) {
      if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f)) return false;
      at += 3;
      continue;
    }
    if (a > 0xf4 || left < 4 || (load<u8>(at, 3) & 0xc0) != 0x80) return false;
    if ((a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f)) return false;
    at += 4;
  }
  return true;
}

// ---- output area ----------------------------------------------------------------------------------------

// Decoded tapes point to each other, so the area must not move: it is a chain of blocks (u32 size, u32 next, then 8-aligned room). Every decoding
// call starts it over and keeps one block of the usual size.

const AREA_BLOCK: u32 = 1 << 16;
const AREA_HEADER: u32 = 16;

let areaFirst: usize = 0;
let areaTop: usize = 0;
let areaEnd: usize = 0;

function areaBlock(size: u32): bool {
  const block = allocate(size);
  if (!block) return false;
  store<u32>(block, size);
  store<u32>(block, <u32> areaFirst, 4);
  areaFirst = block;
  areaTop = block + AREA_HEADER;
  areaEnd = block + size;
  return true;
}

/** Starts the output area over: what the last decoding call left there is gone. */
export function areaReset(): void {
  let block = areaFirst;
  areaFirst = 0;
  areaTop = 0;
  areaEnd = 0;
  while (block) {
    const next = <usize> load<u32>(block, 4);
    const size = load<u32>(block);
    if (size == AREA_BLOCK && !areaFirst) {
      store<u32>(block, 0, 4);
      areaFirst = block;
      areaTop = block + AREA_HEADER;
      areaEnd = block + size;
    } else release(block, size);
    block = next;
  }
}

/** Room for `bytes` bytes in the output area, or 0. Not zeroed. */
export function areaTake(bytes: u64): usize {
  bytes = max<u64>(bytes, 8);
  if (bytes > <u64> (areaEnd - areaTop)) {
    if (bytes > <u64> LENGTH_MAX - AREA_HEADER) return 0;
    if (!areaBlock(max<u32>(AREA_BLOCK, <u32> bytes + AREA_HEADER))) return 0;
  }
  const at = areaTop;
  areaTop += (<usize> bytes + 7) & ~(<usize> 7);
  if (areaTop > areaEnd) areaTop = areaEnd;
  return at;
}
