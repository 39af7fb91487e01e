// Read transactions: one state of the manifest, held until it is closed.
import type { AnyTable } from "../../schema/schema.ts";
import type { ReadTransaction as StoreTransaction, View } from "../../store/store.ts";
import type { RangeSource } from "./range.ts";
import { Reader } from "./reader.ts";
import type { TableReader } from "./table_reader.ts";

/**
 * A state of the manifest that does not change: what was durable when it was opened. Costs no copy and blocks nobody; close it, because the pages it shows are kept for as long as it
 * is open.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin().putDb(1, { name: "events" }).commit();
 * using view = manifest.read();
 * await manifest.begin().putDb(2, { name: "metrics" }).commit();
 * console.log(view.getDb(2), manifest.getDb(2)?.name); // undefined "metrics"
 * ```
 */
export class ReadTransaction extends Reader {
  readonly #transaction: StoreTransaction;
  readonly #open: (view: View, table: AnyTable) => TableReader;
  readonly #readers = new Map<AnyTable, TableReader>();

  /** Made by `Manifest.read`. */
  constructor(open: (view: View, table: AnyTable) => TableReader, transaction: StoreTransaction) {
    super();
    this.#open = open;
    this.#transaction = transaction;
  }

  /** The last change that it shows. */
  get sequence(): number {
    return this.#transaction.sequence;
  }

  /**
   * The state as the store has it: tables by id, keys and values as bytes.
   * @internal
   */
  get state(): StoreTransaction {
    return this.#transaction;
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#transaction.closed;
  }

  /** Lets the state go; a second call does nothing. */
  close(): void {
    this.#readers.clear();
    this.#transaction.close();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * The reader of a table.
   * @internal
   */
  protected override source(table: AnyTable): TableReader {
    let reader = this.#readers.get(table);
    if (reader === undefined) {
      reader = this.#open(this.#transaction, table);
      this.#readers.set(table, reader);
    }
    return reader;
  }

  /**
   * Where a range reads.
   * @internal
   */
  protected override openSource(table: AnyTable): RangeSource {
    return { reader: this.source(table), release: () => {} };
  }
}
