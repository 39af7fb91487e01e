// Text to UTF-8 in the arena and back, fast for the short ASCII strings that records are made of.
import type { Arena } from "./arena.ts";

/** Up to here a loop over the characters beats a call of the platform's encoder. */
const SHORT = 40;
/** Up to here a loop over the bytes beats the platform's decoder. */
const SHORT_DECODE = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const chars = String.fromCharCode;

const LONE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;
const hasIsWellFormed = typeof (String.prototype as { isWellFormed?: () => boolean }).isWellFormed === "function";

/** Whether a string has no lone surrogates. */
export function isWellFormed(value: string): boolean {
  return hasIsWellFormed ? (value as string & { isWellFormed(): boolean }).isWellFormed() : !LONE.test(value);
}

/** Writes a string as UTF-8 to the arena's top; its length in bytes, or −1 when it has a lone surrogate. */
export function putText(arena: Arena, value: string): number {
  const length = value.length;
  if (length <= SHORT) {
    const at = arena.take(length);
    const u8 = arena.u8;
    let i = 0;
    for (; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 127) break;
      u8[at + i] = unit;
    }
    if (i === length) return length;
    arena.top = at;
  }
  if (!isWellFormed(value)) return -1;
  const at = arena.take(length * 3);
  const { written } = encoder.encodeInto(value, arena.u8.subarray(at, at + length * 3));
  arena.top = at + written;
  return written;
}

/** Decodes UTF-8 that the kernel has checked. */
export function getText(u8: Uint8Array, at: number, length: number): string {
  if (length > SHORT_DECODE) return decoder.decode(u8.subarray(at, at + length));
  const end = at + length;
  let out = "";
  while (at + 8 <= end) {
    const a = u8[at]!,
      b = u8[at + 1]!,
      c = u8[at + 2]!,
      d = u8[at + 3]!,
      e = u8[at + 4]!,
      f = u8[at + 5]!,
      g = u8[at + 6]!,
      h = u8[at + 7]!;
    if ((a | b | c | d | e | f | g | h) > 127) return decoder.decode(u8.subarray(end - length, end));
    out += chars(a, b, c, d, e, f, g, h);
    at += 8;
  }
  if (at + 4 <= end) {
    const a = u8[at]!, b = u8[at + 1]!, c = u8[at + 2]!, d = u8[at + 3]!;
    if ((a | b | c | d) > 127) return decoder.decode(u8.subarray(end - length, end));
    out += chars(a, b, c, d);
    at += 4;
  }
  while (at < end) {
    const unit = u8[at++]!;
    if (unit > 127) return decoder.decode(u8.subarray(end - length, end));
    out += chars(unit);
  }
  return out;
}
