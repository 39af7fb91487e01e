// Pinned versions: one state of a catalog, held by a reader.
import type { ReadTransaction } from "../../manifest/read/read_transaction.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Pin } from "./core.ts";
import { LsmReader, namesFile } from "./reader.ts";
import { type FileKind, lsmSsts } from "./tables.ts";

/**
 * A state of a catalog that does not change, and whose files stay: `deletable` lists none that an open version names. Made by `LsmCatalog.pin`; close it. Holding one costs no copy; the pages of the manifest that it shows are
 * kept as well. It ends with the process, and with the manifest.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { LsmCatalog } from "@waybill/manifest/lsm";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const catalog = await LsmCatalog.open(manifest);
 * const key = new TextEncoder().encode("a");
 * await catalog.addSst({ id: 1, minKey: key, maxKey: key });
 * {
 *   using version = catalog.pin();
 *   await catalog.removeSst(1);
 *   console.log(version.overlapping({ from: key, to: key }).length, (await catalog.deletable()).length); // 1 0
 * }
 * console.log((await catalog.deletable()).length); // 1
 * ```
 */
export class LsmVersion extends LsmReader {
  /** Numbers the catalog's states: rises with every commit that changes the catalog. */
  readonly edit: number;
  readonly #view: ReadTransaction;
  readonly #pins: Set<Pin>;

  /** Made by `LsmCatalog.pin`. */
  constructor(view: ReadTransaction, name: string, pins: Set<Pin>) {
    super(name);
    this.#view = view;
    this.#pins = pins;
    this.edit = this.state.edit;
    pins.add(this);
  }

  /** The last change of the manifest that it shows. */
  get sequence(): number {
    return this.#view.sequence;
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#view.closed;
  }

  /** Lets the state and its files go; a second call does nothing. */
  close(): void {
    this.#pins.delete(this);
    this.#view.close();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Where the rows are read.
   * @internal
   */
  protected override get rows(): Reader {
    return this.#view;
  }

  /**
   * Whether it names a file.
   * @internal
   */
  names(kind: FileKind, id: number): boolean {
    return namesFile(this.#view, this.name, kind, id);
  }

  /**
   * File names of its sorted tables.
   * @internal
   */
  *fileNames(): Generator<string> {
    for (const { fileName } of this.#view.values(lsmSsts, { prefix: [this.name] })) if (fileName !== undefined) yield fileName;
  }
}
