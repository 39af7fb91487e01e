// Every runtime can start a script on every other one: what the lock and file exchange tests stand on.
import { spawnSync } from "node:child_process";
import { assertEquals } from "@std/assert";
import { test } from "../support/harness.ts";
import { runtimeCommand, RUNTIMES } from "../support/runtimes.ts";

for (const runtime of RUNTIMES) {
  test(`runtimeCommand: a script runs on ${runtime} with its arguments`, () => {
    const { cmd, args } = runtimeCommand(runtime, "tests/tooling/scripts/which_runtime.ts", ["one", "two words"]);
    const { stdout, stderr, status } = spawnSync(cmd, args, { encoding: "utf8" });
    assertEquals({ status, stderr }, { status: 0, stderr: "" });
    assertEquals(JSON.parse(stdout), { runtime, args: ["one", "two words"] });
  });
}
