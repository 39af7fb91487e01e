// Items 5 to 9 of the test list: commit and journal.
import { assert, assertEquals } from "@std/assert";
import { Manifest, ManifestError, pendingBatches } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { EVERY_OPERATION, owners } from "./every_operation.ts";
import { stateOf, Subject } from "./subject.ts";

/** A medium with room for so many bytes. */
class FullStorage extends WrappedStorage {
  limit = Infinity;

  override write(at: number, from: Uint8Array): void {
    if (at + from.length > this.limit) throw new ManifestError("NO_SPACE", "Cannot write: the medium is full");
    super.write(at, from);
  }
}

test("item 5: all operations apply in one transaction, and when number k of n is impossible none does, for every k", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(9, { name: "there" }).put(owners, 9, { team: "there" }).commit();
  const before = stateOf(subject.manifest);
  for (let k = 0; k <= EVERY_OPERATION.length; k++) {
    const txn = subject.manifest.begin();
    EVERY_OPERATION.forEach(([, call], i) => {
      if (i === k) txn.dropSnapshot([9, 77]);
      call(txn);
    });
    if (k === EVERY_OPERATION.length) txn.dropSnapshot([9, 77]);
    const error = await errorOf(() => txn.commit());
    assertEquals([error.code, error.outcome, error.detail.operation, error.detail.index], ["NOT_FOUND", "not_applied", "dropSnapshot", k]);
    assertEquals(stateOf(subject.manifest), before, `operation ${k}`);
  }
  let manifest = await subject.reopen();
  assertEquals(stateOf(manifest), before);
  const txn = manifest.begin();
  for (const [, call] of EVERY_OPERATION) call(txn);
  const { sequence } = await txn.commit();
  const after = stateOf(manifest);
  manifest = await subject.crashAndReopen({ requeueJobs: false });
  assertEquals(stateOf(manifest), after);
  assertEquals([sequence, manifest.getDb(3)?.forkOf, manifest.reserveJobId()], [2, 1, 50]);
});

test("item 6: an empty commit makes no change and takes no sequence; nor do operations that come to nothing", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  const first = await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const empty = await subject.manifest.begin().commit();
  const nothing = await subject.manifest.begin().bumpGeneration(1, 0).adjustRefcount({ originDb: 1, chunkId: 1, generation: 0 }, 0)
    .commit();
  const second = await subject.manifest.begin().putDb(2, { name: "b" }).commit();
  assertEquals([first, empty, nothing, second].map(({ sequence }) => sequence), [1, 0, 0, 2]);
  const manifest = await subject.reopen();
  const { changes } = await manifest.fetchChangePage(id);
  assertEquals(changes.map(({ sequence, operations }) => [sequence, operations.length]), [[1, 1], [2, 1]]);
  assertEquals([manifest.latestChangeSequence(), manifest.currentGeneration(1)], [2, undefined]);
});

test("item 7: a group keeps the order of its commits, each with its own sequence and generations", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  const before = subject.manifest.stats();
  const receipts = await Promise.all(
    Array.from({ length: 50 }, (_, i) => subject.manifest.begin().bumpGeneration(i % 5).put(owners, i, { team: `${i}` }).commit()),
  );
  const { groups, commits } = subject.manifest.stats();
  assert(groups - before.groups <= 3 && commits - before.commits >= 50, `${groups - before.groups} groups`);
  const manifest = await subject.crashAndReopen();
  assertEquals(receipts.map(({ sequence }) => sequence), Array.from({ length: 50 }, (_, i) => i + 1));
  assertEquals(receipts.map(({ generations }) => generations), Array.from({ length: 50 }, (_, i) => ({ [i % 5]: Math.floor(i / 5) + 1 })));
  const { changes } = await manifest.fetchChangePage(id);
  assertEquals(
    changes.map((
      { sequence, commitId, generations, operations: [, put] },
    ) => [sequence, commitId, generations, put!.op === "put" && put.key[0]]),
    receipts.map(({ sequence, commitId, generations }, i) => [sequence, commitId, generations, i]),
  );
});

test("item 8: what the journal holds is applied once, also when recovery is killed at any of its calls", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  await subject.manifest.checkpoint();
  await Promise.all(Array.from({ length: 12 }, () => {
    const txn = subject.manifest.begin().mergeMetric([1, 1], { sum: 2 }).bumpGeneration(1);
    txn.enqueueJob({ kind: "gc" });
    return txn.commit();
  }));
  const expected = stateOf(subject.manifest);
  const recovering = new SimDisk(subject.disk.durable());
  const first = await Manifest.open(recovering.open(), { idleCheckpoint: 0, environment: testEnvironment(1) });
  assertEquals([first.recovery.clean, first.recovery.frames >= 12], [false, true]);
  const random = seeded(8), seen = new Set<number>();
  for (let at = 0; at <= recovering.calls; at++) {
    for (const image of recovering.images(at, random, 4, seen)) {
      await using crashed = await Subject.reopened(image);
      const manifest = await crashed.reopen(); // recovered, closed, opened: nothing is left to apply
      assertEquals([manifest.recovery.frames, manifest.count(pendingBatches)], [0, 0]);
      assertEquals(stateOf(manifest), expected, `killed after call ${at} of ${recovering.calls}`);
      assertEquals([manifest.getMetric(1, 1), manifest.currentGeneration(1)], [{ count: 12, sum: 24 }, 12]);
      assertEquals((await manifest.fetchChangePage(id)).changes.length, 12);
    }
  }
  assert(seen.size >= 10, `${seen.size} images`);
  await first.close();
});

test("item 9: a commit whose sync failed is of unknown outcome, and its id tells which after opening again, on every image", async () => {
  for (const errno of ["EIO", "ENOSPC"]) {
    await using subject = await Subject.make();
    await subject.manifest.begin().put(owners, 1, { team: "before" }).commit();
    subject.disk.failNextSync(errno);
    const txn = subject.manifest.begin().put(owners, 2, { team: "doubtful" });
    const { commitId } = txn;
    const error = await errorOf(() => txn.commit());
    assertEquals([error.code, error.kind, error.outcome, error.handle], ["SYNC_FAILED", "unknown_outcome", "unknown", "read_only"]);
    assertEquals((await errorOf(() => subject.manifest.begin().put(owners, 3, { team: "late" }).commit())).outcome, "not_applied");
    const found = new Set<string>();
    for (const image of subject.disk.images(subject.disk.calls, seeded(9), 40)) {
      await using crashed = await Subject.reopened(image);
      const first = (await crashed.manifest.resolve(commitId)).state;
      const manifest = await crashed.reopen();
      const { state } = await manifest.resolve(commitId);
      assertEquals(state, first);
      assertEquals(manifest.get(owners, [2])?.team, state === "applied" ? "doubtful" : undefined);
      assertEquals([manifest.get(owners, [1])?.team, manifest.has(owners, [3])], ["before", false]);
      found.add(state);
    }
    assertEquals([...found].sort(), ["applied", "not_applied"]);
  }
});

test("item 9: a commit that was not applied is never applied later, and leaves no hole in the sequence", async () => {
  const disk = new SimDisk();
  const storage = new FullStorage(disk.open());
  const open = { create: true, idleCheckpoint: 0, environment: testEnvironment(2) } as const;
  const manifest = await Manifest.open(storage, open);
  await manifest.begin().put(owners, 1, { team: "before" }).commit();
  storage.limit = storage.size();
  const txn = manifest.begin().put(owners, 2, { team: "no room".repeat(100_000) });
  const { commitId } = txn;
  const error = await errorOf(() => txn.commit());
  assertEquals([error.code, error.outcome, error.handle], ["NO_SPACE", "not_applied", "ok"]);
  storage.limit = Infinity;
  const { sequence } = await manifest.begin().put(owners, 3, { team: "room again" }).commit();
  assertEquals(sequence, 2);
  const random = seeded(10);
  for (const image of disk.images(disk.calls, random, 20)) {
    await using crashed = await Subject.reopened(image);
    const again = await crashed.reopen();
    assertEquals(again.range(owners).toArray(), [[[1], { team: "before" }], [[3], { team: "room again" }]]);
    assertEquals([(await again.resolve(commitId)).state, again.latestChangeSequence()], ["not_applied", 2]);
  }
  await manifest.close();
});
