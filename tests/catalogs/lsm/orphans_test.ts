// Files that nobody names: told only when that is certain, deleted by nobody here.
import { assert, assertEquals } from "@std/assert";
import { BLOCK_SIZE, META_BYTES, META_GENERATION } from "../../../assembly/format.ts";
import { type FileRef, LsmCatalog, type LsmEdit, type OrphanReport } from "../../../src/catalogs/lsm/mod.ts";
import { Manifest } from "../../../mod.ts";
import { MemoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { SimDisk } from "../../support/disk/sim_disk.ts";
import { SimMachine } from "../../support/disk/sim_machine.ts";
import { testEnvironment } from "../../support/environment.ts";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";
import { crashed, ids, Medium, openLsm, sst } from "./lsm.ts";

/** A report as ids of sorted tables. */
function told({ orphans, underWay, unknown, named }: OrphanReport): Record<string, unknown> {
  const all = (files: OrphanReport["orphans"]): unknown[] => files.map(({ file, fileName }) => fileName ?? file!.id);
  return { orphans: all(orphans), underWay: all(underWay), unknown: all(unknown), named };
}

/** The pair of meta slots that holds the newest generation. */
function pairOfNewest({ file }: Medium): number {
  const view = new DataView(file.bytes().buffer);
  const [a, b] = [0, 1].map((slot) => view.getUint32(slot * BLOCK_SIZE + META_GENERATION, true));
  return a! > b! ? 0 : 1;
}

test("LsmCatalog orphans: what an earlier process had an id for and nobody names (item 33)", async () => {
  const medium = new Medium();
  const { catalog: first } = await openLsm(medium);
  const given = await first.allocateSstIds(6); // 1 to 6
  for (const id of [1, 2, 3, 4]) await first.addSst(sst(id));
  await first.applyCompaction({ removed: [1, 2] });
  await first.forget([{ kind: "sst", id: 2 }]);
  assertEquals(given.length, 6);
  const { catalog, manifest } = await openLsm(crashed(medium));
  const now = await catalog.allocateSstId(); // 7: this process writes it
  const report = await catalog.orphans([0, 1, 2, 3, 4, 5, 6, now, 8, 900]);
  assertEquals(told(report), { orphans: [0, 2, 5, 6], underWay: [7], unknown: [8, 900], named: 3 });
  // A report: it has changed nothing, and says the same again.
  assertEquals(await catalog.orphans([0, 1, 2, 3, 4, 5, 6, now, 8, 900]), report);
  assertEquals(told(await catalog.orphans([])), { orphans: [], underWay: [], unknown: [], named: 0 });
  await manifest.close();
});

test("LsmCatalog orphans: a file under way is none until its table has come and gone", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.addSst(sst(1));
  const { catalog, manifest } = await openLsm(crashed(medium));
  const [a, b] = await catalog.allocateSstIds(2) as [number, number];
  const seen = async (): Promise<unknown> => told(await catalog.orphans([a, b]));
  assertEquals(await seen(), { orphans: [], underWay: [a, b], unknown: [], named: 0 });
  await catalog.addSst(sst(a));
  assertEquals(await seen(), { orphans: [], underWay: [b], unknown: [], named: 1 });
  await catalog.removeSst(a);
  assertEquals(await seen(), { orphans: [], underWay: [b], unknown: [], named: 1 }); // to be deleted, not forgotten
  const version = catalog.pin();
  await catalog.forget([{ kind: "sst", id: a }]);
  assertEquals(await seen(), { orphans: [a], underWay: [b], unknown: [], named: 0 });
  version.close();
  // Another handle of the same process knows what this one is writing.
  assertEquals(told(await (await LsmCatalog.open(manifest)).orphans([a, b])), { orphans: [a], underWay: [b], unknown: [], named: 0 });
  // An allocation or a table that came with a transaction counts as under way.
  await manifest.transact((txn) => catalog.edit().addSst(sst(catalog.within(txn).allocateSstId())).stage(txn));
  assertEquals(told(await catalog.orphans([4])), { orphans: [], underWay: [], unknown: [], named: 1 });
  await manifest.transact((txn) => void catalog.within(txn).allocateSstId());
  assertEquals(told(await catalog.orphans([5])), { orphans: [], underWay: [5], unknown: [], named: 0 });
  await manifest.close();
});

test("LsmCatalog orphans: what came or went with the caller's transactions has come and gone as well; what was only staged has not", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.edit().addSst(sst(1)).setActiveWal(1).commit();
  const { catalog, manifest } = await openLsm(crashed(medium));
  const stage = (edit: LsmEdit, commits = true) =>
    manifest.transact((txn) => {
      edit.stage(txn);
      if (!commits) throw new Error("given up");
    }).catch((error) => assertEquals([commits, error.code], [false, "CALLBACK_FAILED"]));
  const wal = (id: number): FileRef => ({ kind: "wal", id });
  const [a, b, c, d] = await catalog.allocateSstIds(4) as [number, number, number, number];
  // Added by a transaction, removed by a commit; added by a commit, removed by a transaction; all by transactions.
  for (const [id, adds, leaves] of [[a, true, false], [b, false, true], [c, true, true]] as const) {
    const edits = [catalog.edit().addSst(sst(id)), catalog.edit().removeSst(id), catalog.edit().forget([{ kind: "sst", id }])];
    for (const [at, edit] of edits.entries()) await ((at === 0 ? adds : leaves) ? stage(edit) : edit.commit());
  }
  await stage(catalog.edit().rotateWal(2));
  await stage(catalog.edit().rotateWal(3));
  await stage(catalog.edit().flush({ wal: 2 }));
  await stage(catalog.edit().forget([wal(2)]));
  // Given up: nothing was named, and somebody may still write the file.
  await stage(catalog.edit().addSst(sst(d)), false);
  await stage(catalog.edit().addSst(sst(d)).removeSst(d).forget([{ kind: "sst", id: d }]), false);
  await catalog.edit().removeSst(d).forget([{ kind: "sst", id: d }]).commit(); // nothing to do
  const report = await catalog.orphans([a, b, c, d, wal(2)]);
  assertEquals(told(report), { orphans: [a, b, c, 2], underWay: [d], unknown: [], named: 0 });
  await manifest.close();
});

test("LsmCatalog orphans: the name of a removed file is named until it is forgotten, whatever id somebody reads from it", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.edit().addSst(sst(1)).addSst(sst(2, 0, "a", "a", { fileName: "two.sst" })).commit();
  await before.allocateSstIds(4);
  await before.removeSst(2);
  const { catalog, manifest } = await openLsm(crashed(medium));
  const seen = async (): Promise<unknown> => told(await catalog.orphans(["two.sst"], { idOf: () => 4 }));
  assertEquals(await seen(), { orphans: [], underWay: [], unknown: [], named: 1 });
  assertEquals(told(await catalog.orphans(["two.sst"])), { orphans: [], underWay: [], unknown: [], named: 1 });
  await catalog.forget([{ kind: "sst", id: 2 }]);
  assertEquals(await seen(), { orphans: ["two.sst"], underWay: [], unknown: [], named: 0 });
  await manifest.close();
});

test("LsmCatalog orphans: what a held version names is none, even when it was forgotten too early", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.edit().addSst(sst(1, 0, "a", "a", { fileName: "one.sst" })).addSst(sst(2)).setActiveWal(1).commit();
  const { catalog, manifest } = await openLsm(crashed(medium));
  const version = catalog.pin();
  await catalog.rotateWal();
  await catalog.edit().removeSst(1).flush({ wal: 1 }).commit();
  await catalog.forget([{ kind: "sst", id: 1 }, { kind: "wal", id: 1 }]);
  const found = [1, { kind: "wal", id: 1 } as const, "one.sst"];
  assertEquals(told(await catalog.orphans(found)).named, 3);
  version.close();
  assertEquals(told(await catalog.orphans(found)), { orphans: [1, 1], underWay: [], unknown: ["one.sst"], named: 0 });
  await manifest.close();
});

test("LsmCatalog orphans: files by name, and hostile names", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.addSst(sst(1, 0, "a", "a", { fileName: "tables/one.sst" }));
  await before.allocateSstIds(4);
  const { catalog, manifest } = await openLsm(crashed(medium));
  const idOf = (fileName: string): FileRef | number | undefined => {
    const match = /^(?:(wal)-)?(\d+)\.\w+$/.exec(fileName);
    if (match === null) return undefined;
    return match[1] === undefined ? Number(match[2]) : { kind: "wal", id: Number(match[2]) };
  };
  const names = ["000003.sst", "1.tmp", "LOCK", "tables/one.sst", "wal-7.log", "__proto__", "../../etc/passwd", "constructor", ""];
  assertEquals(told(await catalog.orphans(names, { idOf })), {
    orphans: ["000003.sst"],
    underWay: [],
    unknown: ["LOCK", "wal-7.log", "__proto__", "../../etc/passwd", "constructor", ""],
    named: 2, // 1.tmp has the id of a table that is named: certain it is not
  });
  // A name that a table was given is named, whatever id somebody reads from it.
  assertEquals(told(await catalog.orphans(["tables/one.sst"], { idOf: () => 3 })), { orphans: [], underWay: [], unknown: [], named: 1 });
  assertEquals(told(await catalog.orphans(["000003.sst"])), { orphans: [], underWay: [], unknown: ["000003.sst"], named: 0 });
  for (
    const idOf of [() => "3", () => ({ kind: "x", id: 1 }), () => -1, () => NaN, () => null, () => {
      throw new Error("mine");
    }]
  ) { // deno-fmt-ignore
    assertEquals(await codeOf(() => catalog.orphans(["a"], { idOf: idOf as never })), "INVALID_ARGUMENT");
  }
  await manifest.close();
});

test("LsmCatalog orphans: segments below those that an earlier process named", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.addSst(sst(1));
  for (let i = 0; i < 4; i++) await before.rotateWal(); // 4 is active, 1 to 3 frozen
  await before.setActiveWal(6); // 4 is retired, 5 was never named
  await before.flush({ wal: [1, 2] });
  await before.forget([{ kind: "wal", id: 1 }]);
  const { catalog, manifest } = await openLsm(crashed(medium));
  await catalog.rotateWal(); // 7
  await catalog.rotateWal(9); // 8 was never named
  const wals = (from: number, to: number): FileRef[] => Array.from({ length: to - from + 1 }, (_, i) => ({ kind: "wal", id: from + i }));
  assertEquals(told(await catalog.orphans(wals(1, 11))), { orphans: [1, 5], underWay: [8], unknown: [10, 11], named: 6 });
  await catalog.flush({ wal: 7 });
  await catalog.forget([{ kind: "wal", id: 7 }]);
  assertEquals(told(await catalog.orphans(wals(7, 8))), { orphans: [7], underWay: [8], unknown: [], named: 0 });
  await manifest.close();
});

test("LsmCatalog orphans: refused when the catalog names nothing and there are files (item 33)", async () => {
  const medium = new Medium();
  // The field case: somebody has removed the manifest, or gives another one; the engine makes a new catalog over a folder full of tables.
  const { catalog, manifest } = await openLsm(medium);
  assertEquals(told(await catalog.orphans([])), { orphans: [], underWay: [], unknown: [], named: 0 });
  const error = await errorOf(() => catalog.orphans([1, 2, 3]));
  assertEquals([error.code, error.detail], ["ORPHANS_REFUSED", { catalog: "default", reason: "empty", files: 3 }]);
  assertEquals(await codeOf(() => catalog.orphans([{ kind: "wal", id: 1 }])), "ORPHANS_REFUSED");
  assertEquals(await codeOf(() => catalog.orphans(["1.sst"], { idOf: () => 1 })), "ORPHANS_REFUSED");
  assertEquals(told(await catalog.orphans(["LOCK"])).unknown, ["LOCK"]); // no file of an engine
  // New tables in it do not make it trusted: it was empty when it was opened.
  const id = await catalog.allocateSstId();
  await catalog.edit().addSst(sst(id)).setActiveWal(1).commit();
  assertEquals(told(await catalog.orphans([id, { kind: "wal", id: 1 }])).named, 2);
  assertEquals((await errorOf(() => catalog.orphans([id, 2, 3]))).detail.reason, "empty");
  assertEquals(told(await catalog.orphans([id, 2, 3], { accept: ["empty"] })), { orphans: [], underWay: [], unknown: [2, 3], named: 1 });
  assertEquals(await codeOf(() => catalog.orphans([2], { accept: ["damaged", "foreign"] })), "ORPHANS_REFUSED");
  // Opened again it names something: ids that it never gave out are still no orphans.
  const { catalog: again, manifest: other } = await openLsm(crashed(medium));
  assertEquals(told(await again.orphans([id, 2, 3])), { orphans: [], underWay: [], unknown: [2, 3], named: 1 });
  // And emptied.
  await again.edit().removeSst(id).setActiveWal(2).commit();
  await again.edit().flush({ wal: 1 }).forget([{ kind: "sst", id }, { kind: "wal", id: 1 }]).commit();
  assertEquals(told(await again.orphans([id])).orphans, [id]); // its segment still speaks for it
  await other.close();
  await manifest.close();
});

test("LsmCatalog orphans: refused as well when it was emptied since it was opened", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.addSst(sst(1));
  await before.allocateSstId();
  const { catalog, manifest } = await openLsm(crashed(medium));
  assertEquals(told(await catalog.orphans([1, 2])).orphans, [2]);
  await catalog.removeSst(1);
  assertEquals(told(await catalog.orphans([1, 2])), { orphans: [2], underWay: [], unknown: [], named: 1 });
  await catalog.forget(await catalog.deletable());
  assertEquals((await errorOf(() => catalog.orphans([2]))).detail.reason, "empty");
  await manifest.close();
});

test("LsmCatalog orphans: a catalog that names a segment only is not empty", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.rotateWal();
  const id = await before.allocateSstId(); // its file is written, then the process dies
  const { catalog, manifest } = await openLsm(crashed(medium));
  assertEquals(told(await catalog.orphans([id, { kind: "wal", id: 1 }])), { orphans: [id], underWay: [], unknown: [], named: 1 });
  await manifest.close();
});

test("LsmCatalog orphans: refused when opening has repaired damage that no crash leaves", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.allocateSstId();
  await catalog.checkpoint();
  const before = medium.file.bytes();
  await catalog.updateLsn(5); // groups behind the checkpoint
  await catalog.updateLsn(6);
  await catalog.updateLsn(7);
  const journal = crashed(medium);
  await manifest.close();
  // Slots of a file that was closed in order. Copy 2 of the newest generation, or copy 1 of the one before, a crash may have left so: the other copies stand. What else is damaged, and more than one, no crash leaves.
  const newest = pairOfNewest(medium);
  const spared = [newest + 2, 1 - newest];
  let refused = 0;
  for (let slots = 1; slots < 16; slots++) {
    const which = [0, 1, 2, 3].filter((slot) => (slots & (1 << slot)) !== 0);
    if ([[0, 2], [1, 3]].some((pair) => pair.every((slot) => which.includes(slot)))) continue; // does not open
    const damaged = crashed(medium);
    for (const slot of which) damaged.file.write(slot * BLOCK_SIZE + 60, new Uint8Array([1, 2, 3, 4, 5]));
    const opened = await openLsm(damaged);
    const { repairedSlots, damagedSlots } = opened.manifest.recovery;
    const harmless = which.length === 1 && spared.includes(which[0]!);
    assertEquals([repairedSlots, damagedSlots], [which, harmless ? [] : which]);
    if (harmless) assertEquals(told(await opened.catalog.orphans([1, 2])).orphans, [2]);
    else {
      const error = await errorOf(() => opened.catalog.orphans([1, 2]));
      assertEquals([error.code, error.detail.reason], ["ORPHANS_REFUSED", "damaged"]);
      assertEquals(told(await opened.catalog.orphans([1, 2], { accept: ["damaged"] })), {
        orphans: [2],
        underWay: [],
        unknown: [],
        named: 1,
      });
      assertEquals(told(await opened.catalog.orphans([])).orphans, []);
      refused++;
    }
    await opened.manifest.close();
    // What was damaged is right again, and the next opening has nothing to say of it.
    const again = await openLsm(damaged);
    assertEquals(told(await again.catalog.orphans([1, 2])).orphans, [2]);
    await again.manifest.close();
  }
  assertEquals(refused, 6);
  // A block of a group of the journal is mended from parity. Of the newest group a crash may have left it so; of one with another behind it, no crash has.
  const reasons = new Map<string, number>();
  for (let at = META_BYTES; at < journal.file.size; at += BLOCK_SIZE) {
    const block = journal.file.bytes().subarray(at, at + BLOCK_SIZE);
    if (block.every((byte, i) => byte === before[at + i])) continue;
    const damaged = crashed(journal);
    damaged.file.write(at + 40, Uint8Array.from(block.subarray(40, 44), (byte) => byte ^ 0xff));
    const opened = await openLsm(damaged);
    const { rebuilt, damagedGroups } = opened.manifest.recovery;
    if (rebuilt.length > 0) {
      const newest = damagedGroups.length === 0;
      const reason = newest
        ? told(await opened.catalog.orphans([2])).orphans
        : (await errorOf(() => opened.catalog.orphans([2]))).detail.reason;
      assertEquals(reason, newest ? [2] : "damaged", `block at ${at}`);
      reasons.set(String(reason), (reasons.get(String(reason)) ?? 0) + 1);
    }
    await opened.manifest.close();
  }
  assert(reasons.get("2")! > 0 && reasons.get("damaged")! > 0, JSON.stringify([...reasons]));
});

test("LsmCatalog orphans: a crash at any call of an opening, of work and of a close is no damage", async () => {
  for (const sector of [512, 4096]) {
    const machine = new SimMachine(undefined, undefined, { sector, garbage: true });
    const open = async (storage: Storage): Promise<{ manifest: Manifest; catalog: LsmCatalog }> => {
      const environment = testEnvironment(3);
      const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline", environment });
      return { manifest, catalog: await LsmCatalog.open(manifest) };
    };
    // Names something from here on: all that happens behind is crashed at each call.
    const first = await open(machine.disk.open());
    await first.catalog.addSst(sst(1));
    await first.catalog.allocateSstIds(3);
    await first.manifest.close();
    const begun = machine.calls;
    for (let life = 0; life < 3; life++) {
      const { catalog, manifest } = await open(machine.disk.open());
      for (let i = 0; i < 2; i++) await catalog.updateLsn(10 * life + i);
      if (life === 1) await manifest.checkpoint();
      await manifest.close();
    }
    const counts = { images: 0, clean: 0, repaired: 0 };
    for (const [at, moment] of machine.moments().entries()) {
      if (at < begun) continue;
      const images = new Set<number>();
      let tries = 0;
      for (const image of machine.crashes(moment, seeded(at))) {
        if (++tries > 12) break;
        if (images.has(image.hash)) continue;
        images.add(image.hash);
        const { catalog, manifest } = await open(image.open({ recording: false }).storage);
        const { clean, repairedSlots, damagedSlots } = manifest.recovery;
        assertEquals([damagedSlots, told(await catalog.orphans([1, 2, 3])).orphans], [[], [2, 3]], `call ${at}, image ${image.index}`);
        counts.images++;
        if (clean) counts.clean++;
        if (clean && repairedSlots.length > 0) counts.repaired++;
      }
    }
    console.log(`sectors of ${sector}: ${JSON.stringify(counts)}`);
    assert(counts.clean > 10 && counts.repaired > 5, JSON.stringify(counts));
  }
});

test("LsmCatalog orphans: a crash, and the torn group that it leaves, are no damage", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.allocateSstId();
  await catalog.checkpoint();
  const torn = crashed(medium);
  const { file } = medium;
  const { write } = file;
  file.write = (at, from) => {
    // Pages as they are, the group of the next commit cut short.
    torn.file.write(at, from.length === BLOCK_SIZE ? from : from.subarray(0, from.length >> 1));
    write.call(file, at, from);
  };
  await catalog.addSst(sst(2, 0, "a", "z".repeat(9_000)));
  file.write = write;
  const { catalog: again, manifest } = await openLsm(torn);
  assert(manifest.recovery.cut !== undefined);
  assertEquals([ids(again.listSsts()), told(await again.orphans([1, 2]))], [[1], { orphans: [2], underWay: [], unknown: [], named: 1 }]);
  await manifest.close();
});

test("LsmCatalog orphans: only the writer can tell them", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await manifest.close();
  const { catalog: reading, manifest: reader } = await openLsm(medium, {}, { readOnly: true });
  assertEquals(await codeOf(() => reading.orphans([1])), "READ_ONLY");
  assertEquals(await codeOf(() => reading.deletable()), "READ_ONLY");
  await reader.close();
});

for (const durability of ["sync", "relaxed", "none"] as const) {
  test(`LsmCatalog.orphans: in mode ${durability} no crash brings back a name of what it has told`, async () => {
    const disk = new SimDisk();
    const options = { create: true, durability, idleCheckpoint: 0 };
    const first = await Manifest.open(disk.open(), { ...options, environment: testEnvironment(1) });
    const filled = await LsmCatalog.open(first);
    for (let i = 0; i < 2; i++) await filled.addSst(sst(await filled.allocateSstId()));
    await first.close();
    const manifest = await Manifest.open(disk.open(), { ...options, environment: testEnvironment(2) });
    const catalog = await LsmCatalog.open(manifest);
    await catalog.edit().removeSst(1).commit();
    await catalog.forget([{ kind: "sst", id: 1 }]);
    assertEquals(told(await catalog.orphans([1, 2])), { orphans: [1], underWay: [], unknown: [], named: 1 });
    // The engine deletes the file, and the power goes.
    let images = 0;
    for (const image of disk.images(disk.calls, seeded(1), 50)) {
      images++;
      const after = await Manifest.open(new MemoryStorage(image), { environment: testEnvironment(3), idleCheckpoint: 0 });
      const behind = await LsmCatalog.open(after);
      assertEquals([behind.getSst(1), (await behind.deletable()).length, behind.getSst(2)?.id], [undefined, 0, 2]);
      await after.close();
    }
    assert(images > 0);
    await manifest.close();
  });
}
