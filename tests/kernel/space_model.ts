// What the space tests drive the kernel with: a disk of pages, an independent reader of bitmaps, and a model of which pages are in use.
import { assert, assertEquals } from "@std/assert";
import {
  BITMAP_ENTRY,
  BITMAP_POSITION,
  BITMAP_USED,
  CTRL_NEED_AT,
  CTRL_NEED_PAGE,
  CTRL_OUT_AT,
  CTRL_OUT_PAGE,
  DONE,
  NEED_PAGE,
  OK,
  PAGE_BIRTH,
  PAGE_BITMAP,
  PAGE_BITMAP_INDEX,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_HEADER,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
} from "../../assembly/format.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelParts } from "../support/kernel_parts.ts";

/** The space manager and the check, with everything they export. */
export function spaceModule(): WebAssembly.Module {
  return kernelParts("ctrl", "mem", "generation", "space", "space_finalize", "check", "check_report", "check_source");
}

export const ID_LO = 0x01020304;
export const ID_HI = 0x05060708;

/** Control words that nothing else uses in these tests. */
const SCRATCH = 60;

/** The kernel's space functions. */
export interface SpaceExports {
  spaceReset(pageShift: number, idLo: number, idHi: number): number;
  spaceNew(reserved: number): number;
  spaceOpen(pointer: number, level: number, pages: number, birth: bigint): number;
  spaceOlder(pointer: number, level: number, pages: number, birth: bigint): number;
  spaceLoad(): number;
  spaceAllocate(): number;
  spaceAllocateRun(count: number): number;
  spacePlace(): number;
  spaceFree(page: number, count: number): number;
  spaceReserve(page: number, count: number): number;
  spaceMark(): number;
  spaceRollback(mark: number): number;
  spaceFreezeBegin(): number;
  spaceMoveFrom(page: number): void;
  spaceFinalize(birth: bigint): number;
  spaceOutNext(): number;
  spaceRoot(at: number): void;
  spaceLevel(): number;
  spacePageCount(): number;
  spaceUsed(): number;
  spaceFilePages(): number;
  spaceHold(birth: bigint): number;
  spaceDrop(birth: bigint): number;
  spaceWants(): number;
  spaceInstall(): number;
  spaceAbandon(): void;
}

const table = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  table[i] = crc >>> 0;
}

/** CRC32C, bit for bit from its definition. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = 0xffffffff;
  for (let i = from; i < to; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}

/** A durable meta generation as a meta slot describes it. */
export interface Durable {
  pointer: Uint8Array;
  level: number;
  pages: number;
  birth: number;
}

/** What a bitmap says: the pages in use, and the pages it consists of. */
export interface Usage {
  used: Set<number>;
  own: Set<number>;
  count: number;
}

/** One kernel instance over a disk. */
export class Space {
  readonly kernel: Kernel;
  readonly x: SpaceExports;
  readonly pageSize: number;
  reads = 0;

  constructor(readonly shift: number, readonly disk: Map<number, Uint8Array>) {
    this.kernel = new Kernel(spaceModule());
    this.x = this.kernel.exports as unknown as SpaceExports;
    this.pageSize = 1 << shift;
    assertEquals(this.x.spaceReset(shift, ID_LO, ID_HI), OK);
  }

  /** Calls until the call has all pages it needs; the final status. */
  run(call: () => number): number {
    for (;;) {
      const status = call();
      if (status !== NEED_PAGE) return status;
      assert(this.x.spaceWants() !== 0, "somebody else wants a page");
      const page = this.kernel.word(CTRL_NEED_PAGE), bytes = this.disk.get(page);
      assert(bytes !== undefined, `page ${page} is read but was never written`);
      this.kernel.u8.set(bytes, this.kernel.word(CTRL_NEED_AT));
      this.reads++;
      const installed = this.x.spaceInstall();
      if (installed !== OK) return installed;
    }
  }

  ok(call: () => number): void {
    assertEquals(this.run(call), OK);
  }

  allocate(): number {
    this.ok(() => this.x.spaceAllocate());
    return this.x.spacePlace();
  }

  allocateRun(count: number): number {
    this.ok(() => this.x.spaceAllocateRun(count));
    return this.x.spacePlace();
  }

  /** Writes at most `max` of the finished bitmap's pages. */
  write(max = Infinity): number {
    let count = 0;
    for (; count < max && this.x.spaceOutNext() === OK; count++) {
      const at = this.kernel.word(CTRL_OUT_AT);
      this.disk.set(this.kernel.word(CTRL_OUT_PAGE), this.kernel.u8.slice(at, at + this.pageSize));
    }
    if (max === Infinity) assertEquals(this.x.spaceOutNext(), DONE);
    return count;
  }

  durable(birth: number): Durable {
    const at = (this.kernel.ctrl + SCRATCH) << 2;
    this.x.spaceRoot(at);
    return { pointer: this.kernel.u8.slice(at, at + 14), level: this.x.spaceLevel(), pages: this.x.spacePageCount(), birth };
  }

  open(newest: Durable, older?: Durable): number {
    const at = (this.kernel.ctrl + SCRATCH) << 2;
    this.kernel.u8.set(newest.pointer, at);
    const status = this.x.spaceOpen(at, newest.level, newest.pages, BigInt(newest.birth));
    if (status !== OK || older === undefined) return status;
    this.kernel.u8.set(older.pointer, at);
    return this.x.spaceOlder(at, older.level, older.pages, BigInt(older.birth));
  }
}

/** Reads a bitmap from the disk as FORMAT.md describes it, checking everything on the way. Without `collect`, only counts the pages in use. */
export function readBitmap(disk: Map<number, Uint8Array>, pageSize: number, state: Durable, collect = true): Usage {
  const used = new Set<number>(), own = new Set<number>();
  let top = -1;
  const bits = (pageSize - PAGE_HEADER) * 8, fanout = Math.floor((pageSize - PAGE_HEADER) / BITMAP_ENTRY);
  const visit = (pointer: DataView, level: number, position: number): number => {
    const number = pointer.getUint32(0, true), page = disk.get(number);
    assert(page !== undefined && !own.has(number));
    own.add(number);
    const view = new DataView(page.buffer, page.byteOffset);
    assertEquals(crc32c(page, 4), view.getUint32(PAGE_CRC, true));
    assertEquals(pointer.getUint32(POINTER_CRC, true), view.getUint32(PAGE_CRC, true));
    assertEquals(pointer.getUint32(POINTER_BIRTH, true), view.getUint32(PAGE_BIRTH, true));
    assert(view.getUint32(PAGE_BIRTH, true) <= state.birth);
    assertEquals([view.getUint8(PAGE_TYPE), view.getUint8(PAGE_LEVEL)], [level ? PAGE_BITMAP_INDEX : PAGE_BITMAP, level]);
    assertEquals([view.getUint32(PAGE_NUMBER, true), view.getUint32(BITMAP_POSITION, true)], [number, position]);
    assertEquals([view.getUint32(PAGE_FILE_ID, true), view.getUint32(PAGE_FILE_ID + 4, true)], [ID_LO, ID_HI]);
    let count = 0;
    if (level === 0) {
      for (let i = PAGE_HEADER; i < pageSize; i++) {
        if (page[i] === 0) continue;
        for (let b = 0; b < 8; b++) {
          if ((page[i]! >> b & 1) === 0) continue;
          const number = position * bits + (i - PAGE_HEADER) * 8 + b;
          if (collect) used.add(number);
          if (number > top) top = number;
          count++;
        }
      }
      return count;
    }
    for (let i = 0; i < fanout; i++) {
      const at = PAGE_HEADER + i * BITMAP_ENTRY, entry = new DataView(page.buffer, page.byteOffset + at, BITMAP_ENTRY);
      if (entry.getUint32(0, true) === 0) {
        assertEquals(entry.getUint32(BITMAP_USED, true), 0);
        continue;
      }
      const below = visit(entry, level - 1, position * fanout + i);
      assertEquals(entry.getUint32(BITMAP_USED, true), below);
      assert(below > 0);
      count += below;
    }
    return count;
  };
  const count = visit(new DataView(state.pointer.buffer, state.pointer.byteOffset), state.level, 0);
  assertEquals(state.pages, top + 1);
  for (const page of own) assert(!collect || used.has(page), `bitmap page ${page} is not marked in use`);
  return { used, own, count };
}

/** A listed generation of the model. */
export interface Generation {
  birth: number;
  used: Set<number>;
  holds: number;
}

/** The rules of assembly/space.ts, the slow and obvious way. */
export class Model {
  generations: Generation[] = [];
  /** Pages of the next generation that are not the bitmap's own. */
  content = new Set<number>();
  given = new Set<number>();
  #busy = new Uint8Array(1 << 16);
  #low = 0;

  recompute(): void {
    this.#busy.fill(0);
    this.#low = 0;
    for (const generation of this.generations) for (const page of generation.used) this.#set(page);
    for (const page of this.given) this.#set(page);
  }

  #set(page: number): void {
    while (page >= this.#busy.length) {
      const larger = new Uint8Array(this.#busy.length * 2);
      larger.set(this.#busy);
      this.#busy = larger;
    }
    this.#busy[page] = 1;
  }

  busy(page: number): boolean {
    return this.#busy[page] === 1;
  }

  /** Where a run of `count` pages has to go. */
  place(count: number): number {
    while (this.#busy[this.#low] === 1) this.#low++;
    for (let start = this.#low;;) {
      let length = 0;
      while (length < count && this.#busy[start + length] !== 1) length++;
      if (length === count) return start;
      start += length;
      while (this.#busy[start] === 1) start++;
    }
  }

  give(page: number, count: number): void {
    for (let i = page; i < page + count; i++) {
      assert(!this.busy(i), `page ${i} is given out twice`);
      this.given.add(i);
      this.content.add(i);
      this.#set(i);
    }
  }

  free(page: number, count: number): void {
    for (let i = page; i < page + count; i++) assert(this.content.delete(i));
  }

  freezeBegin(): void {
    this.generations = this.generations.filter((generation, i) => generation.holds > 0 || i === this.generations.length - 1);
    this.recompute();
  }

  /** Checks a new generation's bitmap against the model and lists it. */
  finalized(birth: number, usage: Usage): void {
    const before = this.generations[this.generations.length - 1];
    for (const page of usage.own) {
      assert(!this.content.has(page), `bitmap page ${page} holds something else`);
      if (before === undefined || !before.used.has(page)) assert(!this.busy(page), `bitmap page ${page} was not free`);
    }
    assertEquals(usage.used.size, this.content.size + usage.own.size);
    for (const page of this.content) assert(usage.used.has(page), `page ${page} is in use but free in the bitmap`);
    this.generations.push({ birth, used: usage.used, holds: 1 });
    this.given = new Set();
    this.recompute();
  }
}
