// Verification: every kind of damage is named, with the names that stand for the file, and none of it throws.
import { assertEquals } from "@std/assert";
import { storedFiles } from "../../../src/catalogs/files/tables.ts";
import { fail } from "../../../src/errors.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { altered, data, Place, putFile, replaceFile } from "./parts.ts";

test("verify: tells each damaged file with its problem, what was expected, what was found, and all its names", async () => {
  const place = await Place.open({ digest: "sha256" });
  const paths = ["fine", "gone", "d/directory", "short", "other", "unreadable", "changing", "touched", "behind/a/file"];
  await place.commit(Object.fromEntries(paths.map((path) => [path, path])));
  await place.commit({ "second name": "other" });
  const { folder } = place;
  await folder.remove("gone");
  await folder.remove("d/directory");
  await folder.makeDirectory("d/directory");
  await replaceFile(folder, "short", "sh");
  await replaceFile(folder, "other", "OTHER");
  await folder.remove("behind/a/file");
  await folder.removeDirectory("behind/a");
  await putFile(folder, "behind/a", "a file where a directory was");
  let touched = 0;
  const catalog = await place.over(altered(folder, {
    open: async (path) => {
      const file = await folder.open(path);
      const calls = path === "unreadable"
        ? { read: () => Promise.resolve().then(() => fail("IO_READ", "Cannot read: it is a test", {})) }
        : path === "changing"
        ? { read: () => Promise.resolve(1) }
        : path === "touched"
        ? { facts: async () => ({ ...await file.facts(), modifiedAt: ++touched }) }
        : {};
      return altered(file as never, calls as never) as never;
    },
  }));
  const names = (...names: string[]): unknown => names.map((name) => ({ kind: "data", name }));
  const { digest } = place.catalog.get("data", "other")!;
  const report = await catalog.verify();
  const actual = report.damaged.find(({ path }) => path === "other")!.actual;
  assertEquals(report.damaged, [
    { path: "behind/a/file", problem: "not-a-file", names: names("behind/a/file") },
    { path: "changing", problem: "changing", names: names("changing") },
    { path: "d/directory", problem: "not-a-file", names: names("d/directory") },
    { path: "gone", problem: "missing", names: names("gone") },
    { path: "other", problem: "digest", expected: digest, actual, names: names("other", "second name") },
    { path: "short", problem: "size", expected: 5, actual: 2, names: names("short") },
    { path: "touched", problem: "changing", names: names("touched") },
    { path: "unreadable", problem: "unreadable", code: "IO_READ", names: names("unreadable") },
  ] as never);
  assertEquals([report.level, report.version, report.files, report.ok], ["digest", undefined, 9, false]);
  const sizes = await catalog.verify({ level: "size" });
  assertEquals(sizes.damaged.map(({ path }) => path), ["behind/a/file", "d/directory", "gone", "short"]);
  assertEquals(sizes.bytesRead, 0);
  // Of a version: its own files and names.
  const first = await catalog.verify({ version: 1 });
  assertEquals(first.damaged.find(({ path }) => path === "other")!.names, [{ kind: "data", name: "other" }]);
  await place.manifest.close();
});

test("verify: a file that the catalog names and knows nothing of is told too", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  await place.manifest.begin().delete(storedFiles, ["default", "a1"]).commit(); // what a salvage may have lost
  for (const options of [{}, { version: 1 }]) {
    const { damaged, files } = await place.catalog.verify(options);
    assertEquals([damaged, files], [[{ path: "a1", problem: "unrecorded", names: [{ kind: "data", name: "a" }] }], 2]);
  }
  await place.manifest.close();
});

test("verify: progress counts files and bytes; an abort ends it; a version that is not there is an error", async () => {
  const place = await Place.open();
  await putFile(place.folder, "big", "x".repeat(600_000));
  await putFile(place.folder, "small", "x");
  await place.catalog.commit({ set: [data("big", "big"), data("small", "small")] });
  const steps: unknown[] = [];
  const report = await place.catalog.verify({ parallel: 1, onProgress: (progress) => steps.push(progress) });
  assertEquals(report.bytesRead, 600_001);
  const total = { filesTotal: 2, bytesTotal: 600_001 };
  assertEquals(steps[0], { step: "digest", files: 0, bytes: 262_144, ...total });
  assertEquals(steps.at(-1), { step: "digest", files: 2, bytes: 600_001, ...total });
  const abort = new AbortController();
  const error = await errorOf(() => place.catalog.verify({ parallel: 1, signal: abort.signal, onProgress: () => abort.abort() }));
  assertEquals([error.code, error.outcome], ["ABORTED", "not_applied"]);
  assertEquals(await codeOf(() => place.catalog.verify({ version: 2 })), "NOT_FOUND");
  // Nothing stays held behind it.
  await place.commit({ big: "b2", small: "s2" });
  assertEquals((await place.catalog.prune(1)).dropped, [1]);
  await place.manifest.close();
});
