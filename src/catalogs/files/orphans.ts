// Orphans: files in the folder that nothing of the catalog names. Listed here, and nothing else; deleting them is orphan_removal.ts.
//
// A file is no orphan when
// - a kept version of any file set of this manifest names it, under any spelling that a file system may take for the same, unless that set is known to be over another folder; or it is condemned, so that a prune deletes it;
// - an LSM catalog of this manifest names a file of its name: such a catalog has no folder;
// - a commit of this process has it in hand;
// - it is younger than the limit, by its last write or by when it was put there: somebody may be about to commit it;
// - it is a manifest, or the lock of one, or part of a store of somebody else (nested_stores.ts);
// - the caller says so.
// Links are never followed and never orphans. Names that no catalog can hold are told apart: nothing here ever takes them for paths.
import { CLAIMS_ENDING, LOCK_ENDING } from "../../manifest/own_files.ts";
import type { FileFacts } from "../../storage/folder.ts";
import { whyNotRelative } from "../../storage/relative_path.ts";
import { listCatalogs } from "../catalog.ts";
import { lsmObsolete, lsmSsts } from "../lsm/tables.ts";
import type { FileSetCore } from "./core.ts";
import { fileKey, type Place } from "./desk.ts";
import { checkAborted } from "./digest.ts";
import { neighboursOf } from "./neighbours.ts";
import { holdsManifest, joined, type NestedStore, NestedStores } from "./nested_stores.ts";
import { unlessMissing } from "./prune.ts";
import { condemnedFiles, foldPath, pathOf, storedFiles } from "./tables.ts";

const ACTION = "list orphans";

/** A file that nothing names. */
export interface OrphanFile {
  /** Its path. */
  readonly path: string;
  /** Its length. */
  readonly sizeBytes: number;
  /** When it was last written to, milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Which file it was: device and inode. */
  readonly identity: string;
}

/** A name that no path can have. */
export interface UnsafeName {
  /** The directory that it is in; "" is the folder itself. */
  readonly directory: string;
  /** The name. */
  readonly name: string;
  /** What is wrong with it. */
  readonly why: string;
}

/** Files in the folder that nothing names, and what else was found there. */
export interface OrphanReport {
  /** When the folder was looked at, milliseconds since 1970. */
  readonly takenAt: number;
  /** How long a file must have been there, and not have been written to. */
  readonly minAgeMs: number;
  /** The orphans, by path. */
  readonly orphans: readonly OrphanFile[];
  /** Their bytes. */
  readonly bytes: number;
  /** Files that nothing names and that are younger than the limit. */
  readonly young: readonly OrphanFile[];
  /** How many files are named: by a version, by a prune that is to delete them, by a commit under way. */
  readonly named: number;
  /** How many files are manifests, or locks of them. */
  readonly manifests: number;
  /** How many files `ignore` has taken out. */
  readonly ignored: number;
  /** Backups, directories of other manifests and folders of other file sets in the folder, by directory: nothing in them was looked at. */
  readonly skipped: readonly NestedStore[];
  /** Symbolic links; none was followed. */
  readonly links: readonly string[];
  /** What is neither file nor directory nor link. */
  readonly special: readonly string[];
  /** Names that no catalog can hold; directories of such names were not entered. */
  readonly unsafe: readonly UnsafeName[];
}

/** What a search for orphans needs. */
export interface OrphanSearch {
  readonly core: FileSetCore;
  readonly minAgeMs: number;
  readonly ignore: ((path: string) => boolean) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a file is to the catalog. */
export type Standing = "orphan" | "young" | "named" | "manifest" | "ignored";

/** Spellings that some file system takes for the same; only ever compared with one another, in one process. */
function loosely(path: string): string {
  return path.normalize("NFKC").toLowerCase();
}

const PLAIN = /^[\x20-\x7e]*$/;

/** What catalogs name, as of a sequence, each spelling loosely. */
interface LooseNames {
  readonly sequence: number;
  readonly paths: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
}

/** Says what files are to the catalogs of a manifest. */
export class OrphanJudge {
  /** Which folder it is about. */
  readonly place: Place;
  readonly #search: OrphanSearch;
  /** What is compared otherwise than by look-ups, loosely, as of a sequence: paths beyond ASCII that are stored or condemned, and names of files of LSM catalogs. */
  #loose: LooseNames | undefined;

  private constructor(search: OrphanSearch, place: Place) {
    this.#search = search;
    this.place = place;
  }

  /** One for the folder of a search, as it is now. */
  static async make(search: OrphanSearch): Promise<OrphanJudge> {
    await search.core.desk.settleOthers(search.core.catalog);
    return new OrphanJudge(search, await search.core.place());
  }

  /** Whether something names a path now. */
  names(path: string): boolean {
    const { manifest, desk } = this.#search.core;
    const folded = foldPath(path);
    const key = fileKey(this.place, folded);
    if (desk.inHand.has(key) || desk.deleting.has(key)) return true;
    for (const name of this.#fileSets()) {
      if (manifest.has(storedFiles, [name, folded]) || manifest.has(condemnedFiles, [name, folded])) return true;
    }
    const { paths, names } = this.#looseNames();
    const loose = loosely(path);
    return paths.has(loose) || names.has(loose) || names.has(loose.slice(loose.lastIndexOf("/") + 1));
  }

  /** The file sets whose files may be in the folder. */
  #fileSets(): string[] {
    const { core } = this.#search;
    return [core.catalog, ...neighboursOf(core, this.place).map(({ name }) => name)];
  }

  #looseNames(): LooseNames {
    const { manifest } = this.#search.core;
    const sequence = manifest.latestChangeSequence();
    if (this.#loose?.sequence === sequence) return this.#loose;
    const paths = new Set<string>(), names = new Set<string>();
    for (const catalog of this.#fileSets()) {
      for (const table of [storedFiles, condemnedFiles]) {
        for (const [[, folded], row] of manifest.range(table as typeof condemnedFiles, { prefix: [catalog] })) {
          if (!PLAIN.test(folded)) paths.add(loosely(pathOf(folded, row)));
        }
      }
    }
    for (const { name, kind } of listCatalogs(manifest)) {
      if (kind !== "lsm") continue;
      for (const { fileName } of manifest.values(lsmSsts, { prefix: [name] })) if (fileName !== undefined) names.add(loosely(fileName));
      for (const { fileName } of manifest.values(lsmObsolete, { prefix: [name] })) if (fileName !== undefined) names.add(loosely(fileName));
    }
    return this.#loose = { sequence, paths, names };
  }

  /** What a regular file is. */
  async judge(path: string, facts: FileFacts): Promise<Standing> {
    const { core, minAgeMs, ignore } = this.#search;
    if (this.names(path)) return "named";
    if (ignore?.(path)) return "ignored";
    if (await this.isManifest(path) || (path.endsWith(LOCK_ENDING) && await this.isManifest(path.slice(0, -LOCK_ENDING.length)))) {
      return "manifest";
    }
    // Some file systems round times up: a limit of 0 is none.
    return minAgeMs > 0 && core.now() - facts.changedAt < minAgeMs ? "young" : "orphan";
  }

  /** Whether a manifest lies under a path. */
  isManifest(path: string): Promise<boolean> {
    return holdsManifest(this.#search.core.folder, path);
  }
}

/** Lists the orphans of a folder. Nothing is changed. */
export async function findOrphans(search: OrphanSearch): Promise<OrphanReport> {
  const { core: { folder, now }, minAgeMs, signal } = search;
  const judge = await OrphanJudge.make(search);
  const stores = new NestedStores(folder, judge.place, (path) => judge.names(path));
  const skipped: NestedStore[] = [];
  const takenAt = now();
  const listed: Record<"orphan" | "young", OrphanFile[]> = { orphan: [], young: [] };
  const counted = { named: 0, manifest: 0, ignored: 0 };
  const links: string[] = [], special: string[] = [], unsafe: UnsafeName[] = [];
  const queue = [""];
  for (let directory = queue.pop(); directory !== undefined; directory = queue.pop()) {
    checkAborted(signal, ACTION);
    const at = directory;
    // A directory that goes while the folder is walked holds no orphans any more.
    const entries = await unlessMissing(() => folder.list(at)) ?? [];
    const store = await stores.kindOf(at, entries);
    if (store !== undefined) skipped.push({ directory: at, kind: store });
    for (const { name, kind } of entries) {
      checkAborted(signal, ACTION);
      if (store !== undefined && NestedStores.holds(store, name)) continue;
      const path = joined(at, name);
      const why = name.includes("/") ? "it holds a separator" : whyNotRelative(path);
      if (why !== undefined) unsafe.push({ directory: at, name, why });
      else if (kind === "link") links.push(path);
      else if (kind === "other") special.push(path);
      else if (kind === "directory") {
        if (!(path.endsWith(CLAIMS_ENDING) && await judge.isManifest(path.slice(0, -CLAIMS_ENDING.length)))) queue.push(path);
      } else {
        const facts = await unlessMissing(() => folder.facts(path));
        if (facts?.kind !== "file") continue; // gone, or replaced: the next search sees what is there then
        const { sizeBytes, modifiedAt, identity } = facts;
        const standing = await judge.judge(path, facts);
        if (standing === "orphan" || standing === "young") listed[standing].push({ path, sizeBytes, modifiedAt, identity });
        else counted[standing]++;
      }
    }
  }
  const byPath = (a: { path: string }, b: { path: string }): number => a.path < b.path ? -1 : 1;
  const orphans = listed.orphan.sort(byPath);
  return {
    takenAt,
    minAgeMs,
    orphans,
    bytes: orphans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    young: listed.young.sort(byPath),
    named: counted.named,
    manifests: counted.manifest,
    ignored: counted.ignored,
    skipped: skipped.sort((a, b) => a.directory < b.directory ? -1 : 1),
    links: links.sort(),
    special: special.sort(),
    unsafe,
  };
}
