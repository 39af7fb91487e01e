// Meta slots: four blocks at the start of the file, two meta generations with two copies each.
//
// Slots in file order: A1, B1, A2, B2; generation g lives in A when even, in B when odd. A generation is published by writing copy 1 of the older one's
// slot, syncing, writing copy 2, syncing. So at every moment each pair has a readable copy: a pair without one is damage, never a crash.
// Invariant: a slot is believed only when magic, checksum, slot number, parity of its generation and the file id agree.
import {
  BLOCK_SIZE,
  FORMAT_OLDEST,
  FORMAT_VERSION,
  MAGIC_HI,
  MAGIC_LO,
  META_BYTES,
  META_CLEAN,
  META_COMMITTED_AT,
  META_CRC,
  META_DURABILITY,
  META_EPOCH,
  META_EXTENT_COUNT,
  META_EXTENTS,
  META_EXTENTS_MAX,
  META_FILE_ID,
  META_FORMAT,
  META_FRAME,
  META_GENERATION,
  META_GROUP,
  META_HISTORY_ID,
  META_JOURNAL_BLOCK,
  META_JOURNAL_EXTENT,
  META_MAGIC,
  META_MIN_READER,
  META_PAGE_COUNT,
  META_PAGE_SHIFT,
  META_SEQUENCE,
  META_SLOT,
  META_SLOTS,
} from "../../assembly/format.ts";
import { fail, invariant } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";

/** A journal extent: contiguous pages. */
export interface Extent {
  readonly page: number;
  readonly pages: number;
}

/** What the host keeps in a meta slot; the kernel's part (roots, bitmap, counters) stays in `bytes`. */
export interface Meta {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly generation: number;
  readonly epoch: number;
  readonly pageShift: number;
  readonly clean: boolean;
  readonly fileId: string;
  readonly historyId: string;
  readonly pageCount: number;
  readonly sequence: number;
  readonly frame: number;
  /** Number and place of the first journal group behind this state. */
  readonly group: number;
  readonly extent: number;
  readonly block: number;
  readonly committedAt: number;
  readonly durability: number;
  readonly extents: readonly Extent[];
}

/** The fields that the host writes over the kernel's. */
export interface MetaFields {
  generation: number;
  epoch: number;
  clean: boolean;
  group: number;
  extent: number;
  block: number;
  committedAt: number;
  durability: number;
  extents: readonly Extent[];
}

/** The state found in the slots. */
export interface Chosen {
  /** The newest meta generation. */
  readonly current: Meta;
  /** The one before, when its slot holds it. */
  readonly older: Meta | undefined;
  /** Slots that hold something else than they should, and what that is. */
  readonly stale: readonly { readonly slot: number; readonly meta: Meta }[];
}

/** Checksum of a slot or block. */
export type Checksum = (bytes: Uint8Array) => number;

/** CRC32C of a slot through the kernel, in the store's part of the arena. */
export function slotChecksum(kernel: Kernel): Checksum {
  return (bytes) => {
    const at = kernel.exports.arena(BLOCK_SIZE) >>> 0;
    kernel.u8.set(bytes, at);
    return kernel.exports.crc32c(at + META_FORMAT, BLOCK_SIZE - META_FORMAT, 0) >>> 0;
  };
}

/** The fields of a slot or block. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** A number of 48 bits. */
export function u48(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint16(at + 4, true) * 0x1_0000_0000;
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Bytes as hex digits. */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i++) out += HEX[bytes[i]!]!;
  return out;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Byte offset of copy 1 or 2 of a generation. */
export function slotOffset(generation: number, copy: 1 | 2): number {
  return ((generation & 1) + (copy - 1) * 2) * BLOCK_SIZE;
}

/** A new slot with identity and format fields; everything else zero. */
export function blankSlot(pageShift: number, fileId: Uint8Array, historyId: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = viewOf(bytes);
  view.setUint32(META_MAGIC, MAGIC_LO, true);
  view.setUint32(META_MAGIC + 4, MAGIC_HI, true);
  view.setUint16(META_FORMAT, FORMAT_VERSION, true);
  view.setUint16(META_MIN_READER, FORMAT_VERSION, true);
  view.setUint8(META_PAGE_SHIFT, pageShift);
  bytes.set(fileId, META_FILE_ID);
  bytes.set(historyId, META_HISTORY_ID);
  return bytes;
}

/** Writes the host's fields into a slot (identity and kernel fields are there already); the checksum comes with `sealSlot`. */
export function writeFields(bytes: Uint8Array, fields: MetaFields): void {
  const view = viewOf(bytes);
  view.setUint8(META_CLEAN, fields.clean ? 1 : 0);
  view.setUint32(META_EPOCH, fields.epoch, true);
  setU64(view, META_GENERATION, fields.generation);
  setU64(view, META_GROUP, fields.group);
  view.setUint32(META_JOURNAL_EXTENT, fields.extent, true);
  view.setUint32(META_JOURNAL_BLOCK, fields.block, true);
  view.setFloat64(META_COMMITTED_AT, fields.committedAt, true);
  view.setUint8(META_DURABILITY, fields.durability);
  invariant(fields.extents.length > 0 && fields.extents.length <= META_EXTENTS_MAX, "a meta slot with no journal extent or too many");
  view.setUint16(META_EXTENT_COUNT, fields.extents.length, true);
  bytes.fill(0, META_EXTENTS, META_EXTENTS + META_EXTENTS_MAX * 8);
  fields.extents.forEach((extent, i) => {
    view.setUint32(META_EXTENTS + i * 8, extent.page, true);
    view.setUint32(META_EXTENTS + i * 8 + 4, extent.pages, true);
  });
}

/** The bytes of one copy: slot number and checksum. */
export function sealSlot(bytes: Uint8Array, copy: 1 | 2, checksum: Checksum): Uint8Array<ArrayBuffer> {
  const out = bytes.slice() as Uint8Array<ArrayBuffer>;
  const view = viewOf(out);
  out[META_SLOT] = slotOffset(u64(view, META_GENERATION) % 2, copy) / BLOCK_SIZE;
  view.setUint32(META_CRC, checksum(out), true);
  return out;
}

/** Reads a slot whose checksum is known to be right. */
export function readMeta(bytes: Uint8Array): Meta {
  const view = viewOf(bytes);
  const extents: Extent[] = [];
  const count = Math.min(view.getUint16(META_EXTENT_COUNT, true), META_EXTENTS_MAX);
  for (let i = 0; i < count; i++) {
    extents.push({ page: view.getUint32(META_EXTENTS + i * 8, true), pages: view.getUint32(META_EXTENTS + i * 8 + 4, true) });
  }
  return {
    bytes: bytes.slice() as Uint8Array<ArrayBuffer>,
    generation: u64(view, META_GENERATION),
    epoch: view.getUint32(META_EPOCH, true),
    pageShift: view.getUint8(META_PAGE_SHIFT),
    clean: view.getUint8(META_CLEAN) === 1,
    fileId: toHex(bytes.subarray(META_FILE_ID, META_FILE_ID + 16)),
    historyId: toHex(bytes.subarray(META_HISTORY_ID, META_HISTORY_ID + 16)),
    pageCount: view.getUint32(META_PAGE_COUNT, true),
    sequence: u64(view, META_SEQUENCE),
    frame: u64(view, META_FRAME),
    group: u64(view, META_GROUP),
    extent: view.getUint32(META_JOURNAL_EXTENT, true),
    block: view.getUint32(META_JOURNAL_BLOCK, true),
    committedAt: view.getFloat64(META_COMMITTED_AT, true),
    durability: view.getUint8(META_DURABILITY),
    extents,
  };
}

function hasMagic(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  return view.getUint32(META_MAGIC, true) === MAGIC_LO && view.getUint32(META_MAGIC + 4, true) === MAGIC_HI;
}

/** The bytes of a slot. */
export function slotOf(region: Uint8Array, slot: number): Uint8Array {
  return region.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
}

/** Why a slot does not count: all zero, without magic, damaged, one that needs a newer version, of a version no longer read, of another place, or of a generation of the other pair. */
export type SlotFault = "blank" | "magic" | "crc" | "too_new" | "too_old" | "misplaced" | "parity";

/** What one slot holds. */
export interface JudgedSlot {
  /** Its contents: what its checksum covers, whether it counts or not. */
  readonly meta: Meta | undefined;
  /** Why it does not count. */
  readonly fault: SlotFault | undefined;
}

/** Judges the bytes at the place of a slot. */
export function judgeSlot(bytes: Uint8Array, slot: number, checksum: Checksum): JudgedSlot {
  const view = viewOf(bytes);
  if (!hasMagic(bytes)) return { meta: undefined, fault: isBlank(bytes) ? "blank" : "magic" };
  if (view.getUint32(META_CRC, true) !== checksum(bytes)) return { meta: undefined, fault: "crc" };
  const meta = readMeta(bytes);
  if (view.getUint16(META_MIN_READER, true) > FORMAT_VERSION) return { meta, fault: "too_new" };
  if (view.getUint16(META_FORMAT, true) < FORMAT_OLDEST) return { meta, fault: "too_old" };
  if (view.getUint8(META_SLOT) !== slot) return { meta, fault: "misplaced" };
  return { meta, fault: meta.generation % 2 === slot % 2 ? undefined : "parity" };
}

/** The valid slots of the region, in slot order; undefined where there is none. */
function readSlots(region: Uint8Array, checksum: Checksum, name: string): (Meta | undefined)[] {
  const found: (Meta | undefined)[] = [];
  for (let slot = 0; slot < META_SLOTS; slot++) {
    const { meta, fault } = judgeSlot(slotOf(region, slot), slot, checksum);
    if (fault === "too_new") {
      const oldest = viewOf(meta!.bytes).getUint16(META_MIN_READER, true);
      fail("FORMAT_TOO_NEW", `Cannot open "${name}": it needs format version ${oldest}, this is ${FORMAT_VERSION}`, {
        detail: { file: name, needed: oldest, version: FORMAT_VERSION },
      });
    }
    if (fault === "too_old") {
      const written = viewOf(meta!.bytes).getUint16(META_FORMAT, true);
      fail("FORMAT_TOO_OLD", `Cannot open "${name}": it has format version ${written}, and the oldest that is read is ${FORMAT_OLDEST}`, {
        detail: { file: name, written, oldest: FORMAT_OLDEST },
      });
    }
    found.push(fault === undefined ? meta : undefined);
  }
  return found;
}

/** The file that most slots name; undefined when there is no majority. */
export function fileOfMost(slots: readonly (Meta | undefined)[]): string | undefined {
  const votes = new Map<string, number>();
  for (const meta of slots) if (meta) votes.set(meta.fileId, (votes.get(meta.fileId) ?? 0) + 1);
  const [first, second] = [...votes].sort((a, b) => b[1] - a[1]);
  return first !== undefined && first[1] !== second?.[1] ? first[0] : undefined;
}

/** Drops slots of another file: those whose file id fewer slots share. */
function dropForeign(slots: (Meta | undefined)[], name: string): void {
  const file = fileOfMost(slots) ??
    fail("CORRUPT_HEADER", `Cannot open "${name}": its meta slots belong to different files`, { detail: { file: name } });
  slots.forEach((meta, i) => {
    if (meta && meta.fileId !== file) slots[i] = undefined;
  });
}

/** Chooses the state to open from the first 16 KiB (shorter where the file is). Throws NOT_A_MANIFEST, TRUNCATED, CORRUPT_HEADER, FORMAT_TOO_NEW, FORMAT_TOO_OLD. */
export function chooseMeta(region: Uint8Array, checksum: Checksum, name: string): Chosen {
  if (region.length < META_BYTES) {
    if (region.length >= 8 && hasMagic(region)) {
      fail("TRUNCATED", `Cannot open "${name}": it ends inside its meta slots`, { detail: { file: name, length: region.length } });
    }
    fail("NOT_A_MANIFEST", `Cannot open "${name}": it is not a manifest`, { detail: { file: name } });
  }
  const slots = readSlots(region, checksum, name);
  if (slots.every((meta) => meta === undefined)) {
    const ours = [0, 1, 2, 3].some((slot) => hasMagic(slotOf(region, slot)));
    if (ours) fail("CORRUPT_HEADER", `Cannot open "${name}": no meta slot is readable`, { detail: { file: name } });
    fail("NOT_A_MANIFEST", `Cannot open "${name}": it is not a manifest`, { detail: { file: name } });
  }
  dropForeign(slots, name);
  const pairs = [0, 1].map((pair) => {
    const first = slots[pair];
    const second = slots[pair + 2];
    if (!first || !second) return first ?? second;
    // Of two copies of one generation the one with the higher epoch is newer; equal ones are equal.
    const later = second.generation === first.generation ? second.epoch > first.epoch : second.generation > first.generation;
    return later ? second : first;
  });
  if (!pairs[0] || !pairs[1]) {
    fail("CORRUPT_HEADER", `Cannot open "${name}": both copies of a meta generation are unreadable`, {
      detail: { file: name, slots: pairs[0] ? [1, 3] : [0, 2] },
    });
  }
  const current = pairs[0].generation > pairs[1].generation ? pairs[0] : pairs[1];
  const other = current === pairs[0] ? pairs[1] : pairs[0];
  const stale: { slot: number; meta: Meta }[] = [];
  for (let slot = 0; slot < META_SLOTS; slot++) {
    const belongs = slot % 2 === current.generation % 2 ? current : other;
    const meta = slots[slot];
    if (meta?.generation !== belongs.generation || meta.epoch !== belongs.epoch) stale.push({ slot, meta: belongs });
  }
  return { current, older: other.generation === current.generation - 1 ? other : undefined, stale };
}

/**
 * Of the slots that do not hold what they should, those that no crash leaves so. Slots are written one at a time, each behind the sync of the one before: copy 1 of the next generation, over the older one, then copy 2. So a crash
 * leaves at most one of these two behind, whether it was in a checkpoint, in a close or in the opening behind a clean close. Only creation writes several at once, and it ends with generation 1.
 */
export function damagedSlots({ current: { generation }, stale }: Chosen): number[] {
  if (generation <= 1) return [];
  const second = slotOffset(generation, 2) / BLOCK_SIZE, next = slotOffset(generation + 1, 1) / BLOCK_SIZE;
  const slots = stale.map(({ slot }) => slot);
  return slots.length === 1 ? slots.filter((slot) => slot !== second && slot !== next) : slots;
}

/** The newest valid slot of a file in its first 16 KiB; undefined when none is readable. */
export function newestMeta(region: Uint8Array, checksum: Checksum, fileId: string): Meta | undefined {
  let newest: Meta | undefined;
  for (let slot = 0; slot < META_SLOTS; slot++) {
    const bytes = slotOf(region, slot);
    if (!hasMagic(bytes) || viewOf(bytes).getUint32(META_CRC, true) !== checksum(bytes)) continue;
    const meta = readMeta(bytes);
    if (meta.fileId === fileId && (newest === undefined || meta.generation > newest.generation)) newest = meta;
  }
  return newest;
}

/** The half of the file id that pages carry, as the two words that the kernel takes. */
export function fileIdWords(slot: Uint8Array): [number, number] {
  const view = viewOf(slot);
  return [view.getUint32(META_FILE_ID, true), view.getUint32(META_FILE_ID + 4, true)];
}

/** Whether a slot has its magic and its checksum. */
export function isValid(slot: Uint8Array, checksum: Checksum): boolean {
  return hasMagic(slot) && viewOf(slot).getUint32(META_CRC, true) === checksum(slot);
}

/** Whether all bytes are zero. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
