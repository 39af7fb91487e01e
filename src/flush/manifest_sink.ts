// The flush sink over a manifest: table "wal_state" remembers how far each log has been applied.
//
// Invariants: what `apply` resolves with is durable, in every durability mode; `lastAppliedLsn` and `lastSealedSegment` never go back. Each change is a read-write transaction, so that other writers of the
// same row are neither lost nor overwritten.
import { checkSignal, takeOptions } from "../arguments.ts";
import { fail } from "../errors.ts";
import { type Environment, systemEnvironment } from "../store/environment.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { FlushGate, WalState } from "../manifest/tables/wal_states.ts";
import type { Transaction } from "../manifest/transact/transaction.ts";
import { checkObject, checkSegment, checkWhole } from "./check.ts";
import type { FlushRequest, FlushSink } from "./sink.ts";

/** How a {@linkcode ManifestFlushSink} is made. */
export interface ManifestFlushSinkOptions {
  /** Tags the changes, so that a replicator can skip its own. */
  origin?: string;
  /** The clock for `flushGate.lastSuccessAt`. Default: that of the platform. */
  environment?: Environment;
}

/** The state of a log in the transaction; throws NOT_FOUND when there is no such database. */
function stateOf(txn: Transaction, db: number, action: string): Partial<WalState> {
  if (txn.getDb(db) === undefined) fail("NOT_FOUND", `Cannot ${action}: there is no database ${db}`, { detail: { db } });
  return txn.getWalState(db) ?? {};
}

/**
 * A flush sink that remembers in a manifest how far logs have been applied: `lastAppliedLsn`, `lastSealedSegment` and `flushGate` of `getWalState(db)`.
 *
 * Without a {@linkcode FlushController} it is for whoever calls `apply` in the order of the log.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { ManifestFlushSink } from "@waybill/manifest/flush";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin().putDb(1, { name: "events" }).commit();
 * const sink = new ManifestFlushSink(manifest);
 * await sink.recordFailure(1, 1_700_000_000_000);
 * await sink.apply({ db: 1, segment: 3, target: 250 });
 * console.log(manifest.getWalState(1)); // lastAppliedLsn 250, lastSealedSegment 3, no error
 * ```
 */
export class ManifestFlushSink implements FlushSink {
  readonly #manifest: Manifest;
  readonly #origin: string | undefined;
  readonly #environment: Environment;

  /** A sink over an open manifest, which it does not close. */
  constructor(manifest: Manifest, options: ManifestFlushSinkOptions = {}) {
    checkObject("make a flush sink", "the manifest", manifest);
    const { origin, environment } = takeOptions(options, { origin: true, environment: true }, "make a flush sink");
    this.#manifest = manifest;
    this.#origin = origin;
    this.#environment = environment ?? systemEnvironment;
  }

  /**
   * Raises `lastAppliedLsn` to the target and `lastSealedSegment` to the segment, notes the time of the success and ends a noted failure. Where neither number grows and no failure is noted, nothing is
   * committed. Resolves when that is durable, also where the manifest's durability is "relaxed" or "none". NOT_FOUND when there is no such database; ABORTED; what a commit may reject with.
   */
  async apply(request: FlushRequest): Promise<void> {
    const action = "apply a flush";
    checkSegment(action, request);
    const { db, segment, target, signal } = request;
    checkSignal(signal, action);
    await this.#change(signal, (txn) => {
      const state = stateOf(txn, db, action);
      const { lastAppliedLsn = 0, lastSealedSegment = 0 } = state;
      const { erroredSince, ...gate }: FlushGate = state.flushGate ?? {};
      if (target <= lastAppliedLsn && segment <= lastSealedSegment && erroredSince === undefined) return;
      txn.putWalState(db, {
        ...state,
        lastAppliedLsn: Math.max(lastAppliedLsn, target),
        lastSealedSegment: Math.max(lastSealedSegment, segment),
        flushGate: { ...gate, lastSuccessAt: this.#environment.now() },
      });
    });
  }

  /** Notes that flushes of a database fail since `at`, milliseconds since 1970, unless a failure is noted already. Resolves when that is durable. NOT_FOUND, ABORTED. */
  async recordFailure(db: number, at: number, signal?: AbortSignal): Promise<void> {
    const action = "record a failed flush";
    checkWhole(action, "db", db);
    checkWhole(action, "at", at);
    checkSignal(signal, action);
    await this.#change(signal, (txn) => {
      const state = stateOf(txn, db, action);
      if (state.flushGate?.erroredSince === undefined) {
        txn.putWalState(db, { ...state, flushGate: { ...state.flushGate, erroredSince: at } });
      }
    });
  }

  async #change(signal: AbortSignal | undefined, change: (txn: Transaction) => void): Promise<void> {
    await this.#manifest.transact(change, { origin: this.#origin, signal });
    // A receipt says as much as the durability mode does; "durable" is more than that.
    if (this.#manifest.durability().mode !== "sync") await this.#manifest.sync();
  }
}
