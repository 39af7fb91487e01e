// Versions that readers pin, removed files, and when they may be deleted.
import { assert, assertEquals } from "@std/assert";
import { Manifest } from "../../../mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
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
  assertEquals([again.getRetiredWals(), await again.deletable(), again.orphans([{ kind: "wal", id: 1 }]).named], [[1], [], 1]);
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
