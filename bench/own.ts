// S12 and S13: what no other store here has, so that there is nobody to stand beside. The change log (append, fetch, catch up, acknowledge, truncate, wake a waiter) and reference counts
// (publish and drop a snapshot, recount). Every round checks what it has done.
import { defineTable, fixedBytes, Manifest, u32, u53 } from "../mod.ts";
import { collectGarbage, median } from "./rounds.ts";

/** What is counted. */
export interface Measure {
  readonly id: "S12" | "S13";
  readonly title: string;
  readonly unit: string;
  /** What this project wants to reach; absent where only a figure is asked for. */
  readonly must?: number;
  readonly aim?: number;
  /** Less is better. */
  readonly less?: boolean;
}

/** A measure with what was measured, round by round. */
export interface OwnScore extends Measure {
  rounds: number[];
  median: number;
}

/** How much one round runs. */
export interface OwnSizes {
  /** Changes in the log. */
  changes: number;
  /** Commits issued at once while it is filled. */
  together: number;
  /** Acknowledgements one after another. */
  acknowledgements: number;
  /** Times that a waiter is woken. */
  wakes: number;
  /** Chunks in a snapshot. */
  chunks: number;
}

/** What every full run uses. */
export const OWN_SIZES: OwnSizes = { changes: 100_000, together: 5000, acknowledgements: 500, wakes: 200, chunks: 10_000 };

const PAGE = 100;
const RATE = "changes/s";
const MEASURES = {
  append: { id: "S12", title: "append: one-operation commits issued together", unit: RATE },
  iterate: { id: "S12", title: "read the whole log with changes()", unit: RATE },
  fetch: { id: "S12", title: "fetch pages of 100", unit: RATE, must: 500_000, aim: 2_000_000 },
  catchUp: { id: "S12", title: "catch up: fetch pages of 100, each acknowledged durably", unit: RATE },
  acknowledge: { id: "S12", title: "acknowledge, one after another, durably", unit: "acknowledgements/s" },
  truncate: { id: "S12", title: "truncate what every cursor has done", unit: RATE },
  wake: { id: "S12", title: "from receipt to waiter", unit: "ms", must: 1, aim: 0.1, less: true },
  commitToWaiter: { id: "S12", title: "from commit to waiter, the sync included", unit: "ms", less: true },
  snapshot: { id: "S13", title: "publish and drop a snapshot of 10,000 chunks", unit: "refcounts/s", must: 500_000, aim: 2_000_000 },
  recount: { id: "S13", title: "deep check with the snapshot published: recount", unit: "refcounts/s" },
} as const satisfies Record<string, Measure>;

type Name = keyof typeof MEASURES;

const table = defineTable({ name: "rows", key: [u32("db"), u53("row")], value: { content: fixedBytes(100) } });

function expect(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new Error(`Cannot measure ${what}: ${actual}, expected ${expected}`);
}

class Run {
  readonly #sizes: OwnSizes;
  readonly #now: () => number;
  readonly #figures: Record<Name, number[]>;
  readonly #folder: string;
  counted = false;

  constructor(folder: string, sizes: OwnSizes, now: () => number, figures: Record<Name, number[]>) {
    this.#folder = folder;
    this.#sizes = sizes;
    this.#now = now;
    this.#figures = figures;
  }

  #add(name: Name, value: number): void {
    if (this.counted) this.#figures[name].push(value);
  }

  /** Times work of so many units; the figure is units a second. */
  async #rate(name: Name, units: number, work: () => Promise<void>): Promise<void> {
    collectGarbage();
    const start = this.#now();
    await work();
    this.#add(name, units / ((this.#now() - start) / 1000));
  }

  async changeLog(round: number): Promise<void> {
    const { changes, together, acknowledgements, wakes } = this.#sizes;
    await using manifest = await Manifest.open(`${this.#folder}/log-${round}.waybill`, { create: true });
    await manifest.createTable(table);
    const content = new Uint8Array(100).fill(round);
    const slow = await manifest.registerChangeCursor("slow", { start: "oldest" });
    await this.#rate("append", changes, async () => {
      for (let from = 0; from < changes; from += together) {
        const commits = [];
        for (let row = from; row < Math.min(from + together, changes); row++) {
          commits.push(manifest.begin().put(table, [1, row], { content }).commit());
        }
        await Promise.all(commits);
      }
    });
    await this.#rate("iterate", changes, async () => {
      let seen = 0;
      for await (const change of manifest.changes({ from: 1 })) seen += change.operations.length;
      expect("changes read", seen, changes);
    });
    const { id } = await manifest.registerChangeCursor("reader", { start: "oldest" });
    let fetching = 0;
    await this.#rate("catchUp", changes, async () => {
      let seen = 0;
      for (;;) {
        const start = this.#now();
        const page = await manifest.fetchChangePage(id, PAGE);
        fetching += this.#now() - start;
        if (page.changes.length === 0) break;
        seen += page.changes.length;
        await manifest.acknowledgeChanges(id, page.nextSequence);
      }
      expect("changes caught up", seen, changes);
    });
    this.#add("fetch", changes / (fetching / 1000));
    await this.#rate("acknowledge", acknowledgements, async () => {
      for (let next = 2; next < 2 + acknowledgements; next++) await manifest.acknowledgeChanges(slow.id, next);
    });
    const oldest = manifest.stats().changes.oldest;
    await this.#rate("truncate", changes + 1 - oldest, async () => {
      await manifest.acknowledgeChanges(slow.id, changes + 1);
      // The rest goes with other commits, a stretch with each.
      while (manifest.stats().changes.oldest <= changes) await manifest.begin().put(table, [2, 0], { content }).commit();
    });
    const latencies: number[] = [], whole: number[] = [];
    for (let i = 0; i < wakes; i++) {
      let woken = 0;
      const waiter = manifest.waitForChange(manifest.latestChangeSequence()).then(() => woken = this.#now());
      const start = this.#now();
      await manifest.begin().put(table, [3, i], { content }).commit();
      const receipt = this.#now();
      await waiter;
      latencies.push(Math.max(0, woken - receipt));
      whole.push(woken - start);
    }
    this.#add("wake", median(latencies));
    this.#add("commitToWaiter", median(whole));
  }

  async snapshots(round: number): Promise<void> {
    const { chunks } = this.#sizes;
    await using manifest = await Manifest.open(`${this.#folder}/snapshots-${round}.waybill`, { create: true });
    const txn = manifest.begin({ capacity: chunks + 1 }).putDb(1, { name: "events" });
    const list: { chunkId: number }[] = [];
    for (let chunkId = 0; chunkId < chunks; chunkId++) {
      txn.upsertChunk([1, chunkId], { fileName: `chunk-${chunkId}.seg`, generation: 1, sizeBytes: 1 << 20 });
      list.push({ chunkId });
    }
    await txn.commit();
    // The first time the objects become live; from then on a round is what a retention policy does all day.
    await manifest.begin().publishSnapshot([1, 1], { chunks: list }).commit();
    await manifest.begin().dropSnapshot([1, 1]).commit();
    expect("collectable objects", manifest.countCollectable(), chunks);
    await this.#rate("snapshot", 2 * chunks, async () => {
      await manifest.begin().publishSnapshot([1, 2], { chunks: list }).commit();
      await manifest.begin().dropSnapshot([1, 2]).commit();
    });
    expect("collectable objects", manifest.countCollectable(), chunks);
    await manifest.begin().publishSnapshot([1, 3], { chunks: list }).commit();
    await manifest.checkpoint();
    await this.#rate("recount", chunks, async () => {
      if (!(await manifest.check({ level: "deep" })).ok) throw new Error("Cannot measure the recount: the check finds problems");
    });
  }
}

/** Measures both workloads; the first round warms up. */
export async function measureOwn({ only, sizes, rounds, folder, now, report }: {
  only: readonly string[];
  sizes: OwnSizes;
  rounds: number;
  folder: string;
  now(): number;
  report(line: string): void;
}): Promise<OwnScore[]> {
  const names = (Object.keys(MEASURES) as Name[]).filter((name) => only.includes(MEASURES[name].id));
  if (names.length === 0) return [];
  const figures = Object.fromEntries((Object.keys(MEASURES) as Name[]).map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  const run = new Run(folder, sizes, now, figures);
  for (let round = 0; round <= rounds; round++) {
    run.counted = round > 0;
    if (only.includes("S12")) await run.changeLog(round);
    if (only.includes("S13")) await run.snapshots(round);
    report(`S12, S13: round ${round} of ${rounds}`);
  }
  return names.map((name) => ({ ...MEASURES[name], rounds: figures[name], median: median(figures[name]) }));
}

function figure(value: number, unit: string): string {
  if (unit === "ms") return value.toFixed(3);
  return value >= 1e6
    ? `${(value / 1e6).toFixed(2)} M`
    : value >= 1e3
    ? `${(value / 1e3).toFixed(value >= 1e4 ? 0 : 2)} k`
    : value.toFixed(0);
}

/** The figures as a Markdown table. */
export function ownMarkdown(scores: readonly OwnScore[]): string {
  const lines = [
    "## S12, S13: change log and reference counts",
    "",
    "| # | workload | median | lowest–highest | must | aim | |",
    "| --- | --- | --- | --- | --- | --- | --- |",
  ];
  for (const { id, title, unit, must, aim, less, rounds, median } of scores) {
    const reached = (target: number): boolean => less ? median <= target : median >= target;
    const verdict = must === undefined ? "" : reached(aim!) ? "aim reached" : reached(must) ? "must reached" : "below must";
    const target = (value: number | undefined): string => value === undefined ? "" : `${less ? "< " : ""}${figure(value, unit)}`;
    const range = `${figure(Math.min(...rounds), unit)}–${figure(Math.max(...rounds), unit)}`;
    lines.push(`| ${id} | ${title}, ${unit} | ${figure(median, unit)} | ${range} | ${target(must)} | ${target(aim)} | ${verdict} |`);
  }
  return lines.join("\n") + "\n";
}
