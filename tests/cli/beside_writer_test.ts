// Commands that only read, beside a process that commits, makes checkpoints and compacts all the time: its file is never called damaged, and it is never disturbed.
import { assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Manifest } from "../../mod.ts";
import { jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { readingCalls } from "../support/cli_calls.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { runtimeCommand, RUNTIMES } from "../support/runtimes.ts";

/** Changes that the writer makes meanwhile: enough for checkpoints and a compaction. */
const CHANGES = 500;

for (const runtime of RUNTIMES) {
  test(`reading commands: beside a busy writer in a ${runtime} process none finds damage`, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "a.waybill");
      await makeManifest(file);
      const { cmd, args } = runtimeCommand(runtime, "tests/support/children/busy_writer.ts", [file]);
      const child = spawn(cmd, args, { stdio: ["pipe", "pipe", "inherit"] });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      try {
        assertEquals((await lines.next()).value, "open");
        const names = readdirSync(folder).sort();
        for (let round = 1, seen = 0; seen < CHANGES; round++) {
          for (const call of readingCalls(file)) {
            if (call.includes("older")) continue; // that state's pages are the ones that a writer uses again
            const { code, out, err } = await runCli(call);
            // A salvage needs a state that stands still; the writer may be too quick for it, which is said and is no damage.
            if (call[0] === "salvage" && code === 3 && err.includes("[SNAPSHOT_EXPIRED]")) continue;
            assertEquals(code, 0, `round ${round}: ${call.join(" ")}: ${err}${out.slice(-1500)}`);
            if (call[0] === "stats" && call[2] === "--json") seen = (jsonLines(out)[0]!.changes as { latest: number }).latest;
          }
        }
        assertEquals(readdirSync(folder).sort(), names);
      } finally {
        child.stdin.end();
      }
      assertEquals((await lines.next()).value, "closed");
      assertEquals(await ended, 0);
      await using manifest = await Manifest.open(file, { readOnly: true });
      assertEquals((await manifest.check({ level: "deep" })).problems.filter(({ severity }) => severity === "error"), []);
    });
  });
}
