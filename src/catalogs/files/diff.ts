// What differs between two versions.
//
// The entries that began behind the older one up to the newer one are known (file_changes); no other name can differ. So a diff costs what was changed between them, whatever else is in the versions.
import type { Reader } from "../../manifest/read/reader.ts";
import { entryAt } from "./rows.ts";
import { fileChanges } from "./tables.ts";
import { type FileEntry, fileOf } from "./version.ts";

/** A name that stands for another file. */
export interface ChangedFile {
  /** What it stood for. */
  readonly before: FileEntry;
  /** What it stands for. */
  readonly after: FileEntry;
}

/** What differs between two versions; each list in the order of kinds and names. */
export interface FileSetDiff {
  /** The version that is gone out from. */
  readonly from: number;
  /** The version that is gone to. */
  readonly to: number;
  /** Names that only `to` has. */
  readonly added: readonly FileEntry[];
  /** Names that only `from` has. */
  readonly removed: readonly FileEntry[];
  /** Names that stand for another file. Its contents may be the same: compare the digests. */
  readonly changed: readonly ChangedFile[];
}

const encoder = new TextEncoder();

/** Compares texts by their UTF-8 bytes, as keys are compared. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const x = encoder.encode(a), y = encoder.encode(b);
  const length = Math.min(x.length, y.length);
  for (let i = 0; i < length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}

/** Names of which a version behind `older`, up to `newer`, says something; each once, in order. */
export function changedNames(reader: Reader, catalog: string, older: number, newer: number): { kind: string; name: string }[] {
  const names = new Map<string, { kind: string; name: string }>();
  const bounds = { prefix: [catalog], gt: [catalog, older], lte: [catalog, newer] } as const;
  for (const [, , kind, name] of reader.keys(fileChanges, bounds)) names.set(`${kind}\0${name}`, { kind, name });
  return [...names.values()].sort((a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name));
}

/** What differs between two versions of one state. */
export function diffVersions(reader: Reader, catalog: string, from: number, to: number): FileSetDiff {
  const added: FileEntry[] = [], removed: FileEntry[] = [], changed: ChangedFile[] = [];
  const at = (kind: string, name: string, version: number): FileEntry | undefined => {
    const entry = entryAt(reader, catalog, kind, name, version);
    return entry?.path === undefined ? undefined : { kind, name, ...fileOf(reader, catalog, entry.path), since: entry.version };
  };
  for (const { kind, name } of changedNames(reader, catalog, Math.min(from, to), Math.max(from, to))) {
    const before = at(kind, name, from), after = at(kind, name, to);
    if (before === undefined) { if (after !== undefined) added.push(after); }
    else if (after === undefined) removed.push(before);
    else if (before.path !== after.path) changed.push({ before, after });
  }
  return { from, to, added, removed, changed };
}
