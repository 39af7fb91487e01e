// The processes that come after killed ones: one for each runtime, kept for many files, because starting one costs more than looking at a file.
import { type Child, startChild } from "../proof_child.ts";
import { type RuntimeName, RUNTIMES } from "../runtimes.ts";

/** What is known about a file from outside. */
export interface SuccessorQuestion {
  readonly path: string;
  /** Whether its writer had said that it was open. */
  readonly opened: boolean;
  /** The newest state that was acknowledged. */
  readonly done: number;
  /** The newest state that was begun. */
  readonly begun: number;
  /** Transactions by the state that they make. */
  readonly ids: readonly { number: number; id: string }[];
}

/** What was found in it. */
export type SuccessorAnswer =
  | { readonly state: number; readonly created: boolean; readonly replayed: number; readonly cut: boolean; readonly problem?: undefined }
  | { readonly problem: string };

/** What the lines of a writer tell about its file. */
export function questionOf(path: string, lines: readonly string[]): SuccessorQuestion {
  let done = 0, begun = 0;
  const ids: { number: number; id: string }[] = [];
  for (const line of lines) {
    const [word, number, id] = line.split(" ");
    if (word === "done") done = Number(number);
    if (word === "begin") {
      begun = Number(number);
      if (id) ids.push({ number: begun, id });
    }
  }
  return { path, opened: lines.includes("opened"), done, begun, ids };
}

/** Successors on all runtimes, started when they are needed. */
export class Successors {
  readonly #children = new Map<RuntimeName, Child>();
  #turn = 0;

  /** A runtime other than the one given, by turns. */
  other(runtime: RuntimeName): RuntimeName {
    const others = RUNTIMES.filter((name) => name !== runtime);
    return others[this.#turn++ % others.length]!;
  }

  /** Has a file looked at. */
  async look(runtime: RuntimeName, question: SuccessorQuestion): Promise<SuccessorAnswer> {
    let child = this.#children.get(runtime);
    if (child === undefined) {
      child = startChild(runtime, "tests/support/children/process_successor.ts", []);
      this.#children.set(runtime, child);
      await child.line("ready");
    }
    child.tell(JSON.stringify(question));
    return JSON.parse(await child.line("{")) as SuccessorAnswer;
  }

  /** Ends them. */
  async close(): Promise<void> {
    for (const child of this.#children.values()) {
      child.kill();
      await child.ended();
    }
    this.#children.clear();
  }
}
