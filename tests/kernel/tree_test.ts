// The trees against a sorted map: random puts, deletes, range deletes, scans both ways, versions held open, groups dropped, freezes in slices, reopening,
// with a cache far smaller than the tree.
import { assert, assertEquals } from "@std/assert";
import {
  CTRL_DATA_AT,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  CTRL_RUN_PAGE,
  CTRL_TREE,
  CTRL_VALUE_AT,
  CTRL_VALUE_LENGTH,
  CTRL_VALUE_RUN,
  DONE,
  EFFECT_DELETE,
  EFFECT_DELETE_RANGE,
  EFFECT_DROP_TABLE,
  EFFECT_PUT,
  NOT_FOUND,
  OK,
  RUN_HEADER,
} from "../../assembly/format.ts";
import { test } from "../support/harness.ts";
import { KernelDisk, rawBody, type RawEffect } from "../support/kernel_disk.ts";
import { type Random, seeded } from "../support/random.ts";

type Rows = Map<string, Uint8Array>;
const hex = (bytes: Uint8Array): string => bytes.reduce((text, byte) => text + String.fromCharCode(byte), "");
const unhex = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const ordered = (rows: Rows): string[] => [...rows.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

class Trees {
  readonly disk: KernelDisk;
  constructor(disk: KernelDisk) {
    this.disk = disk;
  }

  apply(effects: RawEffect[]): number {
    const { kernel } = this.disk;
    const body = rawBody(effects);
    // The body must stay where it is: a block of its own in the arena.
    const at = kernel.exports.arena(65536 + body.length) >>> 0;
    kernel.u8.set(body, at + 65536);
    assertEquals(kernel.exports.txnLoad(at + 65536, body.length), OK);
    return this.disk.run(() => kernel.exports.txnApply());
  }

  open(version: number, table: number): number {
    this.disk.must(() => this.disk.kernel.exports.treeOpen(version, table), "treeOpen");
    return this.disk.kernel.word(CTRL_TREE);
  }

  #run(page: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    const size = this.disk.pageSize;
    for (let done = 0, from = RUN_HEADER; done < length; page++, from = 0) {
      const part = this.disk.pages.get(page)!.subarray(from, Math.min(size, from + length - done));
      out.set(part, done);
      done += part.length;
    }
    return out;
  }

  get(tree: number, key: Uint8Array): Uint8Array | undefined {
    const { kernel } = this.disk;
    const at = kernel.exports.arena(65536) >>> 0;
    kernel.u8.set(key, at);
    const status = this.disk.run(() => kernel.exports.treeGet(tree, at, key.length));
    if (status === NOT_FOUND) return undefined;
    assertEquals(status, OK);
    const length = kernel.word(CTRL_VALUE_LENGTH);
    if (kernel.word(CTRL_VALUE_RUN)) return this.#run(kernel.word(CTRL_RUN_PAGE), length);
    return kernel.u8.slice(kernel.word(CTRL_VALUE_AT), kernel.word(CTRL_VALUE_AT) + length);
  }

  *scan(tree: number, lower: Uint8Array, upper: Uint8Array | undefined, flags: number, rowsACall: number): Generator<[string, Uint8Array]> {
    const { kernel } = this.disk;
    const at = kernel.exports.arena(65536) >>> 0;
    kernel.u8.set(lower, at);
    if (upper !== undefined) kernel.u8.set(upper, at + 2048);
    const all = flags | (upper === undefined ? 8 : 0);
    assertEquals(kernel.exports.scanOpen(tree, at, lower.length, at + 2048, upper?.length ?? 0, all), OK);
    const scan = kernel.word(CTRL_TREE);
    for (;;) {
      const status = this.disk.run(() => kernel.exports.scanNext(scan, rowsACall, 8192));
      if (status === DONE) break;
      assertEquals(status, OK);
      const rows = kernel.word(CTRL_ROWS), index = kernel.word(CTRL_ROWS_AT) >>> 2, data = kernel.word(CTRL_DATA_AT);
      const found: [string, Uint8Array][] = [];
      for (let i = 0; i < rows; i++) {
        const [ko, kl, vo, vl] = kernel.u32.slice(index + 4 * i, index + 4 * i + 4) as unknown as [number, number, number, number];
        const key = hex(kernel.u8.slice(data + ko, data + ko + kl));
        if (vl === 0xffffffff) {
          const view = new DataView(kernel.u8.slice(data + vo, data + vo + 18).buffer);
          found.push([key, this.#run(view.getUint32(0, true), view.getUint32(14, true))]);
        } else found.push([key, kernel.u8.slice(data + vo, data + vo + vl)]);
      }
      yield* found;
    }
    kernel.exports.scanClose(scan);
  }

  compare(version: number, table: number, rows: Rows, rowsACall = 97): void {
    const tree = this.open(version, table);
    const expected = ordered(rows);
    let i = 0;
    for (const [key, value] of this.scan(tree, new Uint8Array(0), undefined, 0, rowsACall)) {
      if (key !== expected[i]) throw new Error(`row ${i} of ${expected.length}: another key`);
      assertEquals(value, rows.get(key));
      i++;
    }
    assertEquals(i, expected.length);
    if (version >= 0) assertEquals(this.disk.kernel.exports.treeRows(tree), expected.length);
    this.disk.kernel.exports.treeClose(tree);
  }
}

function randomKey(random: Random, style: number, space: number): Uint8Array {
  const n = random.int(space);
  if (style === 0) { // two integers, big-endian
    const key = new Uint8Array(12);
    new DataView(key.buffer).setUint32(0, n % 7);
    new DataView(key.buffer).setUint32(8, n);
    return key;
  }
  if (style === 1) return unhex(`path/to/${n % 13}/some/${(n * 7919) % space}/file-${n}.txt`);
  if (style === 2) return unhex(String(n).repeat(1 + (n % 4)).slice(0, n % 9)); // short, empty, prefixes of one another
  if (style === 4) { // long keys in groups: separators as long as keys, deep trees
    const group = n % 40;
    const key = new Uint8Array(300 + (group * 17) % 700).fill(group);
    key[key.length - 1] = n >> 8;
    key[key.length - 2] = n & 255;
    return key;
  }
  const key = new Uint8Array(1 + (n * 31) % 1024); // long, sharing little or much
  key.fill(n % 3);
  key[n % key.length] = n & 255;
  key[key.length - 1] = n >> 8;
  return key;
}

function randomValue(random: Random, pageSize: number): Uint8Array {
  const roll = random.int(100);
  const length = roll < 70
    ? random.int(120)
    : roll < 90
    ? random.int(pageSize >> 2)
    : roll < 97
    ? random.int(pageSize)
    : random.int(pageSize * 5);
  const value = new Uint8Array(length);
  value.fill(random.int(256));
  if (length > 3) value[random.int(length)] = random.int(256);
  return value;
}

function workload(seed: number, pageShift: number, frames: number, operations: number): Record<string, number> {
  const random = seeded(seed);
  const style = seed % 5;
  const space = random.pick([50, 400, 3000]);
  let disk = new KernelDisk(pageShift, frames);
  assertEquals(disk.kernel.exports.stateNew(8), OK);
  let trees = new Trees(disk);
  let tables = new Map<number, Rows>([[20, new Map()], [21, new Map()]]);
  let sealed = structuredClone(tables);
  let durable: { meta: Uint8Array; older: Uint8Array | undefined; tables: Map<number, Rows> } | undefined;
  let freezing: Map<number, Rows> | undefined;
  let nextTable = 30;
  const totals: Record<string, number> = {};
  const addMarks = () => {
    for (const [name, n] of Object.entries(disk.marks())) totals[name] = (totals[name] ?? 0) + n;
    totals["reads"] = (totals["reads"] ?? 0) + disk.reads;
    totals["spills"] = (totals["spills"] ?? 0) + disk.spills;
  };
  const readers: { version: number; tables: Map<number, Rows> }[] = [];
  const finish = () => {
    const meta = disk.finish();
    if (random.chance(0.3)) assertEquals(disk.check(meta, 8), []);
    durable = { meta, older: durable?.meta, tables: freezing! };
    freezing = undefined;
  };
  let growing = true;
  for (let done = 0; done < operations;) {
    if (random.chance(0.02)) growing = !growing;
    const batch: RawEffect[] = [];
    const next = new Map([...tables].map(([id, rows]) => [id, rows]));
    const own = (id: number): Rows => {
      const copy = new Map(next.get(id)!);
      next.set(id, copy);
      return copy;
    };
    const id = random.pick([...next.keys()]);
    const rows = own(id);
    for (let n = 1 + random.int(random.chance(0.1) ? 300 : 12); n > 0; n--, done++) {
      const key = randomKey(random, style, space);
      if (random.chance(growing ? 0.75 : 0.25)) {
        const value = randomValue(random, disk.pageSize);
        batch.push({ kind: EFFECT_PUT, table: id, key, value });
        rows.set(hex(key), value);
      } else if (random.chance(0.03)) {
        const upper = randomKey(random, style, space);
        batch.push({ kind: EFFECT_DELETE_RANGE, table: id, key, value: upper });
        for (const k of ordered(rows)) if (k >= hex(key) && k < hex(upper)) rows.delete(k);
      } else {
        batch.push({ kind: EFFECT_DELETE, table: id, key });
        rows.delete(hex(key));
      }
    }
    if (random.chance(0.01)) {
      batch.push({ kind: EFFECT_DROP_TABLE, table: id, key: new Uint8Array(0) });
      next.delete(id);
      next.set(nextTable++, new Map());
    }
    const status = trees.apply(batch);
    if (status !== OK) {
      throw new Error(`txnApply: status ${status}, words ${[2, 3, 4, 5].map((i) => disk.kernel.word(i))}`);
    }
    tables = next;
    if (random.chance(0.04)) {
      disk.kernel.exports.groupDiscard();
      disk.kernel.exports.groupClear();
      tables = sealed;
      continue;
    }
    if (random.chance(0.6)) {
      const version = disk.seal();
      sealed = tables;
      if (random.chance(0.05) && readers.length < 3 && version >= 0) {
        disk.kernel.exports.versionPin(version);
        readers.push({ version, tables: sealed });
      }
    }
    if (random.chance(0.03) && readers.length > 0) {
      const reader = readers.splice(random.int(readers.length), 1)[0]!;
      for (const [table, rows] of reader.tables) trees.compare(reader.version, table, rows, 1 + random.int(300));
      disk.kernel.exports.versionUnpin(reader.version);
    }
    if (freezing !== undefined && random.chance(0.5) && disk.sealSlice() === DONE) finish();
    if (freezing === undefined && random.chance(0.06)) {
      disk.must(() => disk.kernel.exports.dropStep(5), "dropStep");
      disk.seal();
      sealed = tables;
      disk.freeze();
      freezing = sealed;
    }
    if (random.chance(0.01) && disk.seal() !== undefined) {
      sealed = tables;
      for (const table of [...tables.keys(), 0]) {
        disk.kernel.exports.packBegin(table, random.int(disk.pages.size));
        let steps = 0;
        while (disk.run(() => disk.kernel.exports.packStep(1 + random.int(20))) !== DONE) {
          if (++steps > 10_000) throw new Error("packStep does not end");
          if (random.chance(0.2)) disk.seal();
        }
      }
      disk.seal();
      for (const [table, rows] of tables) trees.compare(-1, table, rows);
    }
    if (random.chance(0.05)) {
      const table = random.pick([...tables.keys()]);
      const tree = trees.open(-1, table);
      for (let n = 0; n < 20; n++) {
        const key = randomKey(random, style, space);
        assertEquals(trees.get(tree, key), tables.get(table)!.get(hex(key)));
      }
      let low = randomKey(random, style, space), high = randomKey(random, style, space);
      if (hex(low) > hex(high)) [low, high] = [high, low];
      const flags = random.int(8);
      const want = ordered(tables.get(table)!).filter((k) =>
        (flags & 1 ? k > hex(low) : k >= hex(low)) && (flags & 2 ? k <= hex(high) : k < hex(high))
      );
      if (flags & 4) want.reverse();
      const got = [...trees.scan(tree, low, high, flags, 1 + random.int(50))].map(([k]) => k);
      assertEquals(got.length, want.length);
      assert(got.every((k, i) => k === want[i]));
      disk.kernel.exports.treeClose(tree);
    }
    if (random.chance(0.01)) {
      for (const [table, rows] of tables) trees.compare(-1, table, rows, 1 + random.int(300));
    }
    if (random.chance(0.01) && freezing === undefined && durable !== undefined) {
      for (const reader of readers.splice(0)) disk.kernel.exports.versionUnpin(reader.version);
      addMarks();
      disk = new KernelDisk(pageShift, frames, disk.pages);
      trees = new Trees(disk);
      disk.load(durable.meta, durable.older);
      tables = sealed = durable.tables;
      for (const [table, rows] of tables) trees.compare(disk.kernel.exports.versionPublished(), table, rows);
    }
  }
  if (freezing !== undefined) finish();
  for (const [table, rows] of tables) trees.compare(-1, table, rows);
  addMarks();
  return totals;
}

test("tree equals a sorted map under random groups, versions, freezes and reopening", () => {
  const totals: Record<string, number> = {};
  for (let seed = 1; seed <= 24; seed++) {
    try {
      const marks = workload(seed, [12, 12, 13, 14, 16, 12, 12][seed % 7]!, [40, 64, 200][seed % 3]!, 4000);
      for (const [name, n] of Object.entries(marks)) totals[name] = (totals[name] ?? 0) + n;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  console.log(Object.entries(totals).map(([name, n]) => `${name} ${n}`).join(", "));
});
