// A small file with a deep tree: keys so long, and separators so long, that a branch holds few children.
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { stageRaw } from "../../../src/store/raw_ops.ts";
import { Store } from "../../../src/store/store.ts";
import { createSmall, notes } from "../damage/small_file.ts";
import { testEnvironment } from "../environment.ts";
import { seeded } from "../random.ts";

/** The table with the deep tree. */
export const TALL_TABLE = 16;

/** Four digits in base 3, each repeated 240 times: neighbours share most of their bytes, a page as a whole few. */
function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(960);
  for (let i = 0; i < 4; i++) key.fill(0x61 + Math.floor(number / 3 ** (3 - i)) % 3, i * 240, (i + 1) * 240);
  return key;
}

/** Makes it, closed in order. */
export async function tallFile(seed: number): Promise<Uint8Array> {
  const random = seeded(seed);
  const file = new MemoryFile();
  const environment = testEnvironment(seed);
  await createSmall(file, environment, 8);
  const store = await Store.open(new MemoryStorage(file), { syncMode: "inline", idleCheckpoint: 0, environment });
  await store.createTable("tall", notes.schema);
  const numbers = random.shuffle(Array.from({ length: 81 }, (_, i) => i));
  for (const number of numbers) {
    const value = random.bytes(number % 20 === 0 ? 6000 : random.int(300));
    await store.commit({
      stage: () => stageRaw(store.kernel, [{ kind: "put", table: TALL_TABLE, key: keyOf(number), value }]),
      change: number % 9 === 0,
    });
  }
  await store.compact();
  await store.compact();
  await store.close();
  return file.bytes();
}
