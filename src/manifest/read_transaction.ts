// Read transactions: one state of the manifest, held until it is closed.
import type { AnyTable } from "../schema/schema.ts";
import type { ReadTransaction as StoreTransaction } from "../store/store.ts";
import type { Bindings } from "./bindings.ts";
import type { RangeSource } from "./range.ts";
import { Reader } from "./reader.ts";
import { TableReader } from "./table_reader.ts";
import type { Kernel } from "../kernel/kernel.ts";

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
  readonly #bindings: Bindings;
  readonly #kernel: Kernel;
  readonly #readers = new Map<AnyTable, TableReader>();

  /** Made by `Manifest.read`. */
  constructor(kernel: Kernel, bindings: Bindings, transaction: StoreTransaction) {
    super();
    this.#kernel = kernel;
    this.#bindings = bindings;
    this.#transaction = transaction;
  }

  /** The last change that it shows. */
  get sequence(): number {
    return this.#transaction.sequence;
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
      const bound = this.#bindings.need(this.#transaction, table, "read");
      reader = new TableReader(this.#kernel, this.#bindings.arena, bound, this.#transaction.tree(bound.info.id));
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
