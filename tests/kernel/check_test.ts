// The whole-file check: a clean file is clean, and each kind of planted damage is named where it is.
import { assert, assertEquals } from "@std/assert";
import {
  CHECK_BITMAP_PAGES,
  CHECK_BRANCH_PAGES,
  CHECK_DEPTH,
  CHECK_ERRORS,
  CHECK_FREE_PAGES,
  CHECK_JOURNAL_PAGES,
  CHECK_KEY_BYTES,
  CHECK_LEAF_PAGES,
  CHECK_LEAKED_PAGES,
  CHECK_META_PAGES,
  CHECK_PAGES,
  CHECK_READ,
  CHECK_ROWS,
  CHECK_RUN_PAGES,
  CHECK_RUNS,
  CHECK_TABLES,
  CHECK_VALUE_BYTES,
  CHECK_WARNINGS,
  CORRUPT_PAGE,
  FINDINGS_MAX,
  META_BITMAP,
  META_BITMAP_LEVEL,
  META_EXTENT_COUNT,
  META_EXTENTS,
  META_PAGE_COUNT,
  META_PAGE_SHIFT,
  META_ROOTS,
  META_ROOTS_LEVEL,
  OK,
  PAGE_BIRTH,
  PAGE_FILE_ID,
  PAGE_HEADER,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_CRC,
  REASON_CYCLE,
  REASON_DEPTH,
  REASON_DUPLICATE,
  REASON_FOREIGN,
  REASON_LEAK,
  REASON_MISPLACED,
  REASON_ORDER,
  REASON_OVERLAP,
  REASON_STALE,
  REASON_TYPE,
  REASON_UNMARKED,
  REASON_UNREADABLE,
  ROOT_RUN_PAGES,
  RUN_LENGTH,
  SEVERITY_WARNING,
} from "../../assembly/format.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { build, type Built, check, type Finding, type Hooks, type Report, SIZE } from "./check_file.ts";
import { Space } from "./space_model.ts";

/** Checks the standard file with damage planted; expects exactly these findings, in this order. */
function expectFindings(
  hooks: Hooks,
  expected: (file: Built) => [reason: number, page: number, table?: number][],
  prepare?: (file: Built) => void,
): Report {
  const file = build(hooks);
  prepare?.(file);
  const report = check(file);
  assertEquals(report.began, OK);
  const want = expected(file);
  assertEquals(report.findings.map(({ reason, page }) => [reason, page]), want.map(([reason, page]) => [reason, page]));
  want.forEach(([, , table], i) => {
    if (table !== undefined) assertEquals(report.findings[i]!.table, table);
  });
  assertEquals(report.summary[CHECK_ERRORS]! + report.summary[CHECK_WARNINGS]!, want.length);
  return report;
}

test("checkStep finds nothing in a clean file and counts what it holds", () => {
  for (const [level, step] of [[1, 1], [1, 1000], [2, 1], [2, 7]] as const) {
    const report = check(build(), level, SIZE, step);
    assertEquals(report.findings, []);
    const s = report.summary;
    assertEquals([s[CHECK_PAGES], s[CHECK_META_PAGES], s[CHECK_JOURNAL_PAGES], s[CHECK_BITMAP_PAGES]], [17, 4, 4, 1]);
    assertEquals([s[CHECK_BRANCH_PAGES], s[CHECK_LEAF_PAGES], s[CHECK_RUNS], s[CHECK_RUN_PAGES]], [1, 5, 1, 2]);
    assertEquals([s[CHECK_FREE_PAGES], s[CHECK_LEAKED_PAGES], s[CHECK_TABLES], s[CHECK_ROWS], s[CHECK_DEPTH]], [0, 0, 3, 37, 2]);
    assertEquals([s[CHECK_KEY_BYTES], s[CHECK_VALUE_BYTES]], [35 * 7 + 3, 35 * 8 - 10 + 6000]);
    assertEquals([s[CHECK_READ], report.reads], level === 2 ? [9, 9] : [7, 7]);
    assertEquals([s[CHECK_ERRORS], s[CHECK_WARNINGS]], [0, 0]);
  }
});

test("checkBegin accepts a file without tables and refuses a meta slot that cannot be one", () => {
  const empty = check(build({ meta: (view) => view.setUint32(META_ROOTS, 0, true) }));
  assertEquals(empty.findings.map(({ reason, severity, page, actual }) => [reason, severity, page, actual]), [[
    REASON_LEAK,
    SEVERITY_WARNING,
    9,
    8,
  ]]);
  assertEquals(empty.summary[CHECK_LEAKED_PAGES], 8);
  for (
    const change of [
      (view: DataView) => view.setUint8(META_PAGE_SHIFT, 11),
      (view: DataView) => view.setUint8(META_PAGE_SHIFT, 40),
      (view: DataView) => view.setUint32(META_PAGE_COUNT, 0, true),
      (view: DataView) => view.setUint32(META_PAGE_COUNT, 0x80000000, true),
    ]
  ) assertEquals(check(build({ meta: change })).began, CORRUPT_PAGE);
});

test("checkStep takes every page of a file without a checkpoint for used, and names those that nothing reaches", () => {
  const fresh = check(build({
    meta: (view) => {
      view.setUint32(META_ROOTS, 0, true);
      view.setUint32(META_BITMAP, 0, true);
      view.setUint32(META_PAGE_COUNT, 8, true);
    },
  }));
  assertEquals([fresh.findings.length, fresh.summary[CHECK_FREE_PAGES]], [0, 0]);
  const longer = check(build({
    meta: (view) => {
      view.setUint32(META_ROOTS, 0, true);
      view.setUint32(META_BITMAP, 0, true);
    },
  }));
  assertEquals(longer.findings.map(({ reason, page, actual }) => [reason, page, actual]), [[REASON_LEAK, 8, 9]]);
  // With tables there must be a bitmap.
  expectFindings({ meta: (view) => view.setUint32(META_BITMAP, 0, true) }, () => [[REASON_BOUNDS, 0]]);
});

test("checkStep names a page that is not what its pointer says", () => {
  const lost = (reason: number) => (file: Built): [number, number, number][] => [[reason, file.at.leaf1!, 16]];
  expectFindings({ "after leaf1": (_, bytes) => bytes[3000]! ^= 1 }, lost(REASON_CRC));
  expectFindings({ "to leaf1": (view) => view.setUint32(POINTER_CRC, 5, true) }, lost(REASON_STALE));
  expectFindings({ "to leaf1": (view) => view.setUint32(POINTER_BIRTH, 2, true) }, lost(REASON_STALE));
  expectFindings({ leaf1: (view) => view.setUint32(PAGE_NUMBER, 11, true) }, lost(REASON_MISPLACED));
  expectFindings({ leaf1: (view) => view.setUint32(PAGE_FILE_ID, 11, true) }, lost(REASON_FOREIGN));
  expectFindings({ leaf1: (_, bytes) => bytes[PAGE_TYPE] = 2 }, lost(REASON_TYPE));
  expectFindings({ leaf1: (_, bytes) => bytes[PAGE_LEVEL] = 1 }, lost(REASON_TYPE));
  expectFindings({}, lost(REASON_UNREADABLE), (file) => file.disk.delete(file.at.leaf1!));
  // A page from the future of the generation; its pointer agrees.
  expectFindings({
    leaf1: (view) => view.setUint32(PAGE_BIRTH, 9, true),
    "to leaf1": (view) => view.setUint32(POINTER_BIRTH, 9, true),
  }, lost(REASON_STALE));
});

test("checkStep names a page whose contents are wrong", () => {
  const lost = (reason: number) => (file: Built): [number, number, number][] => [[reason, file.at.leaf1!, 16]];
  const slot = PAGE_HEADER + 8;
  expectFindings({ leaf1: (view) => view.setUint16(slot + 4, 4095, true) }, lost(REASON_BOUNDS));
  expectFindings({ leaf1: (view) => view.setUint16(slot + 4, 40, true) }, lost(REASON_BOUNDS));
  expectFindings({ leaf1: (view) => view.setUint16(slot + 6, 2000, true) }, lost(REASON_BOUNDS));
  expectFindings({ leaf1: (view) => view.setUint16(slot + 4, view.getUint16(slot - 8 + 4, true), true) }, lost(REASON_OVERLAP));
  expectFindings({
    leaf1: (_, bytes) => {
      const other = bytes.slice(slot, slot + 8);
      bytes.copyWithin(slot, slot + 8, slot + 16);
      bytes.set(other, slot + 8);
    },
  }, lost(REASON_ORDER));
  // A key of one byte whose head has a second one.
  expectFindings({ leaf17: (view) => view.setUint32(PAGE_HEADER, 0x61010000, true) }, (file) => [[REASON_ORDER, file.at.leaf17!, 17]]);
});

test("checkStep holds keys to the separators above them", () => {
  // The separator of leaf1 moves above its first key, then below leaf0's last one.
  const set = (index: number, text: string) => (view: DataView, bytes: Uint8Array): void => {
    const slot = PAGE_HEADER + index * 8, offset = view.getUint16(slot + 4, true);
    bytes.set(new TextEncoder().encode(text), offset + 14);
  };
  expectFindings({ branch: set(1, "02") }, (file) => [[REASON_ORDER, file.at.leaf1!, 16]]);
  expectFindings({ branch: set(1, "00") }, (file) => [[REASON_ORDER, file.at.leaf0!, 16]]);
  expectFindings({ branch: set(2, "02") }, (file) => [[REASON_ORDER, file.at.leaf1!, 16]]);
});

test("checkStep finds pages reached twice, cycles and pointers out of the file, and goes on", () => {
  const at = build().at;
  const twice = expectFindings(
    { "to leaf2": (view) => view.setUint32(0, at.leaf1!, true) },
    () => [[REASON_DUPLICATE, at.leaf1!, 16]],
  );
  assertEquals(twice.findings[0]!.actual, at.branch);
  expectFindings({ "to leaf2": (view) => view.setUint32(0, at.branch!, true) }, () => [[REASON_CYCLE, at.branch!, 16]]);
  expectFindings({ "to leaf2": (view) => view.setUint32(0, 5, true) }, () => [[REASON_DUPLICATE, 5, 16]]);
  expectFindings({ "to leaf2": (view) => view.setUint32(0, 3, true) }, () => [[REASON_BOUNDS, at.branch!, 16]]);
  expectFindings({ "to leaf2": (view) => view.setUint32(0, 17, true) }, () => [[REASON_BOUNDS, at.branch!, 16]]);
  expectFindings({ "to leaf2": (view) => view.setUint32(0, 0xfffffff0, true) }, () => [[REASON_BOUNDS, at.branch!, 16]]);
  expectFindings({ "to run": (view) => view.setUint32(0, at.leaf2!, true) }, () => [
    [REASON_DUPLICATE, at.leaf2!, 17],
    [REASON_LEAK, at.run!],
  ]);
  expectFindings({ "to run": (view) => view.setUint32(0, 16, true) }, () => [[REASON_BOUNDS, at.leaf17!, 17]]);
  expectFindings({ "to bitmap": (view) => view.setUint32(0, at.leaf2!, true) }, () => [
    [REASON_DUPLICATE, at.leaf2!],
    [REASON_STALE, at.leaf2!],
  ]);
});

test("checkStep compares rows, runs and levels with the roots", () => {
  const root = (table: number) => (view: DataView): number => view.getUint16(PAGE_HEADER + (table - 16) * 8 + 4, true) + 2;
  const at = build().at;
  expectFindings({ roots: (view) => view.setUint32(root(16)(view) + 16, 36, true) }, () => [[REASON_COUNT, at.branch!, 16]]);
  expectFindings({ roots: (view) => view.setUint32(root(17)(view) + ROOT_RUN_PAGES, 3, true) }, () => [[REASON_COUNT, at.leaf17!, 17]]);
  expectFindings({ roots: (view) => view.setUint32(root(18)(view) + 16, 1, true) }, () => [[REASON_COUNT, at.roots!, 18]]);
  expectFindings({ roots: (view) => view.setUint8(root(16)(view) + 14, 2) }, () => [[REASON_TYPE, at.branch!, 16]]);
  expectFindings({ roots: (view) => view.setUint8(root(16)(view) + 14, 200) }, () => [[REASON_DEPTH, at.branch!, 16]]);
  expectFindings({ meta: (view) => view.setUint8(META_ROOTS_LEVEL, 1) }, () => [[REASON_TYPE, at.roots!]]);
  expectFindings({ meta: (view) => view.setUint8(META_ROOTS_LEVEL, 255) }, () => [[REASON_DEPTH, at.roots!]]);
});

test("checkStep reads runs at level 2 only", () => {
  const at = build().at;
  const cases: [Hooks, number][] = [
    [{ "after run": (_, bytes) => bytes[SIZE + 100]! ^= 1 }, REASON_CRC],
    [{ run: (view) => view.setUint32(RUN_LENGTH, 6001, true) }, REASON_COUNT],
    [{ run: (_, bytes) => bytes[PAGE_TYPE] = 1 }, REASON_TYPE],
    [{ run: (view) => view.setUint32(PAGE_NUMBER, 1, true) }, REASON_MISPLACED],
    [{ run: (view) => view.setUint32(PAGE_FILE_ID + 4, 1, true) }, REASON_FOREIGN],
    [{ run: (view) => view.setUint32(PAGE_BIRTH, 1, true) }, REASON_STALE],
    [{ "to run": (view) => view.setUint32(POINTER_CRC, 1, true) }, REASON_STALE],
  ];
  for (const [hooks, reason] of cases) {
    expectFindings(hooks, () => [[reason, at.run!, 17]]);
    assertEquals(check(build(hooks), 1).findings, []);
  }
  expectFindings({}, () => [[REASON_UNREADABLE, at.run! + 1, 17]], (file) => file.disk.delete(at.run! + 1));
});

test("checkStep compares the bitmap with what is reached", () => {
  const at = build().at;
  const bit = (page: number) => (_: DataView, bytes: Uint8Array): void => {
    bytes[PAGE_HEADER + (page >> 3)]! ^= 1 << (page & 7);
  };
  expectFindings({ bitmap: bit(at.leaf1!) }, () => [[REASON_UNMARKED, at.leaf1!]]);
  expectFindings({ bitmap: bit(5) }, () => [[REASON_UNMARKED, 5]]);
  expectFindings({ bitmap: bit(30) }, () => [[REASON_BOUNDS, at.bitmap!]]);
  const longer = (view: DataView): void => view.setUint32(META_PAGE_COUNT, 40, true);
  const leak = expectFindings({
    meta: longer,
    bitmap: (view, bytes) => {
      for (const page of [20, 21, 22, 39]) bit(page)(view, bytes);
    },
  }, () => [[REASON_LEAK, 20], [REASON_LEAK, 39]]);
  assertEquals(leak.findings.map(({ actual, severity }: Finding) => [actual, severity]), [[3, SEVERITY_WARNING], [1, SEVERITY_WARNING]]);
  assertEquals([leak.summary[CHECK_LEAKED_PAGES], leak.summary[CHECK_FREE_PAGES]], [4, 19]);
  assertEquals(expectFindings({ meta: longer }, () => []).summary[CHECK_FREE_PAGES], 23);
  expectFindings({ "after bitmap": (_, bytes) => bytes[50]! ^= 1 }, () => [[REASON_CRC, at.bitmap!]]);
  expectFindings({ meta: (view) => view.setUint8(META_BITMAP_LEVEL, 1) }, () => [[REASON_DEPTH, at.bitmap!]]);
  expectFindings({ meta: (view) => view.setUint32(META_BITMAP, 2000, true) }, () => [[REASON_BOUNDS, 0]]);
  expectFindings({ meta: (view) => view.setUint32(META_EXTENTS, 3, true) }, () => [[REASON_DUPLICATE, 3], [REASON_LEAK, 7]]);
  expectFindings({ meta: (view) => view.setUint32(META_EXTENTS + 4, 0xffffffff, true) }, () => [[REASON_BOUNDS, 4], [REASON_LEAK, 4]]);
  expectFindings({ meta: (view) => view.setUint16(META_EXTENT_COUNT, 40, true) }, () => [[REASON_BOUNDS, 0]]);
});

test("checkFindings keeps a thousand findings and counts the rest", () => {
  const report = check(build({
    meta: (view) => view.setUint32(META_PAGE_COUNT, 9000, true),
    bitmap: (_, bytes) => {
      for (let page = 20; page < 9000; page += 2) bytes[PAGE_HEADER + (page >> 3)]! |= 1 << (page & 7);
    },
  }));
  assertEquals(report.findings.length, FINDINGS_MAX);
  assertEquals(report.summary[CHECK_WARNINGS], 4490);
});

test("checkStep reads a bitmap with index levels that the space manager wrote", () => {
  const disk = new Map<number, Uint8Array>(), space = new Space(12, disk);
  space.ok(() => space.x.spaceNew(8));
  space.allocateRun(8_000_000);
  space.ok(() => space.x.spaceFinalize(3n));
  space.write();
  const state = space.durable(3);
  assertEquals(state.level, 2);
  const meta = (view: DataView, bytes: Uint8Array): void => {
    view.setUint32(META_ROOTS, 0, true);
    view.setUint32(META_PAGE_COUNT, state.pages, true);
    view.setUint8(META_BITMAP_LEVEL, state.level);
    bytes.set(state.pointer, META_BITMAP);
  };
  const report = check({ disk, meta: build({ meta }).meta }, 1, SIZE, 50);
  assertEquals(report.findings.map(({ reason, page, actual }) => [reason, page, actual]), [[REASON_LEAK, 8, 8_000_000]]);
  assertEquals(report.summary[CHECK_BITMAP_PAGES], Math.ceil(state.pages / 32_512) + 3);
  assertEquals(report.summary[CHECK_FREE_PAGES], 0);
});

test("checkStep ends, and stays in its memory, on well-sealed nonsense", () => {
  const random = seeded(51);
  const names = ["leaf0", "leaf1", "leaf2", "branch", "run", "leaf17", "roots", "bitmap", "meta"];
  let found = 0;
  for (let round = 0; round < 3000; round++) {
    const hooks: Hooks = {};
    for (let i = random.between(1, 3); i > 0; i--) {
      const name = random.pick(names);
      hooks[name] = (view, bytes) => {
        for (let k = random.between(1, 4); k > 0; k--) {
          const cells = view.getUint16(28, true);
          const area = random.chance(0.5) ? random.int(128) : SIZE - 1 - random.int(Math.min(cells, SIZE - 1) + 1);
          const at = name === "meta"
            ? random.pick([META_PAGE_COUNT, META_ROOTS, META_BITMAP, META_EXTENTS, META_ROOTS_LEVEL]) + random.int(8)
            : area;
          bytes[at] = random.chance(0.5) ? random.int(256) : random.pick([0, 1, 9, 127, 255]);
        }
      };
    }
    const file = build(hooks);
    if (new DataView(file.meta.buffer).getUint32(META_PAGE_COUNT, true) > 1 << 24) continue;
    const report = check(file, 2, SIZE, 1000);
    found += report.findings.length;
  }
  assert(found > 1000);
});
