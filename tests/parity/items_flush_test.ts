// Item 45 of the test list, and the flush sink and controller of the source document with their options.
import { assert, assertEquals } from "@std/assert";
import {
  FlushController,
  type FlushControllerOptions,
  type FlushRequest,
  type FlushSegment,
  type FlushSink,
  ManifestFlushSink,
} from "../../src/flush/mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { Subject } from "./subject.ts";

/** A subject with database 1, and a controller over its manifest that uses its clock. */
async function flushing(
  options: Partial<FlushControllerOptions>,
): Promise<{ subject: Subject; controller: FlushController; sink: ManifestFlushSink }> {
  const subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  const { environment } = subject;
  const sink = new ManifestFlushSink(subject.manifest, { environment });
  const controller = new FlushController({ flush: () => {}, sink, environment, ...options });
  return { subject, controller, sink };
}

/** Lets time pass, a millisecond at a time, until a promise has settled; returns how much. */
async function settled(subject: Subject, promise: Promise<unknown>, most = 20_000): Promise<number> {
  let done = false;
  promise.then(() => done = true, () => done = true);
  for (let elapsed = 0;; elapsed++) {
    for (let turn = 0; turn < 60 && !done; turn++) await undefined;
    if (done) return elapsed;
    assert(elapsed < most, "it does not settle");
    subject.environment.advance(1);
  }
}

const SEGMENT: FlushSegment = { db: 1, segment: 3, target: 250 };

test("item 45: a flush that fails is tried again, and a later success is durable", async () => {
  let calls = 0;
  const flush = () => {
    if (++calls < 4) throw new Error("not yet");
  };
  const { subject, controller } = await flushing({ flush });
  const result = controller.enqueue(SEGMENT);
  assertEquals(await settled(subject, result), 10 + 20 + 40);
  await result;
  const manifest = await subject.crashAndReopen();
  assertEquals([calls, manifest.getWalState(1)?.lastAppliedLsn, manifest.getWalState(1)?.lastSealedSegment], [4, 250, 3]);
});

test("item 45: a sink that fails is asked again, without flushing again", async () => {
  let flushes = 0, asked = 0;
  const sinks: FlushSink[] = [];
  const sink: FlushSink = {
    apply: (request: FlushRequest) => ++asked < 3 ? Promise.reject(new Error("sink")) : sinks[0]!.apply(request),
  };
  const { subject, controller, sink: real } = await flushing({ flush: () => void flushes++, sink });
  sinks.push(real);
  const result = controller.enqueue(SEGMENT);
  await settled(subject, result);
  await result;
  const manifest = await subject.crashAndReopen();
  assertEquals([flushes, asked, manifest.getWalState(1)?.lastAppliedLsn], [1, 3, 250]);
});

test("item 45: the retries have a limit; then the failure is noted, durably, and what is behind it is not applied", async () => {
  let calls = 0;
  const flush = ({ segment }: FlushSegment) => {
    calls++;
    if (segment === 3) throw new Error("broken");
  };
  const { subject, controller } = await flushing({ flush, retries: 2 });
  const failed = errorOf(() => controller.enqueue(SEGMENT));
  const behind = errorOf(() => controller.enqueue({ db: 1, segment: 4, target: 300 }));
  await settled(subject, Promise.all([failed, behind]));
  const { code, detail } = await failed;
  assertEquals([code, detail.segment, detail.attempts, (await behind).code], ["FLUSH_FAILED", 3, 3, "FLUSH_FAILED"]);
  const manifest = await subject.crashAndReopen();
  const state = manifest.getWalState(1)!;
  assertEquals([calls, state.lastAppliedLsn, state.flushGate.erroredSince !== undefined], [4, 0, true]);
});

test("item 45: nothing is called durable before the sink has acknowledged it", async () => {
  let acknowledge!: () => void;
  const { subject, controller, sink } = await flushing({
    sink: { apply: (request) => new Promise<void>((resolve) => acknowledge = resolve).then(() => sinks[0]!.apply(request)) },
  });
  const sinks = [sink];
  let durable = false;
  const result = controller.enqueue(SEGMENT).then(() => durable = true);
  for (let i = 0; i < 100; i++) await undefined;
  subject.environment.advance(10_000);
  for (let i = 0; i < 100; i++) await undefined;
  assertEquals([durable, subject.manifest.getWalState(1), controller.stats().running], [false, undefined, 1]);
  acknowledge();
  await result;
  const manifest = await subject.crashAndReopen(); // and what was called durable is
  assertEquals([durable, manifest.getWalState(1)?.lastAppliedLsn], [true, 250]);
});

test("item 45: a success clears the error flag and notes the time; an older target moves nothing back", async () => {
  const { subject, sink } = await flushing({});
  await sink.apply(SEGMENT);
  await sink.recordFailure(1, 777);
  await sink.recordFailure(1, 999); // since the first
  assertEquals((await subject.crashAndReopen()).getWalState(1)?.flushGate.erroredSince, 777);
  const again = new ManifestFlushSink(subject.manifest, { environment: subject.environment });
  await again.apply({ db: 1, segment: 2, target: 100 });
  const manifest = await subject.crashAndReopen();
  const { lastAppliedLsn, lastSealedSegment, flushGate } = manifest.getWalState(1)!;
  assertEquals([lastAppliedLsn, lastSealedSegment, flushGate.erroredSince, flushGate.lastSuccessAt! > 0], [250, 3, undefined, true]);
});

test("parity method apply_flush: raises the applied LSN in one durable commit, and refuses an unknown database", async () => {
  const { subject, sink } = await flushing({});
  await subject.manifest.begin().putWalState(1, { restartEpoch: 4, lastCheckpointGeneration: 2 }).commit();
  await sink.apply(SEGMENT);
  assertEquals((await errorOf(() => sink.apply({ ...SEGMENT, db: 9 }))).code, "NOT_FOUND");
  const manifest = await subject.crashAndReopen();
  const { lastAppliedLsn, restartEpoch, lastCheckpointGeneration } = manifest.getWalState(1)!;
  assertEquals([lastAppliedLsn, restartEpoch, lastCheckpointGeneration, manifest.getWalState(9)], [250, 4, 2, undefined]);
});

test("parity option flush queue, concurrency: 64 wait beside the 2 that run, the next is refused, and all become durable", async () => {
  let running = 0, most = 0;
  const gates: (() => void)[] = [];
  const { subject, controller } = await flushing({
    flush: async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    },
  });
  const taken = Array.from({ length: 66 }, (_, i) => controller.enqueue({ db: 1, segment: i + 1, target: i + 1 }));
  for (let i = 0; i < 50; i++) await undefined;
  const refused = await errorOf(() => controller.enqueue({ db: 2, segment: 1, target: 1 }));
  assertEquals([refused.code, refused.retryable, controller.stats().queued, most], ["UNAVAILABLE", true, 64, 2]);
  for (let i = 0; i < 66; i++) {
    while (gates.length === 0) await undefined;
    gates.shift()!();
  }
  await Promise.all(taken);
  const manifest = await subject.crashAndReopen();
  assertEquals([manifest.getWalState(1)?.lastAppliedLsn, most, controller.stats().succeeded], [66, 2, 66]);
});

test("parity option flush backoff, retries: 5 retries, 10 ms doubling up to a second, unless other values are given", async () => {
  for (const [options, wanted] of [[{}, [10, 20, 40, 80, 160]], [{ retries: 9 }, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]]] as const) {
    const delays: number[] = [];
    const { subject, controller } = await flushing({
      ...options,
      flush: () => Promise.reject(new Error("broken")),
      onEvent: (event) => void (event.type === "retry" && delays.push(event.delayMs)),
    });
    const failed = errorOf(() => controller.enqueue(SEGMENT));
    const elapsed = await settled(subject, failed);
    assertEquals([delays as readonly number[], elapsed], [wanted, wanted.reduce((a: number, b) => a + b, 0)]);
    const manifest = await subject.crashAndReopen();
    assertEquals([manifest.getWalState(1)?.lastAppliedLsn, manifest.getWalState(1)?.flushGate.erroredSince !== undefined], [0, true]);
  }
});

test("parity option flush timeout: none unless given; then a call that takes longer counts as failed and its signal is aborted", async () => {
  let calls = 0, aborted = 0;
  const flush = (_: FlushSegment, signal: AbortSignal): Promise<void> => {
    if (++calls === 3) return Promise.resolve();
    signal.addEventListener("abort", () => aborted++);
    return new Promise(() => {});
  };
  const { subject, controller } = await flushing({ flush, timeoutMs: 100 });
  const result = controller.enqueue(SEGMENT);
  assertEquals(await settled(subject, result), 100 + 10 + 100 + 20);
  await result;
  const manifest = await subject.crashAndReopen();
  assertEquals([calls, aborted, manifest.getWalState(1)?.lastAppliedLsn], [3, 2, 250]);
});
