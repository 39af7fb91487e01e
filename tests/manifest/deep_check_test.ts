// The deep check names each kind of inconsistency: planted under the manifest, by raw operations of the store.
import { assert, assertEquals } from "@std/assert";
import {
  type AnyTable,
  bytes,
  type CheckReport,
  chunkDeltas,
  chunks,
  collectable,
  cursors,
  databases,
  defineTable,
  jobs,
  jobStates,
  type Manifest,
  meta,
  pendingJobs,
  refcounts,
  snapshots,
  text,
  u53,
  walStates,
} from "../../mod.ts";
import { TABLE_ID_CHANGES } from "../../assembly/format.ts";
import { Arena } from "../../src/schema/arena.ts";
import { TableCodec } from "../../src/schema/codec.ts";
import { bigEndian, type RawOp, stageRaw } from "../../src/store/raw_ops.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { codeOf, Medium } from "./open_manifest.ts";

const own = defineTable({ name: "own", key: [u53("id")], value: { name: text() } });
const OBJECT = [1, 0, 1, -1] as const;

/** A manifest with something in each table that the rules speak of. */
async function filled(medium: Medium): Promise<Manifest> {
  const manifest = await medium.open({ environment: testEnvironment(1) });
  const txn = manifest.begin().putDb(1, { name: "d" }).putWalState(1, {});
  for (let chunk = 0; chunk < 4; chunk++) txn.upsertChunk([1, chunk], { fileName: `c${chunk}`, generation: 1 });
  await txn.upsertChunkDelta([1, 0, 1, 3], { fileName: "delta" }).publishSnapshot([1, 1], {
    chunks: [{ chunkId: 0 }, { chunkId: 0, deltaId: 3 }],
  })
    .publishSnapshot([1, 2], { chunks: [{ chunkId: 0 }, { chunkId: 1 }] }).publishSnapshot([1, 3], { chunks: [{ chunkId: 2 }] }).commit();
  await manifest.begin().dropSnapshot([1, 3]).adjustRefcount({ originDb: 1, chunkId: 1, generation: 1 }, 2).put(own, [1], { name: "one" })
    .put(own, [2], { name: "two" }).commit();
  await manifest.begin().putJob(1, { kind: "k", db: 1 }).putJob(2, { kind: "k" }).updateJobState(2, "in-flight").commit();
  const cursor = await manifest.registerChangeCursor("a", { start: "oldest" });
  await manifest.registerChangeCursor("b", { start: "oldest" });
  await manifest.acknowledgeChanges(cursor.id, 2);
  await manifest.begin().forkDb(1, 2).commit();
  return manifest;
}

/** What a plant does, with the codecs of tables at hand. */
class Plant {
  readonly ops: RawOp[] = [];
  readonly #store: Store;
  readonly #arena: Arena;

  constructor(store: Store) {
    this.#store = store;
    this.#arena = new Arena(store.kernel);
  }

  #codec<K extends readonly unknown[], V>(table: AnyTable): TableCodec<K, V> {
    return new TableCodec<K, V>(this.#store.kernel, this.#arena, table as never);
  }

  #id(table: AnyTable): number {
    return this.#store.table(table.name)!.id;
  }

  put(table: AnyTable, key: readonly unknown[], value: unknown): this {
    const codec = this.#codec(table);
    this.ops.push({ kind: "put", table: this.#id(table), key: codec.encodeKey(key as never), value: codec.encodeValue(value) });
    return this;
  }

  bytes(table: AnyTable, key: readonly unknown[], value: Uint8Array): this {
    this.ops.push({ kind: "put", table: this.#id(table), key: this.#codec(table).encodeKey(key as never), value });
    return this;
  }

  delete(table: AnyTable, key: readonly unknown[]): this {
    this.ops.push({ kind: "delete", table: this.#id(table), key: this.#codec(table).encodeKey(key as never) });
    return this;
  }

  change(sequence: number, bytes: Uint8Array): this {
    this.ops.push({ kind: "put", table: TABLE_ID_CHANGES, key: bigEndian(sequence), value: bytes });
    return this;
  }

  deleteChange(sequence: number): this {
    this.ops.push({ kind: "delete", table: TABLE_ID_CHANGES, key: bigEndian(sequence) });
    return this;
  }
}

/** Plants rows under a manifest that is closed. */
async function plant(medium: Medium, rows: (plant: Plant) => unknown): Promise<void> {
  const store = await Store.open(new MemoryStorage(medium.file), { idleCheckpoint: 0 });
  const planted = new Plant(store);
  rows(planted);
  assert(planted.ops.length > 0);
  await store.commit({ stage: () => stageRaw(store.kernel, planted.ops), change: false });
  await store.close();
}

/** What the deep check finds when rows are planted under a filled manifest. `refused`: what commits are refused with then. */
async function findings(rows: (plant: Plant) => unknown, refused?: string): Promise<CheckReport> {
  const medium = new Medium();
  await (await filled(medium)).close();
  await plant(medium, rows);
  const manifest = await medium.open();
  try {
    assertEquals((await manifest.check()).problems, [], "the tree itself is whole");
    const report = await manifest.check({ level: "deep" });
    // Checking changes nothing, and the manifest is as usable as it was.
    assertEquals(await manifest.check({ level: "deep" }), report);
    const commit = () => manifest.begin().putRemoteNamespace(1, { bucket: "usable" }).commit();
    if (refused === undefined) await commit();
    else assertEquals(await codeOf(commit), refused);
    return report;
  } finally {
    await manifest.close();
  }
}

const SINCE = 5;
const COUNT = { strong: 2, state: "live" as const };
const JOB = { kind: "k", state: { is: "pending", enqueuedAt: 1 }, payload: { is: "none" }, createdAt: 1, attempts: 0 };
const CURSOR = { name: "c", next: 1, createdAt: 1, updatedAt: 1 };
const CHUNK = { fileName: "f", generation: 0, sizeBytes: 0, compression: "none", encrypted: false, residency: { at: "local" } };
const SNAPSHOT = { createdAt: 1, sourceGeneration: 0, chunks: [] };

/** For each plant: what is found, all of it. */
const RULES: Record<
  string,
  { rows: (plant: Plant) => unknown; refused?: string; finds: [table: string, reason: string, expected?: number, actual?: number][] }
> = {
  "a count that is too high": {
    rows: (plant) => plant.put(refcounts, OBJECT, { ...COUNT, strong: 9 }),
    finds: [["gc_refcounts", "the count of object 1/0/1/-1 is not what the snapshots give", 4, 9]],
  },
  "a count that is too low": {
    rows: (plant) => plant.put(refcounts, OBJECT, { ...COUNT, strong: 1 }),
    finds: [["gc_refcounts", "the count of object 1/0/1/-1 is not what the snapshots give", 4, 1]],
  },
  "a count of an object that no snapshot lists": {
    rows: (plant) => plant.put(refcounts, [8, 8, 8, -1], COUNT),
    finds: [["gc_refcounts", "the count of object 8/8/8/-1 is not what the snapshots give", 0, 2]],
  },
  "an object that is listed and not counted": {
    rows: (plant) => plant.delete(refcounts, [1, 0, 1, 3]),
    finds: [
      ["gc_refcounts", "object 1/0/1/3 is listed and not counted", 2, 0],
      ["chunk_delta_index", "a row of database 1 names object 1/0/1/3, which is not known"],
      ["chunk_delta_index", "a row of database 2 names object 1/0/1/3, which is not known"],
    ],
  },
  "a snapshot that was taken away": {
    rows: (plant) => plant.delete(snapshots, [1, 2]),
    finds: [
      ["gc_refcounts", "the count of object 1/0/1/-1 is not what the snapshots give", 3, 4],
      ["gc_refcounts", "the count of object 1/1/1/-1 is not what the snapshots give", 1, 2],
    ],
  },
  "a snapshot that was put behind the counts": {
    rows: (plant) =>
      plant.put(snapshots, [1, 9], {
        ...SNAPSHOT,
        chunks: [{ chunkId: 0, originDb: 1, generation: 1 }, { chunkId: 77, originDb: 1, generation: 1 }],
      }),
    finds: [
      ["gc_refcounts", "the count of object 1/0/1/-1 is not what the snapshots give", 5, 4],
      ["gc_refcounts", "object 1/77/1/-1 is listed and not counted", 1, 0],
    ],
  },
  "a live object of no use": {
    rows: (plant) => plant.put(refcounts, [8, 8, 8, -1], { strong: 0, state: "live" }),
    finds: [["gc_refcounts", "object 8/8/8/-1 is live at a count of 0 and 0 held"]],
  },
  "a collectable object that is counted": {
    rows: (plant) =>
      plant.put(refcounts, OBJECT, { strong: 4, state: "collectable", since: SINCE }).put(
        collectable,
        ["collectable", SINCE, ...OBJECT],
        {},
      ),
    finds: [["gc_refcounts", "object 1/0/1/-1 is collectable at a count of 4 and 0 held"]],
  },
  "a condemned object that is held": {
    rows: (plant) =>
      plant.put(refcounts, [8, 8, 8, -1], { strong: 0, held: 1, state: "condemned", since: SINCE })
        .put(collectable, ["condemned", SINCE, 8, 8, 8, -1], {}),
    finds: [["gc_refcounts", "object 8/8/8/-1 is condemned at a count of 0 and 1 held"]],
  },
  "an object that is not live and not in gc_collectable": {
    rows: (plant) => plant.put(refcounts, [8, 8, 8, -1], { strong: 0, state: "unnamed", since: SINCE }),
    finds: [["gc_collectable", "object 8/8/8/-1 is unnamed and not listed"], [
      "gc_collectable",
      "it lists objects that are not in that state",
      3,
      2,
    ]],
  },
  "an object that is not live since no time": {
    rows: (plant) => plant.put(refcounts, [8, 8, 8, -1], { strong: 0, state: "unnamed" }).put(collectable, ["unnamed", 0, 8, 8, 8, -1], {}),
    finds: [["gc_collectable", "object 8/8/8/-1 is unnamed and not listed"]],
  },
  "an object in gc_collectable in another state": {
    rows: (plant) =>
      plant.put(refcounts, [8, 8, 8, -1], { strong: 0, state: "unnamed", since: SINCE }).put(collectable, [
        "collectable",
        SINCE,
        8,
        8,
        8,
        -1,
      ], {}),
    finds: [["gc_collectable", "object 8/8/8/-1 is unnamed and not listed"]],
  },
  "an object in gc_collectable that is live": {
    rows: (plant) => plant.put(collectable, ["collectable", SINCE, ...OBJECT], {}),
    finds: [["gc_collectable", "it lists objects that are not in that state", 2, 3]],
  },
  "an object in gc_collectable that has no row": {
    rows: (plant) => plant.put(collectable, ["condemned", SINCE, 8, 8, 8, -1], {}),
    finds: [["gc_collectable", "it lists objects that are not in that state", 2, 3]],
  },
  "a job that is not in job_state_index": {
    rows: (plant) => plant.delete(jobStates, ["in-flight", "k", 2]),
    finds: [["job_state_index", "job 2 is in-flight and not listed"], [
      "job_state_index",
      "it lists jobs that are not in that state",
      2,
      1,
    ]],
  },
  "a job in job_state_index that there is none of": {
    rows: (plant) => plant.put(jobStates, ["failed", "k", 7], {}),
    finds: [["job_state_index", "it lists jobs that are not in that state", 2, 3]],
  },
  "a job in job_state_index twice": {
    rows: (plant) => plant.put(jobStates, ["completed", "k", 2], {}),
    finds: [["job_state_index", "it lists jobs that are not in that state", 2, 3]],
  },
  "a waiting job that is not in job_pending_index": {
    rows: (plant) => plant.delete(pendingJobs, [1, "k", 1]),
    finds: [["job_pending_index", "job 1 waits and is not listed"], ["job_pending_index", "it lists jobs that do not wait", 1, 0]],
  },
  "a waiting job in job_pending_index under another database": {
    rows: (plant) => plant.delete(pendingJobs, [1, "k", 1]).put(pendingJobs, [2, "k", 1], {}),
    finds: [["job_pending_index", "job 1 waits and is not listed"]],
  },
  "a job under way in job_pending_index": {
    rows: (plant) => plant.put(pendingJobs, [-1, "k", 2], {}),
    finds: [["job_pending_index", "it lists jobs that do not wait", 1, 2]],
  },
  "a job whose id was not given out": {
    rows: (plant) => plant.put(jobs, [50], JOB).put(jobStates, ["pending", "k", 50], {}).put(pendingJobs, [-1, "k", 50], {}),
    finds: [["job_queue", "job 50 has an id that was not given out", 3, 50]],
  },
  "a counter of jobs that went back": {
    rows: (plant) => plant.put(meta, ["next_job_id"], { number: 2 }),
    finds: [["job_queue", "job 2 has an id that was not given out", 2, 2]],
  },
  "a cursor behind the newest change": {
    rows: (plant) => plant.put(cursors, [2], { ...CURSOR, next: 99 }),
    finds: [["change_cursors", "cursor 2 stands behind the newest change", 5, 99]],
  },
  "two cursors of one name": {
    rows: (plant) => plant.put(cursors, [2], { ...CURSOR, name: "a" }),
    finds: [["change_cursors", "the name of cursor 2 is there twice"]],
  },
  "a cursor whose id was not given out": {
    rows: (plant) => plant.put(cursors, [60], CURSOR),
    finds: [["change_cursors", "cursor 60 has an id that was not given out", 3, 60]],
  },
  "a change that is missing": {
    rows: (plant) => plant.deleteChange(3),
    finds: [["change_log", "a change is missing", 3, 4]],
  },
  "the newest change missing": {
    rows: (plant) => plant.deleteChange(4),
    finds: [["change_log", "the newest changes are missing", 4, 3]],
  },
  "a change that cannot be read": {
    rows: (plant) => plant.change(3, new Uint8Array([1, 2, 3])),
    finds: [["change_log", "change 3 cannot be read (CORRUPT_LOG)"]],
  },
  "an empty change": {
    rows: (plant) => plant.change(4, new Uint8Array(0)),
    finds: [["change_log", "change 4 cannot be read (CORRUPT_LOG)"]],
  },
  "a chunk of no database": {
    rows: (plant) => plant.put(chunks, [7, 0], CHUNK).put(chunks, [7, 1], CHUNK),
    finds: [
      ["chunk_catalog", "rows belong to database 7, which does not exist"],
      ["chunk_catalog", "a row of database 7 names object 7/0/0/-1, which is not known"],
      ["chunk_catalog", "a row of database 7 names object 7/1/0/-1, which is not known"],
    ],
  },
  "a chunk whose object is not known": {
    rows: (plant) => plant.put(chunks, [1, 9], CHUNK),
    finds: [["chunk_catalog", "a row of database 1 names object 1/9/0/-1, which is not known"]],
  },
  "a delta whose object is not known": {
    rows: (plant) => plant.put(chunkDeltas, [1, 0, 1, 9], { fileName: "f", sizeBytes: 0, residency: { at: "local" } }),
    finds: [["chunk_delta_index", "a row of database 1 names object 1/0/1/9, which is not known"]],
  },
  "a database that names objects of others and does not say so": {
    rows: (plant) =>
      plant.put(chunks, [1, 0], { ...CHUNK, generation: 0, originDb: 8 }).put(refcounts, [8, 0, 0, -1], {
        strong: 0,
        held: 1,
        state: "live",
      }),
    finds: [["db", "database 1 names objects of others and does not say so"]],
  },
  "a log's state and a snapshot of no database": {
    rows: (plant) =>
      plant.put(walStates, [0], { lastSealedSegment: 0, lastAppliedLsn: 0, lastCheckpointGeneration: 0, restartEpoch: 0, flushGate: {} })
        .put(snapshots, [7, 1], SNAPSHOT),
    finds: [
      ["wal_state", "rows belong to database 0, which does not exist"],
      ["snapshot_index", "rows belong to database 7, which does not exist"],
    ],
  },
  "a database that was taken away": {
    rows: (plant) => plant.delete(databases, [2]),
    finds: ["wal_state", "chunk_catalog", "chunk_delta_index", "snapshot_index"].map((
      table,
    ) => [table, "rows belong to database 2, which does not exist"]),
  },
};
for (const table of [databases, walStates, chunks, snapshots, jobs, cursors, refcounts, own]) {
  const keys: Record<string, readonly unknown[]> = {
    [databases.name]: [1],
    [walStates.name]: [1],
    [chunks.name]: [1, 3],
    [snapshots.name]: [1, 1],
    [jobs.name]: [1],
    [cursors.name]: [2],
    [refcounts.name]: [1, 3, 1, -1],
    [own.name]: [1],
  };
  // What the log may drop follows from the cursors: while one cannot be read nothing is committed.
  const refused = table === cursors ? "CORRUPT_RECORD" : undefined;
  RULES[`a record of "${table.name}" that cannot be read`] = {
    rows: (plant) =>
      plant.bytes(table, keys[table.name]!, new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    finds: [[table.name, "a record cannot be read (CORRUPT_RECORD)"]],
    refused,
  };
  RULES[`an empty record of "${table.name}"`] = {
    rows: (plant) => plant.bytes(table, keys[table.name]!, new Uint8Array(0)),
    finds: [[table.name, "a record cannot be read (CORRUPT_RECORD)"]],
    refused,
  };
}

test("check: says nothing on a manifest that is whole, at both levels, also empty, read only and after every kind of operation", async () => {
  const medium = new Medium();
  const manifest = await filled(medium);
  for (const level of ["tree", "deep"] as const) assertEquals((await manifest.check({ level })).problems, []);
  await manifest.begin().dropSnapshot([1, 1]).deleteDb(2).removeJob(1).bumpGeneration(1).mergeMetric([1, 1], { sum: 1 }).commit();
  await manifest.reclaim(1, () => {});
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
  await manifest.close();
  for (const readOnly of [false, true]) {
    const again = await medium.open({ readOnly });
    const report = await again.check({ level: "deep" });
    assertEquals([report.ok, report.problems], [true, []]);
    await again.close();
  }
  const empty = await new Medium().open();
  assertEquals((await empty.check({ level: "deep" })).problems, []);
  await empty.close();
});

for (const [name, { rows, finds, refused }] of Object.entries(RULES)) {
  test(`check: level "deep" finds ${name}`, async () => {
    const { ok, problems } = await findings(rows, refused);
    assertEquals(
      problems.map(({ severity, reason, expected, actual }) => [severity, reason, expected, actual]),
      finds.map(([table, reason, expected = 0, actual = 0]) => ["error", `${table}: ${reason}`, expected, actual]),
    );
    assertEquals(ok, false);
    assert(problems.every(({ table }) => table > 0), "each names its table");
  });
}

test('check: level "deep" keeps the first findings and counts them all as not ok', async () => {
  const { ok, problems } = await findings((plant) => {
    for (let i = 0; i < 500; i++) plant.put(refcounts, [9, i, 0, -1], COUNT);
  });
  assertEquals([ok, problems.length], [false, 100]);
});

test("check: a level that is none is refused", async () => {
  const manifest = await new Medium().open();
  for (const level of ["deeper", "", 1]) {
    assertEquals(await codeOf(() => manifest.check({ level: level as never })), "INVALID_ARGUMENT");
  }
  await manifest.close();
});

test("Manifest.check: deep reads values that are longer than the staging area of the kernel", async () => {
  const blobs = defineTable({ name: "blobs", key: [u53("id")], value: { data: bytes() } });
  for (const length of [64_000, 70_000, 90_000, 1_000_000]) {
    const manifest = await new Medium().open({ environment: testEnvironment(1) });
    await manifest.begin().put(blobs, [1], { data: new Uint8Array(length).fill(7) }).commit();
    assertEquals(await manifest.check({ level: "deep" }).then(({ problems }) => problems), [], `${length} bytes`);
    await manifest.close();
  }
});
