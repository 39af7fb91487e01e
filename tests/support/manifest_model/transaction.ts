// One transaction of the model: built and predicted operation by operation, then compared with what its commit says.
import { type CommitReceipt, isManifestError, type Manifest, type ManifestErrorFields, type OperationBuilder } from "../../../mod.ts";
import type { Random } from "../random.ts";
import { ACKNOWLEDGE } from "./cursors.ts";
import type { Draw } from "./draw.ts";
import type { ModelOperation } from "./operation.ts";
import type { Undo } from "./rows.ts";
import { expectSame } from "./same.ts";
import { Refusal, type Shown, type State } from "./state.ts";

/** Why a transaction must be rejected. */
export interface Rejection {
  readonly code: string;
  readonly operation: string | undefined;
  readonly index: number | undefined;
}

/** Codes of storage that fails. */
const FAULTS: ReadonlySet<string> = new Set(["IO_READ", "IO_WRITE", "NO_SPACE", "SYNC_FAILED", "READ_ONLY"]);

/** What operations are collected in. */
type Collector = OperationBuilder & { readonly length: number; readonly commitId: string };

/** A transaction that has been built, and has become part of the reference unless it must be rejected. */
export class ModelTransaction {
  readonly txn: Collector;
  readonly origin: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Its id, when somebody asked before the commit. */
  readonly commitId: string | undefined;
  readonly names: string[] = [];
  rejection: Rejection | undefined;
  /** The change's number; 0 for a transaction that is none: without operations, or with nothing but acknowledges. */
  sequence = 0;
  shown: readonly Shown[] = [];
  generations: Readonly<Record<number, number>> = {};
  /** How early it is found that the transaction must be rejected. */
  #rank = 3;
  /** Rows that it changes, or would. */
  touched: Undo = [];

  /** Storage has failed under it. */
  fault: ManifestErrorFields | undefined;
  /** Commits it. */
  #commit: () => Promise<CommitReceipt> = () => Promise.reject(new Error("not for transact"));

  private constructor(txn: Collector, origin: string | undefined, signal: AbortSignal | undefined, commitId: string | undefined) {
    this.txn = txn;
    this.origin = origin;
    this.signal = signal;
    this.commitId = commitId;
  }

  /** Draws a transaction of up to `most` operations; with `wrong` one of them should not be possible. */
  static draw(manifest: Manifest, state: State, draw: Draw, random: Random, most: number, wrong: boolean, now: number): ModelTransaction {
    const length = random.between(1, most);
    const at = wrong ? random.int(length) : -1;
    draw.begin(state);
    return ModelTransaction.make(
      manifest,
      state,
      random,
      now,
      length,
      (i) => i === at ? draw.wrong(state) : draw.operation(state),
    );
  }

  /** Makes a transaction of given operations. */
  static make(
    manifest: Manifest,
    state: State,
    random: Random,
    now: number,
    length: number,
    operation: (index: number) => ModelOperation,
  ): ModelTransaction {
    const origin = random.chance(0.2) ? random.letters(3) : undefined;
    const txn = manifest.begin({ ...origin === undefined ? {} : { origin }, ...random.chance(0.3) ? { capacity: length } : {} });
    const signal = random.chance(0.02) ? AbortSignal.abort() : undefined;
    const made = new ModelTransaction(txn, origin, signal, random.chance(0.5) ? txn.commitId : undefined);
    made.#commit = () => txn.commit(signal === undefined ? undefined : { signal });
    state.begin(now);
    for (let i = 0; i < length; i++) made.add(state, operation(i));
    made.end(state);
    return made;
  }

  /** Begins one that is collected in `transact`. */
  static within(txn: Collector, state: State, now: number, origin: string | undefined): ModelTransaction {
    state.begin(now);
    return new ModelTransaction(txn, origin, undefined, undefined);
  }

  /** A place to go back to. */
  mark(state: State): () => void {
    const { undo, shown, generationsBumped } = state;
    const [steps, seen, names, rank, rejection] = [undo.length, shown.length, this.names.length, this.#rank, this.rejection];
    const bumped = { ...generationsBumped };
    return () => {
      state.rollback(steps);
      state.shown.length = seen;
      state.generationsBumped = bumped;
      this.names.length = names;
      this.#rank = rank;
      this.rejection = rejection;
    };
  }

  /** One more operation. */
  add(state: State, operation: ModelOperation): void {
    const index = this.txn.length;
    operation.add(this.txn);
    if (this.txn.length > index) this.names.push(operation.name);
    const { name, found } = operation;
    // What is found late does nothing to the state, so the ones behind it are still looked at.
    const rank = found === "late" ? 2 : 1;
    if (rank >= this.#rank) return;
    try {
      operation.apply(state);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#rank = rank;
      this.rejection = { code: error.code, operation: name, index };
    }
  }

  /** It comes to nothing. */
  giveUp(state: State): void {
    this.touched = [...state.undo];
    state.rollback();
  }

  /** It is complete. */
  end(state: State): void {
    if (this.signal !== undefined && this.txn.length > 0) {
      this.rejection = { code: "ABORTED", operation: undefined, index: undefined };
    }
    if (this.rejection === undefined) state.commit();
    this.touched = [...state.undo];
    if (this.rejection !== undefined) return state.rollback();
    if (this.names.every((name) => name === ACKNOWLEDGE)) return;
    if (this.names.length === 0) return;
    this.sequence = ++state.sequence;
    this.shown = state.shown;
    this.generations = state.generationsBumped;
  }

  /** Commits it; see `settled`. */
  commit(faulty = false): Promise<string | undefined> {
    return this.settled(this.#commit(), faulty);
  }

  /** Rejects unless everything is as predicted; with `faulty`, storage may fail. Resolves with the commit id, when there is a receipt. */
  async settled(commit: Promise<CommitReceipt>, faulty = false): Promise<string | undefined> {
    let receipt: CommitReceipt;
    try {
      receipt = await commit;
    } catch (error) {
      if (faulty && isManifestError(error) && FAULTS.has(error.code)) this.fault = error;
      else this.#compareError(error);
      return undefined;
    }
    if (this.rejection !== undefined) {
      const { code, operation, index } = this.rejection;
      throw new Error(
        `a transaction was applied that must be rejected with ${code} for operation ${index}, ${operation}, of ${this.names}`,
      );
    }
    expectSame(receipt.sequence, this.sequence, "the sequence of a receipt");
    // Without operations it has the generations of all components, as they are durable just then.
    if (this.names.length > 0) expectSame(receipt.generations, this.generations, "the generations of a receipt");
    if (this.commitId !== undefined) expectSame(receipt.commitId, this.commitId, "the commit id of a receipt");
    return receipt.commitId;
  }

  #compareError(error: unknown): void {
    if (!isManifestError(error)) throw error;
    if (this.rejection === undefined) {
      throw new Error(`a transaction of ${this.names} was rejected: ${error.code}, ${error.message}`, { cause: error });
    }
    const { code, detail: { operation, index }, outcome } = error;
    expectSame(
      { code, operation, index, outcome },
      { ...this.rejection, outcome: "not_applied" },
      `the error of ${this.names} (${error.message})`,
    );
  }
}
