// Backups: full and incremental, beside a writer, chained, restored.
import { createHash } from "node:crypto";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Manifest, ManifestError, memoryStorage } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { FileSetCatalog, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { subFolder } from "../../../src/storage/sub_folder.ts";
import { test } from "../../support/harness.ts";
import { currentRuntime } from "../../support/runtimes.ts";
import { type FolderCall, WrappedFolder } from "../../support/wrapped_folder.ts";
import { commitFiles, fileBytes, filesIn, notes, openRestored, putFile, rowsOf, scene } from "./parts.ts";

function digestOf(rows: readonly string[]): string {
  return createHash("sha256").update(rows.join("\n")).digest("hex");
}

test("BackupStore: what is restored is what was backed up: rows of all tables, files, sequence (item 50)", async () => {
  const made = await scene(1);
  const { manifest, catalog, folder, backups } = made;
  await manifest.begin().putDb(1, { name: "events" }).upsertChunk([1, 1], { fileName: "c-1", generation: 1, sizeBytes: 9 })
    .publishSnapshot([1, 1], { sourceGeneration: 1, chunks: [{ chunkId: 1 }] }).commit();
  await manifest.registerChangeCursor("replica", { start: "oldest" });
  await commitFiles(made, { "a/one.sst": "first", "b.idx": "index", "empty": "" });
  await commitFiles(made, { "a/one.sst@2": "second" });
  const { commitId } = await manifest.begin().put(notes, ["long"], { n: 1 }).commit();
  const report = await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals([report.number, report.files, report.filesCopied, report.bytes, report.sequence], [
    1,
    4,
    4,
    16,
    manifest.latestChangeSequence(),
  ]);
  const into = memoryFolder();
  const restored = await backups.restore({ into, name: "place" });
  assertEquals(restored, {
    number: 1,
    sequence: report.sequence,
    manifest: "place/manifest.waybill",
    fileSets: [{ catalog: "default", directory: "place/files-1", files: 4, bytes: 16 }],
    unfinished: [],
  });
  assertEquals((await into.list("")).map(({ name }) => name), ["place"]);
  for (const path of await filesIn(folder)) {
    assertEquals(await fileBytes(into, `place/files-1/${path}`), await fileBytes(folder, path), path);
  }
  const copy = await openRestored(into, restored.manifest);
  assertEquals(rowsOf(copy), rowsOf(manifest));
  assertEquals(copy.latestChangeSequence(), report.sequence);
  assertNotEquals(copy.fileId, manifest.fileId);
  assertEquals((await copy.resolve(commitId)).state, "applied");
  assertEquals((await copy.check({ level: "deep" })).problems, []);
  // It goes on: the next change has the next number, the cursor gets it.
  assertEquals((await copy.begin().put(notes, ["more"], { n: 2 }).commit()).sequence, report.sequence + 1);
  const files = await FileSetCatalog.open(copy, subFolder(into, "place/files-1"), { create: false });
  assertEquals((await files.verify()).ok, true);
  assertEquals(files.versions().map(({ version }) => version), [1, 2]);
  await copy.close();
  await manifest.close();
});

/** In full on one runtime: what is copied is the same on all. */
const FILES = currentRuntime() === "deno" ? 10_000 : 2000;

test("BackupStore.backup: an incremental one of 10,000 files of which 1 % changed copies that 1 %", async () => {
  const made = await scene(2);
  const { manifest, catalog, backups } = made;
  const all: Record<string, string> = {};
  for (let i = 0; i < FILES; i++) all[`f${i % 100}/${i}`] = `content of ${i}`;
  await commitFiles(made, all);
  const first = await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals([first.files, first.filesCopied], [FILES, FILES]);
  const changed: Record<string, string> = {};
  for (let i = 0; i < FILES; i += 100) changed[`f${i % 100}/${i}@2`] = `another content of ${i}`;
  await commitFiles(made, changed);
  await catalog.prune(1);
  const second = await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals([second.files, second.filesCopied], [FILES, FILES / 100]);
  assertEquals(second.bytesCopied, Object.values(changed).reduce((sum, text) => sum + text.length, 0));
  const third = await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals([third.filesCopied, third.bytesCopied], [0, 0]);
  assert(third.piecesReused > 0, "pieces that did not change are written again");
  await manifest.close();
});

test("BackupStore.backup: equal files are stored once, whoever they belong to", async () => {
  const made = await scene(3);
  const { manifest, catalog, backups, place } = made;
  const folder = memoryFolder();
  const other = await FileSetCatalog.open(manifest, folder, { name: "other" });
  await commitFiles(made, { "x": "same", "y": "same", "z": "different" });
  await putFile(folder, "w", "same");
  await other.commit({ set: [{ kind: "data", name: "w", path: "w" }] });
  const report = await backups.backup({ manifest, fileSets: [other, catalog], parallel: 8 });
  assertEquals([report.files, report.filesCopied, report.bytesCopied], [4, 2, 13]);
  const into = memoryFolder();
  const { fileSets } = await backups.restore({ into, name: "r" });
  assertEquals(fileSets.map(({ catalog, directory, files }) => [catalog, directory, files]), [["default", "r/files-1", 3], [
    "other",
    "r/files-2",
    1,
  ]]);
  assertEquals((await filesIn(place, "objects")).filter((path) => path.endsWith("-4")).length, 1);
  await manifest.close();
});

test("BackupStore.restore: any backup of the chain", async () => {
  const made = await scene(4);
  const { manifest, catalog, folder, backups } = made;
  const states: { rows: string[]; files: string[] }[] = [];
  for (let i = 1; i <= 4; i++) {
    await commitFiles(made, { [`data@${i}`]: `version ${i}`, [`only-${i}`]: `${i}` });
    if (i > 1) await catalog.prune(1);
    await manifest.begin().put(notes, [`n${i}`], { n: i }).commit();
    await backups.backup({ manifest, fileSets: [catalog] });
    states.push({ rows: rowsOf(manifest), files: await filesIn(folder) });
  }
  assertEquals((await backups.list()).map(({ number }) => number), [1, 2, 3, 4]);
  const into = memoryFolder();
  for (const [i, { rows, files }] of states.entries()) {
    const restored = await backups.restore({ into, name: `r${i}`, backup: i + 1 });
    assertEquals(await filesIn(into, `r${i}/files-1`), files.map((path) => `r${i}/files-1/${path}`));
    const copy = await openRestored(into, restored.manifest);
    assertEquals(rowsOf(copy), rows, `backup ${i + 1}`);
    await copy.close();
  }
  await assertRejects(() => backups.restore({ into, name: "r9", backup: 9 }), ManifestError, "there is no backup 9");
  await manifest.close();
});

test("BackupStore.backup: taken while a writer commits and prunes at full speed, it equals the model at its sequence", async () => {
  /** Lets the writer come in between any two objects. */
  class Slow extends WrappedFolder {
    override async before(call: FolderCall): Promise<void> {
      if (call === "create") await new Promise((done) => setTimeout(done));
    }
  }
  const made = await scene(5, new Slow(memoryFolder()));
  const { manifest, catalog, backups } = made;
  const all: Record<string, string> = {};
  for (let i = 0; i < 60; i++) all[`f${i}`] = `content ${i}`;
  await commitFiles(made, all);
  /** What the manifest held, by sequence. */
  const model = new Map<number, { n: number; version: number; rows: string }>();
  let stop = false, n = 0;
  const writer = (async () => {
    while (!stop) {
      n++;
      await manifest.begin().put(notes, ["n"], { n }).put(notes, [`n${n}`], { n }).commit();
      if (n % 5 === 0) {
        await commitFiles(made, { [`f${n % 60}@${n}`]: `newer ${n}` });
        await catalog.prune(2);
      }
      model.set(manifest.latestChangeSequence(), { n, version: catalog.current()!.version, rows: digestOf(rowsOf(manifest)) });
      if (n % 3 === 0) await new Promise((done) => setTimeout(done));
    }
  })();
  try {
    for (let i = 1; i <= 3; i++) {
      const before = n;
      const report = await backups.backup({ manifest, fileSets: [catalog] });
      assert(n > before, "the writer did not write beside the backup");
      const into = memoryFolder();
      const restored = await backups.restore({ into, name: "r" });
      const copy = await openRestored(into, restored.manifest);
      const wanted = model.get(report.sequence);
      assert(wanted !== undefined, `the backup is of sequence ${report.sequence}, behind which the writer did not look`);
      assertEquals(copy.get(notes, "n")?.n, wanted.n);
      assertEquals(digestOf(rowsOf(copy)), wanted.rows);
      const files = await FileSetCatalog.open(copy, subFolder(into, "r/files-1"), { create: false });
      assertEquals(files.current()?.version, wanted.version);
      assertEquals((await files.verify()).ok, true);
      await copy.close();
    }
  } finally {
    stop = true;
    await writer;
  }
  await manifest.close();
});

test("BackupStore.backup: files that it still has to copy stay while a prune runs", async () => {
  const made = await scene(6);
  const { manifest, catalog, folder } = made;
  await commitFiles(made, { "a@1": "one", "b@1": "two" });
  let pruned: { deleted: number } | undefined;
  class Pruning extends WrappedFolder {
    override async before(call: string): Promise<void> {
      if (call !== "create" || pruned !== undefined) return;
      pruned = { deleted: -1 };
      await commitFiles(made, { "a@2": "three", "b@2": "four" });
      pruned = await catalog.prune(1);
    }
  }
  const backups = await BackupStore.open(new Pruning(memoryFolder()), { create: true });
  const report = await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals([report.files, pruned?.deleted], [2, 0]);
  assertEquals((await backups.verify()).ok, true);
  assertEquals((await catalog.prune(1)).deleted, 2);
  assertEquals(await filesIn(folder), ["a@2", "b@2"]);
  await manifest.close();
});

test("BackupStore.backup: refuses a manifest whose file sets were not all given, and another manifest's backups", async () => {
  const made = await scene(7);
  const { manifest, catalog, backups } = made;
  await commitFiles(made, { "a": "one" });
  await assertRejects(() => backups.backup({ manifest, fileSets: [] }), TypeError, 'the manifest has the file set "default"');
  await assertRejects(() => backups.backup({ manifest, fileSets: [catalog, catalog] }), TypeError, "given twice");
  await backups.backup({ manifest, fileSets: [catalog] });
  const strange = await scene(8);
  const error = await assertRejects(() => backups.backup({ manifest: strange.manifest, fileSets: [strange.catalog] }), ManifestError);
  assertEquals(error.code, "BACKUP_MISMATCH");
  await assertRejects(() => backups.backup({ manifest, fileSets: [strange.catalog] }), TypeError, "of another manifest");
  // A restored manifest is another one: its changes may have the numbers of changes that the old one made later.
  const into = memoryFolder();
  const { manifest: path } = await backups.restore({ into, name: "r" });
  const copy = await openRestored(into, path);
  const restored = await FileSetCatalog.open(copy, subFolder(into, "r/files-1"));
  assertEquals(
    (await assertRejects(() => backups.backup({ manifest: copy, fileSets: [restored] }), ManifestError)).code,
    "BACKUP_MISMATCH",
  );
  assertEquals((await backups.list()).length, 1);
  await copy.close();
  await strange.manifest.close();
  await manifest.close();
});

test("BackupStore.backup: a manifest without file sets, and one with a catalog of sorted tables", async () => {
  const manifest = await Manifest.open(memoryStorage(), { create: true });
  const lsm = await LsmCatalog.open(manifest);
  await lsm.allocateSstId();
  const backups = await BackupStore.open(memoryFolder(), { create: true });
  assertEquals((await backups.backup({ manifest, fileSets: [] })).files, 0);
  const into = memoryFolder();
  const copy = await openRestored(into, (await backups.restore({ into, name: "r" })).manifest);
  assertEquals((await LsmCatalog.open(copy, { create: false })).peekNextSstId(), 2);
  await copy.close();
  await manifest.close();
});

test("BackupStore.open: NOT_FOUND where there are none, and nothing is made", async () => {
  const place = memoryFolder();
  const error = await assertRejects(() => BackupStore.open(place), ManifestError);
  assertEquals(error.code, "NOT_FOUND");
  assertEquals(await filesIn(place), []);
  await assertRejects(() => BackupStore.open(undefined as never), TypeError, "no folder");
});

test("BackupStore.backup: begun when a prune has dropped versions and was ended before it looked through them, it gets every file that its state names", async () => {
  const made = await scene(9);
  const { manifest, catalog } = made;
  await commitFiles(made, { "a@1": "one", "b@1": "two", "c@1": "three" });
  await commitFiles(made, { "a@2": "four", "b@2": "five", "c@2": "six" });
  const abort = new AbortController();
  const before = manifest.latestChangeSequence();
  const first = catalog.prune(1, { signal: abort.signal }).catch(() => undefined);
  while (manifest.latestChangeSequence() === before) await undefined;
  abort.abort();
  await first;
  let second: Promise<{ deleted: number }> | undefined;
  class Pruning extends WrappedFolder {
    override async before(call: FolderCall): Promise<void> {
      if (call === "create" && second === undefined) await (second = catalog.prune(1));
    }
  }
  const backups = await BackupStore.open(new Pruning(memoryFolder()), { create: true });
  assertEquals((await backups.backup({ manifest, fileSets: [catalog] })).files, 6);
  assertEquals((await second!).deleted, 0);
  assertEquals((await backups.verify()).ok, true);
  assertEquals((await catalog.prune(1)).deleted, 3);
  await manifest.close();
});
