// The whole-file check gives others a turn: commits and timers go on beside it, however many pages it reads.
import { assert, assertEquals } from "@std/assert";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const encoder = new TextEncoder();

test("Store.check: others get a turn every 256 pages, and commits made then are acknowledged before it ends", async () => {
  const environment = testEnvironment(1);
  let turns = 0;
  let turn = (): void => {};
  const options = {
    create: true,
    idleCheckpoint: 0,
    environment: {
      ...environment,
      yield: () => {
        turns++;
        turn();
        return environment.yield();
      },
    },
  };
  const store = await Store.open(new MemoryStorage(new MemoryFile()), options);
  const table = await store.createTable("t", new Uint8Array(0));
  const put = (n: number): Promise<unknown> =>
    store.commit({
      stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: encoder.encode(`${n}`), value: new Uint8Array(1500) }]),
    });
  for (let n = 0; n < 1200; n++) await put(n);
  await store.checkpoint();

  let acknowledged = 0;
  turns = 0;
  turn = () => void put(1200 + turns).then(() => acknowledged++);
  const { ok, pages } = await store.check();
  turn = () => {};
  assert(ok);
  // Rows lie two to a page at most; a change of its own for each is in the log besides.
  assert(turns >= 1200 / 2 / 256, `${turns} turns for ${pages} pages`);
  assert(acknowledged >= turns - 1, `${acknowledged} of ${turns}`);
  assertEquals((await store.check()).ok, true);
  await store.close();
});
