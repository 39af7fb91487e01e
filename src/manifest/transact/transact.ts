// Running read-write transactions: attempt, validate, try again; and what interrupts them.
//
// Invariants: nothing is applied unless the promise resolves, or rejects with an outcome that is not "not_applied"; what is resolved with is durable as the durability mode says, reads
// included; whoever interrupts a transaction ends it at once, except behind the moment when its commit has been taken.
import { checkSignal, type OptionNames, takeOptions } from "../../arguments.ts";
import { fail, failRange, failType, isManifestError, ManifestError, type ManifestErrorFields } from "../../errors.ts";
import type { Timer } from "../../store/environment.ts";
import { Attempt } from "./attempt.ts";
import { NO_GENERATIONS } from "../log/change.ts";
import type { ManifestCore } from "../core.ts";
import type { Conflict } from "./read_set.ts";
import type { CommitReceipt } from "../write/receipt.ts";
import { checkExpected, expectedSequenceOf } from "./sequence_guard.ts";
import { Transaction } from "./transaction.ts";

/** How to run a read-write transaction. */
export interface TransactOptions {
  /** Tags the change, so that a replicator can skip its own. */
  origin?: string;
  /** Interrupts the transaction with ABORTED. A commit that has been taken is not called off. */
  signal?: AbortSignal;
  /** Interrupts the transaction with TIMEOUT after so many milliseconds, all attempts together. Default 30,000; 0: never. A commit that has been taken is not called off. */
  timeoutMs?: number;
  /** How often the function may run again when another commit has changed what it read. Default 256. Of n functions that wait for something and write what all of them have read, the last needs n attempts. */
  retries?: number;
  /** CONFLICT, with nothing applied and without another try, unless the newest applied change has this sequence when the transaction begins and when it commits. */
  expectedSequence?: number;
}

/** What a read-write transaction came to. */
export interface TransactResult<T> {
  /** What its function returned, in the attempt that was committed. */
  readonly value: T;
  /** The receipt; of sequence 0 when nothing was written. */
  readonly receipt: CommitReceipt;
  /** How often the function ran. */
  readonly attempts: number;
}

const TIMEOUT_MS = 30_000;
/** The longest time that every platform's timer takes. */
const TIMEOUT_MOST = 0x7fffffff;
const RETRIES = 256;
/** An attempt waits for at most so many groups that others fill: then it begins beside them. */
const GROUPS = 16;

/** Runs a transaction. */
export async function transact<T>(
  core: ManifestCore,
  fn: (txn: Transaction) => T | Promise<T>,
  options: TransactOptions = {},
): Promise<TransactResult<T>> {
  if (typeof fn !== "function") failType("Cannot run a transaction: fn is not a function", { field: "fn" });
  const taken = checkOptions(options);
  core.store.assertOpen("run a transaction");
  const { signal } = taken;
  if (signal?.aborted) fail("ABORTED", "Cannot run a transaction: the signal is aborted", { cause: signal.reason });
  const running = new Running(core, fn, taken);
  try {
    return await running.run();
  } finally {
    running.over();
  }
}

const NAMES: OptionNames<TransactOptions> = { origin: true, signal: true, timeoutMs: true, retries: true, expectedSequence: true };

function checkOptions(options: TransactOptions): TransactOptions {
  const action = "run a transaction";
  const taken = takeOptions(options, NAMES, action);
  const { origin, signal, timeoutMs, retries, expectedSequence } = taken;
  if (origin !== undefined && typeof origin !== "string") failType(`Cannot ${action}: origin is not a string`, { field: "origin" });
  checkSignal(signal, action);
  if (timeoutMs !== undefined) {
    if (typeof timeoutMs !== "number") failType(`Cannot ${action}: timeoutMs is not a number`, { field: "timeoutMs" });
    if (!(timeoutMs >= 0 && timeoutMs <= TIMEOUT_MOST)) {
      failRange(`Cannot ${action}: timeoutMs is not a number from 0 to ${TIMEOUT_MOST}`, { field: "timeoutMs" });
    }
  }
  if (retries !== undefined) {
    if (typeof retries !== "number") failType(`Cannot ${action}: retries is not a number`, { field: "retries" });
    if (!Number.isSafeInteger(retries) || retries < 0) {
      failRange(`Cannot ${action}: retries is not a whole number from 0 on`, { field: "retries" });
    }
  }
  expectedSequenceOf(expectedSequence, action);
  return taken;
}

/** A transaction that is running. */
class Running<T> {
  readonly #core: ManifestCore;
  readonly #fn: (txn: Transaction) => T | Promise<T>;
  readonly #options: TransactOptions;
  readonly #controller = new AbortController();
  readonly #interrupted: Promise<never>;
  #reject!: (error: unknown) => void;
  /** What has interrupted it. */
  #error: ManifestErrorFields | undefined;
  #timer: Timer | undefined;
  #attempt: Attempt | undefined;
  /** Its commit is on its way: closing the manifest waits for it. */
  #committing = false;
  readonly #onAbort = (): void => {
    this.#interrupt(new ManifestError("ABORTED", "Cannot run a transaction: it was aborted", { cause: this.#options.signal!.reason }));
  };

  constructor(core: ManifestCore, fn: (txn: Transaction) => T | Promise<T>, options: TransactOptions) {
    this.#core = core;
    this.#fn = fn;
    this.#options = options;
    this.#interrupted = new Promise((_, reject) => this.#reject = reject);
    this.#interrupted.catch(() => {}); // who waits for something is told by it; nobody may be waiting
    core.running.add(this);
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    const milliseconds = options.timeoutMs ?? TIMEOUT_MS;
    if (milliseconds > 0) {
      this.#timer = core.environment.timer(milliseconds, () => {
        this.#interrupt(
          new ManifestError("TIMEOUT", `Cannot run a transaction: it took longer than ${milliseconds} ms`, {
            detail: { timeoutMs: milliseconds },
          }),
        );
      });
    }
  }

  /** The manifest is being closed. */
  close(): void {
    if (!this.#committing) this.#interrupt(new ManifestError("HANDLE_CLOSED", "Cannot run a transaction: the store is closed"));
  }

  /** Everything is decided. */
  over(): void {
    this.#core.running.delete(this);
    this.#timer?.cancel();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  #interrupt(error: ManifestErrorFields): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    if (!this.#committing) this.#attempt?.close();
    this.#reject(error);
    this.#controller.abort(error);
  }

  #unlessInterrupted<R>(promise: PromiseLike<R>): Promise<R> {
    return Promise.race([promise, this.#interrupted]);
  }

  #checkInterrupted(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  async run(): Promise<TransactResult<T>> {
    const retries = this.#options.retries ?? RETRIES;
    for (let number = 1;; number++) {
      const result = await this.#run(number);
      if ("receipt" in result) return result;
      const { conflict } = result;
      if (number > retries) {
        fail("CONFLICT", `Cannot commit: another commit has changed what was read (attempt ${number})`, {
          detail: { ...conflict, attempts: number },
        });
      }
      // A retry that began before the conflicting commit is sealed would meet it again.
      await this.#unlessInterrupted(this.#core.store.whenSealed(conflict.frame));
    }
  }

  /** Whether it is better to wait for what is applied to be sealed: where that happens at the end of the turn; behind a conflict, and with an expected sequence, in any case. */
  #early(number: number): boolean {
    const { store } = this.#core;
    return number > 1 || this.#options.expectedSequence !== undefined ? store.gathering : store.sealing;
  }

  async #run(number: number): Promise<TransactResult<T> | { conflict: Conflict }> {
    const core = this.#core;
    const { store } = core;
    // Nothing may come between the last look and the state that is pinned: so those who wait for the same group get on one by one.
    for (let i = 0; i < GROUPS && this.#early(number); i++) await this.#unlessInterrupted(store.whenSealed(store.newest.frame));
    this.#checkInterrupted();
    const { expectedSequence } = this.#options;
    if (expectedSequence !== undefined) checkExpected(store, expectedSequence);
    const attempt = this.#attempt = new Attempt(core, this.#options.origin);
    try {
      // The function never runs inside the call of `transact`, so those that begin in one turn read the same state, and are committed in one group when they do not touch each other. Behind a
      // conflict a function that does not wait is committed in the turn in which it began: the next one in line waits for that, and they get through one after the other.
      if (number === 1) await this.#unlessInterrupted(Promise.resolve());
      const called = this.#call(attempt, number);
      const value = called instanceof Promise ? await called : called as T;
      if (!attempt.writes) {
        if (expectedSequence !== undefined) checkExpected(store, expectedSequence);
        const { frame } = attempt;
        attempt.close();
        await this.#unlessInterrupted(store.whenPublished(frame));
        return { value, receipt: { sequence: 0, commitId: this.#commitId(attempt), generations: NO_GENERATIONS }, attempts: number };
      }
      attempt.end();
      attempt.batch.signal = this.#controller.signal;
      this.#committing = true;
      try {
        return { value, receipt: await attempt.commit(expectedSequence), attempts: number };
      } catch (error) {
        if (this.#error !== undefined && isManifestError(error) && error.outcome === "not_applied") throw this.#error;
        if (attempt.conflict === undefined) throw error;
        return { conflict: attempt.conflict };
      } finally {
        this.#committing = false;
      }
    } finally {
      attempt.close();
      this.#attempt = undefined;
    }
  }

  #commitId(attempt: Attempt): string {
    return attempt.batch.name;
  }

  /** Runs the function. */
  #call(attempt: Attempt, number: number): T | Promise<T> {
    const txn = new Transaction(attempt, number, this.#controller.signal, () => this.#commitId(attempt));
    let returned: T | Promise<T>;
    let promised: boolean;
    try {
      returned = this.#fn(txn);
      promised = isThenable(returned);
    } catch (error) {
      this.#failed(error);
    }
    if (promised) return this.#unlessInterrupted(returned as Promise<T>).catch((error) => this.#failed(error));
    this.#checkInterrupted();
    return returned;
  }

  #failed(error: unknown): never {
    this.#checkInterrupted();
    if (isManifestError(error)) throw error;
    throw new ManifestError("CALLBACK_FAILED", "Cannot commit: the transaction's function has thrown", { cause: error });
  }
}

function isThenable<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
