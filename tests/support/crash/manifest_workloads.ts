// Workloads of a manifest: every verb of its interface, alone and together.
import type { JobStateInput } from "../../../mod.ts";
import { bumpGeneration, deleteRemoteNamespace, mergeMetric, putRemoteNamespace } from "../manifest_model/aggregates.ts";
import { deleteChunk, deleteChunkDelta, upsertChunk, upsertChunkDelta } from "../manifest_model/chunks.ts";
import { acknowledge } from "../manifest_model/cursors.ts";
import { createDb, deleteDb, forkDb, putDb } from "../manifest_model/databases.ts";
import { deletePendingJob, persistJobCounter, putJob, removeJob, updateJobState, upsertPendingJob } from "../manifest_model/jobs.ts";
import type { ModelOperation } from "../manifest_model/operation.ts";
import { adjustRefcount, dropSnapshot, publishSnapshot } from "../manifest_model/snapshots.ts";
import { put, remove, removeRange } from "../manifest_model/user_rows.ts";
import { USER_DEFINITIONS } from "../manifest_model/user_tables.ts";
import { deleteWalArtifact, deleteWalState, putWalState, upsertWalArtifact } from "../manifest_model/write_ahead_log.ts";
import type { ManifestSubject } from "./manifest_subject.ts";
import type { Workload } from "./workload.ts";

type Run = (subject: ManifestSubject) => Promise<void>;

const [OWNERS, BLOBS, SCORES, GROWING, GROWN] = USER_DEFINITIONS as [
  (typeof USER_DEFINITIONS)[0],
  (typeof USER_DEFINITIONS)[0],
  (typeof USER_DEFINITIONS)[0],
  (typeof USER_DEFINITIONS)[0],
  (typeof USER_DEFINITIONS)[0],
];

async function times(count: number, each: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await each(i);
}

/** Commits one after the other, time going on in between, and a checkpoint now and then. */
async function each(subject: ManifestSubject, ...commits: (readonly ModelOperation[])[]): Promise<void> {
  for (const [i, operations] of commits.entries()) {
    subject.tick();
    await subject.commit(...operations);
    if (i % 4 === 3) await subject.manifest.checkpoint();
  }
}

const db = (id: number): ModelOperation => putDb(id, { name: `db ${id}` });
const chunk = (of: number, id: number, generation = 1): ModelOperation =>
  upsertChunk([of, id], { fileName: `c-${id}.${generation}`, generation });
const delta = (of: number, id: number, generation: number, number: number): ModelOperation =>
  upsertChunkDelta([of, id, generation, number], { fileName: `d-${id}.${number}` });
const list = (...chunkIds: number[]): { chunks: { chunkId: number }[] } => ({ chunks: chunkIds.map((chunkId) => ({ chunkId })) });
const job = (id: number, state: JobStateInput): ModelOperation => updateJobState(id, state);

/** A database with chunks in snapshots, some of which are dropped: there is something to reclaim. */
async function collectables(subject: ManifestSubject): Promise<void> {
  await each(
    subject,
    [db(1), chunk(1, 1), chunk(1, 2), chunk(1, 3), chunk(1, 4), delta(1, 1, 1, 0)],
    [
      publishSnapshot([1, 1], list(1, 2)),
      publishSnapshot([1, 2], { chunks: [{ chunkId: 2 }, { chunkId: 3 }, { chunkId: 1, generation: 1, deltaId: 0 }] }),
    ],
    [dropSnapshot([1, 1]), chunk(1, 1, 2)],
    [dropSnapshot([1, 2])],
  );
}

/** Groups of random transactions, several at a time, while syncs are under way. */
async function groups(
  subject: ManifestSubject,
  rounds: number,
  size: number,
  beside: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  await times(rounds, async () => {
    subject.tick();
    const waiting: Promise<unknown>[] = [beside()];
    for (let n = subject.random.between(2, size); n > 0; n--) {
      waiting.push(subject.some(4));
      for (let turns = subject.random.int(12); turns > 0; turns--) await undefined;
    }
    await Promise.all(waiting);
    subject.settle();
  });
}

const mixed = (subject: ManifestSubject, count: number, most = 4): Promise<void> =>
  times(count, async (i) => {
    subject.tick();
    await subject.some(most);
    if (i % 4 === 3) await subject.manifest.checkpoint();
  });

const RUNS: Record<string, Run> = {
  "databases": async (subject) => {
    await subject.open();
    await each(subject, [db(1)], [createDb(2, { name: "two" }), db(3)], [putDb(1, { name: "first", walShards: 4 })], [deleteDb(2)], [
      createDb(2, { name: "two again" }),
    ], [deleteDb(1), deleteDb(3)]);
  },
  "chunks and deltas": async (subject) => {
    await subject.open();
    await each(
      subject,
      [db(1), chunk(1, 1)],
      [chunk(1, 2), delta(1, 1, 1, 0), delta(1, 1, 1, 1)],
      [chunk(1, 1, 2)],
      [
        deleteChunkDelta([1, 1, 1, 0]),
      ],
      [deleteChunk([1, 2]), chunk(1, 3)],
      [deleteDb(1)],
    );
  },
  "snapshots": async (subject) => {
    await subject.open();
    await each(
      subject,
      [db(1), chunk(1, 1), chunk(1, 2), chunk(1, 3)],
      [publishSnapshot([1, 1], list(1, 2))],
      [publishSnapshot([1, 2], list(2, 3))],
      [publishSnapshot([1, 1], list(3))],
      [dropSnapshot([1, 2]), chunk(1, 2, 2)],
      [dropSnapshot([1, 1]), publishSnapshot([1, 3], list(1, 2, 3))],
      [adjustRefcount({ originDb: 1, chunkId: 1, generation: 1 }, 2)],
      [adjustRefcount({ originDb: 1, chunkId: 1, generation: 1 }, -2), dropSnapshot([1, 3])],
    );
  },
  "forks": async (subject) => {
    await subject.open();
    await each(
      subject,
      [db(1), chunk(1, 1), chunk(1, 2), publishSnapshot([1, 1], list(1, 2)), putWalState(1, { lastAppliedLsn: 9 })],
      [forkDb(1, 2, { name: "fork" })],
      [chunk(2, 1, 2), publishSnapshot([2, 2], list(1))],
      [forkDb(2, 3, {}), dropSnapshot([1, 1])],
      [deleteDb(1)],
      [deleteDb(3), dropSnapshot([2, 1])],
    );
  },
  "write-ahead logs": async (subject) => {
    await subject.open();
    await each(
      subject,
      [db(1), putWalState(1, { lastSealedSegment: 1 })],
      ...Array.from({ length: 5 }, (_, i) => [
        upsertWalArtifact([1, i], { localPath: `wal/${i}`, kind: { is: "segment", startPage: i, endPage: i + 1, sizeBytes: 512 } }),
        putWalState(1, { lastSealedSegment: i, lastAppliedLsn: 100 * i }),
      ]),
      [deleteWalArtifact([1, 0]), deleteWalArtifact([1, 1])],
      [deleteWalState(1)],
      [deleteDb(1)],
    );
  },
  "jobs": async (subject) => {
    await subject.open();
    await each(
      subject,
      [db(1), putJob(1, { kind: "flush", db: 1 }), putJob(2, { kind: "gc" })],
      [job(1, "in-flight"), putJob(3, { kind: "upload", payload: { is: "chunk-upload", chunkId: 7 } })],
      [deletePendingJob(2), job(3, "in-flight")],
      [job(1, "completed"), upsertPendingJob(2)],
      [job(3, { is: "failed", reason: "no room" }), persistJobCounter(40)],
      [upsertPendingJob(3), removeJob(1)],
      [job(2, "in-flight"), job(3, "in-flight")],
      [removeJob(2), job(3, "completed")],
    );
  },
  "metrics, generations and namespaces": async (subject) => {
    await subject.open();
    await each(
      subject,
      ...Array.from({ length: 6 }, (_, i) => [
        mergeMetric([1, i % 2], { count: i, sum: i * 10, min: i, max: i + 1 }),
        bumpGeneration(i % 3, i, undefined),
        putRemoteNamespace(i % 2, { bucket: `b${i}` }),
      ]),
      [deleteRemoteNamespace(0), bumpGeneration(7, 2, 5)],
    );
  },
  "cursors": async (subject) => {
    await subject.open();
    const first = await subject.register("first");
    await each(subject, [db(1)], [db(2)], [db(3)]);
    const second = await subject.register("second", "oldest");
    await subject.acknowledge(first, 3);
    await each(subject, [chunk(1, 1)], [chunk(1, 2)]);
    await subject.acknowledge(second, 4);
    await subject.acknowledge(first, 6);
    await subject.register("third", 2);
    await subject.unregister(second);
    await subject.manifest.checkpoint();
    await each(subject, [deleteDb(3)]);
    await subject.unregister(first);
  },
  "acknowledges in transactions": async (subject) => {
    await subject.open();
    const id = await subject.register("totals");
    await times(7, async (i) => {
      subject.tick();
      await subject.commit(db(i + 1));
      subject.tick();
      await subject.commit(put(OWNERS, [1, "seen"], { n: i }), acknowledge(id, 2 * i + 2));
      if (i === 3) await subject.manifest.checkpoint();
    });
    subject.tick();
    await subject.commit(acknowledge(id, 14));
  },
  "following": async (subject) => {
    await subject.open();
    await each(subject, ...Array.from({ length: 8 }, (_, i) => [db(i + 1)]));
    const id = await subject.register("follower");
    let last = 0;
    for await (const { sequence } of subject.manifest.follow("follower")) {
      last = sequence;
      if (sequence === 6) break;
    }
    subject.moved(id, last);
    subject.settle();
    await each(subject, [db(9)], [db(10)]);
  },
  "log cut by retention": async (subject) => {
    subject.manifestOptions = { logRetention: { changes: 20 } };
    await subject.open();
    await times(80, async (i) => {
      await subject.commit(put(OWNERS, [1, `p${i % 5}`], { n: i }));
      if (i % 5 === 4) await subject.manifest.checkpoint();
    });
  },
  "a cursor behind its greatest lag": async (subject) => {
    await subject.open();
    await subject.register("slow", "oldest", 10);
    const quick = await subject.register("quick");
    await times(75, async (i) => {
      await subject.commit(put(OWNERS, [1, `p${i % 5}`], { n: i }));
      if (i % 5 === 4) await subject.manifest.checkpoint();
    });
    subject.tick();
    await subject.acknowledge(quick, 60);
  },
  "read-write transactions in conflict": async (subject) => {
    await subject.open({ syncMode: "async" });
    await subject.commit(put(SCORES, [1, "a"], { score: 0 }));
    let sum = 0;
    for (let round = 0; round < 7; round++) {
      subject.tick();
      const add = (by: number) =>
        subject.manifest.transact(async (txn) => {
          const { score } = txn.get(SCORES.table, [1, "a"]) as { score: number };
          await undefined;
          txn.put(SCORES.table, [1, "a"], { score: score + by });
          return by;
        });
      const results = await Promise.all([add(1), add(10), add(100)]);
      results.sort((a, b) => a.receipt.sequence - b.receipt.sequence);
      subject.committed(...results.map(({ value }) => put(SCORES, [1, "a"], { score: sum += value })));
      if (round === 3) await subject.manifest.checkpoint();
    }
  },
  "read-write transactions": async (subject) => {
    await subject.open();
    await subject.commit(db(1));
    await times(7, async (i) => {
      subject.tick();
      await subject.transact(
        (txn) => {
          txn.putDb(txn.maxDbId() + 1, { name: `db ${i}` });
          const before = txn.savepoint();
          txn.deleteDb(1);
          txn.rollbackTo(before);
          txn.upsertChunk([txn.maxDbId(), 1], { fileName: "c" });
        },
        putDb(i + 2, { name: `db ${i}` }),
        upsertChunk([i + 2, 1], { fileName: "c" }),
      );
      subject.settle();
    });
  },
  "reclaiming": async (subject) => {
    await subject.open();
    await collectables(subject);
    subject.tick();
    await subject.reclaim({ limit: 1 });
    subject.tick();
    await subject.reclaim({ limit: 100 });
    subject.tick();
    await subject.reclaim({ limit: 100, unnamedBefore: subject.now + 1 });
    await subject.commit(chunk(1, 1, 1));
  },
  "deletions that fail": async (subject) => {
    await subject.open();
    await collectables(subject);
    subject.tick();
    await subject.reclaim({ limit: 100 }, (number) => number % 2 === 0);
    await subject.commit(chunk(1, 4, 2));
    subject.tick();
    await subject.reclaim({ limit: 100 }, (number) => number === 0);
    subject.tick();
    await subject.reclaim({ limit: 100 });
  },
  "user tables": async (subject) => {
    await subject.open();
    await subject.make(OWNERS);
    await each(subject, [put(OWNERS, [1, "a"], { n: 1 }), put(BLOBS, ["x"], { data: subject.random.bytes(200) })], [
      put(GROWING, ["g"], { n: 1 }),
    ]);
    await subject.drop(BLOBS);
    await each(
      subject,
      [put(GROWN, ["h"], { n: 2, more: 3 })],
      [put(BLOBS, ["y"], { data: subject.random.bytes(20) })],
      [
        put(OWNERS, [1, "b"], { n: 2 }),
        put(OWNERS, [2, "c"], { n: 3 }),
      ],
      [removeRange(OWNERS, { prefix: [1] }, false)],
      [remove(OWNERS, [2, "c"])],
    );
    await subject.drop(OWNERS);
    await subject.manifest.checkpoint();
    await each(subject, [db(1)]);
  },
  "a large user table dropped": async (subject) => {
    await subject.open();
    await subject.commit(...Array.from({ length: 120 }, (_, i) => put(BLOBS, [`b${i}`], { data: subject.random.bytes(900) })));
    await subject.manifest.checkpoint();
    await subject.commit(db(1));
    await subject.drop(BLOBS);
    await each(subject, [db(2)], [db(3)], [put(BLOBS, ["new"], { data: subject.random.bytes(9) })]);
    await subject.manifest.checkpoint();
    await each(subject, [db(4)]);
  },
  "jobs put back behind process deaths": async (subject) => {
    await subject.open();
    await each(subject, [db(1), putJob(1, { kind: "flush", db: 1 }), putJob(2, { kind: "gc" })], [
      job(1, "in-flight"),
      job(2, "in-flight"),
    ]);
    await subject.open();
    await subject.requeue();
    await each(subject, [job(1, "in-flight"), putJob(3, { kind: "gc" })], [job(1, "completed"), job(3, "in-flight")]);
    await subject.open();
    await subject.requeue();
    await each(subject, [removeJob(1)]);
  },
  "anything": async (subject) => {
    await subject.open();
    await mixed(subject, 24);
  },
  "anything, larger": async (subject) => {
    await subject.open();
    await mixed(subject, 12, 20);
  },
  "anything in groups": async (subject) => {
    await subject.open({ syncMode: "async" });
    await groups(subject, 8, 6, () => Promise.resolve());
  },
  "anything beside checkpoints": async (subject) => {
    await subject.open({ syncMode: "async" });
    await groups(subject, 8, 5, () => subject.manifest.checkpoint());
  },
  "anything, relaxed": async (subject) => {
    await subject.open({ durability: "relaxed" });
    await times(4, async () => {
      await mixed(subject, 5);
      await subject.manifest.sync();
      subject.settleDurable();
    });
  },
  "anything without a journal": async (subject) => {
    await subject.open({ durability: "none" });
    await times(4, async () => {
      await mixed(subject, 4);
      await subject.manifest.checkpoint();
      subject.settleDurable();
    });
  },
  "a transaction larger than the journal": async (subject) => {
    await subject.open();
    await subject.commit(db(1));
    await times(2, async (round) => {
      const many = Array.from({ length: 300 }, (_, i) => upsertChunk([1, i], { fileName: subject.random.letters(120), generation: round }));
      subject.tick();
      await subject.commit(...many);
      await each(subject, [db(2 + round)]);
    });
  },
  "records that overflow": async (subject) => {
    await subject.open();
    await times(5, async (i) => {
      subject.tick();
      await subject.commit(put(BLOBS, [`b${i % 2}`], { data: subject.random.bytes(6000 + 3000 * i) }));
      if (i === 2) await subject.manifest.checkpoint();
    });
    await subject.commit(remove(BLOBS, ["b0"]));
  },
  "compaction": async (subject) => {
    await subject.open();
    await subject.commit(...Array.from({ length: 60 }, (_, i) => put(BLOBS, [`b${i}`], { data: subject.random.bytes(900) })));
    await mixed(subject, 4);
    await subject.commit(removeRange(BLOBS, { gte: ["b2"] }, false));
    await subject.manifest.compact();
    await mixed(subject, 3);
  },
  "reopening": async (subject) => {
    await subject.open();
    await times(3, async () => {
      await mixed(subject, 4);
      subject.settleDurable();
      await subject.manifest.close();
      await subject.open();
    });
    await mixed(subject, 2);
  },
  "process deaths": async (subject) => {
    await subject.open();
    await times(4, async () => {
      await mixed(subject, 4);
      await subject.open();
    });
  },
  "power cuts in a row": async (subject) => {
    await subject.open();
    await times(4, async () => {
      await mixed(subject, 4);
      await subject.powerCut();
      await subject.open();
    });
    await mixed(subject, 2);
  },
};

const workload = (name: string, run: Run, pageSize?: number): Workload => ({
  name: `manifest: ${name}`,
  level: "manifest",
  ...pageSize === undefined ? {} : { pageSize },
  run,
});

/** Every workload of a manifest. */
export const MANIFEST_WORKLOADS: readonly Workload[] = [
  {
    name: "manifest: creation",
    level: "manifest",
    creates: true,
    run: async (subject) => {
      await subject.open();
      await each(subject, [db(1)], [db(2), chunk(1, 1)]);
    },
  },
  ...Object.entries(RUNS).map(([name, run]) => workload(name, run)),
  workload("pages of 16 KiB", RUNS.anything!, 16_384),
  workload("pages of 64 KiB", RUNS.snapshots!, 65_536),
];
