// No second implementation: with any one export of the kernel replaced by a trap, the smoke suite must fail.
//
// For each exported function a module is made whose export of that name does nothing but trap (calls inside the kernel keep the real one). A control, rewritten the same
// way without a trap, must pass, so that a failure means the trap and not the rewriting.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import binaryen from "binaryen";
import { build } from "esbuild";
import { type Job, type JobResult, runProgram, tail } from "./gate.ts";
import { functionNames } from "../src/kernel/functions.ts";
import { codeOf, sourceFiles } from "../tests/support/source.ts";
import type { Runtimes } from "./tools.ts";

const OUT = ".build/traps";
const BATCHES = 2;
const TIMEOUT_SECONDS = 240;

/** Exports that are no part of the data path. One that src/ calls is tried all the same. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  cacheEvictions: "counter for tests",
  cacheReads: "counter for tests",
  cacheSpills: "counter for tests",
  checkEnd: "ends a check that is given up",
  codecTape: "size for tests",
  frameAppend: "journal groups without transactions, for tests",
  frozenPages: "size for tests",
  groupBytes: "size for tests",
  groupFrames: "counter for tests",
  marks: "counters for tests",
  parsedDurableGroup: "journal groups, for tests",
  sealLeft: "counter for tests",
  stateNew: "a state without a file, for tests: the store loads one",
  spillBase: "where spilling starts, for tests: the store moves it with spillReset",
  treeLevel: "size for tests",
  treeRunPages: "size for tests",
  versionNewest: "for tests",
};

/** What run_traps.ts answers: for each module, why the suite failed; null when it passed. */
type Outcomes = Record<string, string | null>;

/** Names that src/ calls as methods, outside the declaration of the boundary. */
function calledFromSources(): Set<string> {
  const called = new Set<string>();
  for (const path of sourceFiles("src")) {
    if (path === "src/kernel/abi.ts" || path === "src/kernel/wasm_bytes.ts") continue;
    for (const match of codeOf(readFileSync(path, "utf8")).matchAll(/\.(\w+)\(/g)) called.add(match[1]!);
  }
  return called;
}

/** The module with one export, when named, replaced by a trap. */
export function withTrap(wasm: Uint8Array<ArrayBuffer>, name: string | undefined): Uint8Array {
  const module = binaryen.readBinary(wasm);
  module.setFeatures(binaryen.Features.All);
  if (name !== undefined) {
    const place = functionNames(new WebAssembly.Module(wasm)).indexOf(name);
    const segment = binaryen.getElementSegmentInfo(module.getElementSegmentByIndex(0));
    const { params, results } = binaryen.getFunctionInfo(module.getFunction(segment.data[place]!));
    module.addFunction("trap", params, results, [], module.unreachable());
    module.removeElementSegment(segment.name);
    const functions = segment.data.map((value, i) => i === place ? "trap" : value);
    module.addActiveElementSegment(segment.table, segment.name, functions, module.i32.const(0));
  }
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

/** Jobs that together run the smoke suite once for each trapped export, and once for the control. */
export function trapJobs(runtimes: Runtimes): Job[] {
  const wasm = new Uint8Array(readFileSync("core.wasm"));
  const called = calledFromSources();
  const names = functionNames(new WebAssembly.Module(wasm)).filter((name) => !(name in EXCEPTIONS) || called.has(name));
  let ready: Promise<unknown> | undefined;

  async function prepare(): Promise<void> {
    rmSync(OUT, { recursive: true, force: true });
    mkdirSync(OUT, { recursive: true });
    writeFileSync(`${OUT}/control.wasm`, withTrap(wasm, undefined));
    for (const name of names) writeFileSync(`${OUT}/${name}.wasm`, withTrap(wasm, name));
    await build({
      entryPoints: ["tests/tooling/scripts/run_traps.ts"],
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      outfile: `${OUT}/run_traps.mjs`,
      alias: { "@std/assert": "./tests/support/assert.ts" },
      external: ["bun:*"],
      logLevel: "error",
    });
  }

  async function runBatch(batch: string[]): Promise<JobResult> {
    await (ready ??= prepare());
    const { code, text } = await runProgram(
      runtimes.node,
      ["--no-warnings", `${OUT}/run_traps.mjs`, OUT, "control", ...batch],
      TIMEOUT_SECONDS,
    );
    const line = text.split("\n").find((line) => line.startsWith("OUTCOMES "));
    if (code !== 0 || line === undefined) return { passed: 0, failures: [`traps: exit code ${code}\n${tail(text, 5)}`] };
    const outcomes = JSON.parse(line.slice("OUTCOMES ".length)) as Outcomes;
    writeFileSync(`${OUT}/outcomes-${batch[0]}.json`, JSON.stringify(outcomes, null, 2));
    if (outcomes.control !== null) return { passed: 0, failures: [`traps: the smoke suite fails without a trap: ${outcomes.control}`] };
    const failures = batch.filter((name) => typeof outcomes[name] !== "string").map((name) =>
      called.has(name)
        ? `traps: the smoke suite passes with ${name} replaced by a trap: is there a second implementation?`
        : `traps: nothing in src/ calls ${name}: it need not be exported, or belongs to the exceptions`
    );
    const silent = batch.filter((name) => outcomes[name]?.includes("never settled"));
    const note = silent.length === 0 ? undefined : `never settled: ${silent.join(", ")}`;
    return { passed: batch.length - failures.length, failures, note };
  }

  return Array.from({ length: BATCHES }, (_, i) => ({
    stage: "traps",
    name: `traps: each export of the kernel is needed, part ${i + 1} of ${BATCHES}`,
    weight: 900,
    run: () => runBatch(names.filter((_name, index) => index % BATCHES === i)),
  }));
}
