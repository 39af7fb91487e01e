// A numbered history of transactions: number N and everything in it follow from a seed, so that whoever finds a file that holds N changes knows every row in it.
import type { ManifestTxn } from "../../mod.ts";
import { type PlannedValue, type Rows, valueBytes } from "./proof_plan.ts";
import { planTable } from "./proof_run.ts";
import { seeded } from "./random.ts";

/** The table that the history is about. */
export const HISTORY = "history";

/** One row written, or deleted when there is no value. */
export interface HistoryOp {
  readonly key: string;
  readonly value: PlannedValue | undefined;
}

/** What the history's transactions are like. */
export interface HistoryShape {
  readonly keys: number;
  /** Length of the longest value; one transaction in `bigEvery` has one. */
  readonly longest: number;
  readonly bigEvery: number;
  /** One transaction in so many is a batch of a few hundred rows. */
  readonly batchEvery: number;
}

/** The usual shape. */
export const HISTORY_SHAPE: HistoryShape = { keys: 600, longest: 300_000, bigEvery: 25, batchEvery: 25 };

/** The operations of transaction `number`, from 1 on. */
export function historyOps(seed: number, number: number, shape: HistoryShape = HISTORY_SHAPE): HistoryOp[] {
  const random = seeded(seed).fork(number);
  const big = random.int(shape.bigEvery) === 0;
  const count = !big && random.int(shape.batchEvery) === 0 ? random.between(100, 400) : random.between(1, 5);
  return Array.from({ length: count }, (_, i): HistoryOp => {
    const key = `key ${random.int(shape.keys)}`;
    if (random.chance(0.2)) return { key, value: undefined };
    const length = big && i === 0 ? random.int(shape.longest) : random.int(300);
    return { key, value: { seed: random.u32(), length } };
  });
}

/** Puts a transaction's operations into a transaction. */
export function stageHistory(txn: ManifestTxn, ops: readonly HistoryOp[]): ManifestTxn {
  const table = planTable(HISTORY);
  for (const { key, value } of ops) {
    if (value) txn.put(table, [key], { data: valueBytes(value) });
    else txn.delete(table, [key]);
  }
  return txn;
}

/** The rows after the first `count` transactions. */
export function historyRows(seed: number, count: number, shape: HistoryShape = HISTORY_SHAPE): Rows {
  const rows: Rows = new Map();
  for (let number = 1; number <= count; number++) {
    for (const { key, value } of historyOps(seed, number, shape)) {
      if (value) rows.set(key, value);
      else rows.delete(key);
    }
  }
  return rows;
}
