// Kernels whose memory ends: wherever it does, a call that needs more fails alone, applies nothing, and the file is intact.
import { assert, assertEquals } from "@std/assert";
import { isManifestError } from "../../src/errors.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { kernelWithin } from "../support/wasm_patch.ts";

const TABLE = 16;
const encoder = new TextEncoder();
const OPTIONS = { create: true, idleCheckpoint: 0, syncMode: "inline", cacheBytes: 1 << 20 } as const;
const MIB = 1 << 20;

test("Store: where memory can grow no further a call is UNAVAILABLE, applies nothing, and the others go on, at every size", async () => {
  let refusedOpenings = 0, refused = 0, applied = 0, whole = 0;
  for (let bytes = MIB; whole < 2; bytes += 1 << 16) {
    assert(bytes < 64 * MIB, "it never suffices");
    const wasm = kernelWithin(bytes);
    const disk = new SimDisk();
    let store: Store;
    try {
      store = await Store.open(disk.open(), { ...OPTIONS, wasm, environment: testEnvironment(1) });
    } catch (error) {
      assert(isManifestError(error));
      assertEquals([error.code, error.outcome, error.handle], ["UNAVAILABLE", "not_applied", "closed"], error.message);
      refusedOpenings++;
      continue;
    }
    const kept = new Map<string, number>();
    let failed = 0;
    const attempt = async (call: () => Promise<unknown>): Promise<boolean> => {
      try {
        await call();
        return true;
      } catch (error) {
        assert(isManifestError(error), `${error}`);
        assertEquals([error.code, error.outcome, error.handle], ["UNAVAILABLE", "not_applied", "ok"], `${bytes}: ${error.message}`);
        failed++;
        return false;
      }
    };
    for (let i = 0; i < 14; i++) {
      // Many rows, or a long value: the arena, the body, the group and the frames grow by turns.
      const length = i % 3 === 0 ? 1 << (11 + i / 2) : 700;
      const rows = i % 3 === 1 ? 1 << (i / 2) : 1;
      const ops = Array.from({ length: rows }, (_, row) => ({
        kind: "put" as const,
        table: TABLE,
        key: encoder.encode(`${i} ${row}`),
        value: new Uint8Array(length).fill(i),
      }));
      if (await attempt(() => store.commit({ stage: () => stageRaw(store.kernel, ops) }))) {
        for (let row = 0; row < rows; row++) kept.set(`${i} ${row}`, length);
      }
      if (i % 5 === 4) await attempt(() => store.checkpoint());
      await attempt(() => Promise.resolve().then(() => compare(store, kept)));
    }
    assert(!store.readOnly);
    await attempt(() => store.close()); // closed all the same
    if (failed === 0) whole++;
    refused += failed;
    applied += kept.size;
    for (const image of [disk.durable(), disk.live()]) {
      const again = await Store.open(new MemoryStorage(image), { ...OPTIONS, environment: testEnvironment(2) });
      compare(again, kept);
      assertEquals((await again.check()).problems, []);
      await again.close();
    }
  }
  assert(refused > 10 && applied > 100, `${refusedOpenings} openings, ${refused} calls refused, ${applied} rows`);
});

/** All rows are there, and no others. */
function compare(store: Store, kept: ReadonlyMap<string, number>): void {
  using transaction = store.read();
  const tree = transaction.tree(TABLE);
  assertEquals(tree.rows, kept.size);
  for (const [key, length] of kept) assertEquals(tree.get(encoder.encode(key))?.length, length, key);
}
