// Whatever the kernel's memory held before, the file gets the same bytes: nothing that was left over in it is ever written, and nothing is read before it was set.
//
// A workload runs in kernels whose free memory is zero, as it comes, and in kernels whose free memory is full of a pattern. Every call of the storage must be the same, byte for byte.
import { functionNames } from "../../../src/kernel/functions.ts";
import { FaultPlan } from "../faulty_storage.ts";
import { settled, WORKLOADS } from "../io_errors/run.ts";
import { Seen } from "../io_errors/subject.ts";

/** Memory that a kernel finds there from the beginning: more than a workload needs, so that what it grows into is filled too. */
const PAGES = 24 * 16;
const PATTERN = Uint8Array.of(0xc5, 0x9e, 0x3a, 0x71, 0xd4, 0x0b, 0x8f, 0x62);
/** A piece of it that no file holds by chance. */
const PIECE = 6;

function fill(module: WebAssembly.Module, exports: WebAssembly.Exports): void {
  const memory = exports.memory as WebAssembly.Memory;
  memory.grow(PAGES - memory.buffer.byteLength / 65536);
  // The first block that is asked for lies where free memory begins.
  const arena = (exports.functions as WebAssembly.Table).get(functionNames(module).indexOf("arena")) as (bytes: number) => number;
  const from = arena(65536) >>> 0;
  const bytes = new Uint8Array(memory.buffer);
  for (let at = from; at < bytes.length; at++) bytes[at] = PATTERN[at & 7]!;
}

async function writesOf(name: string, seed: number, filled: boolean): Promise<{ at: number; bytes: Uint8Array }[]> {
  const workload = WORKLOADS[name]!;
  const disk = await workload.disk();
  const plan = new FaultPlan();
  const writes: { at: number; bytes: Uint8Array }[] = [];
  plan.onWrite = (at, from) => void writes.push({ at, bytes: from.slice() });
  const real = WebAssembly.Instance;
  const made = function (module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
    const instance = new real(module, imports);
    if (filled) fill(module, instance.exports);
    return instance;
  };
  WebAssembly.Instance = made as unknown as typeof WebAssembly.Instance;
  try {
    const subject = workload.subject(disk, plan, [], seed);
    await settled(workload.run(subject));
    await settled(subject.finish(new Seen()));
  } finally {
    WebAssembly.Instance = real;
  }
  return writes;
}

function holdsPattern(bytes: Uint8Array): boolean {
  for (let at = 0; at + PIECE <= bytes.length; at++) {
    const start = PATTERN.indexOf(bytes[at]!);
    if (start < 0) continue;
    let same = 1;
    while (same < PIECE && bytes[at + same] === PATTERN[(start + same) & 7]) same++;
    if (same === PIECE) return true;
  }
  return false;
}

/** Runs a workload in both kinds of memory; the bytes that were compared. */
export async function leftovers(name: string, seed: number): Promise<number> {
  const clean = await writesOf(name, seed, false);
  const filled = await writesOf(name, seed, true);
  if (clean.length !== filled.length) throw new Error(`${filled.length} writes, ${clean.length} from clean memory`);
  let total = 0;
  filled.forEach(({ at, bytes }, i) => {
    const wanted = clean[i]!;
    if (holdsPattern(bytes)) throw new Error(`write ${i}, at ${at}, holds what was left over in memory`);
    if (wanted.at !== at || wanted.bytes.length !== bytes.length) throw new Error(`write ${i} is another one than from clean memory`);
    const differs = bytes.findIndex((byte, offset) => byte !== wanted.bytes[offset]);
    if (differs >= 0) throw new Error(`byte ${at + differs} of write ${i} depends on what memory held before`);
    total += bytes.length;
  });
  return total;
}
