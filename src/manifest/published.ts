// The newest published state, for reads outside a read transaction.
//
// It is pinned for the rest of the turn only: publishing happens in later turns, so nothing moves under a caller and no page is kept for a manifest that merely rests.
import type { AnyTable } from "../schema/schema.ts";
import type { ReadTransaction, Store, View } from "../store/store.ts";
import type { Bindings } from "./bindings.ts";
import { TableReader } from "./table_reader.ts";

/** The newest published state of a store. */
export class Published {
  readonly #store: Store;
  readonly #bindings: Bindings;
  readonly #readers = new Map<AnyTable, TableReader>();
  readonly #release = (): void => {
    this.#readers.clear();
    this.#lastTable = undefined;
    this.#lastReader = undefined;
    this.#view?.close();
    this.#view = undefined;
  };
  #view: ReadTransaction | undefined;
  #lastTable: AnyTable | undefined;
  #lastReader: TableReader | undefined;

  constructor(store: Store, bindings: Bindings) {
    this.#store = store;
    this.#bindings = bindings;
  }

  /** The state. */
  view(): View {
    if (this.#view !== undefined) return this.#view;
    this.#view = this.#store.read();
    queueMicrotask(this.#release);
    return this.#view;
  }

  /** The reader of a table in it. */
  reader(table: AnyTable): TableReader {
    if (table === this.#lastTable) return this.#lastReader!;
    const view = this.view();
    let reader = this.#readers.get(table);
    if (reader === undefined) {
      const bound = this.#bindings.need(view, table, "read");
      reader = new TableReader(this.#store.kernel, this.#bindings.arena, bound, view.tree(bound.info.id));
      this.#readers.set(table, reader);
    }
    this.#lastTable = table;
    this.#lastReader = reader;
    return reader;
  }
}
