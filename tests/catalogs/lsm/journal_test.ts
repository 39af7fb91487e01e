// The tests of the source system's write-ahead log that have a meaning for a catalog in a manifest, each with its name at the end of ours: what is committed is found again, and what is torn or damaged is cut, mended or
// named. Those of rotation are about the segments that the catalog names.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { META_BYTES } from "../../../assembly/format.ts";
import type { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { crashed, ids, lastGroup, Medium, openLsm, sst, stateOf, tornAt } from "./lsm.ts";

type State = Record<string, unknown>;

/** The state that a file opens with, after a crash. */
async function stateIn(medium: Medium): Promise<State> {
  const { catalog, manifest } = await openLsm(crashed(medium));
  const state = stateOf(catalog);
  await manifest.close();
  return state;
}

test("LsmCatalog journal: one event is found again (one_append_and_replay)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.checkpoint();
  await catalog.addSst(sst(1));
  const { manifest, catalog: again } = await openLsm(crashed(medium));
  assertEquals([manifest.recovery.frames, ids(again.listSsts())], [1, [1]]);
});

test("LsmCatalog journal: 500 events are found again, in their order (many_appends_and_replay)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let i = 1; i <= 500; i++) {
    if (i % 5 === 0) await catalog.removeSst(i - 2);
    else await catalog.addSst(sst(i, 0, `k${i}`));
  }
  assertEquals(await stateIn(medium), stateOf(catalog));
  assertEquals(catalog.countSsts(), 300);
});

test("LsmCatalog journal: empty behind a checkpoint (append_replay_and_truncate, empty_wal_replay_yields_nothing)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let i = 1; i <= 20; i++) await catalog.addSst(sst(i));
  await catalog.checkpoint();
  const { manifest, catalog: again } = await openLsm(crashed(medium));
  assertEquals([manifest.recovery.frames, manifest.recovery.groups, manifest.recovery.cut], [0, 0, undefined]);
  assertEquals(stateOf(again), stateOf(catalog));
});

test("LsmCatalog journal: written, freed, written again, over many rounds (full_cycle_write_truncate_rewrite)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < 30; i++) await catalog.edit().addSst(sst(catalog.peekNextSstId())).updateLsn(round * 100 + i).commit();
    await catalog.applyCompaction({ removed: ids(catalog.listSsts()).slice(0, 25) });
    if (round % 3 > 0) await catalog.checkpoint();
    assertEquals(await stateIn(medium), stateOf(catalog), `round ${round}`);
  }
});

test(
  "LsmCatalog journal: a torn last commit is whole or not there, whatever was written of it (mid_length_field, mid_payload, missing_checksum, " +
    "partial_checksum, truncated_payload_during_replay, truncated_checksum_during_replay, to_header_only, second_record_first_survives)",
  async () => {
    const medium = new Medium();
    const { catalog } = await openLsm(medium);
    await catalog.checkpoint();
    await catalog.addSst(sst(1));
    const without = stateOf(catalog);
    const group = await lastGroup(medium, () => catalog.addSst(sst(2, 1, "a", "b".repeat(5_000))));
    const whole = stateOf(catalog);
    assertGreater(group.bytes.length, 8_000);
    const seen = new Map<string, number>();
    const lengths = new Set<number>([0, 1, 2, 3, 4, group.bytes.length - 1, group.bytes.length]);
    for (let length = 7; length < group.bytes.length; length += 311) lengths.add(length);
    for (const length of lengths) {
      const { catalog: read, manifest } = await openLsm(tornAt(group, length));
      const state = JSON.stringify(stateOf(read));
      assert(state === JSON.stringify(without) || state === JSON.stringify(whole), `cut at ${length}`);
      const what = state === JSON.stringify(whole) ? "whole" : "not there";
      seen.set(what, (seen.get(what) ?? 0) + 1);
      // Whoever was not told that it is durable is told so, or that it is not: a torn end is reported.
      if (length > 4096 && what === "not there") assert(manifest.recovery.cut !== undefined, `cut at ${length}`);
      await manifest.close();
    }
    assert(seen.get("whole")! > 0 && seen.get("not there")! > 10, JSON.stringify([...seen]));
  },
);

test("LsmCatalog journal: a damaged last commit leaves those before it (partial_replay_after_last_record_corrupted)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.checkpoint();
  for (let i = 1; i <= 5; i++) await catalog.addSst(sst(i));
  const without = stateOf(catalog);
  const { at, bytes } = await lastGroup(medium, () => catalog.addSst(sst(6, 0, "a", "z".repeat(5_000))));
  const damaged = crashed(medium);
  damaged.file.write(at, new Uint8Array(bytes.length - 4096).fill(0x5a)); // more than parity mends
  const { catalog: read, manifest } = await openLsm(damaged);
  assertEquals(stateOf(read), without);
  assert(manifest.recovery.cut !== undefined);
});

test(
  "LsmCatalog journal: a flipped bit in any block of it is mended, and the state is never another one (corrupted_header_checksum, " +
    "corrupted_record_length, corrupted_record_data, corrupted_record_data_checksum, record_crc_mismatch_during_replay)",
  async () => {
    const medium = new Medium();
    const { catalog } = await openLsm(medium);
    await catalog.checkpoint();
    const states: string[] = [JSON.stringify(stateOf(catalog))];
    const before = medium.file.bytes();
    for (let i = 1; i <= 12; i++) {
      await catalog.edit().addSst(sst(i, 1, `k${i}`)).updateLsn(i).commit();
      states.push(JSON.stringify(stateOf(catalog)));
    }
    const bytes = medium.file.bytes();
    let mended = 0, cut = 0;
    for (let block = META_BYTES; block < bytes.length; block += 4096) {
      if (bytes.subarray(block, block + 4096).every((byte, i) => byte === before[block + i])) continue;
      for (const offset of [5, 17, 40, 200, 4095]) {
        const damaged = crashed(medium);
        damaged.file.write(block + offset, Uint8Array.of(bytes[block + offset]! ^ 0x10));
        try {
          const { catalog: read, manifest } = await openLsm(damaged);
          const at = states.indexOf(JSON.stringify(stateOf(read)));
          assert(at >= 0, `block at ${block}, byte ${offset}: a state that never was`);
          if (manifest.recovery.rebuilt.length > 0) mended++;
          // One damaged block takes nothing that was acknowledged.
          assertEquals(at, states.length - 1, `block at ${block}, byte ${offset}`);
          if (manifest.recovery.cut !== undefined) cut++;
          await manifest.close();
        } catch (error) {
          assert(error instanceof Error && "code" in error, String(error));
        }
      }
    }
    assert(mended > 10 && cut === 0, `${mended} mended, ${cut} cut`);
  },
);

test("LsmCatalog journal: 200 commits at once are all found again (concurrent_append_all_records_survive)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  const work: Promise<unknown>[] = [];
  for (let i = 1; i <= 200; i++) work.push(i % 4 === 0 ? catalog.addFrozenWal(i) : catalog.addSst(sst(i, 0, `k${i}`)));
  await Promise.all(work);
  assertEquals([catalog.countSsts(), catalog.getFrozenWals().length], [150, 50]);
  assertEquals(await stateIn(medium), stateOf(catalog));
});

test(
  "LsmCatalog journal: what is too large is refused, and what comes behind it is not (append_record_too_large, " +
    "max_record_size_rejects_oversized_record, rotation_preserves_max_record_size)",
  async () => {
    const medium = new Medium();
    const { catalog, manifest } = await openLsm(medium, {}, { maxTransactionBytes: 16_384 });
    const state = stateOf(catalog);
    assertEquals(await codeOf(() => catalog.addSst(sst(1, 0, "a", "z".repeat(20_000)))), "LIMIT");
    assertEquals(stateOf(catalog), state);
    await catalog.rotateWal();
    assertEquals(await codeOf(() => catalog.addSst(sst(1, 0, "a", "z".repeat(20_000)))), "LIMIT");
    await catalog.addSst(sst(1, 0, "a", "z".repeat(5_000)));
    assertEquals(await stateIn(medium), stateOf(catalog));
    await manifest.close();
  },
);

test("LsmCatalog segments: each rotation takes the next id (rotate_next_increments_seq)", async () => {
  const { catalog } = await openLsm();
  assertEquals([catalog.getActiveWal(), catalog.peekNextWalId()], [0, 1]);
  for (let i = 1; i <= 5; i++) {
    assertEquals(await catalog.rotateWal(), i);
    assertEquals([catalog.getActiveWal(), catalog.peekNextWalId()], [i, i + 1]);
    assertEquals(catalog.getFrozenWals(), Array.from({ length: i - 1 }, (_, n) => n + 1));
  }
  assertEquals(await catalog.rotateWal(40), 40);
  assertEquals(await catalog.rotateWal(), 41);
  assertEquals(await catalog.rotateWal(7), 7); // chosen: lower is allowed
  assertEquals(await catalog.rotateWal(), 42);
});

test("LsmCatalog segments: rotations are found again, one by one (multi_rotation_persists_all_data)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (let i = 1; i <= 20; i++) {
    await catalog.rotateWal();
    await catalog.updateLsn(i * 10);
    const { catalog: again } = await openLsm(crashed(medium));
    assertEquals([again.getActiveWal(), again.getFrozenWals().length, again.getLastLsn(), again.peekNextWalId()], [
      i,
      i - 1,
      i * 10,
      i + 1,
    ]);
  }
});

test("LsmCatalog segments: rotations at once never take one id twice (rapid_successive_rotations)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  const given = await Promise.all(Array.from({ length: 50 }, () => catalog.rotateWal()));
  assertEquals([...given].sort((a, b) => a - b), Array.from({ length: 50 }, (_, i) => i + 1));
  assertEquals([catalog.getActiveWal(), catalog.getFrozenWals().length, catalog.getRetiredWals()], [50, 49, []]);
  assertEquals(await stateIn(medium), stateOf(catalog));
});

test("LsmCatalog segments: behind a rotation everything works as before (append_works_after_rotation)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  await catalog.rotateWal();
  await catalog.rotateWal();
  await catalog.flush({ sst: sst(await catalog.allocateSstId()), wal: 1, lsn: 10 });
  await catalog.updateLsn(20);
  assertEquals([catalog.getFrozenWals(), catalog.getActiveWal(), catalog.getLastLsn(), ids(catalog.listSsts())], [[], 2, 20, [1]]);
  assertEquals(await stateIn(medium), stateOf(catalog));
});

test("LsmCatalog segments: ids with gaps stand for themselves (wal_sequence_gap_segments_open_independently)", async () => {
  const medium = new Medium();
  const { catalog } = await openLsm(medium);
  for (const wal of [3, 900, 17]) await catalog.addFrozenWal(wal);
  await catalog.setActiveWal(500);
  await catalog.flush({ wal: 900 });
  const { catalog: again } = await openLsm(crashed(medium));
  assertEquals([again.getFrozenWals(), again.getActiveWal(), again.peekNextWalId(), again.listObsolete().length], [[3, 17], 500, 901, 1]);
  assertEquals((await again.orphans([{ kind: "wal", id: 4 }, { kind: "wal", id: 900 }])).orphans, [{ file: { kind: "wal", id: 4 } }]);
});

test("LsmCatalog journal: a file without bytes is new when it may be made, and else an error (zero_length_file_opens_as_fresh)", async () => {
  const medium = new Medium();
  assertEquals(await codeOf(() => openLsm(medium, {}, { create: false })), "EMPTY_FILE");
  assertEquals(medium.file.size, 0);
  const { catalog } = await openLsm(medium);
  assertEquals([catalog.opening.created, catalog.listSsts()], [true, []]);
});

test("LsmCatalog journal: a file cut short is an error at every length, and never a new catalog (truncated_header_fails_to_open)", async () => {
  const medium = new Medium();
  const { catalog, manifest } = await openLsm(medium);
  await catalog.addSst(sst(1));
  await catalog.checkpoint();
  await manifest.close();
  const bytes = medium.file.bytes();
  const codes = new Set<string>();
  for (
    const length of [
      1,
      20,
      4095,
      4096,
      5000,
      8192,
      12_288,
      META_BYTES,
      META_BYTES + 1,
      bytes.length >> 1,
      bytes.length - 4096,
      bytes.length - 1,
    ]
  ) {
    const cut = new Medium();
    cut.file.write(0, bytes.subarray(0, length));
    const opened = openLsm(cut) as Promise<{ catalog: LsmCatalog }>;
    const code = await codeOf(() => opened.then(({ catalog }) => assertEquals(stateOf(catalog).ssts, "never empty")));
    codes.add(code);
    assertEquals(cut.file.bytes(), bytes.subarray(0, length), `cut at ${length}`);
  }
  assert(codes.has("TRUNCATED"), [...codes].join(" "));
});
