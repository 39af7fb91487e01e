// One attempt of a read-write transaction: the state it reads, the operations it collects, what it has read.
//
// Operations are only collected. The first read behind new ones stages them into an overlay, so a transaction that writes without reading depends on nothing. At commit they are staged again,
// in the commit's turn against the newest applied state, behind the check that everything read is still the same: so they do there what they did in the overlay.
import { fail, failType } from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import type { ReadTransaction, View, WriteWatch } from "../../store/store.ts";
import { Batch } from "../write/batch.ts";
import type { Bound } from "../bindings.ts";
import type { ManifestCore } from "../core.ts";
import type { OperationKind } from "../write/operation.ts";
import { checkTable } from "../write/operation_builder.ts";
import { type OverlayBase, OverlayStaging } from "./overlay_staging.ts";
import { type Conflict, ReadSet } from "./read_set.ts";
import type { CommitReceipt } from "../write/receipt.ts";
import { checkExpected } from "./sequence_guard.ts";
import { TransactionReader } from "./transaction_reader.ts";
import { isVirtual } from "../read/virtual_tables.ts";

/** One attempt. */
export class Attempt implements OverlayBase {
  /** The operations. */
  readonly batch: Batch;
  /** What the commit found to have changed. */
  conflict: Conflict | undefined;
  readonly #core: ManifestCore;
  readonly #view: ReadTransaction;
  readonly #frame: number;
  readonly #watch: WriteWatch;
  readonly #reads = new ReadSet();
  readonly #bound = new Map<AnyTable, Bound>();
  /** Tables that are not there yet, by name: ids below zero. */
  readonly #unmade = new Map<string, number>();
  readonly #below = new Map<AnyTable, TransactionReader>();
  readonly #readers = new Map<AnyTable, TransactionReader>();
  readonly #check = (): void => this.check();
  #overlay: OverlayStaging | undefined;
  #staged = 0;
  #staging = false;
  #ended = false;
  #givenUp = false;

  constructor(core: ManifestCore, origin: string | undefined) {
    this.#core = core;
    this.batch = new Batch(core, origin);
    this.#view = core.store.readSealed();
    this.#frame = this.#view.frame;
    this.#watch = core.store.watchWrites(this.#frame);
  }

  /** The state below. */
  get view(): View {
    return this.#view;
  }

  /** Its frame. */
  get frame(): number {
    return this.#frame;
  }

  /** Throws when the attempt has ended. */
  check(): void {
    if (this.#ended) fail("TXN_CLOSED", "Cannot use the transaction: it has ended");
  }

  // ---- writing ----------------------------------------------------------------------------------------------

  /** Collects an operation. */
  add(kind: OperationKind, table: AnyTable, key: unknown, value: unknown): void {
    this.check();
    this.batch.add(kind, table, key, value);
  }

  /** The next id for a job: never one that another transaction, or another attempt, has been given. */
  nextJobId(): number {
    this.check();
    return this.#core.jobIds.next();
  }

  /** Forgets the operations behind the first `length`. */
  truncate(length: number): void {
    this.batch.truncate(length);
    if (this.#staged > length) this.#unstage();
  }

  /** Gives everything up. */
  giveUp(): void {
    this.check();
    this.#givenUp = true;
    this.#ended = true;
  }

  // ---- reading ----------------------------------------------------------------------------------------------

  bind(table: AnyTable): Bound {
    let bound = this.#bound.get(table);
    if (bound === undefined) {
      const { bindings } = this.#core;
      bound = bindings.find(this.#view, checkTable(table));
      if (bound === undefined) {
        let id = this.#unmade.get(table.name);
        if (id === undefined) this.#unmade.set(table.name, id = -1 - this.#unmade.size);
        const provisional = bindings.provisional(table);
        bound = { ...provisional, info: { ...provisional.info, id } };
      }
      this.#bound.set(table, bound);
    }
    return bound;
  }

  /** The reader of a table in the state below. */
  reader(table: AnyTable): TransactionReader {
    return this.#readerOf(this.#below, table, false);
  }

  /** The reader of a table as the transaction has left it. */
  source(table: AnyTable): TransactionReader {
    this.check();
    if (isVirtual(checkTable(table).name)) {
      failType(`Cannot read "${table.name}" in a read-write transaction: its rows are computed; read it outside`, { table: table.name });
    }
    if (this.#staged < this.batch.length) this.#stage();
    return this.#readerOf(this.#readers, table, true);
  }

  #readerOf(readers: Map<AnyTable, TransactionReader>, table: AnyTable, written: boolean): TransactionReader {
    let reader = readers.get(table);
    if (reader === undefined) {
      const { store, bindings } = this.#core;
      const bound = this.bind(table);
      const { id, name } = bound.info;
      const there = id >= 0;
      reader = new TransactionReader({
        kernel: store.kernel,
        arena: bindings.arena,
        bound,
        tree: there ? this.#view.tree(id) : undefined,
        reads: this.#reads.table(name, there ? id : undefined),
        own: () => written ? this.#overlay?.overlay.written(id) : undefined,
        check: this.#check,
      });
      readers.set(table, reader);
    }
    return reader;
  }

  /** Stages the operations collected since the last read. */
  #stage(): void {
    if (this.#staging) failType("Cannot read: an operation of the transaction is being encoded");
    let overlay = this.#overlay;
    if (overlay === undefined) {
      overlay = this.#overlay = new OverlayStaging(this.#core, this);
      overlay.time = this.batch.time;
    }
    this.#staging = true;
    try {
      overlay.extend((staging) => this.batch.stageOnto(staging, this.#staged));
      this.#staged = this.batch.length;
    } catch (error) {
      this.#unstage();
      throw error;
    } finally {
      this.#staging = false;
    }
  }

  /** Starts over: the operations that are left are staged again before the next read, with the same time. */
  #unstage(): void {
    this.batch.time ??= this.#overlay?.time;
    this.#overlay = undefined;
    this.#staged = 0;
  }

  // ---- the end ----------------------------------------------------------------------------------------------

  /** The transaction's function is over: nothing is read or collected any more. */
  end(): void {
    this.#ended = true;
    this.#reads.close(this.#watch);
    this.#view.close();
  }

  /** Whether there is anything to commit. */
  get writes(): boolean {
    return this.batch.length > 0 && !this.#givenUp;
  }

  /** Commits; `end` comes before. Rejects with CONFLICT and leaves `conflict` when what was read has changed. */
  commit(expectedSequence: number | undefined): Promise<CommitReceipt> {
    const { batch } = this;
    const { store } = this.#core;
    store.assertWritable("commit");
    batch.time ??= this.#overlay?.time;
    batch.guard = () => {
      if (expectedSequence !== undefined) checkExpected(store, expectedSequence);
      if (!this.#core.validates) return;
      this.conflict = this.#reads.conflict(store.newest);
      if (this.conflict !== undefined) {
        fail("CONFLICT", "Cannot commit: another commit has changed what was read", { detail: { ...this.conflict } });
      }
    };
    return store.commit(batch) as unknown as Promise<CommitReceipt>; // made by the batch's finish
  }

  /** Lets everything go; a second call does nothing. */
  close(): void {
    this.#ended = true;
    this.#view.close();
    this.#watch.end();
  }
}
