// What transactions compare their reads with, when commits are taken back.
import { assertEquals } from "@std/assert";
import { defineTable, Manifest, text, u53 } from "../../mod.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { test } from "../support/harness.ts";
import { errorOf } from "./open_manifest.ts";

const long = defineTable({ name: "long", key: [text("path")], value: { n: u53() } });
const short = defineTable({ name: "short", key: [u53("n")], value: { n: u53() } });

test("Manifest.transact: a batch too large to be kept for comparison, and taken back, is no conflict for those that are open", async () => {
  const storage = new FaultyStorage(new SimDisk().open());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, environment: testEnvironment(1) });
  await manifest.begin().put(short, 1, { n: 1 }).put(long, "a", { n: 1 }).commit();
  const { attempts, value } = await manifest.transact(async (txn) => {
    const n = txn.get(short, 1)!.n + 1;
    const batch = manifest.begin();
    for (let i = 0; i < 18_000; i++) batch.put(long, `${i}`.padEnd(1000, "k"), { n: i });
    storage.plan({ at: 3, errno: "ENOSPC", kinds: ["write"], times: Infinity }); // behind the run of the change record: when everything is applied
    assertEquals((await errorOf(() => batch.commit())).code, "NO_SPACE");
    storage.plan(undefined);
    await manifest.begin().put(long, "b", { n: 2 }).commit(); // takes the number of the one that was dropped, and touches nothing that was read
    txn.put(short, 1, { n });
    return n;
  }, { retries: 0 });
  assertEquals([attempts, value, manifest.get(short, 1)?.n, manifest.count(long)], [1, 2, 2, 2]);
  await manifest.close();
});
