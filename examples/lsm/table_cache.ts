// Tables that are open, by id: each is opened when it is first read, and closed when its file is deleted.
import type { Folder } from "@waybill/manifest/files";
import type { Sst } from "@waybill/manifest/lsm";
import { SortedTable } from "./sorted_table.ts";

/** Open tables. */
export class TableCache {
  readonly #folder: Folder;
  readonly #open = new Map<number, Promise<SortedTable>>();

  /** Of files in a folder. */
  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** A table, opened. Whoever uses it holds a version that names it. */
  get(sst: Sst): Promise<SortedTable> {
    let table = this.#open.get(sst.id);
    if (table === undefined) {
      table = SortedTable.open(this.#folder, sst);
      this.#open.set(sst.id, table);
      table.catch(() => this.#open.delete(sst.id));
    }
    return table;
  }

  /** Closes a table; nobody uses it any more. */
  async drop(id: number): Promise<void> {
    const table = this.#open.get(id);
    this.#open.delete(id);
    await (await table?.catch(() => undefined))?.close();
  }

  /** Closes all. */
  async close(): Promise<void> {
    for (const id of [...this.#open.keys()]) await this.drop(id);
  }
}
