// The space manager against a model: which pages are given out, what each generation's bitmap says, and what damage does.
import { assert, assertEquals } from "@std/assert";
import {
  CORRUPT_PAGE,
  CTRL_ERROR_REASON,
  CTRL_NEED_AT,
  INVARIANT,
  NEED_PAGE,
  OK,
  OUT_OF_SPACE,
  PAGE_HEADER,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_CRC,
  REASON_DEPTH,
  REASON_DUPLICATE,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_STALE,
  REASON_TYPE,
} from "../../assembly/format.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { crc32c, type Durable, Model, readBitmap, Space } from "./space_model.ts";

const RESERVED = 12;
const EMPTY = new Uint8Array(4096);

/** What a drive went through. */
interface Marks {
  level: number;
  pages: number;
  shrinks: number;
  reads: number;
}

/** A run of periods with everything that may happen in them. */
function drive(options: { seed: number; shift: number; periods: number; runMax: number; reopen: boolean; size: number }): Marks {
  const { seed, shift, periods, runMax, size } = options;
  const random = seeded(seed);
  const disk = new Map<number, Uint8Array>();
  let space = new Space(shift, disk);
  const model = new Model();
  const states: Durable[] = [];
  const held: number[] = [];
  const marks: Marks = { level: 0, pages: 0, shrinks: 0, reads: 0 };
  space.ok(() => space.x.spaceNew(RESERVED));
  for (let i = 0; i < RESERVED; i++) {
    model.given.add(i);
    model.content.add(i);
  }
  model.recompute();

  const freeSome = (count: number): void => {
    // Every step-th page from a random one on, so that frees are scattered or dense.
    const pages = [...model.content].filter((page) => page >= RESERVED);
    for (let i = 0; i < count && pages.length > 0; i++) {
      const at = random.int(pages.length), page = pages[at]!;
      pages[at] = pages[pages.length - 1]!;
      pages.pop();
      if (!model.content.has(page)) continue;
      let length = 1;
      while (length < 40 && random.chance(0.7) && model.content.has(page + length)) length++;
      assertEquals(space.x.spaceFree(page, length), OK);
      model.free(page, length);
    }
  };
  const takeRun = (): void => {
    const count = random.chance(0.2) ? random.between(2, runMax) : random.between(2, 8);
    const expected = model.place(count), page = space.allocateRun(count);
    assertEquals(page, expected);
    model.give(page, count);
  };
  const takePage = (): void => {
    const expected = model.place(1), page = space.allocate();
    assertEquals(page, expected);
    model.give(page, 1);
  };
  const group = (): void => {
    const mark = space.x.spaceMark(), content = new Set(model.content), given = new Set(model.given);
    for (let i = random.int(4); i > 0; i--) takeRun();
    freeSome(random.int(3));
    if (!random.chance(0.3)) return;
    assertEquals(space.x.spaceRollback(mark), OK);
    model.content = content;
    model.given = given;
    model.recompute();
  };

  for (let birth = 1; birth <= periods; birth++) {
    for (let i = random.int(4); i > 0; i--) group();
    if (states.length > 2) {
      const older = states[states.length - 3]!.birth;
      assertEquals(space.x.spaceDrop(BigInt(older)), OK);
      model.generations.find((generation) => generation.birth === older)!.holds--;
    }
    if (birth > 1 && random.chance(0.1)) {
      const birth = random.pick(model.generations.filter((generation) => generation.holds > 0)).birth;
      assertEquals(space.x.spaceHold(BigInt(birth)), OK);
      model.generations.find((generation) => generation.birth === birth)!.holds++;
      held.push(birth);
    }
    if (held.length > 0 && random.chance(0.15)) {
      const birth = held.splice(random.int(held.length), 1)[0]!;
      assertEquals(space.x.spaceDrop(BigInt(birth)), OK);
      model.generations.find((generation) => generation.birth === birth)!.holds--;
    }
    assertEquals(space.x.spaceFreezeBegin(), OK);
    model.freezeBegin();
    const growing = model.content.size < size * (0.6 + 0.4 * Math.sin(birth / 9));
    for (let i = random.int(growing ? 120 : 12); i > 0; i--) takePage();
    freeSome(random.int(growing ? 4 : 60));
    if (random.chance(0.1)) space.x.spaceMoveFrom(random.int(space.x.spacePageCount() + 1));
    space.ok(() => space.x.spaceFinalize(BigInt(birth)));
    const state = space.durable(birth);
    // Runs may be given out while the bitmap is still being written; the model catches up afterwards.
    const early: { count: number; page: number }[] = [];
    if (random.chance(0.5)) {
      space.write(random.int(3));
      for (let i = random.int(3); i > 0; i--) {
        const count = random.between(2, 8);
        early.push({ count, page: space.allocateRun(count) });
      }
    }
    space.write();
    const usage = readBitmap(disk, space.pageSize, state);
    assertEquals(space.x.spaceUsed(), usage.used.size);
    model.finalized(birth, usage);
    for (const { count, page } of early) {
      assertEquals(page, model.place(count));
      model.give(page, count);
    }
    if (state.pages < (states[states.length - 1]?.pages ?? 0)) marks.shrinks++;
    marks.level = Math.max(marks.level, state.level);
    marks.pages = Math.max(marks.pages, state.pages);
    states.push(state);
    assert(space.x.spaceFilePages() >= state.pages);
    if (options.reopen && early.length === 0 && random.chance(0.2)) {
      const older = states[states.length - 2];
      marks.reads += space.reads;
      space = new Space(shift, disk);
      assertEquals(space.open(state, older), OK);
      model.generations = model.generations.slice(-2);
      for (const generation of model.generations) generation.holds = 1;
      held.length = 0;
      states.splice(0, states.length - 2);
      model.recompute();
      if (random.chance(0.5)) space.ok(() => space.x.spaceLoad());
    }
  }
  return marks;
}

for (const seed of [1, 2, 3, 4]) {
  test(`space gives out what no listed generation and no allocation has, lowest first (4 KiB pages, seed ${seed})`, () => {
    const marks = drive({ seed, shift: 12, periods: 700, runMax: 60, reopen: false, size: 900 });
    assert(marks.shrinks > 10, "the file never became shorter");
  });
}

test("space gives out the same pages at 64 KiB pages and through reopening", () => {
  drive({ seed: 11, shift: 16, periods: 150, runMax: 200, reopen: true, size: 700 });
  assert(drive({ seed: 12, shift: 12, periods: 500, runMax: 60, reopen: true, size: 900 }).reads > 100);
});

test("space gives out the same pages with several bitmaps below an index", () => {
  for (const [seed, reopen] of [[21, false], [22, true]] as const) {
    const marks = drive({ seed, shift: 12, periods: 40, runMax: 30_000, reopen, size: 40_000 });
    assertEquals(marks.level, 1);
    assert(marks.pages > 3 * 32_512, `only ${marks.pages} pages`);
  }
});

/** One period: frees, allocations, finalize, write, drop of the generation before the older durable one. */
function period(space: Space, birth: number, change: () => void): Durable {
  assertEquals(space.x.spaceFreezeBegin(), OK);
  change();
  space.ok(() => space.x.spaceFinalize(BigInt(birth)));
  space.write();
  if (birth > 2) assertEquals(space.x.spaceDrop(BigInt(birth - 2)), OK);
  return space.durable(birth);
}

test("space places by commits and freezes alone: an instance that reopens after every freeze writes the same file", () => {
  const disks = [new Map<number, Uint8Array>(), new Map<number, Uint8Array>()];
  const ends = disks.map((disk, reopen) => {
    const random = seeded(31);
    let space = new Space(12, disk);
    space.ok(() => space.x.spaceNew(RESERVED));
    const states: Durable[] = [];
    let pages: number[] = [], state: Durable | undefined;
    for (let birth = 1; birth <= 120; birth++) {
      if (reopen === 1 && state !== undefined) {
        const older = states.at(-2);
        space = new Space(12, disk);
        assertEquals(space.open(state, older), OK);
      }
      const change = (): void => {
        for (let i = random.int(80); i > 0; i--) pages.push(space.allocate());
        if (random.chance(0.2)) {
          const first = space.allocateRun(20_000);
          for (let i = 0; i < 20_000; i += 64) pages.push(first + i);
        }
        random.shuffle(pages);
        const kept = random.int(pages.length + 1);
        for (const page of pages.slice(kept)) assertEquals(space.x.spaceFree(page, 1), OK);
        pages = pages.slice(0, kept);
      };
      if (reopen === 1) {
        assertEquals(space.x.spaceFreezeBegin(), OK);
        change();
        space.ok(() => space.x.spaceFinalize(BigInt(birth)));
        space.write();
        state = space.durable(birth);
      } else {
        state = period(space, birth, change);
      }
      states.push(state);
    }
    return state!;
  });
  assertEquals(ends[0], ends[1]);
  assertEquals([...disks[0]!.keys()].sort(), [...disks[1]!.keys()].sort());
  for (const [page, bytes] of disks[0]!) assertEquals(crc32c(bytes), crc32c(disks[1]!.get(page)!));
});

test("spaceFinalize adds and removes index levels, and frees everything they used", () => {
  const disk = new Map<number, Uint8Array>(), space = new Space(12, disk);
  space.ok(() => space.x.spaceNew(RESERVED));
  assertEquals(period(space, 1, () => {}).level, 0);
  const run = 7_400_000;
  let first = 0;
  const two = period(space, 2, () => first = space.allocateRun(run));
  assertEquals(first, RESERVED + 1);
  assertEquals(two.level, 2);
  const usage = readBitmap(disk, 4096, two, false);
  assertEquals(usage.count, RESERVED + run + usage.own.size);
  assertEquals(usage.own.size, Math.ceil(two.pages / 32_512) + 2 + 1);
  const far = 1_700_000_000;
  assertEquals(space.x.spaceReserve(far, 5), OK);
  const three = period(space, 3, () => assertEquals(space.x.spaceFree(first, run), OK));
  assertEquals([three.level, three.pages], [3, far + 5]);
  const sparse = readBitmap(disk, 4096, three);
  assertEquals(sparse.count, RESERVED + 5 + sparse.own.size);
  // A fresh instance reads the sparse tree and goes on.
  const again = new Space(12, disk);
  assertEquals(again.open(three, two), OK);
  again.ok(() => again.x.spaceLoad());
  assertEquals(again.x.spaceUsed(), sparse.count);
  assertEquals(again.x.spaceFree(far, 5), OK);
  assertEquals(again.x.spaceFreezeBegin(), OK);
  again.ok(() => again.x.spaceFinalize(4n));
  again.write();
  again.x.spaceDrop(2n);
  again.x.spaceFreezeBegin();
  again.x.spaceMoveFrom(RESERVED + 1);
  again.ok(() => again.x.spaceFinalize(5n));
  again.write();
  const last = again.durable(5);
  const end = readBitmap(disk, 4096, last);
  assertEquals([end.count, end.own.size], [RESERVED + 1, 1]);
  assertEquals([last.level, last.pages < 100], [0, true]);
});

test("space reads bitmaps again when there are more than it keeps, with the same result", () => {
  const disk = new Map<number, Uint8Array>(), space = new Space(16, disk), chunks = 70;
  const bits = (65_536 - PAGE_HEADER) * 8;
  space.ok(() => space.x.spaceNew(RESERVED));
  period(space, 1, () => assertEquals(space.allocateRun(chunks * bits - 1000), RESERVED));
  const holes: number[] = [];
  for (let chunk = 0; chunk < chunks; chunk++) holes.push(chunk * bits + 50 + chunk, chunk * bits + 51 + chunk, chunk * bits + 90_000);
  period(space, 2, () => {
    for (let i = 0; i < holes.length; i += 3) {
      assertEquals([space.x.spaceFree(holes[i]!, 2), space.x.spaceFree(holes[i + 2]!, 1)], [OK, OK]);
    }
  });
  period(space, 3, () => {});
  period(space, 4, () => {});
  space.reads = 0;
  space.x.spaceFreezeBegin();
  const before = space.kernel.memoryBytes;
  const mark = space.x.spaceMark();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < holes.length; i += 3) assertEquals(space.allocateRun(2), holes[i]);
    for (let i = 2; i < holes.length; i += 3) assertEquals(space.allocate(), holes[i]);
    assert(space.allocate() >= chunks * bits - 1000);
    if (round === 0) assertEquals(space.x.spaceRollback(mark), OK);
  }
  assert(space.reads > chunks);
  assert(space.kernel.memoryBytes - before <= 4 << 20, "the busy pages were all kept");
  space.ok(() => space.x.spaceFinalize(5n));
  space.write();
  const usage = readBitmap(disk, space.pageSize, space.durable(5), false);
  assertEquals(usage.count, RESERVED + chunks * bits - 1000 + 1 + usage.own.size);
});

test("spaceDrop does not change what is given out before the next freeze", () => {
  const places = [true, false].map((early) => {
    const space = new Space(12, new Map());
    space.ok(() => space.x.spaceNew(RESERVED));
    let page = 0;
    for (let birth = 1; birth <= 3; birth++) {
      space.x.spaceFreezeBegin();
      if (birth === 1) page = space.allocateRun(50);
      if (birth === 2) space.x.spaceFree(page, 50);
      space.ok(() => space.x.spaceFinalize(BigInt(birth)));
      space.write();
    }
    if (early) space.x.spaceDrop(1n);
    const during = space.allocateRun(10);
    assert(during >= page + 50);
    if (!early) space.x.spaceDrop(1n);
    space.x.spaceFreezeBegin();
    const after = space.allocateRun(10);
    assertEquals(after, page);
    return [during, after];
  });
  assertEquals(places[0], places[1]);
});

test("spaceHold keeps a generation's pages through any number of freezes", () => {
  const space = new Space(12, new Map());
  space.ok(() => space.x.spaceNew(RESERVED));
  let page = 0;
  period(space, 1, () => page = space.allocateRun(50));
  assertEquals(space.x.spaceHold(1n), OK);
  period(space, 2, () => assertEquals(space.x.spaceFree(page, 50), OK));
  for (let birth = 3; birth < 8; birth++) period(space, birth, () => assert(space.allocate() >= page + 50));
  assertEquals(space.x.spaceDrop(1n), OK);
  period(space, 8, () => assertEquals(space.allocate(), page));
  assertEquals(space.x.spaceHold(1n), INVARIANT);
});

test("spaceRollback makes the discarded group as if it had never been", () => {
  const places = [true, false].map((discard) => {
    const space = new Space(12, new Map());
    space.ok(() => space.x.spaceNew(RESERVED));
    const out: number[] = [];
    let page = 0;
    period(space, 1, () => {
      page = space.allocateRun(300);
      out.push(page);
    });
    period(space, 2, () => {
      for (let i = 0; i < 300; i += 10) space.x.spaceFree(page + i, 1 + i % 7);
    });
    period(space, 3, () => {});
    space.x.spaceFreezeBegin();
    out.push(space.allocateRun(2), space.allocateRun(5), space.allocate());
    const mark = space.x.spaceMark();
    if (discard) {
      for (const count of [1, 3, 5, 2, 100, 40_000, 1]) count === 1 ? space.allocate() : space.allocateRun(count);
      assertEquals(space.x.spaceFree(page + 299, 1), OK);
    }
    assertEquals(space.x.spaceRollback(mark), OK);
    for (const count of [2, 2, 4, 3, 6, 7, 1, 1, 90, 70, 130]) out.push(count === 1 ? space.allocate() : space.allocateRun(count));
    space.ok(() => space.x.spaceFinalize(4n));
    out.push(space.x.spacePageCount(), space.x.spaceUsed());
    return out;
  });
  assertEquals(places[0], places[1]);
});

test("spaceAllocate and spaceAllocateRun end at the last page number", () => {
  const space = new Space(16, new Map());
  space.ok(() => space.x.spaceNew(RESERVED));
  assertEquals(space.run(() => space.x.spaceAllocateRun(0x7fffffff)), OUT_OF_SPACE);
  const mark = space.x.spaceMark();
  assertEquals(space.allocateRun(0x7fffffff - RESERVED - 3), RESERVED);
  assertEquals(space.run(() => space.x.spaceAllocateRun(4)), OUT_OF_SPACE);
  assertEquals(space.allocateRun(2), 0x7fffffff - 3);
  assertEquals(space.allocate(), 0x7fffffff - 1);
  assertEquals(space.run(() => space.x.spaceAllocate()), OUT_OF_SPACE);
  assertEquals(space.x.spaceRollback(mark), OK);
  assertEquals(space.allocate(), RESERVED);
});

test("spaceFree refuses pages outside the file, and spaceFinalize a page freed twice", () => {
  const space = new Space(12, new Map());
  space.ok(() => space.x.spaceNew(RESERVED));
  const page = space.allocateRun(20);
  for (const [from, count] of [[0, 1], [page + 20, 1], [page + 10, 11], [page, 0xffffffff], [0xffffffff, 1]] as const) {
    assertEquals(space.x.spaceFree(from, count), CORRUPT_PAGE);
    assertEquals(space.kernel.word(CTRL_ERROR_REASON), REASON_BOUNDS);
  }
  space.x.spaceFree(page + 3, 4);
  space.x.spaceFree(page + 6, 1);
  assertEquals(space.run(() => space.x.spaceFinalize(1n)), CORRUPT_PAGE);
  assertEquals(space.kernel.word(CTRL_ERROR_REASON), REASON_DUPLICATE);
});

test("spaceAbandon forgets a read that failed; the same call asks again", () => {
  const disk = new Map<number, Uint8Array>(), first = new Space(12, disk);
  first.ok(() => first.x.spaceNew(RESERVED));
  const state = period(first, 1, () => {});
  const space = new Space(12, disk);
  assertEquals(space.open(state), OK);
  assertEquals(space.x.spaceAllocate(), NEED_PAGE);
  space.x.spaceAbandon();
  assertEquals(space.x.spaceWants(), 0);
  assertEquals(space.x.spaceInstall(), INVARIANT);
  assertEquals(space.allocate(), RESERVED + 1);
});

/** A file with an index page and four bitmaps, then a page of it changed; the reason that reading it gives. */
function damaged(change: (page: Uint8Array, view: DataView, state: Durable) => void, which: "index" | "bitmap", seal: boolean): number {
  const disk = new Map<number, Uint8Array>(), first = new Space(12, disk);
  first.ok(() => first.x.spaceNew(RESERVED));
  const state = period(first, 1, () => first.x.spaceFree(first.allocateRun(100_000) + 5, 1));
  const root = new DataView(state.pointer.buffer).getUint32(0, true);
  const index = disk.get(root)!.slice(), indexView = new DataView(index.buffer);
  const bitmapNumber = indexView.getUint32(PAGE_HEADER, true), bitmap = disk.get(bitmapNumber)!.slice();
  const reseal = (bytes: Uint8Array, pointer: DataView, at: number): void => {
    const crc = crc32c(bytes, 4);
    new DataView(bytes.buffer).setUint32(0, crc, true);
    pointer.setUint32(at + 4, crc, true);
  };
  if (which === "bitmap") {
    change(bitmap, new DataView(bitmap.buffer), state);
    if (seal) reseal(bitmap, indexView, PAGE_HEADER);
  } else {
    change(index, indexView, state);
  }
  if (seal) reseal(index, new DataView(state.pointer.buffer), 0);
  disk.set(root, index);
  disk.set(bitmapNumber, bitmap);
  const space = new Space(12, disk);
  const opened = space.open(state);
  const status = opened === OK ? space.run(() => space.x.spaceAllocate()) : opened;
  if (status === OK) return 0;
  assertEquals(status, CORRUPT_PAGE);
  assert(space.kernel.word(CTRL_NEED_AT) < space.kernel.memoryBytes);
  return space.kernel.word(CTRL_ERROR_REASON);
}

test("spaceOpen and spaceInstall name damaged and contradicting bitmap pages", () => {
  assertEquals(damaged(() => {}, "bitmap", true), 0);
  assertEquals(damaged((page) => page[2000]! ^= 4, "bitmap", false), REASON_CRC);
  assertEquals(damaged((page) => page[2000]! ^= 4, "index", false), REASON_CRC);
  assertEquals(damaged((_, view) => view.setUint32(8, 77, true), "bitmap", true), REASON_MISPLACED);
  assertEquals(damaged((_, view) => view.setUint32(28, 1, true), "bitmap", true), REASON_MISPLACED);
  assertEquals(damaged((_, view) => view.setUint32(12, 77, true), "bitmap", true), REASON_FOREIGN);
  assertEquals(damaged((page) => page[4] = 5, "bitmap", true), REASON_TYPE);
  assertEquals(damaged((page) => page[5] = 1, "bitmap", true), REASON_TYPE);
  assertEquals(damaged((_, view) => view.setUint32(20, 9, true), "bitmap", true), REASON_STALE);
  assertEquals(damaged((page) => page[PAGE_HEADER + 5] = 0xfe, "bitmap", true), REASON_COUNT);
  assertEquals(damaged((_, view) => view.setUint32(PAGE_HEADER + 14, 9, true), "index", true), REASON_COUNT);
  assertEquals(damaged((_, view) => view.setUint32(PAGE_HEADER + 14, 0, true), "index", true), REASON_COUNT);
  assertEquals(damaged((_, view) => view.setUint32(PAGE_HEADER + 14, 40_000, true), "index", true), REASON_COUNT);
  assertEquals(damaged((_, view) => view.setUint32(PAGE_HEADER, 200_000, true), "index", true), REASON_BOUNDS);
  assertEquals(damaged((_, view) => view.setUint32(PAGE_HEADER + 18 * 50, 7, true), "index", true), REASON_BOUNDS);
  assertEquals(damaged((_, view) => view.setUint32(PAGE_HEADER + 18, view.getUint32(PAGE_HEADER, true), true), "index", true), 0); // found when it is read
  assertEquals(damaged((_1, _2, state) => state.level = 2, "index", true), REASON_DEPTH);
  assertEquals(damaged((_1, _2, state) => state.level = 0, "index", true), REASON_DEPTH);
  assertEquals(damaged((_1, _2, state) => state.pages = 32_000, "index", true), REASON_BOUNDS);
  assertEquals(damaged((_1, _2, state) => state.pages = 0, "index", true), REASON_BOUNDS);
  assertEquals(damaged((_1, _2, state) => state.pages = 0x80000001, "index", true), REASON_BOUNDS);
  assertEquals(damaged((_1, _2, state) => state.pages = 90_000, "index", true), REASON_BOUNDS);
});

test("spaceFinalize ends with a status, whatever well-sealed nonsense the bitmaps hold", () => {
  const random = seeded(41);
  const seen = new Set<number>();
  for (let round = 0; round < 400; round++) {
    const disk = new Map<number, Uint8Array>(), first = new Space(12, disk);
    first.ok(() => first.x.spaceNew(RESERVED));
    const older = period(first, 1, () => first.allocateRun(random.between(100, 100_000)));
    const state = period(first, 2, () => {
      for (let i = 0; i < 20; i++) first.allocate();
      for (let i = 0; i < 5; i++) first.x.spaceFree(RESERVED + i * 9, 5);
    });
    const pointer = new DataView(state.pointer.buffer), root = disk.get(pointer.getUint32(0, true))!, rootView = new DataView(root.buffer);
    const children = state.level ? [0, 1, 2].filter((i) => rootView.getUint32(PAGE_HEADER + 18 * i, true) !== 0) : [];
    for (let i = random.int(3) + 1; i > 0; i--) {
      const at = random.chance(0.5) ? random.int(80) : random.int(4096 - PAGE_HEADER);
      const child = children.length > 0 && random.chance(0.5) ? random.pick(children) : -1;
      const page = child < 0 ? root : disk.get(rootView.getUint32(PAGE_HEADER + 18 * child, true));
      if (page === undefined) continue;
      page[PAGE_HEADER + at] = random.int(256);
      const crc = crc32c(page, 4);
      new DataView(page.buffer).setUint32(0, crc, true);
      if (child >= 0) rootView.setUint32(PAGE_HEADER + 18 * child + 4, crc, true);
    }
    const crc = crc32c(root, 4);
    rootView.setUint32(0, crc, true);
    pointer.setUint32(4, crc, true);
    const space = new Space(12, disk);
    for (let page = 0; page < state.pages; page++) if (!disk.has(page)) disk.set(page, EMPTY);
    const statuses = [
      space.open(state, older),
      space.run(() => space.x.spaceAllocate()),
      space.run(() => space.x.spaceAllocateRun(3)),
      space.x.spaceFree(RESERVED + 60, 2),
      space.x.spaceFreezeBegin(),
      space.run(() => space.x.spaceFinalize(3n)),
    ];
    for (const status of statuses) {
      assert(status === OK || status === CORRUPT_PAGE || status === INVARIANT, `status ${status} in round ${round}`);
      seen.add(status);
    }
  }
  assert(seen.has(OK) && seen.has(CORRUPT_PAGE));
});
