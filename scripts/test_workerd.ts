// The package inside workerd, through Miniflare on Node: once compiling its own bytes at module top level, once with a module passed to `open`, at a date
// whose runtime forbids compiling.
import { build } from "esbuild";
import { type Job, runProgram, tail } from "./gate.ts";
import { npmFolder, PINS, type Runtimes } from "./tools.ts";

const OUT = ".build/workerd";
const SCRIPTS = "tests/tooling/scripts";

const CASES = [
  { name: "workerd: commits in memory with the inlined kernel", date: "2026-04-01", pass: false },
  { name: "workerd: commits in memory with a passed module where compiling is forbidden", date: "2025-05-01", pass: true },
];

/** One job for each way to load the kernel. */
export function workerdJobs(runtimes: Runtimes): Job[] {
  let ready: Promise<string> | undefined;
  async function prepare(): Promise<string> {
    const [folder] = await Promise.all([
      npmFolder("miniflare", { miniflare: PINS.miniflare }),
      build({
        entryPoints: [`${SCRIPTS}/worker.ts`],
        bundle: true,
        format: "esm",
        platform: "neutral",
        target: "es2022",
        outfile: `${OUT}/worker.js`,
        external: ["*.wasm"],
        logLevel: "error",
      }),
      build({
        entryPoints: [`${SCRIPTS}/run_worker.ts`],
        bundle: true,
        format: "esm",
        platform: "node",
        target: "node20",
        outfile: `${OUT}/run_worker.mjs`,
        logLevel: "error",
      }),
    ]);
    return folder;
  }
  return CASES.map(({ name, date, pass }) => ({
    stage: "workerd",
    name,
    weight: 500,
    async run() {
      const folder = await (ready ??= prepare());
      const { code, text } = await runProgram(runtimes.node, [
        `${OUT}/run_worker.mjs`,
        folder,
        `${OUT}/worker.js`,
        date,
        pass ? "pass" : "inline",
      ], 120);
      return code === 0 ? { passed: 1, failures: [] } : { passed: 0, failures: [`${name}\n${tail(text)}`] };
    },
  }));
}
