// A process that does with a manifest what a test tells it, step by step.
import process from "node:process";
import type { ErrorCode, ErrorJson, LockHolder, ManifestOptions } from "../../../mod.ts";
import type { Locking } from "../../../src/storage/file_lock.ts";
import { Child, startChild } from "../proof_child.ts";
import { runtimeCommand, type RuntimeName } from "../runtimes.ts";
import { startTraced, type TracedStart } from "./strace.ts";

/** What an actor can be told. */
export type ActorCommand =
  | { readonly do: "open"; readonly path?: string; readonly options?: ManifestOptions & { locking?: Locking } }
  | { readonly do: "put"; readonly row: number; readonly length?: number }
  | { readonly do: "delete"; readonly from: number; readonly to: number }
  | { readonly do: "resolve"; readonly id: string }
  | { readonly do: "rows" | "check" | "checkpoint" | "compact" | "close" };

/** What it answers. */
export interface ActorAnswer {
  readonly pid?: number;
  readonly changes?: number;
  readonly created?: boolean;
  readonly clean?: boolean;
  readonly sequence?: number;
  readonly commitId?: string;
  readonly rows?: readonly number[];
  readonly problems?: readonly string[];
  readonly state?: string;
  readonly error?: ErrorJson;
  /** Something that is no error of the package. */
  readonly broken?: string;
}

const SCRIPT = "tests/support/children/process_actor.ts";

/** A process that is told what to do. */
export class Actor {
  readonly runtime: RuntimeName;
  readonly #child: Child;
  #pid = 0;

  private constructor(runtime: RuntimeName, child: Child) {
    this.runtime = runtime;
    this.#child = child;
  }

  /** Starts one for a file; under strace when a trace is given. */
  static async start(runtime: RuntimeName, path: string, trace?: Omit<TracedStart, "runtime" | "script" | "args">): Promise<Actor> {
    const start = { runtime, script: SCRIPT, args: [path] };
    return await Actor.of(runtime, trace === undefined ? startChild(runtime, SCRIPT, [path]) : startTraced({ ...start, ...trace }));
  }

  /** Starts one inside another command, whose last arguments are a command to run. */
  static async startWithin(command: readonly string[], runtime: RuntimeName, path: string): Promise<Actor> {
    const { cmd, args } = runtimeCommand(runtime, SCRIPT, [path]);
    const [outer, ...before] = command;
    return await Actor.of(runtime, new Child(outer!, [...before, cmd, ...args]));
  }

  private static async of(runtime: RuntimeName, child: Child): Promise<Actor> {
    const actor = new Actor(runtime, child);
    actor.#pid = (JSON.parse(await actor.#child.line('{"ready"')) as { ready: number }).ready;
    return actor;
  }

  /** Its process, not that of a tracer. */
  get pid(): number {
    return this.#pid;
  }

  /** Ids of the transactions that it began, in order. */
  get begun(): string[] {
    return this.#child.lines.filter((line) => line.startsWith('{"id"')).map((line) => (JSON.parse(line) as { id: string }).id);
  }

  /** Says what to do without waiting for the answer. */
  tell(command: ActorCommand): void {
    this.#child.tell(JSON.stringify(command));
  }

  /** The next answer. */
  async answer(): Promise<ActorAnswer> {
    for (;;) {
      const line = await this.#child.line("{");
      if (line.startsWith('{"id"')) continue;
      const answer = JSON.parse(line) as ActorAnswer;
      if (answer.broken !== undefined) throw new Error(`${this.runtime}: ${answer.broken}`);
      return answer;
    }
  }

  /** Says what to do and gives the answer. */
  ask(command: ActorCommand): Promise<ActorAnswer> {
    this.tell(command);
    return this.answer();
  }

  /** The answer of something that must go well. */
  async must(command: ActorCommand): Promise<ActorAnswer> {
    const answer = await this.ask(command);
    if (answer.error !== undefined) throw new Error(`${this.runtime}, ${JSON.stringify(command)}: ${JSON.stringify(answer.error)}`);
    return answer;
  }

  /** The error of something that must fail with one of these codes. */
  async mustFail(command: ActorCommand, ...codes: ErrorCode[]): Promise<ErrorJson> {
    const { error, ...answer } = await this.ask(command);
    if (error === undefined || !codes.includes(error.code)) {
      throw new Error(`${this.runtime}, ${JSON.stringify(command)}: ${JSON.stringify(error ?? answer)}, expected ${codes.join(" or ")}`);
    }
    return error;
  }

  /** Sends its process a signal. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.#pid, signal);
  }

  /** Kills its process at once; resolves when it has ended. */
  kill(): Promise<number | null> {
    this.signal("SIGKILL");
    return this.#child.ended();
  }

  /** What it wrote to its error output. */
  get errorText(): string {
    return this.#child.errorText;
  }
}

/** The holder that a LOCKED error names. */
export function holderIn(error: ErrorJson): LockHolder | undefined {
  return error.detail.holder as LockHolder | undefined;
}
