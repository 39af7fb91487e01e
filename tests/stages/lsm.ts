// Crashes of the example engine: every workload is crashed at every call of its disk and its folder, flushes and compactions included; what this can leave is built image by image, opened, and held against the writes that
// were acknowledged. See tests/support/lsm/.
import { type Effort, explore, judgeAgain, type Seen } from "../support/lsm/explore.ts";
import { runWorkload, type Workload, WORKLOADS } from "../support/lsm/workloads.ts";
import type { StageReport } from "./report.ts";
import { isMine, type Stage, type StageRun } from "./stage.ts";

const GATE: Effort = { images: 20, beforeEvery: 8, goesOnEvery: 40, twiceEvery: 50, nestedEvery: 60, nestedDepth: 1 };
const SOAK: Effort = { images: 40, beforeEvery: 2, goesOnEvery: 10, twiceEvery: 12, nestedEvery: 15, nestedDepth: 3 };

/** Every third workload has a device with sectors of 4096 bytes. */
const sectorOf = (index: number): number => index % 3 === 2 ? 4096 : 512;

async function attack(index: number, seed: number, effort: Effort, seen: Seen, report: StageReport): Promise<void> {
  const { name }: Workload = WORKLOADS[index]!;
  report.begin({ workload: name, seed });
  const subject = await runWorkload(WORKLOADS[index]!, seed, sectorOf(index));
  await explore(subject, seed, effort, seen, {
    judging: ({ at, image }) => report.begin({ workload: name, seed, at, image }),
    point(phase) {
      report.count("crash points");
      if (phase === "flush") report.count("crash points of flushes");
      if (phase === "compaction") report.count("crash points of compactions");
      report.cell("crash points", name, phase);
    },
    judged(phase, { replayed, torn, orphans }, { goesOn, twice }, nested, known, fates) {
      report.count("crash images", 1 + nested);
      report.cell("images", name, phase);
      report.count(known ? "images with rows and files of another one" : "engines opened");
      if (fates.applied) report.count("images with changes of the manifest applied");
      if (fates.dropped) report.count("images with changes of the manifest dropped");
      if (fates.torn) report.count("images with changes of the manifest torn");
      if (replayed > 0) report.count("images with writes that were only in segments");
      if (torn) report.count("images with a torn segment");
      if (orphans > 0) report.count("images with orphans");
      if (goesOn) report.count("went on");
      if (twice) report.count("opened three times");
      report.count("crashes inside recovery", nested);
    },
    failed: (what, { at, image }) => report.fail(`${name}, crash after call ${at}: ${what}`, { workload: name, seed, at, image }),
  });
  report.count("workloads");
  report.count("looks of pinned readers", subject.readersChecked);
}

async function run({ seed, size, report, ...run }: StageRun): Promise<void> {
  const seen: Seen = new Map();
  for (const [index, { name }] of WORKLOADS.entries()) {
    if (!isMine({ seed, size, report, ...run }, index)) continue;
    try {
      await attack(index, seed + index, size === "gate" ? GATE : SOAK, seen, report);
    } catch (error) {
      report.fail(`${name}: ${error instanceof Error ? error.stack : error}`, { workload: name, seed: seed + index });
    }
  }
}

/** One image again, with everything that may be done to it: `--workload`, `--seed`, `--at`, `--image`; without a place the workload alone. */
async function replay(flags: Readonly<Record<string, string>>): Promise<void> {
  const index = WORKLOADS.findIndex(({ name }) => name === flags.workload);
  if (index < 0) throw new Error(`there is no workload "${flags.workload}": there are ${WORKLOADS.map(({ name }) => name).join("; ")}`);
  const seed = Number(flags.seed);
  const subject = await runWorkload(WORKLOADS[index]!, seed, sectorOf(index));
  if (flags.at !== undefined) await judgeAgain(subject, seed, { at: Number(flags.at), image: Number(flags.image) });
}

/** The stage. */
export const stage: Stage = {
  name: "lsm",
  title: "Crashes of the example engine at every call, its flushes and compactions included, and inside recovery",
  parts: 2,
  seed: 50_000,
  targets: {
    "crash images": 20_000,
    "engines opened": 7_500,
    "workloads": WORKLOADS.length,
    "crash points": 2_000,
    "crash points of flushes": 500,
    "crash points of compactions": 400,
    "crashes inside recovery": 4_000,
    "images with writes that were only in segments": 6_000,
    "images with a torn segment": 1_500,
    "images with changes of the manifest applied": 1_000,
    "images with changes of the manifest dropped": 400,
    "images with changes of the manifest torn": 2_200,
    "images with orphans": 5_000,
    "went on": 250,
    "opened three times": 200,
    "looks of pinned readers": 8,
  },
  run,
  replay,
};
