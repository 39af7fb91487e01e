// A catalog in a manifest that was salvaged: what follows from the tables is made anew, nothing is given out twice, and orphans are told only when somebody has said that the catalog is right.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { PAGE_LEAF } from "../../../assembly/format.ts";
import { LsmCatalog, lsmObsolete, lsmStates, type Sst } from "../../../src/catalogs/lsm/mod.ts";
import { catalogs } from "../../../src/catalogs/catalog.ts";
import { salvage } from "../../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { pagesOfKind, rot } from "../../inspect/filled.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { testEnvironment } from "../../support/environment.ts";
import { test } from "../../support/harness.ts";
import { crashed, ids, key, Medium, openLsm, sst, stateOf } from "./lsm.ts";

const PAGE = 4096;
const SSTS = 80;
const name = (n: number): string => `key ${String(n).padStart(5, "0")} ${"x".repeat(60)}`;

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A catalog with rows in several pages of each table. */
async function filled(): Promise<{ bytes: Uint8Array; state: Record<string, unknown>; ssts: Map<number, Sst> }> {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium, {}, { environment: testEnvironment(3) });
  const edit = catalog.edit();
  for (let id = 1; id <= SSTS; id++) {
    const level = id % 4;
    edit.addSst(
      sst(id, level, name(id * 10), name(id * 10 + 7), { sizeBytes: id, entries: 2, minLsn: id, maxLsn: id + 5, fileName: `${id}.sst` }),
    );
  }
  for (let wal = 1; wal <= 150; wal++) edit.addFrozenWal(wal);
  await edit.setActiveWal(151).updateLsn(777).commit();
  await catalog.edit().removeSst(4).removeSst(5).removeFrozenWal(7).commit();
  await catalog.allocateSstIds(40);
  const state = stateOf(catalog);
  const ssts = new Map(catalog.listSsts().map((one) => [one.id, one]));
  await manifest.close();
  return { bytes: medium.file.bytes(), state, ssts };
}

/** What a salvage makes of a file. */
async function salvaged(image: Uint8Array): Promise<Medium> {
  const target = new MemoryFile();
  await salvage(new MemoryStorage(image), new MemoryStorage(target), { environment: testEnvironment(8) });
  return Object.assign(new Medium(), { file: target });
}

/** Queries, sums and the index agree with the tables that are left. */
function assertSound(catalog: LsmCatalog, label: string): void {
  const all = catalog.listSsts();
  for (let n = 0; n < SSTS * 10; n += 37) {
    const at = key(name(n));
    const expected = ids(all.filter(({ minKey, maxKey }) => text(minKey) <= text(at) && text(maxKey) >= text(at)));
    assertEquals(ids(catalog.overlapping({ from: at, to: at })).sort((a, b) => a - b), expected, label);
  }
  const sums = catalog.listLevels().map(({ level, ssts, sizeBytes, entries }) => [level, ssts, sizeBytes, entries]);
  const levels = [...new Set(all.map(({ level }) => level))].sort();
  const expected = levels.map((level) => {
    const own = all.filter((one) => one.level === level);
    return [level, own.length, own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), own.length * 2];
  });
  assertEquals(sums, expected, label);
  for (const level of levels) assertEquals(catalog.listSsts({ level }).length, all.filter((one) => one.level === level).length, label);
}

test("LsmCatalog history: a salvage that loses nothing changes nothing, but for trust", async () => {
  const { bytes, state } = await filled();
  const medium = await salvaged(bytes);
  assertEquals(await codeOf(() => openLsm(medium, {}, { readOnly: true })), "READ_ONLY");
  const { catalog, manifest } = await openLsm(medium);
  assertEquals(catalog.opening, { created: false, foreign: true, stateLost: false, rowsRebuilt: 0 });
  assertEquals(stateOf(catalog), state);
  assertSound(catalog, "whole");
  const error = await errorOf(() => catalog.orphans([1, 110]));
  assertEquals([error.code, error.detail], ["ORPHANS_REFUSED", { catalog: "default", reason: "foreign", files: 2 }]);
  assertEquals(ids((await catalog.orphans([1, 110], { accept: ["foreign"] })).orphans.map(({ file }) => file!)), [110]);
  await manifest.close();
  // It stays so until somebody says otherwise.
  const { catalog: again, manifest: other } = await openLsm(medium);
  assertEquals([again.opening.foreign, await codeOf(() => again.orphans([110]))], [true, "ORPHANS_REFUSED"]);
  await again.acceptHistory();
  const sequence = other.latestChangeSequence();
  await again.acceptHistory();
  assertEquals([other.latestChangeSequence(), ids((await again.orphans([110])).orphans.map(({ file }) => file!))], [sequence, [110]]);
  await other.close();
  const { catalog: third, manifest: last } = await openLsm(medium, {}, { readOnly: true });
  assertEquals(third.opening.foreign, false);
  await last.close();
});

test("LsmCatalog history: whatever page a salvage has lost, queries are right, and no id or sequence number comes again", async () => {
  const { bytes, state, ssts } = await filled();
  let rebuilt = 0, lostState = 0, lostTables = 0;
  for (const page of pagesOfKind(bytes, PAGE, PAGE_LEAF)) {
    const label = `page ${page}`;
    const medium = await salvaged(rot(bytes, page, PAGE));
    const { catalog, manifest } = await openLsm(medium);
    const { foreign, created, stateLost, rowsRebuilt } = catalog.opening;
    if (created) {
      // Everything of it is gone: the salvage has lost its tables' names.
      assertEquals([catalog.listSsts(), (await errorOf(() => catalog.orphans([1]))).detail.reason], [[], "empty"], label);
      await manifest.close();
      continue;
    }
    assert(foreign, label);
    const left = catalog.listSsts();
    for (const one of left) assertEquals(one, ssts.get(one.id), label);
    assertSound(catalog, label);
    assert(catalog.peekNextSstId() >= (state.nextSstId as number) && catalog.peekNextWalId() >= (state.nextWalId as number), label);
    assert(catalog.getLastLsn() >= 777, label);
    assertEquals(await codeOf(() => catalog.orphans([1])), "ORPHANS_REFUSED", label);
    if (!stateLost) {
      assertEquals([catalog.getActiveWal(), catalog.getLastLsn(), catalog.peekNextSstId()], [151, 777, state.nextSstId], label);
    }
    if (rowsRebuilt > 0) rebuilt++;
    if (stateLost) lostState++;
    if (left.length < ssts.size) lostTables++;
    // It can be worked with.
    const id = await catalog.allocateSstId();
    await catalog.edit().addSst(sst(id, 0, "a", "z", { entries: 2 })).setActiveWal(catalog.peekNextWalId()).commit();
    assertSound(catalog, label);
    await manifest.close();
  }
  console.log(`${rebuilt} with rows made anew, ${lostState} without scalars, ${lostTables} with tables lost`);
  assertGreater(rebuilt, 3);
  assertGreater(lostState, 0);
  assertGreater(lostTables, 3);
});

test("LsmCatalog history: rows without the catalog's own row are taken over, not overwritten", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.edit().addSst(sst(3, 1, "a", "c")).setActiveWal(2).updateLsn(9).commit();
  const state = stateOf(catalog);
  await manifest.begin().delete(catalogs, "default").commit();
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals([again.opening.created, stateOf(again)], [true, state]);
  await again.manifest.begin().delete(catalogs, "default").delete(lsmStates, "default").commit();
  const third = await LsmCatalog.open(again.manifest);
  assertEquals([third.opening.stateLost, ids(third.listSsts()), third.getActiveWal()], [true, [3], 0]);
  assertGreater(third.peekNextSstId(), 2 ** 32);
  // What is named and obsolete at once, as a salvage of every page may leave it, is named.
  const row = { since: 0, removedAt: 1, sizeBytes: 0 };
  await again.manifest.begin().put(lsmObsolete, ["default", "sst", 3], row).put(lsmObsolete, ["default", "sst", 1], row)
    .delete(lsmStates, "default").commit();
  const fourth = await LsmCatalog.open(again.manifest);
  assertEquals((await fourth.deletable()).map(({ id }) => id), [1]);
  await again.manifest.close();
  await manifest.close();
});
