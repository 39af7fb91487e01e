// The clock of a run, as sound or as wild as its shape says, and the time that commits must be given whatever it shows.
//
// A commit is given what the clock shows, and never less than the commit before it was given. Some actions may or may not commit (bookkeeping that finds nothing to do, commits that storage refuses): they are
// begun with the clock at its latest, so that both lead to the same time, and it is not set back until a commit has followed that is certain.
import type { Random } from "./random.ts";

/** How a clock behaves: right, a bit unsteady, off by days, or standing still. */
export type ClockHabit = "right" | "unsteady" | "wild" | "still";

/** Every habit. */
export const CLOCK_HABITS: readonly ClockHabit[] = ["right", "unsteady", "wild", "still"];

const START = 1_700_000_000_000;
const DAY = 86_400_000;

/** A clock. */
export class ModelClock {
  /** What it shows. */
  shown = START;
  readonly #habit: ClockHabit;
  /** The time of the newest commit. */
  #committed = 0;
  /** The latest that it has shown. */
  #latest = START;
  #certain = true;

  constructor(habit: ClockHabit) {
    this.#habit = habit;
  }

  /** The time that a commit must be given. */
  get time(): number {
    return Math.max(this.shown, this.#committed);
  }

  /** Time passes, or what the habit takes for it. */
  tick(random: Random): void {
    if (this.#habit !== "still" && random.chance(0.4)) this.shown += random.int(random.chance(0.1) ? 50_000 : 1000);
    const wild = this.#habit === "wild";
    if (wild && random.chance(0.02)) this.shown += random.int(20 * DAY);
    if (this.#certain && (wild || this.#habit === "unsteady") && random.chance(0.03)) {
      this.shown -= random.int(wild && random.chance(0.5) ? 9 * DAY : 20_000);
    }
    this.#latest = Math.max(this.#latest, this.shown);
  }

  /** Something has been committed at this time. */
  committed(): void {
    this.#committed = this.time;
    this.#certain = true;
  }

  /** Whether something will be committed now, or was taken back, is not known. */
  uncertain(): void {
    this.shown = Math.max(this.#latest, this.#committed);
    this.#certain = false;
  }
}
