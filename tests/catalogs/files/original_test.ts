// What the original's tests ask of a catalog of files, each under its name: docs/files.md has the table.
import { assert, assertEquals } from "@std/assert";
import { defineTable, text, u53 } from "../../../mod.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { data, filesIn, Place, putFile } from "./parts.ts";

const PROBE = { ok: true, problems: [] };

test("file set: what a version names is read back, contents included: test_manifest_write_read", async () => {
  const place = await Place.open();
  await putFile(place.folder, "data_000001.sst", "rows");
  await putFile(place.folder, "vector_000001.sst", "vectors");
  await place.catalog.commit({
    set: [data("main", "data_000001.sst"), { kind: "vector", name: "embeddings", path: "vector_000001.sst" }],
  });
  const digests = (): unknown[] => [place.catalog.get("data", "main"), place.catalog.get("vector", "embeddings")];
  const before = digests();
  await place.reopen();
  assertEquals(place.catalog.current()!.version, 1);
  assertEquals(place.names(), { main: "data_000001.sst", "vector:embeddings": "vector_000001.sst" });
  assertEquals(digests(), before);
  await place.manifest.close();
});

test("file set: the newest version is the current one, and the one before is still there: test_atomic_commit", async () => {
  const place = await Place.open();
  assertEquals((await place.catalog.commit({})).version, 1);
  assertEquals((await place.catalog.commit({})).version, 2);
  await place.reopen();
  assertEquals(place.catalog.current()!.version, 2);
  assertEquals(place.catalog.versions().map(({ version }) => version), [1, 2]);
  await place.manifest.close();
});

test("file set: files that no version names are orphans, and only they: test_orphan_detection", async () => {
  const place = await Place.open();
  for (const path of ["data_000001.sst", "data_000002.sst", "vector_000001.sst"]) await putFile(place.folder, path, "data");
  await place.catalog.commit({ set: [data("main", "data_000002.sst")] });
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals(report.orphans.map(({ path }) => path), ["data_000001.sst", "vector_000001.sst"]);
  assertEquals(report.named, 1);
  assertEquals((await filesIn(place.folder)).length, 3);
  await place.manifest.close();
});

test("file set: a version of many files is there as a whole or not at all: test_manifest_atomic_commit", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  await putFile(place.folder, "a2", "a2");
  // The second file is not there: nothing of the version is.
  const failing = place.catalog.commit({ set: [data("a", "a2"), data("b", "b2")] });
  assertEquals(await codeOf(() => failing), "NOT_FOUND");
  assertEquals(place.names(), { a: "a1", b: "b1" });
  await place.reopen();
  assertEquals(place.names(), { a: "a1", b: "b1" });
  assertEquals(place.catalog.versions().length, 1);
  await place.manifest.close();
});

test("file set: committed versions survive a crash, and what was not committed never comes: test_crash_recovery", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await place.manifest.checkpoint();
  for (let i = 2; i <= 30; i++) {
    await place.commit({ [`n${i % 7}`]: `f${i}` }); // many small ones
    if (i % 10 === 0) await place.manifest.checkpoint();
  }
  await place.commit({ a: "a2" }); // an update
  await place.commit({}, { remove: [{ kind: "data", name: "n3" }] });
  using prepared = await place.catalog.prepare({ label: "never committed" });
  const names = place.names();
  const after = await place.crashed();
  assert(after.manifest.crashDetected);
  assertEquals(after.names(), names);
  assertEquals(after.catalog.versions().map(({ version }) => version), Array.from({ length: 32 }, (_, i) => i + 1));
  assertEquals(after.catalog.check(), PROBE);
  // The next commit adopts nothing of what was under way.
  const { version } = await after.catalog.commit({});
  assertEquals([version, after.catalog.current()!.label], [33, undefined]);
  prepared.dispose();
  await place.manifest.close();
  await after.manifest.close();
});

test("file set: what is set, changed, removed, and set again survives opening many times: test_durability, test_delete_persist", async () => {
  const place = await Place.open();
  let expected: Record<string, string> = {};
  const steps: [set: Record<string, string>, remove: string[]][] = [
    [{ a: "a1" }, []],
    [{ b: "b1", c: "c1", d: "d1" }, []],
    [{ b: "b2" }, []],
    [{}, ["c"]],
    [{ c: "c2", e: "e1" }, ["a"]],
    [{ a: "a2" }, ["b", "d"]],
  ];
  for (const [set, remove] of steps) {
    await place.commit(set, { remove: remove.map((name) => ({ kind: "data", name })) });
    expected = Object.fromEntries(Object.entries({ ...expected, ...set }).filter(([name]) => !remove.includes(name)).sort());
    await place.reopen();
    assertEquals(place.names(), expected);
    assertEquals(place.catalog.check(), PROBE);
  }
  assertEquals(place.names(3), { a: "a1", b: "b2", c: "c1", d: "d1" });
  await place.manifest.close();
});

test("file set: a transaction that is given up leaves nothing, one that commits has everything, reads within see it: test_acid_audit", async () => {
  const rows = defineTable({ name: "rows", key: [text("name")], value: { version: u53() } });
  const place = await Place.open();
  await putFile(place.folder, "a1", "a");
  using prepared = await place.catalog.prepare({ set: [data("a", "a1")] });
  await place.manifest.transact((txn) => {
    txn.put(rows, "lost", prepared.stage(txn));
    txn.rollback();
  });
  assertEquals([place.catalog.current(), place.manifest.listTables().some(({ name }) => name === "rows")], [undefined, false]);
  await place.manifest.transact((txn) => {
    const before = txn.savepoint();
    prepared.stage(txn);
    txn.rollbackTo(before);
    const { version } = prepared.stage(txn);
    txn.put(rows, "kept", { version });
    assertEquals(prepared.stage(txn).version, version + 1); // it reads its own version
  });
  assertEquals(place.manifest.get(rows, "kept"), { version: 1 });
  assertEquals(place.catalog.versions().map(({ version, changed, added }) => [version, added, changed]), [[1, 1, 0], [2, 0, 0]]);
  assertEquals(place.manifest.latestChangeSequence(), 2); // both versions and the row are one change
  await place.manifest.close();
  assertEquals(await codeOf(() => place.catalog.commit({})), "HANDLE_CLOSED");
  assertEquals(await codeOf(() => place.catalog.read()), "HANDLE_CLOSED");
});

test("file set: a version that is read keeps its files until it is let go: deferred_deletion_keeps_files_alive", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  const reading = place.catalog.read(1);
  await place.commit({ a: "a2" });
  await place.commit({ a: "a3" });
  assertEquals(await place.catalog.prune(1), { dropped: [2], pinned: [1], deleted: 1, bytes: 2, failed: [], shared: 0, remaining: 0 });
  assertEquals(await filesIn(place.folder), ["a1", "a3", "b1"]);
  assertEquals([...reading.entries()].map(({ path }) => path), ["a1", "b1"]);
  reading.close();
  assertEquals((await place.catalog.prune(1)).dropped, [1]);
  assertEquals(await filesIn(place.folder), ["a3", "b1"]);
  assertEquals(place.catalog.check(), PROBE);
  await place.manifest.close();
});

test("file set: what a crash has left beside the versions is found when it is opened again, and deleted when that is asked for: orphan_cleanup_on_open", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "flush/data-2", "half");
  await putFile(place.folder, "flush/index-2", "");
  await place.reopen();
  assertEquals((await filesIn(place.folder)).length, 3); // opening deletes nothing
  place.clock.time += 3_600_000;
  const report = await place.catalog.orphans({ minAgeMs: 3_600_000 });
  assertEquals(report.orphans.map(({ path }) => path), ["flush/data-2", "flush/index-2"]);
  const { deleted, bytes } = await place.catalog.deleteOrphans(report);
  assertEquals([deleted, bytes, await filesIn(place.folder)], [2, 4, ["a1"]]);
  await place.manifest.close();
});

test("file set: a removal stays for as long as an older version shows the name: tombstone_not_dropped_at_intermediate_level", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1", b: "b1" });
  const pinned = await place.catalog.pin({ owner: "backup", version: 1, ttlMs: 1000 });
  await place.commit({}, { remove: [{ kind: "data", name: "a" }] });
  await place.commit({ c: "c1" });
  await place.catalog.prune(1);
  assertEquals([place.names(1), place.names()], [{ a: "a1", b: "b1" }, { b: "b1", c: "c1" }]);
  assertEquals(place.catalog.stats().entries, 4); // a, its removal, b, c
  await pinned.release();
  await place.catalog.prune(1);
  assertEquals([place.names(), place.catalog.stats().entries], [{ b: "b1", c: "c1" }, 2]);
  assertEquals(place.catalog.check(), PROBE);
  await place.manifest.close();
});

test("file set: commits and prunes without end leave rows and files as many as there are names: test_no_bloat", async () => {
  const place = await Place.open();
  const rows = (): number => place.manifest.listTables().filter(({ builtIn }) => !builtIn).reduce((sum, { rows }) => sum + rows, 0);
  for (let i = 0; i < 60; i++) {
    await place.commit({ [`n${i % 5}`]: `f${i}` });
    await place.catalog.prune(2);
  }
  assertEquals(await filesIn(place.folder), Array.from({ length: 6 }, (_, i) => `f${54 + i}`));
  // The catalog's own two rows, two versions, five names and one that was changed since, six files.
  assertEquals(rows(), 2 + 2 + 6 + 1 + 6);
  assertEquals(place.catalog.check(), PROBE);
  await place.manifest.close();
});
