// Life cycle: crash detected, events, diagnostics, a bounded queue, closing, empty commits.
import { assert, assertEquals } from "@std/assert";
import { defineTable, Manifest, type ManifestEvent, type ReadTransaction, text, u53 } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { SlowStorage } from "../support/slow_storage.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "secret_table", key: [u53("id")], value: { name: text() } });

async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

function slow(options: { queueCapacity?: number } = {}): Promise<{ storage: SlowStorage; manifest: Manifest }> {
  const storage = new SlowStorage(new MemoryStorage());
  return Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async", ...options }).then((manifest) => ({
    storage,
    manifest,
  }));
}

test("crashDetected: true when the last writer had not closed the file, with the report and an event; false when new or closed", async () => {
  const medium = new Medium();
  const events: ManifestEvent[] = [];
  const onEvent = (event: ManifestEvent): void => void events.push(event);
  const first = await medium.open({ onEvent });
  assertEquals([first.crashDetected, first.recovery.created], [false, true]);
  await first.begin().putDb(1, { name: "a" }).commit();
  const crashed = new MemoryFile(medium.file.bytes());
  await first.close();
  assertEquals(events.filter(({ type }) => type === "recovered"), []);
  const clean = await medium.open({ onEvent });
  assertEquals([clean.crashDetected, clean.runtimeState()?.clean], [false, true]);
  await clean.close();
  assertEquals(events.filter(({ type }) => type === "recovered"), []);
  const again = await Manifest.open(new MemoryStorage(crashed), { idleCheckpoint: 0, onEvent });
  assertEquals([again.crashDetected, again.runtimeState()?.clean, again.getDb(1)?.name], [true, false, "a"]);
  const [recovered] = events.filter(({ type }) => type === "recovered");
  assert(recovered?.type === "recovered" && recovered.report === again.recovery && recovered.report.frames > 0);
  await again.close();
  const after = await Manifest.open(new MemoryStorage(crashed), { idleCheckpoint: 0 });
  assertEquals(after.crashDetected, false);
  await after.close();
});

test("subscribe: checkpoint, compacted and closed are told in order, each to every listener, until it is taken away", async () => {
  const manifest = await new Medium().open();
  const types: string[] = [];
  const others: string[] = [];
  const end = manifest.subscribe(({ type }) => others.push(type));
  manifest.subscribe(({ type }) => types.push(type));
  await manifest.begin().putDb(1, { name: "a" }).commit();
  assertEquals(types, []);
  await manifest.checkpoint();
  await turns(1);
  assertEquals([types, others], [["checkpoint"], ["checkpoint"]]);
  end();
  end();
  await manifest.compact();
  await turns(1);
  assert(types.length > 2 && types.indexOf("compacted") === types.length - 1, types.join());
  await manifest.close();
  assertEquals([types[types.length - 1], others], ["closed", ["checkpoint"]]);
  assertEquals(types.filter((type) => type === "closed").length, 1);
  assertEquals(await codeOf(() => manifest.subscribe(5 as never)), "INVALID_ARGUMENT");
});

test("subscribe: a checkpoint's event names the state that it holds", async () => {
  const manifest = await new Medium().open();
  const events: ManifestEvent[] = [];
  manifest.subscribe((event) => events.push(event));
  await manifest.begin().putDb(1, { name: "a" }).commit();
  await manifest.begin().putDb(2, { name: "a" }).commit();
  await manifest.checkpoint();
  await turns(1);
  const { generation, durableFrame } = manifest.stats();
  assertEquals(events, [{ type: "checkpoint", generation, sequence: 2, frame: durableFrame }]);
  await manifest.close();
});

test("subscribe: a listener may commit, read and take itself away; what it throws surfaces and stops nobody", async () => {
  const surfaced: unknown[] = [];
  const real = globalThis.queueMicrotask;
  const manifest = await new Medium().open();
  const heard: string[] = [];
  const commits: Promise<unknown>[] = [];
  const end = manifest.subscribe(() => {
    end();
    heard.push(`${manifest.getDb(1)?.name}`);
    commits.push(manifest.begin().putDb(2, { name: "from a listener" }).commit());
  });
  manifest.subscribe(() => {
    throw new Error("a listener's own");
  });
  manifest.subscribe(({ type }) => heard.push(type));
  // Errors surface in microtasks of their own: caught here, because the runtime would end.
  globalThis.queueMicrotask = (callback) =>
    real(() => {
      try {
        callback();
      } catch (error) {
        surfaced.push(error);
      }
    });
  try {
    await manifest.begin().putDb(1, { name: "a" }).commit();
    await manifest.checkpoint();
    await turns(2);
    await Promise.all(commits);
  } finally {
    globalThis.queueMicrotask = real;
  }
  assertEquals(heard, ["a", "checkpoint"]);
  assertEquals(surfaced.map((error) => (error as Error).message), ["a listener's own"]);
  assertEquals(manifest.getDb(2)?.name, "from a listener");
  await manifest.begin().putDb(3, { name: "c" }).commit();
  globalThis.queueMicrotask = (callback) =>
    real(() => {
      try {
        callback();
      } catch (error) {
        surfaced.push(error);
      }
    });
  try {
    await manifest.close();
    await turns(1);
  } finally {
    globalThis.queueMicrotask = real;
  }
});

test("write-failed: told once, with what ended writing; the handle can be read, and its diagnostics say so", async () => {
  const { storage, manifest } = await slow();
  const events: ManifestEvent[] = [];
  manifest.subscribe((event) => events.push(event));
  await manifest.begin().putDb(1, { name: "a" }).commit();
  storage.failNext(new Error("EIO"));
  const commits = [1, 2, 3].map((db) => codeOf(() => manifest.begin().putDb(db, { name: "b" }).commit()));
  await Promise.all(commits);
  await turns(1);
  const failures = events.filter(({ type }) => type === "write-failed");
  assertEquals(failures.length, 1);
  assert(failures[0]!.type === "write-failed" && failures[0]!.error.code === "SYNC_FAILED");
  assertEquals([manifest.readOnly, manifest.getDb(1)?.name], [true, "a"]);
  const { failure, readOnly } = manifest.diagnostics();
  assertEquals([failure?.code, readOnly], ["SYNC_FAILED", true]);
  await manifest.close();
  await turns(1);
  assertEquals(events[events.length - 1], { type: "closed" });
});

test("diagnostics: plain JSON with versions, options, numbers and states, and nothing of the user's", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin({ origin: "secret origin" }).put(table, 1, { name: "secret value" }).putDb(5, { name: "secret db" }).commit();
  await manifest.registerChangeCursor("secret cursor", { maxLag: 9 });
  const crashed = medium.file.bytes();
  await manifest.close();
  manifest = await Manifest.open(new MemoryStorage(crashed), { idleCheckpoint: 0, lagWarning: 77, environment: testEnvironment(9) });
  void manifest.waitForChange(1).catch(() => {});
  manifest.subscribe(() => {});
  const told = manifest.diagnostics();
  const json = JSON.stringify(told);
  assertEquals(JSON.parse(json), JSON.parse(JSON.stringify(JSON.parse(json))));
  assert(!json.includes("secret"), json);
  assertEquals([told.version, told.fileId, told.crashDetected, told.readOnly], [1, manifest.fileId, true, false]);
  assertEquals([told.options.lagWarning, told.options.durability, told.options.queueCapacity], [77, "sync", 65536]);
  assertEquals([told.changes, told.waiters.changes, told.listeners, told.followers], [{ latest: 1, oldest: 1 }, 1, 1, 0]);
  assertEquals(told.cursors, [{ id: 1, nextSequence: 1, lag: 1, maxLag: 9 }]);
  assertEquals([told.stats?.durableSequence, told.recovery.frames > 0, told.runtimeState?.instanceId], [
    1,
    true,
    manifest.runtimeState()?.instanceId,
  ]);
  assertEquals([told.changeCache?.capacityBytes, told.failure, told.durability], [4 << 20, undefined, { mode: "sync", storage: "memory" }]);
  await manifest.close();
  const after = manifest.diagnostics();
  assertEquals([after.stats, after.cursors, after.fileId, after.waiters.changes], [undefined, undefined, told.fileId, 0]);
  assertEquals(after.failure?.code, "HANDLE_CLOSED");
});

test("diagnostics: the version is that of the package", async () => {
  const { readFileSync } = await import("node:fs");
  const { version } = JSON.parse(readFileSync("deno.json", "utf8")) as { version: string };
  const manifest = await new Medium().open();
  assertEquals(manifest.diagnostics().library, version);
  await manifest.close();
});

test("queueCapacity: bounds every commit without a receipt, wherever it is; ready resolves when there is room again", async () => {
  const { storage, manifest } = await slow({ queueCapacity: 10 });
  await manifest.begin().putDb(1, { name: "a" }).commit();
  await manifest.ready();
  storage.holding = true;
  const accepted: Promise<unknown>[] = [];
  const refused: Promise<string>[] = [];
  for (let db = 2; db < 102; db++) {
    const commit = manifest.begin().putDb(db, { name: "x" }).commit();
    if (manifest.diagnostics().stats!.waiting > accepted.length) accepted.push(commit);
    else refused.push(codeOf(() => commit));
    if (db % 7 === 0) await undefined; // some are in flight, some gathered, some in line
  }
  assertEquals([accepted.length, refused.length, manifest.stats().waiting], [10, 90, 10]);
  assertEquals(new Set(await Promise.all(refused)), new Set(["UNAVAILABLE"]));
  let ready = 0;
  const waiting = [manifest.ready().then(() => ready++), manifest.ready().then(() => ready++)];
  const aborted = new AbortController();
  const ended = codeOf(() => manifest.ready({ signal: aborted.signal }));
  aborted.abort();
  assertEquals([await ended, await codeOf(() => manifest.ready({ timeoutMs: 0 }))], ["ABORTED", "TIMEOUT"]);
  await turns(2);
  assertEquals([ready, manifest.diagnostics().waiters.room], [0, 2]);
  storage.letGo();
  await Promise.all(waiting);
  assertEquals([ready, manifest.diagnostics().waiters.room], [2, 0]);
  storage.free();
  await Promise.all(accepted);
  const more = manifest.begin().put(table, 1, { name: "a table is made besides" }).commit();
  assertEquals((await more).sequence, 12);
  await manifest.close();
});

test("ready: a producer that waits for it is never refused, and its memory is bounded", async () => {
  const { storage, manifest } = await slow({ queueCapacity: 8 });
  let most = 0;
  const commits: Promise<unknown>[] = [];
  storage.holding = true;
  const producing = (async () => {
    for (let db = 1; db <= 300; db++) {
      await manifest.ready();
      commits.push(manifest.begin().putDb(db, { name: "x" }).commit());
      most = Math.max(most, manifest.stats().waiting);
    }
  })();
  let done = false;
  void producing.then(() => done = true);
  while (!done) {
    storage.letGo();
    await turns(1);
  }
  storage.free();
  await Promise.all(commits);
  assertEquals([most <= 8, manifest.latestChangeSequence()], [true, 300]);
  await manifest.close();
});

test("ready: closing the manifest ends it", async () => {
  const { storage, manifest } = await slow({ queueCapacity: 1 });
  storage.holding = true;
  const commit = manifest.begin().putDb(1, { name: "a" }).commit();
  const waiting = codeOf(() => manifest.ready());
  await turns(1);
  const closing = manifest.close();
  assertEquals(await waiting, "HANDLE_CLOSED");
  storage.free();
  await closing;
  assertEquals((await commit).sequence, 1);
  assertEquals(await codeOf(() => manifest.ready()), "HANDLE_CLOSED");
});

test("close: waits for everything committed before it, refuses what comes behind, and a second call waits for the first", async () => {
  const { storage, manifest } = await slow();
  const { file } = storage.inner as MemoryStorage;
  await manifest.createTable(table);
  storage.holding = true;
  const before = Array.from({ length: 50 }, (_, id) => manifest.begin().put(table, id, { name: "in flight" }).commit());
  await turns(1);
  before.push(...Array.from({ length: 50 }, (_, id) => manifest.begin().put(table, 50 + id, { name: "gathered" }).commit()));
  const waiter = codeOf(() => manifest.waitForChange(1000));
  const order: string[] = [];
  const first = manifest.close().then(() => order.push("first"));
  const behind = codeOf(() => manifest.begin().put(table, 100, { name: "late" }).commit());
  const second = manifest.close().then(() => order.push("second"));
  assertEquals([await behind, await waiter], ["HANDLE_CLOSED", "HANDLE_CLOSED"]);
  await turns(3);
  assertEquals(order, [], "syncs are still held");
  storage.free();
  assertEquals((await Promise.all(before)).map(({ sequence }) => sequence), Array.from({ length: 100 }, (_, i) => i + 1));
  await Promise.all([first, second]);
  assertEquals(order, ["first", "second"]);
  const again = await Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0 });
  assertEquals([again.count(table), again.crashDetected], [100, false]);
  await again.close();
});

test("close: a reader with read transactions of states that it has moved on from closes them all", async () => {
  const medium = new Medium();
  const writer = await medium.open();
  await writer.createTable(table);
  const storage = new MemoryStorage(medium.file, { readOnly: true });
  const reader = await Manifest.open(storage, { pollMs: 0 });
  const views: ReadTransaction[] = [];
  for (let i = 0; i < 5; i++) {
    await writer.begin().put(table, i, { name: "x" }).commit();
    await writer.checkpoint();
    await reader.refresh();
    views.push(reader.read());
  }
  views[1]!.close();
  assertEquals(views[3]!.count(table), 4);
  await reader.close();
  assertEquals(await codeOf(() => views[3]!.count(table)), "TXN_CLOSED");
  assertEquals(await codeOf(() => storage.read(0, new Uint8Array(1))), "HANDLE_CLOSED");
  await writer.close();
});

test("commit: an empty transaction takes no sequence and gives the current generations of all components", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  assertEquals((await manifest.begin().commit()).generations, {});
  const bumped = await manifest.begin().bumpGeneration(3).bumpGeneration(9, 4).commit();
  assertEquals(bumped.generations, { 3: 1, 9: 4 });
  assertEquals((await manifest.begin().bumpGeneration(3).commit()).generations, { 3: 2 });
  await manifest.close();
  manifest = await medium.open();
  const empty = await manifest.begin().commit();
  assertEquals([empty.sequence, empty.generations], [0, { 3: 2, 9: 4 }]);
  assertEquals([manifest.latestChangeSequence(), (await manifest.resolve(empty.commitId)).state], [2, "not_applied"]);
  await manifest.close();
  const error = await errorOf(() => manifest.begin().commit());
  assertEquals(error.code, "HANDLE_CLOSED");
});
