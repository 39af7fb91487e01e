// A kernel on a disk of pages in memory: the host's side of the boundary at its smallest, for tests of the trees themselves.
import {
  CTRL_CHECK_FINDINGS,
  CTRL_CHECK_KEPT,
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
  CTRL_TREE,
  DONE,
  META_BYTES,
  META_EXTENT_COUNT,
  META_EXTENTS,
  META_FILE_ID,
  META_PAGE_SHIFT,
  MORE,
  NEED_PAGE,
  NEED_ROOM,
  NEED_RUN,
  NOT_FOUND,
  OK,
} from "../../assembly/format.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelModule } from "../../src/kernel/loader.ts";

/** Marks by name, in the order of assembly/marks.ts. */
export const MARKS = [
  "split leaf",
  "split branch",
  "split append",
  "split longer",
  "redistribute put",
  "re-prefix",
  "root grow",
  "merge leaf",
  "merge branch",
  "redistribute delete",
  "root shrink",
  "tree emptied",
  "defragment",
  "run put",
  "run freed",
  "group discard",
  "freeze",
  "drop step",
  "pack",
  "depth 4",
  "redistribute branch",
] as const;

/** One kernel and its pages. */
export class KernelDisk {
  readonly kernel: Kernel;
  readonly pageSize: number;
  /** The file: bytes by page number. */
  pages: Map<number, Uint8Array>;
  reads = 0;
  spills = 0;
  sealing = false;

  constructor(pageShift: number, frames: number, pages: Map<number, Uint8Array> = new Map()) {
    this.kernel = new Kernel(kernelModule());
    this.pageSize = 1 << pageShift;
    this.pages = pages;
    if (this.kernel.exports.init(pageShift, frames, 0x1234, 0x5678) !== OK) throw new Error("Cannot start the kernel");
    this.kernel.exports.arena(1 << 16);
    this.kernel.exports.spillBase(1 << 24);
  }

  #write(page: number, at: number, count = 1): void {
    for (let i = 0; i < count; i++) {
      const from = at + i * this.pageSize;
      this.pages.set(page + i, this.kernel.u8.slice(from, from + this.pageSize));
    }
  }

  /** Makes a call until it needs nothing more; other statuses are returned. */
  run(call: () => number): number {
    const k = this.kernel;
    const history: string[] = [];
    for (let turn = 0; turn < 10_000; turn++) {
      const status = call();
      history.push(status === NEED_PAGE ? `read ${k.word(CTRL_NEED_PAGE)}` : String(status));
      if (status === NEED_PAGE) {
        const bytes = this.pages.get(k.word(CTRL_NEED_PAGE));
        if (bytes === undefined) throw new Error(`Cannot read page ${k.word(CTRL_NEED_PAGE)}: never written`);
        k.u8.set(bytes, k.word(CTRL_NEED_AT));
        this.reads++;
        const installed = k.exports.pageInstall();
        if (installed !== OK) return installed;
      } else if (status === NEED_ROOM) {
        if (this.sealing && this.sealSlice() === OK) continue;
        let some = 0;
        while (some < 8 && k.exports.spillNext() === OK) {
          this.#write(k.word(CTRL_OUT_PAGE), k.word(CTRL_OUT_AT));
          k.exports.spillDone();
          some++;
          this.spills++;
        }
        if (some === 0) throw new Error("Cannot make room: nothing to spill");
      } else if (status === NEED_RUN) {
        let page = k.word(CTRL_RUN_PAGE);
        this.#write(page++, k.word(CTRL_RUN_FIRST));
        const middle = k.word(CTRL_RUN_MIDDLE);
        this.#write(page, k.word(CTRL_RUN_SOURCE), middle);
        if (k.word(CTRL_RUN_LAST) !== 0) this.#write(page + middle, k.word(CTRL_RUN_LAST));
      } else {
        return status;
      }
    }
    throw new Error(`Cannot finish: no progress in 10,000 turns, the last ${history.slice(-12)}`);
  }

  /** The same for calls that must succeed. */
  must(call: () => number, what: string): void {
    const status = this.run(call);
    if (status !== OK && status !== DONE && status !== MORE) {
      const words = [2, 3, 4, 5].map((i) => this.kernel.word(i));
      throw new Error(`${what}: status ${status}, error words ${words}`);
    }
  }

  /** Seals and publishes the private version; its id, or −1 when nothing changed. */
  seal(publish = true): number {
    const status = this.run(() => this.kernel.exports.groupSeal());
    if (status === DONE) return -1;
    if (status !== OK) throw new Error(`groupSeal: status ${status}`);
    const version = this.kernel.word(CTRL_TREE);
    this.kernel.exports.groupClear();
    if (publish) this.kernel.exports.versionPublish(version);
    return version;
  }

  /** One stretch of the running checkpoint: OK or DONE. */
  sealSlice(): number {
    const k = this.kernel;
    const sealing = this.sealing;
    this.sealing = false; // room for the slice itself comes from spilling
    const status = this.run(() => k.exports.sealNext(16));
    this.sealing = sealing;
    if (status === OK) {
      this.#write(k.word(CTRL_OUT_PAGE), k.word(CTRL_OUT_AT), k.word(CTRL_OUT_COUNT));
      k.exports.sealWritten();
    } else if (status !== DONE) throw new Error(`sealNext: status ${status}`);
    return status;
  }

  /** Starts a checkpoint of the newest sealed version. */
  freeze(): void {
    this.must(() => this.kernel.exports.freezeBegin(), "freezeBegin");
    this.sealing = true;
  }

  /** Finishes the running checkpoint and returns the state part of its meta slot. */
  finish(): Uint8Array {
    while (this.sealSlice() === OK);
    this.sealing = false;
    const at = this.kernel.exports.arena(1 << 16) >>> 0;
    this.kernel.u8.fill(0, at, at + 4096);
    this.kernel.exports.stateSave(at);
    const meta = this.kernel.u8.slice(at, at + 4096);
    this.kernel.exports.freezeDone();
    return meta;
  }

  /** Loads the state of a meta slot. */
  load(meta: Uint8Array, older?: Uint8Array): void {
    const at = this.kernel.exports.arena(1 << 16) >>> 0;
    this.kernel.u8.set(meta, at);
    if (older !== undefined) this.kernel.u8.set(older, at + 4096);
    this.must(() => this.kernel.exports.stateLoad(at, older === undefined ? 0 : at + 4096), "stateLoad");
  }

  /** Runs the whole-file check on the generation of a meta slot's state; the file's first `reserved` pages are meta slots and journal. Findings as text. */
  check(meta: Uint8Array, reserved: number): string[] {
    const k = this.kernel;
    const slot = meta.slice();
    const view = new DataView(slot.buffer);
    slot[META_PAGE_SHIFT] = Math.log2(this.pageSize);
    view.setUint32(META_FILE_ID, 0x1234, true);
    view.setUint32(META_FILE_ID + 4, 0x5678, true);
    const metaPages = Math.ceil(META_BYTES / this.pageSize);
    view.setUint16(META_EXTENT_COUNT, 1, true);
    view.setUint32(META_EXTENTS, metaPages, true);
    view.setUint32(META_EXTENTS + 4, reserved - metaPages, true);
    const at = k.exports.arena(1 << 16) >>> 0;
    k.u8.set(slot, at);
    this.must(() => k.exports.checkBegin(at, 2), "checkBegin");
    let status;
    while ((status = this.run(() => k.exports.checkStep(50))) === MORE);
    if (status !== DONE) throw new Error(`checkStep: status ${status}`);
    k.exports.checkFindings();
    const list = k.word(CTRL_CHECK_FINDINGS) >>> 2;
    const out: string[] = [];
    for (let i = 0; i < k.word(CTRL_CHECK_KEPT); i++) {
      const [severity, reason, page, table, expected, actual, level] = k.u32.slice(list + 8 * i, list + 8 * i + 8);
      out.push(`severity ${severity} reason ${reason} page ${page} table ${table} expected ${expected} actual ${actual} level ${level}`);
    }
    return out;
  }

  /** The counters of assembly/marks.ts by name. */
  marks(): Record<string, number> {
    this.kernel.exports.marks();
    const at = this.kernel.word(CTRL_OUT_AT) >>> 2;
    return Object.fromEntries(MARKS.map((name, i) => [name, this.kernel.u32[at + i]!]));
  }
}

/** An effect of a body made by hand. */
export interface RawEffect {
  kind: number;
  table: number;
  key: Uint8Array;
  value?: Uint8Array;
}

/** A frame body with these effects; no change record and no commit id unless flags say so. */
export function rawBody(effects: RawEffect[], flags = 0): Uint8Array {
  const out: number[] = [];
  const varint = (n: number) => {
    while (n >= 128) {
      out.push((n % 128) | 128);
      n = Math.floor(n / 128);
    }
    out.push(n);
  };
  const parts: Uint8Array[] = [];
  let length = 36;
  const flush = () => {
    parts.push(Uint8Array.from(out));
    length += out.length;
    out.length = 0;
  };
  for (const effect of effects) {
    out.push(effect.kind, 0);
    varint(effect.table);
    varint(effect.key.length);
    flush();
    parts.push(effect.key);
    length += effect.key.length;
    if (effect.value !== undefined) {
      varint(effect.value.length);
      flush();
      parts.push(effect.value);
      length += effect.value.length;
    }
  }
  const body = new Uint8Array(length);
  const view = new DataView(body.buffer);
  body[0] = flags;
  body[1] = 1;
  view.setUint32(28, effects.length, true);
  let at = 36;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

export { NOT_FOUND, OK };
