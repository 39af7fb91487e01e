// Whatever fails, every promise settles, and what it rejects with is a typed error.
import { assert, assertEquals } from "@std/assert";
import { bytes, defineTable, isManifestError, Manifest, u53 } from "../../mod.ts";
import { FaultyStorage, SimDisk } from "../support/crash_storage.ts";
import { test } from "../support/harness.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { data: bytes() } });
const KINDS = ["sync", "write", "read"] as const;
const MODES = ["sync", "relaxed", "none"] as const;

test("Manifest: every call settles with an answer or a typed error when the storage fails for good at any call", async () => {
  let failures = 0;
  for (let seed = 0; seed < 207; seed++) {
    const storage = new FaultyStorage(new SimDisk().open());
    const manifest = await Manifest.open(storage, {
      create: true,
      cacheBytes: 1 << 18,
      durability: MODES[Math.floor(seed / 3) % 3]!,
      syncMode: seed % 2 ? "async" : "inline",
      idleCheckpoint: 0,
    });
    const filling = manifest.begin();
    for (let i = 0; i < 300; i++) filling.put(table, [i], { data: new Uint8Array(i % 30 ? 300 : 9000) });
    await filling.commit();
    storage.plan({ at: Math.floor(seed / 9), errno: "EIO", kinds: [KINDS[seed % 3]!], times: Infinity });
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) calls.push(manifest.begin().put(table, [i], { data: new Uint8Array(200) }).commit());
    calls.push(manifest.begin().put(table, [5000], { data: new Uint8Array(1 << 20) }).commit());
    calls.push(manifest.checkpoint(), manifest.compact(), manifest.check(), manifest.sync(), manifest.resolve("0".repeat(32)));
    calls.push(manifest.dropTable("t"));
    if (seed % 4) await Promise.allSettled(calls.slice(0, seed % 8));
    calls.push(manifest.close());
    for (const outcome of await Promise.allSettled(calls)) {
      if (outcome.status === "fulfilled") continue;
      failures++;
      assert(isManifestError(outcome.reason), `seed ${seed}: ${outcome.reason}`);
    }
    const late = await Promise.allSettled([manifest.begin().put(table, [1], { data: new Uint8Array(1) }).commit(), manifest.sync()]);
    assertEquals(late.map(({ status }) => status), ["rejected", "rejected"], `seed ${seed}`);
  }
  assert(failures > 400, `only ${failures} calls failed`);
});
