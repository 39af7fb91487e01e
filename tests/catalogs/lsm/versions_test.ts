// Versions that readers pin, removed files, and when they may be deleted.
import { assert, assertEquals } from "@std/assert";
import { copyFileSync, linkSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Manifest } from "../../../mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { SimDisk } from "../../support/crash_storage.ts";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";
import { crashed, ids, key, Medium, openLsm, sst, stateOf } from "./lsm.ts";

/** Deletable files as texts. */
async function deletable(catalog: LsmCatalog): Promise<string[]> {
  return (await catalog.deletable()).map(({ kind, id }) => `${kind} ${id}`);
}

test("LsmCatalog versions: one shows the same state however long it is held", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.edit().addSst(sst(1, 0, "a", "m")).addSst(sst(2, 1, "c", "d")).setActiveWal(4).addFrozenWal(3).updateLsn(50).setVersion(9)
    .commit();
  const version = catalog.pin();
  const before = stateOf(version);
  assertEquals(before, stateOf(catalog));
  const found = version.overlapping({ from: key("c"), to: key("c") });
  for (let round = 0; round < 40; round++) {
    const id = await catalog.allocateSstId();
    const [old] = catalog.listSsts({ level: 1 });
    await catalog.applyCompaction({ added: [sst(id, 1, "a", "z")], removed: old === undefined ? [1] : [1, old.id] });
    await catalog.rotateWal();
    await catalog.flush({ wal: catalog.getFrozenWals()[0]!, lsn: 100 + round });
    if (round % 10 === 0) await catalog.checkpoint();
  }
  await manifest.compact();
  assertEquals(stateOf(version), before);
  assertEquals([version.overlapping({ from: key("c"), to: key("c") }), ids(found), version.getSst(1)!.id, version.countSsts()], [
    found,
    [1, 2],
    1,
    2,
  ]);
  assert(version.edit < catalog.stats().edit && version.sequence < manifest.latestChangeSequence());
  assertEquals([catalog.stats().pins, catalog.stats().oldestPin], [1, version.edit]);
  assertEquals(version.closed, false);
  version.close();
  version.close();
  assertEquals([version.closed, catalog.stats().pins], [true, 0]);
  assertEquals(await codeOf(() => version.listSsts()), "TXN_CLOSED");
  await manifest.close();
});

test("LsmCatalog versions: a removed file may go when no held version names it, and not before", async () => {
  const { catalog, manifest } = await openLsm();
  const early = catalog.pin(); // before table 1 was there: does not keep it
  await catalog.addSst(sst(1));
  const first = catalog.pin();
  await catalog.addSst(sst(2));
  const both = catalog.pin();
  await catalog.removeSst(1);
  assertEquals(await deletable(catalog), []);
  const second = catalog.pin(); // behind the removal of 1
  await catalog.removeSst(2);
  assertEquals(await deletable(catalog), []);
  first.close();
  assertEquals(await deletable(catalog), []); // `both` names 1 as well
  both.close();
  assertEquals(await deletable(catalog), ["sst 1"]); // `second` names 2
  using late = catalog.pin(); // names neither
  assertEquals(late.listSsts(), []);
  second.close();
  assertEquals(await deletable(catalog), ["sst 1", "sst 2"]);
  early.close();
  assertEquals(await deletable(catalog), ["sst 1", "sst 2"]);
  await manifest.close();
});

test("LsmCatalog versions: segments are kept as tables are", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.rotateWal(); // 1 is active
  const active = catalog.pin();
  await catalog.rotateWal(); // 1 is frozen, 2 active
  const frozen = catalog.pin();
  await catalog.flush({ sst: sst(1), wal: 1, lsn: 5 });
  assertEquals(await deletable(catalog), []);
  frozen.close();
  assertEquals(await deletable(catalog), []); // it was active there
  active.close();
  assertEquals(await deletable(catalog), ["wal 1"]);
  await manifest.close();
});

test("LsmCatalog versions: handles on one catalog share them, other catalogs and other manifests do not", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  const again = await LsmCatalog.open(manifest);
  const other = await LsmCatalog.open(manifest, { name: "other" });
  for (const one of [catalog, other]) await one.addSst(sst(1));
  const version = again.pin();
  await catalog.removeSst(1);
  await other.removeSst(1);
  assertEquals([await deletable(catalog), await deletable(again), await deletable(other)], [[], [], ["sst 1"]]);
  assertEquals([catalog.stats().pins, other.stats().pins], [1, 0]);
  // The process dies: nothing is pinned any more, and nothing is forgotten.
  const restarted = await openLsm(crashed(medium));
  assertEquals(await deletable(restarted.catalog), ["sst 1"]);
  await restarted.manifest.close();
  version.close();
  await manifest.close();
});

test("LsmCatalog versions: a manifest that only reads, beside the writer in one process, keeps files as well", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  for (const id of [1, 2, 3]) await catalog.addSst(sst(id, 0, "a", "a", { fileName: `${id}.sst` }));
  const reading = await openLsm(medium, {}, { readOnly: true });
  const another = await openLsm(medium, {}, { readOnly: true });
  const version = reading.catalog.pin();
  assertEquals([version.held, ids(version.listSsts()), catalog.stats().pins, reading.catalog.stats().pins], [true, [1, 2, 3], 1, 1]);
  await catalog.removeSst(1);
  assertEquals(await deletable(catalog), []);
  // The other reader shows the state before as well. It may hold it as long as nothing of it was listed.
  another.catalog.pin().close();
  // A removal that was forgotten too early: its file is still no orphan, and by its name it is not either.
  await catalog.forget([{ kind: "sst", id: 1 }]);
  assertEquals([(await catalog.orphans([1, "1.sst"])).named, (await catalog.orphans([1, "1.sst"])).orphans], [2, []]);
  await catalog.removeSst(2);
  version.close();
  assertEquals([version.held, await deletable(catalog)], [false, ["sst 2"]]);
  // Now the files of that state may be gone: a reader that still shows it is told so, and pins the newest one.
  for (const one of [reading, another]) {
    assertEquals(ids(one.catalog.listSsts()), [1, 2, 3]);
    assertEquals(await codeOf(() => one.catalog.pin()), "SNAPSHOT_EXPIRED");
    using rows = one.catalog.pin({ files: false });
    assertEquals([rows.held, ids(rows.listSsts())], [false, [1, 2, 3]]);
    await one.manifest.refresh();
    using newest = one.catalog.pin();
    assertEquals([newest.held, ids(newest.listSsts())], [true, [3]]);
  }
  assertEquals(catalog.stats().pins, 0);
  // What the writer pins ends with the writer, what a reader pins with the reader; the next writer knows of it.
  const held = reading.catalog.pin();
  another.catalog.pin();
  await another.manifest.close();
  assertEquals(catalog.stats().pins, 1);
  await manifest.close();
  assertEquals([held.held, held.closed], [false, false]);
  assertEquals(await codeOf(() => reading.catalog.pin()), "READ_ONLY");
  const next = await openLsm(medium);
  assertEquals([next.catalog.stats().pins, held.held], [1, false]); // between the two, another process may have deleted it
  await next.catalog.removeSst(3);
  assertEquals(await deletable(next.catalog), ["sst 2"]);
  await reading.manifest.close();
  assertEquals(await deletable(next.catalog), ["sst 2", "sst 3"]);
  await next.manifest.close();
});

test("LsmCatalog versions: a reader whose rows were replaced still keeps its files, and its state is not begun anew behind an orphan report", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  for (let id = 1; id <= 60; id++) await catalog.addSst(sst(id, 0, "a", "b".repeat(900), { fileName: `${id}.sst` }));
  await manifest.checkpoint();
  // Nothing is kept of the pages that were read.
  const { catalog: reader, manifest: reading } = await openLsm(medium, {}, { readOnly: true, cacheBytes: 0 });
  const { catalog: late, manifest: lateReading } = await openLsm(medium, {}, { readOnly: true });
  const version = reader.pin();
  for (let round = 0; round < 12; round++) {
    await catalog.applyCompaction({ removed: [round * 5 + 1, round * 5 + 2, round * 5 + 3] });
    await manifest.checkpoint();
  }
  assertEquals(await codeOf(() => version.listSsts()), "SNAPSHOT_EXPIRED");
  assertEquals(await deletable(catalog), []);
  const all = catalog.listObsolete();
  await catalog.forget(all);
  assertEquals([
    (await catalog.orphans([1])).orphans,
    (await catalog.orphans(["1.sst"])).unknown,
    (await catalog.orphans([1, "1.sst"])).named,
  ], [
    [],
    [],
    2,
  ]);
  assertEquals(version.held, true);
  late.pin().close(); // nothing was told to be deleted yet
  version.close();
  assertEquals((await catalog.orphans([1], { accept: ["empty"] })).orphans.length, 1);
  assertEquals(await codeOf(() => late.pin()), "SNAPSHOT_EXPIRED");
  for (const one of [reading, lateReading, manifest]) await one.close();
});

test("LsmCatalog versions: files are the same however they are opened; where nobody in this process writes the catalog none can be kept", async () => {
  const directory = mkdtempSync(join(tmpdir(), "lsm-"));
  try {
    const path = join(directory, "a.waybill"), other = join(directory, "b.waybill"), copy = join(directory, "copy.waybill");
    const manifest = await Manifest.open(path, { create: true, idleCheckpoint: 0 });
    const catalog = await LsmCatalog.open(manifest);
    await catalog.addSst(sst(1));
    linkSync(path, other);
    copyFileSync(path, copy);
    const reading = await Manifest.open(other, { readOnly: true });
    using version = (await LsmCatalog.open(reading)).pin();
    await catalog.removeSst(1);
    assertEquals([version.held, await deletable(catalog)], [true, []]);
    // A copy has the same file id and nobody who writes it; so has a file that another process writes.
    const copied = await Manifest.open(copy, { readOnly: true });
    const beside = await LsmCatalog.open(copied);
    const error = await errorOf(() => beside.pin());
    assertEquals([error.code, error.detail], ["READ_ONLY", { catalog: "default" }]);
    using rows = beside.pin({ files: false });
    assertEquals([rows.held, ids(rows.listSsts()), beside.stats().pins], [false, [1], 0]);
    // The manifest is written here, and this catalog of it by nobody.
    await LsmCatalog.open(manifest, { name: "other" });
    await reading.refresh();
    assertEquals((await LsmCatalog.open(reading, { name: "other" })).pin().held, true);
    for (const one of [copied, reading, manifest]) await one.close();
    const alone = await Manifest.open(path, { readOnly: true });
    assertEquals(await codeOf(async () => (await LsmCatalog.open(alone)).pin()), "READ_ONLY");
    await alone.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("LsmCatalog versions: a file is listed until it is forgotten, through crashes; forgetting twice, and others, changes nothing", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.edit().addSst(sst(1, 0, "a", "b", { sizeBytes: 77, fileName: "x/1.sst" })).addSst(sst(2)).setActiveWal(8).addFrozenWal(7)
    .commit();
  await catalog.edit().removeSst(1).removeFrozenWal(7).commit();
  const { edit } = catalog.stats();
  const files = [
    { kind: "sst" as const, id: 1, removedAt: edit, sizeBytes: 77, fileName: "x/1.sst" },
    { kind: "wal" as const, id: 7, removedAt: edit, sizeBytes: 0 },
  ];
  assertEquals(await catalog.deletable(), files);
  assertEquals(catalog.listObsolete(), files);
  assertEquals(await catalog.deletable({ limit: 1 }), files.slice(0, 1));
  assertEquals(await catalog.deletable({ limit: 0 }), []);
  // Deleted, and died before it was forgotten: it is listed again, and deleting again finds nothing.
  const { catalog: again, manifest } = await openLsm(crashed(medium));
  assertEquals(await again.deletable(), files);
  const sequence = manifest.latestChangeSequence();
  assertEquals((await again.forget([])).sequence, 0);
  assertEquals((await again.forget(files)).sequence, sequence + 1);
  assertEquals((await again.forget(files)).sequence, 0);
  // Live files, files that nobody knows, and the other kind of an id are none that were removed.
  assertEquals((await again.forget([{ kind: "sst", id: 2 }, { kind: "wal", id: 8 }, { kind: "sst", id: 99 }])).sequence, 0);
  assertEquals([ids(again.listSsts()), again.getActiveWal(), await again.deletable()], [[2], 8, []]);
  await manifest.close();
});

test("LsmCatalog versions: what was removed is not named again before it is forgotten", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.edit().addSst(sst(1)).setActiveWal(4).addFrozenWal(3).commit();
  await catalog.edit().removeSst(1).removeFrozenWal(3).commit();
  const sequence = manifest.latestChangeSequence();
  assertEquals(await codeOf(() => catalog.addSst(sst(1))), "OBJECT_CONDEMNED");
  assertEquals(await codeOf(() => catalog.applyCompaction({ added: [sst(1)], removed: [1] })), "OBJECT_CONDEMNED");
  assertEquals(await codeOf(() => catalog.addFrozenWal(3)), "OBJECT_CONDEMNED");
  assertEquals(await codeOf(() => catalog.setActiveWal(3)), "OBJECT_CONDEMNED");
  assertEquals(await codeOf(() => catalog.rotateWal(3)), "OBJECT_CONDEMNED");
  assertEquals(manifest.latestChangeSequence(), sequence);
  await catalog.forget(await catalog.deletable());
  await catalog.edit().addSst(sst(1)).addFrozenWal(3).commit();
  assertEquals([ids(catalog.listSsts()), catalog.getFrozenWals()], [[1], [3]]);
  await manifest.close();
});

test("LsmCatalog versions: a file that is added and removed in one commit is to be deleted, and no version ever names it", async () => {
  const { catalog, manifest } = await openLsm();
  using _version = catalog.pin();
  await catalog.edit().addSst(sst(5)).removeSst(5).addFrozenWal(6).removeFrozenWal(6).commit();
  assertEquals(await deletable(catalog), ["sst 5", "wal 6"]);
  assertEquals(catalog.peekNextSstId(), 6);
  await manifest.close();
});

test("LsmCatalog versions: a replaced segment that nobody froze is kept by name", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.setActiveWal(1);
  await catalog.setActiveWal(2);
  assertEquals([catalog.getActiveWal(), catalog.getFrozenWals(), catalog.getRetiredWals()], [2, [], [1]]);
  const { catalog: again, manifest } = await openLsm(crashed(medium)); // died before it was frozen
  assertEquals([again.getRetiredWals(), await again.deletable(), (await again.orphans([{ kind: "wal", id: 1 }])).named], [[1], [], 1]);
  await again.addFrozenWal(1);
  assertEquals([again.getFrozenWals(), again.getRetiredWals()], [[1], []]);
  await again.setActiveWal(3);
  assertEquals(again.getRetiredWals(), [2]);
  await again.flush({ wal: [1, 2] });
  assertEquals([again.getFrozenWals(), again.getRetiredWals(), await deletable(again)], [[], [], ["wal 1", "wal 2"]]);
  // Frozen before it is replaced, it is never retired.
  await again.addFrozenWal(3);
  await again.setActiveWal(4);
  assertEquals([again.getFrozenWals(), again.getRetiredWals()], [[3], []]);
  // Removed from the frozen ones while it is active, it stays.
  await again.addFrozenWal(4);
  await again.removeFrozenWal(4);
  assertEquals([again.getActiveWal(), again.getFrozenWals(), await deletable(again)], [4, [3], ["wal 1", "wal 2"]]);
  await manifest.close();
});

for (const durability of ["sync", "relaxed", "none"] as const) {
  test(`LsmCatalog versions: what is listed as deletable is removed for good, durability ${durability}`, async () => {
    const disk = new SimDisk();
    const manifest = await Manifest.open(disk.open(), { create: true, durability, idleCheckpoint: 0 });
    const catalog = await LsmCatalog.open(manifest);
    await catalog.addSst(sst(1));
    await manifest.sync();
    await catalog.removeSst(1);
    const read = async (bytes: Uint8Array): Promise<number[]> => {
      const opened = await Manifest.open(new SimDisk(bytes).open(), { idleCheckpoint: 0 });
      const listed = ids((await LsmCatalog.open(opened)).listSsts());
      await opened.close();
      return listed;
    };
    // Without it, the modes that do not wait lose the removal to a power cut: then its file must be there.
    assertEquals(await read(disk.durable()), durability === "sync" ? [] : [1]);
    assertEquals(await deletable(catalog), ["sst 1"]);
    assertEquals(await read(disk.durable()), []);
    await manifest.close();
  });

  test(`LsmCatalog: no id is given out twice, whatever a power cut takes, durability ${durability}`, async () => {
    const random = seeded(77);
    let disk = new SimDisk();
    let last = 0;
    for (let life = 0; life < 8; life++) {
      const manifest = await Manifest.open(disk.open(), { create: true, durability, idleCheckpoint: 0 });
      const catalog = await LsmCatalog.open(manifest);
      for (let i = 0; i < 3; i++) {
        const given = await catalog.allocateSstIds(1 + random.int(4));
        assert(given[0]! > last, `life ${life}: ${given[0]} behind ${last}`);
        last = given.at(-1)!;
      }
      disk = new SimDisk(disk.durable()); // everything that no sync covers is gone
    }
  });
}
