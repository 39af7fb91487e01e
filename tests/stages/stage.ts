// A stage: one kind of attack on the store, made in many cases, with a report of what was covered.
//
// The gate runs every stage at size "gate", in as many processes as it has parts, adds the parts' reports up and holds them against the targets. A soak runs rounds of size "soak" with other seeds until
// its time is over. A case is determined by the seed and its own flags, so that one command makes it again.
import type { StageReport } from "./report.ts";

/** How much a run does: what the gate asks for, or one round of a soak, which may be larger and need not reach the targets alone. */
export type StageSize = "gate" | "soak";

/** One process of a run. */
export interface StageRun {
  /** Everything random follows from it. */
  readonly seed: number;
  readonly size: StageSize;
  /** This process takes every case whose number modulo `parts` is `part`. */
  readonly part: number;
  readonly parts: number;
  /** What was covered, and what failed. */
  readonly report: StageReport;
}

/** A kind of attack. */
export interface Stage {
  /** What it is called on the command line. */
  readonly name: string;
  /** What it does, in a line. */
  readonly title: string;
  /** Processes that share it in the gate. */
  readonly parts: number;
  /** Seed of the gate's run. */
  readonly seed: number;
  /** The least that the gate's run must have counted, over all parts. */
  readonly targets: Readonly<Record<string, number>>;
  /** Runs a part. A case that fails is handed to `report.fail`; one that throws ends the part. */
  run(run: StageRun): Promise<void>;
  /** Makes one case again, as `report.fail` described it by flags; throws as it failed. */
  replay(flags: Readonly<Record<string, string>>): Promise<void>;
}

/** Whether a case belongs to this process. */
export function isMine(run: StageRun, number: number): boolean {
  return number % run.parts === run.part;
}
