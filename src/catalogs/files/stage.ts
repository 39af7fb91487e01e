// A commit's rows: what a prepared commit puts into a transaction.
//
// Everything is read before anything is written. What was found out of the files before (prepare.ts) is held against the rows as they are now: another commit may have come between.
import { fail } from "../../errors.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { hexOf, sameDigest } from "./digest.ts";
import { type Entry, findStored, lastEntry, setRow } from "./rows.ts";
import {
  condemnedFiles,
  type DigestAlgorithm,
  fileChanges,
  fileEntries,
  fileSets,
  fileVersions,
  foldPath,
  pathField,
  storedFiles,
} from "./tables.ts";

const ACTION = "commit a version";

/** A file that was looked at, digested and synced. */
export interface ReadyFile {
  /** Its path. */
  readonly path: string;
  /** Its length. */
  readonly sizeBytes: number;
  /** Its digests: with the catalog's algorithm, and with the one it is stored with. */
  readonly digests: ReadonlyMap<DigestAlgorithm, Uint8Array>;
}

/** What a commit does. */
export interface StageRequest {
  readonly catalog: string;
  readonly set: readonly { readonly kind: string; readonly name: string; readonly file: ReadyFile }[];
  readonly remove: readonly { readonly kind: string; readonly name: string }[];
  readonly label: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** The number that it is to get. */
  readonly version: number | undefined;
  /** The version that must be the current one; 0: there must be none. */
  readonly expectedVersion: number | undefined;
  readonly now: number;
}

/** What a commit has done. */
export interface CommittedVersion {
  /** Its number. */
  readonly version: number;
  /** When. */
  readonly committedAt: number;
  /** Names that were not there before. */
  readonly added: number;
  /** Names that stood for another file before. */
  readonly changed: number;
  /** Names that are gone. */
  readonly removed: number;
  /** Files that no version had named before. */
  readonly stored: number;
}

/** Files of a commit against the rows: which are new, and that the others are what they were. */
function checkFiles(txn: Transaction, { catalog, set, algorithm }: StageRequest): Map<string, ReadyFile> {
  const fresh = new Map<string, ReadyFile>();
  for (const { file } of set) {
    const { path, sizeBytes, digests } = file;
    if (fresh.has(path)) continue;
    if (txn.has(condemnedFiles, [catalog, foldPath(path)])) failCondemned(path);
    const stored = findStored(txn, catalog, path);
    if (stored === undefined) {
      fresh.set(path, file);
      continue;
    }
    failIfOther(path, stored.path);
    const { row } = stored;
    const digest = digests.get(row.algorithm);
    if (digest === undefined) {
      fail("CONFLICT", `Cannot ${ACTION}: another commit has stored one of its files, digested otherwise`, {
        detail: { file: path, expected: row.algorithm, actual: algorithm },
      });
    }
    if (sizeBytes !== row.sizeBytes || !sameDigest(digest, row.digest)) {
      const reason = sizeBytes !== row.sizeBytes ? "size" : "digest";
      fail("FILE_DAMAGED", `Cannot ${ACTION}: a file that versions name already has other contents now; stored files do not change`, {
        detail: reason === "size"
          ? { file: path, reason, expected: row.sizeBytes, actual: sizeBytes }
          : { file: path, reason, expected: hexOf(row.digest), actual: hexOf(digest) },
      });
    }
  }
  return fresh;
}

/** Throws OBJECT_CONDEMNED. */
export function failCondemned(path: string): never {
  fail("OBJECT_CONDEMNED", `Cannot ${ACTION}: a file of this name is being deleted`, { detail: { file: path } });
}

/** Throws NAME_INVALID when a path is another spelling of one that is stored. */
export function failIfOther(path: string, stored: string): void {
  if (path === stored) return;
  fail("NAME_INVALID", `Cannot ${ACTION}: a path differs from a stored one in the case of letters only`, { detail: { file: path } });
}

/** Puts the rows of a version. */
export function stageCommit(txn: Transaction, request: StageRequest): CommittedVersion {
  const { catalog, label, expectedVersion } = request;
  const row = setRow(txn, catalog);
  const before = row.current === 0 ? undefined : txn.get(fileVersions, [catalog, row.current]);
  if (expectedVersion !== undefined && expectedVersion !== row.current) {
    fail("CONFLICT", `Cannot ${ACTION}: the current version is ${row.current}`, {
      detail: { catalog, expected: expectedVersion, actual: row.current },
    });
  }
  const version = request.version ?? row.next;
  if (version < row.next) {
    fail("CONFLICT", `Cannot ${ACTION} ${version}: the next version is ${row.next} or later`, {
      detail: { catalog, expected: row.next, actual: version },
      retryable: false,
    });
  }
  const fresh = checkFiles(txn, request);
  let added = 0, changed = 0, removed = 0, bytes = 0;
  const writes: { kind: string; name: string; path: string | undefined }[] = [];
  const sizeOf = (path: string): number => findStored(txn, catalog, path)?.row.sizeBytes ?? 0;
  const lastOf = (kind: string, name: string): Entry | undefined => before === undefined ? undefined : lastEntry(txn, catalog, kind, name);
  for (const { kind, name, file } of request.set) {
    const last = lastOf(kind, name);
    if (last?.path === file.path) continue;
    if (last?.path === undefined) added++;
    else {
      changed++;
      bytes -= sizeOf(last.path);
    }
    bytes += file.sizeBytes;
    writes.push({ kind, name, path: file.path });
  }
  for (const [index, { kind, name }] of request.remove.entries()) {
    const last = lastOf(kind, name);
    if (last?.path === undefined) {
      fail("NOT_FOUND", `Cannot ${ACTION}: a name to remove is not in the current version`, { detail: { catalog, index } });
    }
    removed++;
    bytes -= sizeOf(last.path);
    writes.push({ kind, name, path: undefined });
  }
  const uses = new Map<string, number>();
  for (const { path } of writes) if (path !== undefined) uses.set(path, (uses.get(path) ?? 0) + 1);
  const rows = [...uses].map(([path, count]) => ({
    path,
    count,
    stored: fresh.has(path) ? undefined : findStored(txn, catalog, path)!.row,
  }));
  const committedAt = Math.max(request.now, before?.committedAt ?? 0);
  // ---- from here on only writes ----
  for (const { kind, name, path } of writes) {
    txn.put(fileEntries, [catalog, kind, name, version], path === undefined ? {} : { path });
    if (before !== undefined) txn.put(fileChanges, [catalog, version, kind, name], {});
  }
  for (const { path, count, stored } of rows) {
    const folded = foldPath(path);
    if (stored !== undefined) {
      txn.put(storedFiles, [catalog, folded], { ...stored, entries: stored.entries + count });
      continue;
    }
    const { sizeBytes, digests } = fresh.get(path)!;
    const { algorithm } = request;
    const digest = digests.get(algorithm)!;
    txn.put(storedFiles, [catalog, folded], { ...pathField(path, folded), sizeBytes, algorithm, digest, entries: count, version });
    row.files++;
    row.bytes += sizeBytes;
  }
  const group = before === undefined ? 0 : writes.length;
  txn.put(fileVersions, [catalog, version], {
    committedAt,
    ...label === undefined ? {} : { label },
    entries: (before?.entries ?? 0) + added - removed,
    bytes: (before?.bytes ?? 0) + bytes,
    added,
    changed,
    removed,
    group,
  });
  txn.put(fileSets, catalog, {
    ...row,
    current: version,
    next: version + 1,
    versions: row.versions + 1,
    entries: row.entries + writes.length,
    changes: row.changes + group,
  });
  return { version, committedAt, added, changed, removed, stored: rows.filter(({ stored }) => stored === undefined).length };
}
