// A seeded history of interleaved read-write transactions, and its check: every value that a transaction has read, and the final state, are those of the same transactions run one after the other, in
// the order of their sequences, on plain maps.
//
// A scheduler decides at every step of every transaction who goes on: it lets nobody go before at least eight are under way and waiting. Nothing depends on time, so a seed gives the same
// history on every runtime.
import { assert, equal } from "@std/assert";
import {
  chunks,
  defineTable,
  isManifestError,
  Manifest,
  type ManifestOptions,
  memoryStorage,
  snapshots,
  text,
  type Transaction,
  u53,
} from "../../mod.ts";
import { unvalidated } from "../../src/manifest/transact/validation.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { WrappedStorage } from "./counting_storage.ts";
import { testEnvironment } from "./environment.ts";
import { type Random, seeded } from "./random.ts";

/** Waiting transactions before one goes on. */
export const INTERLEAVED = 8;
const WORKERS = 14;
const KEYS = 400;
const CHUNKS = 12;
const SNAPSHOTS = 6;

const cells = defineTable({ name: "cells", key: [u53("id")], value: { n: u53() } });
const notes = defineTable({ name: "notes", key: [u53("group"), text("name")], value: { n: u53() } });
/** A row for each transaction that was applied: how many there are is the place of a state in the order. */
const marks = defineTable({ name: "marks", key: [u53("txn")], value: {} });

/** The ways in which a manifest commits. */
export const MODES: Readonly<Record<string, Pick<ManifestOptions, "durability" | "syncMode" | "cacheBytes">>> = {
  inline: { durability: "sync", syncMode: "inline" },
  async: { durability: "sync", syncMode: "async" },
  relaxed: { durability: "relaxed", syncMode: "inline" },
  none: { durability: "none", syncMode: "inline", cacheBytes: 512 << 10 },
};

/** The command that runs one history again. */
export function replayCommand(seed: number, transactions: number, mode: string): string {
  return `deno run -A --import-map tests/offline.json tests/support/children/serial_history.ts ${seed} ${transactions} ${mode}`;
}

/** How to run a history. */
export interface HistoryOptions {
  seed: number;
  transactions: number;
  /** Whether the manifest validates what was read. */
  validated: boolean;
  /** One of {@linkcode MODES}. */
  mode: string;
}

/** What a history came to. */
export interface HistoryReport {
  transactions: number;
  /** Times that a transaction's function ran, and of those the ones that ended in a conflict. */
  attempts: number;
  conflicts: number;
  reads: number;
  /** Transactions that wrote nothing. */
  readOnly: number;
  /** Transactions that rested on something that was no longer so, and were refused for it: without validation only. */
  refused: number;
  /** Checkpoints beside them. */
  checkpoints: number;
  /** The fewest transactions under way at a read. */
  leastInterleaved: number;
  /** What differs from the serial replay; undefined when nothing does. */
  difference: string | undefined;
}

// ---- the model ----------------------------------------------------------------------------------------------

type Row = readonly [key: string, n: number];

/** The tables as plain maps, and the same operations on them. */
class Model {
  readonly cells = new Map<number, number>();
  readonly notes = new Map<string, number>();
  readonly chunks = new Map<number, number>();
  readonly snapshots = new Map<number, readonly (readonly [chunk: number, generation: number])[]>();
  readonly counts = new Map<string, number>();
  readonly generations = new Map<number, number>();
  readonly metrics = new Map<number, number>();
  marks = 0;

  /** The chunk's object is another one now; one that is new is counted from zero on. */
  chunk(chunk: number, generation: number): void {
    this.chunks.set(chunk, generation);
    const key = `${chunk}/${generation}`;
    this.counts.set(key, this.counts.get(key) ?? 0);
  }

  add(numbers: Map<number, number>, id: number, n: number): void {
    numbers.set(id, (numbers.get(id) ?? 0) + n);
  }

  cellRows(from: number, to: number, reverse: boolean, limit: number): Row[] {
    const keys = [...this.cells.keys()].filter((key) => key >= from && key < to).sort((a, b) => reverse ? b - a : a - b);
    return keys.slice(0, limit).map((key) => [`${key}`, this.cells.get(key)!]);
  }

  noteRows(group: number): Row[] {
    return [...this.notes].filter(([key]) => key.startsWith(`${group}/`)).sort(([a], [b]) => a < b ? -1 : 1);
  }

  release(snapshot: number): void {
    for (const [chunk, generation] of this.snapshots.get(snapshot) ?? []) {
      const key = `${chunk}/${generation}`;
      this.counts.set(key, this.counts.get(key)! - 1);
    }
  }

  publish(snapshot: number, listed: readonly number[]): void {
    const list = listed.map((chunk) => [chunk, this.chunks.get(chunk)!] as const);
    for (const [chunk, generation] of list) {
      const key = `${chunk}/${generation}`;
      this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    }
    this.release(snapshot);
    this.snapshots.set(snapshot, list);
  }

  drop(snapshot: number): void {
    this.release(snapshot);
    this.snapshots.delete(snapshot);
  }
}

/** One step of a transaction: what it does to a manifest, and to the model. Reads return what they have read. */
interface Step {
  readonly name: string;
  /** Whether its result is to be the same. */
  readonly reads: boolean;
  run(txn: Transaction): unknown;
  replay(model: Model): unknown;
}

function read(name: string, run: (txn: Transaction) => unknown, replay: (model: Model) => unknown): Step {
  return { name, reads: true, run, replay };
}

function write(name: string, run: (txn: Transaction) => void, replay: (model: Model) => void): Step {
  return { name, reads: false, run, replay };
}

function object(chunkId: number, generation: number): { originDb: number; chunkId: number; generation: number } {
  return { originDb: 1, chunkId, generation };
}

function takeRows(rows: Iterable<[readonly unknown[], { n: number }]>, most: number): Row[] {
  const out: Row[] = [];
  if (most === 0) return out;
  for (const [key, { n }] of rows) {
    out.push([key.join("/"), n]);
    if (out.length === most) break;
  }
  return out;
}

/** A read, chosen at random. */
function drawRead(random: Random): Step {
  const id = random.int(KEYS);
  const width = random.between(1, 24);
  const group = random.int(10);
  switch (random.int(14)) {
    case 0:
    case 1:
      return read(`get ${id}`, (txn) => txn.get(cells, id)?.n, (model) => model.cells.get(id));
    case 2:
      return read(`has ${id}`, (txn) => txn.has(cells, id), (model) => model.cells.has(id));
    case 3: {
      const name = `${group}/${random.letters(1)}`;
      const key = [group, name.slice(name.indexOf("/") + 1)] as [number, string];
      return read(`get note ${name}`, (txn) => txn.get(notes, key)?.n, (model) => model.notes.get(name));
    }
    case 4:
    case 5: {
      const reverse = random.chance(0.5);
      const most = random.between(1, 6);
      return read(
        `${most} of ${id}…${id + width}, reverse ${reverse}`,
        (txn) => takeRows(txn.range(cells, { gte: [id], lt: [id + width], reverse }), most),
        (model) => model.cellRows(id, id + width, reverse, most),
      );
    }
    case 6: {
      const limit = random.between(1, 5);
      return read(
        `limit ${limit} from ${id}`,
        (txn) => takeRows(txn.range(cells, { gte: [id], limit }), Infinity),
        (model) => model.cellRows(id, Infinity, false, limit),
      );
    }
    case 7:
      return read(
        `count ${id}…${id + width}`,
        (txn) => txn.count(cells, { gte: [id], lt: [id + width] }),
        (model) => model.cellRows(id, id + width, false, Infinity).length,
      );
    case 8:
      return read(
        `notes of ${group}`,
        (txn) => takeRows(txn.range(notes, { prefix: [group] }), Infinity),
        (model) => model.noteRows(group),
      );
    case 9: {
      if (random.chance(0.6)) return drawRead(random); // a whole table's count conflicts with nearly everything
      return read("count", (txn) => txn.count(cells), (model) => model.cells.size);
    }
    case 10: {
      const chunk = random.int(CHUNKS);
      const generation = random.int(3);
      return read(
        `count of ${chunk}/${generation}`,
        (txn) => txn.getRefcount(object(chunk, generation))?.strong,
        (model) => model.counts.get(`${chunk}/${generation}`),
      );
    }
    case 11:
      return read(`generation of ${group}`, (txn) => txn.currentGeneration(group), (model) => model.generations.get(group));
    case 12:
      return read(`metric ${group}`, (txn) => txn.getMetric(group, 1)?.sum, (model) => model.metrics.get(group));
    default: {
      const snapshot = random.int(SNAPSHOTS);
      return read(
        `snapshot ${snapshot}`,
        (txn) => txn.getSnapshot(1, snapshot)?.chunks.map((one) => [one.chunkId, one.generation]),
        (model) => model.snapshots.get(snapshot),
      );
    }
  }
}

/** A write, chosen at random; some are of what was read before. */
function drawWrite(random: Random): Step[] {
  const id = random.int(KEYS);
  const n = random.int(1000);
  const group = random.int(10);
  switch (random.int(13)) {
    case 0:
    case 1: // blind
      return [write(`put ${id}`, (txn) => void txn.put(cells, [id], { n }), (model) => model.cells.set(id, n))];
    case 2:
    case 3: { // read, modify, write
      let seen = 0;
      let replayed = 0;
      return [
        read(`get ${id} to change it`, (txn) => seen = txn.get(cells, id)?.n ?? 0, (model) => replayed = model.cells.get(id) ?? 0),
        write(`add to ${id}`, (txn) => void txn.put(cells, [id], { n: seen + 1 }), (model) => model.cells.set(id, replayed + 1)),
      ];
    }
    case 4:
      return [write(`delete ${id}`, (txn) => void txn.delete(cells, [id]), (model) => model.cells.delete(id))];
    case 5: {
      const to = id + random.between(1, 6);
      return [write(`delete ${id}…${to}`, (txn) => void txn.deleteRange(cells, { gte: [id], lt: [to] }), (model) => {
        for (const key of [...model.cells.keys()]) if (key >= id && key < to) model.cells.delete(key);
      })];
    }
    case 6:
    case 7: {
      const name = random.letters(1);
      return [
        write(
          `put note ${group}/${name}`,
          (txn) => void txn.put(notes, [group, name], { n }),
          (model) => model.notes.set(`${group}/${name}`, n),
        ),
      ];
    }
    case 8: {
      const chunk = random.int(CHUNKS);
      const generation = random.int(3);
      return [write(
        `chunk ${chunk}/${generation}`,
        (txn) => void txn.upsertChunk([1, chunk], { fileName: "c", generation }),
        (model) => model.chunk(chunk, generation),
      )];
    }
    case 9: {
      const snapshot = random.int(SNAPSHOTS);
      const listed = Array.from({ length: CHUNKS }, (_, chunk) => chunk).filter(() => random.chance(0.2));
      return [write(
        `publish ${snapshot}`,
        (txn) => void txn.publishSnapshot([1, snapshot], { chunks: listed.map((chunkId) => ({ chunkId })) }),
        (model) => model.publish(snapshot, listed),
      )];
    }
    case 10: // blind, and yet every one counts
      return [write(`bump ${group}`, (txn) => void txn.bumpGeneration(group, 2), (model) => model.add(model.generations, group, 2))];
    case 11:
      return [
        write(`measure ${group}`, (txn) => void txn.mergeMetric([group, 1], { sum: n }), (model) => model.add(model.metrics, group, n)),
      ];
    default: {
      const snapshot = random.int(SNAPSHOTS);
      let there = false;
      return [
        read(`is there snapshot ${snapshot}`, (txn) => there = txn.has(snapshots, [1, snapshot]), (model) => model.snapshots.has(snapshot)),
        write(
          `drop ${snapshot}`,
          (txn) => there && void txn.dropSnapshot([1, snapshot]),
          (model) => model.snapshots.has(snapshot) && model.drop(snapshot),
        ),
      ];
    }
  }
}

/** The steps of a transaction. */
function draw(random: Random): { steps: Step[]; writes: boolean } {
  const writes = random.chance(0.85);
  const steps: Step[] = [];
  const length = random.between(1, 3);
  for (let i = 0; i < length; i++) {
    if (writes && random.chance(0.6)) steps.push(...drawWrite(random));
    else steps.push(drawRead(random));
  }
  // A read at the end sees what was written before it.
  if (random.chance(0.3)) steps.push(drawRead(random));
  return { steps, writes };
}

/** A transaction that was applied, or has read. */
interface Applied {
  readonly number: number;
  readonly steps: readonly Step[];
  readonly results: readonly unknown[];
  readonly writes: boolean;
  /** Applied transactions before it. */
  readonly place: number;
}

// ---- the run ------------------------------------------------------------------------------------------------

/** Syncs off the event loop that take some turns of the microtask queue. */
class SlowSyncs extends WrappedStorage {
  readonly #random: Random;

  constructor(inner: Storage, random: Random) {
    super(inner);
    this.#random = random;
  }

  override async syncAsync(): Promise<void> {
    for (let i = this.#random.int(40); i > 0; i--) await undefined;
    await super.syncAsync();
  }
}

/** Runs a history and compares it with its serial replay. */
export async function runHistory(options: HistoryOptions): Promise<HistoryReport> {
  const { seed, transactions } = options;
  const random = seeded(seed);
  const environment = testEnvironment(seed);
  if (!options.validated) unvalidated.add(environment);
  const storage = new SlowSyncs(memoryStorage(), random.fork(1));
  const manifest = await Manifest.open(storage, {
    create: true,
    idleCheckpoint: 0,
    environment,
    ...MODES[options.mode],
  });
  const first = manifest.begin().putDb(1, { name: "d" });
  for (let chunk = 0; chunk < CHUNKS; chunk++) first.upsertChunk([1, chunk], { fileName: "c" });
  const { sequence: origin } = await first.commit();
  await manifest.createTable(marks); // the others are made by the first transaction that writes to them

  const report: HistoryReport = {
    transactions,
    attempts: 0,
    conflicts: 0,
    reads: 0,
    readOnly: 0,
    refused: 0,
    checkpoints: 0,
    leastInterleaved: Infinity,
    difference: undefined,
  };
  const applied: Applied[] = [];
  const parked: (() => void)[] = [];
  const order = random.fork(2);
  let started = 0;
  let active = WORKERS;
  const failures: unknown[] = [];
  const turn = (): Promise<void> => new Promise((go) => parked.push(go));

  async function one(number: number): Promise<void> {
    const { steps, writes } = draw(random.fork(1000 + number));
    let results: unknown[] = [];
    let place = 0;
    const running = manifest.transact(async (txn) => {
      results = [];
      await turn();
      if (writes) txn.put(marks, [number], {});
      else place = txn.count(marks);
      for (const step of steps) {
        await turn();
        const result = step.run(txn);
        if (step.reads) {
          results.push(result);
          report.reads++;
        }
      }
      await turn();
    }, { retries: 10_000, timeoutMs: 0 });
    let outcome: Awaited<typeof running>;
    try {
      outcome = await running;
    } catch (error) {
      if (options.validated || !isManifestError(error) || error.code !== "NOT_FOUND") throw error;
      report.refused++;
      return;
    }
    const { receipt, attempts } = outcome;
    report.attempts += attempts;
    report.conflicts += attempts - 1;
    if (!writes) report.readOnly++;
    assert(writes === (receipt.sequence > 0), `transaction ${number} got sequence ${receipt.sequence}`);
    applied.push({ number, steps, results, writes, place: writes ? receipt.sequence - origin - 1 : place });
  }

  async function worker(): Promise<void> {
    try {
      while (started < transactions) await one(started++);
    } catch (error) {
      failures.push(error);
      started = transactions;
    } finally {
      active--;
    }
  }

  const workers = Array.from({ length: WORKERS }, worker);
  for (let idle = 0; active > 0;) {
    if (parked.length < INTERLEAVED && (started < transactions || parked.length < active) && idle < 2000) {
      idle++;
      await undefined;
      continue;
    }
    assert(parked.length > 0 || started >= transactions, "nobody goes on");
    if (started < transactions) report.leastInterleaved = Math.min(report.leastInterleaved, parked.length);
    idle = 0;
    const at = order.int(parked.length);
    const go = parked[at];
    parked[at] = parked[parked.length - 1]!;
    parked.pop();
    go?.();
    await undefined;
  }
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];

  report.checkpoints = manifest.stats().checkpoints;
  report.difference = compare(applied, manifest);
  await manifest.close();
  return report;
}

/** Runs the transactions one after the other on the model. */
function compare(applied: Applied[], manifest: Manifest): string | undefined {
  const model = new Model();
  for (let chunk = 0; chunk < CHUNKS; chunk++) model.chunk(chunk, 0);
  // Those that only read come before the transaction whose place they have.
  applied.sort((a, b) => a.place - b.place || Number(a.writes) - Number(b.writes));
  for (const { number, steps, results, writes, place } of applied) {
    if (place !== model.marks) return `transaction ${number} has place ${place}, not ${model.marks}`;
    let i = 0;
    for (const step of steps) {
      const expected = step.replay(model);
      if (!step.reads) continue;
      const actual = results[i++];
      if (!equal(actual, expected)) {
        return `transaction ${number} at place ${place}, step "${step.name}": ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
      }
    }
    if (writes) model.marks++;
  }
  const final: [string, unknown, unknown][] = [
    ["cells", takeRows(manifest.range(cells), Infinity), model.cellRows(0, Infinity, false, Infinity)],
    ["notes", takeRows(manifest.range(notes), Infinity), Array.from({ length: 10 }, (_, group) => model.noteRows(group)).flat()],
    ["marks", manifest.count(marks), model.marks],
    [
      "chunks",
      [...manifest.range(chunks)].map(([[, id], { generation }]) => [id, generation]),
      [...model.chunks].sort(([a], [b]) => a - b),
    ],
    [
      "snapshots",
      [...manifest.range(snapshots)].map(([[, id], row]) => [id, row.chunks.map((one) => [one.chunkId, one.generation])]),
      [...model.snapshots].sort(([a], [b]) => a - b),
    ],
    ["counts", [...model.counts].map(([key]) => manifest.getRefcount(object(...key.split("/").map(Number) as [number, number]))?.strong), [
      ...model.counts.values(),
    ]],
  ];
  final.push(
    ["generations", [...model.generations.keys()].map((id) => manifest.currentGeneration(id)), [...model.generations.values()]],
    ["metrics", [...model.metrics.keys()].map((id) => manifest.getMetric(id, 1)?.sum), [...model.metrics.values()]],
  );
  for (const [name, actual, expected] of final) {
    if (!equal(actual, expected)) return `the final state of ${name}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
  }
  return undefined;
}
