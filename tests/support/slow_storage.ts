// Storage whose asynchronous syncs end when the test says so.
import { WrappedStorage } from "./counting_storage.ts";

/** Holds every asynchronous sync until it is let go. */
export class SlowStorage extends WrappedStorage {
  /** Holds syncs from now on. */
  holding = false;
  #held: (() => void)[] = [];
  #failing: unknown;

  /** Syncs that are held. */
  get held(): number {
    return this.#held.length;
  }

  /** Lets those that are held go. */
  letGo(): void {
    for (const go of this.#held.splice(0)) go();
  }

  /** Lets all go, now and later. */
  free(): void {
    this.holding = false;
    this.letGo();
  }

  /** The next sync fails. */
  failNext(error: unknown): void {
    this.#failing = error;
  }

  override async syncAsync(): Promise<void> {
    if (this.holding) await new Promise<void>((resolve) => this.#held.push(resolve));
    const failing = this.#failing;
    this.#failing = undefined;
    if (failing !== undefined) throw failing;
    await super.syncAsync();
  }
}
