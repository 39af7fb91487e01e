// Snapshots and reference counts: a count belongs to the stored object, and a snapshot releases exactly what it counted.
import { assert, assertEquals } from "@std/assert";
import { type Manifest, refcounts, snapshots, type StoredObject } from "../../mod.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { Store } from "../../src/store/store.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

function object(chunkId: number, generation: number, originDb = 1): StoredObject {
  return { originDb, chunkId, generation };
}

function strong(manifest: Manifest, of: StoredObject): number | undefined {
  return manifest.getRefcount(of)?.strong;
}

async function withChunks(count: number, medium = new Medium()): Promise<Manifest> {
  const manifest = await medium.open();
  const txn = manifest.begin().putDb(1, { name: "d" });
  for (let i = 0; i < count; i++) txn.upsertChunk([1, i], { fileName: `c${i}`, generation: 1 });
  await txn.commit();
  return manifest;
}

/** Counts as the live snapshots give them. */
function recount(manifest: Manifest): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { chunks } of manifest.values(snapshots)) {
    for (const one of chunks) {
      const key = `${one.originDb}/${one.chunkId}/${one.generation}/${one.deltaId ?? -1}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

/** Invariant 6, and that the lists of objects by state are exactly the rows in that state. */
function checkCounts(manifest: Manifest): void {
  const wanted = recount(manifest);
  const byState: Record<string, string[]> = { live: [], unnamed: [], collectable: [], condemned: [] };
  for (const [key, { strong, state, since }] of manifest.range(refcounts)) {
    const name = key.join("/");
    assertEquals(strong, wanted.get(name) ?? 0, name);
    assertEquals([since === undefined, state === "live"], [strong > 0, strong > 0]);
    byState[state]!.push(name);
    wanted.delete(name);
  }
  assertEquals([...wanted.keys()], []);
  const names = (objects: StoredObject[]): string[] =>
    objects.map((one) => `${one.originDb}/${one.chunkId}/${one.generation}/${one.deltaId ?? -1}`).toSorted();
  assertEquals(names(manifest.listCollectable()), byState.collectable!.toSorted());
  assertEquals(names(manifest.listUnnamed()), byState.unnamed!.toSorted());
  assertEquals(names(manifest.listCondemned()), byState.condemned!.toSorted());
  assertEquals(manifest.countCollectable(), byState.collectable!.length);
}

test("publishSnapshot and dropSnapshot: counts go up and down, zero is collectable, publishing again takes it off the list", async () => {
  const medium = new Medium();
  let manifest = await withChunks(3, medium);
  await manifest.begin().publishSnapshot([1, 1], { sourceGeneration: 4, chunks: [{ chunkId: 0 }, { chunkId: 1 }] }).commit();
  await manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }, { chunkId: 2 }] }).commit();
  assertEquals([0, 1, 2].map((id) => strong(manifest, object(id, 1))), [1, 2, 1]);
  assertEquals(manifest.getSnapshot(1, 1)?.sourceGeneration, 4);
  await manifest.begin().dropSnapshot([1, 1]).commit();
  assertEquals([0, 1, 2].map((id) => strong(manifest, object(id, 1))), [0, 1, 1]);
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.listCollectable().map(({ chunkId }) => chunkId), [0]);
  checkCounts(manifest);
  await manifest.begin().publishSnapshot([1, 3], { chunks: [{ chunkId: 0 }] }).commit();
  assertEquals(manifest.listCollectable(), []);
  checkCounts(manifest);
  await manifest.close();
});

test("publishSnapshot: replacing a chunk's object leaves the old one counted, and dropping releases the old one", async () => {
  const manifest = await withChunks(1);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  await manifest.begin().upsertChunk([1, 0], { fileName: "new", generation: 2 }).commit();
  assertEquals([strong(manifest, object(0, 1)), strong(manifest, object(0, 2))], [1, 0]);
  await manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }] }).commit();
  assertEquals([strong(manifest, object(0, 1)), strong(manifest, object(0, 2))], [1, 1]);
  await manifest.begin().deleteChunk([1, 0]).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  assertEquals([strong(manifest, object(0, 1)), strong(manifest, object(0, 2))], [0, 1]);
  checkCounts(manifest);
  await manifest.close();
});

test("publishSnapshot: over an existing snapshot releases its list; the same list changes no count", async () => {
  const manifest = await withChunks(4);
  const list = [{ chunkId: 0 }, { chunkId: 1 }];
  await manifest.begin().publishSnapshot([1, 1], { chunks: list }).commit();
  await manifest.begin().publishSnapshot([1, 1], { chunks: list }).commit();
  assertEquals([0, 1].map((id) => strong(manifest, object(id, 1))), [1, 1]);
  assertEquals(manifest.listCollectable(), []);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }, { chunkId: 2 }] }).commit();
  assertEquals([0, 1, 2].map((id) => strong(manifest, object(id, 1))), [0, 1, 1]);
  checkCounts(manifest);
  await manifest.close();
});

test("publishSnapshot: databases that share an object share its count, others do not", async () => {
  const manifest = await withChunks(1);
  await manifest.begin().putDb(2, { name: "fork" }).putDb(3, { name: "own" })
    .upsertChunk([2, 0], { fileName: "c0", generation: 1, originDb: 1 }).upsertChunk([3, 0], { fileName: "x", generation: 1 }).commit();
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).publishSnapshot([2, 1], { chunks: [{ chunkId: 0 }] })
    .publishSnapshot([3, 1], { chunks: [{ chunkId: 0 }] }).commit();
  assertEquals([strong(manifest, object(0, 1, 1)), strong(manifest, object(0, 1, 2)), strong(manifest, object(0, 1, 3))], [
    2,
    undefined,
    1,
  ]);
  await manifest.begin().dropSnapshot([1, 1]).commit();
  assertEquals(manifest.listCollectable(), []);
  await manifest.begin().deleteDb(2).commit();
  assertEquals(manifest.listCollectable().map(({ originDb, chunkId }) => [originDb, chunkId]), [[1, 0]]);
  checkCounts(manifest);
  await manifest.close();
});

test("transaction: later operations see what earlier ones did to chunks, snapshots and counts", async () => {
  const manifest = await withChunks(1);
  await manifest.begin()
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] })
    .upsertChunk([1, 0], { fileName: "n", generation: 2 })
    .publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }] })
    .dropSnapshot([1, 1])
    .commit();
  assertEquals([strong(manifest, object(0, 1)), strong(manifest, object(0, 2))], [0, 1]);
  checkCounts(manifest);
  assertEquals(await codeOf(() => manifest.begin().dropSnapshot([1, 2]).dropSnapshot([1, 2]).commit()), "NOT_FOUND");
  assertEquals(
    await codeOf(() => manifest.begin().deleteChunk([1, 0]).publishSnapshot([1, 3], { chunks: [{ chunkId: 0 }] }).commit()),
    "NOT_FOUND",
  );
  assertEquals(strong(manifest, object(0, 2)), 1);
  await manifest.begin().dropSnapshot([1, 2]).publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }] }).commit();
  assertEquals(strong(manifest, object(0, 2)), 1);
  checkCounts(manifest);
  await manifest.close();
});

test("publishSnapshot: a missing chunk, a chunk listed twice, an unknown database are refused by name and index, with nothing applied", async () => {
  const manifest = await withChunks(2);
  const before = manifest.latestChangeSequence();
  const missing = await errorOf(() =>
    manifest.begin().upsertChunk([1, 7], { fileName: "x" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }, { chunkId: 9 }] }).commit()
  );
  assertEquals([missing.code, missing.detail.operation, missing.detail.index, missing.detail.chunkId], [
    "NOT_FOUND",
    "publishSnapshot",
    1,
    9,
  ]);
  assertEquals(missing.outcome, "not_applied");
  assertEquals(
    await codeOf(() => manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }, { chunkId: 0 }] }).commit()),
    "INVALID_ARGUMENT",
  );
  assertEquals(await codeOf(() => manifest.begin().publishSnapshot([5, 1], { chunks: [] }).commit()), "NOT_FOUND");
  assertEquals(await codeOf(() => manifest.begin().upsertChunk([5, 1], { fileName: "x" }).commit()), "NOT_FOUND");
  assertEquals(await codeOf(() => manifest.begin().deleteDb(5).commit()), "NOT_FOUND");
  assertEquals(await codeOf(() => manifest.begin().dropSnapshot([1, 9]).commit()), "NOT_FOUND");
  assertEquals(await codeOf(() => manifest.begin().publishSnapshot([1, 1], {} as never).commit()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.begin().publishSnapshot([1, 1], { chunks: [{}] } as never).commit()), "INVALID_ARGUMENT");
  assertEquals([manifest.latestChangeSequence(), manifest.getChunk(1, 7), manifest.count(refcounts), manifest.count(snapshots)], [
    before,
    undefined,
    2, // the objects of the two chunks, unnamed
    0,
  ]);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  assertEquals(manifest.latestChangeSequence(), before + 1);
  await manifest.close();
});

test("dropSnapshot: a count that is too low is REFCOUNT_UNDERFLOW, and nothing is applied", async () => {
  const medium = new Medium();
  let manifest = await withChunks(1, medium);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }] })
    .commit();
  await manifest.close();
  // The count is taken away behind the manifest's back.
  const store = await Store.open(new MemoryStorage(medium.file), { idleCheckpoint: 0 });
  const { id } = store.table("gc_refcounts")!;
  const ops = [{ kind: "deleteRange" as const, table: id, key: new Uint8Array(0), value: new Uint8Array([0xff]) }];
  await store.commit({ stage: () => stageRaw(store.kernel, ops), change: false });
  await store.close();
  manifest = await medium.open();
  const error = await errorOf(() => manifest.begin().dropSnapshot([1, 1]).commit());
  assertEquals([error.code, error.detail.operation, error.detail.chunkId], ["REFCOUNT_UNDERFLOW", "dropSnapshot", 0]);
  assert(manifest.getSnapshot(1, 1) !== undefined);
  await manifest.begin().upsertChunk([1, 1], { fileName: "usable" }).commit();
  await manifest.close();
});

test("adjustRefcount: what a transaction holds and lets go again leaves the row and the lists as they were", async () => {
  const medium = new Medium();
  const manifest = await withChunks(2, medium);
  const held = object(0, 1), listed = object(1, 1);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }] }).commit();
  await manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }] }).commit();
  await manifest.begin().dropSnapshot([1, 2]).commit();
  const cursor = await manifest.registerChangeCursor("replica", { start: "latest" });
  const before = [manifest.getRefcount(held), manifest.getRefcount(listed)];
  await manifest.begin().adjustRefcount(held, 2).adjustRefcount(held, -2).commit();
  await manifest.begin().dropSnapshot([1, 1]).adjustRefcount(listed, 1).adjustRefcount(listed, -1)
    .publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }] }).commit();
  assertEquals([manifest.getRefcount(held), manifest.getRefcount(listed)], before);
  assertEquals(manifest.listCollectable().map(({ chunkId, since }) => [chunkId, since]), [[0, before[0]!.since]]);
  checkCounts(manifest);
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
  const [change] = (await manifest.fetchChangePage(cursor.id)).changes;
  const [, last] = change!.operations;
  assertEquals(last!.op === "adjustRefcount" ? last.value : undefined, before[0]);
  await manifest.close();
});

test("publishSnapshot: 10,000 chunks in one snapshot", async () => {
  const medium = new Medium();
  let manifest = await withChunks(10_000, medium);
  const all = Array.from({ length: 10_000 }, (_, chunkId) => ({ chunkId }));
  await manifest.begin().publishSnapshot([1, 1], { chunks: all }).commit();
  await manifest.begin().publishSnapshot([1, 2], { chunks: all.filter(({ chunkId }) => chunkId % 2 === 0) }).commit();
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.getSnapshot(1, 1)!.chunks.length, 10_000);
  await manifest.begin().dropSnapshot([1, 1]).commit();
  assertEquals(manifest.countCollectable(), 5000);
  assertEquals(manifest.listCollectable({ limit: 3 }).map(({ chunkId }) => chunkId), [1, 3, 5]);
  checkCounts(manifest);
  assertEquals((await manifest.check()).problems, []);
  await manifest.close();
});

test("refcounts: 3,000 random operations keep every count equal to a recount", async () => {
  const seed = 20260;
  const random = seeded(seed);
  const medium = new Medium();
  let manifest = await medium.open();
  const live = new Set<string>();
  const known = new Set<string>();
  const dbs = new Set<number>();
  for (let step = 0; step < 600; step++) {
    const txn = manifest.begin();
    for (let i = random.between(1, 9); i > 0; i--) {
      const db = random.between(1, 3), chunk = random.int(12), snapshot = random.int(5);
      const kind = random.int(20);
      if (!dbs.has(db)) {
        txn.putDb(db, { name: `d${db}` });
        dbs.add(db);
      } else if (kind < 8) {
        txn.upsertChunk([db, chunk], { fileName: "f", generation: random.int(4), originDb: random.chance(0.3) ? 1 : undefined });
        known.add(`${db}/${chunk}`);
      } else if (kind < 9) {
        txn.deleteChunk([db, chunk]);
        known.delete(`${db}/${chunk}`);
      } else if (kind < 16) {
        const list = [...known].filter((name) => name.startsWith(`${db}/`) && random.chance(0.5)).map((name) => ({
          chunkId: Number(name.split("/")[1]),
        }));
        txn.publishSnapshot([db, snapshot], { chunks: list });
        live.add(`${db}/${snapshot}`);
      } else if (kind < 19) {
        if (live.delete(`${db}/${snapshot}`)) txn.dropSnapshot([db, snapshot]);
      } else if (random.chance(0.2)) {
        txn.deleteDb(db);
        dbs.delete(db);
        for (const set of [live, known]) for (const name of [...set]) if (name.startsWith(`${db}/`)) set.delete(name);
      }
    }
    await txn.commit();
    if (step % 50 === 49) {
      assertEquals(manifest.keys(snapshots).toArray().map((key) => key.join("/")).toSorted(), [...live].toSorted(), `seed ${seed}`);
      checkCounts(manifest);
    }
    if (step % 200 === 199) {
      await manifest.close();
      manifest = await medium.open();
    }
  }
  await manifest.close();
});

test("adjustRefcount: up and down again in one transaction, with snapshots in between, leaves row and list as they were", async () => {
  const medium = new Medium();
  let manifest = await withChunks(1, medium);
  await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 0 }] }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  const before = manifest.listCollectable();
  await manifest.begin().adjustRefcount(object(0, 1), 1).adjustRefcount(object(0, 1), -1).commit();
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.listCollectable(), before);
  checkCounts(manifest);
  const list = { chunks: [{ chunkId: 0 }] };
  await manifest.begin().publishSnapshot([1, 1], list).commit();
  await manifest.begin().dropSnapshot([1, 1]).adjustRefcount(object(0, 1), 2).adjustRefcount(object(0, 1), -2).publishSnapshot([1, 1], list)
    .commit();
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.getRefcount(object(0, 1)), { strong: 1, state: "live" });
  checkCounts(manifest);
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
  await manifest.close();
});
