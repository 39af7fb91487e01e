// Altered kernels: the committed module with one exported function replaced, or with less memory than it asks for. Only bytes are exchanged, so that it works on every runtime without a compiler.
import { readFileSync } from "node:fs";
import { numberAt, SECTION, sectionBytes, sectionOf, unsigned } from "../../scripts/wasm_sections.ts";
import { functionNames } from "../../src/kernel/functions.ts";

const UNREACHABLE = 0x00, NOP = 0x01, END = 0x0b, RETURN = 0x0f, CONST = 0x41;
/** In front of the indexes in the section of elements: one segment, active, from place 0 on. */
const SEGMENT_HEAD = 5;

/** The bytes of a signed constant. */
function signed(value: number): number[] {
  const out: number[] = [];
  for (;; value >>= 7) {
    const byte = value & 0x7f;
    const rest = value >> 7;
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return [...out, byte];
    out.push(byte | 0x80);
  }
}

/** The index of a function of the kernel's table; the kernel imports nothing, so it is also its place in the code. */
function indexOf(bytes: Uint8Array<ArrayBuffer>, name: string): number {
  const place = functionNames(new WebAssembly.Module(bytes)).indexOf(name);
  if (place < 0) throw new Error(`the kernel has no function ${name}`);
  let { next: at } = numberAt(bytes, sectionOf(bytes, SECTION.element).at + SEGMENT_HEAD);
  for (let i = 0;; i++) {
    const { value, next } = numberAt(bytes, at);
    if (i === place) return value;
    at = next;
  }
}

function replaceBody(name: string, code: readonly number[]): WebAssembly.Module {
  const bytes = kernelBytes();
  let { next: at } = numberAt(bytes, sectionOf(bytes, SECTION.code).at);
  for (let index = indexOf(bytes, name); index > 0; index--) {
    const size = numberAt(bytes, at);
    at = size.next + size.value;
  }
  const { value: size, next: start } = numberAt(bytes, at);
  if (code.length + 2 > size) throw new Error(`the body of ${name} is too short`);
  bytes.fill(NOP, start, start + size);
  bytes.set([0, ...code], start); // no locals
  bytes[start + size - 1] = END;
  return new WebAssembly.Module(bytes);
}

function kernelBytes(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync("core.wasm"));
}

/** A kernel in which a call of this export traps. */
export function kernelThatTraps(name: string): WebAssembly.Module {
  return replaceBody(name, [UNREACHABLE]);
}

/** A kernel in which this export answers a number and does nothing. */
export function kernelThatAnswers(name: string, value: number): WebAssembly.Module {
  return replaceBody(name, [CONST, ...signed(value), RETURN]);
}

/** A kernel whose memory cannot grow beyond so many bytes (of 64 KiB pages). */
export function kernelWithin(memoryBytes: number): WebAssembly.Module {
  const bytes = kernelBytes();
  const { start, at, end } = sectionOf(bytes, SECTION.memory);
  const { value: initial } = numberAt(bytes, numberAt(bytes, at).next + 1);
  const content = [1, 1, ...unsigned(initial), ...unsigned(Math.floor(memoryBytes / 65536))];
  const out = [...bytes.subarray(0, start), ...sectionBytes(SECTION.memory, content), ...bytes.subarray(end)];
  return new WebAssembly.Module(new Uint8Array(out));
}
