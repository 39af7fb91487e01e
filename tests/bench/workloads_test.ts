// The benchmarks' workloads at a tiny size: they run, and their answers are right. Nothing is timed.
import { mkdirSync } from "node:fs";
import { type Contender, foldBytes, type WorkloadId } from "../../bench/contender.ts";
import { DataSet, type Writes } from "../../bench/data.ts";
import { filesMarkdown, measureFiles } from "../../bench/files.ts";
import { measureOpening, openingMarkdown, WAYBILL_OPENER } from "../../bench/opening.ts";
import { measureOwn, ownMarkdown } from "../../bench/own.ts";
import { type BenchReport, describe, markdown, ratios } from "../../bench/report.ts";
import { load, median, type Outcome, runAll } from "../../bench/rounds.ts";
import { RawSync } from "../../bench/stores/raw_sync.ts";
import { WaybillStore } from "../../bench/stores/waybill.ts";
import { WORKLOADS } from "../../bench/workloads.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

const SIZES = { lookups: 100, scans: 1, commits: 5, together: 50, batches: 1 };

/** A contender over a plain array; `lies` makes its answers wrong. */
class ArrayStore implements Contender {
  readonly name: string = "array";
  readonly version = "1";
  readonly options = "in memory";
  readonly takes: readonly WorkloadId[] = ["S1", "S4", "S6"];
  #data!: DataSet;
  #held: number[] = [];

  constructor(readonly lies = 0) {}

  open(_folder: string, data: DataSet): Promise<void> {
    this.#data = data;
    return Promise.resolve();
  }

  gets(rows: Uint32Array): number {
    return rows.reduce((hash, row) => foldBytes(hash, this.#data.values[this.#held[row]!]!, 0), 0) + this.lies;
  }

  commitEach(writes: Writes): Promise<void> {
    return this.commitBatches(writes);
  }

  commitBatches({ rows, values }: Writes): Promise<void> {
    rows.forEach((row, i) => this.#held[row] = values[i]!);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function ticks(): () => number {
  let tick = 0;
  return () => tick++;
}

async function runOn(folder: string, contenders: Contender[]): Promise<Outcome[]> {
  const data = new DataSet(1200);
  for (const [i, contender] of contenders.entries()) {
    mkdirSync(`${folder}/${i}`);
    await contender.open(`${folder}/${i}`, data);
  }
  const options = { data, contenders, workloads: WORKLOADS, sizes: SIZES, rounds: 2, now: ticks(), report: () => {} };
  try {
    await load(options);
    return await runAll(options);
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

test("bench: every workload runs on the store and gives the model's answers", async () => {
  await withFolder(async (folder) => {
    const contenders = [new WaybillStore("0"), new ArrayStore(), new RawSync()];
    const outcomes = await runOn(folder, contenders);
    assertEquals(outcomes.map(({ id }) => id), WORKLOADS.map(({ id }) => id));
    for (const { scores } of outcomes) {
      assert(scores.some(({ contender }) => contender === "waybill"));
      for (const { rounds } of scores) assertEquals(rounds.length, 2);
    }
    const report: BenchReport = {
      startedAt: "now",
      machine: {},
      rounds: 2,
      contenders: contenders.map(describe),
      missing: { other: "not there" },
      outcomes: outcomes.map((outcome, i) => ({ ...outcome, ratios: ratios(outcome, WORKLOADS[i]!) })),
      opening: [],
      own: [],
      files: [],
    };
    assertEquals(report.outcomes.map(({ id, ratios }) => `${id} ${ratios.map(({ against }) => against)}`), [
      "S1 ",
      "S2 ",
      "S3 ",
      "S4 array,raw pwrite+fdatasync",
      "S5 ",
      "S6 array",
    ]);
    for (const { id } of outcomes) assert(markdown(report).includes(`| ${id} |`));
  });
});

test("bench: opening is measured at each size and reads a row each time", async () => {
  await withFolder(async (folder) => {
    const options = { openers: [WAYBILL_OPENER], sizes: [5000, 20_000], rounds: 2, folder, now: ticks(), report: () => {} };
    const scores = await measureOpening(options);
    assertEquals(scores.map(({ liveBytes, rounds }) => [liveBytes, rounds]), [[5000, [1, 1]], [20_000, [1, 1]]]);
    assert(openingMarkdown(scores).includes("| 0.02 MB | 1.00 (1.00–1.00) |"));
  });
});

test("bench: a wrong answer ends the run", async () => {
  await withFolder(async (folder) => {
    await assertRejects(() => runOn(folder, [new ArrayStore(1)]), Error, "Cannot compare array in S1");
  });
});

test("bench: median is the middle number, or the mean of the middle two", () => {
  assertEquals(median([5, 1, 3]), 3);
  assertEquals(median([4, 1, 3, 2]), 2.5);
});

test("bench: change log and reference counts are measured, and what was done is checked", async () => {
  await withFolder(async (folder) => {
    const sizes = { changes: 250, together: 50, acknowledgements: 5, wakes: 2, chunks: 30 };
    const scores = await measureOwn({ only: ["S12", "S13"], sizes, rounds: 1, folder, now: ticks(), report: () => {} });
    assertEquals(scores.map(({ id }) => id), ["S12", "S12", "S12", "S12", "S12", "S12", "S12", "S12", "S13", "S13"]);
    assert(scores.every(({ rounds }) => rounds.length === 1));
    const table = ownMarkdown(scores);
    assert(table.includes("| S13 | publish and drop a snapshot of 10,000 chunks, refcounts/s | 60 k |"), table);
    assertEquals(await measureOwn({ only: ["S1"], sizes, rounds: 1, folder, now: ticks(), report: () => {} }), []);
  });
});

test("bench: commits, diffs and prunes of a file set are measured at each size, and rows do not grow with it", async () => {
  await withFolder(async (folder) => {
    const scores = await measureFiles({ sizes: { files: [40, 80], changed: 4 }, rounds: 2, folder, now: ticks(), report: () => {} });
    assertEquals(scores.map(({ files, rounds }) => [files, rounds.commit.length, rounds.prune.length]), [[40, 2, 2], [80, 2, 2]]);
    assertEquals(scores[1]!.rows, scores[0]!.rows);
    assertEquals(scores[0]!.rows.commit, 3 * 4 + 2);
    const table = filesMarkdown(scores);
    assert(table.includes("| rows of a commit | 14 | 14 | 1.00 |"), table);
    assert(table.includes("| commit | 2.00 (2.00–2.00) | 2.00 (2.00–2.00) | 1.00 |"), table);
  });
});
