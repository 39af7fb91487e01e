// Reading the arguments: what is wrong with them is exit code 4 before any file is touched.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { contents, jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

test("run: wrong arguments are exit code 4, said on the error output alone", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const before = contents(folder);
    const wrong = [
      ["chek", file],
      ["stats"],
      ["stats", file, "more"],
      ["stats", file, "--jsn"],
      ["stats", file, "--cache", "0"],
      ["stats", file, "--cache", "many"],
      ["tail", file, "--from", "0"],
      ["tail", file, "--from", "-1"],
      ["tail", file, "--from", "newest"],
      ["tail", file, "--from", "99999999999999999999"],
      ["tail", file, "--from", "5", "--no-follow"],
      ["tail", file, "--limit", "1.5"],
      ["stats", ""],
      ["stats", "a\0b"],
      ["--bogus"],
      [],
    ];
    for (const args of wrong) {
      const { code, out, err } = await runCli(args);
      assertEquals([code, out], [4, ""], args.join(" "));
      assert(err.startsWith("waybill: Cannot ") || err.startsWith("Usage: waybill"), `${args}: ${err}`);
    }
    assertEquals(contents(folder), before);
  });
});

test("run: with --json a wrong argument is a line of JSON", async () => {
  const { code, out, err } = await runCli(["stats", "--json", "--frm"]);
  assertEquals([code, out], [4, ""]);
  const [line] = jsonLines(err);
  assertEquals([line!.version, line!.type], [1, "error"]);
  const { code: name, kind, message } = line!.error as Record<string, string>;
  assertEquals([name, kind], ["INVALID_ARGUMENT", "usage"]);
  assertStringIncludes(message!, "unknown option '--frm'");
});

test("run: help and version go to the standard output, exit code 0, and every command is in the help", async () => {
  const { code, out, err } = await runCli(["--help"]);
  assertEquals([code, err], [0, ""]);
  for (const { name, summary } of COMMANDS) {
    assertStringIncludes(out, `  ${name} `);
    assertStringIncludes(out, summary);
    const own = await runCli([name, "--help"]);
    assertEquals([own.code, own.err], [0, ""]);
    assertStringIncludes(own.out, `Usage: waybill ${name}`);
    assertStringIncludes(own.out, "--json");
  }
  assertEquals((await runCli(["--version"])).out, "0.1.0\n");
});

test("run: what cannot be read is exit code 3 for every command that reads", async () => {
  await withFolder(async (folder) => {
    for (const { name, subject } of COMMANDS) {
      if (subject !== undefined) continue; // not about a manifest
      const rest = name === "page" ? ["0"] : name === "salvage" || name === "backup" ? [join(folder, "out")] : [];
      for (const [path, error] of [[join(folder, "none"), "NOT_FOUND"], [folder, "NOT_A_REGULAR_FILE"]]) {
        const { code, out, err } = await runCli([name, path!, ...rest]);
        assertEquals([code, out], [3, ""], `${name} ${path}`);
        assertStringIncludes(err, `[${error}]`);
        assert(!err.includes(folder), "a directory of the user is shown");
      }
    }
    assertEquals(contents(folder), {});
  });
});
