// Orphans: files in the folder that nothing of the catalog names. Listed here, and nothing else; deleting them is orphan_removal.ts.
//
// A file is no orphan when
// - a kept version of any file set of this manifest names it, under any spelling that a file system may take for the same; or it is condemned, so that a prune deletes it;
// - a commit of this process has it in hand;
// - it is younger than the limit: somebody may be about to commit it;
// - it is a manifest, or the lock of one;
// - the caller says so.
// Links are never followed and never orphans. Names that no catalog can hold are told apart: nothing here ever takes them for paths.
import { isManifestError } from "../../errors.ts";
import { CLAIMS_ENDING, isManifestHead, LOCK_ENDING, MANIFEST_HEAD } from "../../manifest/own_files.ts";
import type { FileFacts } from "../../storage/folder.ts";
import { whyNotRelative } from "../../storage/relative_path.ts";
import { listCatalogs } from "../catalog.ts";
import type { FileSetCore } from "./core.ts";
import { checkAborted } from "./digest.ts";
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
  /** How long a file must not have been written to. */
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

/** Says what files are to the file sets of a manifest. */
export class OrphanJudge {
  readonly #search: OrphanSearch;
  /** Paths beyond ASCII that are stored or condemned, loosely, as of a sequence. */
  #loose: { readonly sequence: number; readonly paths: ReadonlySet<string> } | undefined;

  constructor(search: OrphanSearch) {
    this.#search = search;
  }

  /** Whether something names a path now. */
  names(path: string): boolean {
    const { manifest, desk } = this.#search.core;
    const folded = foldPath(path);
    if (desk.inHand.has(folded) || desk.deleting.has(folded)) return true;
    for (const { name, kind } of listCatalogs(manifest)) {
      if (kind === "files" && (manifest.has(storedFiles, [name, folded]) || manifest.has(condemnedFiles, [name, folded]))) return true;
    }
    return this.#loosePaths().has(loosely(path));
  }

  #loosePaths(): ReadonlySet<string> {
    const { manifest } = this.#search.core;
    const sequence = manifest.latestChangeSequence();
    if (this.#loose?.sequence !== sequence) {
      const paths = new Set<string>();
      for (const table of [storedFiles, condemnedFiles]) {
        for (const [[, folded], row] of manifest.range(table as typeof condemnedFiles)) {
          if (!PLAIN.test(folded)) paths.add(loosely(pathOf(folded, row)));
        }
      }
      this.#loose = { sequence, paths };
    }
    return this.#loose.paths;
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
    return minAgeMs > 0 && core.now() - facts.modifiedAt < minAgeMs ? "young" : "orphan";
  }

  /** Whether a manifest lies under a path. */
  async isManifest(path: string): Promise<boolean> {
    const { folder } = this.#search.core;
    if (whyNotRelative(path) !== undefined) return false;
    let file;
    try {
      file = await folder.open(path);
    } catch (error) {
      if (isManifestError(error) && (error.code === "NOT_FOUND" || error.code === "NOT_A_REGULAR_FILE")) return false;
      throw error;
    }
    try {
      const head = new Uint8Array(MANIFEST_HEAD);
      return isManifestHead(head.subarray(0, await file.read(0, head)));
    } finally {
      await file.close();
    }
  }
}

/** Lists the orphans of a folder. Nothing is changed. */
export async function findOrphans(search: OrphanSearch): Promise<OrphanReport> {
  const { core: { folder, now }, minAgeMs, signal } = search;
  const judge = new OrphanJudge(search);
  const takenAt = now();
  const files: Record<Standing, OrphanFile[]> = { orphan: [], young: [], named: [], manifest: [], ignored: [] };
  const links: string[] = [], special: string[] = [], unsafe: UnsafeName[] = [];
  const queue = [""];
  for (let directory = queue.pop(); directory !== undefined; directory = queue.pop()) {
    checkAborted(signal, ACTION);
    const at = directory;
    // A directory that goes while the folder is walked holds no orphans any more.
    for (const { name, kind } of await unlessMissing(() => folder.list(at)) ?? []) {
      checkAborted(signal, ACTION);
      const path = at === "" ? name : `${at}/${name}`;
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
        files[await judge.judge(path, facts)].push({ path, sizeBytes, modifiedAt, identity });
      }
    }
  }
  const byPath = (a: { path: string }, b: { path: string }): number => a.path < b.path ? -1 : 1;
  const orphans = files.orphan.sort(byPath);
  return {
    takenAt,
    minAgeMs,
    orphans,
    bytes: orphans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    young: files.young.sort(byPath),
    named: files.named.length,
    manifests: files.manifest.length,
    ignored: files.ignored.length,
    links: links.sort(),
    special: special.sort(),
    unsafe,
  };
}
