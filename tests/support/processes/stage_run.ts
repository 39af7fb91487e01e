// Runs cases of the stage in one process, and counts what they covered.
import type { DurabilityMode } from "../../../mod.ts";
import type { Locking } from "../../../src/storage/file_lock.ts";
import type { StageReport } from "../../stages/report.ts";
import { makeFolder, removeFolder, withFolder } from "../folder.ts";
import type { RuntimeName } from "../runtimes.ts";
import type { ProcessCase } from "./cases.ts";
import { exactKill } from "./exact_kill.ts";
import { checkFenced, checkFencedCheckpoint, checkStoppedHolder } from "./fence.ts";
import { checkFault, checkInterrupted } from "./injected.ts";
import { KillPositions } from "./kill_positions.ts";
import { checkFullMedium, checkReadOnlyMedium, whyNoMounts } from "./medium.ts";
import { checkMoved } from "./moved.ts";
import { race } from "./race.ts";
import { killChain } from "./random_kill.ts";
import { whyNoStrace } from "./strace.ts";
import { Successors } from "./successor.ts";
import { checkTakeover } from "./takeover.ts";

/** Attempts at a call: where a checkpoint runs beside commits, calls come in one order or another. */
const ATTEMPTS = 3;

/** What the stage counts. */
export const COUNTS = {
  exact: "exact kills",
  random: "random kills",
  others: "random kills, relaxed and none",
  takeovers: "lock takeovers",
  races: "races",
  fenced: "fenced",
  faults: "faults of the system at a commit",
  interruptions: "interrupted calls that nobody saw",
  fullMedia: "full media",
  readOnlyMedia: "read-only media",
  moved: "moved files",
} as const;

/** Runs cases; keeps what they share. */
export class ProcessRun {
  readonly #report: StageReport;
  readonly #folder = makeFolder();
  readonly #successors = new Successors();
  readonly #positions = new Map<RuntimeName, KillPositions>();

  constructor(report: StageReport) {
    this.#report = report;
  }

  /** Runs a case; throws when it fails. One that this machine cannot run is skipped. */
  async run(one: ProcessCase): Promise<void> {
    const report = this.#report;
    switch (one.kind) {
      case "exact":
        if (this.#traces(COUNTS.exact)) await this.#exact(one.runtime, one.at);
        return;
      case "random": {
        const what = one.mode === "sync" ? COUNTS.random : COUNTS.others;
        const acknowledged = await killChain(one, this.#folder, (runtime, phase) => {
          report.count(what);
          report.cell(`random kills, ${one.mode}: last line`, runtime, phase);
        });
        report.count(`acknowledged before random kills, ${one.mode as DurabilityMode}`, acknowledged);
        return;
      }
      case "takeover":
        await withFolder((folder) => checkTakeover(one.first, one.second, folder));
        report.count(COUNTS.takeovers);
        return;
      case "race": {
        await withFolder(async (folder) => {
          const { races, named, killed } = await race(folder, one.wins, one.ways.split(",") as Locking[]);
          report.count(COUNTS.races, races);
          report.count("refusals that named the holder", named);
          report.count("holders killed in races", killed);
        });
        return;
      }
      case "stopped":
        await withFolder((folder) => checkStoppedHolder(one.first, one.second, folder));
        report.count("stopped holders that kept their lock");
        return;
      case "fenced":
        if (one.place !== "idle" && !this.#traces(COUNTS.fenced)) return;
        await withFolder((folder) => checkFenced(one.first, one.second, one.place, folder));
        report.count(COUNTS.fenced);
        report.cell("fenced", one.first, one.place);
        return;
      case "fenced-checkpoint":
        if (!this.#traces(COUNTS.fenced)) return;
        await withFolder((folder) => checkFencedCheckpoint(one.first, one.second, one.copy, one.checkpoints, folder));
        report.count(COUNTS.fenced);
        report.cell("fenced", one.first, `before meta copy ${one.copy + 1}`);
        return;
      default:
        return await this.#medium(one);
    }
  }

  async #medium(
    one: Extract<ProcessCase, { kind: "fault" | "interrupted" | "full-medium" | "read-only-medium" | "moved" }>,
  ): Promise<void> {
    const report = this.#report;
    switch (one.kind) {
      case "fault":
        if (!this.#traces(COUNTS.faults)) return;
        await withFolder((folder) => checkFault(one.runtime, one.fault, folder));
        report.count(COUNTS.faults);
        report.cell("faults", one.fault, one.runtime);
        return;
      case "interrupted":
        if (!this.#traces(COUNTS.interruptions)) return;
        report.count(COUNTS.interruptions, await checkInterrupted(one.runtime, this.#folder, this.#successors));
        return;
      case "full-medium":
        if (!this.#mounts(COUNTS.fullMedia)) return;
        await withFolder(async (folder) => report.count("commits that filled a medium", await checkFullMedium(one.runtime, folder)));
        report.count(COUNTS.fullMedia);
        return;
      case "read-only-medium":
        if (!this.#mounts(COUNTS.readOnlyMedia)) return;
        await withFolder((folder) => checkReadOnlyMedium(one.runtime, folder));
        report.count(COUNTS.readOnlyMedia);
        return;
      case "moved":
        await withFolder((folder) => checkMoved(one.first, one.second, one.move, folder));
        report.count(COUNTS.moved);
        return;
    }
  }

  #mounts(count: string): boolean {
    const why = whyNoMounts();
    if (why !== "") this.#report.skip(count, why);
    return why === "";
  }

  #traces(count: string): boolean {
    const why = whyNoStrace();
    if (why !== "") this.#report.skip(count, why);
    return why === "";
  }

  async #exact(runtime: RuntimeName, at: number): Promise<void> {
    const report = this.#report;
    let positions = this.#positions.get(runtime);
    if (positions === undefined) {
      positions = await KillPositions.learn(runtime, this.#folder);
      this.#positions.set(runtime, positions);
    }
    if (at > positions.count) throw new Error(`the workload has ${positions.count} calls on ${runtime}, none is number ${at}`);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const kill = await exactKill(runtime, positions, at, this.#folder, this.#successors);
      if (kill.at === at) {
        report.count(COUNTS.exact);
        report.cell("exact kills: phase", runtime, kill.phase);
        report.cell("exact kills: call", runtime, kill.call);
        report.cell("exact kills: next process", `${runtime}, then ${kill.successor}`, kill.outcome);
        return;
      }
      // A kill all the same, at another call than was asked for: checked, and not counted.
      report.count("kills beside their call, or not at all");
    }
    report.count("calls that no kill met");
    report.note(`exact kills: ${runtime}, call ${at} was not met in ${ATTEMPTS} attempts`);
  }

  /** Ends what was started. */
  async close(): Promise<void> {
    await this.#successors.close();
    removeFolder(this.#folder);
  }
}
