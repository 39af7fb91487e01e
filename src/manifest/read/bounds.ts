// Bounds of ranges: from keys and parts of keys to encoded bytes.
//
// Encoded keys are compared byte by byte and none is the beginning of another, so "behind everything that begins with these components" is the first byte
// string that no longer begins that way.
import { KEY_MAX } from "../../../assembly/format.ts";
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { failType } from "../../errors.ts";
import type { KeyInput, KeyPrefix } from "../../schema/schema.ts";
import type { AnyCodec } from "../bindings.ts";

/** A place between rows: an encoded key. Opaque; may be kept and used with the same table later, also in another process. */
export type Position = Uint8Array;

/** A bound: a whole key, or its first components. */
export type KeyBound<K extends readonly unknown[]> = KeyPrefix<K> | KeyInput<K>;

/** Which rows a range holds. All given bounds hold together. */
export interface RangeBounds<K extends readonly unknown[]> {
  /** Keys with these first components. */
  prefix?: KeyPrefix<K>;
  /** As `prefix`, but of its last component (text or bytes) only the beginning. */
  startsWith?: KeyPrefix<K>;
  /** Keys behind this one; behind all that begin with it when it is a part of a key. */
  gt?: KeyBound<K>;
  /** This key and those behind it. */
  gte?: KeyBound<K>;
  /** Keys before this one. */
  lt?: KeyBound<K>;
  /** This key and those before it; with all that begin with it when it is a part of a key. */
  lte?: KeyBound<K>;
  /** First position, inclusive. */
  from?: Position;
  /** Last position, exclusive. */
  until?: Position;
}

/** The names of all bounds. */
export const BOUNDS: OptionNames<RangeBounds<readonly unknown[]>> = {
  prefix: true,
  startsWith: true,
  gt: true,
  gte: true,
  lt: true,
  lte: true,
  from: true,
  until: true,
};

/** Bounds as a caller gave them, or an error; `action` completes "Cannot …". */
export function takeBounds(bounds: RangeBounds<readonly unknown[]>, action: string): RangeBounds<readonly unknown[]> {
  return takeOptions(bounds, BOUNDS, action);
}

/** Encoded bounds: `lower` inclusive unless `lowerExclusive`, `upper` exclusive. */
export interface EncodedBounds {
  lower: Uint8Array | undefined;
  lowerExclusive: boolean;
  upper: Uint8Array | undefined;
}

/** Compares byte strings. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function checkPosition(name: string, position: Position): Position {
  if (!(position instanceof Uint8Array) || position.length > KEY_MAX) {
    failType(`Cannot read a range: "${name}" is no position`, { field: name });
  }
  return position;
}

/** Encodes bounds; undefined when no key can lie within them. `after` is where an earlier range stopped. */
export function encodeBounds(
  codec: AnyCodec,
  bounds: RangeBounds<readonly unknown[]>,
  after: Position | undefined,
  reverse: boolean,
): EncodedBounds | undefined {
  const out: EncodedBounds = { lower: undefined, lowerExclusive: false, upper: undefined };
  const raise = (lower: Uint8Array): void => {
    if (out.lower === undefined || compareBytes(lower, out.lower) > 0) out.lower = lower;
  };
  const cut = (upper: Uint8Array | undefined): void => {
    if (upper !== undefined && (out.upper === undefined || compareBytes(upper, out.upper) < 0)) out.upper = upper;
  };
  // deno-lint-ignore no-explicit-any
  const parts = (bound: any): any => Array.isArray(bound) ? bound : [bound];
  const { prefix, startsWith, gt, gte, lt, lte, from, until } = bounds;
  if (prefix !== undefined) {
    const range = codec.prefixRange(parts(prefix));
    raise(range.lower);
    cut(range.upper);
  }
  if (startsWith !== undefined) {
    const range = codec.prefixRange(parts(startsWith), true);
    raise(range.lower);
    cut(range.upper);
  }
  if (gte !== undefined) raise(codec.prefixRange(parts(gte)).lower);
  if (lt !== undefined) cut(codec.prefixRange(parts(lt)).lower);
  if (lte !== undefined) cut(codec.prefixRange(parts(lte)).upper);
  if (gt !== undefined) {
    const { upper } = codec.prefixRange(parts(gt));
    if (upper === undefined) return undefined;
    raise(upper);
  }
  if (from !== undefined) raise(checkPosition("from", from));
  if (until !== undefined) cut(checkPosition("until", until));
  if (after !== undefined) {
    checkPosition("after", after);
    if (reverse) cut(after);
    else if (out.lower === undefined || compareBytes(after, out.lower) >= 0) {
      out.lower = after;
      out.lowerExclusive = true;
    }
  }
  if (out.lower !== undefined && out.upper !== undefined && compareBytes(out.lower, out.upper) >= 0) return undefined;
  return out;
}
