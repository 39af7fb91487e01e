// One page, decoded: what it is by its place or its header, whether it is right, and its cells.
import {
  BITMAP_POSITION,
  BLOCK_SIZE,
  CORRUPT_PAGE,
  CTRL_ERROR_REASON,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  JOURNAL_USED,
  META_BYTES,
  META_SLOTS,
  OK,
  PAGE_BIRTH,
  PAGE_BITMAP,
  PAGE_BITMAP_INDEX,
  PAGE_BRANCH,
  PAGE_CELLS,
  PAGE_COUNT,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_HOLES,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_NUMBER_MAX,
  PAGE_PREFIX,
  PAGE_RUN,
  PAGE_SHIFT_MAX,
  PAGE_SHIFT_MIN,
  PAGE_TYPE,
  RUN_HEADER,
  RUN_LENGTH,
} from "../../assembly/format.ts";
import { takeOptions } from "../arguments.ts";
import { fail, failRange, failType } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { toHex } from "../store/meta.ts";
import { RunReader } from "../store/runs.ts";
import { statusError } from "../store/status.ts";
import type { Storage } from "../storage/storage.ts";
import type { Header } from "./header.ts";
import { Inspection } from "./inspection.ts";
import { reasonWord } from "./page_findings.ts";
import type { PageCell, PageDescription, PageKind, PageOptions } from "./page_types.ts";
import { readPointer, rowsOf } from "./visitor.ts";

const KINDS: Readonly<Record<number, PageKind>> = {
  [PAGE_LEAF]: "leaf",
  [PAGE_BRANCH]: "branch",
  [PAGE_RUN]: "overflow",
  [PAGE_BITMAP]: "bitmap",
  [PAGE_BITMAP_INDEX]: "bitmap_index",
};
const OPTIONS = { values: true, pageSize: true, signal: true, environment: true, wasm: true } as const;
const SLICE = 256 << 10;

type Fields = Record<string, number | string | boolean>;

/**
 * Describes one page of a file as it stands, whatever state it belongs to: kind, header fields, whether checksum, number, file id and structure are right, and the cells of a tree page. Keys and values are shown
 * by their lengths unless `values` is set. Reads the page and the meta slots, of an overflow value all its pages. RangeError when the number is none.
 */
export async function describePage(storage: Storage, page: number, options: PageOptions = {}): Promise<PageDescription> {
  const given = takeOptions(options, OPTIONS, "describe a page");
  if (typeof page !== "number") failType("Cannot describe a page: its number is not a number", { field: "page" });
  if (!Number.isInteger(page) || page < 0 || page >= PAGE_NUMBER_MAX) {
    failRange(`Cannot describe a page: its number is not a whole number from 0 to ${PAGE_NUMBER_MAX - 1}`, { field: "page" });
  }
  const inspection = new Inspection(storage, "describe a page", given);
  const header = await inspection.header();
  const shift = header.newest?.pageShift ?? shiftOf(given.pageSize ?? 4096);
  return new Describer(inspection, header, page, 2 ** shift, given.values === true).describe();
}

function shiftOf(pageSize: number): number {
  const shift = Math.log2(pageSize);
  if (!Number.isInteger(shift) || shift < PAGE_SHIFT_MIN || shift > PAGE_SHIFT_MAX) {
    failRange("Cannot describe a page: option pageSize is not a power of two from 4096 to 65536", { option: "pageSize" });
  }
  return shift;
}

class Describer {
  readonly #inspection: Inspection;
  readonly #header: Header;
  readonly #page: number;
  readonly #pageSize: number;
  readonly #values: boolean;
  readonly #kernel: Kernel;
  readonly #at: number;
  readonly #bytes: Uint8Array;

  constructor(inspection: Inspection, header: Header, page: number, pageSize: number, values: boolean) {
    this.#inspection = inspection;
    this.#header = header;
    this.#page = page;
    this.#pageSize = pageSize;
    this.#values = values;
    this.#kernel = header.newest === undefined ? inspection.kernel() : inspection.kernelFor(header.newest);
    // Journal blocks can only be looked at in the journal's buffer.
    this.#at = header.newest === undefined
      ? this.#kernel.exports.arena(pageSize) >>> 0
      : this.#kernel.exports.journalBuffer(pageSize) >>> 0;
    if (this.#at === 0) fail("UNAVAILABLE", "Cannot describe a page: the kernel's memory cannot grow");
    this.#bytes = new Uint8Array(pageSize);
  }

  describe(): PageDescription {
    const { source } = this.#inspection;
    const offset = this.#page * this.#pageSize;
    const base = { page: this.#page, offset, pageSize: this.#pageSize };
    if (offset >= source.size()) return { ...base, kind: "beyond_end", header: {} };
    if (!source.take(offset, this.#bytes)) return { ...base, kind: "unreadable", valid: false, reason: "unreadable", header: {} };
    this.#kernel.u8.set(this.#bytes, this.#at);
    if (offset < META_BYTES) return { ...base, ...this.#meta(offset) };
    const extents = this.#header.newest?.extents ?? [];
    if (extents.some((extent) => this.#page >= extent.page && this.#page < extent.page + extent.pages)) {
      return { ...base, kind: "journal", header: this.#journal() };
    }
    return { ...base, ...this.#tree() };
  }

  #view(): DataView {
    return new DataView(this.#bytes.buffer);
  }

  /** The slots that lie in the page. */
  #meta(offset: number): Pick<PageDescription, "kind" | "valid" | "reason" | "header"> {
    const fields: Fields = {};
    const first = offset / BLOCK_SIZE;
    let reason: string | undefined;
    for (let slot = first; slot < Math.min(META_SLOTS, first + this.#pageSize / BLOCK_SIZE); slot++) {
      const summary = this.#header.slots[slot]!;
      reason ??= summary.reason;
      const { name, readable } = summary;
      fields[`${name}.readable`] = readable;
      if (summary.reason !== undefined) fields[`${name}.reason`] = summary.reason;
      const meta = this.#header.contents[slot];
      if (meta === undefined) continue;
      const {
        generation,
        epoch,
        clean,
        fileId,
        historyId,
        pageShift,
        pageCount,
        sequence,
        frame,
        group,
        extent,
        block,
        committedAt,
        durability,
      } = meta;
      const shown = {
        generation,
        epoch,
        clean,
        fileId,
        historyId,
        pageShift,
        pageCount,
        sequence,
        frame,
        group,
        extent,
        block,
        committedAt,
      };
      for (const [field, value] of Object.entries({ ...shown, durability, extents: meta.extents.length })) {
        fields[`${name}.${field}`] = value;
      }
    }
    return { kind: "meta", valid: reason === undefined, ...reason === undefined ? {} : { reason }, header: fields };
  }

  /** The journal blocks that lie in the page. */
  #journal(): Fields {
    const kernel = this.#kernel;
    const fields: Fields = {};
    for (let block = 0; block < this.#pageSize / BLOCK_SIZE; block++) {
      const name = `block${block}`;
      const whole = kernel.exports.blockPeek(this.#at + block * BLOCK_SIZE) === OK;
      const empty = this.#bytes.subarray(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE).every((byte) => byte === 0);
      fields[name] = whole ? "whole" : empty ? "empty" : "not a whole block of this file";
      if (!whole) continue;
      fields[`${name}.epoch`] = kernel.word(CTRL_OUT_PAGE);
      fields[`${name}.group`] = kernel.exports.peekGroup();
      fields[`${name}.index`] = kernel.word(CTRL_OUT_AT);
      fields[`${name}.count`] = kernel.word(CTRL_OUT_COUNT);
      fields[`${name}.used`] = this.#view().getUint16(block * BLOCK_SIZE + JOURNAL_USED, true);
    }
    return fields;
  }

  #tree(): Pick<PageDescription, "kind" | "valid" | "reason" | "header" | "cells"> {
    if (this.#bytes.every((byte) => byte === 0)) return { kind: "blank", header: {} };
    const view = this.#view();
    const id = this.#header.newest?.bytes.subarray(32, 40) ?? this.#bytes.slice(PAGE_FILE_ID, PAGE_FILE_ID + 8);
    const ours = toHex(id) === toHex(this.#bytes.subarray(PAGE_FILE_ID, PAGE_FILE_ID + 8)) && this.#header.newest !== undefined;
    const kind = KINDS[view.getUint8(PAGE_TYPE)];
    // The middle of an overflow value has no header of its own: only what names this file or this place is taken for one.
    if (kind === undefined || (!ours && view.getUint32(PAGE_NUMBER, true) !== this.#page)) return { kind: "unknown", header: {} };
    const fields: Fields = {
      crc: view.getUint32(PAGE_CRC, true),
      type: view.getUint8(PAGE_TYPE),
      level: view.getUint8(PAGE_LEVEL),
      number: view.getUint32(PAGE_NUMBER, true),
      fileId: toHex(this.#bytes.subarray(PAGE_FILE_ID, PAGE_FILE_ID + 8)),
      birth: view.getUint32(PAGE_BIRTH, true) + view.getUint16(PAGE_BIRTH + 4, true) * 0x1_0000_0000,
    };
    const ids = new DataView(id.slice().buffer);
    const lo = ids.getUint32(0, true);
    const hi = ids.getUint32(4, true);
    const kernel = this.#kernel;
    const status = kernel.exports.imageVerify(this.#at, this.#pageSize, this.#page, lo, hi);
    if (status !== OK && status !== CORRUPT_PAGE) throw statusError(kernel, status, "describe a page");
    let reason = status === OK ? undefined : reasonWord(kernel.word(CTRL_ERROR_REASON));
    if (kind === "overflow") {
      fields.length = view.getUint32(RUN_LENGTH, true);
      reason = this.#runProblem(fields.length as number, lo, hi);
    } else if (kind === "leaf" || kind === "branch") {
      fields.count = view.getUint16(PAGE_COUNT, true);
      fields.prefix = view.getUint16(PAGE_PREFIX, true);
      fields.cells = view.getUint16(PAGE_CELLS, true);
      fields.holes = view.getUint16(PAGE_HOLES, true);
    } else {
      fields.position = view.getUint32(BITMAP_POSITION, true);
    }
    const valid = reason === undefined;
    const cells = valid && (kind === "leaf" || kind === "branch") ? this.#cells(kind) : undefined;
    return { kind, valid, ...valid ? {} : { reason }, header: fields, ...cells === undefined ? {} : { cells } };
  }

  #cells(kind: "leaf" | "branch"): PageCell[] {
    const runs = new RunReader(this.#kernel, this.#inspection.source, this.#pageSize, 0, 0);
    return rowsOf(this.#kernel, this.#at, this.#pageSize, runs).map(({ key, value }): PageCell => {
      const shown = this.#values ? { key: toHex(key) } : {};
      if (!(value instanceof Uint8Array)) {
        const { page, crc, birth, length } = value;
        return { keyLength: key.length, valueLength: length, pointer: { page, crc, birth }, ...shown };
      }
      if (kind === "branch") return { keyLength: key.length, pointer: readPointer(value), ...shown };
      return { keyLength: key.length, valueLength: value.length, ...shown, ...this.#values ? { value: toHex(value) } : {} };
    });
  }

  /** Why the overflow value that begins in this page cannot be used. */
  #runProblem(length: number, lo: number, hi: number): string | undefined {
    const { source } = this.#inspection;
    const view = this.#view();
    const bytes = Math.ceil((RUN_HEADER + length) / this.#pageSize) * this.#pageSize;
    const offset = this.#page * this.#pageSize;
    if (offset + bytes > source.size()) return "bounds";
    if (view.getUint32(PAGE_NUMBER, true) !== this.#page) return "misplaced";
    if (view.getUint32(PAGE_FILE_ID, true) !== lo || view.getUint32(PAGE_FILE_ID + 4, true) !== hi) return "foreign_file";
    const kernel = this.#kernel;
    let crc = kernel.exports.crc32c(this.#at + PAGE_TYPE, this.#pageSize - PAGE_TYPE, 0) >>> 0;
    const part = new Uint8Array(SLICE);
    const at = kernel.exports.arena(SLICE) >>> 0;
    for (let done = this.#pageSize; done < bytes; done += SLICE) {
      const slice = part.subarray(0, Math.min(SLICE, bytes - done));
      if (!source.take(offset + done, slice)) return "unreadable";
      kernel.u8.set(slice, at);
      crc = kernel.exports.crc32c(at, slice.length, crc) >>> 0;
    }
    return crc === view.getUint32(PAGE_CRC, true) ? undefined : "crc";
  }
}
