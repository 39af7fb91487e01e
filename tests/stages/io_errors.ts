// Stage T3: every call of the storage fails in every way that it can, in every workload.
import { FAULTS, faultsOf } from "../support/io_errors/faults.ts";
import { runFault, survey, WORKLOADS } from "../support/io_errors/run.ts";
import { Seen } from "../support/io_errors/subject.ts";
import { isMine, type Stage, type StageRun } from "./stage.ts";

const RUNS = "runs with an injected error";
const MISSED = "call indexes missed";

async function runWorkload(run: StageRun, name: string): Promise<void> {
  const { report, seed } = run;
  const { calls, log } = await survey(name, seed);
  const seen = new Seen(log);
  for (const [at, kind] of calls.entries()) {
    if (!isMine(run, at)) continue;
    report.count("call indexes");
    const faults = faultsOf(kind);
    if (faults.length === 0) report.count(MISSED);
    for (const fault of faults) {
      report.begin({ workload: name, fault, at, seed });
      try {
        const { outcomes, handle } = await runFault(name, fault, at, seed, seen);
        for (const [outcome, count] of Object.entries(outcomes)) if (count > 0) report.cell("commits", name, outcome, count);
        report.cell("runs by fault", fault, handle);
      } catch (error) {
        report.fail(`${name}, ${fault} at call ${at}, seed ${seed}: ${describe(error)}`, { workload: name, fault, at, seed });
      }
      report.count(RUNS);
    }
  }
  report.count("images checked", seen.count);
}

function describe(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause;
  return (error as Error).message + (cause instanceof Error ? ` (because: ${cause.stack?.split("\n").slice(0, 6).join(" | ")})` : "");
}

/** The stage. */
export const stage: Stage = {
  name: "io_errors",
  title: "I/O errors: every storage call of every workload fails in every way that it can",
  parts: 4,
  seed: 31,
  targets: { [RUNS]: 25_000, workloads: 15 },
  async run(run) {
    run.report.count(MISSED, 0);
    for (const name of Object.keys(WORKLOADS)) {
      if (run.part === 0) run.report.count("workloads");
      await runWorkload(run, name);
    }
    if (run.report.counted(MISSED) > 0) run.report.fail(`${MISSED}: ${run.report.counted(MISSED)}`, {});
  },
  async replay(flags) {
    const { workload, fault, at, seed } = flags;
    if (workload === undefined || fault === undefined || at === undefined) {
      throw new Error(`Cannot replay: --workload, --fault (${Object.keys(FAULTS).join(", ")}) and --at are needed`);
    }
    await runFault(workload, fault, Number(at), Number(seed ?? this.seed), new Seen());
  },
};
