// F1: a file set of which little changes: commit, diff and prune of 10 changed files, beside how many there are. Runs only when it is named, because it makes 100,000 files.
//
// Files and manifest are on the disk; each round writes ten files, commits them (digested, synced, their directories too), compares the two newest versions and prunes the oldest of three, which deletes ten files. What is counted
// besides the time is checked: the rows of the change records, which do not depend on how many files there are.
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { Manifest } from "../mod.ts";
import { fileFolder, FileSetCatalog, type Folder, type SetFile } from "../src/catalogs/files/mod.ts";
import { collectGarbage, median } from "./rounds.ts";

/** How much is measured. */
export interface FilesSizes {
  /** Files in the set: measured one after the other. */
  files: readonly number[];
  /** How many of them change in a round. */
  changed: number;
}

/** What a full run uses. */
export const FILES_SIZES: FilesSizes = { files: [1000, 100_000], changed: 10 };

const STEPS = ["commit", "transaction", "diff", "prune"] as const;

/** What is timed: a whole commit, of it the transaction alone, a diff of two versions, a prune of one. */
export type FilesStep = typeof STEPS[number];

/** One size. */
export interface FilesScore {
  readonly files: number;
  /** Milliseconds, by round. */
  readonly rounds: Readonly<Record<FilesStep, number[]>>;
  /** Rows in the change records of a commit and of a prune. */
  readonly rows: { readonly commit: number; readonly prune: number };
}

const DIRECTORIES = 10;

function pathOf(number: number): string {
  return `d${number % DIRECTORIES}/f${String(number).padStart(9, "0")}`;
}

function write(root: string, path: string): void {
  const fd = openSync(`${root}/${path}`, "wx");
  writeSync(fd, path);
  closeSync(fd);
}

/** The same folder without syncs: for files that are there before anything is measured. */
function unsynced(folder: Folder): Folder {
  const calls: Partial<Folder> = {
    open: async (path) => {
      const file = await folder.open(path);
      return {
        facts: () => file.facts(),
        read: (at, into) => file.read(at, into),
        write: (at, from) => file.write(at, from),
        sync: () => Promise.resolve(),
        close: () => file.close(),
      };
    },
  };
  return new Proxy(folder, { get: (target, name) => (calls as Record<string | symbol, unknown>)[name] ?? bound(target, name) });
}

function bound(target: Folder, name: string | symbol): unknown {
  const value = Reflect.get(target, name);
  return typeof value === "function" ? value.bind(target) : value;
}

function rowsSince(manifest: Manifest, sequence: number): number {
  let rows = 0;
  for (let at = sequence + 1; at <= manifest.latestChangeSequence(); at++) rows += manifest.getChange(at)!.operations.length;
  return rows;
}

/** A file set of one size on the disk. */
class Run {
  readonly score: { files: number; rounds: Record<FilesStep, number[]>; rows: { commit: number; prune: number } };
  readonly #changed: number;
  readonly #root: string;
  readonly #set: SetFile[] = [];
  #manifest!: Manifest;
  #catalog!: FileSetCatalog;
  #next: number;

  constructor(files: number, changed: number, folder: string) {
    this.score = { files, rounds: { commit: [], transaction: [], diff: [], prune: [] }, rows: { commit: 0, prune: 0 } };
    this.#changed = changed;
    this.#root = `${folder}/files-${files}`;
    this.#next = files;
  }

  async open(): Promise<void> {
    const { files } = this.score;
    const root = this.#root, set = this.#set;
    mkdirSync(root);
    for (let i = 0; i < DIRECTORIES; i++) mkdirSync(`${root}/d${i}`);
    for (let i = 0; i < files; i++) {
      write(root, pathOf(i));
      set.push({ kind: "data", name: `n${String(i).padStart(7, "0")}`, path: pathOf(i) });
    }
    this.#manifest = await Manifest.open(`${root}.waybill`, { create: true, idleCheckpoint: 0 });
    await (await FileSetCatalog.open(this.#manifest, unsynced(fileFolder(root)), { parallel: 16 })).commit({ set });
    this.#catalog = await FileSetCatalog.open(this.#manifest, fileFolder(root));
    await this.#manifest.checkpoint();
  }

  /** Changes, commits, compares, prunes; without `counted` nothing is kept of it. */
  async round(counted: boolean, now: () => number): Promise<void> {
    const manifest = this.#manifest, catalog = this.#catalog, changed = this.#changed;
    const { files, rounds, rows } = this.score;
    const set: SetFile[] = [];
    for (let i = 0; i < changed; i++) {
      write(this.#root, pathOf(this.#next));
      set.push({ ...this.#set[(this.#next * 7919 + i * Math.floor(files / changed)) % files]!, path: pathOf(this.#next++) });
    }
    collectGarbage();
    let sequence = manifest.latestChangeSequence();
    const start = now();
    using prepared = await catalog.prepare({ set: [...new Map(set.map((file) => [file.name, file])).values()] });
    const prepareEnd = now();
    const { value: { version } } = await manifest.transact((txn) => prepared.stage(txn));
    const commitEnd = now();
    prepared.dispose();
    rows.commit = rowsSince(manifest, sequence);
    const diffStart = now();
    const differing = catalog.diff(version - 1, version).changed.length;
    const diffEnd = now();
    sequence = manifest.latestChangeSequence();
    const pruneStart = now();
    const { deleted, dropped } = await catalog.prune(2);
    const pruneEnd = now();
    rows.prune = rowsSince(manifest, sequence);
    if (!counted) return;
    if (differing !== changed || deleted !== changed || dropped.length !== 1) {
      throw new Error(`Cannot measure file sets: ${differing} files differ, ${deleted} were deleted, ${dropped.length} versions dropped`);
    }
    rounds.commit.push(commitEnd - start);
    rounds.transaction.push(commitEnd - prepareEnd);
    rounds.diff.push(diffEnd - diffStart);
    rounds.prune.push(pruneEnd - pruneStart);
  }

  async close(): Promise<void> {
    const { ok } = this.#catalog.check();
    await this.#manifest.close();
    if (!ok) throw new Error("Cannot measure file sets: the check finds problems");
  }
}

/** Rounds that nothing is kept of: they make the versions that the others prune. */
const WARM_UP = 5;

/** Measures all sizes, round by round, so that what else runs on the machine meets all of them. */
export async function measureFiles(
  { sizes, rounds, folder, now, report }: {
    sizes: FilesSizes;
    rounds: number;
    folder: string;
    now(): number;
    report(line: string): void;
  },
): Promise<FilesScore[]> {
  const runs = sizes.files.map((files) => new Run(files, sizes.changed, folder));
  for (const run of runs) {
    await run.open();
    report(`F1: ${run.score.files} files made`);
  }
  for (let round = -WARM_UP; round < rounds; round++) for (const run of runs) await run.round(round >= 0, now);
  for (const run of runs) await run.close();
  return runs.map(({ score }) => score);
}

/** The figures as a Markdown table; the last column sets the last size beside the first one. */
export function filesMarkdown(scores: readonly FilesScore[]): string {
  const lines = [
    "## F1 file sets: 10 files change, milliseconds",
    "",
    `| step | ${scores.map(({ files }) => `${files} files`).join(" | ")} | ratio |`,
    `| --- |${" --- |".repeat(scores.length + 1)}`,
  ];
  for (const step of STEPS) {
    const cells = scores.map(({ rounds }) => {
      const times = rounds[step];
      return `${median(times).toFixed(2)} (${Math.min(...times).toFixed(2)}–${Math.max(...times).toFixed(2)})`;
    });
    const ratio = median(scores.at(-1)!.rounds[step]) / median(scores[0]!.rounds[step]);
    lines.push(`| ${step} | ${cells.join(" | ")} | ${ratio.toFixed(2)} |`);
  }
  for (const what of ["commit", "prune"] as const) {
    lines.push(
      `| rows of a ${what} | ${scores.map(({ rows }) => rows[what]).join(" | ")} | ${
        (scores.at(-1)!.rows[what] / scores[0]!.rows[what]).toFixed(2)
      } |`,
    );
  }
  return lines.join("\n") + "\n";
}
