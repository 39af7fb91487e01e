// Ranges: bounds, direction, limit, position, forms, and states that stay while they are read.
import { assert, assertEquals } from "@std/assert";
import { bytes, defineTable, type Manifest, type RangeBounds, text, u32, u53 } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { codeOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u32("a"), text("b")], value: { n: u53() } });
const blobs = defineTable({ name: "blobs", key: [u53("id")], value: { data: bytes() } });

type Key = [number, string];

async function filled(): Promise<Manifest> {
  const manifest = await new Medium().open();
  const txn = manifest.begin();
  let n = 0;
  for (let a = 0; a < 6; a++) for (const b of ["", "a", "a/1", "a/2", "ab", "b", "ü"]) txn.put(table, [a, b], { n: n++ });
  await txn.commit();
  return manifest;
}

function compare(x: readonly unknown[], y: readonly unknown[]): number {
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    if (x[i] === y[i]) continue;
    return (x[i] as number) < (y[i] as number) ? -1 : 1;
  }
  return 0; // a part of a key equals all keys that begin with it
}

test("range: bounds are whole keys or their first components, and hold together", async () => {
  const manifest = await filled();
  const all = manifest.keys(table).toArray();
  assertEquals(all.length, 42);
  const bounds: (readonly [] | readonly [number] | Readonly<Key>)[] = [[], [0], [3], [9], [2, "a"], [2, "a/15"], [5, "ü"]];
  for (const bound of bounds) {
    const check = (options: RangeBounds<Key>, keep: (order: number) => boolean): void => {
      const wanted = all.filter((key) => keep(compare(key, bound)));
      assertEquals(manifest.keys(table, options).toArray(), wanted, JSON.stringify(options));
      assertEquals(manifest.keys(table, { ...options, reverse: true }).toArray(), wanted.toReversed(), JSON.stringify(options));
      assertEquals(manifest.count(table, options), wanted.length);
    };
    check({ gt: bound }, (order) => order > 0);
    check({ gte: bound }, (order) => order >= 0);
    check({ lt: bound }, (order) => order < 0);
    check({ lte: bound }, (order) => order <= 0);
    check({ prefix: bound }, (order) => order === 0);
  }
  assertEquals(manifest.keys(table, { startsWith: [1, "a/"] }).toArray(), [[1, "a/1"], [1, "a/2"]]);
  assertEquals(manifest.keys(table, { prefix: [1], gt: [1, "a"], lt: [1, "b"] }).toArray(), [[1, "a/1"], [1, "a/2"], [1, "ab"]]);
  assertEquals(manifest.keys(table, { gt: [3], lt: [2] }).toArray(), []);
  assertEquals(manifest.count(table), 42);
  await manifest.close();
});

test("range: limit, keys, values and bytes show the same rows", async () => {
  const manifest = await filled();
  for (const limit of [0, 1, 5, 41, 42, 43, 1000]) {
    const rows = manifest.range(table, { limit }).toArray();
    assertEquals(rows.length, Math.min(limit, 42));
    assertEquals(manifest.keys(table, { limit }).toArray(), rows.map(([key]) => key));
    assertEquals(manifest.values(table, { limit }).toArray(), rows.map(([, value]) => value));
    assertEquals(manifest.rangeBytes(table, { limit }).toArray().map(([key]) => key), rows.map(([key]) => key));
  }
  const [[key, data]] = manifest.rangeBytes(table, { gte: [2] }).toArray() as [[Key, Uint8Array]];
  assertEquals(data, manifest.getBytes(table, key)!.slice());
  assertEquals(await codeOf(() => manifest.range(table, { limit: -1 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.range(table, { limit: 1.5 })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.range(table, { prefix: ["x"] as never }).toArray()), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.range(table, { after: "x" as never }).toArray()), "INVALID_ARGUMENT");
  await manifest.close();
});

test("range: a position resumes where a range stopped, in both directions and in every form", async () => {
  const manifest = await filled();
  const random = seeded(11);
  for (const reverse of [false, true]) {
    const all = manifest.keys(table, { reverse, gte: [1], lt: [5] }).toArray();
    for (const form of ["range", "keys", "values", "rangeBytes"] as const) {
      const seen: unknown[] = [];
      let after: Uint8Array | undefined;
      for (;;) {
        const stop = random.between(1, 9);
        const rows = manifest[form](table, { reverse, gte: [1], lt: [5], after });
        let count = 0;
        for (const row of rows) {
          seen.push(row);
          if (++count === stop) break;
        }
        if (count === 0) break;
        after = rows.position;
      }
      const keys = form === "keys" ? seen : form === "values" ? undefined : seen.map((row) => (row as [Key])[0]);
      if (keys !== undefined) assertEquals(keys, all);
      assertEquals(seen.length, all.length);
      if (form === "values") assertEquals(seen, all.map((key) => manifest.get(table, key)));
    }
  }
  const whole = manifest.range(table);
  assertEquals(whole.position, undefined);
  whole.toArray();
  assertEquals(manifest.range(table, { after: whole.position }).toArray(), []);
  await manifest.close();
});

test("range: the loop's body may read and write, and the range shows the state of its start", async () => {
  const manifest = await filled();
  let count = 0;
  const waiting: Promise<unknown>[] = [];
  for (const [key, { n }] of manifest.range(table)) {
    count++;
    assertEquals(manifest.get(table, key)?.n, n);
    assertEquals(manifest.keys(table, { gt: key, limit: 1 }).toArray().length, 1);
    waiting.push(manifest.begin().delete(table, key).put(table, [key[0] + 100, key[1]], { n }).commit());
    if (count % 10 === 0) await Promise.all(waiting);
  }
  assertEquals(count, 42);
  await Promise.all(waiting);
  assertEquals(manifest.count(table, { lt: [100] }), 0);
  assertEquals(manifest.count(table), 42);
  assertEquals(manifest.stats().readers.length, 0);
  await manifest.close();
});

test("range: breaking out, throwing and running to the end let the state go", async () => {
  const manifest = await filled();
  for (const _ of manifest.range(table)) break;
  try {
    for (const _ of manifest.range(table)) throw new Error("stop");
  } catch {
    // expected
  }
  manifest.range(table).toArray();
  manifest.range(table, { limit: 3 }).toArray();
  await undefined;
  assertEquals(manifest.stats().readers.length <= 1, true);
  await manifest.close();
});

test("read: a read transaction shows one state until it is closed; then it refuses", async () => {
  const manifest = await filled();
  const view = manifest.read();
  const { sequence } = view;
  await manifest.begin().put(table, [0, ""], { n: 999 }).delete(table, [0, "a"]).commit();
  await manifest.dropTable(table);
  assertEquals(view.sequence, sequence);
  assertEquals(view.get(table, [0, ""])?.n, 0);
  assertEquals(view.has(table, [0, "a"]), true);
  assertEquals(view.count(table), 42);
  assertEquals(view.keys(table).toArray().length, 42);
  const running = view.keys(table)[Symbol.iterator]();
  running.next();
  view.close();
  view.close();
  assert(view.closed);
  assertEquals(await codeOf(() => view.get(table, [0, ""])), "TXN_CLOSED");
  assertEquals(await codeOf(() => view.keys(table).toArray()), "TXN_CLOSED");
  assertEquals(
    await codeOf(() => {
      while (!running.next().done);
    }),
    "TXN_CLOSED",
  );
  assertEquals(await codeOf(() => manifest.get(table, [0, ""])), "TABLE_UNKNOWN");
  await manifest.close();
});

test("range: values beyond a page are delivered in every form", async () => {
  const manifest = await new Medium().open({ cacheBytes: 1 << 20 });
  const random = seeded(5);
  const sizes = [0, 1, 100, 900, 1500, 4096, 5000, 70_000, 300_000, 10, 3_000_000, 20];
  const data = sizes.map((size) => random.bytes(size));
  const txn = manifest.begin();
  data.forEach((one, id) => txn.put(blobs, id, { data: one }));
  await txn.commit();
  assertEquals(manifest.range(blobs).toArray(), data.map((one, id) => [[id], { data: one }]));
  assertEquals(manifest.values(blobs, { reverse: true }).toArray(), data.map((one) => ({ data: one })).toReversed());
  const raw = manifest.rangeBytes(blobs).toArray();
  data.forEach((one, id) => assertEquals(raw[id]![1].subarray(raw[id]![1].length - one.length), one));
  data.forEach((one, id) => assertEquals(manifest.get(blobs, id)?.data, one));
  assertEquals(manifest.getBytes(blobs, 7)!.slice(), raw[7]![1]);
  const cursor = await manifest.registerChangeCursor("c");
  const { changes } = await manifest.fetchChangePage(cursor.id);
  assertEquals(changes[0]!.operations.length, sizes.length);
  assertEquals(changes[0]!.operations[10], { op: "put", table: "blobs", key: [10], value: { data: data[10]! } });
  await manifest.close();
});

test("deleteRange: rows within the bounds go, and its change can be applied again", async () => {
  const manifest = await filled();
  const other = await filled();
  const cursor = await manifest.registerChangeCursor("c", { start: "latest" });
  await manifest.begin().deleteRange(table, { prefix: [1] }).deleteRange(table, { gte: [3, "b"], lt: [4] }).deleteRange(table, { gt: [4] })
    .commit();
  const left = manifest.keys(table).toArray();
  assertEquals(left.length, 42 - 7 - 2 - 7);
  const [change] = (await manifest.fetchChangePage(cursor.id)).changes;
  const txn = other.begin();
  for (const operation of change!.operations) {
    assert(operation.op === "deleteRange");
    txn.deleteRange(table, { from: operation.from, until: operation.until });
  }
  await txn.commit();
  assertEquals(other.keys(table).toArray(), left);
  await manifest.begin().deleteRange(table, {}).commit();
  assertEquals(manifest.count(table), 0);
  await manifest.close();
  await other.close();
});
