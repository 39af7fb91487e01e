// What a file's bytes depend on: the operations and the checkpoints, not the size of the cache, not how long syncs take. Equal bytes across runtimes: stages/runtimes.ts.
import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { type ManifestOptions, systemEnvironment } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { test } from "../support/harness.ts";
import { isShare, SHARE } from "../support/share.ts";
import { makePlan, type Plan, type Step } from "../support/proof_plan.ts";
import { runPlan, type RunReport } from "../support/proof_run.ts";
import { seeded } from "../support/random.ts";

interface Result {
  sha: string;
  report: RunReport;
}

/** Memory whose syncs off the event loop take some turns of it. */
class SlowSyncs extends WrappedStorage {
  readonly #turns: () => number;

  constructor(file: MemoryFile, turns: () => number) {
    super(new MemoryStorage(file));
    this.#turns = turns;
  }

  override async syncAsync(): Promise<void> {
    for (let turn = this.#turns(); turn > 0; turn--) await systemEnvironment.yield();
    await super.syncAsync();
  }
}

async function result(plan: Plan, options: ManifestOptions, turns?: () => number): Promise<Result> {
  const file = new MemoryFile();
  const report = await runPlan(plan, () => turns ? new SlowSyncs(file, turns) : new MemoryStorage(file), options);
  return { sha: createHash("sha256").update(file.bytes()).digest("hex"), report };
}

function parted(a: Result, b: Result): string {
  const at = a.report.trace.findIndex((line, i) => line !== b.report.trace[i]);
  return at < 0 ? "no step tells them apart" : `first in "${a.report.trace[at]}" against "${b.report.trace[at]}"`;
}

test("Manifest: with explicit checkpoints the size of the cache never matters", async () => {
  let compared = 0;
  for (let seed = 7100; seed < 7130; seed++) {
    if (!isShare(seed)) continue;
    const plan = makePlan(seed, { steps: 80, keys: 2500, longest: 9000, longEvery: 80, explicit: true });
    const small = await result(plan, { cacheBytes: plan.pageSize * 64 });
    for (const frames of [160, 400, 4000]) {
      const large = await result(plan, { cacheBytes: plan.pageSize * frames });
      // A smaller cache may ask for checkpoints of its own: such a seed says nothing about placement.
      if (large.report.checkpoints !== small.report.checkpoints) continue;
      compared++;
      assertEquals(large.sha, small.sha, `seed ${seed}: 64 and ${frames} frames, ${parted(small, large)}`);
    }
  }
  console.log(`${compared} pairs of caches with the same checkpoints`);
  assert(compared >= (SHARE === 1 ? 45 : 6), `only ${compared} pairs of caches had the same checkpoints`);
});

test("Manifest.dropTable: how fast the pages of a large table become free never depends on the cache", async () => {
  const put = (table: string, from: number, to: number): Step => ({
    kind: "commit",
    ops: Array.from(
      { length: to - from },
      (_, i) => ({ kind: "put", table, key: `key ${from + i}`, value: { seed: from + i, length: 150 } }),
    ),
  });
  const steps: Step[] = [{ kind: "create", table: "dropped" }, { kind: "create", table: "kept" }];
  for (let row = 0; row < 8000; row += 100) steps.push(put("dropped", row, row + 100), { kind: "checkpoint" });
  steps.push({ kind: "drop", table: "dropped" }, { kind: "checkpoint" });
  for (let row = 0; row < 3000; row += 100) steps.push(put("kept", row, row + 100), { kind: "checkpoint" });
  const rows = new Map(Array.from({ length: 3000 }, (_, i) => [`key ${i}`, { seed: i, length: 150 }]));
  const plan: Plan = {
    seed: 1,
    pageSize: 4096,
    cacheBytes: 0,
    steps,
    tables: new Map([["kept", rows]]),
    snapshots: new Map(),
    sequence: 3 + 80 + 30,
  };
  const small = await result(plan, { cacheBytes: 64 << 12 });
  for (const frames of [100, 1000]) {
    const large = await result(plan, { cacheBytes: frames << 12 });
    assertEquals(large.report.checkpoints, small.report.checkpoints, "no checkpoint began by itself");
    assertEquals(large.sha, small.sha, `64 and ${frames} frames, ${parted(small, large)}`);
  }
});

test("Manifest: when commits and checkpoints are awaited, it never matters how long syncs take, 8 seeds", async () => {
  for (let seed = 7200; seed < 7208; seed++) {
    const plan = makePlan(seed, { steps: 60, keys: 900, longest: 9000, longEvery: 60, explicit: true });
    const alone = plan.steps.flatMap((step): Step[] =>
      step.kind === "together" ? step.transactions.map((ops) => ({ kind: "commit", ops })) : [step]
    );
    const awaited: Plan = { ...plan, steps: alone };
    const cacheBytes = plan.pageSize * 1000;
    const inline = await result(awaited, { syncMode: "inline", cacheBytes });
    const random = seeded(seed);
    const slow = await result(awaited, { syncMode: "async", cacheBytes }, () => random.int(5));
    assertEquals(slow.sha, inline.sha, `seed ${seed}: ${parted(inline, slow)}`);
  }
});

test("Manifest: when all are issued in one turn with inline syncs, it never matters how long a checkpoint's syncs take, 8 seeds", async () => {
  for (let seed = 7300; seed < 7308; seed++) {
    const plan = makePlan(seed, { steps: 60, keys: 900, longest: 30_000, longEvery: 60 });
    const quick = await result(plan, { syncMode: "inline" }, () => 1);
    const random = seeded(seed);
    const slow = await result(plan, { syncMode: "inline" }, () => random.between(1, 6));
    assertEquals(slow.sha, quick.sha, `seed ${seed}: ${parted(quick, slow)}`);
  }
});
