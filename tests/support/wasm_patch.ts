// Altered kernels: the committed module with one exported function replaced, or with less memory than it asks for. Only bytes are exchanged, so that it works on every runtime without a compiler.
import { readFileSync } from "node:fs";

const SECTION_MEMORY = 5, SECTION_EXPORT = 7, SECTION_CODE = 10;
const UNREACHABLE = 0x00, NOP = 0x01, END = 0x0b, RETURN = 0x0f, CONST = 0x41;

interface Section {
  readonly id: number;
  /** Where the section begins, and its content; it ends at `end`. */
  readonly start: number;
  readonly at: number;
  readonly end: number;
}

function number(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0;; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}

function encoded(value: number): number[] {
  const out: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) out.push((value % 0x80) | 0x80);
  return [...out, value];
}

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

function sections(bytes: Uint8Array): Section[] {
  const found: Section[] = [];
  for (let at = 8; at < bytes.length;) {
    const start = at;
    const id = bytes[at]!;
    const { value, next } = number(bytes, at + 1);
    found.push({ id, start, at: next, end: next + value });
    at = next + value;
  }
  return found;
}

function sectionOf(bytes: Uint8Array, id: number): Section {
  return sections(bytes).find((section) => section.id === id)!;
}

/** The index of an exported function; the kernel imports nothing, so it is also its place in the code. */
function indexOf(bytes: Uint8Array, name: string): number {
  let { value: count, next: at } = number(bytes, sectionOf(bytes, SECTION_EXPORT).at);
  for (; count > 0; count--) {
    const length = number(bytes, at);
    const text = new TextDecoder().decode(bytes.subarray(length.next, length.next + length.value));
    const kind = bytes[length.next + length.value]!;
    const index = number(bytes, length.next + length.value + 1);
    if (text === name && kind === 0) return index.value;
    at = index.next;
  }
  throw new Error(`the kernel exports no function ${name}`);
}

function replaceBody(name: string, code: readonly number[]): WebAssembly.Module {
  const bytes = kernelBytes();
  let { next: at } = number(bytes, sectionOf(bytes, SECTION_CODE).at);
  for (let index = indexOf(bytes, name); index > 0; index--) {
    const size = number(bytes, at);
    at = size.next + size.value;
  }
  const { value: size, next: start } = number(bytes, at);
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
  const { start, at, end } = sectionOf(bytes, SECTION_MEMORY);
  const { value: initial } = number(bytes, number(bytes, at).next + 1);
  const content = [1, 1, ...encoded(initial), ...encoded(Math.floor(memoryBytes / 65536))];
  const out = [...bytes.subarray(0, start), SECTION_MEMORY, ...encoded(content.length), ...content, ...bytes.subarray(end)];
  return new WebAssembly.Module(new Uint8Array(out));
}
