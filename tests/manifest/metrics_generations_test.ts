// Metrics and generations: numbers that only add up or rise, with everything refused that would break them.
import { assert, assertEquals } from "@std/assert";
import type { Manifest, MetricInput } from "../../mod.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { errorOf, Medium } from "./open_manifest.ts";

const MOST = Number.MAX_SAFE_INTEGER;

async function reopened(manifest: Manifest, medium: Medium): Promise<Manifest> {
  await manifest.close();
  return medium.open({ environment: testEnvironment(2) });
}

/** What a metric is after merging these, each in a commit of its own and all in one; reopened. */
async function merged(...inputs: MetricInput[]): Promise<unknown> {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin();
  for (const input of inputs) {
    await manifest.begin().mergeMetric([1, 1], input).commit();
    txn.mergeMetric([1, 2], input);
  }
  await txn.commit();
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.getMetric(1, 1), manifest.getMetric(1, 2));
  const metric = manifest.getMetric(1, 1);
  await manifest.close();
  return metric;
}

test("mergeMetric: counts and sums add up, the least and the greatest stay, whatever is absent changes nothing", async () => {
  assertEquals(await merged({}), { count: 1, sum: 0 });
  assertEquals(await merged({ sum: 5, min: 5, max: 5 }), { count: 1, sum: 5, min: 5, max: 5 });
  assertEquals(await merged({ sum: 5, min: 2, max: 3 }, { sum: -7, min: -7 }, { count: 4, max: 9 }), {
    count: 6,
    sum: -2,
    min: -7,
    max: 9,
  });
  assertEquals(await merged({ min: 5 }, { max: 1 }), { count: 2, sum: 0, min: 5, max: 1 }, "each is of its own measurements");
  assertEquals(await merged({ sum: 0.1 }, { sum: 0.2 }), { count: 2, sum: 0.1 + 0.2 });
});

test("mergeMetric: a count of 0 with no sum is the identity, also on a metric that is not there", async () => {
  assertEquals(await merged({ count: 0 }), { count: 0, sum: 0 });
  const some = { count: 3, sum: 1.5, min: -1, max: 2 };
  assertEquals(await merged(some, { count: 0 }, { count: 0, sum: 0 }), some);
  assertEquals(await merged({ count: 0 }, some), some);
});

test("mergeMetric: the count stays at 2^53 − 1 once it is there, and the sum goes on", async () => {
  assertEquals(await merged({ count: MOST, sum: 1 }, { count: 1, sum: 1 }), { count: MOST, sum: 2 });
  assertEquals(await merged({ count: MOST - 1 }, { count: MOST }), { count: MOST, sum: 0 });
  assertEquals(await merged({ count: MOST - 1 }, {}), { count: MOST, sum: 0 });
});

test("mergeMetric: −0 adds like 0, and is kept as the least or the greatest without losing anything", async () => {
  const zero = await merged({ sum: -0, min: -0, max: -0 }) as { sum: number; min: number; max: number };
  assert(zero.sum === 0 && zero.min === 0 && zero.max === 0);
  assertEquals(await merged({ sum: 3, min: 3 }, { sum: -0 }), { count: 2, sum: 3, min: 3 });
  assertEquals(await merged({ min: 0 }, { min: -1 }, { max: -0 }, { max: 4 }), { count: 4, sum: 0, min: -1, max: 4 });
});

test("mergeMetric: NaN, infinity, fractions and negative counts, a sum beyond all numbers, min above max are refused by name and index, with nothing applied", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin().mergeMetric([1, 1], { sum: Number.MAX_VALUE, min: 1, max: 2 }).commit();
  const sequence = manifest.latestChangeSequence();
  const wrong: [string, unknown][] = [];
  for (const field of ["sum", "min", "max", "count"]) {
    for (const value of [NaN, Infinity, -Infinity]) wrong.push(["RangeError", { [field]: value }]);
    for (const value of ["1", null, true, 1n, {}]) wrong.push([field === "count" && value === null ? "" : "TypeError", { [field]: value }]);
  }
  for (const count of [-1, 0.5, 2 ** 53]) wrong.push(["RangeError", { count }]);
  wrong.push(["RangeError", { sum: Number.MAX_VALUE }], ["RangeError", { min: 3, max: 2 }], ["TypeError", null], ["TypeError", 5]);
  let checked = 0;
  for (const [name, input] of wrong) {
    // null stands for a default where there is one.
    if (name === "" || (input as { sum?: unknown } | null)?.sum === null) continue;
    const error = await errorOf(() => manifest.begin().putDb(1, { name: "x" }).mergeMetric([1, 1], input as never).commit());
    assertEquals(
      [error.name, error.code, error.detail.operation, error.detail.index],
      [name, "INVALID_ARGUMENT", "mergeMetric", 1],
      String(input),
    );
    checked++;
  }
  assert(checked >= 37, `${checked} cases`);
  for (const key of [[1], [1, 2, 3], 5, [-1, 1], [1, NaN], ["1", 1]]) {
    const error = await errorOf(() => manifest.begin().mergeMetric(key as never, {}).commit());
    assertEquals([error.kind, error.detail.operation], ["usage", "mergeMetric"], String(key));
  }
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.latestChangeSequence(), manifest.getDb(1), [...manifest.listMetrics()]], [
    sequence,
    undefined,
    [[[1, 1], { count: 1, sum: Number.MAX_VALUE, min: 1, max: 2 }]],
  ]);
  await manifest.begin().mergeMetric([1, 1], { sum: -Number.MAX_VALUE }).commit();
  assertEquals(manifest.getMetric(1, 1)!.sum, 0);
  await manifest.close();
});

test("mergeMetric: the change shows the metric as it is now; listMetrics goes by scope and kind", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin().mergeMetric([2, 1], { sum: 1 }).mergeMetric([1, 2], { sum: 2 }).mergeMetric([1, 1], { sum: 3 }).commit();
  const { sequence } = await manifest.begin().mergeMetric([1, 1], { sum: 4 }).mergeMetric([1, 1], { sum: 5 }).commit();
  manifest = await reopened(manifest, medium);
  assertEquals([...manifest.listMetrics()].map(([key, { sum }]) => [key, sum]), [[[1, 1], 12], [[1, 2], 2], [[2, 1], 1]]);
  assertEquals([...manifest.listMetrics({ prefix: [1] })].length, 2);
  assertEquals(manifest.getMetric(9, 9), undefined);
  const cursor = await manifest.registerChangeCursor("c", { start: sequence });
  const [change] = (await manifest.fetchChangePage(cursor.id)).changes;
  assertEquals(change!.operations, [
    { op: "mergeMetric", table: "metrics", key: [1, 1], value: { count: 2, sum: 7 } },
    { op: "mergeMetric", table: "metrics", key: [1, 1], value: { count: 3, sum: 12 } },
  ]);
  await manifest.close();
});

test("mergeMetric: 2,000 random merges from ten writers equal a fold of them", async () => {
  const seed = 5;
  const random = seeded(seed);
  const medium = new Medium();
  let manifest = await medium.open();
  const wanted = new Map<string, { count: number; sum: number; min: number; max: number }>();
  for (let round = 0; round < 100; round++) {
    const commits = [];
    for (let writer = 0; writer < 10; writer++) {
      const txn = manifest.begin();
      for (let i = 0; i < 2; i++) {
        const key = [random.int(3), random.int(3)] as const, count = random.int(5), sum = random.between(-1000, 1000);
        const min = random.between(-50, 0), max = random.between(0, 50);
        txn.mergeMetric(key, { count, sum, min, max });
        const one = wanted.get(key.join()) ?? { count: 0, sum: 0, min, max };
        wanted.set(key.join(), {
          count: one.count + count,
          sum: one.sum + sum,
          min: Math.min(one.min, min),
          max: Math.max(one.max, max),
        });
      }
      commits.push(txn.commit());
    }
    await Promise.all(commits);
  }
  manifest = await reopened(manifest, medium);
  assertEquals(new Map([...manifest.listMetrics()].map(([key, metric]) => [key.join(), metric as never])), wanted, `seed ${seed}`);
  await manifest.close();
});

test("bumpGeneration: rises by one or by what is given, from 0, and is told in receipt and change", async () => {
  const medium = new Medium();
  let manifest = await medium.open({ environment: testEnvironment(1) });
  assertEquals(manifest.currentGeneration(3), undefined);
  const first = await manifest.begin().bumpGeneration(3).commit();
  assertEquals(first.generations, { 3: 1 });
  const second = await manifest.begin({ origin: "o" }).bumpGeneration(3, 10, 77).bumpGeneration(4, 2).bumpGeneration(3).commit();
  assertEquals(second.generations, { 3: 12, 4: 2 });
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.currentGeneration(3), manifest.currentGeneration(4), manifest.currentGeneration(5)], [12, 2, undefined]);
  assertEquals([...manifest.listGenerations()].map(([[component], { generation }]) => [component, generation]), [[3, 12], [4, 2]]);
  const cursor = await manifest.registerChangeCursor("c", { start: second.sequence });
  const [change] = (await manifest.fetchChangePage(cursor.id)).changes;
  assertEquals([change!.origin, change!.generations], ["o", { 3: 12, 4: 2 }]);
  assertEquals(change!.operations.map((operation) => "value" in operation && operation.value), [
    { generation: 11, updatedAt: 77 },
    { generation: 2, updatedAt: change!.committedAt },
    { generation: 12, updatedAt: change!.committedAt },
  ]);
  await manifest.close();
});

test("bumpGeneration: several in one turn get different generations", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const receipts = await Promise.all(Array.from({ length: 20 }, () => manifest.begin().bumpGeneration(1).commit()));
  assertEquals(receipts.map(({ generations }) => generations[1]), Array.from({ length: 20 }, (_, i) => i + 1));
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.currentGeneration(1), 20);
  await manifest.close();
});

test("bumpGeneration: by 0 records nothing", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const txn = manifest.begin().bumpGeneration(1, 0).bumpGeneration(1, -0);
  assertEquals(txn.length, 0);
  assertEquals([(await txn.commit()).sequence, manifest.currentGeneration(1)], [0, undefined]);
  const { generations } = await manifest.begin().bumpGeneration(1, 0).putDb(1, { name: "x" }).commit();
  assertEquals(generations, {});
  manifest = await reopened(manifest, medium);
  assertEquals([...manifest.listGenerations()], []);
  await manifest.close();
});

test("bumpGeneration: stays at 2^53 − 1 once it is there", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  assertEquals((await manifest.begin().bumpGeneration(1, MOST - 1).commit()).generations, { 1: MOST - 1 });
  assertEquals((await manifest.begin().bumpGeneration(1, MOST).commit()).generations, { 1: MOST });
  assertEquals((await manifest.begin().bumpGeneration(1).bumpGeneration(1).commit()).generations, { 1: MOST });
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.currentGeneration(1), MOST);
  await manifest.close();
});

test("bumpGeneration: negative, fractional and other increments, components and times are refused by name and index, with nothing applied", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await manifest.begin().bumpGeneration(1, 5).commit();
  const wrong: unknown[][] = [[1, -1], [1, 0.5], [1, NaN], [1, Infinity], [1, 2 ** 53], [1, "1"], [1, null], [1, 1n]];
  wrong.push([-1], [1.5], ["1"], [null], [NaN], [2 ** 53], [1, 1, -1], [1, 1, "now"]);
  for (const args of wrong) {
    const error = await errorOf(() => manifest.begin().putDb(1, { name: "x" }).bumpGeneration(...args as [number]).commit());
    assertEquals(
      [error.kind, error.outcome, error.detail.operation, error.detail.index],
      ["usage", "not_applied", "bumpGeneration", 1],
      String(args),
    );
  }
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getDb(1), [...manifest.listGenerations()].length, manifest.currentGeneration(1)], [undefined, 1, 5]);
  await manifest.close();
});

test("bumpGeneration: a transaction that is refused leaves no generation behind", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  const refused = await errorOf(() => manifest.begin().bumpGeneration(1).dropSnapshot([1, 1]).commit());
  assertEquals(refused.code, "NOT_FOUND");
  assertEquals((await manifest.begin().putDb(1, { name: "x" }).commit()).generations, {});
  assertEquals((await manifest.begin().bumpGeneration(1).commit()).generations, { 1: 1 });
  manifest = await reopened(manifest, medium);
  assertEquals(manifest.currentGeneration(1), 1);
  await manifest.close();
});
