// The meta slots of an image: which of them opening has to write again, and how it can be crashed while it has.
//
// A slot that is half written may differ from a whole one in a single sector. What opening writes over it may be cut short as well, and put that sector right: the images here are of such crashes.
import {
  BLOCK_SIZE,
  MAGIC_HI,
  MAGIC_LO,
  META_BYTES,
  META_CRC,
  META_EPOCH,
  META_FORMAT,
  META_GENERATION,
  META_MAGIC,
  META_SLOTS,
} from "../../../assembly/format.ts";
import { crc32c } from "../damage/crc.ts";
import type { CallLog } from "../disk/call_log.ts";
import type { Change, Outcome } from "../disk/change.ts";
import type { CrashImage } from "../disk/crash.ts";
import { planFates } from "../disk/fates.ts";
import type { Random } from "../random.ts";

function isSlot(change: Change): boolean {
  return change.kind === "write" && change.at < META_BYTES;
}

/** Whether a write of meta slots has landed in part. */
export function hasHalfSlot(outcomes: readonly Outcome[]): boolean {
  return outcomes.some(({ change, fate }) => isSlot(change) && typeof fate !== "string");
}

/** Whether opening an image writes something else over blocks that hold something: then a meta slot that comes back may name what is gone. Leaves the image as it was before. */
export function overwrites(image: CrashImage, { calls }: CallLog): boolean {
  image.again();
  const storage = image.open();
  const before = new Uint8Array(BLOCK_SIZE);
  for (const call of calls) {
    if (call.kind !== "write" || call.at < META_BYTES) continue;
    for (let from = 0; from < call.data.length; from += BLOCK_SIZE) {
      const held = before.subarray(0, storage.read(call.at + from, before));
      if (held.some((byte) => byte !== 0) && held.some((byte, i) => byte !== call.data[from + i])) return true;
    }
  }
  return false;
}

function isReadable(bytes: Uint8Array, view: DataView): boolean {
  const isMagic = view.getUint32(META_MAGIC, true) === MAGIC_LO && view.getUint32(META_MAGIC + 4, true) === MAGIC_HI;
  return isMagic && view.getUint32(META_CRC, true) === crc32c(bytes.subarray(META_FORMAT));
}

/** Slots that do not hold what the later readable copy of their pair does, in order. `whole`: all of them are known to be readable. */
export function staleSlots(region: Uint8Array, whole: boolean): number[] {
  const held = Array.from({ length: META_SLOTS }, (_, slot) => {
    const bytes = region.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (!whole && !isReadable(bytes, view)) return -1;
    return view.getUint32(META_GENERATION, true) * 2 ** 20 + view.getUint32(META_EPOCH, true);
  });
  const isStale = (slot: number): boolean => held[slot] === -1 || held[slot]! < held[(slot + 2) % META_SLOTS]!;
  return held.map((_, slot) => slot).filter(isStale);
}

/** Images of a crash behind a call of an opening at which no sync covers what it has written over meta slots: some part of that, and everything else. So many at most. */
export function* slotImages(image: CrashImage, log: CallLog, at: number, most: number, random: Random): Generator<CrashImage, void, void> {
  if (log.calls[at - 1]!.kind === "sync") return; // as before the sync
  const pending = log.pending(0, at, log.covered(at));
  const slots = pending.filter(({ change, fixed }) => !fixed && isSlot(change)).map(({ change }) => change);
  if (slots.length === 0) return;
  const seen = new Set<number>();
  let tries = most * 4;
  for (const fates of planFates(slots, { sector: 512, garbage: true }, random)) {
    const deeper = image.then(
      0,
      pending.map(({ change }) => ({ change, fate: slots.includes(change) ? fates[slots.indexOf(change)]! : "keep" })),
    );
    if (!seen.has(deeper.hash)) yield deeper;
    seen.add(deeper.hash);
    if (seen.size === most || --tries === 0) return;
  }
}
