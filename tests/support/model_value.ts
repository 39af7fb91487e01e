// Values of the model: a seed and a length, from which every byte follows, so that the reference never keeps 16 MiB.
//
// A value is a walk through a pool of random bytes in pieces, each from a place that the seed decides; its first bytes are the seed itself.
import { seeded } from "./random.ts";

/** A value by its seed and length. */
export interface Value {
  readonly seed: number;
  readonly length: number;
}

const PIECE = 1 << 12;
const POOL = seeded(0x900d).bytes(1 << 18);

function place(seed: number, piece: number): number {
  return (Math.imul(seed ^ Math.imul(piece, 0x9e3779b1), 0x85ebca6b) >>> 0) % (POOL.length - PIECE);
}

/** The bytes of a value. */
export function valueBytes({ seed, length }: Value): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0, piece = 0; at < length; at += PIECE, piece++) {
    const from = place(seed, piece);
    out.set(POOL.subarray(from, from + Math.min(PIECE, length - at)), at);
  }
  for (let i = 0; i < 4 && i < length; i++) out[i] = seed >>> (8 * i);
  return out;
}

/** Whether bytes are those of a value. */
export function isValue(bytes: Uint8Array, { seed, length }: Value): boolean {
  if (bytes.length !== length) return false;
  for (let i = 0; i < 4 && i < length; i++) if (bytes[i] !== (seed >>> (8 * i) & 255)) return false;
  for (let at = 0, piece = 0; at < length; at += PIECE, piece++) {
    const from = place(seed, piece) - at;
    const end = Math.min(at + PIECE, length);
    for (let i = Math.max(at, 4); i < end; i++) if (bytes[i] !== POOL[from + i]) return false;
  }
  return true;
}
