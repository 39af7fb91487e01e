// Whatever fails, every promise settles, and what it rejects with is a typed error.
import { assert, assertEquals } from "@std/assert";
import { bytes, defineTable, isManifestError, Manifest, text, u53 } from "../../mod.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { test } from "../support/harness.ts";
import { recycling } from "../support/kernel_pool.ts";
import { isShare, SHARE } from "../support/share.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { data: bytes() } });
const KINDS = ["sync", "write", "read"] as const;
const MODES = ["sync", "relaxed", "none"] as const;

test("Manifest: every call settles with an answer or a typed error when the storage fails for good at any call", async () => {
  let failures = 0;
  for (let seed = 0; seed < 207; seed++) {
    if (isShare(seed)) await recycling(() => one(seed));
  }
  assert(failures > 400 / SHARE, `only ${failures} calls failed`);

  async function one(seed: number): Promise<void> {
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
});

test("ManifestTxn.commit: behind one of its group that fails when it is applied again nothing stays that was built on it", async () => {
  const rows = defineTable({ name: "rows", key: [u53("id")], value: { filler: text() } });
  const filler = "x".repeat(900);
  const outcomes = new Map<string, number>();
  for (let at = 0; at < 60; at++) {
    if (isShare(at)) await recycling(() => one(at));
  }
  assert((outcomes.get("IO_READ,UNAVAILABLE,IO_READ") ?? 0) > 5 / SHARE, JSON.stringify([...outcomes]));

  async function one(at: number): Promise<void> {
    const storage = new FaultyStorage(new SimDisk().open());
    const manifest = await Manifest.open(storage, { create: true, cacheBytes: 1 << 16, idleCheckpoint: 0, syncMode: "inline" });
    await manifest.begin().putDb(2, { name: "b" }).upsertChunk([2, 1], { fileName: "f" }).publishSnapshot([2, 1], {
      chunks: [{ chunkId: 1 }],
    }).commit();
    for (let i = 0; i < 60; i++) {
      const txn = manifest.begin();
      for (let j = 0; j < 16; j++) txn.put(rows, [i * 16 + j], { filler });
      await txn.commit();
    }
    await manifest.checkpoint();
    storage.plan({ at, errno: "EIO", kinds: ["read"], times: 2 + at % 2 });
    const large = manifest.begin();
    for (let j = 0; j < 40; j++) large.put(rows, [(j * 379) % 960], { filler: "r" });
    const codes = await Promise.all(
      [
        manifest.begin().putDb(1, { name: "a" }).dropSnapshot([2, 1]).put(rows, [3], { filler: "y" }),
        manifest.begin().upsertChunk([1, 1], { fileName: "f" }).publishSnapshot([2, 2], { chunks: [{ chunkId: 1 }] }),
        large,
      ].map((txn) => txn.commit().then(() => "ok", (error) => error.code as string)),
    );
    storage.plan(undefined);
    const outcome = codes.join();
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    assert(codes[0] === "ok" || codes[1] !== "ok", `at ${at}: ${outcome}`);
    assertEquals(
      [manifest.getDb(1) !== undefined, manifest.getChunk(1, 1) !== undefined],
      [codes[0] === "ok", codes[1] === "ok"],
      `at ${at}`,
    );
    assertEquals((await manifest.check({ level: "deep" })).problems, [], `at ${at}: ${outcome}`);
    await manifest.close();
  }
});

test("Manifest: a read that fails while the cursors are looked up makes none of them unknown, and the log keeps what they have before them", async () => {
  let failed = 0;
  for (let at = 0; at < 24; at++) {
    const disk = new SimDisk();
    const options = { create: true, cacheBytes: 1 << 18, idleCheckpoint: 0, syncMode: "inline", logRetention: { changes: 2 } } as const;
    const first = await Manifest.open(disk.open(), options);
    for (const name of ["slow", "quick"]) await first.registerChangeCursor(name, { start: "oldest" });
    for (let i = 0; i < 12; i++) await first.begin().put(table, [i], { data: new Uint8Array(3000) }).commit();
    await first.close();
    const storage = new FaultyStorage(disk.open());
    const manifest = await Manifest.open(storage, options);
    const [slow, quick] = [1, 2] as const;
    storage.plan({ at, errno: "EIO", kinds: ["read"] });
    const attempt = async (call: () => Promise<unknown>): Promise<void> => {
      await call().catch((error) => {
        assert(isManifestError(error));
        assertEquals([error.code, error.outcome], ["IO_READ", "not_applied"], `read ${at}: ${error.message}`);
        failed++;
      });
    };
    for (let i = 0; i < 6; i++) {
      await attempt(() => manifest.begin().acknowledge(quick, 10 + i).putDb(i, { name: "n" }).commit());
      await attempt(() => manifest.acknowledgeChanges(quick, 10 + i));
    }
    storage.plan(undefined);
    assertEquals((await manifest.fetchChangePage(slow, 3)).changes.map(({ sequence }) => sequence), [1, 2, 3], `read ${at}`);
    await manifest.acknowledgeChanges(slow, 2);
    assertEquals((await manifest.check({ level: "deep" })).problems, [], `read ${at}`);
    await manifest.close();
  }
  assert(failed > 0, "nothing failed");
});
