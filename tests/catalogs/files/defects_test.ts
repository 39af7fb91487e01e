// The defects of the original, and that they are not here: docs/files.md has the table. Each test fails on what the original does.
import { assert, assertEquals } from "@std/assert";
import { memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { fail } from "../../../src/errors.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { altered, data, filesIn, noting, Place, putFile, replaceFile } from "./parts.ts";

test("defect 1: every version that was committed is listed, read, compared and pruned, not only the newest", async () => {
  const place = await Place.open();
  for (let i = 1; i <= 4; i++) await place.commit({ a: `a${i}`, [`n${i}`]: `n${i}` });
  await place.reopen();
  assertEquals(place.catalog.versions().map(({ version, entries }) => [version, entries]), [[1, 2], [2, 3], [3, 4], [4, 5]]);
  assertEquals(place.names(2), { a: "a2", n1: "n1", n2: "n2" });
  const { added, changed } = place.catalog.diff(2, 4);
  assertEquals([added.map(({ name }) => name), changed.map(({ before, after }) => [before.path, after.path])], [["n3", "n4"], [[
    "a2",
    "a4",
  ]]]);
  assertEquals((await place.catalog.prune(2)).dropped, [1, 2]);
  await place.manifest.close();
});

test("defect 2: what is recorded of a file is its contents: other bytes under the same name are found, equal bytes under another are equal", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a", "one");
  await putFile(place.folder, "b", "two");
  await putFile(place.folder, "c", "one");
  await place.catalog.commit({ set: [data("a", "a"), data("b", "b"), data("c", "c")] });
  const [a, b, c] = ["a", "b", "c"].map((name) => place.catalog.get("data", name)!.digest);
  assert(a === c && a !== b);
  await replaceFile(place.folder, "b", "owt");
  const { damaged } = await place.catalog.verify();
  assertEquals(damaged.map(({ path, problem, names }) => [path, problem, names.length]), [["b", "digest", 1]]);
  await place.manifest.close();
});

test("defect 2: two names that exchange their files are a difference", async () => {
  const place = await Place.open();
  await place.commit({ a: "x", b: "y" });
  await place.catalog.commit({ set: [data("a", "y"), data("b", "x")] });
  const { changed, added, removed } = place.catalog.diff(1, 2);
  assertEquals(changed.map(({ before, after }) => [after.name, before.path, after.path]), [["a", "x", "y"], ["b", "y", "x"]]);
  assertEquals([added.length, removed.length], [0, 0]);
  await place.manifest.close();
});

test("defect 3: a deletion that fails is told, is not counted, and is tried again", async () => {
  const place = await Place.open();
  let stuck = true;
  const remove = (path: string): Promise<boolean> => {
    if (stuck && path === "a1") fail("PERMISSION", "Cannot remove: it is a test", { detail: { file: path } });
    return place.folder.remove(path);
  };
  const { catalog } = place;
  const stubborn = await place.over(altered(place.folder, { remove }));
  for (const path of ["a1", "a2", "a3"]) await place.commit({ a: path });
  const first = await stubborn.prune(1);
  assertEquals([first.dropped, first.deleted, first.bytes, first.remaining], [[1, 2], 1, 2, 1]);
  assertEquals(first.failed.map(({ path, error }) => [path, error.code]), [["a1", "PERMISSION"]]);
  assertEquals(catalog.stats().condemned, 1);
  stuck = false;
  const second = await stubborn.prune(1);
  assertEquals([second.dropped, second.deleted, second.failed, second.remaining], [[], 1, [], 0]);
  assertEquals(await filesIn(place.folder), ["a3"]);
  await place.manifest.close();
});

test("defect 3: versions rise strictly: none is given twice, none below one that was, also when all are pruned or the process ends", async () => {
  const place = await Place.open();
  assertEquals((await place.catalog.commit({}, { version: 7 })).version, 7);
  const lower = await errorOf(() => place.catalog.commit({}, { version: 7 }));
  assertEquals([lower.code, lower.retryable, lower.detail], ["CONFLICT", false, { catalog: "default", expected: 8, actual: 7 }]);
  assertEquals(await codeOf(() => place.catalog.commit({}, { version: 1 })), "CONFLICT");
  assertEquals((await place.catalog.commit({})).version, 8);
  await place.catalog.prune(1);
  await place.reopen();
  assertEquals(await codeOf(() => place.catalog.commit({}, { version: 7 })), "CONFLICT");
  assertEquals((await place.catalog.commit({})).version, 9);
  for (const version of [0, -1, 1.5, NaN, "9"]) {
    assertEquals(await codeOf(() => place.catalog.commit({}, { version: version as never })), "INVALID_ARGUMENT");
  }
  await place.manifest.close();
});

test("defect 3: files and the directories that lead to them are synced before the version that names them commits", async () => {
  const log: string[] = [];
  const place = new Place((clock) => noting(memoryFolder(clock), log));
  await place.open();
  await putFile(place.folder, "d/e/a", "a");
  await putFile(place.folder, "b", "b");
  log.length = 0;
  const before = place.manifest.latestChangeSequence();
  await place.catalog.commit({ set: [data("a", "d/e/a"), data("b", "b")] }, {
    parallel: 1,
    onProgress: () => assertEquals(place.manifest.latestChangeSequence(), before),
  });
  assertEquals(log, [
    "look ", // which folder it is
    ...["look d/e/a", "look b"],
    ...["read d/e/a", "sync d/e/a", "close d/e/a", "read b", "sync b", "close b"],
    ...["directory d/e", "directory d", "directory ."],
    ...["look d/e/a", "look b"],
  ]);
  await place.manifest.close();
});

test("defect 4: the catalog is an entry point of the package, and one manifest holds several of them", async () => {
  const place = await Place.open();
  const other = await place.another({ name: "other" });
  await place.commit({ a: "a1" });
  await putFile(place.folder, "o1", "o");
  await other.commit({ set: [data("a", "o1")] });
  assertEquals([place.catalog.get("data", "a")!.path, other.get("data", "a")!.path], ["a1", "o1"]);
  await other.commit({ remove: [{ kind: "data", name: "a" }] });
  await other.prune(1);
  assertEquals(await filesIn(place.folder), ["a1"]);
  // Files of one are no orphans to the other.
  assertEquals((await other.orphans({ minAgeMs: 0 })).orphans, []);
  await place.manifest.close();
});

test("defect 5: a prune keeps what any kept version names, not only the newest", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  await place.commit({ a: "a2" });
  await place.commit({ b: "b3" });
  await place.catalog.prune(2);
  assertEquals(await filesIn(place.folder), ["a2", "b1", "b3"]); // version 2 still names b1
  assertEquals((await place.catalog.verify({ version: 2 })).ok, true);
  await place.manifest.close();
});

test("defect 6: files of older kept versions are no orphans, and files in directories and with any ending can be some", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1.sst" });
  await place.commit({ a: "a2.sst" });
  for (const path of ["deep/er/left.sst", "left.parquet", "left"]) await putFile(place.folder, path, "x");
  const { orphans } = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals(orphans.map(({ path }) => path), ["deep/er/left.sst", "left", "left.parquet"]);
  await place.manifest.close();
});

test("defect 7: a catalog that is lost is an error, never an empty version 0 to which everything is an orphan", async () => {
  const place = await Place.open();
  assertEquals(place.catalog.current(), undefined);
  assertEquals(await codeOf(() => place.catalog.read()), "NOT_FOUND");
  for (const version of [0, 1]) {
    assertEquals(await codeOf(() => place.catalog.read(version)), version === 0 ? "INVALID_ARGUMENT" : "NOT_FOUND");
  }
  await putFile(place.folder, "precious", "x");
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals(report.orphans.length, 1);
  const { code, detail } = await errorOf(() => place.catalog.deleteOrphans(report));
  assertEquals([code, detail.reason], ["ORPHANS_REFUSED", "empty"]);
  assertEquals(await filesIn(place.folder), ["precious"]);
  await place.manifest.close();
});

test("defect 8: verifying names every file and what is wrong with it: a directory in its place, another length, other contents", async () => {
  const place = await Place.open();
  await place.commit({ a: "a", b: "b", c: "c", d: "d", e: "e" });
  await place.folder.remove("a");
  await place.folder.makeDirectory("a");
  await replaceFile(place.folder, "b", "longer");
  await replaceFile(place.folder, "c", "x");
  await place.folder.remove("d");
  const found = async (level: "size" | "digest"): Promise<string[]> =>
    (await place.catalog.verify({ level })).damaged.map(({ path, problem }) => `${path} ${problem}`);
  assertEquals(await found("size"), ["a not-a-file", "b size", "d missing"]);
  assertEquals(await found("digest"), ["a not-a-file", "b size", "c digest", "d missing"]);
  await place.manifest.close();
});

test("defect 9: names that lead out of the folder are refused, and names are no properties of objects", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a", "a");
  for (const path of ["../a", "/etc/passwd", "a/../../b", "a\0", "CON", "nul.sst", "a\\b", "", "a//b", "a."]) {
    assertEquals(await codeOf(() => place.catalog.commit({ set: [data("a", path)] })), "NAME_INVALID", path);
  }
  for (const name of ["__proto__", "constructor", "toString", "../..", "nul"]) {
    await place.catalog.commit({ set: [{ kind: name.slice(0, 9), name, path: "a" }] });
    assertEquals(place.catalog.get(name.slice(0, 9), name)?.path, "a");
  }
  assertEquals(place.catalog.check(), { ok: true, problems: [] });
  await place.manifest.close();
});

test("defect 10: times are kept to the millisecond and never go back", async () => {
  const place = await Place.open();
  await place.catalog.commit({});
  place.clock.time += 1;
  await place.catalog.commit({});
  place.clock.time -= 5000;
  await place.catalog.commit({});
  assertEquals(place.catalog.versions().map(({ committedAt }) => committedAt - 1_700_000_000_000), [0, 1, 1]);
  await place.manifest.close();
});

test("defect 11: what was prepared and never committed is adopted by no later commit", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a1", "a");
  await putFile(place.folder, "b1", "b");
  {
    using _prepared = await place.catalog.prepare({ set: [data("a", "a1")] });
  }
  await place.catalog.commit({ set: [data("b", "b1")] });
  await place.reopen();
  assertEquals(place.names(), { b: "b1" });
  assertEquals((await place.catalog.orphans({ minAgeMs: 0 })).orphans.map(({ path }) => path), ["a1"]);
  await place.manifest.close();
});
