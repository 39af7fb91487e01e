// Deleting orphans that a report has named.
//
// A manifest that has lost rows takes every file for an orphan: that is how a damaged catalog ends in the loss of what it was to keep. So nothing is deleted while the catalog names no file at all, while the manifest or the
// catalog's own counts show damage, or when the manifest comes from a salvage or a restore and nobody has accepted that. And each file is looked at again: what is named by now, was written to, or is another file, stays.
import { failType, isManifestError, ManifestError } from "../../errors.ts";
import { takeOptions } from "../../arguments.ts";
import { checkRelativePath, directoryOf } from "../../storage/relative_path.ts";
import { checkFileSet } from "./check.ts";
import { fileKey } from "./desk.ts";
import { checkWhole } from "./names.ts";
import { NestedStores } from "./nested_stores.ts";
import { type OrphanFile, OrphanJudge, type OrphanReport, type OrphanSearch, type Standing } from "./orphans.ts";
import type { Work } from "./options.ts";
import { runAll } from "./pool.ts";
import { unlessMissing } from "./prune.ts";
import { setRow } from "./rows.ts";
import { foldPath } from "./tables.ts";

const ACTION = "delete orphans";

/** A file that was not deleted, and why. */
export interface KeptFile {
  /** Its path. */
  readonly path: string;
  /** ORPHANS_REFUSED with the reason in `detail.reason` ("named", "young", "changed", "manifest", "nested", "ignored", "not-a-file"), or the error of the folder. */
  readonly error: ManifestError;
}

/** What was deleted. */
export interface OrphanRemoval {
  /** Files deleted. */
  readonly deleted: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Files that were gone already. */
  readonly gone: number;
  /** Files that stay because they are not what the report says of them, or not orphans any more. */
  readonly refused: readonly KeptFile[];
  /** Files that could not be deleted. */
  readonly failed: readonly KeptFile[];
}

/** What deleting orphans needs. */
export interface Removal extends OrphanSearch, Work {
  readonly orphans: readonly OrphanFile[];
}

/** The files of a report, copied and checked. */
export function takeReport(report: OrphanReport): { orphans: OrphanFile[]; minAgeMs: number } {
  if (typeof report !== "object" || report === null || !Array.isArray(report.orphans)) {
    failType(`Cannot ${ACTION}: that is no report of orphans`);
  }
  const minAgeMs = checkWhole(report.minAgeMs, "minAgeMs", 0, ACTION);
  const orphans = Array.from(report.orphans, (file: OrphanFile) => {
    const { path, sizeBytes, modifiedAt, identity } = takeOptions(
      file,
      { path: true, sizeBytes: true, modifiedAt: true, identity: true },
      ACTION,
    );
    checkRelativePath(path, ACTION);
    return { path, sizeBytes, modifiedAt, identity };
  });
  return { orphans, minAgeMs };
}

type Reason = "empty" | "damaged" | "foreign" | Exclude<Standing, "orphan"> | "changed" | "nested" | "not-a-file";

const WHY: Readonly<Record<Reason, string>> = {
  "empty": "the catalog names no file at all",
  "damaged": "the manifest is damaged, or the catalog has lost rows",
  "foreign": "the manifest was restored or salvaged, and nobody has said that the catalog is right",
  "young": "the file is too young",
  "named": "the file is named",
  "manifest": "the file is a manifest",
  "ignored": "the file is to be ignored",
  "changed": "the file has changed",
  "nested": "the file is part of a backup, or of another manifest's or file set's folder",
  "not-a-file": "it is no file any more",
};

function refusal(reason: Reason, more: Record<string, unknown>, cause?: unknown): ManifestError {
  return new ManifestError("ORPHANS_REFUSED", `Cannot ${ACTION}: ${WHY[reason]}`, { detail: { reason, ...more }, cause });
}

/** Throws ORPHANS_REFUSED when it cannot be told what an orphan is. */
async function checkTrust({ core: { manifest, catalog, history } }: Removal): Promise<void> {
  try {
    const set = setRow(manifest, catalog);
    if (set.files + set.condemned === 0) throw refusal("empty", { catalog });
    if (set.history !== history) throw refusal("foreign", { catalog });
    const { ok, problems: [first] } = await manifest.check();
    if (!ok) throw refusal("damaged", { catalog, problem: first?.reason });
    using state = manifest.read();
    const { ok: whole, problems } = checkFileSet(state, catalog);
    if (!whole) throw refusal("damaged", { catalog, problem: problems[0] });
  } catch (error) {
    if (!isManifestError(error) || error.kind !== "data" || error.code === "ORPHANS_REFUSED") throw error;
    throw refusal("damaged", { catalog, problem: error.code }, error);
  }
}

/** Deletes the orphans of a report. */
export async function removeOrphans(removal: Removal): Promise<OrphanRemoval> {
  const { core, orphans, parallel, signal, onProgress } = removal;
  const { folder, desk } = core;
  // The check makes durable what reads show: what names a file no more does not name it again behind a crash.
  await checkTrust(removal);
  const judge = await OrphanJudge.make(removal);
  const stores = new NestedStores(folder, judge.place, (path) => judge.names(path));
  const refused: KeptFile[] = [], failed: KeptFile[] = [];
  const directories = new Set<string>();
  let deleted = 0, bytes = 0, gone = 0, files = 0;
  const remove = async (file: OrphanFile): Promise<boolean> => {
    const { path } = file;
    const facts = await unlessMissing(() => folder.facts(path));
    if (facts === undefined) return false;
    const refuse = (reason: Reason): never => {
      throw refusal(reason, { file: path });
    };
    if (facts.kind !== "file") refuse("not-a-file");
    if (facts.identity !== file.identity || facts.sizeBytes !== file.sizeBytes || facts.modifiedAt !== file.modifiedAt) refuse("changed");
    if (await stores.around(path) !== undefined) refuse("nested");
    const standing = await judge.judge(path, facts);
    if (standing !== "orphan") refuse(standing);
    // Nobody comes between this look and the mark, and who comes behind the mark does not take the file.
    if (judge.names(path)) refuse("named");
    const key = fileKey(judge.place, foldPath(path));
    desk.deleting.add(key);
    try {
      return await folder.remove(path);
    } finally {
      desk.deleting.delete(key);
    }
  };
  const work = async (file: OrphanFile): Promise<void> => {
    try {
      if (await remove(file)) {
        deleted++;
        bytes += file.sizeBytes;
        directories.add(directoryOf(file.path));
      } else gone++;
    } catch (error) {
      if (!(error instanceof ManifestError) || error.code === "CALLBACK_FAILED") throw error;
      (error.code === "ORPHANS_REFUSED" ? refused : failed).push({ path: file.path, error });
    }
    onProgress?.({ step: "delete", files: ++files, filesTotal: orphans.length, bytes: 0, bytesTotal: 0 });
  };
  let failure: { readonly error: unknown } | undefined;
  await runAll(orphans, { action: ACTION, parallel, signal }, work).catch((error) => failure = { error });
  for (const directory of directories) {
    try {
      await unlessMissing(() => folder.syncDirectory(directory));
    } catch (error) {
      // Deleted they are; a crash may bring them back, as orphans again.
      if (!(error instanceof ManifestError)) throw error;
      failed.push({ path: directory, error });
    }
  }
  if (failure === undefined) return { deleted, bytes, gone, refused, failed };
  const { error } = failure;
  if (deleted === 0 || !isManifestError(error)) throw error;
  throw new ManifestError(error.code, error.message, { cause: error.cause, detail: { ...error.detail, deleted }, outcome: "applied" });
}
