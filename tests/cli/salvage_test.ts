// `salvage`: exit codes, OUT, interrupts. What is saved is told in tests/inspect.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { contents, jsonLines, makeManifest, makeSparse, owners, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

/** A manifest with a damaged page in the user's table. */
async function makeDamaged(file: string): Promise<void> {
  await makeManifest(file);
  const image = readFileSync(file);
  image[(image.lastIndexOf("a/b") & ~4095) + 3000]! ^= 1;
  writeFileSync(file, image);
}

test("salvage: a whole file is copied with every row, exit code 0, and the source stays as it is", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill"), out = join(folder, "b.waybill");
    await makeManifest(file);
    const before = contents(folder);
    const { code, err, out: text } = await runCli(["salvage", file, out]);
    assertEquals([code, err], [0, ""]);
    assert(/^owners +2 +0 +0$/m.test(text), text);
    assertStringIncludes(text, "new file  has passed the deep check\n");
    for (const [path, bytes] of Object.entries(before)) assertEquals(readFileSync(path).toString("base64"), bytes);
    await using old = await Manifest.open(file, { readOnly: true });
    await using saved = await Manifest.open(out, { readOnly: true });
    assertEquals([...saved.range(owners)], [...old.range(owners)]);
    assertEquals([...saved.listDbs()], [...old.listDbs()]);
    assertEquals(saved.listChangeCursors().map(({ name }) => name), ["replica-a"]);
    assert(saved.fileId !== old.fileId && saved.latestChangeSequence() > old.latestChangeSequence());
    assertEquals((await runCli(["check", out, "--level", "deep"])).code, 0);
  });
});

test("salvage: what is lost is exit code 2, with its findings, and the same in a dry run, which makes no file", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill"), out = join(folder, "b.waybill");
    await makeDamaged(file);
    const before = contents(folder);
    const dry = await runCli(["salvage", file, "--dry-run"]);
    assertEquals(dry.code, 2);
    assert(dry.out.startsWith("error  CORRUPT_PAGE crc  page "), dry.out);
    assertStringIncludes(dry.out, "new file  none: this was a dry run\n");
    assertEquals(contents(folder), before);
    const real = await runCli(["salvage", file, out]);
    assertEquals(real.code, 2);
    const upTo = (text: string): string => text.slice(0, text.indexOf("new file"));
    assertEquals(upTo(real.out), upTo(dry.out));
    assertEquals((await runCli(["check", out, "--level", "deep"])).code, 0);
  });
});

test("salvage: the older generation with its journal has what the newest has lost", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill"), out = join(folder, "b.waybill");
    await makeDamaged(file);
    const { code } = await runCli(["salvage", file, out, "--from", "older"]);
    assertEquals(code, 0);
    await using saved = await Manifest.open(out, { readOnly: true });
    assertEquals(saved.get(owners, [1, "a/b"])?.team, "core");
    const without = await runCli(["salvage", file, join(folder, "c.waybill"), "--from", "older", "--no-journal"]);
    assert(!/^owners/m.test(without.out), without.out);
  });
});

test("salvage: OUT that exists, is the source, a folder or a link is refused, and nothing is touched", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeDamaged(file);
    writeFileSync(join(folder, "other"), "something else");
    symlinkSync(join(folder, "nowhere"), join(folder, "link"));
    const before = contents(folder);
    for (
      const [out, code, error] of [["other", 4, "EXISTS"], ["a.waybill", 4, "EXISTS"], [".", 3, "NOT_A_REGULAR_FILE"], [
        "link",
        3,
        "NOT_A_REGULAR_FILE",
      ]] as const
    ) {
      const result = await runCli(["salvage", file, join(folder, out)]);
      assertEquals([result.code, result.out], [code, ""], out);
      assertStringIncludes(result.err, `[${error}]`);
    }
    const missing = await runCli(["salvage", file]);
    assertEquals(missing.code, 4);
    assertStringIncludes(missing.err, "OUT is missing");
    assertEquals((await runCli(["salvage", file, join(folder, "none", "out")])).code, 3);
    assertEquals(contents(folder), before);
    assert(!existsSync(join(folder, "nowhere")));
  });
});

test("salvage: when nothing can be saved, or it is interrupted, no file is left", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill"), out = join(folder, "b.waybill");
    for (const image of [new Uint8Array(0), new Uint8Array(50_000).fill(65)]) {
      writeFileSync(file, image);
      const before = contents(folder);
      for (const from of ["best", "older", "scan"]) {
        assertEquals((await runCli(["salvage", file, out, "--from", from])).code, 3, from);
        assertEquals(contents(folder), before);
      }
    }
    await makeSparse(join(folder, "c.waybill"));
    const before = contents(folder);
    const stop = new AbortController();
    stop.abort();
    const { code, err } = await runCli(["salvage", join(folder, "c.waybill"), out, "--from", "scan"], { signal: stop.signal });
    assertEquals(code, 3);
    assertStringIncludes(err, "[ABORTED]");
    assertEquals(contents(folder), before);
  });
});

test("salvage: --json is a line for each finding and one for the report", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeDamaged(file);
    const lines = jsonLines((await runCli(["salvage", file, "--dry-run", "--json"])).out);
    assertEquals(lines.map(({ version, type }) => [version, type]), [[1, "finding"], [1, "salvage"]]);
    const { from, dryRun, whole, lost, tables } = lines[1]!;
    assertEquals([from, dryRun, whole, lost], ["best", true, false, 2]);
    assert((tables as { name: string; lost: number }[]).some(({ name, lost }) => name === "owners" && lost === 2));
  });
});
