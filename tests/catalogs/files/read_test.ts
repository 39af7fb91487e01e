// Reading versions: names by kind and order, states that stay, handles that were closed, manifests that are only read.
import { assert, assertEquals } from "@std/assert";
import { Manifest } from "../../../mod.ts";
import { FILE_KINDS, FileSetCatalog, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { FileSetState } from "../../../src/catalogs/files/state.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { data, fileBytes, Place, putFile } from "./parts.ts";

test("read: the six kinds of the original and any other, in the order of their bytes; files once each", async () => {
  const place = await Place.open();
  await putFile(place.folder, "one", "1");
  await putFile(place.folder, "two", "22");
  const kinds = [...FILE_KINDS, "ours", "\u{ffee}", "\u{1f600}"]; // the last two sort otherwise by UTF-16
  await place.catalog.commit({ set: kinds.map((kind) => ({ kind, name: `of ${kind}`, path: kind === "text" ? "two" : "one" })) });
  using version = place.catalog.read();
  const order = ["column", "data", "ours", "spatial", "text", "timestamp", "vector", "\u{ffee}", "\u{1f600}"];
  assertEquals([...version.entries()].map(({ kind }) => kind), order);
  assertEquals([...version.entries({ kind: "text" })].map(({ name, path }) => [name, path]), [["of text", "two"]]);
  assertEquals([...version.entries({ kind: "none" })], []);
  assertEquals([...version.files()].map(({ path, sizeBytes }) => [path, sizeBytes]), [["one", 1], ["two", 2]]);
  assertEquals([version.count(), version.count("data"), version.count("none"), version.info.bytes], [9, 1, 0, 10]);
  assertEquals([version.has("ours", "of ours"), version.has("ours", "of")], [true, false]);
  const entries = version.entries();
  assertEquals([...entries].length, [...entries].length); // twice
  await place.manifest.close();
});

test("read: diff is the same whatever lies between, in both directions, sorted, and of one version nothing", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1", c: "c1" });
  await place.commit({ a: "a2", d: "d1" });
  await place.commit({ a: "a3" }, { remove: [{ kind: "data", name: "b" }] });
  await place.catalog.commit({ set: [data("a", "a1"), data("b", "b1")], remove: [{ kind: "data", name: "c" }] });
  const lines = (from: number, to: number): string[] => {
    const { added, removed, changed } = place.catalog.diff(from, to);
    return [
      ...added.map(({ name, path }) => `+${name} ${path}`),
      ...removed.map(({ name, path }) => `-${name} ${path}`),
      ...changed.map(({ before, after }) => `${after.name} ${before.path} ${after.path}`),
    ];
  };
  assertEquals(lines(1, 4), ["+d d1", "-c c1"]);
  assertEquals(lines(4, 1), ["+c c1", "-d d1"]);
  assertEquals(lines(1, 3), ["+d d1", "-b b1", "a a1 a3"]);
  assertEquals(lines(3, 1), ["+b b1", "-d d1", "a a3 a1"]);
  assertEquals(lines(2, 2), []);
  await place.catalog.prune(2);
  assertEquals(lines(3, 4), ["+b b1", "-c c1", "a a3 a1"]);
  assertEquals(await codeOf(() => place.catalog.diff(1, 4)), "NOT_FOUND");
  assertEquals(await codeOf(() => place.catalog.diff(4, 5)), "NOT_FOUND");
  for (const bad of [0, 1.5, "3"]) assertEquals(await codeOf(() => place.catalog.diff(bad as never, 4)), "INVALID_ARGUMENT");
  await place.manifest.close();
});

test("read: a version and a state stay what they were; closed they say so, and a second close does nothing", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  const version = place.catalog.read(), state = place.catalog.state();
  const running = version.entries()[Symbol.iterator](), files = state.files()[Symbol.iterator]();
  assertEquals([running.next().value!.path, files.next().value!.path], ["a1", "a1"]);
  await place.commit({ a: "a2", c: "c1" });
  assertEquals([[...version.entries()].length, state.versions().length, state.current()!.version], [2, 1, 1]);
  assertEquals([state.file("a1")!.firstVersion, state.file("a2"), place.catalog.get("data", "a")!.path], [1, undefined, "a2"]);
  assertEquals(state.stats(), { versions: 1, files: 2, bytes: 4, condemned: 0, entries: 2 });
  version.close();
  version.close();
  state.close();
  state.close();
  const calls = [
    () => version.get("data", "a"),
    () => version.has("data", "a"),
    () => version.count(),
    () => [...version.entries()],
    () => [...version.files()],
    () => running.next(),
    () => files.next(),
    () => state.current(),
    () => state.versions(),
    () => state.version(),
    () => state.diff(1, 1),
    () => [...state.files()],
    () => state.file("a1"),
    () => state.condemned(),
    () => state.stats(),
  ];
  for (const call of calls) assertEquals(await codeOf(call), "TXN_CLOSED");
  await place.manifest.close();
});

test("read: over a read transaction of the caller's, with other rows of the same state", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  using view = place.manifest.read();
  await place.commit({ a: "a2" });
  const state = new FileSetState(view, "default");
  assertEquals(state.version().get("data", "a")!.path, "a1");
  assertEquals([...state.files()].map(({ path }) => path), ["a1"]);
  await place.manifest.close();
});

test("read: of a manifest that is only read everything is read and verified, nothing is written, and a reader there holds off prunes of this process", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2"]) await place.commit({ a: path });
  const reading = await Manifest.open(new MemoryStorage(place.medium.file, { readOnly: true }), {
    readOnly: true,
    environment: place.environment,
  });
  const catalog = await FileSetCatalog.open(reading, place.folder, { environment: place.environment });
  assertEquals([catalog.created, catalog.versions().length, (await catalog.verify()).ok], [false, 2, true]);
  assertEquals((await catalog.orphans({ minAgeMs: 0 })).orphans, []);
  const report = { ...await catalog.orphans(), orphans: [] };
  const calls = [
    () => catalog.commit({}),
    () => catalog.prepare({}),
    () => catalog.prune(1),
    () => catalog.prune(0),
    () => catalog.pin({ owner: "a", ttlMs: 1 }),
    () => catalog.deleteOrphans(report),
    () => catalog.acceptHistory(),
  ];
  for (const call of calls) assertEquals(await codeOf(call), "READ_ONLY");
  using version = catalog.read(1);
  assertEquals((await place.catalog.prune(1)).pinned, [1]);
  assertEquals(version.get("data", "a")!.path, "a1");
  assertEquals(await codeOf(() => FileSetCatalog.open(reading, place.folder, { name: "new" })), "NOT_FOUND");
  await reading.close();
  await place.manifest.close();
});

test("read: a handle that was not refreshed hands out no version that a prune of this process has dropped", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2", "a3", "a4", "a5"]) await place.commit({ a: path });
  const { environment } = place;
  const reading = await Manifest.open(new MemoryStorage(place.medium.file, { readOnly: true }), { readOnly: true, environment });
  const catalog = await FileSetCatalog.open(reading, place.folder, { environment });
  const pin = await place.catalog.pin({ owner: "me", version: 3, ttlMs: 1000 });
  const before = catalog.read(2); // a reader that came in time
  const report = await place.catalog.prune(1);
  assertEquals([report.dropped, report.pinned], [[1, 4], [2, 3]]);
  // The state is an old one: it shows all five. What is there is handed out, what is gone is an error.
  assertEquals(catalog.versions().map(({ version }) => version), [1, 2, 3, 4, 5]);
  for (const version of [1, 4]) {
    for (const call of [() => catalog.read(version), () => catalog.verify({ version })]) {
      const { code, detail, retryable } = await errorOf(call);
      assertEquals([code, detail, retryable], ["SNAPSHOT_EXPIRED", { catalog: "default", version }, true]);
    }
  }
  for (const version of [2, 3, 5]) {
    using held = catalog.read(version);
    assertEquals((await fileBytes(place.folder, held.get("data", "a")!.path)).length, 2);
    assertEquals((await catalog.verify({ version })).ok, true);
  }
  for (const call of [() => catalog.state(), () => catalog.verify()]) assertEquals(await codeOf(call), "SNAPSHOT_EXPIRED");
  before.close();
  await pin.release();
  assertEquals((await place.catalog.prune(1)).dropped, [2, 3]);
  assertEquals(await codeOf(() => catalog.read(3)), "SNAPSHOT_EXPIRED");
  await reading.refresh();
  assertEquals(await codeOf(() => catalog.read(3)), "NOT_FOUND");
  assertEquals((await catalog.verify()).files, 1);
  catalog.state().close();
  // A copy over a copy of the folder goes its own way, though its file id is the same.
  const other = memoryFolder();
  for (const path of ["b1", "b2"]) await putFile(other, path, path);
  const copy = await Manifest.open(new MemoryStorage(new MemoryFile(place.medium.file.bytes())), { environment, idleCheckpoint: 0 });
  const its = await FileSetCatalog.open(copy, other, { environment });
  assertEquals(copy.fileId, place.manifest.fileId);
  for (const path of ["b1", "b2"]) await its.commit({ set: [data("a", path)] });
  await place.commit({ a: "a6" });
  await place.commit({ a: "a7" });
  await place.catalog.prune(1);
  assertEquals(its.read(6).number, 6);
  await copy.close();
  await reading.close();
  await place.manifest.close();
});

test("read: a catalog is made once, in one change with its name, and found again", async () => {
  const place = await Place.open();
  assert(place.catalog.created);
  assertEquals(place.manifest.getChange(1)!.operations.map((operation) => "table" in operation && operation.table), [
    "catalogs",
    "file_sets",
  ]);
  const found = await Promise.all([place.another(), place.another({ name: "b" }), place.another({ name: "b" })]);
  assertEquals(found.map(({ created }) => created), [false, true, false]);
  assertEquals(await codeOf(() => place.another({ name: "c", create: false })), "NOT_FOUND");
  await place.manifest.close();
});

test("item 50: a diff applied to one version makes the other, for all pairs, opened again and behind prunes; a file of it that is missing is named and cannot be committed", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1", c: "c1" });
  await place.commit({ b: "b2", d: "d1" }, { remove: [{ kind: "data", name: "a" }] });
  await place.commit({ a: "c1", e: "e1" }, { remove: [{ kind: "data", name: "d" }] });
  await place.commit({ b: "b1", c: "c2" });
  const applied = (from: number, to: number): void => {
    const names = new Map(Object.entries(place.names(from)));
    const { added, removed, changed } = place.catalog.diff(from, to);
    for (const { name, path } of removed) assertEquals([names.get(name), names.delete(name)], [path, true]);
    for (const { before, after } of changed) {
      assertEquals(names.get(after.name), before.path);
      names.set(after.name, after.path);
    }
    for (const { name, path } of added) assertEquals([names.has(name), names.set(name, path).size > 0], [false, true]);
    assertEquals(Object.fromEntries([...names].sort()), place.names(to));
  };
  const all = (): void => {
    const versions = place.catalog.versions().map(({ version }) => version);
    for (const from of versions) for (const to of versions) applied(from, to);
  };
  all();
  await place.reopen();
  all();
  await place.catalog.pin({ owner: "me", version: 1, ttlMs: 1e6 });
  await place.catalog.prune(2); // 1, 3 and 4 are left
  all();
  await place.folder.remove("b1");
  const { damaged } = await place.catalog.verify({ version: 4 });
  assertEquals(damaged.map(({ path, problem, names }) => [path, problem, names[0]!.name]), [["b1", "missing", "b"]]);
  assertEquals(await codeOf(() => place.catalog.commit({ set: [data("f", "b1")] })), "NOT_FOUND");
  await place.manifest.close();
});
