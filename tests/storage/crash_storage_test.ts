// The simulated disk itself: a crash test is worth what its images are worth.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { isManifestError } from "../../src/errors.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { CrashStorage, SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const block = (value: number, length = 512): Uint8Array => new Uint8Array(length).fill(value);
const text = (image: Uint8Array): string => Array.from(image, (value) => value.toString(16).padStart(2, "0")).join("");

function codeOf(action: () => unknown): string {
  const error = assertThrows(action);
  assert(isManifestError(error), String(error));
  return error.code;
}

test("SimDisk.images: what a sync covers is in every image, and what it does not cover may be missing", () => {
  const storage = new CrashStorage();
  storage.write(0, block(1));
  storage.sync();
  storage.write(512, block(2));
  const before = [...storage.images(2, seeded(1), 100)];
  assertEquals(before.map(text), [text(block(1))]);
  const after = [...storage.images(3, seeded(1), 100)];
  assert(after.length >= 3);
  for (const image of after) assertEquals(text(image.subarray(0, 512)), text(block(1)));
  assert(after.some((image) => image.length === 512), "dropped");
  assert(after.some((image) => image.length === 1024 && image[1023] === 2), "kept");
  assert(after.some((image) => image.length === 1024 && image[1023] === 0), "grown with zeros only");
  assertEquals(text(storage.disk.durable()), text(block(1)));
  assertEquals(storage.disk.live().length, 1024);
});

test("SimDisk.images: all subsets of a few unsynced sectors appear, and nothing else", () => {
  const disk = new SimDisk(block(0, 2048));
  const storage = disk.open();
  for (let i = 0; i < 4; i++) storage.write(i * 512, block(i + 1));
  const seen = new Set<string>();
  const marks = new Set<string>();
  for (const image of disk.images(4, seeded(7), 1500)) {
    assert(!seen.has(text(image)), "images are distinct");
    seen.add(text(image));
    for (let i = 0; i < 4; i++) for (const value of image.subarray(i * 512, i * 512 + 512)) assert(value === 0 || value === i + 1);
    marks.add([0, 512, 1024, 1536].map((at) => image[at + 511]).join());
  }
  assertEquals(marks.size, 16);
});

test("SimDisk.images: truncations are kept or dropped, and a cut tail reads as zeros when the file grows again", () => {
  const disk = new SimDisk(block(9, 1024));
  const storage = disk.open();
  storage.truncate(100);
  storage.write(600, bytes(5));
  const images = [...disk.images(2, seeded(3), 100)].map((image) => `${image.length}:${image[99]}:${image[100]}:${image[600] ?? "-"}`);
  assertEquals(images.sort(), ["1024:9:9:5", "1024:9:9:9", "100:9:undefined:-", "601:9:0:0", "601:9:0:5"].sort());
});

test("SimDisk.images: a write is cut at sectors and at bytes", () => {
  const disk = new SimDisk(block(0, 4096));
  disk.open().write(0, block(1, 4096));
  let atSector = 0, atByte = 0, holes = 0;
  for (const image of disk.images(1, seeded(5), 400)) {
    const end = image.lastIndexOf(1) + 1;
    if (image.subarray(0, end).includes(0)) holes++;
    else if (end % 512 === 0) atSector++;
    else atByte++;
  }
  assert(atSector >= 9 && atByte >= 1 && holes >= 20, `${atSector} ${atByte} ${holes}`);
});

test("SimDisk.images: the same seed gives the same images, and a shared set leaves out what is known", () => {
  const disk = new SimDisk();
  const storage = disk.open();
  for (let i = 0; i < 20; i++) storage.write(i * 300, block(i + 1, 700));
  const first = [...disk.images(20, seeded(11), 200)].map(text);
  const again = [...disk.images(20, seeded(11), 200)].map(text);
  assertEquals(first, again);
  assertEquals(first.length, 200);
  const seen = new Set<number>();
  const a = [...disk.images(20, seeded(11), 200, seen)].map(text);
  const b = [...disk.images(20, seeded(12), 200, seen)].map(text);
  assertEquals(new Set([...a, ...b]).size, 400);
  assertEquals(seen.size, 400);
});

test("SimDisk.images: equal bytes have one hash, however the disk came to them", () => {
  const seen = new Set<number>();
  const one = new SimDisk();
  one.open().write(0, block(3, 1500));
  one.open().sync();
  assertEquals([...one.images(2, seeded(1), 10, seen)].length, 1);
  const other = new SimDisk(block(8, 9000));
  const storage = other.open();
  storage.truncate(0);
  storage.write(700, block(3, 800));
  storage.write(0, block(3, 700));
  storage.sync();
  assertEquals([...other.images(4, seeded(1), 10, seen)].length, 0);
});

test("SimDisk.images: crash points may be visited in any order", () => {
  const disk = new SimDisk();
  const storage = disk.open();
  const random = seeded(21);
  for (let i = 0; i < 60; i++) {
    if (random.chance(0.2)) storage.sync();
    else if (random.chance(0.1)) storage.truncate(random.int(4000));
    else storage.write(random.int(4000), random.bytes(1 + random.int(900)));
  }
  const upwards: string[][] = [];
  for (let at = 0; at <= disk.calls; at++) upwards[at] = [...disk.images(at, seeded(at), 8)].map(text);
  for (let at = disk.calls; at >= 0; at--) assertEquals([...disk.images(at, seeded(at), 8)].map(text), upwards[at]!);
});

test("CrashStorage.syncAsync: covers what was written before it began and nothing written while it ran", async () => {
  const storage = new CrashStorage();
  storage.write(0, bytes(1));
  const syncing = storage.syncAsync();
  storage.write(1, bytes(2));
  assertEquals(storage.disk.durable().length, 0);
  await syncing;
  assertEquals(text(storage.disk.durable()), "01");
  assertEquals(storage.disk.pending(storage.disk.calls), 1);
  storage.sync();
  assertEquals(text(storage.disk.durable()), "0102");
});

test("SimDisk.failNextSync: what a failed sync left in doubt is not made durable by the next one, only by writing again", () => {
  const storage = new CrashStorage();
  storage.write(0, bytes(1));
  storage.disk.failNextSync("EIO");
  assertEquals(codeOf(() => storage.sync()), "SYNC_FAILED");
  storage.write(1, bytes(2));
  storage.sync();
  const images = [...storage.images(storage.disk.calls, seeded(1), 50)].map(text);
  assert(images.includes("0002") && images.includes("0102"), images.join());
  storage.write(0, bytes(1));
  storage.sync();
  assertEquals([...storage.images(storage.disk.calls, seeded(1), 50)].map(text), ["0102"]);
});

test("CrashStorage.reopen: goes on with the same disk and log", () => {
  const storage = new CrashStorage(block(4, 10));
  storage.write(0, bytes(1));
  storage.close();
  assertEquals(codeOf(() => storage.size()), "HANDLE_CLOSED");
  const again = storage.reopen();
  assertEquals(again.size(), 10);
  again.sync();
  assertEquals(storage.disk.calls, 2);
  assertEquals(storage.disk.durable()[0], 1);
});

test("FaultyStorage: the n-th call fails with the code of its errno, later ones work again", async () => {
  const faulty = new FaultyStorage(new MemoryStorage(), { at: 1, errno: "ENOSPC", kinds: ["write"], part: 0.5 });
  faulty.write(0, block(1));
  assertEquals(codeOf(() => faulty.write(512, block(2))), "NO_SPACE");
  assertEquals(faulty.size(), 768);
  faulty.write(512, block(2));
  assertEquals([faulty.size(), faulty.failed], [1024, 1]);
  faulty.plan({ at: 0, errno: "EIO", kinds: ["sync"], times: Infinity });
  assertEquals(codeOf(() => faulty.sync()), "SYNC_FAILED");
  const error = await assertRejects(() => faulty.syncAsync());
  assert(isManifestError(error) && error.code === "SYNC_FAILED" && error.outcome === "unknown");
  faulty.plan({ at: 0, errno: "EIO", kinds: ["read"] });
  assertEquals(codeOf(() => faulty.read(0, block(0))), "IO_READ");
});

test("CountingStorage: counts calls and bytes by kind and keeps their order", async () => {
  const counting = new CountingStorage(new MemoryStorage(), { recording: true });
  counting.write(0, block(1));
  counting.read(500, block(0, 100));
  counting.sync();
  await counting.syncAsync();
  assertEquals([counting.counts.write, counting.counts.read, counting.syncs, counting.bytesRead, counting.bytesWritten], [
    1,
    1,
    2,
    12,
    512,
  ]);
  assertEquals(counting.calls.map(({ kind }) => kind), ["write", "read", "sync", "syncAsync"]);
  counting.reset();
  assertEquals([counting.syncs, counting.calls.length], [0, 0]);
});
