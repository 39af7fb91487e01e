// Makes files from seeds, and checks files that others made. Arguments: `make` or `check`, folder, first seed, number of seeds.
//
// `make` leaves SEED.waybill and SEED.trace and prints `{ seed, sha, bytes, checkpoints, groups }`, a line for each. `check` opens a copy of each file, compares its rows with what the seed says and
// runs the full check.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Manifest } from "../../../mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import { makePlan } from "../proof_plan.ts";
import { checkClean, compareManifest, runPlan } from "../proof_run.ts";

const [mode = "", folder = "", first = "", count = ""] = process.argv.slice(2);

async function make(seed: number): Promise<void> {
  const path = join(folder, `${seed}.waybill`);
  const report = await runPlan(makePlan(seed), () => openFile(path, { create: true }));
  writeFileSync(join(folder, `${seed}.trace`), report.trace.join("\n"));
  const bytes = readFileSync(path);
  const sha = createHash("sha256").update(bytes).digest("hex");
  console.log(JSON.stringify({ seed, sha, bytes: bytes.length, checkpoints: report.checkpoints, groups: report.groups }));
}

async function check(seed: number): Promise<void> {
  const copy = join(folder, `${seed}.${process.pid}.copy`);
  copyFileSync(join(folder, `${seed}.waybill`), copy);
  try {
    const manifest = await Manifest.open(copy, { cacheBytes: 1 << 20 });
    if (!manifest.recovery.clean) throw new Error("the file was not closed cleanly");
    compareManifest(manifest, makePlan(seed));
    await checkClean(manifest);
    await manifest.close();
  } finally {
    rmSync(copy, { force: true });
    rmSync(`${copy}.lock`, { force: true });
  }
  console.log(JSON.stringify({ seed, checked: true }));
}

for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  try {
    if (mode === "make") await make(seed);
    else if (mode === "check") await check(seed);
    else throw new Error(`neither make nor check: ${mode}`);
  } catch (error) {
    throw new Error(`seed ${seed} fails in ${mode}`, { cause: error });
  }
}
