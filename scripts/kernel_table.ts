// Moves the kernel's functions from its exports into an exported table.
//
// An engine makes an object for each exported function of each instance, needed or not: of a hundred functions that is four fifths of the time that making an instance takes. A function in a table becomes an object when somebody asks for it.
// The table has the export name "functions"; the custom section of the same name holds the functions' names, in the order of the table, with commas between them (src/kernel/functions.ts reads both).
import { EXPORTED, type Exported, exportsOf, nameBytes, SECTION, sectionBytes, sectionsOf, unsigned } from "./wasm_sections.ts";

const NAME = "functions";
const FUNCREF = 0x70, ACTIVE = 0, CONST = 0x41, END = 0x0b, BOUNDED = 1;

/** The module with its functions in a table, ordered by name. */
export function withFunctionTable(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const exported = exportsOf(wasm);
  const functions = exported.filter(({ kind }) => kind === EXPORTED.function).sort((a, b) => a.name < b.name ? -1 : 1);
  const others = exported.filter(({ kind }) => kind !== EXPORTED.function);
  const made = [
    { id: SECTION.table, content: [1, FUNCREF, BOUNDED, ...unsigned(functions.length), ...unsigned(functions.length)] },
    { id: SECTION.export, content: exportSection([...others, { name: NAME, kind: EXPORTED.table, index: 0 }]) },
    {
      id: SECTION.element,
      content: [1, ACTIVE, CONST, 0, END, ...unsigned(functions.length), ...functions.flatMap(({ index }) => unsigned(index))],
    },
  ];
  const kept = sectionsOf(wasm).filter(({ id }) => id !== SECTION.export);
  if (kept.some(({ id }) => id === SECTION.table || id === SECTION.element)) throw new Error("the kernel has a table already");
  const out = [...wasm.subarray(0, 8)];
  // Sections are in the order of their ids.
  for (const { id, start, end } of kept) {
    while (made.length > 0 && made[0]!.id < id) out.push(...sectionBytes(made[0]!.id, made.shift()!.content));
    for (let at = start; at < end; at++) out.push(wasm[at]!);
  }
  for (const { id, content } of made) out.push(...sectionBytes(id, content));
  out.push(...sectionBytes(SECTION.custom, [...nameBytes(NAME), ...new TextEncoder().encode(functions.map(({ name }) => name).join(","))]));
  return new Uint8Array(out);
}

function exportSection(exported: readonly Exported[]): number[] {
  return [...unsigned(exported.length), ...exported.flatMap(({ name, kind, index }) => [...nameBytes(name), kind, ...unsigned(index)])];
}
