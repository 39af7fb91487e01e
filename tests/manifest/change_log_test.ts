// The change log and its cursors: order, pages, acknowledgement, truncation, retention, gaps.
import { assert, assertEquals } from "@std/assert";
import { bytes, type Change, defineTable, type Manifest, optional, text, u53 } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { name: text() } });

async function commits(manifest: Manifest, count: number, from = 1): Promise<void> {
  for (let i = from; i < from + count; i++) await manifest.begin().put(table, i, { name: `n${i}` }).commit();
}

function sequences(changes: readonly Change[]): number[] {
  return changes.map(({ sequence }) => sequence);
}

test("fetchChangePage: commits are changes 1, 2, … in order, with commit id, time, origin and decoded operations", async () => {
  const manifest = await new Medium().open();
  const receipts = [
    await manifest.begin({ origin: "here" }).putDb(1, { name: "a", createdAt: 3 }).upsertChunk([1, 2], { fileName: "f" }).commit(),
    await manifest.begin().put(table, 5, { name: "x" }).delete(table, 6).commit(),
    await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 2 }] }).commit(),
    await manifest.begin().dropSnapshot([1, 1]).deleteChunk([1, 2]).deleteDb(1).commit(),
  ];
  assertEquals(receipts.map(({ sequence }) => sequence), [1, 2, 3, 4]);
  const cursor = await manifest.registerChangeCursor("a");
  assertEquals([cursor.id, cursor.nextSequence, cursor.oldestSequence, cursor.latestSequence], [1, 1, 1, 4]);
  const page = await manifest.fetchChangePage(cursor.id, 3);
  assertEquals([page.cursorId, page.nextSequence, page.latestSequence, page.oldestSequence], [1, 4, 4, 1]);
  assertEquals(sequences(page.changes), [1, 2, 3]);
  assertEquals(page.changes.map(({ commitId }) => commitId), receipts.slice(0, 3).map(({ commitId }) => commitId));
  assertEquals(page.changes.map(({ origin }) => origin), ["here", undefined, undefined]);
  assert(page.changes.every(({ committedAt }) => committedAt > 1_600_000_000_000));
  assertEquals(page.changes[0]!.operations.map(({ op }) => op), ["putDb", "upsertChunk"]);
  assertEquals(page.changes[1]!.operations, [
    { op: "put", table: "t", key: [5], value: { name: "x" } },
    { op: "delete", table: "t", key: [6] },
  ]);
  const [published] = page.changes[2]!.operations;
  assert(published!.op === "publishSnapshot");
  assertEquals(published.value.chunks, [{ chunkId: 2, originDb: 1, generation: 0 }]);
  const rest = await manifest.acknowledgeChanges(cursor.id, page.nextSequence).then(() => manifest.fetchChangePage(cursor.id, 100));
  assertEquals(rest.changes[0]!.operations, [
    { op: "dropSnapshot", table: "snapshot_index", key: [1, 1] },
    { op: "deleteChunk", table: "chunk_catalog", key: [1, 2] },
    { op: "deleteDb", table: "db", key: [1] },
  ]);
  await manifest.close();
});

test("fetchChangePage: a definition without the newest fields, used on an older state, does not keep changes from being read", async () => {
  const first = defineTable({ name: "t", key: [u53("id")], value: { a: text(), b: optional(u53()) } });
  const second = defineTable({ name: "t", key: [u53("id")], value: { a: text(), b: optional(u53()), c: optional(u53()) } });
  const manifest = await new Medium().open();
  const cursor = await manifest.registerChangeCursor("a");
  await manifest.begin().put(first, 1, { a: "x" }).commit();
  const view = manifest.read();
  await manifest.begin().put(second, 2, { a: "y", c: 7 }).commit();
  assertEquals(view.get(first, [1]), { a: "x" });
  view.close();
  const { changes } = await manifest.fetchChangePage(cursor.id);
  assertEquals(changes.flatMap(({ operations }) => operations), [
    { op: "put", table: "t", key: [1], value: { a: "x" } },
    { op: "put", table: "t", key: [2], value: { a: "y", c: 7 } },
  ]);
  await manifest.close();
});

test("commit: without operations there is no sequence and no record; bookkeeping makes no change", async () => {
  const manifest = await new Medium().open();
  const empty = await manifest.begin().commit();
  assertEquals([empty.sequence, empty.commitId.length], [0, 32]);
  const cursor = await manifest.registerChangeCursor("a");
  await manifest.createTable(table);
  assertEquals(manifest.latestChangeSequence(), 0);
  await commits(manifest, 1);
  await manifest.acknowledgeChanges(cursor.id, 2);
  await manifest.unregisterChangeCursor(cursor.id);
  assertEquals(manifest.latestChangeSequence(), 1);
  await manifest.close();
});

test("acknowledgeChanges: everything before the sequence is done; back is nothing; beyond the newest is an error", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 5);
  assertEquals((await manifest.acknowledgeChanges(id, 3)).nextSequence, 3);
  assertEquals((await manifest.acknowledgeChanges(id, 2)).nextSequence, 3);
  assertEquals((await manifest.acknowledgeChanges(id, 0)).nextSequence, 3);
  const beyond = await errorOf(() => manifest.acknowledgeChanges(id, 7));
  assertEquals([beyond.code, beyond.detail.field, beyond instanceof RangeError], ["INVALID_ARGUMENT", "nextSequence", true]);
  for (const bad of [1.5, -1, NaN, 2 ** 53]) assertEquals(await codeOf(() => manifest.acknowledgeChanges(id, bad)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.acknowledgeChanges(id, "3" as never)), "INVALID_ARGUMENT");
  assertEquals(sequences((await manifest.fetchChangePage(id)).changes), [3, 4, 5]);
  await manifest.close();
  manifest = await medium.open();
  assertEquals(sequences((await manifest.fetchChangePage(id, 2)).changes), [3, 4]);
  assertEquals((await manifest.acknowledgeChanges(id, 6)).nextSequence, 6);
  assertEquals((await manifest.fetchChangePage(id)).changes, []);
  assertEquals((await manifest.fetchChangePage(id)).nextSequence, 6);
  await manifest.close();
});

test("acknowledgeChanges: a commit between fetch and acknowledge is not skipped", async () => {
  const manifest = await new Medium().open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 3);
  const page = await manifest.fetchChangePage(id);
  await commits(manifest, 2, 4);
  await manifest.acknowledgeChanges(id, page.nextSequence);
  assertEquals(sequences((await manifest.fetchChangePage(id)).changes), [4, 5]);
  await manifest.close();
});

test("registerChangeCursor: an existing name is returned where it stands; start counts for new ones; ids are not used again", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 4);
  const [a, again] = await Promise.all([
    manifest.registerChangeCursor("a", { start: 2 }),
    manifest.registerChangeCursor("a", { start: "latest" }),
  ]);
  assertEquals([a.id, a.nextSequence, again.id, again.nextSequence], [1, 2, 1, 2]);
  assertEquals((await manifest.registerChangeCursor("b", { start: "latest" })).nextSequence, 5);
  assertEquals((await manifest.registerChangeCursor("c", { start: 1000 })).nextSequence, 5);
  assertEquals((await manifest.registerChangeCursor("d", { start: "oldest" })).nextSequence, 1);
  await manifest.unregisterChangeCursor(4);
  await manifest.close();
  manifest = await medium.open();
  const e = await manifest.registerChangeCursor("d");
  assertEquals([e.id, e.nextSequence], [5, 2]);
  assertEquals(manifest.listChangeCursors().map(({ id, name }) => [id, name]), [[1, "a"], [2, "b"], [3, "c"], [5, "d"]]);
  assertEquals(manifest.stats().cursors.map(({ name, lag }) => [name, lag]), [["a", 3], ["b", 0], ["c", 0], ["d", 3]]);
  for (const bad of ["", 5, "x".repeat(300)]) {
    assertEquals(await codeOf(() => manifest.registerChangeCursor(bad as string)), "INVALID_ARGUMENT");
  }
  assertEquals(await codeOf(() => manifest.registerChangeCursor("z", { start: -1 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.registerChangeCursor("z", { start: "first" as never })), "INVALID_ARGUMENT");
  await manifest.close();
});

test("truncation: the slowest cursor decides; unregistering it releases the log", async () => {
  const manifest = await new Medium().open();
  const slow = await manifest.registerChangeCursor("slow");
  const fast = await manifest.registerChangeCursor("fast");
  await commits(manifest, 20);
  await manifest.acknowledgeChanges(fast.id, 21);
  assertEquals(manifest.stats().changes, { latest: 20, oldest: 1 });
  await manifest.acknowledgeChanges(slow.id, 8);
  assertEquals(manifest.stats().changes, { latest: 20, oldest: 8 });
  await manifest.unregisterChangeCursor(slow.id);
  assertEquals(manifest.stats().changes, { latest: 20, oldest: 21 });
  assertEquals(await codeOf(() => manifest.fetchChangePage(slow.id)), "CURSOR_UNKNOWN");
  assertEquals(await codeOf(() => manifest.acknowledgeChanges(slow.id, 9)), "CURSOR_UNKNOWN");
  assertEquals(await codeOf(() => manifest.unregisterChangeCursor(slow.id)), "CURSOR_UNKNOWN");
  await manifest.close();
});

test("sequence: goes on after the log was truncated completely and the file opened again", async () => {
  const medium = new Medium();
  for (let round = 0; round < 4; round++) {
    const manifest = await medium.open();
    const { id, nextSequence } = await manifest.registerChangeCursor("a");
    assertEquals(nextSequence, round * 3 + 1);
    await commits(manifest, 3);
    assertEquals(sequences((await manifest.fetchChangePage(id)).changes), [1, 2, 3].map((n) => round * 3 + n));
    await manifest.acknowledgeChanges(id, round * 3 + 4);
    assertEquals(manifest.stats().changes.oldest, round * 3 + 4);
    await manifest.close();
  }
});

test("truncation: more than one commit deletes is deleted by the commits that follow", async () => {
  const manifest = await new Medium().open();
  const { id } = await manifest.registerChangeCursor("a");
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < 10_000; i++) all.push(manifest.begin().put(table, i % 50, { name: "n" }).commit());
  await Promise.all(all);
  await manifest.acknowledgeChanges(id, 10_001);
  const { oldest } = manifest.stats().changes;
  assert(oldest > 1 && oldest < 10_001, `oldest ${oldest}`);
  await commits(manifest, 300);
  assert(manifest.stats().changes.oldest >= 10_001);
  assertEquals((await manifest.fetchChangePage(id, 1)).changes[0]!.sequence, 10_001);
  await manifest.close();
});

test("retention: without cursors the newest changes are kept, by number", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  for (let i = 0; i < 1500; i++) void manifest.begin().put(table, i % 20, { name: "n" }).commit();
  await manifest.sync();
  const first = manifest.stats().changes;
  assertEquals(first.latest, 1500);
  assert(first.oldest <= 477 && first.oldest > 477 - 64 - 1, `oldest ${first.oldest}`);
  await manifest.close();
  manifest = await medium.open({ logRetention: { changes: 10 } });
  await commits(manifest, 200);
  const second = manifest.stats().changes;
  assert(second.latest - second.oldest + 1 >= 10 && second.latest - second.oldest + 1 <= 10 + 64, JSON.stringify(second));
  await manifest.close();
});

test("retention: without cursors the newest changes are kept, by bytes", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  const name = "x".repeat(50_000);
  for (let i = 0; i < 100; i++) await manifest.begin().put(table, i % 3, { name }).commit();
  const { latest, oldest } = manifest.stats().changes;
  const kept = latest - oldest + 1;
  assert(kept >= 20 && kept <= 24, `${kept} changes of 50,000 bytes are kept`);
  await manifest.begin().put(table, 1, { name: "y".repeat(3_000_000) }).commit();
  await commits(manifest, 70);
  assert(manifest.stats().changes.oldest > latest, "a change beyond the limit goes when newer ones come");
  await manifest.close();
});

test("retention: a cursor that registers keeps what is there, and the last one that goes gives it free", async () => {
  const manifest = await new Medium().open({ logRetention: { changes: 5 } });
  await commits(manifest, 100);
  const { id, nextSequence } = await manifest.registerChangeCursor("a");
  await commits(manifest, 400);
  assertEquals(manifest.stats().changes.oldest, nextSequence);
  assertEquals((await manifest.fetchChangePage(id, 1000)).changes.length, 500 - nextSequence + 1);
  await manifest.unregisterChangeCursor(id);
  await commits(manifest, 70);
  assert(manifest.stats().changes.oldest > 490);
  await manifest.close();
});

test("registerChangeCursor: a start that is no longer kept is a gap, said once", async () => {
  const manifest = await new Medium().open({ logRetention: { changes: 5 } });
  await commits(manifest, 200);
  const { oldest } = manifest.stats().changes;
  const cursor = await manifest.registerChangeCursor("a", { start: 3 });
  assertEquals(cursor.gap, { first: 3, last: oldest - 1 });
  assertEquals(cursor.nextSequence, oldest);
  assertEquals((await manifest.registerChangeCursor("b", { start: oldest })).gap, undefined);
  assertEquals((await manifest.registerChangeCursor("a", { start: 3 })).gap, undefined);
  await manifest.close();
});

test("fetchChangePage: of a table that was dropped, the bytes are delivered", async () => {
  const manifest = await new Medium().open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 2);
  await manifest.begin().delete(table, 1).deleteRange(table, { gte: [2] }).commit();
  await manifest.dropTable(table);
  await manifest.begin().put(table, 9, { name: "again" }).commit();
  const { changes } = await manifest.fetchChangePage(id);
  assertEquals(changes.map(({ operations }) => operations.map((one) => one.op === "unreadable" ? one.effect : one.op)), [
    ["put"],
    ["put"],
    ["delete", "deleteRange"],
    ["put"],
  ]);
  assertEquals(changes[3]!.operations, [{ op: "put", table: "t", key: [9], value: { name: "again" } }]);
  const [first] = changes[0]!.operations;
  assert(first!.op === "unreadable" && first.key.length > 0 && first.value.length > 0);
  await manifest.close();
});

test("fetchChangePage: page sizes are checked; every size delivers the same changes", async () => {
  const manifest = await new Medium().open();
  const { id } = await manifest.registerChangeCursor("a");
  const all: Promise<unknown>[] = [];
  for (let i = 1; i <= 700; i++) all.push(manifest.begin().put(table, i, { name: `n${i}` }).commit());
  await Promise.all(all);
  for (const bad of [0, -1, 1.5, NaN, Infinity]) assertEquals(await codeOf(() => manifest.fetchChangePage(id, bad)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.fetchChangePage("a" as never, 1)), "INVALID_ARGUMENT");
  assertEquals(sequences((await manifest.fetchChangePage(id, 100_000)).changes), Array.from({ length: 700 }, (_, i) => i + 1));
  let seen = 0;
  for (;;) {
    const page = await manifest.fetchChangePage(id, 97);
    if (page.changes.length === 0) break;
    for (const change of page.changes) {
      assertEquals(change.operations, [{ op: "put", table: "t", key: [++seen], value: { name: `n${seen}` } }]);
    }
    await manifest.acknowledgeChanges(id, page.nextSequence);
  }
  assertEquals(seen, 700);
  await manifest.close();
});

test("cursors: consumers at different speeds, dying between fetch and acknowledge, with reopens, miss nothing", async () => {
  const seed = 77;
  const random = seeded(seed);
  const medium = new Medium();
  let manifest = await medium.open();
  const applied = new Map<string, number>();
  const names = Array.from({ length: 12 }, (_, i) => `consumer-${i}`);
  let latest = 0;
  for (let round = 0; round < 150; round++) {
    const batch: Promise<unknown>[] = [];
    for (let i = random.int(12); i > 0; i--, latest++) {
      batch.push(manifest.begin().put(table, latest % 100, { name: `${latest + 1}` }).commit());
    }
    await Promise.all(batch);
    const name = random.pick(names);
    const cursor = await manifest.registerChangeCursor(name);
    let next = applied.get(name) ?? cursor.nextSequence;
    assertEquals(cursor.nextSequence, next, `seed ${seed}`);
    const page = await manifest.fetchChangePage(cursor.id, random.between(1, 60));
    if (random.chance(0.3)) continue; // died: nothing was acknowledged
    for (const change of page.changes) {
      assertEquals(change.sequence, next++);
      assertEquals(change.operations[0], {
        op: "put",
        table: "t",
        key: [(change.sequence - 1) % 100],
        value: { name: `${change.sequence}` },
      });
    }
    await manifest.acknowledgeChanges(cursor.id, page.nextSequence);
    applied.set(name, next);
    if (random.chance(0.05)) {
      await manifest.close();
      manifest = await medium.open();
    }
  }
  const slowest = Math.min(...manifest.listChangeCursors().map(({ nextSequence }) => nextSequence));
  assertEquals(manifest.stats().changes.oldest, slowest);
  await manifest.close();
});

test("fetchChangePage: only durable changes are seen", async () => {
  const manifest = await new Medium().open({ durability: "none" });
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 3);
  assertEquals((await manifest.fetchChangePage(id)).changes, []);
  assertEquals(manifest.latestChangeSequence(), 0);
  assertEquals(await codeOf(() => manifest.acknowledgeChanges(id, 3)), "INVALID_ARGUMENT");
  await manifest.sync();
  assertEquals(sequences((await manifest.fetchChangePage(id)).changes), [1, 2, 3]);
  await manifest.close();
});

test("fetchChangePage: ends behind 8 MiB of records, however few changes they are", async () => {
  const manifest = await new Medium().open();
  const large = defineTable({ name: "large", key: [u53("n")], value: { data: bytes() } });
  const cursor = await manifest.registerChangeCursor("large", { start: "oldest" });
  for (let n = 0; n < 7; n++) await manifest.begin().put(large, [n], { data: new Uint8Array(3 << 20).fill(n) }).commit();
  const lengths: number[] = [];
  for (let next = 0;;) {
    const page = await manifest.fetchChangePage(cursor.id, 100);
    if (page.changes.length === 0) break;
    assert(page.nextSequence > next);
    next = page.nextSequence;
    lengths.push(page.changes.length);
    await manifest.acknowledgeChanges(cursor.id, next);
  }
  assertEquals(lengths, [3, 3, 1]);
  await manifest.close();
});
