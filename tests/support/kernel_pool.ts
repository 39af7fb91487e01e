// Kernels that are used again: what a stage opens within one case runs on instances of cases before, whose memory is mapped already.
//
// A stage opens some hundred thousand stores, and a third of the time of a short one goes into a new instance and the first touch of its memory. The pool's module is the committed one with one function added: it sets every
// global that can change back to its first value, fills what was used of memory with zeros, and runs the start function. That is, by construction, the state of a new instance; `tests/kernel/kernel_pool_test.ts` compares. Memory that has grown stays so.
// Invariant: nobody holds a kernel beyond the case that made it.
import { readFileSync } from "node:fs";
import { EXPORTED, nameBytes, numberAt, SECTION, sectionBytes, sectionOf, sectionsOf, unsigned } from "../../scripts/wasm_sections.ts";
import { functionNames } from "../../src/kernel/functions.ts";
import { kernelModule } from "../../src/kernel/loader.ts";

/** What the first call of `arena` takes. */
const ARENA_BYTES = 65536;
const RESET = "reset", GLOBALS = "global ";
const TYPE = 1, FUNCTION = 3, GLOBAL = 6, START = 8;
const CONST: Readonly<Record<number, number>> = { 0x41: 0, 0x42: 0, 0x43: 4, 0x44: 8 }; // operator: bytes of its number, 0 for LEB128
const END = 0x0b, CALL = 0x10, LOCAL_GET = 0x20, GLOBAL_SET = 0x24, I32_CONST = 0x41, MEMORY_FILL = [0xfc, 11, 0];
const FUNCTION_TYPE = 0x60, I32 = 0x7f, MUTABLE = 1, EXPORTED_GLOBAL = 3;

/** The globals that can change: their numbers, and the code that gives each its first value. */
function globalsOf(bytes: Uint8Array): { indexes: number[]; code: number[] } {
  const code: number[] = [], indexes: number[] = [];
  let { value: count, next: at } = numberAt(bytes, sectionOf(bytes, GLOBAL).at);
  for (let index = 0; index < count; index++) {
    const isMutable = bytes[at + 1] === MUTABLE;
    const from = at + 2;
    const size = CONST[bytes[from]!];
    if (size === undefined) throw new Error(`global ${index} does not begin with a constant`);
    at = size > 0 ? from + 1 + size : numberAt(bytes, from + 1).next;
    if (bytes[at] !== END) throw new Error(`global ${index} begins with more than a constant`);
    if (isMutable) {
      indexes.push(index);
      code.push(...bytes.subarray(from, at), GLOBAL_SET, ...unsigned(index));
    }
    at++;
  }
  return { indexes, code };
}

/** A list section with entries more. */
function longer(bytes: Uint8Array, id: number, ...entries: readonly (readonly number[])[]): { content: number[]; count: number } {
  const { at, end } = sectionOf(bytes, id);
  const { value: count, next } = numberAt(bytes, at);
  return { content: [...unsigned(count + entries.length), ...bytes.subarray(next, end), ...entries.flat()], count };
}

/** The kernel with the function `reset(bytes)` added, which gives the state of a new instance back after so many bytes of memory were used, and with its changing globals exported. */
export function resettable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = sectionsOf(bytes).find(({ id }) => id === START);
  const zeros = [I32_CONST, 0, I32_CONST, 0, LOCAL_GET, 0, ...MEMORY_FILL];
  const restart = start === undefined ? [] : [CALL, ...unsigned(numberAt(bytes, start.at).value)];
  const globals = globalsOf(bytes);
  const body = [0, ...zeros, ...globals.code, ...restart, END];
  const type = longer(bytes, TYPE, [FUNCTION_TYPE, 1, I32, 0]);
  const declared = longer(bytes, FUNCTION, unsigned(type.count));
  const changed: Readonly<Record<number, number[]>> = {
    [TYPE]: type.content,
    [FUNCTION]: declared.content,
    [SECTION.export]: longer(
      bytes,
      SECTION.export,
      [...nameBytes(RESET), EXPORTED.function, ...unsigned(declared.count)],
      ...globals.indexes.map((index) => [...nameBytes(`${GLOBALS}${index}`), EXPORTED_GLOBAL, ...unsigned(index)]),
    ).content,
    [SECTION.code]: longer(bytes, SECTION.code, [...unsigned(body.length), ...body]).content,
  };
  const out = [...bytes.subarray(0, 8)];
  for (const { id, start, end } of sectionsOf(bytes)) {
    const content = changed[id];
    for (const byte of content === undefined ? bytes.subarray(start, end) : sectionBytes(id, content)) out.push(byte);
  }
  return new Uint8Array(out);
}

const Fresh = WebAssembly.Instance;
/** Memory of a kernel that is used again, at most. */
const MOST_BYTES = 4 << 20;

/** The pool's module, made when it is first needed, and the global in which the kernel keeps where unused memory begins. */
class Pool {
  readonly #module = new WebAssembly.Module(resettable(readFileSync("core.wasm")));
  readonly #top: string;
  readonly #free: WebAssembly.Instance[] = [];

  constructor() {
    const { exports } = new Fresh(this.#module);
    const arena = (exports.functions as WebAssembly.Table).get(functionNames(this.#module).indexOf("arena")) as (bytes: number) => number;
    const end = arena(1) + ARENA_BYTES; // the first and last block
    const names = Object.keys(exports).filter((name) => name.startsWith(GLOBALS) && (exports[name] as WebAssembly.Global).value === end);
    if (names.length !== 1) throw new Error(`${names.length} globals say where unused memory begins`);
    this.#top = names[0]!;
  }

  take(): WebAssembly.Instance {
    return this.#free.pop() ?? new Fresh(this.#module);
  }

  giveBack(instance: WebAssembly.Instance): void {
    const { exports } = instance;
    if ((exports.memory as WebAssembly.Memory).buffer.byteLength > MOST_BYTES) return;
    (exports[RESET] as (bytes: number) => void)((exports[this.#top] as WebAssembly.Global).value as number);
    this.#free.push(instance);
  }
}

let pool: Pool | undefined;
let lent: WebAssembly.Instance[] | undefined;

WebAssembly.Instance = function (wanted: WebAssembly.Module, imports?: WebAssembly.Imports): WebAssembly.Instance {
  if (lent === undefined || wanted !== kernelModule()) return new Fresh(wanted, imports);
  const instance = (pool ??= new Pool()).take();
  lent.push(instance);
  return instance;
} as unknown as typeof WebAssembly.Instance;

/** Runs one case. When it has ended well, the kernels that it has made go into the pool. Cases do not run side by side; one may run within another. */
export async function recycling<T>(run: () => Promise<T>): Promise<T> {
  const around = lent;
  const mine = lent = [] as WebAssembly.Instance[];
  try {
    const answer = await run();
    for (const instance of mine) pool!.giveBack(instance);
    return answer;
  } finally {
    lent = around;
  }
}
