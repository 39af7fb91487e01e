// A meta slot that a crash has left half written must not come back whole when a later one is cut short: the pages that it names have been given to others by then.
import { assert, assertEquals } from "@std/assert";
import { slotOffset } from "../../src/store/meta.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { SimDisk } from "../support/disk/sim_disk.ts";
import { ImageBuilder } from "../support/disk/image_builder.ts";
import { ImageStorage } from "../support/disk/image_storage.ts";
import type { DiskCall } from "../support/disk/call_log.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const encoder = new TextEncoder();

function put(store: Store, key: string, byte: number): Promise<unknown> {
  const value = new Uint8Array(700).fill(byte);
  return store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table: 16, key: encoder.encode(key), value }]) });
}

/** Calls before the last write of a meta slot's first copy. */
function beforeSlot(calls: readonly DiskCall[]): number {
  return calls.findLastIndex((call) => call.kind === "write" && (call.at === slotOffset(0, 1) || call.at === slotOffset(1, 1)));
}

test("Store.open: what is left of a half-written meta slot is gone before pages are written, so that no crash can make it whole", async () => {
  const options = { create: true, idleCheckpoint: 0, syncMode: "async", environment: testEnvironment(1) } as const;
  const disk = new SimDisk();
  const store = await Store.open(disk.open(), options);
  for (let i = 0; i < 3; i++) await put(store, `row ${i}`, i);
  await store.checkpoint();
  for (let i = 0; i < 20; i++) await put(store, `row ${i}`, i + 20);
  // The checkpoint does not hold what is committed beside it: the one that recovery makes writes other pages to the same places.
  const checkpoint = store.checkpoint();
  await Promise.all(Array.from({ length: 10 }, (_, i) => put(store, `row ${i}`, i + 50)));
  await checkpoint;

  const builder = new ImageBuilder(disk.durable(0));
  const at = beforeSlot(disk.log);
  for (const call of disk.log.slice(0, at)) if (call.kind !== "sync") builder.apply(call, "keep");
  const half = disk.log[at]!;
  assert(half.kind === "write");
  builder.apply(half, { spoilt: 7, unit: 512, fill: 5 });
  builder.adopt();

  const first = new ImageStorage(builder);
  first.recording = true;
  const recovered = await Store.open(first, { ...options, environment: testEnvironment(2) });
  const { frame } = recovered.newest;
  assertEquals(recovered.recovery.repairedSlots, [half.at / 4096]);
  builder.reset();
  const { calls } = first.log;
  const again = beforeSlot(calls);
  for (const call of calls.slice(0, again)) if (call.kind !== "sync") builder.apply(call, "keep");
  const slot = calls[again]!;
  assert(slot.kind === "write");
  assertEquals(slot.at, half.at);
  builder.apply(slot, { from: 512, to: 4096 });

  const last = await Store.open(new ImageStorage(builder), { ...options, environment: testEnvironment(3) });
  assertEquals(last.newest.frame, frame);
  const { problems } = await last.check();
  assertEquals(problems, []);
  assertEquals(last.newest.tree(16).get(encoder.encode("row 3"))?.[0], 53);
});
