// Verifying stored files: each is there, a file, of its size, and with level "digest" of its contents.
//
// Damage is what a report is for: nothing about a file throws. What throws is an abort, a callback, or the catalog's own rows being unreadable.
import { isManifestError, type ManifestErrorFields } from "../../errors.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Folder } from "../../storage/folder.ts";
import { digestFile, hexOf, sameDigest } from "./digest.ts";
import type { FileKind } from "./names.ts";
import { runAll } from "./pool.ts";
import type { FileProgress } from "./progress.ts";
import { findStored } from "./rows.ts";
import { fileEntries, pathOf, storedFiles, type StoredRow } from "./tables.ts";
import { entriesOf } from "./version.ts";

const ACTION = "verify files";

/**
 * What is wrong with a stored file: it is not there; a directory, a link or a device lies under its name; it has another length; it has other contents; it was written to while it was read; it cannot be read (`code` says
 * why); the catalog names it and has lost what it knew of it.
 */
export type FileProblem = "missing" | "not-a-file" | "size" | "digest" | "changing" | "unreadable" | "unrecorded";

/** A stored file that is not what was recorded. */
export interface DamagedFile {
  /** Its path. */
  readonly path: string;
  /** What is wrong. */
  readonly problem: FileProblem;
  /** The length or the digest in hex that was recorded, where it is about that. */
  readonly expected?: number | string;
  /** What was found. */
  readonly actual?: number | string;
  /** Code of the error that reading ended with. */
  readonly code?: string;
  /** Names that stand for it: in the version that was verified, or in any. */
  readonly names: readonly { readonly kind: FileKind; readonly name: string }[];
}

/** What a verification found. */
export interface VerifyReport {
  /** How closely files were looked at. */
  readonly level: "size" | "digest";
  /** The version whose files were verified; undefined: the files of all kept versions. */
  readonly version: number | undefined;
  /** Files looked at. */
  readonly files: number;
  /** Bytes that were read for it. */
  readonly bytesRead: number;
  /** Files that are not what was recorded, in the order of their paths. */
  readonly damaged: readonly DamagedFile[];
  /** Whether there are none. */
  readonly ok: boolean;
}

/** What a verification needs. */
export interface Verification {
  readonly reader: Reader;
  readonly catalog: string;
  readonly folder: Folder;
  readonly level: "size" | "digest";
  readonly version: number | undefined;
  readonly parallel: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: FileProgress) => void) | undefined;
}

type Found = Omit<DamagedFile, "path" | "names">;

function problemOf(error: ManifestErrorFields): Found {
  switch (error.code) {
    case "NOT_FOUND":
      return { problem: "missing" };
    case "NOT_A_REGULAR_FILE":
    case "NOT_A_DIRECTORY":
      return { problem: "not-a-file" };
    case "FILE_CHANGED":
      return { problem: "changing" };
    default:
      return { problem: "unreadable", code: error.code };
  }
}

/** Looks at one file; undefined when it is what was recorded. */
async function look(
  verification: Verification,
  path: string,
  row: StoredRow,
  onBytes: (count: number) => void,
): Promise<Found | undefined> {
  const { folder, level, signal } = verification;
  try {
    const facts = await folder.facts(path);
    if (facts === undefined) return { problem: "missing" };
    if (facts.kind !== "file") return { problem: "not-a-file" };
    if (facts.sizeBytes !== row.sizeBytes) return { problem: "size", expected: row.sizeBytes, actual: facts.sizeBytes };
    if (level === "size") return undefined;
    const { facts: read, digests } = await digestFile(folder, path, {
      action: ACTION,
      algorithms: [row.algorithm],
      sync: false,
      signal,
      onBytes,
    });
    if (read.sizeBytes !== row.sizeBytes) return { problem: "size", expected: row.sizeBytes, actual: read.sizeBytes };
    const digest = digests.get(row.algorithm)!;
    return sameDigest(digest, row.digest) ? undefined : { problem: "digest", expected: hexOf(row.digest), actual: hexOf(digest) };
  } catch (error) {
    if (!isManifestError(error) || error.code === "ABORTED" || error.code === "CALLBACK_FAILED") throw error;
    return problemOf(error);
  }
}

/** The files to look at, by path; undefined rows are lost. */
function filesOf({ reader, catalog, version }: Verification): Map<string, StoredRow | undefined> {
  const files = new Map<string, StoredRow | undefined>();
  const find = (path: string): StoredRow | undefined => {
    const stored = findStored(reader, catalog, path);
    return stored?.path === path ? stored.row : undefined;
  };
  if (version !== undefined) {
    for (const { path } of entriesOf(reader, catalog, version)) if (!files.has(path)) files.set(path, find(path));
    return files;
  }
  for (const [[, folded], row] of reader.range(storedFiles, { prefix: [catalog] })) files.set(pathOf(folded, row), row);
  for (const { path } of reader.values(fileEntries, { prefix: [catalog] })) {
    if (path !== undefined && !files.has(path)) files.set(path, undefined);
  }
  return files;
}

/** Names that stand for some files. */
function namesOf(
  { reader, catalog, version }: Verification,
  wanted: ReadonlyMap<string, unknown>,
): Map<string, { kind: string; name: string }[]> {
  const names = new Map<string, { kind: string; name: string }[]>();
  if (wanted.size === 0) return names;
  const add = (kind: string, name: string, path: string | undefined): void => {
    if (path === undefined || !wanted.has(path)) return;
    const list = names.get(path);
    if (list === undefined) names.set(path, [{ kind, name }]);
    else if (!list.some((one) => one.kind === kind && one.name === name)) list.push({ kind, name });
  };
  if (version !== undefined) { for (const { kind, name, path } of entriesOf(reader, catalog, version)) add(kind, name, path); }
  else for (const [[, kind, name], { path }] of reader.range(fileEntries, { prefix: [catalog] })) add(kind, name, path);
  return names;
}

/** Verifies the files of a version, or of all. */
export async function verifyFiles(verification: Verification): Promise<VerifyReport> {
  const { level, version, parallel, signal, onProgress } = verification;
  const all = filesOf(verification);
  const found = new Map<string, Found>();
  let files = 0, bytes = 0, bytesTotal = 0;
  if (level === "digest") { for (const row of all.values()) bytesTotal += row?.sizeBytes ?? 0; }
  const step = level === "digest" ? "digest" : "look";
  const tell = (): void => onProgress?.({ step, files, filesTotal: all.size, bytes, bytesTotal });
  await runAll(all, { action: ACTION, parallel, signal }, async ([path, row]) => {
    const problem = row === undefined ? { problem: "unrecorded" } as const : await look(verification, path, row, (count) => {
      bytes += count;
      tell();
    });
    if (problem !== undefined) found.set(path, problem);
    files++;
    tell();
  });
  const names = namesOf(verification, found);
  const damaged = [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([path, problem]) => ({
    path,
    ...problem,
    names: names.get(path) ?? [],
  }));
  return { level, version, files, bytesRead: bytes, damaged, ok: damaged.length === 0 };
}
