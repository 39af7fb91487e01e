// Bloom filters: a table that surely lacks a key need not be read. About ten bits a key and seven probes: one miss in a hundred is read in vain.
import { crc32c } from "./bytes.ts";

const BITS_PER_KEY = 10;
const PROBES = 7;

function* probes(key: Uint8Array, bits: number): Generator<number> {
  const first = Math.imul(crc32c(key), 0x9e3779b1), step = (first >>> 17) | (first << 15);
  for (let i = 0; i < PROBES; i++) yield ((first + Math.imul(i, step)) >>> 0) % bits;
}

/** A filter that knows these keys. */
export function makeBloom(keys: readonly Uint8Array[]): Uint8Array {
  const filter = new Uint8Array(Math.max(8, Math.ceil(keys.length * BITS_PER_KEY / 8)));
  for (const key of keys) for (const bit of probes(key, filter.length * 8)) filter[bit >>> 3]! |= 1 << (bit & 7);
  return filter;
}

/** False when a filter surely does not know a key. */
export function mayHold(filter: Uint8Array, key: Uint8Array): boolean {
  for (const bit of probes(key, filter.length * 8)) if (((filter[bit >>> 3]! >>> (bit & 7)) & 1) === 0) return false;
  return true;
}
