// Transactions: operations are collected, then committed together or not at all.
import { checkSignal, type OptionNames, takeOptions } from "../../arguments.ts";
import { fail } from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import type { Batch } from "./batch.ts";
import type { Generations } from "../log/change.ts";
import type { ManifestCore } from "../core.ts";
import type { OperationKind } from "./operation.ts";
import { ADD, NEXT_JOB, OperationBuilder } from "./operation_builder.ts";
import { Range } from "../read/range.ts";
import type { CommitReceipt } from "./receipt.ts";
import { checkExpected, expectedSequenceOf } from "../transact/sequence_guard.ts";
import { type GenerationRecord, generations } from "../tables/generations.ts";

/** How to begin a transaction. */
export interface TxnOptions {
  /** Tags the change, so that a replicator can skip its own. */
  origin?: string;
  /** About how many operations it will hold: a hint. */
  capacity?: number;
}

/** The names of all options. */
export const TXN_OPTIONS: OptionNames<TxnOptions> = { origin: true, capacity: true };

/** How to commit. */
export interface CommitOptions {
  /** Calls the commit off while it waits for its turn; ignored once it is applied. */
  signal?: AbortSignal;
  /** CONFLICT, with nothing applied, unless the newest applied change has this sequence. */
  expectedSequence?: number;
}

const COMMIT_OPTIONS: OptionNames<CommitOptions> = { signal: true, expectedSequence: true };

/**
 * A write-only transaction. Its methods collect operations and return the transaction; `commit` applies all of them or none. Keys and values are taken by reference and
 * encoded when the transaction's turn has come, mostly inside `commit`: do not change them before its promise has settled.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const receipt = await manifest.begin()
 *   .putDb(1, { name: "events" })
 *   .upsertChunk([1, 42], { fileName: "c-42.seg", generation: 7, sizeBytes: 1 << 20 })
 *   .publishSnapshot([1, 1], { sourceGeneration: 7, chunks: [{ chunkId: 42 }] })
 *   .commit();
 * console.log(receipt.sequence);
 * ```
 */
export class ManifestTxn extends OperationBuilder {
  readonly #core: ManifestCore;
  readonly #batch: Batch;
  #closed = false;

  /** Made by `Manifest.begin`. */
  constructor(core: ManifestCore, batch: Batch) {
    super();
    this.#core = core;
    this.#batch = batch;
  }

  /** The transaction's id, 32 hex digits. Ask for it before `commit` to be able to `resolve` it whatever happens. */
  get commitId(): string {
    return this.#batch.name;
  }

  /** Number of operations collected. */
  get length(): number {
    return this.#batch.length;
  }

  /**
   * Collects an operation.
   * @internal
   */
  override [ADD](kind: OperationKind, table: AnyTable, key: unknown, value: unknown): this {
    if (this.#closed) fail("TXN_CLOSED", "Cannot use the transaction: it has been committed or given up");
    this.#batch.add(kind, table, key, value);
    return this;
  }

  /**
   * The next id for a job.
   * @internal
   */
  override [NEXT_JOB](): number {
    return this.#core.jobIds.next();
  }

  // ---- the end ----------------------------------------------------------------------------------------------

  /**
   * Commits: resolves when all operations are applied and durable as the durability mode says. Rejects with nothing applied when one of them is not possible; the error's detail names it
   * (`operation`, `index`). A transaction without operations commits nothing and takes no sequence: its receipt has sequence 0 and the current generations of all components.
   */
  commit(options?: CommitOptions): Promise<CommitReceipt> {
    if (this.#closed) return rejected("Cannot commit: the transaction has been committed or given up");
    let expected: number | undefined;
    let signal: AbortSignal | undefined;
    if (options !== undefined) {
      try {
        const taken = takeOptions(options, COMMIT_OPTIONS, "commit");
        signal = checkSignal(taken.signal, "commit");
        expected = expectedSequenceOf(taken.expectedSequence, "commit");
      } catch (error) {
        return Promise.reject(error);
      }
    }
    this.#closed = true;
    const batch = this.#batch;
    if (batch.length === 0) return this.#commitNothing(expected);
    batch.signal = signal;
    if (expected !== undefined) batch.guard = () => checkExpected(this.#core.store, expected);
    return this.#core.store.commit(batch) as unknown as Promise<CommitReceipt>; // made by the batch's finish
  }

  async #commitNothing(expected: number | undefined): Promise<CommitReceipt> {
    await undefined;
    this.#core.store.assertOpen("commit");
    if (expected !== undefined) checkExpected(this.#core.store, expected);
    return { sequence: 0, commitId: this.commitId, generations: allGenerations(this.#core) };
  }

  /** Gives the transaction up: nothing of it is applied. */
  rollback(): void {
    this.#closed = true;
  }
}

/** The durable generations of all components. */
function allGenerations(core: ManifestCore): Generations {
  const source = { reader: core.publishedReader(generations), release: () => {} };
  const rows = new Range<[[component: number], GenerationRecord]>(() => source, {}, "entries");
  return Object.fromEntries([...rows].map(([[component], { generation }]) => [component, generation]));
}

async function rejected(message: string): Promise<never> {
  await undefined;
  fail("TXN_CLOSED", message);
}
