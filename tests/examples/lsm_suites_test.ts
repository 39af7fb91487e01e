// The suites of the source engines that are about crashes, log sequence numbers, files, segments and versions, on the example engine over the catalog. Each test's name ends with those of the suites or tests that it stands for; docs/lsm.md has
// the table. tests/stages/lsm.ts goes through all crash points with many images each; here each is visited with what a killed process leaves and with what a power cut leaves of it when nothing unsynced lands.
import { assert, assertEquals, assertGreater, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { Manifest, memoryStorage } from "@waybill/manifest";
import { type Folder, memoryFolder } from "@waybill/manifest/files";
import { Engine } from "../../examples/lsm/engine.ts";
import { listFiles, nameOf } from "../../examples/lsm/file_names.ts";
import type { EngineOptions } from "../../examples/lsm/options.ts";
import { test } from "../support/harness.ts";
import { bytesOf, contentOf, SMALL, stringOf } from "../support/lsm/engines.ts";
import { judge, type Looks, type Verdict } from "../support/lsm/judge.ts";
import { LsmSubject, type Phase } from "../support/lsm/subject.ts";
import { seeded } from "../support/random.ts";
import { WrappedFolder } from "../support/wrapped_folder.ts";

const PLAIN: Looks = { before: true, goesOn: false, twice: false, nested: 0 };

function newSubject(seed: number): LsmSubject {
  return new LsmSubject(seeded(seed), { bytes: new Uint8Array(0), tree: undefined, writes: [] }, 512);
}

/** Crashes behind every call of a phase: once with everything in place, as a kill leaves it, once with nothing that no sync covers. */
async function* crashesIn(subject: LsmSubject, phase: Phase, looks: Looks = PLAIN): AsyncGenerator<Verdict> {
  for (const { machine, history, phases } of subject.segments) {
    const moments = machine.moments();
    for (let at = 1; at < moments.length; at++) {
      if (phases[at - 1] !== phase) continue;
      let left = 2;
      for (const image of machine.crashes(moments[at]!, seeded(at))) {
        yield await judge(image, history, history.bounds(at), looks);
        if (--left === 0) break;
      }
    }
  }
}

/** An engine in memory. */
async function inMemory(
  folder: Folder = memoryFolder(),
  options: Partial<EngineOptions> = {},
): Promise<{ manifest: Manifest; folder: Folder; engine: Engine }> {
  const manifest = await Manifest.open(memoryStorage(), { create: true, idleCheckpoint: 0 });
  return { manifest, folder, engine: await reopen(manifest, folder, options) };
}

function reopen(manifest: Manifest, folder: Folder, options: Partial<EngineOptions> = {}): Promise<Engine> {
  return Engine.open({ manifest, folder, ...SMALL, automatic: false, ...options });
}

async function put(engine: Engine, pairs: Readonly<Record<string, string | undefined>>): Promise<void> {
  for (const [key, value] of Object.entries(pairs)) {
    await (value === undefined ? engine.delete(bytesOf(key)) : engine.put(bytesOf(key), bytesOf(value)));
  }
}

async function get(engine: Engine, key: string): Promise<string | undefined> {
  const value = await engine.get(bytesOf(key));
  return value && stringOf(value);
}

const namesIn = async (folder: Folder): Promise<string[]> => (await folder.list("")).map(({ name }) => name).sort();

test("lsm engine: a crash at any call of a flush: what was begun is deleted, frozen entries and deletions are found again: crash_flush", async () => {
  const subject = newSubject(1);
  await subject.open();
  await subject.writeSome(10, 2, 0);
  await subject.flush();
  await subject.writeSome(12, 3, 0.6); // deletes what is in the table
  await subject.flush();
  await subject.close();
  const seen = { recovered: 0, orphans: 0, both: 0, done: 0 };
  for await (const { report: { replayed, orphans } } of crashesIn(subject, "flush")) {
    if (replayed > 0) seen.recovered++;
    if (orphans > 0) seen.orphans++;
    if (replayed > 0 && orphans > 0) seen.both++; // a table was written, whole or in part, and not committed
    if (replayed + orphans === 0) seen.done++;
  }
  for (const [what, count] of Object.entries(seen)) assertGreater(count, 1, what);
});

test("lsm engine: a crash at any call of a compaction: the old tables or the new ones, never a part of both: crash_compaction", async () => {
  const subject = newSubject(2);
  await subject.open();
  await subject.fill(3, 10);
  await subject.compact();
  await subject.fill(2, 10);
  await subject.compact(true);
  await subject.close();
  let orphans = 0, points = 0;
  for await (const { report } of crashesIn(subject, "compaction")) {
    assertEquals(report.replayed, 0); // a compaction takes no entry from the log
    points++;
    if (report.orphans > 0) orphans++;
  }
  assertGreater(points, 40);
  assertGreater(orphans, 10);
});

test("lsm engine: a crash at any call of an opening, and at any of the opening behind it, changes nothing that was there: crash_recovery", async () => {
  const subject = newSubject(3);
  await subject.open();
  await subject.fill(1);
  await subject.writeSome(7, 2);
  await subject.close();
  await subject.open();
  await subject.writeSome(3);
  let nested = 0, replayed = 0, number = 0;
  for await (const verdict of crashesIn(subject, "writing", { ...PLAIN, nested: 1 })) {
    nested += verdict.nested;
    if (verdict.report.replayed > 0) replayed++;
    if (++number === 4) break;
  }
  for await (const verdict of crashesIn(subject, "opening", { ...PLAIN, nested: 1 })) {
    nested += verdict.nested;
    if (++number === 7) break;
  }
  assertGreater(nested, 60);
  assertGreater(replayed, 1);
});

test("lsm engine: 2, 3 and 5 crashes in a row, each within writes and a flush: multi_crash", async () => {
  for (const crashes of [2, 3, 5]) {
    const subject = newSubject(40 + crashes);
    for (let life = 0; life < crashes; life++) {
      await subject.open(); // compares everything
      await subject.writeSome(8, 3);
      const begun = [subject.writeAny(), subject.flush(), subject.writeAny()];
      for (let turn = 10 * life; turn > 0; turn--) await undefined;
      await subject.powerCut();
      await Promise.allSettled(begun);
    }
    await subject.open();
    assertEquals(subject.segments.length, crashes + 1);
    assertGreaterOrEqual(subject.history.length, 8 * crashes);
    await subject.compact(true);
    await subject.close();
  }
});

test("lsm engine: behind a crash at any call the next write has the next number, and none is given twice: lsn_crash", async () => {
  const subject = newSubject(5);
  await subject.open();
  await subject.writeSome(5, 2);
  await subject.flush();
  await subject.compact(true);
  await subject.writeSome(3, 1);
  let points = 0;
  for (const phase of ["writing", "flush", "compaction"] as const) {
    // Going on holds the numbers of further writes against those that were found.
    for await (const _verdict of crashesIn(subject, phase, { ...PLAIN, goesOn: true })) points++;
  }
  assertGreater(points, 45);
});

test("lsm engine: numbers go on without a gap over closes, empty memtables, flushes, compactions and deletions of everything: lsn_continuity", async () => {
  const { manifest, folder, engine: first } = await inMemory();
  let engine = first;
  let count = 0;
  for (let round = 0; round < 8; round++) {
    assertEquals(engine.lastLsn, count, `round ${round}`);
    for (let n = 0; n < 3 + round; n++) {
      await put(engine, { [`key ${n}`]: round % 3 === 2 ? undefined : `${round}` });
      assertEquals(engine.lastLsn, ++count);
    }
    if (round % 2 === 0) await engine.flush();
    if (round % 2 === 0) assertEquals(engine.catalog.getLastLsn(), count);
    if (round % 4 === 2) await engine.compact({ all: true });
    await engine.flush(); // with nothing in memory as well
    const before = engine.catalog.getLastLsn();
    await engine.close();
    engine = await reopen(manifest, folder);
    assertGreaterOrEqual(engine.catalog.getLastLsn(), before);
    assertEquals(engine.catalog.getLastLsn(), count);
  }
  await put(engine, Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`key ${n}`, undefined])));
  await engine.compact({ all: true });
  await engine.flush();
  await engine.compact({ all: true });
  assertEquals([await contentOf(engine), engine.lastLsn], ["", count + 10]);
  await engine.close();
  engine = await reopen(manifest, folder);
  assertEquals(engine.lastLsn, count + 10);
  await engine.close();
  await manifest.close();
});

test("lsm engine: segments go behind their flush, tables behind their compaction, held ones when they are let go, and nothing else: file_cleanup", async () => {
  let failing = false;
  class Sticky extends WrappedFolder {
    override remove(path: string): Promise<boolean> {
      return failing ? Promise.reject(new Error("it cannot be removed")) : super.remove(path);
    }
  }
  const folder = new Sticky(memoryFolder());
  for (const name of ["LOCK", "000001.sst.tmp", "1.sst", "notes"]) await (await folder.create(name)).close();
  const strangers = await namesIn(folder);
  const own = async (): Promise<string[]> => (await namesIn(folder)).filter((name) => !strangers.includes(name));
  const { manifest, engine } = await inMemory(folder);
  assertEquals(await own(), ["000001.wal"]);
  await put(engine, { a: "1", b: "2" });
  await engine.flush();
  assertEquals(await own(), ["000001.sst", "000002.wal"]);
  await put(engine, { a: "3", c: "4" });
  await engine.flush();
  const view = engine.view();
  const before = await own();
  await engine.compact({ all: true });
  assertEquals((await own()).filter((name) => before.includes(name)), before); // the view reads them
  assertEquals(await contentOf(view), await contentOf(engine));
  view.close();
  await engine.compact();
  assertEquals((await own()).filter((name) => name.endsWith(".sst")).length, 1);
  // A deletion that fails is told; the next opening does it.
  await put(engine, { d: "5" });
  failing = true;
  await assertRejects(() => engine.flush(), Error, "cannot be removed");
  failing = false;
  assertEquals((await own()).filter((name) => name.endsWith(".wal")).length, 2);
  // Meanwhile a table that nobody has committed, and a segment that nobody has named.
  const id = await engine.catalog.allocateSstId();
  await (await folder.create(nameOf({ kind: "sst", id }))).close();
  await (await folder.create(nameOf({ kind: "wal", id: engine.catalog.peekNextWalId() }))).close();
  await manifest.checkpoint();
  const again = await reopen(manifest, folder);
  const { catalog } = again;
  // The process that opens may still be writing the table, as far as the catalog knows; the segment had no entries.
  assertEquals((await catalog.orphans(await listFiles(folder))).underWay.map(({ file }) => file), [{ kind: "sst", id }]);
  const named = [...catalog.listSsts().map(({ id }) => nameOf({ kind: "sst", id })), nameOf({ kind: "wal", id: catalog.getActiveWal() })];
  assertEquals(await own(), [...named, nameOf({ kind: "sst", id })].sort());
  assertEquals((await namesIn(folder)).filter((name) => strangers.includes(name)), strangers);
  await again.close();
  await manifest.close();
});

test("lsm engine: one segment answers: s1_single_segment_get", async () => {
  const { manifest, engine } = await inMemory();
  await put(engine, { a: "1", b: "2" });
  await engine.flush();
  assertEquals([engine.catalog.countSsts(), await get(engine, "a"), await get(engine, "b"), await get(engine, "c")], [
    1,
    "1",
    "2",
    undefined,
  ]);
  await engine.close();
  await manifest.close();
});

test("lsm engine: each flush makes a table, and all of them are merged, the newest version first: s2_multiple_flushes_create_multiple_segments, s3_merge_all_distinct_keys_across_segments, s3_merge_newest_version_wins", async () => {
  const { manifest, engine } = await inMemory();
  for (let round = 1; round <= 3; round++) {
    await put(engine, { [`own ${round}`]: `${round}`, shared: `${round}` });
    await engine.flush();
    assertEquals(engine.catalog.countSsts(), round);
  }
  assertEquals(await contentOf(engine), "own 1=1\nown 2=2\nown 3=3\nshared=3\n");
  assertEquals(await get(engine, "shared"), "3");
  await put(engine, { shared: undefined });
  await engine.flush();
  assertEquals([await get(engine, "shared"), await contentOf(engine)], [undefined, "own 1=1\nown 2=2\nown 3=3\n"]);
  await engine.close();
  await manifest.close();
});

test("lsm engine: the manifest alone says which tables there are when it is opened again, compactions included: s4_manifest_records_and_recovers, s5_compaction_merges_to_one_segment, s5_compaction_dedups_same_key", async () => {
  const { manifest, folder, engine } = await inMemory(undefined, { tableBytes: 1 << 20 });
  for (let round = 1; round <= 3; round++) {
    await put(engine, { [`own ${round}`]: `${round}`, shared: `${round}` });
    await engine.flush();
  }
  const tables = engine.catalog.listSsts();
  await engine.close();
  let again = await reopen(manifest, folder, { tableBytes: 1 << 20 });
  assertEquals(again.catalog.listSsts(), tables);
  await again.compact({ all: true });
  const content = "own 1=1\nown 2=2\nown 3=3\nshared=3\n";
  const [merged] = again.catalog.listSsts();
  assertEquals([again.catalog.countSsts(), merged!.entries, await contentOf(again)], [1, 4, content]);
  await again.close();
  again = await reopen(manifest, folder);
  assertEquals([again.catalog.listSsts(), await contentOf(again)], [[merged], content]);
  await again.close();
  await manifest.close();
});

test("lsm engine: compactions change no answer, whatever was written, deleted and written again, and keep a deletion for as long as something is below it: test_compaction_integrity", async () => {
  const random = seeded(61);
  const model = new Map<string, string>();
  const { manifest, folder, engine: first } = await inMemory();
  let engine = first;
  for (let round = 0; round < 24; round++) {
    for (let n = 0; n < 12; n++) {
      const key = `key ${random.int(50)}`;
      const value = random.chance(0.35) ? undefined : `${round} ${random.letters(random.int(40))}`;
      await put(engine, { [key]: value });
      if (value === undefined) model.delete(key);
      else model.set(key, value);
    }
    await engine.flush();
    const before = await contentOf(engine);
    await engine.compact({ all: round % 7 === 6 });
    assertEquals(await contentOf(engine), before, `round ${round}`);
    const expected = [...model].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => `${key}=${value}\n`).join("");
    assertEquals(before, expected, `round ${round}`);
    if (round % 6 === 5) {
      await engine.close();
      engine = await reopen(manifest, folder);
    }
  }
  assertGreater(engine.catalog.listLevels().length, 0);
  await put(engine, Object.fromEntries([...model.keys()].map((key) => [key, undefined])));
  await engine.flush();
  await engine.compact({ all: true });
  assertEquals([await contentOf(engine), engine.catalog.countSsts()], ["", 0]); // in the lowest level deletions go too
  await engine.close();
  await manifest.close();
});

test("lsm engine: writes are whole, in order, isolated from readers and there behind a power cut once they are acknowledged: acid_test", async () => {
  const subject = newSubject(7);
  await subject.open();
  for (let round = 0; round < 4; round++) {
    await subject.writeSome(6, 3);
    subject.pin(); // sees what it saw, whatever comes
    await subject.flush();
    await subject.check();
  }
  await subject.compact(true);
  await subject.check();
  assertGreaterOrEqual(subject.readersChecked, 10);
  const acknowledged = subject.history.length;
  await subject.powerCut();
  assertEquals(subject.history.length, acknowledged); // none lost, and none there that was not begun
  await subject.open();
  await subject.close();
});

test("lsm engine: behind a crash there is the newest version of every key and no other, and versions that were held keep nothing: test_mvcc_recovery", async () => {
  const subject = newSubject(8);
  await subject.open();
  for (let version = 1; version <= 5; version++) {
    await subject.during("writing", async () => {
      for (const key of ["key 00", "key 01", "key 02"]) {
        await subject.write(key, version === 4 && key === "key 01" ? undefined : `v${version}`);
      }
    });
    subject.pin();
    if (version % 2 === 1) await subject.flush();
  }
  await subject.compact(true); // what the readers hold stays
  const held = subject.engine.catalog.listObsolete().length;
  assert(held > 0);
  await subject.powerCut();
  await subject.open(); // what nobody holds any more is deleted, and all is compared
  assertEquals([subject.engine.catalog.listObsolete(), await contentOf(subject.engine)], [[], "key 00=v5\nkey 01=v5\nkey 02=v5\n"]);
  await subject.close();
});
