// What the transactions of the model hold: operations drawn by a shape, most of them possible, some of them not.
import { chunks, databases, jobs, refcounts, snapshots, walStates } from "../../../mod.ts";
import type { ErrorCode, JobState, JobStateInput, OperationBuilder, SnapshotItem, StoredObject } from "../../../mod.ts";
import type { Random } from "../random.ts";
import { bumpGeneration, deleteRemoteNamespace, mergeMetric, putRemoteNamespace } from "./aggregates.ts";
import { deleteChunk, deleteChunkDelta, type DeltaKey, upsertChunk, upsertChunkDelta } from "./chunks.ts";
import { acknowledge } from "./cursors.ts";
import { createDb, deleteDb, forkDb, putDb } from "./databases.ts";
import { deletePendingJob, persistJobCounter, putJob, removeJob, updateJobState, upsertPendingJob } from "./jobs.ts";
import { type ModelOperation, wrong } from "./operation.ts";
import { Records } from "./records.ts";
import type { Key, Rows } from "./rows.ts";
import { FAMILIES, type Families, type Shape } from "./shapes.ts";
import { adjustRefcount, dropSnapshot, publishSnapshot } from "./snapshots.ts";
import type { ObjectKey, State } from "./state.ts";
import { type Bounds, put, remove, removeRange } from "./user_rows.ts";
import { MISFIT, USER_DEFINITIONS, type UserDefinition, type UserRow } from "./user_tables.ts";
import { deleteWalArtifact, deleteWalState, putWalState, upsertWalArtifact } from "./write_ahead_log.ts";

const KINDS = ["flush", "gc", "upload", "a b", "ß"];
const TOO_LARGE = 2 ** 53;

type Make = (state: State) => ModelOperation;

/** An argument of a type that the compiler would refuse. */
// deno-lint-ignore no-explicit-any
function bad(value: unknown): any {
  return value;
}

/** Draws operations. */
export class Draw {
  /** Whether transactions are issued alone: they may move cursors. */
  alone = true;
  /** Told of every job id that a transaction is given. */
  onJobId: (id: number) => void = () => {};
  /** User tables as they were before the transaction, and definitions that it may use. */
  #there: ReadonlyMap<string, UserDefinition> = new Map();
  #fitting: UserDefinition[] = [];
  /** What comes next in this transaction. */
  #planned: ModelOperation[] = [];
  readonly #shape: Shape;
  readonly #random: Random;
  readonly #records: Records;
  readonly #families: readonly (readonly [Make, number])[];
  readonly #total: number;

  constructor(shape: Shape, random: Random) {
    this.#shape = shape;
    this.#random = random;
    this.#records = new Records(random, shape.longest);
    const weights: Families = { ...FAMILIES, ...shape.families };
    const makers: Record<keyof Families, Make> = {
      databases: (state) => this.#database(state),
      logs: (state) => this.#log(state),
      chunks: (state) => this.#chunk(state),
      deltas: (state) => this.#delta(state),
      snapshots: (state) => this.#snapshot(state),
      holds: (state) => this.#hold(state),
      jobs: (state) => this.#job(state),
      metrics: () => this.#metric(),
      generations: () => this.#generation(),
      namespaces: () => this.#namespace(),
      user: (state) => this.#user(state),
    };
    this.#families = (Object.keys(makers) as (keyof Families)[]).map((name) => [makers[name], weights[name]]);
    this.#total = this.#families.reduce((sum, [, weight]) => sum + weight, 0);
  }

  /** An operation that should be possible; now and then it is not. */
  operation(state: State): ModelOperation {
    const planned = this.#planned.shift();
    if (planned !== undefined) return planned;
    // Without a database little is possible.
    if (state.databases.size === 0) {
      return this.#random.chance(0.5) ? createDb(this.#db(), this.#records.database()) : putDb(this.#db(), this.#records.database());
    }
    let roll = this.#random.int(this.#total);
    const [make] = this.#families.find(([, weight]) => (roll -= weight) < 0)!;
    const cursor = this.alone && this.#random.chance(0.02) ? this.#keyOf(state.cursors) : undefined;
    if (cursor !== undefined) return acknowledge(cursor[0] as number, this.#random.int(state.durable + 2));
    return this.#random.chance(0.04) ? this.#plain(state) : make(state);
  }

  /** An operation of a built-in table through the plain put or delete: it is the table's own. */
  #plain(state: State): ModelOperation {
    const random = this.#random;
    const live = this.#liveDb(state);
    switch (random.int(6)) {
      case 0: {
        const input = this.#records.database();
        return { ...putDb(live, input), name: "put", add: (txn) => txn.put(databases, random.chance(0.5) ? live : [live], bad(input)) };
      }
      case 1: {
        const input = this.#records.chunk(this.#generationId(), undefined);
        const key = [live, this.#chunkId()] as const;
        return { ...upsertChunk(key, input), name: "put", add: (txn) => txn.put(chunks, [...key], bad(input)) };
      }
      case 2: {
        const input = { chunks: this.#items(state, live) };
        const key = [live, this.#snapshotId()] as const;
        return { ...publishSnapshot(key, input), name: "put", add: (txn) => txn.put(snapshots, [...key], bad(input)) };
      }
      case 3: {
        const key = (this.#keyOf(state.snapshots) ?? [live, 1]) as readonly [number, number];
        return { ...dropSnapshot(key), name: "delete", add: (txn) => txn.delete(snapshots, [...key]) };
      }
      case 4: {
        const id = this.#keyOf(state.jobs)?.[0] as number ?? 1;
        return { ...removeJob(id), name: "delete", add: (txn) => txn.delete(jobs, id) };
      }
      default: {
        const input = this.#records.walState();
        return { ...putWalState(live, input), name: "put", add: (txn) => txn.put(walStates, [live], bad(input)) };
      }
    }
  }

  // ---- ids --------------------------------------------------------------------------------------------------

  /** An id of a database. */
  #db(): number {
    return 1 + this.#random.int(this.#shape.databases);
  }

  /** A database that exists, when there is one. */
  #liveDb(state: State): number {
    return this.#keyOf(state.databases)?.[0] as number | undefined ?? this.#db();
  }

  #chunkId(): number {
    return this.#random.int(this.#shape.chunks);
  }

  #generationId(): number {
    return this.#random.int(this.#shape.generations);
  }

  #deltaId(): number {
    return this.#random.int(3);
  }

  #snapshotId(): number {
    return this.#random.int(this.#shape.snapshots);
  }

  /** The key of some row. */
  #keyOf(rows: Rows<unknown>): Key | undefined {
    return rows.size === 0 ? undefined : this.#random.pick(rows.all()).key;
  }

  // ---- families ---------------------------------------------------------------------------------------------

  #database(state: State): ModelOperation {
    const random = this.#random;
    const free = Array.from({ length: this.#shape.databases }, (_, i) => i + 1).filter((db) => !state.databases.has(db));
    const roll = random.int(100);
    if (free.length > 0 && roll < 30) return createDb(random.pick(free), this.#records.database());
    if (free.length > 0 && roll < 60) {
      const { name, createdAt, options, ...rest } = this.#records.database();
      return forkDb(this.#liveDb(state), random.pick(free), {
        ...random.chance(0.5) ? { name } : {},
        ...createdAt === undefined ? {} : { createdAt },
        ...options === undefined ? {} : { options },
        ...random.chance(0.8) ? {} : JSON.parse(JSON.stringify({ walShards: rest.walShards, status: rest.status })),
      });
    }
    if (state.databases.size > 1 && roll < 80) return deleteDb(this.#liveDb(state));
    return putDb(this.#db(), this.#records.database());
  }

  #log(state: State): ModelOperation {
    const random = this.#random;
    const db = this.#liveDb(state);
    switch (random.int(7)) {
      case 0:
      case 1:
        return putWalState(db, this.#records.walState());
      case 2:
        return deleteWalState(random.chance(0.8) ? db : this.#db());
      case 3: {
        const key = random.chance(0.8) ? this.#keyOf(state.walArtifacts) : undefined;
        return deleteWalArtifact((key ?? [db, random.int(20)]) as [number, number]);
      }
      default:
        return upsertWalArtifact([db, random.int(20)], this.#records.walArtifact());
    }
  }

  #chunk(state: State): ModelOperation {
    const random = this.#random;
    if (random.chance(0.15)) {
      const key = random.chance(0.9) ? this.#keyOf(state.chunks) : undefined;
      return deleteChunk((key ?? [this.#db(), this.#chunkId()]) as [number, number]);
    }
    const generation = random.chance(0.1) ? undefined : this.#generationId();
    return upsertChunk(
      [this.#liveDb(state), this.#chunkId()],
      this.#records.chunk(generation, random.chance(0.1) ? this.#db() : undefined),
    );
  }

  #delta(state: State): ModelOperation {
    const random = this.#random;
    if (random.chance(0.2)) {
      const key = random.chance(0.9) ? this.#keyOf(state.deltas) : undefined;
      return deleteChunkDelta((key ?? [this.#db(), this.#chunkId(), this.#generationId(), this.#deltaId()]) as unknown as DeltaKey);
    }
    const chunk = random.chance(0.8) ? random.pick([...state.chunks.all(), undefined]) : undefined;
    const key: DeltaKey = chunk === undefined
      ? [this.#liveDb(state), this.#chunkId(), this.#generationId(), this.#deltaId()]
      : [chunk.key[0] as number, chunk.key[1] as number, chunk.value.generation, this.#deltaId()];
    return upsertChunkDelta(key, this.#records.delta(random.chance(0.1) ? this.#db() : undefined));
  }

  #items(state: State, db: number): SnapshotItem[] {
    const random = this.#random;
    const items: SnapshotItem[] = [];
    for (const { key: [, chunk], value } of random.shuffle(state.chunks.of(db)).slice(0, random.int(10))) {
      items.push({ chunkId: chunk as number, ...random.chance(0.3) ? { generation: value.generation } : {} });
    }
    for (const { key: [, chunk, generation, deltaId] } of random.shuffle(state.deltas.of(db)).slice(0, random.int(5))) {
      const present = state.chunks.get(db, chunk!)?.generation === generation && random.chance(0.5);
      items.push({ chunkId: chunk as number, deltaId: deltaId as number, ...present ? {} : { generation: generation as number } });
    }
    return random.shuffle(items);
  }

  #snapshot(state: State): ModelOperation {
    const random = this.#random;
    const known = this.#keyOf(state.snapshots) as readonly [number, number] | undefined;
    if (known !== undefined && random.chance(0.03)) return this.#roundTrip(state, known);
    if (known !== undefined && random.chance(0.35)) return dropSnapshot(known);
    const key = known !== undefined && random.chance(0.3) ? known : [this.#liveDb(state), this.#snapshotId()] as const;
    return publishSnapshot(key, {
      chunks: this.#items(state, key[0]),
      ...random.chance(0.5) ? { sourceGeneration: this.#records.number() } : {},
      ...random.chance(0.3) ? { createdAt: this.#records.time() } : {},
    });
  }

  /** Drops a snapshot and publishes it again as it was, with a hold of one of its objects in between: all counts are as before. */
  #roundTrip(state: State, key: readonly [number, number]): ModelOperation {
    const { chunks, createdAt, sourceGeneration } = state.snapshots.get(...key)!;
    const items = chunks.map(({ chunkId, generation, deltaId }) => ({ chunkId, generation, deltaId }));
    if (chunks.length > 0) {
      const { originDb, chunkId, generation, deltaId } = this.#random.pick(chunks);
      const object = deltaId === undefined ? { originDb, chunkId, generation } : { originDb, chunkId, generation, deltaId };
      this.#planned = [adjustRefcount(object, 1), adjustRefcount(object, -1)];
    }
    this.#planned.push(publishSnapshot(key, { chunks: items, createdAt, sourceGeneration }));
    return dropSnapshot(key);
  }

  #objectOf([originDb, chunkId, generation, delta]: ObjectKey): StoredObject {
    return delta < 0 ? { originDb, chunkId, generation } : { originDb, chunkId, generation, deltaId: delta };
  }

  #object(): StoredObject {
    const base = { originDb: this.#db(), chunkId: this.#chunkId(), generation: this.#generationId() };
    return this.#random.chance(0.7) ? base : { ...base, deltaId: this.#deltaId() };
  }

  #hold(state: State): ModelOperation {
    const random = this.#random;
    const objects = state.objects.all();
    const held = objects.filter(({ value }) => value.held > 0);
    if (held.length > 0 && random.chance(0.45)) {
      const { key, value } = random.pick(held);
      return adjustRefcount(
        this.#objectOf(key as unknown as ObjectKey),
        -(random.chance(0.7) ? value.held : random.between(1, value.held)),
      );
    }
    const free = objects.filter(({ value }) => !value.condemned);
    const object = free.length > 0 && random.chance(0.9) ? this.#objectOf(random.pick(free).key as unknown as ObjectKey) : this.#object();
    return adjustRefcount(object, random.chance(0.05) ? 0 : random.between(1, 3));
  }

  #jobState(from: JobState["is"]): JobStateInput {
    const random = this.#random;
    const time = random.chance(0.3) ? this.#records.time() : undefined;
    switch (from) {
      case "pending":
        if (random.chance(0.25)) return random.chance(0.5) ? "held" : { is: "held", enqueuedAt: time };
        return time === undefined ? "in-flight" : { is: "in-flight", startedAt: time };
      case "in-flight":
        if (random.chance(0.35)) return { is: "failed", reason: this.#records.text(), ...time === undefined ? {} : { failedAt: time } };
        if (random.chance(0.35)) return time === undefined ? "pending" : { is: "pending", enqueuedAt: time };
        return time === undefined ? "completed" : { is: "completed", completedAt: time };
      default:
        return "pending";
    }
  }

  #job(state: State): ModelOperation {
    const random = this.#random;
    const rows = state.jobs.all();
    const roll = random.int(100);
    if (rows.length === 0 || roll < (rows.length < this.#shape.jobs ? 40 : 5)) {
      const id = random.chance(0.15) ? state.nextJobId + random.int(6) - 3 : undefined;
      return putJob(id === undefined || state.jobs.has(id) || id < 0 ? this.onJobId : id, {
        kind: random.pick(KINDS),
        ...random.chance(0.5) ? { db: this.#liveDb(state) } : {},
        ...random.chance(0.5) ? { payload: this.#records.payload() } : {},
        ...random.chance(0.3) ? { createdAt: this.#records.time() } : {},
      });
    }
    if (roll < 44) return persistJobCounter(random.chance(0.9) ? Math.max(0, state.nextJobId + random.int(8) - 4) : random.int(50));
    const { key: [id], value: { state: { is } } } = random.pick(rows);
    if (roll < 54 || rows.length > this.#shape.jobs && roll < 75) return removeJob(id as number);
    if (roll < 62 && is !== "completed") return upsertPendingJob(id as number);
    if (roll < 70 && (is === "pending" || is === "held")) return deletePendingJob(id as number);
    if (is === "completed") return removeJob(id as number);
    return updateJobState(id as number, this.#jobState(is));
  }

  #metric(): ModelOperation {
    const random = this.#random;
    const number = (): number => random.chance(0.1) ? random.pick([-0, 1e-300, 1e300, -1e300]) : random.int(2000) / 8 - 100;
    if (random.chance(0.04)) return mergeMetric([3, 3], { sum: random.pick([1.7e308, -1.7e308]) });
    const min = random.chance(0.6) ? number() : undefined;
    const max = random.chance(0.6) ? number() : undefined;
    const ordered = min === undefined || max === undefined || min <= max;
    return mergeMetric([random.int(4), random.int(4)], {
      ...random.chance(0.5) ? { count: random.chance(0.05) ? Number.MAX_SAFE_INTEGER : random.int(9) } : {},
      ...random.chance(0.8) ? { sum: number() } : {},
      ...min === undefined ? {} : { min: ordered ? min : max },
      ...max === undefined ? {} : { max: ordered ? max : min },
    });
  }

  #generation(): ModelOperation {
    const random = this.#random;
    const increment = random.pick([undefined, 0, 1, 2, 7, random.chance(0.1) ? Number.MAX_SAFE_INTEGER - 3 : 1]);
    return bumpGeneration(random.int(12), increment, random.chance(0.2) ? this.#records.time() : undefined);
  }

  #namespace(): ModelOperation {
    const id = this.#random.int(6);
    return this.#random.chance(0.3) ? deleteRemoteNamespace(id) : putRemoteNamespace(id, this.#records.namespace());
  }

  // ---- user tables ------------------------------------------------------------------------------------------

  /** Begins a transaction: it keeps to one definition of each table. */
  begin(state: State): void {
    this.#planned = [];
    this.#there = new Map([...state.userTables].map(([name, { definition }]) => [name, definition]));
    this.#fitting = USER_DEFINITIONS.filter(({ table, version }) => {
      const there = this.#there.get(table.name);
      return there === undefined || version === there.version;
    });
    const growing = this.#fitting.filter(({ table }) => table.name === "growing");
    // Now and then the later definition, whichever was used before.
    const later = growing.length > 1 ? 0.3 : 0.005;
    if (growing.length === 0 || !this.#random.chance(later)) {
      if (growing.length > 1) this.#fitting.pop();
      return;
    }
    this.#fitting = [...this.#fitting.filter((one) => !growing.includes(one)), USER_DEFINITIONS.at(-1)!];
  }

  /** A definition that may be used now. */
  #definition(): UserDefinition | undefined {
    return this.#fitting.length === 0 ? undefined : this.#random.pick(this.#fitting);
  }

  /** A key of a user table. */
  userKey(definition: UserDefinition): (number | string)[] {
    const text = this.#random.pick(["", "a", "ab", "abc", "b", "ba", "日", "🙂"]) + (this.#random.chance(0.5) ? this.#random.int(10) : "");
    return definition.pairs ? [this.#random.int(5), text] : [text];
  }

  #userRow({ table, version }: UserDefinition): UserRow {
    const random = this.#random;
    if (table.name === "blobs") return { data: this.#records.bytes() };
    if (table.name === "scores") return { score: random.pick([-1.5, 0, 1e300, NaN, random.float()]) };
    return {
      n: this.#records.number(),
      ...random.chance(0.5) ? { note: this.#records.text() } : {},
      ...version > 1 && random.chance(0.5) ? { more: random.int(99) } : {},
    };
  }

  /** Bounds that some key can lie in. */
  bounds(definition: UserDefinition): Bounds {
    const random = this.#random;
    const numbers = [random.int(4), 5] as const;
    const low = definition.pairs ? [numbers[0]] : ["a"];
    const high = definition.pairs ? [numbers[1]] : ["b"];
    switch (random.int(6)) {
      case 0:
        return random.chance(0.2) ? {} : { gt: high };
      case 1:
        return { prefix: definition.pairs ? [random.int(5)] : ["ab"] };
      case 2:
        return { startsWith: definition.pairs ? [random.int(5), "a"] : ["a"] };
      case 3:
        return { gte: low, lt: high };
      case 4:
        return { gt: low, lte: high };
      default:
        return random.chance(0.5) ? { gte: this.userKey(definition) } : { lt: definition.pairs ? [1, "a"] : ["aa"] };
    }
  }

  #user(state: State): ModelOperation {
    const random = this.#random;
    const definition = this.#definition();
    if (definition === undefined) return this.#namespace();
    const rows = state.userTables.get(definition.table.name)?.rows;
    switch (random.int(6)) {
      case 0:
        return remove(
          definition,
          rows !== undefined && random.chance(0.8) ? this.#keyOf(rows) ?? this.userKey(definition) : this.userKey(definition),
        );
      case 1:
        if (random.chance(0.15)) {
          const [gte, lt] = definition.pairs ? [[4], [2]] : [["b"], ["a"]];
          return removeRange(definition, { gte, lt }, true);
        }
        return removeRange(definition, this.bounds(definition), false);
      default:
        return put(definition, this.userKey(definition), this.#userRow(definition));
    }
  }

  // ---- what is not possible ---------------------------------------------------------------------------------

  /** An operation that should not be possible. */
  wrong(state: State): ModelOperation {
    const random = this.#random;
    for (let tries = 0; tries < 20; tries++) {
      const operation = random.chance(0.6) ? this.#impossible(state) : this.#misspelt(state);
      if (operation !== undefined) return operation;
    }
    return dropSnapshot([this.#db(), 999]);
  }

  #missingDb(state: State): number {
    const missing = Array.from({ length: this.#shape.databases + 1 }, (_, i) => i + 1).filter((db) => !state.databases.has(db));
    return this.#random.pick(missing);
  }

  /** Well-formed, and not possible in this state. */
  #impossible(state: State): ModelOperation | undefined {
    const random = this.#random;
    const records = this.#records;
    const live = this.#liveDb(state);
    const missing = this.#missingDb(state);
    const condemned = state.objects.all().filter(({ value }) => value.condemned).map(({ key }) => key as unknown as ObjectKey);
    if (condemned.length > 0 && random.chance(0.35)) return this.#useCondemned(state, random.pick(condemned));
    switch (random.int(24)) {
      case 22:
        return acknowledge(1_000_000, 1);
      case 23: {
        const cursor = this.#keyOf(state.cursors);
        return cursor && acknowledge(cursor[0] as number, state.durable + 1000);
      }
      case 0:
        return createDb(live, records.database());
      case 1:
        return deleteDb(missing);
      case 2:
        return forkDb(missing, this.#shape.databases + 2, {});
      case 3: {
        const target = this.#liveDb(state);
        return target === live ? undefined : forkDb(live, target, {});
      }
      case 4:
        return putWalState(missing, records.walState());
      case 5:
        return upsertWalArtifact([missing, 1], records.walArtifact());
      case 6:
        return upsertChunk([missing, 1], records.chunk(1, undefined));
      case 7:
        return upsertChunkDelta([missing, 1, 1, 1], records.delta(undefined));
      case 8:
        return publishSnapshot([missing, 1], { chunks: [] });
      case 9:
        return publishSnapshot([live, this.#snapshotId()], { chunks: [...this.#items(state, live), { chunkId: this.#shape.chunks + 1 }] });
      case 10: {
        const delta = this.#keyOf(state.deltas.size > 0 ? state.deltas : state.chunks);
        if (delta === undefined) return undefined;
        const item = { chunkId: delta[1] as number, deltaId: 9, generation: this.#generationId() };
        return publishSnapshot([delta[0] as number, this.#snapshotId()], { chunks: [item] });
      }
      case 11: {
        const chunk = this.#keyOf(state.chunks);
        if (chunk === undefined) return undefined;
        const item = { chunkId: chunk[1] as number, generation: this.#shape.generations + 1 };
        return publishSnapshot([chunk[0] as number, this.#snapshotId()], { chunks: [item] });
      }
      case 12: {
        const items = this.#items(state, live);
        return items.length === 0 ? undefined : publishSnapshot([live, this.#snapshotId()], { chunks: [...items, items[0]!] });
      }
      case 13:
        return dropSnapshot([live, this.#shape.snapshots + 1]);
      case 14: {
        const row = state.objects.size === 0 ? undefined : random.pick(state.objects.all());
        if (row === undefined) return adjustRefcount(this.#object(), -1);
        return adjustRefcount(this.#objectOf(row.key as unknown as ObjectKey), -row.value.held - 1);
      }
      case 15: {
        const held = state.objects.all().find(({ value }) => value.held > 0);
        return held && adjustRefcount(this.#objectOf(held.key as unknown as ObjectKey), Number.MAX_SAFE_INTEGER);
      }
      case 16: {
        const id = this.#keyOf(state.jobs)?.[0] as number | undefined;
        return id === undefined ? undefined : putJob(id, { kind: "gc" });
      }
      case 17:
        return putJob(this.onJobId, { kind: "gc", db: missing });
      case 18:
        return random.pick([removeJob, upsertPendingJob, deletePendingJob, (id: number) => updateJobState(id, "held")])(
          state.nextJobId + 1000,
        );
      case 19: {
        const id = this.#keyOf(state.jobs)?.[0] as number | undefined;
        if (id === undefined) return undefined;
        const to = random.pick(["pending", "held", "in-flight", "completed", "failed"] as const);
        return updateJobState(id, to === "failed" ? { is: to, reason: "no" } : to);
      }
      case 20: {
        const ended = state.jobs.all().filter(({ value }) => value.state.is === "completed" || value.state.is === "failed");
        return ended.length === 0 ? undefined : deletePendingJob(random.pick(ended).key[0] as number);
      }
      default: {
        const completed = state.jobs.all().find(({ value }) => value.state.is === "completed");
        return completed && upsertPendingJob(completed.key[0] as number);
      }
    }
  }

  /** An operation that names an object which is being deleted. */
  useOf(state: State, key: ObjectKey): ModelOperation {
    return this.#useCondemned(state, key) ?? adjustRefcount(this.#objectOf(key), 1);
  }

  #useCondemned(state: State, key: ObjectKey): ModelOperation | undefined {
    const random = this.#random;
    const [originDb, chunk, generation, delta] = key;
    const object = this.#objectOf(key);
    const still = state.namedBy(key)[0];
    switch (random.int(still === undefined ? 3 : 5)) {
      case 0:
        return adjustRefcount(object, random.chance(0.8) ? 1 : -1);
      case 1:
      case 2:
        if (!state.databases.has(originDb) && random.chance(0.5)) return undefined;
        if (delta >= 0) return upsertChunkDelta([this.#liveDb(state), chunk, generation, delta], this.#records.delta(originDb));
        return upsertChunk([this.#liveDb(state), chunk], this.#records.chunk(generation, originDb));
      case 3: {
        const [db] = still!.key as readonly [number];
        const target = this.#missingDb(state);
        return forkDb(db, target, {});
      }
      default: {
        const [db] = still!.key as readonly [number];
        const item = delta < 0 ? { chunkId: chunk } : { chunkId: chunk, generation, deltaId: delta };
        return publishSnapshot([db, this.#snapshotId()], {
          chunks: [...this.#items(state, db).filter((one) => one.chunkId !== chunk), item],
        });
      }
    }
  }

  /** With an argument that is wrong in any state with a database: where there is none, that may be said first. */
  #misspelt(state: State): ModelOperation | undefined {
    if (state.databases.size === 0) return undefined;
    const random = this.#random;
    const live = this.#liveDb(state);
    const records = this.#records;
    const argument = (name: string, add: (txn: OperationBuilder) => void, code: ErrorCode = "INVALID_ARGUMENT"): ModelOperation => {
      const found = name === "put" && code === "LIMIT" ? "late" : undefined;
      return wrong(name, code, add, found);
    };
    const job = (this.#keyOf(state.jobs)?.[0] as number | undefined) ?? -1;
    const definition = this.#definition();
    switch (random.int(40)) {
      case 0:
        return argument("putDb", (txn) => txn.putDb(random.pick([-1, 0.5, NaN, bad("1"), bad(undefined)]), records.database()));
      case 1:
        return argument("putDb", (txn) => txn.putDb(TOO_LARGE, records.database()), "LIMIT");
      case 2:
        return argument(
          "putDb",
          (txn) => txn.putDb(live, random.pick([bad(null), bad("x"), bad({}), { name: bad(5) }, { name: "\ud800" }])),
        );
      case 3:
        return argument("putDb", (txn) => txn.putDb(live, { name: "x", walShards: random.pick([65_536, -1, 0.5]) }));
      case 4:
        return argument("putDb", (txn) => txn.putDb(live, { name: "x", configHash: new Uint8Array(31) }));
      case 5:
        return argument("forkDb", (txn) => txn.forkDb(live, live));
      case 6:
        return argument("forkDb", (txn) => txn.forkDb(bad("1"), this.#missingDb(state)));
      case 7:
        return argument("putWalState", (txn) => txn.putWalState(live, { lastAppliedLsn: random.pick([-1, 0.5, bad("1")]) }));
      case 8:
        return argument("putWalState", (txn) => txn.putWalState(live, { lastAppliedLsn: TOO_LARGE }), "LIMIT");
      case 9:
        return argument("deleteWalState", (txn) => txn.deleteWalState(-1));
      case 10:
        return argument("upsertWalArtifact", (txn) => txn.upsertWalArtifact([live, 1], { localPath: "x", kind: bad({ is: "nothing" }) }));
      case 11:
        return argument("upsertWalArtifact", (txn) => txn.upsertWalArtifact(bad([live]), records.walArtifact()));
      case 12:
        return argument("deleteWalArtifact", (txn) => txn.deleteWalArtifact(bad(live)));
      case 13:
        return argument("upsertChunk", (txn) => txn.upsertChunk([live, -1], records.chunk(1, undefined)));
      case 14:
        return argument("upsertChunk", (txn) => txn.upsertChunk([live, 1], { fileName: "x", generation: random.pick([-1, 0.5]) }));
      case 15:
        return argument("upsertChunk", (txn) => txn.upsertChunk([live, 1], { fileName: "x", sizeBytes: TOO_LARGE }), "LIMIT");
      case 16:
        return argument("deleteChunk", (txn) => txn.deleteChunk(bad([live])));
      case 17:
        return argument("upsertChunkDelta", (txn) => txn.upsertChunkDelta([live, 1, 1, 65_536], records.delta(undefined)));
      case 18:
        return argument("deleteChunkDelta", (txn) => txn.deleteChunkDelta(bad([live, 1, 1])));
      case 19:
        return argument(
          "publishSnapshot",
          (txn) => txn.publishSnapshot([live, 1], random.pick([bad(null), bad({}), { chunks: bad("x") }])),
        );
      case 20:
        return argument(
          "publishSnapshot",
          (txn) => txn.publishSnapshot([live, 1], { chunks: [bad(random.pick([null, {}, { chunkId: "1" }]))] }),
        );
      case 21:
        return argument("dropSnapshot", (txn) => txn.dropSnapshot(bad([live])));
      case 22: {
        const delta = random.pick([0.5, NaN, Infinity, bad("1")]);
        return argument("adjustRefcount", (txn) => txn.adjustRefcount({ originDb: live, chunkId: 1, generation: 1 }, delta));
      }
      case 23:
        return argument("adjustRefcount", (txn) => txn.adjustRefcount({ originDb: live, chunkId: -1, generation: 1 }, 1));
      case 24:
        return argument("putJob", (txn) => txn.putJob(state.nextJobId, { kind: random.pick(["", bad(5)]) }));
      case 25:
        return argument("putJob", (txn) => txn.putJob(state.nextJobId, { kind: "x".repeat(65) }), "LIMIT");
      case 26:
        return argument("putJob", (txn) => txn.putJob(state.nextJobId, { kind: "x", payload: bad({ is: "what" }) }));
      case 27:
        return job < 0
          ? undefined
          : argument("updateJobState", (txn) => txn.updateJobState(job, random.pick([bad("gone"), bad({ is: "failed" }), bad(null)])));
      case 28:
        return argument("persistJobCounter", (txn) => txn.persistJobCounter(random.pick([-1, 0.5, TOO_LARGE])));
      case 29:
        return argument("persistJobCounter", (txn) => txn.persistJobCounter(bad("5")));
      case 30: {
        const metric = random.pick([{ sum: NaN }, { sum: Infinity }, { min: NaN }, { max: -Infinity }, { min: 2, max: 1 }, { count: -1 }, {
          count: 0.5,
        }]);
        return argument("mergeMetric", (txn) => txn.mergeMetric([1, 1], metric));
      }
      case 31:
        return argument("mergeMetric", (txn) => txn.mergeMetric(bad([1]), {}));
      case 32:
        return argument("bumpGeneration", (txn) => txn.bumpGeneration(1, random.pick([-1, 0.5, NaN, bad("1")])));
      case 33:
        return argument("bumpGeneration", (txn) => txn.bumpGeneration(1, 1, -5));
      case 34:
        if (random.chance(0.3)) return argument("deleteRemoteNamespace", (txn) => txn.deleteRemoteNamespace(random.pick([-1, 0.5])));
        return argument(
          "putRemoteNamespace",
          (txn) => txn.putRemoteNamespace(1, random.pick([bad(null), bad({}), { bucket: "x", prefix: bad(5) }])),
        );
      case 35:
        return argument("put", (txn) => txn.put(refcounts, [1, 1, 1, -1], { strong: 5, state: "live" }));
      case 36:
        return argument("deleteRange", (txn) => txn.deleteRange(random.pick([bad(databases), bad(jobs), bad(snapshots)]), {}));
      case 37:
        return this.#there.has("owners") ? argument("put", (txn) => txn.put(MISFIT, ["a"], { n: 1 }), "SCHEMA_MISMATCH") : undefined;
      case 38: {
        const [older] = USER_DEFINITIONS.filter(({ table }) => table.name === "growing");
        const newer = this.#there.get("growing")?.version === 2;
        return newer ? argument("put", (txn) => txn.put(older!.table, ["a"], { n: 1 }), "SCHEMA_TOO_NEW") : undefined;
      }
      default:
        if (definition === undefined) return undefined;
        if (random.chance(0.5)) return argument("put", (txn) => txn.put(definition.table, this.userKey(definition), bad({ n: "x" })));
        return argument("put", (txn) => {
          const key = definition.pairs ? [1, "k".repeat(2000)] : ["k".repeat(2000)];
          txn.put(definition.table, key, this.#userRow(definition));
        }, "LIMIT");
    }
  }
}
