// One segment on its way through a flush controller, from `enqueue` until its promise is settled.
import type { ErrorOutcome, ManifestError } from "../errors.ts";
import type { FlushSegment } from "./sink.ts";

/** What became of a segment that is durable. */
export interface FlushResult extends FlushSegment {
  /** How often `flush` was called. */
  readonly flushAttempts: number;
  /** How often the sink was called. */
  readonly sinkAttempts: number;
}

/** One segment on its way. Its promise is settled once, in the same turn as everything that is counted about it. */
export class FlushWork<S extends FlushSegment> {
  /** What was enqueued, for `flush`. */
  readonly segment: S;
  /** Its numbers as they were then. */
  readonly request: FlushSegment;
  /** Place in the order of enqueueing. */
  readonly order: number;
  readonly promise: Promise<FlushResult>;
  flushAttempts = 0;
  sinkAttempts = 0;
  /** Whether `flush` has been called. */
  begun = false;
  settled = false;
  /** When a step first failed. */
  failedAt: number | undefined;
  /** What it is about to be rejected with. */
  failure: ManifestError | undefined;
  /** What is known of what the sink has done. */
  outcome: ErrorOutcome = "not_applied";
  readonly #controller = new AbortController();
  #resolve!: (result: FlushResult) => void;
  #reject!: (error: unknown) => void;
  #unlisten: (() => void) | undefined;

  constructor(segment: S, request: FlushSegment, order: number) {
    this.segment = segment;
    this.request = request;
    this.order = order;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Ends every wait for it, once it is rejected. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Calls `aborted` when the signal is. */
  listen(signal: AbortSignal, aborted: () => void): void {
    signal.addEventListener("abort", aborted, { once: true });
    this.#unlisten = () => signal.removeEventListener("abort", aborted);
  }

  /** Resolves its promise. */
  succeed(): void {
    this.settled = true;
    this.#unlisten?.();
    const { flushAttempts, sinkAttempts } = this;
    this.#resolve({ ...this.request, flushAttempts, sinkAttempts });
  }

  /** Rejects its promise and ends what still runs for it. */
  reject(error: ManifestError): void {
    this.settled = true;
    this.#unlisten?.();
    this.#reject(error);
    this.#controller.abort(error);
  }
}
