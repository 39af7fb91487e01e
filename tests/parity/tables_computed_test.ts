// The tables whose rows are computed: change log, journal, sentinel.
import { assert, assertEquals } from "@std/assert";
import { changeLog, pendingBatches, runtimeStates } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { Subject } from "./subject.ts";

test("parity table change_log: sequence, time, operations and generations of each change are rows", async () => {
  await using subject = await Subject.make();
  const receipts = [];
  for (let db = 1; db <= 4; db++) {
    receipts.push(await subject.manifest.begin({ origin: `o${db}` }).putDb(db, { name: `d${db}` }).bumpGeneration(9, db).commit());
  }
  const manifest = await subject.crashAndReopen();
  const rows = manifest.range(changeLog).toArray();
  assertEquals(rows.map(([[sequence], change]) => [sequence, change.sequence, change.commitId, change.origin, change.generations]), [
    [1, 1, receipts[0]!.commitId, "o1", { 9: 1 }],
    [2, 2, receipts[1]!.commitId, "o2", { 9: 3 }],
    [3, 3, receipts[2]!.commitId, "o3", { 9: 6 }],
    [4, 4, receipts[3]!.commitId, "o4", { 9: 10 }],
  ]);
  assert(rows.every(([, { committedAt }], i) => i === 0 || committedAt > rows[i - 1]![1].committedAt));
  assertEquals(manifest.getChange(2)?.operations[0], { op: "putDb", table: "db", key: [2], value: manifest.getDb(2)! });
  assertEquals(manifest.keys(changeLog, { gte: [2], lt: [4], reverse: true }).toArray(), [[3], [2]]);
  assertEquals((await errorOf(() => manifest.begin().put(changeLog, 9, {} as never).commit())).outcome, "not_applied");
});

test("parity table pending_batches: what is durable in the journal only, and empty behind a checkpoint and an opening", async () => {
  await using subject = await Subject.make();
  await subject.manifest.checkpoint();
  assertEquals(subject.manifest.count(pendingBatches), 0);
  const first = await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const second = await subject.manifest.begin().putDb(2, { name: "b" }).commit();
  const listed = subject.manifest.range(pendingBatches).toArray();
  const changes = listed.filter(([, { sequence }]) => sequence > 0);
  assertEquals(changes.map(([, { commitId, sequence }]) => [commitId, sequence]), [[first.commitId, 1], [second.commitId, 2]]);
  assertEquals(changes.map(([, { operations }]) => operations.map(({ op }) => op)), [["putDb"], ["putDb"]]);
  const manifest = await subject.crashAndReopen(); // applied again, once, and the rows are gone with it
  assertEquals([manifest.count(pendingBatches), manifest.listDbs().toArray().length, manifest.latestChangeSequence()], [0, 2, 2]);
  await manifest.begin().putDb(3, { name: "c" }).commit();
  assert(manifest.count(pendingBatches) > 0);
  await manifest.checkpoint();
  assertEquals(manifest.count(pendingBatches), 0);
});

test("parity table runtime_state: one row while a writer has the file open, with its instance, process and start", async () => {
  await using subject = await Subject.make();
  const own = subject.manifest.runtimeState()!;
  assertEquals([own.own, own.clean, own.pid !== undefined, own.startedAt !== undefined], [true, true, true, true]);
  const manifest = await subject.crashAndReopen();
  const again = manifest.get(runtimeStates, [0])!;
  assertEquals([again.own, again.clean, again.epoch > own.epoch, again.instanceId === own.instanceId], [true, false, true, false]);
  assertEquals(manifest.range(runtimeStates).toArray().map(([key]) => key), [[0]]);
  const reader = await subject.reopen({ readOnly: true, create: false });
  assertEquals(reader.count(runtimeStates), 0); // closed in order: no row
});
