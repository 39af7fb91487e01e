// The cache of recent change records: hits, eviction, sharing, truncation, observers that come back.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Change, ChangeCache, type ChangeCacheKey, changeLog, defineTable, Manifest, text, u53 } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { name: text() } });

async function commits(manifest: Manifest, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await manifest.begin().put(table, i, { name: `n${i}` }).commit();
}

function change(sequence: number): Change {
  return { sequence, commitId: "", committedAt: 0, generations: {}, operations: [] };
}

test("changeCache: the second fetch of a page is hits only, and gives the same as a handle without a cache", async () => {
  const medium = new Medium();
  const changeCache = new ChangeCache();
  let manifest = await medium.open({ changeCache });
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 60);
  const first = await manifest.fetchChangePage(id, 50);
  assertEquals([changeCache.metrics.hits, changeCache.metrics.misses, changeCache.metrics.insertions], [0, 50, 50]);
  const second = await manifest.fetchChangePage(id, 50);
  assertEquals([changeCache.metrics.hits, changeCache.metrics.misses], [50, 50]);
  assertEquals(second, first);
  assert(second.changes.every((one, i) => one === first.changes[i]));
  const third = await manifest.fetchChangePage(id, 60);
  assertEquals([changeCache.metrics.hits, changeCache.metrics.misses, third.changes.length], [100, 60, 60]);
  for await (const _ of manifest.changes());
  assertEquals([changeCache.metrics.hits, changeCache.metrics.misses], [160, 60]);
  assertEquals(manifest.diagnostics().changeCache, changeCache.metrics);
  await manifest.close();
  manifest = await medium.open({ changeCache: false });
  assertEquals((await manifest.fetchChangePage(id, 60)).changes, third.changes);
  assertEquals(manifest.diagnostics().changeCache, undefined);
  await manifest.close();
  const other = await medium.open({ readOnly: true });
  assertEquals((await other.fetchChangePage(id, 60)).changes, third.changes);
  await other.close();
});

test("changeCache: what is handed out is frozen, but for bytes", async () => {
  const manifest = await new Medium().open();
  await manifest.begin({ origin: "o" }).putDb(1, { name: "a", options: { labels: ["l"] } }).bumpGeneration(1).commit();
  for await (const one of manifest.changes()) {
    assertThrows(() => (one as { sequence: number }).sequence = 9, TypeError);
    assertThrows(() => (one.operations as unknown[]).push(1), TypeError);
    const [operation] = one.operations;
    assert(operation?.op === "putDb");
    assertThrows(() => (operation as { op: string }).op = "x", TypeError);
    assertThrows(() => (operation.value as { name: string }).name = "x", TypeError);
    assertThrows(() => (operation.key as unknown as number[])[0] = 2, TypeError);
    assertThrows(() => (one.generations as Record<number, number>)[1] = 2, TypeError);
    assertThrows(() => (operation.value.options as { compression: string }).compression = "zstd", TypeError);
    assertThrows(() => operation.value.options.labels!.push("x"), TypeError);
  }
  await manifest.close();
});

test("changeCache: truncation takes entries out, and a dropped table all of the file", async () => {
  const changeCache = new ChangeCache();
  const manifest = await new Medium().open({ changeCache });
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 40);
  await manifest.fetchChangePage(id);
  await manifest.acknowledgeChanges(id, 31);
  await manifest.begin().put(table, 1, { name: "more" }).commit();
  assertEquals([changeCache.metrics.entries, changeCache.metrics.evictions], [10, 30]);
  assertEquals((await manifest.fetchChangePage(id)).changes.map(({ sequence }) => sequence), Array.from({ length: 11 }, (_, i) => 31 + i));
  await manifest.dropTable(table);
  assertEquals([changeCache.metrics.entries, changeCache.metrics.bytes], [0, 0]);
  const { changes } = await manifest.fetchChangePage(id);
  assert(changes.every(({ operations }) => operations[0]!.op === "unreadable"), "as decoding now gives it");
  await manifest.close();
});

test("changeCache: manifests share one, by file or by the name that they give it; another file's changes are not theirs", async () => {
  const changeCache = new ChangeCache();
  const [one, two] = [new Medium(), new Medium()];
  const writer = await one.open({ changeCache });
  await commits(writer, 5);
  for await (const _ of writer.changes());
  const reader = await one.open({ readOnly: true, changeCache });
  const { misses } = changeCache.metrics;
  for await (const _ of reader.changes());
  assertEquals([changeCache.metrics.misses, changeCache.metrics.hits], [misses, 5]);
  const other = await two.open({ changeCache });
  await other.begin().putDb(7, { name: "other" }).commit();
  for await (const { operations } of other.changes()) assertEquals(operations[0]!.op, "putDb");
  const named = await one.open({ readOnly: true, changeCache, changeCacheId: "mine" });
  for await (const _ of named.changes());
  assertEquals([changeCache.metrics.misses, changeCache.metrics.entries], [misses + 1 + 5, 11]);
  for (const manifest of [reader, named, writer, other]) await manifest.close();
});

test("changeCache: entries behind the end that a file is opened with are not used", async () => {
  const changeCache = new ChangeCache();
  const medium = new Medium();
  let manifest = await medium.open({ changeCache });
  await commits(manifest, 3);
  await manifest.checkpoint();
  const bytes = medium.file.bytes();
  await commits(manifest, 3);
  for await (const _ of manifest.changes());
  await manifest.close();
  manifest = await Manifest.open(new MemoryStorage(bytes), { changeCache, idleCheckpoint: 0 });
  assertEquals(changeCache.metrics.entries, 3);
  await manifest.begin().putDb(1, { name: "another fourth" }).commit();
  const ops: string[] = [];
  for await (const { operations } of manifest.changes()) ops.push(operations[0]!.op);
  assertEquals(ops, ["put", "put", "put", "putDb"]);
  await manifest.close();
});

test("ChangeCache: bytes stay within the capacity; entries looked up since are passed over once", () => {
  const evicted: number[] = [];
  const cache = new ChangeCache({ capacityBytes: 100, observer: { onEvict: ({ sequence }) => evicted.push(sequence) } });
  for (let i = 1; i <= 10; i++) cache.insert("f", change(i), 10);
  assertEquals(cache.metrics.bytes, 100);
  assert(cache.get("f", 1) && cache.get("f", 3));
  cache.insert("f", change(11), 10);
  cache.insert("f", change(12), 10);
  cache.insert("f", change(13), 10);
  assertEquals(evicted, [2, 4, 5]);
  cache.insert("f", change(14), 60);
  assertEquals(evicted, [2, 4, 5, 6, 7, 8, 9, 10, 1]);
  assertEquals([cache.metrics.bytes, cache.has("f", 3), cache.has("f", 14)], [100, true, true]);
  cache.insert("f", change(15), 101);
  assertEquals([cache.has("f", 15), cache.metrics.bytes], [false, 100]);
  cache.insert("f", change(14), 20);
  assertEquals([cache.metrics.bytes, cache.metrics.entries], [60, 5]);
  cache.clear();
  assertEquals([cache.metrics.bytes, cache.metrics.entries], [0, 0]);
  const none = new ChangeCache({ capacityBytes: 0 });
  none.insert("f", change(1), 1);
  assertEquals(none.metrics.entries, 0);
  for (const capacityBytes of [-1, 1.5, NaN, "1"]) {
    assertThrows(() => new ChangeCache({ capacityBytes: capacityBytes as number }), capacityBytes === "1" ? TypeError : RangeError);
  }
});

test("ChangeCache: metrics and observer agree with a model over any calls", () => {
  const seed = 33;
  const random = seeded(seed);
  const held = new Map<string, number>();
  const name = ({ id, sequence }: ChangeCacheKey): string => `${id}/${sequence}`;
  let hits = 0, misses = 0;
  const cache = new ChangeCache({
    capacityBytes: 5000,
    observer: {
      onHit: () => hits++,
      onMiss: () => misses++,
      onInsert: (key, bytes) => held.set(name(key), bytes),
      onEvict: (key, bytes) => {
        assertEquals(held.get(name(key)), bytes, `seed ${seed}`);
        held.delete(name(key));
      },
    },
  });
  for (let step = 0; step < 30_000; step++) {
    const id = random.pick(["a", "b", 3]);
    const sequence = random.between(1, 300);
    const dice = random.float();
    if (dice < 0.5) assertEquals(cache.get(id, sequence) !== undefined, held.has(name({ id, sequence })), `seed ${seed}, step ${step}`);
    else if (dice < 0.97) cache.insert(id, change(sequence), random.between(1, 200));
    else if (dice < 0.995) cache.drop(id, sequence, random.chance(0.5) ? sequence + random.int(50) : Infinity);
    else cache.clear(random.chance(0.9) ? id : undefined);
    const { bytes, entries } = cache.metrics;
    assertEquals(entries, held.size, `seed ${seed}, step ${step}`);
    assertEquals(bytes, [...held.values()].reduce((sum, one) => sum + one, 0), `seed ${seed}, step ${step}`);
    assert(bytes <= 5000);
  }
  assertEquals([cache.metrics.hits, cache.metrics.misses], [hits, misses]);
  assert(hits > 300 && misses > 1000, `${hits} hits, ${misses} misses`);
});

test("observer: it may use the cache and the manifest inside every call, and gets its calls one behind the other", async () => {
  const heard: string[] = [];
  let inside = 0;
  let left = 40;
  const call = (what: string, key: ChangeCacheKey): void => {
    assertEquals(inside++, 0, "never inside another call");
    heard.push(what);
    if (left-- > 0) {
      cache.get(key.id, key.sequence);
      cache.get(key.id, 100_000);
      const known = manifest.getChange(key.sequence);
      if (known !== undefined) cache.insert(key.id, known, 50);
      assertEquals(manifest.count(changeLog), 30);
      cursor = manifest.stats().cursors.length;
    }
    inside--;
  };
  let cursor = -1;
  const cache = new ChangeCache({
    capacityBytes: 2000,
    observer: {
      onHit: (key) => call("hit", key),
      onMiss: (key) => call("miss", key),
      onInsert: (key) => call("insert", key),
      onEvict: (key) => call("evict", key),
    },
  });
  const manifest = await Manifest.open(new MemoryStorage(), { create: true, idleCheckpoint: 0, changeCache: cache });
  const { id } = await manifest.registerChangeCursor("a");
  left = 0;
  await commits(manifest, 30);
  left = 40;
  for (let round = 0; round < 3; round++) {
    const { changes } = await manifest.fetchChangePage(id);
    assertEquals(changes.map(({ sequence }) => sequence), Array.from({ length: 30 }, (_, i) => i + 1));
    assertEquals(
      changes.map(({ operations }) => operations[0]!.op === "put" && operations[0].key[0]),
      Array.from({ length: 30 }, (_, i) => i),
    );
  }
  assertEquals(cursor, 1);
  for (const what of ["hit", "miss", "insert", "evict"]) assert(heard.includes(what), what);
  await manifest.close();
});

test("changeCache: options are checked before a file is touched", async () => {
  const storage = new MemoryStorage();
  for (const changeCache of [true, {}, 5]) {
    assertEquals(await codeOf(() => Manifest.open(storage, { create: true, changeCache: changeCache as never })), "INVALID_ARGUMENT");
  }
  assertEquals(await codeOf(() => Manifest.open(storage, { create: true, changeCacheId: {} as never })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open(storage, { create: true, lagWarning: 0 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open(storage, { create: true, pollMs: -1 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => Manifest.open(storage, { create: true, onEvent: 5 as never })), "INVALID_ARGUMENT");
  assertEquals(storage.size(), 0);
});
