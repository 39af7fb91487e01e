// Waiting that can be ended: by a signal, or by the environment's timer. Nothing stays behind, neither a listener nor a timer nor a rejection that nobody sees.
import { ManifestError } from "../errors.ts";
import type { Environment, Timer } from "../store/environment.ts";

/**
 * Waits until `done` is called. `begin` says whom to call and returns how to take that back, which happens when the signal is aborted: then the wait rejects with its reason.
 */
export function waitFor(signal: AbortSignal, begin: (done: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const aborted = (): void => {
      takeBack();
      reject(signal.reason);
    };
    const takeBack = begin(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    });
    signal.addEventListener("abort", aborted, { once: true });
  });
}

/** Waits for some milliseconds. */
export function delay(environment: Environment, milliseconds: number, signal: AbortSignal): Promise<void> {
  return waitFor(signal, (done) => {
    const timer = environment.timer(milliseconds, done);
    return () => timer.cancel();
  });
}

/** A call, and how long it may take. */
export interface BoundedCall {
  /** Completes "Cannot …". */
  readonly action: string;
  readonly environment: Environment;
  /** Milliseconds; undefined: as long as it likes. */
  readonly timeoutMs: number | undefined;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** The call. It is given a signal of its own. */
  readonly call: (signal: AbortSignal) => unknown;
}

/**
 * Makes a call and waits until it ends, the signal is aborted, or the time is up (TIMEOUT). In the last two cases the call is given up: its own signal is aborted with the same reason, and what becomes
 * of it is ignored.
 */
export function boundedCall({ action, environment, timeoutMs, signal, call }: BoundedCall): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const own = new AbortController();
    let timer: Timer | undefined;
    const end = (): void => {
      timer?.cancel();
      signal.removeEventListener("abort", aborted);
    };
    const giveUp = (reason: unknown): void => {
      end();
      reject(reason);
      own.abort(reason);
    };
    const aborted = (): void => giveUp(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    if (timeoutMs !== undefined) {
      timer = environment.timer(timeoutMs, () => {
        // The call may have done everything but answer.
        const outcome = "unknown";
        giveUp(new ManifestError("TIMEOUT", `Cannot ${action}: it took longer than ${timeoutMs} ms`, { detail: { timeoutMs }, outcome }));
      });
    }
    new Promise((done) => done(call(own.signal))).then(() => {
      end();
      resolve();
    }, (error: unknown) => {
      end();
      reject(error);
    });
  });
}
