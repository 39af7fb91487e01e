// Bad input, on a real file system where it matters: files that vanish and change, directories, links, hostile names, the other kind's catalog, and whatever else a caller may give.
import { assert, assertEquals } from "@std/assert";
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { isManifestError, Manifest } from "../../../mod.ts";
import { type FileFacts, fileFolder, FileSetCatalog, type Folder } from "../../../src/catalogs/files/mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { makeFolder, removeFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { altered, data, filesIn, Place, putFile } from "./parts.ts";

/** A manifest in memory and a real folder. */
async function onDisk(
  body: (given: { place: Place; root: string; folder: Folder; catalog: FileSetCatalog }) => Promise<void>,
): Promise<void> {
  const root = makeFolder();
  const place = new Place(() => fileFolder(root));
  await place.open();
  try {
    await body({ place, root, folder: place.folder, catalog: place.catalog });
  } finally {
    await place.manifest.close();
    removeFolder(root);
  }
}

const set = (...paths: string[]): { set: { kind: string; name: string; path: string }[] } => ({
  set: paths.map((path) => data(path, path)),
});

/** Commits the file "a" and does something between its digest and the second look. */
async function meddled(place: Place, meddle: () => void): Promise<string> {
  let looks = 0;
  const folder = altered(place.folder, {
    facts: async (path) => {
      if (path === "a" && ++looks === 2) meddle();
      return await place.folder.facts(path);
    },
  });
  return await codeOf(async () => (await place.over(folder)).commit(set("a")));
}

test("bad input: a file that vanishes, changes, moves or is replaced between its digest and the commit is FILE_CHANGED, and nothing is committed", async () => {
  await onDisk(async ({ place, root, catalog }) => {
    const a = join(root, "a");
    const meddlers: (() => void)[] = [
      () => unlinkSync(a),
      () => writeFileSync(a, "longer than before"),
      () => truncateSync(a, 1),
      () => utimesSync(a, 1000, 1000), // as one that was written in between
      () => renameSync(a, join(root, "b")),
      () => {
        writeFileSync(join(root, "other"), "text");
        utimesSync(join(root, "other"), 5000, 5000);
        renameSync(join(root, "other"), a); // of the same length and time, another file
      },
      () => {
        unlinkSync(a);
        mkdirSync(a);
      },
    ];
    for (const meddle of meddlers) {
      writeFileSync(a, "text");
      utimesSync(a, 5000, 5000);
      assertEquals(await meddled(place, meddle), "FILE_CHANGED", String(meddle));
      assertEquals([catalog.current(), catalog.stats().files], [undefined, 0]);
      removeFolder(a);
    }
    if (process.platform !== "win32") {
      writeFileSync(a, "text");
      const code = await meddled(place, () => {
        renameSync(a, join(root, "moved"));
        symlinkSync(join(root, "moved"), a);
      });
      assertEquals([code, catalog.current()], ["FILE_CHANGED", undefined]);
    }
  });
});

test("bad input: a file whose time of modification was set back is FILE_CHANGED by when it was changed, and a version number may not be the last", async () => {
  const place = await Place.open();
  await place.commit({ b: "b" });
  await putFile(place.folder, "a", "text");
  let looks = 0;
  const later = async (path: string): Promise<FileFacts | undefined> => {
    const facts = await place.folder.facts(path);
    return facts && path === "a" && ++looks === 2 ? { ...facts, changedAt: facts.changedAt + 1 } : facts;
  };
  assertEquals(await codeOf(async () => (await place.over(altered(place.folder, { facts: later }))).commit(set("a"))), "FILE_CHANGED");
  for (const version of [2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
    assertEquals(await codeOf(() => place.catalog.commit({}, { version })), "INVALID_ARGUMENT");
  }
  assertEquals((await place.catalog.commit({}, { version: 2 ** 52 })).version, 2 ** 52);
  assertEquals((await place.catalog.commit(set("a"))).version, 2 ** 52 + 1);
  await place.manifest.close();
});

test("bad input: a file that is written to while it is read is FILE_CHANGED", async () => {
  await onDisk(async ({ root, catalog }) => {
    const a = join(root, "a");
    for (const change of [() => truncateSync(a, 300_000), () => writeFileSync(a, "x".repeat(600_001)), () => utimesSync(a, 1000, 1000)]) {
      writeFileSync(a, "x".repeat(600_000));
      let pieces = 0;
      const code = await codeOf(() =>
        catalog.commit(set("a"), { onProgress: ({ step }) => step === "digest" && ++pieces === 1 && change() })
      );
      assertEquals([code, catalog.current()], ["FILE_CHANGED", undefined], String(change));
    }
  });
});

test("bad input: a directory, a link, a link on the way, a file on the way, a device are refused by name, and nothing is followed", async () => {
  await onDisk(async ({ root, catalog, folder }) => {
    mkdirSync(join(root, "directory"));
    writeFileSync(join(root, "file"), "x");
    assertEquals(await codeOf(() => catalog.commit(set("directory"))), "NOT_A_REGULAR_FILE");
    assertEquals(await codeOf(() => catalog.commit(set("missing"))), "NOT_FOUND");
    assertEquals(await codeOf(() => catalog.commit(set("missing/too"))), "NOT_FOUND");
    assertEquals(await codeOf(() => catalog.commit(set("file/below"))), "NOT_A_DIRECTORY");
    if (process.platform === "win32") return;
    const outside = makeFolder();
    try {
      writeFileSync(join(outside, "secret"), "secret");
      symlinkSync(join(outside, "secret"), join(root, "link"));
      symlinkSync(outside, join(root, "way"));
      symlinkSync(join(root, "nowhere"), join(root, "dangling"));
      for (const path of ["link", "way/secret", "way", "dangling"]) {
        const error = await errorOf(() => catalog.commit(set(path)));
        assertEquals([error.code, error.handle], ["NOT_A_REGULAR_FILE", "ok"], path);
      }
      linkSync(join(root, "file"), join(root, "hard")); // another name of the same file: a file
      await catalog.commit(set("file", "hard"));
      // Links are told, never followed, and never deleted.
      const report = await catalog.orphans({ minAgeMs: 0 });
      assertEquals([report.orphans, report.links], [[], ["dangling", "link", "way"]]);
      const forged = {
        ...report,
        orphans: [{ path: "way/secret", sizeBytes: 6, modifiedAt: 0, identity: "" }, {
          path: "link",
          sizeBytes: 6,
          modifiedAt: 0,
          identity: "",
        }],
      };
      const { deleted, refused, failed } = await catalog.deleteOrphans(forged);
      assertEquals([deleted, [...refused, ...failed].map(({ path }) => path).sort()], [0, ["link", "way/secret"]]);
      assertEquals(readFileSync(join(outside, "secret"), "utf8"), "secret");
      // A link in the place of a stored file: damage to verify, and nothing for a prune to delete.
      unlinkSync(join(root, "hard"));
      symlinkSync(join(outside, "secret"), join(root, "hard"));
      assertEquals((await catalog.verify()).damaged.map(({ path, problem }) => [path, problem]), [["hard", "not-a-file"]]);
      await catalog.commit({ remove: [{ kind: "data", name: "hard" }] });
      assertEquals((await catalog.prune(1)).failed.map(({ path, error }) => [path, error.code]), [["hard", "NOT_A_REGULAR_FILE"]]);
      assertEquals(readFileSync(join(outside, "secret"), "utf8"), "secret");
    } finally {
      removeFolder(outside);
    }
    assertEquals((await filesIn(folder)).includes("file"), true);
  });
});

test("bad input: hostile names in the folder are told, not entered, not deleted; nothing of them becomes a path", async () => {
  if (process.platform === "win32") return; // it has no such names
  await onDisk(async ({ root, catalog }) => {
    writeFileSync(join(root, "a"), "a");
    await catalog.commit(set("a"));
    for (const name of ["nul", "a:b", "trailing.", "back\\slash", "new\nline"]) writeFileSync(join(root, name), "x");
    mkdirSync(join(root, "con"));
    writeFileSync(join(root, "con", "inside"), "x");
    mkdirSync(join(root, "__proto__"));
    writeFileSync(join(root, "__proto__", "constructor"), "x");
    const report = await catalog.orphans({ minAgeMs: 0 });
    assertEquals(report.orphans.map(({ path }) => path), ["__proto__/constructor"]);
    assertEquals(report.unsafe.map(({ name }) => name).sort(), ["a:b", "back\\slash", "con", "new\nline", "nul", "trailing."]);
    assert(report.unsafe.every(({ directory, why }) => directory === "" && why.length > 5));
    assertEquals((await catalog.deleteOrphans(report)).deleted, 1);
    assertEquals(readFileSync(join(root, "con", "inside"), "utf8"), "x");
  });
});

test("bad input: the manifest of the catalog in the folder of its files, open and locked, is no orphan and cannot be deleted", async () => {
  const root = makeFolder();
  try {
    const folder = fileFolder(root);
    const manifest = await Manifest.open(join(root, "catalog.waybill"), { create: true, idleCheckpoint: 0 });
    const catalog = await FileSetCatalog.open(manifest, folder);
    writeFileSync(join(root, "a"), "a");
    await catalog.commit(set("a"));
    const report = await catalog.orphans({ minAgeMs: 0 });
    assertEquals([report.orphans, report.named, report.manifests >= 2], [[], 1, true]);
    assertEquals(await codeOf(() => catalog.commit(set("catalog.waybill"))), "NAME_INVALID"); // it would go with its version
    copyFileSync(join(root, "catalog.waybill"), join(root, "copy")); // the open one is written to, and would be told as changed
    const forged = [];
    for (const path of ["copy", "catalog.waybill.lock"]) {
      const { sizeBytes, modifiedAt, identity } = (await folder.facts(path))!;
      forged.push({ path, sizeBytes, modifiedAt, identity });
    }
    const { deleted, refused } = await catalog.deleteOrphans({ ...report, orphans: forged });
    assertEquals([deleted, refused.map(({ error }) => error.detail.reason)], [0, ["manifest", "manifest"]]);
    await manifest.close();
    assertEquals(await codeOf(() => FileSetCatalog.open(manifest, folder)), "HANDLE_CLOSED");
    const again = await Manifest.open(join(root, "catalog.waybill"));
    assertEquals((await (await FileSetCatalog.open(again, folder)).verify()).ok, true);
    await again.close();
  } finally {
    removeFolder(root);
  }
});

test("bad input: paths and names that are refused", async () => {
  const place = await Place.open();
  const bad = [
    "../a",
    "..",
    ".",
    "/a",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    "",
    "a\0b",
    "aux",
    "COM1.sst",
    "lpt9",
    "a\\b",
    "c:a",
    "a?",
    "a*",
    "a ",
    "\ud800",
    "x".repeat(256),
  ];
  for (const path of bad) assertEquals(await codeOf(() => place.catalog.commit(set(path))), "NAME_INVALID", JSON.stringify(path));
  assertEquals(await codeOf(() => place.catalog.commit({ set: [data("a", `${"d/".repeat(360)}a`)] })), "LIMIT");
  assertEquals(await codeOf(() => place.catalog.commit({ set: [data("a", "f"), data("b", "F")] })), "NAME_INVALID");
  for (
    const [kind, name] of [
      ["", "n"],
      ["k", ""],
      ["k".repeat(65), "n"],
      ["k", "n".repeat(513)],
      ["k\0", "n"],
      ["k", "a\nb"],
      ["k", "\udc00"],
      [1, "n"],
      [
        "k",
        null,
      ],
    ]
  ) {
    assertEquals(await codeOf(() => place.catalog.commit({ set: [{ kind, name, path: "f" } as never] })), "NAME_INVALID");
    assertEquals(await codeOf(() => place.catalog.commit({ remove: [{ kind, name } as never] })), "NAME_INVALID");
  }
  for (const label of ["", "l".repeat(256), "a\0", 1]) {
    assertEquals(await codeOf(() => place.catalog.commit({ label: label as never })), "NAME_INVALID");
  }
  // The longest that there may be, all at once.
  const catalog = await place.another({ name: "\u0001".repeat(128) });
  const path = `${"d".repeat(255)}/${"e".repeat(255)}/${"f".repeat(720 - 512)}`;
  const { folder } = place;
  await folder.makeDirectory("d".repeat(255));
  await folder.makeDirectory(`${"d".repeat(255)}/${"e".repeat(255)}`);
  await (await folder.create(path)).close();
  await catalog.commit({ set: [{ kind: "k".repeat(64), name: "n".repeat(512), path }], label: "l".repeat(255) });
  await catalog.commit({ remove: [{ kind: "k".repeat(64), name: "n".repeat(512) }] });
  await catalog.pin({ owner: "o".repeat(128), ttlMs: 1 });
  assertEquals([catalog.diff(1, 2).removed.length, catalog.check().ok], [1, true]);
  await place.manifest.close();
});

test("bad input: a catalog of the other kind is CATALOG_MISMATCH, in both directions", async () => {
  const place = await Place.open();
  await LsmCatalog.open(place.manifest, { name: "tables" });
  const error = await errorOf(() => place.another({ name: "tables" }));
  assertEquals([error.code, error.detail], ["CATALOG_MISMATCH", { catalog: "tables", expected: "files", actual: "lsm" }]);
  assertEquals(await codeOf(() => LsmCatalog.open(place.manifest)), "CATALOG_MISMATCH");
  await place.manifest.close();
});

test("bad input: whatever a call is given, it throws errors of this package, and nothing is committed", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  const throws = (): never => {
    throw new Error("from a getter");
  };
  const hostile = new Proxy({}, { get: throws, has: throws, ownKeys: throws, getOwnPropertyDescriptor: throws, getPrototypeOf: throws });
  const getter = Object.defineProperty({}, "set", { enumerable: true, get: throws });
  const junk: unknown[] = [
    undefined,
    null,
    0,
    -1,
    1.5,
    NaN,
    "",
    "x",
    true,
    [],
    {},
    Symbol("s"),
    1n,
    () => {},
    hostile,
    getter,
    { signal: 1 },
    { parallel: 0 },
    { onProgress: 1 },
    { unknown: 1 },
    [undefined],
    [hostile],
  ];
  const { catalog, manifest, folder } = place;
  const version = catalog.read();
  const calls: ((value: never, more: never) => unknown)[] = [
    (value) => FileSetCatalog.open(value, folder),
    (value) => FileSetCatalog.open(manifest, value),
    (value) => FileSetCatalog.open(manifest, folder, value),
    (value) => FileSetCatalog.open(manifest, folder, { name: value }),
    (value) => FileSetCatalog.open(manifest, folder, { digest: value }),
    (value) => FileSetCatalog.open(manifest, folder, { environment: value }),
    (value, more) => catalog.prepare(value, more),
    (value) => catalog.prepare({ set: value }),
    (value) => catalog.prepare({ set: [value] }),
    (value) => catalog.prepare({ remove: value }),
    (value) => catalog.prepare({ remove: [value] }),
    (value) => catalog.prepare({ label: value }),
    (value) => catalog.prepare({}, { expectedVersion: value }),
    (value) => catalog.read(value).close(),
    (value, more) => catalog.get(value, more),
    (value, more) => catalog.diff(value, more),
    (value) => version.entries(value),
    (value) => version.count(value),
    (value) => catalog.verify(value),
    (value) => catalog.prune(0, value),
    (value) => catalog.orphans(value),
    (value, more) => catalog.deleteOrphans(value, more),
    (value) => catalog.pin(value),
    (value) => catalog.stagePin(value, { owner: "a", ttlMs: 1 }),
    (value, more) => catalog.stageUnpin(value, more),
    async (value) => {
      using prepared = await catalog.prepare({});
      prepared.stage(value);
    },
  ];
  let thrown = 0;
  for (const call of calls) {
    for (const [i, value] of junk.entries()) {
      try {
        const result = await call(value as never, junk[(i * 7 + 3) % junk.length] as never);
        if (result instanceof Object && "dispose" in result) (result as { dispose(): void }).dispose();
      } catch (error) {
        assert(isManifestError(error), `${call} with ${i}: ${error instanceof Error ? error.stack : String(error)}`);
        thrown++;
      }
    }
  }
  assert(thrown > 200, `${thrown} thrown`);
  assertEquals([catalog.versions().length, catalog.pins(), catalog.check().ok], [1, [], true]);
  version.close();
  await manifest.close();
});
