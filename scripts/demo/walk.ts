// Walks a folder: every regular file below it, in a fixed order, with constant memory per level. Reads only: symbolic links are counted and not followed, what is
// neither file nor folder is counted, and what cannot be read is counted and named.
import { lstatSync, readdirSync, type Stats } from "node:fs";
import { join } from "node:path";

/** A regular file. */
export interface FoundFile {
  /** Path below the folder, with forward slashes. */
  readonly path: string;
  /** Path to open. */
  readonly at: string;
  readonly stat: Stats;
}

/** What could not be read, and why. */
export interface Unreadable {
  readonly path: string;
  readonly reason: string;
  /** A folder, so nothing is known of what lies below. */
  readonly folder: boolean;
}

/** How many paths of unreadable files are kept. */
const NAMES_KEPT = 100;

/** One walk. Its counts are complete when `files` has ended. */
export class Walk {
  folders = 0;
  links = 0;
  /** Neither file, folder nor link. */
  others = 0;
  /** How many files and folders could not be read. */
  unreadableCount = 0;
  /** The first of them, and every folder. */
  readonly unreadable: Unreadable[] = [];
  /** Hears of every file that cannot be read. */
  onRefused: (path: string) => void = () => {};
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Counts something that cannot be read. */
  refuse(path: string, error: unknown, folder = false): void {
    this.unreadableCount++;
    const reason = (error as { code?: string }).code ?? String(error);
    if (!folder) this.onRefused(path);
    if (folder || this.unreadable.length < NAMES_KEPT) this.unreadable.push({ path, reason, folder });
  }

  /** The regular files below the folder. */
  *files(): Generator<FoundFile> {
    const open: { prefix: string; names: string[]; next: number }[] = [];
    const enter = (path: string): void => {
      try {
        const names = readdirSync(join(this.#root, path)).sort();
        open.push({ prefix: path === "" ? "" : `${path}/`, names, next: 0 });
        if (path !== "") this.folders++;
      } catch (error) {
        this.refuse(path, error, true);
      }
    };
    enter("");
    for (let level = open.at(-1); level !== undefined; level = open.at(-1)) {
      const name = level.names[level.next++];
      if (name === undefined) {
        open.pop();
        continue;
      }
      const path = level.prefix + name;
      const at = join(this.#root, path);
      let stat: Stats;
      try {
        stat = lstatSync(at);
      } catch (error) {
        this.refuse(path, error);
        continue;
      }
      if (stat.isFile()) yield { path, at, stat };
      else if (stat.isDirectory()) enter(path);
      else if (stat.isSymbolicLink()) this.links++;
      else this.others++;
    }
  }
}

/** How many regular files lie below a folder; for the progress bar. */
export function countFiles(root: string): number {
  let count = 0;
  const open = [root];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (entry.isFile()) count++;
        else if (entry.isDirectory()) open.push(join(folder, entry.name));
      }
    } catch {
      // the walk itself counts and names it
    }
  }
  return count;
}
