// Opening for reading while a writer goes on: whichever reads see the file before and whichever after, the state is one that the writer has had.
import { assert, assertEquals } from "@std/assert";
import { isManifestError } from "../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const encoder = new TextEncoder();

/** Shows an older image until so many reads were made, then a newer one. */
class Changing extends WrappedStorage {
  reads = 0;
  readonly #older: MemoryStorage;
  readonly #switchAt: number;

  constructor(older: Uint8Array, newer: Uint8Array, switchAt: number) {
    super(new MemoryStorage(newer, { readOnly: true }));
    this.#older = new MemoryStorage(older, { readOnly: true });
    this.#switchAt = switchAt;
  }

  override read(at: number, into: Uint8Array): number {
    return this.reads++ < this.#switchAt ? this.#older.read(at, into) : super.read(at, into);
  }
}

test("Store.open: for reading, while groups are appended and checkpoints made between any two reads, gives a state the writer has had", async () => {
  const file = new MemoryFile();
  const writer = await Store.open(new MemoryStorage(file), { create: true, idleCheckpoint: 0, environment: testEnvironment(3) });
  const table = await writer.createTable("t", new Uint8Array(0));
  const put = (n: number): Promise<unknown> =>
    writer.commit({
      stage: () => stageRaw(writer.kernel, [{ kind: "put", table, key: encoder.encode(`${n}`), value: new Uint8Array(6000) }]),
    });
  const images: Uint8Array[] = [];
  for (let n = 0; n < 40; n++) {
    await put(n);
    if (n % 9 === 8) await writer.checkpoint();
    images.push(new MemoryStorage(file, { readOnly: true }).bytes().slice());
  }
  let whole = 0;
  for (let from = 0; from < images.length - 4; from += 3) {
    for (const step of [1, 3]) {
      for (let switchAt = 1;; switchAt++) {
        const storage = new Changing(images[from]!, images[from + step]!, switchAt);
        let opened = false;
        try {
          const reader = await Store.open(storage, { readOnly: true, idleCheckpoint: 0, environment: testEnvironment(4) });
          opened = true;
          using transaction = reader.read();
          const { rows } = transaction.tree(table);
          assert(rows > from && rows <= from + step + 1, `from ${from}, step ${step}, after ${switchAt} reads: ${rows} rows`);
          whole++;
          transaction.close();
          await reader.close();
        } catch (error) {
          assert(
            isManifestError(error) && error.code === "SNAPSHOT_EXPIRED",
            `from ${from}, step ${step}, after ${switchAt} reads: ${error}`,
          );
          assert(opened, "opening looks again instead");
        }
        if (storage.reads <= switchAt) break;
      }
    }
  }
  assert(whole > 60, `${whole}`);
  assertEquals((await writer.check()).problems, []);
  await writer.close();
});
