// The defects of the source document's implementation, by number: each test fails on what that one does.
import { assert, assertEquals } from "@std/assert";
import type { Manifest } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { owners } from "./every_operation.ts";
import { stateOf, Subject } from "./subject.ts";

/** Commits `count` changes, one after another. */
async function commit(manifest: Manifest, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await manifest.begin().put(owners, i % 10, { team: "t" }).commit();
}

test("defect 2.7.1: an empty log does not take the sequence back to 1, and cursors stay where they are", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 0 } });
  const { id } = await subject.manifest.registerChangeCursor("a");
  await commit(subject.manifest, 7);
  await subject.manifest.acknowledgeChanges(id, 8);
  const manifest = await subject.reopen();
  assertEquals(manifest.stats().changes, { latest: 7, oldest: 8 });
  assertEquals((await manifest.begin().put(owners, 1, { team: "u" }).commit()).sequence, 8);
  assertEquals((await manifest.fetchChangePage(id)).changes.map(({ sequence }) => sequence), [8]);
});

test("defect 2.7.2: acknowledging page.nextSequence, as the document's example does, loses nothing", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  const seen: number[] = [];
  for (let round = 0; round < 5; round++) {
    await commit(subject.manifest, 2);
    const page = await subject.manifest.fetchChangePage(id, 100);
    seen.push(...page.changes.map(({ sequence }) => sequence));
    await commit(subject.manifest, 1); // between fetch and acknowledge
    await subject.manifest.acknowledgeChanges(id, page.nextSequence);
    await subject.crashAndReopen();
  }
  seen.push(...(await subject.manifest.fetchChangePage(id)).changes.map(({ sequence }) => sequence));
  assertEquals(seen, Array.from({ length: 15 }, (_, i) => i + 1));
});

test("defect 2.7.3: a dead consumer can be unregistered, and then keeps no log", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 5 } });
  const dead = await subject.manifest.registerChangeCursor("dead");
  const alive = await subject.manifest.registerChangeCursor("alive");
  await commit(subject.manifest, 100);
  await subject.manifest.acknowledgeChanges(alive.id, 101);
  assertEquals((await subject.reopen()).stats().changes.oldest, 1);
  assertEquals(subject.manifest.stats().cursors.map(({ name, lag }) => [name, lag]), [["dead", 100], ["alive", 0]]);
  await subject.manifest.unregisterChangeCursor(dead.id);
  await commit(subject.manifest, 1);
  const manifest = await subject.reopen();
  assert(manifest.stats().changes.oldest >= 101);
  assertEquals(manifest.listChangeCursors().map(({ name }) => name), ["alive"]);
  assertEquals((await manifest.fetchChangePage(alive.id)).changes.map(({ sequence }) => sequence), [101]);
});

test("defect 2.7.3: a dead consumer with a maxLag pins no more than that, and is told what it lost", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("dead", { maxLag: 20 });
  await commit(subject.manifest, 400);
  const manifest = await subject.reopen();
  const { oldest, latest } = manifest.stats().changes;
  assert(latest - oldest < 20 + 64 + 1, `${oldest} to ${latest}`);
  assertEquals((await errorOf(() => manifest.fetchChangePage(id))).code, "CURSOR_TRUNCATED");
});

test("defect 2.7.4: waiting for a generation ends at its deadline on a store where nothing happens", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().bumpGeneration(1, 3).commit();
  const manifest = await subject.reopen();
  const waiting = errorOf(() => manifest.waitForGeneration(1, 4, { timeoutMs: 50 }));
  let ended = false;
  void waiting.then(() => ended = true);
  subject.environment.advance(49);
  for (let i = 0; i < 20; i++) await undefined;
  assertEquals(ended, false);
  subject.environment.advance(1);
  assertEquals((await waiting).code, "TIMEOUT");
  assertEquals(await manifest.waitForGeneration(1, 3, { timeoutMs: 50 }), 3);
});

test("defect 2.7.5: a commit that was refused does not come back with the next opening, nor moves the sequence", async () => {
  await using subject = await Subject.make();
  await commit(subject.manifest, 3);
  const before = stateOf(subject.manifest);
  const txn = subject.manifest.begin().put(owners, 77, { team: "refused" }).dropSnapshot([1, 1]);
  const { commitId } = txn;
  assertEquals((await errorOf(() => txn.commit())).outcome, "not_applied");
  const manifest = await subject.crashAndReopen();
  assertEquals(stateOf(manifest), before);
  assertEquals((await manifest.resolve(commitId)).state, "not_applied");
  assertEquals((await manifest.begin().put(owners, 1, { team: "u" }).commit()).sequence, 4);
});

test("defect 2.7.5: a commit that failed on the medium is one thing or the other for ever, and says which", async () => {
  await using subject = await Subject.make();
  await commit(subject.manifest, 3);
  subject.disk.failNextSync("EIO");
  const txn = subject.manifest.begin().put(owners, 77, { team: "failed" });
  const { commitId } = txn;
  assertEquals((await errorOf(() => txn.commit())).outcome, "unknown");
  assertEquals([subject.manifest.has(owners, [77]), subject.manifest.latestChangeSequence()], [false, 3]);
  for (const image of subject.disk.images(subject.disk.calls, seeded(5), 20)) {
    await using crashed = await Subject.reopened(image);
    const { state } = await crashed.manifest.resolve(commitId);
    for (let i = 0; i < 3; i++) {
      const manifest = i === 1 ? await crashed.crashAndReopen() : await crashed.reopen();
      assertEquals([(await manifest.resolve(commitId)).state, manifest.has(owners, [77])], [state, state === "applied"]);
      assertEquals(manifest.latestChangeSequence(), (state === "applied" ? 4 : 3) + i);
      await manifest.begin().put(owners, 1, { team: `${i}` }).commit();
    }
  }
});

test("defect 2.7.6: publishing over a snapshot releases its old list, and too low a count is an error", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 5], { fileName: "c5" }).upsertChunk([1, 6], { fileName: "c6" })
    .commit();
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] }).commit();
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }, { chunkId: 6 }] }).commit();
  await subject.manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 6 }] }).commit();
  let manifest = await subject.reopen();
  const strong = (chunkId: number) => manifest.getRefcount({ originDb: 1, chunkId, generation: 0 })?.strong;
  assertEquals([strong(5), strong(6)], [0, 1]); // the original: 2 and 2
  await manifest.begin().dropSnapshot([1, 1]).commit();
  manifest = await subject.reopen();
  assertEquals([manifest.countCollectable(), strong(5), strong(6)], [2, 0, 0]);
  const object = { originDb: 1, chunkId: 6, generation: 0 };
  assertEquals((await errorOf(() => manifest.begin().adjustRefcount(object, -1).commit())).code, "REFCOUNT_UNDERFLOW");
});

test("defect 2.7.6: a count that no number holds is refused and not wrapped", async () => {
  await using subject = await Subject.make();
  const object = { originDb: 1, chunkId: 6, generation: 0 };
  await subject.manifest.begin().adjustRefcount(object, Number.MAX_SAFE_INTEGER).commit();
  assertEquals((await errorOf(() => subject.manifest.begin().adjustRefcount(object, 1).commit())).code, "LIMIT");
  for (const delta of [2 ** 53, 2 ** 63, 2 ** 64, -(2 ** 63)]) {
    assertEquals((await errorOf(() => subject.manifest.begin().adjustRefcount(object, delta).commit())).code, "INVALID_ARGUMENT");
  }
  const manifest = await subject.reopen();
  assertEquals(manifest.getRefcount(object)?.held, Number.MAX_SAFE_INTEGER);
});

test("defect 2.7.7: two databases with a chunk of the same id have two counts", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" }).upsertChunk([1, 5], { fileName: "x" })
    .upsertChunk([2, 5], { fileName: "y" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] })
    .publishSnapshot([2, 1], { chunks: [{ chunkId: 5 }] }).commit();
  await subject.manifest.begin().dropSnapshot([1, 1]).commit();
  const manifest = await subject.reopen();
  assertEquals([1, 2].map((originDb) => manifest.getRefcount({ originDb, chunkId: 5, generation: 0 })?.strong), [0, 1]);
  assertEquals(manifest.listCollectable().map(({ originDb, chunkId }) => [originDb, chunkId]), [[1, 5]]);
});

test("defect 2.7.8: a file is called clean only when everything that was accepted before the close is in it", async () => {
  const subject = await Subject.make();
  await commit(subject.manifest, 1);
  const from = subject.disk.calls;
  const put = (id: number): Promise<unknown> => subject.manifest.begin().put(owners, id, { team: "accepted" }).commit();
  const accepted = [...Array.from({ length: 10 }, (_, i) => put(100 + i)), subject.manifest.checkpoint()];
  for (let i = 10; i < 20; i++) accepted.push(put(100 + i));
  const closing = subject.manifest.close(); // while they are on their way
  await Promise.all([...accepted, closing]);
  let clean = 0;
  for (let at = from; at <= subject.disk.calls; at++) {
    for (const image of subject.disk.images(at, seeded(at), 5)) {
      await using crashed = await Subject.reopened(image);
      if (!crashed.manifest.recovery.clean) continue;
      clean++;
      assertEquals(crashed.manifest.count(owners, { gte: [100] }), 20, `killed after call ${at}`);
    }
  }
  assert(clean > 0);
});

test("defect 2.7.9: a missing job is an error, and deleting a database deletes what belongs to it", async () => {
  await using subject = await Subject.make();
  assertEquals((await errorOf(() => subject.manifest.begin().updateJobState(5, "in-flight").commit())).code, "NOT_FOUND");
  await subject.manifest.begin().putDb(1, { name: "a" }).putWalState(1, {}).upsertChunk([1, 5], { fileName: "c" })
    .upsertChunkDelta([1, 5, 0, 1], { fileName: "d" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 5 }] })
    .upsertWalArtifact([1, 1], { kind: { is: "bundle", frameCount: 1 }, localPath: "w" }).putJob(1, { kind: "flush", db: 1 }).commit();
  await subject.manifest.begin().deleteDb(1).commit();
  const manifest = await subject.reopen();
  const left = stateOf(manifest);
  for (
    const table of [
      "db",
      "wal_state",
      "chunk_catalog",
      "chunk_delta_index",
      "snapshot_index",
      "wal_catalog",
      "job_queue",
      "job_pending_index",
    ]
  ) {
    assertEquals(left[table], [], table);
  }
  assertEquals(manifest.listCollectable().map(({ chunkId, deltaId }) => [chunkId, deltaId]), [[5, undefined]]);
});

test("defect 2.7.10: a fork sees the commits accepted before it and none accepted behind it", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  // All in one turn: none is durable when the fork is asked for.
  const commits = [
    subject.manifest.begin().upsertChunk([1, 1], { fileName: "before" }).commit(),
    subject.manifest.begin().forkDb(1, 2, { name: "b" }).commit(),
    subject.manifest.begin().upsertChunk([1, 2], { fileName: "behind" }).deleteChunk([1, 1]).commit(),
    errorOf(() => subject.manifest.begin().forkDb(1, 2, { name: "twice" }).commit()),
  ] as const;
  const [, , , twice] = await Promise.all(commits);
  assertEquals(twice.code, "EXISTS");
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.listChunks(2).toArray().map(([[, chunk], { fileName }]) => [chunk, fileName]), [[1, "before"]]);
  assertEquals(manifest.listChunks(1).toArray().map(([[, chunk]]) => chunk), [2]);
  assertEquals(manifest.getDb(2)?.name, "b");
});

test("defect 2.7.10: a read-write transaction sees what was accepted before it, and its answer waits until that is durable", async () => {
  await using subject = await Subject.make({ syncMode: "async" });
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const queued = subject.manifest.begin().putDb(2, { name: "queued" }).commit();
  const order: string[] = [];
  void queued.then(() => order.push("queued"));
  const { value } = await subject.manifest.transact((txn) => txn.getDb(2)?.name);
  order.push("read");
  const manifest = await subject.crashAndReopen();
  assertEquals([value, order, manifest.getDb(2)?.name], ["queued", ["queued", "read"], "queued"]);
});

test("defect 2.7.11: every chunk is found and not only the last, and a batch that fails in its middle leaves nothing", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" }).putDb(2, { name: "b" });
  for (let chunk = 0; chunk < 300; chunk++) txn.upsertChunk([1 + chunk % 2, chunk], { fileName: `c${chunk}` });
  await txn.commit();
  const before = stateOf(subject.manifest);
  const failing = subject.manifest.begin().upsertChunk([1, 0], { fileName: "changed" }).deleteChunk([1, 2])
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 999 }] }).upsertChunk([1, 4], { fileName: "changed" });
  const error = await errorOf(() => failing.commit());
  assertEquals([error.code, error.detail.index], ["NOT_FOUND", 2]);
  const manifest = await subject.crashAndReopen();
  assertEquals(stateOf(manifest), before);
  for (let chunk = 0; chunk < 300; chunk++) assertEquals(manifest.getChunk(1 + chunk % 2, chunk)?.fileName, `c${chunk}`);
  assertEquals(manifest.getChunk(2, 0), undefined);
});
