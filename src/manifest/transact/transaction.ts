// The read-write transaction as its function sees it.
import { failType } from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import type { Attempt } from "./attempt.ts";
import type { OperationKind } from "../write/operation.ts";
import { ADD, NEXT_JOB, OperationBuilder } from "../write/operation_builder.ts";
import type { RangeSource } from "../read/range.ts";
import { Reader } from "../read/reader.ts";
import type { RowReader } from "../read/table_reader.ts";

/** A place in a transaction to go back to; made by `savepoint`. */
export class Savepoint {
  /** Operations collected before it. */
  readonly length: number;

  /** Made by `Transaction.savepoint`. */
  constructor(length: number) {
    this.length = length;
  }
}

/** The operations of a {@linkcode ManifestTxn}, each of which returns the transaction. */
export interface Transaction extends OperationBuilder {}

/**
 * A read-write transaction, given to the function of `Manifest.transact`. It reads one state of the manifest and, over it, what it has written itself: what follows from its
 * operations (reference counts, rows deleted with a database) included. Tables that are not there yet read as empty. A range shows the rows as they were when its first row was
 * asked for.
 *
 * It has every operation of a {@linkcode ManifestTxn}. Keys and values are taken by reference: do not change them before the transaction has ended. An operation that is not possible is found out by the next read, or
 * at the commit. Records that are given the time by default get that of the first read behind them, or of the commit.
 *
 * When the function has returned, has thrown, or has been interrupted, every method throws TXN_CLOSED; `commitId`, `attempt` and `length` go on telling. The computed tables (change log, pending batches, runtime
 * state) are not read here: INVALID_ARGUMENT.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.transact(async (txn) => {
 *   const db = txn.maxDbId() + 1;
 *   txn.putDb(db, { name: "events" });
 *   const before = txn.savepoint();
 *   txn.upsertChunk([db, 1], { fileName: "c-1.seg" });
 *   if (!await uploaded("c-1.seg", txn.signal)) txn.rollbackTo(before);
 * });
 *
 * async function uploaded(_fileName: string, _signal: AbortSignal): Promise<boolean> {
 *   return await Promise.resolve(true);
 * }
 * ```
 */
export class Transaction extends Reader {
  /** Which attempt this is: 1, and one more each time that another commit had changed what was read. */
  readonly attempt: number;
  /** Aborted when the transaction is interrupted: by its timeout, by the signal it was given, or because the manifest is closed. Its reason is the error that `transact` rejects with. */
  readonly signal: AbortSignal;
  readonly #attempt: Attempt;
  readonly #commitId: () => string;
  #savepoints: Savepoint[] = [];

  /** Made by `Manifest.transact`. */
  constructor(attempt: Attempt, number: number, signal: AbortSignal, commitId: () => string) {
    super();
    this.#attempt = attempt;
    this.#commitId = commitId;
    this.attempt = number;
    this.signal = signal;
  }

  /**
   * The id of this attempt's commit, 32 hex digits; `Manifest.resolve` tells later what became of it. Each attempt has its own: those of attempts that conflicted resolve as not applied. A transaction that wrote nothing
   * commits nothing, so its id does too.
   */
  get commitId(): string {
    return this.#commitId();
  }

  /** Number of operations collected. */
  get length(): number {
    return this.#attempt.batch.length;
  }

  /**
   * Collects an operation.
   * @internal
   */
  [ADD](kind: OperationKind, table: AnyTable, key: unknown, value: unknown): this {
    this.#attempt.add(kind, table, key, value);
    return this;
  }

  /**
   * The next id for a job.
   * @internal
   */
  [NEXT_JOB](): number {
    return this.#attempt.nextJobId();
  }

  // ---- savepoints -------------------------------------------------------------------------------------------

  /** Marks the operations collected so far, to be able to go back to them. Savepoints nest. */
  savepoint(): Savepoint {
    this.#attempt.check();
    const savepoint = new Savepoint(this.length);
    this.#savepoints.push(savepoint);
    return savepoint;
  }

  /**
   * Forgets the operations collected since the savepoint, and the savepoints made since; the savepoint itself stays. What was read since stays read: it is validated at the commit like everything else.
   * INVALID_ARGUMENT when the savepoint is not of this transaction, was released, or has been forgotten.
   */
  rollbackTo(savepoint: Savepoint): void {
    this.#savepoints.length = this.#find(savepoint, "roll back") + 1;
    this.#attempt.truncate(savepoint.length);
  }

  /** Forgets the savepoint and those made since; the operations stay. INVALID_ARGUMENT as `rollbackTo`. */
  release(savepoint: Savepoint): void {
    this.#savepoints.length = this.#find(savepoint, "release a savepoint");
  }

  #find(savepoint: Savepoint, action: string): number {
    this.#attempt.check();
    const index = this.#savepoints.indexOf(savepoint);
    if (index < 0) failType(`Cannot ${action}: the savepoint is not of this transaction, or is gone`, { field: "savepoint" });
    return index;
  }

  /** Gives the transaction up: nothing is applied, and it is not tried again. What the function returns is still the result, with a receipt of sequence 0. The transaction has ended then. */
  rollback(): void {
    this.#attempt.giveUp();
  }

  // ---- reading ----------------------------------------------------------------------------------------------

  /**
   * The reader of a table.
   * @internal
   */
  protected override source(table: AnyTable): RowReader {
    return this.#attempt.source(table);
  }

  /**
   * Where a range reads.
   * @internal
   */
  protected override openSource(table: AnyTable): RangeSource {
    return { reader: this.#attempt.source(table), release: () => {} };
  }
}

// A class has one parent: the other half of the methods is taken over as it is.
for (const name of Object.getOwnPropertyNames(OperationBuilder.prototype)) {
  if (name === "constructor") continue;
  Object.defineProperty(Transaction.prototype, name, Object.getOwnPropertyDescriptor(OperationBuilder.prototype, name)!);
}
