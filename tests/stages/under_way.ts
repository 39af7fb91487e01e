// The case that a process of a stage is making, kept in a file: whoever ends a process that hangs can name the case.
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";

const encoder = new TextEncoder();

function pathFor(report: string): string {
  return `${report}.case`;
}

/** Writes down each case before it is made. */
export class UnderWay {
  readonly #file: number;
  #length = 0;

  /** Beside the report of the process. */
  constructor(report: string) {
    this.#file = openSync(pathFor(report), "w");
  }

  /** This one is next. */
  note(replay: string): void {
    const line = encoder.encode(replay.padEnd(this.#length)); // covers the one before
    this.#length = line.length;
    writeSync(this.#file, line, 0, line.length, 0);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** What a process was making when it ended, in a line; and its file goes. */
export function takeUnderWay(report: string): string {
  const path = pathFor(report);
  if (!existsSync(path)) return "no case was begun";
  const replay = readFileSync(path, "utf8").trim();
  rmSync(path);
  return replay === "" ? "no case was begun" : `the case under way: ${replay}`;
}
