// Errors of the source document, and what they are here: a code each, what it means for the commit, and what is left of the handle.
import { assert, assertEquals } from "@std/assert";
import { BLOCK_SIZE, META_BYTES, TABLE_ID_CHANGES } from "../../assembly/format.ts";
import { isManifestError, Manifest } from "../../mod.ts";
import { bigEndian, stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { owners } from "./every_operation.ts";
import { stateOf, Subject } from "./subject.ts";

test("parity error Io: a read that fails is IO_READ, applies nothing, and the manifest goes on", async () => {
  const made = await Subject.make({ cacheBytes: 1 << 20 });
  for (let i = 0; i < 30; i++) await made.manifest.begin().put(owners, i, { team: `${i}`.padEnd(60_000, "x") }).commit();
  await made.manifest.close();
  const disk = new SimDisk(made.disk.live());
  const storage = new FaultyStorage(disk.open());
  const manifest = await Manifest.open(storage, { cacheBytes: 1 << 20, idleCheckpoint: 0, environment: testEnvironment(1) });
  storage.plan({ at: 0, errno: "EIO", kinds: ["read"], times: Infinity });
  const error = await errorOf(() => manifest.get(owners, [3]));
  assertEquals([error.code, error.kind, error.outcome, error.handle], ["IO_READ", "io", "not_applied", "ok"]);
  storage.plan(undefined);
  assertEquals(manifest.get(owners, [3])?.team.length, 60_000);
  await manifest.begin().put(owners, 99, { team: "after" }).commit();
  await using again = await Subject.reopened(disk.durable());
  assertEquals([again.manifest.get(owners, [99])?.team, again.manifest.count(owners)], ["after", 31]);
  await manifest.close();
});

test("parity error Heed: a damaged block is an error that names the place, or is absorbed: never another answer", async () => {
  const made = await Subject.make();
  const txn = made.manifest.begin();
  for (let i = 0; i < 400; i++) txn.put(owners, i, { team: `team ${i}`.padEnd(100, ".") });
  await txn.commit();
  const expected = stateOf(made.manifest);
  await made.manifest.close();
  const image = made.disk.live();
  const codes = new Map<string, number>();
  const first = META_BYTES / BLOCK_SIZE, blocks = image.length / BLOCK_SIZE;
  for (let block = first; block < blocks; block += block < blocks - 24 ? 8 : 1) { // the journal is at the front
    const damaged = image.slice();
    damaged[block * BLOCK_SIZE + 100]! ^= 0x10;
    try {
      await using subject = await Subject.reopened(damaged);
      assertEquals(stateOf(subject.manifest), expected);
      codes.set("same", (codes.get("same") ?? 0) + 1);
    } catch (error) {
      assert(isManifestError(error), `block ${block}: ${error}`);
      assertEquals([error.kind, typeof error.detail.page], ["data", "number"], `block ${block}: ${error.message}`);
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    }
  }
  assertEquals([...codes.keys()].sort(), ["CORRUPT_PAGE", "same"]);
  assert(codes.get("CORRUPT_PAGE")! > 8);
});

test("parity error WorkerClosed: after the close everything is HANDLE_CLOSED, and who waits is told", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const closed = subject.manifest;
  const { id } = await closed.registerChangeCursor("a");
  const waiting = errorOf(() => closed.waitForChange(1));
  const manifest = await subject.reopen();
  assertEquals((await waiting).code, "HANDLE_CLOSED");
  const calls: (() => unknown)[] = [
    () => closed.begin().putDb(2, { name: "b" }).commit(),
    () => closed.begin().commit(),
    () => closed.getDb(1),
    () => closed.latestChangeSequence(),
    () => closed.registerChangeCursor("b"),
    () => closed.fetchChangePage(id),
    () => closed.acknowledgeChanges(id, 1),
    () => closed.waitForGeneration(1, 1),
    () => closed.reserveJobId(),
    () => closed.reclaim(1, () => {}),
    () => closed.checkpoint(),
  ];
  for (const call of calls) {
    const { code, handle, outcome } = await errorOf(call);
    assertEquals([code, handle, outcome], ["HANDLE_CLOSED", "closed", "not_applied"], `${call}`);
  }
  assertEquals(manifest.listDbs().toArray().length, 1);
});

test("parity error WaitTimeout: TIMEOUT, retryable, and the manifest goes on", async () => {
  await using subject = await Subject.make();
  const manifest = await subject.reopen();
  const waiting = errorOf(() => manifest.waitForChange(0, { timeoutMs: 20 }));
  subject.environment.advance(20);
  const error = await waiting;
  assertEquals([error.code, error.retryable, error.handle, error.detail.timeoutMs], ["TIMEOUT", true, "ok", 20]);
  assertEquals((await manifest.begin().putDb(1, { name: "a" }).commit()).sequence, 1);
});

test("parity error CommitFailed: SYNC_FAILED is of unknown outcome, ends writing and leaves reading; opening again tells", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  subject.disk.failNextSync("EIO");
  const txn = subject.manifest.begin().putDb(2, { name: "b" });
  const { commitId } = txn;
  const error = await errorOf(() => txn.commit());
  assertEquals([error.code, error.outcome, error.handle, error.retryable], ["SYNC_FAILED", "unknown", "read_only", false]);
  assertEquals([subject.manifest.readOnly, subject.manifest.getDb(1)?.name, subject.manifest.getDb(2)], [true, "a", undefined]);
  const refused = await errorOf(() => subject.manifest.begin().putDb(3, { name: "c" }).commit());
  assertEquals([refused.outcome, refused.handle], ["not_applied", "read_only"]);
  const manifest = await subject.crashAndReopen();
  const { state } = await manifest.resolve(commitId);
  assertEquals([state, manifest.getDb(2), manifest.getDb(3)], ["not_applied", undefined, undefined]); // the power went too
  assertEquals((await manifest.begin().putDb(2, { name: "b" }).commit()).sequence, 2);
});

test("parity error InvariantViolation: each cause has a code of its own, with the operation and its index", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).putJob(1, { kind: "gc" }).commit();
  const before = stateOf(subject.manifest);
  const begin = () => subject.manifest.begin().putRemoteNamespace(1, { bucket: "b" });
  const cases: [code: string, call: () => Promise<unknown>, operation?: string][] = [
    ["CURSOR_UNKNOWN", () => subject.manifest.fetchChangePage(77)],
    ["CURSOR_UNKNOWN", () => subject.manifest.acknowledgeChanges(77, 1)],
    ["NOT_FOUND", () => begin().dropSnapshot([1, 1]).commit(), "dropSnapshot"],
    ["EXISTS", () => begin().createDb(1, { name: "x" }).commit(), "createDb"],
    ["ILLEGAL_TRANSITION", () => begin().updateJobState(1, "completed").commit(), "updateJobState"],
    ["REFCOUNT_UNDERFLOW", () => begin().adjustRefcount({ originDb: 1, chunkId: 1, generation: 0 }, -1).commit(), "adjustRefcount"],
  ];
  for (const [code, call, operation] of cases) {
    const error = await errorOf(call);
    assertEquals([error.code, error.kind, error.outcome, error.detail.operation], [code, "usage", "not_applied", operation]);
  }
  assertEquals(stateOf(await subject.reopen()), before);
});

test("parity error CacheSerialization: nothing is serialised for the cache; a damaged change record is CORRUPT_LOG by its sequence", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let db = 1; db <= 3; db++) await subject.manifest.begin().putDb(db, { name: "d" }).commit();
  await subject.manifest.close();
  const store = await Store.open(subject.disk.open(), { idleCheckpoint: 0 });
  const ops = [{ kind: "put" as const, table: TABLE_ID_CHANGES, key: bigEndian(2), value: new Uint8Array([9, 9, 9]), hidden: true }];
  await store.commit({ stage: () => stageRaw(store.kernel, ops), change: false });
  await store.close();
  const manifest = await subject.reopen();
  const error = await errorOf(() => manifest.fetchChangePage(id));
  assertEquals([error.code, error.kind, error.detail.sequence], ["CORRUPT_LOG", "data", 2]);
  assertEquals((await manifest.fetchChangePage(id, 1)).changes.map(({ sequence }) => sequence), [1]);
  assertEquals(manifest.listDbs().toArray().length, 3);
});
