// Byte work shared by every module: varints, comparing, big-endian numbers.
//
// A varint is unsigned LEB128: seven bits a byte, low bits first, at most ten bytes. Only the shortest form is accepted when reading, so that a
// value has exactly one encoding.

/** Where the varint just read ended; 0 when it was cut off, too long or not in its shortest form. */
export let varintNext: usize = 0;

/** Bytes that `varintStore` takes for a value. */
@inline
export function varintSize(value: u64): u32 {
  return (70 - <u32> clz<u64>(value | 1)) / 7;
}

function varintStoreLong(at: usize, value: u64): usize {
  while (value > 127) {
    store<u8>(at++, <u8> value | 0x80);
    value >>= 7;
  }
  store<u8>(at, <u8> value);
  return at + 1;
}

/** Writes a varint (at most ten bytes) and returns the address behind it. */
@inline
export function varintStore(at: usize, value: u64): usize {
  if (value < 128) {
    store<u8>(at, <u8> value);
    return at + 1;
  }
  return varintStoreLong(at, value);
}

function varintLoadLong(at: usize, end: usize): u64 {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (at < end) {
    const byte = load<u8>(at++);
    if (shift == 63 && byte > 1) break;
    value |= (<u64> (byte & 0x7f)) << shift;
    if (byte < 128) {
      if (!byte && shift) break;
      varintNext = at;
      return value;
    }
    shift += 7;
  }
  varintNext = 0;
  return 0;
}

/** Reads a varint that lies below `end`; the address behind it is left in `varintNext` (0: malformed). */
@inline
export function varintLoad(at: usize, end: usize): u64 {
  if (at < end && load<u8>(at) < 128) {
    varintNext = at + 1;
    return load<u8>(at);
  }
  return varintLoadLong(at, end);
}

/** Length of the common beginning of two byte strings. */
export function lcp(a: usize, b: usize, length: u32): u32 {
  let i: u32 = 0;
  while (i + 8 <= length) {
    const different = load<u64>(a + i) ^ load<u64>(b + i);
    if (different) return i + (<u32> ctz<u64>(different) >>> 3);
    i += 8;
  }
  while (i < length && load<u8>(a + i) == load<u8>(b + i)) i++;
  return i;
}

/** Order of two byte strings, as unsigned bytes, the shorter first: negative, 0 or positive. */
export function compareBytes(a: usize, aLength: u32, b: usize, bLength: u32): i32 {
  const common = min<u32>(aLength, bLength);
  let i: u32 = 0;
  while (i + 8 <= common) {
    const x = load<u64>(a + i);
    const y = load<u64>(b + i);
    if (x != y) return bswap<u64>(x) < bswap<u64>(y) ? -1 : 1;
    i += 8;
  }
  while (i < common) {
    const x = <i32> load<u8>(a + i);
    const y = <i32> load<u8>(b + i);
    if (x != y) return x - y;
    i++;
  }
  return <i32> (aLength > bLength) - <i32> (aLength < bLength);
}

@inline
export function loadBE16(at: usize): u32 {
  return <u32> bswap<u16>(load<u16>(at));
}

@inline
export function loadBE32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

@inline
export function loadBE64(at: usize): u64 {
  return bswap<u64>(load<u64>(at));
}

@inline
export function storeBE16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16> value));
}

@inline
export function storeBE32(at: usize, value: u32): void {
  store<u32>(at, bswap<u32>(value));
}

@inline
export function storeBE64(at: usize, value: u64): void {
  store<u64>(at, bswap<u64>(value));
}

/** Copies without the fixed cost of `memory.copy` when there is little to copy; the ranges must not overlap. */
export function copyBytes(to: usize, from: usize, length: u32): void {
  if (length > 64) {
    memory.copy(to, from, length);
    return;
  }
  while (length >= 8) {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
    length -= 8;
  }
  if (length & 4) {
    store<u32>(to, load<u32>(from));
    to += 4;
    from += 4;
  }
  if (length & 2) {
    store<u16>(to, load<u16>(from));
    to += 2;
    from += 2;
  }
  if (length & 1) store<u8>(to, load<u8>(from));
}
