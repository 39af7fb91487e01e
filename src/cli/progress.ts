// Progress of long work: a bar on standard error, only where that is a terminal.
// @ts-types="./cli_progress.d.ts"
import cliProgress from "cli-progress";
import type { CliOutput } from "./io.ts";

/** A step of long work, and how far it has come; `total` is 0 where that is not known. */
export interface Step {
  /** What is being done. */
  readonly step: string;
  /** How much of it is done. */
  readonly done: number;
  /** All of it. */
  readonly total: number;
}

/** Shows how far long work has come. */
export interface Progress {
  /** Tells how far it is. */
  readonly update: (step: Step) => void;
  /** Makes room for a line of text; the bar comes back with the next update. */
  readonly clear: () => void;
  /** The work is over. */
  readonly end: () => void;
}

const SILENT: Progress = { update: () => {}, clear: () => {}, end: () => {} };
const BAR = 24;
const CLEAR_LINE = "\r\x1b[2K";

/** Shows progress on a terminal; elsewhere nothing is shown. */
export function progressOn(output: CliOutput): Progress {
  if (!output.isTerminal) return SILENT;
  const stream = { isTTY: true, columns: output.columns ?? 80, write: (text: string) => (void output.write(text), true) };
  const bar = new cliProgress.SingleBar(
    { format: line, hideCursor: true, clearOnComplete: true, stream },
    cliProgress.Presets.shades_classic,
  );
  let step: Step | undefined;
  return {
    update: (now) => {
      if (step === undefined) bar.start(now.total, now.done, { step: now.step });
      else if (now.total !== step.total) bar.setTotal(now.total);
      step = now;
      bar.update(now.done, { step: now.step });
    },
    clear: () => void (step !== undefined && output.write(CLEAR_LINE)),
    end: () => {
      if (step !== undefined) bar.stop();
      step = undefined;
    },
  };
}

function line(_options: unknown, { value, total, eta }: cliProgress.Params, { step }: { step: string }): string {
  if (total === 0) return `${step}  ${value}`;
  const share = Math.min(1, value / total);
  const full = Math.round(share * BAR);
  return `${step}  ${"\u2588".repeat(full)}${"\u2591".repeat(BAR - full)}  ${Math.floor(share * 100)} %  ${value} of ${total}  ${
    Math.ceil(eta)
  } s left`;
}
