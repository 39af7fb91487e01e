// The store against a reference in memory: seeded runs of everything a user can do, in shapes that together reach every rare branch. See tests/support/model_run.ts.
import { assert } from "@std/assert";
import { test } from "../support/harness.ts";
import { MARKS } from "../support/kernel_disk.ts";
import { STORE_EVENTS } from "../support/model_coverage.ts";
import type { ModelResult } from "../support/model_runner.ts";
import { runModel } from "../support/model_runs.ts";
import { SHAPES } from "../support/model_shapes.ts";

const OPERATIONS = 100_000;

/** What the runs must have come across. */
const REACHES = [...MARKS, ...STORE_EVENTS, "value above 8 MiB", "value of 16 MiB"];

const runs = new Map<string, Promise<ModelResult>>();

/** The run of a shape, made once. */
function runOf(name: string): Promise<ModelResult> {
  let run = runs.get(name);
  if (run === undefined) runs.set(name, run = runModel({ kind: "store", shape: name, seed: SHAPES[name]!.seed }));
  return run;
}

for (const name of Object.keys(SHAPES)) {
  test(`Store: agrees with the reference, shape ${name}`, async () => {
    const { operations, reads } = await runOf(name);
    console.log(`${name}, seed ${SHAPES[name]!.seed}: ${operations} operations, ${reads} comparisons`);
  });
}

test(`Store: the shapes together commit ${OPERATIONS} operations and reach every mark`, async () => {
  const names = Object.keys(SHAPES);
  const results: ModelResult[] = [];
  for (const name of names) results.push(await runOf(name));
  const operations = results.reduce((sum, result) => sum + result.operations, 0);
  const sum = (what: string): number => results.reduce((total, { reached }) => total + (reached.get(what) ?? 0), 0);
  const row = (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => i === 0 ? `${cell}`.padEnd(28) : `${cell}`.padStart(9)).join("");
  const wanted = REACHES;
  console.log(row(["reached", ...names, "all"]));
  for (const what of wanted) console.log(row([what, ...results.map(({ reached }) => reached.get(what) ?? 0), sum(what)]));
  console.log(row(["operations", ...results.map((result) => result.operations), operations]));
  assert(operations >= OPERATIONS, `${operations} operations`);
  const missing = wanted.filter((what) => sum(what) === 0);
  assert(missing.length === 0, `never reached: ${missing.join(", ")}`);
});
