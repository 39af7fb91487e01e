// The tests of the source system's manifest, basic ones and those of its calls, each with its name at the end of ours, for the LSM catalog. docs/lsm.md lists them.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { META_BYTES } from "../../../assembly/format.ts";
import type { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { test } from "../../support/harness.ts";
import { crashed, damageEachPage, Medium, openLsm, sst, stateOf } from "./lsm.ts";

/** Closes a catalog's manifest and opens it again. */
async function reopened(medium: Medium, close: () => Promise<void>): Promise<LsmCatalog> {
  await close();
  return (await openLsm(medium)).catalog;
}

// ---- basic ----------------------------------------------------------------------------------------------------

test("LsmCatalog: a new one says nothing but defaults (opens_without_snapshot)", async () => {
  const { catalog, manifest } = await openLsm();
  assertEquals(stateOf(catalog), {
    version: 1,
    lastLsn: 0,
    activeWal: 0,
    frozenWals: [],
    retiredWals: [],
    nextSstId: 1,
    nextWalId: 1,
    ssts: [],
    levels: [],
    obsolete: [],
  });
  assertEquals(catalog.opening, { created: true, foreign: false, stateLost: false, rowsRebuilt: 0 });
  await manifest.close();
});

test("LsmCatalog: the active segment outlives closing and a crash (set_active_wal_persists)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.setActiveWal(42);
  assertEquals((await openLsm(crashed(medium))).catalog.getActiveWal(), 42);
  assertEquals((await reopened(medium, () => manifest.close())).getActiveWal(), 42);
});

test("LsmCatalog: frozen segments come and go (frozen_wal_list_works)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  for (const wal of [1, 2, 3]) await catalog.addFrozenWal(wal);
  await catalog.removeFrozenWal(2);
  assertEquals(catalog.getFrozenWals(), [1, 3]);
  await catalog.setActiveWal(3); // no longer frozen
  assertEquals(catalog.getFrozenWals(), [1]);
  assertEquals((await openLsm(crashed(medium))).catalog.getFrozenWals(), [1]);
  assertEquals((await reopened(medium, () => manifest.close())).getFrozenWals(), [1]);
});

test("LsmCatalog: sorted tables come and go, with everything that is said of them (sstables_persist)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  const rich = sst(11, 3, "b", "q", {
    sizeBytes: 2 ** 40,
    entries: 7,
    fileName: "tables/b.sst",
    minLsn: 5,
    maxLsn: 9,
    digest: "blake3:00ff",
    createdAt: 1_700_000_000_000,
  });
  await catalog.addSst(sst(10, 0, "a", "z", { fileName: "a.sst" }));
  await catalog.addSst(rich);
  await catalog.removeSst(10);
  const expected = [{ ...rich, level: 3 }];
  assertEquals(catalog.listSsts(), expected as never);
  assertEquals((await openLsm(crashed(medium))).catalog.listSsts(), expected as never);
  const again = await reopened(medium, () => manifest.close());
  assertEquals(again.listSsts(), expected as never);
  assertEquals(again.getSst(11), expected[0] as never);
  assertEquals(again.getSst(10), undefined);
});

test("LsmCatalog: the log sequence number stays, and only rises (updates_lsn)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.updateLsn(777);
  assertEquals((await catalog.updateLsn(776)).sequence, 0);
  assertEquals((await catalog.updateLsn(777)).sequence, 0);
  assertEquals((await openLsm(crashed(medium))).catalog.getLastLsn(), 777);
  assertEquals((await reopened(medium, () => manifest.close())).getLastLsn(), 777);
});

test("LsmCatalog: a checkpoint frees the journal and keeps the state (checkpoint_truncates_wal)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.setActiveWal(5);
  await catalog.addFrozenWal(9);
  await catalog.updateLsn(44);
  assertGreater(manifest.listPendingBatches().toArray().length, 0);
  await catalog.checkpoint();
  assertEquals(manifest.listPendingBatches().toArray(), []);
  const { manifest: after, catalog: read } = await openLsm(crashed(medium));
  assertEquals(after.recovery.frames, 0);
  assertEquals([read.getActiveWal(), read.getFrozenWals(), read.getLastLsn()], [5, [9], 44]);
  await manifest.close();
});

test("LsmCatalog: a damaged copy of the checkpoint is mended, and nothing is lost (recovers_from_corrupted_snapshot_via_wal)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.updateLsn(123);
  await catalog.checkpoint();
  await catalog.addSst(sst(2));
  const expected = stateOf(catalog);
  await manifest.close();
  for (let slot = 0; slot < META_BYTES; slot += 4096) {
    const damaged = crashed(medium);
    damaged.file.write(slot + 100, new Uint8Array([0xff, 0xff, 0xff, 0xff]));
    const { manifest: opened, catalog: read } = await openLsm(damaged);
    assertEquals(stateOf(read), expected, `slot at ${slot}`);
    await opened.close();
  }
});

test("LsmCatalog: what was committed behind the checkpoint is there after a crash (reopens_after_crash_using_wal)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.setActiveWal(55);
  await catalog.addFrozenWal(88);
  await catalog.updateLsn(9);
  const { manifest, catalog: read } = await openLsm(crashed(medium));
  assert(manifest.crashDetected && manifest.recovery.frames > 0);
  assertEquals([read.getActiveWal(), read.getFrozenWals(), read.getLastLsn()], [55, [88], 9]);
});

// ---- API ------------------------------------------------------------------------------------------------------

test("LsmCatalog: clean, dirty by a change, clean by a checkpoint, and dirty again (dirty_flag_lifecycle)", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.checkpoint(); // the commit that made it
  assertEquals(catalog.isDirty(), false);
  await catalog.setActiveWal(1);
  assertEquals(catalog.isDirty(), true);
  await manifest.checkpoint();
  assertEquals(catalog.isDirty(), false);
  await catalog.updateLsn(42);
  assertEquals(catalog.isDirty(), true);
  await manifest.close();
});

test("LsmCatalog: looking at the next id allocates nothing (peek_next_sst_id_does_not_allocate)", async () => {
  const { catalog, manifest } = await openLsm();
  const before = manifest.latestChangeSequence();
  const next = catalog.peekNextSstId();
  assertEquals(catalog.peekNextSstId(), next);
  assertEquals(manifest.latestChangeSequence(), before);
  assertEquals(await catalog.allocateSstId(), next);
  assertEquals(catalog.peekNextSstId(), next + 1);
  await manifest.close();
});

test("LsmCatalog: dirty after a crash, of every event, until a checkpoint (mutation_replay_sets_dirty)", async () => {
  const events: ((catalog: LsmCatalog) => Promise<unknown>)[] = [
    (catalog) => catalog.setVersion(7),
    (catalog) => catalog.setActiveWal(7),
    (catalog) => catalog.addFrozenWal(7),
    (catalog) => catalog.removeFrozenWal(1),
    (catalog) => catalog.addSst(sst(7)),
    (catalog) => catalog.removeSst(1),
    (catalog) => catalog.updateLsn(7),
    (catalog) => catalog.allocateSstId(),
    (catalog) => catalog.applyCompaction({ added: [sst(9)], removed: [1] }),
  ];
  for (const [at, event] of events.entries()) {
    const medium = new Medium();
    const { catalog } = await openLsm(medium);
    await catalog.edit().addFrozenWal(1).addSst(sst(1)).commit();
    await catalog.checkpoint();
    await event(catalog);
    assertEquals(catalog.isDirty(), true, `event ${at}`);
    const reading = await openLsm(crashed(medium), {}, { readOnly: true });
    assertEquals(reading.catalog.isDirty(), true, `event ${at}, read only`);
    await reading.manifest.close();
    const again = await openLsm(crashed(medium));
    assertEquals(again.catalog.isDirty(), true, `event ${at}, after a crash`);
    assertEquals(stateOf(again.catalog), stateOf(catalog), `event ${at}`);
    await again.catalog.checkpoint();
    assertEquals(again.catalog.isDirty(), false, `event ${at}, behind a checkpoint`);
    await again.manifest.close();
  }
});

test("LsmCatalog: a damaged checkpoint never lets a part of the state go missing (corrupt_snapshot_recovers_post_checkpoint_wal)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.setActiveWal(10);
  await catalog.checkpoint();
  await catalog.addSst(sst(2));
  await catalog.updateLsn(200);
  const expected = stateOf(catalog);
  // Every page of the checkpoint, damaged as it lies there when the process dies: the journal has only what came behind it.
  const { codes, whole } = await damageEachPage(crashed(medium), expected);
  assertGreater(whole, 0); // pages that nothing needs
  assert(codes.has("CORRUPT_PAGE"), [...codes].join(" "));
  await manifest.close();
});

test("LsmCatalog: ids rise, one by one and many at once (allocate_sst_id_strict_monotonicity)", async () => {
  const { catalog, manifest } = await openLsm();
  const all: number[] = [];
  for (let i = 0; i < 100; i++) all.push(await catalog.allocateSstId());
  assertEquals(all, Array.from({ length: 100 }, (_, i) => i + 1));
  const together = await Promise.all(Array.from({ length: 50 }, (_, i) => catalog.allocateSstIds(1 + i % 3)));
  const given = together.flat();
  assertEquals(new Set(given).size, given.length);
  assertEquals(Math.min(...given), 101);
  assertEquals(catalog.peekNextSstId(), 101 + given.length);
  for (const list of together) assertEquals(list, list.map((_, i) => list[0]! + i));
  await manifest.close();
});

test("LsmCatalog: clean when it was closed behind a checkpoint, and when it was only closed (clean_after_checkpoint_reopen)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.setActiveWal(5);
  await catalog.checkpoint();
  const again = await reopened(medium, () => manifest.close());
  assertEquals(again.isDirty(), false);
  await again.updateLsn(7);
  const third = await reopened(medium, () => again.manifest.close());
  assertEquals([third.isDirty(), third.getActiveWal(), third.getLastLsn()], [false, 5, 7]);
  await third.manifest.close();
});

test("LsmCatalog: ids rise among other operations, checkpoints and crashes (allocate_sst_id_with_intermixed_ops)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  const first = await catalog.allocateSstId();
  await catalog.addSst(sst(first));
  await catalog.setActiveWal(1);
  const second = await catalog.allocateSstId();
  await catalog.addSst(sst(second, 0, "b"));
  await catalog.checkpoint();
  const third = await catalog.allocateSstId();
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals([first, second, third, await again.allocateSstId()], [1, 2, 3, 4]);
});
