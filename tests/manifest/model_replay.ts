// Runs seeds of the model of a manifest again: `deno run -A tests/manifest/model_replay.ts --shape NAME --seed N [--count N]`.
import process from "node:process";
import { parseArgs } from "node:util";
import { runModel } from "../support/manifest_model/runs.ts";
import { SHAPES } from "../support/manifest_model/shapes.ts";

const { values } = parseArgs({ options: { shape: { type: "string" }, seed: { type: "string" }, count: { type: "string" } } });
const names = values.shape === undefined ? Object.keys(SHAPES) : [values.shape];
let failed = 0;
for (const name of names) {
  const first = values.seed === undefined ? SHAPES[name]?.seed ?? 0 : Number(values.seed);
  for (let seed = first; seed < first + Number(values.count ?? 1); seed++) {
    const start = performance.now();
    try {
      const { operations, reads, reached } = await runModel(name, seed);
      const marks = [...reached].map(([what, times]) => `${what} ${times}`).join(", ");
      console.log(
        `${name} ${seed}: ${operations} operations, ${reads} reads, ${((performance.now() - start) / 1000).toFixed(1)} s; ${marks}`,
      );
    } catch (error) {
      failed++;
      console.error(error);
    }
  }
}
process.exit(failed === 0 ? 0 : 1);
