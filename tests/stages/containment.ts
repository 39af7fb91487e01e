// Stage T6: the kernel stays in its memory, agrees with other implementations, and is thrown away when it traps.
import { differential } from "../support/containment/differential.ts";
import { leftovers } from "../support/containment/leftovers.ts";
import { COMMIT_WORKLOADS } from "../support/containment/commit_workloads.ts";
import type { Trap } from "../support/containment/trap_plan.ts";
import { commitCalls, runTrap, TRAP_WORKLOADS, trapCalls } from "../support/containment/trap_run.ts";
import { Seen } from "../support/io_errors/subject.ts";
import { isMine, type Stage, type StageRun } from "./stage.ts";

const CALLS = "differential calls";
const POINTS = "trap points";
const COMMITS = "calls of a commit trapped, every one, before and behind";
/** Beyond commits, calls of a function that trap in one workload: the first three, then every second as far. */
const GATE_POINTS = 7;
const GATE_ROUNDS = 1200;

/** Makes one call trap; whether it did, and everything was as it must be. */
async function trapOne({ report, seed }: StageRun, workload: string, trap: Trap, seen: Seen): Promise<boolean> {
  const { name: fn, call } = trap;
  const after = trap.after ? 1 : 0;
  const flags = { what: "trap", workload, fn, call, after, seed };
  report.begin(flags);
  try {
    const { outcomes, where } = await runTrap(workload, trap, seed, seen);
    report.cell("traps", workload, where);
    for (const [outcome, commits] of Object.entries(outcomes)) if (commits > 0) report.cell("commits", workload, outcome, commits);
    return true;
  } catch (error) {
    const text = `${workload}, trap ${trap.after ? "behind" : "before"} call ${call} of ${fn}, seed ${seed}: ${describe(error)}`;
    report.fail(text, flags);
    return false;
  }
}

/** Every call of the small workloads, no sample. */
async function commits(run: StageRun): Promise<void> {
  const { report, seed } = run;
  report.count(COMMITS, 0);
  let number = 0;
  for (const workload of Object.keys(COMMIT_WORKLOADS)) {
    const seen = new Seen();
    for (const call of await commitCalls(workload, seed)) {
      for (const after of [false, true]) {
        if (isMine(run, number++) && await trapOne(run, workload, { ...call, after }, seen)) report.count(COMMITS);
      }
    }
  }
}

async function traps(run: StageRun): Promise<void> {
  const { report, seed, size } = run;
  const functions = new Set<string>();
  let number = 0;
  for (const name of TRAP_WORKLOADS) {
    const calls = await trapCalls(name, seed);
    const seen = new Seen();
    for (const [fn, count] of calls) {
      functions.add(fn);
      const most = size === "gate" ? GATE_POINTS : 24;
      for (let call = 1, point = 0; call <= count && point < most; call = call < 3 ? call + 1 : Math.ceil(call * 1.7), point++) {
        if (!isMine(run, number++)) continue;
        const after = (point + seed) % 2 === 1;
        await trapOne(run, name, { name: fn, call, after }, seen);
        report.count(POINTS);
      }
    }
  }
  if (run.part === 0) report.count("exported functions that trap", functions.size);
}

async function comparisons(run: StageRun): Promise<void> {
  const { report, size } = run;
  const first = size === "gate" ? 0 : run.seed * 8 * GATE_ROUNDS;
  const rounds = size === "gate" ? GATE_ROUNDS : 8 * GATE_ROUNDS;
  for (let seed = first; seed < first + rounds; seed++) {
    if (!isMine(run, seed)) continue;
    report.begin({ what: "differential", seed });
    try {
      for (const [what, calls] of Object.entries(await differential(seed))) {
        report.cell("calls compared", what, "calls", calls);
        report.count(CALLS, calls);
      }
    } catch (error) {
      report.fail(`differential, seed ${seed}: ${describe(error)}`, { what: "differential", seed });
    }
  }
}

async function memories(run: StageRun): Promise<void> {
  const { report, seed } = run;
  for (const [number, name] of TRAP_WORKLOADS.entries()) {
    if (!isMine(run, number)) continue;
    report.begin({ what: "leftovers", workload: name, seed });
    try {
      report.count("bytes written alike from clean and from dirty memory", await leftovers(name, seed));
    } catch (error) {
      report.fail(`${name}, leftovers, seed ${seed}: ${describe(error)}`, { what: "leftovers", workload: name, seed });
    }
  }
}

function describe(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return (error as Error).message + (cause instanceof Error ? ` (because: ${cause.message})` : "");
}

/** The stage. */
export const stage: Stage = {
  name: "containment",
  title:
    "Containment: traps at every exported call of commits and at calls of everything else, kernels against references, nothing left over in the file",
  parts: 2,
  seed: 31,
  targets: {
    [POINTS]: 2000,
    [COMMITS]: 1140, // exactly all: one that does not trap as it must is missing
    "exported functions that trap": 70,
    [CALLS]: 200_000,
    "bytes written alike from clean and from dirty memory": 1 << 20,
  },
  async run(run) {
    await commits(run);
    await traps(run);
    await comparisons(run);
    await memories(run);
  },
  async replay({ what, workload, fn, call, after, seed }) {
    const given = Number(seed ?? this.seed);
    if (what === "differential") await differential(given);
    else if (what === "leftovers" && workload !== undefined) await leftovers(workload, given);
    else if (what === "trap" && workload !== undefined && fn !== undefined) {
      await runTrap(workload, { name: fn, call: Number(call), after: after === "1" }, given, new Seen());
    } else {throw new Error(
        "Cannot replay: --what trap --workload --fn --call --after, --what leftovers --workload, or --what differential --seed",
      );}
  },
};
