// Crashes of the store, a few images for each storage call of each workload; tests/proofs/scale/crash_proof.ts looks at many more.
import { crash, WORKLOADS } from "../support/crash_workloads.ts";
import { test } from "../support/harness.ts";

Object.entries(WORKLOADS).forEach(([name, workload], index) => {
  test(`Store: ${name} survive a crash at every storage call`, async () => {
    await crash(name, 7000 + index, 4, workload);
  });
});
