// Prunes: which versions go and which stay, readers that come meanwhile, interruptions, many changes.
import { assert, assertEquals } from "@std/assert";
import { Manifest } from "../../../mod.ts";
import { FileSetCatalog, type Folder, memoryFolder, type SetFile } from "../../../src/catalogs/files/mod.ts";
import { fileDrops, fileVersions } from "../../../src/catalogs/files/tables.ts";
import { fail } from "../../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { testEnvironment } from "../../support/environment.ts";
import { GatedStorage, settle } from "../../support/gated_storage.ts";
import { test } from "../../support/harness.ts";
import { altered, data, filesIn, Place, putFile, StandingClock } from "./parts.ts";

const WHOLE = { ok: true, problems: [] };
const NOTHING = { dropped: [], pinned: [], deleted: 0, bytes: 0, failed: [], shared: 0, remaining: 0 };

test("prune: 0 does nothing, as in the original; keeping all or more does nothing either", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2", "a3"]) await place.commit({ a: path });
  const sequence = place.manifest.latestChangeSequence();
  for (const keep of [0, 3, 100]) assertEquals(await place.catalog.prune(keep), NOTHING);
  assertEquals([place.manifest.latestChangeSequence(), await filesIn(place.folder)], [sequence, ["a1", "a2", "a3"]]);
  for (const keep of [-1, 0.5, NaN, "1", undefined]) {
    assertEquals(await codeOf(() => place.catalog.prune(keep as never)), "INVALID_ARGUMENT");
  }
  const empty = await Place.open();
  assertEquals(await empty.catalog.prune(1), NOTHING);
  await place.manifest.close();
  await empty.manifest.close();
});

test("prune: a state that is held keeps every version of it, a verification those it looks at", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2", "a3"]) await place.commit({ a: path });
  const state = place.catalog.state();
  await place.commit({ a: "a4" });
  assertEquals(await place.catalog.prune(1), { ...NOTHING, pinned: [1, 2, 3] });
  await place.commit({ a: "a5" });
  assertEquals((await place.catalog.prune(1)).dropped, [4]); // newer than the state
  state.close();
  let pruning: Promise<unknown> = Promise.resolve();
  const open: Folder["open"] = async (path) => {
    await pruning;
    return await place.folder.open(path);
  };
  const report = await (await place.over(altered(place.folder, { open }))).verify({
    parallel: 1,
    onProgress: ({ files }) => {
      if (files === 1) pruning = place.catalog.prune(1);
    },
  });
  assertEquals(report.damaged, []);
  assertEquals(await pruning, { ...NOTHING, pinned: [1, 2, 3] });
  assertEquals((await place.catalog.prune(1)).dropped, [1, 2, 3]);
  assertEquals(place.catalog.check(), WHOLE);
  await place.manifest.close();
});

test("prune: a reader that comes between the decision and its sync keeps the version", async () => {
  const clock = new StandingClock();
  const environment = { ...testEnvironment(3), now: clock.now };
  const storage = new GatedStorage(new MemoryStorage(new MemoryFile()));
  const manifest = await Manifest.open(storage, { create: true, environment, idleCheckpoint: 0, syncMode: "async" });
  const folder = memoryFolder(clock);
  const catalog = await FileSetCatalog.open(manifest, folder, { environment });
  for (const path of ["a1", "a2"]) {
    await putFile(folder, path, path);
    await catalog.commit({ set: [data("a", path)] });
  }
  storage.shut();
  const pruning = catalog.prune(1);
  for (let turn = 0; storage.waiting === 0 && turn < 1000; turn++) await settle(); // the drop is written and waits for its sync: readers still see version 1
  assertEquals(catalog.versions().length, 2);
  const reader = catalog.read(1);
  storage.open();
  assertEquals(await pruning, { ...NOTHING, pinned: [1] });
  assertEquals([...reader.entries()].map(({ path }) => path), ["a1"]);
  assertEquals((await catalog.verify()).ok, true);
  assertEquals([catalog.versions().map(({ version }) => version), catalog.check()], [[1, 2], WHOLE]);
  reader.close();
  assertEquals((await catalog.prune(1)).dropped, [1]);
  assertEquals([await filesIn(folder), catalog.check()], [["a2"], WHOLE]);
  await manifest.close();
});

test("prune: what is interrupted goes on where it stood, by an abort or by a crash at any deletion", async () => {
  const place = await Place.open();
  for (let i = 0; i < 6; i++) await place.commit({ a: `a${i}` });
  const abort = new AbortController();
  const error = await errorOf(() =>
    place.catalog.prune(1, { parallel: 1, signal: abort.signal, onProgress: ({ files }) => files === 2 && abort.abort() })
  );
  assertEquals([error.code, error.outcome, error.detail], ["ABORTED", "applied", { dropped: 5, deleted: 2 }]);
  assertEquals([await filesIn(place.folder), place.catalog.check()], [["a2", "a3", "a4", "a5"], WHOLE]);
  const after = await place.crashed();
  assertEquals(await after.catalog.prune(1), { ...NOTHING, deleted: 3, bytes: 6 });
  assertEquals([await filesIn(place.folder), after.catalog.check()], [["a5"], WHOLE]);
  assertEquals(await codeOf(() => after.catalog.prune(1, { signal: AbortSignal.abort() })), "ABORTED");
  await place.manifest.close();
  await after.manifest.close();
});

test("prune: prunes at once go one after the other, beside commits", async () => {
  const place = await Place.open();
  for (let i = 0; i < 5; i++) await place.commit({ a: `a${i}`, [`b${i}`]: `b${i}` });
  const [first, , second] = await Promise.all([place.catalog.prune(2), place.commit({ a: "a5" }), place.catalog.prune(1)]);
  assertEquals(second.dropped.length + first.dropped.length, 5);
  assertEquals([place.names().a, place.catalog.check()], ["a5", WHOLE]);
  assertEquals((await filesIn(place.folder)).filter((path) => path.startsWith("a")), ["a5"]);
  await place.manifest.close();
});

test("prune: a condemned file cannot be committed, and is not deleted while a commit has it in hand", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  using prepared = await place.catalog.prepare({ set: [data("b", "a1")] }); // it is stored still
  await place.commit({ a: "a2" });
  const report = await place.catalog.prune(1);
  assertEquals([report.dropped, report.deleted, report.remaining], [[1], 0, 1]);
  assertEquals(await codeOf(() => place.manifest.transact((txn) => void prepared.stage(txn))), "OBJECT_CONDEMNED");
  prepared.dispose();
  assertEquals(await codeOf(() => place.commit({ b: "a1" })), "OBJECT_CONDEMNED");
  assertEquals((await place.catalog.prune(1)).deleted, 1);
  assertEquals(await filesIn(place.folder), ["a2"]);
  // From now on the path can be used again, for whatever.
  await putFile(place.folder, "a1", "another");
  await place.commit({ b: "a1" });
  assertEquals(place.catalog.check(), WHOLE);
  await place.manifest.close();
});

test("prune: what lies in a condemned file's place stays, and is told", async () => {
  const place = await Place.open();
  await place.commit({ a: "d/a1" });
  await place.commit({ a: "a2" });
  await place.folder.remove("d/a1");
  await place.folder.makeDirectory("d/a1");
  const report = await place.catalog.prune(1);
  assertEquals(report.failed.map(({ path, error }) => [path, error.code, error.handle]), [["d/a1", "NOT_A_REGULAR_FILE", "ok"]]);
  await place.folder.removeDirectory("d/a1");
  await place.folder.removeDirectory("d"); // and the directory with it
  assertEquals((await place.catalog.prune(1)).deleted, 1);
  await place.manifest.close();
});

test("prune: a deletion whose directory cannot be synced is not done yet", async () => {
  const place = await Place.open();
  let stuck = true;
  const catalog = await place.over(altered(place.folder, {
    syncDirectory: (directory) =>
      stuck && directory === "d" ? fail("IO_WRITE", "Cannot sync: it is a test", {}) : place.folder.syncDirectory(directory),
  }));
  await place.commit({ a: "d/a1", b: "b1" });
  await place.commit({ a: "a2", b: "b2" });
  const first = await catalog.prune(1);
  assertEquals([first.deleted, first.failed.map(({ path }) => path), first.remaining], [1, ["d/a1"], 1]);
  stuck = false;
  assertEquals((await catalog.prune(1)).deleted, 1);
  await place.manifest.close();
});

/** Names n0, n1, … for paths that begin with a letter; all stand for few files, so that only rows are many. */
const many = (count: number, path: string): SetFile[] => Array.from({ length: count }, (_, i) => data(`n${i}`, path));

test("prune: more changes than one step takes are looked through in several, and a crash between them loses nothing", async () => {
  const place = await Place.open();
  for (const path of ["a", "b", "c", "d"]) await putFile(place.folder, path, path);
  const names = 1100, second = 600, third = 530; // after one step the smaller side is the other one
  await place.catalog.commit({ set: many(names, "a") });
  await place.catalog.commit({ set: many(names, "b") });
  await place.catalog.commit({ set: many(second, "c") });
  await place.catalog.commit({ set: many(third, "a") });
  await place.catalog.commit({ set: [data("x", "d")] });
  // Version 1 is pinned, so 2, 3 and 4 lie in the middle; looking through each takes several steps.
  const pin = await place.catalog.pin({ owner: "me", version: 1, ttlMs: 1000 });
  const { environment } = place;
  let crashes = 0;
  // A crash behind each commit of the prune: the bytes then, opened, end the prune to the same state.
  const images: Uint8Array[] = [];
  const watching = (async () => {
    for (let since = place.manifest.latestChangeSequence();;) {
      since = await place.manifest.waitForChange(since).catch(() => -1);
      if (since < 0) return;
      images.push(place.medium.file.bytes());
    }
  })();
  assertEquals((await place.catalog.prune(1)).dropped, [2, 3, 4]);
  const expected = place.names();
  assertEquals(Object.values(expected).filter((path) => path === "a").length, third);
  assertEquals([place.catalog.check(), place.catalog.stats().entries], [WHOLE, names + second - third + names - second + 1]);
  for (const image of images) {
    const manifest = await Manifest.open(new MemoryStorage(new MemoryFile(image)), { environment, idleCheckpoint: 0 });
    const catalog = await FileSetCatalog.open(manifest, place.folder, { environment });
    assertEquals(catalog.check(), WHOLE);
    await catalog.prune(1);
    using version = catalog.read();
    assertEquals(Object.fromEntries([...version.entries()].map(({ name, path }) => [name, path])), expected);
    assertEquals([catalog.check(), catalog.stats()], [WHOLE, place.catalog.stats()]);
    await manifest.close();
    crashes++;
  }
  assert(crashes >= 6, `${crashes} crashes`);
  await pin.release();
  assertEquals((await place.catalog.prune(1)).dropped, [1]);
  assertEquals([place.names(), place.catalog.check(), place.catalog.stats().entries], [expected, WHOLE, names + 1]);
  assertEquals(await filesIn(place.folder), ["a", "b", "c", "d"]);
  await place.manifest.close();
  await watching;
});

test("prune: a drop that was begun is ended before an older one, which a pin had kept until then", async () => {
  const place = await Place.open();
  for (const path of ["a", "b", "c", "d"]) await putFile(place.folder, path, path);
  const names = 1100;
  await place.catalog.commit({ set: many(names, "a") });
  await place.catalog.commit({ set: [...many(names, "b"), data("y", "d")] });
  await place.catalog.commit({ set: many(names, "c") });
  await place.catalog.commit({ set: many(names, "a") });
  const first = await place.catalog.pin({ owner: "first", version: 1, ttlMs: 1000 });
  const second = await place.catalog.pin({ owner: "second", version: 2, ttlMs: 1000 });
  // Version 3 is dropped, and the prune cut short behind the first of three steps.
  const abort = new AbortController();
  const from = place.manifest.latestChangeSequence();
  const cutting = place.manifest.waitForChange(from + 1).then(() => abort.abort());
  assertEquals(await codeOf(() => place.catalog.prune(1, { signal: abort.signal })), "ABORTED");
  await cutting;
  assertEquals([place.catalog.check(), place.catalog.versions().map(({ version }) => version)], [WHOLE, [1, 2, 4]]);
  assert(place.manifest.count(fileDrops) === 1);
  await second.release();
  assertEquals((await place.catalog.prune(1)).dropped, [2]);
  assertEquals([place.catalog.check(), place.catalog.stats().entries], [WHOLE, names + 1]);
  assertEquals(place.catalog.diff(1, 4).added.map(({ name }) => name), ["y"]);
  await first.release();
  await place.catalog.prune(1);
  assertEquals([place.catalog.check(), await filesIn(place.folder)], [WHOLE, ["a", "d"]]);
  await place.manifest.close();
});

test("prune: a change that is taken back between kept versions leaves no entry", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  const pin = await place.catalog.pin({ owner: "me", ttlMs: 1000 });
  await place.commit({ a: "a2", c: "c1" });
  await place.catalog.commit({ set: [data("a", "a1")], remove: [{ kind: "data", name: "c" }] });
  assertEquals(place.catalog.stats().entries, 6);
  await place.catalog.prune(1);
  assertEquals([place.catalog.versions().map(({ version }) => version), place.catalog.stats().entries], [[1, 3], 2]);
  assertEquals([await filesIn(place.folder), place.catalog.check()], [["a1", "b1"], WHOLE]);
  assertEquals(place.catalog.diff(1, 3), { from: 1, to: 3, added: [], removed: [], changed: [] });
  await pin.release();
  await place.manifest.close();
});

test("prune: behind a salvage that has lost the newest versions it is damage that is told, no broken invariant", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2", "a3"]) await place.commit({ a: path });
  const { manifest } = place;
  const row = manifest.get(fileVersions, ["default", 2])!;
  // Version 2 was dropped, and the row of version 3 is lost.
  await manifest.begin().put(fileDrops, ["default", 2], row).delete(fileVersions, ["default", 2]).delete(fileVersions, ["default", 3])
    .commit();
  const error = await errorOf(() => place.catalog.prune(1));
  assertEquals([error.code, error.detail.table], ["CORRUPT_RECORD", "file_versions"]);
  assertEquals(await filesIn(place.folder), ["a1", "a2", "a3"]);
  await manifest.close();
});
