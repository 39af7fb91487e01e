// Methods of the source document's manifest and transaction that are more than one operation.
import { assert, assertEquals } from "@std/assert";
import { ChangeCache, Manifest } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { owners } from "./every_operation.ts";
import { lastOperations, Subject } from "./subject.ts";

test("parity method open: makes tables once, replays what a crash left, and fills no table twice", async () => {
  await using subject = await Subject.make();
  assertEquals([subject.manifest.recovery.created, subject.manifest.crashDetected], [true, false]);
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const { fileId } = subject.manifest;
  const tables = subject.manifest.listTables().map(({ name }) => name);
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.recovery.created, manifest.crashDetected, manifest.fileId, manifest.getDb(1)?.name], [false, true, fileId, "a"]);
  assert(manifest.recovery.frames > 0);
  assertEquals(manifest.listTables().map(({ name }) => name), tables);
  assertEquals((await errorOf(() => Manifest.open(subject.disk.open(), { pageSize: 5000 }))).code, "INVALID_ARGUMENT");
});

test("parity method begin: collects without writing; the capacity is a hint", async () => {
  await using subject = await Subject.make();
  const writes = subject.manifest.stats().writes;
  const txn = subject.manifest.begin({ capacity: 2 });
  for (let db = 1; db <= 20; db++) assert(txn.putDb(db, { name: `d${db}` }) === txn); // chainable, and beyond the hint
  assertEquals([txn.length, subject.manifest.stats().writes - writes, subject.manifest.listDbs().toArray().length], [20, 0, 0]);
  await txn.commit();
  const given = subject.manifest.begin({ capacity: 0 }).putDb(99, { name: "given up" });
  given.rollback();
  assertEquals((await errorOf(() => given.commit())).code, "TXN_CLOSED");
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.listDbs().toArray().length, 20);
});

test("parity method commit: the receipt names its change and its generations, and the id tells later what became of it", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" }).bumpGeneration(4, 2);
  const { commitId } = txn;
  const receipt = await txn.commit();
  assertEquals([receipt.sequence, receipt.commitId, receipt.generations], [1, commitId, { 4: 2 }]);
  const unused = subject.manifest.begin().putDb(2, { name: "b" });
  const never = unused.commitId;
  const manifest = await subject.crashAndReopen();
  const resolution = await manifest.resolve(commitId);
  assertEquals([resolution.state, resolution.state === "applied" && resolution.sequence], ["applied", 1]);
  assertEquals((await manifest.resolve(never)).state, "not_applied");
});

test("parity method enqueue_job: allocates the id, and keeps counter and pending index with it", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" });
  const ids = [
    txn.enqueueJob({ kind: "flush", db: 1 }),
    txn.enqueueJob({ kind: "gc", payload: { is: "bytes", bytes: new Uint8Array([1]) } }),
  ];
  await txn.commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([ids, manifest.reserveJobId()], [[1, 2], 3]);
  assertEquals(manifest.listPendingJobs({ db: 1 }).map(({ job }) => job), [1]); // the original leaves its index to the caller
  assertEquals(await lastOperations(manifest), ["putDb", "putJob", "putJob"]);
});

test("parity method adjust_refcount, bump_generation: 0 records nothing", async () => {
  await using subject = await Subject.make();
  const txn = subject.manifest.begin().putDb(1, { name: "a" }).adjustRefcount({ originDb: 1, chunkId: 1, generation: 0 }, 0).bumpGeneration(
    1,
    0,
  );
  assertEquals(txn.length, 1);
  await txn.commit();
  const manifest = await subject.reopen();
  assertEquals(await lastOperations(manifest), ["putDb"]);
  assertEquals([manifest.currentGeneration(1), manifest.getRefcount({ originDb: 1, chunkId: 1, generation: 0 })], [undefined, undefined]);
});

test("parity method register_change_cursor: from the oldest, the latest or a sequence, and says where the log stands", async () => {
  await using subject = await Subject.make();
  for (let db = 1; db <= 6; db++) await subject.manifest.begin().putDb(db, { name: "d" }).commit();
  const manifest = await subject.crashAndReopen();
  const oldest = await manifest.registerChangeCursor("o", { start: "oldest" });
  const latest = await manifest.registerChangeCursor("l", { start: "latest" });
  const sequence = await manifest.registerChangeCursor("s", { start: 4 });
  assertEquals([oldest, latest, sequence].map(({ nextSequence }) => nextSequence), [1, 7, 4]);
  assertEquals([oldest.latestSequence, oldest.oldestSequence, oldest.name], [6, 1, "o"]);
  const again = await subject.reopen();
  const names = again.listChangeCursors().map(({ id, name, nextSequence }) => [id, name, nextSequence]);
  assertEquals(names, [[oldest.id, "o", 1], [latest.id, "l", 7], [sequence.id, "s", 4]]);
});

test("parity method acknowledge_changes: the place is durable when it resolves, and what all have done goes", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let db = 1; db <= 6; db++) await subject.manifest.begin().putDb(db, { name: "d" }).commit();
  const state = await subject.manifest.acknowledgeChanges(id, 5);
  assertEquals([state.nextSequence, state.latestSequence], [5, 6]);
  const manifest = await subject.crashAndReopen();
  const [cursor] = manifest.listChangeCursors();
  assertEquals([cursor?.nextSequence, cursor?.oldestSequence], [5, 5]);
});

test("parity method fetch_change_page: at most a page, with the next, the latest and the oldest sequence", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let db = 1; db <= 6; db++) await subject.manifest.begin().putDb(db, { name: "d" }).commit();
  const manifest = await subject.reopen();
  const { changes, ...page } = await manifest.fetchChangePage(id, 4);
  assertEquals(page, { cursorId: id, nextSequence: 5, latestSequence: 6, oldestSequence: 1 });
  assertEquals(changes.map(({ sequence }) => sequence), [1, 2, 3, 4]);
  assertEquals((await manifest.fetchChangePage(id, 4)).changes.length, 4); // fetching does not move it
  await manifest.acknowledgeChanges(id, 7);
  const end = await manifest.fetchChangePage(id);
  assertEquals([end.changes, end.nextSequence, end.oldestSequence], [[], 7, 7]);
});

test("parity method latest_change_sequence: what is durable, over restarts", async () => {
  await using subject = await Subject.make();
  assertEquals(subject.manifest.latestChangeSequence(), 0);
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const coming = subject.manifest.begin().putDb(2, { name: "b" }).commit();
  assertEquals(subject.manifest.latestChangeSequence(), 1);
  await coming;
  assertEquals((await subject.crashAndReopen()).latestChangeSequence(), 2);
});

test("parity method current_generation: the newest durable one, none for a component that never had one", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().bumpGeneration(3, 7).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.currentGeneration(3), manifest.currentGeneration(4)], [7, undefined]);
});

test("parity method fork_db: descriptor, log, chunks and deltas of the source under a new id, and refused when the target is there", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a", walShards: 4 }).putWalState(1, { lastAppliedLsn: 5 }).upsertChunk([1, 5], {
    fileName: "c",
  })
    .upsertChunkDelta([1, 5, 0, 1], { fileName: "d" }).upsertWalArtifact([1, 1], { kind: { is: "bundle", frameCount: 1 }, localPath: "w" })
    .commit();
  await subject.manifest.begin().forkDb(1, 2, { name: "b" }).commit();
  for (const [source, target, code] of [[1, 2, "EXISTS"], [9, 3, "NOT_FOUND"]] as const) {
    assertEquals((await errorOf(() => subject.manifest.begin().forkDb(source, target).commit())).code, code);
  }
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getDb(2)?.name, manifest.getDb(2)?.walShards, manifest.getDb(3)], ["b", 4, undefined]);
  assertEquals([
    manifest.getWalState(2)?.lastAppliedLsn,
    manifest.getChunk(2, 5)?.fileName,
    manifest.getChunkDelta(2, 5, 0, 1)?.fileName,
    manifest.getWalArtifact(2, 1)?.localPath,
  ], [5, "c", "d", "w"]);
});

test("parity method reserve_job_id: rises, and is kept with persistJobCounter", async () => {
  await using subject = await Subject.make();
  const ids = [subject.manifest.reserveJobId(), subject.manifest.reserveJobId()];
  await subject.manifest.begin().persistJobCounter(ids[1]! + 1).commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([ids, manifest.reserveJobId()], [[1, 2], 3]);
});

test("parity method wal_artifacts, wal_state, list_dbs, max_db_id: what is kept of each database", async () => {
  await using subject = await Subject.make();
  assertEquals(subject.manifest.maxDbId(), 0);
  const txn = subject.manifest.begin();
  for (const db of [1, 300, 7]) txn.putDb(db, { name: `d${db}` }).putWalState(db, { lastSealedSegment: db });
  for (const id of [9, 2, 30]) txn.upsertWalArtifact([7, id], { kind: { is: "bundle", frameCount: id }, localPath: `${id}` });
  await txn.commit();
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.maxDbId(), manifest.getWalState(300)?.lastSealedSegment], [300, 300]);
  assertEquals(manifest.listDbs().toArray().map(([[db]]) => db), [1, 7, 300]);
  assertEquals(manifest.listWalArtifacts(7).toArray().map(([[, id], { localPath }]) => [id, localPath]), [[2, "2"], [9, "9"], [30, "30"]]);
  assertEquals(manifest.listWalArtifacts(1).toArray(), []);
});

test("parity method diagnostics, page_cache_metrics: commits, groups and the cache are counted, as plain JSON without the user's data", async () => {
  const changeCache = new ChangeCache();
  await using subject = await Subject.make({ changeCache });
  await subject.manifest.begin().putDb(1, { name: "a secret" }).commit();
  const manifest = await subject.crashAndReopen();
  const before = manifest.stats();
  await Promise.all(Array.from({ length: 10 }, (_, i) => manifest.begin().put(owners, i, { team: "a secret" }).commit()));
  const { id } = await manifest.registerChangeCursor("a secret");
  await manifest.fetchChangePage(id);
  await manifest.fetchChangePage(id);
  const told = manifest.diagnostics();
  const after = told.stats!;
  assert(after.commits - before.commits >= 10 && after.groups - before.groups <= 4);
  assertEquals(told.changeCache, changeCache.metrics);
  assert(changeCache.metrics.hits >= 11 && changeCache.metrics.insertions >= 1);
  assertEquals([told.changes?.latest, told.cursors?.length, told.crashDetected, told.recovery.created], [11, 1, true, false]);
  const text = JSON.stringify(told);
  assert(!text.includes("secret"), text);
  assertEquals(JSON.parse(text).stats, told.stats as unknown);
});

test("parity method crash_detected, runtime_state: tell a crash from a close, and who has the file open", async () => {
  await using subject = await Subject.make();
  const first = subject.manifest.runtimeState()!;
  assertEquals((await subject.reopen()).crashDetected, false);
  const manifest = await subject.crashAndReopen();
  const state = manifest.runtimeState()!;
  assertEquals([manifest.crashDetected, state.own, state.instanceId === first.instanceId], [true, true, false]);
});

test("parity method close: waits for what was accepted, refuses what comes later, and a second call is the same", async () => {
  await using subject = await Subject.make();
  const closing = subject.manifest;
  const accepted = Array.from({ length: 30 }, (_, i) => closing.begin().put(owners, i, { team: "t" }).commit());
  const first = closing.close(), second = closing.close();
  const late = errorOf(() => closing.begin().put(owners, 99, { team: "late" }).commit());
  await Promise.all([...accepted, first, second]);
  assertEquals((await late).code, "HANDLE_CLOSED");
  const manifest = await subject.reopen();
  assertEquals([manifest.count(owners), manifest.recovery.clean, manifest.recovery.frames], [30, true, 0]);
});
