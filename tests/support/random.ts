// Seeded random numbers for tests: the same seed gives the same sequence on every runtime.
//
// sfc32 over 32-bit integer arithmetic alone, so that no engine can round differently.

/** A repeatable source of random choices. */
export interface Random {
  /** The seed it was made from; print it when a test fails. */
  readonly seed: number;
  /** An unsigned 32-bit integer. */
  u32(): number;
  /** A number in [0, 1) with 32 random bits. */
  float(): number;
  /** An integer in [0, below), below ≤ 2^32. */
  int(below: number): number;
  /** An integer in [low, high], both included. */
  between(low: number, high: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** A string of `length` lower-case letters. */
  letters(length: number): string;
  /** Reorders a list in place and returns it. */
  shuffle<T>(list: T[]): T[];
  /** An independent source: child `index` of this seed, whatever has been drawn so far. */
  fork(index: number): Random;
}

function scramble(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** A source of random numbers determined by `seed` (a 32-bit integer). */
export function seeded(seed: number): Random {
  let a = scramble(seed), b = scramble(seed + 0x9e3779b9), c = scramble(seed ^ 0x85ebca6b), counter = 1;

  function u32(): number {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  }

  for (let i = 0; i < 12; i++) u32();

  const random: Random = {
    seed,
    u32,
    float: () => u32() / 0x1_0000_0000,
    int: (below) => Math.floor((u32() / 0x1_0000_0000) * below),
    between: (low, high) => low + random.int(high - low + 1),
    chance: (p) => random.float() < p,
    pick: (list) => list[random.int(list.length)]!,
    bytes(length) {
      const out = new Uint8Array(length);
      let i = 0;
      for (; i + 4 <= length; i += 4) {
        const word = u32();
        out[i] = word;
        out[i + 1] = word >>> 8;
        out[i + 2] = word >>> 16;
        out[i + 3] = word >>> 24;
      }
      for (; i < length; i++) out[i] = u32();
      return out;
    },
    letters(length) {
      let out = "";
      for (let i = 0; i < length; i++) out += String.fromCharCode(97 + random.int(26));
      return out;
    },
    shuffle(list) {
      for (let i = list.length - 1; i > 0; i--) {
        const j = random.int(i + 1);
        const kept = list[i]!;
        list[i] = list[j]!;
        list[j] = kept;
      }
      return list;
    },
    fork: (index) => seeded(scramble(scramble(seed) + index + 1)),
  };
  return random;
}
