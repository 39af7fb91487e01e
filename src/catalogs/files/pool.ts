// Work on many files, some at a time.
//
// Invariant: when `runAll` settles nothing of it is under way any more. It begins no further work behind a failure or an abort, and throws the first failure.
import { checkAborted } from "./digest.ts";

/** How work is spread. */
export interface PoolOptions {
  /** Completes "Cannot …". */
  readonly action: string;
  /** How much is done at once. */
  readonly parallel: number;
  /** Begins nothing further once aborted: ABORTED. */
  readonly signal: AbortSignal | undefined;
}

/** Does some work for every item, `parallel` of them at once, in their order. */
export async function runAll<T>(
  items: Iterable<T>,
  { action, parallel, signal }: PoolOptions,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const source = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  let ended = false;
  const lane = async (): Promise<void> => {
    while (failure === undefined) {
      try {
        checkAborted(signal, action);
        const next = source.next();
        if (next.done) {
          ended = true;
          return;
        }
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  // A lane takes its first item at once: there are no more of them than items.
  const lanes: Promise<void>[] = [];
  while (lanes.length < parallel && !ended && failure === undefined) lanes.push(lane());
  await Promise.all(lanes);
  source.return?.();
  if (failure !== undefined) throw failure.error;
}
