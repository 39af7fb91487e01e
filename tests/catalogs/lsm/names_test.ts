// File names: a file belongs to one table at a time, and is listed for deletion behind the last one only.
import { assert, assertEquals } from "@std/assert";
import { LsmCatalog, type LsmVersion } from "../../../src/catalogs/lsm/mod.ts";
import { lsmNames, lsmSsts, lsmStates } from "../../../src/catalogs/lsm/tables.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";
import { crashed, Medium, openLsm, sst, stateOf } from "./lsm.ts";

/** A table with a file of this name. */
const on = (id: number, fileName: string, level = 0) => sst(id, level, "a", "a", { fileName });

async function deletable(catalog: LsmCatalog): Promise<string[]> {
  return (await catalog.deletable()).map(({ id, fileName }) => `${id} ${fileName}`);
}

/** Rows of the index, as ids. */
const indexed = ({ manifest }: LsmCatalog): number[] => manifest.keys(lsmNames).toArray().map(([, , id]) => id);

test("LsmCatalog.addSst: a file that another table has is refused with EXISTS, in one commit and in two", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.addSst(on(1, "x.sst"));
  const before = stateOf(catalog);
  const { sequence } = manifest.read();
  const error = await errorOf(() => catalog.addSst(on(2, "x.sst")));
  assertEquals([error.code, error.detail], ["EXISTS", { catalog: "default", sst: 2, other: 1, fileName: "x.sst" }]);
  assertEquals(await codeOf(() => catalog.flush({ sst: [on(3, "y.sst"), on(4, "y.sst")] })), "EXISTS");
  assertEquals(await codeOf(() => catalog.applyCompaction({ removed: [1], added: [on(3, "x.sst"), on(4, "x.sst")] })), "EXISTS");
  assertEquals(await codeOf(() => manifest.transact((txn) => catalog.edit().addSst(on(2, "x.sst")).stage(txn))), "EXISTS");
  // The table stays with its file, in another level, while another one wants it.
  assertEquals(await codeOf(() => catalog.applyCompaction({ removed: [1], added: [on(1, "x.sst", 1), on(2, "x.sst")] })), "EXISTS");
  assertEquals([stateOf(catalog), manifest.read().sequence], [before, sequence]);
  // The same again changes nothing; other names and other catalogs are free; tables without a name have none in common.
  await catalog.edit().addSst(on(1, "x.sst")).addSst(on(2, "X.sst")).addSst(sst(3)).addSst(sst(4)).commit();
  const other = await LsmCatalog.open(manifest, { name: "other" });
  await other.addSst(on(1, "x.sst"));
  assertEquals(indexed(catalog).sort(), [1, 1, 2]);
  await manifest.close();
});

test("LsmCatalog: a file that was removed goes to no other table before it is forgotten", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.addSst(on(1, "x.sst"));
  await catalog.removeSst(1);
  assertEquals(await deletable(catalog), ["1 x.sst"]); // somebody may be deleting it now
  for (const { catalog: one } of [{ catalog }, await openLsm(crashed(medium))]) {
    const error = await errorOf(() => one.addSst(on(2, "x.sst")));
    assertEquals([error.code, error.detail], ["OBJECT_CONDEMNED", { catalog: "default", sst: 1 }]);
    assertEquals(await codeOf(() => one.edit().forget([{ kind: "sst", id: 1 }]).addSst(on(2, "x.sst")).commit()), "OBJECT_CONDEMNED");
    await one.forget([{ kind: "sst", id: 1 }]);
    await one.addSst(on(2, "x.sst"));
    assertEquals([await deletable(one), indexed(one)], [[], [2]]);
    await one.manifest.close();
  }
});

test("LsmCatalog: a file that moves to a table with another id in one commit is not obsolete, whoever held it before", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.edit().addSst(on(1, "x.sst")).addSst(sst(2)).commit();
  const first = catalog.pin(); // names it as 1
  await catalog.applyCompaction({ removed: [1], added: [on(10, "x.sst", 1)] });
  const second = catalog.pin(); // names it as 10
  assertEquals([catalog.listObsolete(), await deletable(catalog), indexed(catalog)], [[], [], [10]]);
  // Added first, then removed, and through the caller's transaction.
  await manifest.transact((txn) => catalog.edit().addSst(on(11, "x.sst", 2)).removeSst(10).stage(txn));
  assertEquals([catalog.listObsolete(), await deletable(catalog), indexed(catalog)], [[], [], [11]]);
  for (const found of [["x.sst"], [{ kind: "sst", id: 11 } as const]]) assertEquals((await catalog.orphans(found)).named, 1);
  await catalog.removeSst(11);
  const left = async () => (await openLsm(crashed(medium))).catalog;
  assertEquals(await deletable(catalog), []); // both versions name it
  second.close();
  assertEquals(await deletable(catalog), []); // as 1
  assertEquals(await deletable(await left()), ["11 x.sst"]); // nobody holds it behind a crash, and it is listed once
  first.close();
  assertEquals(await deletable(catalog), ["11 x.sst"]);
  await catalog.forget(await catalog.deletable());
  assertEquals([indexed(catalog), await deletable(catalog), await deletable(await left())], [[], [], []]);
  await manifest.close();
});

test("LsmCatalog: files that are exchanged, handed on and given up within one commit", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.edit().addSst(on(1, "x.sst")).addSst(on(2, "y.sst")).commit();
  const version = catalog.pin();
  await catalog.applyCompaction({ removed: [1, 2], added: [on(3, "y.sst"), on(4, "x.sst")] });
  assertEquals([catalog.listObsolete(), indexed(catalog).sort()], [[], [3, 4]]);
  // Handed on twice and given up: one row, held by who names the first.
  await catalog.edit().addSst(on(5, "x.sst")).removeSst(4).addSst(on(6, "x.sst")).removeSst(5).removeSst(6).commit();
  assertEquals([catalog.listObsolete().length, await deletable(catalog)], [1, []]);
  version.close();
  assertEquals((await catalog.deletable()).map(({ fileName }) => fileName), ["x.sst"]);
  await manifest.close();
});

test("LsmCatalog: names of 1,024 bytes that begin alike are told apart", async () => {
  const { catalog, manifest } = await openLsm(undefined, { name: "n".repeat(128) });
  const long = (end: string): string => `${"é/".repeat(100)}${"d".repeat(200)}/${"e".repeat(200)}/${"f".repeat(200)}/${end}`;
  await catalog.edit().addSst(on(1, long("a"))).addSst(on(2, long("b"))).commit();
  assertEquals((await errorOf(() => catalog.addSst(on(3, long("b"))))).detail.other, 2);
  await catalog.applyCompaction({ removed: [1], added: [on(3, long("a"))] });
  await catalog.removeSst(2);
  assertEquals((await catalog.deletable()).map(({ id }) => id), [2]);
  await manifest.close();
});

test("LsmCatalog: what a salvage has found with two tables stays until the last one goes; the index is made anew", async () => {
  const medium = new Medium();
  const { catalog: before } = await openLsm(medium);
  await before.edit().addSst(on(1, "x.sst")).addSst(on(5, "y.sst")).addSst(on(6, "z.sst")).commit();
  await before.removeSst(6);
  await before.manifest.transact((txn) => {
    // Rows of several states: x.sst with two tables, z.sst removed and not; the index lost, and a row of it left.
    txn.put(lsmSsts, ["default", 2], txn.get(lsmSsts, ["default", 1])!);
    txn.put(lsmSsts, ["default", 7], { ...txn.get(lsmSsts, ["default", 1])!, fileName: "z.sst" });
    for (const key of txn.keys(lsmNames).toArray()) txn.delete(lsmNames, key);
    txn.put(lsmNames, ["default", new Uint8Array([1]), 5], {});
    txn.put(lsmStates, "default", { ...txn.get(lsmStates, "default")!, historyId: "another" });
  });
  const { catalog, manifest } = await openLsm(crashed(medium));
  assertEquals([catalog.opening.foreign, indexed(catalog).sort(), catalog.listObsolete()], [true, [1, 2, 5, 7], []]);
  assertEquals((await errorOf(() => catalog.addSst(on(9, "y.sst")))).detail.other, 5);
  await catalog.removeSst(1);
  assertEquals([catalog.listObsolete().length, await deletable(catalog)], [1, []]); // 2 names it
  const version = catalog.pin();
  await catalog.removeSst(2);
  assertEquals(await deletable(catalog), []); // the version names it as 2
  version.close();
  assertEquals(await deletable(catalog), ["1 x.sst", "2 x.sst"]);
  await catalog.forget(await catalog.deletable());
  assertEquals(indexed(catalog).sort(), [5, 7]);
  await manifest.close();
});

test("LsmCatalog: whatever moves, no file is listed that a table or a held version names, and each other one is listed once, seed 11", async () => {
  const random = seeded(11);
  const medium = new Medium();
  let { catalog, manifest } = await openLsm(medium);
  let pins: LsmVersion[] = [];
  const there = new Set<string>();
  let nextFile = 0, nextId = 0, listed = 0, moves = 0;
  for (let step = 0; step < 400; step++) {
    const live = catalog.listSsts();
    const edit = catalog.edit();
    for (const { id, fileName } of live) {
      if (random.chance(0.6)) continue;
      edit.removeSst(id);
      if (!random.chance(0.5)) continue;
      edit.addSst(on(++nextId, fileName!));
      moves++;
    }
    for (let n = random.int(3); n > 0; n--) {
      const fileName = `${++nextFile}.sst`;
      there.add(fileName);
      edit.addSst(on(++nextId, fileName));
    }
    await edit.commit();
    if (random.chance(0.2)) pins.push(catalog.pin());
    if (random.chance(0.2)) pins.splice(random.int(pins.length + 1), 1)[0]?.close();
    if (random.chance(0.03)) {
      const copy = crashed(medium);
      await manifest.close();
      pins = [];
      Object.assign(medium, { file: copy.file });
      ({ catalog, manifest } = await openLsm(medium));
    }
    const named = new Set([catalog, ...pins].flatMap((reader) => reader.listSsts().map(({ fileName }) => fileName!)));
    for (const name of named) assert(there.has(name), `step ${step}: ${name} was deleted and is named`);
    const files = await catalog.deletable();
    assertEquals(files.map(({ fileName }) => fileName!).sort(), [...there].filter((name) => !named.has(name)).sort(), `step ${step}`);
    if (random.chance(0.5)) continue;
    for (const { fileName } of files) there.delete(fileName!);
    listed += files.length;
    await catalog.forget(files);
    assertEquals(indexed(catalog).length, catalog.countSsts() + catalog.listObsolete().length);
  }
  assert(listed > 200 && moves > 100, `${listed} ${moves}`);
  await manifest.close();
});
