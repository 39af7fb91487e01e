// What a disk is told, and what a crash makes of it.

/** A recorded change of the file. `data` is never changed afterwards. */
export type Change =
  | { readonly kind: "write"; readonly at: number; readonly data: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number };

/** What a sector holds that was under the head when the power went: zeros for 0, else garbage that follows from the number. */
export type Fill = number;

/**
 * What became of one change:
 * - kept, dropped, or only its growth, as zeros;
 * - `from`, `to`: a run of its bytes;
 * - `mask`: the sectors of `unit` bytes whose bit is set (bit i mod 32 for the i-th one it touches); the others keep what they held, or hold `fill`;
 * - `spoilt`: all of it, but the i-th sector it touches holds `fill`.
 */
export type Fate =
  | "keep"
  | "drop"
  | "grow"
  | { readonly from: number; readonly to: number }
  | { readonly mask: number; readonly unit: number; readonly fill?: Fill }
  | { readonly spoilt: number; readonly unit: number; readonly fill: Fill };

/** A change and its fate. */
export interface Outcome {
  readonly change: Change;
  readonly fate: Fate;
}
