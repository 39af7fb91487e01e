// What a meta slot must not say, whatever its checksum: features that this version does not know, and numbers that cannot be.
//
// Invariant: behind `checkFeatures` and `checkBounds` every page, extent and number that a slot names is inside the file and within its limits.
import {
  BLOCK_SIZE,
  META_BIRTH,
  META_BITMAP,
  META_BYTES,
  META_INCOMPATIBLE,
  META_READONLY,
  META_RESERVED_PER_PAGE,
  META_ROOTS,
  META_TRANSFORM,
  PAGE_SHIFT_MAX,
  PAGE_SHIFT_MIN,
  POINTER_PAGE,
} from "../../assembly/format.ts";
import { fail, ManifestError } from "../errors.ts";
import { type Meta, u48, viewOf } from "./meta.ts";

/** Feature bits that this version does not know and that keep it from reading, or writing; undefined when there are none. */
export function unknownFeatures(meta: Meta, writing: boolean): number | undefined {
  const view = viewOf(meta.bytes);
  const bits = view.getUint32(META_INCOMPATIBLE, true) | (writing ? view.getUint32(META_READONLY, true) : 0);
  return bits !== 0 || view.getUint32(META_TRANSFORM, true) !== 0 || view.getUint8(META_RESERVED_PER_PAGE) !== 0 ? bits >>> 0 : undefined;
}

/** Refuses what this version must not read, or not write. */
export function checkFeatures(meta: Meta, writing: boolean, name: string): void {
  const bits = unknownFeatures(meta, writing);
  if (bits === undefined) return;
  fail("UNKNOWN_FEATURE", `Cannot open "${name}": it uses a feature that this version does not know`, { detail: { file: name, bits } });
}

// Numbers that only rise, and are never given room to run over: a hundred years of commits stay far below.
const WIDE_MOST = 2 ** 53 - 2 ** 40;
const NARROW_MOST = 2 ** 48 - 2 ** 40;
const EPOCH_MOST = 2 ** 32 - 2 ** 20;

/** What a meta slot names that cannot be, whatever its checksum says. */
export function impossible(meta: Meta): string | undefined {
  const shift = meta.pageShift;
  if (shift < PAGE_SHIFT_MIN || shift > PAGE_SHIFT_MAX) return "an impossible page size";
  const birth = u48(viewOf(meta.bytes), META_BIRTH);
  if (!(Math.max(meta.generation, meta.sequence) <= WIDE_MOST && Math.max(meta.frame, meta.group, birth) <= NARROW_MOST)) {
    return "an impossible number";
  }
  if (!(meta.epoch <= EPOCH_MOST && meta.committedAt >= 0 && meta.committedAt < 2 ** 48 && meta.durability <= 2)) {
    return "an impossible number";
  }
  if (meta.extents.length === 0) return "no journal";
  let end = 0;
  for (const extent of [...meta.extents].sort((a, b) => a.page - b.page)) {
    const outside = extent.page + extent.pages > meta.pageCount || extent.page * 2 ** shift < META_BYTES;
    if (extent.pages === 0 || outside || extent.page < end) return "an impossible journal extent";
    end = extent.page + extent.pages;
  }
  const view = viewOf(meta.bytes);
  for (const pointer of [META_ROOTS, META_BITMAP]) {
    const page = view.getUint32(pointer + POINTER_PAGE, true);
    if (page !== 0 && (page * 2 ** shift < META_BYTES || page >= meta.pageCount)) return "a page outside the file";
  }
  const extent = meta.extents[meta.extent];
  return !extent || meta.block * BLOCK_SIZE > extent.pages * 2 ** shift ? "an impossible journal position" : undefined;
}

/** Refuses numbers that cannot be, whatever the checksum says. */
export function checkBounds(meta: Meta, fileBytes: number, name: string): void {
  const what = impossible(meta);
  if (what !== undefined) fail("CORRUPT_HEADER", `Cannot open "${name}": its meta slot names ${what}`, { detail: { file: name } });
  const needed = meta.pageCount * 2 ** meta.pageShift;
  if (needed > fileBytes) {
    throw new ManifestError("TRUNCATED", `Cannot open "${name}": the file is shorter than its state`, {
      detail: { file: name, length: fileBytes, needed },
      handle: "closed",
    });
  }
}
