// The loops around kernel calls: what a call asks for is read or written, then the call is made again.
//
// Invariants: a page is handed to the kernel whole and verified there; a page that could not be read is given up before the error leaves; a freeze never writes
// where spilled pages lie.
import {
  CTRL_NEED_AT,
  CTRL_NEED_PAGE,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  CTRL_RUN_FIRST,
  CTRL_RUN_LAST,
  CTRL_RUN_MIDDLE,
  CTRL_RUN_PAGE,
  CTRL_RUN_SOURCE,
  DONE,
  MORE,
  NEED_PAGE,
  NEED_ROOM,
  NEED_RUN,
  NOT_FOUND,
  OK,
  REASON_BOUNDS,
} from "../../assembly/format.ts";
import { fail, type ManifestErrorFields } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PageFile } from "./page_file.ts";
import { pageError, statusError } from "./status.ts";

/** A call that asks this often for pages is going round in circles. */
const RETRIES_MAX = 1 << 26;

/** Sealed pages at an address, to be written at consecutive places. */
export interface SealedRun {
  readonly at: number;
  readonly page: number;
  readonly count: number;
}

/** Pages in and out of the kernel. */
export class PageIo {
  /** Pages read since opening. */
  pageReads = 0;
  /** Pages spilled since opening. */
  pageSpills = 0;
  /** Seals and writes some frozen pages when a checkpoint is under way: they cannot be spilled. Whether it did. */
  assist: () => boolean = () => false;
  /** Turns the error of a damaged page into what it means here (read-only beside a writer: an expired snapshot). */
  onDamage: (error: Error) => Error = (error) => error;
  /** The kernel is lost, or the store closed: the error that every call gets. */
  trapped: ManifestErrorFields | undefined;
  #spillBase = 0;
  readonly #kernel: Kernel;
  readonly #file: PageFile;
  readonly #pageSize: number;
  /** Pages that one transaction could add: spilling starts that far behind the end. */
  readonly #spillGap: number;

  constructor(kernel: Kernel, file: PageFile, pageSize: number, spillGap: number) {
    this.#kernel = kernel;
    this.#file = file;
    this.#pageSize = pageSize;
    this.#spillGap = spillGap;
  }

  /** Makes a kernel call until it succeeds; returns its status: OK, NOT_FOUND, DONE or MORE. Throws everything else. */
  run(call: () => number, action: string): number {
    if (this.trapped) throw this.trapped;
    const status = call();
    return status <= NOT_FOUND ? status : this.resume(status, call, action);
  }

  /** Goes on with a call that returned `status`. */
  resume(status: number, call: () => number, action: string): number {
    for (let tries = 0; tries < RETRIES_MAX; tries++) {
      if (status === OK || status === NOT_FOUND || status === DONE || status === MORE) return status;
      if (status === NEED_PAGE) this.#readPage(action);
      else if (status === NEED_ROOM) this.#spill(action);
      else if (status === NEED_RUN) this.#writeRun();
      else throw this.onDamage(statusError(this.#kernel, status, action));
      status = call();
    }
    return fail("INVARIANT", `Cannot ${action}: the engine asks for pages without end`);
  }

  #readPage(action: string): void {
    const kernel = this.#kernel;
    const page = kernel.word(CTRL_NEED_PAGE);
    const at = kernel.word(CTRL_NEED_AT);
    try {
      const read = this.#file.read(page * this.#pageSize, kernel.u8.subarray(at, at + this.#pageSize));
      if (read === 0) throw this.onDamage(pageError(page, REASON_BOUNDS, action));
    } catch (error) {
      kernel.exports.pageAbandon();
      throw error;
    }
    this.pageReads++;
    const status = kernel.exports.pageInstall();
    if (status !== OK) throw this.onDamage(statusError(kernel, status, action));
  }

  /** Writes dirty pages beyond the end of the file until the kernel has room. */
  #spill(action: string): void {
    if (this.assist()) return;
    const x = this.#kernel.exports;
    this.moveSpills();
    let count = 0;
    while (x.spillNext() === OK) {
      const at = this.#kernel.word(CTRL_OUT_AT);
      this.#file.write(this.#kernel.word(CTRL_OUT_PAGE) * this.#pageSize, this.#kernel.u8.subarray(at, at + this.#pageSize));
      x.spillDone();
      count++;
      // A few at a time: what this operation uses next is better kept.
      if (count === 32) break;
    }
    this.pageSpills += count;
    if (count === 0) fail("LIMIT", `Cannot ${action}: the page cache is too small for one operation`);
  }

  /** Spilled pages start behind everything that the next freeze could place; only moved while none lies there. */
  moveSpills(): void {
    const x = this.#kernel.exports;
    if (x.spilledPages() > 0) return;
    // What a writer beside a reader has added is not the reader's to cover.
    const pages = this.#file.readOnly ? Math.ceil(this.#file.size() / this.#pageSize) : 0;
    this.#spillBase = Math.max(x.filePages(), pages) * 4 + this.#spillGap;
    x.spillReset(this.#spillBase);
  }

  /** Before pages are written where spilled ones may lie: those move up. */
  clearSpills(page: number, count: number): void {
    const { exports: x } = this.#kernel;
    if (page + count <= this.#spillBase || x.spilledPages() === 0) return;
    this.#spillBase = Math.max(page + count, x.filePages()) * 4 + this.#spillGap;
    x.spillBase(this.#spillBase);
    const bytes = new Uint8Array(this.#pageSize);
    while (x.spillBelow() === OK) {
      const from = this.#kernel.word(CTRL_OUT_PAGE);
      const to = this.#kernel.word(CTRL_OUT_COUNT);
      this.#file.read(from * this.#pageSize, bytes);
      this.#file.write(to * this.#pageSize, bytes);
      x.spillMoved();
    }
  }

  #writeRun(): void {
    const kernel = this.#kernel;
    const size = this.#pageSize;
    const first = kernel.word(CTRL_RUN_FIRST);
    const middle = kernel.word(CTRL_RUN_MIDDLE);
    const source = kernel.word(CTRL_RUN_SOURCE);
    const last = kernel.word(CTRL_RUN_LAST);
    let page = kernel.word(CTRL_RUN_PAGE);
    this.clearSpills(page, 1 + middle + (last ? 1 : 0));
    this.#file.write(page * size, kernel.u8.subarray(first, first + size));
    page += 1;
    if (middle) this.#file.write(page * size, kernel.u8.subarray(source, source + middle * size));
    page += middle;
    if (last) this.#file.write(page * size, kernel.u8.subarray(last, last + size));
  }

  /** The pages that `sealNext` has named. */
  sealedRun(): SealedRun {
    const kernel = this.#kernel;
    return { at: kernel.word(CTRL_OUT_AT), page: kernel.word(CTRL_OUT_PAGE), count: kernel.word(CTRL_OUT_COUNT) };
  }

  /** Writes them. */
  writeSealed({ at, page, count }: SealedRun): void {
    this.clearSpills(page, count);
    this.#file.write(page * this.#pageSize, this.#kernel.u8.subarray(at, at + count * this.#pageSize));
  }
}
