// Runs the stages of the crash and damage proofs: one process for each part, reports added up, totals held against the targets.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { loadStage, STAGE_NAMES } from "../tests/stages/all.ts";
import { StageReport, type StageReportJson } from "../tests/stages/report.ts";
import type { Stage } from "../tests/stages/stage.ts";
import { takeUnderWay } from "../tests/stages/under_way.ts";
import { type Job, type JobResult, runProgram, tail } from "./gate.ts";
import { readTimings } from "./test_suite.ts";

const OUT = ".build/stages";
/** A part that takes longer than this hangs: the longest takes a few minutes. */
const TIMEOUT_SECONDS = 600;

/** The stages whose name contains one of the texts; all without any. */
export function stageNames(only: readonly string[] | undefined): string[] {
  return STAGE_NAMES.filter((name) => only?.some((text) => `tests/stages/${name}`.includes(text)) ?? true);
}

/** One job for each part of each stage. The last part of a stage to end speaks for all of it. */
export async function stageJobs(names: readonly string[]): Promise<Job[]> {
  mkdirSync(OUT, { recursive: true });
  const timings = readTimings();
  const jobs: Job[] = [];
  for (const name of names) {
    const stage = await loadStage(name);
    const total = new StageReport(stage.name);
    let left = stage.parts;
    for (let part = 0; part < stage.parts; part++) {
      const title = stage.parts === 1 ? name : `${name}, part ${part + 1} of ${stage.parts}`;
      jobs.push({
        stage: "proofs",
        name: title,
        weight: timings[`proofs ${title}`] ?? 3000, // before everything else: some take minutes
        run: async () => {
          const result = await runPart(stage, part, total);
          return --left > 0 ? result : conclude(stage, total, result);
        },
      });
    }
  }
  return jobs;
}

/** Runs a process of a stage. */
export function runStage(stage: Stage, args: string[], seconds: number): ReturnType<typeof runProgram> {
  return runProgram(Deno.execPath(), ["run", "-A", "--no-check", "tests/stages/run.ts", "--stage", stage.name, ...args], seconds);
}

async function runPart(stage: Stage, part: number, total: StageReport): Promise<JobResult> {
  const json = `${OUT}/${stage.name}-${part}.json`;
  rmSync(json, { force: true });
  takeUnderWay(json);
  const args = ["--part", `${part}`, "--parts", `${stage.parts}`, "--json", json];
  const { code, text, timedOut } = await runStage(stage, args, TIMEOUT_SECONDS);
  if (code !== 0) {
    const what = timedOut ? `ended after ${TIMEOUT_SECONDS} s` : `exit code ${code}`;
    return { passed: 0, failures: [`proofs ${stage.name}: part ${part + 1}: ${what}\n${takeUnderWay(json)}\n${tail(text)}`] };
  }
  takeUnderWay(json);
  total.add(JSON.parse(readFileSync(json, "utf8")) as StageReportJson);
  return { passed: 1, failures: [] };
}

function conclude(stage: Stage, total: StageReport, last: JobResult): JobResult {
  const failures = [...last.failures, ...total.shortfalls(stage.targets).map((text) => `proofs ${stage.name}: ${text}`)];
  if (total.failed > 0) failures.push(`proofs ${stage.name}: ${total.failed} cases failed\n${total.failureLines().join("\n")}`);
  return { passed: last.passed, failures, figures: [stage.title, ...total.lines(stage.targets)] };
}
