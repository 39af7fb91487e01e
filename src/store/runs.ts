// Overflow values: runs of contiguous pages, read whole and verified against the pointer that names them.
import {
  PAGE_BIRTH,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_NUMBER,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
  POINTER_SIZE,
  REASON_BOUNDS,
  REASON_CRC,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_STALE,
  REASON_TYPE,
  RUN_HEADER,
  RUN_LENGTH,
} from "../../assembly/format.ts";
import { fail, ManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PageFile } from "./page_file.ts";
import { reasonName, reasonText } from "./status.ts";

/** Read and summed at a time when a value is copied out. */
const SLICE = 256 << 10;
/** A buffer longer than this is not kept. */
const HELD_MAX = 4 << 20;

/** What a pointer to a run says. */
export interface Run {
  readonly page: number;
  readonly crc: number;
  readonly birth: number;
  readonly length: number;
}

/** Reads overflow values. */
export class RunReader {
  /** Turns the error of a damaged run into what it means here. */
  onDamage: (error: Error) => Error = (error) => error;
  readonly #kernel: Kernel;
  readonly #file: Pick<PageFile, "read" | "readOnly" | "size">;
  readonly #pageSize: number;
  readonly #fileIdLo: number;
  readonly #fileIdHi: number;
  #held = 0;

  constructor(kernel: Kernel, file: Pick<PageFile, "read" | "readOnly" | "size">, pageSize: number, fileIdLo: number, fileIdHi: number) {
    this.#kernel = kernel;
    this.#file = file;
    this.#pageSize = pageSize;
    this.#fileIdLo = fileIdLo;
    this.#fileIdHi = fileIdHi;
  }

  /** The run that the 18 bytes at an absolute address describe. */
  describe(at: number): Run {
    const u8 = this.#kernel.u8;
    const view = new DataView(u8.buffer, u8.byteOffset + at, POINTER_SIZE + 4);
    return {
      page: view.getUint32(POINTER_PAGE, true),
      crc: view.getUint32(POINTER_CRC, true),
      birth: view.getUint32(POINTER_BIRTH, true) + view.getUint16(POINTER_BIRTH + 4, true) * 0x1_0000_0000,
      length: view.getUint32(POINTER_SIZE, true),
    };
  }

  #pages(run: Run): number {
    return Math.ceil((RUN_HEADER + run.length) / this.#pageSize);
  }

  #damaged(run: Run, reason: number): never {
    throw this.onDamage(
      new ManifestError("CORRUPT_PAGE", `Cannot read a value: the run at page ${run.page} is damaged, ${reasonText(reason)}`, {
        detail: { page: run.page, pages: this.#pages(run), reason: reasonName(reason) },
      }),
    );
  }

  #buffer(bytes: number): number {
    // The journal's buffer: nothing reads the journal once the store is open. One grown by a long value is given back before a short one is read.
    if (this.#held > HELD_MAX && bytes < this.#held / 4) {
      this.#kernel.exports.journalBuffer(0);
      this.#held = 0;
    }
    this.#held = Math.max(this.#held, bytes);
    const at = this.#kernel.exports.journalBuffer(bytes) >>> 0;
    if (at === 0) fail("UNAVAILABLE", "Cannot read a value: the kernel's memory cannot grow", { detail: { length: bytes } });
    return at;
  }

  /** Checks the first page's header, and the checksum of the whole run, against the pointer: in the order in which every page is judged. */
  #check(run: Run, header: DataView, crc: number): void {
    if (header.getUint32(PAGE_CRC, true) !== crc) this.#damaged(run, REASON_CRC);
    if (header.getUint32(PAGE_FILE_ID, true) !== this.#fileIdLo || header.getUint32(PAGE_FILE_ID + 4, true) !== this.#fileIdHi) {
      this.#damaged(run, REASON_FOREIGN);
    }
    if (header.getUint32(PAGE_NUMBER, true) !== run.page) this.#damaged(run, REASON_MISPLACED);
    const birth = header.getUint32(PAGE_BIRTH, true) + header.getUint16(PAGE_BIRTH + 4, true) * 0x1_0000_0000;
    if (birth !== run.birth || crc !== run.crc) this.#damaged(run, REASON_STALE);
    if (header.getUint8(PAGE_TYPE) !== PAGE_RUN) this.#damaged(run, REASON_TYPE);
    if (header.getUint32(RUN_LENGTH, true) !== run.length) this.#damaged(run, REASON_BOUNDS);
  }

  /** Refuses a run that cannot lie in the file, before anything is allocated for it. */
  #checkPlace(run: Run): void {
    const end = Math.max(Math.ceil(this.#file.size() / this.#pageSize), this.#kernel.exports.filePages());
    if (run.page === 0 || run.page + this.#pages(run) > end) this.#damaged(run, REASON_BOUNDS);
  }

  #header(at: number): DataView {
    const { buffer, byteOffset } = this.#kernel.u8;
    return new DataView(buffer, byteOffset + at, RUN_HEADER);
  }

  /** Reads part of a run to `at`; the file must hold all of it. */
  #read(run: Run, from: number, at: number, length: number): void {
    const got = this.#file.read(run.page * this.#pageSize + from, this.#kernel.u8.subarray(at, at + length));
    if (got < length && !this.#file.readOnly) this.#damaged(run, REASON_BOUNDS);
  }

  /** Puts the whole value into kernel memory; returns its address, valid until the next value is read. */
  load(run: Run): number {
    this.#checkPlace(run);
    const bytes = this.#pages(run) * this.#pageSize;
    const at = this.#buffer(bytes);
    this.#read(run, 0, at, bytes);
    this.#check(run, this.#header(at), this.#kernel.exports.crc32c(at + PAGE_TYPE, bytes - PAGE_TYPE, 0) >>> 0);
    return at + RUN_HEADER;
  }

  /** Copies the value out, slice by slice, so that a long one does not stay in kernel memory. */
  copy(run: Run): Uint8Array<ArrayBuffer> {
    this.#checkPlace(run);
    const bytes = this.#pages(run) * this.#pageSize;
    const header = new Uint8Array(RUN_HEADER);
    const out = new Uint8Array(run.length);
    const at = this.#buffer(Math.min(SLICE, bytes));
    let crc = 0;
    for (let done = 0; done < bytes; done += SLICE) {
      const part = Math.min(SLICE, bytes - done);
      this.#read(run, done, at, part);
      const skip = done === 0 ? PAGE_TYPE : 0;
      crc = this.#kernel.exports.crc32c(at + skip, part - skip, crc) >>> 0;
      if (done === 0) header.set(this.#kernel.u8.subarray(at, at + RUN_HEADER));
      const from = Math.max(done, RUN_HEADER);
      const end = Math.min(done + part, RUN_HEADER + run.length);
      if (end > from) out.set(this.#kernel.u8.subarray(at + from - done, at + end - done), from - RUN_HEADER);
    }
    this.#check(run, new DataView(header.buffer), crc);
    return out;
  }
}
