// Edits: several operations as one commit, as part of a transaction, and in the change log.
import { assert, assertEquals } from "@std/assert";
import { type Change, defineTable, text, u53 } from "../../../mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { crashed, ids, Medium, openLsm, sst, stateOf } from "./lsm.ts";

const notes = defineTable({ name: "notes", key: [text("path")], value: { n: u53() } });

/** What a change does, without values. */
function shape({ operations }: Change): string[] {
  return operations.map((one) =>
    one.op === "unreadable" || one.op === "deleteRange" ? one.op : `${one.op} ${one.table} ${one.key.slice(1)}`
  ).sort();
}

test("LsmCatalog edits: every event is one commit of its own, and its reverse another one", async () => {
  const { catalog, manifest } = await openLsm();
  const events: [what: string, call: () => Promise<unknown>][] = [
    ["setVersion", () => catalog.setVersion(2)],
    ["setVersion, back", () => catalog.setVersion(1)],
    ["setActiveWal", () => catalog.setActiveWal(1)],
    ["addFrozenWal", () => catalog.addFrozenWal(7)],
    ["removeFrozenWal", () => catalog.removeFrozenWal(7)],
    ["addSst", () => catalog.addSst(sst(1))],
    ["removeSst", () => catalog.removeSst(1)],
    ["updateLsn", () => catalog.updateLsn(5)],
    ["allocateSstId", () => catalog.allocateSstId()],
    ["allocateSstIds", () => catalog.allocateSstIds(100)],
    ["applyCompaction", () => catalog.applyCompaction({ added: [sst(900), sst(901)] })],
    ["rotateWal", () => catalog.rotateWal()],
    ["flush", () => catalog.flush({ sst: [sst(902)], wal: 1, lsn: 9 })],
    ["forget", () => catalog.forget([{ kind: "sst", id: 1 }, { kind: "wal", id: 1 }])],
  ];
  for (const [what, call] of events) {
    const before = manifest.latestChangeSequence();
    await call();
    assertEquals(manifest.latestChangeSequence(), before + 1, what);
  }
  assertEquals(await catalog.deletable(), [{ kind: "wal", id: 7, removedAt: 5, sizeBytes: 0 }]);
  assertEquals([catalog.getActiveWal(), catalog.getVersion(), catalog.getLastLsn(), catalog.peekNextSstId()], [8, 1, 9, 903]);
  await manifest.close();
});

test("LsmCatalog edits: a follower sees a flush as one change with its operations", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium, { origin: "engine" });
  await catalog.rotateWal();
  await catalog.rotateWal();
  const id = await catalog.allocateSstId();
  const from = manifest.latestChangeSequence() + 1;
  await manifest.registerChangeCursor("replica", { start: from });
  const receipt = await catalog.flush({ sst: sst(id, 0, "a", "m", { sizeBytes: 9, digest: "d" }), wal: 1, lsn: 120 });
  await catalog.applyCompaction({ added: [sst(7, 1, "a", "m")], removed: [id] });
  const seen: Change[] = [];
  for await (const change of manifest.follow("replica")) {
    if (seen.push(change) === 2) break;
  }
  assertEquals(seen.map(({ sequence, origin }) => [sequence, origin]), [[from, "engine"], [from + 1, "engine"]]);
  assertEquals(seen[0]!.commitId, receipt.commitId);
  assertEquals(shape(seen[0]!), [
    "delete lsm_wals 1",
    "put lsm_levels 0",
    "put lsm_obsolete wal,1",
    "put lsm_ranges 0,97,1",
    "put lsm_ssts 1",
    "put lsm_state ",
  ]);
  const added = seen[0]!.operations.find((one) => one.op === "put" && one.table === "lsm_ssts") as unknown as { value: { digest: string } };
  assertEquals(added.value.digest, "d");
  assertEquals(shape(seen[1]!), [
    "delete lsm_levels 0",
    "delete lsm_ranges 0,97,1",
    "delete lsm_ssts 1",
    "put lsm_levels 1",
    "put lsm_obsolete sst,1",
    "put lsm_ranges 1,97,7",
    "put lsm_ssts 7",
    "put lsm_state ",
  ]);
  await manifest.close();
});

test("LsmCatalog edits: a flush is there whole or not at all, at whatever write the process dies", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.rotateWal();
  await catalog.rotateWal();
  const before = stateOf(catalog);
  const states: Medium[] = [];
  const { file } = medium;
  const { write } = file;
  file.write = (at, from) => {
    states.push(crashed(medium));
    write.call(file, at, from);
    states.push(crashed(medium));
  };
  await catalog.flush({ sst: [sst(1, 1, "a", "c"), sst(2, 1, "d", "f")], wal: 1, lsn: 50 });
  file.write = write;
  const after = stateOf(catalog);
  const found: unknown[] = [];
  for (const state of states) {
    const opened = await openLsm(state);
    found.push(stateOf(opened.catalog));
    await opened.manifest.close();
  }
  assertEquals([found[0], found.at(-1)], [before, after]);
  for (const one of found) assert(JSON.stringify(one) === JSON.stringify(before) || JSON.stringify(one) === JSON.stringify(after));
  await manifest.close();
});

test("LsmCatalog edits: operations are done in their order, and all or none", async () => {
  const { catalog, manifest } = await openLsm();
  const sequence = manifest.latestChangeSequence();
  const edit = catalog.edit().addSst(sst(1)).addSst(sst(2, 1, "a", "c")).removeSst(1).addFrozenWal(3).setActiveWal(3).rotateWal(4)
    .updateLsn(7)
    .updateLsn(3).setVersion(2).setVersion(5).applyCompaction({ added: [sst(2, 2, "a", "c")], removed: [2] });
  assertEquals([edit.length, manifest.latestChangeSequence()], [11, sequence]);
  const receipt = await edit.commit();
  assertEquals(receipt.sequence, sequence + 1);
  const { ssts: _ssts, levels: _levels, obsolete, ...state } = stateOf(catalog);
  assertEquals(state, {
    version: 5,
    lastLsn: 7,
    activeWal: 4,
    frozenWals: [3],
    retiredWals: [],
    nextSstId: 3,
    nextWalId: 5,
  });
  assertEquals([ids(catalog.listSsts({ level: 2 })), (obsolete as { id: number }[]).map(({ id }) => id)], [[2], [1]]);
  // The last operation is not possible: nothing is done of those before it.
  const before = stateOf(catalog);
  const bad = catalog.edit().setVersion(6).addSst(sst(9, 3, "a", "c")).updateLsn(99).addSst(sst(10, 3, "b", "d"));
  assertEquals(await codeOf(() => bad.commit()), "LEVEL_OVERLAP");
  assertEquals(await codeOf(() => catalog.edit().setVersion(6).flush({ wal: 4 }).commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => catalog.edit().setVersion(6).rotateWal(4).commit()), "INVALID_ARGUMENT");
  assertEquals([stateOf(catalog), manifest.latestChangeSequence()], [before, sequence + 1]);
  assertEquals((await catalog.edit().commit()).sequence, 0);
  await manifest.close();
});

test("LsmCatalog edits: committed again, one finds nothing to do", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.edit().setActiveWal(1).addSst(sst(3)).commit();
  const edit = catalog.edit().addSst(sst(1)).removeSst(3).addFrozenWal(1).setActiveWal(2).updateLsn(7).setVersion(4);
  assert((await edit.commit()).sequence > 0);
  assertEquals((await edit.commit()).sequence, 0);
  const flush = catalog.edit().flush({ sst: sst(4), wal: 1, lsn: 8 });
  assert((await flush.commit()).sequence > 0);
  assertEquals((await flush.commit()).sequence, 0);
  await manifest.close();
});

test("LsmCatalog edits: arguments are taken when they are given", async () => {
  const { catalog, manifest } = await openLsm();
  const minKey = new Uint8Array([1, 2]);
  const table = { id: 1, minKey, maxKey: minKey, sizeBytes: 5 };
  const removed = [9];
  const edit = catalog.edit().addSst(table).applyCompaction({ removed });
  minKey.fill(255);
  table.sizeBytes = 6;
  table.id = 9;
  removed[0] = 1;
  await edit.commit();
  const { sizeBytes, minKey: stored } = catalog.getSst(1)!;
  assertEquals([sizeBytes, [...stored]], [5, [1, 2]]);
  stored.fill(7); // what comes out is a copy
  assertEquals([...catalog.getSst(1)!.minKey], [1, 2]);
  await manifest.close();
});

test("LsmCatalog edits: in a transaction catalog and own rows change together, or neither", async () => {
  const { catalog, manifest } = await openLsm();
  const sequence = manifest.latestChangeSequence();
  const id = catalog.peekNextSstId();
  await manifest.transact((txn) => {
    const lsm = catalog.within(txn);
    assertEquals(lsm.allocateSstId(), id);
    assertEquals(lsm.allocateSstIds(2), [id + 1, id + 2]);
    catalog.edit().addSst(sst(id, 1, "a", "c")).stage(txn);
    assertEquals([ids(lsm.listSsts()), ids(lsm.overlapping({ levels: [1] })), catalog.listSsts()], [[id], [id], []]);
    catalog.edit().addSst(sst(id + 1, 1, "d")).setActiveWal(5).stage(txn); // over what is staged
    assertEquals(lsm.listLevels(), [{ level: 1, ssts: 2, sizeBytes: 0, entries: 0, overlapping: false }]);
    const savepoint = txn.savepoint();
    catalog.edit().removeSst(id).stage(txn);
    assertEquals(ids(lsm.listSsts()), [id + 1]);
    txn.rollbackTo(savepoint);
    // Refused, with nothing of it staged.
    const { length } = txn;
    let code = "";
    try {
      catalog.edit().setVersion(9).addSst(sst(id + 2, 1, "b", "e")).stage(txn);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    assertEquals([code, txn.length], ["LEVEL_OVERLAP", length]);
    txn.put(notes, "a", { n: 1 });
  });
  assertEquals(manifest.latestChangeSequence(), sequence + 1);
  assertEquals([ids(catalog.listSsts()), catalog.getVersion(), manifest.get(notes, "a")?.n], [[id, id + 1], 1, 1]);
  const before = stateOf(catalog);
  const error = await errorOf(() =>
    manifest.transact((txn) => {
      catalog.edit().removeSst(id).stage(txn);
      txn.put(notes, "a", { n: 2 });
      throw new Error("no");
    })
  );
  assertEquals([error.code, stateOf(catalog), manifest.get(notes, "a")?.n], ["CALLBACK_FAILED", before, 1]);
  assertEquals(await codeOf(() => manifest.transact((txn) => void setTxn(catalog, txn.commitId as never))), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => setTxn(catalog, manifest.begin() as never)), "INVALID_ARGUMENT");
  let kept: Parameters<LsmCatalog["within"]>[0] | undefined;
  await manifest.transact((txn) => void (kept = txn));
  assertEquals(await codeOf(() => catalog.edit().setVersion(3).stage(kept!)), "TXN_CLOSED");
  await manifest.close();
});

function setTxn(catalog: LsmCatalog, txn: Parameters<LsmCatalog["within"]>[0]): unknown {
  return catalog.within(txn);
}

test("LsmCatalog edits: commits at once are done one after the other, and none is lost", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.rotateWal();
  const N = 40;
  const work: Promise<unknown>[] = [];
  const given: number[] = [];
  for (let i = 0; i < N; i++) {
    work.push((async () => {
      const id = await catalog.allocateSstId();
      given.push(id);
      await catalog.addSst(sst(id, 1, `k${String(id).padStart(3, "0")}`));
      await catalog.updateLsn(1000 - i);
    })());
    work.push(catalog.rotateWal());
  }
  await Promise.all(work);
  assertEquals([...given].sort((a, b) => a - b), Array.from({ length: N }, (_, i) => i + 1));
  assertEquals([ids(catalog.listSsts()), catalog.getLastLsn(), catalog.countSsts()], [Array.from({ length: N }, (_, i) => i + 1), 1000, N]);
  assertEquals([catalog.getActiveWal(), catalog.getFrozenWals()], [N + 1, Array.from({ length: N }, (_, i) => i + 1)]);
  // Of tables with a key in common in a sorted level, one gets in.
  const results = await Promise.allSettled([101, 102, 103].map((id) => catalog.addSst(sst(id, 2, "a", "z"))));
  assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
  await manifest.close();
});

test("LsmCatalog edits: a commit can be called off, and waits no longer than it may", async () => {
  const { catalog, manifest } = await openLsm();
  const edit = catalog.edit().setVersion(2);
  assertEquals(await codeOf(() => edit.commit({ signal: AbortSignal.abort() })), "ABORTED");
  assertEquals(await codeOf(() => edit.commit({ expectedSequence: 77 })), "CONFLICT");
  assertEquals(await codeOf(() => edit.commit({ timeoutMs: -1 })), "INVALID_ARGUMENT");
  assertEquals(catalog.getVersion(), 1);
  const { sequence } = await edit.commit({ expectedSequence: manifest.latestChangeSequence(), origin: "me" });
  assertEquals([manifest.getChange(sequence)!.origin, catalog.getVersion()], ["me", 2]);
  await manifest.close();
});

test("LsmCatalog edits: catalogs of one manifest do not see each other, whatever they are called", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  const names = ["default", "", "a", "a\u0001", "ab", "__proto__", "constructor", "\u{1f600}"].filter((name) => name !== "");
  const all = await Promise.all(names.map((name) => LsmCatalog.open(manifest, { name })));
  for (const [i, catalog] of all.entries()) {
    await catalog.edit().addSst(sst(i + 1, 1, "a", "z")).setActiveWal(i).addFrozenWal(100 + i).updateLsn(i).commit();
    await catalog.edit().addSst(sst(50 + i)).removeSst(50 + i).commit();
  }
  const expected = all.map((catalog) => stateOf(catalog));
  assertEquals(
    expected.map(({ ssts, obsolete }) => [ids(ssts as never), ids(obsolete as never)]),
    names.map((_, i) => [[i + 1], [50 + i]]),
  );
  await all[2]!.flush({ wal: 102 });
  await all[2]!.removeSst(3);
  for (const [i, catalog] of all.entries()) if (i !== 2) assertEquals(stateOf(catalog), expected[i], catalog.name);
  assertEquals(all[2]!.listSsts(), []);
  // A change of one does not make another one dirty.
  await manifest.checkpoint();
  await all[0]!.setVersion(9);
  assertEquals(all.map((catalog) => catalog.isDirty()), all.map((_, i) => i === 0));
  await manifest.close();
  // Also when it is opened while the other one's change is in the journal.
  const again = await medium.open();
  const [first] = [await LsmCatalog.open(again, { name: names[0]! })];
  await first.setVersion(10);
  assertEquals([first.isDirty(), (await LsmCatalog.open(again, { name: names[1]! })).isDirty()], [true, false]);
  await again.close();
});
