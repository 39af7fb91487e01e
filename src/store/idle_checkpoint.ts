// A checkpoint when nothing has been committed for a while.
//
// Invariant: at most one timer is set, and none behind `cancel`.
import type { Core } from "./core.ts";
import type { Timer } from "./environment.ts";

/** Calls for a checkpoint when commits pause. */
export class IdleCheckpoint {
  readonly #core: Core;
  /** Makes the checkpoint, when there is anything to make. */
  readonly #due: () => void;
  #timer: Timer | undefined;
  #lastCommit = 0;

  constructor(core: Core, due: () => void) {
    this.#core = core;
    this.#due = due;
  }

  /** A commit was made: the pause begins anew. */
  committed(): void {
    const { environment, options } = this.#core;
    if (options.idleCheckpoint === 0) return;
    this.#lastCommit = environment.monotonic();
    if (this.#timer === undefined) this.#wait(options.idleCheckpoint);
  }

  #wait(milliseconds: number): void {
    const { environment, options } = this.#core;
    this.#timer = environment.timer(milliseconds, () => {
      this.#timer = undefined;
      if (this.#core.failure || this.#core.ended) return;
      const left = options.idleCheckpoint - (environment.monotonic() - this.#lastCommit);
      if (left > 0) this.#wait(Math.max(1, left));
      else this.#due();
    });
  }

  /** Calls the timer off. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
