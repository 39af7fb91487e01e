// Operations that change a number where it stands: metrics, generations, reference counts. The change shows the result, so that applying it twice is applying it once.
import { failRange, failType } from "../../errors.ts";
import { type OperationKind, tagOf } from "../write/operation.ts";
import { type GenerationRecord, generations } from "../tables/generations.ts";
import { type Metric, type MetricInput, metrics } from "../tables/metrics.ts";
import { objectKey, refcounts, type StoredObject } from "../tables/refcounts.ts";
import { componentsOf, numberOf, objectOf, rowOf } from "./rows.ts";

const MOST = Number.MAX_SAFE_INTEGER;

function whole(what: string, field: string, value: unknown, least: number): number {
  if (typeof value !== "number") failType(`Cannot ${what}: ${field} is not a number`, { field });
  if (!Number.isSafeInteger(value) || value < least) {
    failRange(`Cannot ${what}: ${field} is not a whole number${least === 0 ? " from 0 on" : ""}`, { field });
  }
  return value;
}

function finite(field: string, value: unknown): number {
  if (typeof value !== "number") failType(`Cannot merge a metric: ${field} is not a number`, { field });
  if (!Number.isFinite(value)) failRange(`Cannot merge a metric: ${field} is not finite`, { field });
  return value;
}

function meet(a: number | undefined, b: number | undefined, pick: (a: number, b: number) => number): number | undefined {
  return a === undefined ? b : b === undefined ? a : pick(a, b);
}

/** Adds to a metric; absent, it begins as the delta is. */
export const MERGE_METRIC: OperationKind = {
  name: "mergeMetric",
  tag: tagOf("mergeMetric"),
  stage(staging, _table, key, value) {
    const [scope, kind] = componentsOf<[number, number]>(metrics, key, 2);
    const input = objectOf<MetricInput>(metrics, value, "a metric");
    const count = whole("merge a metric", "count", input.count ?? 1, 0);
    const sum = finite("sum", input.sum ?? 0);
    const min = input.min === undefined ? undefined : finite("min", input.min);
    const max = input.max === undefined ? undefined : finite("max", input.max);
    if (min !== undefined && max !== undefined && min > max) failRange("Cannot merge a metric: min is greater than max", { field: "min" });
    const before: Metric = rowOf(staging, metrics, scope, kind, key) ?? { count: 0, sum: 0 };
    const merged: Metric = {
      count: Math.min(MOST, before.count + count),
      sum: before.sum + sum,
      min: meet(before.min, min, Math.min),
      max: meet(before.max, max, Math.max),
    };
    if (!Number.isFinite(merged.sum)) failRange("Cannot merge a metric: the sum would not be finite", { field: "sum" });
    staging.put(staging.bind(metrics), key, merged, this.tag, false);
    if (staging.many) staging.pending(metrics).set(scope, kind, merged);
  },
};

/** What `bumpGeneration` is given. */
export interface Bump {
  readonly increment: number;
  readonly at: number | undefined;
}

/** Raises a generation; it stays at 2^53 − 1 once it is there. */
export const BUMP_GENERATION: OperationKind = {
  name: "bumpGeneration",
  tag: tagOf("bumpGeneration"),
  stage(staging, _table, key, value) {
    const component = numberOf(key);
    const { increment, at } = value as Bump;
    whole("bump a generation", "increment", increment, 0);
    const before = rowOf(staging, generations, component, 0, key)?.generation ?? 0;
    const record: GenerationRecord = { generation: Math.min(MOST, before + increment), updatedAt: at ?? staging.now };
    staging.put(staging.bind(generations), key, record, this.tag, false);
    if (staging.many) staging.pending(generations).set(component, 0, record);
    staging.bumped(component, record.generation);
  },
};

/** Adds to the uses of a stored object that no snapshot stands for. */
export const ADJUST_REFCOUNT: OperationKind = {
  name: "adjustRefcount",
  tag: tagOf("adjustRefcount"),
  stage(staging, _table, key, value) {
    const object = objectOf<StoredObject>(refcounts, key, "a reference count");
    for (const field of ["originDb", "chunkId", "generation"] as const) whole("adjust a reference count", field, object[field], 0);
    if (object.deltaId !== undefined) whole("adjust a reference count", "deltaId", object.deltaId, 0);
    const row = staging.refcounts.adjust(object, whole("adjust a reference count", "delta", value, -MOST));
    // Shown in the change; the row itself and the list of what may be collected follow when the whole transaction is known.
    staging.put(staging.bind(refcounts), objectKey(object), row, this.tag, false);
  },
};
