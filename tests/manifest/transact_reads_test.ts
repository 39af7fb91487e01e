// What a read-write transaction reads: one state, with its own writes over it, in every method, what follows from its operations included.
import { assert, assertEquals } from "@std/assert";
import {
  bytes,
  chunks,
  collectable,
  databases,
  defineTable,
  f64,
  type Manifest,
  type RangeOptions,
  type Reader,
  refcounts,
  snapshots,
  text,
  type Transaction,
  u32,
  u53,
} from "../../mod.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const cells = defineTable({ name: "cells", key: [u53("id")], value: { n: u53() } });
const fixed = defineTable({ name: "fixed", key: [u53("id")], value: { a: u32(), b: f64() } });
const blobs = defineTable({ name: "blobs", key: [u53("id")], value: { data: bytes() } });
const object = (chunkId: number, generation = 0) => ({ originDb: 1, chunkId, generation });

async function filled(): Promise<Manifest> {
  const manifest = await new Medium().open();
  const txn = manifest.begin();
  for (let id = 0; id < 20; id += 2) txn.put(cells, [id], { n: id });
  await txn.put(fixed, 1, { a: 1, b: 0.5 }).commit();
  return manifest;
}

/** Runs a body whose writes are given up. */
async function within<T>(manifest: Manifest, body: (txn: Transaction) => T): Promise<T> {
  const { value, receipt } = await manifest.transact((txn) => {
    const value = body(txn);
    txn.rollback();
    return value;
  });
  assertEquals(receipt.sequence, 0);
  return value;
}

test("Transaction: get, has, getBytes and getView show own puts and deletes", async () => {
  const manifest = await filled();
  await within(manifest, (txn) => {
    assertEquals([txn.get(cells, 2)?.n, txn.get(cells, 3)], [2, undefined]);
    txn.put(cells, 2, { n: 200 }).put(cells, 3, { n: 300 }).delete(cells, [4]);
    assertEquals([txn.get(cells, 2)?.n, txn.get(cells, 3)?.n, txn.get(cells, 4)], [200, 300, undefined]);
    assertEquals([txn.has(cells, 2), txn.has(cells, 3), txn.has(cells, 4), txn.has(cells, 5)], [true, true, false, false]);
    assertEquals([txn.getBytes(cells, 4), txn.getBytes(cells, 6)?.length], [undefined, 1]);
    const own = txn.getBytes(cells, 3)!;
    own.fill(0); // a copy: what is committed stays what it was
    assertEquals(txn.get(cells, 3)?.n, 300);
    txn.put(cells, 4, { n: 400 }).delete(cells, [3]);
    assertEquals([txn.get(cells, 3), txn.get(cells, 4)?.n], [undefined, 400]);
    txn.put(fixed, 2, { a: 7, b: 1.5 });
    assertEquals([txn.getView(fixed, 1)!.a, txn.getView(fixed, 2)!.a, txn.getView(fixed, 2)!.b, txn.getView(fixed, 3)], [
      1,
      7,
      1.5,
      undefined,
    ]);
  });
  assertEquals(manifest.get(cells, 2)!.n, 2);
  await manifest.close();
});

test("Transaction.getView: notes the key that it has read", async () => {
  const manifest = await filled();
  const { attempts } = await manifest.transact(async (txn) => {
    const { a } = txn.getView(fixed, 1)!;
    if (txn.attempt === 1) await manifest.begin().put(fixed, 1, { a: 9, b: 0 }).commit();
    txn.put(cells, 1, { n: a });
  });
  assertEquals([attempts, manifest.get(cells, 1)!.n], [2, 9]);
  await manifest.close();
});

test("Transaction: ranges merge own rows with the state below, in every form and direction", async () => {
  const manifest = await filled();
  await within(manifest, (txn) => {
    txn.put(cells, [3], { n: 3 }).put(cells, [4], { n: 44 }).delete(cells, [6]).deleteRange(cells, { gte: [10], lt: [15] }).put(
      cells,
      [12],
      {
        n: 12,
      },
    ).put(cells, [99], { n: 99 });
    const ids = [0, 2, 3, 4, 8, 12, 16, 18, 99];
    const values = [0, 2, 3, 44, 8, 12, 16, 18, 99];
    assertEquals(txn.keys(cells).toArray().map(([id]) => id), ids);
    assertEquals(txn.values(cells).toArray().map(({ n }) => n), values);
    assertEquals(txn.range(cells).toArray().map(([[id], { n }]) => [id, n]), ids.map((id, i) => [id, values[i]!]));
    assertEquals(txn.rangeBytes(cells).toArray().map(([[id], data]) => [id, data.length]), ids.map((id) => [id, 1]));
    assertEquals(txn.keys(cells, { reverse: true }).toArray().map(([id]) => id), ids.toReversed());
    assertEquals(txn.keys(cells, { gte: [3], lt: [12] }).toArray().map(([id]) => id), [3, 4, 8]);
    assertEquals(txn.keys(cells, { gt: [3], lte: [12], reverse: true }).toArray().map(([id]) => id), [12, 8, 4]);
    assertEquals(txn.keys(cells, { limit: 3 }).toArray().map(([id]) => id), [0, 2, 3]);
    const first = txn.values(cells, { limit: 4 });
    first.toArray();
    assertEquals(txn.keys(cells, { after: first.position, limit: 2 }).toArray().map(([id]) => id), [8, 12]);
    assertEquals(txn.keys(cells, { after: first.position, reverse: true }).toArray().map(([id]) => id), [3, 2, 0]);
    assertEquals([txn.count(cells), txn.count(cells, { gte: [3], lt: [13] }), txn.count(cells, { gte: [10], lt: [12] })], [9, 4, 0]);
  });
  assertEquals(manifest.count(cells), 10);
  await manifest.close();
});

test("Transaction: a range shows the rows as they were when its first row was asked for", async () => {
  const manifest = await filled();
  await within(manifest, (txn) => {
    const seen: number[] = [];
    for (const [[id], { n }] of txn.range(cells)) {
      seen.push(n);
      txn.put(cells, [id], { n: n + 1000 }).put(cells, [id + 1], { n: 1 }).delete(cells, [id + 2]);
    }
    assertEquals(seen, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    assertEquals(txn.count(cells), 20); // the even ones were put again behind their delete
  });
  await within(manifest, (txn) => {
    txn.put(cells, [1], { n: 1 }); // now with rows of its own below
    const seen: number[] = [];
    for (const [[id]] of txn.range(cells)) {
      seen.push(id);
      txn.deleteRange(cells, {}).put(cells, [id + 100], { n: 0 });
      assertEquals(txn.keys(cells).toArray(), [[id + 100]]);
    }
    assertEquals(seen, [0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  });
  await within(manifest, (txn) => {
    for (let id = 1000; id < 1200; id++) txn.put(cells, [id], { n: 1 });
    let rows = 0;
    for (const [[id], { n }] of txn.range(cells, { gte: [1000] })) { // more than are fetched at a time
      assertEquals([id, n], [1000 + rows, 1]);
      rows++;
      txn.put(cells, [1199 - rows], { n: 77 }).delete(cells, [1100 + rows]).put(cells, [2000 + rows], { n: 1 });
      if (rows % 50 === 0) txn.count(cells); // stages them
    }
    assertEquals(rows, 200);
  });
  await manifest.close();
});

test("Transaction: own rows and rows below of any size and number, against a map, both directions", async () => {
  const manifest = await new Medium().open();
  const random = seeded(41);
  console.log(`seed ${random.seed}`);
  const below = new Map<number, number>();
  const batch = manifest.begin();
  for (let i = 0; i < 3000; i++) {
    const id = random.int(5000);
    const length = random.chance(0.01) ? 5000 + random.int(20_000) : random.int(40);
    below.set(id, length);
    batch.put(blobs, [id], { data: new Uint8Array(length) });
  }
  await batch.commit();
  await within(manifest, (txn) => {
    const model = new Map(below);
    for (let round = 0; round < 60; round++) {
      for (let i = random.int(120); i > 0; i--) {
        const id = random.int(5000);
        if (random.chance(0.6)) {
          const length = random.chance(0.02) ? 9000 : random.int(30);
          model.set(id, length);
          txn.put(blobs, [id], { data: new Uint8Array(length) });
        } else if (random.chance(0.9)) {
          model.delete(id);
          txn.delete(blobs, [id]);
        } else {
          const to = id + random.int(200);
          for (const key of [...model.keys()]) if (key >= id && key < to) model.delete(key);
          txn.deleteRange(blobs, { gte: [id], lt: [to] });
        }
      }
      const from = random.int(5000);
      const to = from + random.int(1500);
      const reverse = random.chance(0.5);
      const limit = random.chance(0.5) ? random.int(300) : undefined;
      const options: RangeOptions<[id: number]> = { gte: [from], lt: [to], reverse, limit };
      const expected = [...model].filter(([id]) => id >= from && id < to).sort(([a], [b]) => reverse ? b - a : a - b).slice(0, limit);
      assertEquals(txn.range(blobs, options).toArray().map(([[id], { data }]) => [id, data.length] as [number, number]), expected);
      assertEquals(txn.values(blobs, options).toArray().map(({ data }) => data.length), expected.map(([, length]) => length));
      assertEquals(txn.count(blobs, { gte: [from], lt: [to] }), [...model.keys()].filter((id) => id >= from && id < to).length);
      assertEquals(txn.count(blobs), model.size);
      const one = random.int(5000);
      assertEquals(txn.get(blobs, one)?.data.length, model.get(one));
    }
  });
  await manifest.close();
});

test("Transaction: it reads one state, whatever is committed meanwhile", async () => {
  const manifest = await filled();
  await manifest.transact(async (txn) => {
    const before = txn.keys(cells).toArray();
    await manifest.begin().put(cells, [1], { n: 1 }).deleteRange(cells, { gte: [10] }).commit();
    await manifest.checkpoint();
    assertEquals(txn.keys(cells).toArray(), before);
    assertEquals([txn.get(cells, 1), txn.get(cells, 10)?.n, txn.count(cells)], [undefined, 10, 10]);
  });
  assertEquals(manifest.count(cells), 6);
  await manifest.close();
});

test("Transaction: it reads what is applied, also before that is published", async () => {
  const manifest = await new Medium().open({ syncMode: "async" });
  const commit = manifest.begin().put(cells, 1, { n: 1 }).commit();
  const { value } = await manifest.transact((txn) => txn.get(cells, 1)?.n);
  assertEquals(value, 1);
  await commit;
  await manifest.close();
});

test("Transaction: databases and chunks: own ones, their defaults, and the end of a database with all that belongs to it", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 1], { fileName: "a1" }).publishSnapshot([1, 1], {
    chunks: [{ chunkId: 1 }],
  }).commit();
  await within(manifest, (txn) => {
    txn.putDb(2, { name: "b" }).upsertChunk([2, 5], { fileName: "b5" }).upsertChunk([1, 2], { fileName: "a2" });
    assertEquals([txn.getDb(2)!.name, txn.getDb(2)!.walShards, txn.maxDbId()], ["b", 1, 2]);
    assertEquals([txn.getChunk(2, 5)!.fileName, txn.getChunk(1, 2)!.generation], ["b5", 0]);
    assertEquals(txn.listDbs().toArray().map(([[db]]) => db), [1, 2]);
    assertEquals(txn.listChunks(1).toArray().map(([[, chunk]]) => chunk), [1, 2]);
    txn.deleteChunk([1, 1]);
    assertEquals(txn.listChunks(1, { reverse: true }).toArray().map(([[, chunk]]) => chunk), [2]);
    txn.deleteDb(1);
    assertEquals([txn.getDb(1), txn.getChunk(1, 2), txn.getSnapshot(1, 1)], [undefined, undefined, undefined]);
    assertEquals([txn.count(databases), txn.count(chunks), txn.count(snapshots)], [1, 1, 0]);
    assertEquals(txn.listChunks(1).toArray(), []);
    assertEquals(txn.listCollectable().map(({ chunkId }) => chunkId), [1]);
    txn.putDb(1, { name: "again" });
    assertEquals([txn.getDb(1)!.name, txn.listChunks(1).toArray().length], ["again", 0]);
  });
  await manifest.close();
});

test("Transaction: reference counts and collectable objects follow own operations at each read", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 1], { fileName: "c" }).upsertChunk([1, 2], { fileName: "c" })
    .publishSnapshot([1, 1], {
      chunks: [{ chunkId: 1 }],
    }).commit();
  const { value: seen } = await manifest.transact((txn) => {
    const counts = () => [txn.getRefcount(object(1))?.strong, txn.getRefcount(object(2))?.strong, txn.countCollectable()];
    assertEquals(counts(), [1, 0, 0]);
    txn.publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }, { chunkId: 2 }] });
    assertEquals(counts(), [2, 1, 0]);
    txn.dropSnapshot([1, 2]);
    assertEquals(counts(), [1, 0, 1]); // back where it was: no row is left that a first step had put
    assertEquals(txn.listCollectable().map(({ chunkId }) => chunkId), [2]);
    txn.dropSnapshot([1, 1]);
    assertEquals(counts(), [0, 0, 2]);
    txn.publishSnapshot([1, 3], { chunks: [{ chunkId: 2 }] });
    assertEquals(counts(), [0, 1, 1]);
    assertEquals(txn.listSnapshots(1).toArray().map(([[, id]]) => id), [3]);
    return { counts: txn.range(refcounts).toArray(), collectable: txn.keys(collectable).toArray(), snapshot: txn.getSnapshot(1, 3) };
  });
  // What was committed is what was read, times included.
  assertEquals(manifest.range(refcounts).toArray(), seen.counts);
  assertEquals(manifest.keys(collectable).toArray(), seen.collectable);
  assertEquals(manifest.getSnapshot(1, 3), seen.snapshot);
  await manifest.close();
});

test("Transaction: metrics, generations, jobs and forks are read as own operations leave them, and committed so", async () => {
  const manifest = await new Medium().open({ environment: testEnvironment(4) });
  await manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 1], { fileName: "c" }).publishSnapshot([1, 1], {
    chunks: [{ chunkId: 1 }],
  }).mergeMetric(
    [1, 1],
    { sum: 5, min: 5, max: 5 },
  ).bumpGeneration(7).commit();
  const show = (reader: Reader) => ({
    metric: reader.getMetric(1, 1),
    generation: reader.currentGeneration(7),
    jobs: reader.listJobs(),
    pending: reader.listPendingJobs({ kind: "copy" }),
    inFlight: reader.listJobs({ state: "in-flight" }),
    fork: [reader.getDb(2), reader.listChunks(2).toArray(), reader.listSnapshots(2).toArray()],
    counts: reader.range(refcounts).toArray(),
  });
  const { value, receipt } = await manifest.transact((txn) => {
    txn.mergeMetric([1, 1], { sum: 2, min: 2, max: 2 });
    assertEquals(txn.getMetric(1, 1), { count: 2, sum: 7, min: 2, max: 5 });
    txn.mergeMetric([1, 1], { sum: 9, min: 9, max: 9 }).bumpGeneration(7, 3);
    assertEquals([txn.getMetric(1, 1)!.sum, txn.currentGeneration(7)], [16, 4]);
    const first = txn.enqueueJob({ kind: "copy" });
    const second = txn.enqueueJob({ kind: "copy" });
    assertEquals(txn.listPendingJobs({ kind: "copy" }).map(({ job }) => job), [first, second]);
    txn.updateJobState(first, "in-flight");
    assertEquals(txn.listPendingJobs({ kind: "copy" }).map(({ job }) => job), [second]);
    txn.forkDb(1, 2, { name: "b" });
    assertEquals(txn.getRefcount(object(1))!.strong, txn.listSnapshots(2).toArray().length + 1);
    txn.bumpGeneration(7);
    return show(txn);
  });
  assertEquals([value.generation, value.inFlight.length, value.pending.length], [5, 1, 1]);
  assertEquals(show(manifest), value);
  assertEquals(receipt.generations, { 7: 5 });
  await manifest.close();
});

test("Transaction: a record that is given the time has the same when it is read and when it is committed, also behind a rollback to a savepoint", async () => {
  const manifest = await new Medium().open({ environment: testEnvironment(1) }); // its clock ticks with every question
  const { value } = await manifest.transact(async (txn) => {
    txn.putDb(1, { name: "a" });
    const first = txn.getDb(1)!.createdAt;
    const savepoint = txn.savepoint();
    txn.putDb(2, { name: "b" });
    txn.getDb(2);
    await undefined;
    txn.rollbackTo(savepoint);
    assertEquals(txn.getDb(1)!.createdAt, first);
    return first;
  });
  assertEquals(manifest.getDb(1)!.createdAt, value);
  await manifest.close();
});

test("Transaction: tables that are not there read as empty and with own rows, and are made by the commit", async () => {
  const manifest = await new Medium().open();
  await within(manifest, (txn) => {
    assertEquals([txn.get(cells, 1), txn.count(cells), txn.range(cells).toArray()], [undefined, 0, []]);
    txn.put(cells, 1, { n: 1 }).put(fixed, 1, { a: 1, b: 1 }).put(cells, 2, { n: 2 }).delete(cells, [2]);
    assertEquals([txn.get(cells, 1)?.n, txn.count(cells), txn.count(fixed)], [1, 1, 1]);
    assertEquals(txn.range(cells).toArray(), [[[1], { n: 1 }]]);
    txn.deleteRange(cells, {});
    assertEquals([txn.count(cells), txn.count(fixed)], [0, 1]);
  });
  assertEquals(manifest.listTables().filter(({ builtIn }) => !builtIn), []);
  await manifest.transact((txn) => {
    txn.put(cells, 1, { n: 1 });
    return txn.get(cells, 1);
  });
  assertEquals(manifest.get(cells, 1), { n: 1 });
  const otherDefinition = defineTable({ name: "cells", key: [u53("id")], value: { n: text() } });
  assertEquals(await codeOf(() => manifest.transact((txn) => txn.get(otherDefinition, 1))), "SCHEMA_MISMATCH");
  assertEquals(await codeOf(() => manifest.transact((txn) => txn.get({} as typeof cells, 1))), "INVALID_ARGUMENT");
  await manifest.close();
});

test("Transaction: an operation that is not possible is found out by the next read, and at the commit; nothing is applied", async () => {
  const manifest = await filled();
  const bad = (txn: Transaction) => txn.put(cells, [1], { n: 1 }).deleteDb(7);
  const read = await errorOf(() => manifest.transact((txn) => bad(txn).get(cells, 1)));
  const commit = await errorOf(() => manifest.transact((txn) => void bad(txn)));
  for (const { code, detail } of [read, commit]) assertEquals([code, detail.operation, detail.index], ["NOT_FOUND", "deleteDb", 1]);
  // Caught by the body, it comes again with each read and with the commit, unless the operation is taken back.
  const caught = await errorOf(() =>
    manifest.transact((txn) => {
      bad(txn);
      try {
        txn.get(cells, 1);
      } catch {
        // the body goes on
      }
    })
  );
  assertEquals(caught.code, "NOT_FOUND");
  const { value } = await manifest.transact((txn) => {
    const savepoint = txn.put(cells, [1], { n: 1 }).savepoint();
    txn.deleteDb(7);
    try {
      txn.get(cells, 1);
    } catch {
      txn.rollbackTo(savepoint);
    }
    return txn.get(cells, 1)?.n;
  });
  assertEquals([value, manifest.get(cells, 1)?.n], [1, 1]);
  const wrong = await errorOf(() => manifest.transact((txn) => txn.put(cells, [1], { n: -1 }).get(cells, 2)));
  assertEquals([wrong.code, wrong.detail.operation, wrong.detail.index], ["INVALID_ARGUMENT", "put", 0]);
  assertEquals(
    await codeOf(() => manifest.transact((txn) => txn.put(refcounts, [1, 1, 1, 1], { strong: 1, state: "live" }).get(cells, 2))),
    "INVALID_ARGUMENT",
  );
  await manifest.close();
});

test("Transaction: rollbackTo forgets later operations and savepoints, keeps its own, and nests", async () => {
  const manifest = await filled();
  const ids = (txn: Transaction) => txn.keys(cells, { gte: [100] }).toArray().map(([id]) => id);
  await manifest.transact((txn) => {
    const start = txn.savepoint();
    txn.put(cells, [100], { n: 1 });
    const one = txn.savepoint();
    txn.put(cells, [101], { n: 1 });
    assertEquals(ids(txn), [100, 101]);
    const two = txn.savepoint();
    txn.put(cells, [102], { n: 1 }).deleteRange(cells, { gte: [100], lt: [102] });
    assertEquals(ids(txn), [102]);
    txn.rollbackTo(two);
    assertEquals([ids(txn), txn.length], [[100, 101], 2]);
    txn.put(cells, [103], { n: 1 });
    txn.rollbackTo(two);
    txn.rollbackTo(one);
    assertEquals(ids(txn), [100]);
    txn.put(cells, [104], { n: 1 });
    assertEquals(ids(txn), [100, 104]);
    try {
      txn.rollbackTo(two);
      assert(false, "a forgotten savepoint was taken");
    } catch (error) {
      assertEquals((error as { code?: string }).code, "INVALID_ARGUMENT");
    }
    txn.release(one);
    for (const gone of [one, two]) {
      for (const call of [() => txn.release(gone), () => txn.rollbackTo(gone)]) {
        try {
          call();
          assert(false, "a savepoint that is gone was taken");
        } catch (error) {
          assertEquals((error as { code?: string }).code, "INVALID_ARGUMENT");
        }
      }
    }
    assertEquals(ids(txn), [100, 104]);
    txn.rollbackTo(start);
    assertEquals([ids(txn), txn.length], [[], 0]);
    txn.put(cells, [105], { n: 1 });
  });
  assertEquals(manifest.keys(cells, { gte: [100] }).toArray(), [[105]]);
  await manifest.close();
});

test("Transaction: what was read behind a savepoint stays read when it is rolled back", async () => {
  const manifest = await filled();
  const { attempts } = await manifest.transact(async (txn) => {
    const savepoint = txn.savepoint();
    txn.get(cells, 2);
    txn.rollbackTo(savepoint);
    if (txn.attempt === 1) await manifest.begin().put(cells, 2, { n: 9 }).commit();
    txn.put(cells, 4, { n: 4 });
  });
  assertEquals(attempts, 2);
  await manifest.close();
});

test("Transaction.rollback: gives everything up, returns the value, and is not tried again", async () => {
  const manifest = await filled();
  const latest = manifest.latestChangeSequence();
  const { value, receipt, attempts } = await manifest.transact(async (txn) => {
    txn.get(cells, 2);
    txn.put(cells, [2], { n: 9 });
    await manifest.begin().put(cells, 2, { n: 3 }).commit();
    txn.rollback();
    for (const call of [() => txn.get(cells, 1), () => txn.put(cells, [1], { n: 1 }), () => txn.savepoint(), () => txn.rollback()]) {
      assertEquals(await codeOf(call), "TXN_CLOSED");
    }
    return "given up";
  });
  assertEquals([value, receipt.sequence, attempts], ["given up", 0, 1]);
  assertEquals([manifest.get(cells, 2)!.n, manifest.latestChangeSequence()], [3, latest + 1]);
  assertEquals((await manifest.resolve(receipt.commitId)).state, "not_applied");
  await manifest.close();
});
