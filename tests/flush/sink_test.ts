// Flushing into a manifest: what "wal_state" says afterwards, and after opening again.
import { assert, assertEquals } from "@std/assert";
import { Manifest, type WalState } from "../../mod.ts";
import {
  FlushController,
  type FlushControllerOptions,
  type FlushRequest,
  type FlushResult,
  type FlushSegment,
  type FlushSink,
  ManifestFlushSink,
} from "../../src/flush/mod.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { type Random, seeded } from "../support/random.ts";
import { Gate, settle, Timers, track, type Tracked } from "./parts.ts";
import { codeOf, Medium } from "../manifest/open_manifest.ts";

const broken = (): never => {
  throw new Error("broken");
};

/** A manifest with a database, its sink, and a controller over both. */
class Log {
  readonly medium = new Medium();
  readonly timers = new Timers();
  manifest!: Manifest;
  sink!: ManifestFlushSink;

  static async open(): Promise<Log> {
    const log = new Log();
    await log.reopen();
    await log.manifest.begin().putDb(1, { name: "events" }).commit();
    return log;
  }

  /** Opens the same bytes again. */
  async reopen(): Promise<void> {
    await this.manifest?.close();
    this.manifest = await this.medium.open({ environment: testEnvironment(1) });
    this.sink = new ManifestFlushSink(this.manifest, { environment: this.timers.environment });
  }

  /** Writes the chunk of a segment. */
  readonly writeChunk = async ({ db, segment }: FlushSegment): Promise<void> => {
    await this.manifest.begin().upsertChunk([db, segment], { fileName: `c-${segment}.seg` }).commit();
  };

  controller(options: Partial<FlushControllerOptions> = {}): FlushController {
    return new FlushController({ flush: this.writeChunk, sink: this.sink, environment: this.timers.environment, ...options });
  }

  /** The state of the log after opening again. */
  async state(db = 1): Promise<WalState | undefined> {
    await this.reopen();
    return this.manifest.getWalState(db);
  }
}

const segment = (number: number, db = 1): FlushSegment => ({ db, segment: number, target: number * 10 });

/** A sink that does something before it hands on. */
function sinkBefore(sink: FlushSink, before: (request: FlushRequest) => unknown): FlushSink {
  return {
    apply: async (request) => {
      await before(request);
      await sink.apply(request);
    },
    recordFailure: (db, at, signal) => sink.recordFailure!(db, at, signal),
  };
}

test("FlushController: flushes a segment to durable: its chunk and the position of the log survive opening again", async () => {
  const log = await Log.open();
  const before = log.timers.environment.now();
  assertEquals(await log.controller().enqueue(segment(3)), { ...segment(3), flushAttempts: 1, sinkAttempts: 1 });
  assertEquals(await log.state(), {
    lastSealedSegment: 3,
    lastAppliedLsn: 30,
    lastCheckpointGeneration: 0,
    restartEpoch: 0,
    flushGate: { lastSuccessAt: before + 1 },
  });
  assertEquals(log.manifest.getChunk(1, 3)?.fileName, "c-3.seg");
});

test("FlushController: a flush failure is retried until success, which is then durable", async () => {
  const log = await Log.open();
  let left = 4;
  const done = track(log.controller({ flush: (segment) => left-- > 0 ? broken() : log.writeChunk(segment) }).enqueue(segment(1)));
  for (let i = 0; i < 4; i++) await log.timers.pass(1000);
  assertEquals(done.value?.flushAttempts, 5);
  assertEquals((await log.state())?.lastAppliedLsn, 10);
});

test("FlushController: a sink failure triggers a retry of the sink, whose result is then durable", async () => {
  const log = await Log.open();
  let left = 2;
  const sink = sinkBefore(log.sink, () => left-- > 0 ? broken() : undefined);
  const done = track(log.controller({ sink }).enqueue(segment(1)));
  for (let i = 0; i < 2; i++) await log.timers.pass(1000);
  assertEquals([done.value?.flushAttempts, done.value?.sinkAttempts], [1, 3]);
  assertEquals((await log.state())?.lastAppliedLsn, 10);
});

test("FlushController: the retry limit is enforced, and the failure is in the manifest until a later flush succeeds", async () => {
  const log = await Log.open();
  let calls = 0;
  const failing = log.controller({
    retries: 3,
    flush: () => {
      calls++;
      broken();
    },
  });
  await log.controller().enqueue(segment(1));
  const before = log.timers.environment.now();
  const failed = track(failing.enqueue(segment(2)));
  for (let i = 0; i < 5; i++) await log.timers.pass(1000);
  assertEquals([failed.error?.code, failed.error?.detail.attempts, calls], ["FLUSH_FAILED", 4, 4]);
  const errored = await log.state();
  assertEquals([errored?.lastAppliedLsn, errored?.flushGate.erroredSince], [10, before + 1]);
  assertEquals(typeof errored?.flushGate.lastSuccessAt, "number");
  await log.controller().enqueue(segment(2));
  const healed = await log.state();
  assertEquals([healed?.lastAppliedLsn, "erroredSince" in healed!.flushGate], [20, false]);
});

test("FlushController: awaits the sink's acknowledgement before it says durable; a crash before it leaves the position where it was", async () => {
  const disk = new SimDisk();
  const manifest = await Manifest.open(disk.open(), { create: true, environment: testEnvironment(1), idleCheckpoint: 0 });
  await manifest.begin().putDb(1, { name: "events" }).commit();
  const timers = new Timers();
  const gate = new Gate();
  const flush = async ({ db, segment }: FlushSegment): Promise<void> => {
    await manifest.begin().upsertChunk([db, segment], { fileName: `c-${segment}.seg` }).commit();
  };
  const options = { environment: timers.environment };
  const controller = new FlushController({
    flush,
    sink: sinkBefore(new ManifestFlushSink(manifest, options), () => gate.promise),
    ...options,
  });
  const done = track(controller.enqueue(segment(1)));
  await settle();
  const crashed = disk.durable();
  assertEquals(done.state, "pending");
  gate.open();
  await settle();
  assertEquals(done.state, "resolved");
  const survived = disk.durable();
  await manifest.close();

  const after = await Manifest.open(new SimDisk(crashed).open(), { idleCheckpoint: 0 });
  assertEquals([after.getChunk(1, 1)?.fileName, after.getWalState(1)], ["c-1.seg", undefined]);
  const again = new FlushController({
    flush: async ({ db, segment }) => void await after.begin().upsertChunk([db, segment], { fileName: `c-${segment}.seg` }).commit(),
    sink: new ManifestFlushSink(after),
  });
  await again.enqueue(segment(1)); // the same again
  assertEquals([after.getWalState(1)?.lastAppliedLsn, after.listChunks(1).toArray().length], [10, 1]);
  await after.close();
  const whole = await Manifest.open(new SimDisk(survived).open(), { idleCheckpoint: 0 });
  assertEquals(whole.getWalState(1)?.lastAppliedLsn, 10);
  await whole.close();
});

test("ManifestFlushSink.apply: resolves when the result is durable, whatever the durability mode", async () => {
  for (const durability of ["sync", "relaxed", "none"] as const) {
    const disk = new SimDisk();
    const manifest = await Manifest.open(disk.open(), { create: true, durability, idleCheckpoint: 0 });
    await manifest.begin().putDb(1, { name: "events" }).commit();
    const sink = new ManifestFlushSink(manifest);
    await sink.apply(segment(1));
    const applied = disk.durable();
    await sink.recordFailure(1, 5);
    const recorded = disk.durable();
    await manifest.close();
    const states: (WalState | undefined)[] = [];
    for (const bytes of [applied, recorded]) {
      const after = await Manifest.open(new SimDisk(bytes).open(), { idleCheckpoint: 0 });
      states.push(after.getWalState(1));
      await after.close();
    }
    assertEquals(states.map((state) => state?.lastAppliedLsn), [10, 10], durability);
    assertEquals(states.map((state) => state?.flushGate.erroredSince), [undefined, 5], durability);
  }
});

test("ManifestFlushSink.apply: raises the position and the segment, keeps what others wrote, and survives opening again", async () => {
  const log = await Log.open();
  const flushGate = { activeJobId: 4, lastSuccessAt: 7 };
  const others = { lastCheckpointGeneration: 5, restartEpoch: 6 };
  await log.manifest.begin().putWalState(1, { lastSealedSegment: 9, lastAppliedLsn: 20, ...others, flushGate }).commit();
  const now = log.timers.environment.now();
  await log.sink.apply(segment(3));
  assertEquals(await log.state(), {
    lastSealedSegment: 9,
    lastAppliedLsn: 30,
    ...others,
    flushGate: { activeJobId: 4, lastSuccessAt: now + 1 },
  });
});

test("ManifestFlushSink.apply: a target that is not larger commits nothing, unless a failure is noted or the segment is new", async () => {
  const log = await Log.open();
  await log.sink.apply(segment(3));
  const state = log.manifest.getWalState(1)!;
  const latest = log.manifest.latestChangeSequence();
  for (const number of [3, 2, 0]) await log.sink.apply(segment(number));
  assertEquals(log.manifest.latestChangeSequence(), latest);
  assertEquals(await log.state(), state);
  await log.sink.apply({ db: 1, segment: 4, target: 30 }); // nothing in it
  assertEquals([(await log.state())?.lastSealedSegment, log.manifest.latestChangeSequence()], [4, latest + 1]);
  await log.sink.recordFailure(1, 50);
  await log.sink.apply(segment(1));
  const cleared = await log.state();
  assertEquals([cleared?.lastAppliedLsn, cleared?.lastSealedSegment, cleared?.flushGate.erroredSince], [30, 4, undefined]);
  assert(cleared!.flushGate.lastSuccessAt! > state.flushGate.lastSuccessAt!);
  assertEquals(log.manifest.latestChangeSequence(), latest + 3);
});

test("ManifestFlushSink.recordFailure: notes the first failure only, and nothing else changes", async () => {
  const log = await Log.open();
  await log.sink.apply(segment(1));
  const { lastSuccessAt } = log.manifest.getWalState(1)!.flushGate;
  await log.sink.recordFailure(1, 100);
  const latest = log.manifest.latestChangeSequence();
  await log.sink.recordFailure(1, 200);
  assertEquals(log.manifest.latestChangeSequence(), latest);
  const state = await log.state();
  assertEquals([state?.lastAppliedLsn, state?.lastSealedSegment, state?.flushGate], [10, 1, { lastSuccessAt, erroredSince: 100 }]);
  await log.manifest.begin().putDb(2, { name: "new" }).commit();
  await log.sink.recordFailure(2, 0);
  assertEquals((await log.state(2))?.flushGate, { erroredSince: 0 });
});

test("ManifestFlushSink: an unknown database is NOT_FOUND, wrong arguments are INVALID_ARGUMENT, an abort is ABORTED; nothing is applied", async () => {
  const log = await Log.open();
  const latest = log.manifest.latestChangeSequence();
  assertEquals(await codeOf(() => log.sink.apply(segment(1, 2))), "NOT_FOUND");
  assertEquals(await codeOf(() => log.sink.recordFailure(2, 1)), "NOT_FOUND");
  for (const wrong of [null, {}, { ...segment(1), target: -1 }, { ...segment(1), db: 1.5 }, { ...segment(1), signal: 1 }]) {
    assertEquals(await codeOf(() => log.sink.apply(wrong as never)), "INVALID_ARGUMENT");
  }
  for (const [db, at] of [["1", 1], [1, NaN], [1, undefined]]) {
    assertEquals(await codeOf(() => log.sink.recordFailure(db as never, at as never)), "INVALID_ARGUMENT");
  }
  assertEquals(await codeOf(() => new ManifestFlushSink(undefined as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => new ManifestFlushSink(log.manifest, null as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => log.sink.apply({ ...segment(1), signal: AbortSignal.abort() })), "ABORTED");
  assertEquals(await codeOf(() => log.sink.recordFailure(1, 1, AbortSignal.abort())), "ABORTED");
  assertEquals(log.manifest.latestChangeSequence(), latest);
  assertEquals(await log.state(), undefined);
});

test("ManifestFlushSink: the origin it is given tags its changes", async () => {
  const log = await Log.open();
  const cursor = await log.manifest.registerChangeCursor("a", { start: "latest" });
  const sink = new ManifestFlushSink(log.manifest, { origin: "flush" });
  await sink.apply(segment(1));
  await sink.recordFailure(1, 1);
  const { changes } = await log.manifest.fetchChangePage(cursor.id);
  assertEquals(changes.map(({ origin, operations }) => [origin, operations.map(({ op }) => op)]), [
    ["flush", ["putWalState"]],
    ["flush", ["putWalState"]],
  ]);
  await log.manifest.close();
});

test("ManifestFlushSink.apply: beside other writers of the same row nothing is lost", async () => {
  const log = await Log.open();
  const restart = () =>
    log.manifest.transact((txn) => {
      const state = txn.getWalState(1);
      txn.putWalState(1, { ...state, restartEpoch: (state?.restartEpoch ?? 0) + 1 });
    });
  const calls: Promise<unknown>[] = [];
  for (let i = 1; i <= 25; i++) {
    calls.push(log.sink.apply(segment(i)), restart(), log.sink.recordFailure(1, i), log.sink.apply(segment(26 - i)));
    if (i % 5 === 0) await undefined;
  }
  await Promise.all(calls);
  const state = await log.state();
  assertEquals([state?.restartEpoch, state?.lastAppliedLsn, state?.lastSealedSegment], [25, 250, 25]);
});

test("FlushController: the segments of two databases are applied each in its order, and both survive opening again", async () => {
  const log = await Log.open();
  await log.manifest.begin().putDb(2, { name: "other" }).commit();
  const controller = log.controller({ concurrency: 4 });
  await Promise.all([segment(1), segment(1, 2), segment(2), segment(2, 2), segment(3, 2)].map((each) => controller.enqueue(each)));
  assertEquals([(await log.state(1))?.lastAppliedLsn, (await log.state(2))?.lastAppliedLsn], [20, 30]);
});

test("FlushController: with an unknown database, or a manifest that was closed meanwhile, it fails at once and for good", async () => {
  const log = await Log.open();
  const controller = log.controller({ flush: () => {} });
  const unknown = track(controller.enqueue(segment(1, 7)));
  await controller.enqueue(segment(1));
  await log.manifest.close();
  const closed = track(controller.enqueue(segment(2)));
  await settle();
  for (const [tracked, code] of [[unknown, "NOT_FOUND"], [closed, "HANDLE_CLOSED"]] as const) {
    assertEquals([tracked.error?.code, tracked.error?.detail.code, tracked.error?.retryable], ["FLUSH_FAILED", code, false]);
    assertEquals(tracked.error?.outcome, "not_applied");
  }
  assertEquals(log.timers.asked, []);
  await controller.close();
  assertEquals((await log.state())?.lastAppliedLsn, 10);
});

test("FlushController: a manifest closed while the sink is at work either has the segment or the segment fails", async () => {
  for (let turns = 0; turns < 40; turns++) {
    const log = await Log.open();
    const done = track(log.controller({ flush: () => {} }).enqueue(segment(1)));
    for (let i = 0; i < turns; i++) await undefined;
    const closing = log.manifest.close();
    await settle();
    await closing;
    assert(done.state !== "pending", `${turns} turns`);
    const lsn = (await log.state())?.lastAppliedLsn ?? 0;
    if (done.state === "resolved") assertEquals(lsn, 10, `${turns} turns`);
    else if (done.error!.outcome === "not_applied") assertEquals(lsn, 0, `${turns} turns`);
  }
});

// ---- a random schedule ------------------------------------------------------------------------------------------

interface Sealed extends FlushSegment {
  readonly tracked: Tracked<FlushResult>[];
  /** It was first enqueued when the sink had been given a higher target: too late to be waited for. */
  late: boolean;
}

/** One run: databases whose producers enqueue what is not durable, in order, while everything fails now and then. */
async function runSchedule(random: Random): Promise<{ failures: number; aborts: number; unknown: number }> {
  const log = await Log.open();
  const dbs = [1, 2, 3];
  await log.manifest.begin().putDb(2, { name: "b" }).putDb(3, { name: "c" }).commit();
  await log.manifest.registerChangeCursor("all");
  const flushed = new Map<number, Set<number>>(dbs.map((db) => [db, new Set()]));
  const given = new Map<number, number>(dbs.map((db) => [db, 0]));
  const acknowledged = new Map<number, number>(dbs.map((db) => [db, 0]));
  const sealed = new Map<number, Sealed[]>();
  const tooEarly: string[] = [];
  const { environment } = log.timers;
  const pause = (): Promise<void> => new Promise((done) => environment.timer(random.int(60), done));
  let running = 0;
  let most = 0;
  const concurrency = random.between(1, 4);
  const controller = new FlushController({
    flush: async ({ db, target }, signal) => {
      most = Math.max(most, ++running);
      const ended = (): void => void running--;
      signal.addEventListener("abort", ended, { once: true }); // given up: it no longer counts
      try {
        if (random.chance(0.7)) await pause();
        if (random.chance(0.25)) broken();
        flushed.get(db)!.add(target);
      } finally {
        signal.removeEventListener("abort", ended);
        if (!signal.aborted) running--;
      }
    },
    sink: {
      apply: async (request) => {
        const { db, target } = request;
        given.set(db, Math.max(given.get(db)!, target));
        const passed = sealed.get(db)!.filter((each) => each.target < target && each.tracked.length > 0 && !each.late);
        for (const each of passed) {
          if (each.target > acknowledged.get(db)!) tooEarly.push(`${target} before ${each.target} of database ${db}`);
        }
        if (random.chance(0.2)) broken();
        if (random.chance(0.3)) await pause();
        await log.sink.apply(request);
        acknowledged.set(db, Math.max(acknowledged.get(db)!, target));
        if (random.chance(0.1)) broken(); // done although it says otherwise
        if (random.chance(0.2)) await pause();
      },
      recordFailure: (db, at, signal) => random.chance(0.2) ? broken() : log.sink.recordFailure(db, at, signal),
    },
    environment,
    concurrency,
    queueCapacity: random.between(0, 6),
    retries: random.int(3),
    timeoutMs: random.chance(0.5) ? 50 : undefined,
  });
  for (const db of dbs) {
    let target = 0;
    sealed.set(
      db,
      Array.from({ length: 12 }, (_, i) => ({ db, segment: i + 1, target: target += random.between(1, 9), tracked: [], late: false })),
    );
  }
  const aborters: AbortController[] = [];
  const isDurable = ({ tracked }: Sealed): boolean => tracked.some(({ state }) => state === "resolved");
  const isPending = ({ tracked }: Sealed): boolean => tracked.at(-1)?.state === "pending";
  let rejected: Tracked<FlushResult>[] = [];
  for (let step = 0; step < 90; step++) {
    const segments = sealed.get(random.pick(dbs))!;
    for (const each of segments.slice(0, segments.findIndex((each) => !isDurable(each)) + random.between(1, 4))) {
      if (isDurable(each) || isPending(each) || random.chance(0.05)) continue; // now and then a producer forgets one
      if (each.tracked.length === 0) each.late = each.target <= given.get(each.db)!;
      let signal: AbortSignal | undefined;
      if (random.chance(0.3)) {
        aborters.push(new AbortController());
        signal = aborters.at(-1)!.signal;
      }
      each.tracked.push(track(controller.enqueue(each, { signal })));
    }
    if (random.chance(0.2)) aborters.at(-1)?.abort();
    await log.timers.pass(random.int(80));
    assert(most <= concurrency, `${most} flushes at once`);
  }
  const ended = track(random.chance(0.5) ? controller.close({ abort: true }) : controller.close());
  for (let i = 0; i < 200 && ended.state === "pending"; i++) await log.timers.pass(1000);
  for (let i = 0; i < 5; i++) await log.timers.pass(1000); // calls that were given up end too
  const at = `seed ${random.seed}`;
  assertEquals([ended.state, log.timers.live, tooEarly], ["resolved", 0, []], at);

  await log.reopen();
  const last = new Map<number, number>();
  const [cursor] = log.manifest.listChangeCursors();
  for (const { operations } of (await log.manifest.fetchChangePage(cursor!.id, 10_000)).changes) {
    for (const operation of operations) {
      if (operation.op !== "putWalState") continue;
      const [db] = operation.key as [number];
      const { lastAppliedLsn } = operation.value as WalState;
      assert(lastAppliedLsn >= (last.get(db) ?? 0), `${at}: database ${db} goes back to ${lastAppliedLsn}`);
      last.set(db, lastAppliedLsn);
    }
  }
  for (const db of dbs) {
    const lsn = log.manifest.getWalState(db)?.lastAppliedLsn ?? 0;
    assertEquals(lsn, acknowledged.get(db), `${at}: database ${db}`);
    for (const each of sealed.get(db)!) {
      assert(each.tracked.every(({ state }) => state !== "pending"), at);
      if (isDurable(each)) assert(each.target <= lsn, `${at}: segment ${each.segment} of database ${db} is durable, and the log at ${lsn}`);
      // Nothing is left out below the position, as far as the controller was asked for it in time.
      if (each.target <= lsn && each.tracked.length > 0 && !each.late) {
        assert(flushed.get(db)!.has(each.target), `${at}: ${each.target} of database ${db}`);
      }
    }
    rejected = rejected.concat(sealed.get(db)!.flatMap(({ tracked }) => tracked.filter(({ state }) => state === "rejected")));
  }
  await log.manifest.close();
  const count = (code: string): number => rejected.filter(({ error }) => error!.code === code).length;
  return {
    failures: count("FLUSH_FAILED"),
    aborts: count("ABORTED"),
    unknown: rejected.filter(({ error }) => error!.outcome === "unknown").length,
  };
}

test("FlushController: in a random schedule of failures every promise settles, and the log stands at the highest target up to which all were flushed", async () => {
  const sum = { failures: 0, aborts: 0, unknown: 0 };
  for (let seed = 1; seed <= 24; seed++) {
    const { failures, aborts, unknown } = await runSchedule(seeded(seed));
    sum.failures += failures;
    sum.aborts += aborts;
    sum.unknown += unknown;
  }
  assert(sum.failures > 100 && sum.aborts > 20 && sum.unknown > 20, JSON.stringify(sum));
});
