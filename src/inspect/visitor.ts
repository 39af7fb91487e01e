// One tree of one state, leaf by leaf, past what is damaged.
//
// The kernel walks and verifies (assembly/check_visit.ts); this drives it and hands out rows. What is handed out lies in kernel memory until the next step.
import {
  CTRL_NEED_AT,
  CTRL_NEED_PAGE,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  CTRL_VISIT,
  CTRL_VISIT_AT,
  CTRL_VISIT_HIGH_AT,
  CTRL_VISIT_HIGH_LENGTH,
  CTRL_VISIT_LOW_AT,
  CTRL_VISIT_LOW_LENGTH,
  CTRL_VISIT_PAGE,
  DONE,
  META_BIRTH,
  META_PAGE_COUNT,
  META_ROOTS,
  META_ROOTS_LEVEL,
  MORE,
  NEED_PAGE,
  OK,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  POINTER_SIZE,
  ROOT_LEVEL,
  ROOT_POINTER,
  ROOT_ROWS,
  ROOT_SIZE,
  RUN_HEADER,
  VISIT_LEAF,
} from "../../assembly/format.ts";
import { isManifestError, ManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { fileIdWords, type Meta } from "../store/meta.ts";
import { type Run, RunReader } from "../store/runs.ts";
import { statusError } from "../store/status.ts";
import type { Finding } from "./finding.ts";
import type { Inspection } from "./inspection.ts";
import { PageFindings } from "./page_findings.ts";

/** Bitmaps of pages are made for no more pages than this unless the file is that long: 16 MiB. */
const PAGES_CLAIMED = 2 ** 27;
const RUN = 0xffffffff;
const UNBOUNDED = 0xffffffff;
/** Values are not longer: what a transaction may write at most. */
const VALUE_MAX = 512 << 20;

/** The root of one tree. */
export interface TreeRoot {
  /** Table id; 0: the roots tree. */
  readonly table: number;
  /** Pointer to the root page. */
  readonly pointer: Uint8Array;
  readonly level: number;
  /** Rows that it should have; undefined where nothing says. */
  readonly rows: number | undefined;
}

/** A stretch of keys that is lost: from `low` (included) to `high` (excluded); undefined: no bound. */
export interface LostRange {
  readonly low: Uint8Array | undefined;
  readonly high: Uint8Array | undefined;
}

/** A row of a leaf. */
export interface VisitedRow {
  readonly key: Uint8Array;
  /** The value, or where its run is. */
  readonly value: Uint8Array | Run;
}

/** What a visit comes to. */
export type Visit =
  | { readonly type: "leaf"; readonly page: number; rows(): VisitedRow[] }
  | { readonly type: "lost"; readonly range: LostRange };

/** The bytes of a slot for the kernel, with no more pages than the file can have; `pageCount` is at most what a bitmap may be made for. */
export function slotForWalk(meta: Meta, fileBytes: number): Uint8Array {
  const most = Math.max(PAGES_CLAIMED, Math.ceil(fileBytes / 2 ** meta.pageShift));
  if (meta.pageCount <= most) return meta.bytes;
  const bytes = meta.bytes.slice();
  new DataView(bytes.buffer).setUint32(META_PAGE_COUNT, most, true);
  return bytes;
}

/** The roots tree of a meta slot. */
export function rootsTree({ bytes }: Meta): TreeRoot | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(META_ROOTS + POINTER_PAGE, true) === 0) return undefined;
  return { table: 0, pointer: bytes.slice(META_ROOTS, META_ROOTS + POINTER_SIZE), level: bytes[META_ROOTS_LEVEL]!, rows: undefined };
}

/** A table's root, from a row of the roots tree; undefined when it is none. A pointer to page 0: no rows. */
export function tableRoot({ key, value }: VisitedRow): TreeRoot | undefined {
  if (key.length !== 4 || !(value instanceof Uint8Array) || value.length !== ROOT_SIZE) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, ROOT_SIZE);
  return {
    table: new DataView(key.buffer, key.byteOffset, 4).getUint32(0),
    pointer: value.slice(ROOT_POINTER, ROOT_POINTER + POINTER_SIZE),
    level: value[ROOT_LEVEL]!,
    rows: view.getUint32(ROOT_ROWS, true) + view.getUint32(ROOT_ROWS + 4, true) * 0x1_0000_0000,
  };
}

/** Whether a tree has no page. */
export function isEmptyRoot({ pointer }: TreeRoot): boolean {
  return pointer[0] === 0 && pointer[1] === 0 && pointer[2] === 0 && pointer[3] === 0;
}

/** Visits trees of one file; `meta` says page size, pages, file id and newest birth. */
export class Visitor {
  readonly kernel: Kernel;
  readonly pages: PageFindings;
  readonly #inspection: Inspection;
  readonly #meta: Meta;
  readonly #pageSize: number;
  readonly #runs: RunReader;
  /** Pages that storage could not read, or does not have. */
  readonly #missing = new Map<number, "io" | "end">();

  constructor(inspection: Inspection, meta: Meta, nameOf: (table: number) => string) {
    this.#inspection = inspection;
    this.#meta = meta;
    this.#pageSize = 2 ** meta.pageShift;
    this.kernel = inspection.kernelFor(meta);
    this.pages = new PageFindings(this.kernel, this.#pageSize, nameOf, (page) => this.#missing.get(page));
    this.#runs = new RunReader(this.kernel, inspection.source, this.#pageSize, ...fileIdWords(meta.bytes));
  }

  /** Reads the page that the kernel asks for. */
  readPage(): void {
    const { kernel } = this;
    const page = kernel.word(CTRL_NEED_PAGE);
    const into = kernel.word(CTRL_NEED_AT);
    const at = page * this.#pageSize;
    const bytes = kernel.u8.subarray(into, into + this.#pageSize);
    const beyond = at + this.#pageSize > this.#inspection.source.size();
    if (!beyond && this.#inspection.source.take(at, bytes)) kernel.exports.pageInstall();
    else {
      if (this.#missing.size < 4096) this.#missing.set(page, beyond ? "end" : "io");
      kernel.exports.pageAbandon();
    }
  }

  /** Walks a tree; `found` hears what is wrong with it, as it goes. */
  async *visit(root: TreeRoot, found: (findings: Finding[]) => void): AsyncGenerator<Visit> {
    if (isEmptyRoot(root)) return;
    const { kernel } = this;
    const x = kernel.exports;
    const slot = slotForWalk(this.#meta, this.#inspection.source.size());
    const at = x.arena(slot.length + POINTER_SIZE) >>> 0;
    kernel.u8.set(slot, at);
    kernel.u8.set(root.pointer, at + slot.length);
    this.pages.restart();
    const status = x.visitBegin(at, at + slot.length, root.level, root.table);
    if (status !== OK) throw statusError(kernel, status, "look at a table");
    try {
      for (;;) {
        const status = x.visitStep();
        if (status === NEED_PAGE) {
          this.readPage();
          await this.#inspection.step();
          continue;
        }
        const findings = this.pages.take();
        if (findings.length > 0) found(findings);
        if (status === DONE) return;
        if (status === MORE) continue;
        if (status !== OK) throw statusError(kernel, status, "look at a table");
        yield kernel.word(CTRL_VISIT) === VISIT_LEAF ? this.#leaf() : this.#lost();
      }
    } finally {
      x.checkEnd();
    }
  }

  #leaf(): Visit {
    const { kernel } = this;
    const at = kernel.word(CTRL_VISIT_AT);
    return { type: "leaf", page: kernel.word(CTRL_VISIT_PAGE), rows: () => rowsOf(kernel, at, this.#pageSize, this.#runs) };
  }

  #lost(): Visit {
    const { kernel } = this;
    const bound = (at: number, length: number): Uint8Array | undefined =>
      kernel.word(length) === UNBOUNDED ? undefined : kernel.u8.slice(kernel.word(at), kernel.word(at) + kernel.word(length));
    return {
      type: "lost",
      range: { low: bound(CTRL_VISIT_LOW_AT, CTRL_VISIT_LOW_LENGTH), high: bound(CTRL_VISIT_HIGH_AT, CTRL_VISIT_HIGH_LENGTH) },
    };
  }

  /** A row's value; undefined when it cannot be had. */
  tryValue(row: VisitedRow): Uint8Array | undefined {
    try {
      return this.value(row);
    } catch (error) {
      if (!isManifestError(error) || (error.kind !== "data" && error.kind !== "io")) throw error;
      return undefined;
    }
  }

  /** A row's value; CORRUPT_PAGE when its run is damaged, IO_READ. */
  value({ value }: VisitedRow): Uint8Array {
    if (value instanceof Uint8Array) return value;
    const pages = Math.ceil((RUN_HEADER + value.length) / this.#pageSize);
    if (value.length > VALUE_MAX || (value.page + pages) * this.#pageSize > this.#inspection.source.size()) {
      throw new ManifestError("CORRUPT_PAGE", `Cannot read a value: the run at page ${value.page} leaves the file`, {
        detail: { page: value.page, pages, reason: "bounds" },
      });
    }
    return this.#runs.copy(value);
  }
}

/** The rows of a verified leaf page in kernel memory. */
export function rowsOf(kernel: Kernel, at: number, pageSize: number, runs: RunReader): VisitedRow[] {
  const status = kernel.exports.imageRows(at, pageSize);
  if (status !== OK) throw statusError(kernel, status, "list the rows of a page");
  const count = kernel.word(CTRL_ROWS);
  const index = kernel.word(CTRL_ROWS_AT) >>> 2;
  const { u8, u32 } = kernel;
  const rows: VisitedRow[] = [];
  for (let i = 0; i < count; i++) {
    const word = index + i * 4;
    const keyAt = u32[word]!;
    const valueAt = u32[word + 2]!;
    const length = u32[word + 3]!;
    rows.push({
      key: u8.slice(keyAt, keyAt + u32[word + 1]!),
      value: length === RUN ? runs.describe(valueAt) : u8.slice(valueAt, valueAt + length),
    });
  }
  return rows;
}

/** A pointer's numbers. */
export function readPointer(bytes: Uint8Array): { page: number; crc: number; birth: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, POINTER_SIZE);
  return {
    page: view.getUint32(POINTER_PAGE, true),
    crc: view.getUint32(POINTER_CRC, true),
    birth: view.getUint32(POINTER_BIRTH, true) + view.getUint16(POINTER_BIRTH + 4, true) * 0x1_0000_0000,
  };
}

/** Newest birth that a slot names. */
export function birthOf(meta: Meta): number {
  const view = new DataView(meta.bytes.buffer, meta.bytes.byteOffset);
  return view.getUint32(META_BIRTH, true) + view.getUint16(META_BIRTH + 4, true) * 0x1_0000_0000;
}
