// Progress as a bar on a terminal.
// @ts-types="../../src/cli/cli_progress.d.ts"
import cliProgress from "cli-progress";
import { bytesText, type Progress } from "./progress.ts";

const REDRAW_MS = 50;

/** A bar. */
export class ProgressBar implements Progress {
  readonly #bar: cliProgress.SingleBar;
  #drawn = 0;
  #files = 0;
  #read = 0;

  constructor(title: string, total: number) {
    const format = `  ${title} {bar} {percentage} % | {value} of {total} files | {read} read | {eta_formatted} left`;
    this.#bar = new cliProgress.SingleBar(
      { format, hideCursor: true, clearOnComplete: true, barsize: 24 },
      cliProgress.Presets.shades_classic,
    );
    this.#bar.start(total, 0, { read: bytesText(0) });
  }

  step(files: number, readBytes: number): void {
    this.#files = files;
    this.#read = readBytes;
    const now = performance.now();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    this.#draw();
  }

  #draw(): void {
    this.#bar.update(this.#files, { read: bytesText(this.#read) });
    this.#bar.render(); // at once: its own timer does not run while files are read
  }

  end(): void {
    this.#draw();
    this.#bar.stop();
  }
}
