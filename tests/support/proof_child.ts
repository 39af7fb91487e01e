// Children of proofs: processes of a runtime that speak in lines.
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { runtimeCommand, type RuntimeName } from "./runtimes.ts";

/** A process whose lines of output are read one by one. */
export class Child {
  readonly pid: number;
  /** Every line so far. */
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<number | null>;
  #error = "";
  #seen = 0;
  #wake: (() => void) | undefined;
  #over = false;

  constructor(
    command: string,
    args: readonly string[],
    onLine?: (line: string, child: Child) => void,
    environment: Readonly<Record<string, string>> = {},
  ) {
    const child = spawn(command, [...args], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...environment } });
    this.#process = child;
    this.pid = child.pid!;
    child.stdin!.on("error", () => {}); // one that has ended reads nothing
    child.stderr!.on("data", (data) => this.#error += String(data));
    const reader = createInterface({ input: child.stdout! });
    reader.on("line", (line) => {
      this.lines.push(line);
      onLine?.(line, this);
      this.#wake?.();
    });
    const read = new Promise<void>((done) => reader.once("close", done));
    this.#ended = new Promise((done, failed) => {
      child.once("error", failed);
      child.once("close", (code) => void read.then(() => done(code)));
    });
    this.#ended.then(() => this.#finish(), () => this.#finish());
  }

  #finish(): void {
    this.#over = true;
    this.#wake?.();
  }

  /** What it wrote to its error output. */
  get errorText(): string {
    return this.#error;
  }

  /** The next line that begins with `start`; throws when the process ends before. */
  async line(start: string): Promise<string> {
    for (;;) {
      while (this.#seen < this.lines.length) {
        const line = this.lines[this.#seen++]!;
        if (line.startsWith(start)) return line;
      }
      if (this.#over) throw new Error(`the child ended without "${start}": ${this.#error.slice(-2000)}`);
      await new Promise<void>((wake) => this.#wake = wake);
      this.#wake = undefined;
    }
  }

  /** Writes a line to its input. */
  tell(line: string): void {
    this.#process.stdin!.write(line + "\n");
  }

  /** Kills it at once. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Resolves with the exit code (null after a kill) when it has ended and every line is read. */
  ended(): Promise<number | null> {
    return this.#ended;
  }
}

/** Starts a script (path from the root) on a runtime. */
export function startChild(
  runtime: RuntimeName,
  script: string,
  args: readonly (string | number)[],
  onLine?: (line: string, child: Child) => void,
  environment?: Readonly<Record<string, string>>,
): Child {
  const command = runtimeCommand(runtime, script, args.map(String));
  return new Child(command.cmd, command.args, onLine, environment);
}

/** Runs a script to its end and returns its lines; throws with its error output when it fails. */
export async function runChild(
  runtime: RuntimeName,
  script: string,
  args: readonly (string | number)[],
  environment?: Readonly<Record<string, string>>,
): Promise<string[]> {
  const child = startChild(runtime, script, args, undefined, environment);
  const code = await child.ended();
  if (code !== 0) {
    throw new Error(
      `${runtime} ${script} ${args.join(" ")} ended with ${code}: ${child.lines.slice(-3).join("\n")}\n${child.errorText.slice(-4000)}`,
    );
  }
  return child.lines;
}

/** Prints a figure that a proof has measured; the gate shows these lines. */
export function figure(text: string): void {
  console.log(`figure: ${text}`);
}
