// Items 36, 37 and 40 of the test list: read-write transactions beside each other.
import { assert, assertEquals } from "@std/assert";
import { defineTable, type Manifest, type ManifestOptions, type Table, type Transaction, u53 } from "../../mod.ts";
import { unvalidated } from "../../src/manifest/transact/validation.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { stateOf, Subject } from "./subject.ts";

const numbers: Table<[group: number, name: number], { n: number }> = defineTable({
  name: "numbers",
  key: [u53("group"), u53("name")],
  value: { n: u53() },
});

/** A number, 0 when there is none. */
function read(txn: Pick<Transaction, "get">, group: number, name: number): number {
  return txn.get(numbers, [group, name])?.n ?? 0;
}

/** Lets everybody go on when so many have come. */
function meeting(count: number): () => Promise<void> {
  let open!: () => void;
  const all = new Promise<void>((resolve) => open = resolve);
  return () => {
    if (--count === 0) open();
    return count < 0 ? Promise.resolve() : all; // whoever comes again goes through
  };
}

test("item 36: write skew: of two that each leave when the other is there, one stays", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().put(numbers, [1, 1], { n: 1 }).put(numbers, [1, 2], { n: 1 }).commit();
  const met = meeting(2);
  const leave = (name: number) =>
    subject.manifest.transact(async (txn) => {
      const there = read(txn, 1, 1) + read(txn, 1, 2);
      await met();
      if (there > 1) txn.put(numbers, [1, name], { n: 0 });
    });
  const results = await Promise.all([leave(1), leave(2)]);
  const manifest = await subject.crashAndReopen();
  assertEquals(read(manifest, 1, 1) + read(manifest, 1, 2), 1);
  assertEquals(results.map(({ attempts }) => attempts).sort(), [1, 2]);
});

test("item 36: phantoms: a row that comes into a range that was counted is a conflict", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().put(numbers, [1, 1], { n: 1 }).put(numbers, [2, 1], { n: 1 }).commit();
  const met = meeting(2);
  // Each adds a row when its group is smaller than two: both count, then both add.
  const join = (name: number) =>
    subject.manifest.transact(async (txn) => {
      const size = txn.count(numbers, { prefix: [1] });
      await met();
      if (size < 2) txn.put(numbers, [1, name], { n: 1 });
    });
  const results = await Promise.all([join(5), join(6)]);
  const manifest = await subject.crashAndReopen();
  assertEquals(manifest.count(numbers, { prefix: [1] }), 2);
  assertEquals(results.map(({ attempts }) => attempts).sort(), [1, 2]);
});

test("item 36: lost update: increments that read the same value both count", async () => {
  await using subject = await Subject.make();
  const met = meeting(2);
  const increment = () =>
    subject.manifest.transact(async (txn) => {
      const n = read(txn, 1, 1);
      await met();
      txn.put(numbers, [1, 1], { n: n + 1 });
      return n;
    });
  const results = await Promise.all([increment(), increment()]);
  const manifest = await subject.crashAndReopen();
  assertEquals(read(manifest, 1, 1), 2);
  assertEquals(results.map(({ value }) => value).sort(), [0, 1]);
});

test("item 36: ten writers of one key without retries: one wins, nine are told what conflicted, none is half applied", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().put(numbers, [1, 1], { n: 0 }).commit();
  const met = meeting(10);
  const claim = (writer: number) =>
    subject.manifest.transact(async (txn) => {
      const n = read(txn, 1, 1);
      await met();
      txn.put(numbers, [1, 1], { n: n + writer }).put(numbers, [2, writer], { n: 1 });
    }, { retries: 0 });
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => claim(i + 1)));
  const won = outcomes.map(({ status }, i) => status === "fulfilled" ? i + 1 : 0).filter((writer) => writer > 0);
  assertEquals(won.length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") continue;
    const { code, kind, retryable, detail, outcome: applied } = outcome.reason;
    assertEquals([code, kind, retryable, detail.table, applied], ["CONFLICT", "conflict", true, "numbers", "not_applied"]);
  }
  const manifest = await subject.crashAndReopen();
  assertEquals([read(manifest, 1, 1), manifest.keys(numbers, { prefix: [2] }).toArray()], [won[0]!, [[2, won[0]!]]]);
});

test("item 36: with retries ten writers of one key serialise in the end", async () => {
  await using subject = await Subject.make();
  const met = meeting(10);
  const append = (writer: number) =>
    subject.manifest.transact(async (txn) => {
      const n = read(txn, 1, 1);
      await met();
      txn.put(numbers, [1, 1], { n: n + 1 }).put(numbers, [2, n], { n: writer });
    });
  const results = await Promise.all(Array.from({ length: 10 }, (_, i) => append(i)));
  const manifest = await subject.crashAndReopen();
  assertEquals(read(manifest, 1, 1), 10);
  assertEquals(manifest.values(numbers, { prefix: [2] }).toArray().map(({ n }) => n).sort(), Array.from({ length: 10 }, (_, i) => i));
  assertEquals(results.map(({ receipt }) => receipt.sequence).sort((a, b) => a - b), Array.from({ length: 10 }, (_, i) => i + 1));
});

test("item 37: a commit that expects a sequence is a CONFLICT when another came first, and applies nothing", async () => {
  await using subject = await Subject.make();
  const { sequence } = await subject.manifest.begin().put(numbers, [1, 1], { n: 1 }).commit();
  await subject.manifest.begin().put(numbers, [1, 1], { n: 2 }).commit({ expectedSequence: sequence });
  const before = stateOf(subject.manifest);
  const stale = await errorOf(() => subject.manifest.begin().put(numbers, [1, 1], { n: 3 }).commit({ expectedSequence: sequence }));
  assertEquals([stale.code, stale.kind, stale.outcome], ["CONFLICT", "conflict", "not_applied"]);
  const early = await errorOf(() => subject.manifest.begin().put(numbers, [1, 1], { n: 3 }).commit({ expectedSequence: 9 }));
  const run = await errorOf(() => subject.manifest.transact((txn) => void txn.put(numbers, [1, 1], { n: 3 }), { expectedSequence: 1 }));
  assertEquals([early.code, run.code], ["CONFLICT", "CONFLICT"]);
  let manifest = await subject.crashAndReopen();
  assertEquals(stateOf(manifest), before);
  // Of several that expect the same, one is applied.
  const outcomes = await Promise.allSettled(
    [1, 2, 3].map((name) => manifest.begin().put(numbers, [9, name], { n: 1 }).commit({ expectedSequence: 2 })),
  );
  assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "rejected"]);
  manifest = await subject.reopen();
  assertEquals([manifest.count(numbers, { prefix: [9] }), manifest.latestChangeSequence()], [1, 3]);
});

/** Somebody who does one step at a time, when told to. */
class Actor {
  #go: (() => void) | undefined;
  #arrived: (() => void) | undefined;
  #ended = false;

  /** Waits to be told. */
  gate(): Promise<void> {
    this.#arrived?.();
    return new Promise((resolve) => this.#go = resolve);
  }

  /** Whether it has nothing left to do. */
  end(): void {
    this.#ended = true;
    this.#arrived?.();
  }

  /** Lets it do the next step; resolves when it waits again or has ended. */
  step(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#arrived = resolve;
      this.#go!();
    });
  }

  /** Starts it; resolves when it waits for the first time. */
  start(body: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve;
      void body().finally(() => this.end());
    });
  }
}

/** All orders of three actors' steps. */
function* schedules(left: readonly [number, number, number], done: readonly number[] = []): Generator<number[]> {
  if (left.every((count) => count === 0)) yield [...done];
  for (let actor = 0; actor < 3; actor++) {
    if (left[actor]! > 0) {
      yield* schedules(left.map((count, i) => i === actor ? count - 1 : count) as [number, number, number], [...done, actor]);
    }
  }
}

/** Runs one order: two writers and a reader over the rows a and b of a group. Returns the numbers in the end, the writers in the order of their commits, and what the reader saw. */
async function runSchedule(
  manifest: Manifest,
  group: number,
  schedule: readonly number[],
): Promise<{ order: number[]; seen: [number, number] }> {
  const A = 1, B = 2;
  await manifest.begin().put(numbers, [group, A], { n: 1 }).put(numbers, [group, B], { n: 10 }).commit();
  const sequences = [0, 0];
  const seen: [number, number] = [0, 0];
  const actors = [new Actor(), new Actor(), new Actor()];
  const writer = (index: 0 | 1) => async () => {
    const { receipt } = await manifest.transact(async (txn) => {
      const gate = () => txn.attempt === 1 ? actors[index]!.gate() : Promise.resolve();
      await gate();
      const a = read(txn, group, A);
      await gate();
      const b = read(txn, group, B);
      await gate();
      if (index === 0) txn.put(numbers, [group, A], { n: a + b * 2 });
      else txn.put(numbers, [group, B], { n: a * 3 + b });
    });
    sequences[index] = receipt.sequence;
  };
  const reader = async () => {
    await actors[2]!.gate();
    using view = manifest.read();
    seen[0] = read(view, group, A);
    await actors[2]!.gate();
    seen[1] = read(view, group, B);
  };
  await actors[0]!.start(writer(0));
  await actors[1]!.start(writer(1));
  await actors[2]!.start(reader);
  for (const actor of schedule) await actors[actor]!.step();
  return { order: sequences[0]! < sequences[1]! ? [0, 1] : [1, 0], seen };
}

/** The states of a serial run. */
function serial(order: readonly number[]): [number, number][] {
  let a = 1, b = 10;
  const states: [number, number][] = [[a, b]];
  for (const writer of order) {
    if (writer === 0) a += b * 2;
    else b += a * 3;
    states.push([a, b]);
  }
  return states;
}

/** Runs every order; returns how many ended or were read as no serial run does. */
async function wrongSchedules(options: ManifestOptions, limit: number): Promise<{ wrong: number; ran: number; orders: number }> {
  await using subject = await Subject.make(options);
  const expected: { states: [number, number][]; seen: [number, number] }[] = [];
  const orders = new Set<string>();
  for (const schedule of schedules([3, 3, 2])) {
    if (expected.length === limit) break;
    const { order, seen } = await runSchedule(subject.manifest, expected.length, schedule);
    orders.add(order.join());
    expected.push({ states: serial(order), seen });
  }
  const manifest = await subject.crashAndReopen();
  const wrong = expected.filter(({ states, seen }, group) => {
    const end = [read(manifest, group, 1), read(manifest, group, 2)];
    return end.join() !== states[2]!.join() || !states.some((state) => state.join() === seen.join());
  });
  return { wrong: wrong.length, ran: expected.length, orders: orders.size };
}

test("item 40: every interleaving of two writers and a reader is one of the serial runs", async () => {
  const { wrong, ran, orders } = await wrongSchedules({}, Infinity);
  assertEquals([wrong, ran, orders], [0, 560, 2]);
});

test("item 40: without validation the same check fails", async () => {
  const subject = new Subject();
  unvalidated.add(subject.environment);
  const { wrong, ran } = await wrongSchedules({ environment: subject.environment }, 200);
  assert(wrong > 50 && ran === 200, `${wrong} of ${ran}`);
});
