// An edit: operations on a catalog that become one commit, of their own or as part of a transaction.
import { failType } from "../../errors.ts";
import type { TransactOptions } from "../../manifest/transact/transact.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import type { CommitReceipt } from "../../manifest/write/receipt.ts";
import { readArgument, takeOptions } from "../../arguments.ts";
import type { Draft } from "./draft.ts";
import { checkList, checkNumber, checkSst, ID_MAX, type SstInput } from "./sst.ts";
import type { FileKind } from "./tables.ts";

/** What a compaction made of what. */
export interface Compaction {
  /** New sorted tables. */
  added?: Iterable<SstInput>;
  /** Ids of those that they stand for. */
  removed?: Iterable<number>;
}

/** What a flush has done. */
export interface Flush {
  /** The new sorted table, or several. */
  sst?: SstInput | readonly SstInput[];
  /** The segment whose entries are in it, or several: frozen or retired, not active. */
  wal?: number | readonly number[];
  /** The greatest log sequence number in it. */
  lsn?: number;
}

/** Names a file of the engine. */
export interface FileRef {
  /** A sorted table or a write-ahead segment. */
  readonly kind: FileKind;
  /** Its id. */
  readonly id: number;
}

/** Where an edit goes. */
export interface EditHost {
  /** Commits operations, in order, as one commit. */
  commit(operations: readonly Operation[], options: TransactOptions | undefined): Promise<CommitReceipt>;
  /** Stages them into a transaction. */
  stage(txn: Transaction, operations: readonly Operation[]): void;
}

/** One operation. */
export type Operation = (draft: Draft) => void;

/** A file's kind and id. */
export function checkFile(action: string, file: FileRef): FileRef {
  return readArgument(action, "the file", () => {
    if (file?.kind !== "sst" && file?.kind !== "wal") failType(`Cannot ${action}: kind is neither "sst" nor "wal"`, { field: "kind" });
    return { kind: file.kind, id: checkNumber(action, "id", file.id, ID_MAX) };
  });
}

/** One or several, as a list. */
function some<T>(value: T | readonly T[] | undefined): readonly T[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value as T];
}

/**
 * Operations that become one commit: all or none, one change in the log. They are checked and copied when they are called, and done in the order of the calls. Made by `LsmCatalog.edit`; may be committed more than
 * once, which changes nothing where nothing is left to do.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { LsmCatalog } from "@waybill/manifest/lsm";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const catalog = await LsmCatalog.open(manifest);
 * const key = new TextEncoder().encode("a");
 * const receipt = await catalog.edit().addSst({ id: 7, minKey: key, maxKey: key }).setActiveWal(3).updateLsn(90).commit();
 * console.log(receipt.sequence, catalog.peekNextSstId()); // 2 8
 * ```
 */
export class LsmEdit {
  readonly #host: EditHost;
  readonly #operations: Operation[] = [];

  /** Made by `LsmCatalog.edit`. */
  constructor(host: EditHost) {
    this.#host = host;
  }

  /** Number of operations. */
  get length(): number {
    return this.#operations.length;
  }

  #add(operation: Operation): this {
    this.#operations.push(operation);
    return this;
  }

  /** Sets the engine's own number. */
  setVersion(version: number): this {
    checkNumber("set the version", "version", version);
    return this.#add(({ state }) => void (state.version = version));
  }

  /** Makes a segment the active one, and takes it from the frozen ones. The one before is retired, unless it is frozen. */
  setActiveWal(wal: number): this {
    checkNumber("set the active segment", "wal", wal, ID_MAX);
    return this.#add((draft) => draft.setActiveWal(wal));
  }

  /** Freezes the active segment, and makes another one active. INVALID_ARGUMENT at the commit when it is the same. */
  rotateWal(wal: number): this {
    checkNumber("rotate the write-ahead log", "wal", wal, ID_MAX);
    return this.#add((draft) => draft.rotateWal(wal));
  }

  /** Puts a segment among those that wait to be flushed; nothing happens when it is there. */
  addFrozenWal(wal: number): this {
    checkNumber("freeze a segment", "wal", wal, ID_MAX);
    return this.#add((draft) => draft.addFrozenWal(wal));
  }

  /** Takes a segment from those that wait to be flushed; nothing happens when it is not there. */
  removeFrozenWal(wal: number): this {
    checkNumber("remove a frozen segment", "wal", wal, ID_MAX);
    return this.#add((draft) => draft.removeFrozenWal(wal));
  }

  /** Adds a sorted table, and lifts the next id above its own; nothing happens when the id is there. EXISTS at the commit when another table has its file. */
  addSst(sst: SstInput): this {
    const taken = checkSst("add a sorted table", sst);
    return this.#add((draft) => draft.addSst(taken));
  }

  /** Removes a sorted table; nothing happens when it is not there. */
  removeSst(id: number): this {
    checkNumber("remove a sorted table", "id", id, ID_MAX);
    return this.#add((draft) => draft.removeSst(id));
  }

  /** Raises the greatest log sequence number; nothing happens when it is not above. */
  updateLsn(lsn: number): this {
    checkNumber("update the log sequence number", "lsn", lsn);
    return this.#add((draft) => draft.raiseLsn(lsn));
  }

  /** Removes tables, then adds others. One that is both stays, with its new level and range: how a table moves to another level. */
  applyCompaction(compaction: Compaction): this {
    const action = "apply a compaction";
    const { added, removed } = takeOptions(compaction, { added: true, removed: true }, action);
    const ids = checkList(action, "removed", removed).map((id) => checkNumber(action, "removed", id, ID_MAX));
    const ssts = checkList(action, "added", added).map((sst) => checkSst(action, sst));
    return this.#add((draft) => {
      for (const id of ids) draft.removeSst(id);
      for (const sst of ssts) draft.addSst(sst);
    });
  }

  /** New tables in, the segments that they were made of out, and the log sequence number forward. INVALID_ARGUMENT at the commit when a segment is the active one. */
  flush(flush: Flush): this {
    const action = "flush";
    const { sst, wal, lsn } = takeOptions(flush, { sst: true, wal: true, lsn: true }, action);
    const ssts = readArgument(action, "sst", () => some(sst).map((one) => checkSst(action, one)));
    const wals = readArgument(action, "wal", () => some(wal).map((one) => checkNumber(action, "wal", one, ID_MAX)));
    if (lsn !== undefined) checkNumber(action, "lsn", lsn);
    return this.#add((draft) => {
      for (const sst of ssts) draft.addSst(sst);
      for (const wal of wals) draft.flushWal(wal);
      if (lsn !== undefined) draft.raiseLsn(lsn);
    });
  }

  /** Forgets files that were removed and that the engine has deleted; nothing happens for others. */
  forget(files: Iterable<FileRef>): this {
    const refs = checkList("forget files", "files", files).map((file) => checkFile("forget files", file));
    return this.#add((draft) => {
      for (const { kind, id } of refs) draft.forget(kind, id);
    });
  }

  /**
   * Does all of it as one commit, tried again when another commit was faster. Its receipt has sequence 0 when there was nothing to do. LEVEL_OVERLAP, EXISTS when two tables would have one file, OBJECT_CONDEMNED when it names a file that is being deleted,
   * and what a commit may reject with.
   */
  commit(options?: TransactOptions): Promise<CommitReceipt> {
    return this.#host.commit(this.#operations, options);
  }

  /**
   * Does all of it as part of a read-write transaction, which commits it with everything else that it does. Throws what `commit` rejects with; then nothing of it is staged.
   *
   * @example
   * ```ts
   * import { defineTable, Manifest, memoryStorage, text, u53 } from "@waybill/manifest";
   * import { LsmCatalog } from "@waybill/manifest/lsm";
   *
   * const jobs = defineTable({ name: "compactions", key: [u53("id")], value: { state: text() } });
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const catalog = await LsmCatalog.open(manifest);
   * const key = new TextEncoder().encode("a");
   * const edit = catalog.edit().applyCompaction({ added: [{ id: 9, level: 1, minKey: key, maxKey: key }], removed: [4, 5] });
   * await manifest.transact((txn) => {
   *   edit.stage(txn);
   *   txn.put(jobs, 1, { state: "done" });
   * });
   * console.log(catalog.getSst(9)?.level, manifest.get(jobs, 1)?.state); // 1 "done"
   * ```
   */
  stage(txn: Transaction): void {
    this.#host.stage(txn, this.#operations);
  }
}
