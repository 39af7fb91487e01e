// What the README says of damage: a changed bit anywhere in a file is absorbed or named, and never answered as data.
import { assert, assertEquals } from "@std/assert";
import { isManifestError } from "../../src/errors.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { exampleFile } from "./samples.ts";

/** Offsets within a block that are changed, one at a time: every header field, slots, cells, the end. */
const OFFSETS = [0, 4, 5, 6, 8, 12, 20, 26, 28, 30, 34, 38, 60, 74, 90, 110, 136, 260, 1000, 4000, 4090, 4095];
const ABSENT = "none of its rows";

/** Opens an image and reads every row; or the code of the error that says why not. */
async function contents(image: Uint8Array, tables: readonly number[]): Promise<string> {
  let store: Store | undefined;
  try {
    store = await Store.open(new MemoryStorage(image), {
      environment: testEnvironment(2),
      syncMode: "inline",
      idleCheckpoint: 0,
      cacheBytes: 0,
    });
    using view = store.read();
    const rows: string[] = [];
    for (const table of [1, 2, 3, ...tables]) {
      using scan = view.tree(table).scan();
      while (scan.next(100, 1 << 16) > 0) {
        for (let row = 0; row < scan.rows; row++) rows.push(`${table} ${scan.key(row)} ${scan.value(row)}`);
      }
    }
    return rows.length === 0 ? ABSENT : rows.join("\n");
  } catch (error) {
    if (!isManifestError(error)) throw error;
    return error.code;
  } finally {
    await store?.close().catch(() => {});
  }
}

async function flipAll(image: Uint8Array, tables: readonly number[]): Promise<Map<string, number>> {
  const right = await contents(image.slice(), tables);
  assert(right.includes("\n"), right);
  const answers = new Map<string, number>();
  for (let block = 0; block < image.length; block += 4096) {
    if (image.subarray(block, block + 4096).every((byte) => byte === 0)) continue;
    for (const offset of OFFSETS) {
      const damaged = image.slice();
      damaged[block + offset]! ^= 1 << (offset % 8);
      const answer = await contents(damaged, tables);
      const named = answer === right ? "right" : answer;
      assert(
        named === "right" || /^(CORRUPT_[A-Z]+|TRUNCATED)$/.test(named),
        `block ${block / 4096}, offset ${offset}: ${named.slice(0, 200)}`,
      );
      answers.set(named, (answers.get(named) ?? 0) + 1);
    }
  }
  return answers;
}

test("Store: a changed bit in a closed file is absorbed or named", async () => {
  const { closed, tables } = await exampleFile();
  const answers = await flipAll(closed, tables);
  assert(answers.get("right")! > 200 && answers.get("CORRUPT_PAGE")! > 200, JSON.stringify([...answers]));
});

test("Store: a changed bit in a file that was not closed is absorbed or named, in the journal always absorbed", async () => {
  const { open, tables } = await exampleFile();
  const answers = await flipAll(open, tables);
  assert(answers.get("right")! > 200 && answers.get("CORRUPT_PAGE")! > 100, JSON.stringify([...answers]));
  assertEquals(answers.get("CORRUPT_JOURNAL"), undefined);
});
