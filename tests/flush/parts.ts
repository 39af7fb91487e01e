// What the tests of flushing share: an environment that counts its timers, gates, promises that can be looked at, a sink in memory.
import { assert } from "@std/assert";
import { setImmediate } from "node:timers";
import { type Environment, isManifestError, type ManifestErrorFields } from "../../mod.ts";
import {
  FlushController,
  type FlushControllerOptions,
  type FlushEvent,
  type FlushRequest,
  type FlushResult,
  type FlushSegment,
  type FlushSink,
} from "../../src/flush/mod.ts";
import { testEnvironment } from "../support/environment.ts";

/** Lets everything run that waits neither for a timer nor for a gate. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve())); // the queue of microtasks is empty by then
}

/** A clock moved by hand, and its timers. */
export class Timers {
  readonly environment: Environment;
  /** Milliseconds of every timer that was set. */
  readonly asked: number[] = [];
  /** Timers that have neither fired nor been called off. */
  live = 0;
  readonly #advance: (milliseconds: number) => void;

  constructor(seed = 1) {
    const inner = testEnvironment(seed);
    this.#advance = (milliseconds) => inner.advance(milliseconds);
    this.environment = {
      ...inner,
      timer: (milliseconds, callback) => {
        this.asked.push(milliseconds);
        this.live++;
        let ended = false;
        const end = (): void => {
          if (!ended) this.live--;
          ended = true;
        };
        const timer = inner.timer(milliseconds, () => {
          end();
          callback();
        });
        return {
          cancel: () => {
            end();
            timer.cancel();
          },
        };
      },
    };
  }

  /** Lets everything run, then time pass, then everything run. */
  async pass(milliseconds: number): Promise<void> {
    await settle();
    this.#advance(milliseconds);
    await settle();
  }
}

/** A promise that is settled by hand. */
export class Gate {
  readonly promise: Promise<void>;
  open!: () => void;
  fail!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.open = resolve;
      this.fail = reject;
    });
  }
}

/** What has become of a promise so far. */
export interface Tracked<T> {
  state: "pending" | "resolved" | "rejected";
  value?: T;
  error?: ManifestErrorFields;
}

/** Watches a promise; what it rejects with must be an error of this package. */
export function track<T>(promise: Promise<T>): Tracked<T> {
  const tracked: Tracked<T> = { state: "pending" };
  promise.then((value) => {
    tracked.state = "resolved";
    tracked.value = value;
  }, (error) => {
    tracked.state = "rejected";
    assert(isManifestError(error), `not an error of this package: ${error}`);
    tracked.error = error;
  });
  return tracked;
}

/** A sink that remembers in memory, and fails or waits as it is told. */
export class MemorySink implements FlushSink {
  /** Calls, as they came. */
  readonly calls: FlushRequest[] = [];
  /** Calls that it has acknowledged, in that order. */
  readonly applied: FlushSegment[] = [];
  readonly failures: { db: number; at: number }[] = [];
  /** What it does before it acknowledges. */
  before: (request: FlushRequest, call: number) => unknown = () => {};
  /** What it does before it notes a failure. */
  beforeFailure: () => unknown = () => {};

  async apply(request: FlushRequest): Promise<void> {
    const call = this.calls.push(request);
    await this.before(request, call);
    this.applied.push({ db: request.db, segment: request.segment, target: request.target });
  }

  async recordFailure(db: number, at: number): Promise<void> {
    await this.beforeFailure();
    this.failures.push({ db, at });
  }

  /** Segments acknowledged, in that order. */
  get segments(): number[] {
    return this.applied.map(({ segment }) => segment);
  }
}

/** A controller over a sink in memory, whose flushes wait at gates. */
export class Bench {
  readonly timers = new Timers();
  readonly sink = new MemorySink();
  readonly events: FlushEvent[] = [];
  /** Calls of `flush`, as they came. */
  readonly calls: { segment: FlushSegment; signal: AbortSignal; gate: Gate }[] = [];
  readonly controller: FlushController;

  /** With `gated` false, flushes succeed at once. */
  constructor(options: Partial<FlushControllerOptions> & { gated?: boolean } = {}) {
    const { gated = true, ...rest } = options;
    this.controller = new FlushController({
      flush: (segment, signal) => {
        const gate = new Gate();
        this.calls.push({ segment, signal, gate });
        if (gated) return gate.promise;
      },
      sink: this.sink,
      environment: this.timers.environment,
      onEvent: (event) => this.events.push(event),
      ...rest,
    });
  }

  /** Enqueues segment `segment` of a database, which ends at ten times its number. */
  enqueue(segment: number, options: { db?: number; target?: number; signal?: AbortSignal } = {}): Tracked<FlushResult> {
    const { db = 1, target = segment * 10, signal } = options;
    return track(this.controller.enqueue({ db, segment, target }, { signal }));
  }

  /** The gate of the newest call of `flush` for a segment. */
  gate(segment: number): Gate {
    return this.calls.findLast((call) => call.segment.segment === segment)!.gate;
  }

  /** Segments in the order in which `flush` was called. */
  get flushed(): number[] {
    return this.calls.map(({ segment }) => segment.segment);
  }
}
