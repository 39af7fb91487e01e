// The LSM catalog against a reference in memory, with crashes. See model.ts and reference.ts.
import { assert } from "@std/assert";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";
import { ModelRun } from "./model.ts";

const SEEDS = [20261201, 20261202, 20261203, 20261204];
const STEPS = 350;

/** What the runs together must have come across. */
const MARKS: readonly string[] = [
  ...[
    "setVersion",
    "setActiveWal",
    "addFrozenWal",
    "removeFrozenWal",
    "rotateWal",
    "addSst",
    "removeSst",
    "updateLsn",
    "flush",
    "applyCompaction",
  ],
  ...["addSst, nothing to do", "removeSst, nothing to do", "removeFrozenWal, nothing to do", "updateLsn, nothing to do"],
  ...["refused LEVEL_OVERLAP", "refused OBJECT_CONDEMNED", "refused INVALID_ARGUMENT", "in a transaction", "given up", "allocate"],
  ...["version closed", "kept for a version", "forgotten", "deleted and not forgotten", "tables found", "dirty", "clean"],
  ...["orphans", "underWay", "orphans refused", "crash before the commit", "crash behind the commit", "closed and opened"],
];

const met = new Map<string, number>();
const done: Promise<void>[] = [];

for (const seed of SEEDS) {
  test(`LsmCatalog: agrees with the reference, ${STEPS} steps, seed ${seed}`, async () => {
    const run = new ModelRun(seeded(seed));
    const running = run.run(STEPS);
    done.push(running);
    await running;
    for (const [what, count] of run.met) met.set(what, (met.get(what) ?? 0) + count);
    console.log(`seed ${seed}: ${[...run.met].map(([what, count]) => `${what} ${count}`).join(", ")}`);
  });
}

test("LsmCatalog: the runs together come across everything there is", async () => {
  await Promise.all(done);
  assert(done.length === SEEDS.length);
  const missing = MARKS.filter((what) => !met.has(what));
  assert(missing.length === 0, `never come across: ${missing.join("; ")}`);
});
