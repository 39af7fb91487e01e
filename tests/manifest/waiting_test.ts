// Waiting: for changes, for generations; deadlines, signals, ends; handles for reading that are woken, that look, and that are moved on.
import { assert, assertEquals } from "@std/assert";
import { defineTable, isManifestError, Manifest, text, u53 } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { Waiters } from "../../src/manifest/log/waiters.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { ListeningController } from "../support/listening_signal.ts";
import { seeded } from "../support/random.ts";
import { SlowStorage } from "../support/slow_storage.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { name: text() } });
const NOBODY = { changes: 0, generations: 0, room: 0 };

async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

test("waitForChange: resolves at once when there is a newer change, else with the next durable one", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "a" }).commit();
  assertEquals(await manifest.waitForChange(0), 1);
  const waiting = [manifest.waitForChange(1), manifest.waitForChange(2), manifest.waitForChange(1)];
  assertEquals(manifest.diagnostics().waiters, { changes: 3, generations: 0, room: 0 });
  await manifest.begin().putDb(2, { name: "b" }).commit();
  assertEquals([await waiting[0], await waiting[2]], [2, 2]);
  assertEquals(manifest.diagnostics().waiters.changes, 1);
  await manifest.begin().putDb(3, { name: "c" }).commit();
  assertEquals(await waiting[1], 3);
  assertEquals(manifest.diagnostics().waiters, NOBODY);
  await manifest.close();
});

test("waitForChange: an acknowledgement and other bookkeeping wake nobody", async () => {
  const environment = testEnvironment(1);
  const manifest = await new Medium().open({ environment });
  const { id } = await manifest.registerChangeCursor("a");
  await manifest.begin().put(table, 1, { name: "n" }).commit();
  const waiting = errorOf(() => manifest.waitForChange(1, { timeoutMs: 10 }));
  await manifest.acknowledgeChanges(id, 2);
  await manifest.createTable(defineTable({ name: "u", key: [u53("id")], value: {} }));
  assertEquals(manifest.diagnostics().waiters.changes, 1);
  environment.advance(10);
  assertEquals((await waiting).code, "TIMEOUT");
  await manifest.close();
});

test("waitForChange: on an idle store the deadline comes by timer, and not before", async () => {
  const environment = testEnvironment(2);
  const manifest = await new Medium().open({ environment });
  let outcome = "";
  const waiting = manifest.waitForChange(0, { timeoutMs: 500 }).then(() => "change", (error) => outcome = error.code);
  environment.advance(499);
  await turns(2);
  assertEquals(outcome, "");
  environment.advance(1);
  assertEquals(await waiting, "TIMEOUT");
  assertEquals(await codeOf(() => manifest.waitForChange(0, { timeoutMs: 0 })), "TIMEOUT");
  assertEquals(manifest.diagnostics().waiters, NOBODY);
  await manifest.close();
});

test("waitForChange: a signal ends it, before and while it waits, and no listener is left whatever the end", async () => {
  const environment = testEnvironment(3);
  const manifest = await new Medium().open({ environment });
  const abort = new ListeningController();
  const { signal } = abort;
  const timed = codeOf(() => manifest.waitForChange(0, { signal, timeoutMs: 5 }));
  environment.advance(5);
  assertEquals([await timed, abort.listeners], ["TIMEOUT", 0]);
  const woken = manifest.waitForChange(0, { signal });
  assertEquals(abort.listeners, 1);
  await manifest.begin().putDb(1, { name: "a" }).commit();
  assertEquals([await woken, abort.listeners], [1, 0]);
  const waiting = errorOf(() => manifest.waitForChange(1, { signal, timeoutMs: 50 }));
  const closing = codeOf(() => manifest.waitForGeneration(7, 1, { signal }));
  abort.abort("enough");
  const aborted = await waiting;
  assertEquals([aborted.code, aborted.cause, await closing], ["ABORTED", "enough", "ABORTED"]);
  assertEquals(await codeOf(() => manifest.waitForChange(1, { signal })), "ABORTED");
  assertEquals([manifest.diagnostics().waiters, abort.listeners], [NOBODY, 0]);
  const other = new ListeningController();
  const closed = codeOf(() => manifest.waitForChange(1, { signal: other.signal }));
  await manifest.close();
  assertEquals([await closed, other.listeners], ["HANDLE_CLOSED", 0]);
  assertEquals(await codeOf(() => manifest.waitForChange(0)), "HANDLE_CLOSED");
});

test("waitForChange: wrong arguments are refused", async () => {
  const manifest = await new Medium().open();
  for (const since of [-1, 1.5, NaN, "1", undefined]) {
    assertEquals(await codeOf(() => manifest.waitForChange(since as number)), "INVALID_ARGUMENT");
  }
  for (const timeoutMs of [-1, NaN, "1", 2 ** 31]) {
    assertEquals(await codeOf(() => manifest.waitForChange(0, { timeoutMs: timeoutMs as number })), "INVALID_ARGUMENT");
  }
  assertEquals(await codeOf(() => manifest.waitForChange(0, { signal: {} as never })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.waitForChange(0, null as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.waitForGeneration(-1, 1)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.waitForGeneration(1, 0.5)), "INVALID_ARGUMENT");
  await manifest.close();
});

test("waitForChange: only what is durable wakes", async () => {
  const manifest = await new Medium().open({ durability: "none" });
  let woken = 0;
  const waiting = manifest.waitForChange(0).then((sequence) => woken = sequence);
  await manifest.begin().putDb(1, { name: "a" }).commit();
  await turns(3);
  assertEquals(woken, 0);
  await manifest.sync();
  assertEquals(await waiting, 1);
  await manifest.close();
});

test("waitForChange: when writing has ended for good, who waits is told, and what is there is still given", async () => {
  const storage = new SlowStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async" });
  await manifest.begin().putDb(1, { name: "a" }).commit();
  const waiting = [errorOf(() => manifest.waitForChange(1)), errorOf(() => manifest.waitForGeneration(1, 1))];
  storage.failNext(new Error("EIO"));
  const commit = codeOf(() => manifest.begin().putDb(2, { name: "b" }).commit());
  assertEquals((await Promise.all(waiting)).map(({ code }) => code), ["SYNC_FAILED", "SYNC_FAILED"]);
  assertEquals(await commit, "SYNC_FAILED");
  assertEquals(await manifest.waitForChange(0), 1);
  assertEquals(await codeOf(() => manifest.waitForChange(1)), "SYNC_FAILED");
  assertEquals(await codeOf(() => manifest.ready()), "READ_ONLY");
  await manifest.close();
});

test("waitForGeneration: resolves with the durable generation as soon as it is there, also after opening again", async () => {
  const medium = new Medium();
  const environment = testEnvironment(4);
  let manifest = await medium.open({ environment });
  const waiting = [manifest.waitForGeneration(7, 1), manifest.waitForGeneration(7, 3), manifest.waitForGeneration(8, 1)];
  assertEquals(await manifest.waitForGeneration(7, 0), 0);
  assertEquals(manifest.diagnostics().waiters.generations, 3);
  await manifest.begin().bumpGeneration(7).commit();
  assertEquals(await waiting[0], 1);
  await manifest.begin().bumpGeneration(7, 5).commit();
  assertEquals(await waiting[1], 6);
  assertEquals(manifest.diagnostics().waiters.generations, 1);
  const late = codeOf(() => manifest.waitForGeneration(7, 100, { timeoutMs: 20 }));
  environment.advance(20);
  assertEquals(await late, "TIMEOUT");
  const end = codeOf(() => waiting[2]);
  await manifest.close();
  assertEquals([await end, manifest.diagnostics().waiters], ["HANDLE_CLOSED", NOBODY]);
  manifest = await medium.open();
  assertEquals(await manifest.waitForGeneration(7, 6), 6);
  await manifest.close();
});

test("Waiters: thousands at once, with any targets, are woken in order of their targets and leave nothing", async () => {
  const seed = 91;
  const random = seeded(seed);
  const environment = testEnvironment(5);
  const waiters = new Waiters(environment);
  const woken: [target: number, value: number][] = [];
  const gone: number[] = [];
  const aborts = new ListeningController();
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < 20_000; i++) {
    const target = random.between(1, 5000);
    const options = {
      signal: random.chance(0.1) ? aborts.signal : undefined,
      timeoutMs: random.chance(0.1) ? random.between(1, 100) : undefined,
    };
    all.push(waiters.wait(target, options, "wait").then((value) => woken.push([target, value]), () => gone.push(target)));
  }
  let value = 0;
  while (waiters.size > 0) {
    value = Math.min(5000, value + random.between(1, 200));
    waiters.reached(value);
    if (random.chance(0.3)) environment.advance(random.between(1, 30));
    if (value > 2500 && !aborts.signal.aborted) aborts.abort();
  }
  await Promise.all(all);
  assert(gone.length > 500 && woken.length > 15_000, `seed ${seed}: ${gone.length} ${woken.length}`);
  assertEquals(woken.length + gone.length, 20_000, `seed ${seed}`);
  assert(woken.every(([target, at], i) => at >= target && at < target + 200 && (i === 0 || at >= woken[i - 1]![1])), `seed ${seed}`);
  assertEquals(aborts.listeners, 0, `seed ${seed}`);
});

test("refresh: a manifest opened for reading moves to the newest state; read transactions keep theirs", async () => {
  const medium = new Medium();
  const writer = await medium.open();
  await writer.begin().put(table, 1, { name: "one" }).commit();
  const reader = await medium.open({ readOnly: true });
  const first = reader.read();
  for (let i = 2; i <= 30; i++) {
    await writer.begin().put(table, i, { name: `n${i}` }).commit();
    if (i % 7 === 0) await writer.checkpoint();
    assertEquals(reader.get(table, i), undefined);
    await reader.refresh();
    assertEquals([reader.get(table, i)?.name, reader.count(table), reader.latestChangeSequence()], [`n${i}`, i, i]);
    assertEquals([first.count(table), first.sequence], [1, 1]);
  }
  const other = defineTable({ name: "later", key: [u53("id")], value: {} });
  await writer.begin().put(other, 1, {}).commit();
  assertEquals(await codeOf(() => reader.count(other)), "TABLE_UNKNOWN");
  await reader.refresh();
  assertEquals(reader.count(other), 1);
  first.close();
  assertEquals((await reader.check()).problems, []);
  await writer.refresh();
  await writer.close();
  await reader.refresh();
  assertEquals([reader.count(table), reader.runtimeState()], [30, undefined]);
  const again = await medium.open();
  await again.begin().put(table, 31, { name: "again" }).commit();
  await Promise.all([reader.refresh(), reader.refresh(), reader.refresh()]);
  assertEquals(reader.get(table, 31)?.name, "again");
  await reader.close();
  assertEquals(await codeOf(() => reader.refresh()), "HANDLE_CLOSED");
  await again.close();
});

test("refresh: however writers commit, checkpoint, compact, die and open again in between, the state is the newest", async () => {
  const seed = 17;
  const random = seeded(seed);
  const medium = new Medium();
  let writer = await medium.open();
  await writer.createTable(table);
  const reader = await medium.open({ readOnly: true, pollMs: 0 });
  const held: { view: ReturnType<Manifest["read"]>; rows: number }[] = [];
  let rows = 0;
  for (let step = 0; step < 300; step++) {
    for (let i = random.int(6); i > 0; i--) await writer.begin().put(table, ++rows, { name: "x".repeat(random.int(2000)) }).commit();
    if (random.chance(0.1)) await writer.checkpoint();
    if (random.chance(0.02)) await writer.compact();
    if (random.chance(0.05)) {
      await writer.close();
      writer = await medium.open();
    }
    await reader.refresh();
    assertEquals([reader.count(table), reader.latestChangeSequence()], [rows, rows], `seed ${seed}, step ${step}`);
    if (random.chance(0.2)) held.push({ view: reader.read(), rows });
    if (held.length > 3) {
      const { view, rows: then } = held.shift()!;
      try {
        assertEquals(view.count(table), then, `seed ${seed}, step ${step}`);
        assertEquals(view.range(table).toArray().length, then, `seed ${seed}, step ${step}`);
      } catch (error) {
        assert(isManifestError(error) && error.code === "SNAPSHOT_EXPIRED", `seed ${seed}, step ${step}: ${error}`);
      }
      view.close();
    }
  }
  for (const { view } of held) view.close();
  await reader.close();
  await writer.close();
});

test("waitForChange: a handle for reading is woken by the writer of the same process", async () => {
  const medium = new Medium();
  const writer = await medium.open();
  const reader = await medium.open({ readOnly: true, pollMs: 0 });
  await writer.begin().putDb(1, { name: "a" }).commit();
  assertEquals(await reader.waitForChange(0), 1);
  const waiting = [reader.waitForChange(1), reader.waitForChange(3), reader.waitForGeneration(5, 1)];
  await turns(3);
  await writer.begin().putDb(2, { name: "b" }).commit();
  assertEquals([await waiting[0], reader.getDb(2)?.name], [2, "b"]);
  await writer.begin().bumpGeneration(5).commit();
  assertEquals(await waiting[2], 1);
  await writer.checkpoint();
  await writer.begin().putDb(4, { name: "d" }).commit();
  assertEquals([await waiting[1], reader.getDb(4)?.name, reader.diagnostics().waiters], [4, "d", NOBODY]);
  await reader.close();
  await writer.begin().putDb(5, { name: "e" }).commit();
  await writer.close();
});

test("waitForChange: a handle for reading looks at the file every so often, only while somebody waits", async () => {
  const medium = new Medium();
  const environment = testEnvironment(6);
  const writer = await medium.open();
  // Another identity: as if the writer were in another process.
  class Elsewhere extends MemoryStorage {
    override readonly identity: string = "elsewhere";
    looks = 0;
    override read(at: number, into: Uint8Array): number {
      if (at === 0) this.looks++;
      return super.read(at, into);
    }
  }
  const storage = new Elsewhere(medium.file, { readOnly: true });
  const reader = await Manifest.open(storage, { readOnly: true, environment, pollMs: 100 });
  let got = 0;
  const waiting = reader.waitForChange(0).then((sequence) => got = sequence);
  await turns();
  await writer.begin().putDb(1, { name: "a" }).commit();
  await turns();
  assertEquals(got, 0);
  environment.advance(100);
  assertEquals(await waiting, 1);
  await turns();
  const { looks } = storage;
  for (let i = 0; i < 10; i++) {
    environment.advance(100);
    await turns(2);
  }
  assertEquals(storage.looks, looks);
  const late = codeOf(() => reader.waitForChange(1, { timeoutMs: 250 }));
  for (let i = 0; i < 5; i++) {
    await turns(3);
    environment.advance(50);
  }
  assertEquals(await late, "TIMEOUT");
  assert(storage.looks >= looks + 2, `${storage.looks - looks} looks`);
  await reader.close();
  await writer.close();
});
