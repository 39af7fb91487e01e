// The order of writes and syncs, all of it.
//
//   commit       group blocks → sync → receipts. The state is published and acknowledged only behind the sync (durability "sync").
//   checkpoint   pages and zeros of a new journal extent → sync → copy 1 of the older meta slot → sync → copy 2 → sync → the journal behind it is free.
//   creation     length → sync → meta slot A1 → sync → zeros over the journal → sync → the other three slots → sync.
//   opening      copies of meta slots that are not what they should be, from their other copies → sync. Behind a clean close: copy 1 of a meta generation with the new epoch → sync → copy 2, which the next sync
//                covers. Otherwise what was replayed, then a checkpoint that adopts it.
//
// Invariants: pages are durable before the meta that names them; nothing is written while a half-written meta slot is left; growth is durable before it is used; of each pair of copies one is readable at every moment;
// a failed sync is never retried.
import {
  BLOCK_SIZE,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  DONE,
  FRAME_HEADER,
  GROUP_HEADER,
  JOURNAL_COUNT,
  JOURNAL_CRC,
  JOURNAL_FILE_ID,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  JOURNAL_USED,
  META_BYTES,
  META_FILE_ID,
  OK,
} from "../../assembly/format.ts";
import { fail, isManifestError, ManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Core } from "./core.ts";
import type { Position } from "./journal.ts";
import { blankSlot, type Extent, type MetaFields, readMeta, sealSlot, slotChecksum, slotOffset, writeFields } from "./meta.ts";
import type { PageFile } from "./page_file.ts";

/** Zeros are written this many at a time. */
const ZEROS = new Uint8Array(256 << 10);

/** Writes zeros over a byte range. */
export function writeZeros(file: PageFile, from: number, end: number): void {
  for (let at = from; at < end; at += ZEROS.length) file.write(at, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)));
}

/**
 * Before a write: throws FILE_MOVED when who opens the path now opens something else, and what `fence` throws. Groups that are acknowledged before they are synced are looked after at the sync.
 */
export function checkClaim(core: Core): void {
  if (core.lock && core.lock.strength !== "claim") core.lock.verify();
  else fence(core);
}

/** Whether an error says that this writer has lost the file to another one, or the file itself: found out before anything was written. */
export function isLost(error: unknown): boolean {
  return isManifestError(error) && (error.code === "FENCED" || error.code === "FILE_MOVED");
}

/**
 * Fills a stretch of the journal with blank blocks: whole, of this file, of epoch and group 0, so that none is ever replayed. Zeros would do as well, were it not that blocks which damage has zeroed could then not be told
 * from such that were never written.
 */
export function writeBlank(file: PageFile, kernel: Kernel, fileId: Uint8Array, from: number, end: number): void {
  const block = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(block.buffer);
  view.setUint32(JOURNAL_MAGIC, JOURNAL_MAGIC_VALUE, true);
  block.set(fileId.subarray(0, 8), JOURNAL_FILE_ID);
  view.setUint16(JOURNAL_COUNT, 1, true);
  view.setUint16(JOURNAL_USED, GROUP_HEADER + FRAME_HEADER, true);
  const at = kernel.exports.arena(BLOCK_SIZE) >>> 0;
  kernel.u8.set(block, at);
  view.setUint32(JOURNAL_CRC, kernel.exports.crc32c(at + JOURNAL_MAGIC, BLOCK_SIZE - JOURNAL_MAGIC, 0), true);
  const many = new Uint8Array(Math.min(end - from, ZEROS.length));
  for (let i = 0; i < many.length; i += BLOCK_SIZE) many.set(block, i);
  for (let place = from; place < end; place += many.length) file.write(place, many.subarray(0, Math.min(many.length, end - place)));
}

/** Throws FENCED when another writer has taken over. Free where the operating system excludes others. */
export function fence(core: Core): void {
  if (!core.lock || core.lock.strength !== "claim") return;
  core.lock.verify();
  const region = new Uint8Array(META_BYTES);
  core.file.read(0, region);
  for (let slot = 0; slot < 4; slot++) {
    const bytes = region.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
    const meta = readMeta(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (meta.fileId === core.meta.fileId && meta.epoch > core.epoch && view.getUint32(8, true) === core.checksum(bytes)) {
      fail("FENCED", "Cannot write: another writer has taken over", { detail: { epoch: meta.epoch } });
    }
  }
}

/** Seals the gathered group and writes it at a place found before. `writing` is called before anything is written. Returns its blocks. */
export function writeGroup(core: Core, position: Position, firstFrame: number, writing: () => void): number {
  const { kernel, journal, options } = core;
  if (options.durability === "sync") checkClaim(core);
  else fence(core);
  const status = kernel.exports.journalEncode(core.epoch, journal.nextGroup, firstFrame, core.durableGroup);
  if (status === DONE) fail("INVARIANT", "Cannot commit: the group holds no frame");
  const at = kernel.word(CTRL_OUT_AT);
  const blocks = kernel.word(CTRL_OUT_COUNT);
  writing();
  core.file.write(journal.offset(position), kernel.u8.subarray(at, at + blocks * BLOCK_SIZE));
  return blocks;
}

/** A group that could not be written whole must never be replayed: blank blocks over it, synced. Throws when even that fails. */
export function eraseGroup(core: Core, position: Position, blocks: number): void | Promise<void> {
  const at = core.journal.offset(position);
  writeBlank(core.file, core.kernel, core.meta.bytes.subarray(META_FILE_ID), at, at + blocks * BLOCK_SIZE);
  return core.file.syncing ? core.file.syncLater() : core.file.sync();
}

/** Whether any block of the group that was to be written at a place is there, as the storage shows it. */
export function holdsGroup(core: Core, position: Position, blocks: number): boolean {
  const { kernel, journal, file } = core;
  const x = kernel.exports;
  const at = x.journalBuffer(blocks * BLOCK_SIZE) >>> 0;
  if (at === 0) return true;
  try {
    file.read(journal.offset(position), kernel.u8.subarray(at, at + blocks * BLOCK_SIZE));
    for (let i = 0; i < blocks; i++) {
      if (x.blockPeek(at + i * BLOCK_SIZE) !== OK) continue;
      if (kernel.word(CTRL_OUT_PAGE) === core.epoch && x.peekGroup() === journal.nextGroup) return true;
    }
    return false;
  } finally {
    x.journalBuffer(0);
  }
}

/**
 * The steps that make a meta generation durable, one write or sync each: a step that throws may be made again (a sync never is). `lazy`: the tree is that of the
 * generation before and no journal is freed, so the second copy may wait for the next sync, which comes before anything is acknowledged.
 */
export function metaSteps(core: Core, bytes: Uint8Array, lazy: boolean): (() => void | Promise<void>)[] {
  const generation = readMeta(bytes).generation;
  const copy = (number: 1 | 2) => (): void => {
    checkClaim(core);
    core.file.write(slotOffset(generation % 2, number), sealSlot(bytes, number, core.checksum));
  };
  const sync = (): Promise<void> => core.file.syncLater();
  const first = (): void | Promise<void> => core.file.dirty ? sync() : undefined;
  // What is called durable may free the journal and cut the file: not in the name of a writer that was taken over meanwhile.
  return lazy ? [first, copy(1), sync, copy(2)] : [first, copy(1), sync, copy(2), sync, () => fence(core)];
}

/** The next generation's slot over the state in `base`: the newest slot's bytes, or the kernel's part saved over them. */
export function nextMeta(
  core: Core,
  base: Uint8Array,
  fields: Omit<MetaFields, "generation" | "epoch" | "durability" | "committedAt">,
): Uint8Array<ArrayBuffer> {
  const bytes = base.slice() as Uint8Array<ArrayBuffer>;
  writeFields(bytes, {
    ...fields,
    generation: core.meta.generation + 1,
    epoch: core.epoch,
    durability: { sync: 0, relaxed: 1, none: 2 }[core.options.durability],
    committedAt: core.committedAt,
  });
  return bytes;
}

/** Writes a fresh file. `kernelPart` is a slot with identity and the kernel's state of an empty file. */
export async function createFile(
  file: PageFile,
  kernelPart: Uint8Array,
  pages: number,
  pageSize: number,
  extent: Extent,
  durability: number,
  kernel: Kernel,
): Promise<void> {
  const checksum = slotChecksum(kernel);
  const region = new Uint8Array(META_BYTES);
  for (const generation of [0, 1]) {
    const bytes = kernelPart.slice() as Uint8Array<ArrayBuffer>;
    writeFields(bytes, {
      generation,
      epoch: 1,
      clean: false,
      group: 1,
      extent: 0,
      block: 0,
      committedAt: 0,
      durability,
      extents: [extent],
    });
    for (const copy of [1, 2] as const) region.set(sealSlot(bytes, copy, checksum), slotOffset(generation, copy));
  }
  if (file.size() > 0) file.truncate(0);
  file.truncate(pages * pageSize);
  await file.syncLater();
  // From here on the file is known as an interrupted creation until a slot of generation 1 is valid.
  file.write(0, region.subarray(0, BLOCK_SIZE));
  await file.syncLater();
  const start = extent.page * pageSize;
  if (start > META_BYTES) writeZeros(file, META_BYTES, start);
  writeBlank(file, kernel, kernelPart.subarray(META_FILE_ID), start, start + extent.pages * pageSize);
  await file.syncLater();
  file.write(BLOCK_SIZE, region.subarray(BLOCK_SIZE));
  await file.syncLater();
}

/** A slot with new identities for a fresh file. */
export function freshSlot(pageShift: number, random: (into: Uint8Array<ArrayBuffer>) => void): Uint8Array<ArrayBuffer> {
  const fileId = new Uint8Array(16);
  const historyId = new Uint8Array(16);
  random(fileId);
  random(historyId);
  return blankSlot(pageShift, fileId, historyId);
}

/** Bitmap pages that a freeze may write besides the pages it places. */
const BITMAP_PAGES = 64;

/**
 * Makes sure of the space that the next freeze, with a new journal extent if the journal is to grow, can need at most, by writing zeros behind the file's last page: a batch that commits by its own checkpoint must not find out half way
 * that the medium is full. Throws with nothing changed.
 */
export function reserveSpace(core: Core, grow: boolean): void {
  const from = core.kernel.exports.filePages();
  const pages = core.kernel.exports.unplacedPages() + BITMAP_PAGES + (grow ? core.journal.growth(from) : 0);
  core.io.clearSpills(from, pages);
  try {
    writeZeros(core.file, from * core.pageSize, (from + pages) * core.pageSize);
  } catch (error) {
    cutTail(core);
    throw error;
  }
}

/** Cuts what lies behind the last page that anything needs. */
export function cutTail(core: Core): void {
  if (core.kernel.exports.spilledPages() > 0) return;
  const bytes = core.kernel.exports.filePages() * core.pageSize;
  if (bytes <= 0) return;
  try {
    if (core.file.size() > bytes) core.file.truncate(bytes);
  } catch (cause) {
    // The tail is no part of any state: keeping it costs space only. A truncation that the platform refuses is reported by the next write, if at all.
    if (!(cause instanceof ManifestError)) throw cause;
  }
}
