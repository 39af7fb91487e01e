// Cursors: many at different speeds, one that never moves, limits to how far one may fall behind, and acknowledging within a transaction.
import { assert, assertEquals } from "@std/assert";
import { changeLog, cursors, defineTable, Manifest, ManifestError, type ManifestEvent, text, u53 } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { name: text() } });

async function commits(manifest: Manifest, count: number): Promise<void> {
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    all.push(manifest.begin().put(table, i % 50, { name: "n" }).commit());
    if (all.length === 40) await Promise.all(all.splice(0));
  }
  await Promise.all(all);
}

async function eventsOf(type: ManifestEvent["type"], events: ManifestEvent[]): Promise<ManifestEvent[]> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  return events.filter((event) => event.type === type);
}

test("cursors: 50 at different speeds, dying and coming back, with reopens: nothing skipped, nothing lost, the slowest decides what is kept", async () => {
  const seed = 4711;
  const random = seeded(seed);
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.createTable(table);
  const speeds = Array.from({ length: 50 }, (_, i) => 1 + (i * i) % 97);
  const consumers = await Promise.all(speeds.map(async (speed, i) => {
    const { id } = await manifest.registerChangeCursor(`c${i}`);
    return { id, speed, next: 1 };
  }));
  let latest = 0;
  for (let round = 0; round < 150; round++) {
    for (let i = random.int(25); i > 0; i--, latest++) void manifest.begin().put(table, latest % 50, { name: `${latest + 1}` }).commit();
    await manifest.sync();
    const acknowledging: Promise<unknown>[] = [];
    for (const consumer of consumers) {
      if (!random.chance(0.4)) continue;
      const page = await manifest.fetchChangePage(consumer.id, consumer.speed);
      page.changes.forEach(({ sequence, operations }, i) => {
        assertEquals(sequence, consumer.next + i, `seed ${seed}, round ${round}`);
        assertEquals(operations, [{ op: "put", table: "t", key: [(sequence - 1) % 50], value: { name: `${sequence}` } }]);
      });
      if (random.chance(0.2)) continue; // died with the page in its hands
      consumer.next = page.nextSequence;
      if (random.chance(0.5)) acknowledging.push(manifest.acknowledgeChanges(consumer.id, page.nextSequence));
      else acknowledging.push(manifest.begin().acknowledge(consumer.id, page.nextSequence).commit());
    }
    await Promise.all(acknowledging);
    const slowest = Math.min(...consumers.map(({ next }) => next));
    const { oldest } = manifest.stats().changes;
    assert(oldest <= slowest, `seed ${seed}, round ${round}: ${oldest} is behind ${slowest}`);
    assertEquals(manifest.listChangeCursors().map(({ nextSequence }) => nextSequence), consumers.map(({ next }) => next));
    if (random.chance(0.04)) {
      await manifest.close();
      manifest = await medium.open();
    }
  }
  assertEquals(manifest.latestChangeSequence(), latest);
  for (const consumer of consumers) await manifest.acknowledgeChanges(consumer.id, latest + 1);
  assertEquals(manifest.stats().changes.oldest, latest + 1, `seed ${seed}`);
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
  await manifest.close();
});

test("cursors: one that is never acknowledged keeps everything, and says how far it is behind", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const dead = await manifest.registerChangeCursor("dead");
  const live = await manifest.registerChangeCursor("live");
  await commits(manifest, 3000);
  await manifest.acknowledgeChanges(live.id, 3001);
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.stats().changes, { latest: 3000, oldest: 1 });
  assertEquals(manifest.stats().cursors.map(({ name, lag }) => [name, lag]), [["dead", 3000], ["live", 0]]);
  assertEquals((await manifest.fetchChangePage(dead.id, 3000)).changes.length, 3000);
  await manifest.unregisterChangeCursor(dead.id);
  await commits(manifest, 130);
  await manifest.acknowledgeChanges(live.id, 3131);
  assertEquals(manifest.stats().changes.oldest, 3131);
  await manifest.close();
});

test("maxLag: a cursor further behind loses the oldest changes, is told with a gap, and goes on where the log begins", async () => {
  const medium = new Medium();
  const events: ManifestEvent[] = [];
  let manifest = await medium.open({ onEvent: (event) => events.push(event) });
  const slow = await manifest.registerChangeCursor("slow", { maxLag: 100 });
  assertEquals(slow.maxLag, 100);
  const fast = await manifest.registerChangeCursor("fast");
  await commits(manifest, 100);
  assertEquals((await manifest.fetchChangePage(slow.id)).changes.length, 100);
  await manifest.acknowledgeChanges(fast.id, 101);
  await commits(manifest, 700);
  await manifest.acknowledgeChanges(fast.id, 801);
  await commits(manifest, 64);
  const { oldest, latest } = manifest.stats().changes;
  assert(oldest >= 865 - 100 - 64 && oldest <= 865 - 100, `oldest ${oldest}`);
  const error = await errorOf(() => manifest.fetchChangePage(slow.id));
  assertEquals([error.code, error.detail], ["CURSOR_TRUNCATED", {
    cursorId: slow.id,
    nextSequence: 1,
    oldestSequence: oldest,
    latestSequence: latest,
  }]);
  const [told, ...more] = await eventsOf("cursor-truncated", events);
  assert(told?.type === "cursor-truncated");
  assertEquals([told.cursorId, told.name, told.nextSequence, more.length], [slow.id, "slow", 1, 0]);
  await commits(manifest, 200);
  assertEquals((await eventsOf("cursor-truncated", events)).length, 1, "told once");
  await manifest.close();
  manifest = await medium.open({ onEvent: (event) => events.push(event) });
  const now = manifest.stats().changes.oldest;
  assertEquals(await codeOf(() => manifest.fetchChangePage(slow.id)), "CURSOR_TRUNCATED");
  assertEquals((await manifest.acknowledgeChanges(slow.id, now)).nextSequence, now);
  assertEquals((await manifest.fetchChangePage(slow.id, 1)).changes[0]!.sequence, now);
  assertEquals((await eventsOf("cursor-truncated", events)).length, 1);
  await manifest.acknowledgeChanges(slow.id, 1065);
  await manifest.acknowledgeChanges(fast.id, 1065);
  await commits(manifest, 400);
  await manifest.acknowledgeChanges(fast.id, 1465);
  await commits(manifest, 64);
  assertEquals((await eventsOf("cursor-truncated", events)).length, 2, "told again when it loses again");
  await manifest.close();
});

test("maxLag: registering again changes it, Infinity takes it away, nothing leaves it", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const { id } = await manifest.registerChangeCursor("a");
  assertEquals((await manifest.registerChangeCursor("a", { maxLag: 50 })).maxLag, 50);
  assertEquals((await manifest.registerChangeCursor("a")).maxLag, 50);
  await manifest.close();
  manifest = await medium.open();
  assertEquals([manifest.get(cursors, id)?.maxLag, manifest.listChangeCursors()[0]?.maxLag], [50, 50]);
  await commits(manifest, 300);
  assert(manifest.stats().changes.oldest > 150);
  await manifest.acknowledgeChanges(id, 301);
  assertEquals((await manifest.registerChangeCursor("a", { maxLag: Infinity })).maxLag, undefined);
  await commits(manifest, 300);
  assertEquals(manifest.stats().changes.oldest, 301);
  for (const maxLag of [0, -1, 1.5, NaN, "5"]) {
    assertEquals(await codeOf(() => manifest.registerChangeCursor("b", { maxLag: maxLag as number })), "INVALID_ARGUMENT");
  }
  await manifest.close();
});

test("lagWarning: a cursor that falls behind is told once, and again only after it has caught up", async () => {
  const events: ManifestEvent[] = [];
  const manifest = await new Medium().open({ lagWarning: 100, onEvent: (event) => events.push(event) });
  const { id } = await manifest.registerChangeCursor("a");
  const lagging = async (): Promise<number> => (await eventsOf("cursor-lagging", events)).length;
  await commits(manifest, 100);
  assertEquals(await lagging(), 0);
  await commits(manifest, 1);
  const [told] = await eventsOf("cursor-lagging", events);
  assertEquals(told, { type: "cursor-lagging", cursorId: id, name: "a", nextSequence: 1, latestSequence: 101, lag: 101 });
  await commits(manifest, 300);
  assertEquals(await lagging(), 1);
  await manifest.acknowledgeChanges(id, 352);
  await commits(manifest, 200);
  assertEquals(await lagging(), 1 + 1, "it had come within half of it");
  await manifest.acknowledgeChanges(id, 520);
  await commits(manifest, 10);
  await manifest.acknowledgeChanges(id, 521);
  await commits(manifest, 200);
  assertEquals(await lagging(), 2, "it had not caught up");
  await manifest.acknowledgeChanges(id, 771);
  await commits(manifest, 150);
  assertEquals(await lagging(), 3);
  await manifest.close();
});

test("acknowledge: moves a cursor in the commit of the transaction, is in no change, and alone makes none", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 5);
  let woken = false;
  void manifest.waitForChange(5).then(() => woken = true, () => {});
  const alone = await manifest.begin().acknowledge(id, 3).commit();
  assertEquals([alone.sequence, manifest.latestChangeSequence(), manifest.stats().changes.oldest, woken], [0, 5, 3, false]);
  assertEquals((await manifest.resolve(alone.commitId)).state, "applied");
  const both = await manifest.begin({ origin: "me" }).put(table, 9, { name: "x" }).acknowledge(id, 5).commit();
  assertEquals(both.sequence, 6);
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.listChangeCursors().map(({ nextSequence }) => nextSequence), [5]);
  const { changes } = await manifest.fetchChangePage(id);
  assertEquals(changes.map(({ sequence }) => sequence), [5, 6]);
  assertEquals(changes[1]!.operations.map(({ op }) => op), ["put"]);
  const back = await manifest.begin().acknowledge(id, 2).commit();
  assertEquals([back.sequence, manifest.listChangeCursors()[0]!.nextSequence], [0, 5]);
  await manifest.begin().acknowledge(id, 6).acknowledge(id, 7).acknowledge(id, 6).commit();
  assertEquals(manifest.listChangeCursors()[0]!.nextSequence, 7);
  await manifest.close();
});

test("acknowledge: an unknown cursor, or one beyond the newest change, applies nothing of its transaction", async () => {
  const manifest = await new Medium().open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 2);
  const unknown = await errorOf(() => manifest.begin().put(table, 77, { name: "no" }).acknowledge(99, 1).commit());
  assertEquals([unknown.code, unknown.detail.index, unknown.detail.operation, unknown.detail.cursorId], [
    "CURSOR_UNKNOWN",
    1,
    "acknowledge",
    99,
  ]);
  const beyond = await errorOf(() => manifest.begin().put(table, 77, { name: "no" }).acknowledge(id, 4).commit());
  assertEquals([beyond.code, beyond.detail.field, beyond instanceof RangeError, beyond.detail.index], [
    "INVALID_ARGUMENT",
    "nextSequence",
    true,
    1,
  ]);
  for (const bad of [-1, 0.5, NaN, "1"]) {
    assertEquals(await codeOf(() => manifest.begin().acknowledge(id, bad as number)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.begin().acknowledge(bad as number, 1)), "INVALID_ARGUMENT");
  }
  assertEquals([manifest.has(table, 77), manifest.listChangeCursors()[0]!.nextSequence], [false, 1]);
  await manifest.begin().acknowledge(id, 3).put(table, 77, { name: "yes" }).commit();
  assertEquals([manifest.has(table, 77), manifest.listChangeCursors()[0]!.nextSequence], [true, 3]);
  await manifest.close();
});

test("acknowledge: transactions that fail behind their staging leave the cursor where it was", async () => {
  const manifest = await new Medium().open({ maxTransactionBytes: 4096 });
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 20);
  for (let next = 2; next <= 20; next++) {
    const long = manifest.begin().acknowledge(id, 21).put(table, 1, { name: "x".repeat(10_000) }).commit();
    const good = manifest.acknowledgeChanges(id, next);
    assertEquals(await codeOf(() => long), "LIMIT");
    assertEquals((await good).nextSequence, next);
    assertEquals(manifest.stats().changes.oldest, next, "what the failed one would have released is still there");
  }
  await manifest.close();
});

test("acknowledge: a group that could not be written leaves cursors and log where they were", async () => {
  let failing = false;
  class Filling extends WrappedStorage {
    override write(at: number, from: Uint8Array): void {
      if (failing) {
        failing = false; // the group can be erased
        throw new ManifestError("NO_SPACE", "Cannot write: the medium is full");
      }
      super.write(at, from);
    }
  }
  const file = new MemoryFile();
  let manifest = await Manifest.open(new Filling(new MemoryStorage(file)), { create: true, idleCheckpoint: 0 });
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 10);
  for (let next = 2; next <= 9; next++) {
    // The group is refused and erased: nothing of it was applied, whatever the index in memory had seen of it.
    const attempt = Promise.allSettled([manifest.acknowledgeChanges(id, 10), manifest.begin().acknowledge(id, 10).commit()]);
    failing = true;
    const outcomes = await attempt;
    assert(outcomes.every(({ status }) => status === "rejected"), JSON.stringify(outcomes));
    assertEquals((await manifest.acknowledgeChanges(id, next)).nextSequence, next);
    assertEquals(manifest.stats().changes.oldest, next);
  }
  await manifest.close();
  manifest = await Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0 });
  assertEquals(manifest.listChangeCursors()[0]!.nextSequence, 9);
  await manifest.close();
});

test("acknowledge: in a batch beyond the journal, which is applied later than it is staged, the cursor never goes back", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 10);
  for (let round = 0; round < 4; round++) {
    const large = manifest.begin().put(table, 1, { name: "x".repeat(2_000_000) }).acknowledge(id, 7 + round).commit();
    await Promise.all([large, manifest.begin().acknowledge(id, 3 + round).commit()]);
    assertEquals([manifest.listChangeCursors()[0]!.nextSequence, manifest.stats().changes.oldest], [7 + round, 7 + round]);
    assertEquals((await manifest.acknowledgeChanges(id, 5 + round)).nextSequence, 7 + round);
  }
  await manifest.close();
  manifest = await medium.open();
  assertEquals(manifest.listChangeCursors()[0]!.nextSequence, 10);
  await manifest.close();
});

test("acknowledge: in a read-write transaction it is seen by its own reads, goes with a savepoint, and is kept with the result", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 6);
  const { receipt } = await manifest.transact((txn) => {
    txn.acknowledge(id, 3);
    assertEquals(txn.get(cursors, id)?.next, 3);
    const before = txn.savepoint();
    txn.acknowledge(id, 7).put(table, 99, { name: "gone" });
    assertEquals(txn.get(cursors, id)?.next, 7);
    txn.rollbackTo(before);
    txn.acknowledge(id, 2);
    assertEquals([txn.get(cursors, id)?.next, txn.has(table, 99)], [3, false]);
  });
  assertEquals([receipt.sequence, manifest.latestChangeSequence(), manifest.stats().changes.oldest], [0, 6, 3]);
  await manifest.transact((txn) => void txn.put(table, 99, { name: "kept" }).acknowledge(id, 5));
  assertEquals(
    await codeOf(() => manifest.transact((txn) => void txn.put(table, 98, { name: "no" }).acknowledge(id, 9))),
    "INVALID_ARGUMENT",
  );
  assertEquals(await codeOf(() => manifest.transact((txn) => txn.count(changeLog))), "INVALID_ARGUMENT");
  await manifest.close();
  manifest = await medium.open();
  assertEquals([manifest.listChangeCursors()[0]!.nextSequence, manifest.has(table, 99), manifest.has(table, 98)], [5, true, false]);
  assertEquals((await manifest.fetchChangePage(id)).changes.map(({ sequence }) => sequence), [5, 6, 7]);
  await manifest.close();
});

test("sequence: goes on behind a log that an acknowledging transaction has emptied, also after opening again", async () => {
  const medium = new Medium();
  for (let round = 0; round < 3; round++) {
    const manifest = await medium.open();
    const { id } = await manifest.registerChangeCursor("a");
    await commits(manifest, 4);
    await manifest.begin().acknowledge(id, round * 4 + 5).commit();
    assertEquals(manifest.stats().changes, { latest: round * 4 + 4, oldest: round * 4 + 5 });
    assertEquals((await manifest.fetchChangePage(id)).changes, []);
    await manifest.close();
  }
});
