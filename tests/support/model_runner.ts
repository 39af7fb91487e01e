// What the runs of both models share: actions drawn by weight until enough operations are done, promises awaited in microtasks, counts of what was come across.
//
// Everything runs in microtasks, so that a seed replays exactly; a promise that does not settle is an error.
import type { MemoryFile } from "../../src/storage/memory.ts";
import type { TestEnvironment } from "./environment.ts";
import { type Random, seeded } from "./random.ts";

/** A promise that is not settled after so many microtasks never will be. */
const TURNS_MAX = 50_000_000;

/** What a run came to. */
export interface ModelResult {
  /** Operations asked for, transactions that have their receipt, rows and lists compared. */
  readonly operations: number;
  readonly commits: number;
  readonly reads: number;
  /** What was come across, by name. */
  readonly reached: ReadonlyMap<string, number>;
}

/** What a run does, by name. */
export type ModelActions = Readonly<Record<string, () => void | Promise<void>>>;

/** One run of a model. */
export abstract class ModelRunner implements ModelResult {
  operations = 0;
  commits = 0;
  reads = 0;
  readonly reached: Map<string, number> = new Map();
  /** The last action, for the error message. */
  action = "open";
  protected readonly random: Random;
  protected environment!: TestEnvironment;
  /** Why something that runs beside has ended the run. */
  protected failure: { error: unknown } | undefined;
  readonly #weights: readonly (readonly [string, number])[];
  readonly #total: number;
  readonly #most: number;
  readonly #background = new Set<Promise<unknown>>();

  /** A run of a seed until `most` operations are done, of actions drawn by weight. */
  constructor(seed: number, most: number, weights: Readonly<Record<string, number>>) {
    this.random = seeded(seed);
    this.#most = most;
    this.#weights = Object.entries(weights);
    this.#total = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
  }

  /** Makes what is run on. */
  protected abstract begin(): Promise<void>;
  /** Everything there is to do. */
  protected abstract readonly actions: ModelActions;
  /** Looks at everything once more. */
  protected abstract end(): Promise<void>;
  /** The bytes as they are. */
  abstract image(): MemoryFile;

  /** Before each action. */
  protected prepare(_action: string): void | Promise<void> {}
  /** Behind each action. */
  protected watch(_action: string): void | Promise<void> {}

  /** Runs until enough operations are done. */
  async run(): Promise<void> {
    await this.begin();
    while (this.operations < this.#most) {
      let roll = this.random.int(this.#total);
      const [action] = this.#weights.find(([, weight]) => (roll -= weight) < 0)!;
      this.action = action;
      await this.prepare(action);
      await this.actions[action]!();
      await this.watch(action);
      if (this.failure) throw this.failure.error;
    }
    this.action = "the end";
    await this.end();
  }

  protected count(what: string, times = 1): void {
    this.reached.set(what, (this.reached.get(what) ?? 0) + times);
  }

  /** Waits for a promise; lets time pass when nothing else happens. */
  protected async finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    for (let turns = 1; !settled; turns++) {
      await null;
      if (turns % 500 === 0) this.environment.advance(1);
      if (turns === TURNS_MAX) throw new Error("a promise does not settle");
    }
    if (this.failure) throw this.failure.error;
    return await promise;
  }

  /** Goes on beside a promise; its error ends the run. */
  protected beside(promise: Promise<unknown>): void {
    const watched = promise.catch((error) => {
      this.failure ??= { error };
    }).finally(() => this.#background.delete(watched));
    this.#background.add(watched);
  }

  /** Nothing runs beside any more. */
  protected async quiet(): Promise<void> {
    await this.finish(Promise.all(this.#background));
  }

  /** Lets some microtasks go by. */
  protected async ticks(most: number): Promise<void> {
    for (let turns = this.random.int(most); turns > 0; turns--) await null;
  }
}
