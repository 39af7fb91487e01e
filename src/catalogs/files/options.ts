// Options of a file set and of its calls.
import { checkSignal, type OptionNames, readArgument, takeOptions } from "../../arguments.ts";
import { failRange, failType, ManifestError } from "../../errors.ts";
import type { Folder } from "../../storage/folder.ts";
import type { Environment } from "../../store/environment.ts";
import { checkFunction, checkParallel, checkWhole } from "./names.ts";
import type { FileProgress } from "./progress.ts";
import type { DigestAlgorithm } from "./tables.ts";
import { DIGEST_ALGORITHMS } from "./digest.ts";

/** Greatest number that a version may be given: behind it there are as many again. */
const VERSION_MOST = 2 ** 52;

/** How a catalog is opened. */
export interface FileSetOptions {
  /** Its name in the manifest: 1 to 128 bytes of text. Default "default". */
  name?: string;
  /** Makes it when it is missing. Default true; nothing is made where the manifest is only read. */
  create?: boolean;
  /** How the files of new commits are digested. Files that are stored keep the digest that they have. Default "blake3". */
  digest?: DigestAlgorithm;
  /** How many files are worked on at once, up to 1024, where a call says nothing else. Default 4. */
  parallel?: number;
  /** Tags its changes, so that a replicator can skip its own. */
  origin?: string;
  /** Clock for the times of versions, ages and ends of pins. Default: the platform's. */
  environment?: Environment;
}

/** How work on files is done. */
export interface FileWorkOptions {
  /** How many files are worked on at once, up to 1024. Default: as the catalog was opened. */
  parallel?: number;
  /** Hears how far it has come, on every piece that is read and every file that is done. What it throws ends the work with CALLBACK_FAILED. */
  onProgress?: (progress: FileProgress) => void;
  /** Ends the work with ABORTED. A commit that has been taken is not called off. */
  signal?: AbortSignal;
}

/** How to commit a version. */
export interface CommitVersionOptions extends FileWorkOptions {
  /** The number that it gets: greater than that of every version before, CONFLICT otherwise; at most 2^52. Default: the next one. */
  version?: number;
  /** CONFLICT unless this is the current version when it commits; 0: unless there is none. */
  expectedVersion?: number;
}

/** How to verify files. */
export interface VerifyOptions extends FileWorkOptions {
  /** Whether files are there and of their size, or also of their contents. Default "digest". */
  level?: "size" | "digest";
  /** The version whose files are verified. Default: the files of all kept versions. */
  version?: number;
}

/** How to look for orphans. */
export interface OrphanOptions {
  /** How long a file must have been there, and not have been written to: somebody may be about to commit a younger one. Milliseconds. Default: a day. */
  minAgeMs?: number;
  /** Files that belong to somebody else: those for which it returns true are left out. */
  ignore?: (path: string) => boolean;
  /** Ends the search with ABORTED. */
  signal?: AbortSignal;
}

/** Work options, valid. */
export interface Work {
  readonly parallel: number;
  readonly onProgress: ((progress: FileProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

const WORK: OptionNames<FileWorkOptions> = { parallel: true, onProgress: true, signal: true };
/** Names of options by call. */
export const FILE_SET_OPTIONS: OptionNames<FileSetOptions> = {
  name: true,
  create: true,
  digest: true,
  parallel: true,
  origin: true,
  environment: true,
};
const COMMIT: OptionNames<CommitVersionOptions> = { ...WORK, version: true, expectedVersion: true };
const VERIFY: OptionNames<VerifyOptions> = { ...WORK, level: true, version: true };
const ORPHANS: OptionNames<OrphanOptions> = { minAgeMs: true, ignore: true, signal: true };

/** Files worked on at once. */
export const PARALLEL = 4;
const DAY = 86_400_000;

const FOLDER: readonly (keyof Folder)[] = ["list", "facts", "open", "remove", "syncDirectory"];

/** A folder, or INVALID_ARGUMENT. */
export function checkFolder(folder: Folder, action: string): Folder {
  return readArgument(action, "the folder", () => {
    if (typeof folder !== "object" || folder === null || FOLDER.some((name) => typeof folder[name] !== "function")) {
      failType(`Cannot ${action}: no folder was given`);
    }
    return folder;
  });
}

/** An algorithm, or INVALID_ARGUMENT. */
export function checkAlgorithm(digest: unknown, action: string): DigestAlgorithm {
  if (!DIGEST_ALGORITHMS.includes(digest as DigestAlgorithm)) {
    failType(`Cannot ${action}: digest is none of ${DIGEST_ALGORITHMS.join(", ")}`, { field: "digest" });
  }
  return digest as DigestAlgorithm;
}

function workOf(options: FileWorkOptions, parallel: number, action: string): Work {
  const onProgress = checkFunction(options.onProgress, "onProgress", action);
  const tell = onProgress && ((progress: FileProgress): void => {
    try {
      onProgress(progress);
    } catch (cause) {
      throw new ManifestError("CALLBACK_FAILED", `Cannot ${action}: onProgress has thrown`, { cause });
    }
  });
  return {
    parallel: options.parallel === undefined ? parallel : checkParallel(options.parallel, action),
    onProgress: tell,
    signal: checkSignal(options.signal, action),
  };
}

/** Options of work on files, or INVALID_ARGUMENT. */
export function takeWork(options: FileWorkOptions, parallel: number, action: string): Work {
  return workOf(takeOptions(options, WORK, action), parallel, action);
}

/** Options of a commit, or INVALID_ARGUMENT. */
export function takeCommit(
  options: CommitVersionOptions,
  parallel: number,
  action: string,
): Work & { version: number | undefined; expectedVersion: number | undefined } {
  const { version, expectedVersion, ...work } = takeOptions(options, COMMIT, action);
  if (version !== undefined && checkWhole(version, "version", 1, action) > VERSION_MOST) {
    failRange(`Cannot ${action}: version is above 2^52, behind which there are too few`, {
      field: "version",
      value: version,
      limit: VERSION_MOST,
    });
  }
  if (expectedVersion !== undefined) checkWhole(expectedVersion, "expectedVersion", 0, action);
  return { ...workOf(work, parallel, action), version, expectedVersion };
}

/** Options of a verification, or INVALID_ARGUMENT. */
export function takeVerify(
  options: VerifyOptions,
  parallel: number,
  action: string,
): Work & { level: "size" | "digest"; version: number | undefined } {
  const { level = "digest", version, ...work } = takeOptions(options, VERIFY, action);
  if (level !== "size" && level !== "digest") failType(`Cannot ${action}: level is neither "size" nor "digest"`, { field: "level" });
  if (version !== undefined) checkWhole(version, "version", 1, action);
  return { ...workOf(work, parallel, action), level, version };
}

/** Options of a search for orphans, or INVALID_ARGUMENT. */
export function takeOrphans(
  options: OrphanOptions,
  action: string,
): { minAgeMs: number; ignore: ((path: string) => boolean) | undefined; signal: AbortSignal | undefined } {
  const { minAgeMs = DAY, ignore, signal } = takeOptions(options, ORPHANS, action);
  checkWhole(minAgeMs, "minAgeMs", 0, action);
  const given = checkFunction(ignore, "ignore", action);
  const ignored = given && ((path: string): boolean => {
    try {
      return given(path) === true;
    } catch (cause) {
      throw new ManifestError("CALLBACK_FAILED", `Cannot ${action}: ignore has thrown`, { cause });
    }
  });
  return { minAgeMs, ignore: ignored, signal: checkSignal(signal, action) };
}
