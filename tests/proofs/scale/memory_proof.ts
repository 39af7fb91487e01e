// Memory is bounded by the cache, not by the file: 320 MiB of live rows through a cache of 16 MiB.
import { assert } from "@std/assert";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { figure, runChild } from "../../support/proof_child.ts";
import { type RuntimeName, RUNTIMES } from "../../support/runtimes.ts";

const MIB = 1 << 20;
const LIVE = 320;
const MOST = 80;
/** V8 lets its young generation grow to 16 MiB a half, and its old one with what it finds free, when it likes: held small, what it takes does not depend on when it collects. */
const HEAP: Readonly<Record<RuntimeName, Readonly<Record<string, string>>>> = {
  deno: { DENO_V8_FLAGS: "--max-semi-space-size=4,--max-old-space-size=96" },
  node: { NODE_OPTIONS: "--max-semi-space-size=4 --max-old-space-size=96" },
  bun: {},
};

interface Report {
  base: number;
  peak: number;
  reset: boolean;
  phases: Record<string, number>;
  rows: number;
  live: number;
  fileBytes: number;
  kernel: number;
}

async function measure(runtime: RuntimeName, collect: boolean): Promise<number> {
  let most = 0;
  await withFolder(async (folder) => {
    const args = [join(folder, "m.waybill"), LIVE, ...collect ? ["collect"] : []];
    const lines = await runChild(runtime, "tests/support/children/proof_memory.ts", args, HEAP[runtime]);
    const report = JSON.parse(lines.at(-1)!) as Report;
    const above = (bytes: number): string => ((bytes - report.base) / MIB).toFixed(1);
    const phases = Object.entries(report.phases).map(([phase, bytes]) => `${phase} ${above(bytes)}`).join(", ");
    figure(
      `memory on ${runtime}${collect ? ", garbage collected before each sample" : ""}: ${
        (report.live / MIB).toFixed(0)
      } MiB of live rows in ${report.rows} rows, file ${(report.fileBytes / MIB).toFixed(0)} MiB; ${
        (report.base / MIB).toFixed(0)
      } MiB before opening, at most ${above(report.peak)} MiB more (${phases}; kernel memory ${(report.kernel / MIB).toFixed(1)})${
        report.reset ? "" : ", as sampled"
      }`,
    );
    assert(report.live >= (LIVE - 1) * MIB);
    most = report.peak - report.base;
  });
  return most;
}

for (const runtime of RUNTIMES) {
  test(`Manifest: ${LIVE} MiB of live rows through a cache of 16 MiB take at most ${MOST} MiB of memory, ${runtime}`, async () => {
    if (!existsSync("/proc/self/status")) return figure("memory: this system does not tell what a process takes");
    // JavaScriptCore lets a heap double before it collects: what is asserted on Bun is what is in use.
    const most = await measure(runtime, runtime === "bun");
    assert(most <= MOST * MIB, `${(most / MIB).toFixed(1)} MiB above what it was before opening`);
  });
}
