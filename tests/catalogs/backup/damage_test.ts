// Backups that were damaged, forged, mixed or cut short: everything is found, nothing is left out in silence, and nothing leaves its folder.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ErrorCode, ManifestError } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { contentName } from "../../../src/catalogs/backup/content.ts";
import { recordNames } from "../../../src/catalogs/backup/chain.ts";
import { type ObjectName, objectPath, objectText, recordPath } from "../../../src/catalogs/backup/names.ts";
import { type BackupRecord, decodeRecord, encodeRecord } from "../../../src/catalogs/backup/record.ts";
import { fileFolder, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { recycling } from "../../support/kernel_pool.ts";
import { seeded } from "../../support/random.ts";
import { isShare, SHARE } from "../../support/share.ts";
import { testEnvironment } from "../../support/environment.ts";
import { FailingFolder, type FolderCall } from "../../support/wrapped_folder.ts";
import { commitFiles, fileBytes, filesIn, putFile, removeRecord, type Scene, scene } from "./parts.ts";

async function backedUp(seed: number, count = 2, place: Folder = memoryFolder()): Promise<Scene> {
  const made = await scene(seed, place);
  for (let i = 1; i <= count; i++) {
    await commitFiles(made, { [`a/data@${i}`]: `contents of version ${i}`, [`empty-${i}`]: "" });
    await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  }
  return made;
}

async function codeOf(run: () => Promise<unknown>): Promise<ErrorCode> {
  return (await assertRejects(run, ManifestError)).code;
}

test("BackupStore.verify: finds any byte that is damaged, in every file of a backup, and names the file", async () => {
  const { manifest, place, backups } = await backedUp(1);
  assertEquals((await backups.verify()).problems, []);
  const random = seeded(1);
  let damaged = 0;
  for (const path of await filesIn(place)) {
    const whole = await fileBytes(place, path);
    // Every byte of what is short; of pieces, which are long, every so manyth, and the first and the last ones.
    const step = whole.length > 3000 ? 211 : 1;
    for (let at = 0; at < whole.length; at = at < 16 || at > whole.length - 16 ? at + 1 : at + step) {
      if (!isShare(at)) continue;
      const bytes = whole.slice();
      bytes[at] = (bytes[at]! + 1 + random.int(255)) & 0xff;
      await putFile(place, path, bytes);
      const { ok, problems } = await recycling(() => backups.verify({ parallel: 1 }));
      assert(!ok && problems.some(({ file }) => file === path), `byte ${at} of ${path}: ${JSON.stringify(problems)}`);
      damaged++;
    }
    for (const bytes of [whole.subarray(0, -1), new Uint8Array([...whole, 0])]) {
      if (whole.length === 0 && bytes.length === 0) continue;
      await putFile(place, path, bytes);
      const { problems } = await backups.verify({ level: path.startsWith("objects/") ? "size" : "digest" });
      assert(problems.some(({ file }) => file === path), `${path} with ${bytes.length} bytes`);
    }
    await putFile(place, path, whole);
  }
  assert(damaged > 1500 / SHARE * 0.9, `${damaged} bytes`);
  assertEquals((await backups.verify()).ok, true);
  await manifest.close();
});

test("BackupStore.restore: with any one object or record missing or damaged it fails, and nothing is left where it would have gone", async () => {
  const { manifest, place, backups } = await backedUp(2);
  const into = memoryFolder();
  await putFile(into, "mine", "untouched");
  let first = 0;
  for (const path of await filesIn(place)) {
    const whole = await fileBytes(place, path);
    await place.remove(path);
    // Without its newest record a chain is a shorter one; an object may be the first backup's alone.
    assert(path.startsWith("backups/00000002") || !(await backups.verify()).ok, `${path} is missing`);
    if ((await backups.verify({ backup: 2 })).ok) {
      first++;
      await putFile(place, path, whole);
      continue;
    }
    const missing = await assertRejects(() => backups.restore({ into, name: "r", backup: 2 }), ManifestError, undefined, path);
    assert(
      missing.code === "BACKUP_INCOMPLETE" || (missing.code === "NOT_FOUND" && path.startsWith("backups/00000002")),
      `${path}: ${missing.code}`,
    );
    const other = whole.slice();
    if (other.length > 0) other[other.length >> 1]! ^= 0x40;
    await putFile(place, path, other.length > 0 ? other : "x");
    assertEquals(await codeOf(() => backups.restore({ into, name: "r", backup: 2 })), "BACKUP_DAMAGED", path);
    await putFile(place, path, whole);
    assertEquals(await filesIn(into), ["mine"], path);
    assertEquals((await into.list("")).length, 1, path);
  }
  assertEquals(first, 2, "pieces of the first backup that the second has not");
  await backups.restore({ into, name: "r" });
  assertEquals(await codeOf(() => backups.restore({ into, name: "r" })), "EXISTS");
  await manifest.close();
});

test("BackupStore: a chain with a missing link, a forked one, and one of two manifests are told apart", async () => {
  const { manifest, place, backups } = await backedUp(3, 3);
  const other = await backedUp(4, 3);
  const records = async (folder: Folder) => (await recordNames(folder)).names;
  const [first, second, third] = await records(place) as [never, never, never];
  const theirs = await records(other.place);
  const into = memoryFolder();
  // The middle link, and the first one.
  for (const name of [second, first]) {
    const bytes = await fileBytes(place, recordPath(name));
    await removeRecord(place, name);
    assertEquals(await codeOf(() => backups.list()), "BACKUP_INCOMPLETE");
    assertEquals(await codeOf(() => backups.restore({ into, name: "r", backup: 3 })), "BACKUP_INCOMPLETE");
    assertEquals((await backups.verify()).problems.map(({ reason }) => reason), ["chain"]);
    await putFile(place, recordPath(name), bytes);
  }
  // Another manifest's record in the place of ours, and beside it.
  const strange = recordPath(theirs[2]!);
  const bytes = await fileBytes(other.place, strange);
  await putFile(place, strange, bytes);
  assertEquals(await codeOf(() => backups.list()), "BACKUP_MISMATCH");
  const kept = await fileBytes(place, recordPath(third));
  await place.remove(recordPath(third));
  assertEquals(await codeOf(() => backups.restore({ into, name: "r" })), "BACKUP_MISMATCH");
  assert((await backups.verify()).problems.some(({ file, reason }) => file === strange && reason === "chain"));
  await place.remove(strange);
  await putFile(place, recordPath(third), kept);
  assertEquals((await backups.verify()).ok, true);
  assertEquals(await filesIn(into), []);
  await manifest.close();
  await other.manifest.close();
});

/** Replaces the newest backup by one whose record and lists are what `change` makes of them, with digests that are right. */
async function forge(place: Folder, change: (record: BackupRecord) => BackupRecord | Promise<BackupRecord>): Promise<void> {
  const name = (await recordNames(place)).names.at(-1)!;
  const record = decodeRecord(await fileBytes(place, recordPath(name)), "record");
  await place.remove(recordPath(name));
  const bytes = encodeRecord(await change(record));
  await putFile(place, recordPath({ number: name.number, digest: (await contentName(bytes)).digest }), bytes);
}

async function putObject(place: Folder, content: string): Promise<ObjectName> {
  const bytes = new TextEncoder().encode(content);
  const name = await contentName(bytes);
  await putFile(place, objectPath(name), bytes);
  return name;
}

test("BackupStore.restore: hostile paths in a forged backup are refused, and nothing is written outside", async () => {
  const hostile = [
    "../escaped",
    "/etc/escaped",
    "a/../../escaped",
    "a\\..\\escaped",
    "C:escaped",
    "nul",
    "a/COM1.txt",
    "a\0b",
    "a//b",
    ".",
    "",
    "x.",
  ];
  for (const [i, path] of hostile.entries()) {
    const { manifest, place, backups } = await backedUp(100 + i, 1);
    const content = await putObject(place, "escaped");
    await forge(place, async (record) => ({
      ...record,
      fileSets: [{ ...record.fileSets[0]!, files: 1, lists: [await putObject(place, `${JSON.stringify([path, objectText(content)])}\n`)] }],
    }));
    const into = memoryFolder();
    assertEquals(await codeOf(() => backups.restore({ into, name: "r" })), "NAME_INVALID", path);
    assertEquals(await filesIn(into), [], path);
    assert((await backups.verify()).problems.some(({ reason }) => reason === "content"), path);
    await manifest.close();
  }
});

test("BackupStore.restore: lists and records that make no sense, with digests that are right, are refused by name", async () => {
  const lists = [`["a"]\n`, `{}\n`, `["a","blake3-00-1"]\n`, `[1,2]\n`, "not json\n", `["a","x"]`, "\n"];
  for (const [i, list] of lists.entries()) {
    const { manifest, place, backups } = await backedUp(200 + i, 1);
    await forge(place, async (record) => ({ ...record, fileSets: [{ ...record.fileSets[0]!, lists: [await putObject(place, list)] }] }));
    assertEquals(await codeOf(() => backups.restore({ into: memoryFolder(), name: "r" })), "BACKUP_DAMAGED", list);
    await manifest.close();
  }
  const changes: ((record: BackupRecord) => BackupRecord)[] = [
    (record) => ({ ...record, number: 7 }),
    (record) => ({ ...record, manifest: { ...record.manifest, sequence: record.manifest.sequence + 5 } }),
    (record) => ({ ...record, manifest: { ...record.manifest, pieces: [] } }),
    (record) => ({ ...record, fileSets: record.fileSets.map((set) => ({ ...set, files: set.files + 1 })) }),
    (record) => ({ ...record, fileSets: record.fileSets.map((set) => ({ ...set, bytes: set.bytes + 1 })) }),
    (record) => ({ ...record, manifest: { ...record.manifest, pageSize: 4097 } }),
    (record) => ({ ...record, manifest: { ...record.manifest, frame: 2 ** 60 } }),
  ];
  for (const [i, change] of changes.entries()) {
    const { manifest, place, backups } = await backedUp(300 + i, 1);
    await forge(place, change);
    const into = memoryFolder();
    const error = await assertRejects(() => backups.restore({ into, name: "r" }), ManifestError, undefined, `change ${i}`);
    assert(["data", "usage"].includes(error.kind), `change ${i}: ${error.code}`);
    assertEquals(await filesIn(into), [], `change ${i}`);
    await manifest.close();
  }
});

test("BackupStore: on a file system links in a backup are not followed, and a restore that fails leaves no directory", async () => {
  await withFolder(async (root) => {
    const place = fileFolder(join(root, "backup"));
    const { manifest, backups } = await backedUp(5, 1, place);
    assertEquals((await backups.verify()).ok, true);
    mkdirSync(join(root, "outside"));
    writeFileSync(join(root, "outside", "secret"), "contents of version 1");
    const path = (await filesIn(place, "objects")).find((path) => path.endsWith("-21"))!;
    rmSync(join(root, "backup", path));
    symlinkSync(join(root, "outside", "secret"), join(root, "backup", path));
    assert((await backups.verify()).problems.some(({ file, reason }) => file === path && reason === "kind"));
    const into = fileFolder(join(root, "into"));
    await into.makeDirectory("");
    assertEquals(await codeOf(() => backups.restore({ into, name: "r" })), "BACKUP_DAMAGED");
    assertEquals(readdirSync(join(root, "into")), []);
    rmSync(join(root, "backup", path));
    await putFile(place, path, "contents of version 1");
    await backups.restore({ into, name: "r" });
    assertEquals(readdirSync(join(root, "into")), ["r"]);
    await manifest.close();
  });
});

test("BackupStore.backup: whichever call fails, on a full disk or because the process is gone, the backups before are whole and the next one is", async () => {
  let failed = 0;
  for (let turn = 0; !await recycling(() => one(turn)); turn++);
  assert(failed > 40 / SHARE, `${failed} calls`);

  async function one(turn: number): Promise<boolean> {
    const from = (turn >> 1) * SHARE;
    const place = new FailingFolder(memoryFolder());
    const made = await backedUp(6, 1, place);
    const { manifest, catalog, backups } = made;
    await commitFiles(made, { "b@2": "more", "c@2": "and more" });
    place.calls = 0;
    place.from = from;
    place.times = turn % 2 === 0 ? 1 : Infinity;
    place.code = from % 2 === 0 ? "NO_SPACE" : "IO_WRITE";
    let error: unknown;
    await backups.backup({ manifest, fileSets: [catalog] }).catch((thrown) => error = thrown);
    const over = place.calls <= from;
    place.from = Infinity;
    const { problems, backups: count } = await backups.verify();
    assertEquals(problems, [], `call ${from}`);
    // A record that has its name is never taken back: the backup is there, and whole.
    const left = (await backups.list()).length;
    const expected = error === undefined ? 2 : 1;
    const named = error instanceof ManifestError && error.detail.file === "backups" && error.message.startsWith("Cannot syncDirectory");
    assert(left === expected || (named && left === 2), `call ${from}: ${left} backups, expected ${expected}`);
    assertEquals(count, left);
    if (error !== undefined) {
      failed++;
      assert(error instanceof ManifestError, `call ${from}: ${error}`);
      assert(error.code === place.code || error.detail.reason === "read", `call ${from}: ${error}`); // what cannot be read again
    }
    assertEquals((await backups.backup({ manifest, fileSets: [catalog] })).files, 4, `call ${from}`);
    await manifest.close();
    return over;
  }
});

test("BackupStore.restore: whichever call of the target fails, nothing has its name", async () => {
  const { manifest, backups } = await backedUp(7, 1);
  let failed = 0;
  for (let from = 0;; from++) {
    const into = new FailingFolder(memoryFolder());
    into.from = from;
    into.times = 1;
    let error: unknown;
    await backups.restore({ into, name: "r" }).catch((thrown) => error = thrown);
    if (into.calls <= from) break;
    into.from = Infinity;
    if (error === undefined) continue;
    failed++;
    const { code } = error as ManifestError;
    assert(code === "NO_SPACE" || (code === "FILE_DAMAGED" && (error as ManifestError).op === "restore"), `call ${from}: ${code}`);
    assertEquals((await into.list("")).map(({ name }) => name), [], `call ${from}`);
  }
  assert(failed > 20, `${failed} calls`);
  await manifest.close();
});

test("BackupStore.backup: a stored file that is missing, resized, damaged or a directory is named, and there is no backup", async () => {
  const made = await scene(8);
  const { manifest, catalog, folder, backups } = made;
  await commitFiles(made, { "a": "contents" });
  const cases: [string, ErrorCode, () => Promise<unknown>][] = [
    ["missing", "FILE_DAMAGED", () => folder.remove("a")],
    ["resized", "FILE_DAMAGED", () => putFile(folder, "a", "content")],
    ["damaged", "FILE_DAMAGED", () => putFile(folder, "a", "c0ntents")],
    ["a directory", "NOT_A_REGULAR_FILE", async () => {
      await folder.remove("a");
      await folder.makeDirectory("a");
    }],
  ];
  for (const [what, code, damage] of cases) {
    await damage();
    assertEquals(await codeOf(() => backups.backup({ manifest, fileSets: [catalog] })), code, what);
    assertEquals(await backups.list(), [], what);
  }
  await folder.removeDirectory("a");
  await putFile(folder, "a", "contents");
  assertEquals((await backups.backup({ manifest, fileSets: [catalog] })).number, 1);
  await manifest.close();
});

test("BackupStore: an abort and a listener that throws end the work; arguments are looked at", async () => {
  const { manifest, catalog, backups } = await backedUp(9, 1);
  const into = memoryFolder();
  const aborted = AbortSignal.abort();
  assertEquals(await codeOf(() => backups.backup({ manifest, fileSets: [catalog], signal: aborted })), "ABORTED");
  assertEquals(await codeOf(() => backups.verify({ signal: aborted })), "ABORTED");
  assertEquals(await codeOf(() => backups.restore({ into, name: "r", signal: aborted })), "ABORTED");
  const onProgress = (): never => {
    throw new Error("no");
  };
  assertEquals(await codeOf(() => backups.backup({ manifest, fileSets: [catalog], onProgress })), "CALLBACK_FAILED");
  assertEquals(await codeOf(() => backups.verify({ onProgress })), "CALLBACK_FAILED");
  assertEquals(await codeOf(() => backups.restore({ into, name: "r", onProgress })), "CALLBACK_FAILED");
  assertEquals(await filesIn(into), []);
  for (const name of ["", "..", "a/b", "nul", "a\0"]) {
    const error = await assertRejects(() => backups.restore({ into, name }));
    assertEquals((error as ManifestError).code, "NAME_INVALID", name);
  }
  await assertRejects(() => backups.restore({ into, name: 7 as never }), TypeError);
  await assertRejects(() => backups.restore({ into, name: "r", backup: 0 }), RangeError);
  await assertRejects(() => backups.verify({ level: "tree" as never }), TypeError);
  await assertRejects(() => backups.backup({ manifest: {} as never, fileSets: [] }), TypeError);
  await assertRejects(() => backups.backup({ manifest, fileSets: [{}] as never }), TypeError);
  await assertRejects(() => backups.backup({ manifest, fileSets: [catalog], extra: 1 } as never), TypeError, "no option extra");
  await assertRejects(() => BackupStore.open(memoryFolder(), { create: 1 as never }), TypeError);
  await manifest.close();
});

test("BackupStore.backup: a chain with a damaged or missing link is not gone on with (a missing link)", async () => {
  const { manifest, catalog, place, backups } = await backedUp(10, 2);
  const [name] = (await recordNames(place)).names as [never];
  const first = recordPath(name);
  const bytes = await fileBytes(place, first);
  await removeRecord(place, name);
  assertEquals(await codeOf(() => backups.backup({ manifest, fileSets: [catalog] })), "BACKUP_INCOMPLETE");
  assertEquals((await backups.verify()).problems.map(({ backups }) => backups), [[2]]);
  await putFile(place, first, bytes.map((byte, i) => i === 40 ? byte ^ 1 : byte));
  assertEquals(await codeOf(() => backups.backup({ manifest, fileSets: [catalog] })), "BACKUP_DAMAGED");
  assertEquals((await backups.verify()).problems.map(({ backups }) => backups), [[1, 2]]);
  await putFile(place, first, bytes);
  assertEquals((await backups.backup({ manifest, fileSets: [catalog] })).number, 3);
  await manifest.close();
});

test("BackupStore.verify: a file that all backups of a chain share is told with all of them", async () => {
  const { manifest, place, backups } = await backedUp(11, 3);
  const path = objectPath(await contentName(new TextEncoder().encode("contents of version 1")));
  await putFile(place, path, "c0ntents of version 1");
  assert((await backups.verify()).problems.some(({ file, backups }) => file === path && `${backups}` === "1,2,3"));
  await manifest.close();
});

test("BackupStore.restore: a record that leaves a file set of its manifest out is refused", async () => {
  const { manifest, place, backups } = await backedUp(12, 1);
  await forge(place, (record) => ({ ...record, fileSets: [] }));
  const into = memoryFolder();
  assertEquals(await codeOf(() => backups.restore({ into, name: "r" })), "BACKUP_DAMAGED");
  assertEquals(await filesIn(into), []);
  await forge(
    place,
    (record) => ({
      ...record,
      manifest: { ...record.manifest, pieces: [{ algorithm: "blake3", digest: "0".repeat(64), sizeBytes: 2 ** 52 }] },
    }),
  );
  assertEquals(await codeOf(() => backups.restore({ into, name: "r" })), "BACKUP_INCOMPLETE");
  await manifest.close();
});

test("BackupStore.backup: a clock that stands before 1970, or between two milliseconds, makes a backup that can be read", async () => {
  for (const now of [-5, 0.5, 1234.75]) {
    const made = await scene(13);
    await commitFiles(made, { "a": "one" });
    const backups = await BackupStore.open(memoryFolder(), { create: true, environment: { ...testEnvironment(1), now: () => now } });
    await backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
    assertEquals((await backups.list()).map(({ takenAt }) => takenAt), [Math.max(0, Math.floor(now))]);
    await made.manifest.close();
  }
});

test("BackupStore.backup: what an interrupted one has stored is made durable by the one that uses it", async () => {
  const synced = new Set<string>();
  class Watching extends FailingFolder {
    override before(call: FolderCall, path: string): void {
      super.before(call, path);
      if (call === "syncDirectory") synced.add(path);
    }
  }
  const place = new Watching(memoryFolder());
  const made = await scene(14, place);
  await commitFiles(made, { "a": "one", "b": "two" });
  place.calls = 0;
  place.counts = (call) => call === "syncDirectory";
  place.from = 3; // but for the note that the first backup has begun, everything is stored, no name is durable
  assertEquals(await codeOf(() => made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] })), "NO_SPACE");
  place.from = Infinity;
  synced.clear();
  const report = await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  assertEquals([report.filesCopied, report.piecesWritten], [0, 0]);
  for (const path of await filesIn(place, "objects")) {
    assert(synced.has(path.slice(0, path.lastIndexOf("/"))), `the directory of ${path} is not synced`);
  }
  assert(synced.has("objects") && synced.has("backups"));
  await made.manifest.close();
});

test("BackupStore.verify: with level size too, a list of files that is damaged is told, and not passed over with the files it names", async () => {
  const { manifest, place, backups } = await backedUp(15, 1);
  const [record] = await filesIn(place, "backups");
  const { fileSets } = decodeRecord(await fileBytes(place, record!), record!);
  const path = objectPath(fileSets[0]!.lists[0]!);
  await putFile(place, path, (await fileBytes(place, path)).map((byte, i) => i === 3 ? byte ^ 1 : byte));
  const { problems } = await backups.verify({ level: "size" });
  assertEquals(problems.map(({ file, reason, backups }) => [file, reason, `${backups}`]), [[path, "digest", "1"]]);
  await manifest.close();
});
