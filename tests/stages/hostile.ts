// Stage: forged files. Fields of every structure are changed and every checksum made right again, so that the code behind the checksums is met. The machinery is in tests/support/hostile/.
import { Hostile, MUTATOR_COUNT } from "../support/hostile/hostile.ts";
import type { Stage } from "./stage.ts";

const GATE = 102_000;
const SOAK = 50_000;

/** Forged files: each call ends, in bounded steps and memory, with an answer or a typed error. */
export const stage: Stage = {
  name: "hostile",
  title: "Forged files whose checksums are right: no hang, no trap, no unbounded memory, no untyped error",
  parts: 4,
  seed: 1,
  targets: { "forged files": 100_000, "mutators that reached the code behind the checksums": MUTATOR_COUNT },
  async run(run) {
    await (await Hostile.make(run.seed)).run(run, run.size === "gate" ? GATE : SOAK);
  },
  async replay(flags) {
    await (await Hostile.make(Number(flags.seed ?? 1))).one(Number(flags.case));
  },
};
