// The flush controller: takes sealed segments, makes them durable through the caller's function, then has the sink remember it; tries again what fails.
//
//   enqueue → queued → flush (several at once) → the sink (in the order of the log, one segment of a database at a time) → durable
//
// Invariants:
// - A segment is reported durable only after the sink has acknowledged it.
// - The sink hears of the segments of a database in the order of their targets. It never hears of one while an earlier one that the controller was asked to flush is not durable: those behind a segment
//   that fails, fail too, and further ones are refused until the earlier one is enqueued again. Otherwise `lastAppliedLsn` would pass log records that are in no chunk.
// - Every promise is settled; nothing of a segment is left when its promise is: no timer, no listener, no place in the queue.
import { checkSignal, takeOptions } from "../arguments.ts";
import { fail, isManifestError, ManifestError } from "../errors.ts";
import { boundedCall, delay, waitFor } from "./bounded_call.ts";
import { checkSegment, checkWhole } from "./check.ts";
import { type FlushResult, FlushWork } from "./flush_work.ts";
import { FlushLane } from "./lane.ts";
import { type FlushControllerOptions, type FlushEvent, type FlushStage, type ResolvedOptions, resolveOptions } from "./options.ts";
import type { FlushSegment } from "./sink.ts";
import { Slots } from "./slots.ts";

/** Numbers about a {@linkcode FlushController}. */
export interface FlushStats {
  /** Segments taken whose flush has not begun. */
  readonly queued: number;
  /** Segments under way: being flushed, waiting for a retry or for an earlier segment, or given to the sink. */
  readonly running: number;
  /** Segments that are durable. */
  readonly succeeded: number;
  /** Segments given up, those behind one that was given up included. */
  readonly failed: number;
  /** Segments called off. */
  readonly aborted: number;
  /** Steps that failed and were tried again. */
  readonly retried: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Doublings of the backoff that make a difference: 2^31 milliseconds are more than a timer takes. */
const DOUBLINGS = 31;

/**
 * Flushes sealed segments of write-ahead logs: calls `flush`, which makes the data of a segment durable in chunks, and then the sink, which remembers how far the log is applied. A segment is durable, and
 * `enqueue` resolves, when the sink has acknowledged it.
 *
 * What fails is tried again, `flush` and the sink each up to `retries` times: the retry after failure n waits min(`backoffMs` × 2^(n−1), `backoffMaxMs`) milliseconds. An error of this package that is not
 * `retryable` is final at once. Then the segment has failed (FLUSH_FAILED) and the sink is told since when (`recordFailure`).
 *
 * Up to `concurrency` segments are flushed at once, also of one database, but the sink hears of them in the order of their targets. Enqueue the segments of a database in the order of its log: the
 * controller knows only of what it was asked. A segment that failed, was called off or was refused must be enqueued again before those behind it: they fail with FLUSH_FAILED, their detail naming it as
 * `blockedBy`. Where it will never come again, `forget` ends that.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FlushController, ManifestFlushSink } from "@waybill/manifest/flush";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin().putDb(1, { name: "events" }).commit();
 * await using controller = new FlushController({
 *   flush: async ({ db, segment }) => {
 *     // write the records of the segment to a file and sync it, then
 *     await manifest.begin().upsertChunk([db, segment], { fileName: `c-${segment}.seg` }).commit();
 *   },
 *   sink: new ManifestFlushSink(manifest),
 * });
 * await Promise.all([
 *   controller.enqueue({ db: 1, segment: 1, target: 100 }),
 *   controller.enqueue({ db: 1, segment: 2, target: 250 }),
 * ]);
 * console.log(manifest.getWalState(1)?.lastAppliedLsn); // 250: the log may be cut up to here
 * ```
 */
export class FlushController<S extends FlushSegment = FlushSegment> {
  readonly #options: ResolvedOptions<S>;
  readonly #slots: Slots;
  readonly #lanes = new Map<number, FlushLane<FlushWork<S>>>();
  readonly #taken = new Set<FlushWork<S>>();
  #waiting: Waiter[] = [];
  #waking = false;
  #whenIdle: (() => void)[] = [];
  #closed = false;
  #enqueued = 0;
  #succeeded = 0;
  #failed = 0;
  #aborted = 0;
  #retried = 0;

  /** A controller. Its options are checked here: INVALID_ARGUMENT. */
  constructor(options: FlushControllerOptions<S>) {
    this.#options = resolveOptions(options);
    this.#slots = new Slots(this.#options.concurrency);
  }

  /**
   * Flushes a segment. Resolves when the sink has acknowledged it, and not before.
   *
   * Rejects with FLUSH_FAILED (detail: `db`, `segment`, `target`, `attempts`, and `stage` or `blockedBy`; the cause is what failed), with UNAVAILABLE when `queueCapacity` segments wait, EXISTS when this
   * segment is on its way already, HANDLE_CLOSED behind `close`, ABORTED. An abort calls the segment off at any stage; the outcome of the error is "unknown" when the sink may have done it all the same.
   * Flushing a segment again that is durable does no harm.
   */
  enqueue(segment: S, options: { signal?: AbortSignal } = {}): Promise<FlushResult> {
    try {
      return this.#take(segment, options).promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves when there is room in the queue: one of those who wait for each place, in their order. HANDLE_CLOSED, ABORTED. */
  ready(options: { signal?: AbortSignal } = {}): Promise<void> {
    const action = "wait for room in the flush queue";
    return new Promise((resolve, reject) => {
      const { signal } = takeOptions(options, { signal: true }, action);
      checkSignal(signal, action);
      if (this.#closed) throw closed(action);
      if (signal?.aborted) fail("ABORTED", `Cannot ${action}: the signal is aborted`, { cause: signal.reason });
      const waiter: Waiter = {
        resolve: () => {
          signal?.removeEventListener("abort", aborted);
          resolve();
        },
        reject: (error) => {
          signal?.removeEventListener("abort", aborted);
          reject(error);
        },
      };
      const aborted = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new ManifestError("ABORTED", `Cannot ${action}: it was aborted`, { cause: signal!.reason }));
      };
      signal?.addEventListener("abort", aborted, { once: true });
      this.#waiting.push(waiter);
      void this.#wake();
    });
  }

  /** Resolves when no segment is on its way. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#taken.size === 0) resolve();
      else this.#whenIdle.push(resolve);
    });
  }

  /**
   * Forgets which segments of a database were not flushed, so that later ones no longer wait for them: for a log that was started again or given up. Returns how many those were. Never needed for a segment
   * that is enqueued again.
   */
  forget(db: number): number {
    checkWhole("forget lost segments", "db", db);
    const lane = this.#lanes.get(db);
    if (lane === undefined) return 0;
    const forgotten = lane.forget();
    if (lane.empty) this.#lanes.delete(db);
    return forgotten;
  }

  /** Numbers about it. */
  stats(): FlushStats {
    let running = 0;
    for (const { begun } of this.#taken) if (begun) running++;
    const queued = this.#taken.size - running;
    return { queued, running, succeeded: this.#succeeded, failed: this.#failed, aborted: this.#aborted, retried: this.#retried };
  }

  /**
   * Refuses new segments and resolves when those that were taken have succeeded or failed; with `abort`, calls them off (ABORTED). May be called again, also with `abort` behind a call without. The sink
   * stays open.
   */
  async close(options: { abort?: boolean } = {}): Promise<void> {
    const action = "close the flush controller";
    const { abort } = takeOptions(options, { abort: true }, action);
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed("wait for room in the flush queue"));
    if (abort === true) {
      for (const work of [...this.#taken]) {
        this.#lose(work, this.#abortError(work, "the controller was closed"));
      }
    }
    await this.idle();
    this.#lanes.clear();
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- the way of a segment -----------------------------------------------------------------------------------

  /** Checks a segment and sends it on its way. */
  #take(segment: S, options: { signal?: AbortSignal }): FlushWork<S> {
    const action = "enqueue a flush";
    checkSegment(action, segment);
    const { signal } = takeOptions(options, { signal: true }, action);
    checkSignal(signal, action);
    if (this.#closed) throw closed(action);
    const request: FlushSegment = { db: segment.db, segment: segment.segment, target: segment.target };
    const lane = this.#lane(request.db);
    if (lane.has(request.segment)) {
      fail("EXISTS", `Cannot ${action}: segment ${request.segment} of database ${request.db} is on its way`, { detail: { ...request } });
    }
    const refusal = this.#refusal(request, lane, signal);
    if (refusal !== undefined) {
      lane.lose(request, refusal.code === "FLUSH_FAILED" ? refusal.cause : refusal);
      throw refusal;
    }
    const work = new FlushWork(segment, request, this.#enqueued++);
    lane.add(work);
    this.#taken.add(work);
    if (signal !== undefined) work.listen(signal, () => this.#callOff(work, signal.reason));
    void this.#run(work, lane); // never rejects
    return work;
  }

  async #run(work: FlushWork<S>, lane: FlushLane<FlushWork<S>>): Promise<void> {
    try {
      await this.#retrying(work, "flush", () => this.#flush(work));
      await this.#retrying(work, "sink", () => this.#apply(work, lane));
    } catch (error) {
      if (work.settled) return;
      work.failure = error as ManifestError; // nothing else leaves #retrying while the work is not settled
      await this.#record(work);
      if (!work.settled) this.#loseWithThoseBehind(work, work.failure);
      return;
    }
    if (work.settled) return;
    this.#succeeded++;
    this.#leave(work);
    work.succeed();
    this.#checkIdle();
    this.#emit({ ...work.request, type: "durable" });
  }

  /** Takes a step until it succeeds, with pauses that grow. Throws what the segment fails with. */
  async #retrying(work: FlushWork<S>, stage: FlushStage, step: () => Promise<void>): Promise<void> {
    const { retries, backoffMs, backoffMaxMs, environment } = this.#options;
    for (let attempt = 1;; attempt++) {
      try {
        return await step();
      } catch (error) {
        work.signal.throwIfAborted();
        work.failedAt ??= environment.now();
        const final = isManifestError(error) && !error.retryable;
        if (final || attempt > retries) throw this.#failure(work, stage, attempt, error, final);
        const delayMs = Math.min(backoffMs * 2 ** Math.min(attempt - 1, DOUBLINGS), backoffMaxMs);
        this.#retried++;
        this.#emit({ ...work.request, type: "retry", stage, attempt, delayMs, error });
        await delay(environment, delayMs, work.signal);
      }
    }
  }

  /** Calls the caller's function, when there is a place for it. */
  async #flush(work: FlushWork<S>): Promise<void> {
    await this.#slots.take(work.order, work.signal);
    try {
      work.begun = true;
      work.flushAttempts++;
      await this.#bounded(work, `flush segment ${work.request.segment}`, (signal) => this.#options.flush(work.segment, signal));
    } finally {
      this.#slots.give();
    }
  }

  /** Tells the sink, when every earlier segment is durable. */
  async #apply(work: FlushWork<S>, lane: FlushLane<FlushWork<S>>): Promise<void> {
    while (!lane.isFirst(work)) await waitFor(work.signal, (done) => lane.whenFirst(work, done));
    const before = work.outcome;
    work.sinkAttempts++;
    work.outcome = "unknown";
    try {
      await this.#bounded(work, `apply segment ${work.request.segment}`, (signal) => this.#options.sink.apply({ ...work.request, signal }));
    } catch (error) {
      if (!work.settled && isManifestError(error) && error.outcome === "not_applied") work.outcome = before;
      throw error;
    }
  }

  /** Tells the sink that flushes fail. That it cannot be told changes nothing for the segment. */
  async #record(work: FlushWork<S>): Promise<void> {
    const { sink } = this.#options;
    if (sink.recordFailure === undefined) return;
    const { db, segment } = work.request;
    try {
      await this.#bounded(work, `record the failure of segment ${segment}`, (signal) => sink.recordFailure!(db, work.failedAt!, signal));
    } catch (error) {
      if (!work.settled) this.#emit({ ...work.request, type: "unrecorded", error });
    }
  }

  #bounded(work: FlushWork<S>, action: string, call: (signal: AbortSignal) => unknown): Promise<void> {
    const { environment, timeoutMs } = this.#options;
    return boundedCall({ action: `${action} of database ${work.request.db}`, environment, timeoutMs, signal: work.signal, call });
  }

  // ---- the end of a segment -----------------------------------------------------------------------------------

  /** The segment is no longer on its way. */
  #leave(work: FlushWork<S>): void {
    const { db } = work.request;
    const lane = this.#lane(db);
    this.#taken.delete(work);
    lane.remove(work);
    if (lane.empty) this.#lanes.delete(db);
    void this.#wake();
  }

  #checkIdle(): void {
    if (this.#taken.size > 0) return;
    for (const done of this.#whenIdle.splice(0)) done();
  }

  /** Rejects a segment and remembers that it is not durable. */
  #lose(work: FlushWork<S>, error: ManifestError, cause: unknown = error): void {
    if (work.settled) return;
    const type = error.code === "ABORTED" ? "aborted" : "failed";
    if (type === "aborted") this.#aborted++;
    else this.#failed++;
    this.#lane(work.request.db).lose(work.request, cause);
    this.#leave(work);
    work.reject(error);
    this.#checkIdle();
    this.#emit({ ...work.request, type, error });
  }

  /** Rejects a segment, and those of its database that come behind it: the sink must not hear of them before it. */
  #loseWithThoseBehind(work: FlushWork<S>, error: ManifestError): void {
    const behind = this.#lane(work.request.db).behind(work.request);
    this.#lose(work, error);
    for (const other of behind) this.#lose(other, this.#blocked(other.request, work.request.segment, error, other), error);
  }

  /** The caller's signal is aborted. */
  #callOff(work: FlushWork<S>, reason: unknown): void {
    this.#loseWithThoseBehind(work, this.#abortError(work, "it was aborted", reason));
  }

  /** Why a segment is not taken. */
  #refusal(request: FlushSegment, lane: FlushLane<FlushWork<S>>, signal: AbortSignal | undefined): ManifestError | undefined {
    if (signal?.aborted) return new ManifestError("ABORTED", "Cannot enqueue a flush: the signal is aborted", { cause: signal.reason });
    const blocker = lane.blocker(request);
    if (blocker !== undefined) return this.#blocked(request, blocker.segment, blocker.cause);
    if (this.#room) return undefined;
    const { queueCapacity: capacity } = this.#options;
    return new ManifestError("UNAVAILABLE", "Cannot enqueue a flush: too many segments are waiting", { detail: { capacity } });
  }

  #failure(work: FlushWork<S>, stage: FlushStage, attempts: number, cause: unknown, final: boolean): ManifestError {
    const { db, segment } = work.request;
    const what = stage === "flush" ? "the flush" : "the sink";
    return new ManifestError("FLUSH_FAILED", `Cannot flush segment ${segment} of database ${db}: ${what} failed at attempt ${attempts}`, {
      cause,
      outcome: work.outcome,
      retryable: !final,
      detail: { ...work.request, stage, attempts, ...(isManifestError(cause) ? { code: cause.code } : {}) },
    });
  }

  #blocked(request: FlushSegment, blockedBy: number, cause: unknown, work?: FlushWork<S>): ManifestError {
    const { db, segment } = request;
    return new ManifestError(
      "FLUSH_FAILED",
      `Cannot flush segment ${segment} of database ${db}: segment ${blockedBy} before it is not durable`,
      {
        cause,
        outcome: work?.outcome,
        detail: { ...request, blockedBy, attempts: work?.flushAttempts ?? 0 },
      },
    );
  }

  /** What a segment that is called off is rejected with; that it has failed is more than that. */
  #abortError(work: FlushWork<S>, why: string, cause?: unknown): ManifestError {
    const { request, outcome } = work;
    const action = `flush segment ${request.segment} of database ${request.db}`;
    return work.failure ?? new ManifestError("ABORTED", `Cannot ${action}: ${why}`, { cause, outcome, detail: { ...request } });
  }

  // ---- the queue ----------------------------------------------------------------------------------------------

  #lane(db: number): FlushLane<FlushWork<S>> {
    let lane = this.#lanes.get(db);
    if (lane === undefined) this.#lanes.set(db, lane = new FlushLane());
    return lane;
  }

  get #room(): boolean {
    return this.#taken.size < this.#options.concurrency + this.#options.queueCapacity;
  }

  /** Tells those who wait for room, one at a time: whoever was told enqueues before the next is told. */
  async #wake(): Promise<void> {
    if (this.#waking) return;
    this.#waking = true;
    while (this.#room && this.#waiting.length > 0) {
      this.#waiting.shift()!.resolve();
      await this.#options.environment.yield();
    }
    this.#waking = false;
  }

  #emit(event: FlushEvent): void {
    try {
      this.#options.onEvent?.(event);
    } catch {
      // the listener's own affair
    }
  }
}

function closed(action: string): ManifestError {
  return new ManifestError("HANDLE_CLOSED", `Cannot ${action}: the flush controller is closed`);
}
