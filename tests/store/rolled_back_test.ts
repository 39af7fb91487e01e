// Files that are older than they were: an older copy put back, or a journal of a writer that the meta slots know nothing of.
import { assertEquals, assertRejects } from "@std/assert";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import type { ManifestErrorFields } from "../../src/errors.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const OPTIONS: StoreOptions = { idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(1) };

function put(store: Store, key: string): Promise<{ sequence: number }> {
  return store.commit({
    stage: () => stageRaw(store.kernel, [{ kind: "put", table: 16, key: new TextEncoder().encode(key), value: new Uint8Array(10) }]),
  });
}

async function codeOf(bytes: Uint8Array, options: StoreOptions): Promise<string> {
  const storage = new MemoryStorage(bytes);
  const error = await assertRejects(() => Store.open(storage, { ...OPTIONS, ...options })) as ManifestErrorFields;
  assertEquals(storage.bytes(), bytes, "not a byte is written");
  return error.code;
}

test("Store.open: expectSequence refuses an older copy of the file, and writes nothing", async () => {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), { ...OPTIONS, create: true });
  await put(store, "a");
  const older = file.bytes();
  const { sequence } = await put(store, "b");
  const newer = file.bytes();
  await store.close();
  for (const readOnly of [false, true]) {
    assertEquals(await codeOf(older, { expectSequence: sequence, readOnly }), "ROLLED_BACK");
    assertEquals(
      await codeOf(new Uint8Array(0), { expectSequence: sequence, create: !readOnly, readOnly }),
      readOnly ? "EMPTY_FILE" : "ROLLED_BACK",
    );
    for (const bytes of [newer, file.bytes()]) {
      const again = await Store.open(new MemoryStorage(bytes), { ...OPTIONS, expectSequence: sequence, readOnly });
      assertEquals(again.durableSequence, sequence);
      await again.close();
    }
  }
  await assertRejects(() => Store.open(new MemoryStorage(newer), { ...OPTIONS, expectSequence: -1 }), RangeError);
});

test("Store.open: meta slots that know nothing of the writer in the journal are ROLLED_BACK", async () => {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), { ...OPTIONS, create: true });
  await put(store, "a");
  const before = file.bytes();
  await store.close();
  const again = await Store.open(new MemoryStorage(file), OPTIONS);
  await put(again, "b");
  const bytes = file.bytes();
  await again.close();
  // All four slots go back to what they held while the first writer had the file.
  bytes.set(before.subarray(0, 16_384));
  for (const readOnly of [false, true]) assertEquals(await codeOf(bytes, { readOnly }), "ROLLED_BACK");
});
