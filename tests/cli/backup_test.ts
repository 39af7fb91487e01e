// `backup`, `restore`, `verify`: a file set goes into a folder of backups and comes back; damage, a writer and wrong arguments have their exit codes.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest, ManifestError } from "../../mod.ts";
import { fileFolder, FileSetCatalog } from "../../src/catalogs/files/mod.ts";
import { hintOf } from "../../src/cli/printer.ts";
import { splitPath } from "../../src/cli/folders.ts";
import { readNewest } from "../../src/cli/opening.ts";
import { run } from "../../src/cli/mod.ts";
import { jsonLines, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { rewritten } from "../support/rewritten.ts";
import { runtimeCommand } from "../support/runtimes.ts";

async function commit(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await using manifest = await Manifest.open(join(folder, "a.waybill"), { create: true });
  const catalog = await FileSetCatalog.open(manifest, fileFolder(join(folder, "data")));
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, "data", path), content);
  await catalog.commit({ set: Object.keys(files).map((path) => ({ kind: "data", name: path, path })) });
}

function objectsIn(folder: string): string[] {
  return readdirSync(join(folder, "objects"), { recursive: true }).map(String).filter((path) => /-\d+$/.test(path)).sort();
}

test("backup, verify, restore: what was backed up comes back, and the second backup copies what is new", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const [file, place] = [join(folder, "a.waybill"), join(folder, "backups")];
    await commit(folder, { "one.sst": "first", "two.sst": "second" });
    const first = await runCli(["backup", file, place, "--files", join(folder, "data")]);
    assertEquals([first.code, first.err], [0, ""]);
    assertStringIncludes(first.out, "backup 1: changes up to ");
    assertStringIncludes(first.out, "2 files of 11 B, of which 2 of 11 B were copied");
    await commit(folder, { "three.sst": "third" });
    const second = await runCli(["backup", file, place, "--files", `default=${join(folder, "data")}`, "--json"]);
    const [report] = jsonLines(second.out);
    assertEquals([report!.type, report!.number, report!.files, report!.filesCopied], ["backup", 2, 3, 1]);
    const verified = await runCli(["verify", place]);
    assertEquals([verified.code, verified.err], [0, ""]);
    assertStringIncludes(verified.out, "2 backups, ");
    assertStringIncludes(verified.out, "by digest: whole");
    for (const [number, files] of [["1", ["one.sst", "two.sst"]], ["2", ["one.sst", "three.sst", "two.sst"]]] as const) {
      const into = join(folder, `restored-${number}`);
      const { code, err, out } = await runCli(["restore", place, into, "--backup", number]);
      assertEquals([code, err], [0, ""]);
      assertStringIncludes(out, `backup ${number}: `);
      assertEquals(readdirSync(join(into, "files-1")).sort(), [...files]);
      assertEquals((await runCli(["check", join(into, "manifest.waybill"), "--level", "deep"])).code, 0);
    }
  });
});

test("verify, restore: damage and missing objects are exit code 2, and nothing is restored", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const place = join(folder, "backups");
    await commit(folder, { "one.sst": "first" });
    assertEquals((await runCli(["backup", join(folder, "a.waybill"), place, "--files", join(folder, "data")])).code, 0);
    const object = join(place, "objects", objectsIn(place).find((path) => path.endsWith("-5"))!);
    const whole = readFileSync(object);
    writeFileSync(object, "furst");
    const { code, out } = await runCli(["verify", place]);
    assertEquals(code, 2);
    assertStringIncludes(out, "another content than its name says; needed by 1");
    assertEquals((await runCli(["verify", place, "--level", "size"])).code, 0);
    const into = join(folder, "restored");
    const failed = await runCli(["restore", place, into]);
    assertEquals([failed.code, failed.out], [2, ""]);
    assertStringIncludes(failed.err, `[BACKUP_DAMAGED]\n  waybill verify ${place} finds out what is damaged`);
    assert(!existsSync(into));
    writeFileSync(object, whole);
    assertEquals((await runCli(["restore", place, into])).code, 0);
    const again = await runCli(["restore", place, into]);
    assertEquals(again.code, 4);
    assertStringIncludes(again.err, "[EXISTS]");
  });
});

test("backup: a manifest that a writer holds is exit code 5, and with --beside it is backed up", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    await commit(folder, { "one.sst": "first" });
    await using writer = await Manifest.open(join(folder, "a.waybill"));
    const args = ["backup", join(folder, "a.waybill"), join(folder, "backups"), "--files", join(folder, "data")];
    const locked = await runCli(args);
    assertEquals([locked.code, locked.out], [5, ""]);
    assert(!existsSync(join(folder, "backups")));
    assertEquals((await runCli([...args, "--beside"])).code, 0);
    assertEquals((await runCli(["verify", join(folder, "backups")])).code, 0);
    assertEquals(writer.latestChangeSequence(), 2);
  });
});

test("backup, restore, verify: wrong arguments are exit code 4, what is not there 3", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const file = join(folder, "a.waybill");
    await commit(folder, { "one.sst": "first" });
    const place = join(folder, "backups");
    const noFiles = await runCli(["backup", file, place]);
    assertEquals(noFiles.code, 4);
    assertStringIncludes(noFiles.err, 'the file set "default"');
    for (const files of ["", "=x", "a="]) assertEquals((await runCli(["backup", file, place, "--files", files])).code, 4, files);
    assertEquals((await runCli(["backup", file])).code, 4);
    assertEquals((await runCli(["backup", join(folder, "none.waybill"), place])).code, 3);
    assertEquals((await runCli(["verify", join(folder, "nothing")])).code, 3);
    assertEquals((await runCli(["restore", join(folder, "nothing"), join(folder, "x")])).code, 3);
    assertEquals((await runCli(["restore", place, ".."])).code, 4);
    assertEquals((await runCli(["restore", place, join(folder, "x"), "--backup", "0"])).code, 4);
    assertEquals((await runCli(["verify", place, "--level", "deep"])).code, 4);
  });
});

test("backup --reuse digest: what verify found is whole again; without it nothing is said of it", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const place = join(folder, "backups");
    await commit(folder, { "one.sst": "first" });
    const args = ["backup", join(folder, "a.waybill"), place, "--files", join(folder, "data")];
    assertEquals((await runCli(args)).code, 0);
    writeFileSync(join(place, "objects", objectsIn(place).find((path) => path.endsWith("-5"))!), "furst");
    assertEquals((await runCli(["verify", place])).code, 2);
    const trusting = await runCli(args);
    assertEquals([trusting.code, trusting.out.includes("mended")], [0, false]);
    assertEquals((await runCli(["verify", place])).code, 2);
    const mending = await runCli([...args, "--reuse", "digest"]);
    assertEquals(mending.code, 0);
    assertStringIncludes(mending.out, "mended 1 damaged object of earlier backups\n");
    assertEquals((await runCli(["verify", place])).code, 0);
    const json = jsonLines((await runCli([...args, "--reuse", "digest", "--json"])).out)[0]!;
    assertEquals([json.number, json.objectsMended], [4, 0]);
    assertEquals((await runCli([...args, "--reuse", "tree"])).code, 4);
  });
});

test("backup --beside: a state that the writer replaces meanwhile is given up for a newer one; so often, and no more", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const file = join(folder, "a.waybill");
    await commit(folder, { "one.sst": "first" });
    const manifest = await Manifest.open(file, { logRetention: { changes: 1 } });
    await rewritten(manifest, 1500, 0);
    const before = manifest.latestChangeSequence();
    await manifest.close();
    // The bar is shown before the first row is read: a writer of another process comes in between.
    const { cmd, args } = runtimeCommand("node", "tests/support/children/rewriter.ts", [file, "1500", "4"]);
    let writes = 0, out = "";
    const never = new AbortController().signal;
    const code = await run(["backup", file, join(folder, "backups"), "--files", join(folder, "data"), "--beside", "--json"], {
      stdout: { isTerminal: false, write: (part) => void (out += part) },
      stderr: {
        isTerminal: true,
        columns: 80,
        write: () => {
          if (writes++ === 0) assertEquals(spawnSync(cmd, args, { stdio: "inherit" }).status, 0);
        },
      },
      signal: never,
      closed: never,
      env: () => undefined,
    });
    assertEquals(code, 0);
    assertEquals([jsonLines(out)[0]!.number, jsonLines(out)[0]!.sequence], [1, before + 4], "the state that was replaced was not given up");
    assertEquals((await runCli(["verify", join(folder, "backups")])).code, 0);
    const reading = await Manifest.open(file, { readOnly: true });
    let asked = 0;
    const expired = (): never => {
      asked++;
      throw new ManifestError("SNAPSHOT_EXPIRED", "Cannot read: it was replaced");
    };
    await assertRejects(() => readNewest(reading, expired, { most: 20 }), ManifestError, "it was replaced");
    assertEquals(asked, 21);
    await reading.close();
  });
});

test("backup --beside: a file that the writer prunes meanwhile is given up with its state; one that is missing in the newest too is damage", async () => {
  await withFolder(async (folder) => {
    const data = join(folder, "data");
    mkdirSync(data);
    const file = join(folder, "a.waybill");
    await commit(folder, { "one.sst": "first", "two.sst": "second" });
    const { cmd, args } = runtimeCommand("node", "tests/support/children/pruner.ts", [file, data, "one.sst"]);
    let writes = 0, out = "";
    const never = new AbortController().signal;
    const code = await run(["backup", file, join(folder, "backups"), "--files", data, "--beside", "--json"], {
      stdout: { isTerminal: false, write: (part) => void (out += part) },
      stderr: {
        isTerminal: true,
        columns: 80,
        write: () => {
          if (writes++ === 0) assertEquals(spawnSync(cmd, args, { stdio: "inherit" }).status, 0);
        },
      },
      signal: never,
      closed: never,
      env: () => undefined,
    });
    assertEquals([code, existsSync(join(data, "one.sst"))], [0, false]);
    assertEquals([jsonLines(out)[0]!.number, jsonLines(out)[0]!.files], [1, 1]);
    assertEquals((await runCli(["verify", join(folder, "backups")])).code, 0);
    rmSync(join(data, "two.sst"));
    assertEquals((await runCli(["backup", file, join(folder, "others"), "--files", data, "--beside"])).code, 2);
  });
});

test("backup: the folder of a file set has to be there, also when everything in it is stored", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const file = join(folder, "a.waybill");
    await commit(folder, { "one.sst": "first" });
    const args = ["backup", file, join(folder, "backups"), "--files"];
    assertEquals((await runCli([...args, join(folder, "data")])).code, 0);
    const { code, err } = await runCli([...args, join(folder, "nowhere")]);
    assertEquals(code, 3);
    assertStringIncludes(err, 'no folder "nowhere"');
  });
});

test("backup, verify, restore: on a terminal each shows how far it has come, on the other output, and takes the bar away; elsewhere nothing", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const place = join(folder, "backups");
    await commit(folder, { "one.sst": "first", "two.sst": "second" });
    const calls: [string[], string][] = [
      [["backup", join(folder, "a.waybill"), place, "--files", join(folder, "data")], "files"],
      [["verify", place], "objects"],
      [["restore", place, join(folder, "restored")], "files"],
    ];
    for (const [args, step] of calls) {
      const { code, out, err } = await runCli(args, { terminal: true, env: { NO_COLOR: "1" } });
      assertEquals(code, 0, args[0]);
      assert(new RegExp(`${step}  [\u2588\u2591]{24}  \\d+ %  \\d+ of \\d+`).test(err), `${args[0]}: ${JSON.stringify(err)}`);
      const shown = err.slice(err.lastIndexOf("\u001b[?25h"));
      assert(
        shown.startsWith("\u001b[?25h") && !/[\u2588\u2591]/.test(shown),
        `${args[0]}: no cursor, or a bar is left: ${JSON.stringify(err)}`,
      );
      assert(!out.includes("\u001b") && !/[\u2588\u2591]/.test(out), `${args[0]}: ${JSON.stringify(out)}`);
    }
    const quiet = await runCli(["verify", place]);
    assertEquals(quiet.err, "");
  });
});

test("restore: a path is split as the platform has it: a drive is no segment, and a backslash separates on Windows only", () => {
  const windows: [string, string, string][] = [
    ["C:\\x", "C:\\", "x"],
    ["C:/x", "C:/", "x"],
    ["C:x", "C:.", "x"],
    ["C:\\", "C:\\", ""],
    ["C:", "C:.", ""],
    ["C:\\a\\b\\", "C:\\a", "b"],
    ["a/b\\c", "a/b", "c"],
    ["\\x", "\\", "x"],
    ["\\\\server\\share\\x", "\\\\server\\share", "x"],
    ["x", ".", "x"],
  ];
  for (const [path, parent, name] of windows) assertEquals(splitPath(path, true), { parent, name }, path);
  const others: [string, string, string][] = [
    ["C:\\x", ".", "C:\\x"],
    ["a/b\\", "a", "b\\"],
    ["\\", ".", "\\"],
    ["/x", "/", "x"],
    ["/", "/", ""],
    ["a/b//", "a", "b"],
    ["./x", ".", "x"],
    ["a/..", "a", ".."],
  ];
  for (const [path, parent, name] of others) assertEquals(splitPath(path, false), { parent, name }, path);
});

test("restore: what no name can be is exit code 4; a directory of a restore that did not end is named", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "data"));
    const place = join(folder, "backups");
    await commit(folder, { "one.sst": "first" });
    assertEquals((await runCli(["backup", join(folder, "a.waybill"), place, "--files", join(folder, "data")])).code, 0);
    const before = readdirSync(folder).sort();
    const refused = await runCli(["restore", place, `${folder}/nul`]);
    assertEquals(refused.code, 4);
    assertStringIncludes(refused.err, "[NAME_INVALID]");
    assertEquals(readdirSync(folder).sort(), before);
    for (const name of ["r.restoring-0123456789ab", "r.restoring-mine", "other.restoring-0123456789ab"]) mkdirSync(join(folder, name));
    const { code, out } = await runCli(["restore", place, join(folder, "r")]);
    assertEquals(code, 0);
    assertStringIncludes(out, "r.restoring-0123456789ab is of a restore that did not end, or has not ended yet\n");
    assert(!out.includes("mine") && !out.includes("other"), out);
    assert(existsSync(join(folder, "r.restoring-0123456789ab")));
  });
});

test("hints: what to do about backups names the folder of the backups", () => {
  const hint = (code: ConstructorParameters<typeof ManifestError>[0]): string =>
    hintOf(new ManifestError(code, "Cannot x"), "m", "b") ?? "";
  for (const code of ["BACKUP_DAMAGED", "BACKUP_INCOMPLETE"] as const) assertStringIncludes(hint(code), "waybill verify b finds out", code);
  assertStringIncludes(hint("BACKUP_MISMATCH"), "a folder of backups of its own");
  for (const code of ["FILE_DAMAGED", "FILE_CHANGED"] as const) assert(hint(code) !== "" && !hint(code).includes("salvage"), code);
});
