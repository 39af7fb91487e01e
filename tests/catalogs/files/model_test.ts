// Random commits, prunes, pins, crashes and deletions that fail, beside a plain reference that also says which files lie in the folder.
import { assert } from "@std/assert";
import { test } from "../../support/harness.ts";
import { FileSetModel } from "./model.ts";

const SEEDS = [1, 2, 3, 4];
const STEPS = 150;

/** What the runs must have come across. */
const REACHED = [
  "commit",
  "commit of nothing",
  "commit of a condemned file",
  "crash before a commit",
  "crash within a prune",
  "no orphans",
  "orphans deleted",
  "orphans of an empty catalog",
  "pin",
  "pin released",
  "prune",
  "prune aborted",
  "prune of nothing",
  "prune past pins",
  "prune with failures",
  "prune without drops",
  "refusals",
  "reopen",
  "state held",
  "verify",
  "version held",
];

test("FileSetCatalog: agrees with the reference, files in the folder included, whatever is committed, pruned, pinned and cut short", async () => {
  const seen = new Map<string, number>();
  for (const seed of SEEDS) {
    const model = new FileSetModel(seed);
    await model.run(STEPS);
    for (const [what, count] of model.seen) seen.set(what, (seen.get(what) ?? 0) + count);
  }
  console.log(`seeds ${SEEDS.join(", ")}: ${[...seen].sort().map(([what, count]) => `${what} ${count}`).join(", ")}`);
  const missing = REACHED.filter((what) => !seen.has(what));
  assert(missing.length === 0, `never reached: ${missing.join(", ")}`);
});
