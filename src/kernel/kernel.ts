// The kernel as the host sees it: one WebAssembly instance, views of its memory, and status checks.
//
// Only the files of this folder touch WebAssembly. Growing detaches every view, which then has length 0 and is renewed on the next use: use `kernel.u8`,
// `kernel.u32` and `kernel.f64` afresh after each call and never keep one.
import type { ManifestError } from "../errors.ts";
import type { KernelExports } from "./abi.ts";
import { kernelFunctions } from "./functions.ts";

/** One instance of the kernel with views of its memory. */
export class Kernel {
  /** The exported functions; see `abi.ts`. */
  readonly exports: KernelExports;
  /** Called with the error of a trap, which every call throws from then on. */
  onTrap: (error: ManifestError) => void = () => {};
  readonly #memory: WebAssembly.Memory;
  #u8: Uint8Array;
  #u32: Uint32Array;
  #f64: Float64Array;
  #i64: BigInt64Array;
  /** Index of the control block's first word in `u32`. */
  readonly ctrl: number;

  constructor(module: WebAssembly.Module) {
    const instance = new WebAssembly.Instance(module, {});
    this.exports = kernelFunctions(module, instance, (error) => this.onTrap(error));
    this.#memory = instance.exports.memory as WebAssembly.Memory;
    const { buffer } = this.#memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
    this.ctrl = this.exports.ctrlAddress() >>> 2;
  }

  #renew(): void {
    const { buffer } = this.#memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
  }

  /** Memory as bytes. */
  get u8(): Uint8Array {
    if (this.#u8.length === 0) this.#renew();
    return this.#u8;
  }

  /** Memory as 32-bit words: index = address / 4. */
  get u32(): Uint32Array {
    if (this.#u32.length === 0) this.#renew();
    return this.#u32;
  }

  /** Memory as doubles: index = address / 8. */
  get f64(): Float64Array {
    if (this.#f64.length === 0) this.#renew();
    return this.#f64;
  }

  /** Memory as signed 64-bit integers: index = address / 8. */
  get i64(): BigInt64Array {
    if (this.#i64.length === 0) this.#renew();
    return this.#i64;
  }

  /** Bytes of linear memory. */
  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** A word of the control block. */
  word(index: number): number {
    return this.u32[this.ctrl + index]!;
  }
}
