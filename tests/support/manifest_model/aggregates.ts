// Operations on metrics, generations and remote namespaces, as their documentation has them.
import type { Metric, MetricInput, RemoteNamespaceInput } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";
import { refuse } from "./state.ts";

const MOST = Number.MAX_SAFE_INTEGER;

export function mergeMetric(key: readonly [number, number], input: MetricInput): ModelOperation {
  return {
    name: "mergeMetric",
    add: (txn) => txn.mergeMetric(key, input),
    apply(state) {
      const before = state.metrics.get(...key);
      const sum = (before?.sum ?? 0) + (input.sum ?? 0);
      if (!Number.isFinite(sum)) refuse("INVALID_ARGUMENT");
      const least = [before?.min, input.min].filter((one) => one !== undefined);
      const greatest = [before?.max, input.max].filter((one) => one !== undefined);
      const row: Metric = {
        count: Math.min(MOST, (before?.count ?? 0) + (input.count ?? 1)),
        sum,
        min: least.length === 0 ? undefined : Math.min(...least),
        max: greatest.length === 0 ? undefined : Math.max(...greatest),
      };
      state.metrics.set(key, row);
      state.show("mergeMetric", "metrics", key, row);
    },
  };
}

export function bumpGeneration(component: number, increment: number | undefined, at: number | undefined): ModelOperation {
  return {
    name: "bumpGeneration",
    add: (txn) => txn.bumpGeneration(component, increment, at),
    apply(state) {
      if (increment === 0) return;
      const generation = Math.min(MOST, (state.generations.get(component)?.generation ?? 0) + (increment ?? 1));
      const row = { generation, updatedAt: at ?? state.now };
      state.generations.set([component], row);
      state.generationsBumped[component] = generation;
      state.show("bumpGeneration", "generation_watermarks", [component], row);
    },
  };
}

export function putRemoteNamespace(namespace: number, input: RemoteNamespaceInput): ModelOperation {
  return {
    name: "putRemoteNamespace",
    add: (txn) => txn.putRemoteNamespace(namespace, input),
    apply(state) {
      const row = { ...input, prefix: input.prefix ?? "" };
      state.namespaces.set([namespace], row);
      state.show("putRemoteNamespace", "remote_namespaces", [namespace], row);
    },
  };
}

export function deleteRemoteNamespace(namespace: number): ModelOperation {
  return {
    name: "deleteRemoteNamespace",
    add: (txn) => txn.deleteRemoteNamespace(namespace),
    apply(state) {
      state.namespaces.delete(namespace);
      state.show("deleteRemoteNamespace", "remote_namespaces", [namespace]);
    },
  };
}
