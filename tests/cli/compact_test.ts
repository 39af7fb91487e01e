// `compact`: the file shrinks, is whole afterwards, and belongs to one writer.
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { contents, jsonLines, makeManifest, makeSparse, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

test("compact: the file shrinks and is whole", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeSparse(file);
    const before = statSync(file).size;
    const { code, out, err } = await runCli(["compact", file, "--json"]);
    assertEquals([code, err], [0, ""]);
    const after = statSync(file).size;
    assertLess(after, before);
    const [line] = jsonLines(out);
    assertEquals(line, { version: 1, type: "compact", bytesBefore: line!.bytesBefore, bytesAfter: after, repairedSlots: [], rebuilt: [] });
    assert((line!.bytesBefore as number) >= before);
    await using manifest = await Manifest.open(file, { readOnly: true });
    assertEquals(manifest.latestChangeSequence(), 40);
    assertEquals((await manifest.check({ level: "deep" })).ok, true);
  });
});

test("compact: a meta copy repaired on opening is exit code 1, and the next time 0", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const image = readFileSync(file);
    image.fill(0xaa, 0, 4096);
    writeFileSync(file, image);
    const { code, out } = await runCli(["compact", file]);
    assertEquals(code, 1);
    assertStringIncludes(out, "repaired on opening: 1 meta slot");
    assertEquals((await runCli(["compact", file])).code, 0);
  });
});

test("compact: a file that another writer holds is exit code 5 and stays as it is", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    const writer = await Manifest.open(file, { create: true, idleCheckpoint: 0 });
    const before = contents(folder);
    const { code, out, err } = await runCli(["compact", file]);
    assertEquals([code, out], [5, ""]);
    assertStringIncludes(err, "[LOCKED]\n  waybill unlock ");
    assertEquals(contents(folder), before);
    await writer.close();
  });
});

test("compact: an interrupt ends it with exit code 3 and a whole file", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeSparse(file);
    const stop = new AbortController();
    const running = runCli(["compact", file], { signal: stop.signal });
    stop.abort();
    const { code, err } = await running;
    assertEquals(code, 3);
    assertStringIncludes(err, "Cannot compact: interrupted [ABORTED]");
    await using manifest = await Manifest.open(file, { readOnly: true });
    assertEquals([manifest.recovery.clean, [...manifest.listDbs()].length, (await manifest.check()).ok], [true, 0, true]);
  });
});
