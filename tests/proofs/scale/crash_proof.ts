// Every storage call of every workload is a crash point; at least 20,000 distinct images, among them torn blocks with any contents, open, hold every acknowledged commit and
// pass the check.
import { assert } from "@std/assert";
import { crash, WORKLOADS } from "../../support/crash_workloads.ts";
import { test } from "../../support/harness.ts";
import { figure } from "../../support/proof_child.ts";

const IMAGES = 20_000;
/** Images for each call, by round: rounds go on until there are enough. */
const ROUNDS = [12, 16, 24, 32, 48, 64];

test(`Store: ${IMAGES} crash images of ${Object.keys(WORKLOADS).length} workloads open whole`, async () => {
  const counts = new Map<string, number>();
  let images = 0;
  for (let round = 0; images < IMAGES; round++) {
    assert(round < ROUNDS.length, `${images} images`);
    for (const [index, [name, workload]] of Object.entries(WORKLOADS).entries()) {
      const found = await crash(name, 10_000 + round * 100 + index, ROUNDS[round]!, workload);
      counts.set(name, (counts.get(name) ?? 0) + found);
      images += found;
    }
  }
  figure(`${images} crash images: ${[...counts].map(([name, count]) => `${name} ${count}`).join(", ")}`);
});
