// `deno task soak [--minutes N] [--seed S] [--stage NAME]`: the stages of the crash and damage proofs, round after round with new seeds, until the time is over.
//
// Every core takes the stage that has had the least time so far and runs one part of one of its rounds; no part is begun after the end. What failed is printed at once with the command that makes it
// again, and once more in the summary; the exit code is 0 only when nothing failed.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { loadStage, STAGE_NAMES } from "../tests/stages/all.ts";
import { StageReport, type StageReportJson } from "../tests/stages/report.ts";
import type { Stage } from "../tests/stages/stage.ts";
import { takeUnderWay } from "../tests/stages/under_way.ts";
import { tail } from "./gate.ts";
import { runStage } from "./test_stages.ts";

const OUT = ".build/soak";
/** A part that takes longer than this hangs. */
const TIMEOUT_SECONDS = 1800;
/** A round is cut into so many times the parts of the gate, so that the end is near when the time is over. */
const CUTS = 8;

interface Track {
  readonly stage: Stage;
  readonly total: StageReport;
  readonly parts: number;
  /** Parts begun, of all rounds. */
  begun: number;
  done: number;
  seconds: number;
  /** Parts that are running now. */
  running: number;
}

const { values } = parseArgs({
  args: Deno.args,
  options: { minutes: { type: "string", default: "60" }, seed: { type: "string" }, stage: { type: "string", multiple: true } },
});
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed) || seed < 0) throw new Error("Cannot soak: --minutes is above zero, --seed an integer");

const tracks: Track[] = [];
for (const name of values.stage ?? STAGE_NAMES) {
  const stage = await loadStage(name);
  tracks.push({ stage, total: new StageReport(name), parts: stage.parts * CUTS, begun: 0, done: 0, seconds: 0, running: 0 });
}
mkdirSync(OUT, { recursive: true });
const start = performance.now();
const elapsed = (): number => (performance.now() - start) / 1000;
const width = Math.max(1, navigator.hardwareConcurrency);
console.log(`soak: ${minutes} minutes, seed ${seed}, ${width} processes; stages ${tracks.map(({ stage }) => stage.name).join(", ")}`);
console.log(`again: deno task soak --minutes ${minutes} --seed ${seed}`);

async function runPart(track: Track): Promise<void> {
  const { stage, total, parts } = track;
  const round = Math.floor(track.begun / parts), part = track.begun % parts;
  const roundSeed = (seed + round * 1_000_003) >>> 0;
  track.begun++;
  track.running++;
  const began = performance.now();
  const json = `${OUT}/${stage.name}-${track.begun}.json`;
  const flags = ["--size", "soak", "--seed", `${roundSeed}`, "--part", `${part}`, "--parts", `${parts}`];
  const { code, text, timedOut } = await runStage(stage, [...flags, "--json", json], TIMEOUT_SECONDS);
  const seconds = (performance.now() - began) / 1000;
  track.running--;
  track.done++;
  track.seconds += seconds;
  const report = new StageReport(stage.name);
  if (code === 0) report.add(JSON.parse(readFileSync(json, "utf8")) as StageReportJson);
  else {report.fail(
      `${timedOut ? `ended after ${TIMEOUT_SECONDS} s` : `exit code ${code}`}\n${takeUnderWay(json)}\n${tail(text, 20)}`,
      { stage: stage.name, ...Object.fromEntries(pairs(flags)) },
    );}
  takeUnderWay(json);
  rmSync(json, { force: true });
  total.add(report.toJSON());
  const at = `${(elapsed() / 60).toFixed(1).padStart(5)} min`;
  console.log(`${at}  ${stage.name}, round ${round + 1}, part ${part + 1} of ${parts}: ${seconds.toFixed(1)} s, ${report.failed} failed`);
  for (const line of report.failureLines()) console.log(`  ${line}`);
}

function pairs(flags: string[]): [string, string][] {
  return flags.flatMap((flag, i) => i % 2 === 0 ? [[flag.slice(2), flags[i + 1]!] as [string, string]] : []);
}

async function worker(): Promise<void> {
  while (elapsed() < minutes * 60) {
    // What is running counts as if it took as long as the parts before it.
    const spent = ({ seconds, done, running }: Track): number => seconds + running * (done === 0 ? 30 : seconds / done);
    await runPart(tracks.reduce((least, track) => spent(track) < spent(least) ? track : least));
  }
}
await Promise.all(Array.from({ length: width }, worker));

console.log(`\nsummary: seed ${seed}, ${(elapsed() / 60).toFixed(1)} minutes`);
let failed = 0;
for (const { stage, total, done, parts, seconds } of tracks) {
  console.log(`\n${stage.title}: ${(done / parts).toFixed(1)} rounds in ${seconds.toFixed(0)} s`);
  for (const line of total.lines()) console.log(`  ${line}`);
  for (const line of total.failureLines()) console.log(`  FAILED ${line}`);
  failed += total.failed;
}
console.log(`\n${tracks.reduce((sum, { done }) => sum + done, 0)} parts run, ${failed} cases failed`);
Deno.exit(failed === 0 ? 0 : 1);
