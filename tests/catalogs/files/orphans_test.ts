// Orphans: what is one and what is not; and when deleting them is refused.
import { assertEquals } from "@std/assert";
import { defineTable, Manifest, text, u53 } from "../../../mod.ts";
import { FileSetCatalog, type OrphanReport } from "../../../src/catalogs/files/mod.ts";
import { catalogs } from "../../../src/catalogs/catalog.ts";
import { condemnedFiles, fileEntries, fileSets, storedFiles } from "../../../src/catalogs/files/tables.ts";
import { fail } from "../../../src/errors.ts";
import { salvage } from "../../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { altered, data, fileBytes, filesIn, Place, putFile, replaceFile } from "./parts.ts";

const HOUR = 3_600_000;
const paths = (list: readonly { readonly path: string }[]): string[] => list.map(({ path }) => path);

test("orphans: the young are told apart; how old is enough is the caller's word, a day unless he says so", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "old", "x");
  place.clock.time += HOUR;
  await putFile(place.folder, "new", "xx");
  const report = await place.catalog.orphans({ minAgeMs: HOUR });
  assertEquals([paths(report.orphans), paths(report.young), report.bytes], [["old"], ["new"], 1]);
  assertEquals([report.takenAt, report.minAgeMs, report.named], [place.clock.time, HOUR, 1]);
  assertEquals(paths((await place.catalog.orphans()).orphans), []);
  place.clock.time += 24 * HOUR;
  assertEquals(paths((await place.catalog.orphans()).orphans), ["new", "old"]);
  await place.manifest.close();
});

test("orphans: manifests with their locks are none, nor what ignore says, nor another spelling of a stored path", async () => {
  const place = await Place.open();
  await place.commit({ a: "Data-1.sst", b: "d/\u00c4rger.sst" });
  const image = place.medium.file.bytes();
  const put = async (path: string, bytes: Uint8Array): Promise<void> => {
    const file = await place.folder.create(path);
    await file.write(0, bytes);
    await file.close();
  };
  await put("MANIFEST", image);
  await putFile(place.folder, "MANIFEST.lock", "{}");
  await putFile(place.folder, "MANIFEST.lock.d/1.claim", "{}");
  const torn = image.slice();
  torn.fill(0, 0, 4096); // one of its four slots is gone: a manifest still
  await put("torn", torn);
  await putFile(place.folder, "other.lock", "the lock of nothing");
  await putFile(place.folder, "data-1.SST", "what a file system that ignores case would list");
  await putFile(place.folder, "d/A\u0308RGER.sst", "and one that composes");
  await putFile(place.folder, "index.tmp", "somebody's");
  const report = await place.catalog.orphans({ minAgeMs: 0, ignore: (path) => path.endsWith(".tmp") });
  assertEquals([paths(report.orphans), report.manifests, report.ignored, report.named], [["other.lock"], 3, 1, 4]);
  assertEquals((await place.catalog.deleteOrphans(report)).deleted, 1);
  // A report that was made up does not help.
  const facts = (await place.folder.facts("MANIFEST"))!;
  const forged = {
    ...report,
    orphans: [{ path: "MANIFEST", ...facts }].map(({ path, sizeBytes, modifiedAt, identity }) => ({
      path,
      sizeBytes,
      modifiedAt,
      identity,
    })),
  };
  const { refused } = await place.catalog.deleteOrphans(forged);
  assertEquals(refused.map(({ error }) => error.detail), [{ reason: "manifest", file: "MANIFEST" }]);
  await place.manifest.close();
});

test("orphans: each is looked at again: what was named, written to, replaced or grew young since stays, the others go", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  for (const path of ["d/fine", "named", "written", "replaced", "gone", "directory", "stuck"]) await putFile(place.folder, path, path);
  place.clock.time += HOUR;
  const report = await place.catalog.orphans({ minAgeMs: HOUR });
  assertEquals(report.orphans.length, 7);
  await place.commit({ b: "named" });
  const file = await place.folder.open("written");
  await file.close();
  await replaceFile(place.folder, "written", "other!!");
  place.clock.time -= HOUR;
  await replaceFile(place.folder, "replaced", "replaced"); // another file of the same length, time and contents
  place.clock.time += HOUR;
  for (const path of ["gone", "directory"]) await place.folder.remove(path);
  await place.folder.makeDirectory("directory");
  const remove = (path: string): Promise<boolean> =>
    path === "stuck" ? fail("PERMISSION", "Cannot remove: it is a test", {}) : place.folder.remove(path);
  const catalog = await place.over(altered(place.folder, { remove }));
  const done = await catalog.deleteOrphans(report);
  assertEquals([done.deleted, done.bytes, done.gone], [1, 6, 1]);
  assertEquals(done.refused.map(({ path, error }) => `${path} ${error.code} ${error.detail.reason}`).sort(), [
    "directory ORPHANS_REFUSED not-a-file",
    "named ORPHANS_REFUSED named",
    "replaced ORPHANS_REFUSED changed",
    "written ORPHANS_REFUSED changed",
  ]);
  assertEquals(done.failed.map(({ path, error }) => [path, error.code]), [["stuck", "PERMISSION"]]);
  assertEquals(await filesIn(place.folder), ["a1", "named", "replaced", "stuck", "written"]);
  // The clock goes back: what was old enough is not any more.
  place.clock.time -= HOUR / 2;
  const young = await place.catalog.deleteOrphans({ ...report, orphans: report.orphans.filter(({ path }) => path === "stuck") });
  assertEquals(young.refused[0]!.error.detail.reason, "young");
  await place.manifest.close();
});

test("orphans: a commit does not take a file that is being deleted, and a deletion none that a commit has in hand", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "x", "x");
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  const codes: string[] = [];
  const catalog = await place.over(altered(place.folder, {
    remove: async (path) => {
      codes.push(await codeOf(() => place.catalog.commit({ set: [data("x", path)] })));
      return await place.folder.remove(path);
    },
  }));
  using prepared = await place.catalog.prepare({ set: [data("x", "x")] });
  assertEquals((await catalog.deleteOrphans(report)).refused.map(({ error }) => error.detail.reason), ["named"]);
  prepared.dispose();
  assertEquals((await catalog.deleteOrphans(report)).deleted, 1);
  assertEquals(codes, ["OBJECT_CONDEMNED"]);
  await place.manifest.close();
});

test("orphans: a deletion that is looking at a file leaves it to a commit that names it meanwhile", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "x", "x");
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  let named = false;
  const catalog = await place.over(altered(place.folder, {
    open: async (path) => {
      const file = await place.folder.open(path);
      if (path === "x" && !named) {
        named = true; // whether it is a manifest is the last thing that is looked at
        await place.catalog.commit({ set: [data("x", "x")] });
      }
      return file;
    },
  }));
  assertEquals((await catalog.deleteOrphans(report)).refused.map(({ error }) => error.detail.reason), ["named"]);
  assertEquals([named, await filesIn(place.folder)], [true, ["a1", "x"]]);
  await place.manifest.close();
});

async function refused(call: Promise<unknown>): Promise<[code: string, reason: unknown]> {
  const { code, detail } = await errorOf(() => call);
  return [code, detail.reason];
}

test("item 33: listing orphans is a report; deleting is refused while the catalog is empty, has lost rows, or its manifest is damaged or comes from a salvage", async () => {
  const place = await Place.open();
  await putFile(place.folder, "x", "precious");
  const empty = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals(paths(empty.orphans), ["x"]);
  assertEquals(await refused(place.catalog.deleteOrphans(empty)), ["ORPHANS_REFUSED", "empty"]);
  await place.commit({ a: "a1", b: "b1" });
  await place.commit({}, { remove: ["a", "b"].map((name) => ({ kind: "data", name })) });
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals((await place.catalog.deleteOrphans({ ...report, orphans: [] })).deleted, 0); // it names files of version 1

  // Rows that are gone, as a salvage of a damaged file leaves it.
  for (const [table, key] of [[storedFiles, ["default", "a1"]], [fileEntries, ["default", "data", "a", 1]]] as const) {
    const broken = await place.crashed();
    await broken.manifest.begin().delete(table as typeof storedFiles, key as never).commit();
    assertEquals(await refused(broken.catalog.deleteOrphans(report)), ["ORPHANS_REFUSED", "damaged"]);
    assertEquals(broken.catalog.check().ok, false);
    await broken.manifest.close();
  }

  // A damaged page of the manifest.
  await place.manifest.checkpoint();
  const bytes = place.medium.file.bytes();
  const damaged = new MemoryFile(bytes.slice());
  await place.manifest.close();
  const manifest = await Manifest.open(new MemoryStorage(damaged), { environment: place.environment, idleCheckpoint: 0 });
  const catalog = await FileSetCatalog.open(manifest, place.folder, { environment: place.environment });
  const storage = new MemoryStorage(damaged);
  for (let page = 4; page * 4096 < bytes.length; page++) {
    if (bytes[page * 4096 + 4] !== 1) continue; // leaves
    storage.write(page * 4096 + 2000, new Uint8Array(8).fill(0xee));
  }
  assertEquals(await refused(catalog.deleteOrphans(report)), ["ORPHANS_REFUSED", "damaged"]);
  assertEquals(await filesIn(place.folder), ["a1", "b1", "x"]);
  await manifest.close().catch(() => {});
});

test("item 33: damage anywhere in the manifest refuses, also where no row of the catalog lies", async () => {
  const notes = defineTable({ name: "notes", key: [u53("id")], value: { body: text() } });
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "x", "x");
  const txn = place.manifest.begin();
  for (let id = 0; id < 200; id++) txn.put(notes, id, { body: "a note that is nobody's file ".repeat(4) });
  await txn.commit();
  await place.manifest.checkpoint();
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  const { file } = place.medium;
  const bytes = file.bytes();
  const at = new TextDecoder("latin1").decode(bytes).lastIndexOf("a note that is nobody's file");
  file.write(at, new Uint8Array([bytes[at]! ^ 1]));
  assertEquals([place.catalog.check().ok, await refused(place.catalog.deleteOrphans(report))], [true, ["ORPHANS_REFUSED", "damaged"]]);
  file.write(at, bytes.subarray(at, at + 1));
  assertEquals((await place.catalog.deleteOrphans(report)).deleted, 1);
  await place.manifest.close();
});

test("item 33: behind a salvage deleting is refused until somebody says that the catalog is right", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "x", "x");
  await place.manifest.close();
  const target = new MemoryFile();
  const { lost } = await salvage(new MemoryStorage(place.medium.file), new MemoryStorage(target), { environment: place.environment });
  assertEquals(lost, 0);
  const manifest = await Manifest.open(new MemoryStorage(target), { environment: place.environment, idleCheckpoint: 0 });
  const catalog = await FileSetCatalog.open(manifest, place.folder, { environment: place.environment });
  assertEquals([catalog.check().ok, (await catalog.verify()).ok], [true, true]);
  const report = await catalog.orphans({ minAgeMs: 0 });
  assertEquals(await refused(catalog.deleteOrphans(report)), ["ORPHANS_REFUSED", "foreign"]);
  await catalog.commit({}); // everything else goes on
  await catalog.acceptHistory();
  await catalog.acceptHistory();
  assertEquals((await catalog.deleteOrphans(report)).deleted, 1);
  await manifest.close();
});

test("orphans: a catalog whose own row a salvage has lost is an error, not a new one", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  const broken = await place.crashed();
  await broken.manifest.begin().delete(fileSets, "default").commit();
  assertEquals(await codeOf(() => broken.another()), "CORRUPT_RECORD");
  await broken.manifest.begin().delete(catalogs, "default").commit();
  assertEquals(await codeOf(() => broken.another()), "CORRUPT_RECORD");
  await broken.manifest.close();
  await place.manifest.close();
});

test("orphans: a signal, a callback that throws, and what is no report", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  for (let i = 0; i < 5; i++) await putFile(place.folder, `x${i}`, "x");
  assertEquals(await codeOf(() => place.catalog.orphans({ signal: AbortSignal.abort() })), "ABORTED");
  const thrower = (): never => {
    throw new Error("no");
  };
  assertEquals(await codeOf(() => place.catalog.orphans({ ignore: thrower })), "CALLBACK_FAILED");
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  const abort = new AbortController();
  const error = await errorOf(() =>
    place.catalog.deleteOrphans(report, { parallel: 1, signal: abort.signal, onProgress: ({ files }) => files === 2 && abort.abort() })
  );
  assertEquals([error.code, error.outcome, error.detail.deleted], ["ABORTED", "applied", 2]);
  const bad: unknown[] = [undefined, null, 1, {}, { minAgeMs: 0 }, { minAgeMs: -1, orphans: [] }, { minAgeMs: 0, orphans: [1] }, {
    minAgeMs: 0,
    orphans: [{ path: 1 }],
  }];
  for (const one of bad) {
    assertEquals(await codeOf(() => place.catalog.deleteOrphans(one as OrphanReport)), "INVALID_ARGUMENT", JSON.stringify(one));
  }
  assertEquals(
    await codeOf(() => place.catalog.deleteOrphans({ ...report, orphans: [{ ...report.orphans[0]!, path: "../x" }] })),
    "NAME_INVALID",
  );
  await place.manifest.close();
});

test("orphans: a condemned file is a prune's, not an orphan", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await place.commit({ a: "a2" });
  const remove = (): never => fail("PERMISSION", "Cannot remove: it is a test", {});
  await (await place.over(altered(place.folder, { remove }))).prune(1);
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals([report.orphans, report.named], [[], 2]);
  assertEquals(place.manifest.count(condemnedFiles), 1);
  assertEquals((await fileBytes(place.folder, "a1")).length, 2);
  await place.manifest.close();
});
