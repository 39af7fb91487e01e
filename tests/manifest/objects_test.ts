// Stored objects beside snapshots: holds, objects that no snapshot ever listed; log states, artifacts and remote namespaces.
import { assert, assertEquals } from "@std/assert";
import { collectable, type Manifest, type ManifestTxn, type ObjectState, refcounts, type StoredObject } from "../../mod.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const MOST = Number.MAX_SAFE_INTEGER;
const A: StoredObject = { originDb: 1, chunkId: 0, generation: 1 };
const DELTA: StoredObject = { ...A, deltaId: 0 };

async function reopened(manifest: Manifest, medium: Medium): Promise<Manifest> {
  await manifest.close();
  return medium.open({ environment: testEnvironment(2) });
}

async function withChunk(medium: Medium): Promise<Manifest> {
  const manifest = await medium.open({ environment: testEnvironment(1) });
  await manifest.begin().putDb(1, { name: "d" }).upsertChunk([1, 0], { fileName: "f", generation: 1 }).commit();
  return manifest;
}

async function assertSound(manifest: Manifest): Promise<void> {
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
}

/** Strong, held and state of an object. */
function row(manifest: Manifest, object: StoredObject): [number, number, ObjectState] | undefined {
  const count = manifest.getRefcount(object);
  return count && [count.strong, count.held ?? 0, count.state];
}

test("adjustRefcount: goes up and down apart from the snapshots, and keeps the object while either is above zero", async () => {
  const medium = new Medium();
  let manifest = await withChunk(medium);
  const after = async (txn: ManifestTxn): Promise<unknown> => {
    await txn.commit();
    manifest = await reopened(manifest, medium);
    await assertSound(manifest);
    return row(manifest, A);
  };
  assertEquals(row(manifest, A), [0, 0, "unnamed"]);
  assertEquals(await after(manifest.begin().adjustRefcount(A, 2)), [0, 2, "live"]);
  assertEquals(await after(manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] })), [1, 2, "live"]);
  assertEquals(await after(manifest.begin().adjustRefcount(A, -2)), [1, 0, "live"]);
  assertEquals(await after(manifest.begin().adjustRefcount(A, 1)), [1, 1, "live"]);
  assertEquals(await after(manifest.begin().dropSnapshot([1, 1])), [0, 1, "live"]);
  assertEquals([manifest.countCollectable(), await manifest.reclaim(9, () => assert(false, "it is held"))], [0, {
    deleted: 0,
    remaining: 0,
  }]);
  assertEquals(await after(manifest.begin().adjustRefcount(A, -1)), [0, 0, "collectable"]);
  assertEquals(await after(manifest.begin().adjustRefcount(A, 1)), [0, 1, "live"]);
  assertEquals(await after(manifest.begin().adjustRefcount(A, MOST - 1)), [0, MOST, "live"]);
  assertEquals(await codeOf(() => manifest.begin().adjustRefcount(A, 1).commit()), "LIMIT");
  assertEquals(await after(manifest.begin().adjustRefcount(A, -MOST)), [0, 0, "collectable"]);
  assertEquals((await manifest.reclaim(9, () => {})).deleted, 1);
  await manifest.close();
});

test("adjustRefcount: below zero is REFCOUNT_UNDERFLOW by name and index, with nothing applied, whatever the snapshots count", async () => {
  const medium = new Medium();
  let manifest = await withChunk(medium);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).adjustRefcount(A, 1).commit();
  const cases: [ManifestTxn, StoredObject, number][] = [
    [manifest.begin().putDb(2, { name: "x" }).adjustRefcount(A, -2), A, 1],
    [manifest.begin().putDb(2, { name: "x" }).adjustRefcount(DELTA, -1), DELTA, 1],
    [manifest.begin().adjustRefcount(A, -1).putDb(2, { name: "x" }).adjustRefcount(A, -1), A, 2],
    [manifest.begin().putDb(2, { name: "x" }).adjustRefcount(A, -MOST), A, 1],
  ];
  for (const [txn, { chunkId }, index] of cases) {
    const error = await errorOf(() => txn.commit());
    assertEquals([error.code, error.outcome, error.detail.operation, error.detail.index, error.detail.chunkId], [
      "REFCOUNT_UNDERFLOW",
      "not_applied",
      "adjustRefcount",
      index,
      chunkId,
    ]);
  }
  manifest = await reopened(manifest, medium);
  assertEquals([row(manifest, A), row(manifest, DELTA), manifest.getDb(2)], [[1, 1, "live"], undefined, undefined]);
  await assertSound(manifest);
  await manifest.close();
});

test("adjustRefcount: by 0 does nothing; wrong objects and deltas are refused", async () => {
  const medium = new Medium();
  let manifest = await withChunk(medium);
  assertEquals(manifest.begin().adjustRefcount(A, 0).adjustRefcount(A, -0).length, 0);
  const wrong: [unknown, unknown][] = [[null, 1], [5, 1], [{}, 1], [{ ...A, generation: -1 }, 1], [{ ...A, chunkId: 1.5 }, 1]];
  wrong.push([{ ...A, originDb: "1" }, 1], [{ ...A, deltaId: -1 }, 1], [{ ...A, deltaId: "0" }, 1], [{ ...A, deltaId: 2 ** 31 }, 1]);
  wrong.push([A, 0.5], [A, NaN], [A, Infinity], [A, "1"], [A, undefined], [A, 2 ** 53], [{ ...A, generation: 2 ** 53 }, 1]);
  for (const [object, delta] of wrong) {
    const error = await errorOf(() => manifest.begin().putDb(2, { name: "x" }).adjustRefcount(object as never, delta as never).commit());
    assertEquals([error.kind, error.detail.operation, error.detail.index], ["usage", "adjustRefcount", 1], JSON.stringify([object, delta]));
  }
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.count(refcounts), manifest.getDb(2)], [1, undefined]);
  await manifest.close();
});

test("adjustRefcount: of an object that nobody has named makes it known, and unnamed when it is let go", async () => {
  const medium = new Medium();
  let manifest = await withChunk(medium);
  const foreign: StoredObject = { originDb: 77, chunkId: 5, generation: 9, deltaId: 3 };
  await manifest.begin().adjustRefcount(foreign, 3).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([row(manifest, foreign), manifest.countCollectable()], [[0, 3, "live"], 0]);
  await manifest.begin().adjustRefcount(foreign, -3).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.listUnnamed().map(({ since: _, ...object }) => object).filter(({ originDb }) => originDb === 77), [foreign]);
  assertEquals(manifest.countCollectable(), 0);
  await assertSound(manifest);
  await manifest.close();
});

test("adjustRefcount: shown in the change log as the row it leaves", async () => {
  const medium = new Medium();
  let manifest = await withChunk(medium);
  const first = await manifest.begin().adjustRefcount(A, 2).commit();
  await manifest.begin().adjustRefcount(A, -1).adjustRefcount(A, -1).commit();
  manifest = await reopened(manifest, medium);
  const cursor = await manifest.registerChangeCursor("c", { start: first.sequence });
  const [up, down] = (await manifest.fetchChangePage(cursor.id)).changes;
  const base = { op: "adjustRefcount", table: "gc_refcounts", key: [1, 0, 1, -1] };
  assertEquals(up!.operations, [{ ...base, value: { strong: 0, state: "live", held: 2, unlisted: true } } as never]);
  const { since } = manifest.getRefcount(A)!;
  assertEquals(down!.operations, [
    { ...base, value: { strong: 0, state: "live", held: 1, unlisted: true } } as never,
    { ...base, value: { strong: 0, state: "unnamed", since } } as never,
  ]);
  await manifest.close();
});

test("adjustRefcount: counts that end where they began leave the row and its place in gc_collectable as they were", async () => {
  const medium = new Medium();
  let manifest = await withChunk(medium);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  const collected = manifest.getRefcount(A);
  await manifest.begin().adjustRefcount(A, 1).adjustRefcount(A, -1).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.getRefcount(A), collected);
  await assertSound(manifest);
  // Beside snapshots: the row that the change shows in between is not the last.
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  await manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }] }).adjustRefcount(A, 1).adjustRefcount(A, -1).dropSnapshot([
    1,
    2,
  ]).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(row(manifest, A), [1, 0, "live"]);
  await assertSound(manifest);
  await manifest.begin().adjustRefcount(A, 1).dropSnapshot([1, 1]).adjustRefcount(A, -1).publishSnapshot([1, 3], {
    chunks: [{ chunkId: 0 }],
  }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(row(manifest, A), [1, 0, "live"]);
  await assertSound(manifest);
  await manifest.close();
});

test("adjustRefcount: 400 random transactions with snapshots, holds and new generations equal a reference", async () => {
  const seed = 11;
  const random = seeded(seed);
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin().putDb(1, { name: "d" }).commit();
  const generations = new Map<number, number>(), snapshots = new Map<number, string[]>(), held = new Map<string, number>();
  const named = new Set<string>(), known = new Set<string>();
  const objectOf = (name: string): StoredObject => {
    const [chunkId, generation] = name.split("/").map(Number);
    return { originDb: 1, chunkId: chunkId!, generation: generation! };
  };
  for (let step = 0; step < 400; step++) {
    const txn = manifest.begin().bumpGeneration(1);
    for (let i = random.between(1, 6); i > 0; i--) {
      const chunk = random.int(4), roll = random.int(10);
      const names = [...known];
      if (roll < 2 || names.length === 0) {
        const before = generations.get(chunk);
        const generation = Math.max(0, (before ?? 0) + random.between(-1, 1));
        txn.upsertChunk([1, chunk], { fileName: "f", generation });
        generations.set(chunk, generation);
        const name = `${chunk}/${generation}`;
        // Put again by a row that did not name it, and in no snapshot now: an upload like any other.
        if (before !== generation && ![...snapshots.values()].flat().includes(name)) named.delete(name);
        known.add(name);
      } else if (roll < 4) {
        const list = [...generations].filter(() => random.chance(0.6)).map(([chunkId, generation]) => ({ chunkId, generation }));
        const id = random.int(4);
        txn.publishSnapshot([1, id], { chunks: list });
        snapshots.set(id, list.map(({ chunkId, generation }) => `${chunkId}/${generation}`));
        for (const name of snapshots.get(id)!) named.add(name);
      } else if (roll < 5) {
        const id = random.int(4);
        if (snapshots.delete(id)) txn.dropSnapshot([1, id]);
      } else {
        const name = random.pick(names), have = held.get(name) ?? 0;
        const delta = random.chance(0.6) && have > 0 ? -random.between(1, have) : random.between(1, 3);
        txn.adjustRefcount(objectOf(name), delta);
        held.set(name, have + delta);
      }
    }
    await txn.commit();
    if (step % 10 !== 9) continue;
    if (step % 100 === 99) manifest = await reopened(manifest, medium);
    for (const name of known) {
      const strong = [...snapshots.values()].flat().filter((one) => one === name).length, holds = held.get(name) ?? 0;
      const state = strong + holds > 0 ? "live" : named.has(name) ? "collectable" : "unnamed";
      assertEquals(row(manifest, objectOf(name)), [strong, holds, state], `seed ${seed}, step ${step}, ${name}`);
    }
    assertEquals(manifest.count(refcounts), known.size);
    await assertSound(manifest);
  }
  await manifest.close();
});

test("listUnnamed: objects that no snapshot ever listed, oldest first, by age and limit; listed once they are unnamed no more", async () => {
  const medium = new Medium();
  let manifest = await medium.open({ environment: testEnvironment(1) });
  await manifest.begin().putDb(1, { name: "d" }).commit();
  for (const chunk of [3, 1, 2]) await manifest.begin().upsertChunk([1, chunk], { fileName: "f" }).commit();
  await manifest.begin().upsertChunkDelta([1, 1, 0, 6], { fileName: "f" }).commit();
  manifest = await reopened(manifest, medium);
  const all = manifest.listUnnamed();
  assertEquals(all.map(({ chunkId, deltaId }) => [chunkId, deltaId]), [[3, undefined], [1, undefined], [2, undefined], [1, 6]]);
  assert(all.every(({ since }, i) => i === 0 || since > all[i - 1]!.since));
  assertEquals(manifest.listUnnamed({ before: all[2]!.since }).map(({ chunkId }) => chunkId), [3, 1]);
  assertEquals(manifest.listUnnamed({ limit: 1, before: all[2]!.since }).map(({ chunkId }) => chunkId), [3]);
  assertEquals([manifest.listUnnamed({ before: all[0]!.since }), manifest.listUnnamed({ limit: 0 }), manifest.listCollectable()], [
    [],
    [],
    [],
  ]);
  // Putting it again, or deleting its row, changes nothing of that.
  await manifest.begin().upsertChunk([1, 3], { fileName: "again" }).deleteChunk([1, 1]).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.listUnnamed(), all);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 3 }] }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.listUnnamed().map(({ chunkId }) => chunkId), manifest.listCollectable().map(({ chunkId }) => chunkId)], [
    [1, 2, 1],
    [3],
  ]);
  assertEquals([manifest.count(collectable), manifest.stats().collectable], [4, 1]);
  await assertSound(manifest);
  await manifest.close();
});

test("putWalState and upsertWalArtifact: keep what they are given, replace, and go when deleted", async () => {
  const medium = new Medium();
  let manifest = await medium.open({ environment: testEnvironment(1) });
  const state = {
    lastSealedSegment: 1,
    lastAppliedLsn: MOST,
    lastCheckpointGeneration: 3,
    restartEpoch: 2 ** 32 - 1,
    flushGate: { activeJobId: 5, lastSuccessAt: 6, erroredSince: 7 },
  };
  const remote = { namespaceId: 1, originDb: 1, chunkId: 2, kind: { is: "wal", shard: 3 }, generation: 4, etag: "e" } as const;
  await manifest.begin().putDb(1, { name: "d" }).putDb(2, { name: "e" }).putWalState(1, state).putWalState(2, {})
    .upsertWalArtifact([1, 2], { kind: { is: "segment", startPage: 1, endPage: 2, sizeBytes: 3 }, localPath: "a", createdAt: 9, remote })
    .upsertWalArtifact([1, 1], { kind: { is: "bundle", frameCount: 8 }, localPath: "b" }).commit();
  manifest = await reopened(manifest, medium);
  const zero = { lastSealedSegment: 0, lastAppliedLsn: 0, lastCheckpointGeneration: 0, restartEpoch: 0, flushGate: {} };
  assertEquals([...manifest.listWalStates()], [[[1], state], [[2], zero]]);
  assertEquals(manifest.getWalArtifact(1, 2), {
    createdAt: 9,
    kind: { is: "segment", startPage: 1, endPage: 2, sizeBytes: 3 },
    localPath: "a",
    remote,
  });
  assertEquals([...manifest.listWalArtifacts(1)].map(([[, artifact], { localPath }]) => [artifact, localPath]), [[1, "b"], [2, "a"]]);
  assert(manifest.getWalArtifact(1, 1)!.createdAt > 1e12);
  await manifest.begin().putWalState(1, { lastAppliedLsn: 8 }).deleteWalState(2).deleteWalState(9).deleteWalArtifact([1, 2])
    .deleteWalArtifact([9, 9])
    .upsertWalArtifact([1, 1], { kind: { is: "bundle", frameCount: 9 }, localPath: "c" }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getWalState(1), manifest.getWalState(2), manifest.getWalArtifact(1, 2)], [
    { ...zero, lastAppliedLsn: 8 },
    undefined,
    undefined,
  ]);
  assertEquals(manifest.getWalArtifact(1, 1)!.localPath, "c");
  await manifest.begin().deleteDb(1).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([[...manifest.listWalStates()], [...manifest.listWalArtifacts(1)]], [[], []]);
  await manifest.close();
});

test("putWalState and upsertWalArtifact: an unknown database and wrong records are refused by name and index, with nothing applied", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "d" }).commit();
  const artifact = { kind: { is: "bundle", frameCount: 1 }, localPath: "a" } as const;
  const wrong: [string, string, (txn: ManifestTxn) => ManifestTxn][] = [
    ["NOT_FOUND", "putWalState", (txn) => txn.putWalState(5, {})],
    ["INVALID_ARGUMENT", "putWalState", (txn) => txn.putWalState(1, null as never)],
    ["INVALID_ARGUMENT", "putWalState", (txn) => txn.putWalState(1, { restartEpoch: 2 ** 32 })],
    ["INVALID_ARGUMENT", "putWalState", (txn) => txn.putWalState(1, { flushGate: 5 as never })],
    ["NOT_FOUND", "upsertWalArtifact", (txn) => txn.upsertWalArtifact([5, 1], artifact)],
    ["INVALID_ARGUMENT", "upsertWalArtifact", (txn) => txn.upsertWalArtifact([1] as never, artifact)],
    ["INVALID_ARGUMENT", "upsertWalArtifact", (txn) => txn.upsertWalArtifact([1, 1], { ...artifact, kind: { is: "what" } as never })],
    ["INVALID_ARGUMENT", "upsertWalArtifact", (txn) => txn.upsertWalArtifact([1, 1], { ...artifact, localPath: undefined as never })],
  ];
  for (const [code, operation, add] of wrong) {
    const error = await errorOf(() => add(manifest.begin().putDb(2, { name: "x" })).commit());
    assertEquals([error.code, error.detail.operation, error.detail.index], [code, operation, 1], String(add));
  }
  assertEquals([manifest.getDb(2), [...manifest.listWalStates()], [...manifest.listWalArtifacts(1)]], [undefined, [], []]);
  await manifest.close();
});

test("putRemoteNamespace: keeps bucket, prefix and profile, replaces, deletes, and refuses what is none", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin().putRemoteNamespace(2, { bucket: "b" }).putRemoteNamespace(1, {
    bucket: "a",
    prefix: "p/",
    encryptionProfile: "kms",
  }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([...manifest.listRemoteNamespaces()], [
    [[1], { bucket: "a", prefix: "p/", encryptionProfile: "kms" }],
    [[2], { bucket: "b", prefix: "" }],
  ]);
  const { sequence } = await manifest.begin().putRemoteNamespace(1, { bucket: "c" }).deleteRemoteNamespace(2).deleteRemoteNamespace(3)
    .commit();
  for (const wrong of [null, {}, { bucket: 5 }, { bucket: "b", prefix: 1 }]) {
    assertEquals(await codeOf(() => manifest.begin().putRemoteNamespace(1, wrong as never).commit()), "INVALID_ARGUMENT");
  }
  for (const id of [-1, 1.5, "1", null]) {
    assertEquals((await errorOf(() => manifest.begin().putRemoteNamespace(id as never, { bucket: "b" }).commit())).kind, "usage");
  }
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getRemoteNamespace(1), manifest.getRemoteNamespace(2)], [{ bucket: "c", prefix: "" }, undefined]);
  const cursor = await manifest.registerChangeCursor("c", { start: sequence });
  assertEquals((await manifest.fetchChangePage(cursor.id)).changes[0]!.operations, [
    { op: "putRemoteNamespace", table: "remote_namespaces", key: [1], value: { bucket: "c", prefix: "" } },
    { op: "deleteRemoteNamespace", table: "remote_namespaces", key: [2] },
    { op: "deleteRemoteNamespace", table: "remote_namespaces", key: [3] },
  ]);
  await manifest.close();
});

test("upsertChunk, upsertChunkDelta: an object put again by a row that did not name it is an upload, not garbage; an update of its row leaves it collectable", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const delta: StoredObject = { originDb: 1, chunkId: 7, generation: 0, deltaId: 2 };
  const object: StoredObject = { originDb: 1, chunkId: 7, generation: 0 };
  const put = (): Promise<unknown> =>
    manifest.begin().createDb(1, { name: "d" }).upsertChunk([1, 7], { fileName: "f" }).upsertChunkDelta([1, 7, 0, 2], { fileName: "g" })
      .commit();
  await put();
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 7 }, { chunkId: 7, deltaId: 2 }] }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  await manifest.begin().upsertChunk([1, 7], { fileName: "moved" }).upsertChunkDelta([1, 7, 0, 2], { fileName: "moved" }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([row(manifest, object)?.[2], row(manifest, delta)?.[2]], ["collectable", "collectable"]);
  await manifest.begin().deleteDb(1).commit();
  await put();
  manifest = await reopened(manifest, medium);
  assertEquals([row(manifest, object)?.[2], row(manifest, delta)?.[2]], ["unnamed", "unnamed"]);
  const deleted: StoredObject[] = [];
  await manifest.reclaim(10, (one) => void deleted.push(one), { unnamedBefore: Number.MAX_SAFE_INTEGER });
  assertEquals(deleted, []);
  // Published and dropped in its second life it is garbage like any other.
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 7 }] }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  await manifest.reclaim(10, (one) => void deleted.push(one));
  manifest = await reopened(manifest, medium);
  assertEquals([deleted, manifest.getChunk(1, 7), row(manifest, delta)?.[2]], [[object], undefined, "unnamed"]);
  await assertSound(manifest);
  await manifest.close();
});

test("reclaim: with nothing to do it commits nothing", async () => {
  const medium = new Medium();
  const manifest = await withChunk(medium);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  const before = manifest.stats();
  assertEquals(await manifest.reclaim(10, () => {}, { unnamedBefore: Number.MAX_SAFE_INTEGER }), { deleted: 0, remaining: 0 });
  const { durableFrame, writes, syncs } = manifest.stats();
  assertEquals([durableFrame, writes, syncs], [before.durableFrame, before.writes, before.syncs]);
  await manifest.close();
});
