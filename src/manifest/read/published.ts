// The newest published state, for reads outside a read transaction.
//
// The store hands out one view for it and ends that view with the next publication; readers of tables are kept as long as the view is the same.
import type { AnyTable } from "../../schema/schema.ts";
import type { Store, View } from "../../store/store.ts";
import type { TableReader } from "./table_reader.ts";

/** The newest published state of a store. */
export class Published {
  readonly #store: Store;
  readonly #open: (view: View, table: AnyTable) => TableReader;
  readonly #readers = new Map<AnyTable, TableReader>();
  #view: View | undefined;
  #lastTable: AnyTable | undefined;
  #lastReader: TableReader | undefined;

  constructor(store: Store, open: (view: View, table: AnyTable) => TableReader) {
    this.#store = store;
    this.#open = open;
  }

  /** The state. */
  view(): View {
    return this.#store.published;
  }

  /** The reader of a table in it. */
  reader(table: AnyTable): TableReader {
    const view = this.#store.published;
    if (view !== this.#view) {
      this.#readers.clear();
      this.#view = view;
      this.#lastTable = undefined;
    }
    if (table === this.#lastTable && this.#lastReader !== undefined) return this.#lastReader;
    let reader = this.#readers.get(table);
    if (reader === undefined) {
      reader = this.#open(view, table);
      this.#readers.set(table, reader);
    }
    this.#lastTable = table;
    this.#lastReader = reader;
    return reader;
  }
}
