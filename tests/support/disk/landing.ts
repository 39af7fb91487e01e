// Where the bytes of a write go, with the fate that a crash has given it.
import type { Change, Fate, Fill } from "./change.ts";

/** A write. */
export type Write = Extract<Change, { kind: "write" }>;

/** Who takes the bytes. */
export interface Landing {
  /** Bytes `from` to `to` of the write have landed. */
  land(write: Write, from: number, to: number): void;
  /** A sector that was under the head holds this. */
  write(at: number, data: Uint8Array): void;
  /** The file is at least so long. */
  grow(size: number): void;
}

/** Hands over what lands of a write. */
export function landWrite(write: Write, fate: Fate, landing: Landing): void {
  if (fate === "drop") return;
  const { at, data } = write;
  if (fate === "keep") landing.land(write, 0, data.length);
  else if (fate === "grow") landing.grow(at + data.length);
  else if ("from" in fate) landing.land(write, fate.from, Math.min(fate.to, data.length));
  else if ("mask" in fate) landUnits(write, fate.unit, (unit) => ((fate.mask >>> (unit & 31)) & 1) === 1, fate.fill, landing);
  else landUnits(write, fate.unit, (unit) => unit !== fate.spoilt, fate.fill, landing);
}

function landUnits(write: Write, unit: number, lands: (unit: number) => boolean, fill: Fill | undefined, landing: Landing): void {
  const { at, data } = write;
  const first = Math.floor(at / unit);
  for (let from = 0; from < data.length;) {
    const index = Math.floor((at + from) / unit);
    const to = Math.min(data.length, (index + 1) * unit - at);
    if (lands(index - first)) landing.land(write, from, to);
    else if (fill !== undefined) landing.write(at + from, filling(fill, index, to - from));
    from = to;
  }
}

function filling(fill: Fill, index: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (fill === 0) return bytes;
  let x = (fill ^ Math.imul(index + 1, 0x9e3779b1)) | 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x >>> 8;
  }
  return bytes;
}
