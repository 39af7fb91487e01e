// Reclaim with every intruder at every stage, every outcome of `deleteObject` and every way to call it, killed at every storage call and deletion with unsynced writes dropped, kept and mixed.
import { assert, assertEquals } from "@std/assert";
import { test } from "../../support/harness.ts";
import { figure } from "../../support/proof_child.ts";
import { casesOf, prepare, ReclaimMatrix, ways } from "../../support/reclaim_matrix.ts";

test("reclaim: killed anywhere in every case of the matrix, it deletes nothing live and forgets nothing dead", async () => {
  const matrix = new ReclaimMatrix(await prepare(), 4);
  const all = ways();
  for (const way of all) for (const run of casesOf(way)) await matrix.run(run);
  const { runs, points, states } = matrix.coverage;
  figure(`${runs} runs of reclaim, ${points} crash points, ${states} distinct states`);
  assertEquals(runs, all.length * casesOf(all[0]!).length);
  assert(runs >= 30_000 && points >= 300_000 && states >= 10_000, `${runs} runs, ${points} crash points, ${states} states`);
});
