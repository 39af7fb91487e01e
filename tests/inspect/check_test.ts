// Checking files: what is whole is called whole, every kind of damage is named with its place, and nothing is written.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  JOURNAL_GROUP,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  META_FILE_ID,
  PAGE_BIRTH,
  PAGE_BITMAP,
  PAGE_BRANCH,
  PAGE_FILE_ID,
  PAGE_LEAF,
  PAGE_RUN,
} from "../../assembly/format.ts";
import { checkFile, type Finding } from "../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { isManifestError, ManifestError } from "../../src/errors.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { CountingStorage, WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { BLOCK, check, damaged, fill, pagesOfKind, rot, sealPage, sealSlot } from "./filled.ts";

const filled = await fill({ notes: 250 });
const { bytes, pageSize } = filled;

const errorsOf = (found: readonly Finding[]): Finding[] => found.filter(({ severity }) => severity === "error");
const codes = (found: readonly Finding[]): string[] =>
  found.filter(({ severity }) => severity !== "info").map(({ code, reason }) => `${code} ${reason}`);

const lively = new Map<number, number[]>();

/** Pages of a kind that the newest state reaches: those whose damage is damage. */
async function livePages(kind: number): Promise<number[]> {
  const known = lively.get(kind);
  if (known !== undefined) return known;
  const live: number[] = [];
  lively.set(kind, live);
  for (const page of pagesOfKind(bytes, pageSize, kind)) {
    if ((await check(rot(bytes, page, pageSize))).verdict === "damaged") live.push(page);
  }
  return live;
}

/** Offsets of whole journal blocks by group number, in the newest order of the file. */
function journalBlocks(image: Uint8Array): Map<number, number[]> {
  const view = new DataView(image.buffer, image.byteOffset);
  const groups = new Map<number, number[]>();
  for (let at = 16384; at + BLOCK <= image.length; at += BLOCK) {
    if (view.getUint32(at + JOURNAL_MAGIC, true) !== JOURNAL_MAGIC_VALUE) continue;
    const group = view.getUint32(at + JOURNAL_GROUP, true);
    groups.set(group, [...groups.get(group) ?? [], at]);
  }
  return groups;
}

const spoil = (image: Uint8Array, ...offsets: number[]): Uint8Array =>
  damaged(image, (copy) => {
    for (const at of offsets) copy[at + 100]! ^= 0xff;
  });

for (const size of [4096, 65536]) {
  test(`checkFile: a whole file is clean at every level, with ${size >> 10} KiB pages, closed or not, and not a byte is written`, async () => {
    for (const closed of [true, false]) {
      const made = await fill({ pageSize: size, notes: 120, closed });
      const file = new MemoryFile(made.bytes);
      const storage = new CountingStorage(new MemoryStorage(file));
      for (const level of ["header", "tree", "deep"] as const) {
        const found: Finding[] = [];
        const summary = await checkFile(storage, { level, environment: testEnvironment(1), onFinding: (finding) => found.push(finding) });
        assertEquals(codes(found), []);
        assertEquals(summary.verdict, "clean");
        assertEquals(summary.fileId, made.fileId);
        assertEquals(found.some(({ code }) => code === "NOT_CLOSED"), !closed);
        if (level !== "header") {
          assertEquals(summary.sequence, made.sequence);
          const { total, meta, journal, branch, leaf, overflow, bitmap, free, leaked } = summary.pages!;
          assertEquals(meta + journal + branch + leaf + overflow + bitmap + free, total);
          assertEquals(leaked, 0);
          assertEquals(summary.journal!.damaged + summary.journal!.torn, 0);
          assertEquals(summary.journal!.whole > 0, !closed);
        }
      }
      assertEquals(storage.changes + storage.syncs + storage.counts.lock + storage.counts.close, 0);
      assertEquals(file.bytes(), made.bytes);
    }
  });
}

test("checkFile: every page of every kind, damaged, is named with its number, offset, path and table", async () => {
  let named = 0;
  for (const kind of [PAGE_LEAF, PAGE_BRANCH, PAGE_RUN, PAGE_BITMAP]) {
    for (const page of (await livePages(kind)).filter((_, i) => i % 2 === 0)) {
      const { verdict, found } = await check(rot(bytes, page, pageSize));
      const [first, ...more] = errorsOf(found);
      assertEquals(verdict, "damaged");
      assertEquals([first!.code, first!.reason, first!.page, first!.offset], ["CORRUPT_PAGE", "crc", page, page * pageSize]);
      assertEquals(more, []);
      if (kind === PAGE_BITMAP) continue;
      assertEquals(first!.path!.at(-1), page);
      if (kind !== PAGE_LEAF) assert(first!.table !== undefined, `page ${page}`);
      named++;
    }
  }
  assert(named > 12, `${named} pages`);
});

test("checkFile: a page of another place, of another file and of another time are told apart", async () => {
  const leaves = await livePages(PAGE_LEAF);
  const [victim, other] = [leaves.at(-2)!, leaves.at(-1)!];
  const reason = async (change: (copy: Uint8Array) => void): Promise<string[]> => codes((await check(damaged(bytes, change))).found);
  const at = victim * pageSize;
  assertEquals(await reason((copy) => copy.copyWithin(at, other * pageSize, (other + 1) * pageSize)), ["CORRUPT_PAGE misplaced"]);
  const foreign = await reason((copy) => {
    copy[at + PAGE_FILE_ID]! ^= 1;
    sealPage(copy, victim, pageSize);
  });
  assertEquals(foreign, ["CORRUPT_PAGE foreign_file"]);
  const stale = await reason((copy) => {
    copy[at + PAGE_BIRTH]! -= 1;
    sealPage(copy, victim, pageSize);
  });
  assertEquals(stale, ["CORRUPT_PAGE stale"]);
});

test("checkFile: goes on behind what it finds, says nothing twice, hands out what was asked for and counts the rest", async () => {
  const victims = (await livePages(PAGE_RUN)).slice(0, 6);
  const image = damaged(bytes, (copy) => {
    for (const page of victims) copy[page * pageSize + 2000]! ^= 1;
  });
  const all = await check(image);
  assertEquals(errorsOf(all.found).map(({ page }) => page!).sort((a, b) => a - b), victims);
  assertEquals(all.findings.error, 6);
  const few = await check(image, { maxFindings: 3 });
  assertEquals(few.found.length, 3);
  assertEquals(few.findings.error, 6);
  assertEquals(few.verdict, "damaged");
});

test("checkFile: each meta slot is described; one copy is absorbed, a generation is damage, all four are unreadable", async () => {
  const cases: [slots: number[], verdict: string, wanted: string[]][] = [
    [[0], "absorbed", ["META_COPY_DAMAGED crc"]],
    [[3], "absorbed", ["META_COPY_DAMAGED crc"]],
    [[0, 1], "absorbed", ["META_COPY_DAMAGED crc", "META_COPY_DAMAGED crc"]],
    [[0, 2], "damaged", ["CORRUPT_HEADER crc"]],
    [[1, 3], "damaged", ["CORRUPT_HEADER crc"]],
    [[0, 1, 2, 3], "unreadable", ["CORRUPT_HEADER crc", "CORRUPT_HEADER crc"]],
  ];
  const whole = await check(bytes, { level: "header" });
  const newest = whole.generations.find((generation) => generation.newest)!;
  for (const [slots, verdict, wanted] of cases) {
    const image = spoil(bytes, ...slots.map((slot) => slot * BLOCK));
    for (const level of ["header", "tree", "deep"] as const) {
      const summary = await check(image, { level });
      assertEquals([summary.verdict, codes(summary.found)], [verdict, wanted], `slots ${slots}, level ${level}`);
      const copies = [0, 1].flatMap((copy) => summary.generations.map((generation) => generation.copies[copy]!.readable));
      assertEquals(copies, [0, 1, 2, 3].map((slot) => !slots.includes(slot)));
      if (verdict !== "damaged" || level === "header") continue;
      // Which of the two is gone decides what is judged; it is said that the other may have been newer.
      assert(summary.found.some(({ code }) => code === "OLDER_GENERATION_JUDGED"));
      const lost = slots[0] === (newest.pair === "A" ? 0 : 1);
      assertEquals(summary.judged, lost ? newest.generation! - 1 : newest.generation);
      assert(summary.rows! > 100);
    }
  }
});

test("checkFile: a slot of another place, of another file, of the time before or with impossible numbers says so", async () => {
  const reasonOf = async (slot: number, change: (copy: Uint8Array) => void): Promise<string | undefined> => {
    const { generations, verdict } = await check(damaged(bytes, change), { level: "header" });
    assertEquals(verdict, "absorbed");
    return generations[slot % 2]!.copies[slot >> 1]!.reason;
  };
  assertEquals(await reasonOf(2, (copy) => copy.copyWithin(2 * BLOCK, 0, BLOCK)), "misplaced");
  const foreign = await reasonOf(0, (copy) => {
    copy[META_FILE_ID]! ^= 1;
    sealSlot(copy, 0);
  });
  assertEquals(foreign, "foreign_file");
  const impossible = await reasonOf(1, (copy) => {
    copy[BLOCK + 28] = 40;
    sealSlot(copy, 1);
  });
  assertEquals(impossible, "bounds");
  assertEquals(await reasonOf(3, (copy) => copy.fill(0, 3 * BLOCK, 4 * BLOCK)), "blank");
  // A writer may be between the two copies, or have crashed there; behind a clean close nobody is.
  for (const [image, severity] of [[bytes, "info"], [(await fill({ notes: 50, closed: true })).bytes, "warning"]] as const) {
    const older = damaged(image, (copy) => {
      const view = new DataView(copy.buffer);
      const slot = view.getBigUint64(72, true) > view.getBigUint64(BLOCK + 72, true) ? 2 : 3;
      view.setBigUint64(slot * BLOCK + 72, view.getBigUint64(slot * BLOCK + 72, true) - 2n, true);
      sealSlot(copy, slot);
    });
    assertEquals((await check(older)).found.find(({ code }) => code === "META_COPY_STALE")?.severity, severity);
  }
});

test("checkFile: one block of a journal group is absorbed, the newest group torn is absorbed, an acknowledged one is damage", async () => {
  const groups = [...journalBlocks(bytes)].sort(([a], [b]) => a - b);
  const [, last] = groups.at(-1)!;
  const [number, middle] = groups.at(-3)!;
  for (const at of middle) {
    const { verdict, found, journal } = await check(spoil(bytes, at));
    assertEquals([verdict, codes(found), journal!.rebuilt], ["absorbed", ["JOURNAL_BLOCK_REBUILT parity"], 1]);
    assertEquals(found.find(({ code }) => code === "JOURNAL_BLOCK_REBUILT")!.offset, at);
  }
  const torn = await check(spoil(bytes, ...last.slice(0, 2)));
  assertEquals(errorsOf(torn.found), []);
  assertEquals(torn.sequence, filled.sequence - 1);
  for (const level of ["tree", "deep"] as const) {
    const lost = await check(spoil(bytes, ...middle), { level });
    assertEquals([lost.verdict, lost.journal!.damaged], ["damaged", 1]);
    assertEquals(errorsOf(lost.found).map(({ code, group }) => [code, group]), [["CORRUPT_JOURNAL", number]]);
  }
});

test("checkFile: a file cut anywhere is called truncated, with both lengths, and what is left is judged", async () => {
  const { pages } = await check(bytes);
  const whole = pages!.total * pageSize;
  for (const length of [whole - 1, whole - pageSize, Math.floor(whole / 2), 200_000, 17_000, 16_384]) {
    const { verdict, found } = await check(bytes.slice(0, length));
    const cut = found.find(({ code }) => code === "TRUNCATED")!;
    assertEquals([verdict, cut.expected, cut.actual], ["damaged", whole, length]);
  }
  for (const length of [16_383, 5000]) assertEquals((await check(bytes.slice(0, length))).verdict !== "clean", true);
});

test("checkFile: what is empty, foreign, too new or half made is called that and unreadable", async () => {
  const code = async (image: Uint8Array): Promise<string> => {
    const { verdict, found } = await check(image, { level: "deep" });
    assertEquals(verdict, "unreadable");
    return found[0]!.code;
  };
  assertEquals(await code(new Uint8Array(0)), "EMPTY_FILE");
  assertEquals(await code(new Uint8Array(40_000).fill(7)), "NOT_A_MANIFEST");
  const tooNew = damaged(bytes, (copy) => {
    for (const slot of [0, 1, 2, 3]) {
      copy[slot * BLOCK + 14] = 9;
      sealSlot(copy, slot);
    }
  });
  assertEquals(await code(tooNew), "FORMAT_TOO_NEW");
  const feature = damaged(bytes, (copy) => {
    for (const slot of [0, 1, 2, 3]) {
      copy[slot * BLOCK + 24] = 1;
      sealSlot(copy, slot);
    }
  });
  assertEquals(await code(feature), "UNKNOWN_FEATURE");
  const fresh = new MemoryFile();
  const store = await Store.open(new MemoryStorage(fresh), { create: true, environment: testEnvironment(3), idleCheckpoint: 0 });
  const half = fresh.bytes().fill(0, BLOCK, 16384);
  await store.close();
  assertEquals(await code(half), "EMPTY_FILE");
});

test("checkFile: a count that the snapshots do not give is found by the deep level alone", async () => {
  const file = new MemoryFile(bytes);
  const store = await Store.open(new MemoryStorage(file), { environment: testEnvironment(4), idleCheckpoint: 0 });
  const { id } = store.table("gc_refcounts")!;
  const scan = store.newest.tree(id).scan();
  scan.next(1, 4096);
  const [key, value] = [scan.key(0), scan.value(0)];
  scan.close();
  value[0]! += 1;
  await store.commit({ change: false, stage: () => stageRaw(store.kernel, [{ kind: "put", table: id, key, value }]) });
  await store.close();
  assertEquals((await check(file.bytes())).verdict, "clean");
  const deep = await check(file.bytes(), { level: "deep" });
  assertEquals(deep.verdict, "damaged");
  assertEquals(errorsOf(deep.found).map(({ code, table }) => [code, table]), [["INCONSISTENT", "gc_refcounts"]]);
});

/** Storage that cannot read some bytes. */
class BadSector extends WrappedStorage {
  constructor(image: Uint8Array, readonly bad: number) {
    super(new MemoryStorage(image, { readOnly: true }));
  }

  override read(at: number, into: Uint8Array): number {
    if (at <= this.bad && this.bad < at + into.length) throw new ManifestError("IO_READ", "Cannot read: the device says no");
    return super.read(at, into);
  }
}

test("checkFile: a page that the device does not give is an I/O finding, the rest is judged all the same", async () => {
  for (const page of (await livePages(PAGE_LEAF)).slice(2, 5)) {
    const found: Finding[] = [];
    const storage = new BadSector(bytes, page * pageSize + 9);
    const { verdict, pages } = await checkFile(storage, { environment: testEnvironment(1), onFinding: (finding) => found.push(finding) });
    assertEquals([verdict, errorsOf(found).map(({ code, page }) => [code, page])], ["damaged", [["IO_READ", page]]]);
    assert(pages!.leaf > 8);
  }
  const slot = await checkFile(new BadSector(bytes, 5000), { environment: testEnvironment(1) });
  assertEquals([slot.verdict, slot.generations[1].copies[0].reason], ["absorbed", "unreadable"]);
});

test("checkFile: refuses options that are none, and ends when it is told to", async () => {
  const storage = new MemoryStorage(bytes, { readOnly: true });
  const codeOf = async (options: object): Promise<string> => {
    const error = await assertRejects(() => checkFile(storage, options));
    assert(isManifestError(error));
    return error.code;
  };
  assertEquals(await codeOf({ level: "all" }), "INVALID_ARGUMENT");
  assertEquals(await codeOf({ depth: 1 }), "INVALID_ARGUMENT");
  assertEquals(await codeOf({ maxFindings: NaN }), "INVALID_ARGUMENT");
  assertEquals(await codeOf({ signal: AbortSignal.abort(), environment: testEnvironment(1) }), "ABORTED");
});
