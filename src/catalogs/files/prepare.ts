// The work on files that comes before a version: everything that a version names is whole and durable before the commit that names it.
//
//   1. every file is looked at     a regular file, reached through directories only
//   2. digested and synced         first byte to last, then the sync, while it stays what it was
//   3. directories are synced      each on the way to one of them, the folder included
//   4. looked at again             the same file, of the same size and time, still under that path
//
// Only then are rows put. Between the first step and the end of the commit the desk knows the files: nothing of this process deletes them.
import { fail, isManifestError, ManifestError } from "../../errors.ts";
import { manifestIdsIn } from "../../manifest/own_files.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import type { FileFacts } from "../../storage/folder.ts";
import { directoryOf } from "../../storage/relative_path.ts";
import type { TakenChanges } from "./changes.ts";
import type { FileSetCore } from "./core.ts";
import { fileKey, type Place } from "./desk.ts";
import { checkAborted, digestFile, failChanged, sameFacts } from "./digest.ts";
import type { Work } from "./options.ts";
import { checkTransaction } from "./names.ts";
import { runAll } from "./pool.ts";
import type { FileProgress } from "./progress.ts";
import { findStored } from "./rows.ts";
import { type CommittedVersion, failCondemned, failIfOther, type ReadyFile, stageCommit } from "./stage.ts";
import { condemnedFiles, foldPath } from "./tables.ts";

const ACTION = "commit a version";

/** What the preparation of a commit needs. */
export interface Preparation extends Work {
  readonly core: FileSetCore;
  readonly changes: TakenChanges;
  readonly version: number | undefined;
  readonly expectedVersion: number | undefined;
  /** Which folder the files are in. */
  readonly place: Place;
}

/**
 * A commit whose files are looked at, digested and synced, and whose rows are not put yet; made by {@linkcode FileSetCatalog.prepare}. Put them with `stage` into a transaction of your own, together with other rows, and
 * dispose of it when that has ended.
 */
export class PreparedCommit {
  readonly #preparation: Preparation;
  readonly #paths: readonly string[];
  readonly #files = new Map<string, ReadyFile>();
  readonly #facts = new Map<string, FileFacts>();
  #ready = false;
  #disposed = false;

  /** Made by `FileSetCatalog.prepare`. */
  constructor(preparation: Preparation) {
    this.#preparation = preparation;
    this.#paths = [...new Set(preparation.changes.set.map(({ path }) => path))];
    const { desk } = preparation.core;
    for (const path of this.#paths) {
      if (desk.deleting.has(this.#key(path))) failCondemned(path);
    }
    for (const path of this.#paths) desk.inHand.add(this.#key(path));
  }

  #key(path: string): string {
    return fileKey(this.#preparation.place, foldPath(path));
  }

  /**
   * Does the work on the files.
   * @internal
   */
  async run(): Promise<void> {
    const { core, onProgress, signal } = this.#preparation;
    const { folder, manifest: reader, catalog, algorithm } = core;
    checkAborted(signal, ACTION);
    await this.#each(this.#paths, async (path) => {
      const stored = findStored(reader, catalog, path);
      if (stored !== undefined) failIfOther(path, stored.path);
      if (reader.has(condemnedFiles, [catalog, foldPath(path)])) failCondemned(path);
      const facts = await folder.facts(path);
      if (facts === undefined) fail("NOT_FOUND", `Cannot ${ACTION}: a file is not there`, { detail: { file: path } });
      if (facts.kind !== "file") {
        fail("NOT_A_REGULAR_FILE", `Cannot ${ACTION}: ${PLACE[facts.kind]}`, { detail: { file: path }, handle: "ok" });
      }
      this.#facts.set(path, facts);
    });
    const total = {
      filesTotal: this.#paths.length,
      bytesTotal: [...this.#facts.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    };
    let files = 0, bytes = 0;
    const tell = (step: FileProgress["step"]): void => onProgress?.({ step, files, bytes, ...total });
    await this.#each(this.#paths, async (path) => {
      const kept = findStored(reader, catalog, path)?.row.algorithm ?? algorithm;
      const algorithms = kept === algorithm ? [algorithm] : [algorithm, kept];
      const onBytes = (count: number): void => {
        bytes += count;
        tell("digest");
      };
      const onHead = (head: Uint8Array): void => {
        if (!manifestIdsIn(head).includes(reader.fileId)) return;
        fail("NAME_INVALID", `Cannot ${ACTION}: a file is the manifest itself`, { detail: { file: path } });
      };
      const { facts, digests } = await this.#digest(path, { action: ACTION, algorithms, sync: true, signal, onBytes, onHead });
      if (!sameFacts(facts, this.#facts.get(path)!)) failChanged(ACTION, path, "changed");
      this.#files.set(path, { path, sizeBytes: facts.sizeBytes, digests });
      files++;
      tell("digest");
    });
    tell("sync");
    const directories = new Set<string>();
    for (const path of this.#paths) {
      for (let at = directoryOf(path);; at = directoryOf(at)) {
        directories.add(at);
        if (at === "") break;
      }
    }
    await this.#each(directories, (directory) => this.#unlessMissing(directory, () => folder.syncDirectory(directory)));
    tell("look");
    await this.lookAgain();
    this.#ready = true;
  }

  /** Looks at the files once more: FILE_CHANGED unless each is the one that was digested, of the same size and time, under its path. For transactions that begin long after the preparation. */
  async lookAgain(): Promise<void> {
    const { folder } = this.#preparation.core;
    await this.#each(this.#paths, async (path) => {
      const facts = await this.#unlessMissing(path, () => folder.facts(path));
      if (facts === undefined) failChanged(ACTION, path, "vanished");
      if (!sameFacts(facts, this.#facts.get(path)!)) failChanged(ACTION, path, "changed");
    });
  }

  /**
   * Puts the rows of the version into a transaction. Nothing of it is there before that commits; when its function runs again, so does this. Throws CONFLICT, FILE_DAMAGED, NAME_INVALID, NOT_FOUND, OBJECT_CONDEMNED as
   * `FileSetCatalog.commit` does; TXN_CLOSED when it has been disposed of.
   */
  stage(txn: Transaction): CommittedVersion {
    checkTransaction(txn, ACTION);
    if (this.#disposed || !this.#ready) fail("TXN_CLOSED", `Cannot ${ACTION}: what was prepared is disposed of`);
    const { core, changes, version, expectedVersion } = this.#preparation;
    const { catalog, algorithm } = core;
    const set = changes.set.map(({ kind, name, path }) => ({ kind, name, file: this.#files.get(path)! }));
    return stageCommit(txn, {
      catalog,
      set,
      remove: changes.remove,
      label: changes.label,
      algorithm,
      version,
      expectedVersion,
      now: core.now(),
    });
  }

  /** Lets the files go: what no version names then is an orphan. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // Whoever deletes looks at what is applied: a commit that is done names its files by now.
    for (const path of this.#paths) this.#preparation.core.desk.inHand.remove(this.#key(path));
  }

  /** The same as `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    const { parallel, signal } = this.#preparation;
    return runAll(items, { action: ACTION, parallel, signal }, work);
  }

  async #digest(path: string, request: Parameters<typeof digestFile>[2]): ReturnType<typeof digestFile> {
    return await this.#unlessMissing(path, () => digestFile(this.#preparation.core.folder, path, request));
  }

  /** What has been there and is not any more, has vanished. A failed sync of a file is the end of this commit, not of the manifest. */
  async #unlessMissing<T>(path: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!isManifestError(error)) throw error;
      if (GONE.includes(error.code)) {
        throw new ManifestError("FILE_CHANGED", `Cannot ${ACTION}: a file vanished meanwhile`, { detail: { file: path }, cause: error });
      }
      if (error.code !== "SYNC_FAILED") throw error;
      throw new ManifestError("SYNC_FAILED", `Cannot ${ACTION}: a file could not be synced`, {
        detail: error.detail,
        cause: error,
        outcome: "not_applied",
        handle: "ok",
      });
    }
  }
}

/** What a first look may not find, as the end of a sentence. */
const PLACE = {
  directory: "a directory is where a file should be",
  link: "a symbolic link is where a file should be",
  other: "something else is where a file should be",
  file: "",
};
/** What a later look finds when the file, or a directory on the way, has been taken away or replaced. */
const GONE: readonly string[] = ["NOT_FOUND", "NOT_A_REGULAR_FILE", "NOT_A_DIRECTORY"];
