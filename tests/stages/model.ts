// T4: the store and the complete manifest against references in memory, in many short seeded runs. Each seed draws its own shape: what is done how often, page size, cache, durability, faults, the clock.
import { COVERAGE } from "../support/manifest_model/coverage.ts";
import { type ModelCase, modelFlags, runModel } from "../support/model_runs.ts";
import { STORE_COVERAGE, SWARM_COVERAGE } from "../support/model_coverage.ts";
import { isMine, type Stage, type StageRun } from "./stage.ts";

const SEEDS = 2010;
/** Of 20 seeds so many are the manifest's. */
const MANIFESTS = 11;
/** Cases of a round of a soak. */
const SOAK_SEEDS = 400;

function caseOf(seed: number, index: number): ModelCase {
  return { kind: index % 20 < MANIFESTS ? "manifest" : "store", seed: seed + index };
}

async function runCase({ report }: StageRun, one: ModelCase): Promise<void> {
  report.begin(modelFlags(one));
  try {
    const { operations, commits, reads, reached } = await runModel(one);
    report.count("seeds");
    report.count("model operations", operations);
    report.count(`${one.kind} operations`, operations);
    report.count("commits", commits);
    report.count("comparisons", reads);
    for (const [what, times] of reached) {
      if (REACHED.has(`${one.kind} · ${what}`)) report.count(`${one.kind} · ${what}`, times);
    }
  } catch (error) {
    report.fail(error instanceof Error ? error.message : String(error), modelFlags(one));
  }
}

/** What all seeds together must come across. */
const REACHED: ReadonlySet<string> = new Set([
  ...COVERAGE.map((what) => `manifest · ${what}`),
  ...SWARM_COVERAGE.map((what) => `manifest · ${what}`),
  ...STORE_COVERAGE.map((what) => `store · ${what}`),
]);

/** The stage. */
export const stage: Stage = {
  name: "model",
  title: "Seeds of both models: every state equals the reference, through crashes, faults and reopenings",
  parts: 2,
  seed: 1_000_000,
  targets: {
    "seeds": 2000,
    "model operations": 1_000_000,
    "manifest operations": 500_000,
    "commits": 100_000,
    ...Object.fromEntries([...REACHED].map((what) => [what, 1])),
  },
  async run(run) {
    for (const what of REACHED) run.report.count(what, 0);
    const seeds = run.size === "soak" ? SOAK_SEEDS : SEEDS;
    for (let index = 0; index < seeds; index++) if (isMine(run, index)) await runCase(run, caseOf(run.seed, index));
  },
  async replay({ kind, seed, shape, operations }) {
    const { operations: done, commits, reads } = await runModel({
      kind: kind as ModelCase["kind"],
      seed: Number(seed),
      ...shape === undefined ? {} : { shape },
      ...operations === undefined ? {} : { operations: Number(operations) },
    });
    console.log(`${done} operations, ${commits} transactions, ${reads} comparisons`);
  },
};
