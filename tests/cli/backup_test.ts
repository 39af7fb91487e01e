// `backup`, `restore`, `verify`: a file set goes into a folder of backups and comes back; damage, a writer and wrong arguments have their exit codes.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { fileFolder, FileSetCatalog } from "../../src/catalogs/files/mod.ts";
import { jsonLines, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

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
    assertStringIncludes(failed.err, "[BACKUP_DAMAGED]");
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
