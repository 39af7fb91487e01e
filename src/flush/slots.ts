// A fixed number of places for calls that run at once. Whoever has waited longest for the whole work, not for this call, comes first: what is under way ends before more is begun.
import { waitFor } from "./bounded_call.ts";

/** Places for calls. */
export class Slots {
  #free: number;
  /** Those who wait, first the lowest order. */
  readonly #waiting: { order: number; done: () => void }[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Waits for a place; the lowest order is served first. Rejects with the signal's reason. */
  async take(order: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await waitFor(signal, (done) => {
      const item = { order, done };
      const at = this.#waiting.findIndex((other) => other.order > order);
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, item);
      return () => this.#waiting.splice(this.#waiting.indexOf(item), 1);
    });
  }

  /** Gives a place back: it goes to the next who waits. */
  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next.done();
  }
}
