// The tests of the source system's manifest about checkpoints and edges, each with its name at the end of ours, for the LSM catalog. docs/lsm.md lists them.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { META_BYTES } from "../../../assembly/format.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { crashed, damageEachPage, ids, Medium, openLsm, sst, stateOf } from "./lsm.ts";

// ---- checkpoints ----------------------------------------------------------------------------------------------

test("LsmCatalog: a checkpoint that died half way leaves the state before it (leftover_tmp_from_interrupted_checkpoint)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.setActiveWal(5);
  await catalog.addSst(sst(1));
  const expected = stateOf(catalog);
  const { file } = medium;
  const states: Medium[] = [];
  const { write } = file;
  file.write = (at, from) => {
    states.push(crashed(medium)); // dies before this write of the checkpoint
    write.call(file, at, from);
  };
  await catalog.checkpoint();
  file.write = write;
  assertGreater(states.length, 3);
  for (const state of states) {
    const opened = await openLsm(state);
    assertEquals(stateOf(opened.catalog), expected);
    await opened.manifest.close();
  }
  await manifest.close();
});

test("LsmCatalog: a checkpoint behind every change (multiple_rapid_checkpoints)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let id = 1; id <= 5; id++) {
    await catalog.addSst(sst(id));
    await Promise.all([catalog.checkpoint(), catalog.checkpoint()]);
    assertEquals(ids((await openLsm(crashed(medium))).catalog.listSsts()), Array.from({ length: id }, (_, i) => i + 1));
  }
});

test("LsmCatalog: ids rise behind a checkpoint (allocate_sst_id_monotonic_after_checkpoint)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  assertEquals([await catalog.allocateSstId(), await catalog.allocateSstId()], [1, 2]);
  await catalog.checkpoint();
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals([await again.allocateSstId(), await again.allocateSstId()], [3, 4]);
});

test("LsmCatalog: ids rise behind recovery from the journal (allocate_sst_id_monotonic_after_wal_recovery)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let i = 0; i < 10; i++) await catalog.allocateSstId();
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals(await again.allocateSstId(), 11);
});

test("LsmCatalog: 100 tables and 50 segments, through a checkpoint and a crash (large_state_checkpoint_round_trip)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let id = 1; id <= 100; id++) await catalog.addSst(sst(id, 1, `k${1000 - id}`));
  for (let wal = 1; wal <= 50; wal++) await catalog.addFrozenWal(wal);
  await catalog.updateLsn(12345);
  await catalog.setActiveWal(999);
  await catalog.checkpoint();
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals(stateOf(again), stateOf(catalog));
  assertEquals([again.countSsts(), again.getFrozenWals().length, again.getLastLsn(), again.getActiveWal()], [100, 50, 12345, 999]);
});

test("LsmCatalog: what came behind a checkpoint is applied over it (mutations_after_checkpoint_replayed)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.setActiveWal(10);
  await catalog.checkpoint();
  await catalog.addSst(sst(2));
  await catalog.addFrozenWal(10);
  await catalog.setActiveWal(11);
  await catalog.updateLsn(42);
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals([ids(again.listSsts()), again.getActiveWal(), again.getFrozenWals(), again.getLastLsn()], [[1, 2], 11, [10], 42]);
});

test("LsmCatalog: a damaged checkpoint is an error and never an empty catalog (corrupt_snapshot_falls_back_to_wal)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.updateLsn(100);
  await catalog.checkpoint();
  const expected = stateOf(catalog);
  await manifest.close();
  const { codes } = await damageEachPage(medium, expected);
  assert(codes.has("CORRUPT_PAGE"), [...codes].join(" "));
  const gone = crashed(medium); // both generations
  gone.file.write(0, new Uint8Array(META_BYTES).fill(0x5a));
  const before = gone.file.bytes();
  assertEquals(await codeOf(() => openLsm(gone)), "NOT_A_MANIFEST");
  assertEquals(gone.file.bytes(), before);
});

test("LsmCatalog: a compaction outlives a checkpoint (compaction_event_survives_checkpoint)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (const id of [1, 2, 3]) await catalog.addSst(sst(id));
  const { sequence } = await catalog.applyCompaction({ added: [sst(4, 1)], removed: [1, 2] });
  assertEquals(sequence, catalog.manifest.latestChangeSequence());
  await catalog.checkpoint();
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals(ids(again.listSsts()), [3, 4]);
  assertEquals(again.peekNextSstId(), 5);
});

// ---- edges ----------------------------------------------------------------------------------------------------

test("LsmCatalog: removing a table that is not there changes nothing (remove_nonexistent_sstable_is_silent)", async () => {
  const { catalog, manifest } = await openLsm();
  const before = manifest.latestChangeSequence();
  assertEquals((await catalog.removeSst(999)).sequence, 0);
  assertEquals((await catalog.applyCompaction({ added: [], removed: [999] })).sequence, 0);
  assertEquals([catalog.listSsts(), manifest.latestChangeSequence(), catalog.listObsolete()], [[], before, []]);
  await manifest.close();
});

test("LsmCatalog: removing a segment that is not there changes nothing (remove_nonexistent_frozen_wal_is_silent)", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.setActiveWal(3);
  const before = manifest.latestChangeSequence();
  assertEquals((await catalog.removeFrozenWal(999)).sequence, 0);
  assertEquals((await catalog.removeFrozenWal(3)).sequence, 0); // active, not frozen
  assertEquals((await catalog.flush({ wal: 999 })).sequence, 0);
  assertEquals([catalog.getActiveWal(), manifest.latestChangeSequence(), catalog.listObsolete()], [3, before, []]);
  await manifest.close();
});

test("LsmCatalog: adding twice changes nothing, whatever the second one says (double_add_same_sstable_id_is_idempotent)", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.addSst(sst(10, 1, "a", "c"));
  await catalog.addFrozenWal(4);
  const before = stateOf(catalog);
  const sequence = manifest.latestChangeSequence();
  for (const other of [sst(10, 1, "a", "c"), sst(10, 2, "x", "z", { sizeBytes: 5 })]) {
    assertEquals((await catalog.addSst(other)).sequence, 0);
  }
  assertEquals((await catalog.addFrozenWal(4)).sequence, 0);
  assertEquals((await catalog.applyCompaction({ added: [sst(10, 5, "q")] })).sequence, 0);
  assertEquals([stateOf(catalog), manifest.latestChangeSequence()], [before, sequence]);
  await manifest.close();
});

test("LsmCatalog: a checkpoint of a catalog without anything (checkpoint_empty_state)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.checkpoint();
  const { catalog: again, manifest: other } = await openLsm(crashed(medium));
  assertEquals([again.getLastLsn(), again.getActiveWal(), again.getFrozenWals(), again.listSsts()], [0, 0, [], []]);
  assertEquals(again.opening.created, false);
  await other.close();
  await manifest.close();
});

test("LsmCatalog: a segment is active and frozen until it is replaced (snapshot_plus_incremental_wal_replay)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.setActiveWal(5);
  await catalog.updateLsn(100);
  await catalog.checkpoint();
  await catalog.addSst(sst(2));
  await catalog.addFrozenWal(5);
  await catalog.updateLsn(200);
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals([ids(again.listSsts()), again.getFrozenWals(), again.getActiveWal(), again.getLastLsn()], [[1, 2], [5], 5, 200]);
});
