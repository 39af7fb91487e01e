// The host's side of the kernel's arena: bump allocation of what goes into a call.
//
// Offsets count from the arena's start and survive its growth; addresses do not. The views cover the arena alone, so a tape's slot is its index.
// `reset` must come first in every turn: another kernel call may have moved or grown memory since. Nothing else may call `exports.arena` between
// `reset` and the call that uses what was staged.
import { fail, failLimit } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";

const FIRST_SIZE = 1 << 16;
/** The kernel's blocks end here. */
const SIZE_MOST = 1 << 30;

/** A bump allocator over the kernel's arena. */
export class Arena {
  /** The arena as bytes: index = offset. */
  u8: Uint8Array = new Uint8Array(0);
  /** As words: index = offset / 4. */
  u32: Uint32Array = new Uint32Array(0);
  /** As doubles: index = offset / 8, a slot. */
  f64: Float64Array = new Float64Array(0);
  /** As 64-bit integers: index = slot. */
  i64: BigInt64Array = new BigInt64Array(0);
  /** Address of offset 0. */
  base: number = 0;
  /** Offset of the first free byte. */
  top: number = 0;
  #kernel: Kernel;
  #size: number = 0;

  /** An allocator; arenas of one kernel share the same memory, so only one may be in use at a time. */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Starts over at an offset (a multiple of 8). */
  reset(start = 0): void {
    this.top = start;
    this.renew();
  }

  /** Makes the views right again after other kernel calls; what is staged stays. */
  renew(): void {
    this.#reserve(Math.max(FIRST_SIZE, this.#size));
  }

  /** Takes `bytes` bytes at any alignment; returns their offset. */
  take(bytes: number): number {
    const at = this.top;
    const end = at + bytes;
    if (end > this.u8.length) this.#grow(end);
    this.top = end;
    return at;
  }

  /** Takes `slots` slots of 8 bytes; returns the index of the first. */
  tape(slots: number): number {
    const at = (this.top + 7) >>> 3;
    const end = (at + slots) * 8;
    if (end > this.u8.length) this.#grow(end);
    this.top = end;
    return at;
  }

  /** Copies bytes in; returns their offset. */
  put(bytes: Uint8Array): number {
    const at = this.take(bytes.length);
    this.u8.set(bytes, at);
    return at;
  }

  #grow(end: number): void {
    // Twice the size, so that a long transaction is copied a constant number of times; whole slots.
    this.#reserve(Math.max(Math.min(this.#size * 2, SIZE_MOST), Math.ceil(end / 8) * 8));
  }

  #reserve(size: number): void {
    if (size > SIZE_MOST) {
      failLimit(`Cannot stage ${size} bytes: one transaction takes at most ${SIZE_MOST}`, { length: size, limit: SIZE_MOST });
    }
    const base = this.#kernel.exports.arena(size) >>> 0;
    if (base === 0) fail("UNAVAILABLE", `Cannot stage ${size} bytes: out of memory`, { detail: { length: size } });
    if (base === this.base && this.u8.length === size) return;
    this.base = base;
    this.#size = size;
    const buffer = this.#kernel.u8.buffer;
    this.u8 = new Uint8Array(buffer, base, size);
    this.u32 = new Uint32Array(buffer, base, size >>> 2);
    this.f64 = new Float64Array(buffer, base, size >>> 3);
    this.i64 = new BigInt64Array(buffer, base, size >>> 3);
  }
}
