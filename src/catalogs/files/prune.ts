// Pruning: old versions go, then entries that no kept version shows, then files that no entry names.
//
//   1. drop      a commit takes versions out of sight: the oldest beyond those to keep, but for pinned ones
//   2. look      commits take the entries that nothing shows any more (merge.ts), and condemn the files that nothing names
//   3. delete    condemned files are deleted, their directories synced, and a commit takes their rows
//
// Each may be the last before a crash; the next prune goes on where this one stood. Nothing is deleted before the commit that condemns it is durable, and nothing condemned can be committed again before its row is gone.
//
// A reader may come between the moment a drop is decided and the one it is durable: it still sees the version. So behind the drop everyone who reads is looked at once more, and a version that is read then is put back, before
// anything of it is looked through. From then on nobody can come any more: no state of this manifest shows it, and handles whose state is older are told by the desk.
//
// Other file sets of the manifest may be over the same folder. A condemned file that one of them names is its from then on: the row goes, the file stays. When nobody knows where that file set is, both stay. It costs a look-up for each
// file and file set.
import { fail, isManifestError, ManifestError } from "../../errors.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import type { Folder } from "../../storage/folder.ts";
import { directoryOf } from "../../storage/relative_path.ts";
import type { FileSetCore } from "./core.ts";
import { fileKey, type Place } from "./desk.ts";
import { checkAborted } from "./digest.ts";
import { stageMergeStep } from "./merge.ts";
import { listPins } from "./pins.ts";
import { neighboursOf } from "./neighbours.ts";
import type { Work } from "./options.ts";
import { runAll } from "./pool.ts";
import { setRow } from "./rows.ts";
import { condemnedFiles, fileDrops, filePins, fileSets, fileVersions, pathOf, storedFiles, type VersionRow } from "./tables.ts";

const ACTION = "prune versions";
/** Versions dropped by one commit, and files whose rows go in one. */
const STEP = 1024;

/** A file that could not be deleted. */
export interface UndeletedFile {
  /** Its path. */
  readonly path: string;
  /** Why: the error of the folder, or NOT_A_REGULAR_FILE when something else lies under its name. */
  readonly error: ManifestError;
}

/** What a prune has done. */
export interface PruneReport {
  /** Versions that are gone. */
  readonly dropped: readonly number[];
  /** Versions that would have gone but for a pin. */
  readonly pinned: readonly number[];
  /** Files deleted, those included that were gone already. */
  readonly deleted: number;
  /** Bytes of these files. */
  readonly bytes: number;
  /** Files that could not be deleted: they stay condemned, and the next prune tries again. */
  readonly failed: readonly UndeletedFile[];
  /** Files that stay because another file set in the folder names them: they are that one's now. */
  readonly shared: number;
  /** Files that are condemned still: those that failed, those that a commit under way has in hand or a reader holds, and those of a path that another file set names that nobody in this process has opened. */
  readonly remaining: number;
}

/** What a prune needs. */
export interface Pruning extends Work {
  readonly core: FileSetCore;
  readonly keep: number;
}

interface Condemned {
  readonly folded: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** File sets in the folder that name it, and how they spell it. */
  readonly claims: readonly { readonly name: string; readonly path: string }[];
}

interface Dropping {
  readonly dropped: number[];
  readonly pinned: number[];
  readonly more: boolean;
}

/** One prune. */
export class Prune {
  readonly #pruning: Pruning;
  readonly #dropped = new Set<number>();
  readonly #pinned = new Set<number>();
  readonly #failed: UndeletedFile[] = [];
  #deleted = 0;
  #bytes = 0;
  #shared = 0;
  /** Which folder it is. */
  #place: Place = "";

  constructor(pruning: Pruning) {
    this.#pruning = pruning;
  }

  /** Does everything. */
  async run(): Promise<PruneReport> {
    const { core } = this.#pruning;
    const { manifest, catalog, desk } = core;
    await desk.settleOthers(catalog);
    this.#place = await core.place();
    try {
      while (await this.#drop());
      await this.#look();
      await this.#delete();
    } catch (error) {
      if (isManifestError(error) && error.outcome === "not_applied" && (this.#dropped.size > 0 || this.#deleted > 0)) {
        const { code, message, cause, handle, retryable } = error;
        const detail = { ...error.detail, dropped: this.#dropped.size, deleted: this.#deleted };
        throw new ManifestError(code, message, { cause, handle, retryable, detail, outcome: "applied" });
      }
      throw error;
    }
    return {
      dropped: [...this.#dropped].sort((a, b) => a - b),
      pinned: [...this.#pinned].sort((a, b) => a - b),
      deleted: this.#deleted,
      bytes: this.#bytes,
      failed: this.#failed,
      shared: this.#shared,
      remaining: setRow(manifest, catalog).condemned,
    };
  }

  #check(): void {
    checkAborted(this.#pruning.signal, ACTION);
  }

  /** Drops up to STEP versions; true when there may be more. */
  async #drop(): Promise<boolean> {
    const { manifest, catalog, desk, pins, change } = this.#pruning.core;
    this.#check();
    const { dropped, pinned, more } = await change((txn) => this.#stageDrop(txn));
    for (const version of pinned) this.#pinned.add(version);
    // Also those that another process has dropped, as long as nothing of them was looked through.
    const waiting = manifest.range(fileDrops, { prefix: [catalog] }).toArray().map(([[, version], { side }]) => ({ version, side }));
    const { merging } = setRow(manifest, catalog);
    const late = waiting.filter(({ version, side }) => side === undefined && version !== merging && pins.show(catalog, version))
      .map(({ version }) => version);
    for (const version of late) this.#pinned.add(version);
    // In one turn with that look: whoever comes with an older state finds it here.
    for (const { version } of waiting) {
      if (late.includes(version)) continue;
      let after = 0;
      for (const [, kept] of manifest.keys(fileVersions, { prefix: [catalog], lt: [catalog, version], reverse: true, limit: 1 })) {
        after = kept;
      }
      for (const one of late) if (one < version) after = Math.max(after, one);
      desk.dropped(catalog, this.#place).add(after, version);
    }
    if (late.length > 0) await change((txn) => this.#stageReturn(txn, late));
    for (const version of dropped) if (!late.includes(version)) this.#dropped.add(version);
    return more;
  }

  #stageDrop(txn: Transaction): Dropping {
    const { core: { catalog, pins, now }, keep } = this.#pruning;
    const set = setRow(txn, catalog);
    const time = now();
    const kept = new Set<number>();
    let allUntil = 0;
    const over: [owner: string, version: number][] = [];
    for (const { owner, version, all, expiresAt } of listPins(txn, catalog)) {
      if (expiresAt <= time) over.push([owner, version]);
      else if (all) allUntil = Math.max(allUntil, version);
      else kept.add(version);
    }
    const dropped: number[] = [], pinned: number[] = [];
    let beyond = set.versions - keep - this.#pinned.size;
    const rows: VersionRow[] = [];
    // Those found pinned before stay; the range goes on behind them.
    const from = Math.max(0, ...this.#pinned);
    for (const [[, version], row] of txn.range(fileVersions, { prefix: [catalog], gt: [catalog, from] })) {
      if (beyond-- <= 0 || dropped.length === STEP) break;
      if (version <= allUntil || kept.has(version) || pins.has(version)) {
        pinned.push(version);
      } else {
        dropped.push(version);
        rows.push(row);
      }
    }
    for (const [owner, version] of over) txn.delete(filePins, [catalog, owner, version]);
    if (dropped.length > 0) {
      dropped.forEach((version, i) => {
        txn.delete(fileVersions, [catalog, version]);
        txn.put(fileDrops, [catalog, version], rows[i]!);
      });
      txn.put(fileSets, catalog, { ...set, versions: set.versions - dropped.length });
    }
    return { dropped, pinned, more: dropped.length === STEP };
  }

  /** Puts versions back that somebody reads. */
  #stageReturn(txn: Transaction, versions: readonly number[]): void {
    const { catalog } = this.#pruning.core;
    const set = setRow(txn, catalog);
    const rows = versions.map((version) => txn.get(fileDrops, [catalog, version])!);
    versions.forEach((version, i) => {
      txn.delete(fileDrops, [catalog, version]);
      txn.put(fileVersions, [catalog, version], rows[i]!);
    });
    txn.put(fileSets, catalog, { ...set, versions: set.versions + versions.length });
  }

  async #look(): Promise<void> {
    const { catalog, change, now } = this.#pruning.core;
    for (let more = true; more;) {
      this.#check();
      more = await change((txn) => stageMergeStep(txn, catalog, now()));
    }
  }

  async #delete(): Promise<void> {
    const { manifest, catalog } = this.#pruning.core;
    const filesTotal = setRow(manifest, catalog).condemned;
    for (let after = "";;) {
      const rows = manifest.range(condemnedFiles, { prefix: [catalog], gt: [catalog, after], limit: STEP }).toArray();
      if (rows.length === 0) return;
      after = rows.at(-1)![0][1];
      await this.#deleteSome(
        filesTotal,
        rows.map(([[, folded], row]) => ({ folded, path: pathOf(folded, row), sizeBytes: row.sizeBytes })),
      );
    }
  }

  /** Those that nobody holds, and who else names them. */
  #free(found: readonly Omit<Condemned, "claims">[]): Condemned[] {
    const { core } = this.#pruning;
    const { manifest, catalog, desk } = core;
    const neighbours = neighboursOf(core, this.#place);
    const free: Condemned[] = [];
    for (const file of found) {
      const { folded } = file;
      const key = fileKey(this.#place, folded);
      if (desk.inHand.has(key) || desk.deleting.has(key)) continue;
      if ([catalog, ...neighbours.map(({ name }) => name)].some((name) => desk.pins(name).names(name, folded))) continue;
      const claims: Condemned["claims"][number][] = [];
      let unknown = false;
      for (const { name, same } of neighbours) {
        const row = manifest.get(storedFiles, [name, folded]);
        if (row === undefined) continue;
        unknown ||= !same;
        claims.push({ name, path: pathOf(folded, row) });
      }
      if (!unknown) free.push({ ...file, claims });
    }
    return free;
  }

  async #deleteSome(filesTotal: number, found: readonly Omit<Condemned, "claims">[]): Promise<void> {
    const { core: { folder, catalog, desk, change }, parallel, signal, onProgress } = this.#pruning;
    // One turn from the look to the marks.
    const mine = this.#free(found);
    for (const { folded } of mine) desk.deleting.add(fileKey(this.#place, folded));
    try {
      const gone: Condemned[] = [], others: Condemned[] = [];
      let failure: { readonly error: unknown } | undefined;
      await runAll(mine, { action: ACTION, parallel, signal }, async (file) => {
        try {
          (await this.#deleteFile(file) ? gone : others).push(file);
        } catch (error) {
          if (!(error instanceof ManifestError)) throw error;
          this.#failed.push({ path: file.path, error });
        }
        onProgress?.({ step: "delete", files: this.#deleted + gone.length, filesTotal, bytes: 0, bytesTotal: 0 });
      }).catch((error) => failure = { error }); // what is deleted already is finished first
      const durable = await this.#syncDirectories(gone, folder);
      if (durable.length + others.length > 0) {
        this.#shared += await change((txn) => {
          const set = setRow(txn, catalog);
          const shared = others.filter(({ folded, claims }) => claims.some(({ name }) => txn.has(storedFiles, [name, folded])));
          const rows = [...durable, ...shared].filter(({ folded }) => txn.has(condemnedFiles, [catalog, folded]));
          for (const { folded } of rows) txn.delete(condemnedFiles, [catalog, folded]);
          if (rows.length > 0) txn.put(fileSets, catalog, { ...set, condemned: set.condemned - rows.length });
          return shared.length;
        });
        this.#deleted += durable.length;
        this.#bytes += durable.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      }
      if (failure !== undefined) throw failure.error;
    } finally {
      for (const { folded } of mine) desk.deleting.delete(fileKey(this.#place, folded));
    }
  }

  /** Deletes a file; one that is gone already is no error. False when it is another file set's. */
  async #deleteFile({ path, claims }: Condemned): Promise<boolean> {
    const { folder } = this.#pruning.core;
    if (claims.some((claim) => claim.path === path)) return false;
    const facts = await unlessMissing(() => folder.facts(path));
    if (facts === undefined) return true;
    // Spelt otherwise it is the same file on some systems and another one on others.
    for (const claim of claims) if ((await unlessMissing(() => folder.facts(claim.path)))?.identity === facts.identity) return false;
    if (facts.kind !== "file") {
      fail("NOT_A_REGULAR_FILE", "Cannot delete a file: something else lies under its name", { detail: { file: path }, handle: "ok" });
    }
    await folder.remove(path);
    return true;
  }

  /** Makes deletions durable; those of a directory that cannot be synced stay condemned. */
  async #syncDirectories<F extends { readonly path: string }>(files: readonly F[], folder: Folder): Promise<F[]> {
    const lost = new Map<string, ManifestError>();
    for (const directory of new Set(files.map(({ path }) => directoryOf(path)))) {
      try {
        await unlessMissing(() => folder.syncDirectory(directory));
      } catch (error) {
        if (!(error instanceof ManifestError)) throw error;
        lost.set(directory, error);
      }
    }
    return files.filter(({ path }) => {
      const error = lost.get(directoryOf(path));
      if (error !== undefined) this.#failed.push({ path, error });
      return error === undefined;
    });
  }
}

/** What is not there, and what lies in a directory that is not there, is undefined. */
export async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (isManifestError(error) && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}
