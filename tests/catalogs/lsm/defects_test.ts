// What the source system's manifest gets wrong, by its number in the inventory: each test fails on a catalog that does the same. And the two items of the test list that are about catalogs.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { META_BYTES } from "../../../assembly/format.ts";
import { type FileRef, LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";
import { crashed, ids, lastGroup, Medium, openLsm, sst, stateOf, tornAt } from "./lsm.ts";

/** A closed catalog with tables, and everything that its state says. */
async function closedCatalog(): Promise<{ medium: Medium; state: Record<string, unknown> }> {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  for (let id = 1; id <= 30; id++) await catalog.addSst(sst(await catalog.allocateSstId(), id % 3, `k${100 + id}`));
  await catalog.edit().rotateWal(1).rotateWal(2).removeSst(3).updateLsn(99).commit();
  const state = stateOf(catalog);
  await manifest.compact();
  await manifest.close();
  return { medium, state };
}

test("LsmCatalog defect 3.3.1: a flipped byte anywhere in the file leaves the state whole or is an error; nothing is told to be deleted", async () => {
  const { medium, state } = await closedCatalog();
  const bytes = medium.file.bytes();
  const live = new Set([...ids(state.ssts as { id: number }[]), 3]);
  const codes = new Map<string, number>();
  let whole = 0;
  for (let at = 13; at < bytes.length; at += 1021) {
    const damaged = crashed(medium);
    damaged.file.write(at, Uint8Array.of(bytes[at]! ^ 0xff));
    try {
      const { catalog, manifest } = await openLsm(damaged);
      assertEquals(stateOf(catalog), state, `byte ${at}`);
      whole++;
      try {
        const { orphans } = await catalog.orphans([...live, 31, 32]);
        assertEquals(orphans, [], `byte ${at}`);
      } catch (error) {
        assertEquals((error as { code?: string }).code, "ORPHANS_REFUSED", `byte ${at}`);
        codes.set("ORPHANS_REFUSED", (codes.get("ORPHANS_REFUSED") ?? 0) + 1);
      }
      await manifest.close();
    } catch (error) {
      const { code = "none" } = error as { code?: string };
      assert(/^(CORRUPT_|NOT_A_MANIFEST|FORMAT_|TRUNCATED)/.test(code), `byte ${at}: ${code} ${error}`);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  }
  console.log(`${whole} whole, ${JSON.stringify([...codes])}`);
  assertGreater(whole, 100);
  assert(codes.has("CORRUPT_PAGE") && codes.has("ORPHANS_REFUSED"), JSON.stringify([...codes]));
});

test("LsmCatalog defect 3.3.2: what is committed behind a torn end is found again (append_after_truncation_recovers_prior_records)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.checkpoint();
  await catalog.addSst(sst(1));
  const group = await lastGroup(medium, () => catalog.addSst(sst(2, 0, "a", "b".repeat(5_000))));
  let torn = 0;
  for (let length = 0; length < group.bytes.length; length += 509) {
    let state = tornAt(group, length);
    const expected: number[] = [];
    for (let life = 0; life < 3; life++) {
      const { catalog: again, manifest } = await openLsm(state);
      if (manifest.recovery.cut !== undefined) torn++;
      if (life === 0) expected.push(...ids(again.listSsts()));
      assertEquals(ids(again.listSsts()), expected, `cut at ${length}, life ${life}`);
      const id = await again.allocateSstId();
      await again.addSst(sst(id));
      expected.push(id);
      state = crashed(state); // and dies
    }
  }
  assertGreater(torn, 1);
});

test("LsmCatalog defect 3.3.3: what the process shows is what the file says, whatever runs at once", async () => {
  for (const seed of [1, 2, 3]) {
    const random = seeded(seed);
    const medium = new Medium();
    const { catalog, manifest } = await openLsm(medium);
    const work: Promise<unknown>[] = [];
    for (let i = 0; i < 120; i++) {
      const id = random.int(12);
      const kind = random.int(6);
      if (kind === 0) work.push(catalog.setVersion(i));
      else if (kind === 1) work.push(catalog.setActiveWal(i));
      else if (kind === 2) work.push(catalog.addSst(sst(i, 1, `k${i + 1000}`)));
      else if (kind === 3) work.push(catalog.removeSst(id));
      else if (kind === 4) work.push(catalog.updateLsn(1000 - i));
      else work.push(catalog.addFrozenWal(1000 + i));
      if (random.chance(0.1)) await Promise.resolve();
    }
    await Promise.all(work);
    // Replayed from the journal, in the order of the log.
    const { catalog: replayed } = await openLsm(crashed(medium));
    assertEquals(stateOf(replayed), stateOf(catalog), `seed ${seed}`);
    // And the last change of the log that says a scalar says the one that is shown.
    const last = manifest.getChange(manifest.latestChangeSequence())!.operations.find((one) =>
      one.op === "put" && one.table === "lsm_state"
    );
    const { version, lastLsn } = (last as unknown as { value: { version: number; lastLsn: number } }).value;
    assertEquals([version, lastLsn], [catalog.getVersion(), catalog.getLastLsn()], `seed ${seed}`);
    await manifest.close();
  }
});

test("LsmCatalog defect 3.3.4: a clean end of the log, a torn one and a damaged one are told apart", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.checkpoint();
  const writes: { at: number; length: number }[] = [];
  const { file } = medium;
  const { write } = file;
  file.write = (at, from) => {
    writes.push({ at, length: from.length });
    write.call(file, at, from);
  };
  for (let i = 1; i <= 4; i++) await catalog.addSst(sst(i, 0, "a", "b".repeat(9_000)));
  file.write = write;
  const groups = writes.filter(({ length }) => length > 4096); // those of 4,096 bytes are pages
  assertEquals(groups.length, 4);
  const spoilt = (group: { at: number; length: number }): Medium => {
    const damaged = crashed(medium);
    damaged.file.write(group.at, new Uint8Array(group.length).fill(0x33));
    return damaged;
  };
  const clean = await openLsm(crashed(medium));
  assertEquals([clean.manifest.recovery.cut, clean.manifest.recovery.groups, clean.catalog.countSsts()], [undefined, 4, 4]);
  const torn = crashed(medium);
  torn.file.write(groups[3]!.at + 4096, new Uint8Array(groups[3]!.length - 4096));
  const last = await openLsm(torn);
  assertEquals([last.manifest.recovery.cut !== undefined, last.catalog.countSsts()], [true, 3]);
  const damaged = spoilt(groups[1]!);
  const bytes = damaged.file.bytes();
  assertEquals(await codeOf(() => openLsm(damaged)), "CORRUPT_JOURNAL");
  assertEquals(damaged.file.bytes(), bytes);
});

test("LsmCatalog defect 3.3.5: a file that is shorter than its head is an error like any other that is cut short, and one without bytes is none", async () => {
  const { medium } = await closedCatalog();
  const bytes = medium.file.bytes();
  for (const length of [1, 19, 20, 4095, META_BYTES - 1, META_BYTES, META_BYTES + 4096]) {
    const cut = new Medium();
    cut.file.write(0, bytes.subarray(0, length));
    const code = await codeOf(() => openLsm(cut));
    assert(["TRUNCATED", "CORRUPT_HEADER", "NOT_A_MANIFEST"].includes(code), `${length} bytes: ${code}`);
    assertEquals(await codeOf(() => openLsm(cut)), code); // it stays what it is
  }
  assertEquals(await codeOf(() => openLsm(new Medium(), {}, { create: false })), "EMPTY_FILE");
  assertEquals((await openLsm(new Medium())).catalog.opening.created, true);
});

test("item 20: ids and log sequence numbers of an LSM catalog rise over 2, 3 and 5 crashes, and none is given twice", async () => {
  for (const crashes of [2, 3, 5]) {
    const random = seeded(2000 + crashes);
    let medium = new Medium();
    const given = new Set<number>();
    let last = 0, lsn = 0, wal = 0;
    for (let life = 0; life <= crashes; life++) {
      const { catalog } = await openLsm(medium);
      assertEquals([catalog.getLastLsn(), catalog.peekNextSstId()], [lsn, last + 1], `life ${life} of ${crashes}`);
      for (let i = 0; i < 20; i++) {
        const several = await catalog.allocateSstIds(1 + random.int(3));
        for (const id of several) {
          assert(id > last && !given.has(id), `life ${life} of ${crashes}: ${id} behind ${last}`);
          given.add(id);
          last = id;
        }
        // The files of some are lost with the crash; their ids are not given out again.
        if (random.chance(0.5)) await catalog.addSst(sst(several[0]!));
        lsn += random.int(5);
        await catalog.updateLsn(lsn);
        await catalog.updateLsn(random.int(lsn + 1));
        const next = await catalog.rotateWal();
        assert(next > wal);
        wal = next;
        if (random.chance(0.1)) await catalog.checkpoint();
      }
      medium = crashed(medium);
    }
  }
});

test("item 33: orphans are a report, and are refused when the catalog is empty or the manifest damaged while there are files", async () => {
  const folder: FileRef[] = Array.from({ length: 30 }, (_, i) => ({ kind: "sst", id: i + 1 }));
  const { medium } = await closedCatalog();
  const { catalog, manifest } = await openLsm(crashed(medium));
  const { orphans, named } = await catalog.orphans(folder);
  assertEquals([orphans, named], [[], 30]); // one of them is to be deleted, and not forgotten
  await catalog.forget(await catalog.deletable());
  assertEquals((await catalog.orphans(folder)).orphans, [{ file: { kind: "sst", id: 3 } }]); // said to be deleted, and still there
  await manifest.close();
  const before = medium.file.bytes();
  const empty = await openLsm(new Medium());
  assertEquals(await codeOf(() => empty.catalog.orphans(folder)), "ORPHANS_REFUSED");
  const wrong = await LsmCatalog.open((await openLsm(crashed(medium))).manifest, { name: "another" });
  assertEquals(await codeOf(() => wrong.orphans(folder)), "ORPHANS_REFUSED");
  let refused = 0;
  for (let slot = 0; slot < META_BYTES; slot += 4096) {
    const damaged = crashed(medium);
    damaged.file.write(slot + 500, new Uint8Array(100).fill(1));
    const opened = await openLsm(damaged);
    if (await codeOf(() => opened.catalog.orphans(folder)).catch(() => "") === "ORPHANS_REFUSED") refused++;
  }
  assertGreater(refused, 0);
  assertEquals(medium.file.bytes(), before);
});
