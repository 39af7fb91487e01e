// Runs of the stage "containment": a workload in which one call of the kernel traps.
import { FaultPlan } from "../faulty_storage.ts";
import { runWorkload, settled, WORKLOADS } from "../io_errors/run.ts";
import { Seen } from "../io_errors/subject.ts";
import { COMMIT_WORKLOADS } from "./commit_workloads.ts";
import { type Trap, TrapPlan, withTraps } from "./trap_plan.ts";

/** Workloads in which kernels trap: together they call every function of the data path. */
export const TRAP_WORKLOADS: readonly string[] = [
  "creation",
  "groups",
  "explicit checkpoints",
  "commits beside a checkpoint",
  "oversized batch among others",
  "overflow values",
  "compaction",
  "recovery",
  "spilling",
  "without a journal",
  "reading beside",
  "transactions",
  "asynchronous transactions",
  "cursors",
  "transact",
  "reclaim",
  "recovery of a manifest",
];

/** Calls of each exported function that a workload makes without a trap. */
export async function trapCalls(name: string, seed: number): Promise<Map<string, number>> {
  const workload = WORKLOADS[name]!;
  const plan = new TrapPlan();
  const disk = await workload.disk();
  await withTraps(plan, async () => {
    const subject = workload.subject(disk, new FaultPlan(), [], seed);
    await settled(workload.run(subject));
    const counts = new Map(plan.counts);
    await settled(subject.finish(new Seen()));
    plan.counts.clear();
    for (const [export_, count] of counts) plan.counts.set(export_, count);
  });
  return plan.counts;
}

/** Every call that the commits and checkpoints of a small workload make, in order, from the moment at which the handle is open. */
export async function commitCalls(name: string, seed: number): Promise<Omit<Trap, "after">[]> {
  const workload = COMMIT_WORKLOADS[name]!;
  const plan = new TrapPlan();
  const disk = await workload.disk();
  const calls: Omit<Trap, "after">[] = [];
  await withTraps(plan, async () => {
    const subject = workload.subject(disk, new FaultPlan(), [], seed);
    plan.onCall = (name, call) => {
      if (subject.handle !== undefined) calls.push({ name, call });
    };
    await settled(workload.run(subject));
    plan.onCall = () => {};
    await settled(subject.finish(new Seen()));
  });
  return calls;
}

/** What a trap came to. */
export interface Trapped {
  readonly outcomes: Readonly<Record<"applied" | "not_applied" | "unknown", number>>;
  /** Where it happened: in the handle's instance, while opening it, or in an instance of its own. */
  readonly where: "open" | "opening" | "other";
}

/** Makes one call trap; throws unless everything is as it must be. */
export async function runTrap(name: string, trap: Trap, seed: number, seen: Seen): Promise<Trapped> {
  const workload = COMMIT_WORKLOADS[name] ?? WORKLOADS[name];
  if (workload === undefined) {
    throw new Error(`Cannot run "${name}": there are ${[...TRAP_WORKLOADS, ...Object.keys(COMMIT_WORKLOADS)].join(", ")}`);
  }
  const disk = await workload.disk();
  const plan = new TrapPlan(trap);
  return await withTraps(plan, async () => {
    const subject = workload.subject(disk, new FaultPlan(), ["CORE_TRAP"], seed);
    subject.traps = plan;
    await runWorkload(workload, subject);
    if (plan.trapped === 0) throw new Error("the call never came");
    const outcomes = {
      applied: subject.ledger.with("applied").length,
      not_applied: subject.ledger.with("not_applied").length,
      unknown: subject.ledger.with("unknown").length,
    };
    const where = subject.trappedWhere;
    await settled(subject.finish(seen));
    if (plan.calledBehind.length > 0) throw new Error(`called behind the trap: ${[...new Set(plan.calledBehind)].join(", ")}`);
    return { outcomes, where };
  });
}
