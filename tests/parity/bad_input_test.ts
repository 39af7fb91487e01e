// Bad input: a typed error each, nothing applied (the whole state is compared, opened again), and the manifest still usable.
import { assert, assertEquals } from "@std/assert";
import { defineTable, type Manifest, type ManifestErrorFields, optional, text, u53 } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { owners } from "./every_operation.ts";
import { type State, stateOf, Subject } from "./subject.ts";

/** A subject with a database, a chunk, a snapshot, a job, a metric and a cursor at the end of the log. */
async function prepared(): Promise<{ subject: Subject; before: State; cursor: number }> {
  const subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 1], { fileName: "c" }).publishSnapshot([1, 1], {
    chunks: [{ chunkId: 1 }],
  })
    .putJob(1, { kind: "gc" }).mergeMetric([1, 1], { sum: 1 }).bumpGeneration(1).put(owners, 1, { team: "t" }).commit();
  const { id } = await subject.manifest.registerChangeCursor("a", { start: "latest" });
  return { subject, before: stateOf(subject.manifest), cursor: id };
}

/** The state is as before, opened again, and the manifest takes commits. */
async function assertUntouched(subject: Subject, before: State): Promise<void> {
  assertEquals(stateOf(subject.manifest), before);
  const manifest = await subject.crashAndReopen();
  assertEquals(stateOf(manifest), before);
  const { sequence } = await manifest.begin().putDb(7, { name: "usable" }).commit();
  assertEquals([sequence, manifest.getDb(7)?.name], [(before.latest as number) + 1, "usable"]);
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
}

type Begin = () => ReturnType<Manifest["begin"]>;

/** The error of an operation that stands third in its transaction, between possible ones. */
async function refusedThird(subject: Subject, add: (txn: ReturnType<Begin>) => ReturnType<Begin>): Promise<ManifestErrorFields> {
  const txn = add(subject.manifest.begin().putDb(5, { name: "x" }).upsertChunk([1, 9], { fileName: "y" })).putRemoteNamespace(1, {
    bucket: "z",
  });
  const { commitId } = txn;
  const error = await errorOf(() => txn.commit());
  assertEquals([error.detail.index, error.outcome, error.handle], [2, "not_applied", "ok"]);
  assertEquals((await subject.manifest.resolve(commitId)).state, "not_applied");
  return error;
}

test("bad input: an unknown database in every operation that needs one", async () => {
  const { subject, before } = await prepared();
  const kind = { is: "bundle", frameCount: 1 } as const;
  const cases: [string, (txn: ReturnType<Begin>) => ReturnType<Begin>][] = [
    ["deleteDb", (txn) => txn.deleteDb(99)],
    ["forkDb", (txn) => txn.forkDb(99, 98)],
    ["putWalState", (txn) => txn.putWalState(99, {})],
    ["upsertWalArtifact", (txn) => txn.upsertWalArtifact([99, 1], { kind, localPath: "w" })],
    ["upsertChunk", (txn) => txn.upsertChunk([99, 1], { fileName: "c" })],
    ["upsertChunkDelta", (txn) => txn.upsertChunkDelta([99, 1, 1, 1], { fileName: "d" })],
    ["publishSnapshot", (txn) => txn.publishSnapshot([99, 1], { chunks: [] })],
    ["putJob", (txn) => txn.putJob(9, { kind: "gc", db: 99 })],
  ];
  for (const [operation, add] of cases) {
    const { code, detail } = await refusedThird(subject, add);
    assertEquals([code, detail.operation, detail.db], ["NOT_FOUND", operation, 99]);
  }
  await assertUntouched(subject, before);
});

test("bad input: a chunk, a generation or a delta listed in a snapshot that does not exist", async () => {
  const { subject, before } = await prepared();
  for (const item of [{ chunkId: 9_999 }, { chunkId: 1, generation: 5 }, { chunkId: 1, deltaId: 3 }, { chunkId: 77, deltaId: 3 }]) {
    const { code, detail } = await refusedThird(subject, (txn) => txn.publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }, item] }));
    assertEquals([code, detail.operation, detail.chunkId, detail.db], ["NOT_FOUND", "publishSnapshot", item.chunkId, 1]);
  }
  const twice = await refusedThird(subject, (txn) => txn.publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }, { chunkId: 1 }] }));
  assertEquals([twice.code, twice.detail.operation], ["INVALID_ARGUMENT", "publishSnapshot"]);
  await assertUntouched(subject, before);
});

test("bad input: a duplicate database, by createDb and by forkDb, also within one transaction", async () => {
  const { subject, before } = await prepared();
  const cases: [string, (txn: ReturnType<Begin>) => ReturnType<Begin>][] = [
    ["createDb", (txn) => txn.createDb(1, { name: "again" })],
    ["createDb", (txn) => txn.createDb(5, { name: "of this transaction" })],
    ["forkDb", (txn) => txn.forkDb(5, 1)],
    ["forkDb", (txn) => txn.forkDb(1, 5)],
  ];
  for (const [operation, add] of cases) {
    const { code, detail } = await refusedThird(subject, add);
    assertEquals([code, detail.operation], ["EXISTS", operation]);
  }
  const itself = await refusedThird(subject, (txn) => txn.forkDb(1, 1));
  assertEquals([itself.code, itself.detail.operation], ["INVALID_ARGUMENT", "forkDb"]);
  await assertUntouched(subject, before);
});

test("bad input: the drop of an unknown snapshot, and the second drop of one", async () => {
  const { subject, before } = await prepared();
  const unknown = await refusedThird(subject, (txn) => txn.dropSnapshot([1, 9]));
  assertEquals([unknown.code, unknown.detail.operation, unknown.detail.snapshot], ["NOT_FOUND", "dropSnapshot", 9]);
  const twice = await errorOf(() => subject.manifest.begin().dropSnapshot([1, 1]).dropSnapshot([1, 1]).commit());
  assertEquals([twice.code, twice.detail.operation, twice.detail.index], ["NOT_FOUND", "dropSnapshot", 1]);
  await assertUntouched(subject, before);
});

test("bad input: an illegal job transition, an unknown state, a failure without a reason", async () => {
  const { subject, before } = await prepared();
  const illegal = await refusedThird(subject, (txn) => txn.updateJobState(1, "completed"));
  assertEquals([illegal.code, illegal.detail.operation, illegal.detail.from, illegal.detail.to], [
    "ILLEGAL_TRANSITION",
    "updateJobState",
    "pending",
    "completed",
  ]);
  for (const state of ["done", { is: "failed" }, null, undefined, 5]) {
    const { code, detail } = await refusedThird(subject, (txn) => txn.updateJobState(1, state as never));
    assertEquals([code, detail.operation], ["INVALID_ARGUMENT", "updateJobState"], `${state}`);
  }
  await assertUntouched(subject, before);
});

test("bad input: a metric that is not a number, a negative generation", async () => {
  const { subject, before } = await prepared();
  for (const metric of [{ sum: NaN }, { min: Infinity }, { count: -1 }, { sum: "1" }] as never[]) {
    const { code, detail } = await refusedThird(subject, (txn) => txn.mergeMetric([1, 1], metric));
    assertEquals([code, detail.operation], ["INVALID_ARGUMENT", "mergeMetric"]);
  }
  for (const increment of [-1, -(2 ** 40), NaN, 0.5, "1" as never]) {
    const { code, detail } = await refusedThird(subject, (txn) => txn.bumpGeneration(1, increment));
    assertEquals([code, detail.operation], ["INVALID_ARGUMENT", "bumpGeneration"]);
  }
  const chunk = await refusedThird(subject, (txn) => txn.upsertChunk([1, 1], { fileName: "c", generation: -1 }));
  assertEquals([chunk.kind, chunk.detail.operation], ["usage", "upsertChunk"]);
  await assertUntouched(subject, before);
});

test("bad input: acknowledging beyond the latest change, an unknown cursor, also in a transaction", async () => {
  const { subject, before, cursor } = await prepared();
  const { manifest } = subject;
  const latest = manifest.latestChangeSequence();
  const beyond = await errorOf(() => manifest.acknowledgeChanges(cursor, latest + 2));
  assertEquals([beyond.code, beyond.detail.latestSequence], ["INVALID_ARGUMENT", latest]);
  for (
    const call of [
      () => manifest.acknowledgeChanges(77, 1),
      () => manifest.fetchChangePage(77),
      () => manifest.unregisterChangeCursor(77),
    ]
  ) assertEquals((await errorOf(call)).code, "CURSOR_UNKNOWN");
  const unknown = await refusedThird(subject, (txn) => txn.acknowledge(77, 1));
  assertEquals([unknown.code, unknown.detail.operation, unknown.detail.cursorId], ["CURSOR_UNKNOWN", "acknowledge", 77]);
  const ahead = await refusedThird(subject, (txn) => txn.acknowledge(cursor, latest + 2));
  assertEquals([ahead.code, ahead.detail.operation], ["INVALID_ARGUMENT", "acknowledge"]);
  await assertUntouched(subject, before);
});

test("bad input: a callback that throws inside transact, at once or later", async () => {
  const { subject, before } = await prepared();
  const cause = new Error("of the callback");
  for (const later of [false, true]) {
    const error = await errorOf(() =>
      subject.manifest.transact((txn) => {
        txn.putDb(5, { name: "x" }).dropSnapshot([1, 1]);
        if (!later) throw cause;
        return Promise.resolve().then(() => {
          txn.deleteDb(1);
          throw cause;
        });
      })
    );
    assertEquals([error.code, error.outcome, error.handle, (error as unknown as Error).cause], [
      "CALLBACK_FAILED",
      "not_applied",
      "ok",
      cause,
    ]);
  }
  await assertUntouched(subject, before);
});

test("bad input: a callback that throws inside reclaim deletes nothing of what failed, and the next reclaim does it", async () => {
  const { subject } = await prepared();
  await subject.manifest.begin().upsertChunk([1, 2], { fileName: "c2" }).publishSnapshot([1, 1], {
    chunks: [{ chunkId: 1 }, { chunkId: 2 }],
  })
    .commit();
  await subject.manifest.begin().dropSnapshot([1, 1]).commit();
  const chunks = stateOf(subject.manifest).chunk_catalog;
  const cause = new Error("of deleteObject");
  const error = await errorOf(() => subject.manifest.reclaim(10, () => Promise.reject(cause)));
  assertEquals([error.code, error.outcome, error.detail.failed, (error as unknown as Error).cause], [
    "CALLBACK_FAILED",
    "not_applied",
    2,
    cause,
  ]);
  let manifest = await subject.crashAndReopen();
  assertEquals(stateOf(manifest).chunk_catalog, chunks);
  assertEquals(manifest.listCondemned().map(({ chunkId }) => chunkId), [1, 2]);
  assertEquals(
    (await errorOf(() => manifest.begin().publishSnapshot([1, 3], { chunks: [{ chunkId: 1 }] }).commit())).code,
    "OBJECT_CONDEMNED",
  );
  const deleted: number[] = [];
  assertEquals(await manifest.reclaim(10, ({ chunkId }) => void deleted.push(chunkId)), { deleted: 2, remaining: 0 });
  manifest = await subject.crashAndReopen();
  assertEquals([deleted, manifest.listCondemned(), manifest.listChunks(1).toArray()], [[1, 2], [], []]);
  await manifest.begin().upsertChunk([1, 1], { fileName: "again", generation: 2 }).publishSnapshot([1, 3], { chunks: [{ chunkId: 1 }] })
    .commit();
});

test("bad input: a table written by a newer schema is refused by name, for reading and for writing, and the others are used", async () => {
  const { subject, before } = await prepared();
  const newer = defineTable({ name: "owners2", key: [u53("id")], value: { team: text(), more: optional(text()) } });
  const older = defineTable({ name: "owners2", key: [u53("id")], value: { team: text() } });
  const other = defineTable({ name: "owners2", key: [text("id")], value: { team: text() } });
  await subject.manifest.begin().put(newer, 1, { team: "t", more: "m" }).commit();
  const manifest = await subject.crashAndReopen();
  const cases: [string, () => unknown][] = [
    ["SCHEMA_TOO_NEW", () => manifest.get(older, [1])],
    ["SCHEMA_TOO_NEW", () => manifest.range(older)],
    ["SCHEMA_TOO_NEW", () => manifest.begin().putDb(5, { name: "x" }).put(older, 2, { team: "u" }).commit()],
    ["SCHEMA_MISMATCH", () => manifest.begin().putDb(5, { name: "x" }).put(other, "2", { team: "u" }).commit()],
  ];
  for (const [code, call] of cases) {
    const error = await errorOf(call);
    assertEquals([error.code, error.detail.table, error.outcome], [code, "owners2", "not_applied"]);
  }
  const again = await subject.reopen();
  assertEquals({ ...stateOf(again), owners2: undefined, latest: 1 }, { ...before, owners2: undefined });
  assertEquals(again.get(newer, [1]), { team: "t", more: "m" });
  assert((await again.begin().put(newer, 2, { team: "u" }).commit()).sequence === 3);
});
