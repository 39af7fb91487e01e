// Clock, entropy, timers and yielding: everything a store takes from outside besides its storage.
//
// One injectable object, so that equal operations give equal bytes on every runtime when it is replaced. Nothing else in the package asks for the time, draws
// random bytes or sets a timer.

/** A timer that can be called off. */
export interface Timer {
  /** Calls the timer off; a second call does nothing. */
  cancel(): void;
}

/** What a store takes from outside besides its storage. */
export interface Environment {
  /** Milliseconds since 1970, an integer. */
  now(): number;
  /** Milliseconds of a clock that never goes back, for measuring. */
  monotonic(): number;
  /** Fills the array with random bytes. */
  random(into: Uint8Array<ArrayBuffer>): void;
  /** Calls back once after a while. Does not keep the process alive unless `hold` is given: then somebody waits for it. */
  timer(milliseconds: number, callback: () => void, hold?: boolean): Timer;
  /** Resolves in a later turn of the event loop, so that others run in between. */
  yield(): Promise<void>;
}

interface TimerHandle {
  unref?(): void;
}

/** Node's `setImmediate` comes after pending I/O but without the milliseconds that nested timeouts cost. */
const immediate: ((callback: () => void) => unknown) | undefined =
  (globalThis as { setImmediate?: (callback: () => void) => unknown }).setImmediate;

/** The real clock, entropy and timers of the platform. */
export const systemEnvironment: Environment = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: (into) => {
    crypto.getRandomValues(into);
  },
  timer: (milliseconds, callback, hold) => {
    const handle = setTimeout(callback, milliseconds);
    if (hold !== true && typeof handle === "object" && handle !== null) (handle as TimerHandle).unref?.();
    return { cancel: () => clearTimeout(handle) };
  },
  yield: () =>
    new Promise((resolve) => {
      if (immediate) immediate(() => resolve());
      else setTimeout(resolve, 0);
    }),
};
