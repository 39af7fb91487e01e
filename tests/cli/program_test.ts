// The command line as a program, on each runtime: exit codes, pipes that are closed early, signals.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Manifest } from "../../mod.ts";
import { contents, jsonLines, makeManifest, spawnCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { RUNTIMES } from "../support/runtimes.ts";

interface Ended {
  code: number | null;
  signal: string | null;
  out: string;
  err: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  const kept = { out: "", err: "" };
  child.stdout?.on("data", (part) => kept.out += part);
  child.stderr!.on("data", (part) => kept.err += part);
  return new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal, ...kept })));
}

for (const runtime of RUNTIMES) {
  test(`waybill: exit codes and outputs on ${runtime}`, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "a.waybill");
      await makeManifest(file);
      const before = contents(folder);
      const tail = await ended(spawnCli(runtime, ["tail", file, "--no-follow", "--json"]));
      assertEquals([tail.code, tail.err, jsonLines(tail.out).map(({ sequence }) => sequence)], [0, "", [1, 2, 3]]);
      const missing = await ended(spawnCli(runtime, ["stats", join(folder, "none")]));
      assertEquals([missing.code, missing.out], [3, ""]);
      assertEquals(missing.err, 'waybill: Cannot open "none": no such file [NOT_FOUND]\n');
      assertEquals((await ended(spawnCli(runtime, ["bogus"]))).code, 4);
      assertEquals(contents(folder), before);
    });
  });

  test(`waybill: an output that takes nothing is exit code 3, said on the error output, on ${runtime}`, async () => {
    if (!existsSync("/dev/full")) return; // Linux has it
    await withFolder(async (folder) => {
      const file = join(folder, "a.waybill");
      await makeManifest(file);
      const full = openSync("/dev/full", "w");
      try {
        for (const call of [["stats", file, "--json"], ["dump", file]]) {
          const { code, err } = await ended(spawnCli(runtime, call, full));
          assertEquals([code, err], [3, "waybill: Cannot print: ENOSPC\n"], `${call}`);
        }
      } finally {
        closeSync(full);
      }
    });
  });

  test(`waybill: SIGINT ends tail with exit code 0 on ${runtime}`, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "a.waybill");
      await makeManifest(file);
      const child = spawnCli(runtime, ["tail", file]);
      child.stdout!.once("data", () => process.kill(child.pid!, "SIGINT")); // Deno's child.kill would report the signal whatever the exit code
      const { code, signal, err } = await ended(child);
      assertEquals([code, signal, err], [0, null, ""]);
    });
  });

  test(`waybill: a reader that goes away ends it quietly on ${runtime}`, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "a.waybill");
      const manifest = await Manifest.open(file, { create: true });
      await manifest.registerChangeCursor("keeps the log", { start: "oldest" });
      const name = "n".repeat(1000);
      for (let i = 0; i < 20; i++) {
        const txn = manifest.begin();
        for (let db = 1; db <= 500; db++) txn.putDb(db, { name });
        await txn.commit();
      }
      await manifest.close();
      const child = spawnCli(runtime, ["tail", file, "--no-follow", "--values"]); // about 20 MB
      let heard = 0;
      child.stdout!.on("data", (part: Uint8Array) => {
        heard += part.length;
        child.stdout!.destroy();
      });
      let err = "";
      child.stderr!.on("data", (part) => err += part);
      const code = await new Promise((resolve) => child.once("exit", resolve));
      assertEquals([code, err], [0, ""]);
      assert(heard > 0 && heard < 1 << 20);
    });
  });
}

test("waybill: help as a program", async () => {
  const { code, out } = await ended(spawnCli("node", ["--help"]));
  assertEquals(code, 0);
  assertStringIncludes(out, "Usage: waybill");
});
