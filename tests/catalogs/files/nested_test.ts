// What lies in a file set's folder and is somebody else's: backups, restored directories, other file sets. And how long a file has been there, whatever its times say.
import { assert, assertEquals } from "@std/assert";
import { mkdirSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { fileFolder, memoryFolder, type OrphanFile, type OrphanReport } from "../../../src/catalogs/files/mod.ts";
import { subFolder } from "../../../src/storage/sub_folder.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { SimFolder } from "../../support/disk/sim_folder.ts";
import { makeFolder, removeFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { WrappedFolder } from "../../support/wrapped_folder.ts";
import { data, filesIn, Place, putFile } from "./parts.ts";

const HOUR = 3_600_000;
const paths = (list: readonly { readonly path: string }[]): string[] => list.map(({ path }) => path);

/** A report that says of every file that it is an orphan. */
async function forged(place: Place, report: OrphanReport, files: readonly string[]): Promise<OrphanReport> {
  const orphans: OrphanFile[] = [];
  for (const path of files) {
    const { sizeBytes, modifiedAt, identity } = (await place.folder.facts(path))!;
    orphans.push({ path, sizeBytes, modifiedAt, identity });
  }
  return { ...report, orphans };
}

/** Lists orphans and deletes them, then whatever a report may claim: what is left must be what was there but for the orphans. */
async function clean(place: Place): Promise<OrphanReport> {
  const before = await filesIn(place.folder);
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals((await place.catalog.deleteOrphans(report)).deleted, report.orphans.length);
  const left = before.filter((path) => !paths(report.orphans).includes(path));
  const { deleted, refused } = await place.catalog.deleteOrphans(await forged(place, report, left));
  assertEquals([deleted, refused.length], [0, left.length]);
  assertEquals(await filesIn(place.folder), left);
  return report;
}

test("nested: a backup in the folder of its files is skipped, in a directory of its own and beside them, and stays whole", async () => {
  for (const directory of ["", "backup/daily"]) {
    const place = await Place.open();
    const { folder, manifest, catalog } = place;
    await place.commit({ a: "a1", b: "objects2/b1" });
    let into = folder;
    if (directory !== "") {
      for (const part of ["backup", directory]) await folder.makeDirectory(part);
      into = subFolder(folder, directory);
    }
    const backups = await BackupStore.open(into, { create: true, environment: place.environment });
    await backups.backup({ manifest, fileSets: [catalog] });
    const beside = directory === "" ? "left" : `${directory}/left`;
    await putFile(folder, beside, "nobody's");
    const report = await clean(place);
    assertEquals([paths(report.orphans), report.skipped, report.named], [[beside], [{ directory, kind: "backup" }], 2]);
    assertEquals([(await backups.verify()).ok, (await backups.list()).length], [true, 1]);
    // One that is only copied, without its directory for what is being written, is told by its records.
    await folder.removeDirectory(directory === "" ? "objects/new" : `${directory}/objects/new`);
    assertEquals((await clean(place)).skipped, [{ directory, kind: "backup" }]);
    await manifest.close();
  }
});

test("nested: directories of the names of a backup's that are none are looked through", async () => {
  const place = await Place.open();
  await place.commit({ a: "objects/a1" });
  for (const path of ["objects/00/left", "backups/left", "only/backups/left", "only/objects2/left"]) {
    await putFile(place.folder, path, path);
  }
  const report = await clean(place);
  assertEquals([paths(report.orphans), report.skipped], [
    ["backups/left", "objects/00/left", "only/backups/left", "only/objects2/left"],
    [],
  ]);
  await place.manifest.close();
});

test("nested: a restored directory in the folder is skipped with everything in it, and stays what was restored", async () => {
  const place = await Place.open();
  const { folder, manifest, catalog, environment } = place;
  await place.commit({ a: "a1", b: "d/b1" });
  const backups = await BackupStore.open(memoryFolder(place.clock), { create: true, environment });
  await backups.backup({ manifest, fileSets: [catalog] });
  await folder.makeDirectory("d/deep");
  await backups.restore({ into: folder, name: "restored" });
  await backups.restore({ into: subFolder(folder, "d/deep"), name: "again" });
  await putFile(folder, "d/deep/left", "x");
  const report = await clean(place);
  assertEquals([paths(report.orphans), report.skipped, report.named, report.manifests], [
    ["d/deep/left"],
    [
      { directory: "d/deep/again", kind: "manifest" },
      { directory: "restored", kind: "manifest" },
    ],
    2,
    0,
  ]);
  assertEquals(await filesIn(folder, "restored"), ["restored/files-1/a1", "restored/files-1/d/b1", "restored/manifest.waybill"]);
  await manifest.close();
});

test("nested: a restore at work in the folder is skipped, at each of its calls", async () => {
  const place = await Place.open();
  const { folder, manifest, catalog, environment } = place;
  await place.commit({ a: "a1", b: "d/b1" });
  const backups = await BackupStore.open(memoryFolder(place.clock), { create: true, environment });
  await backups.backup({ manifest, fileSets: [catalog] });
  const kinds = new Set<string>();
  class Watched extends WrappedFolder {
    override async before(): Promise<void> {
      const { orphans, skipped } = await catalog.orphans({ minAgeMs: 0 });
      assertEquals(orphans, []);
      for (const { directory, kind } of skipped) kinds.add(`${kind} ${directory.replace(/[0-9a-f]{12}$/, "#")}`);
    }
  }
  await backups.restore({ into: new Watched(folder), name: "restored" });
  assertEquals([...kinds].sort(), ["manifest restored", "restore restored.restoring-#"]);
  await manifest.close();
});

test("nested: the folder of another file set that is open is skipped, of this manifest or of another one; a stored copy of a manifest is a file", async () => {
  const place = await Place.open();
  const { folder } = place;
  await place.commit({ a: "a1" });
  const stranger = new Place(() => subFolder(folder, "theirs"));
  for (const directory of ["theirs", "ours", "shards"]) await folder.makeDirectory(directory);
  await stranger.open();
  await stranger.commit({ a: "x1" });
  const other = await place.over(subFolder(folder, "ours"), { name: "other" });
  for (const path of ["ours/x1", "ours/left", "theirs/left", "shards/left"]) await putFile(folder, path, path);
  await other.commit({ set: [data("a", "x1")] });
  await putFile(folder, "shards/one", stranger.medium.file.bytes());
  await place.catalog.commit({ set: [data("shard", "shards/one")] });
  const report = await clean(place);
  assertEquals([paths(report.orphans), report.skipped], [["shards/left"], [
    { directory: "ours", kind: "files" },
    { directory: "theirs", kind: "files" },
  ]]);
  // Each finds its own.
  assertEquals(paths((await other.orphans({ minAgeMs: 0 })).orphans), ["left"]);
  assertEquals(paths((await stranger.catalog.orphans({ minAgeMs: 0 })).orphans), ["left"]);
  for (const { manifest } of [place, stranger]) await manifest.close();
});

test("nested: a file that was put there with an old time is young until it has been there for long, on a real file system", async () => {
  const root = makeFolder();
  const place = new Place(() => fileFolder(root));
  try {
    await place.open();
    const { folder, catalog } = place;
    await putFile(folder, "a1", "a1");
    await catalog.commit({ set: [data("a", "a1")] });
    // As an archive is extracted, and as a file is moved here.
    const old = 1_000_000_000;
    for (const path of ["extracted", "to-be-moved"]) {
      writeFileSync(join(root, path), path);
      utimesSync(join(root, path), old, old);
    }
    mkdirSync(join(root, "d"));
    renameSync(join(root, "to-be-moved"), join(root, "d", "moved"));
    let last = 0;
    for (const path of ["extracted", "d/moved"]) {
      const { modifiedAt, changedAt } = (await folder.facts(path))!;
      assertEquals(modifiedAt, old * 1000);
      assert(changedAt > modifiedAt && changedAt >= Math.floor(statSync(join(root, path)).ctimeMs), path);
      const open = await folder.open(path);
      assertEquals((await open.facts()).changedAt, changedAt);
      await open.close();
      last = Math.max(last, changedAt);
    }
    place.clock.time = last + HOUR / 2;
    const young = await catalog.orphans({ minAgeMs: HOUR });
    assertEquals([young.orphans, paths(young.young)], [[], ["d/moved", "extracted"]]);
    const early = await catalog.deleteOrphans(await forged(place, young, ["extracted"]));
    assertEquals(early.refused.map(({ error }) => error.detail.reason), ["young"]);
    place.clock.time = last + HOUR;
    const report = await catalog.orphans({ minAgeMs: HOUR });
    assertEquals(paths(report.orphans), ["d/moved", "extracted"]);
    assertEquals((await catalog.deleteOrphans(report)).deleted, 2);
  } finally {
    await place.manifest.close();
    removeFolder(root);
  }
});

test("nested: in memory and simulated a file that is renamed has been there from then on", async () => {
  for (const make of [memoryFolder, (clock: { now(): number }) => new SimFolder(undefined, { now: clock.now })]) {
    const place = new Place(make);
    await place.open();
    await place.commit({ a: "a1" });
    await putFile(place.folder, "x", "x");
    const written = place.clock.time;
    place.clock.time += HOUR;
    assertEquals(paths((await place.catalog.orphans({ minAgeMs: HOUR })).orphans), ["x"]);
    await place.folder.rename("x", "y");
    const { modifiedAt, changedAt } = (await place.folder.facts("y"))!;
    assertEquals([modifiedAt, changedAt], [written, place.clock.time]);
    assertEquals(paths((await place.catalog.orphans({ minAgeMs: HOUR })).young), ["y"]);
    place.clock.time += HOUR;
    assertEquals(paths((await place.catalog.orphans({ minAgeMs: HOUR })).orphans), ["y"]);
    // A clock that goes back makes nothing older.
    place.clock.time -= 2 * HOUR;
    await place.folder.rename("y", "z");
    assertEquals((await place.folder.facts("z"))!.changedAt, changedAt);
    assertEquals(await codeOf(() => place.folder.open("y")), "NOT_FOUND");
    await place.manifest.close();
  }
});
