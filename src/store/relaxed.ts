// Syncs for relaxed commits: acknowledged when written, durable a little later.
//
// Invariant: what a sync made durable is what had been written when it began; a later group waits for the next one.
import type { Core } from "./core.ts";
import type { Timer } from "./environment.ts";
import { checkClaim } from "./order.ts";

/** Relaxed commits are synced within this many milliseconds. */
const RELAXED_SYNC = 100;

/** How far something reaches. */
export interface Reach {
  readonly sequence: number;
  readonly frame: number;
  readonly group: number;
}

/** Syncs what relaxed commits have written. */
export class RelaxedSync {
  readonly #core: Core;
  readonly #onFailure: (error: unknown) => void;
  readonly #onDurable: () => void;
  #unsynced: Reach | undefined;
  #timer: Timer | undefined;
  /** The sync that is under way. */
  #flushing: Promise<void> | undefined;

  constructor(core: Core, onFailure: (error: unknown) => void, onDurable: () => void) {
    this.#core = core;
    this.#onFailure = onFailure;
    this.#onDurable = onDurable;
  }

  /** A group was written, up to here. */
  written(upTo: Reach): void {
    this.#unsynced = upTo;
    this.#timer ??= this.#core.environment.timer(RELAXED_SYNC, () => void this.flush().catch(() => {}));
  }

  /** Resolves when everything written before the call is durable. */
  async flush(): Promise<void> {
    this.cancel();
    // One that is under way covers only what was written before it began.
    while (this.#flushing) await this.#flushing;
    const upTo = this.#unsynced;
    if (!upTo) return;
    this.#unsynced = undefined;
    this.#flushing = this.#flush(upTo);
    try {
      await this.#flushing;
    } finally {
      this.#flushing = undefined;
    }
  }

  async #flush(upTo: Reach): Promise<void> {
    const before = this.#core.durableSequence;
    try {
      await this.#core.file.syncLater();
      checkClaim(this.#core);
    } catch (error) {
      this.#onFailure(error);
      throw error;
    }
    this.#core.durable(upTo.sequence, upTo.frame, upTo.group);
    if (this.#core.durableSequence !== before) this.#onDurable();
  }

  /** Calls the timer off. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
