// What the parts of an open file set share, and how one is opened.
import { readArgument, takeOptions } from "../../arguments.ts";
import { fail, failType } from "../../errors.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import type { CommitReceipt } from "../../manifest/write/receipt.ts";
import type { Folder } from "../../storage/folder.ts";
import { type Environment, systemEnvironment } from "../../store/environment.ts";
import { checkCatalogName, checkManifest, DEFAULT_NAME, openCatalog } from "../catalog.ts";
import { type Desk, deskOf, type Pins, type Place } from "./desk.ts";
import { checkParallel } from "./names.ts";
import { checkAlgorithm, checkFolder, FILE_SET_OPTIONS, type FileSetOptions, PARALLEL } from "./options.ts";
import { setRow } from "./rows.ts";
import { FileSetState } from "./state.ts";
import { type DigestAlgorithm, FILE_TABLES, fileEntries, fileSets, fileVersions, newSet } from "./tables.ts";

/** What the parts of an open file set share. */
export class FileSetCore {
  readonly manifest: Manifest;
  readonly folder: Folder;
  readonly catalog: string;
  /** Whether opening has made it. */
  readonly created: boolean;
  readonly desk: Desk;
  /** How new files are digested. */
  readonly algorithm: DigestAlgorithm;
  /** Files worked on at once where a call says nothing else. */
  readonly parallel: number;
  /** The manifest's history. */
  readonly history: string;
  readonly #origin: string | undefined;
  readonly #environment: Environment;
  /** The folder that it was over at the last look. */
  #place: Place = "";

  private constructor(manifest: Manifest, folder: Folder, catalog: string, created: boolean, history: string, options: FileSetOptions) {
    this.manifest = manifest;
    this.folder = folder;
    this.catalog = catalog;
    this.created = created;
    this.history = history;
    this.desk = deskOf(manifest);
    this.algorithm = options.digest ?? "blake3";
    this.parallel = options.parallel ?? PARALLEL;
    this.#origin = options.origin;
    this.#environment = options.environment ?? systemEnvironment;
  }

  /** Finds or makes the catalog. */
  static async open(manifest: Manifest, folder: Folder, options: FileSetOptions): Promise<FileSetCore> {
    const action = "open the catalog";
    const taken = takeOptions(options, FILE_SET_OPTIONS, action);
    const { create = true, origin, environment = systemEnvironment, digest, parallel } = taken;
    const name = checkCatalogName(taken.name ?? DEFAULT_NAME, action);
    checkManifest(manifest, action);
    checkFolder(folder, action);
    if (typeof create !== "boolean") failType(`Cannot ${action}: create is not a boolean`, { field: "create" });
    if (origin !== undefined && typeof origin !== "string") failType(`Cannot ${action}: origin is not a text`, { field: "origin" });
    if (readArgument(action, "the environment", () => typeof environment?.now) !== "function") {
      failType(`Cannot ${action}: environment is none`, { field: "environment" });
    }
    if (digest !== undefined) checkAlgorithm(digest, action);
    if (parallel !== undefined) checkParallel(parallel, action);
    const { historyId } = manifest;
    const created = await openCatalog(manifest, {
      action,
      name,
      kind: "files",
      create,
      tables: FILE_TABLES,
      make: (txn) => {
        if (txn.has(fileSets, name)) return;
        // Rows without the catalog's own row are what a salvage has left: they are not taken for a new catalog.
        if (txn.count(fileEntries, { prefix: [name] }) > 0 || txn.count(fileVersions, { prefix: [name] }) > 0) setRow(txn, name);
        txn.put(fileSets, name, newSet(historyId));
      },
    });
    setRow(manifest, name);
    const core = new FileSetCore(manifest, folder, name, created, historyId, taken);
    const dropped = core.desk.dropped(name, await core.place());
    // What a writer shows is there: also when the file was put back to what it was.
    if (!manifest.readOnly && dropped.shownBy(manifest, name) !== undefined) dropped.clear();
    return core;
  }

  /** Looks which folder it is over. */
  async place(): Promise<Place> {
    return this.#place = await this.desk.settle(this.catalog, this.folder);
  }

  /** Readers of this catalog in this process. */
  get pins(): Pins {
    return this.desk.pins(this.catalog);
  }

  /** The time. */
  readonly now = (): number => this.#environment.now();

  /** Throws READ_ONLY when nothing can be written. */
  assertWritable(action: string): void {
    if (this.manifest.readOnly) fail("READ_ONLY", `Cannot ${action}: the manifest is only read`);
  }

  /** Reads something in one state. */
  reading<T>(read: (state: FileSetState) => T): T {
    using view = this.manifest.read();
    return read(new FileSetState(view, this.catalog));
  }

  /** SNAPSHOT_EXPIRED when a state shows a version, or the given one, that a prune of this process has dropped since: it is that of a handle that has not been refreshed. */
  assertKept(view: Reader, action: string, version?: number): void {
    if (!this.manifest.readOnly) return;
    const dropped = this.desk.dropped(this.catalog, this.#place);
    const gone = version === undefined ? dropped.shownBy(view, this.catalog) : dropped.has(version) ? version : undefined;
    if (gone === undefined) return;
    fail("SNAPSHOT_EXPIRED", `Cannot ${action}: version ${gone} was pruned since this handle was refreshed`, {
      detail: { catalog: this.catalog, version: gone },
    });
  }

  /** Runs a transaction. */
  transact<T>(fn: (txn: Transaction) => T, signal?: AbortSignal): Promise<{ value: T; receipt: CommitReceipt }> {
    return this.manifest.transact(fn, {
      timeoutMs: 0,
      ...this.#origin === undefined ? {} : { origin: this.#origin },
      ...signal === undefined ? {} : { signal },
    });
  }

  /** Runs a transaction that is durable when this resolves, whatever the durability mode. */
  readonly change = async <T>(fn: (txn: Transaction) => T): Promise<T> => {
    const { value } = await this.transact(fn);
    if (this.manifest.durability().mode !== "sync") await this.manifest.sync();
    return value;
  };
}
