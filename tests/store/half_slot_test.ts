// A meta slot that a crash has left half written must not come back whole when a later one is cut short: the pages that it names have been given to others by then.
import { assert, assertEquals } from "@std/assert";
import { slotOffset } from "../../src/store/meta.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { SimDisk } from "../support/disk/sim_disk.ts";
import { ImageBuilder } from "../support/disk/image_builder.ts";
import { ImageStorage } from "../support/disk/image_storage.ts";
import type { Change } from "../support/disk/change.ts";
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

function changes(calls: readonly DiskCall[]): Change[] {
  return calls.filter((call) => call.kind !== "sync");
}

const OPTIONS = { create: true, idleCheckpoint: 0, syncMode: "async" } satisfies StoreOptions;

interface HalfWritten {
  /** What the crash has left is its base. */
  readonly builder: ImageBuilder;
  readonly slot: number;
  /** Every change and sync of the opening behind it. */
  readonly calls: readonly DiskCall[];
  /** The last frame that the opening found. */
  readonly frame: number;
}

/** A store that was crashed in the middle of a checkpoint's first copy, all of which has landed but its last sector; and what opening it does. */
async function openHalfWritten(): Promise<HalfWritten> {
  const disk = new SimDisk();
  const store = await Store.open(disk.open(), { ...OPTIONS, environment: testEnvironment(1) });
  for (let i = 0; i < 3; i++) await put(store, `row ${i}`, i);
  await store.checkpoint();
  for (let i = 0; i < 20; i++) await put(store, `row ${i}`, i + 20);
  // The checkpoint does not hold what is committed beside it: the one that recovery makes writes other pages to the same places.
  const checkpoint = store.checkpoint();
  await Promise.all(Array.from({ length: 10 }, (_, i) => put(store, `row ${i}`, i + 50)));
  await checkpoint;

  const builder = new ImageBuilder(disk.durable(0));
  const at = beforeSlot(disk.log);
  for (const change of changes(disk.log.slice(0, at))) builder.apply(change, "keep");
  const half = disk.log[at]!;
  assert(half.kind === "write");
  builder.apply(half, { spoilt: 7, unit: 512, fill: 5 });
  builder.adopt();

  const storage = new ImageStorage(builder);
  storage.recording = true;
  const recovered = await Store.open(storage, { ...OPTIONS, environment: testEnvironment(2) });
  const { frame } = recovered.newest;
  const slot = half.at / 4096;
  assertEquals(recovered.recovery.repairedSlots, [slot]);
  builder.reset();
  return { builder, slot, calls: storage.log.calls, frame };
}

/** Opens what a second crash has left: nothing is lost, and every page is whole. */
async function assertWhole({ builder, frame }: HalfWritten): Promise<void> {
  const store = await Store.open(new ImageStorage(builder), { ...OPTIONS, environment: testEnvironment(3) });
  assertEquals(store.newest.frame, frame);
  const { problems } = await store.check();
  assertEquals(problems, []);
  assertEquals(store.newest.tree(16).get(encoder.encode("row 3"))?.[0], 53);
}

test("Store.open: what is left of a half-written meta slot is gone before pages are written, so that no crash can make it whole", async () => {
  const half = await openHalfWritten();
  const { builder, slot, calls } = half;
  const again = beforeSlot(calls);
  for (const change of changes(calls.slice(0, again))) builder.apply(change, "keep");
  const write = calls[again]!;
  assert(write.kind === "write");
  assertEquals(write.at, slot * 4096);
  builder.apply(write, { from: 512, to: 4096 });
  await assertWhole(half);
});

test("Store.open: the repair of a half-written meta slot is durable before pages are written, so that no crash within it can make the slot whole", async () => {
  const half = await openHalfWritten();
  const { builder, slot, calls } = half;
  const repair = calls[0]!;
  assert(repair.kind === "write");
  assertEquals([repair.at, repair.data.length], [slot * 4096, 4096]);
  // Of the repair nothing has landed but the sector that the first crash had spoilt, of what no sync divides from it everything.
  builder.apply(repair, { from: 7 * 512, to: 4096 });
  for (const change of changes(calls.slice(1, calls.findIndex(({ kind }) => kind === "sync")))) builder.apply(change, "keep");
  await assertWhole(half);
});
