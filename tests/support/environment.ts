// A repeatable environment for stores: a clock that ticks when asked, seeded entropy, and timers that fire only when told to.
import type { Environment, Timer } from "../../src/store/environment.ts";
import { seeded } from "./random.ts";

/** An environment without real time. */
export interface TestEnvironment extends Environment {
  /** Lets time pass and fires the timers that fall due. */
  advance(milliseconds: number): void;
}

/** An environment determined by its seed. The clock of `now` moves one millisecond a question; `monotonic` moves with `advance` only. */
export function testEnvironment(seed: number): TestEnvironment {
  const random = seeded(seed);
  let clock = 1_700_000_000_000;
  let elapsed = 0;
  const timers = new Set<{ due: number; callback: () => void }>();
  return {
    now: () => clock++,
    monotonic: () => elapsed,
    random: (into) => into.set(random.bytes(into.length)),
    timer: (milliseconds, callback): Timer => {
      const timer = { due: elapsed + milliseconds, callback };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    yield: () => Promise.resolve(),
    advance: (milliseconds) => {
      elapsed += milliseconds;
      for (const timer of [...timers]) {
        if (timer.due > elapsed || !timers.delete(timer)) continue;
        timer.callback();
      }
    },
  };
}
