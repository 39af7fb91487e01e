// Describing pages and dumping tables: what is there, without what nobody asked to see.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { PAGE_BITMAP, PAGE_BRANCH, PAGE_LEAF, PAGE_RUN } from "../../assembly/format.ts";
import { isManifestError } from "../../src/errors.ts";
import {
  describePage,
  type DumpItem,
  type DumpOptions,
  dumpTables,
  type PageDescription,
  type PageOptions,
} from "../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { BLOCK, damaged, fill, pagesOfKind, rot } from "./filled.ts";

const filled = await fill({ notes: 250 });
const { bytes, pageSize } = filled;

function describe(image: Uint8Array, page: number, options: PageOptions = {}): Promise<PageDescription> {
  return describePage(new MemoryStorage(image, { readOnly: true }), page, { environment: testEnvironment(1), ...options });
}

async function dump(image: Uint8Array, options: DumpOptions = {}): Promise<DumpItem[]> {
  const items: DumpItem[] = [];
  for await (const item of dumpTables(new MemoryStorage(image, { readOnly: true }), { environment: testEnvironment(1), ...options })) {
    items.push(item);
  }
  return items;
}

test("describePage: every page of a file has a kind, and tree pages, bitmaps and overflow values are valid", async () => {
  const kinds = new Map<string, number>();
  const some = [PAGE_LEAF, PAGE_BRANCH, PAGE_RUN, PAGE_BITMAP].flatMap((kind) => pagesOfKind(bytes, pageSize, kind).slice(0, 12));
  for (const page of [0, 1, 2, 3, 4, 5, 20, ...some]) {
    const { kind, offset, valid } = await describe(bytes, page);
    assertEquals(offset, page * pageSize);
    if (kind !== "unknown" && kind !== "blank" && kind !== "journal") assertEquals(valid, true, `page ${page}: ${kind}`);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  for (const kind of ["meta", "journal", "leaf", "branch", "overflow", "bitmap"]) assert(kinds.has(kind), kind);
  assertEquals(kinds.get("meta"), 4);
  assertEquals((await describe(bytes, bytes.length / pageSize)).kind, "beyond_end");
});

test("describePage: children of a branch carry the checksum and birth that the children have", async () => {
  const [branch] = pagesOfKind(bytes, pageSize, PAGE_BRANCH).slice(-1);
  const { cells, header } = await describe(bytes, branch!);
  assertEquals(cells!.length, header.count);
  assertEquals(cells![0]!.keyLength, 0);
  for (const { pointer } of cells!) {
    const child = await describe(bytes, pointer!.page);
    assertEquals([child.header.crc, child.header.birth], [pointer!.crc, pointer!.birth]);
  }
});

test("describePage: a damaged page is not valid and says why; its cells are not shown", async () => {
  for (const kind of [PAGE_LEAF, PAGE_BRANCH, PAGE_RUN, PAGE_BITMAP]) {
    const [page] = pagesOfKind(bytes, pageSize, kind);
    const { valid, reason, cells, header } = await describe(rot(bytes, page!, pageSize), page!);
    assertEquals([valid, reason, cells, header.number], [false, "crc", undefined, page]);
  }
  const [from, to] = pagesOfKind(bytes, pageSize, PAGE_LEAF);
  const moved = damaged(bytes, (copy) => copy.copyWithin(to! * pageSize, from! * pageSize, (from! + 1) * pageSize));
  assertEquals((await describe(moved, to!)).reason, "misplaced");
  const slots = await describe(damaged(bytes, (copy) => copy[BLOCK + 77]! ^= 1), 1);
  assertEquals([slots.kind, slots.valid, slots.reason, slots.header["B1.readable"]], ["meta", false, "crc", false]);
});

test("describePage: keys and values are shown when asked for, and only then", async () => {
  const secret = [..."blob 0"].map((char) => char.charCodeAt(0).toString(16)).join("");
  let shown = 0;
  for (const page of pagesOfKind(bytes, pageSize, PAGE_LEAF)) {
    const without = await describe(bytes, page);
    assert(without.cells!.every((cell) => cell.key === undefined && cell.value === undefined));
    assert(!JSON.stringify(without).includes(secret));
    const { cells } = await describe(bytes, page, { values: true });
    assertEquals(cells!.map(({ key }) => key!.length / 2), without.cells!.map(({ keyLength }) => keyLength));
    if (JSON.stringify(cells).includes(secret)) shown++;
  }
  assert(shown > 0);
});

test("describePage: works without a readable meta slot, and refuses what is no page number", async () => {
  const [leaf] = pagesOfKind(bytes, pageSize, PAGE_LEAF);
  const blind = damaged(bytes, (copy) => copy.fill(0, 0, 16384));
  const { kind, valid, cells } = await describe(blind, leaf!);
  assertEquals([kind, valid], ["leaf", true]);
  assert(cells!.length > 0);
  assertEquals((await describe(blind, 0)).valid, false);
  for (const page of [-1, 1.5, 2 ** 31, NaN]) {
    const error = await assertRejects(() => describe(bytes, page));
    assert(isManifestError(error) && error.code === "INVALID_ARGUMENT");
  }
});

test("dumpTables: every row of every table, decoded with the schemas of the file, as the manifest gives it", async () => {
  for (const closed of [true, false]) {
    const made = await fill({ notes: 90, closed });
    const items = await dump(made.bytes, { values: true });
    for (const [name, rows] of made.rows) {
      const found = items.filter((item) => item.type === "row" && item.table === name) as { key: unknown; value: unknown }[];
      assertEquals(new Map(found.map(({ key, value }) => [JSON.stringify(key), JSON.stringify(value)])), rows);
      assert(items.some((item) => item.type === "table" && item.table === name && item.rows === rows.size));
    }
    assert(items.some((item) => item.type === "row" && item.table === "change_log"));
  }
});

test("dumpTables: without values only lengths are told, and nothing is written", async () => {
  const file = new MemoryFile(bytes);
  const storage = new CountingStorage(new MemoryStorage(file));
  let rows = 0;
  for await (const item of dumpTables(storage, { table: "notes", environment: testEnvironment(1) })) {
    if (item.type !== "row") continue;
    assertEquals([item.key, item.value, item.keyBytes], [undefined, undefined, 8]);
    assert(item.valueBytes! > 5);
    rows++;
  }
  assertEquals(rows, filled.rows.get("notes")!.size);
  assertEquals(storage.changes + storage.syncs + storage.counts.lock + storage.counts.close, 0);
  assertEquals(file.bytes(), bytes);
});

test("dumpTables: damage is an item of its table; the tables behind it are there", async () => {
  let met = 0;
  for (const page of pagesOfKind(bytes, pageSize, PAGE_LEAF).filter((_, i) => i % 3 === 0)) {
    let items: DumpItem[];
    try {
      items = await dump(rot(bytes, page, pageSize), { values: true });
    } catch (error) {
      // Registry, roots, or what the journal has to be applied to.
      assert(isManifestError(error) && error.kind === "data", `page ${page}: ${error}`);
      continue;
    }
    for (const item of items) {
      if (item.type === "row" && item.table in filled.rows) {
        assertEquals(filled.rows.get(item.table)!.get(JSON.stringify(item.key)), JSON.stringify(item.value));
      }
      if (item.type !== "damage") continue;
      assertEquals([item.code, item.page], ["CORRUPT_PAGE", page]);
      met++;
    }
    assert(items.some((item) => item.type === "table" && item.table === "wal_state"));
  }
  assert(met > 1, `${met} pages`);
});

test("dumpTables: refuses a table that is not there and a file without a state", async () => {
  const codeOf = async (image: Uint8Array, options: DumpOptions = {}): Promise<string> => {
    const error = await assertRejects(() => dump(image, options));
    assert(isManifestError(error));
    return error.code;
  };
  assertEquals(await codeOf(bytes, { table: "nothing" }), "TABLE_UNKNOWN");
  assertEquals(await codeOf(new Uint8Array(0)), "EMPTY_FILE");
  assertEquals(await codeOf(new Uint8Array(20_000).fill(1)), "NOT_A_MANIFEST");
  assertEquals(await codeOf(damaged(bytes, (copy) => [0, 1, 2, 3].forEach((slot) => copy[slot * BLOCK + 50]! ^= 1))), "CORRUPT_HEADER");
});
