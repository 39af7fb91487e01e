// Runs workloads in rounds: in each round every contender runs once, in an order that moves on by one each time, so that drift of the machine hits all
// alike. One round before the counted ones warms up. Every answer is compared with the model.
import type { Contender, WorkloadId } from "./contender.ts";
import type { DataSet } from "./data.ts";
import { BATCH_ROWS, Model, type Sizes, type Workload } from "./workloads.ts";

/** What one contender did in one workload. */
export interface Score {
  contender: string;
  /** Operations per second, by round. */
  rounds: number[];
  median: number;
  lowest: number;
  highest: number;
}

/** The outcome of a workload. */
export interface Outcome {
  id: WorkloadId;
  title: string;
  unit: string;
  /** Operations of one round. */
  operations: number;
  /** Hash over the answers of all rounds, the same for each contender. */
  hash: string;
  scores: Score[];
}

/** What to run. */
export interface RunOptions {
  data: DataSet;
  contenders: readonly Contender[];
  workloads: readonly Workload[];
  sizes: Sizes;
  /** Counted rounds. */
  rounds: number;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Hears of progress. */
  report(line: string): void;
}

/** The middle of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Lets nobody pay for what another has left; needs node --expose-gc. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** Fills open contenders with the data set. */
export async function load({ data, contenders, workloads, report }: RunOptions): Promise<void> {
  for (const contender of contenders) {
    await contender.commitBatches(data.loading(), BATCH_ROWS);
    await contender.settle?.();
    if (contender.takes.includes("S2") && workloads.some(({ id }) => id === "S2")) {
      await contender.loadRecords!();
      await contender.settle?.();
    }
    report(`${contender.name}: ${data.count} rows loaded`);
  }
}

/** Runs every workload; throws when an answer is wrong. */
export async function runAll(options: RunOptions): Promise<Outcome[]> {
  const models = new Map(options.contenders.map((contender) => [contender, new Model(options.data)]));
  const outcomes: Outcome[] = [];
  for (const workload of options.workloads) outcomes.push(await runWorkload(workload, options, models));
  return outcomes;
}

async function runWorkload(workload: Workload, options: RunOptions, models: Map<Contender, Model>): Promise<Outcome> {
  const { data, sizes, rounds, now, report } = options;
  const contenders = options.contenders.filter(({ takes }) => takes.includes(workload.id));
  const speeds = new Map(contenders.map((contender) => [contender, [] as number[]]));
  let hash = 0;
  let operations = 0;
  for (let round = 0; round <= rounds; round++) {
    let answer: number | undefined;
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(turn + round) % contenders.length]!;
      const work = workload.prepare(contender, data, models.get(contender)!, sizes, round);
      operations = work.operations;
      collectGarbage();
      const start = now();
      let found = await work.run();
      const seconds = (now() - start) / 1000;
      if (round > 0) speeds.get(contender)!.push(work.operations / seconds);
      if (work.written !== undefined && contender.gets !== undefined) found = contender.gets(work.written);
      else if (work.written !== undefined) found = work.expected; // not a store: there is nothing to read back
      if (found !== work.expected || found !== (answer ?? found)) {
        throw new Error(`Cannot compare ${contender.name} in ${workload.id}: its answer is ${found}, not ${work.expected}`);
      }
      answer = found;
      await contender.settle?.();
    }
    hash = (Math.imul(hash, 31) + (answer ?? 0)) | 0;
    report(`${workload.id} round ${round} of ${rounds}${round === 0 ? " (warming up)" : ""}`);
  }
  const scores = contenders.map((contender) => {
    const all = speeds.get(contender)!;
    return { contender: contender.name, rounds: all, median: median(all), lowest: Math.min(...all), highest: Math.max(...all) };
  });
  return {
    id: workload.id,
    title: workload.title,
    unit: workload.unit,
    operations,
    hash: (hash >>> 0).toString(16).padStart(8, "0"),
    scores,
  };
}
