// Backups in a folder: a facade; each kind of work has a file of its own.
import { checkSignal, type OptionNames, readArgument, takeOptions } from "../../arguments.ts";
import { ArgumentTypeError, fail, failType } from "../../errors.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import { type Environment, systemEnvironment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { whyNotRelative } from "../../storage/relative_path.ts";
import { checkManifest } from "../catalog.ts";
import { FileSetCatalog } from "../files/file_set_catalog.ts";
import { checkFunction, checkParallel, checkWhole } from "../files/names.ts";
import { readChain } from "./chain.ts";
import { OBJECTS, RECORDS, UNFINISHED } from "./names.ts";
import type { BackupProgress, OnProgress } from "./progress.ts";
import { Restore, type RestoreReport } from "./restore.ts";
import { type BackupReport, Take } from "./take.ts";
import { type BackupVerifyReport, Verification } from "./verify.ts";

/** How backups are opened. */
export interface BackupStoreOptions {
  /** Makes the folder's directories when they are missing. Default false. */
  create?: boolean;
  /** Clock and entropy. Default: the platform's. */
  environment?: Environment;
}

/** How work on backups is done. */
export interface BackupWorkOptions {
  /** How many files are worked on at once, up to 1024. Default 4. */
  parallel?: number;
  /** Hears how far it has come. What it throws ends the work with CALLBACK_FAILED. */
  onProgress?: (progress: BackupProgress) => void;
  /** Ends the work with ABORTED. */
  signal?: AbortSignal;
}

/** What to back up, and how. */
export interface BackupOptions extends BackupWorkOptions {
  /** The manifest, open. */
  manifest: Manifest;
  /** The catalogs of all its file sets. */
  fileSets: readonly FileSetCatalog[];
  /**
   * When an object of an earlier backup is used again: when one of its length is there, or only when its contents are right, for which it is read. One that is not what its name says is replaced, if the manifest still has what it was:
   * what `verify` has found is mended by a backup with "digest". Default "size": a backup costs what has changed, and the contents are looked at by `verify`.
   */
  reuse?: "size" | "digest";
}

/** How to verify backups. */
export interface BackupVerifyOptions extends BackupWorkOptions {
  /** Whether objects are there and of their length, or also of their contents. Default "digest". */
  level?: "size" | "digest";
  /** Only what this backup needs. Default: all. */
  backup?: number;
}

/** What to restore, and where. */
export interface RestoreOptions extends BackupWorkOptions {
  /** The folder that it is restored into. */
  into: Folder;
  /** The directory in it that is made: one segment of a path, and nothing of that name is there. */
  name: string;
  /** Which backup. Default: the newest. */
  backup?: number;
}

/** A backup that there is. */
export interface BackupInfo {
  /** Its number. */
  readonly number: number;
  /** When it was taken, milliseconds since 1970. */
  readonly takenAt: number;
  /** Names the manifest. */
  readonly fileId: string;
  /** The change of the manifest up to which it holds everything. */
  readonly sequence: number;
  /** Rows of the manifest. */
  readonly rows: number;
  /** Its file sets. */
  readonly fileSets: readonly { readonly catalog: string; readonly files: number; readonly bytes: number }[];
}

const PARALLEL = 4;
const WORK: OptionNames<BackupWorkOptions> = { parallel: true, onProgress: true, signal: true };
const BACKUP: OptionNames<BackupOptions> = { ...WORK, manifest: true, fileSets: true, reuse: true };
const VERIFY: OptionNames<BackupVerifyOptions> = { ...WORK, level: true, backup: true };
const RESTORE: OptionNames<RestoreOptions> = { ...WORK, into: true, name: true, backup: true };

interface Work {
  readonly parallel: number;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
}

/**
 * Backups of a manifest and its file sets in a folder of their own: full the first time, what has changed from then on. Each is a state of the manifest with every file that it names; contents that are equal are stored once. Every
 * record names the digest of the one before, and every object its own: any byte that changes is found.
 *
 * Names in the folder are made of digests and numbers. Of several backups that are taken into a folder at once one gets the next number, the others CONFLICT; readers may verify and restore beside them.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
 * import { BackupStore } from "@waybill/manifest/backup";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const folder = memoryFolder();
 * const catalog = await FileSetCatalog.open(manifest, folder);
 * await (await folder.create("data-1.sst")).close();
 * await catalog.commit({ set: [{ kind: "data", name: "main", path: "data-1.sst" }] });
 *
 * const backups = await BackupStore.open(memoryFolder(), { create: true }); // or fileFolder("backup")
 * const { number, filesCopied } = await backups.backup({ manifest, fileSets: [catalog] });
 * console.log(number, filesCopied, (await backups.verify()).ok); // 1 1 true
 * const place = memoryFolder();
 * const restored = await backups.restore({ into: place, name: "restored" });
 * console.log(restored.manifest, restored.fileSets[0]!.directory); // restored/manifest.waybill restored/files-1
 * ```
 */
export class BackupStore {
  /** Where the backups are. */
  readonly folder: Folder;
  readonly #environment: Environment;

  private constructor(folder: Folder, environment: Environment) {
    this.folder = folder;
    this.#environment = environment;
  }

  /** Opens the backups in a folder. NOT_FOUND when there are none and `create` is not set; what the folder throws. */
  static async open(folder: Folder, options: BackupStoreOptions = {}): Promise<BackupStore> {
    const action = "open backups";
    checkFolder(folder, action);
    const { create = false, environment = systemEnvironment } = takeOptions(options, { create: true, environment: true }, action);
    if (typeof create !== "boolean") failType(`Cannot ${action}: option create is not a boolean`, { option: "create" });
    const there = await folder.facts(RECORDS) !== undefined && await folder.facts(OBJECTS) !== undefined;
    if (!there && !create) fail("NOT_FOUND", `Cannot ${action} in "${folder.name}": there are none`, { detail: { file: folder.name } });
    if (create) {
      for (const directory of ["", RECORDS, OBJECTS, UNFINISHED]) await folder.makeDirectory(directory);
      await folder.syncDirectory("");
    }
    return new BackupStore(folder, environment);
  }

  /** The backups that there are, oldest first, each verified as far as its record goes. BACKUP_DAMAGED, BACKUP_INCOMPLETE, BACKUP_MISMATCH when the chain is broken. */
  async list(): Promise<BackupInfo[]> {
    const backups: BackupInfo[] = [];
    for await (const { record: { number, takenAt, manifest, fileSets } } of readChain(this.folder)) {
      const { fileId, sequence, rows } = manifest;
      const sets = fileSets.map(({ catalog, files, bytes }) => ({ catalog, files, bytes }));
      backups.push({ number, takenAt, fileId, sequence, rows, fileSets: sets });
    }
    return backups;
  }

  /**
   * Takes a backup of the newest durable state, while commits and prunes go on. It is durable, and has been read again, when this resolves; when it rejects there is no backup, and what was stored of it is used by the next one. One exception: when the sync of
   * its name fails (SYNC_FAILED), the backup is there and stays, and is durable with the next one.
   *
   * INVALID_ARGUMENT, also when the manifest has a file set whose catalog was not given; BACKUP_MISMATCH when the folder holds backups of another manifest, or of what this one was before a restore or a salvage; FILE_DAMAGED when
   * a stored file is missing or not what the catalog says; FILE_CHANGED when one changes while it is read; BACKUP_DAMAGED when a record is damaged or something else lies in its place, or what was written is not what is read; BACKUP_INCOMPLETE when
   * a record is missing, or all of them while there are objects; CONFLICT, which can be tried again, when another one was taken at the same time; SNAPSHOT_EXPIRED when the manifest is only read and its writer has replaced the state: behind `refresh()` the next call uses what was stored; NO_SPACE and other errors of the folders; ABORTED, CALLBACK_FAILED.
   */
  async backup(options: BackupOptions): Promise<BackupReport> {
    const action = "back up";
    const { manifest, fileSets, reuse = "size", ...work } = takeOptions(options, BACKUP, action);
    checkManifest(manifest, action);
    const sets = readArgument(action, "the file sets", () => {
      if (!Array.isArray(fileSets)) failType(`Cannot ${action}: fileSets is no array`, { field: "fileSets" });
      return [...fileSets as readonly FileSetCatalog[]];
    });
    for (const each of sets) {
      if (!(each instanceof FileSetCatalog)) failType(`Cannot ${action}: fileSets holds what is no FileSetCatalog`, { field: "fileSets" });
      if (each.manifest !== manifest) {
        failType(`Cannot ${action}: the file set "${each.name}" is of another manifest`, { field: "fileSets" });
      }
    }
    if (new Set(sets.map(({ name }) => name)).size < sets.length) {
      failType(`Cannot ${action}: a file set was given twice`, { field: "fileSets" });
    }
    sets.sort((a, b) => a.name < b.name ? -1 : 1);
    if (reuse !== "size" && reuse !== "digest") failType(`Cannot ${action}: reuse is neither "size" nor "digest"`, { option: "reuse" });
    return await new Take({ ...this.#work(work, action), manifest, fileSets: sets, reuse }).run();
  }

  /** Looks at every record, every link between them and every object. What is wrong never throws: the report names it. ABORTED, CALLBACK_FAILED; what listing the folder throws. */
  async verify(options: BackupVerifyOptions = {}): Promise<BackupVerifyReport> {
    const action = "verify backups";
    const { level = "digest", backup, ...work } = takeOptions(options, VERIFY, action);
    if (level !== "size" && level !== "digest") failType(`Cannot ${action}: level is neither "size" nor "digest"`, { option: "level" });
    const number = backup === undefined ? undefined : checkWhole(backup, "backup", 1, action);
    return await new Verification({ ...this.#work(work, action), level, number }).run();
  }

  /**
   * Restores a backup into a new directory: `manifest.waybill`, and a directory for each file set. Everything is verified as it is read, and looked at again when it is there; only then it gets its name. When this rejects nothing of
   * that name is there. The restored manifest has a file id and a history of its own; its change log goes on where the backup's ends, so that consumers go by the history id (`historyId`).
   *
   * NOT_FOUND when there is no such backup; BACKUP_INCOMPLETE when a record or an object is missing; BACKUP_DAMAGED; BACKUP_MISMATCH; NAME_INVALID for `name`, and for a path in the backup that leads out of its folder; EXISTS when
   * something of that name is there; IO_WRITE when what was written is not what is read; NO_SPACE and other errors of the folders; ABORTED, CALLBACK_FAILED.
   */
  async restore(options: RestoreOptions): Promise<RestoreReport> {
    const action = "restore";
    const { into, name, backup, ...work } = takeOptions(options, RESTORE, action);
    checkFolder(into, action);
    if (typeof name !== "string") failType(`Cannot ${action}: name is not a string`, { option: "name" });
    const why = name.includes("/") ? "it is more than one segment" : whyNotRelative(name);
    if (why !== undefined) {
      throw new ArgumentTypeError(`Cannot ${action} as ${JSON.stringify(name.slice(0, 255))}: ${why}`, {}, "NAME_INVALID");
    }
    const number = backup === undefined ? undefined : checkWhole(backup, "backup", 1, action);
    return await new Restore({ ...this.#work(work, action), into, name, number }).run();
  }

  #work({ parallel, onProgress, signal }: BackupWorkOptions, action: string): Work & { folder: Folder; environment: Environment } {
    if (onProgress !== undefined) checkFunction(onProgress, "onProgress", action);
    return {
      parallel: parallel === undefined ? PARALLEL : checkParallel(parallel, action),
      onProgress,
      signal: checkSignal(signal, action),
      folder: this.folder,
      environment: this.#environment,
    };
  }
}

function checkFolder(folder: Folder, action: string): void {
  readArgument(action, "the folder", () => {
    if (typeof folder?.facts !== "function" || typeof folder.syncDirectory !== "function") {
      failType(`Cannot ${action}: no folder was given`);
    }
  });
}
