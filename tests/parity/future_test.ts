// What the source document names as future work and is here now.
import { assertEquals } from "@std/assert";
import { test } from "../support/harness.ts";
import { owners } from "./every_operation.ts";
import { Subject } from "./subject.ts";

test("parity future read-only transactions: a read transaction shows one state while others commit and a checkpoint runs", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const manifest = await subject.reopen();
  using view = manifest.read();
  await manifest.begin().putDb(1, { name: "b" }).putDb(2, { name: "c" }).commit();
  await manifest.checkpoint();
  assertEquals([view.getDb(1)?.name, view.getDb(2), view.sequence], ["a", undefined, 1]);
  assertEquals([manifest.getDb(1)?.name, manifest.getDb(2)?.name], ["b", "c"]);
});

test("parity future snapshot isolation: a range shows the state of its start, and states of different times are open side by side", async () => {
  await using subject = await Subject.make();
  for (let i = 0; i < 500; i++) void subject.manifest.begin().put(owners, i, { team: "old" }).commit();
  await subject.manifest.sync();
  const manifest = await subject.reopen();
  const views = [manifest.read()];
  let seen = 0;
  for (const [[id], { team }] of manifest.range(owners)) {
    assertEquals([id, team], [seen++, "old"]);
    if (id % 100 === 0) {
      await manifest.begin().deleteRange(owners, { gte: [id], lt: [id + 100] }).put(owners, 1000 + id, { team: "new" }).commit();
      views.push(manifest.read());
    }
  }
  assertEquals(seen, 500);
  assertEquals(views.map((view) => view.count(owners)), [500, 401, 302, 203, 104, 5]);
  for (const view of views) view.close();
});
