// Journal positions: groups never overlap what is still needed, and every place that is free is used in ring order.
import { assert, assertEquals } from "@std/assert";
import { groupBlocksFor, Journal } from "../../src/store/journal.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const EXTENTS = [{ page: 4, pages: 32 }];

test("Journal: groups follow each other, skip the rest of an extent and wrap", () => {
  const journal = new Journal(12, EXTENTS, { extent: 0, block: 0, group: 1 });
  assertEquals(journal.room, 32);
  for (const [blocks, at] of [[10, 0], [10, 10], [10, 20]]) {
    assertEquals(journal.find(blocks!), { extent: 0, block: at });
    journal.add(journal.find(blocks!)!, blocks!);
  }
  assertEquals([journal.room, journal.find(3), journal.nextGroup], [2, undefined, 4]);
  journal.release(2);
  assertEquals([journal.room, journal.find(10)], [10, { extent: 0, block: 0 }]);
  journal.add(journal.find(10)!, 10);
  assertEquals([journal.room, journal.liveBlocks], [0, 30]);
  journal.release(journal.nextGroup);
  assert(journal.empty);
  assertEquals(journal.find(32), { extent: 0, block: 0 });
});

test("Journal: a group number is never given twice and a mark names the next one", () => {
  const journal = new Journal(12, EXTENTS, { extent: 0, block: 7, group: 40 });
  assertEquals(journal.mark(), { extent: 0, block: 7, group: 40 });
  journal.add(journal.find(2)!, 2);
  assertEquals(journal.mark(), { extent: 0, block: 9, group: 41 });
});

test("Journal: a random run of groups, checkpoints and growth never lays a group over a live one", () => {
  for (const shift of [12, 14, 16]) {
    const random = seeded(400 + shift);
    const pages = (128 << 10) / 2 ** shift;
    const journal = new Journal(shift, [{ page: 4, pages }], { extent: 0, block: 0, group: 1 });
    let next = 4 + pages;
    let live: { group: number; from: number; to: number }[] = [];
    let wraps = 0;
    let last = -1;
    for (let step = 0; step < 20_000; step++) {
      if (random.chance(0.9)) {
        const blocks = random.between(2, Math.min(journal.groupLimit + journal.transactionBlocks, 300));
        const place = journal.find(blocks);
        assertEquals(place !== undefined, journal.room >= blocks, `seed ${400 + shift} step ${step}`);
        if (!place) continue;
        const from = journal.offset(place);
        const to = from + blocks * 4096;
        const extent = journal.extents[place.extent]!;
        assert(from >= extent.page * 2 ** shift && to <= (extent.page + extent.pages) * 2 ** shift);
        for (const other of live) {
          assert(to <= other.from || from >= other.to, `seed ${400 + shift} step ${step}: over group ${other.group}`);
        }
        live.push({ group: journal.nextGroup, from, to });
        if (from < last) wraps++;
        last = from;
        journal.add(place, blocks);
      } else {
        // A checkpoint that froze some groups ago.
        const group = random.between(live[0]?.group ?? journal.nextGroup, journal.nextGroup);
        live = live.filter((each) => each.group >= group);
        if (random.chance(0.02)) {
          const more = journal.growth(100_000);
          if (more > 0) {
            journal.append({ page: next, pages: more });
            next += more;
          }
        }
        journal.release(group);
        assertEquals(journal.liveBlocks * 4096, live.reduce((sum, each) => sum + each.to - each.from, 0));
      }
    }
    assert(wraps > 3, "the journal wrapped");
  }
});

test("Journal: an empty journal takes the largest group and the largest transaction", () => {
  const journal = new Journal(12, EXTENTS, { extent: 0, block: 31, group: 1 });
  for (let i = 0; i < 12; i++) {
    assert(journal.room >= journal.groupLimit + journal.transactionBlocks - 1);
    assert(journal.find(journal.groupLimit + journal.transactionBlocks - 1) !== undefined);
    const more = journal.growth(10_000_000);
    if (more > 0) journal.append({ page: 1000, pages: more });
  }
});

test("Journal: grows to 64 MiB or a quarter of the tree, a small tree's to 16 MiB", () => {
  for (const [treePages, limit] of [[0, 16], [16_384, 16], [32_768, 32], [100_000, 64], [1_000_000, 64]]) {
    const journal = new Journal(12, EXTENTS, { extent: 0, block: 0, group: 1 });
    for (let more = journal.growth(treePages!); more > 0; more = journal.growth(treePages!)) journal.append({ page: 1000, pages: more });
    const bytes = journal.capacity * 4096;
    assert(bytes <= limit! * (1 << 20) && bytes >= limit! * (1 << 20) / 1.25, `${treePages} pages: ${bytes}`);
    assert(journal.extents.length <= 32);
  }
});

test("Journal: a successor without a kernel lock starts half a journal away", () => {
  const journal = new Journal(12, [{ page: 4, pages: 32 }, { page: 100, pages: 96 }], { extent: 0, block: 10, group: 1 });
  assertEquals(journal.farPosition(), { extent: 1, block: 42 });
});

test("groupBlocksFor: counts data blocks and the parity block", () => {
  assertEquals([1, 4064, 4065, 40640].map(groupBlocksFor), [2, 2, 3, 11]);
});
