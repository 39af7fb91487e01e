// Loops over the change log: `changes` to its end, `follow` without one; what is acknowledged when, and what comes again.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Change, defineTable, Manifest, text, u53 } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { test } from "../support/harness.ts";
import { ListeningController } from "../support/listening_signal.ts";
import { seeded } from "../support/random.ts";
import { SlowStorage } from "../support/slow_storage.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { name: text() } });
const consumed = defineTable({ name: "consumed", key: [u53("sequence")], value: { times: u53() } });

async function commits(manifest: Manifest, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await manifest.begin().put(table, i % 10, { name: "n" }).commit();
}

async function sequencesOf(changes: AsyncIterable<Change>): Promise<number[]> {
  const out: number[] = [];
  for await (const { sequence } of changes) out.push(sequence);
  return out;
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function standing(manifest: Manifest, name: string): number | undefined {
  return manifest.listChangeCursors().find((cursor) => cursor.name === name)?.nextSequence;
}

async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

test("changes: from the oldest, from a sequence, from a cursor, to the newest when it gets there; nothing moves", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 250);
  const { id } = await manifest.registerChangeCursor("a", { start: 100 });
  await manifest.close();
  manifest = await medium.open();
  assertEquals(await sequencesOf(manifest.changes()), upTo(250));
  assertEquals(await sequencesOf(manifest.changes({ from: 0 })), upTo(250));
  assertEquals(await sequencesOf(manifest.changes({ from: 240 })), upTo(250, 240));
  assertEquals(await sequencesOf(manifest.changes({ from: 251 })), []);
  assertEquals(await sequencesOf(manifest.changes({ cursor: "a" })), upTo(250, 100));
  const both = manifest.changes({ from: 245 });
  const seen: number[] = [];
  for await (const { sequence } of both) {
    seen.push(sequence);
    if (sequence < 260) await commits(manifest, 1);
  }
  assertEquals(seen, upTo(seen.length + 244, 245));
  assert(seen.length > 6, "what comes meanwhile is read too");
  assertEquals((await sequencesOf(both)).slice(0, 3), [245, 246, 247]);
  assertEquals(standing(manifest, "a"), 100);
  await manifest.acknowledgeChanges(id, 200);
  const error = await errorOf(() => sequencesOf(manifest.changes({ from: 150 })));
  assertEquals([error.code, error.detail.nextSequence, error.detail.oldestSequence], ["CURSOR_TRUNCATED", 150, 200]);
  assertEquals(await codeOf(() => sequencesOf(manifest.changes({ from: 10_000 }))), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => sequencesOf(manifest.changes({ cursor: "b" }))), "CURSOR_UNKNOWN");
  assertEquals(await codeOf(() => manifest.changes({ from: 1, cursor: "a" })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.changes({ from: -1 })), "INVALID_ARGUMENT");
  await manifest.close();
  assertEquals(await codeOf(() => sequencesOf(manifest.changes())), "HANDLE_CLOSED");
});

test("changes: when the log is truncated under the loop it ends with CURSOR_TRUNCATED, never with a gap", async () => {
  const manifest = await new Medium().open();
  await commits(manifest, 300);
  const { id } = await manifest.registerChangeCursor("a");
  const seen: number[] = [];
  const error = await errorOf(async () => {
    for await (const { sequence } of manifest.changes()) {
      seen.push(sequence);
      if (sequence === 50) await manifest.acknowledgeChanges(id, 290);
    }
  });
  assertEquals([error.code, error.detail.oldestSequence], ["CURSOR_TRUNCATED", 290]);
  assertEquals(seen, upTo(seen.length));
  await manifest.close();
});

test("follow: registers its cursor, yields what is there and what comes, and acknowledges what was done", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 5);
  const seen: number[] = [];
  const loop = (async () => {
    for await (const { sequence } of manifest.follow("a")) {
      seen.push(sequence);
      if (sequence === 12) break;
    }
  })();
  await turns();
  assertEquals(seen, upTo(5));
  assertEquals(standing(manifest, "a"), 6, "asking for the sixth has done the fifth");
  await commits(manifest, 7);
  await loop;
  assertEquals(seen, upTo(12));
  assertEquals(manifest.diagnostics().followers, 0);
  await manifest.close();
  manifest = await medium.open();
  assertEquals(standing(manifest, "a"), 12, "the change handed out last is not done");
  const again = manifest.follow("a");
  assertEquals((await again.next()).value?.sequence, 12);
  await again.return();
  assertEquals(await again.next(), { done: true, value: undefined });
  await manifest.close();
});

test("follow: a consumer that dies between fetch and acknowledge gets the change again", async () => {
  const file = new MemoryFile();
  const seen: number[] = [];
  let bytes = file.bytes();
  {
    const manifest = await Manifest.open(new MemoryStorage(file), { create: true, idleCheckpoint: 0 });
    await commits(manifest, 10);
    const follower = manifest.follow("a");
    for (let i = 0; i < 4; i++) seen.push((await follower.next()).value!.sequence);
    await turns();
    bytes = file.bytes(); // the process dies with change 4 in its hands
    await manifest.close();
  }
  const manifest = await Manifest.open(new MemoryStorage(bytes), { idleCheckpoint: 0 });
  assertEquals([seen, standing(manifest, "a")], [[1, 2, 3, 4], 4]);
  for await (const { sequence } of manifest.follow("a")) {
    assertEquals(sequence, 4);
    break;
  }
  await manifest.close();
});

test("follow: a body that throws, and a throw into it, keep what was done and give the change again", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 10);
  await assertRejects(
    async () => {
      for await (const { sequence } of manifest.follow("a")) if (sequence === 6) throw new Error("no");
    },
    Error,
    "no",
  );
  assertEquals(standing(manifest, "a"), 6);
  const follower = manifest.follow("a");
  assertEquals([(await follower.next()).value?.sequence, (await follower.next()).value?.sequence], [6, 7]);
  await assertRejects(() => follower.throw(new Error("mine")), Error, "mine");
  await manifest.close();
  manifest = await medium.open();
  assertEquals(standing(manifest, "a"), 7);
  await manifest.close();
});

test("follow: acknowledgements are not waited for, one is on its way at a time, and the next covers all done meanwhile", async () => {
  const storage = new SlowStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async" });
  for (let i = 0; i < 200; i++) void manifest.begin().put(table, 1, { name: "n" }).commit();
  await manifest.sync();
  await manifest.registerChangeCursor("a");
  const before = manifest.stats().commits;
  storage.holding = true;
  const seen: number[] = [];
  const follower = manifest.follow("a");
  for (let i = 0; i < 200; i++) seen.push((await follower.next()).value!.sequence);
  assertEquals(seen, upTo(200));
  assertEquals(manifest.stats().waiting, 1, "200 changes came while the first acknowledgement was on its way");
  const end = follower.return();
  let over = false;
  void end.then(() => over = true);
  await turns();
  assertEquals(over, false, "the end waits for what was done");
  storage.free();
  await end;
  assertEquals([standing(manifest, "a"), manifest.stats().commits - before], [200, 2]);
  await manifest.close();
});

test("follow: a full queue holds acknowledgements back, and loses none", async () => {
  const storage = new SlowStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async", queueCapacity: 2 });
  for (let i = 0; i < 5; i++) await manifest.begin().putDb(i + 1, { name: "n" }).commit();
  await manifest.registerChangeCursor("a");
  const follower = manifest.follow("a");
  await follower.next();
  storage.holding = true;
  const filling = [manifest.begin().putDb(10, { name: "x" }).commit(), manifest.begin().putDb(11, { name: "y" }).commit()];
  await follower.next();
  await follower.next();
  await turns(2);
  assertEquals(manifest.diagnostics().waiters.room, 1);
  storage.free();
  await Promise.all(filling);
  await follower.return();
  assertEquals([standing(manifest, "a"), manifest.diagnostics().waiters.room], [3, 0]);
  await manifest.close();
});

test("follow: a signal ends it while it waits and between two changes, with what was done acknowledged and no listener left", async () => {
  const manifest = await new Medium().open();
  await commits(manifest, 3);
  const abort = new ListeningController();
  const seen: number[] = [];
  const loop = errorOf(async () => {
    for await (const { sequence } of manifest.follow("a", { signal: abort.signal })) seen.push(sequence);
  });
  await turns();
  assertEquals([seen, abort.listeners], [[1, 2, 3], 1]);
  abort.abort("over");
  const error = await loop;
  assertEquals([error.code, error.cause, abort.listeners, standing(manifest, "a")], ["ABORTED", "over", 0, 4]);
  assertEquals(manifest.diagnostics().waiters.changes, 0);
  await commits(manifest, 5);
  const second = new ListeningController();
  const code = await codeOf(async () => {
    for await (const { sequence } of manifest.follow("a", { signal: second.signal })) if (sequence === 6) second.abort();
  });
  assertEquals([code, second.listeners, standing(manifest, "a")], ["ABORTED", 0, 7], "asking for the seventh has done the sixth");
  const before = manifest.follow("a", { signal: second.signal });
  assertEquals(await codeOf(() => before.next()), "ABORTED");
  assertEquals(await before.next(), { done: true, value: undefined });
  await manifest.close();
});

test("follow: closing the manifest ends it with HANDLE_CLOSED; what was done is kept", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 3);
  const waiting = errorOf(async () => {
    for await (const _ of manifest.follow("waiting"));
  });
  const working = manifest.follow("working");
  await working.next();
  await working.next();
  const idle = manifest.follow("idle");
  await turns();
  await manifest.close();
  assertEquals((await waiting).code, "HANDLE_CLOSED");
  assertEquals(await codeOf(() => working.next()), "HANDLE_CLOSED");
  assertEquals(await codeOf(() => idle.next()), "HANDLE_CLOSED");
  assertEquals(await codeOf(() => manifest.follow("x")), "HANDLE_CLOSED");
  manifest = await medium.open();
  assertEquals([standing(manifest, "waiting"), standing(manifest, "working"), standing(manifest, "idle")], [4, 2, undefined]);
  await manifest.close();
});

test("follow: what was done last is handed to the queue by close itself", async () => {
  const storage = new SlowStorage(new MemoryStorage());
  const file = (storage.inner as MemoryStorage).file;
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async" });
  await commits(manifest, 9);
  await manifest.registerChangeCursor("a");
  storage.holding = true;
  const follower = manifest.follow("a");
  for (let i = 0; i < 9; i++) await follower.next();
  await turns(2);
  const closing = manifest.close();
  await turns(2);
  storage.free();
  await closing;
  const again = await Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0 });
  assertEquals(standing(again, "a"), 9);
  await again.close();
});

test("follow: a cursor that is unregistered under it, or overtaken by its maxLag, ends it with an error", async () => {
  const manifest = await new Medium().open();
  await commits(manifest, 3);
  const follower = manifest.follow("a");
  await follower.next();
  await manifest.unregisterChangeCursor(1);
  assertEquals(await codeOf(() => follower.next()), "CURSOR_UNKNOWN");
  const slow = manifest.follow("slow", { maxLag: 5, pageSize: 1 });
  await slow.next();
  await commits(manifest, 300);
  const error = await errorOf(() => slow.next());
  assertEquals(error.code, "CURSOR_TRUNCATED");
  const { cursorId, oldestSequence, nextSequence } = error.detail as { cursorId: number; oldestSequence: number; nextSequence: number };
  assert(oldestSequence > nextSequence);
  await manifest.acknowledgeChanges(cursorId, oldestSequence);
  const on = manifest.follow("slow");
  assertEquals((await on.next()).value?.sequence, oldestSequence);
  await on.return();
  await manifest.close();
});

test("follow: a start that is gone is said, once", async () => {
  const manifest = await new Medium().open({ logRetention: { changes: 5 } });
  await commits(manifest, 200);
  const { oldest } = manifest.stats().changes;
  const error = await errorOf(() => manifest.follow("a", { start: 3 }).next());
  assertEquals([error.code, error.detail.nextSequence, error.detail.oldestSequence], ["CURSOR_TRUNCATED", 3, oldest]);
  const follower = manifest.follow("a", { start: 3 });
  assertEquals((await follower.next()).value?.sequence, oldest);
  await follower.return();
  await manifest.close();
});

test("follow: calls need not wait for each other, and wrong arguments are refused", async () => {
  const manifest = await new Medium().open();
  await commits(manifest, 4);
  const follower = manifest.follow("a");
  const four = await Promise.all([follower.next(), follower.next(), follower.next(), follower.next()]);
  assertEquals(four.map(({ value }) => (value as Change).sequence), [1, 2, 3, 4]);
  const waiting = follower.next();
  await follower.return();
  assertEquals(await waiting, { done: true, value: undefined });
  assertEquals(standing(manifest, "a"), 5);
  assertEquals(await codeOf(() => manifest.follow("")), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.follow("a", { pageSize: 0 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.follow("a", { maxLag: 0 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.follow("a", { signal: 5 as never })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.follow("a", null as never)), "INVALID_ARGUMENT");
  await manifest.close();
});

test("acknowledge: result and progress of a consumer are kept together through crashes at every commit", async () => {
  const seed = 5;
  const random = seeded(seed);
  let file = new MemoryFile();
  let manifest = await Manifest.open(new MemoryStorage(file), { create: true, idleCheckpoint: 0 });
  const { id } = await manifest.registerChangeCursor("totals");
  await manifest.createTable(consumed);
  let latest = 0;
  for (let round = 0; round < 120; round++) {
    for (let i = random.int(4); i > 0; i--, latest++) await manifest.begin({ origin: "source" }).put(table, 1, { name: "n" }).commit();
    const page = await manifest.fetchChangePage(id, random.between(1, 5));
    const txn = manifest.begin({ origin: "consumer" });
    for (const { sequence, origin } of page.changes) {
      if (origin === "source") txn.put(consumed, sequence, { times: (manifest.get(consumed, sequence)?.times ?? 0) + 1 });
    }
    txn.acknowledge(id, page.nextSequence);
    const commit = txn.commit();
    if (random.chance(0.3)) {
      if (random.chance(0.5)) await commit;
      const bytes = file.bytes();
      await manifest.close();
      file = new MemoryFile(bytes);
      manifest = await Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0 });
    } else await commit;
  }
  for (;;) {
    const page = await manifest.fetchChangePage(id, 100);
    if (page.changes.every(({ origin }) => origin === "consumer")) break;
    const txn = manifest.begin({ origin: "consumer" });
    for (const { sequence, origin } of page.changes) {
      if (origin === "source") txn.put(consumed, sequence, { times: (manifest.get(consumed, sequence)?.times ?? 0) + 1 });
    }
    await txn.acknowledge(id, page.nextSequence).commit();
  }
  assertEquals(manifest.count(consumed), latest, `seed ${seed}`);
  for (const [[sequence], { times }] of manifest.range(consumed)) assertEquals(times, 1, `seed ${seed}, change ${sequence}`);
  await manifest.close();
});

test("follow: followers that break, are aborted, and see their manifest die or close get every change, the last one again, none twice else", async () => {
  const seed = 2024;
  const random = seeded(seed);
  let file = new MemoryFile();
  let manifest = await Manifest.open(new MemoryStorage(file), { create: true, idleCheckpoint: 0 });
  await manifest.createTable(table);
  const names = Array.from({ length: 6 }, (_, i) => `f${i}`);
  /** The last change that each has been given, and the first that its file may give next. */
  const given = new Map(names.map((name) => [name, 0]));
  const kept = new Map(names.map((name) => [name, 1]));
  let latest = 0;
  let ends = { broken: 0, aborted: 0, closed: 0, died: 0 };
  for (let round = 0; round < 60; round++) {
    const abort = new AbortController();
    const loops = names.map(async (name) => {
      let expected: number | undefined;
      let seen = 0;
      const most = random.between(1, 40);
      const breaks = random.chance(0.4);
      try {
        for await (const { sequence } of manifest.follow(name, { signal: abort.signal, pageSize: random.between(1, 20) })) {
          const where = `seed ${seed}, round ${round}, ${name}`;
          if (expected === undefined) {
            assert(sequence >= kept.get(name)! && sequence <= Math.max(1, given.get(name)! + 1), `${where}: ${sequence}`);
          } else assertEquals(sequence, expected, where);
          expected = sequence + 1;
          given.set(name, Math.max(given.get(name)!, sequence));
          if (random.chance(0.3)) await turns(1);
          if (breaks && ++seen >= most) {
            ends.broken++;
            break;
          }
        }
        // What was done before the break is kept: the next time begins with the change handed out last.
        kept.set(name, expected! - 1);
      } catch (error) {
        const { code } = error as { code?: string };
        assert(code === "ABORTED" || code === "HANDLE_CLOSED", `seed ${seed}, round ${round}, ${name}: ${error}`);
        ends = { ...ends, [code === "ABORTED" ? "aborted" : "closed"]: ends[code === "ABORTED" ? "aborted" : "closed"] + 1 };
      }
    });
    for (let i = random.int(30); i > 0; i--, latest++) {
      const commit = manifest.begin().put(table, latest % 10, { name: "n" }).commit();
      if (random.chance(0.5)) await commit;
    }
    await manifest.sync();
    await turns(random.int(4));
    if (random.chance(0.4)) {
      abort.abort();
      await Promise.all(loops);
    } else if (random.chance(0.5)) {
      // The process dies: what was acknowledged on the way is in the file, the rest comes again.
      const bytes = file.bytes();
      await manifest.close();
      await Promise.all(loops);
      file = new MemoryFile(bytes);
      manifest = await Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0 });
      ends.died++;
      for (const { name, nextSequence } of manifest.listChangeCursors()) {
        assert(
          nextSequence <= Math.max(1, given.get(name)!) + 1,
          `seed ${seed}, round ${round}: ${name} was moved over a change that nobody was given`,
        );
        kept.set(name, nextSequence);
      }
      continue;
    }
    await manifest.close();
    await Promise.all(loops);
    manifest = await Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0 });
  }
  assert(Object.values(ends).every((count) => count > 5), JSON.stringify(ends));
  for (const name of names) {
    const start = standing(manifest, name)!;
    assertEquals(await sequencesOf(manifest.changes({ cursor: name })), upTo(latest, start), `seed ${seed}`);
  }
  await manifest.close();
});

test("follow: unregistering its cursor ends it, also while it waits, and hands out nothing more", async () => {
  const manifest = await new Medium().open();
  const waiting = manifest.follow("waits");
  const next = waiting.next();
  await commits(manifest, 1);
  assertEquals((await next).value!.sequence, 1);
  const reading = manifest.follow("reads");
  assertEquals((await reading.next()).value!.sequence, 1);
  const idle = errorOf(() => waiting.next());
  for (const { id } of manifest.listChangeCursors()) await manifest.unregisterChangeCursor(id);
  assertEquals((await idle).code, "CURSOR_UNKNOWN");
  await commits(manifest, 3);
  assertEquals(await codeOf(() => reading.next()), "CURSOR_UNKNOWN");
  assertEquals([(await waiting.next()).done, (await reading.next()).done, manifest.listChangeCursors()], [true, true, []]);
  await manifest.close();
});
