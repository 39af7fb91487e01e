// Crashes: every workload is crashed at every call of its disk, what this can leave is built image by image, opened, and held against the state that was recorded. See tests/support/crash/.
import { type Effort, explore, judgeAgain, type Seen } from "../support/crash/explore.ts";
import { MANIFEST_WORKLOADS } from "../support/crash/manifest_workloads.ts";
import { STORE_WORKLOADS } from "../support/crash/store_workloads.ts";
import { runWorkload, type Workload } from "../support/crash/workload.ts";
import type { RecoveryReport } from "../../src/store/store.ts";
import type { StageReport } from "./report.ts";
import { isMine, type Stage, type StageRun } from "./stage.ts";

const WORKLOADS: readonly Workload[] = [...STORE_WORKLOADS, ...MANIFEST_WORKLOADS];
const OUTCOMES = ["clean", "created", "replayed", "cut", "rebuilt", "repaired"] as const;

/** What a round does at each crash point. Large files cost more and get fewer images. */
const GATE: Effort = { everyState: true, images: 580, nestedEvery: 60, nestedDepth: 1, slots: 6, looksEvery: 100, lies: 2, lost: 2 };
const SOAK: Effort = { everyState: true, images: 1500, nestedEvery: 10, nestedDepth: 3, slots: 12, looksEvery: 80, lies: 8, lost: 4 };
const LARGE = 600_000;
const LARGE_SHARE = 0.1;

/** Every third workload has a device with sectors of 4096 bytes. */
const sectorOf = (index: number): number => index % 3 === 2 ? 4096 : 512;

/** Whether no workload before this one begins with the same file: then the images of its first opening are its own. */
function isFirst(index: number): boolean {
  const { level, pageSize, creates } = WORKLOADS[index]!;
  const same = (one: Workload): boolean => one.level === level && one.pageSize === pageSize && !one.creates;
  return creates === true || WORKLOADS.findIndex(same) === index;
}

function outcomesOf({ clean, created, frames, cut, rebuilt, repairedSlots }: RecoveryReport): (typeof OUTCOMES)[number][] {
  const is = {
    clean,
    created,
    replayed: frames > 0,
    cut: cut !== undefined,
    rebuilt: rebuilt.length > 0,
    repaired: repairedSlots.length > 0,
  };
  return OUTCOMES.filter((outcome) => is[outcome]);
}

async function attack(index: number, seed: number, effort: Effort, seen: Seen, lies: Set<number>, report: StageReport): Promise<void> {
  const { name } = WORKLOADS[index]!;
  const subject = await runWorkload(WORKLOADS[index]!, seed, sectorOf(index));
  const isLarge = subject.segments.some(({ disk }) => disk.longest > LARGE);
  const images = Math.ceil(effort.images * (isLarge ? LARGE_SHARE : 1));
  const tallies = await explore(subject as never, seed, { ...effort, images }, seen, lies, isFirst(index), {
    judging: ({ at, image, lost }) => report.begin({ workload: name, seed, at, image, lost }),
    point(looked) {
      report.count("crash points");
      if (looked === 0) report.fail(`${name}: no image of a crash point`, { workload: name, seed });
    },
    judged(recovery, isNew) {
      if (!isNew) return;
      report.count("crash images");
      report.cell("workload", name, "images");
      for (const outcome of outcomesOf(recovery)) {
        report.count(`images ${outcome}`);
        report.cell("workload", name, outcome);
      }
    },
    lied(outcome) {
      report.count("images of a lying device");
      report.cell("lying device", name, outcome);
    },
    failed: (what, { at, image, lost }) =>
      report.fail(`${name}, crash after call ${at}: ${what}`, { workload: name, seed, at, image, lost }),
  });
  report.count("workloads");
  for (const tally of tallies) {
    report.count("openings crashed", tally.openings);
    report.count("crash points inside recovery", tally.nestedPoints);
    report.count("crashes inside recovery", tally.nested);
    report.count("crashes behind half-written meta slots", tally.slots);
    report.count("opened for reading only, nothing written", tally.readOnly);
    report.count("opened three times", tally.twice);
    report.count("compared with the reference", tally.references);
  }
}

async function run({ seed, size, report, ...run }: StageRun): Promise<void> {
  const seen: Seen = new Map();
  const lies = new Set<number>();
  for (let index = 0; index < WORKLOADS.length; index++) {
    if (!isMine({ seed, size, report, ...run }, index)) continue;
    await attack(index, seed + index, size === "gate" ? GATE : SOAK, seen, lies, report);
  }
}

/** One image again, with everything that may be done to it: `--workload`, `--seed`, `--at`, `--image`, and `--lost` syncs of a device that lies. */
async function replay(flags: Readonly<Record<string, string>>): Promise<void> {
  const index = WORKLOADS.findIndex(({ name }) => name === flags.workload);
  if (index < 0) throw new Error(`there is no workload "${flags.workload}": there are ${WORKLOADS.map(({ name }) => name).join("; ")}`);
  const seed = Number(flags.seed);
  const subject = await runWorkload(WORKLOADS[index]!, seed, sectorOf(index));
  if (flags.at === undefined) return;
  await judgeAgain(subject as never, seed, { at: Number(flags.at), image: Number(flags.image), lost: Number(flags.lost ?? 0) });
}

/** The stage. */
export const stage: Stage = {
  name: "crash",
  title: "Crashes at every call of every workload, and inside recovery",
  parts: 6,
  seed: 20_000,
  targets: {
    "crash images": 300_000,
    "workloads": 40,
    "crash points": 4_000,
    "crashes inside recovery": 30_000,
    "crashes behind half-written meta slots": 6_000,
    "images of a lying device": 10_000,
    ...Object.fromEntries(OUTCOMES.map((outcome) => [`images ${outcome}`, 50])),
  },
  run,
  replay,
};
