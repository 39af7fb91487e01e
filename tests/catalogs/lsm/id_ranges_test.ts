// Sets of ids that are kept as runs.
import { assertEquals } from "@std/assert";
import { IdRanges } from "../../../src/catalogs/lsm/id_ranges.ts";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";

test("IdRanges: runs that touch are one, and one that is cut is two", () => {
  const set = new IdRanges();
  set.add(5, 1);
  set.add(6, 3);
  set.add(0, 5);
  assertEquals(set.runs, 1);
  set.add(20, 5);
  set.add(10, 10);
  assertEquals([set.runs, set.has(9), set.has(10), set.has(24), set.has(25)], [2, false, true, true, false]);
  set.add(9, 1);
  assertEquals(set.runs, 1);
  set.delete(12);
  set.delete(0);
  set.delete(24);
  set.delete(99);
  assertEquals([set.runs, set.has(12), set.has(0), set.has(1), set.has(23), set.has(24)], [2, false, false, true, true, false]);
  set.add(7, 0);
  assertEquals(set.runs, 2);
});

test("IdRanges: agrees with a set, seed 5", () => {
  const random = seeded(5);
  const set = new IdRanges();
  const plain = new Set<number>();
  for (let step = 0; step < 3000; step++) {
    const id = random.int(200);
    if (random.chance(0.5)) {
      const count = random.int(5);
      set.add(id, count);
      for (let i = 0; i < count; i++) plain.add(id + i);
    } else {
      set.delete(id);
      plain.delete(id);
    }
    const probe = random.int(210);
    assertEquals(set.has(probe), plain.has(probe), `step ${step}`);
    if (step % 50 === 0) {
      const starts = [...plain].filter((one) => !plain.has(one - 1)).length;
      assertEquals(set.runs, starts, `step ${step}`);
    }
  }
});
