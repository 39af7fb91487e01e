// Runs of the stage "io_errors": a workload without a fault tells which calls there are; then each of them fails in every way that it can.
import type { FaultKind } from "../faulty_storage.ts";
import { FaultPlan } from "../faulty_storage.ts";
import type { DiskCall } from "../disk/call_log.ts";
import { recycling } from "../kernel_pool.ts";
import { faultAt, FAULTS } from "./faults.ts";
import { MANIFEST_WORKLOADS } from "./manifest_workloads.ts";
import { STORE_WORKLOADS } from "./store_workloads.ts";
import { Enough, Seen } from "./subject.ts";
import type { AnySubject, Workload } from "./workload.ts";

/** Every workload, by the name that `--workload` takes. */
export const WORKLOADS: Readonly<Record<string, Workload>> = { ...STORE_WORKLOADS, ...MANIFEST_WORKLOADS };

function workloadNamed(name: string): Workload {
  const workload = WORKLOADS[name];
  if (workload === undefined) throw new Error(`Cannot run "${name}": there are ${Object.keys(WORKLOADS).join(", ")}`);
  return workload;
}

/** A promise that is not settled behind so many turns of the microtask queue never will be: nothing here waits for anything else. */
const PATIENCE = 1_000_000;

/** Runs to the end, or throws when it never settles. */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  let over = false;
  const end = (): void => void (over = true);
  promise.then(end, end);
  for (let turns = 0; !over; turns++) {
    if (turns === PATIENCE) throw new Error("a promise never settles");
    await null;
  }
  return await promise;
}

/** Runs a workload to its end, or until it has gone on for long enough behind the failure. */
export async function runWorkload(workload: Workload, subject: AnySubject): Promise<void> {
  try {
    await settled(workload.run(subject));
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
}

/** A workload without a fault: the kinds of all calls that it makes, the end included, and what it did to the disk. */
export async function survey(name: string, seed: number): Promise<{ calls: readonly FaultKind[]; log: readonly DiskCall[] }> {
  const workload = workloadNamed(name);
  const plan = new FaultPlan();
  plan.calls = [];
  const subject = workload.subject(await workload.disk(), plan, [], seed);
  await settled(workload.run(subject));
  const { calls } = plan;
  plan.calls = undefined;
  await settled(subject.finish(new Seen()));
  return { calls, log: subject.disk.log };
}

/** What one run came to. */
export interface Ran {
  /** Outcomes of its commits. */
  readonly outcomes: Readonly<Record<"applied" | "not_applied" | "unknown", number>>;
  readonly handle: "ok" | "read_only" | "closed";
}

/** Makes one call fail; throws unless everything is as it must be. */
export function runFault(name: string, fault: string, at: number, seed: number, seen: Seen): Promise<Ran> {
  return recycling(() => runOnce(name, fault, at, seed, seen));
}

async function runOnce(name: string, fault: string, at: number, seed: number, seen: Seen): Promise<Ran> {
  const workload = workloadNamed(name);
  const plan = new FaultPlan(faultAt(fault, at));
  const subject = workload.subject(await workload.disk(), plan, FAULTS[fault]!.codes, seed);
  await runWorkload(workload, subject);
  if (plan.failed === 0) throw new Error("the call never came");
  const before = {
    applied: subject.ledger.with("applied").length,
    not_applied: subject.ledger.with("not_applied").length,
    unknown: subject.ledger.with("unknown").length,
  };
  return { outcomes: before, handle: await settled(subject.finish(seen)) };
}
