// Options of the source document, and what is in their place here.
import { assert, assertEquals } from "@std/assert";
import { ChangeCache, defineTable, Manifest, text, u53 } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { owners } from "./every_operation.ts";
import { Subject } from "./subject.ts";

test("parity option map_size: there is none: the file begins small and grows as it needs, beyond the cache", async () => {
  await using subject = await Subject.make({ cacheBytes: 1 << 20 });
  assert(subject.disk.live().length <= 256 << 10);
  const random = seeded(1);
  for (let i = 0; i < 40; i++) await subject.manifest.begin().put(owners, i, { team: random.letters(100_000) }).commit();
  const manifest = await subject.crashAndReopen();
  assert(subject.disk.live().length > 4_000_000);
  const expected = seeded(1);
  for (let i = 0; i < 40; i++) assertEquals(manifest.get(owners, [i])?.team, expected.letters(100_000));
});

test("parity option map_size: maxTransactionBytes is the limit that is left, and beyond it is LIMIT with nothing applied", async () => {
  await using subject = await Subject.make({ maxTransactionBytes: 1 << 20 });
  await subject.manifest.begin().put(owners, 1, { team: "x".repeat(900_000) }).commit();
  const error = await errorOf(() => subject.manifest.begin().put(owners, 2, { team: "x".repeat(1_100_000) }).commit());
  assertEquals([error.code, error.outcome], ["LIMIT", "not_applied"]);
  const manifest = await subject.reopen();
  assertEquals([manifest.get(owners, [1])?.team.length, manifest.has(owners, [2])], [900_000, false]);
});

test("parity option max_dbs: there is none: neither tables nor databases are counted out", async () => {
  await using subject = await Subject.make();
  const tables = Array.from({ length: 120 }, (_, i) => defineTable({ name: `t${i}`, key: [u53("id")], value: { name: text() } }));
  const txn = subject.manifest.begin();
  tables.forEach((table, i) => txn.put(table, i, { name: `${i}` }));
  for (let db = 0; db < 2000; db++) txn.putDb(db, { name: "d" });
  await txn.commit();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.listDbs().toArray().length, 2000);
  assertEquals(manifest.listTables().filter(({ builtIn }) => !builtIn).length, 120);
  tables.forEach((table, i) => assertEquals(manifest.get(table, [i])?.name, `${i}`));
});

test("parity option queue_capacity: beyond it a commit is UNAVAILABLE and not applied, and ready says when there is room", async () => {
  await using subject = await Subject.make({ queueCapacity: 4, syncMode: "async" });
  await subject.manifest.createTable(owners);
  const commits = Array.from({ length: 10 }, (_, i) => subject.manifest.begin().put(owners, i, { team: "t" }).commit());
  const outcomes = await Promise.allSettled(commits);
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assertEquals(refused.length, 6);
  for (const { reason } of refused) assertEquals([reason.code, reason.outcome, reason.retryable], ["UNAVAILABLE", "not_applied", true]);
  for (let i = 10; i < 30; i++) {
    await subject.manifest.ready();
    void subject.manifest.begin().put(owners, i, { team: "t" }).commit();
  }
  await subject.manifest.sync();
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.keys(owners).toArray().map(([id]) => id), [0, 1, 2, 3, ...Array.from({ length: 20 }, (_, i) => 10 + i)]);
});

test("parity option commit_latency: without a window a lone commit waits for no timer; with groupWindow commits gather for so long", async () => {
  await using subject = await Subject.make();
  await subject.manifest.createTable(owners);
  const { groups } = subject.manifest.stats();
  await subject.manifest.begin().put(owners, 1, { team: "alone" }).commit(); // no time has passed
  assertEquals(subject.manifest.stats().groups - groups, 1);
  const manifest = await subject.reopen({ groupWindow: 5 });
  const before = manifest.stats().groups;
  let settled = 0;
  const commits: Promise<unknown>[] = [];
  for (let i = 2; i < 6; i++) {
    commits.push(manifest.begin().put(owners, i, { team: "gathered" }).commit().then(() => settled++));
    for (let turn = 0; turn < 20; turn++) await undefined;
    subject.environment.advance(1);
  }
  assertEquals(settled, 0);
  subject.environment.advance(1);
  await Promise.all(commits);
  assertEquals([settled, manifest.stats().groups - before], [4, 1]);
  const again = await subject.crashAndReopen({ groupWindow: 0 });
  assertEquals(again.count(owners), 5);
});

test("parity option page_cache: a change cache of one's own, shared by manifests, bounded in bytes, or none", async () => {
  const changeCache = new ChangeCache({ capacityBytes: 3000 });
  await using first = await Subject.make({ changeCache });
  await using second = await Subject.make({ changeCache: false });
  for (const subject of [first, second]) {
    for (let db = 1; db <= 40; db++) await subject.manifest.begin().putDb(db, { name: `d${db}`.padEnd(80, "x") }).commit();
  }
  for (const subject of [first, second]) {
    const manifest = await subject.reopen();
    const { id } = await manifest.registerChangeCursor("a");
    const before = { ...changeCache.metrics };
    const { changes } = await manifest.fetchChangePage(id);
    assertEquals(changes.map(({ operations: [put] }) => put!.op === "putDb" && put.key[0]), Array.from({ length: 40 }, (_, i) => i + 1));
    await manifest.acknowledgeChanges(id, 41);
    for (let db = 41; db <= 80; db++) await manifest.begin().putDb(db, { name: `d${db}`.padEnd(80, "x") }).commit();
    assertEquals((await manifest.fetchChangePage(id)).changes.length, 40);
    const { hits, misses, bytes, evictions } = changeCache.metrics;
    assert(bytes <= 3000);
    if (subject === first) assert(misses + hits > before.misses + before.hits && evictions > 0);
    else assertEquals(changeCache.metrics, before); // it was given none
  }
});

test("parity option change_log_cache_object_id: names a file in a shared cache, by default with the file's own id", async () => {
  const changeCache = new ChangeCache();
  const disk = new SimDisk();
  const options = { changeCache, idleCheckpoint: 0, environment: testEnvironment(1) };
  const made = await Manifest.open(disk.open(), { ...options, create: true });
  await made.begin().putDb(1, { name: "a" }).commit();
  await made.close();
  for (const changeCacheId of [undefined, "mine", 42]) {
    changeCache.clear();
    await using subject = await Subject.reopened(disk.live(), { changeCache, changeCacheId });
    const { id } = await subject.manifest.registerChangeCursor("a", { start: 1 });
    await subject.manifest.fetchChangePage(id);
    const names = [subject.manifest.fileId, "mine", 42].filter((name) => changeCache.has(name, 1));
    assertEquals(names, [changeCacheId ?? subject.manifest.fileId]);
  }
});

test("parity option truncation threshold: logRetention instead of a constant, by count and by bytes", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 100 } });
  for (let i = 0; i < 400; i++) await subject.manifest.begin().put(owners, i % 5, { team: "t" }).commit();
  let manifest = await subject.reopen({ logRetention: { changes: 1000, bytes: 20_000 } });
  const byCount = 400 - manifest.stats().changes.oldest + 1;
  assert(byCount >= 100 && byCount <= 164, `${byCount}`);
  for (let i = 0; i < 200; i++) await manifest.begin().put(owners, i % 5, { team: "x".repeat(1000) }).commit();
  manifest = await subject.reopen();
  const byBytes = 600 - manifest.stats().changes.oldest + 1;
  assert(byBytes >= 15 && byBytes <= 20 + 64, `${byBytes}`);
});
