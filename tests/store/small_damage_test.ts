// Damage at its smallest: each byte of a page's header, and the end of a journal that is no end. What is refused is not written to.
import { assert, assertEquals } from "@std/assert";
import {
  BLOCK_SIZE,
  JOURNAL_EPOCH,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  META_BYTES,
  PAGE_HEADER,
  PAGE_LEAF,
  PAGE_TYPE,
} from "../../assembly/format.ts";
import { isManifestError } from "../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

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

test("Store: a page with one damaged byte in its header is never read as something else", async () => {
  const file = new MemoryFile();
  const made = await Store.open(new MemoryStorage(file), options({ create: true }));
  for (let i = 0; i < 60; i++) await put(made, `key ${String(i).padStart(4, "0")}`, 90);
  const expected = rowsOf(made);
  await made.close();
  const image = file.bytes();
  let damaged = 0, named = 0;
  for (let page = META_BYTES; page < image.length; page += BLOCK_SIZE) {
    const type = image[page + PAGE_TYPE]!;
    if (type < PAGE_LEAF || type > PAGE_LEAF + 1) continue; // leaves and branches
    for (let byte = 0; byte < PAGE_HEADER; byte++) {
      for (const bits of [1, 0xff]) {
        const copy = image.slice();
        copy[page + byte]! ^= bits;
        damaged++;
        let rows: string | undefined;
        try {
          const store = await Store.open(new MemoryStorage(copy, { readOnly: true }), options({ readOnly: true }));
          try {
            rows = rowsOf(store);
          } finally {
            await store.close();
          }
        } catch (error) {
          assert(isManifestError(error) && error.code === "CORRUPT_PAGE", `page at ${page}, byte ${byte}, bits ${bits}: ${error}`);
          named++;
          continue;
        }
        assertEquals(rows === expected, true, `page at ${page}, byte ${byte}, bits ${bits}: other rows`);
      }
    }
  }
  assert(damaged > 200 && named > 60, `${damaged} damaged, ${named} named`);
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
