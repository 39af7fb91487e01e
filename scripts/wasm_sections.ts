// The sections of a WebAssembly module as bytes: found, and written. What the build of the kernel and the tests that alter it need of the binary format, and no more.
//
// Source of the layout: WebAssembly Core Specification, "Binary Format", modules.

/** Ids of sections. */
export const SECTION = { custom: 0, table: 4, memory: 5, export: 7, element: 9, code: 10 } as const;
/** Kinds of exports. */
export const EXPORTED = { function: 0, table: 1 } as const;

/** Where a section begins, and its content; it ends at `end`. */
export interface Section {
  readonly id: number;
  readonly start: number;
  readonly at: number;
  readonly end: number;
}

/** An export: its name, what it is, and its index among those. */
export interface Exported {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/** Reads an unsigned number (LEB128), and says what follows it. */
export function numberAt(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0;; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}

/** The bytes of an unsigned number. */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) out.push((value % 0x80) | 0x80);
  return [...out, value];
}

/** The bytes of a name. */
export function nameBytes(name: string): number[] {
  const bytes = new TextEncoder().encode(name);
  return [...unsigned(bytes.length), ...bytes];
}

/** The bytes of a section. */
export function sectionBytes(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** Every section of a module, in order. */
export function sectionsOf(bytes: Uint8Array): Section[] {
  const found: Section[] = [];
  for (let at = 8; at < bytes.length;) {
    const { value, next } = numberAt(bytes, at + 1);
    found.push({ id: bytes[at]!, start: at, at: next, end: next + value });
    at = next + value;
  }
  return found;
}

/** The section with this id; throws when there is none. */
export function sectionOf(bytes: Uint8Array, id: number): Section {
  const found = sectionsOf(bytes).find((section) => section.id === id);
  if (found === undefined) throw new Error(`the module has no section ${id}`);
  return found;
}

/** What a module exports. */
export function exportsOf(bytes: Uint8Array): Exported[] {
  let { value: count, next: at } = numberAt(bytes, sectionOf(bytes, SECTION.export).at);
  const found: Exported[] = [];
  for (; count > 0; count--) {
    const length = numberAt(bytes, at);
    const kindAt = length.next + length.value;
    const index = numberAt(bytes, kindAt + 1);
    found.push({ name: new TextDecoder().decode(bytes.subarray(length.next, kindAt)), kind: bytes[kindAt]!, index: index.value });
    at = index.next;
  }
  return found;
}
