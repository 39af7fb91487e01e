// Table "metrics": what was measured, added up.
import { defineTable, f64, optional, type Table, u53 } from "../../schema/schema.ts";

/** Measurements of one kind, added up. */
export interface Metric {
  /** How many; stays at 2^53 − 1 once it is there. */
  count: number;
  /** Their sum. */
  sum: number;
  /** The least. */
  min?: number;
  /** The greatest. */
  max?: number;
}

/** What `mergeMetric` adds: one measurement, or several that were added up before. */
export interface MetricInput {
  /** How many. Default 1. */
  count?: number;
  /** Their sum. Default 0. */
  sum?: number;
  /** The least of them. */
  min?: number;
  /** The greatest of them. */
  max?: number;
}

/** Key: scope (a database, a component: the user's choice), kind of measurement. */
export const metrics: Table<[scope: number, kind: number], Metric> = defineTable({
  name: "metrics",
  key: [u53("scope"), u53("kind")],
  value: { count: u53(), sum: f64(), min: optional(f64()), max: optional(f64()) },
});
