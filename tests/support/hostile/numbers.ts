// Numbers that break decoders: limits, and what lies just beside them.
import type { Random } from "../random.ts";

const WORDS: readonly number[] = [
  0,
  1,
  2,
  3,
  7,
  8,
  31,
  32,
  33,
  127,
  128,
  255,
  256,
  1023,
  1024,
  1025,
  2047,
  4064,
  4095,
  4096,
  4097,
  0x7fff,
  0x8000,
  0xfffe,
  0xffff,
];
const LONGS: readonly number[] = [...WORDS, 0x10000, 0x10001, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffff0, 0xffffffff];
const BIG: readonly bigint[] = [0n, 1n, 2n ** 32n, 2n ** 48n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];

/** A u8 other than `value`. */
export function other8(random: Random, value: number): number {
  return random.chance(0.5) ? (value ^ (1 << random.int(8))) & 0xff : (value + 1 + random.int(255)) & 0xff;
}

/** A u16 other than `value`, more often a limit or close by. */
export function other16(random: Random, value: number): number {
  return other(random, value, WORDS, 0xffff);
}

/** A u32 other than `value`. */
export function other32(random: Random, value: number): number {
  return other(random, value, LONGS, 0xffffffff);
}

function other(random: Random, value: number, limits: readonly number[], most: number): number {
  for (;;) {
    const kind = random.int(4);
    const next = kind === 0
      ? random.pick(limits)
      : kind === 1
      ? value + random.between(-4, 4)
      : kind === 2
      ? random.int(64)
      : random.u32() % (most + 1);
    const wrapped = ((next % (most + 1)) + most + 1) % (most + 1);
    if (wrapped !== value) return wrapped;
  }
}

/** A u64. */
export function big(random: Random): bigint {
  return random.chance(0.7) ? random.pick(BIG) : BigInt(random.u32()) << BigInt(random.int(33));
}
