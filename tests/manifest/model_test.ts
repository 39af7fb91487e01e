// The whole manifest against a reference in memory: seeded runs of all operations, cursors, reclaims, crashes and reopenings. See tests/support/manifest_model/run.ts.
import { assert } from "@std/assert";
import { test } from "../support/harness.ts";
import { COVERAGE } from "../support/manifest_model/coverage.ts";
import type { ModelResult } from "../support/model_runner.ts";
import { runModel } from "../support/model_runs.ts";
import { SHAPES } from "../support/manifest_model/shapes.ts";

const OPERATIONS = 50_000;

const runs = new Map<string, Promise<ModelResult>>();

/** The run of a shape, made once. */
function runOf(name: string): Promise<ModelResult> {
  let run = runs.get(name);
  if (run === undefined) runs.set(name, run = runModel({ kind: "manifest", shape: name, seed: SHAPES[name]!.seed }));
  return run;
}

for (const name of Object.keys(SHAPES)) {
  test(`Manifest: agrees with the reference, shape ${name}`, async () => {
    const { operations, reads } = await runOf(name);
    console.log(`${name}, seed ${SHAPES[name]!.seed}: ${operations} operations, ${reads} comparisons`);
  });
}

test(`Manifest: the shapes together ask for ${OPERATIONS} operations, and come across everything there is`, async () => {
  const names = Object.keys(SHAPES);
  const results: ModelResult[] = [];
  for (const name of names) results.push(await runOf(name));
  const operations = results.reduce((sum, result) => sum + result.operations, 0);
  const sum = (what: string): number => results.reduce((total, { reached }) => total + (reached.get(what) ?? 0), 0);
  const row = (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => i === 0 ? `${cell}`.padEnd(36) : `${cell}`.padStart(9)).join("");
  console.log(row(["reached", ...names, "all"]));
  for (const what of COVERAGE) console.log(row([what, ...results.map(({ reached }) => reached.get(what) ?? 0), sum(what)]));
  console.log(row(["operations", ...results.map((result) => result.operations), operations]));
  assert(operations >= OPERATIONS, `${operations} operations`);
  const missing = COVERAGE.filter((what) => sum(what) === 0);
  assert(missing.length === 0, `never come across: ${missing.join(", ")}`);
});
