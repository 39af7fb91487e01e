// Taking a backup: contents first, the record last.
//
// One state of the manifest is held with all versions of its file sets from beginning to end: so commits and prunes go on beside it, and every file that the state names stays. An object that is there already is not written
// again, and its file is not read; one that is found damaged is replaced.
import { fail, failType } from "../../errors.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { ReadTransaction } from "../../manifest/read/read_transaction.ts";
import type { Environment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { listCatalogs } from "../catalog.ts";
import { checkAborted, failChanged, sameFacts } from "../files/digest.ts";
import type { FileSetCatalog } from "../files/file_set_catalog.ts";
import { runAll } from "../files/pool.ts";
import type { FileSetState } from "../files/state.ts";
import type { StoredFile } from "../files/version.ts";
import { type Link, noteFirst, parentOfNext, writeRecord } from "./chain.ts";
import { contentName } from "./content.ts";
import { encodeFile, objectOf } from "./file_list.ts";
import { type ObjectName, objectText } from "./names.ts";
import { type ObjectFault, Objects } from "./objects.ts";
import { PieceWriter } from "./pieces.ts";
import { type OnProgress, Tally } from "./progress.ts";
import type { BackupRecord, FilesPart, ManifestPart } from "./record.ts";
import { countRows, encodedRows } from "./rows.ts";

const ACTION = "back up";
const PIECE_BYTES = 1 << 18;

/** What a backup came to. */
export interface BackupReport {
  /** Its number: the next one of the chain. */
  readonly number: number;
  /** The change of the manifest up to which it holds everything. */
  readonly sequence: number;
  /** Files that the manifest's file sets name. */
  readonly files: number;
  /** Bytes of them. */
  readonly bytes: number;
  /** Of these, files whose contents were copied: they were not there, or damaged. */
  readonly filesCopied: number;
  /** Bytes of them. */
  readonly bytesCopied: number;
  /** Pieces of the manifest and lists of files that were written. */
  readonly piecesWritten: number;
  /** Pieces and lists that were there. */
  readonly piecesReused: number;
  /** Objects of earlier backups that were found damaged and are whole again. */
  readonly objectsMended: number;
}

/** What a backup is taken of, and how. */
export interface Taking {
  readonly folder: Folder;
  readonly manifest: Manifest;
  readonly fileSets: readonly FileSetCatalog[];
  readonly reuse: "size" | "digest";
  readonly parallel: number;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
  readonly environment: Environment;
}

/** Takes one. */
export class Take {
  readonly #of: Taking;
  readonly #objects: Objects;
  readonly #counts = { filesCopied: 0, bytesCopied: 0, piecesWritten: 0, piecesReused: 0, objectsMended: 0 };
  /** Objects that somebody is storing now: equal files are stored once. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** Objects that were read: equal files are looked at once. */
  readonly #whole = new Set<string>();

  constructor(of: Taking) {
    this.#of = of;
    this.#objects = new Objects(of.folder, of.environment, of.signal);
  }

  async run(): Promise<BackupReport> {
    const { manifest, fileSets, environment, folder } = this.#of;
    const before = await parentOfNext(folder); // the chain goes on behind it, and is whole up to it
    await this.#objects.tidy();
    using held = new Held();
    // In one turn: what one of them holds is what all of them hold.
    const states = fileSets.map((fileSet) => held.add(fileSet.state()));
    const view = held.add(manifest.read());
    const head = this.#head(view);
    this.#checkComplete(view);
    if (before === undefined) await noteFirst(folder);
    else this.#checkSame(before, head);
    const parts: FilesPart[] = [];
    for (const [i, { name, folder: source }] of fileSets.entries()) parts.push(await this.#files(name, source, states[i]!));
    const rows = await this.#rows(view);
    await this.#objects.settle();
    checkAborted(this.#of.signal, ACTION);
    const record: BackupRecord = {
      number: (before?.name.number ?? 0) + 1,
      parent: before?.name.digest,
      takenAt: Math.max(0, Math.floor(environment.now())),
      manifest: { ...head, ...rows },
      fileSets: parts,
    };
    await writeRecord(folder, environment, record);
    const sum = (what: "files" | "bytes"): number => parts.reduce((total, part) => total + part[what], 0);
    return { number: record.number, sequence: head.sequence, files: sum("files"), bytes: sum("bytes"), ...this.#counts };
  }

  #head(view: ReadTransaction): Omit<ManifestPart, "rows" | "pieces"> {
    const { manifest } = this.#of;
    const { fileId, historyId } = manifest;
    return { fileId, historyId, sequence: view.sequence, frame: view.state.frame, pageSize: manifest.stats().pageSize };
  }

  /** A restored manifest must not name files that are not there. */
  #checkComplete(view: ReadTransaction): void {
    const given = new Set(this.#of.fileSets.map(({ name }) => name));
    for (const { name, kind } of listCatalogs(view)) {
      if (kind === "files" && !given.has(name)) {
        failType(`Cannot ${ACTION}: the manifest has the file set "${name}", and its catalog was not given`, { catalog: name });
      }
    }
  }

  #checkSame(before: Link, { fileId, historyId }: { fileId: string; historyId: string }): void {
    const { manifest } = before.record;
    if (manifest.fileId === fileId && manifest.historyId === historyId) return;
    fail("BACKUP_MISMATCH", `Cannot ${ACTION}: the folder holds backups of another manifest, or of another history of it`, {
      detail: { number: before.name.number, expected: manifest.fileId, actual: fileId },
    });
  }

  // ---- files ----------------------------------------------------------------------------------------------------

  async #files(catalog: string, source: Folder, state: FileSetState): Promise<FilesPart> {
    const { parallel, signal, onProgress } = this.#of;
    const { files, bytes } = state.stats();
    const tally = new Tally(ACTION, "files", files, bytes, onProgress);
    const writer = new PieceWriter();
    const lists: ObjectName[] = [];
    let count = 0, sum = 0;
    await runAll(state.files(), { action: ACTION, parallel, signal }, async (file) => {
      count++;
      sum += file.sizeBytes;
      await this.#file(source, file, tally);
    });
    for (const file of state.files()) {
      const piece = writer.put(encodeFile({ path: file.path, object: objectOf(file) }));
      if (piece !== undefined) lists.push(await this.#piece(piece));
    }
    const rest = writer.end();
    if (rest !== undefined) lists.push(await this.#piece(rest));
    return { catalog, files: count, bytes: sum, lists };
  }

  async #file(source: Folder, file: StoredFile, tally: Tally): Promise<void> {
    const name = objectOf(file);
    const text = objectText(name);
    const other = this.#underWay.get(text);
    if (other !== undefined) {
      await other;
      return tally.add(1, file.sizeBytes);
    }
    const stored = this.#store(source, file, name, tally);
    this.#underWay.set(text, stored);
    try {
      await stored;
    } finally {
      this.#underWay.delete(text);
    }
  }

  async #store(source: Folder, file: StoredFile, name: ObjectName, tally: Tally): Promise<void> {
    const fault = await this.#reuse(name);
    if (fault === undefined) return tally.add(1, file.sizeBytes);
    await this.#copy(source, file, name, tally);
    this.#stored(name, fault);
    this.#counts.filesCopied++;
    this.#counts.bytesCopied += file.sizeBytes;
    tally.add(1, 0);
  }

  async #copy(source: Folder, stored: StoredFile, name: ObjectName, tally: Tally): Promise<void> {
    const { path } = stored;
    const found = await source.facts(path);
    if (found === undefined) {
      fail("FILE_DAMAGED", `Cannot ${ACTION}: a stored file is missing`, { detail: { file: path, reason: "missing" } });
    }
    const file = await source.open(path);
    try {
      const facts = await file.facts();
      const content = async function* (): AsyncGenerator<Uint8Array> {
        const piece = new Uint8Array(Math.max(1, Math.min(PIECE_BYTES, facts.sizeBytes)));
        for (let at = 0; at < facts.sizeBytes;) {
          const count = await file.read(at, piece);
          if (count === 0) failChanged(ACTION, path, "became shorter");
          at += count;
          tally.add(0, count);
          yield piece.subarray(0, count);
        }
        if (!sameFacts(facts, await file.facts())) failChanged(ACTION, path, "changed");
      };
      const wrong = (): never =>
        fail("FILE_DAMAGED", `Cannot ${ACTION}: a stored file is not what the catalog says`, {
          detail: { file: path, reason: facts.sizeBytes === stored.sizeBytes ? "digest" : "size" },
        });
      await this.#objects.put(name, content(), wrong);
    } finally {
      await file.close();
    }
  }

  // ---- the manifest -----------------------------------------------------------------------------------------------

  async #rows(view: ReadTransaction): Promise<Pick<ManifestPart, "rows" | "pieces">> {
    const total = countRows(view);
    const tally = new Tally(ACTION, "manifest", total, 0, this.#of.onProgress);
    const writer = new PieceWriter();
    const pieces: ObjectName[] = [];
    let rows = 0;
    for (const batch of encodedRows(view)) {
      checkAborted(this.#of.signal, ACTION);
      let bytes = 0;
      for (const row of batch) {
        bytes += row.length;
        const piece = writer.put(row);
        if (piece !== undefined) pieces.push(await this.#piece(piece));
      }
      rows += batch.length;
      tally.add(batch.length, bytes);
      await this.#of.environment.yield();
    }
    const rest = writer.end();
    if (rest !== undefined) pieces.push(await this.#piece(rest));
    return { rows, pieces };
  }

  async #piece(bytes: Uint8Array): Promise<ObjectName> {
    const name = await contentName(bytes);
    const fault = await this.#reuse(name);
    if (fault === undefined) this.#counts.piecesReused++;
    else {
      await this.#objects.put(name, [bytes], () => fail("INVARIANT", `Cannot ${ACTION}: a piece has two digests`));
      this.#stored(name, fault);
      this.#counts.piecesWritten++;
    }
    return name;
  }

  // ---- objects that are there -------------------------------------------------------------------------------------

  async #reuse(name: ObjectName): Promise<ObjectFault | undefined> {
    const { reuse } = this.#of;
    const text = objectText(name);
    const fault = await this.#objects.reuse(name, this.#whole.has(text) ? "size" : reuse, ACTION);
    if (fault === undefined && reuse === "digest") this.#whole.add(text);
    return fault;
  }

  #stored(name: ObjectName, fault: ObjectFault): void {
    if (fault !== "missing") this.#counts.objectsMended++;
    if (this.#of.reuse === "digest") this.#whole.add(objectText(name));
  }
}

/** Closes what it holds, whatever comes. */
class Held {
  readonly #all: { close(): void }[] = [];

  add<T extends { close(): void }>(one: T): T {
    this.#all.push(one);
    return one;
  }

  [Symbol.dispose](): void {
    for (const one of this.#all.reverse()) one.close();
  }
}
