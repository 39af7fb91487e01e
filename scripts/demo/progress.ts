// Progress of a pass over a folder: told for every file, shown by whoever implements it.

/** Shows how far a pass has come. */
export interface Progress {
  /** Files done, and bytes read of them. */
  step(files: number, readBytes: number): void;
  /** The pass is over. */
  end(): void;
}

/** Shows nothing. */
export const SILENT: Progress = { step: () => {}, end: () => {} };

/** A line every so many files, for output that is no terminal. */
export class ProgressLines implements Progress {
  readonly #title: string;
  readonly #total: number;
  readonly #print: (line: string) => void;
  readonly #every: number;
  #next: number;

  constructor(title: string, total: number, print: (line: string) => void) {
    this.#title = title;
    this.#total = total;
    this.#print = print;
    this.#every = this.#next = Math.max(1000, Math.ceil(total / 10));
  }

  step(files: number, readBytes: number): void {
    if (files < this.#next) return;
    this.#next = files + this.#every;
    this.#print(`${this.#title}: ${files} of ${this.#total} files, ${bytesText(readBytes)} read`);
  }

  end(): void {}
}

/** A number of bytes in words. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(bytes) : bytes.toFixed(bytes < 10 ? 2 : 1)} ${units[unit]}`;
}

/** Something per second, in words. */
export function rateText(count: number, milliseconds: number): string {
  const rate = count / Math.max(milliseconds, 0.001) * 1000;
  return rate >= 10_000 ? `${Math.round(rate / 1000)} k` : Math.round(rate).toString();
}
