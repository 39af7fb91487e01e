// Checking a catalog's own rows against each other: every count is counted again.
//
// Nothing of this is needed while the manifest is whole. It is what tells, behind a salvage that lost rows, that something is missing: a manifest that has lost rows must not be asked which files nobody needs.
import type { Reader } from "../../manifest/read/reader.ts";
import { setRow } from "./rows.ts";
import { condemnedFiles, fileChanges, fileDrops, fileEntries, fileVersions, foldPath, pathOf, storedFiles } from "./tables.ts";
import { entriesOf } from "./version.ts";

/** What a check of a catalog's rows found. */
export interface FileSetCheck {
  /** Whether everything is as it must be. */
  readonly ok: boolean;
  /** What is not, in words. */
  readonly problems: readonly string[];
}

const PROBLEMS = 100;

/** The first of some rising numbers that is not below another; Infinity: none. */
function firstFrom(numbers: readonly number[], least: number): number {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return numbers[low] ?? Infinity;
}

/** One check. */
class Check {
  readonly problems: string[] = [];
  readonly #reader: Reader;
  readonly #catalog: string;

  constructor(reader: Reader, catalog: string) {
    this.#reader = reader;
    this.#catalog = catalog;
  }

  run(): void {
    const reader = this.#reader, catalog = this.#catalog;
    const prefix = [catalog] as const;
    const set = setRow(reader, catalog);
    const versions = new Map<number, { group: number; changes: number }>();
    const kept: number[] = [];
    for (const [[, version], { group }] of reader.range(fileVersions, { prefix })) {
      versions.set(version, { group, changes: 0 });
      kept.push(version);
    }
    let drops = 0;
    for (const [[, version], { group }] of reader.range(fileDrops, { prefix })) {
      drops++;
      if (versions.has(version)) this.#tell(`version ${version} is kept and dropped`);
      versions.set(version, { group, changes: 0 });
    }
    const order = [...versions.keys()].sort((a, b) => a - b);
    this.#same("versions", kept.length, set.versions);
    if (kept.length > 0 ? kept.at(-1) !== set.current || set.next <= set.current : set.current !== 0) {
      this.#tell(`the current version is ${set.current}, the newest one ${kept.at(-1) ?? "none"}, the next one ${set.next}`);
    }
    if (order.length > 0 && order.at(-1) !== set.current) this.#tell("the newest version is dropped");
    if (set.merging !== 0 && !(versions.has(set.merging) && !kept.includes(set.merging))) this.#tell(`version ${set.merging} is no drop`);
    this.#changes(order, versions, set.changes);
    const uses = this.#entries(order[0], drops === 0 ? kept : undefined, set.entries);
    this.#files(uses, set);
    if (kept.length > 0) this.#current(set.current);
  }

  #tell(problem: string): void {
    if (this.problems.length < PROBLEMS) this.problems.push(problem);
  }

  #same(what: string, found: number, recorded: number): void {
    if (found !== recorded) this.#tell(`${found} ${what}, recorded ${recorded}`);
  }

  /** Every change belongs to a version, and has its entry. */
  #changes(order: readonly number[], versions: ReadonlyMap<number, { group: number; changes: number }>, recorded: number): void {
    let count = 0, at = 0;
    for (const [, version, kind, name] of this.#reader.keys(fileChanges, { prefix: [this.#catalog] })) {
      count++;
      while (at < order.length && order[at]! < version) at++;
      const owner = versions.get(order[at] ?? 0);
      if (owner === undefined) this.#tell(`a change of version ${version}, which is newer than all`);
      else owner.changes++;
      if (!this.#reader.has(fileEntries, [this.#catalog, kind, name, version])) {
        this.#tell(`a change of version ${version} without its entry`);
      }
    }
    this.#same("changes", count, recorded);
    for (const [version, { group, changes }] of versions) this.#same(`changes of version ${version}`, changes, group);
  }

  /** Entries and what they name; each behind the oldest version is a change, and says something new. */
  #entries(oldest: number | undefined, kept: readonly number[] | undefined, recorded: number): Map<string, number> {
    const settled = kept !== undefined;
    const uses = new Map<string, number>();
    let count = 0;
    let before: { kind: string; name: string; version: number; path: string | undefined } | undefined;
    for (const [[, kind, name, version], { path }] of this.#reader.range(fileEntries, { prefix: [this.#catalog] })) {
      count++;
      if (path !== undefined) uses.set(path, (uses.get(path) ?? 0) + 1);
      if (oldest === undefined) this.#tell(`an entry of version ${version}, and no versions`);
      else if (version > oldest !== this.#reader.has(fileChanges, [this.#catalog, version, kind, name]) && settled) {
        this.#tell(`an entry of version ${version} that is ${version > oldest ? "no change" : "a change"}`);
      }
      const last = before !== undefined && before.kind === kind && before.name === name ? before : undefined;
      if (settled && last?.path === path) this.#tell(`an entry of version ${version} that says nothing new`);
      if (settled && last !== undefined && firstFrom(kept, last.version) >= version) {
        this.#tell(`an entry of version ${last.version} that no version shows`);
      }
      before = { kind, name, version, path };
    }
    this.#same("entries", count, recorded);
    return uses;
  }

  #files(uses: Map<string, number>, set: { files: number; bytes: number; condemned: number }): void {
    let files = 0, bytes = 0, condemned = 0;
    for (const [[, folded], row] of this.#reader.range(storedFiles, { prefix: [this.#catalog] })) {
      const path = pathOf(folded, row);
      files++;
      bytes += row.sizeBytes;
      if (foldPath(path) !== folded) this.#tell("a stored file under the key of another");
      this.#same("entries of a stored file", uses.get(path) ?? 0, row.entries);
      if (row.entries === 0) this.#tell("a stored file that nothing names");
      uses.delete(path);
      if (this.#reader.has(condemnedFiles, [this.#catalog, folded])) this.#tell("a file that is stored and condemned");
    }
    if (uses.size > 0) this.#tell(`${uses.size} files that are named and not stored`);
    for (const _ of this.#reader.keys(condemnedFiles, { prefix: [this.#catalog] })) condemned++;
    this.#same("stored files", files, set.files);
    this.#same("bytes of stored files", bytes, set.bytes);
    this.#same("condemned files", condemned, set.condemned);
  }

  /** Names and bytes of the current version. */
  #current(version: number): void {
    const row = this.#reader.get(fileVersions, [this.#catalog, version])!;
    let entries = 0, bytes = 0;
    for (const { path } of entriesOf(this.#reader, this.#catalog, version)) {
      entries++;
      bytes += this.#reader.get(storedFiles, [this.#catalog, foldPath(path)])?.sizeBytes ?? 0;
    }
    this.#same(`names in version ${version}`, entries, row.entries);
    this.#same(`bytes of version ${version}`, bytes, row.bytes);
  }
}

/** Checks a catalog's rows in one state. */
export function checkFileSet(reader: Reader, catalog: string): FileSetCheck {
  const check = new Check(reader, catalog);
  check.run();
  return { ok: check.problems.length === 0, problems: check.problems };
}
