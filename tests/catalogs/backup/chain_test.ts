// The chain of records and what a backup leans on: links that do not fit, records that are lost or replaced, folders that lost a directory, media that change what is written, drafts of others.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ErrorCode, ManifestError } from "../../../mod.ts";
import { recordNames } from "../../../src/catalogs/backup/chain.ts";
import { contentName } from "../../../src/catalogs/backup/content.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { recordDirectory, recordPath } from "../../../src/catalogs/backup/names.ts";
import { type BackupRecord, decodeRecord, encodeRecord } from "../../../src/catalogs/backup/record.ts";
import { fileFolder, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import type { FolderFile } from "../../../src/storage/folder.ts";
import { testEnvironment } from "../../support/environment.ts";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { type FolderCall, WrappedFolder } from "../../support/wrapped_folder.ts";
import { commitFiles, fileBytes, filesIn, putFile, removeRecord, type Scene, scene } from "./parts.ts";

async function backedUp(seed: number, count = 2, place: Folder = memoryFolder()): Promise<Scene> {
  const made = await scene(seed, place);
  for (let i = 1; i <= count; i++) {
    await commitFiles(made, { [`data@${i}`]: `contents of version ${i}` });
    await backup(made);
  }
  return made;
}

async function backup({ backups, manifest, catalog }: Scene): Promise<number> {
  return (await backups.backup({ manifest, fileSets: [catalog] })).number;
}

async function codeOf(run: () => Promise<unknown>): Promise<ErrorCode> {
  return (await assertRejects(run, ManifestError)).code;
}

/** Replaces the record of a number by what `change` makes of it, with a digest that is right. */
async function forge(place: Folder, number: number, change: (record: BackupRecord) => BackupRecord): Promise<void> {
  const name = (await recordNames(place)).names.find((name) => name.number === number)!;
  const record = decodeRecord(await fileBytes(place, recordPath(name)), "record");
  await removeRecord(place, name);
  const bytes = encodeRecord(change(record));
  await putFile(place, recordPath({ number, digest: (await contentName(bytes)).digest }), bytes);
}

test("BackupStore: a record that follows another parent, and one of another history, are told, and nothing goes on behind them", async () => {
  const changes: ((record: BackupRecord) => BackupRecord)[] = [
    (record) => ({ ...record, parent: "0".repeat(64) }),
    (record) => ({ ...record, manifest: { ...record.manifest, historyId: "0".repeat(32) } }),
    (record) => ({ ...record, manifest: { ...record.manifest, fileId: "0".repeat(32) } }),
  ];
  for (const [i, change] of changes.entries()) {
    const made = await backedUp(i, 2);
    await forge(made.place, 2, change);
    assertEquals(await codeOf(() => made.backups.list()), "BACKUP_MISMATCH", `change ${i}`);
    assertEquals(await codeOf(() => backup(made)), "BACKUP_MISMATCH", `change ${i}`);
    assertEquals(await codeOf(() => made.backups.restore({ into: memoryFolder(), name: "r" })), "BACKUP_MISMATCH", `change ${i}`);
    assertEquals((await made.backups.verify()).problems.map(({ reason, backups }) => [reason, `${backups}`]), [["chain", "2"]]);
    await made.backups.restore({ into: memoryFolder(), name: "r", backup: 1 });
    await made.manifest.close();
  }
});

test("BackupStore.backup: a folder with backups of another history of the same manifest, or of another manifest, is refused", async () => {
  for (const id of ["historyId", "fileId"] as const) {
    const made = await backedUp(5, 1);
    await forge(made.place, 1, (record) => ({ ...record, manifest: { ...record.manifest, [id]: "0".repeat(32) } }));
    const before = await filesIn(made.place);
    await commitFiles(made, { "more": "more" });
    assertEquals(await codeOf(() => backup(made)), "BACKUP_MISMATCH", id);
    assertEquals(await filesIn(made.place), before, id);
    await made.manifest.close();
  }
});

test("BackupStore: what lies in the place of the newest record and is none is not gone over: no backup behind it, no older one in its stead", async () => {
  await withFolder(async (root) => {
    const replace: [string, ErrorCode, (path: string) => void][] = [
      ["nothing in its directory", "BACKUP_INCOMPLETE", (path) => mkdirSync(path)],
      ["a link", "BACKUP_DAMAGED", (path) => symlinkSync(root, path)],
      ["a file", "BACKUP_DAMAGED", (path) => writeFileSync(path, "")],
      ["another file in it", "BACKUP_DAMAGED", (path) => {
        mkdirSync(path);
        writeFileSync(join(path, "record.json"), "{}");
      }],
      ["a directory for a record", "BACKUP_DAMAGED", (path) => mkdirSync(join(path, `${"0".repeat(64)}.json`), { recursive: true })],
      ["a name of the form before", "BACKUP_DAMAGED", (path) => writeFileSync(`${path}-${"0".repeat(64)}.json`, "{}")],
    ];
    for (const [i, [what, code, put]] of replace.entries()) {
      const made = await backedUp(10, 2, fileFolder(join(root, `backup${i}`)));
      const path = join(root, `backup${i}`, recordDirectory(2));
      rmSync(path, { recursive: true });
      put(path);
      const before = await filesIn(made.place);
      assertEquals(await codeOf(() => backup(made)), code, what);
      assertEquals(await codeOf(() => made.backups.list()), code, what);
      assertEquals(await codeOf(() => made.backups.restore({ into: memoryFolder(), name: "r" })), code, what);
      assertEquals((await made.backups.verify()).ok, false, what);
      await made.backups.restore({ into: memoryFolder(), name: "r", backup: 1 });
      assertEquals(await filesIn(made.place), before, what);
      await made.manifest.close();
    }
  });
});

test("BackupStore.backup: objects without a record are those of a first backup that did not end, which goes on, or those of records that are lost, which it refuses", async () => {
  const made = await backedUp(11, 2);
  assertEquals(await filesIn(made.place, "objects/new"), [], "the note stays behind the first backup");
  for (const name of (await recordNames(made.place)).names) await removeRecord(made.place, name);
  const before = await filesIn(made.place);
  assertEquals(await codeOf(() => backup(made)), "BACKUP_INCOMPLETE");
  assertEquals(await filesIn(made.place), before);
  await made.manifest.close();
  // Ended at any call: the next one goes on.
  let ended = 0;
  for (let at = 0;; at++) {
    let calls = -Infinity;
    class Ending extends WrappedFolder {
      override before(call: FolderCall): void {
        if (calls++ >= at) throw new ManifestError("IO_WRITE", `Cannot ${call}: the process has ended`);
      }
    }
    const place = memoryFolder();
    const made = await scene(12, new Ending(place));
    await commitFiles(made, { "a": "one", "b": "two" });
    calls = 0;
    const error = await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog], parallel: 1 }).then(
      () => undefined,
      (error) => error,
    );
    const next = await BackupStore.open(place, { environment: testEnvironment(13) });
    const there = (await next.list()).length;
    assertEquals((await next.backup({ manifest: made.manifest, fileSets: [made.catalog] })).number, there + 1, `call ${at}`);
    assert((await filesIn(place, "objects/new")).every((path) => !path.endsWith("/first")), `call ${at}`);
    await made.manifest.close();
    if (error === undefined && calls <= at) break;
    ended++;
  }
  assert(ended > 40, `${ended} calls`);
});

test("BackupStore.backup: a folder that was copied without its empty directories is backed up into", async () => {
  for (const more of [false, true]) {
    const made = await backedUp(14, 1);
    assert(await made.place.removeDirectory("objects/new"));
    if (more) await commitFiles(made, { "new": "new" });
    assertEquals(await backup(made), 2);
    assertEquals((await made.backups.verify()).problems, []);
    await made.manifest.close();
  }
  // Before the first one, too.
  const made = await scene(15);
  await made.place.removeDirectory("objects/new");
  assertEquals(await backup(made), 1);
  await made.manifest.close();
});

test("BackupStore.backup: what the medium changes on its way is found by reading it again, objects and records, and no draft is left", async () => {
  /** Changes a byte of what is written below a path. */
  class Changing extends WrappedFolder {
    below = "nothing";
    changed = 0;
    override async create(path: string): Promise<FolderFile> {
      const file = await super.create(path);
      if (!path.startsWith(this.below)) return file;
      return { ...file, write: (at, from) => file.write(at, from.map((byte, i) => i === 0 && this.changed++ === 0 ? byte ^ 1 : byte)) };
    }
  }
  for (const below of ["objects/new/", "backups/new-"]) {
    const place = new Changing(memoryFolder());
    const made = await backedUp(16, 1, place);
    const records = await filesIn(place, "backups");
    await commitFiles(made, { "more": "more" });
    place.below = below;
    assertEquals(await codeOf(() => backup(made)), "BACKUP_DAMAGED", below);
    assertEquals(place.changed > 0, true, below);
    assertEquals(await filesIn(place, "backups"), records, below);
    assertEquals([(await place.list("backups")).length, (await place.list("objects/new")).length], [1, 0], below);
    assertEquals((await made.backups.verify()).problems, [], below);
    assertEquals(await backup(made), 2, below);
    assertEquals((await made.backups.verify()).problems, [], below);
    await made.manifest.close();
  }
});

test("BackupStore.backup: whichever call of a record's writing fails, no draft of it is left", async () => {
  for (const failing of ["create", "write", "sync", "close", "syncDirectory", "open", "read", "rename"] as const) {
    class Failing extends WrappedFolder {
      armed = false;
      override before(call: FolderCall, path: string): void {
        if (!this.armed || call !== failing || !path.startsWith("backups/new-")) return;
        this.armed = false;
        throw new ManifestError("NO_SPACE", `Cannot ${call}: the call fails`);
      }
    }
    const place = new Failing(memoryFolder());
    const made = await backedUp(17, 1, place);
    place.armed = true;
    assertEquals(await codeOf(() => backup(made)), "NO_SPACE", failing);
    assertEquals((await place.list("backups")).length, 1, failing);
    assertEquals(await backup(made), 2, failing);
    await made.manifest.close();
  }
});

test("BackupStore.backup: a file that changes while it is copied, and is put back, is told", async () => {
  const made = await scene(18);
  const { manifest, catalog, folder, place } = made;
  await commitFiles(made, { "a": "contents" });
  const facts = (await (await folder.open("a")).facts()).modifiedAt;
  // Its bytes are right when they are read, and its time is another one behind them.
  const open = folder.open.bind(folder);
  folder.open = async (path) => {
    const file = await open(path);
    let asked = 0;
    return {
      facts: async () => ({ ...await file.facts(), modifiedAt: facts + asked++ }),
      read: (at, into) => file.read(at, into),
      write: (at, from) => file.write(at, from),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  };
  assertEquals(await codeOf(() => backup(made)), "FILE_CHANGED");
  assertEquals([await made.backups.list(), await filesIn(place, "backups")], [[], []]);
  folder.open = open;
  assertEquals((await made.backups.backup({ manifest, fileSets: [catalog] })).filesCopied, 1);
  await manifest.close();
});

test("BackupStore.backup: drafts are removed when they are older than a day, and not before: they may be another one's that is at work", async () => {
  const day = 24 * 3_600_000;
  let time = 1_700_000_000_000;
  const clock = { now: () => time };
  const made = await scene(19, memoryFolder(clock));
  const { manifest, catalog, place } = made;
  const backups = await BackupStore.open(place, { environment: { ...testEnvironment(20), ...clock } });
  const object = `objects/new/${"a".repeat(24)}`, record = `backups/new-${"b".repeat(24)}`;
  const others = ["objects/new/mine", `objects/new/${"c".repeat(23)}`];
  for (const path of [object, `${record}/${"0".repeat(64)}.json`, ...others]) await putFile(place, path, "x");
  const left = async (): Promise<boolean[]> => [await place.facts(object) !== undefined, await place.facts(record) !== undefined];
  for (const later of [0, day - 1, 1]) {
    time += later;
    await backups.backup({ manifest, fileSets: [catalog] });
    assertEquals(await left(), [true, true], `${later} later`);
    assertEquals((await backups.verify()).problems, []);
  }
  time += 1;
  await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals(await left(), [false, false]);
  assertEquals((await place.list("backups")).map(({ name }) => name).filter((name) => name.startsWith("new-")), []);
  for (const path of others) assert(await place.facts(path) !== undefined, path);
  // What has no time is left: nobody can tell its age.
  const timeless = await scene(21);
  await putFile(timeless.place, object, "x");
  await backup(timeless);
  assert(await timeless.place.facts(object) !== undefined);
  await timeless.manifest.close();
  await manifest.close();
});
