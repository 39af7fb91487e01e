// Pinned versions: one state of a catalog, held by a reader.
//
// Invariant: who looks for files that are held never misses one. A reader beside the writer holds no pages of the manifest: where its rows have been replaced it is taken to name every file that it may have named.
import { fail } from "../../errors.ts";
import type { ReadTransaction } from "../../manifest/read/read_transaction.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Holders, Writing } from "./holders.ts";
import { LsmReader, namesFile } from "./reader.ts";
import { type FileKind, lsmSsts } from "./tables.ts";

/** How a version is pinned. */
export interface PinOptions {
  /** Whether its files are to stay. Default true. False: the rows are read only, of a state whose files may be deleted meanwhile. */
  files?: boolean;
}

/**
 * A state of a catalog that does not change, and whose files stay: `deletable` lists none that an open version names. Made by `LsmCatalog.pin`; close it. Holding one costs no copy. It ends with the process, and with the
 * manifest. The pages of the manifest that it shows are kept as well, if it was pinned by the one that writes; else what is read of it later may be SNAPSHOT_EXPIRED, but its files stay.
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
  readonly #holders: Holders;
  /** Beside which it was pinned; undefined: its files are not held. */
  readonly #writing: Writing | undefined;
  readonly #next: Readonly<Record<FileKind, number>>;

  /** Made by `LsmCatalog.pin`. */
  constructor(view: ReadTransaction, name: string, holders: Holders, files: boolean) {
    super(name);
    this.#view = view;
    this.#holders = holders;
    const { edit, nextSstId, nextWalId } = this.state;
    this.edit = edit;
    this.#next = { sst: nextSstId, wal: nextWalId };
    if (!files) return;
    const detail = { catalog: name };
    if (holders.writing === undefined) {
      fail("READ_ONLY", "Cannot pin a version: no manifest of this process writes the catalog, and who does would not know", { detail });
    }
    if (edit < holders.released) {
      fail("SNAPSHOT_EXPIRED", "Cannot pin a version: files of this state may be deleted, there is a newer one", { detail });
    }
    this.#writing = holders.writing;
    holders.hold(this);
  }

  /** The last change of the manifest that it shows. */
  get sequence(): number {
    return this.#view.sequence;
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#view.closed;
  }

  /** Whether its files stay: they were not pinned with `files: false`, and the manifest that writes has been open since, in this process. */
  get held(): boolean {
    return !this.closed && this.#writing !== undefined && this.#writing === this.#holders.writing;
  }

  /** Lets the state and its files go; a second call does nothing. */
  close(): void {
    this.#holders.letGo(this);
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
   * Whether it names a file, or may name it.
   * @internal
   */
  names(kind: FileKind, id: number): boolean {
    return this.#unlessExpired(() => namesFile(this.#view, this.name, kind, id)) ?? id < this.#next[kind];
  }

  /**
   * Whether one of its sorted tables has a file of this name, or may have.
   * @internal
   */
  namesFileName(name: string): boolean {
    return this.#unlessExpired(() => {
      for (const { fileName } of this.#view.values(lsmSsts, { prefix: [this.name] })) if (fileName === name) return true;
      return false;
    }) ?? true;
  }

  /** What its rows say; undefined where they cannot be read any more. */
  #unlessExpired(look: () => boolean): boolean | undefined {
    try {
      return look();
    } catch {
      return undefined; // whoever reads it is told why
    }
  }
}
