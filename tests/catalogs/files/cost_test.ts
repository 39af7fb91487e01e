// What a commit, a diff and a prune of few changes cost, beside what there is: rows of the change record, rows kept, pages read. Nothing is timed.
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { Manifest, memoryStorage } from "../../../mod.ts";
import { FileSetCatalog, type SetFile } from "../../../src/catalogs/files/mod.ts";
import type { FileFacts, Folder } from "../../../src/storage/folder.ts";
import { test } from "../../support/harness.ts";
import { currentRuntime } from "../../support/runtimes.ts";
import { data } from "./parts.ts";

const CHANGED = 10;
/** What is large: in full on one runtime, because rows, calls and pages are the same on all. */
const MANY = currentRuntime() === "deno" ? 100_000 : 10_000;

/** The drop: two versions' rows and the catalog's; the step: ten entries, changes and files, stored and condemned, and three rows more; the end: ten condemned files and the catalog. */
const PRUNE_ROWS = 57;

/** Versions that are kept at once. */
const KEPT = currentRuntime() === "deno" ? 1000 : 300;

/** A folder in which every path is an empty file until it is removed: many files without their bytes. */
export class EmptyFiles {
  readonly removed = new Set<string>();
  /** Calls of every kind. */
  calls = 0;
  readonly folder: Folder;

  constructor() {
    const facts = (path: string): FileFacts => ({ kind: "file", sizeBytes: 0, modifiedAt: 0, changedAt: 0, identity: path });
    const count = <T>(value: T): Promise<T> => {
      this.calls++;
      return Promise.resolve(value);
    };
    const open = (path: string): ReturnType<Folder["open"]> =>
      count({
        facts: () => Promise.resolve(facts(path)),
        read: () => Promise.resolve(0),
        write: () => Promise.resolve(),
        sync: () => Promise.resolve(),
        close: () => Promise.resolve(),
      });
    this.folder = {
      name: "empty",
      durability: "memory",
      list: () => count([]),
      facts: (path) => count(this.removed.has(path) ? undefined : facts(path)),
      open,
      create: open,
      rename: () => count(undefined),
      remove: (path) => count(!this.removed.has(path) && Boolean(this.removed.add(path))),
      makeDirectory: () => count(undefined),
      removeDirectory: () => count(false),
      syncDirectory: () => count(undefined),
      storage: () => memoryStorage(),
    };
  }
}

/** Rows written, commits, pages read, calls of the folder. */
interface Cost {
  readonly rows: number;
  readonly commits: number;
  readonly pages: number;
  readonly calls: number;
}

/** A file set of so many names, each with a file of its own, as version 1. */
class Many {
  readonly files = new EmptyFiles();
  manifest!: Manifest;
  catalog!: FileSetCatalog;
  readonly #names: number;
  #next = 0;

  constructor(names: number) {
    this.#names = names;
  }

  async open(): Promise<this> {
    // So few pages are cached that what is touched is read.
    this.manifest = await Manifest.open(memoryStorage(), {
      create: true,
      idleCheckpoint: 0,
      cacheBytes: 2 << 20,
      logRetention: { changes: 8 },
    });
    this.catalog = await FileSetCatalog.open(this.manifest, this.files.folder, { parallel: 1 });
    await this.catalog.commit({ set: Array.from({ length: this.#names }, (_, i) => this.#file(i)) });
    await this.manifest.checkpoint();
    return this;
  }

  #file(name: number): SetFile {
    return data(`name-${String(name).padStart(7, "0")}`, `dir-${this.#next % 10}/file-${String(this.#next++).padStart(9, "0")}.sst`);
  }

  /** Commits ten changes, spread over all names. */
  async change(): Promise<number> {
    const set = Array.from(
      { length: CHANGED },
      (_, i) => this.#file((this.#next * 7919 + i * Math.floor(this.#names / CHANGED)) % this.#names),
    );
    const seen = new Map(set.map((file) => [file.name, file]));
    return (await this.catalog.commit({ set: [...seen.values()] })).version;
  }

  /** Commits a change of every name. */
  async changeAll(): Promise<void> {
    await this.catalog.commit({ set: Array.from({ length: this.#names }, (_, i) => this.#file(i)) });
  }

  /** Rows of the changes made meanwhile. */
  rowsSince(sequence: number): number {
    let rows = 0;
    for (let at = sequence + 1; at <= this.manifest.latestChangeSequence(); at++) rows += this.manifest.getChange(at)!.operations.length;
    return rows;
  }

  /** What something costs. */
  async cost(work: () => unknown): Promise<Cost> {
    const sequence = this.manifest.latestChangeSequence();
    const { pageReads } = this.manifest.stats();
    const { calls } = this.files;
    await work();
    const rows = this.rowsSince(sequence), commits = this.manifest.latestChangeSequence() - sequence;
    return { rows, commits, pages: this.manifest.stats().pageReads - pageReads, calls: this.files.calls - calls };
  }

  close(): Promise<void> {
    return this.manifest.close();
  }
}

test("cost: a version of 100,000 files with 10 of them changed commits at most 100 rows; commit, diff and prune cost what 1,000 files cost, but for the height of the trees", async () => {
  const costs: Record<string, Cost>[] = [];
  for (const names of [1000, MANY]) {
    const set = await new Many(names).open();
    // Another file set is in the folder: every file that is deleted is looked up there.
    const other = await FileSetCatalog.open(set.manifest, set.files.folder, { parallel: 1, name: "other" });
    await other.commit({ set: Array.from({ length: names / 10 }, (_, i) => data(`other-${i}`, `other/file-${i}.sst`)) });
    for (let i = 0; i < 5; i++) await set.change();
    const commit = await set.cost(() => set.change());
    const { version } = set.catalog.current()!;
    const diff = await set.cost(() => assertEquals(set.catalog.diff(version - 3, version).changed.length, 3 * CHANGED));
    const prune = await set.cost(async () => assertEquals((await set.catalog.prune(6)).deleted, CHANGED));
    assertLessOrEqual(commit.rows, 100);
    costs.push({ commit, diff, prune });
    await set.close();
  }
  const [few, many] = costs as [typeof costs[0], typeof costs[0]];
  for (const what of ["commit", "diff", "prune"]) {
    console.log(what, JSON.stringify(few[what]), JSON.stringify(many[what]));
    assertEquals([many[what]!.rows, many[what]!.calls], [few[what]!.rows, few[what]!.calls], what);
    // Some pages for each look-up, whatever there is: a hundred times as many rows are one level more.
    assertLessOrEqual(many[what]!.pages, 12 * CHANGED * (what === "diff" ? 3 : 1), what);
  }
  // Three rows a change, the version and the catalog.
  assertEquals([many.commit!.rows, many.diff!.rows, many.prune!.rows], [3 * CHANGED + 2, 0, PRUNE_ROWS]);
});

test("cost: with a thousand kept versions, and with pins that keep old ones in the middle, a commit and a prune cost what they cost without", async () => {
  const names = 2 * KEPT; // so few that every one of them is changed
  const set = await new Many(names).open();
  await set.change();
  const first = await set.cost(async () => assertEquals((await set.catalog.prune(1)).dropped.length, 1));
  await using pin = await set.catalog.pin({ owner: "me", ttlMs: 1e9 });
  for (let i = 0; i < KEPT; i++) await set.change();
  const { versions } = set.catalog.stats();
  assert(versions > KEPT);
  const commit = await set.cost(() => set.change());
  assertEquals(commit.rows, 3 * CHANGED + 2);
  // Version after version, each behind the pinned one: the changes between the two grow, what one prune costs does not.
  const costs: number[] = [];
  for (let i = 0; i < 40; i++) {
    const prune = await set.cost(async () => assertEquals((await set.catalog.prune(KEPT)).dropped.length, 1));
    costs.push(prune.rows);
    await set.change();
  }
  console.log(`rows of a prune without pin ${first.rows}, behind one: ${costs.join(" ")}`);
  for (const rows of costs) assertLessOrEqual(rows, first.rows + 2 * CHANGED);
  // One version at a time: what the pinned one and the current one have between them grows to hundreds, and still the same.
  const { versions: before } = set.catalog.stats();
  assertEquals((await set.catalog.prune(1)).dropped.length, before - 2);
  const grown: number[] = [];
  let commits = 0;
  for (let i = 0; i < 10; i++) {
    await set.change();
    const cost = await set.cost(async () => assertEquals((await set.catalog.prune(1)).dropped.length, 1));
    grown.push(cost.rows);
    commits = Math.max(commits, cost.commits);
  }
  console.log(
    `rows of a prune of one version where ${set.catalog.stats().entries - names} entries lie between the pinned and the current: ${
      grown.join(" ")
    }`,
  );
  for (const rows of grown) assertLessOrEqual(rows, first.rows + 2 * CHANGED);
  assertEquals(commits, first.commits); // no step but the one that it takes without
  assertEquals(set.catalog.check(), { ok: true, problems: [] });
  await pin.release();
  await set.close();
});

test("cost: a small version that is dropped before a large one costs what is in the small one", async () => {
  const set = await new Many(2000).open();
  await using _pin = await set.catalog.pin({ owner: "me", ttlMs: 1e9 });
  await set.change();
  await set.changeAll();
  const cost = await set.cost(async () => assertEquals((await set.catalog.prune(1)).dropped, [2]));
  assertEquals(cost.commits, 3); // the drop, one step, the rows of the deleted files
  await set.change();
  const large = await set.cost(async () => assertEquals((await set.catalog.prune(1)).dropped, [3]));
  assertEquals(large.commits, 3); // ten changes behind it
});
