// Waiting for a number to rise: those who wait, ordered by what they wait for.
//
// Invariants: whoever settles is taken out with its timer and its listener, so nothing is left of it; telling a new value costs nothing for those whose number it does not
// reach. Deadlines are timers of the environment: they fall due on an idle store too, and keep the process alive until then.
import { checkSignal, type OptionNames, takeOptions } from "../../arguments.ts";
import { failRange, failType, ManifestError } from "../../errors.ts";
import type { Environment, Timer } from "../../store/environment.ts";

/** How to wait. */
export interface WaitOptions {
  /** Gives up after this many milliseconds with TIMEOUT. Default: waits without end. */
  timeoutMs?: number;
  /** Gives up with ABORTED. */
  signal?: AbortSignal;
}

/** Timers of the platforms take no more. */
const TIMEOUT_MAX = 0x7fffffff;

interface Waiter {
  readonly target: number;
  readonly resolve: (value: number) => void;
  readonly reject: (error: unknown) => void;
  /** Place in the heap. */
  at: number;
  timer: Timer | undefined;
  unlisten: (() => void) | undefined;
}

const NAMES: OptionNames<WaitOptions> = { timeoutMs: true, signal: true };

/** Options of waiting, valid; `action` completes "Cannot …". */
export function checkWait(options: WaitOptions, action: string): WaitOptions {
  const taken = takeOptions(options, NAMES, action);
  const { timeoutMs, signal } = taken;
  if (timeoutMs !== undefined) {
    if (typeof timeoutMs !== "number") failType(`Cannot ${action}: timeoutMs is not a number`, { field: "timeoutMs" });
    if (!(timeoutMs >= 0) || (timeoutMs > TIMEOUT_MAX && timeoutMs !== Infinity)) {
      failRange(`Cannot ${action}: timeoutMs is not Infinity or a number from 0 to ${TIMEOUT_MAX}`, { field: "timeoutMs" });
    }
  }
  checkSignal(signal, action);
  return taken;
}

/** The error of an aborted signal. */
export function abortedError(action: string, signal: AbortSignal): ManifestError {
  return new ManifestError("ABORTED", `Cannot ${action}: the signal is aborted`, { cause: signal.reason });
}

/** Those who wait for one number to rise. */
export class Waiters {
  readonly #environment: Environment;
  /** A binary heap: the smallest target first. */
  readonly #heap: Waiter[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** How many wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** Resolves with the first value told that is at least `target`. The options have been checked; `action` completes "Cannot …". */
  wait(target: number, options: WaitOptions, action: string): Promise<number> {
    const { timeoutMs = Infinity, signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortedError(action, signal));
      const late = (): ManifestError =>
        new ManifestError("TIMEOUT", `Cannot ${action}: it has not come within ${timeoutMs} ms`, { detail: { timeoutMs } });
      if (timeoutMs === 0) return reject(late());
      const waiter: Waiter = { target, resolve, reject, at: 0, timer: undefined, unlisten: undefined };
      if (timeoutMs !== Infinity) waiter.timer = this.#environment.timer(timeoutMs, () => this.#fail(waiter, late()), true);
      if (signal !== undefined) {
        const aborted = (): void => this.#fail(waiter, abortedError(action, signal));
        signal.addEventListener("abort", aborted, { once: true });
        waiter.unlisten = () => signal.removeEventListener("abort", aborted);
      }
      this.#push(waiter);
    });
  }

  /** The number has risen to `value`: those who wait for no more get it. */
  reached(value: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.target <= value; first = this.#heap[0]) {
      this.#take(first);
      first.resolve(value);
    }
  }

  /** Nobody gets what it waits for. */
  end(error: unknown): void {
    for (const waiter of this.#heap.splice(0)) {
      letGo(waiter);
      waiter.reject(error);
    }
  }

  #fail(waiter: Waiter, error: ManifestError): void {
    if (this.#heap[waiter.at] !== waiter) return;
    this.#take(waiter);
    waiter.reject(error);
  }

  // ---- the heap ---------------------------------------------------------------------------------------------

  #push(waiter: Waiter): void {
    waiter.at = this.#heap.length;
    this.#heap.push(waiter);
    this.#up(waiter);
  }

  #take(waiter: Waiter): void {
    letGo(waiter);
    const last = this.#heap.pop()!;
    if (last === waiter) return;
    last.at = waiter.at;
    this.#heap[last.at] = last;
    this.#up(last);
    this.#down(last);
  }

  #up(waiter: Waiter): void {
    const heap = this.#heap;
    while (waiter.at > 0) {
      const parent = heap[(waiter.at - 1) >> 1]!;
      if (parent.target <= waiter.target) return;
      this.#swap(parent, waiter);
    }
  }

  #down(waiter: Waiter): void {
    const heap = this.#heap;
    for (;;) {
      let child = heap[waiter.at * 2 + 1];
      const right = heap[waiter.at * 2 + 2];
      if (child === undefined) return;
      if (right !== undefined && right.target < child.target) child = right;
      if (child.target >= waiter.target) return;
      this.#swap(waiter, child);
    }
  }

  /** `above` and `below` change places. */
  #swap(above: Waiter, below: Waiter): void {
    const at = above.at;
    above.at = below.at;
    below.at = at;
    this.#heap[above.at] = above;
    this.#heap[below.at] = below;
  }
}

function letGo(waiter: Waiter): void {
  waiter.timer?.cancel();
  waiter.unlisten?.();
}
