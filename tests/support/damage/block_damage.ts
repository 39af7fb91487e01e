// Every way in which whole blocks of a file are replaced.
import { BLOCK_SIZE } from "../../../assembly/format.ts";
import type { Blocks } from "./block_case.ts";

/** A way to replace blocks. */
export interface BlockDamage {
  /** The matrix's row. */
  readonly kind: "zeros" | "ones" | "meta slots" | "swapped" | "misdirected" | "stale" | "foreign";
  /** Names the case on the command line. */
  readonly name: string;
  readonly blocks: Blocks;
}

const BLANK = new Uint8Array(BLOCK_SIZE);
const ONES = new Uint8Array(BLOCK_SIZE).fill(0xff);

function blockOf(bytes: Uint8Array, block: number): Uint8Array {
  return bytes.subarray(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE);
}

/**
 * All of them, for an image: zeros; ones; every two blocks exchanged; every block written over every other (a misdirected write: its own place keeps what it should no longer hold); every image that a place once held;
 * every block of another file at its place.
 */
export function* blockDamages(
  image: Uint8Array,
  history: readonly { readonly at: number; readonly data: Uint8Array }[],
  other: Uint8Array,
): Generator<BlockDamage> {
  const count = image.length / BLOCK_SIZE;
  for (let block = 0; block < count; block++) {
    yield { kind: "zeros", name: `zeros/${block}`, blocks: new Map([[block, BLANK]]) };
    yield { kind: "ones", name: `ones/${block}`, blocks: new Map([[block, ONES]]) };
    if ((block + 1) * BLOCK_SIZE <= other.length) {
      yield { kind: "foreign", name: `foreign/${block}`, blocks: new Map([[block, blockOf(other, block)]]) };
    }
    for (let from = 0; from < count; from++) {
      if (from === block) continue;
      yield { kind: "misdirected", name: `misdirected/${block}/${from}`, blocks: new Map([[block, blockOf(image, from)]]) };
      if (from < block) continue;
      yield {
        kind: "swapped",
        name: `swapped/${block}/${from}`,
        blocks: new Map([[block, blockOf(image, from)], [from, blockOf(image, block)]]),
      };
    }
  }
  for (let mask = 1; mask < 16; mask++) {
    const slots = [0, 1, 2, 3].filter((slot) => mask & (1 << slot));
    for (const [what, bytes] of [["zeros", BLANK], ["ones", ONES]] as const) {
      yield { kind: "meta slots", name: `slots/${what}/${mask}`, blocks: new Map(slots.map((slot) => [slot, bytes])) };
    }
  }
  // Meta slots go through every generation: only those that the place held last are of interest, the others differ in their numbers alone.
  for (const [i, { at, data }] of history.entries()) {
    const block = at / BLOCK_SIZE;
    if (block >= count) continue;
    yield { kind: "stale", name: `stale/${i}`, blocks: new Map([[block, data]]) };
  }
}
