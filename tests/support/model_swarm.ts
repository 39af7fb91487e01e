// Shapes of the store's model drawn from a seed: small files, short runs, features on and off.
import { CLOCK_HABITS } from "./model_clock.ts";
import type { KeyStyle } from "./model_keys.ts";
import { type Shape, WEIGHTS } from "./model_shapes.ts";
import { seeded } from "./random.ts";
import { swarmCaches, swarmDurability, swarmPageSize, swarmWeights } from "./swarm.ts";

const KIB = 1 << 10;
const STYLES: readonly KeyStyle[] = ["numbers", "paths", "short", "groups", "long", "growing"];

/** The shape of a seed. */
export function swarmShape(seed: number): Shape {
  const random = seeded(seed).fork(1);
  const pageSize = swarmPageSize(random);
  const faults = random.chance(0.6);
  const weights = swarmWeights(
    random,
    {
      ...WEIGHTS,
      crash: 12,
      checkpoint: 10,
      hold: 10,
      release: 8,
      rows: 40,
      range: 30,
      group: 80,
      fault: 14,
      breakdown: 6,
      fork: 4,
      time: 8,
    },
    ["commit"],
    0.3,
  );
  const longest = random.pick([200, 1200, 5000, 5000, 30_000, 90_000]);
  return {
    seed,
    operations: random.between(200, 800),
    options: {
      pageSize,
      ...swarmDurability(random),
      ...random.chance(0.1) ? { groupWindow: 2 } : {},
      ...random.chance(0.2) ? { idleCheckpoint: random.pick([50, 400]) } : {},
      maxTransactionBytes: random.pick([1, 4]) * KIB * KIB,
    },
    caches: swarmCaches(random, pageSize),
    styles: random.shuffle([...STYLES]).slice(0, random.between(1, STYLES.length)),
    space: random.pick([30, 300, 2000]),
    tables: random.between(1, 5),
    operationsEach: random.pick([3, 12, 30]),
    operationsMany: random.pick([12, 60, 250]),
    lengths: [[random.int(30), 0], [60, 120], [random.int(25), 1200], [longest > 5000 ? 2 : 5, longest]],
    weights: faults ? weights : { ...weights, fault: 0, breakdown: 0 },
    slow: random.chance(0.1),
    clock: random.pick(CLOCK_HABITS),
    disk: true,
  };
}
