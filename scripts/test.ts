// `deno task test`: the whole gate. Ends with one line `N passed, N failed`; the exit code is 0 only when nothing failed.
//
//   --only TEXT          only test files, proofs at full size and stages whose path contains TEXT (may be repeated)
//   --name PATTERN       only tests whose name matches the pattern
//   --runtime NAME       only on deno, bun or node (may be repeated)
//   --static             only formatting, lint, types, docs, package and kernel
//   --stage NAME         only this stage: static, deno, bun, node, scale, proofs, workerd, traps (may be repeated)
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Finished, type Job, runPool } from "./gate.ts";
import { stageJobs, stageNames } from "./test_stages.ts";
import { staticJobs } from "./test_static.ts";
import {
  differences,
  type Ran,
  readTimings,
  type RuntimeName,
  RUNTIMES,
  scaleFiles,
  scaleJobs,
  suiteJobs,
  testFiles,
  writeTimings,
} from "./test_suite.ts";
import { trapJobs } from "./test_traps.ts";
import { workerdJobs } from "./test_workerd.ts";
import { findRuntimes } from "./tools.ts";

const OFFLINE_MAP = "tests/offline.json";
const STAGES = ["static", ...RUNTIMES, "scale", "proofs", "workerd", "traps"];
const WIDTH = Math.max(1, Math.min(2, navigator.hardwareConcurrency));

const { values } = parseArgs({
  args: Deno.args,
  options: {
    only: { type: "string", multiple: true },
    name: { type: "string" },
    runtime: { type: "string", multiple: true },
    stage: { type: "string", multiple: true },
    static: { type: "boolean" },
  },
});

function chosenStages(): Set<string> {
  const asked = [...values.stage ?? [], ...values.runtime ?? [], ...values.static ? ["static"] : []];
  const unknown = asked.filter((stage) => !STAGES.includes(stage));
  if (unknown.length > 0) throw new Error(`Cannot run stage ${unknown.join(", ")}: there are ${STAGES.join(", ")}`);
  if (asked.length > 0) return new Set(asked);
  if (values.only !== undefined) return new Set([...RUNTIMES, "scale", "proofs"]);
  return new Set(values.name !== undefined ? RUNTIMES : STAGES);
}

async function jsrAnswers(): Promise<boolean> {
  try {
    const answer = await fetch("https://jsr.io/@std/assert/meta.json", { signal: AbortSignal.timeout(3000) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}

function report({ job, result, seconds }: Finished): void {
  const mark = result.failures.length === 0 ? "ok  " : "FAIL";
  const note = result.note === undefined ? "" : `, ${result.note}`;
  console.log(`${mark} ${job.stage.padEnd(7)} ${job.name}  (${result.passed} passed, ${seconds.toFixed(1)} s${note})`);
  for (const figure of result.figures ?? []) console.log(`     ${figure}`);
  for (const failure of result.failures) console.log(`     ${failure.replaceAll("\n", "\n     | ")}`);
}

const start = performance.now();
const stages = chosenStages();
const chosen = (file: string): boolean => values.only?.some((text) => file.includes(text)) ?? true;
const files = testFiles().filter(chosen);
const on = files.length === 0 ? [] : RUNTIMES.filter((runtime) => stages.has(runtime));
const proofs = stages.has("scale") ? scaleFiles().filter(chosen) : [];
const attacks = stages.has("proofs") && values.name === undefined ? stageNames(values.only) : [];
if (values.only !== undefined && on.length + proofs.length + attacks.length === 0) {
  throw new Error(`Cannot find a test file: none contains ${values.only}`);
}

mkdirSync(".build", { recursive: true });
const importMap = await jsrAnswers() ? undefined : OFFLINE_MAP;
console.log(`@std/assert: ${importMap === undefined ? "from JSR" : "JSR does not answer, own subset"}; ${WIDTH} jobs at a time`);

const ran: Ran = new Map();
const jobs: Job[] = [];
if (stages.has("static")) jobs.push(...staticJobs(importMap));
jobs.push(...await stageJobs(attacks));
if (on.length + proofs.length + Number(stages.has("workerd")) + Number(stages.has("traps")) > 0) {
  const runtimes = await findRuntimes();
  if (on.length > 0) jobs.push(...await suiteJobs({ runtimes, on: on as RuntimeName[], files, importMap, name: values.name, ran }));
  jobs.push(...scaleJobs({ runtimes, files: proofs, importMap, name: values.name }));
  if (stages.has("workerd")) jobs.push(...await workerdJobs(runtimes));
  if (stages.has("traps")) jobs.push(...await trapJobs(runtimes));
}

const finished = await runPool(jobs, WIDTH, report);
const unequal = differences(ran);

const timings = readTimings();
for (const { job, seconds } of finished) timings[`${job.stage} ${job.name}`] = Math.round(seconds * 100) / 100;
writeTimings(timings);

console.log("");
for (const stage of STAGES) {
  const of = finished.filter(({ job }) => job.stage === stage);
  if (of.length === 0) continue;
  const passed = of.reduce((sum, { result }) => sum + result.passed, 0);
  const failed = of.reduce((sum, { result }) => sum + result.failures.length, 0);
  const seconds = of.reduce((sum, item) => sum + item.seconds, 0);
  const tests = ran.get(stage as RuntimeName);
  const count = tests === undefined ? "" : `${[...tests.values()].reduce((sum, names) => sum + names.length, 0)} tests: `;
  console.log(`${stage.padEnd(7)} ${count}${passed} passed, ${failed} failed (${seconds.toFixed(1)} s)`);
}
for (const text of unequal) console.log(`The runtimes differ: ${text}`);

const bad = finished.filter(({ result }) => result.failures.length > 0);
if (bad.length > 0) {
  console.log("\nFailed:");
  for (const { result } of bad) for (const failure of result.failures) console.log(`  ${failure.split("\n")[0]}`);
}
const passed = finished.reduce((sum, { result }) => sum + result.passed, 0);
const failed = finished.reduce((sum, { result }) => sum + result.failures.length, 0) + unequal.length;
console.log(`\n${((performance.now() - start) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
