// The watch over cursors: tells when one falls far behind, and when changes that it has not done are gone.
//
// Invariant: while no cursor has moved and none can have crossed the line, a new change costs two comparisons.
import { isManifestError } from "../../errors.ts";
import type { ChangeLog } from "./change_log.ts";
import type { Events } from "../events.ts";
import type { Store } from "../../store/store.ts";

/** Watches the cursors of one store. */
export class LagWatch {
  readonly #store: Store;
  readonly #log: ChangeLog;
  readonly #events: Events;
  readonly #warning: number;
  /** No cursor that was not told about can be behind by more than the warning before this change. */
  #alarm = 0;
  #seen = -1;
  readonly #told = new Set<number>();
  #due = false;

  /** `warning`: the lag beyond which to tell. */
  constructor(store: Store, log: ChangeLog, events: Events, warning: number) {
    this.#store = store;
    this.#log = log;
    this.#events = events;
    this.#warning = warning;
    log.cursors.onStage = () => this.look();
  }

  /** Changes have become durable, or cursors move. */
  look(): void {
    const { cursors, losing } = this.#log;
    if (this.#due || (this.#store.durableSequence < this.#alarm && !cursors.stale && cursors.version === this.#seen && losing.size === 0)) {
      return;
    }
    this.#due = true;
    // Rows are read behind the engine's own step.
    queueMicrotask(() => {
      this.#due = false;
      if (this.#store.failure !== undefined) return;
      try {
        this.#scan();
      } catch (error) {
        // What cannot be read is told to those who ask for it.
        if (!isManifestError(error)) throw error;
      }
    });
  }

  #scan(): void {
    const { cursors, losing } = this.#log;
    const { rows } = cursors;
    this.#seen = cursors.version;
    const latestSequence = this.#store.durableSequence;
    this.#alarm = Infinity;
    for (const id of this.#told) if (!rows.has(id)) this.#told.delete(id);
    for (const [cursorId, { name, next: nextSequence }] of rows) {
      const lag = latestSequence + 1 - nextSequence;
      if (lag * 2 <= this.#warning) this.#told.delete(cursorId);
      if (this.#told.has(cursorId)) continue;
      if (lag > this.#warning) {
        this.#told.add(cursorId);
        this.#events.emit({ type: "cursor-lagging", cursorId, name, nextSequence, latestSequence, lag });
      } else this.#alarm = Math.min(this.#alarm, nextSequence + this.#warning);
    }
    if (losing.size === 0) return;
    const oldestSequence = this.#log.oldest(this.#store.published);
    for (const cursorId of losing) {
      const row = rows.get(cursorId);
      if (row !== undefined && row.next >= oldestSequence && row.next < this.#log.goal) continue; // on its way
      losing.delete(cursorId);
      if (row === undefined || row.next >= oldestSequence) continue;
      const { name, next: nextSequence } = row;
      this.#events.emit({ type: "cursor-truncated", cursorId, name, nextSequence, oldestSequence, latestSequence });
    }
  }
}
