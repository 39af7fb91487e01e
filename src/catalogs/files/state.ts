// A file set in one state of the manifest: its versions, what differs between them, every stored file.
import { fail } from "../../errors.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import { diffVersions, type FileSetDiff } from "./diff.ts";
import { checkPath, checkWhole, failVersion } from "./names.ts";
import { findStored, setRow } from "./rows.ts";
import { condemnedFiles, fileVersions, pathOf, storedFiles } from "./tables.ts";
import { FileSetVersion, type StoredFile, storedFile, type VersionInfo, versionInfo } from "./version.ts";

/** Numbers about a file set. */
export interface FileSetStats {
  /** Versions kept. */
  readonly versions: number;
  /** Files that they name. */
  readonly files: number;
  /** Bytes of these files. */
  readonly bytes: number;
  /** Files that no version names any more and that are still to be deleted. */
  readonly condemned: number;
  /** Rows that say what names stand for: one for each name and each time that it was changed, as far as a kept version shows it. */
  readonly entries: number;
}

/** A file that no version names any more and that is still to be deleted. */
export interface CondemnedFile {
  /** Its path in the folder. */
  readonly path: string;
  /** Its length. */
  readonly sizeBytes: number;
  /** Since when, milliseconds since 1970. */
  readonly since: number;
}

/**
 * All versions of a file set in one state of the manifest. Made by {@linkcode FileSetCatalog.state}, it keeps every one of them, with its files, from the prunes of this process until it is closed: every method throws
 * TXN_CLOSED then.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const folder = memoryFolder();
 * const catalog = await FileSetCatalog.open(manifest, folder, { create: true });
 * for (const path of ["a.sst", "b.sst"]) {
 *   await (await folder.create(path)).close();
 *   await catalog.commit({ set: [{ kind: "data", name: "main", path }] });
 * }
 * using state = catalog.state();
 * for (const { path, sizeBytes, digest } of state.files()) console.log(path, sizeBytes, digest);
 * console.log(state.diff(1, 2).changed.length); // 1
 * ```
 */
export class FileSetState {
  readonly #reader: Reader;
  readonly #catalog: string;
  readonly #release: () => void;
  #closed = false;

  /** Over a read transaction, which stays the caller's, or made by `FileSetCatalog.state`. */
  constructor(reader: Reader, catalog: string, release: () => void = () => {}) {
    this.#reader = reader;
    this.#catalog = catalog;
    this.#release = release;
  }

  /** The newest version; undefined when there is none. */
  current(): VersionInfo | undefined {
    this.#check();
    const { current } = setRow(this.#reader, this.#catalog);
    return current === 0 ? undefined : this.#info(current);
  }

  /** The versions that are kept, oldest first. */
  versions(): VersionInfo[] {
    this.#check();
    return this.#reader.range(fileVersions, { prefix: [this.#catalog] }).toArray().map(([[, version], row]) => versionInfo(version, row));
  }

  /** A kept version, the newest unless another is asked for. NOT_FOUND. */
  version(version?: number): FileSetVersion {
    const action = "read a version";
    this.#check();
    if (version !== undefined) checkWhole(version, "version", 1, action);
    const number = version ?? setRow(this.#reader, this.#catalog).current;
    if (number === 0) fail("NOT_FOUND", `Cannot ${action}: there is none yet`, { detail: { catalog: this.#catalog } });
    const info = this.#info(number);
    if (info === undefined) failVersion(action, this.#catalog, number);
    return new FileSetVersion(this.#reader, this.#catalog, info, () => {});
  }

  /** What differs between two kept versions, in either direction. It costs what was changed between them, not what is in them. NOT_FOUND. */
  diff(from: number, to: number): FileSetDiff {
    const action = "compare versions";
    this.#check();
    for (const [version, field] of [[from, "from"], [to, "to"]] as const) {
      checkWhole(version, field, 1, action);
      if (this.#info(version) === undefined) failVersion(action, this.#catalog, version);
    }
    return diffVersions(this.#reader, this.#catalog, from, to);
  }

  /** Every file that a kept version names, each once, in the order of their paths with ASCII letters in lower case. Iterating again reads again. */
  files(): Iterable<StoredFile> {
    return { [Symbol.iterator]: () => this.#files() };
  }

  /** What is known of a stored file; undefined when no kept version names it. NAME_INVALID. */
  file(path: string): StoredFile | undefined {
    this.#check();
    const found = findStored(this.#reader, this.#catalog, checkPath(path, "look up a file"));
    return found === undefined || found.path !== path ? undefined : storedFile(path, found.row);
  }

  /** Files that no version names any more and that are still to be deleted: what an interrupted prune, or one whose deletions failed, has left. */
  condemned(): CondemnedFile[] {
    this.#check();
    return this.#reader.range(condemnedFiles, { prefix: [this.#catalog] }).toArray()
      .map(([[, folded], row]) => ({ path: pathOf(folded, row), sizeBytes: row.sizeBytes, since: row.since }));
  }

  /** Numbers about the file set, without counting. */
  stats(): FileSetStats {
    this.#check();
    const { versions, files, bytes, condemned, entries } = setRow(this.#reader, this.#catalog);
    return { versions, files, bytes, condemned, entries };
  }

  /** Lets the state go; a second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #info(version: number): VersionInfo | undefined {
    const row = this.#reader.get(fileVersions, [this.#catalog, version]);
    return row && versionInfo(version, row);
  }

  *#files(): Generator<StoredFile> {
    this.#check();
    for (const [[, folded], row] of this.#reader.range(storedFiles, { prefix: [this.#catalog] })) {
      yield storedFile(pathOf(folded, row), row);
      this.#check();
    }
  }

  #check(): void {
    if (this.#closed) fail("TXN_CLOSED", "Cannot read a file set: its state was closed");
  }
}
