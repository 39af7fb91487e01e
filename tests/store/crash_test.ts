// Crashes of stores and manifests, a few images for some storage calls of each workload, on every runtime; the stage of tests/stages/crash.ts looks at many more.
import { type Effort, explore, type Place } from "../support/crash/explore.ts";
import { MANIFEST_WORKLOADS } from "../support/crash/manifest_workloads.ts";
import { STORE_WORKLOADS } from "../support/crash/store_workloads.ts";
import { runWorkload } from "../support/crash/workload.ts";
import { test } from "../support/harness.ts";

const EFFORT: Effort = {
  points: 10,
  everyState: false,
  images: 1,
  nestedEvery: 10,
  nestedDepth: 1,
  slots: 4,
  looksEvery: 16,
  lies: 0,
  lost: 0,
};

[...STORE_WORKLOADS, ...MANIFEST_WORKLOADS].forEach((workload, index) => {
  test(`${workload.level === "store" ? "Store" : "Manifest"}: survives crashes, workload ${workload.name}`, async () => {
    const seed = 7000 + index;
    const subject = await runWorkload(workload, seed, 512);
    await explore(subject as never, seed, EFFORT, new Map(), new Set(), true, {
      point: () => {},
      judged: () => {},
      lied: () => {},
      failed(what: string, { at, image }: Place): never {
        throw new Error(`workload ${workload.name}, seed ${seed}, image ${image} of a crash after call ${at}: ${what}`);
      },
    });
  });
});
