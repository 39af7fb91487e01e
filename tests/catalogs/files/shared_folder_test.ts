// Several file sets of one manifest: over one folder they share files, over two they have nothing to do with each other, whatever their paths.
import { assertEquals } from "@std/assert";
import { type FileSetCatalog, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { altered, data, filesIn, Place, putFile } from "./parts.ts";

const WHOLE = { ok: true, problems: [] };
const paths = (list: readonly { readonly path: string }[]): string[] => list.map(({ path }) => path);

/** Commits names of another file set, of which each stands for the file of its own path. */
async function put(catalog: FileSetCatalog, folder: Folder, ...files: string[]): Promise<void> {
  for (const path of files) if (await folder.facts(path) === undefined) await putFile(folder, path, path);
  await catalog.commit({ set: files.map((path) => data(path, path)) });
}

/** Commits that names are there no more. */
async function drop(catalog: FileSetCatalog, ...names: string[]): Promise<void> {
  await catalog.commit({ remove: names.map((name) => ({ kind: "data", name })) });
}

test("shared folder: a prune of one file set leaves a file that another one names, whichever handle of the folder they have; the last one deletes it", async () => {
  const place = await Place.open();
  const { folder, catalog } = place;
  const other = await place.over(altered(folder, {}), { name: "other" }); // another handle of the same folder
  const third = await place.another({ name: "third" });
  await put(catalog, folder, "mine", "ours");
  await put(other, folder, "ours", "its");
  await put(third, folder, "its");
  await drop(catalog, "mine", "ours");
  const report = await catalog.prune(1);
  assertEquals([report.deleted, report.shared, report.remaining, report.failed], [1, 1, 0, []]);
  assertEquals(await filesIn(folder), ["its", "ours"]);
  assertEquals([(await other.verify()).ok, catalog.check(), catalog.stats().condemned], [true, WHOLE, 0]);
  // The other one drops it without having known the first: it is the last that names it.
  await drop(other, "ours", "its");
  const last = await other.prune(1);
  assertEquals([last.deleted, last.shared, last.remaining], [1, 1, 0]);
  assertEquals([await filesIn(folder), (await third.verify()).ok, other.check()], [["its"], true, WHOLE]);
  // And it may be named again by the first.
  await put(catalog, folder, "ours");
  assertEquals(catalog.check(), WHOLE);
  await place.manifest.close();
});

test("shared folder: both drop a file at once; one deletes it, and neither is left with it", async () => {
  const place = await Place.open();
  const { folder, catalog } = place;
  const other = await place.another({ name: "other" });
  await put(catalog, folder, "ours");
  await put(other, folder, "ours");
  await drop(catalog, "ours");
  await drop(other, "ours");
  const reports = await Promise.all([catalog.prune(1), other.prune(1)]);
  assertEquals(reports.map(({ deleted, shared, remaining }) => [deleted, shared, remaining]), [[0, 1, 0], [1, 0, 0]]);
  assertEquals([await filesIn(folder), catalog.check(), other.check()], [[], WHOLE, WHOLE]);
  await place.manifest.close();
});

/** A folder that takes no notice of the case of letters. */
function caseless(folder: Folder): Folder {
  const lower = (path: string): string => path.toLowerCase();
  return altered(folder, {
    facts: (path) => folder.facts(lower(path)),
    open: (path) => folder.open(lower(path)),
    create: (path) => folder.create(lower(path)),
    remove: (path) => folder.remove(lower(path)),
  });
}

test("shared folder: another spelling is the same file where the folder says so, and another one where it does not", async () => {
  for (const same of [true, false]) {
    const place = new Place((clock) => same ? caseless(memoryFolder(clock)) : memoryFolder(clock));
    await place.open();
    const { folder, catalog } = place;
    const other = await place.another({ name: "other" });
    await put(catalog, folder, "Data");
    await put(other, folder, "data");
    assertEquals((await filesIn(folder)).length, same ? 1 : 2);
    await drop(catalog, "Data");
    const { deleted, shared, remaining } = await catalog.prune(1);
    assertEquals([deleted, shared, remaining], same ? [0, 1, 0] : [1, 0, 0]);
    assertEquals([await filesIn(folder), (await other.verify()).ok], [["data"], true]);
    await place.manifest.close();
  }
});

test("shared folder: what a reader of another file set holds stays, and what its commit has in hand", async () => {
  const place = await Place.open();
  const { folder, catalog } = place;
  const other = await place.another({ name: "other" });
  await put(catalog, folder, "ours", "hand");
  await put(other, folder, "ours");
  await drop(other, "ours");
  // A prune that is cut short behind its drop: a state that is taken then names the file still.
  const abort = new AbortController();
  const from = place.manifest.latestChangeSequence();
  const cutting = place.manifest.waitForChange(from).then(() => abort.abort());
  assertEquals(await codeOf(() => other.prune(1, { signal: abort.signal })), "ABORTED");
  await cutting;
  const state = other.state();
  assertEquals(paths([...state.files()]), ["ours"]);
  assertEquals((await other.prune(1)).remaining, 1);
  const prepared = await other.prepare({ set: [data("hand", "hand")] });
  await drop(catalog, "ours", "hand");
  const first = await catalog.prune(1);
  assertEquals([first.deleted, first.shared, first.remaining], [0, 0, 2]);
  assertEquals(await filesIn(folder), ["hand", "ours"]);
  state.close();
  await place.manifest.transact((txn) => void prepared.stage(txn));
  prepared.dispose();
  const second = await catalog.prune(1);
  assertEquals([second.deleted, second.shared, second.remaining], [1, 1, 0]);
  assertEquals([await filesIn(folder), (await other.verify()).ok], [["hand"], true]);
  assertEquals((await other.prune(1)).remaining, 0);
  await place.manifest.close();
});

test("shared folder: a commit of one file set takes no file that a prune, or a deletion of orphans, of another one is deleting", async () => {
  const place = await Place.open();
  const { folder } = place;
  const other = await place.another({ name: "other" });
  const codes: string[] = [];
  const catalog = await place.over(altered(folder, {
    remove: async (path) => {
      codes.push(await codeOf(() => other.commit({ set: [data("x", path)] })));
      return await folder.remove(path);
    },
  }));
  await put(catalog, folder, "x", "stays");
  await drop(catalog, "x");
  assertEquals((await catalog.prune(1)).deleted, 1);
  await putFile(folder, "y", "y");
  assertEquals((await catalog.deleteOrphans(await catalog.orphans({ minAgeMs: 0 }))).deleted, 1);
  assertEquals([codes, await filesIn(folder)], [["OBJECT_CONDEMNED", "OBJECT_CONDEMNED"], ["stays"]]);
  await place.manifest.close();
});

test("two folders: equal paths neither block nor keep one another, in a prune, in a commit, among orphans", async () => {
  const place = await Place.open();
  const { folder } = place;
  const elsewhere = memoryFolder(place.clock);
  const other = await place.over(elsewhere, { name: "other" });
  const done: string[] = [];
  const catalog = await place.over(altered(folder, {
    remove: async (path) => {
      // Being deleted here, it may be committed there.
      await put(other, elsewhere, path);
      done.push(path);
      return await folder.remove(path);
    },
  }));
  await put(catalog, folder, "a", "b", "stays");
  await put(other, elsewhere, "a");
  await drop(catalog, "a", "b");
  {
    using _prepared = await other.prepare({ set: [data("b", "a")] }); // in hand there
    const report = await catalog.prune(1, { parallel: 1 });
    assertEquals([report.deleted, report.shared, report.remaining], [2, 0, 0]);
  }
  assertEquals([await filesIn(folder), await filesIn(elsewhere), done], [["stays"], ["a", "b"], ["a", "b"]]);
  assertEquals((await other.verify()).ok, true);
  // What is named there is an orphan here, and is deleted here only.
  for (const path of ["a", "b", "\u00e4"]) await putFile(folder, path, path);
  await put(other, elsewhere, "\u00c4");
  const report = await catalog.orphans({ minAgeMs: 0 });
  assertEquals([paths(report.orphans), report.named], [["a", "b", "\u00e4"], 1]);
  assertEquals((await catalog.deleteOrphans(report)).deleted, 3);
  assertEquals([(await other.verify()).ok, await filesIn(folder)], [true, ["stays"]]);
  await place.manifest.close();
});

test("two folders: which one a file set is over is looked at again: one that was moved to the other's place is the same from then on", async () => {
  const place = await Place.open();
  const elsewhere = memoryFolder(place.clock);
  let at = elsewhere;
  const moving: Folder = new Proxy(elsewhere, {
    get: (_, name) => {
      const value = Reflect.get(at, name);
      return typeof value === "function" ? value.bind(at) : value;
    },
  });
  const { folder, catalog } = place;
  const other = await place.over(moving, { name: "other" });
  await put(catalog, folder, "ours", "stays");
  await put(other, elsewhere, "ours", "theirs");
  await putFile(folder, "theirs", "theirs");
  at = folder; // as a path that leads to another directory now
  assertEquals((await catalog.orphans({ minAgeMs: 0 })).orphans, []);
  at = elsewhere; // and back
  assertEquals(paths((await catalog.orphans({ minAgeMs: 0 })).orphans), ["theirs"]);
  at = folder;
  await drop(catalog, "ours");
  assertEquals((await catalog.prune(1)).shared, 1);
  assertEquals(await filesIn(folder), ["ours", "stays", "theirs"]);
  await place.manifest.close();
});

test("shared folder: where a file set is that nobody has opened is not known: what it names stays, and is told, until somebody opens it", async () => {
  for (const same of [true, false]) {
    const place = await Place.open();
    const { folder, catalog } = place;
    const elsewhere = same ? folder : memoryFolder(place.clock);
    // A folder that is not there when it is asked who it is: as if nobody had opened it here.
    const hidden = altered(elsewhere, { facts: (path) => path === "" ? Promise.resolve(undefined) : elsewhere.facts(path) });
    const other = await place.over(hidden, { name: "other" });
    await put(catalog, folder, "ours", "stays");
    await put(other, elsewhere, "ours");
    await drop(catalog, "ours");
    const first = await catalog.prune(1);
    assertEquals([first.deleted, first.shared, first.remaining], [0, 0, 1]);
    assertEquals([await filesIn(folder), catalog.stats().condemned], [["ours", "stays"], 1]);
    const { orphans, named } = await catalog.orphans({ minAgeMs: 0 });
    assertEquals([orphans, named], [[], 2]);
    await place.over(elsewhere, { name: "other" });
    const second = await catalog.prune(1);
    assertEquals([second.deleted, second.shared, second.remaining], same ? [0, 1, 0] : [1, 0, 0]);
    assertEquals(await filesIn(folder), same ? ["ours", "stays"] : ["stays"]);
    assertEquals([(await other.verify()).ok, catalog.check()], [true, WHOLE]);
    await place.manifest.close();
  }
});

test("shared folder: files that an LSM catalog names are no orphans, by path or by their last segment, removed ones included until they are forgotten", async () => {
  const place = await Place.open();
  const { folder, catalog } = place;
  await put(catalog, folder, "a");
  const lsm = await LsmCatalog.open(place.manifest, { name: "tables" });
  const id = await lsm.allocateSstId(), removed = await lsm.allocateSstId();
  const bounds = { level: 1, minKey: new Uint8Array([1]), maxKey: new Uint8Array([2]), sizeBytes: 1, entries: 1 };
  await lsm.edit().addSst({ id, fileName: "Table-1.sst", ...bounds }).commit();
  await lsm.edit().addSst({ id: removed, fileName: "lsm/table-2.sst", ...bounds, minKey: new Uint8Array([3]), maxKey: new Uint8Array([4]) })
    .commit();
  await lsm.edit().removeSst(removed).commit();
  for (const path of ["lsm/table-1.sst", "lsm/table-2.sst", "lsm/table-3.sst"]) await putFile(folder, path, path);
  const report = await catalog.orphans({ minAgeMs: 0 });
  assertEquals([paths(report.orphans), report.named], [["lsm/table-3.sst"], 3]);
  // Also when the report was taken before.
  const again = await lsm.allocateSstId();
  await lsm.edit().addSst({ id: again, fileName: "table-3.sst", ...bounds, minKey: new Uint8Array([5]), maxKey: new Uint8Array([6]) })
    .commit();
  assertEquals((await catalog.deleteOrphans(report)).refused.map(({ error }) => error.detail.reason), ["named"]);
  await lsm.forget(await lsm.deletable());
  assertEquals(paths((await catalog.orphans({ minAgeMs: 0 })).orphans), ["lsm/table-2.sst"]);
  await place.manifest.close();
});

test("shared folder: a folder whose look fails ends opening, committing, pruning and looking for orphans with its error", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  let stuck = false;
  const folder = altered(place.folder, {
    facts: (path) => stuck && path === "" ? place.folder.facts("a1/below") : place.folder.facts(path),
  });
  const catalog = await place.over(folder);
  stuck = true;
  const calls = [
    () => place.over(folder),
    () => catalog.commit({ set: [data("a", "a1")] }),
    () => catalog.prune(1),
    () => catalog.orphans(),
  ];
  for (const call of calls) assertEquals((await errorOf(call)).code, "NOT_A_DIRECTORY");
  // Another set's folder that cannot be looked at is in nobody's way: where it is, is not known.
  const { catalog: own } = place;
  stuck = false;
  const other = await place.over(folder, { name: "other" });
  await other.commit({ set: [data("a", "a1")] });
  stuck = true;
  await place.over(place.folder);
  await own.commit({ remove: [{ kind: "data", name: "a" }] });
  const { deleted, shared, remaining } = await own.prune(1);
  assertEquals([deleted, shared, remaining], [0, 0, 1]);
  await catalog.commit({ label: "no file, no folder" });
  await place.manifest.close();
});
