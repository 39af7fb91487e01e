// Workloads of a store that are crashed at every storage call, with unsynced writes kept, dropped or cut. Every image opens, holds every acknowledged commit, is the state
// after some prefix of the commits, and passes the check.
import { assert, assertEquals } from "@std/assert";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { type CrashStorage, SimDisk } from "./crash_storage.ts";
import { type Random, seeded } from "./random.ts";
import { testEnvironment } from "./environment.ts";

const TABLE = 16;
const BASE: StoreOptions = { idleCheckpoint: 0, syncMode: "inline", cacheBytes: 1 << 20 };

/** What a workload's commits did, and when each was acknowledged. */
class Model {
  readonly commits: { puts: [string, Uint8Array][]; deletes: string[] }[] = [];
  readonly acknowledged: { calls: number; sequence: number }[] = [];

  /** Rows after the first `count` commits. */
  after(count: number): Map<string, Uint8Array> {
    const rows = new Map<string, Uint8Array>();
    for (const { puts, deletes } of this.commits.slice(0, count)) {
      for (const [key, value] of puts) rows.set(key, value);
      for (const key of deletes) rows.delete(key);
    }
    return rows;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A store under test with its model. */
export class Subject {
  store!: Store;
  readonly model = new Model();
  readonly disk: SimDisk;
  readonly random: Random;
  options: StoreOptions = BASE;

  constructor(random: Random, garbage: boolean) {
    this.random = random;
    this.disk = new SimDisk(new Uint8Array(0), { garbage });
  }

  #storage: CrashStorage | undefined;

  /** Opens the store; one that is still open is lost, as with its process. */
  async open(options: StoreOptions = {}): Promise<void> {
    this.options = { ...BASE, ...options };
    this.#storage?.close();
    this.#storage = this.disk.open();
    this.store = await Store.open(this.#storage, {
      create: true,
      environment: testEnvironment(this.random.u32()),
      ...this.options,
    });
  }

  async commit(puts: [string, Uint8Array][], deletes: string[] = []): Promise<void> {
    this.model.commits.push({ puts, deletes });
    const receipt = await this.store.commit({
      stage: () =>
        stageRaw(this.store.kernel, [
          ...puts.map(([key, value]) => ({ kind: "put" as const, table: TABLE, key: encoder.encode(key), value })),
          ...deletes.map((key) => ({ kind: "delete" as const, table: TABLE, key: encoder.encode(key) })),
        ]),
    });
    assert(receipt.sequence >= 1 && receipt.sequence <= this.model.commits.length);
    if ((this.options.durability ?? "sync") === "sync") {
      this.model.acknowledged.push({ calls: this.disk.calls, sequence: receipt.sequence });
    }
  }

  /** A commit of random rows over a small key space. */
  some(keys: number, largest: number): Promise<void> {
    const { random } = this;
    const puts: [string, Uint8Array][] = [];
    for (let i = random.between(1, 4); i > 0; i--) puts.push([`key${random.int(keys)}`, random.bytes(random.int(largest))]);
    return this.commit(puts, random.chance(0.3) ? [`key${random.int(keys)}`] : []);
  }
}

function rowsOf(store: Store): Map<string, Uint8Array> {
  const rows = new Map<string, Uint8Array>();
  using transaction = store.read();
  using scan = transaction.tree(TABLE).scan();
  while (scan.next(100, 1 << 16) > 0) {
    const batch = Array.from({ length: scan.rows }, (_, row) => [scan.key(row), scan.isRun(row)] as const);
    const values = batch.map((_, row) => scan.value(row));
    batch.forEach(([key], row) => rows.set(decoder.decode(key), values[row]!));
  }
  return rows;
}

/** Opens one image and holds it against the model. */
async function verify(subject: Subject, image: Uint8Array, at: number, label: string): Promise<void> {
  const fail = (what: string, cause?: unknown): never => {
    throw new Error(`${label}, crash after call ${at}: ${what}`, { cause });
  };
  const least = Math.max(0, ...subject.model.acknowledged.filter((ack) => ack.calls <= at).map((ack) => ack.sequence));
  const storage = new MemoryStorage(image);
  let store: Store;
  try {
    store = await Store.open(storage, { ...subject.options, create: true, environment: testEnvironment(1) });
  } catch (error) {
    return fail(`does not open (${(error as Error).message})`, error);
  }
  const sequence = store.appliedSequence;
  if (sequence < least) fail(`holds ${sequence} commits, ${least} were acknowledged`);
  if (sequence > subject.model.commits.length) fail(`holds ${sequence} commits, ${subject.model.commits.length} were made`);
  try {
    assertEquals([...rowsOf(store)].sort(), [...subject.model.after(sequence)].sort());
  } catch (error) {
    fail(`is not the state after ${sequence} commits`, error);
  }
  try {
    const report = await store.check();
    if (!report.ok || report.problems.length > 0) fail(`does not pass the check: ${JSON.stringify(report.problems.slice(0, 3))}`);
    if (at % 4 === 0) await store.close();
    else storage.close();
  } catch (error) {
    fail(`check or close failed (${(error as Error).message})`, error);
  }
}

/** Runs a workload, then crashes it at every call. Returns the number of distinct images. */
export async function crash(name: string, seed: number, images: number, workload: (subject: Subject) => Promise<void>): Promise<number> {
  const random = seeded(seed);
  const subject = new Subject(random.fork(1), seed % 2 === 0);
  await workload(subject);
  const seen = new Set<number>();
  const picks = random.fork(2);
  for (let at = 0; at <= subject.disk.calls; at++) {
    for (const image of subject.disk.images(at, picks, images, seen)) await verify(subject, image, at, `${name}, seed ${seed}`);
  }
  assert(seen.size > 0);
  return seen.size;
}

/** What is crashed, by name. */
export const WORKLOADS: Record<string, (subject: Subject) => Promise<void>> = {
  "creation": async (subject) => {
    await subject.open();
    await subject.some(5, 50);
    await subject.store.close();
  },
  "single commits": async (subject) => {
    await subject.open();
    for (let i = 0; i < 12; i++) await subject.some(20, 200);
  },
  "a group of commits": async (subject) => {
    await subject.open();
    for (let i = 0; i < 4; i++) await Promise.all(Array.from({ length: 10 }, () => subject.some(30, 400)));
  },
  "asynchronous groups": async (subject) => {
    await subject.open({ syncMode: "async" });
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 40; i++) {
      waiting.push(subject.some(30, 300));
      if (i % 3 === 0) await undefined;
    }
    await Promise.all(waiting);
  },
  "explicit checkpoints": async (subject) => {
    await subject.open();
    for (let i = 0; i < 5; i++) {
      for (let j = 0; j < 4; j++) await subject.some(40, 600);
      await subject.store.checkpoint();
    }
  },
  "commits beside a checkpoint": async (subject) => {
    await subject.open({ syncMode: "async" });
    for (let i = 0; i < 30; i++) await subject.some(200, 900);
    const checkpoint = subject.store.checkpoint();
    for (let i = 0; i < 10; i++) await subject.some(200, 900);
    await checkpoint;
    await subject.some(200, 100);
  },
  "journal growth and wrap": async (subject) => {
    await subject.open();
    for (let i = 0; i < 60; i++) await subject.some(50, 2000);
  },
  "oversized batches": async (subject) => {
    await subject.open();
    await subject.some(10, 100);
    for (let i = 0; i < 3; i++) {
      await subject.commit(Array.from({ length: 60 }, (_, row) => [`row${row}`, subject.random.bytes(900)]));
      await subject.some(10, 100);
    }
  },
  "overflow values": async (subject) => {
    await subject.open();
    for (let i = 0; i < 10; i++) await subject.some(4, 30000);
  },
  "compaction": async (subject) => {
    await subject.open();
    for (let i = 0; i < 6; i++) {
      await subject.commit(Array.from({ length: 20 }, (_, row) => [`row${i * 20 + row}`, subject.random.bytes(700)]));
    }
    await subject.commit([], Array.from({ length: 100 }, (_, row) => `row${row}`));
    await subject.store.compact();
    await subject.some(10, 100);
  },
  "reopening": async (subject) => {
    await subject.open();
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) await subject.some(20, 300);
      await subject.store.close();
      await subject.open();
    }
    await subject.some(20, 300);
  },
  "recovery": async (subject) => {
    await subject.open();
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 4; j++) await subject.some(20, 300);
      // The process is gone, the machine stays: what was written is there, synced or not.
      await subject.open();
    }
    await subject.some(20, 300);
  },
  "relaxed commits": async (subject) => {
    await subject.open({ durability: "relaxed" });
    for (let i = 0; i < 15; i++) await subject.some(20, 300);
    await subject.store.sync();
    for (let i = 0; i < 5; i++) await subject.some(20, 300);
  },
  "commits without a journal": async (subject) => {
    await subject.open({ durability: "none" });
    for (let i = 0; i < 10; i++) await subject.some(40, 500);
    await subject.store.checkpoint();
    for (let i = 0; i < 5; i++) await subject.some(40, 500);
    await subject.store.close();
  },
};
