// Stage: damage. Every byte of a small file that holds every kind of page, whole blocks, journal groups, and files that are cut, longer, or not ours. The machinery is in tests/support/damage/.
import { Corruption } from "../support/damage/corruption.ts";
import type { Stage } from "./stage.ts";

/** Damaged files: every answer is right, or an error that names the place. */
export const stage: Stage = {
  name: "corruption",
  title: "Every byte and every block of a file that holds every kind of page damaged: absorbed, or named, and never answered as data",
  parts: 4,
  seed: 1,
  targets: {
    "damaged bytes × patterns": 350_000,
    "damaged bytes of an index page × patterns": 12_288,
    "block cases": 7_500,
    "journal cases": 1_500,
    "cut, longer and foreign files": 30_000,
  },
  async run(run) {
    await (await Corruption.make(run.seed)).run(run);
  },
  async replay(flags) {
    await (await Corruption.make(Number(flags.seed ?? 1))).replay(flags.case ?? "");
  },
};
