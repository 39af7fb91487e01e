// Levels, key ranges and overlap queries of the LSM catalog.
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { type LsmCatalog, lsmSsts, type Sst, type SstInput } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { type Random, seeded } from "../../support/random.ts";
import { crashed, ids, key, Medium, openLsm, sst, stateOf } from "./lsm.ts";

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** What a scan of everything finds. */
function scanned(catalog: LsmCatalog, from: Uint8Array | undefined, to: Uint8Array | undefined, levels?: readonly number[]): number[] {
  const hit = ({ level, minKey, maxKey }: Sst): boolean =>
    (levels === undefined || levels.includes(level)) && (to === undefined || compare(minKey, to) <= 0) &&
    (from === undefined || compare(maxKey, from) >= 0);
  return ids(catalog.listSsts().filter(hit)).sort((a, b) => a - b);
}

function query(catalog: LsmCatalog, from?: Uint8Array, to?: Uint8Array, levels?: readonly number[]): number[] {
  const query = { ...from && { from }, ...to && { to }, ...levels && { levels } };
  return ids(catalog.overlapping(query)).sort((a, b) => a - b);
}

test("LsmCatalog levels: overlap in level 0 is any overlap, newest id first", async () => {
  const { catalog, manifest } = await openLsm();
  for (const [id, from, to] of [[1, "a", "m"], [2, "c", "d"], [3, "a", "z"], [4, "x", "y"]] as const) {
    await catalog.addSst(sst(id, 0, from, to));
  }
  assertEquals(ids(catalog.overlapping({ from: key("d"), to: key("e") })), [3, 2, 1]);
  assertEquals(ids(catalog.overlapping({ from: key("m"), to: key("m") })), [3, 1]);
  assertEquals(ids(catalog.overlapping({ from: key("n") })), [4, 3]);
  assertEquals(ids(catalog.overlapping({ to: key("a") })), [3, 1]);
  assertEquals(ids(catalog.overlapping()), [4, 3, 2, 1]);
  assertEquals(catalog.overlapping({ from: key("zz") }), []);
  assertEquals(catalog.overlapping({ levels: [1] }), []);
  await manifest.close();
});

test("LsmCatalog levels: in a sorted level the table that reaches into the range and those that begin in it, by key", async () => {
  const { catalog, manifest } = await openLsm();
  // Ids do not follow keys.
  for (const [id, from, to] of [[9, "a", "c"], [4, "d", "f"], [7, "h", "h"], [1, "j", "z"]] as const) {
    await catalog.addSst(sst(id, 2, from, to));
  }
  await catalog.addSst(sst(20, 0, "e", "i"));
  await catalog.addSst(sst(21, 3, "b", "k"));
  const at = (from: string, to: string, levels?: number[]): number[] =>
    ids(catalog.overlapping({ from: key(from), to: key(to), ...levels && { levels } }));
  assertEquals(at("e", "h"), [20, 4, 7, 21]);
  assertEquals(at("e", "h", [2]), [4, 7]);
  assertEquals(at("e", "h", [3, 0, 3]), [20, 21]);
  assertEquals(at("b", "b", [2]), [9]);
  assertEquals(at("cc", "cz", [2]), []); // between two tables
  assertEquals(at("c", "d", [2]), [9, 4]);
  assertEquals(at("", "\x00", [2]), []);
  assertEquals(at("zz", "zzz", [2]), []);
  assertEquals(at("k", "k", [2]), [1]);
  assertEquals(ids(catalog.listSsts({ level: 2 })), [9, 4, 7, 1]);
  assertEquals(ids(catalog.listSsts()), [1, 4, 7, 9, 20, 21]);
  assertEquals(catalog.listSsts({ level: 5 }), []);
  await manifest.close();
});

test("LsmCatalog levels: from 1 on no two tables share a key, whoever adds them", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.addSst(sst(1, 1, "c", "f"));
  const before = stateOf(catalog);
  const sequence = manifest.latestChangeSequence();
  for (const [from, to] of [["a", "c"], ["f", "z"], ["d", "e"], ["a", "z"], ["c", "f"]] as const) {
    const error = await errorOf(() => catalog.addSst(sst(5, 1, from, to)));
    assertEquals([error.code, error.detail], ["LEVEL_OVERLAP", { catalog: "default", level: 1, sst: 5, other: 1 }], `${from} to ${to}`);
  }
  // Within one commit, too.
  const pair = [sst(5, 2, "a", "k"), sst(6, 2, "k", "l")];
  assertEquals((await errorOf(() => catalog.applyCompaction({ added: pair }))).detail, { catalog: "default", level: 2, sst: 6, other: 5 });
  const inside = [sst(5, 2, "a", "z"), sst(6, 2, "b", "c"), sst(7, 2, "d", "e")];
  assertEquals((await errorOf(() => catalog.applyCompaction({ added: inside }))).code, "LEVEL_OVERLAP");
  assertEquals([stateOf(catalog), manifest.latestChangeSequence()], [before, sequence]);
  // What it stands for goes in the same commit.
  await catalog.applyCompaction({ added: [sst(5, 1, "a", "d"), sst(6, 1, "e", "z")], removed: [1] });
  assertEquals(ids(catalog.listSsts({ level: 1 })), [5, 6]);
  // Level 0 is free, and the ends of other levels do not matter.
  await catalog.applyCompaction({ added: [sst(7, 0, "a", "z"), sst(8, 0, "a", "z"), sst(9, 2, "a", "z")] });
  await manifest.close();
});

test("LsmCatalog levels: a table moves to another level in one commit, and its file is not obsolete", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.addSst(sst(3, 1, "a", "f", { sizeBytes: 10, entries: 2, fileName: "3.sst" }));
  using version = catalog.pin();
  await catalog.applyCompaction({ added: [sst(3, 2, "a", "f", { sizeBytes: 10, entries: 2, fileName: "3.sst" })], removed: [3] });
  assertEquals(catalog.listLevels(), [{ level: 2, ssts: 1, sizeBytes: 10, entries: 2, overlapping: false }]);
  assertEquals([catalog.getSst(3)!.level, version.getSst(3)!.level], [2, 1]);
  assertEquals([query(catalog, key("b"), key("b")), catalog.listObsolete()], [[3], []]);
  // And says the same again: nothing to do.
  const same = await catalog.applyCompaction({
    added: [sst(3, 2, "a", "f", { sizeBytes: 10, entries: 2, fileName: "3.sst" })],
    removed: [3],
  });
  assertEquals(same.sequence, 0);
  // The same id with another file is none of this.
  const other = await errorOf(() => catalog.applyCompaction({ added: [sst(3, 2, "a", "f", { fileName: "4.sst" })], removed: [3] }));
  assertEquals(other.code, "INVALID_ARGUMENT");
  // It is the same file still: removed later, the version that has held it from the beginning keeps it.
  await catalog.removeSst(3);
  assertEquals(await catalog.deletable(), []);
  version.close();
  assertEquals((await catalog.deletable()).map(({ id, fileName }) => [id, fileName]), [[3, "3.sst"]]);
  await manifest.close();
});

test("LsmCatalog levels: sums of tables, bytes and entries follow every change", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.edit().addSst(sst(1, 0, "a", "z", { sizeBytes: 100, entries: 10 })).addSst(
    sst(2, 0, "a", "z", { sizeBytes: 50, entries: 5 }),
  )
    .addSst(sst(3, 1, "a", "c", { sizeBytes: 2 ** 40, entries: 1 })).commit();
  assertEquals(catalog.listLevels(), [
    { level: 0, ssts: 2, sizeBytes: 150, entries: 15, overlapping: true },
    { level: 1, ssts: 1, sizeBytes: 2 ** 40, entries: 1, overlapping: false },
  ]);
  assertEquals(catalog.countSsts(), 3);
  await catalog.applyCompaction({ added: [sst(4, 1, "d", "e", { sizeBytes: 7 })], removed: [1, 2] });
  assertEquals(catalog.listLevels(), [{ level: 1, ssts: 2, sizeBytes: 2 ** 40 + 7, entries: 1, overlapping: false }]);
  const { edit, ...stats } = catalog.stats();
  assert(edit > 0);
  assertEquals(stats, { ssts: 2, sizeBytes: 2 ** 40 + 7, entries: 1, frozenWals: 0, obsolete: 2, pins: 0, oldestPin: undefined });
  await catalog.applyCompaction({ removed: [3, 4] });
  assertEquals(catalog.listLevels(), []);
  await manifest.close();
});

test("LsmCatalog levels: keys of any length; those that begin alike for hundreds of bytes are told apart", async () => {
  const name = "n".repeat(128);
  const { catalog, manifest } = await openLsm(new Medium(), { name });
  const long = (fill: number, tail: string, length = 100_000): Uint8Array => {
    const bytes = new Uint8Array(length + tail.length).fill(fill);
    bytes.set(key(tail), length);
    return bytes;
  };
  // Zeros, because they take two bytes each in a stored key; and the beginnings of all are equal.
  const tails = ["a", "c", "e", "g", "i"];
  const added: SstInput[] = tails.map((tail, i) => ({ id: 50 - i, level: 1, minKey: long(0, tail), maxKey: long(0, `${tail}x`) }));
  await catalog.addSst({ id: 1, level: 1, minKey: new Uint8Array(0), maxKey: new Uint8Array(5) });
  await catalog.addSst({ id: 2, level: 1, minKey: long(0xff, "a", 385), maxKey: long(0xff, "b", 999) });
  for (const one of added) await catalog.addSst(one);
  for (const tail of ["0", "a", "b", "c", "cx", "cy", "e", "ezz", "i", "j"]) {
    for (const other of ["0", "b", "e", "ix", "z"]) {
      const [from, to] = [tail, other].sort() as [string, string];
      assertEquals(query(catalog, long(0, from), long(0, to)), scanned(catalog, long(0, from), long(0, to)), `${from} to ${to}`);
    }
    assertEquals(query(catalog, long(0, tail)), scanned(catalog, long(0, tail), undefined));
    assertEquals(query(catalog, undefined, long(0, tail)), scanned(catalog, undefined, long(0, tail)));
  }
  assertEquals(ids(catalog.listSsts({ level: 1 })), [1, 50, 49, 48, 47, 46, 2]);
  // One of those that begin alike reaches far behind them.
  const far = new Uint8Array(301).fill(0).fill(5, 300);
  await catalog.addSst({ id: 3, level: 1, minKey: long(0, "k"), maxKey: far });
  assertEquals(query(catalog, far.map((byte) => Math.min(byte, 3)), far), [3]);
  assertEquals(query(catalog, far, far), [3]);
  assertEquals((await errorOf(() => catalog.addSst({ id: 9, level: 1, minKey: long(0, "cw"), maxKey: long(0, "d") }))).detail.other, 49);
  await catalog.addSst({ id: 9, level: 1, minKey: long(0, "cy"), maxKey: long(0, "d") });
  assertEquals(
    await codeOf(() => catalog.addSst({ id: 10, level: 1, minKey: new Uint8Array(0), maxKey: new Uint8Array(0) })),
    "LEVEL_OVERLAP",
  );
  await manifest.close();
});

test("LsmCatalog levels: with allowOverlaps nothing is refused, and queries are right, also when it is opened without again", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium, { allowOverlaps: true });
  await catalog.addSst(sst(1, 1, "a", "c"));
  await catalog.addSst(sst(2, 1, "d", "f"));
  assertEquals(catalog.listLevels()[0]!.overlapping, false); // not yet
  await catalog.addSst(sst(3, 1, "b", "z"));
  await catalog.applyCompaction({ added: [sst(4, 2, "a", "m"), sst(5, 2, "b", "c")] });
  assertEquals(catalog.listLevels().map(({ overlapping }) => overlapping), [true, true]);
  assertEquals(ids(catalog.overlapping({ from: key("e"), to: key("e") })), [3, 2, 4]);
  assertEquals(ids(catalog.overlapping({ from: key("y") })), [3]);
  const { catalog: strict, manifest } = await openLsm(crashed(medium));
  assertEquals(ids(strict.overlapping({ from: key("e"), to: key("e") })), [3, 2, 4]);
  assertEquals(await codeOf(() => strict.addSst(sst(6, 1, "y", "y"))), "LEVEL_OVERLAP");
  await strict.addSst(sst(6, 1, "zz"));
  assertEquals(ids(strict.overlapping({ from: key("zz"), to: key("zz") })), [6]);
  // Empty once, a level is sorted again.
  await strict.applyCompaction({ added: [sst(7, 1, "a", "b"), sst(8, 1, "c", "d")], removed: [1, 2, 3, 6] });
  assertEquals(strict.listLevels()[0], { level: 1, ssts: 2, sizeBytes: 0, entries: 0, overlapping: true });
  await strict.applyCompaction({ removed: [7, 8] });
  await strict.applyCompaction({ added: [sst(9, 1, "a", "b"), sst(10, 1, "c", "d")] });
  assertEquals(strict.listLevels()[0]!.overlapping, false);
  await manifest.close();
});

test("LsmCatalog levels: a query in a sorted level looks at its result and one more, whatever the number of tables", async () => {
  const { catalog, manifest } = await openLsm();
  const { edit } = catalog.stats();
  const name = (n: number): string => `k${String(n).padStart(6, "0")}`;
  const TABLES = 20_000;
  for (let from = 0; from < TABLES; from += 5_000) {
    const change = catalog.edit();
    for (let n = from; n < from + 5_000; n++) change.addSst(sst(n + 1, 1, name(n * 10), name(n * 10 + 8)));
    await change.commit();
  }
  assertEquals([catalog.countSsts(), catalog.stats().edit], [TABLES, edit + 4]);
  let looked = 0;
  const { get } = manifest;
  Object.defineProperty(manifest, "get", {
    configurable: true,
    value: (table: unknown, ...rest: unknown[]) => {
      if (table === lsmSsts) looked++;
      return get.call(manifest, table as never, ...rest as [never]);
    },
  });
  for (const n of [0, 1, 777, 12_345, TABLES - 1]) {
    looked = 0;
    assertEquals(query(catalog, key(name(n * 10 + 3)), key(name(n * 10 + 5))), [n + 1]);
    assertLessOrEqual(looked, 2);
    looked = 0;
    assertEquals(query(catalog, key(name(n * 10 + 9)), key(name(n * 10 + 9))), []); // in no table
    assertLessOrEqual(looked, 1);
  }
  looked = 0;
  assertEquals(query(catalog, key(name(50_005)), key(name(50_105))).length, 11);
  assertLessOrEqual(looked, 12);
  await manifest.close();
});

/** A key of few letters, short or long. */
function drawKey(random: Random): Uint8Array {
  const length = random.chance(0.1) ? random.between(380, 390) : random.int(4);
  return Uint8Array.from({ length }, () => random.chance(0.9) ? 0 : random.int(3));
}

for (const [seed, allowOverlaps] of [[11, false], [12, true]] as const) {
  test(`LsmCatalog levels: queries agree with a scan of everything, ${allowOverlaps ? "overlaps allowed" : "levels sorted"}, seed ${seed}`, async () => {
    const random = seeded(seed);
    const { catalog, manifest } = await openLsm(new Medium(), { allowOverlaps });
    let refused = 0;
    let found = 0;
    for (let step = 0; step < 150; step++) {
      const [minKey, maxKey] = [drawKey(random), drawKey(random)].sort(compare) as [Uint8Array, Uint8Array];
      const added = [{ id: catalog.peekNextSstId(), level: random.int(4), minKey, maxKey }];
      const removed = random.chance(0.3) ? ids(catalog.listSsts()).filter(() => random.chance(0.2)) : [];
      try {
        await catalog.applyCompaction({ added, removed });
      } catch (error) {
        if ((error as { code?: string }).code !== "LEVEL_OVERLAP") throw error;
        refused++;
        const clash = catalog.listSsts({ level: added[0]!.level }).filter(({ id }) => !removed.includes(id))
          .filter((one) => compare(one.minKey, maxKey) <= 0 && compare(one.maxKey, minKey) >= 0);
        assert(clash.length > 0 && added[0]!.level > 0, `seed ${seed}, step ${step}: refused without a reason`);
      }
      for (let i = 0; i < 4; i++) {
        const bounds = [drawKey(random), drawKey(random)].sort(compare);
        const from = random.chance(0.8) ? bounds[0] : undefined;
        const to = random.chance(0.8) ? bounds[1] : undefined;
        const levels = random.chance(0.5) ? undefined : [random.int(4), random.int(5)];
        const expected = scanned(catalog, from, to, levels);
        assertEquals(query(catalog, from, to, levels), expected, `seed ${seed}, step ${step}`);
        found += expected.length;
      }
    }
    const all = catalog.listSsts();
    for (const level of catalog.listLevels()) {
      const own = all.filter((one) => one.level === level.level);
      const sorted = own.sort((a, b) => compare(a.minKey, b.minKey));
      const overlap = sorted.some((one, i) => sorted.slice(i + 1).some((other) => compare(other.minKey, one.maxKey) <= 0));
      assertEquals(level.ssts, own.length);
      if (!allowOverlaps && level.level > 0) assert(!overlap && !level.overlapping);
      if (overlap) assert(level.overlapping, `level ${level.level}`);
    }
    assert(found > 200 && (allowOverlaps ? refused === 0 : refused > 10), `${found} found, ${refused} refused`);
    await manifest.close();
  });
}
