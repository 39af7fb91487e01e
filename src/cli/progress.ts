// Progress of long work: a bar on standard error, only where that is a terminal.
// @ts-types="./cli_progress.d.ts"
import cliProgress from "cli-progress";
import type { CliOutput } from "./io.ts";

/** How far long work has come. */
export interface Progress {
  /** Tells how much is done, of how much. */
  update(done: number, total: number): void;
  /** Makes room for a line of text; the bar comes back with the next update. */
  clear(): void;
  /** The work is over. */
  end(): void;
}

const SILENT: Progress = { update: () => {}, clear: () => {}, end: () => {} };
const CLEAR_LINE = "\r\x1b[2K";

class ProgressBar implements Progress {
  readonly #bar: cliProgress.SingleBar;
  readonly #output: CliOutput;
  #total = -1;

  constructor(output: CliOutput, title: string, unit: string) {
    this.#output = output;
    const stream = { isTTY: true, columns: output.columns ?? 80, write: (text: string) => (output.write(text), true) };
    const format = `${title} {bar} {percentage} % | {value} of {total} ${unit} | {eta_formatted} left`;
    this.#bar = new cliProgress.SingleBar(
      { format, hideCursor: true, clearOnComplete: true, barsize: 24, stream },
      cliProgress.Presets.shades_classic,
    );
  }

  update(done: number, total: number): void {
    if (this.#total < 0) this.#bar.start(total, done);
    else if (total !== this.#total) this.#bar.setTotal(total);
    this.#total = total;
    this.#bar.update(done);
  }

  clear(): void {
    if (this.#total >= 0) this.#output.write(CLEAR_LINE);
  }

  end(): void {
    if (this.#total >= 0) this.#bar.stop();
    this.#total = -1;
  }
}

/** Shows progress on a terminal; elsewhere nothing is shown. */
export function progressOn(output: CliOutput, title: string, unit: string): Progress {
  return output.isTerminal ? new ProgressBar(output, title, unit) : SILENT;
}
