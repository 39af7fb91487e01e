// What a read-write transaction resolves with is durable, its reads included, in every mode; what is lost is never reported as read.
import { assert, assertEquals } from "@std/assert";
import { defineTable, Manifest, type ManifestOptions, u53 } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { CrashStorage, SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { GatedStorage, settle } from "../support/gated_storage.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const cells = defineTable({ name: "cells", key: [u53("id")], value: { n: u53() } });

async function gated(options: ManifestOptions = {}): Promise<{ storage: GatedStorage; manifest: Manifest }> {
  const storage = new GatedStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async", ...options });
  await manifest.begin().put(cells, 0, { n: 0 }).commit();
  return { storage, manifest };
}

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(() => done = true, () => done = true);
  await settle();
  return done;
}

test("transact: one that only reads resolves when the state that it read is durable, not before", async () => {
  const { storage, manifest } = await gated();
  storage.shut();
  const commit = manifest.begin().put(cells, 1, { n: 1 }).commit();
  await settle();
  const reading = manifest.transact((txn) => txn.get(cells, 1)?.n);
  assertEquals(await settled(reading), false);
  assertEquals(manifest.get(cells, 1), undefined);
  storage.open();
  assertEquals((await reading).value, 1);
  assertEquals(manifest.get(cells, 1)!.n, 1);
  await commit;
  await manifest.close();
});

test("transact: one that only reads a durable state does not wait for a sync that is on its way", async () => {
  const { storage, manifest } = await gated();
  let value: number | undefined;
  let release!: () => void;
  const released = new Promise<void>((resolve) => release = resolve);
  const reading = manifest.transact(async (txn) => {
    value = txn.get(cells, 0)!.n;
    await released;
  });
  await settle();
  storage.shut();
  const commit = manifest.begin().put(cells, 0, { n: 5 }).commit();
  await settle();
  release();
  await reading;
  assertEquals(value, 0);
  storage.open();
  await commit;
  await manifest.close();
});

test("transact: while a sync is on its way it begins at the newest sealed state; what was gathered behind it conflicts", async () => {
  const { storage, manifest } = await gated();
  storage.shut();
  const first = manifest.begin().put(cells, 1, { n: 1 }).commit();
  await settle(); // in flight
  const second = manifest.begin().put(cells, 2, { n: 2 }).commit(); // gathered
  const seen: unknown[] = [];
  const running = manifest.transact((txn) => {
    seen.push([txn.get(cells, 1)?.n, txn.get(cells, 2)?.n]);
    txn.put(cells, 3, { n: 3 });
  });
  await settle();
  assertEquals(seen, [[1, undefined]]); // it has conflicted, and does not spin
  storage.open();
  const { attempts } = await running;
  assertEquals([attempts, seen.length], [2, 2]);
  assertEquals([seen[1], manifest.get(cells, 3)!.n], [[1, 2], 3]);
  await Promise.all([first, second]);
  await manifest.close();
});

test("transact: what is applied in the turn is sealed before it begins, so that it does not conflict with it", async () => {
  for (const options of [{}, { syncMode: "inline" }, { durability: "relaxed" }, { durability: "none" }] as ManifestOptions[]) {
    const { manifest } = await gated(options);
    const commit = manifest.begin().put(cells, 1, { n: 1 }).commit();
    const { value, attempts } = await manifest.transact((txn) => {
      txn.put(cells, 2, { n: 2 });
      return txn.get(cells, 1)?.n;
    });
    assertEquals([value, attempts], [1, 1], JSON.stringify(options));
    await commit;
    await manifest.close();
  }
});

test("transact: with a window for groups, a retry waits for the window and sees the commit it met", async () => {
  const environment = testEnvironment(5);
  const { manifest } = await (async () => {
    const opening = Manifest.open(new MemoryStorage(), { create: true, idleCheckpoint: 0, environment, groupWindow: 20 });
    for (let i = 0; i < 20; i++) {
      await settle();
      environment.advance(20);
    }
    return { manifest: await opening };
  })();
  const seen: (number | undefined)[] = [];
  let commit: Promise<unknown> | undefined;
  const running = manifest.transact(async (txn) => {
    seen.push(txn.get(cells, 1)?.n);
    if (txn.attempt === 1) commit = manifest.begin().put(cells, 1, { n: 1 }).commit();
    await undefined;
    txn.put(cells, 2, { n: 2 });
  });
  await settle();
  assertEquals(seen, [undefined]);
  for (let i = 0; i < 6; i++) {
    environment.advance(20);
    await settle();
  }
  assertEquals([(await running).attempts, seen], [2, [undefined, 1]]);
  await commit;
  const closing = manifest.close();
  for (let i = 0; i < 6; i++) {
    environment.advance(20);
    await settle();
  }
  await closing;
});

test("transact: a failed sync: one that only read the lost state rejects, one that wrote has an unknown outcome, later ones read what is durable", async () => {
  const { storage, manifest } = await gated();
  storage.shut();
  const commit = manifest.begin().put(cells, 1, { n: 1 }).commit();
  await settle();
  const reading = manifest.transact((txn) => txn.get(cells, 1)?.n);
  let release!: () => void;
  const released = new Promise<void>((resolve) => release = resolve);
  const slow = manifest.transact(async (txn) => {
    const value = txn.get(cells, 1)?.n;
    await released;
    return value;
  });
  const writing = manifest.transact((txn) => void txn.put(cells, 2, { n: txn.count(cells) }));
  await settle();
  storage.open(true);
  const lost = await errorOf(() => commit);
  assertEquals([lost.code, lost.outcome], ["SYNC_FAILED", "unknown"]);
  const read = await errorOf(() => reading);
  assertEquals([read.code, read.outcome, read.handle], ["SYNC_FAILED", "not_applied", "read_only"]);
  // Gathered behind the group that was in flight: it is in no block of the journal.
  const written = await errorOf(() => writing);
  assertEquals([written.code, written.outcome, written.handle], ["READ_ONLY", "not_applied", "read_only"]);
  release();
  assertEquals(await codeOf(() => slow), "SYNC_FAILED");
  // From here on only what is durable can be read, and nothing written.
  assertEquals((await manifest.transact((txn) => [txn.get(cells, 0)?.n, txn.get(cells, 1)?.n])).value, [0, undefined]);
  assertEquals(await codeOf(() => manifest.transact((txn) => void txn.put(cells, 3, { n: 3 }))), "READ_ONLY");
  await manifest.close();
});

test("transact: a failed sync of its own group leaves the outcome unknown, to be resolved after opening again", async () => {
  const disk = new SimDisk();
  const storage = new FaultyStorage(disk.open());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline" });
  await manifest.begin().put(cells, 0, { n: 0 }).commit();
  storage.plan({ at: 0, errno: "EIO", kinds: ["sync"] });
  let commitId = "";
  const error = await errorOf(() =>
    manifest.transact((txn) => {
      commitId = txn.put(cells, 1, { n: 1 }).commitId;
    })
  );
  assertEquals([error.code, error.outcome], ["SYNC_FAILED", "unknown"]);
  await manifest.close();
  const states = new Set<string>();
  for (const image of disk.images(disk.calls, seeded(9), 40)) {
    const again = await Manifest.open(new CrashStorage(image), { create: true, idleCheckpoint: 0 });
    const { state } = await again.resolve(commitId);
    assertEquals(state === "applied", again.has(cells, 1));
    assertEquals(again.get(cells, 0), { n: 0 });
    states.add(state);
    await again.close();
  }
  assert(states.has("not_applied"), [...states].join());
});

test("transact: a write that fails before its sync is not applied, and those that waited for it go on", async () => {
  const storage = new FaultyStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline" });
  await manifest.begin().put(cells, 0, { n: 0 }).commit();
  storage.plan({ at: 0, errno: "ENOSPC", kinds: ["write"] });
  const first = manifest.transact((txn) => void txn.put(cells, 0, { n: txn.get(cells, 0)!.n + 1 }));
  const second = manifest.transact((txn) => void txn.put(cells, 0, { n: txn.get(cells, 0)!.n + 10 }));
  const outcomes = await Promise.allSettled([first, second]);
  // The second met the first, which was then dropped: it reads what is left.
  assertEquals(outcomes.map(({ status }) => status), ["rejected", "fulfilled"]);
  assertEquals((outcomes[0] as PromiseRejectedResult).reason.outcome, "not_applied");
  assertEquals((outcomes[1] as PromiseFulfilledResult<{ attempts: number }>).value.attempts, 2);
  assertEquals(manifest.get(cells, 0)!.n, 10);
  await manifest.close();
});

test("transact: a commit that was applied and then dropped, because its group could not be written, is no conflict", async () => {
  const storage = new FaultyStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "inline" });
  await manifest.begin().put(cells, 0, { n: 0 }).commit();
  const { attempts } = await manifest.transact(async (txn) => {
    assertEquals(txn.keys(cells, {}).toArray(), [[0]]);
    storage.plan({ at: 0, errno: "ENOSPC", kinds: ["write"] });
    const dropped = manifest.begin().put(cells, 0, { n: 1 }).put(cells, 5, { n: 5 }).commit();
    assertEquals((await errorOf(() => dropped)).outcome, "not_applied");
    await manifest.begin().putDb(1, { name: "takes the number of the frame that was dropped" }).commit();
    txn.put(cells, 1, { n: 1 });
  }, { retries: 0 });
  assertEquals([attempts, manifest.count(cells)], [1, 2]);
  await manifest.close();
});

test("transact: in relaxed mode and without a journal it resolves when its commit is written, or published", async () => {
  for (const durability of ["relaxed", "none"] as const) {
    const environment = testEnvironment(2);
    const medium = new Medium();
    const manifest = await medium.open({ durability, environment });
    const results = await Promise.all(Array.from({ length: 5 }, () =>
      manifest.transact(async (txn) => {
        const n = (txn.get(cells, 1)?.n ?? 0) + 1;
        await undefined;
        txn.put(cells, 1, { n });
      })));
    assertEquals(Math.max(...results.map(({ attempts }) => attempts)), 5);
    assertEquals([manifest.get(cells, 1)!.n, (await manifest.transact((txn) => txn.get(cells, 1)!.n)).value], [5, 5]);
    await manifest.sync();
    await manifest.close();
    const again = await medium.open({ readOnly: true });
    assertEquals(again.get(cells, 1)!.n, 5);
    await again.close();
  }
});

test("transact: beside checkpoints it reads its one state, and a large commit by its own checkpoint conflicts like any other", async () => {
  const { storage, manifest } = await gated();
  const large = manifest.begin();
  for (let id = 10; id < 40_000; id++) large.put(cells, id, { n: id });
  storage.shut();
  const running = manifest.transact(async (txn) => {
    const n = txn.count(cells, { gte: [0] });
    if (txn.attempt === 1) void large.commit();
    await settle();
    assertEquals(txn.count(cells, { gte: [0] }), n);
    txn.put(cells, 1, { n });
    return n;
  });
  await settle();
  storage.open();
  const { value, attempts } = await running;
  assertEquals([value, attempts, manifest.get(cells, 1)!.n], [39_991, 2, 39_991]);
  const checkpoints = manifest.stats().checkpoints;
  await manifest.transact(async (txn) => {
    const before = txn.count(cells, {});
    await manifest.checkpoint();
    await manifest.begin().deleteRange(cells, { gte: [20_000] }).commit();
    await manifest.checkpoint();
    assertEquals(txn.count(cells, {}), before);
    txn.rollback();
  });
  assert(manifest.stats().checkpoints > checkpoints);
  await manifest.close();
});
