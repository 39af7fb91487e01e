// The flush controller over a sink in memory: order, bounds, retries, interruptions, the end.
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ManifestError } from "../../mod.ts";
import { FlushController, type FlushControllerOptions, type FlushSegment } from "../../src/flush/mod.ts";
import { test } from "../support/harness.ts";
import { Bench, Gate, MemorySink, settle, track } from "./parts.ts";
import { codeOf, errorOf } from "../manifest/open_manifest.ts";

const broken = (): never => {
  throw new Error("broken");
};

test("FlushController: flushes a segment, and says that it is durable only when the sink has acknowledged it", async () => {
  const bench = new Bench();
  const acknowledged = new Gate();
  bench.sink.before = () => acknowledged.promise;
  const one = bench.enqueue(1);
  await settle();
  assertEquals([one.state, bench.flushed, bench.sink.calls.length], ["pending", [1], 0]);
  bench.gate(1).open();
  await settle();
  assertEquals([one.state, bench.sink.calls.length, bench.controller.stats().running], ["pending", 1, 1]);
  acknowledged.open();
  await settle();
  assertEquals(one.value, { db: 1, segment: 1, target: 10, flushAttempts: 1, sinkAttempts: 1 });
  assertEquals(bench.controller.stats(), { queued: 0, running: 0, succeeded: 1, failed: 0, aborted: 0, retried: 0 });
  assertEquals([bench.events, bench.timers.asked], [[{ db: 1, segment: 1, target: 10, type: "durable" }], []]);
});

test("FlushController: flush is given the object that was enqueued, the sink its numbers at that time", async () => {
  const seen: unknown[] = [];
  const sink = new MemorySink();
  const gate = new Gate();
  interface Sealed extends FlushSegment {
    records: string[];
  }
  const controller = new FlushController<Sealed>({
    flush: async (segment) => {
      seen.push(segment);
      await gate.promise;
    },
    sink,
  });
  const sealed = { db: 1, segment: 2, target: 3, records: ["a"] };
  const done = controller.enqueue(sealed);
  sealed.target = 99;
  gate.open();
  assertEquals((await done).target, 3);
  assertStrictEquals(seen[0], sealed);
  assertEquals(sink.applied, [{ db: 1, segment: 2, target: 3 }]);
});

test("FlushController: a flush that fails is tried again until it succeeds, and the sink hears of it once", async () => {
  let left = 3;
  const bench = new Bench({ flush: () => left-- > 0 ? broken() : undefined });
  const one = bench.enqueue(1);
  for (const milliseconds of [10, 20, 40]) await bench.timers.pass(milliseconds);
  assertEquals(one.value, { db: 1, segment: 1, target: 10, flushAttempts: 4, sinkAttempts: 1 });
  assertEquals([bench.sink.segments, bench.sink.failures, bench.controller.stats().retried, bench.timers.live], [[1], [], 3, 0]);
});

test("FlushController: a sink that fails is tried again, without another flush", async () => {
  const bench = new Bench({ gated: false });
  bench.sink.before = (_, call) => call <= 2 ? broken() : undefined;
  const one = bench.enqueue(1);
  for (const milliseconds of [10, 20]) await bench.timers.pass(milliseconds);
  assertEquals(one.value, { db: 1, segment: 1, target: 10, flushAttempts: 1, sinkAttempts: 3 });
  assertEquals([bench.flushed, bench.sink.segments, bench.sink.failures], [[1], [1], []]);
});

test("FlushController: behind the last retry of the flush it fails, with the cause, and the sink is told since when", async () => {
  const cause = new Error("no medium");
  const bench = new Bench({ retries: 2, flush: () => Promise.reject(cause) });
  const began = bench.timers.environment.now();
  const one = bench.enqueue(1);
  for (let i = 0; i < 3; i++) await bench.timers.pass(1000);
  const error = one.error!;
  assertEquals([error.code, error.kind, error.outcome, error.retryable], ["FLUSH_FAILED", "unavailable", "not_applied", true]);
  assertEquals(error.detail, { db: 1, segment: 1, target: 10, stage: "flush", attempts: 3 });
  assertStrictEquals(error.cause, cause);
  assertEquals(bench.sink.failures, [{ db: 1, at: began + 1 }]); // the first failure, not the last
  assertEquals([bench.sink.calls.length, bench.timers.live], [0, 0]);
  assertEquals(bench.events.map(({ type }) => type), ["retry", "retry", "failed"]);
  assertEquals(bench.controller.stats(), { queued: 0, running: 0, succeeded: 0, failed: 1, aborted: 0, retried: 2 });
});

test("FlushController: behind the last retry of the sink it fails with an unknown outcome, unless every error says that nothing was applied", async () => {
  for (const [thrown, outcome] of [[new Error("?"), "unknown"], [new ManifestError("UNAVAILABLE", "Cannot"), "not_applied"]] as const) {
    const bench = new Bench({ gated: false, retries: 1 });
    bench.sink.before = () => Promise.reject(thrown);
    const one = bench.enqueue(1);
    await bench.timers.pass(10);
    assertEquals([one.error!.code, one.error!.outcome, one.error!.detail.stage, one.error!.detail.attempts], [
      "FLUSH_FAILED",
      outcome,
      "sink",
      2,
    ]);
    assertEquals([bench.sink.failures.length, bench.flushed], [1, [1]]);
  }
});

test("FlushController: with retries 0 the first failure is the last", async () => {
  const bench = new Bench({ retries: 0, flush: broken });
  const one = bench.enqueue(1);
  await settle();
  assertEquals([one.error!.code, one.error!.detail.attempts, bench.timers.asked], ["FLUSH_FAILED", 1, []]);
});

test("FlushController: an error of this package that is not retryable is not tried again", async () => {
  const bench = new Bench({ gated: false });
  bench.sink.before = () => Promise.reject(new ManifestError("NOT_FOUND", "Cannot apply"));
  const one = bench.enqueue(1);
  await settle();
  assertEquals([one.error!.code, one.error!.retryable, one.error!.detail.code], ["FLUSH_FAILED", false, "NOT_FOUND"]);
  assertEquals([bench.sink.calls.length, bench.timers.asked], [1, []]);
});

test("FlushController: the retry after failure n waits min(backoffMs × 2^(n−1), backoffMaxMs) milliseconds, no less and no more, for each step anew", async () => {
  let left = 9;
  const bench = new Bench({ retries: 9, flush: () => left-- > 0 ? broken() : undefined });
  bench.sink.before = (_, call) => call <= 2 ? broken() : undefined;
  const one = bench.enqueue(1);
  await settle();
  const delays = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 10, 20];
  for (const [index, delay] of delays.entries()) {
    assertEquals(bench.timers.asked.length, index + 1);
    await bench.timers.pass(delay - 1);
    assertEquals(bench.timers.asked.length, index + 1, `retry ${index + 1} came too early`);
    await bench.timers.pass(1);
  }
  assertEquals(bench.timers.asked, delays);
  assertEquals(bench.events.map((event) => event.type === "retry" ? event.delayMs : 0), [...delays, 0]);
  assertEquals([one.value?.flushAttempts, one.value?.sinkAttempts], [10, 3]);
});

test("FlushController: a backoff of 0, and a hundred doublings, are no harm", async () => {
  for (const [backoffMs, backoffMaxMs, expected] of [[0, 1000, 0], [1, 7, 7]] as const) {
    const bench = new Bench({ retries: 100, backoffMs, backoffMaxMs, flush: broken });
    const one = bench.enqueue(1);
    for (let i = 0; i < 100; i++) await bench.timers.pass(7);
    assertEquals([one.error!.code, one.error!.detail.attempts, bench.timers.asked.at(-1)], ["FLUSH_FAILED", 101, expected]);
  }
});

// ---- order ------------------------------------------------------------------------------------------------------

test("FlushController: segments are flushed at once and given to the sink in the order of their targets", async () => {
  const bench = new Bench({ concurrency: 3 });
  const segments = [1, 2, 3].map((segment) => bench.enqueue(segment));
  await settle();
  assertEquals(bench.flushed, [1, 2, 3]);
  bench.gate(3).open();
  await settle();
  bench.gate(2).open();
  await settle();
  assertEquals([bench.sink.calls.length, segments.map(({ state }) => state)], [0, ["pending", "pending", "pending"]]);
  bench.gate(1).open();
  await settle();
  assertEquals([bench.sink.segments, segments.map(({ state }) => state)], [[1, 2, 3], ["resolved", "resolved", "resolved"]]);
});

test("FlushController: of two segments with one target, the second of which is empty, the one with the lower number comes first", async () => {
  const bench = new Bench();
  bench.enqueue(2, { target: 10 });
  bench.enqueue(1, { target: 10 });
  await settle();
  bench.gate(2).open();
  await settle();
  assertEquals(bench.sink.calls.length, 0);
  bench.gate(1).open();
  await settle();
  assertEquals(bench.sink.segments, [1, 2]);
});

test("FlushController: a lower target that is enqueued late comes first all the same, while the sink retries the higher one, even when that fills the places", async () => {
  const bench = new Bench({ concurrency: 1, gated: false });
  bench.sink.before = (_, call) => call === 1 ? broken() : undefined;
  const two = bench.enqueue(2);
  await settle();
  const one = bench.enqueue(1);
  await bench.timers.pass(10);
  assertEquals([one.state, two.state, bench.sink.segments], ["resolved", "resolved", [1, 2]]);
});

test("FlushController: a segment that fails takes those behind it with it, flushed or not, and the sink hears of none", async () => {
  const bench = new Bench({ retries: 0, concurrency: 2 });
  const segments = [1, 2, 3].map((segment) => bench.enqueue(segment));
  await settle();
  bench.gate(2).open();
  await settle();
  const cause = new Error("broken");
  bench.gate(1).fail(cause);
  await settle();
  assertEquals(segments.map(({ error }) => error?.code), ["FLUSH_FAILED", "FLUSH_FAILED", "FLUSH_FAILED"]);
  assertEquals(segments.map(({ error }) => error?.detail.blockedBy), [undefined, 1, 1]);
  assertEquals(segments.map(({ error }) => error?.outcome), ["not_applied", "not_applied", "not_applied"]);
  assertStrictEquals(segments[1]!.error!.cause, segments[0]!.error);
  assertStrictEquals(segments[0]!.error!.cause, cause);
  assertEquals([bench.sink.calls.length, bench.sink.failures.length], [0, 1]);
  assertEquals(bench.calls.map(({ segment, signal }) => [segment.segment, signal.aborted]), [[1, false], [2, false], [3, true]]);
  assertEquals(bench.controller.stats(), { queued: 0, running: 0, succeeded: 0, failed: 3, aborted: 0, retried: 0 });
});

test("FlushController: behind a segment that failed further ones are refused until it is enqueued again, and then each in its turn", async () => {
  const bench = new Bench({ retries: 0, gated: false });
  bench.sink.before = (_, call) => call === 1 ? broken() : undefined;
  const states = async (...segments: number[]): Promise<string[]> => {
    const tracked = segments.map((segment) => bench.enqueue(segment));
    await settle();
    return tracked.map(({ state, error }) => error === undefined ? state : `${error.code} ${error.detail.blockedBy ?? ""}`);
  };
  assertEquals(await states(1, 2), ["FLUSH_FAILED ", "FLUSH_FAILED 1"]);
  assertEquals(await states(3), ["FLUSH_FAILED 1"]);
  assertEquals(bench.sink.applied, []);
  assertEquals(await states(1), ["resolved"]);
  assertEquals(await states(3), ["FLUSH_FAILED 2"]); // 2 was lost too
  assertEquals(await states(4, 2, 3), ["FLUSH_FAILED 2", "resolved", "resolved"]);
  assertEquals(await states(5), ["FLUSH_FAILED 4"]);
  assertEquals(await states(4, 5), ["resolved", "resolved"]);
  assertEquals(bench.sink.segments, [1, 2, 3, 4, 5]);
});

test("FlushController: a lost segment is not made good by the same one with a lower target", async () => {
  const bench = new Bench({ retries: 0, gated: false });
  bench.sink.before = (_, call) => call === 1 ? broken() : undefined;
  bench.enqueue(1, { target: 10 });
  await settle();
  assertEquals(bench.enqueue(1, { target: 8, signal: AbortSignal.abort() }).state, "pending"); // lost again, but no less of it
  const part = bench.enqueue(1, { target: 9 });
  const two = bench.enqueue(2, { target: 20 });
  await settle();
  assertEquals([part.state, two.error!.detail.blockedBy], ["resolved", 1]);
  const whole = bench.enqueue(1, { target: 12 });
  const again = bench.enqueue(2, { target: 20 });
  await settle();
  assertEquals([whole.state, again.state], ["resolved", "resolved"]);
});

test("FlushController.forget: later segments no longer wait for lost ones; says how many those were", async () => {
  const bench = new Bench({ retries: 0, gated: false });
  bench.sink.before = (_, call) => call === 1 ? broken() : undefined;
  bench.enqueue(1);
  bench.enqueue(2);
  await settle();
  assertEquals([bench.controller.forget(2), bench.controller.forget(1), bench.controller.forget(1)], [0, 2, 0]);
  const three = bench.enqueue(3);
  await settle();
  assertEquals([three.state, bench.sink.segments], ["resolved", [3]]);
});

test("FlushController: a segment that is on its way cannot be enqueued again: EXISTS; one that is durable can", async () => {
  const bench = new Bench();
  const one = bench.enqueue(1);
  const twin = bench.enqueue(1);
  const other = bench.enqueue(1, { db: 2 });
  await settle();
  assertEquals([twin.error?.code, one.state, other.state], ["EXISTS", "pending", "pending"]);
  for (const { gate } of bench.calls) gate.open();
  await settle();
  const again = bench.enqueue(1);
  await settle();
  bench.gate(1).open();
  await settle();
  assertEquals([one.state, again.state, bench.sink.segments], ["resolved", "resolved", [1, 1, 1]]);
});

test("FlushController: databases do not wait for each other, neither in order nor in failure", async () => {
  const bench = new Bench({ concurrency: 2, retries: 0 });
  const stuck = bench.enqueue(1, { db: 1 });
  const others = [1, 2, 3].map((segment) => bench.enqueue(segment, { db: 2 }));
  for (let segment = 1; segment <= 3; segment++) {
    await settle();
    bench.gate(segment).open();
  }
  await settle();
  assertEquals([stuck.state, others.map(({ state }) => state)], ["pending", ["resolved", "resolved", "resolved"]]);
  bench.calls[0]!.gate.fail(new Error("broken"));
  const next = bench.enqueue(4, { db: 2 });
  await settle();
  bench.gate(4).open();
  await settle();
  assertEquals([stuck.error?.code, next.state, bench.sink.failures.map(({ db }) => db)], ["FLUSH_FAILED", "resolved", [1]]);
});

// ---- bounds -----------------------------------------------------------------------------------------------------

test("FlushController: at most `concurrency` flushes run at once, for all databases together, and as many as that do", async () => {
  for (const concurrency of [1, 2, 5]) {
    const bench = new Bench({ concurrency });
    for (let i = 0; i < 20; i++) bench.enqueue(i, { db: i % 3 });
    let ended = 0;
    for (;;) {
      await settle();
      if (ended === 20) break;
      assertEquals(bench.calls.length - ended, Math.min(concurrency, 20 - ended));
      bench.calls[ended++]!.gate.open();
    }
    assertEquals(bench.flushed, Array.from({ length: 20 }, (_, i) => i)); // in the order of enqueueing
  }
});

test("FlushController: a place is free for others during a backoff, and then the older segment comes first", async () => {
  const bench = new Bench({ concurrency: 1 });
  for (let segment = 1; segment <= 3; segment++) bench.enqueue(segment);
  await settle();
  bench.gate(1).fail(new Error("broken"));
  await settle();
  assertEquals(bench.flushed, [1, 2]);
  await bench.timers.pass(10);
  assertEquals(bench.flushed, [1, 2]);
  bench.gate(2).open();
  await settle();
  assertEquals(bench.flushed, [1, 2, 1]);
  assertEquals(bench.controller.stats(), { queued: 1, running: 2, succeeded: 0, failed: 0, aborted: 0, retried: 1 });
});

test("FlushController.enqueue: beyond the queue's capacity it is UNAVAILABLE, and the segment refused is not passed by the next", async () => {
  const bench = new Bench({ concurrency: 1, queueCapacity: 2 });
  for (let segment = 1; segment <= 3; segment++) bench.enqueue(segment);
  const refused = bench.enqueue(4);
  await settle();
  assertEquals(bench.controller.stats(), { queued: 2, running: 1, succeeded: 0, failed: 0, aborted: 0, retried: 0 });
  assertEquals([refused.error!.code, refused.error!.retryable, refused.error!.detail.capacity], ["UNAVAILABLE", true, 2]);
  bench.gate(1).open();
  await settle();
  const five = bench.enqueue(5);
  const four = bench.enqueue(4);
  await settle();
  assertEquals([five.error!.code, five.error!.detail.blockedBy, four.state], ["FLUSH_FAILED", 4, "pending"]);
});

test("FlushController.ready: resolves at once while there is room, and otherwise as places come free, one for each who waits, in their order", async () => {
  const bench = new Bench({ concurrency: 1, queueCapacity: 0 });
  await bench.controller.ready();
  bench.enqueue(1, { db: 0 });
  const order: number[] = [];
  const codes: string[] = [];
  for (let i = 1; i <= 3; i++) {
    const produce = async (): Promise<void> => {
      await bench.controller.ready();
      order.push(i);
      bench.controller.enqueue({ db: i, segment: 1, target: 1 }).catch((error) => codes.push(error.code));
    };
    void produce();
  }
  for (let i = 0; i <= 3; i++) {
    await settle();
    assertEquals(order, [1, 2, 3].slice(0, i));
    bench.calls[i]!.gate.open();
  }
  await bench.controller.idle();
  assertEquals([codes, bench.sink.applied.length], [[], 4]);
});

test("FlushController.ready: a place that is not taken is offered to the next who waits", async () => {
  const bench = new Bench({ concurrency: 1, queueCapacity: 0 });
  bench.enqueue(1);
  const waiting = [1, 2, 3].map(() => track(bench.controller.ready()));
  await settle();
  assertEquals(waiting.map(({ state }) => state), ["pending", "pending", "pending"]);
  bench.gate(1).open();
  await settle();
  assertEquals(waiting.map(({ state }) => state), ["resolved", "resolved", "resolved"]);
});

test("FlushController.ready: ABORTED before and while it waits, HANDLE_CLOSED when the controller is closed", async () => {
  const bench = new Bench({ concurrency: 1, queueCapacity: 0 });
  assertEquals(await codeOf(() => bench.controller.ready({ signal: AbortSignal.abort() })), "ABORTED");
  bench.enqueue(1);
  const caller = new AbortController();
  const first = track(bench.controller.ready({ signal: caller.signal }));
  const second = track(bench.controller.ready());
  caller.abort("enough");
  await settle();
  assertEquals([first.error?.code, first.error?.cause, second.state], ["ABORTED", "enough", "pending"]);
  const closed = bench.controller.close({ abort: true });
  await settle();
  assertEquals([second.error?.code, await codeOf(() => bench.controller.ready())], ["HANDLE_CLOSED", "HANDLE_CLOSED"]);
  await closed;
});

// ---- interruptions ----------------------------------------------------------------------------------------------

test("FlushController: an abort calls a segment off at every stage, at once, and leaves nothing of it but the hole in the log", async () => {
  interface Stage {
    name: string;
    outcome: string;
    type?: string;
    code?: string;
    reach(bench: Bench): Promise<void>;
  }
  const never = (): Promise<void> => new Promise(() => {});
  const stages: Stage[] = [
    { name: "queued", outcome: "not_applied", reach: () => Promise.resolve() },
    { name: "flush", outcome: "not_applied", reach: (bench) => Promise.resolve(bench.gate(0).open()) },
    {
      name: "backoff of the flush",
      outcome: "not_applied",
      reach: async (bench) => {
        bench.gate(0).open();
        await settle();
        bench.gate(1).fail(new Error("broken"));
      },
    },
    {
      name: "the turn",
      outcome: "not_applied",
      reach: async (bench) => {
        bench.sink.before = ({ segment }) => segment === 0 ? never() : undefined;
        bench.gate(0).open();
        await settle();
        bench.gate(1).open();
      },
    },
    {
      name: "the sink",
      outcome: "unknown",
      reach: async (bench) => {
        bench.sink.before = ({ segment }) => segment === 1 ? never() : undefined;
        bench.gate(0).open();
        await settle();
        bench.gate(1).open();
      },
    },
    {
      name: "backoff of the sink",
      outcome: "unknown",
      reach: async (bench) => {
        bench.sink.before = ({ segment }) => segment === 1 ? broken() : undefined;
        bench.gate(0).open();
        await settle();
        bench.gate(1).open();
      },
    },
    {
      name: "recording the failure", // it has failed: that is what it says
      outcome: "not_applied",
      code: "FLUSH_FAILED",
      type: "failed",
      reach: async (bench) => {
        bench.sink.beforeFailure = never;
        bench.gate(0).open();
        await settle();
        bench.gate(1).fail(new ManifestError("IO_WRITE", "Cannot write"));
      },
    },
  ];
  for (const { name, outcome, code = "ABORTED", type = "aborted", reach } of stages) {
    const bench = new Bench({ concurrency: 1, timeoutMs: 5000 });
    const caller = new AbortController();
    bench.enqueue(0);
    const one = bench.enqueue(1, { signal: caller.signal });
    const two = bench.enqueue(2);
    await settle();
    await reach(bench);
    await settle();
    assertEquals(one.state, "pending", name);
    caller.abort("enough");
    await settle();
    assertEquals([one.error?.code, one.error?.outcome], [code, outcome], name);
    if (code === "ABORTED") assertEquals([one.error?.cause, one.error?.retryable], ["enough", false], name);
    assertEquals([two.error?.code, two.error?.detail.blockedBy], ["FLUSH_FAILED", 1], name);
    if (name === "flush") assert(bench.calls.find(({ segment }) => segment.segment === 1)!.signal.aborted, name);
    if (name === "the sink") assert(bench.sink.calls.at(-1)!.signal!.aborted, name);
    assert(bench.events.some((event) => event.type === type && event.segment === 1), name);
    await bench.controller.close({ abort: true });
    assertEquals(bench.timers.live, 0, name);
    const { queued, running, aborted, failed, succeeded } = bench.controller.stats();
    assertEquals([queued, running, aborted + failed + succeeded], [0, 0, 3], name);
  }
});

test("FlushController.enqueue: with a signal that is aborted already it is ABORTED, and what is behind it waits for it", async () => {
  const bench = new Bench({ gated: false });
  const one = bench.enqueue(1, { signal: AbortSignal.abort("no") });
  const two = bench.enqueue(2);
  await settle();
  assertEquals([one.error?.code, one.error?.cause, two.error?.code, bench.flushed], ["ABORTED", "no", "FLUSH_FAILED", []]);
});

test("FlushController: an abort behind the acknowledgement changes nothing", async () => {
  const bench = new Bench();
  const caller = new AbortController();
  const segments = [1, 2].map((segment) => bench.enqueue(segment, { signal: segment === 1 ? caller.signal : undefined }));
  await settle();
  bench.gate(1).open();
  await settle();
  caller.abort();
  bench.gate(2).open();
  await settle();
  assertEquals([segments.map(({ state }) => state), bench.controller.stats().aborted], [["resolved", "resolved"], 0]);
});

test("FlushController: a flush that takes longer than timeoutMs is given up and tried again; what becomes of it is ignored", async () => {
  const bench = new Bench({ timeoutMs: 100 });
  const one = bench.enqueue(1);
  await bench.timers.pass(99);
  assertEquals(bench.calls[0]!.signal.aborted, false);
  await bench.timers.pass(1);
  assertEquals((bench.calls[0]!.signal.reason as ManifestError).code, "TIMEOUT");
  await bench.timers.pass(10);
  assertEquals(bench.flushed, [1, 1]);
  bench.calls[0]!.gate.fail(new Error("late"));
  await settle();
  assertEquals(one.state, "pending");
  bench.calls[1]!.gate.open();
  await settle();
  assertEquals([one.value?.flushAttempts, bench.timers.live, bench.sink.segments], [2, 0, [1]]);
});

test("FlushController: a sink that takes longer than timeoutMs is given up and tried again, up to the limit; then the outcome is unknown", async () => {
  const bench = new Bench({ timeoutMs: 100, retries: 1, gated: false });
  bench.sink.before = () => new Promise(() => {});
  bench.sink.beforeFailure = () => new Promise(() => {});
  const one = bench.enqueue(1);
  await bench.timers.pass(100);
  await bench.timers.pass(10);
  assertEquals([bench.sink.calls.length, bench.sink.calls[0]!.signal!.aborted], [2, true]);
  await bench.timers.pass(100);
  assertEquals(one.state, "pending"); // recording the failure has its time too
  await bench.timers.pass(100);
  assertEquals([one.error?.code, one.error?.outcome, (one.error?.cause as ManifestError).code], ["FLUSH_FAILED", "unknown", "TIMEOUT"]);
  assertEquals([bench.events.map(({ type }) => type), bench.timers.live], [["retry", "unrecorded", "failed"], 0]);
});

test("FlushController: a failure that the sink cannot record is reported as an event and changes nothing else", async () => {
  const bench = new Bench({ retries: 0, flush: broken });
  bench.sink.beforeFailure = broken;
  const one = bench.enqueue(1);
  await settle();
  assertEquals([one.error?.code, bench.events.map(({ type }) => type)], ["FLUSH_FAILED", ["unrecorded", "failed"]]);
  const without = new Bench({ retries: 0, flush: broken, sink: { apply: () => Promise.resolve() } });
  const other = without.enqueue(1);
  await settle();
  assertEquals([other.error?.code, without.events.map(({ type }) => type)], ["FLUSH_FAILED", ["failed"]]);
});

test("FlushController: what onEvent throws is ignored, and it may enqueue", async () => {
  let again = 3;
  const bench = new Bench({
    gated: false,
    onEvent: ({ segment }) => {
      if (again-- > 0) bench.enqueue(segment + 1);
      throw new Error("the listener's own");
    },
  });
  const one = bench.enqueue(1);
  await settle();
  assertEquals([one.state, bench.sink.segments], ["resolved", [1, 2, 3, 4]]);
});

// ---- the end ----------------------------------------------------------------------------------------------------

test("FlushController.close: waits for what was taken, refuses what comes, and may be called again", async () => {
  const bench = new Bench({ concurrency: 1 });
  const segments = [1, 2].map((segment) => bench.enqueue(segment));
  await settle();
  const closings = [track(bench.controller.close()), track(bench.controller[Symbol.asyncDispose]())];
  const late = bench.enqueue(3);
  await settle();
  assertEquals([late.error?.code, late.error?.handle, closings.map(({ state }) => state)], ["HANDLE_CLOSED", "closed", [
    "pending",
    "pending",
  ]]);
  bench.gate(1).open();
  await settle();
  assertEquals([segments.map(({ state }) => state), closings[0]!.state], [["resolved", "pending"], "pending"]);
  bench.gate(2).fail(new Error("broken"));
  await bench.timers.pass(10);
  bench.gate(2).open();
  await settle();
  assertEquals([segments.map(({ state }) => state), closings.map(({ state }) => state)], [["resolved", "resolved"], [
    "resolved",
    "resolved",
  ]]);
  await bench.controller.close();
});

test("FlushController.close: with abort it calls everything off, also behind a close without", async () => {
  const bench = new Bench({ concurrency: 2, timeoutMs: 1000 });
  const segments = [1, 2, 3, 4].map((segment) => bench.enqueue(segment, { db: segment % 2 }));
  await settle();
  bench.gate(1).fail(new Error("broken"));
  await settle();
  const waiting = track(bench.controller.close());
  await bench.controller.close({ abort: true });
  await settle();
  assertEquals(segments.map(({ error }) => error?.code), ["ABORTED", "ABORTED", "ABORTED", "ABORTED"]);
  assertEquals([waiting.state, bench.timers.live, bench.sink.calls.length], ["resolved", 0, 0]);
  assertEquals(bench.controller.stats(), { queued: 0, running: 0, succeeded: 0, failed: 0, aborted: 4, retried: 1 });
  assert(bench.calls.slice(1).every(({ signal }) => signal.aborted));
});

test("FlushController.idle: resolves at once without work, and behind the last promise with it", async () => {
  const bench = new Bench({ retries: 0 });
  await bench.controller.idle();
  const order: string[] = [];
  const note = (name: string) => () => void order.push(name);
  bench.controller.enqueue({ db: 1, segment: 1, target: 1 }).then(note("resolved"));
  bench.controller.enqueue({ db: 2, segment: 1, target: 1 }).catch(note("rejected"));
  bench.controller.idle().then(note("idle"));
  await settle();
  bench.calls[0]!.gate.open();
  await settle();
  bench.calls[1]!.gate.fail(new Error("broken"));
  await settle();
  assertEquals(order, ["resolved", "rejected", "idle"]);
});

// ---- arguments --------------------------------------------------------------------------------------------------

test("FlushController: arguments that make no sense are refused before anything happens", async () => {
  const good = { flush: () => {}, sink: new MemorySink() };
  const options: Record<string, unknown>[] = [
    { flush: undefined },
    { sink: undefined },
    { sink: {} },
    { sink: { apply: () => {}, recordFailure: 1 } },
    { queueCapacity: -1 },
    { queueCapacity: "1" },
    { concurrency: 0 },
    { retries: 1.5 },
    { backoffMs: -1 },
    { backoffMs: NaN },
    { backoffMaxMs: Infinity },
    { timeoutMs: 0 },
    { timeoutMs: 2 ** 31 },
    { onEvent: 1 },
    { environment: null },
  ];
  for (const wrong of options) {
    const { code, kind } = await errorOf(() => new FlushController({ ...good, ...wrong } as unknown as FlushControllerOptions));
    assertEquals([code, kind], ["INVALID_ARGUMENT", "usage"], JSON.stringify(wrong));
  }
  assertEquals(await codeOf(() => new FlushController(undefined as never)), "INVALID_ARGUMENT");
  const bench = new Bench({ gated: false });
  const segment = { db: 1, segment: 1, target: 1 };
  for (
    const wrong of [null, 1, { ...segment, db: -1 }, { ...segment, segment: "1" }, { ...segment, target: 2 ** 53 }, {
      ...segment,
      target: NaN,
    }]
  ) {
    assertEquals(await codeOf(() => bench.controller.enqueue(wrong as never)), "INVALID_ARGUMENT");
  }
  for (const wrong of [null, { signal: 1 }]) {
    assertEquals(await codeOf(() => bench.controller.enqueue(segment, wrong as never)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => bench.controller.ready(wrong as never)), "INVALID_ARGUMENT");
  }
  assertEquals(await codeOf(() => bench.controller.forget("1" as never)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => bench.controller.close(null as never)), "INVALID_ARGUMENT");
  await bench.controller.enqueue(segment);
  assertEquals(bench.sink.segments, [1]);
});
