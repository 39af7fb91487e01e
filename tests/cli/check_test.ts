// `check`: its lines, its JSON, its exit codes. What is found at all is told in tests/inspect.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

const LEVELS = ["header", "tree", "deep"];

test("check: a whole file is exit code 0 at every level, the last line says so", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    for (const level of LEVELS) {
      const { code, out, err } = await runCli(["check", file, "--level", level]);
      assertEquals([code, err], [0, ""]);
      assertEquals(out.split("\n").at(-2), `clean: 0 errors, 0 warnings, 0 remarks at level ${level}`);
    }
  });
});

test("check: a damaged meta copy is exit code 1, its finding three lines with the place and what to do", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const image = readFileSync(file);
    image[100]! ^= 1;
    writeFileSync(file, image);
    for (const level of LEVELS) {
      const { code, out } = await runCli(["check", file, "--level", level]);
      assertEquals(code, 1);
      assertEquals(out.split("\n").slice(0, 3), [
        "warning  META_COPY_DAMAGED crc  offset 0",
        "  Meta slot A1 is damaged; the other copy of generation 2 stands for it.",
        "  Open the file for writing: the copy is written again.",
      ]);
    }
    const colours = await runCli(["check", file, "--level", "header"], { terminal: true });
    assertStringIncludes(colours.out, "\u001b[33mwarning\u001b[0m  META_COPY_DAMAGED");
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }] as Record<string, string>[]) {
      assert(!(await runCli(["check", file, "--level", "header"], { terminal: true, env })).out.includes("\u001b"));
    }
  });
});

test("check: both copies of a meta generation damaged is exit code 2", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const good = readFileSync(file);
    for (const slots of [[0, 2], [1, 3], [0, 1, 2, 3]]) {
      const image = Uint8Array.from(good);
      for (const slot of slots) image.fill(0x77, slot * 4096 + 64, slot * 4096 + 128);
      writeFileSync(file, image);
      const { code, out } = await runCli(["check", file, "--level", "header"]);
      assertEquals(code, 2, out);
      assertStringIncludes(out, "error  CORRUPT_HEADER crc");
    }
  });
});

test("check: what is no manifest is exit code 3", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    for (const [image, code] of [[new Uint8Array(0), "EMPTY_FILE"], [new Uint8Array(50_000).fill(65), "NOT_A_MANIFEST"]] as const) {
      writeFileSync(file, image);
      const result = await runCli(["check", file, "--json"]);
      const lines = jsonLines(result.out);
      assertEquals([result.code, lines[0]!.code, lines.at(-1)!.verdict], [3, code, "unreadable"]);
    }
  });
});

test("check: --json is a line of version 1 for each finding and one for the summary", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const image = readFileSync(file);
    image[100]! ^= 1;
    writeFileSync(file, image);
    const [finding, summary, ...more] = jsonLines((await runCli(["check", file, "--json"])).out);
    assertEquals(more, []);
    assertEquals(Object.keys(finding!).sort(), ["advice", "code", "message", "offset", "reason", "severity", "type", "version"]);
    assertEquals([finding!.version, finding!.type, finding!.severity, finding!.code], [1, "finding", "warning", "META_COPY_DAMAGED"]);
    assertEquals([summary!.version, summary!.type, summary!.verdict, summary!.level], [1, "summary", "absorbed", "tree"]);
  });
});

test("check: an interrupt is exit code 3", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    const manifest = await Manifest.open(file, { create: true });
    const txn = manifest.begin();
    for (let db = 1; db <= 1000; db++) txn.putDb(db, { name: "x".repeat(2000) });
    await txn.commit();
    await manifest.close();
    const stop = new AbortController();
    stop.abort();
    const { code, err } = await runCli(["check", file, "--level", "deep"], { signal: stop.signal });
    assertEquals(code, 3);
    assertStringIncludes(err, "[ABORTED]");
  });
});
