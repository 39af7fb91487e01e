// Shapes of the model of a manifest drawn from a seed: few ids, short runs, features on and off.
import { CLOCK_HABITS } from "../model_clock.ts";
import { seeded } from "../random.ts";
import { swarmCaches, swarmDurability, swarmPageSize, swarmWeights } from "../swarm.ts";
import { ACTIONS, FAMILIES, type Shape } from "./shapes.ts";

const MIB = 1 << 20;

/** The shape of a seed. */
export function swarmShape(seed: number): Shape {
  const random = seeded(seed).fork(1);
  const pageSize = swarmPageSize(random);
  const faults = random.chance(0.6);
  const actions = swarmWeights(
    random,
    { ...ACTIONS, transact: 60, compare: 3, crash: 8, fault: 8, breakdown: 5, reclaim: 26, check: 1, reopen: 2, readOnly: 2 },
    ["commit"],
    0.25,
  );
  const [changes, bytes] = random.pick([[100, 64 * MIB], [20, 64 * MIB], [0, 1 << 14], [1000, 1 << 14], [300, 64 * MIB]] as const);
  return {
    seed,
    operations: random.between(200, 750),
    options: {
      pageSize,
      ...swarmDurability(random),
      ...random.chance(0.05) ? { groupWindow: 2 } : {},
      ...random.chance(0.2) ? { idleCheckpoint: random.pick([50, 400]) } : {},
      ...random.chance(0.2) ? { changeCache: false } : {},
      ...random.chance(0.3) ? { lagWarning: random.pick([1, 10, 50]) } : {},
      maxTransactionBytes: random.pick([1, 4]) * MIB,
      logRetention: { changes, bytes },
    },
    caches: swarmCaches(random, pageSize),
    databases: random.between(2, 8),
    chunks: random.pick([3, 6, 20]),
    generations: random.between(2, 4),
    snapshots: random.between(2, 6),
    jobs: random.pick([5, 30, 80]),
    most: random.pick([4, 8, 20]),
    longest: random.pick([60, 300, 300, 5000]),
    wrong: random.pick([0, 8, 18]),
    families: swarmWeights(random, FAMILIES, ["databases"], 0.3),
    actions: faults ? actions : { ...actions, fault: 0, breakdown: 0 },
    clock: random.pick(CLOCK_HABITS),
    disk: true,
  };
}
