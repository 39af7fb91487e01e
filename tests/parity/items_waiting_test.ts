// Items 27 and 29 of the test list: waiting, and the cache of change records.
import { assert, assertEquals } from "@std/assert";
import { ChangeCache, type ManifestErrorFields } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { Subject } from "./subject.ts";

/** Whether a promise settles within some turns of the microtask queue. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  for (let i = 0; i < 30; i++) await undefined;
  return settled;
}

test("item 27: waitForChange wakes with the commit, at once when there is one, and not before", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const manifest = await subject.reopen();
  assertEquals(await manifest.waitForChange(0), 1);
  const waiting = manifest.waitForChange(1);
  await manifest.registerChangeCursor("a"); // bookkeeping is no change
  assertEquals(await settles(waiting), false);
  const { sequence } = await manifest.begin().putDb(2, { name: "b" }).commit();
  assertEquals([await waiting, sequence], [2, 2]);
});

test("item 27: waitForChange times out on an idle store by timer, and a signal ends it", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const manifest = await subject.reopen();
  const late = errorOf(() => manifest.waitForChange(1, { timeoutMs: 30 }));
  subject.environment.advance(29);
  assertEquals(await settles(late), false);
  subject.environment.advance(1);
  assertEquals((await late).code, "TIMEOUT");
  const controller = new AbortController();
  const called = errorOf(() => manifest.waitForChange(1, { signal: controller.signal }));
  assertEquals(await settles(called), false);
  const reason = new Error("enough");
  controller.abort(reason);
  const { code, cause } = await called as ManifestErrorFields & Error;
  assertEquals([code, cause], ["ABORTED", reason]);
  const closed = errorOf(() => manifest.waitForChange(1));
  await subject.reopen();
  assertEquals((await closed).code, "HANDLE_CLOSED");
});

test("item 27: waitForGeneration wakes at its target, times out and is aborted in the same way", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().bumpGeneration(7, 2).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(await manifest.waitForGeneration(7, 2), 2);
  const waiting = manifest.waitForGeneration(7, 5), other = errorOf(() => manifest.waitForGeneration(8, 1, { timeoutMs: 10 }));
  await manifest.begin().bumpGeneration(7, 2).commit();
  assertEquals(await settles(waiting), false); // 4
  await manifest.begin().bumpGeneration(7, 4).commit();
  assertEquals(await waiting, 8);
  subject.environment.advance(10);
  assertEquals((await other).code, "TIMEOUT");
  const controller = new AbortController();
  const called = errorOf(() => manifest.waitForGeneration(7, 100, { signal: controller.signal }));
  controller.abort();
  assertEquals((await called).code, "ABORTED");
});

test("item 29: the second fetch is answered by the cache, with the same changes", async () => {
  const changeCache = new ChangeCache();
  await using subject = await Subject.make({ changeCache });
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let db = 1; db <= 5; db++) await subject.manifest.begin().putDb(db, { name: `d${db}` }).commit();
  changeCache.clear();
  const manifest = await subject.reopen();
  const before = changeCache.metrics;
  const first = await manifest.fetchChangePage(id);
  const between = changeCache.metrics;
  const second = await manifest.fetchChangePage(id);
  const after = changeCache.metrics;
  assertEquals([between.misses - before.misses, between.insertions - before.insertions, between.hits - before.hits], [5, 5, 0]);
  assertEquals([after.hits - between.hits, after.misses - between.misses], [5, 0]);
  assertEquals(second.changes, first.changes);
  assertEquals(first.changes.map(({ operations: [put] }) => put!.op === "putDb" && put.value.name), ["d1", "d2", "d3", "d4", "d5"]);
});

test("item 29: what the log has truncated leaves the cache", async () => {
  const evicted: number[] = [];
  const changeCache = new ChangeCache({ observer: { onEvict: ({ sequence }) => evicted.push(sequence) } });
  await using subject = await Subject.make({ changeCache });
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let db = 1; db <= 6; db++) await subject.manifest.begin().putDb(db, { name: "d" }).commit();
  const manifest = await subject.reopen();
  await manifest.fetchChangePage(id);
  assertEquals(changeCache.metrics.entries, 6);
  await manifest.acknowledgeChanges(id, 5);
  await manifest.begin().putDb(7, { name: "d" }).commit();
  assertEquals([...new Set(evicted)].sort(), [1, 2, 3, 4]);
  assertEquals([4, 5].map((sequence) => changeCache.has(manifest.fileId, sequence)), [false, true]);
});

test("item 29: an observer may use the cache and the manifest, and what it throws harms nobody", async () => {
  const seen: string[] = [];
  const changeCache: ChangeCache = new ChangeCache({
    capacityBytes: 2000,
    observer: {
      onInsert: ({ id, sequence }) => {
        seen.push(`insert ${sequence}`);
        if (sequence > 1) changeCache.get(id, sequence - 1);
      },
      onHit: ({ sequence }) => void seen.push(`hit ${sequence} ${subject.manifest.latestChangeSequence()}`),
      onMiss: ({ sequence }) => void seen.push(`miss ${sequence}`),
    },
  });
  await using subject: Subject = await Subject.make({ changeCache });
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let db = 1; db <= 3; db++) await subject.manifest.begin().putDb(db, { name: "d" }).commit();
  changeCache.clear();
  const manifest = await subject.reopen();
  seen.length = 0;
  const { changes } = await manifest.fetchChangePage(id);
  assertEquals(changes.map(({ sequence }) => sequence), [1, 2, 3]);
  for (const wanted of ["insert 1", "insert 2", "hit 1 3", "insert 3", "hit 2 3"]) assert(seen.includes(wanted), `${wanted} of ${seen}`);
  assert(changeCache.metrics.bytes <= 2000);
});
