// Real processes on Deno, Bun and Node: killed at system calls and at random, taken over, racing, stopped and woken, on full and read-only media, under errors of the system.
import { StageReport } from "./report.ts";
import { isMine, type Stage } from "./stage.ts";
import { caseOf, flagsOf } from "../support/processes/cases.ts";
import { casesOf } from "../support/processes/plan.ts";
import { KillFailure, replayRandomKill } from "../support/processes/random_kill.ts";
import { COUNTS, ProcessRun } from "../support/processes/stage_run.ts";
import { withFolder } from "../support/folder.ts";

/** The stage. */
export const stage: Stage = {
  name: "processes",
  title: "Real processes: killed at system calls and at random, racing, stopped and woken, on full media, under errors of the system",
  parts: 2,
  seed: 1,
  targets: {
    [COUNTS.exact]: 450,
    [COUNTS.random]: 300,
    [COUNTS.others]: 40,
    [COUNTS.takeovers]: 9,
    [COUNTS.races]: 30,
    [COUNTS.fenced]: 15,
    [COUNTS.faults]: 30,
    [COUNTS.interruptions]: 300,
    [COUNTS.fullMedia]: 3,
    [COUNTS.readOnlyMedia]: 3,
    [COUNTS.moved]: 9,
  },

  async run(run) {
    const processes = new ProcessRun(run.report);
    try {
      for (const [number, one] of casesOf(run.seed, run.size).entries()) {
        if (!isMine(run, number)) continue;
        run.report.begin(flagsOf(one));
        try {
          await processes.run(one);
        } catch (error) {
          const { message } = error as Error;
          run.report.fail(`${JSON.stringify(one)}: ${message}`, error instanceof KillFailure ? error.flags : flagsOf(one));
        }
      }
    } finally {
      await processes.close();
    }
  },

  async replay(flags) {
    if (flags.kind === "random" && flags.file !== undefined) return await withFolder((folder) => replayRandomKill(flags, folder));
    const report = new StageReport("processes");
    const processes = new ProcessRun(report);
    try {
      await processes.run(caseOf(flags));
    } finally {
      await processes.close();
    }
    for (const line of report.lines()) console.log(line);
  },
};
