// What follows from other rows, made anew in a salvaged file: counts of stored objects, indexes, counters, and databases whose own row is lost.
//
// Invariant: nothing that was in use becomes collectable. An object whose snapshots are lost, or of which only a catalog row is left, is held: `adjustRefcount` lets it go when its owner says so.
import type { ManifestCore } from "../manifest/core.ts";
import type { Bound } from "../manifest/bindings.ts";
import { Range, type RangeKind } from "../manifest/read/range.ts";
import { chunkDeltas } from "../manifest/tables/chunk_deltas.ts";
import { chunks } from "../manifest/tables/chunks.ts";
import { cursors } from "../manifest/tables/cursors.ts";
import { type Database, databaseRecord, databases } from "../manifest/tables/databases.ts";
import { jobs, jobStates, pendingJobs } from "../manifest/tables/jobs.ts";
import { meta, type MetaRecord, NEXT_CURSOR_ID, NEXT_JOB_ID } from "../manifest/tables/meta.ts";
import { collectable, type Refcount, refcounts } from "../manifest/tables/refcounts.ts";
import { snapshots } from "../manifest/tables/snapshots.ts";
import { walArtifacts } from "../manifest/tables/wal_artifacts.ts";
import { walStates } from "../manifest/tables/wal_states.ts";
import type { AnyTable, Table } from "../schema/schema.ts";
import type { ReadTransaction } from "../store/store.ts";
import type { Inspection } from "./inspection.ts";
import type { Target } from "./target.ts";

/** Tables whose rows are not carried over: they follow from others. */
export const DERIVED: ReadonlySet<string> = new Set([collectable.name, jobStates.name, pendingJobs.name]);

/** Objects counted in one pass over the snapshots. */
const PASS = 500_000;

/** What was made anew. */
export interface Rebuilt {
  /** Databases that rows belong to and whose own row was lost. */
  readonly databases: readonly number[];
  /** Objects that are held because what used them is lost. */
  readonly held: number;
}

type ObjectKey = [originDb: number, chunk: number, generation: number, delta: number];

/** Makes derived rows anew. */
export async function rebuild(inspection: Inspection, core: ManifestCore, target: Target): Promise<Rebuilt> {
  return await new Rebuild(inspection, core, target).run();
}

class Rebuild {
  readonly #inspection: Inspection;
  readonly #core: ManifestCore;
  readonly #target: Target;
  #view!: ReadTransaction;
  #held = 0;

  constructor(inspection: Inspection, core: ManifestCore, target: Target) {
    this.#inspection = inspection;
    this.#core = core;
    this.#target = target;
  }

  async run(): Promise<Rebuilt> {
    const made = await this.#step(() => this.#databases());
    await this.#step(() => this.#counts());
    await this.#step(() => this.#named());
    await this.#step(() => this.#collectable());
    await this.#step(() => this.#jobs());
    await this.#step(() => this.#counters());
    return { databases: made, held: this.#held };
  }

  /** A step reads one state and writes behind it. */
  async #step<T>(body: () => Promise<T>): Promise<T> {
    await this.#target.flush();
    this.#view = this.#core.store.read();
    try {
      return await body();
    } finally {
      await this.#target.flush();
      this.#view.close();
    }
  }

  #bound(table: AnyTable): Bound {
    return this.#core.bindings.need(this.#view, table, "salvage");
  }

  #range<T>(table: AnyTable, kind: RangeKind): Range<T> {
    const reader = this.#core.reader(this.#view, table);
    return new Range<T>(() => ({ reader, release: () => {} }), {}, kind);
  }

  #entries<K extends readonly unknown[], V>(table: Table<K, V>): Range<[K, V]> {
    return this.#range(table, "entries");
  }

  #get<K extends readonly unknown[], V>(table: Table<K, V>, key: K): V | undefined {
    return this.#core.reader(this.#view, table).get(key) as V | undefined;
  }

  async #put<K extends readonly unknown[], V>(table: Table<K, V>, key: K, value: V): Promise<void> {
    const { codec, info } = this.#bound(table);
    await this.#target.put(info.id, codec.encodeKey(key), codec.encodeValue(value));
  }

  /** Every row that belongs to a database gets one. Rows that name objects of others say so. */
  async #databases(): Promise<number[]> {
    const known = new Map<number, Database | undefined>();
    for (const [[db], row] of this.#entries(databases)) known.set(db, row);
    const missing = new Set<number>();
    const need = (db: number): void => {
      if (!known.has(db)) missing.add(db);
    };
    for (const table of [walStates, walArtifacts, chunks, chunkDeltas, snapshots]) {
      for (const [db] of this.#range<[number]>(table, "keys")) {
        need(db);
        await this.#inspection.step();
      }
    }
    for (const [, { db, state }] of this.#entries(jobs)) {
      if (db !== undefined && (state.is === "pending" || state.is === "held")) need(db);
      await this.#inspection.step();
    }
    const foreign = new Set<number>();
    for (const table of [chunks, chunkDeltas]) {
      for (const [[db], { originDb = db }] of this.#entries<[number, ...unknown[]], { originDb?: number }>(table as never)) {
        if (originDb !== db) foreign.add(db);
        await this.#inspection.step();
      }
    }
    for (const db of [...missing].sort((a, b) => a - b)) {
      const row = databaseRecord({ name: "" }, this.#inspection.environment.now(), undefined);
      await this.#put(databases, [db], foreign.has(db) ? { ...row, foreign: true } : row);
    }
    for (const db of foreign) {
      const row = known.get(db);
      if (row !== undefined && row.foreign !== true) await this.#put(databases, [db], { ...row, foreign: true });
    }
    return [...missing].sort((a, b) => a - b);
  }

  /** Counts from the snapshots, so many objects at a time that memory stays bounded. */
  async #counts(): Promise<void> {
    const passes = Math.ceil(this.#core.reader(this.#view, refcounts).rows / PASS) || 1;
    for (let pass = 0; pass < passes; pass++) {
      const wanted = new Map<string, { key: ObjectKey; count: number }>();
      for (const [, { chunks: list }] of this.#entries(snapshots)) {
        for (const { originDb, chunkId, generation, deltaId } of list) {
          if (chunkId % passes !== pass) continue;
          const key: ObjectKey = [originDb, chunkId, generation, deltaId ?? -1];
          const name = key.join("/");
          const entry = wanted.get(name);
          if (entry === undefined) wanted.set(name, { key, count: 1 });
          else entry.count++;
        }
        await this.#inspection.step();
      }
      for (const [key, row] of this.#entries(refcounts)) {
        if (key[1] % passes !== pass) continue;
        const name = key.join("/");
        const next = this.#counted(row, wanted.get(name)?.count ?? 0);
        if (next !== row) await this.#put(refcounts, key, next);
        wanted.delete(name);
        await this.#inspection.step();
      }
      for (const { key, count } of wanted.values()) await this.#put(refcounts, key, { strong: count, state: "live" });
    }
  }

  /** A row with another count. What was in use, and would be no more, has lost what used it: it is held. */
  #counted(row: Refcount, strong: number): Refcount {
    const before = row.held ?? 0;
    const held = before === 0 && strong === 0 && (row.strong > 0 || row.state === "live") ? 1 : before;
    if (held !== before) this.#held++;
    const live = strong + held > 0;
    const state = live ? "live" : row.state;
    if (strong === row.strong && held === before && state === row.state) return row;
    return {
      strong,
      state,
      ...held === 0 ? {} : { held },
      ...live ? {} : { since: row.since ?? this.#inspection.environment.now() },
      ...live && strong === 0 && row.unlisted === true ? { unlisted: true } : {},
    };
  }

  /** Every object that a catalog row names is known. Nobody knows any more whether it was in use: it is held. */
  async #named(): Promise<void> {
    const told = new Set<string>();
    const name = async (key: ObjectKey): Promise<void> => {
      if (this.#get(refcounts, key) !== undefined || told.has(key.join("/"))) return;
      told.add(key.join("/"));
      this.#held++;
      await this.#put(refcounts, key, { strong: 0, held: 1, state: "live" });
    };
    for (const [[db, chunk], { generation, originDb = db }] of this.#entries(chunks)) {
      await name([originDb, chunk, generation, -1]);
      await this.#inspection.step();
    }
    for (const [[db, chunk, generation, delta], { originDb = db }] of this.#entries(chunkDeltas)) {
      await name([originDb, chunk, generation, delta]);
      await this.#inspection.step();
    }
  }

  async #collectable(): Promise<void> {
    for (const [key, row] of this.#entries(refcounts)) {
      if (row.state !== "live") {
        const since = row.since ?? this.#inspection.environment.now();
        if (row.since === undefined) await this.#put(refcounts, key, { ...row, since });
        await this.#put(collectable, [row.state, since, ...key], {});
      }
      await this.#inspection.step();
    }
  }

  async #jobs(): Promise<void> {
    for (const [[id], { state: { is }, kind, db }] of this.#entries(jobs)) {
      await this.#put(jobStates, [is, kind, id], {});
      if (is === "pending") await this.#put(pendingJobs, [db ?? -1, kind, id], {});
      await this.#inspection.step();
    }
  }

  /** Ids that are handed out next are behind all that are there. */
  async #counters(): Promise<void> {
    const behind = async (table: AnyTable, name: string): Promise<void> => {
      let next = 1;
      for (const [id] of this.#range<[number]>(table, "keys")) next = Math.max(next, id + 1);
      const row: MetaRecord | undefined = this.#get(meta, [name]);
      if (next > (row?.number ?? 1)) await this.#put(meta, [name], { ...row, number: next });
    };
    await behind(cursors, NEXT_CURSOR_ID);
    await behind(jobs, NEXT_JOB_ID);
  }
}
