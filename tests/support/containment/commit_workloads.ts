// Small workloads of which every call traps: commits alone and in groups, a checkpoint between them, in both ways to sync.
import type { SyncMode } from "../../../mod.ts";
import { closed as closedManifest, workload as manifestWorkload } from "../io_errors/manifest_workloads.ts";
import { closed as closedStore, workload as storeWorkload } from "../io_errors/store_workloads.ts";
import type { Workload } from "../io_errors/workload.ts";

function ofStore(syncMode: SyncMode): Workload {
  return storeWorkload(async (subject) => {
    const bytes = (length: number): Uint8Array => subject.random.bytes(length);
    await subject.start({ syncMode });
    await subject.put([["key1", bytes(40)]]);
    await subject.put([["new", bytes(9000)]], ["key3"]);
    await Promise.all([subject.put([["a", bytes(300)]]), subject.put([["b", bytes(300)]], ["a"]), subject.put([["a", bytes(20)]])]);
    await subject.attempt(() => subject.open.checkpoint());
    await subject.put([["new", bytes(50)]]);
  }, closedStore);
}

function ofManifest(syncMode: SyncMode): Workload {
  return manifestWorkload(async (subject, plans) => {
    await subject.start({ syncMode });
    await subject.transaction(plans[0]!);
    await Promise.all(plans.slice(1, 3).map((plan) => subject.transaction(plan)));
    await subject.attempt(() => subject.open.checkpoint());
    await subject.transaction(plans[3]!);
  }, closedManifest);
}

/** By name. */
export const COMMIT_WORKLOADS: Readonly<Record<string, Workload>> = {
  "commits of a store": ofStore("inline"),
  "commits of a store, asynchronous": ofStore("async"),
  "transactions of a manifest": ofManifest("inline"),
  "transactions of a manifest, asynchronous": ofManifest("async"),
};
