// Forks: a database that begins as another one is, in one commit, and shares its stored objects.
import { assert, assertEquals } from "@std/assert";
import { chunkDeltas, chunks, databases, Manifest, refcounts, snapshots, type StoredObject, walArtifacts, walStates } from "../../mod.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const OF_DATABASE = [walStates, walArtifacts, chunks, chunkDeltas, snapshots] as const;

function strong(manifest: Manifest, chunkId: number, generation = 1, originDb = 1, deltaId?: number): number | undefined {
  return manifest.getRefcount({ originDb, chunkId, generation, deltaId })?.strong;
}

/** Database 1 with two chunks, a delta, two snapshots, a log state with a running flush, and artifacts. */
async function source(medium: Medium): Promise<Manifest> {
  const manifest = await medium.open({ environment: testEnvironment(1) });
  await manifest.begin()
    .putDb(1, {
      name: "a",
      walShards: 4,
      options: { compression: "zstd", labels: ["x"], chunkDir: "/c" },
      configHash: new Uint8Array(32).fill(3),
    })
    .putWalState(1, {
      lastSealedSegment: 5,
      lastAppliedLsn: 6,
      lastCheckpointGeneration: 7,
      restartEpoch: 8,
      flushGate: { activeJobId: 9, lastSuccessAt: 10, erroredSince: 11 },
    })
    .upsertWalArtifact([1, 1], { kind: { is: "bundle", frameCount: 2 }, localPath: "w1" })
    .upsertWalArtifact([1, 2], { kind: { is: "segment", startPage: 1, endPage: 2, sizeBytes: 3 }, localPath: "w2" })
    .upsertChunk([1, 0], { fileName: "c0", generation: 1, sizeBytes: 100 }).upsertChunk([1, 1], { fileName: "c1", generation: 1 })
    .upsertChunkDelta([1, 0, 1, 4], { fileName: "d", baseChunkId: 0 })
    .publishSnapshot([1, 1], { sourceGeneration: 3, chunks: [{ chunkId: 0 }, { chunkId: 0, deltaId: 4 }] })
    .publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }, { chunkId: 1 }] })
    .putJob(1, { kind: "flush", db: 1 }).commit();
  return manifest;
}

async function reopened(manifest: Manifest, medium: Medium): Promise<Manifest> {
  await manifest.close();
  return medium.open({ environment: testEnvironment(2) });
}

async function assertSound(manifest: Manifest): Promise<void> {
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
}

/** All rows of a database, by table. */
function rowsOf(manifest: Manifest, db: number): Record<string, unknown[]> {
  return Object.fromEntries(
    OF_DATABASE.map((table) => [
      table.name,
      [...manifest.range(table as typeof chunks, { prefix: [db] })].map(([[, ...rest], row]) => [rest, row]),
    ]),
  );
}

/** Rows of a fork, as they are made of its source's. */
function copied(rows: Record<string, unknown[]>, origin: number): Record<string, unknown[]> {
  const own = (list: unknown[]) => (list as [unknown, object][]).map(([key, row]) => [key, { originDb: origin, ...row }]);
  return {
    ...rows,
    [chunks.name]: own(rows[chunks.name]!),
    [chunkDeltas.name]: own(rows[chunkDeltas.name]!),
    [walStates.name]: (rows[walStates.name] as [unknown, { flushGate: { lastSuccessAt: number } }][])
      .map(([key, row]) => [key, { ...row, flushGate: { lastSuccessAt: row.flushGate.lastSuccessAt } }]),
  };
}

test("forkDb: copies everything of the source but its jobs, the running flush and its error; counts each snapshot and delta again", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  const before = rowsOf(manifest, 1);
  assertEquals([strong(manifest, 0), strong(manifest, 1), strong(manifest, 0, 1, 1, 4)], [2, 1, 1]);
  const { sequence } = await manifest.begin().forkDb(1, 2, { name: "b" }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(rowsOf(manifest, 1), before);
  assertEquals(rowsOf(manifest, 2), copied(before, 1));
  assertEquals(manifest.getWalState(2)!.flushGate, { lastSuccessAt: 10 });
  assertEquals([strong(manifest, 0), strong(manifest, 1), strong(manifest, 0, 1, 1, 4)], [4, 2, 2]);
  assertEquals([manifest.listJobs({}).length, manifest.listPendingJobs({ db: 2 })], [1, []]);
  const { createdAt, ...fork } = manifest.getDb(2)!;
  const { createdAt: older, ...origin } = manifest.getDb(1)!;
  assert(createdAt > older);
  assertEquals(fork, { ...origin, name: "b", forkOf: 1, foreign: true });
  assertEquals([manifest.latestChangeSequence(), manifest.count(refcounts)], [sequence, 3]);
  await assertSound(manifest);
  await manifest.close();
});

test("forkDb: takes what its record says, and the options one by one", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().forkDb(1, 2, { createdAt: 5, walShards: 9, options: { encryption: "aes-256-gcm" }, status: { state: "draining" } })
    .commit();
  manifest = await reopened(manifest, medium);
  const { name, createdAt, walShards, options, status } = manifest.getDb(2)!;
  assertEquals([name, createdAt, walShards, status], ["a", 5, 9, { state: "draining" }]);
  assertEquals(options, { ...manifest.getDb(1)!.options, encryption: "aes-256-gcm" });
  await manifest.close();
});

test("forkDb: an unknown source, an existing target and the same id are refused by name and index, with nothing applied", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().putDb(3, { name: "c" }).commit();
  const sequence = manifest.latestChangeSequence();
  const wrong: [string, number, number, object?][] = [
    ["NOT_FOUND", 9, 2],
    ["EXISTS", 1, 3],
    ["INVALID_ARGUMENT", 1, 1],
    ["INVALID_ARGUMENT", "1" as never, 2],
    ["INVALID_ARGUMENT", 1, "2" as never],
    ["INVALID_ARGUMENT", 1, 2.5],
    ["INVALID_ARGUMENT", 1, 2, null as never],
    ["INVALID_ARGUMENT", 1, 2, { name: 7 }],
    ["INVALID_ARGUMENT", 1, 2, { walShards: 1.5 }],
  ];
  for (const [code, from, to, input] of wrong) {
    const error = await errorOf(() => manifest.begin().putDb(8, { name: "x" }).forkDb(from, to, input).commit());
    assertEquals(
      [error.code, error.outcome, error.detail.operation, error.detail.index],
      [code, "not_applied", "forkDb", 1],
      `${from} ${to}`,
    );
  }
  assertEquals(await codeOf(() => manifest.begin().deleteDb(3).forkDb(3, 2).commit()), "NOT_FOUND");
  assertEquals(await codeOf(() => manifest.begin().forkDb(1, 2).forkDb(1, 2).commit()), "EXISTS");
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.latestChangeSequence(), manifest.getDb(2), manifest.getDb(8), strong(manifest, 0)], [
    sequence,
    undefined,
    undefined,
    2,
  ]);
  await assertSound(manifest);
  await manifest.close();
});

test("forkDb: sees commits that were issued before it in the same turn, and none of those behind it", async () => {
  for (const syncMode of ["inline", "async"] as const) {
    const medium = new Medium();
    let manifest = await source(medium);
    await manifest.close();
    manifest = await medium.open({ syncMode });
    await Promise.all([
      manifest.begin().upsertChunk([1, 5], { fileName: "before", generation: 1 }).publishSnapshot([1, 5], { chunks: [{ chunkId: 5 }] })
        .commit(),
      manifest.begin().dropSnapshot([1, 2]).commit(),
      manifest.begin().forkDb(1, 2).commit(),
      manifest.begin().upsertChunk([1, 6], { fileName: "behind", generation: 1 }).publishSnapshot([1, 6], { chunks: [{ chunkId: 6 }] })
        .commit(),
      manifest.begin().dropSnapshot([1, 1]).commit(),
      manifest.begin().deleteWalArtifact([1, 1]).commit(),
    ]);
    manifest = await reopened(manifest, medium);
    const ids = (db: number) => [
      [...manifest.listChunks(db)].map(([[, chunk]]) => chunk),
      [...manifest.listSnapshots(db)].map(([[, snapshot]]) => snapshot),
      [...manifest.listWalArtifacts(db)].map(([[, artifact]]) => artifact),
    ];
    assertEquals([ids(1), ids(2)], [[[0, 1, 5, 6], [5, 6], [2]], [[0, 1, 5], [1, 5], [1, 2]]]);
    assertEquals([strong(manifest, 0), strong(manifest, 5), strong(manifest, 6)], [1, 2, 1]);
    await assertSound(manifest);
    await manifest.close();
  }
});

test("forkDb: inside one transaction sees what earlier operations did, and later ones see the fork", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin()
    .upsertChunk([1, 1], { fileName: "next", generation: 2 }).deleteChunk([1, 0]).dropSnapshot([1, 1]).deleteWalArtifact([1, 1])
    .upsertWalArtifact([1, 3], { kind: { is: "bundle", frameCount: 1 }, localPath: "w3" }).putWalState(1, { lastAppliedLsn: 99 })
    .forkDb(1, 2, { name: "b" })
    .publishSnapshot([2, 7], { chunks: [{ chunkId: 1 }] }).upsertChunk([2, 1], { fileName: "own", generation: 3 })
    .dropSnapshot([2, 2]).upsertChunk([1, 8], { fileName: "later" }).forkDb(2, 3, { name: "c" }).deleteDb(2).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getDb(2), manifest.getDb(3)!.forkOf, manifest.getDb(3)!.foreign], [undefined, 2, true]);
  assertEquals(rowsOf(manifest, 2), Object.fromEntries(OF_DATABASE.map(({ name }) => [name, []])));
  assertEquals([...manifest.listChunks(3)].map(([[, chunk], { generation, originDb }]) => [chunk, generation, originDb]), [[1, 3, 2]]);
  assertEquals([...manifest.listSnapshots(3)].map(([[, id]]) => id), [7]);
  assertEquals([...manifest.listWalArtifacts(3)].map(([[, id]]) => id), [2, 3]);
  assertEquals(manifest.getWalState(3)!.lastAppliedLsn, 99);
  // Snapshot 2 of database 1 and, through the fork of the fork, snapshot 7.
  assertEquals([strong(manifest, 0), strong(manifest, 1), strong(manifest, 1, 2), strong(manifest, 1, 3, 2)], [1, 1, 1, 0]);
  assertEquals(manifest.getChunkDelta(3, 0, 1, 4)?.originDb, 1);
  await assertSound(manifest);
  await manifest.close();
});

test("forkDb: of a fork names the first origin, and all three share one count", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().forkDb(1, 2).commit();
  await manifest.begin().forkDb(2, 3).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getChunk(3, 0)?.originDb, manifest.getDb(3)?.forkOf], [1, 2]);
  assertEquals([strong(manifest, 0), strong(manifest, 0, 1, 2), strong(manifest, 0, 1, 1, 4)], [6, undefined, 3]);
  // Down again, one by one.
  for (const [db, left] of [[2, 4], [1, 2], [3, 0]] as const) {
    await manifest.begin().deleteDb(db).commit();
    manifest = await reopened(manifest, medium);
    assertEquals(strong(manifest, 0), left);
    await assertSound(manifest);
  }
  assertEquals(manifest.countCollectable(), 3);
  await manifest.close();
});

test("forkDb: a drop in one database leaves the other's counts, and each may publish and drop on its own", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().forkDb(1, 2).commit();
  await manifest.begin().dropSnapshot([1, 1]).dropSnapshot([1, 2]).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([strong(manifest, 0), manifest.countCollectable(), manifest.getSnapshot(2, 1)!.chunks.length], [2, 0, 2]);
  await manifest.begin().publishSnapshot([2, 9], { chunks: [{ chunkId: 1 }] }).dropSnapshot([2, 2]).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([strong(manifest, 0), strong(manifest, 1)], [1, 1]);
  await manifest.begin().dropSnapshot([2, 9]).dropSnapshot([2, 1]).commit();
  assertEquals(manifest.countCollectable(), 3);
  await assertSound(manifest);
  await manifest.close();
});

test("upsertChunk: on a fork keeps the origin while the generation stays, and is the fork's own with another", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().forkDb(1, 2).commit();
  await manifest.begin().upsertChunk([2, 0], { fileName: "c0", generation: 1, sizeBytes: 7 }).upsertChunkDelta([2, 0, 1, 4], {
    fileName: "moved",
  })
    .upsertChunk([2, 1], { fileName: "own", generation: 2 }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getChunk(2, 0)?.originDb, manifest.getChunk(2, 0)?.sizeBytes], [1, 7]);
  assertEquals([manifest.getChunkDelta(2, 0, 1, 4)?.originDb, manifest.getChunk(2, 1)?.originDb], [1, undefined]);
  await manifest.begin().publishSnapshot([2, 3], { chunks: [{ chunkId: 0 }, { chunkId: 0, deltaId: 4 }, { chunkId: 1 }] }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([strong(manifest, 0), strong(manifest, 0, 1, 1, 4), strong(manifest, 1, 2, 2), strong(manifest, 1, 1)], [5, 3, 1, 2]);
  await assertSound(manifest);
  await manifest.close();
});

test("deleteDb: of the source leaves the fork's objects live, of both makes them collectable, and reclaim takes the rows of neither before", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().forkDb(1, 2).commit();
  await manifest.begin().deleteDb(1).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.countCollectable(), strong(manifest, 0)], [0, 2]);
  await manifest.reclaim(10, () => assert(false), { unnamedBefore: Number.MAX_SAFE_INTEGER });
  await manifest.begin().dropSnapshot([2, 1]).dropSnapshot([2, 2]).commit();
  const deleted: StoredObject[] = [];
  await manifest.reclaim(10, (object) => void deleted.push(object));
  manifest = await reopened(manifest, medium);
  // The rows of the fork named objects of a database that is gone: they went with them.
  assertEquals([deleted.length, manifest.count(refcounts), [...manifest.listChunks(2)], [...manifest.listChunkDeltas(2)]], [3, 0, [], []]);
  await assertSound(manifest);
  await manifest.close();
});

test("forkDb: back to the id of a database that was deleted, beside its objects", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  await manifest.begin().forkDb(1, 2).deleteDb(1).forkDb(2, 1).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([strong(manifest, 0), manifest.getDb(1)?.forkOf, manifest.getChunk(1, 0)?.originDb], [4, 2, 1]);
  await manifest.begin().deleteDb(2).deleteDb(1).commit();
  assertEquals(manifest.countCollectable(), 3);
  await assertSound(manifest);
  await manifest.close();
});

test("forkDb: shown as one operation in the change log, with the record as it is", async () => {
  const medium = new Medium();
  let manifest = await source(medium);
  const { sequence } = await manifest.begin({ origin: "here" }).forkDb(1, 2, { name: "b" }).commit();
  manifest = await reopened(manifest, medium);
  const cursor = await manifest.registerChangeCursor("c", { start: sequence });
  const [change] = (await manifest.fetchChangePage(cursor.id)).changes;
  assertEquals([change!.origin, change!.operations], ["here", [{ op: "forkDb", table: "db", key: [2], value: manifest.getDb(2)! }]]);
  await manifest.close();
});

test("forkDb: a crash at any storage call leaves the whole fork or nothing of it", async () => {
  const medium = new Medium();
  await (await source(medium)).close();
  const disk = new SimDisk(medium.file.bytes());
  const manifest = await Manifest.open(disk.open(), { idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(3) });
  const begun = disk.calls;
  const before = rowsOf(manifest, 1);
  await manifest.begin().forkDb(1, 2).commit();
  const seen = { whole: 0, nothing: 0 };
  for (let at = begun; at <= disk.calls; at++) {
    for (const there of [false, true]) {
      const bytes = there && at === disk.calls ? disk.live().slice() : disk.durable(at);
      const after = await Manifest.open(new SimDisk(bytes).open(), { idleCheckpoint: 0 });
      const whole = after.has(databases, [2]);
      assertEquals(rowsOf(after, 2), whole ? copied(before, 1) : Object.fromEntries(OF_DATABASE.map(({ name }) => [name, []])));
      assertEquals(strong(after, 0), whole ? 4 : 2);
      await assertSound(after);
      await after.close();
      seen[whole ? "whole" : "nothing"]++;
    }
  }
  assert(seen.whole > 0 && seen.nothing > 0, JSON.stringify(seen));
});

test("forkDb: 3,000 chunks and 20 snapshots of them, one commit", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin().putDb(1, { name: "a" });
  for (let chunk = 0; chunk < 3000; chunk++) txn.upsertChunk([1, chunk], { fileName: "f", generation: 1 });
  const all = Array.from({ length: 3000 }, (_, chunkId) => ({ chunkId }));
  for (let id = 0; id < 20; id++) txn.publishSnapshot([1, id], { chunks: all.slice(id * 10) });
  await txn.commit();
  await manifest.begin().forkDb(1, 2).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.count(chunks), manifest.count(snapshots), strong(manifest, 2999), strong(manifest, 0)], [6000, 40, 40, 2]);
  await assertSound(manifest);
  await manifest.close();
});
