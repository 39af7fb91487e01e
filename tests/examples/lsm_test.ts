// The example engine by itself: what it answers, what it refuses to open, and what is left of it when a write fails. That it survives crashes is shown by tests/stages/lsm.ts.
import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects, assertThrows } from "@std/assert";
import { spawnSync } from "node:child_process";
import { Manifest, memoryStorage } from "@waybill/manifest";
import { type Folder, memoryFolder } from "@waybill/manifest/files";
import { makeBloom, mayHold } from "../../examples/lsm/bloom.ts";
import { ByteReader, ByteWriter, compareKeys, crc32c } from "../../examples/lsm/bytes.ts";
import { Engine } from "../../examples/lsm/engine.ts";
import { LsmError, type LsmErrorCode } from "../../examples/lsm/error.ts";
import type { EngineOptions } from "../../examples/lsm/options.ts";
import { test } from "../support/harness.ts";
import { bytesOf, checkExact, contentOf, SMALL, stringOf } from "../support/lsm/engines.ts";
import { seeded } from "../support/random.ts";
import { currentRuntime, runtimeCommand } from "../support/runtimes.ts";

async function open(folder: Folder, manifest: Manifest, options: Partial<EngineOptions> = {}): Promise<Engine> {
  return await Engine.open({ manifest, folder, ...SMALL, automatic: false, ...options });
}

const newManifest = (): Promise<Manifest> => Manifest.open(memoryStorage(), { create: true, idleCheckpoint: 0 });

async function put(engine: Engine, pairs: Record<string, string>): Promise<void> {
  for (const [key, value] of Object.entries(pairs)) await engine.put(bytesOf(key), bytesOf(value));
}

async function keysOf(engine: Engine, from?: string, to?: string): Promise<string> {
  const keys: string[] = [];
  for await (
    const [key] of engine.scan({ from: from === undefined ? undefined : bytesOf(from), to: to === undefined ? undefined : bytesOf(to) })
  ) keys.push(stringOf(key));
  return keys.join(" ");
}

async function assertLsm(code: LsmErrorCode, action: () => Promise<unknown>): Promise<LsmError> {
  const error = await assertRejects(action);
  assertInstanceOf(error, LsmError, String(error));
  assertEquals(error.code, code);
  return error;
}

async function filesOf(folder: Folder): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { name } of await folder.list("")) {
    const file = await folder.open(name);
    const bytes = new Uint8Array((await file.facts()).sizeBytes);
    await file.read(0, bytes);
    files.set(name, bytes);
  }
  return files;
}

/** Writes a file anew. */
async function replace(folder: Folder, name: string, bytes: Uint8Array): Promise<void> {
  await folder.remove(name);
  const file = await folder.create(name);
  await file.write(0, bytes);
  await file.close();
}

test("Engine: finds what was put, in memory and in every level, and not what was deleted", async () => {
  await using manifest = await newManifest();
  const folder = memoryFolder();
  const engine = await open(folder, manifest);
  await put(engine, { a: "1", b: "1", c: "1", "": "empty key" });
  await engine.flush();
  await put(engine, { b: "2", d: "2" });
  await engine.delete(bytesOf("a"));
  await engine.flush();
  await engine.compact({ all: true });
  await put(engine, { c: "", e: "3" });
  await engine.flush();
  await put(engine, { f: "4" });
  await engine.delete(bytesOf("d"));
  await engine.delete(bytesOf("never there"));
  assertEquals(await contentOf(engine), "=empty key\nb=2\nc=\ne=3\nf=4\n");
  assertEquals(await engine.get(bytesOf("c")), new Uint8Array(0));
  for (const gone of ["a", "d", "zz"]) assertEquals(await engine.get(bytesOf(gone)), undefined);
  assertEquals([
    await keysOf(engine, "b", "e"),
    await keysOf(engine, "ba"),
    await keysOf(engine, undefined, "c"),
    await keysOf(engine, "x"),
  ], ["b c", "c e f", " b", ""]);
  await engine.close();
  const again = await open(folder, manifest);
  assertEquals([await contentOf(again), again.recovery.replayed, again.lastLsn], ["=empty key\nb=2\nc=\ne=3\nf=4\n", 3, 12]);
  checkExact(again.catalog, await filesOf(folder));
  await again.close();
});

test("Engine.view: later writes, flushes and compactions do not change it; its files go when it is closed", async () => {
  await using manifest = await newManifest();
  const folder = memoryFolder();
  await using engine = await open(folder, manifest);
  await put(engine, { a: "1", b: "1" });
  await engine.flush();
  await put(engine, { b: "2" });
  const view = engine.view();
  await put(engine, { a: "3", c: "3" });
  await engine.flush();
  await engine.compact({ all: true });
  assertEquals([await contentOf(view), await contentOf(engine)], ["a=1\nb=2\n", "a=3\nb=2\nc=3\n"]);
  assertEquals([stringOf((await view.get(bytesOf("b")))!), await view.get(bytesOf("c"))], ["2", undefined]);
  assertThrows(() => checkExact(engine.catalog, new Map()), Error, "missing");
  const held = await filesOf(folder);
  assertThrows(() => checkExact(engine.catalog, held), Error, "nothing names them");
  view.close();
  await engine.compact();
  checkExact(engine.catalog, await filesOf(folder));
});

test("Engine: writes go on while flushes and compactions are under way by themselves, seed 5", async () => {
  await using manifest = await newManifest();
  const folder = memoryFolder();
  const engine = await open(folder, manifest, { automatic: true });
  const random = seeded(5);
  const model = new Map<string, string>();
  const writes: Promise<void>[] = [];
  for (let n = 0; n < 1500; n++) {
    const key = `key ${random.int(300)}`, value = random.letters(random.int(60));
    if (random.chance(0.2)) {
      model.delete(key);
      writes.push(engine.delete(bytesOf(key)));
    } else {
      model.set(key, value);
      writes.push(engine.put(bytesOf(key), bytesOf(value)));
    }
    if (random.chance(0.1)) await writes.at(-1);
    if (random.chance(0.02)) {
      const asked = `key ${random.int(300)}`;
      await Promise.all(writes);
      const found = await engine.get(bytesOf(asked));
      assertEquals(found && stringOf(found), model.get(asked));
    }
  }
  await Promise.all(writes);
  const content = [...model].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => `${key}=${value}\n`).join("");
  assertEquals(await contentOf(engine), content);
  assert(engine.catalog.listLevels().some(({ level }) => level > 1), "three levels are reached");
  await engine.close();
  await using again = await open(folder, manifest);
  assertEquals(await contentOf(again), content);
});

test("Engine.open: a table or a segment that is missing or damaged is DAMAGED, and nothing is deleted", async () => {
  await using manifest = await newManifest();
  const folder = memoryFolder();
  const engine = await open(folder, manifest);
  await put(engine, { a: "1".repeat(200), b: "2".repeat(200), c: "3" });
  await engine.flush();
  await put(engine, { d: "4" });
  await engine.close();
  const files = await filesOf(folder);
  const [table, segment] = [...files.keys()].sort();
  assert(table!.endsWith(".sst") && segment!.endsWith(".wal"));
  const whole = files.get(table!)!;
  for (const [name, bytes] of [[table, whole.subarray(1)], [segment, new Uint8Array(12)]] as const) {
    await replace(folder, name!, bytes);
    await assertLsm("DAMAGED", () => open(folder, manifest));
    await folder.remove(name!);
    await assertLsm("DAMAGED", () => open(folder, manifest));
    assertEquals((await folder.list("")).length, 1);
    await replace(folder, name!, files.get(name!)!);
  }
  await replace(folder, table!, whole);
  await using last = await open(folder, manifest);
  assertEquals(await keysOf(last), "a b c d");
});

test("Engine: a changed byte anywhere in a table is DAMAGED when it is read, never another answer", async () => {
  await using manifest = await newManifest();
  const folder = memoryFolder();
  const engine = await open(folder, manifest);
  await put(engine, Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`key ${n}`, `${n}`.repeat(30)])));
  await engine.flush();
  await engine.close();
  const [name, whole] = [...await filesOf(folder)].find(([name]) => name.endsWith(".sst"))!;
  for (let at = 0; at < whole.length; at += 3) {
    const bytes = whole.slice();
    bytes[at]! ^= 0x10;
    await replace(folder, name, bytes);
    const damaged = await open(folder, manifest);
    using view = damaged.view();
    await assertLsm("DAMAGED", () => view.verify());
    await damaged.close();
  }
  await replace(folder, name, whole);
  await using last = await open(folder, manifest);
  using view = last.view();
  await view.verify();
});

/** An engine on a new manifest, with what its segment has been after each sync. */
async function segmentOf(writes: readonly (readonly string[])[]): Promise<{
  manifest: Manifest;
  folder: Folder;
  engine: Engine;
  name: string;
  synced: Uint8Array[];
}> {
  const manifest = await newManifest(), folder = memoryFolder();
  const engine = await open(folder, manifest);
  const synced: Uint8Array[] = [];
  for (const together of writes) {
    await Promise.all(together.map((key) => engine.put(bytesOf(key), bytesOf(`value of ${key}`))));
    synced.push([...await filesOf(folder)][0]![1]);
  }
  return { manifest, folder, engine, name: [...await filesOf(folder)][0]![0], synced };
}

test("Engine.open defect 3.3.4: a changed byte in writes that later ones or a close have followed is DAMAGED, and nothing is deleted", async () => {
  const made = await segmentOf([["a"], ["b", "c", "d"], ["e"], ["f", "g"]]);
  const { manifest, folder, name, engine, synced } = made;
  await engine.close();
  const whole = (await filesOf(folder)).get(name)!;
  const [end] = synced.slice(-1).map(({ length }) => length);
  assertEquals(whole.length, end! + 20); // the mark
  // Closed in order: every byte of a write counts.
  let damaged = 0;
  for (let at = 0; at < end!; at++) {
    const bytes = whole.slice();
    bytes[at]! ^= 1 << at % 8;
    await replace(folder, name, bytes);
    const error = await assertLsm("DAMAGED", () => open(folder, manifest));
    assert(at < 12 || error.message.includes("synced"), `byte ${at}: ${error.message}`);
    assertEquals(await filesOf(folder), new Map([[name, bytes]]));
    damaged++;
  }
  // The process was killed: of the last writes, synced together, nothing behind tells.
  const last = synced.at(-2)!.length;
  for (let at = 12; at < last; at += 3) {
    const bytes = whole.slice(0, end);
    bytes.fill(0, at, Math.min(at + 40, last));
    await replace(folder, name, bytes);
    await assertLsm("DAMAGED", () => open(folder, manifest));
    damaged++;
  }
  assert(damaged > 250, `${damaged}`);
  await replace(folder, name, whole);
  await using again = await open(folder, manifest);
  assertEquals([await keysOf(again), again.recovery.torn, again.recovery.replayed], ["a b c d e f g", false, 7]);
  await manifest.close();
});

test("Engine.open: whatever a crash leaves of writes that were synced together, or of the mark, is a torn end, with values that look like records", async () => {
  // A value that is a segment itself, with heads that say anything: it counts for nothing.
  const { synced: [inner], manifest: other, engine: first } = await segmentOf([["x", "y"]]);
  await first.close();
  await other.close();
  const head = inner!.length;
  for (let cut = head; cut < head + 400; cut += 7) {
    const { manifest, folder, engine, name } = await segmentOf([["a"], ["b"]]);
    const before = (await filesOf(folder)).get(name)!;
    await Promise.all([
      engine.put(bytesOf("c"), inner!),
      engine.put(bytesOf("d"), new Uint8Array(60).fill(7)),
      engine.put(bytesOf("e"), bytesOf("later")),
    ]);
    const after = (await filesOf(folder)).get(name)!;
    await engine.close();
    // A piece of the last batch is missing, and what is behind it is there.
    const bytes = after.slice();
    const from = before.length + (cut * 13) % (after.length - before.length);
    bytes.fill(0, from, from + 30);
    await replace(folder, name, bytes);
    const again = await open(folder, manifest);
    assertEquals([again.recovery.torn, again.recovery.replayed >= 2, again.lastLsn < 5], [true, true, true], `from ${from}`);
    await again.close();
    await manifest.close();
  }
  // A value that holds a head which says that the record it is in was synced: the record's own head passes it over.
  {
    const { manifest, folder, engine, name } = await segmentOf([["a"], ["b"]]);
    const bad = (await filesOf(folder)).get(name)!;
    const seed = crc32c(bad.subarray(0, 12));
    const forged = new ByteWriter().u32(0).u32(bad.length + 1).u32(0).u32(crc32c(new Uint8Array(0), seed)).take();
    await engine.put(bytesOf("c"), new ByteWriter().raw(forged).u32(crc32c(forged, seed)).raw(new Uint8Array(40).fill(7)).take());
    const bytes = (await filesOf(folder)).get(name)!;
    await engine.close();
    bytes[bytes.length - 1]! ^= 1;
    await replace(folder, name, bytes);
    const again = await open(folder, manifest);
    assertEquals([again.recovery.torn, await keysOf(again)], [true, "a b"]);
    await again.close();
    await manifest.close();
  }
  // Any part of the mark.
  for (let length = 0; length <= 20; length++) {
    const { manifest, folder, engine, name, synced } = await segmentOf([["a"], ["b"]]);
    await engine.close();
    const whole = (await filesOf(folder)).get(name)!;
    await replace(folder, name, whole.slice(0, synced[1]!.length + length));
    const again = await open(folder, manifest);
    assertEquals([again.recovery.torn, await keysOf(again)], [length > 0 && length < 20, "a b"]);
    await again.close();
    await manifest.close();
  }
});

test("Engine.open: a segment with entries that the catalog does not know is DAMAGED: the catalog is of an older state", async () => {
  const storage = memoryStorage("lsm example: older state");
  const folder = memoryFolder();
  let manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0 });
  let engine = await open(folder, manifest);
  await put(engine, { a: "1" });
  await engine.close();
  const other = await newManifest(); // knows nothing of these files
  await assertRejects(() => open(folder, other));
  assertEquals((await folder.list("")).length, 1);
  await other.close();
  await manifest.close();
  manifest = await Manifest.open(memoryStorage("lsm example: older state"));
  engine = await open(folder, manifest);
  assertEquals(await contentOf(engine), "a=1\n");
  await engine.close();
  await manifest.close();
});

test("Engine: behind a write that failed it is FAILED, and opened again it has everything acknowledged", async () => {
  await using manifest = await newManifest();
  const inner = memoryFolder();
  let full = false;
  const folder: Folder = new Proxy(inner, {
    get(target, name) {
      const value = target[name as keyof Folder];
      if (name !== "create") return typeof value === "function" ? value.bind(target) : value;
      return async (path: string) => {
        const file = await target.create(path);
        const write = file.write.bind(file);
        file.write = (at, from) => full ? Promise.reject(new Error("no space")) : write(at, from);
        return file;
      };
    },
  });
  const engine = await open(folder, manifest);
  await put(engine, { a: "1", b: "2" });
  full = true;
  const together = [engine.put(bytesOf("c"), bytesOf("3")), engine.put(bytesOf("d"), bytesOf("4"))];
  for (const outcome of await Promise.allSettled(together)) assertEquals(outcome.status, "rejected");
  full = false;
  await assertLsm("FAILED", () => engine.put(bytesOf("e"), bytesOf("5")));
  await assertLsm("FAILED", () => engine.get(bytesOf("a")));
  await assertLsm("FAILED", () => engine.flush());
  full = true; // nothing is written any more, no mark either
  await engine.close();
  full = false;
  await assertLsm("CLOSED", () => engine.get(bytesOf("a")));
  await using again = await open(folder, manifest);
  assertEquals([await contentOf(again), again.lastLsn], ["a=1\nb=2\n", 2]);
});

test("crc32c, ByteWriter, ByteReader: what was written is read; keys have the order of their bytes", () => {
  assertEquals(crc32c(bytesOf("123456789")), 0xe3069283);
  assertEquals(crc32c(bytesOf("6789"), crc32c(bytesOf("12345"))), 0xe3069283);
  const numbers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1];
  const out = new ByteWriter();
  for (const number of numbers) out.varint(number).sized(bytesOf(`${number}`)).u32(number % 2 ** 32);
  const reader = new ByteReader(out.take());
  for (const number of numbers) {
    assertEquals([reader.varint(), stringOf(reader.sized()), reader.u32()], [number, `${number}`, number % 2 ** 32]);
  }
  assert(reader.ended);
  assertThrows(() => reader.raw(1), RangeError);
  assertThrows(() => new ByteReader(new Uint8Array(20).fill(0xff)).varint(), RangeError);
  const keys = ["", "a", "a\0", "aa", "b", "\u00e9"].map(bytesOf);
  for (const [i, a] of keys.entries()) for (const [j, b] of keys.entries()) assertEquals(Math.sign(compareKeys(a, b)), Math.sign(i - j));
});

test("bloom: knows every key that it was made of, and few others", () => {
  const random = seeded(3);
  const keys = Array.from({ length: 2000 }, (_, i) => bytesOf(`${i} ${random.letters(i % 20)}`));
  const filter = makeBloom(keys);
  for (const key of keys) assert(mayHold(filter, key));
  let wrong = 0;
  for (let i = 0; i < 10_000; i++) if (mayHold(filter, bytesOf(`other ${i}`))) wrong++;
  assertLess(wrong, 300);
});

test("examples/lsm/main.ts: runs and shows what it says", () => {
  const { cmd, args } = runtimeCommand(currentRuntime(), "examples/lsm/main.ts");
  const { stdout, stderr, status } = spawnSync(cmd, args, { encoding: "utf8" });
  assertEquals([status, stderr], [0, ""]);
  assertEquals(stdout.split("\n").slice(0, 5), [
    "opened: write 0 was the last; 0 came from the log; 0 orphans deleted",
    "key 8: gone, in the view of before: value 8",
    "scan: key 00007 = value 7",
    "scan: key 00009 = value 9",
    "scan: key 00010 = value 10",
  ]);
});
