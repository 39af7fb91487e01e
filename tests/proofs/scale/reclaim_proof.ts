// Reclaim with every intruder at every stage, every outcome of `deleteObject` and many ways to call it, killed at every storage call and deletion with unsynced writes dropped, kept and mixed.
import { assert } from "@std/assert";
import { test } from "../../support/harness.ts";
import { figure } from "../../support/proof_child.ts";
import { casesOf, prepare, ReclaimMatrix } from "../../support/reclaim_matrix.ts";

/** Ways to call reclaim that each case is run in, of 60. */
const WAYS = 5;

test("reclaim: killed anywhere in the matrix at full size, it deletes nothing live and forgets nothing dead", async () => {
  const matrix = new ReclaimMatrix(await prepare(), 4);
  for (const run of casesOf(WAYS)) await matrix.run(run);
  const { runs, points, states } = matrix.coverage;
  figure(`${runs} runs of reclaim, ${points} crash points, ${states} distinct states`);
  assert(runs >= 2900 && points >= 48_000 && states >= 5500, `${runs} runs, ${points} crash points, ${states} states`);
});
