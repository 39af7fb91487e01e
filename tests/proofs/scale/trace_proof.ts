// What a commit costs, counted from outside the process: system calls on the manifest's file between two marks, by strace; without it, write calls as the kernel counts them for the process.
import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { Child, figure, runChild } from "../../support/proof_child.ts";
import { runtimeCommand, type RuntimeName, RUNTIMES } from "../../support/runtimes.ts";

const SCRIPT = "tests/support/children/proof_trace.ts";
const CALLS = "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,ftruncate,truncate,msync,io_uring_enter,%file";
const WRITES = /\b(write|writev|pwrite64|pwritev2?|ftruncate)\(/;
const SYNCS = /\b(fsync|fdatasync|sync_file_range|msync)\(/;

/** Whether strace is there and may trace. */
function canTrace(): boolean {
  return spawnSync("strace", ["-f", "-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0;
}

interface Counts {
  writes: number;
  syncs: number;
}

/** Calls on the manifest's file between two marks of a trace. */
function between(trace: string, name: string, file: string): Counts {
  const lines = trace.split("\n");
  const from = lines.findIndex((line) => line.includes(`/begin-${name}"`));
  const to = lines.findIndex((line) => line.includes(`/end-${name}"`));
  assert(from >= 0 && to > from, `the marks of "${name}" are not in the trace`);
  const calls = lines.slice(from, to).filter((line) => line.includes(`<${file}>`) && !line.includes(" resumed>"));
  assertEquals(lines.slice(from, to).filter((line) => line.includes("io_uring_enter(")).length, 0, "calls that the trace does not show");
  return { writes: calls.filter((line) => WRITES.test(line)).length, syncs: calls.filter((line) => SYNCS.test(line)).length };
}

async function traced(runtime: RuntimeName, folder: string): Promise<void> {
  const file = join(folder, "m.waybill"), out = join(folder, "trace");
  const { cmd, args } = runtimeCommand(runtime, SCRIPT, [file, join(folder, "marks")]);
  const child = new Child("strace", ["-f", "-y", "-e", `trace=${CALLS}`, "-o", out, cmd, ...args]);
  const code = await child.ended();
  assertEquals(code, 0, child.errorText.slice(-3000));
  const trace = readFileSync(out, "utf8");
  const one = between(trace, "one", file), many = between(trace, "many", file);
  figure(
    `strace on ${runtime}: a one-operation commit is ${one.writes} write and ${one.syncs} sync; 1,000 commits issued together are ${many.writes} writes and ${many.syncs} syncs`,
  );
  assertEquals(one, { writes: 1, syncs: 1 });
  assert(many.syncs <= 8 && many.syncs >= 1, `${many.syncs} syncs for 1,000 commits issued together`);
}

async function counted(runtime: RuntimeName, folder: string): Promise<void> {
  const [line] = await runChild(runtime, SCRIPT, [join(folder, "m.waybill"), join(folder, "marks")]);
  const { one, many } = JSON.parse(line!) as { one: number; many: number };
  figure(
    `strace cannot trace here: syncs were NOT counted on ${runtime}; /proc/self/io: ${one} write calls for a one-operation commit, ${many} for 1,000 issued together`,
  );
  assertEquals(one, 1);
  assert(many <= 8);
}

for (const runtime of RUNTIMES) {
  test(`ManifestTxn.commit: on ${runtime} one operation is one write and one sync, and 1,000 together cost at most 8 syncs, seen from outside`, () =>
    withFolder(async (folder) => {
      if (canTrace()) return await traced(runtime, folder);
      if (existsSync("/proc/self/io")) return await counted(runtime, folder);
      figure(`no system calls can be counted here (${process.platform}): the counts at the storage contract stand alone`);
    }));
}
