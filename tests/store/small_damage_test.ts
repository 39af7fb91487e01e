// Damage at its smallest: each byte of a page's header, pages of another time, and the end of a journal that is no end. What is refused is not written to.
import { assert, assertEquals } from "@std/assert";
import {
  BLOCK_SIZE,
  JOURNAL_EPOCH,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  META_BYTES,
  PAGE_BRANCH,
  PAGE_HEADER,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_RUN,
  PAGE_TYPE,
} from "../../assembly/format.ts";
import { isManifestError } from "../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { recycling } from "../support/kernel_pool.ts";
import { isShare, SHARE } from "../support/share.ts";

const encoder = new TextEncoder();
const TABLE = 16;

function options(more: StoreOptions = {}): StoreOptions {
  return { idleCheckpoint: 0, environment: testEnvironment(1), syncMode: "inline", ...more };
}

function put(store: Store, key: string, size: number): Promise<unknown> {
  const value = encoder.encode(key.padEnd(size, "."));
  return store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: encoder.encode(key), value }]) });
}

/** All rows of the table, as text. */
function rowsOf(store: Store): string {
  using view = store.read();
  const tree = view.tree(TABLE);
  const scan = tree.scan();
  const out = [`${tree.rows}`];
  const decoder = new TextDecoder();
  while (scan.next(256, 1 << 20) > 0) {
    for (let row = 0; row < scan.rows; row++) out.push(`${decoder.decode(scan.key(row))}=${decoder.decode(scan.value(row))}`);
  }
  scan.close();
  return out.join("\n");
}

/** Whether it is a leaf or a branch. */
function isTreePage(page: Uint8Array): boolean {
  return page[PAGE_TYPE] === PAGE_LEAF || page[PAGE_TYPE] === PAGE_BRANCH;
}

/** All rows of a file, or the error that says why not. */
function readBack(image: Uint8Array): Promise<string> {
  return recycling(() => answerOf(image));
}

async function answerOf(image: Uint8Array): Promise<string> {
  try {
    const store = await Store.open(new MemoryStorage(image, { readOnly: true }), options({ readOnly: true }));
    try {
      return rowsOf(store);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!isManifestError(error)) throw error;
    return `${error.code} ${error.detail.reason} ${error.detail.page}`;
  }
}

test("Store: a page with one damaged byte in its header is never read as something else", async () => {
  const file = new MemoryFile();
  const made = await Store.open(new MemoryStorage(file), options({ create: true }));
  for (let i = 0; i < 60; i++) await put(made, `key ${String(i).padStart(4, "0")}`, 90);
  const expected = rowsOf(made);
  await made.close();
  const image = file.bytes();
  let damaged = 0, named = 0;
  for (let page = META_BYTES; page < image.length; page += BLOCK_SIZE) {
    if (!isTreePage(image.subarray(page, page + BLOCK_SIZE))) continue;
    for (let byte = 0; byte < PAGE_HEADER; byte++) {
      for (const bits of [1, 0xff]) {
        if (!isShare(page + byte)) continue;
        const copy = image.slice();
        copy[page + byte]! ^= bits;
        damaged++;
        const answer = await readBack(copy);
        if (answer.startsWith("CORRUPT_PAGE ")) named++;
        else assertEquals(answer === expected, true, `page at ${page}, byte ${byte}, bits ${bits}: ${answer.slice(0, 200)}`);
      }
    }
  }
  assert(damaged > 200 / SHARE && named > 60 / SHARE, `${damaged} damaged, ${named} named`);
});

/** Keeps the pages that each place has held. */
class Pages extends WrappedStorage {
  readonly held = new Map<number, Uint8Array[]>();
  override write(at: number, from: Uint8Array): void {
    for (let i = 0; i < from.length && at + i >= META_BYTES; i += BLOCK_SIZE) {
      this.held.set(at + i, [...this.held.get(at + i) ?? [], from.slice(i, i + BLOCK_SIZE)]);
    }
    super.write(at, from);
  }
}

test("Store: a page that its place once held, whole and of this file, is refused as stale by whoever reads it", async () => {
  const file = new MemoryFile();
  const storage = new Pages(new MemoryStorage(file));
  const made = await Store.open(storage, options({ create: true }));
  const key = (i: number): string => `key ${String(i).padStart(4, "0")}`;
  await Promise.all(Array.from({ length: 120 }, (_, i) => put(made, key(i), 300)));
  const refused = new Map([[PAGE_LEAF, 0], [PAGE_BRANCH, 0], [PAGE_RUN, 0]]);
  const other: string[] = [];
  for (let round = 1; round <= 60; round++) {
    // Here and there, then the same leaf again and again: its place then held the same keys. A long value has a page of its own.
    const keys = round < 40 ? [0, 1, 2, 3].map((i) => (round * 37 + i * 71) % 120) : [60];
    await Promise.all([...keys.map((i) => put(made, key(i), 300 + round)), put(made, "long", 3000 + round)]);
    await made.checkpoint();
    if (round < 55) continue;
    const image = file.bytes();
    const expected = rowsOf(made);
    for (const [at, pages] of storage.held) {
      const now = image.slice(at, at + BLOCK_SIZE);
      const type = now[PAGE_TYPE]!;
      const older = pages.filter((page) =>
        page[PAGE_TYPE] === type && page[PAGE_LEVEL] === now[PAGE_LEVEL] && page.some((byte, i) => byte !== now[i])
      );
      for (const page of refused.has(type) ? older.slice(-2) : []) {
        image.set(page, at);
        const answer = await readBack(image);
        image.set(now, at);
        if (answer === `CORRUPT_PAGE stale ${at / BLOCK_SIZE}`) refused.set(type, refused.get(type)! + 1);
        else if (answer !== expected) other.push(answer.startsWith("CORRUPT_") ? answer : "other rows"); // the expected ones where the page is free now
      }
    }
  }
  await made.close();
  assertEquals(other.sort().reverse(), []);
  assert([...refused.values()].every((count) => count > 3), JSON.stringify([...refused]));
});

/** Counts what is written. */
class Writes extends WrappedStorage {
  count = 0;
  /** Groups written: offset and length of each. */
  readonly groups: [at: number, length: number][] = [];
  override write(at: number, from: Uint8Array): void {
    this.count++;
    const view = new DataView(from.buffer, from.byteOffset);
    if (view.getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE && view.getUint32(JOURNAL_EPOCH, true) > 0) {
      this.groups.push([at, from.length]);
    }
    super.write(at, from);
  }
  override truncate(size: number): void {
    this.count++;
    super.truncate(size);
  }
}

test("Store.open: a file whose journal is damaged in the middle is refused and not one byte of it is written", async () => {
  for (const missing of ["first blocks", "last blocks", "all blocks"]) {
    const file = new MemoryFile();
    const before = new Writes(new MemoryStorage(file));
    const made = await Store.open(before, options({ create: true }));
    before.groups.length = 0;
    for (let i = 0; i < 6; i++) await Promise.all(Array.from({ length: 12 }, (_, j) => put(made, `${i}/${j}`, 900)));
    const image = file.bytes();
    const [at, length] = before.groups[2]!;
    await made.close();
    const from = missing === "last blocks" ? at + length - 2 * BLOCK_SIZE : at;
    image.fill(0, from, missing === "all blocks" ? at + length : from + 2 * BLOCK_SIZE);
    const damaged = new MemoryFile(image);
    const storage = new Writes(new MemoryStorage(damaged));
    let code = "opened";
    try {
      await (await Store.open(storage, options())).close();
    } catch (error) {
      code = isManifestError(error) ? error.code : `${error}`;
    }
    assertEquals([code, storage.count], ["CORRUPT_JOURNAL", 0], missing);
    assertEquals(damaged.bytes(), image, missing);
  }
});
