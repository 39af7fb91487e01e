// The LSM catalog: what an engine of sorted tables keeps about itself, as tables of a manifest.
//
// A facade. Each method that changes something is one commit: a draft (draft.ts) staged into a serialisable transaction.
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { fail, failType } from "../../errors.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { TransactOptions } from "../../manifest/transact/transact.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import type { CommitReceipt } from "../../manifest/write/receipt.ts";
import { checkCatalogName, checkManifest, DEFAULT_NAME, openCatalog } from "../catalog.ts";
import { coreOf, type LsmCore } from "./core.ts";
import { type Compaction, type FileRef, type Flush, LsmEdit, type Operation } from "./edit.ts";
import { hasFileName } from "./names.ts";
import { type OrphanOptions, type OrphanReport, tellOrphans } from "./orphans.ts";
import { LsmReader, namesFile, type ObsoleteFile, obsoleteOf } from "./reader.ts";
import { hasRows, type LsmOpening, rebuild } from "./rebuild.ts";
import { checkNumber, ID_MAX, type SstInput } from "./sst.ts";
import { LSM_TABLES, lsmObsolete, lsmStates, newState, type ObsoleteRecord } from "./tables.ts";
import { checkCount, checkTransaction, LsmTransaction, stageIds, stageOperations } from "./transaction.ts";
import { LsmVersion, type PinOptions } from "./version.ts";

/** How a catalog is opened. */
export interface LsmCatalogOptions {
  /** Its name in the manifest: 1 to 128 bytes of text. Default "default". */
  name?: string;
  /** Makes it when it is missing. Default true; nothing is made where the manifest is only read. */
  create?: boolean;
  /** Tags its changes, so that a replicator can skip its own. */
  origin?: string;
  /**
   * Lets ranges of tables overlap in levels from 1 on, for engines that keep several runs in a level. Queries stay right, and cost more in levels where some do. Default false: a commit that would make
   * them overlap is refused with LEVEL_OVERLAP.
   */
  allowOverlaps?: boolean;
}

const COMMIT_OPTIONS: OptionNames<TransactOptions> = { origin: true, signal: true, timeoutMs: true, retries: true, expectedSequence: true };

/** Numbers about a catalog. */
export interface LsmStats {
  /** Numbers its states. */
  readonly edit: number;
  /** Sorted tables, bytes of their files, and their entries. */
  readonly ssts: number;
  /** Bytes of their files. */
  readonly sizeBytes: number;
  /** Their entries. */
  readonly entries: number;
  /** Segments that wait to be flushed. */
  readonly frozenWals: number;
  /** Files that were removed and not forgotten. */
  readonly obsolete: number;
  /** Versions that are held in this process. */
  readonly pins: number;
  /** The oldest state that is held; undefined when none is. */
  readonly oldestPin: number | undefined;
}

/**
 * The catalog of an engine that keeps sorted tables in levels and a write-ahead log in segments: which files there are, what is in them, how far the log has come. Changes are atomic, durable when their promise resolves
 * as the manifest's durability mode says, and part of its change log. The files themselves are the engine's: the catalog neither writes nor deletes any.
 *
 * Reads show the newest state, which in the durability modes "relaxed" and "none" may not be durable yet; hold a version with `pin` to read files. Several catalogs may share a manifest, each under its own name.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { LsmCatalog } from "@waybill/manifest/lsm";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const catalog = await LsmCatalog.open(manifest);
 * const bytes = (text: string) => new TextEncoder().encode(text);
 * const first = await catalog.rotateWal(); // entries go to this segment
 * await catalog.rotateWal(); // it is full: frozen, and the next one is active
 * const id = await catalog.allocateSstId();
 * // ... write its entries to the sorted table's file, sync it, then:
 * await catalog.flush({ sst: { id, minKey: bytes("a"), maxKey: bytes("m"), sizeBytes: 4096 }, wal: first, lsn: 120 });
 * console.log(catalog.overlapping({ from: bytes("c"), to: bytes("d") }).map((sst) => sst.id)); // [ 1 ]
 * for (const file of await catalog.deletable()) console.log("delete", file.kind, file.id); // delete wal 1
 * ```
 */
export class LsmCatalog extends LsmReader {
  /** The manifest that it is part of. */
  readonly manifest: Manifest;
  /** What opening has found. */
  readonly opening: LsmOpening;
  readonly #core: LsmCore;
  readonly #origin: string | undefined;
  readonly #disjoint: boolean;

  private constructor(manifest: Manifest, name: string, opening: LsmOpening, options: LsmCatalogOptions) {
    super(name);
    this.manifest = manifest;
    this.opening = opening;
    this.#core = coreOf(manifest, name);
    this.#origin = options.origin;
    this.#disjoint = options.allowOverlaps !== true;
  }

  /**
   * Opens a catalog of a manifest, and makes it when it is missing. CATALOG_MISMATCH when the name is a catalog of another kind; NOT_FOUND when it is not to be made; NAME_INVALID; READ_ONLY when the manifest is only read
   * and its rows have come from another history (open it for writing once); what a commit may reject with.
   */
  static async open(manifest: Manifest, options: LsmCatalogOptions = {}): Promise<LsmCatalog> {
    const action = "open the catalog";
    const taken = takeOptions(options, { name: true, create: true, origin: true, allowOverlaps: true }, action);
    const { name: given = DEFAULT_NAME, create = true, origin, allowOverlaps } = taken;
    const name = checkCatalogName(given, action);
    checkManifest(manifest, action);
    if (typeof create !== "boolean") failType(`Cannot ${action}: create is not a boolean`, { field: "create" });
    if (origin !== undefined && typeof origin !== "string") failType(`Cannot ${action}: origin is not a text`, { field: "origin" });
    if (allowOverlaps !== undefined && typeof allowOverlaps !== "boolean") {
      failType(`Cannot ${action}: allowOverlaps is not a boolean`, { field: "allowOverlaps" });
    }
    const { historyId } = manifest;
    const created = await openCatalog(manifest, {
      action,
      name,
      kind: "lsm",
      create,
      tables: LSM_TABLES,
      make: (txn) => {
        // Rows without the catalog's own row are what a salvage has left: they are not overwritten.
        if (!hasRows(txn, name)) txn.put(lsmStates, name, newState(historyId));
      },
    });
    return new LsmCatalog(manifest, name, await adopt(manifest, name, historyId, created), taken);
  }

  /**
   * Where the rows are read.
   * @internal
   */
  protected override get rows(): Reader {
    return this.manifest;
  }

  // ---- changing ---------------------------------------------------------------------------------------------

  /** Begins an edit: several operations as one commit, of its own or as part of a transaction. */
  edit(): LsmEdit {
    return new LsmEdit({
      commit: (operations, options) => this.#commit(operations, options),
      stage: (txn, operations) => this.#stage(txn, operations),
    });
  }

  /** The catalog as a read-write transaction sees it. */
  within(txn: Transaction): LsmTransaction {
    return new LsmTransaction(checkTransaction(txn), this.name);
  }

  /** Sets the engine's own number, of its file format for example. */
  // deno-lint-ignore require-await
  async setVersion(version: number): Promise<CommitReceipt> {
    return this.edit().setVersion(version).commit();
  }

  /**
   * Makes a segment the active one, and takes it from the frozen ones. The one before is the caller's to freeze, before or behind or with `rotateWal`; until then it is retired: not forgotten, because it may hold what no table
   * has. OBJECT_CONDEMNED when the segment was removed and is being deleted.
   */
  // deno-lint-ignore require-await
  async setActiveWal(wal: number): Promise<CommitReceipt> {
    return this.edit().setActiveWal(wal).commit();
  }

  /** Freezes the active segment and makes the next one active, as one commit; returns its id: by default above every segment that was ever named. Nothing is frozen when none was active. */
  async rotateWal(wal?: number): Promise<number> {
    if (wal !== undefined) checkNumber("rotate the write-ahead log", "wal", wal, ID_MAX);
    let next = 0;
    await this.#commit([(draft) => draft.rotateWal(next = wal ?? draft.state.nextWalId)], undefined);
    return next;
  }

  /** Puts a segment among those that wait to be flushed; nothing happens when it is there. */
  // deno-lint-ignore require-await
  async addFrozenWal(wal: number): Promise<CommitReceipt> {
    return this.edit().addFrozenWal(wal).commit();
  }

  /** Takes a segment from those that wait to be flushed; nothing happens when it is not there. */
  // deno-lint-ignore require-await
  async removeFrozenWal(wal: number): Promise<CommitReceipt> {
    return this.edit().removeFrozenWal(wal).commit();
  }

  /** Adds a sorted table, and lifts the next id above its own; nothing happens when the id is there. LEVEL_OVERLAP; EXISTS when another table has its file; OBJECT_CONDEMNED when it was removed and is being deleted. */
  // deno-lint-ignore require-await
  async addSst(sst: SstInput): Promise<CommitReceipt> {
    return this.edit().addSst(sst).commit();
  }

  /** Removes a sorted table; nothing happens when it is not there. */
  // deno-lint-ignore require-await
  async removeSst(id: number): Promise<CommitReceipt> {
    return this.edit().removeSst(id).commit();
  }

  /** Raises the greatest log sequence number; nothing happens when it is not above. */
  // deno-lint-ignore require-await
  async updateLsn(lsn: number): Promise<CommitReceipt> {
    return this.edit().updateLsn(lsn).commit();
  }

  /** Allocates the id of a sorted table: greater than every one before, and never given out again, whatever crashes. Resolves when that is durable, in every durability mode. */
  async allocateSstId(): Promise<number> {
    return (await this.allocateSstIds(1))[0]!;
  }

  /** Allocates several ids, 1 to 65,536, one after the other. */
  async allocateSstIds(count: number): Promise<number[]> {
    checkCount(count);
    this.#assertWritable("allocate sorted table ids");
    const { value } = await this.manifest.transact((txn) => stageIds(txn, this.name, count), { origin: this.#origin });
    await this.#durable();
    return value;
  }

  /** Removes tables, then adds others, as one commit. One that is both stays, with its new level and range: how a table moves to another level. LEVEL_OVERLAP, OBJECT_CONDEMNED. */
  // deno-lint-ignore require-await
  async applyCompaction(compaction: Compaction): Promise<CommitReceipt> {
    return this.edit().applyCompaction(compaction).commit();
  }

  /** New tables in, the segments that they were made of out, and the log sequence number forward, as one commit. INVALID_ARGUMENT when a segment is the active one; LEVEL_OVERLAP, OBJECT_CONDEMNED. */
  // deno-lint-ignore require-await
  async flush(flush: Flush): Promise<CommitReceipt> {
    return this.edit().flush(flush).commit();
  }

  #stage(txn: Transaction, operations: readonly Operation[]): void {
    const { named } = stageOperations(checkTransaction(txn), this.name, this.#disjoint, operations);
    // Whether this transaction is committed is not known; what is named already, and leaves with it, was named.
    for (const { kind, id } of named) {
      if (namesFile(this.manifest, this.name, kind, id) || this.manifest.has(lsmObsolete, [this.name, kind, id])) {
        this.#core.named[kind].add(id, 1);
      }
    }
  }

  async #commit(operations: readonly Operation[], options: TransactOptions | undefined): Promise<CommitReceipt> {
    this.#assertWritable("change the catalog");
    const given = takeOptions(options, COMMIT_OPTIONS, "change the catalog");
    const { value, receipt } = await this.manifest.transact(
      (txn) => stageOperations(txn, this.name, this.#disjoint, operations).named,
      { ...given, origin: given.origin ?? this.#origin },
    );
    for (const { kind, id } of value) this.#core.named[kind].add(id, 1);
    return receipt;
  }

  // ---- versions and files -------------------------------------------------------------------------------------

  /**
   * Holds the newest state: its files stay until it is closed, whichever handle of this process pins it. READ_ONLY when the manifest is only read and none that writes the catalog is open in this process: then nobody
   * would know, and `files: false` gives the rows alone. SNAPSHOT_EXPIRED when the state that a manifest shows which is only read is so old that files of it may be deleted: `refresh` it, and pin again.
   */
  pin(options: PinOptions = {}): LsmVersion {
    const action = "pin a version";
    const { files = true } = takeOptions(options, { files: true }, action);
    if (typeof files !== "boolean") failType(`Cannot ${action}: files is not a boolean`, { field: "files" });
    const view = this.manifest.read();
    try {
      return new LsmVersion(view, this.name, this.#core.holders, files);
    } catch (error) {
      view.close();
      throw error;
    }
  }

  /**
   * Files that were removed from the catalog and that no held version names, by kind and id: the engine deletes them, then calls `forget`. Both may be done again, and a crash between them loses nothing. Resolves when it is durable
   * that they are removed, in every durability mode. READ_ONLY where the manifest is only read.
   */
  async deletable(options: { limit?: number } = {}): Promise<ObsoleteFile[]> {
    const action = "list deletable files";
    const { limit = Infinity } = takeOptions(options, { limit: true }, action);
    if (limit !== Infinity) checkNumber(action, "limit", limit);
    this.#assertWritable(action);
    const removed = this.manifest.range(lsmObsolete, { prefix: [this.name] }).toArray();
    // What a salvage has found with two tables stays until the last one goes.
    const shared = new Set(
      removed.flatMap(([, { fileName }]) => fileName !== undefined && hasFileName(this.manifest, this.name, fileName) ? [fileName] : []),
    );
    await this.#durable();
    const { holders } = this.#core;
    const edits = [...holders.pins()].map(({ edit }) => edit);
    const isHeld = ({ since, removedAt }: ObsoleteRecord): boolean => edits.some((edit) => since <= edit && edit < removedAt);
    for (const [, row] of removed) if (row.fileName !== undefined && isHeld(row)) shared.add(row.fileName);
    const files: ObsoleteFile[] = [];
    for (const [[, kind, id], row] of removed) {
      if (files.length >= limit) break;
      if (isHeld(row) || (row.fileName !== undefined && shared.has(row.fileName))) continue;
      files.push(obsoleteOf(kind, id, row));
      holders.release(row.removedAt);
    }
    return files;
  }

  /** Forgets files that `deletable` has listed and the engine has deleted; nothing happens for others. */
  // deno-lint-ignore require-await
  async forget(files: Iterable<FileRef>): Promise<CommitReceipt> {
    return this.edit().forget(files).commit();
  }

  /**
   * Tells which of the files found in the engine's folder no state names (the newest, a held version, the removed ones) and nobody is writing. Give it all of them: ids of sorted tables, kinds and ids, or file names with `idOf`. It is
   * a report: the engine deletes, if it wants to. Resolves when what it tells is durable, in every durability mode: no crash brings back a name of an orphan.
   *
   * ORPHANS_REFUSED when that cannot be told (`detail.reason`): `empty`, `damaged`, `foreign`; `accept` takes the responsibility. READ_ONLY where the manifest is only read, because another process may be writing.
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
   * const { orphans } = await catalog.orphans(["000001.sst", "LOCK"], {
   *   idOf: (fileName) => /^\d{6}\.sst$/.test(fileName) ? parseInt(fileName) : undefined,
   * });
   * for (const { fileName } of orphans) console.log("delete", fileName); // none
   * ```
   */
  async orphans(found: Iterable<number | string | FileRef>, options: OrphanOptions = {}): Promise<OrphanReport> {
    this.#assertWritable("tell orphans");
    const report = tellOrphans(this.manifest, this.name, this.#core, found, options);
    await this.#durable();
    return report;
  }

  /** Says that a catalog whose rows have come from another history is right: its files have been compared with what it names. Nothing happens when `opening.foreign` is not the case. */
  async acceptHistory(): Promise<void> {
    await this.#commit([({ state }) => void (state.foreign = false)], undefined);
  }

  // ---- checkpoints and numbers ----------------------------------------------------------------------------------

  /** Whether the catalog has commits behind the last checkpoint of the manifest, or opening after a crash has applied some again. Clean behind `checkpoint`, and when the manifest was closed and opened. */
  isDirty(): boolean {
    return this.#core.dirty.dirty;
  }

  /** Makes a checkpoint of the manifest: everything applied is in its tree, the journal is free. */
  checkpoint(): Promise<void> {
    return this.manifest.checkpoint();
  }

  /** Numbers about the catalog. */
  stats(): LsmStats {
    const levels = this.listLevels();
    const sum = (field: "ssts" | "sizeBytes" | "entries"): number => levels.reduce((total, level) => total + level[field], 0);
    const pins = [...this.#core.holders.pins()].map(({ edit }) => edit);
    return {
      edit: this.state.edit,
      ssts: sum("ssts"),
      sizeBytes: sum("sizeBytes"),
      entries: sum("entries"),
      frozenWals: this.getFrozenWals().length,
      obsolete: this.manifest.count(lsmObsolete, { prefix: [this.name] }),
      pins: pins.length,
      oldestPin: pins.length === 0 ? undefined : Math.min(...pins),
    };
  }

  #assertWritable(action: string): void {
    if (this.manifest.readOnly) fail("READ_ONLY", `Cannot ${action}: the manifest is only read`);
  }

  /** A receipt says as much as the durability mode does; what leads to a deletion, or must never happen twice, is more than that. */
  async #durable(): Promise<void> {
    if (this.manifest.durability().mode !== "sync") await this.manifest.sync();
  }
}

/** Takes rows from another history over, where there are any. */
async function adopt(manifest: Manifest, name: string, historyId: string, created: boolean): Promise<LsmOpening> {
  const state = manifest.get(lsmStates, name);
  if (state !== undefined && state.historyId === historyId) return { created, foreign: state.foreign, stateLost: false, rowsRebuilt: 0 };
  if (manifest.readOnly) {
    fail("READ_ONLY", `Cannot open the catalog "${name}": it has come from another history, and must be opened for writing once`);
  }
  const { value } = await manifest.transact((txn): LsmOpening => {
    const found = txn.get(lsmStates, name);
    if (found !== undefined && found.historyId === historyId) return { created, foreign: found.foreign, stateLost: false, rowsRebuilt: 0 };
    return rebuild(txn, name, historyId);
  });
  return value;
}
