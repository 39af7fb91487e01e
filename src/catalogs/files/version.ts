// One version of a file set, in one state of the manifest.
//
// A name is looked up with one step; iterating goes through the entries of all kept versions once and shows those of this one.
import { takeOptions } from "../../arguments.ts";
import { fail } from "../../errors.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import { hexOf } from "./digest.ts";
import { checkKind, checkName, type FileKind } from "./names.ts";
import { entryAt, findStored } from "./rows.ts";
import { type DigestAlgorithm, fileEntries, storedFiles, type StoredRow, type VersionRow } from "./tables.ts";

/** What is known for good of a stored file. */
export interface StoredFile {
  /** Its path in the folder. */
  readonly path: string;
  /** Its length. */
  readonly sizeBytes: number;
  /** How it was digested. */
  readonly algorithm: DigestAlgorithm;
  /** Its digest in hex. */
  readonly digest: string;
  /** The version that first named it. */
  readonly firstVersion: number;
}

/** A name in a version, and the file that it stands for. */
export interface FileEntry extends StoredFile {
  /** Its kind. */
  readonly kind: FileKind;
  /** Its name within the kind. */
  readonly name: string;
  /** The version since which it stands for this file. */
  readonly since: number;
}

/** What a version says of itself. */
export interface VersionInfo {
  /** Its number. */
  readonly version: number;
  /** When it was committed, milliseconds since 1970. */
  readonly committedAt: number;
  /** What it was called; undefined: nothing. */
  readonly label: string | undefined;
  /** Names in it. */
  readonly entries: number;
  /** Bytes of their files; a file of two names counts twice. */
  readonly bytes: number;
  /** Names that were not in the version before, when it was committed. */
  readonly added: number;
  /** Names that stood for another file in the version before. */
  readonly changed: number;
  /** Names that went with it. */
  readonly removed: number;
}

/** Which entries to go through. */
export interface EntryOptions {
  /** Only those of this kind. */
  kind?: FileKind;
}

/** A version's row as its users see it. */
export function versionInfo(version: number, row: VersionRow): VersionInfo {
  const { committedAt, label, entries, bytes, added, changed, removed } = row;
  return { version, committedAt, label, entries, bytes, added, changed, removed };
}

/** A stored file's row as its users see it. */
export function storedFile(path: string, row: StoredRow): StoredFile {
  const { sizeBytes, algorithm, digest, version } = row;
  return { path, sizeBytes, algorithm, digest: hexOf(digest), firstVersion: version };
}

/** The stored file of an entry; CORRUPT_RECORD when there is no row of it. */
export function fileOf(reader: Reader, catalog: string, path: string): StoredFile {
  const stored = findStored(reader, catalog, path);
  if (stored === undefined || stored.path !== path) {
    fail("CORRUPT_RECORD", "Cannot read a file set: an entry names a file that is not stored", {
      detail: { table: storedFiles.name },
    });
  }
  return storedFile(path, stored.row);
}

/** The entries of a version in order of kind and name: name, path and since when. */
export function* entriesOf(
  reader: Reader,
  catalog: string,
  version: number,
  kind?: string,
): Generator<{ kind: string; name: string; path: string; since: number }> {
  let held: { kind: string; name: string; path: string | undefined; since: number } | undefined;
  const prefix = kind === undefined ? [catalog] as const : [catalog, kind] as const;
  for (const [[, oneKind, name, since], { path }] of reader.range(fileEntries, { prefix })) {
    if (held !== undefined && (held.kind !== oneKind || held.name !== name)) {
      if (held.path !== undefined) yield held as typeof held & { path: string };
      held = undefined;
    }
    if (since <= version) held = { kind: oneKind, name, path, since };
  }
  if (held?.path !== undefined) yield held as typeof held & { path: string };
}

/**
 * A version of a file set that stays as it is, with its files, until it is closed: a prune of this process keeps it. Made by {@linkcode FileSetCatalog.read} and {@linkcode FileSetState.version}. Close it: every method
 * throws TXN_CLOSED then.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const folder = memoryFolder();
 * const catalog = await FileSetCatalog.open(manifest, folder, { create: true });
 * await (await folder.create("data-1.sst")).close();
 * await catalog.commit({ set: [{ kind: "data", name: "main", path: "data-1.sst" }] });
 * using version = catalog.read();
 * await catalog.commit({ remove: [{ kind: "data", name: "main" }] });
 * for (const { kind, name, path } of version.entries()) console.log(kind, name, path); // data main data-1.sst
 * ```
 */
export class FileSetVersion {
  /** Its number. */
  readonly number: number;
  /** What it says of itself. */
  readonly info: VersionInfo;
  readonly #reader: Reader;
  readonly #catalog: string;
  readonly #release: () => void;
  #closed = false;

  /** Made by `FileSetCatalog.read` and `FileSetState.version`. */
  constructor(reader: Reader, catalog: string, info: VersionInfo, release: () => void) {
    this.number = info.version;
    this.info = info;
    this.#reader = reader;
    this.#catalog = catalog;
    this.#release = release;
  }

  /** The file that a name stands for; undefined when the name is not in this version. NAME_INVALID. */
  get(kind: FileKind, name: string): FileEntry | undefined {
    const action = "look up a name";
    this.#check();
    checkKind(kind, action);
    checkName(name, action);
    const entry = entryAt(this.#reader, this.#catalog, kind, name, this.number);
    if (entry?.path === undefined) return undefined;
    return { kind, name, ...fileOf(this.#reader, this.#catalog, entry.path), since: entry.version };
  }

  /** Whether a name is in this version. NAME_INVALID. */
  has(kind: FileKind, name: string): boolean {
    const action = "look up a name";
    this.#check();
    return entryAt(this.#reader, this.#catalog, checkKind(kind, action), checkName(name, action), this.number)?.path !== undefined;
  }

  /** The names of this version with their files, in the order of kinds and names (by their UTF-8 bytes). Iterating again reads again. */
  entries(options: EntryOptions = {}): Iterable<FileEntry> {
    const { kind } = takeOptions(options, { kind: true }, "read entries");
    if (kind !== undefined) checkKind(kind, "read entries");
    return { [Symbol.iterator]: () => this.#entries(kind) };
  }

  /** The files of this version, each once, whatever number of names stands for it; in the order in which names lead to them. Iterating again reads again. */
  files(): Iterable<StoredFile> {
    return { [Symbol.iterator]: () => this.#files() };
  }

  /** How many names there are, or how many of one kind: those are counted one by one. */
  count(kind?: FileKind): number {
    this.#check();
    if (kind === undefined) return this.info.entries;
    let count = 0;
    for (const _ of entriesOf(this.#reader, this.#catalog, this.number, checkKind(kind, "count entries"))) count++;
    return count;
  }

  /** Lets the version go; a second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  *#entries(kind: string | undefined): Generator<FileEntry> {
    this.#check();
    for (const { since, ...entry } of entriesOf(this.#reader, this.#catalog, this.number, kind)) {
      yield { ...entry, ...fileOf(this.#reader, this.#catalog, entry.path), since };
      this.#check();
    }
  }

  *#files(): Generator<StoredFile> {
    this.#check();
    const seen = new Set<string>();
    for (const { path } of entriesOf(this.#reader, this.#catalog, this.number)) {
      if (seen.has(path)) continue;
      seen.add(path);
      yield fileOf(this.#reader, this.#catalog, path);
      this.#check();
    }
  }

  #check(): void {
    if (this.#closed) fail("TXN_CLOSED", "Cannot read a version: it was closed");
  }
}
