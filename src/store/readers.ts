// Read transactions: pinned versions that are open.
import type { Kernel } from "../kernel/kernel.ts";
import type { Environment } from "./environment.ts";
import type { ReaderStats } from "./types.ts";
import { type ReadContext, View } from "./views.ts";

/** A pinned view. Close it; one that stays open keeps old pages alive. */
export class ReadTransaction extends View {
  readonly #onClose: (transaction: ReadTransaction) => void;
  #closed = false;

  /** Made by `Store.read`. */
  constructor(context: ReadContext, version: number, onClose: (transaction: ReadTransaction) => void) {
    super(context, version);
    this.#onClose = onClose;
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends it; a second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The open read transactions of a store. */
export class Readers {
  readonly #context: ReadContext;
  readonly #environment: Environment;
  readonly #open = new Map<ReadTransaction, { since: number; sequence: number }>();
  readonly #own = new Set<ReadTransaction>();
  /** Called when the last open one is closed. */
  onLast: (() => void) | undefined;
  readonly #kernel: Kernel;

  constructor(context: ReadContext, environment: Environment) {
    this.#context = context;
    this.#kernel = context.kernel;
    this.#environment = environment;
  }

  /** Open read transactions. */
  get count(): number {
    return this.#open.size;
  }

  /** Pins the published version, or a sealed one; `own` keeps the store's own view out of the numbers. */
  open(own = false, version: number = this.#kernel.exports.versionPublished()): ReadTransaction {
    const x = this.#kernel.exports;
    x.versionPin(version);
    const transaction = new ReadTransaction(this.#context, version, (closing) => this.#close(closing));
    if (own) this.#own.add(transaction);
    else this.#open.set(transaction, { since: this.#environment.monotonic(), sequence: x.versionSequence(version) });
    return transaction;
  }

  #close(transaction: ReadTransaction): void {
    if (!this.#open.delete(transaction) && !this.#own.delete(transaction)) return;
    transaction.end();
    if (!this.#context.io.trapped) this.#kernel.exports.versionUnpin(transaction.version);
    if (this.#open.size === 0) this.onLast?.();
  }

  /** Closes them all. */
  closeAll(): void {
    for (const transaction of [...this.#open.keys(), ...this.#own]) transaction.close();
  }

  /** Age and sequence of each, oldest first. */
  stats(): ReaderStats[] {
    const now = this.#environment.monotonic();
    return [...this.#open.values()].map(({ since, sequence }) => ({ age: now - since, sequence })).sort((a, b) => b.age - a.age);
  }
}
