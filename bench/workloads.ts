// The workloads of the comparison: what is counted, how much of it one round runs, what the answer must be, and what this project wants to reach.
//
// The expected hash comes from a model of the rows (which value each row holds by now), not from any contender.
import { type Contender, foldBytes, foldRecord, foldRow, type WorkloadId } from "./contender.ts";
import { chunkRecord, type DataSet, type Writes } from "./data.ts";

/** Rows that one batch of S6 writes. */
export const BATCH_ROWS = 1000;

/** How much one round runs. */
export interface Sizes {
  /** Look-ups of S1 and S2. */
  lookups: number;
  /** Scans of S3. */
  scans: number;
  /** Commits of S4. */
  commits: number;
  /** Commits issued at once in S5. */
  together: number;
  /** Batches of S6. */
  batches: number;
}

/** What every full run uses, the quick one too. */
export const FULL_SIZES: Sizes = { lookups: 200_000, scans: 2, commits: 1000, together: 5000, batches: 20 };

/** A target against other contenders. */
export interface Target {
  /** Ratio against the best of these, by name; empty = every other store. */
  against: readonly string[];
  must: number;
  aim: number;
}

/** One round of a workload for one contender. */
export interface Work {
  /** Runs what is timed. Returns the hash of what was read. */
  run(): number | Promise<number>;
  /** Hash that `run`, or reading back what it wrote, must give. */
  expected: number;
  /** Rows to read back when `run` writes. */
  written?: Uint32Array;
  /** Operations that it counts for. */
  operations: number;
}

/** A workload. */
export interface Workload {
  readonly id: WorkloadId;
  readonly title: string;
  /** What is counted. */
  readonly unit: string;
  readonly targets: readonly Target[];
  /** Prepares a round; `model` is the state of this contender's rows and takes what the round writes. */
  prepare(contender: Contender, data: DataSet, model: Model, sizes: Sizes, round: number): Work;
}

const RAW = "raw pwrite+fdatasync";
const LMDB = ["lmdb-js"];

/** Which value each row holds. */
export class Model {
  readonly #data: DataSet;
  readonly #held: Uint32Array;

  constructor(data: DataSet) {
    this.#data = data;
    this.#held = Uint32Array.from({ length: data.count }, (_, i) => i);
  }

  /** Takes writes. */
  apply({ rows, values }: Writes): void {
    for (let i = 0; i < rows.length; i++) this.#held[rows[i]!] = values[i]!;
  }

  /** Hash of looking rows up. */
  gets(rows: Uint32Array): number {
    return rows.reduce((hash, row) => foldBytes(hash, this.#data.values[this.#held[row]!]!, 0), 0);
  }

  /** Hash of a scan in key order. */
  scan(): number {
    const { dbs, chunks, values } = this.#data;
    const order = Array.from(dbs.keys()).sort((a, b) => dbs[a]! - dbs[b]! || chunks[a]! - chunks[b]!);
    return order.reduce((hash, row) => foldRow(hash, dbs[row]!, chunks[row]!, values[this.#held[row]!]!, 0), 0);
  }
}

function writing(data: DataSet, model: Model, count: number, round: number, run: (writes: Writes) => Promise<void>): Work {
  const writes = data.writes(count, round);
  model.apply(writes);
  return {
    run: () => run(writes).then(() => 0),
    expected: model.gets(writes.rows),
    written: writes.rows,
    operations: count,
  };
}

/** All workloads, in the order in which they run: those that read come first. */
export const WORKLOADS: readonly Workload[] = [
  {
    id: "S1",
    title: "random get, bytes viewed",
    unit: "gets/s",
    targets: [{ against: LMDB, must: 1.5, aim: 3 }],
    prepare(contender, data, model, { lookups }, round) {
      const rows = data.lookups(lookups, round);
      return { run: () => contender.gets!(rows), expected: model.gets(rows), operations: lookups };
    },
  },
  {
    id: "S2",
    title: "random get, decoded into an object",
    unit: "gets/s",
    targets: [{ against: LMDB, must: 1.5, aim: 3 }],
    prepare(contender, data, _model, { lookups }, round) {
      const rows = data.lookups(lookups, round);
      const expected = rows.reduce((hash, row) => {
        const record = chunkRecord(data, row);
        return foldRecord(hash, record.generation, record.sizeBytes, record.fileName, record.contentHash);
      }, 0);
      return { run: () => contender.records!(rows), expected, operations: lookups };
    },
  },
  {
    id: "S3",
    title: "full ordered scan",
    unit: "rows/s",
    targets: [{ against: LMDB, must: 2, aim: 5 }],
    prepare(contender, data, model, { scans }) {
      return {
        run() {
          let hash = 0;
          for (let i = 0; i < scans; i++) hash = contender.scan!();
          return hash;
        },
        expected: model.scan(),
        operations: scans * data.count,
      };
    },
  },
  {
    id: "S4",
    title: "durable one-operation commits, one after another",
    unit: "commits/s",
    targets: [{ against: [], must: 1.5, aim: 2.2 }, { against: [RAW], must: 0.7, aim: 0.9 }],
    prepare: (contender, data, model, { commits }, round) =>
      writing(data, model, commits, round, (writes) => contender.commitEach!(writes)),
  },
  {
    id: "S5",
    title: "one-operation commits issued together, all durable",
    unit: "commits/s",
    targets: [{ against: LMDB, must: 1, aim: 2.5 }],
    prepare: (contender, data, model, { together }, round) =>
      writing(data, model, together, round, (writes) => contender.commitTogether!(writes)),
  },
  {
    id: "S6",
    title: `durable batches of ${BATCH_ROWS}`,
    unit: "operations/s",
    targets: [{ against: [], must: 3, aim: 6 }],
    prepare: (contender, data, model, { batches }, round) =>
      writing(data, model, batches * BATCH_ROWS, round, (writes) => contender.commitBatches(writes, BATCH_ROWS)),
  },
];
