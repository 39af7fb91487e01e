// Reclaim beside somebody else, crashed wherever it can be: a manifest on a simulated disk, with a set of names that stands for the stored objects.
//
// A run is one reclaim with an outcome of `deleteObject`, and an intruder that does something to the same objects at one of its stages. Calls of the disk and changes of the set have one order; the run is
// crashed at each point of it, with unsynced writes dropped and with them kept. Every crash is opened, checked, finished with another reclaim, and held against the rules in `settle`.
import { assert, assertEquals } from "@std/assert";
import {
  chunkDeltas,
  chunks,
  databases,
  type DurabilityMode,
  isManifestError,
  Manifest,
  type ManifestTxn,
  refcounts,
  snapshots,
  type Storage,
  type StoredObject,
} from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { SimDisk } from "./crash_storage.ts";
import { testEnvironment } from "./environment.ts";
import { recycling } from "./kernel_pool.ts";
import { seeded } from "./random.ts";

/** Objects that can be collected when a run begins, in the order in which they are: their places are what `targets` speaks of. */
const A = { originDb: 1, chunkId: 0, generation: 1 };
const B = { originDb: 1, chunkId: 1, generation: 1 };
const C = { originDb: 1, chunkId: 2, generation: 1 };
const D = { originDb: 1, chunkId: 3, generation: 1, deltaId: 7 };
const COLLECTABLE: readonly StoredObject[] = [A, B, C, D];
const HELD = { originDb: 1, chunkId: 7, generation: 1 };
/** Unnamed; the first has lost its row. */
const LOST = { originDb: 1, chunkId: 6, generation: 1 };
const UPLOADING = { originDb: 1, chunkId: 5, generation: 1 };
/** Put by the transactions that may be refused: there exactly when they were not. */
const MARK = 70;
const FAR = Number.MAX_SAFE_INTEGER;

/** When the intruder comes. */
export const STAGES = ["before", "turn before", "turn after", "condemned", "deleting", "deleted", "removing", "after"] as const;
export type Stage = typeof STAGES[number];

/** What `deleteObject` does to the objects, by the number of its call. */
export const OUTCOMES = {
  done: () => "done",
  fails: () => "fails",
  throws: () => "throws",
  mixed: (call: number) => (["done", "fails", "throws"] as const)[call % 3]!,
} as const satisfies Record<string, (call: number) => "done" | "fails" | "throws">;
export type Outcome = keyof typeof OUTCOMES;

interface Intruder {
  /** Places in COLLECTABLE that it cannot have while they are condemned. */
  readonly targets: readonly number[];
  /** The place whose row it needs: NOT_FOUND when that object is gone, and its row with it. */
  readonly needs?: number;
  /** What it uploads behind its commit when they are gone, or in any case. */
  readonly uploads?: { gone?: StoredObject; always?: StoredObject };
  /** Its operations; none: it calls reclaim twice. */
  readonly operations?: (txn: ManifestTxn) => ManifestTxn;
}

/** Who else is at work. */
export const INTRUDERS: Readonly<Record<string, Intruder>> = {
  "nobody": { targets: [], operations: (txn) => txn },
  "publish": { targets: [0], needs: 0, operations: (txn) => txn.publishSnapshot([1, 20], { chunks: [{ chunkId: 0 }] }) },
  "publish another": { targets: [2], needs: 2, operations: (txn) => txn.publishSnapshot([1, 20], { chunks: [{ chunkId: 2 }] }) },
  "publish in the fork": {
    targets: [2],
    needs: 2,
    operations: (txn) => txn.publishSnapshot([2, 20], { chunks: [{ chunkId: 2 }] }),
  },
  "publish over a snapshot": {
    targets: [0],
    needs: 0,
    operations: (txn) => txn.publishSnapshot([1, 5], { chunks: [{ chunkId: 4 }, { chunkId: 0 }] }),
  },
  "publish a delta": {
    targets: [3],
    needs: 3,
    operations: (txn) => txn.publishSnapshot([1, 20], { chunks: [{ chunkId: 3, deltaId: 7 }] }),
  },
  "fork": { targets: [0, 2, 3], operations: (txn) => txn.forkDb(1, 4, {}) },
  "fork the fork": { targets: [2], operations: (txn) => txn.forkDb(2, 4, {}) },
  "fork and publish": {
    targets: [0, 2, 3],
    needs: 2,
    operations: (txn) => txn.forkDb(1, 4, {}).publishSnapshot([4, 1], { chunks: [{ chunkId: 2 }] }),
  },
  "hold": { targets: [0], uploads: { gone: A }, operations: (txn) => txn.adjustRefcount(A, 1) },
  "hold one without a row": { targets: [1], uploads: { gone: B }, operations: (txn) => txn.adjustRefcount(B, 1) },
  "put the chunk again": {
    targets: [0],
    uploads: { gone: A },
    operations: (txn) => txn.upsertChunk([1, 0], { fileName: "again", generation: 1 }),
  },
  "put the next generation": {
    targets: [],
    uploads: { always: { ...A, generation: 9 } },
    operations: (txn) => txn.upsertChunk([1, 0], { fileName: "next", generation: 9 }),
  },
  "delete the chunk": { targets: [], operations: (txn) => txn.deleteChunk([1, 0]) },
  "delete the database": { targets: [], operations: (txn) => txn.deleteDb(1) },
  "delete the fork": { targets: [], operations: (txn) => txn.deleteDb(2) },
  "drop a snapshot": { targets: [], operations: (txn) => txn.dropSnapshot([1, 5]) },
  "release a hold": { targets: [], operations: (txn) => txn.adjustRefcount(HELD, -1) },
  "reclaim twice": { targets: [] },
};

/** One run. */
export interface Run {
  readonly intruder: string;
  readonly stage: Stage;
  readonly outcome: Outcome;
  readonly limit: number;
  readonly parallel: number;
  /** Whether `deleteObject` does its work in the turn it is called in. */
  readonly atOnce: boolean;
  readonly durability: DurabilityMode;
}

/** How reclaim is called. */
type Way = Pick<Run, "limit" | "parallel" | "atOnce" | "durability">;

/** Every outcome, stage and intruder, each in `each` of all ways to call reclaim, by turns. */
export function casesOf(each: number): Run[] {
  const all = ways();
  const runs: Run[] = [];
  for (const [index, one] of cases().entries()) {
    for (let turn = 0; turn < each; turn++) {
      runs.push({ ...one, ...all[(index * 7 + Math.floor(index / all.length) + turn * 11) % all.length]! });
    }
  }
  return runs;
}

function cases(): Omit<Run, keyof Way>[] {
  const runs: Omit<Run, keyof Way>[] = [];
  for (const intruder of Object.keys(INTRUDERS)) {
    for (const stage of STAGES) {
      if (intruder === "nobody" && stage !== "before") continue;
      for (const outcome of Object.keys(OUTCOMES) as Outcome[]) runs.push({ intruder, stage, outcome });
    }
  }
  return runs;
}

/** Limits below, at and above the number of objects; 60 in all. */
function ways(): Way[] {
  const out: Way[] = [];
  for (const durability of ["sync", "relaxed", "none"] as const) {
    for (const limit of [1, 2, 4, 10]) {
      for (const [parallel, atOnce] of [[1, true], [1, false], [2, false], [8, true], [8, false]] as const) {
        out.push({ limit, parallel, atOnce, durability });
      }
    }
  }
  return out;
}

/** How much was looked at. */
export interface Coverage {
  runs: number;
  /** Points in the order of calls and deletions that a run was crashed at. */
  points: number;
  /** Distinct states behind them: bytes of the disk, stored objects, and what must hold. */
  states: number;
}

/** The name of a stored object. */
function nameOf({ originDb, chunkId, generation, deltaId }: StoredObject): string {
  return `${originDb}/${chunkId}/${generation}/${deltaId ?? -1}`;
}

function open(storage: Storage, seed: number, durability: DurabilityMode = "sync"): Promise<Manifest> {
  return Manifest.open(storage, {
    create: true,
    durability,
    idleCheckpoint: 0,
    syncMode: "inline",
    cacheBytes: 1 << 18,
    environment: testEnvironment(seed),
  });
}

/** The bytes and the objects that every run begins with. */
export async function prepare(): Promise<{ bytes: Uint8Array; objects: ReadonlySet<string> }> {
  const disk = new SimDisk();
  const manifest = await open(disk.open(), 1);
  const file = { fileName: "f", generation: 1 };
  await manifest.begin().putDb(1, { name: "a" }).upsertChunk([1, 2], file).forkDb(1, 2, { name: "b" }).putDb(3, { name: "c" }).commit();
  const txn = manifest.begin();
  for (const chunk of [0, 1, 3, 4, 5, 6, 7]) txn.upsertChunk([1, chunk], file);
  await txn.upsertChunkDelta([1, 3, 1, 7], { fileName: "d" }).upsertChunk([3, 0], file).commit();
  const listed = [0, 1, 2].map((chunkId) => ({ chunkId }));
  await manifest.begin().publishSnapshot([1, 1], { chunks: [...listed, { chunkId: 3, deltaId: 7 }] })
    .publishSnapshot([3, 1], { chunks: [{ chunkId: 0 }] }).adjustRefcount(HELD, 1).deleteChunk([1, 6]).commit();
  await manifest.begin().upsertChunk([1, 1], { fileName: "f2", generation: 2 })
    .publishSnapshot([1, 5], { chunks: [1, 3, 4].map((chunkId) => ({ chunkId })) }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  assertEquals(manifest.listCollectable().map(nameOf), COLLECTABLE.map(nameOf));
  assertEquals(manifest.listUnnamed().map(nameOf), [UPLOADING, LOST].map(nameOf));
  const objects = new Set([...manifest.keys(refcounts)].map((key) => key.join("/")));
  await manifest.close();
  return { bytes: disk.live().slice(), objects };
}

/** What the objects of a place are like when the intruder comes. */
function stateAt(place: number, { stage, limit, outcome }: Run): "collectable" | "condemned" | "gone" {
  if (stage === "before" || stage === "turn before" || place >= limit) return "collectable";
  return stage === "after" && OUTCOMES[outcome](place) === "done" ? "gone" : "condemned";
}

function expected(run: Run): string {
  const { targets, needs } = INTRUDERS[run.intruder]!;
  if (targets.some((place) => stateAt(place, run) === "condemned")) return "OBJECT_CONDEMNED";
  return needs !== undefined && stateAt(needs, run) === "gone" ? "NOT_FOUND" : "done";
}

/** The stored objects beside the manifest: every change with the disk calls made before it. */
class Objects {
  readonly present: Set<string>;
  readonly changes: { at: number; name: string; there: boolean }[] = [];
  readonly #disk: SimDisk;

  constructor(disk: SimDisk, present: ReadonlySet<string>) {
    this.#disk = disk;
    this.present = new Set(present);
  }

  put(name: string, there: boolean): void {
    this.changes.push({ at: this.#disk.calls, name, there });
    if (there) this.present.add(name);
    else this.present.delete(name);
  }
}

/** Runs and crashes. */
export class ReclaimMatrix {
  readonly coverage: Coverage = { runs: 0, points: 0, states: 0 };
  readonly #bytes: Uint8Array;
  readonly #objects: ReadonlySet<string>;
  readonly #seen = new Set<string>();
  readonly #images: number;

  /** `images`: how many of each crash point: 2 are unsynced writes dropped and kept, what is more mixes them. */
  constructor({ bytes, objects }: { bytes: Uint8Array; objects: ReadonlySet<string> }, images = 2) {
    this.#bytes = bytes;
    this.#objects = objects;
    this.#images = images;
  }

  /** Runs one case and crashes it at every point. */
  async run(run: Run): Promise<void> {
    try {
      await recycling(() => this.#run(run));
    } catch (error) {
      throw new Error(`${JSON.stringify(run)}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #run(run: Run): Promise<void> {
    this.coverage.runs++;
    const disk = new SimDisk(this.#bytes);
    const manifest = await open(disk.open(), 2, run.durability);
    const begun = disk.calls;
    const objects = new Objects(disk, this.#objects);
    const intruder = new Intrusion(run, manifest, objects, disk);
    const deleting = new Set<string>();
    let call = 0;
    const last = Math.min(run.limit, COLLECTABLE.length) - 1;
    const failures: number[] = [];
    const deleteObject = async (object: StoredObject): Promise<void> => {
      const number = call++;
      const name = nameOf(object);
      // Whatever the callback is given, what is read then is durable: it is condemned and nobody can have it.
      assertEquals([manifest.getRefcount(object)?.state, deleting.has(name)], ["condemned", false], name);
      deleting.add(name);
      const what = OUTCOMES[run.outcome](number);
      if (!run.atOnce) await undefined;
      if (number === 0) await intruder.at("condemned");
      if (what !== "fails") objects.put(name, false);
      if (number === 0) await intruder.at("deleting");
      if (number === last) await intruder.at("deleted");
      if (number === last && run.stage === "removing") queueMicrotask(() => intruder.start());
      deleting.delete(name);
      if (what !== "done") {
        failures.push(number);
        throw new Error(what);
      }
    };
    await intruder.at("before");
    if (run.stage === "turn before") intruder.start();
    const reclaiming = manifest.reclaim(run.limit, deleteObject, { parallel: run.parallel });
    if (run.stage === "turn after") intruder.start();
    const result = await reclaiming.then(() => "done", (error) => isManifestError(error) ? error.code : String(error));
    assertEquals(result, failures.length > 0 ? "CALLBACK_FAILED" : "done");
    await intruder.at("after");
    assertEquals(await intruder.result(), expected(run));
    assertEquals(manifest.getDb(MARK) !== undefined, intruder.marks, "a refused transaction leaves nothing");
    const { acknowledged } = intruder;
    const end = disk.calls;
    await this.#settle(manifest, new Set(objects.present), intruder.marks ? "there" : "never", undefined);
    // Whoever holds an object that is gone uploads it behind that.
    const { uploads, targets } = INTRUDERS[run.intruder]!;
    const late = uploads?.gone && stateAt(targets[0]!, run) === "gone" ? nameOf(uploads.gone) : undefined;
    const random = seeded(3);
    for (let at = begun; at <= end; at++) {
      const stores = statesAt(this.#objects, objects.changes, at);
      const held = acknowledged !== undefined && acknowledged <= at;
      const must = !intruder.marks ? "never" : held ? "there" : "maybe";
      const images = [...disk.images(at, random, this.#images)];
      for (const image of images) {
        const hash = hashOf(image);
        for (const present of stores) {
          this.coverage.points++;
          const key = `${hash} ${must} ${[...present].toSorted().join()}`;
          if (this.#seen.has(key)) continue;
          this.#seen.add(key);
          this.coverage.states++;
          try {
            await this.#settle(await open(new MemoryStorage(image), 4), new Set(present), must, late);
          } catch (error) {
            throw new Error(`crash after call ${at - begun} of ${end - begun}: ${(error as Error).message}`, { cause: error });
          }
        }
      }
    }
  }

  /** The rules, for a manifest that was opened, or left by a run, and the objects there are; the manifest is given up. */
  async #settle(manifest: Manifest, present: Set<string>, mark: "there" | "never" | "maybe", late: string | undefined): Promise<void> {
    await sound(manifest);
    if (mark !== "maybe") {
      assertEquals(manifest.has(databases, [MARK]), mark === "there", "what was acknowledged holds, what was refused does not");
    }
    needed(manifest, present, late);
    const deleteObject = (object: StoredObject): void => {
      assertEquals(manifest.getRefcount(object)?.state, "condemned");
      present.delete(nameOf(object));
    };
    for (const options of [{}, { unnamedBefore: FAR }]) {
      await manifest.reclaim(FAR, deleteObject, options);
      needed(manifest, present, late);
      assertEquals([manifest.listCondemned(), manifest.listCollectable()], [[], []]);
      const states = new Map([...manifest.range(refcounts)].map(([key, { state }]) => [key.join("/"), state]));
      for (const name of present) assert(states.has(name), `${name} is stored and forgotten`);
      const named = namesInCatalog(manifest);
      for (const name of named) assert(states.has(name), `a catalog row names ${name}, which is deleted`);
      if ("unnamedBefore" in options) {
        for (const [name, state] of states) assert(state !== "unnamed" || named.has(name), `${name} is unnamed and in no row`);
      } else if (states.get(nameOf(LOST)) === undefined) throw new Error("an unnamed object is deleted though nobody has asked");
    }
    await manifest.begin().putDb(MARK + 1, { name: "usable" }).commit();
    await sound(manifest);
  }
}

/** The intruder of one run. */
class Intrusion {
  /** Calls of the disk when its receipt came. */
  acknowledged: number | undefined;
  readonly #run: Run;
  readonly #manifest: Manifest;
  readonly #objects: Objects;
  readonly #disk: SimDisk;
  #result: Promise<string> | undefined;

  constructor(run: Run, manifest: Manifest, objects: Objects, disk: SimDisk) {
    this.#run = run;
    this.#manifest = manifest;
    this.#objects = objects;
    this.#disk = disk;
  }

  /** Whether its transaction puts the mark. */
  get marksAtAll(): boolean {
    return INTRUDERS[this.#run.intruder]!.operations !== undefined;
  }

  /** Whether its mark is there in the end. */
  get marks(): boolean {
    return this.marksAtAll && expected(this.#run) === "done";
  }

  /** Comes, when this is its stage, and is waited for. */
  async at(stage: Stage): Promise<void> {
    if (this.#run.stage === stage) await this.start();
  }

  /** Comes. */
  start(): Promise<string> {
    return this.#result = this.#come();
  }

  /** What became of it. */
  result(): Promise<string> {
    assert(this.#result !== undefined, "it never came");
    return this.#result;
  }

  async #come(): Promise<string> {
    const { operations, uploads, targets } = INTRUDERS[this.#run.intruder]!;
    if (operations === undefined) return this.#reclaimTwice();
    try {
      const txn = operations(this.#manifest.begin().putDb(MARK, { name: "mark" }));
      await txn.commit();
      if (this.#run.durability === "sync") this.acknowledged = this.#disk.calls;
      else if (uploads !== undefined) await this.#manifest.sync();
    } catch (error) {
      if (!isManifestError(error) || error.outcome !== "not_applied") throw error;
      return error.code;
    }
    if (uploads?.always) this.#objects.put(nameOf(uploads.always), true);
    if (uploads?.gone && stateAt(targets[0]!, this.#run) === "gone") this.#objects.put(nameOf(uploads.gone), true);
    return "done";
  }

  async #reclaimTwice(): Promise<string> {
    const both = new Set<string>();
    const call = () =>
      this.#manifest.reclaim(this.#run.limit, async (object) => {
        const name = nameOf(object);
        assert(!both.has(name), `two calls delete ${name}`);
        both.add(name);
        await undefined;
        this.#objects.put(name, false);
      });
    await Promise.all([call(), call()]);
    return "done";
  }
}

/** Every set of objects that a crash after `at` calls can meet: changes made between two calls may have been made or not, in their order. */
function statesAt(first: ReadonlySet<string>, changes: Objects["changes"], at: number): Set<string>[] {
  const present = new Set(first);
  const states: Set<string>[] = [];
  for (const change of changes) {
    if (change.at > at) break;
    if (change.at === at) states.push(new Set(present));
    if (change.there) present.add(change.name);
    else present.delete(change.name);
  }
  states.push(present);
  return states;
}

async function sound(manifest: Manifest): Promise<void> {
  const { ok, problems } = await manifest.check({ level: "deep" });
  assert(ok, JSON.stringify(problems));
}

/** What a snapshot lists, or somebody holds, is there. */
function needed(manifest: Manifest, present: ReadonlySet<string>, late: string | undefined): void {
  for (const [key, { chunks: list }] of manifest.range(snapshots)) {
    for (const object of list) assert(present.has(nameOf(object)), `snapshot ${key} lists ${nameOf(object)}, which is deleted`);
  }
  for (const [key, { held }] of manifest.range(refcounts)) {
    const name = key.join("/");
    if (held) assert(present.has(name) || name === late, `${name} is held and deleted`);
  }
}

function namesInCatalog(manifest: Manifest): Set<string> {
  const names = new Set<string>();
  for (const [[db, chunkId], { generation, originDb = db }] of manifest.range(chunks)) names.add(nameOf({ originDb, chunkId, generation }));
  for (const [[db, chunkId, generation, deltaId], { originDb = db }] of manifest.range(chunkDeltas)) {
    names.add(nameOf({ originDb, chunkId, generation, deltaId }));
  }
  return names;
}

function hashOf(bytes: Uint8Array): string {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  let a = 0x811c9dc5, b = words.length;
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ words[i]!, 0x01000193);
    b = Math.imul(b + words[i]!, 0x9e3779b1) ^ (b >>> 15);
  }
  return `${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}`;
}
