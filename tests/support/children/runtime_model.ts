// Runs seeds of both models and tells what the file of each was at the end. Arguments: first seed, number of seeds. Prints a line of JSON for each: `{ kind, seed, sha, bytes, operations, met }`.
import { createHash } from "node:crypto";
import process from "node:process";
import { type ModelCase, runModel } from "../model_runs.ts";

const [first = "", count = ""] = process.argv.slice(2);
/** Short: the same on three runtimes, not rare states, is what these runs are for. */
const OPERATIONS = 220;

for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const one: ModelCase = { kind: seed % 4 === 0 ? "store" : "manifest", seed, operations: OPERATIONS };
  const run = await runModel(one);
  const bytes = run.image().bytes();
  const sha = createHash("sha256").update(bytes).digest("hex");
  const met = Object.fromEntries([...run.reached].sort(([a], [b]) => a < b ? -1 : 1));
  console.log(JSON.stringify({ ...one, sha, bytes: bytes.length, operations: run.operations, met }));
}
