// Restoring a backup: into a directory of another name, looked at completely, and only then under its own.
//
//   <name>/manifest.waybill    the manifest
//   <name>/files-1/…           the files of its first file set, by the catalogs' names in order; and so on
//
// Invariant: under its own name there is nothing, or everything. Nothing that is missing or damaged is left out: it ends the restore.
import { fail, isManifestError } from "../../errors.ts";
import { checkFile } from "../../inspect/check.ts";
import type { Finding } from "../../inspect/finding.ts";
import { RowReader } from "../../inspect/row_reader.ts";
import { Target } from "../../inspect/target.ts";
import { Manifest } from "../../manifest/manifest.ts";
import type { Environment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { directoryOf } from "../../storage/relative_path.ts";
import type { Storage } from "../../storage/storage.ts";
import { subFolder } from "../../storage/sub_folder.ts";
import { TABLE_ID_TABLES } from "../../../assembly/format.ts";
import { listCatalogs } from "../catalog.ts";
import { hexOf } from "../files/digest.ts";
import { FileSetCatalog } from "../files/file_set_catalog.ts";
import { runAll } from "../files/pool.ts";
import { lastLink } from "./chain.ts";
import { decodeFiles, FilesTotal, LIST_START, type ListedFile, type ListPlace, walkList } from "./file_list.ts";
import { LIST_MOST, PIECE_MOST } from "./limits.ts";
import { objectText } from "./names.ts";
import { Objects } from "./objects.ts";
import { type OnProgress, Tally } from "./progress.ts";
import type { BackupRecord, FilesPart } from "./record.ts";
import { decodedRows } from "./rows.ts";
import { checkHead, checkListed, ManifestCheck, pieceFacts } from "./rows_check.ts";

const ACTION = "restore";
const CACHE = 16 << 20;
/** Between the name of what is restored and twelve digits: a directory that is being restored into. */
const DRAFT = ".restoring-";
/** The manifest's name in what is restored. */
export const RESTORED_MANIFEST = "manifest.waybill";

/** What a restore came to. */
export interface RestoreReport {
  /** The backup. */
  readonly number: number;
  /** The change of the manifest up to which everything is there. */
  readonly sequence: number;
  /** The manifest's path, from the folder that was restored into. */
  readonly manifest: string;
  /** The directory of each file set, from the folder that was restored into. */
  readonly fileSets: readonly { readonly catalog: string; readonly directory: string; readonly files: number; readonly bytes: number }[];
  /** Directories beside it, from the folder that was restored into, that restores to this name which did not end have left, or in which others are under way now. They are left alone: nobody can tell the ones from the others. */
  readonly unfinished: readonly string[];
}

/** What to restore, and where. */
export interface Restoring {
  readonly folder: Folder;
  readonly number: number | undefined;
  readonly into: Folder;
  readonly name: string;
  readonly parallel: number;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
  readonly environment: Environment;
}

/** Restores one. */
export class Restore {
  readonly #of: Restoring;
  readonly #objects: Objects;
  readonly #draft: string;
  #keepsDraft = false;

  constructor(of: Restoring) {
    this.#of = of;
    this.#objects = new Objects(of.folder, of.environment, of.signal);
    const random = new Uint8Array(6);
    of.environment.random(random);
    this.#draft = `${of.name}${DRAFT}${hexOf(random)}`;
  }

  async run(): Promise<RestoreReport> {
    const { folder, number, into, name } = this.#of;
    const link = await lastLink(folder, number);
    if (link === undefined) fail("NOT_FOUND", `Cannot ${ACTION}: there is no backup`);
    checkHead(link.record);
    await this.#checkFree();
    await into.makeDirectory(this.#draft);
    try {
      const { record } = link;
      const listed = new Map<string, FilesTotal>();
      const fileSets: { catalog: string; directory: string; files: number; bytes: number }[] = [];
      for (const [i, part] of record.fileSets.entries()) {
        const directory = `files-${i + 1}`;
        listed.set(part.catalog, await this.#files(part, `${this.#draft}/${directory}`));
        fileSets.push({ catalog: part.catalog, directory: `${name}/${directory}`, files: part.files, bytes: part.bytes });
      }
      await this.#manifest(record, listed);
      await sensible(() => this.#check(record));
      await into.syncDirectory(this.#draft);
      await this.#checkFree();
      const unfinished = await this.#unfinished();
      await into.rename(this.#draft, name);
      try {
        await into.syncDirectory("");
      } catch (error) {
        await this.#takeBack();
        throw error;
      }
      const { number, manifest: { sequence } } = record;
      return { number, sequence, manifest: `${name}/${RESTORED_MANIFEST}`, fileSets, unfinished };
    } catch (error) {
      if (!this.#keepsDraft) await removeTree(into, this.#draft).catch(() => {}); // what went wrong says more
      throw error;
    }
  }

  /** It is not known to stay: nothing has the name. Nor is it removed before that is durable, for behind a crash the name could lead to what is left of it. */
  async #takeBack(): Promise<void> {
    const { into, name } = this.#of;
    this.#keepsDraft = true;
    await into.rename(name, this.#draft);
    await into.syncDirectory("").then(() => this.#keepsDraft = false, () => {}); // what went wrong first says more
  }

  async #unfinished(): Promise<string[]> {
    const { into, name: target } = this.#of;
    const digits = (name: string): string => name.slice(target.length + DRAFT.length);
    return (await into.list(""))
      .filter(({ name, kind }) => kind === "directory" && name.startsWith(target + DRAFT) && /^[0-9a-f]{12}$/.test(digits(name)))
      .map(({ name }) => name).filter((name) => name !== this.#draft).sort();
  }

  async #checkFree(): Promise<void> {
    const { into, name } = this.#of;
    if (await into.facts(name) === undefined) return;
    fail("EXISTS", `Cannot ${ACTION}: there is something at "${name}" already`, { detail: { file: name } });
  }

  // ---- files ----------------------------------------------------------------------------------------------------

  async #files(part: FilesPart, directory: string): Promise<FilesTotal> {
    const { lists, files, bytes } = part;
    const { into, parallel, signal, onProgress } = this.#of;
    const tally = new Tally(ACTION, "files", files, bytes, onProgress);
    const made = new Set([directory]);
    const total = new FilesTotal();
    let place: ListPlace = LIST_START;
    await into.makeDirectory(directory);
    for (const list of lists) {
      const listed = decodeFiles(await this.#objects.load(list, LIST_MOST, ACTION), objectText(list));
      const walked = await walkList(listed, place);
      place = walked.end;
      total.join(walked.total);
      for (const { path } of listed) {
        for (const needed of directoriesOf(path)) {
          const full = `${directory}/${needed}`;
          if (made.has(full)) continue;
          await into.makeDirectory(full);
          made.add(full);
        }
      }
      await runAll(listed, { action: ACTION, parallel, signal }, (file) => this.#file(directory, file, tally));
    }
    checkListed(part, total);
    for (const each of [...made].sort().reverse()) await into.syncDirectory(each);
    return total;
  }

  async #file(directory: string, { path, object }: ListedFile, tally: Tally): Promise<void> {
    const file = await this.#of.into.create(`${directory}/${path}`);
    try {
      let at = 0;
      for await (const piece of this.#objects.read(object, ACTION)) {
        await file.write(at, piece);
        at += piece.length;
        tally.add(0, piece.length);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    tally.add(1, 0);
  }

  // ---- the manifest -----------------------------------------------------------------------------------------------

  #storage(readOnly: boolean): Storage {
    return this.#of.into.storage(`${this.#draft}/${RESTORED_MANIFEST}`, readOnly ? { readOnly } : { create: true });
  }

  async #manifest(record: BackupRecord, listed: ReadonlyMap<string, FilesTotal>): Promise<void> {
    const { manifest: { sequence, frame, pageSize }, takenAt } = record;
    const { environment } = this.#of;
    const storage = this.#storage(false);
    try {
      const target = await Target.begin(storage, {
        pageSize,
        cacheBytes: CACHE,
        environment,
        wasm: undefined,
        continued: { sequence, frame, committedAt: takenAt },
        action: ACTION,
      });
      try {
        await this.#rows(record, listed, target);
        await this.#complete(target);
      } catch (error) {
        await target.abandon();
        throw error;
      }
    } finally {
      storage.close();
    }
  }

  /** Each piece is looked at as a verification does before a row of it is put. */
  async #rows(record: BackupRecord, listed: ReadonlyMap<string, FilesTotal>, target: Target): Promise<void> {
    const { pieces, rows } = record.manifest;
    const tally = new Tally(ACTION, "manifest", rows, 0, this.#of.onProgress);
    const check = new ManifestCheck();
    const reader = new RowReader();
    let table = TABLE_ID_TABLES;
    for (const name of pieces) {
      const text = objectText(name);
      const piece = await this.#objects.load(name, PIECE_MOST, ACTION);
      const facts = await pieceFacts(piece, text, check.tables, reader);
      check.add(facts);
      await sensible(async () => {
        for (const row of decodedRows(piece, text)) {
          // Tables are there before their rows.
          if (row.table !== table) await target.flush();
          table = row.table;
          await target.put(row.table, row.key, row.value);
        }
        await target.flush(); // the rows are views of the piece
      });
      tally.add(facts.rows, piece.length);
    }
    check.end(record, listed);
  }

  async #complete(target: Target): Promise<void> {
    const { environment } = this.#of;
    const file = await target.close();
    let first: Finding | undefined;
    const { verdict } = await checkFile(file, {
      level: "tree",
      environment,
      onFinding: (finding) => first ??= finding.severity === "info" ? undefined : finding,
    });
    if (verdict !== "clean") {
      // Its rows have been looked at: what is wrong is the file.
      fail("IO_WRITE", `Cannot ${ACTION}: the manifest is not read again as it was written: ${first?.message}`, {
        detail: { file: RESTORED_MANIFEST, page: first?.page },
      });
    }
    await target.publish();
  }

  /** Opens what was restored and holds it against itself and the record: every file set is there, whole, and of the files that the backup lists. */
  async #check({ manifest: { sequence }, fileSets }: BackupRecord): Promise<void> {
    const { into, environment, parallel, signal, onProgress } = this.#of;
    await using manifest = await Manifest.open(this.#storage(true), { readOnly: true, environment });
    const wrong = (what: string): never => fail("BACKUP_DAMAGED", `Cannot ${ACTION}: ${what}`, { detail: { reason: "content" } });
    const named = listCatalogs(manifest).filter(({ kind }) => kind === "files").map(({ name }) => name).sort();
    const listed = fileSets.map(({ catalog }) => catalog).sort();
    if (named.length !== listed.length || named.some((name, i) => name !== listed[i])) {
      wrong("the manifest has other file sets than the record");
    }
    if (manifest.latestChangeSequence() !== sequence) wrong("the manifest ends at another change than the record says");
    for (const [i, { catalog, files, bytes }] of fileSets.entries()) {
      const folder = subFolder(into, `${this.#draft}/files-${i + 1}`);
      const fileSet = await FileSetCatalog.open(manifest, folder, { name: catalog, create: false });
      const stats = fileSet.stats();
      if (stats.files !== files || stats.bytes !== bytes) wrong("the manifest names other files than the record");
      const tally = new Tally(ACTION, "check", files, bytes, onProgress);
      const report = await fileSet.verify({ level: "digest", parallel, ...signal === undefined ? {} : { signal } });
      tally.add(files, bytes);
      for (const { path, problem } of report.damaged) {
        fail("FILE_DAMAGED", `Cannot ${ACTION}: a restored file is not read again as it was written`, {
          detail: { file: path, reason: problem },
        });
      }
    }
  }
}

/** What a manifest refuses because of the rows that it is given, or holds, was wrong in the backup: BACKUP_DAMAGED. What is said of files stands. */
async function sensible(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isManifestError(error) || !REFUSED.has(error.code)) throw error;
    fail("BACKUP_DAMAGED", `Cannot ${ACTION}: the backup makes no manifest: ${error.message}`, {
      cause: error,
      detail: { reason: "content" },
    });
  }
}

const REFUSED: ReadonlySet<string> = new Set([
  "TABLE_UNKNOWN",
  "LIMIT",
  "INVALID_ARGUMENT",
  "CORRUPT_RECORD",
  "CORRUPT_LOG",
  "CATALOG_MISMATCH",
  "SCHEMA_MISMATCH",
]);

function* directoriesOf(path: string): Generator<string> {
  const directory = directoryOf(path);
  if (directory === "") return;
  yield* directoriesOf(directory);
  yield directory;
}

/** Removes a directory with everything in it. */
async function removeTree(folder: Folder, directory: string): Promise<void> {
  if (await folder.facts(directory) === undefined) return;
  for (const { name, kind } of await folder.list(directory)) {
    if (kind === "directory") await removeTree(folder, `${directory}/${name}`);
    else await folder.remove(`${directory}/${name}`);
  }
  await folder.removeDirectory(directory);
}
