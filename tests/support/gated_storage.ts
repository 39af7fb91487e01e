// Storage whose syncs off the event loop wait until a test lets them go, and may then fail.
import { WrappedStorage } from "./counting_storage.ts";

/** Storage with a gate before its asynchronous syncs. */
export class GatedStorage extends WrappedStorage {
  /** Syncs that wait. */
  waiting = 0;
  #closed = false;
  #failing = false;
  #wake: (() => void)[] = [];

  /** Syncs wait from now on. */
  shut(): void {
    this.#closed = true;
  }

  /** Lets waiting and later syncs go; with `fail` those that wait fail. */
  open(fail = false): void {
    this.#closed = false;
    this.#failing = fail;
    for (const wake of this.#wake.splice(0)) wake();
  }

  override async syncAsync(): Promise<void> {
    if (this.#closed) {
      this.waiting++;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
      this.waiting--;
      if (this.#failing) throw new Error("the disk is gone");
    }
    await super.syncAsync();
  }
}

/** Lets everything that lives in microtasks go on. */
export async function settle(turns = 100): Promise<void> {
  for (let i = 0; i < turns; i++) await undefined;
}
