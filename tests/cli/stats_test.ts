// `stats`: its lines, its JSON, its exit codes.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { testEnvironment } from "../support/environment.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

test("stats: shows the file, its tables and its cursors in aligned columns", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const { code, out, err } = await runCli(["stats", file]);
    assertEquals([code, err], [0, ""]);
    const lines = out.split("\n");
    assertEquals(lines.slice(2, 9), [
      "format       2",
      `size         ${readFileSync(file).length / 1024} KiB, ${readFileSync(file).length / 4096} pages of 4 KiB`,
      "journal      128 KiB in 1 extent, 0 B in use",
      "state        meta generation 2, writer epoch 1, frame 5",
      "changes      1 to 3 kept",
      "collectable  0 stored objects",
      "closed       in order",
    ]);
    const at = lines.indexOf("table                  rows  kind");
    assert(at > 0, out);
    assertEquals(lines.find((line) => line.startsWith("owners")), "owners                    2  user");
    assertEquals(lines.slice(-4), ["", "cursor     id  next  lag", "replica-a   1     1    3", ""]);
  });
});

test("stats: --json is one line of version 1", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const { code, out } = await runCli(["stats", file, "--json"]);
    assertEquals(code, 0);
    const [line, ...more] = jsonLines(out);
    assertEquals(more, []);
    const members =
      "version type fileId historyId format recovery fileBytes pageSize journal generation epoch frame changes cursors collectable tables";
    assertEquals(Object.keys(line!), members.split(" "));
    assertEquals([line!.version, line!.type, line!.pageSize, line!.changes], [1, "stats", 4096, { latest: 3, oldest: 1 }]);
    assertEquals(line!.cursors, [{ id: 1, name: "replica-a", nextSequence: 1, lag: 3 }]);
    assertEquals(line!.recovery, { clean: true, groups: 0, frames: 0, rebuilt: [] });
    assert((line!.tables as unknown[]).some((table) => JSON.stringify(table) === '{"name":"owners","builtIn":false,"rows":2}'));
  });
});

test("stats: a file that was not closed says so, and a journal block rebuilt from parity is exit code 1", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill"), copy = join(folder, "b.waybill");
    const manifest = await Manifest.open(file, { create: true, environment: testEnvironment(5), idleCheckpoint: 0 });
    await manifest.begin().putDb(1, { name: "x".repeat(9000) }).commit();
    const image = readFileSync(file);
    await manifest.close();
    writeFileSync(copy, image);
    const whole = await runCli(["stats", copy]);
    assertEquals(whole.code, 0);
    assertStringIncludes(whole.out, "closed       not in order: a writer is at work, or has crashed\nreplayed     2 groups, 2 frames\n");
    image.fill(0xee, 16384 + 4096 * 3, 16384 + 4096 * 4);
    writeFileSync(copy, image);
    const rebuilt = await runCli(["stats", copy]);
    assertEquals(rebuilt.code, 1, rebuilt.out + rebuilt.err);
    assertStringIncludes(rebuilt.out, "rebuilt      block ");
    assertEquals((jsonLines((await runCli(["stats", copy, "--json"])).out)[0]!.recovery as { rebuilt: unknown[] }).rebuilt.length, 1);
  });
});

test("stats: damage is exit code 2 with the error's code and what to do", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const good = readFileSync(file);
    for (const slots of [[0, 2], [1, 3]]) { // both copies of one meta generation
      const image = Uint8Array.from(good);
      for (const slot of slots) image.fill(7, slot * 4096, (slot + 1) * 4096);
      writeFileSync(file, image);
      const { code, out, err } = await runCli(["stats", file]);
      assertEquals([code, out], [2, ""]);
      assertStringIncludes(err, "[CORRUPT_HEADER]\n  waybill check ");
      const [line] = jsonLines((await runCli(["stats", file, "--json"])).err);
      assertEquals((line!.error as { code: string }).code, "CORRUPT_HEADER");
    }
  });
});

test("stats: what a name could do to a terminal is shown, and colours only on a terminal that wants them", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    const manifest = await Manifest.open(file, { create: true });
    await manifest.registerChangeCursor("evil\u001b[2J\u202ename");
    await manifest.close();
    const { out } = await runCli(["stats", file], { terminal: true });
    assertStringIncludes(out, "evil\\x1b[2J\\u202ename");
    assert(!out.includes("\u001b[2J"));
    const error = await runCli(["stats", join(folder, "no\u001b[2Jne")], { terminal: true });
    assert(!error.err.includes("\u001b[2J"), error.err);
  });
});
