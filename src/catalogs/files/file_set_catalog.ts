// The file-set catalog: which files make up each version of a set, in tables of a manifest.
//
// A facade. Each part has a file of its own: prepare.ts and stage.ts (commits), version.ts, state.ts and diff.ts (reading), prune.ts and merge.ts, pins.ts, verify.ts, orphans.ts and orphan_removal.ts, check.ts.
// tables.ts says how it is laid out and why; desk.ts what is known in the process alone.
import { readArgument } from "../../arguments.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import type { CommitReceipt } from "../../manifest/write/receipt.ts";
import type { Folder } from "../../storage/folder.ts";
import { type FileChanges, takeChanges } from "./changes.ts";
import { checkFileSet, type FileSetCheck } from "./check.ts";
import { FileSetCore } from "./core.ts";
import type { FileSetDiff } from "./diff.ts";
import { checkOwner, checkTransaction, checkWhole, type FileKind } from "./names.ts";
import {
  type CommitVersionOptions,
  type FileSetOptions,
  type FileWorkOptions,
  type OrphanOptions,
  takeCommit,
  takeOrphans,
  takeVerify,
  takeWork,
  type VerifyOptions,
} from "./options.ts";
import { type OrphanRemoval, removeOrphans, takeReport } from "./orphan_removal.ts";
import { findOrphans, type OrphanReport } from "./orphans.ts";
import { FileSetPin, listPins, type PinInfo, type PinRequest, stagePin, stageRenewal, stageUnpin, takePin } from "./pins.ts";
import { PreparedCommit } from "./prepare.ts";
import { Prune, type PruneReport } from "./prune.ts";
import { setRow } from "./rows.ts";
import type { CommittedVersion } from "./stage.ts";
import { FileSetState, type FileSetStats } from "./state.ts";
import { fileSets, fileVersions } from "./tables.ts";
import { verifyFiles, type VerifyReport } from "./verify.ts";
import { type FileEntry, FileSetVersion, type VersionInfo, versionInfo } from "./version.ts";

/** What a commit has done, with its receipt. */
export interface VersionReceipt extends CommittedVersion {
  /** The receipt of its commit. */
  readonly receipt: CommitReceipt;
}

/**
 * A set of files that changes by versions, each of which appears as a whole or not at all: a version says which file each name stands for. The catalog names, verifies and deletes files; it never writes into one. Whoever makes a
 * file writes it under a path that was never used, then commits the names that are to stand for it. A file that a version has named does not change any more.
 *
 * Reads show the manifest's newest state, which is durable unless the durability mode is another than "sync"; hold a version with `read`, or all of them with `state`, to use their files for longer. Several catalogs may share a manifest, each under its own name.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const folder = memoryFolder(); // or fileFolder("data")
 * const catalog = await FileSetCatalog.open(manifest, folder);
 *
 * const file = await folder.create("data-1.sst");
 * await file.write(0, new TextEncoder().encode("rows"));
 * await file.close();
 * const { version } = await catalog.commit({ set: [{ kind: "data", name: "main", path: "data-1.sst" }] });
 * console.log(version, catalog.get("data", "main")?.sizeBytes); // 1 4
 * ```
 */
export class FileSetCatalog {
  /** The manifest that it is part of. */
  readonly manifest: Manifest;
  /** Where its files are. */
  readonly folder: Folder;
  /** Its name in the manifest. */
  readonly name: string;
  /** Whether opening has made it. */
  readonly created: boolean;
  readonly #core: FileSetCore;

  private constructor(core: FileSetCore) {
    ({ manifest: this.manifest, folder: this.folder, catalog: this.name, created: this.created } = core);
    this.#core = core;
  }

  /**
   * Opens a catalog of a manifest, and makes it when it is missing. Of the folder it is looked at which one it is; it need not exist yet. CATALOG_MISMATCH when the name is a catalog of another kind; NOT_FOUND when it is not to be made, or the manifest is only read;
   * NAME_INVALID; INVALID_ARGUMENT; CORRUPT_RECORD when a salvage has lost the catalog's own row; what a commit may reject with; what the folder throws.
   */
  static async open(manifest: Manifest, folder: Folder, options: FileSetOptions = {}): Promise<FileSetCatalog> {
    return new FileSetCatalog(await FileSetCore.open(manifest, folder, options));
  }

  // ---- commits ----------------------------------------------------------------------------------------------

  /**
   * Commits a version: the one before with some names set and some removed. First every file is looked at, digested, synced, and the directories that lead to it too; nothing of the version is there before its commit, and it
   * commits with nothing else. What a crash before that leaves are orphans. A version without changes is a version too.
   *
   * NOT_FOUND when a file, or a name to remove, is not there; NOT_A_REGULAR_FILE for a directory, a link or a device, also on the way to the file; FILE_CHANGED when a file changes or vanishes under way; FILE_DAMAGED when a
   * stored file of that path had other contents: paths are not used twice; NAME_INVALID (also for the manifest itself), LIMIT for names and paths; OBJECT_CONDEMNED when a prune is about to delete the file; CONFLICT for `version` and `expectedVersion`;
   * ABORTED; READ_ONLY; SYNC_FAILED when a file could not be synced (write it anew, under another path); what a commit may reject with.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const folder = memoryFolder();
   * const catalog = await FileSetCatalog.open(manifest, folder);
   * for (const path of ["data-1.sst", "title-1.idx"]) await (await folder.create(path)).close();
   * const first = await catalog.commit({
   *   set: [{ kind: "data", name: "main", path: "data-1.sst" }, { kind: "text", name: "title", path: "title-1.idx" }],
   *   label: "import",
   * });
   * const second = await catalog.commit({ remove: [{ kind: "text", name: "title" }] }, { expectedVersion: first.version });
   * console.log(second.version, second.removed); // 2 1
   * ```
   */
  async commit(changes: FileChanges, options: CommitVersionOptions = {}): Promise<VersionReceipt> {
    using prepared = await this.prepare(changes, options);
    const { value, receipt } = await this.#core.transact((txn) => prepared.stage(txn), options.signal);
    return { ...value, receipt };
  }

  /**
   * Does everything of a commit that comes before its rows: so that they can be put into a transaction of the caller's, and the version appears together with other rows. Rejects as `commit` does.
   *
   * @example
   * ```ts
   * import { defineTable, Manifest, memoryStorage, text, u53 } from "@waybill/manifest";
   * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
   *
   * const imports = defineTable({ name: "imports", key: [text("name")], value: { version: u53() } });
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const folder = memoryFolder();
   * const catalog = await FileSetCatalog.open(manifest, folder);
   * await (await folder.create("data-1.sst")).close();
   * using prepared = await catalog.prepare({ set: [{ kind: "data", name: "main", path: "data-1.sst" }] });
   * await manifest.transact((txn) => {
   *   const { version } = prepared.stage(txn);
   *   txn.put(imports, "monday", { version });
   * });
   * console.log(manifest.get(imports, "monday"), catalog.current()?.version);
   * ```
   */
  async prepare(changes: FileChanges, options: CommitVersionOptions = {}): Promise<PreparedCommit> {
    const action = "commit a version";
    const taken = takeChanges(changes, action);
    const work = takeCommit(options, this.#core.parallel, action);
    this.#core.assertWritable(action);
    const place = taken.set.length === 0 ? "" : await this.#core.place();
    const prepared = new PreparedCommit({ ...work, core: this.#core, changes: taken, place });
    try {
      await prepared.run();
      return prepared;
    } catch (error) {
      prepared.dispose();
      throw error;
    }
  }

  // ---- reading ----------------------------------------------------------------------------------------------

  /** The newest version; undefined when there is none. */
  current(): VersionInfo | undefined {
    const { current } = setRow(this.manifest, this.name);
    const row = current === 0 ? undefined : this.manifest.get(fileVersions, [this.name, current]);
    return row && versionInfo(current, row);
  }

  /** The versions that are kept, oldest first. */
  versions(): VersionInfo[] {
    return this.#core.reading((state) => state.versions());
  }

  /** The file that a name stands for in the newest version; undefined when it is not in it. NAME_INVALID. */
  get(kind: FileKind, name: string): FileEntry | undefined {
    return this.#core.reading((state) => state.current() === undefined ? undefined : state.version().get(kind, name));
  }

  /**
   * Holds a version, the newest unless another is asked for: it stays as it is, and its files stay, until it is closed. That holds for prunes of this process, whichever handle of the manifest reads and whichever prunes; for one
   * that outlives the process, or a prune of another one, take a `pin`. NOT_FOUND when there is no such version, or none at all; SNAPSHOT_EXPIRED when the manifest was opened for reading and the version was pruned since: `refresh` it.
   */
  read(version?: number): FileSetVersion {
    const core = this.#core; // who holds a version holds the desk where that is known
    const view = this.manifest.read();
    try {
      const { info } = new FileSetState(view, this.name).version(version);
      core.assertKept(view, "read a version", info.version);
      core.pins.versions.add(info.version);
      return new FileSetVersion(view, this.name, info, () => {
        view.close();
        core.pins.versions.remove(info.version);
      });
    } catch (error) {
      view.close();
      throw error;
    }
  }

  /** Holds the newest state with all its versions, as `read` holds one. SNAPSHOT_EXPIRED when the manifest was opened for reading and one of them was pruned since: `refresh` it. */
  state(): FileSetState {
    const core = this.#core;
    const view = this.manifest.read();
    try {
      const { current } = setRow(view, this.name);
      core.assertKept(view, "read a file set");
      core.pins.states.add(current);
      core.pins.views.add(view);
      return new FileSetState(view, this.name, () => {
        core.pins.views.delete(view);
        view.close();
        core.pins.states.remove(current);
      });
    } catch (error) {
      view.close();
      throw error;
    }
  }

  /** What differs between two kept versions, in either direction. It costs what was changed between them, not what is in them. NOT_FOUND. */
  diff(from: number, to: number): FileSetDiff {
    return this.#core.reading((state) => state.diff(from, to));
  }

  /** Numbers about the catalog, without counting. */
  stats(): FileSetStats {
    return this.#core.reading((state) => state.stats());
  }

  // ---- pins -------------------------------------------------------------------------------------------------

  /**
   * Keeps a version, or all that there are, for an owner until a time, also across a crash of the process. Under the same name it is taken again. It is durable when this resolves. NOT_FOUND when there is no such version;
   * NAME_INVALID; READ_ONLY.
   */
  async pin(request: PinRequest): Promise<FileSetPin> {
    const action = "pin a version";
    const taken = takePin(request, action);
    this.#core.assertWritable(action);
    const info = await this.#core.change((txn) => stagePin(txn, this.name, taken, this.#core.now()));
    const renew = (pin: PinInfo, ttlMs: number): Promise<PinInfo> => {
      this.#core.assertWritable("renew a pin");
      return this.#core.change((txn) => stageRenewal(txn, this.name, pin, this.#core.now() + ttlMs));
    };
    return new FileSetPin(info, taken.ttlMs, renew, (pin) => this.#unpin(pin.owner, pin.version));
  }

  /** Puts a pin as part of a transaction of the caller's. */
  stagePin(txn: Transaction, request: PinRequest): PinInfo {
    const action = "pin a version";
    return stagePin(checkTransaction(txn, action), this.name, takePin(request, action), this.#core.now());
  }

  /** Takes a pin away as part of a transaction of the caller's; false when there is none. */
  stageUnpin(txn: Transaction, pin: { owner: string; version: number }): boolean {
    const action = "release a pin";
    const { owner, version } = readArgument(action, "the pin", () => ({ owner: pin.owner, version: pin.version }));
    return stageUnpin(checkTransaction(txn, action), this.name, checkOwner(owner, action), checkWhole(version, "version", 1, action));
  }

  /** The durable pins, by owner and version; those whose time is over stay until a prune has looked at them. */
  pins(): PinInfo[] {
    return listPins(this.manifest, this.name);
  }

  async #unpin(owner: string, version: number): Promise<void> {
    this.#core.assertWritable("release a pin");
    await this.#core.change((txn) => stageUnpin(txn, this.name, owner, version));
  }

  // ---- verifying and cleaning up --------------------------------------------------------------------------------

  /**
   * Looks at stored files: whether each is there, of its size, and with level "digest" of its contents. Damage of files never throws: the report names each file, and the names that stand for it. The files stay while it runs.
   * NOT_FOUND for a version that there is not; SNAPSHOT_EXPIRED as for `read` and `state`; ABORTED; CALLBACK_FAILED.
   */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    const action = "verify files";
    const { level, version, ...work } = takeVerify(options, this.#core.parallel, action);
    const { versions, states, views } = this.#core.pins;
    using view = this.manifest.read();
    const info = version === undefined ? undefined : new FileSetState(view, this.name).version(version).info;
    const { current } = setRow(view, this.name);
    this.#core.assertKept(view, action, info?.version);
    if (info === undefined) states.add(current);
    else versions.add(info.version);
    views.add(view);
    try {
      return await verifyFiles({ ...work, reader: view, catalog: this.name, folder: this.folder, level, version });
    } finally {
      views.delete(view);
      if (info === undefined) states.remove(current);
      else versions.remove(info.version);
    }
  }

  /** Counts every count of the catalog's rows again. For after a salvage; it costs what there is. */
  check(): FileSetCheck {
    using view = this.manifest.read();
    return checkFileSet(view, this.name);
  }

  /**
   * Drops all but the newest `keep` versions, and deletes the files that no version names any more, of this set or of another one in the folder. Versions stay that a reader of this process or a durable pin holds; 0 does nothing. What a deletion fails for stays condemned,
   * is reported and comes again in the next prune, as does everything that a crash or an abort has left: no more is lost than time.
   *
   * ABORTED, CALLBACK_FAILED (with outcome `applied` when versions are gone); READ_ONLY; INVALID_ARGUMENT; what a commit may reject with.
   */
  async prune(keep: number, options: FileWorkOptions = {}): Promise<PruneReport> {
    const action = "prune versions";
    checkWhole(keep, "keep", 0, action);
    const work = takeWork(options, this.#core.parallel, action);
    this.#core.assertWritable(action);
    if (keep === 0) {
      return {
        dropped: [],
        pinned: [],
        deleted: 0,
        bytes: 0,
        failed: [],
        remaining: setRow(this.manifest, this.name).condemned,
        shared: 0,
      };
    }
    return await this.#core.desk.inTurn(() => new Prune({ ...work, core: this.#core, keep }).run());
  }

  /**
   * Lists the files in the folder that nothing names: a report, nothing is deleted. Files of all file sets of this manifest that may be in the folder, condemned files, files that a commit has in hand, manifests and their locks are no
   * orphans; backups, directories of other manifests and folders of other file sets are skipped, and told; links are told and never followed. ABORTED; CALLBACK_FAILED; what listing the folder throws.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const folder = memoryFolder();
   * const catalog = await FileSetCatalog.open(manifest, folder);
   * for (const path of ["data-1.sst", "data-2.sst"]) await (await folder.create(path)).close();
   * await catalog.commit({ set: [{ kind: "data", name: "main", path: "data-2.sst" }] });
   * const report = await catalog.orphans({ minAgeMs: 0 });
   * for (const { path } of report.orphans) console.log(path); // data-1.sst
   * const { deleted } = await catalog.deleteOrphans(report);
   * console.log(deleted); // 1
   * ```
   */
  // deno-lint-ignore require-await
  async orphans(options: OrphanOptions = {}): Promise<OrphanReport> {
    return findOrphans({ ...takeOrphans(options, "list orphans"), core: this.#core });
  }

  /**
   * Deletes the orphans that a report names, each only when it still is what the report says, old enough, and named by nothing: the others are told in `refused`.
   *
   * ORPHANS_REFUSED, with nothing deleted, when it cannot be told what an orphan is (`detail.reason`): `empty` when the catalog names no file at all, `damaged` when the manifest's check finds damage or the catalog has lost rows,
   * `foreign` when the manifest was restored or salvaged and nobody has called `acceptHistory`. READ_ONLY; ABORTED, CALLBACK_FAILED (outcome `applied` when files were deleted).
   */
  async deleteOrphans(report: OrphanReport, options: FileWorkOptions = {}): Promise<OrphanRemoval> {
    const action = "delete orphans";
    const { orphans, minAgeMs } = readArgument(action, "the report", () => takeReport(report));
    const work = takeWork(options, this.#core.parallel, action);
    this.#core.assertWritable(action);
    return await this.#core.desk.inTurn(() => removeOrphans({ ...work, core: this.#core, orphans, minAgeMs, ignore: undefined }));
  }

  /** Says that a catalog whose manifest was restored or salvaged is right: its files have been verified, and what lies in the folder beside them is not needed. Resolves when that is durable. */
  async acceptHistory(): Promise<void> {
    this.#core.assertWritable("accept a history");
    await this.#core.change((txn) => {
      const row = setRow(txn, this.name);
      if (row.history !== this.#core.history) txn.put(fileSets, this.name, { ...row, history: this.#core.history });
    });
  }
}
