// The deep check: what the manifest's tables say of each other, in one state.
//
// In one sentence: every record reads back as what was written; the change log has no gap and every cursor stands within it; every count is what the snapshots give; every index holds
// exactly what its rows say; nothing belongs to a database that does not exist, and no row names an object that is not known.
import { TABLE_ID_CHANGES } from "../../../assembly/format.ts";
import { isManifestError } from "../../errors.ts";
import type { AnyTable, Table } from "../../schema/schema.ts";
import type { CheckProblem, View } from "../../store/store.ts";
import { PAGE_BYTES } from "../log/change_log.ts";
import type { ManifestCore } from "../core.ts";
import { Range, type RangeKind } from "../read/range.ts";
import { tableFromSchema } from "../../schema/schema.ts";
import { chunkDeltas } from "../tables/chunk_deltas.ts";
import { chunks } from "../tables/chunks.ts";
import { cursors } from "../tables/cursors.ts";
import { databases } from "../tables/databases.ts";
import { jobs, jobStates, pendingJobs } from "../tables/jobs.ts";
import { meta, NEXT_CURSOR_ID, NEXT_JOB_ID } from "../tables/meta.ts";
import { collectable, refcounts } from "../tables/refcounts.ts";
import { snapshots } from "../tables/snapshots.ts";
import { walArtifacts } from "../tables/wal_artifacts.ts";
import { walStates } from "../tables/wal_states.ts";

const CHANGE_LOG = "change_log";
/** Findings kept; the rest is only counted. */
const KEPT = 100;
/** Objects counted in one pass over the snapshots. */
const PASS = 500_000;
/** Rows looked at before others get a turn. */
const STEP = 4096;

/** Checks one state of a manifest. */
export class DeepCheck {
  /** The first findings. */
  readonly problems: CheckProblem[] = [];
  /** All findings. */
  count = 0;
  readonly #core: ManifestCore;
  readonly #view: View;
  #rows = 0;

  constructor(core: ManifestCore, view: View) {
    this.#core = core;
    this.#view = view;
  }

  /** Checks everything. */
  async run(): Promise<void> {
    await this.#records();
    await this.#log();
    for (const part of [this.#cursors, this.#counts, this.#objectStates, this.#jobs, this.#owners, this.#catalog]) {
      try {
        await part.call(this);
      } catch (error) {
        // The record that cannot be read has been named: a part that needs it ends there, the others go on.
        if (!isManifestError(error) || error.kind !== "data" || this.count === 0) throw error;
      }
    }
  }

  #problem(table: AnyTable | string, reason: string, expected = 0, actual = 0): void {
    this.count++;
    if (this.problems.length >= KEPT) return;
    const name = typeof table === "string" ? table : table.name;
    const id = name === CHANGE_LOG ? TABLE_ID_CHANGES : this.#view.table(name)?.id ?? 0;
    this.problems.push({ severity: "error", page: 0, table: id, reason: `${name}: ${reason}`, expected, actual });
  }

  #range<T>(table: AnyTable, kind: RangeKind, options: object = {}): Range<T> {
    const source = { reader: this.#core.reader(this.#view, table), release: () => {} };
    return new Range<T>(() => source, options, kind);
  }

  #entries<K extends readonly unknown[], V>(table: Table<K, V>): Range<[K, V]> {
    return this.#range(table, "entries");
  }

  #has(table: AnyTable, key: readonly unknown[]): boolean {
    return this.#core.reader(this.#view, table).find(key);
  }

  /** Lets others have a turn every so many rows. */
  async #pause(): Promise<void> {
    if (++this.#rows % STEP === 0) await this.#core.environment.yield();
  }

  /** Every record of every table decodes, and encodes to the same bytes again. */
  async #records(): Promise<void> {
    for (const { name, schema } of this.#view.tables()) {
      const table = tableFromSchema(name, schema);
      const { codec } = this.#core.reader(this.#view, table);
      try {
        for (const [, bytes] of this.#range<[unknown, Uint8Array]>(table, "bytes")) {
          const again = codec.encodeValue(codec.valueFromBytes(bytes));
          // One written before fields were added is shorter.
          if (again.length === bytes.length && again.some((byte, i) => byte !== bytes[i])) {
            this.#problem(name, "a record is not encoded as it would be written");
          }
          await this.#pause();
        }
      } catch (error) {
        if (!isManifestError(error) || error.kind !== "data") throw error;
        this.#problem(name, `a record cannot be read (${error.code})`);
      }
    }
  }

  /** Sequences follow each other up to the newest, and every change can be read. */
  async #log(): Promise<void> {
    const { log, changes } = this.#core;
    const tables = new Map();
    let next = log.oldest(this.#view);
    const end = this.#view.sequence + 1;
    while (next < end) {
      const from = next;
      try {
        log.read(this.#view, from, end - 1, STEP, PAGE_BYTES, (sequence, at, length) => {
          if (sequence !== next) this.#problem(CHANGE_LOG, "a change is missing", next, sequence);
          next = sequence + 1;
          changes.decode(this.#view, tables, sequence, at, length);
        });
      } catch (error) {
        if (!isManifestError(error) || error.kind !== "data") throw error;
        this.#problem(CHANGE_LOG, `change ${next - 1} cannot be read (${error.code})`);
      }
      if (next === from) break;
      await this.#core.environment.yield();
    }
    if (next !== end) this.#problem(CHANGE_LOG, "the newest changes are missing", end - 1, next - 1);
  }

  #counter(name: string): number {
    return (this.#core.reader(this.#view, meta).get([name]) as { number?: number } | undefined)?.number ?? 1;
  }

  #cursors(): void {
    const names = new Set<string>();
    const end = this.#view.sequence + 1;
    const next = this.#counter(NEXT_CURSOR_ID);
    for (const [[id], row] of this.#entries(cursors)) {
      if (names.has(row.name)) this.#problem(cursors, `the name of cursor ${id} is there twice`);
      names.add(row.name);
      if (row.next > end) this.#problem(cursors, `cursor ${id} stands behind the newest change`, end, row.next);
      if (id >= next) this.#problem(cursors, `cursor ${id} has an id that was not given out`, next, id);
    }
  }

  /** Counts equal a recount from the live snapshots; so many objects at a time that memory stays bounded. */
  async #counts(): Promise<void> {
    const passes = Math.ceil(this.#core.reader(this.#view, refcounts).rows / PASS) || 1;
    for (let pass = 0; pass < passes; pass++) {
      const wanted = new Map<string, number>();
      for (const [, { chunks: list }] of this.#entries(snapshots)) {
        for (const { originDb, chunkId, generation, deltaId } of list) {
          if (chunkId % passes !== pass) continue;
          const name = `${originDb}/${chunkId}/${generation}/${deltaId ?? -1}`;
          wanted.set(name, (wanted.get(name) ?? 0) + 1);
        }
        await this.#pause();
      }
      for (const [key, { strong }] of this.#entries(refcounts)) {
        if (key[1] % passes !== pass) continue;
        const name = key.join("/");
        const counted = wanted.get(name) ?? 0;
        if (strong !== counted) this.#problem(refcounts, `the count of object ${name} is not what the snapshots give`, counted, strong);
        wanted.delete(name);
        await this.#pause();
      }
      for (const [name, counted] of wanted) this.#problem(refcounts, `object ${name} is listed and not counted`, counted, 0);
    }
  }

  /** An object's state follows from its counts, and gc_collectable holds exactly those that are not live. */
  async #objectStates(): Promise<void> {
    let indexed = 0;
    for (const [key, { strong, held = 0, state, since, unlisted }] of this.#entries(refcounts)) {
      const name = key.join("/");
      if ((state === "live") !== strong + held > 0) {
        this.#problem(refcounts, `object ${name} is ${state} at a count of ${strong} and ${held} held`);
      }
      if (unlisted && (state !== "live" || strong > 0)) this.#problem(refcounts, `object ${name} is called unlisted and cannot be`);
      if (state !== "live") {
        indexed++;
        if (since === undefined || !this.#has(collectable, [state, since, ...key])) {
          this.#problem(collectable, `object ${name} is ${state} and not listed`);
        }
      }
      await this.#pause();
    }
    const { rows } = this.#core.reader(this.#view, collectable);
    if (rows !== indexed) this.#problem(collectable, "it lists objects that are not in that state", indexed, rows);
  }

  /** The indexes of jobs hold exactly what the jobs say. */
  async #jobs(): Promise<void> {
    let waiting = 0;
    const next = this.#counter(NEXT_JOB_ID);
    for (const [[id], { state: { is }, kind, db }] of this.#entries(jobs)) {
      if (id >= next) this.#problem(jobs, `job ${id} has an id that was not given out`, next, id);
      if (!this.#has(jobStates, [is, kind, id])) this.#problem(jobStates, `job ${id} is ${is} and not listed`);
      if ((is === "pending" || is === "held") && db !== undefined && !this.#has(databases, [db])) {
        this.#problem(jobs, `job ${id} waits for database ${db}, which does not exist`);
      }
      if (is === "pending") {
        waiting++;
        if (!this.#has(pendingJobs, [db ?? -1, kind, id])) this.#problem(pendingJobs, `job ${id} waits and is not listed`);
      }
      await this.#pause();
    }
    const all = this.#core.reader(this.#view, jobs).rows;
    const states = this.#core.reader(this.#view, jobStates).rows;
    if (states !== all) this.#problem(jobStates, "it lists jobs that are not in that state", all, states);
    const pending = this.#core.reader(this.#view, pendingJobs).rows;
    if (pending !== waiting) this.#problem(pendingJobs, "it lists jobs that do not wait", waiting, pending);
  }

  /** What belongs to a database belongs to one that exists. */
  async #owners(): Promise<void> {
    const known = new Set<number>();
    for (const [db] of this.#range<[number]>(databases, "keys")) known.add(db);
    for (const table of [walStates, walArtifacts, chunks, chunkDeltas, snapshots]) {
      let last = -1;
      for (const [db] of this.#range<[number]>(table, "keys")) {
        if (db !== last && !known.has(db)) this.#problem(table, `rows belong to database ${db}, which does not exist`);
        last = db;
        await this.#pause();
      }
    }
  }

  /** Every object that a chunk or delta names is known; a database whose rows name objects of others says so, because reclaim looks there. */
  async #catalog(): Promise<void> {
    const silent = new Set<number>();
    for (const [[db], row] of this.#entries(databases)) if (!row.foreign) silent.add(db);
    const look = (
      table: AnyTable,
      db: number,
      originDb: number,
      object: readonly [chunk: number, generation: number, delta: number],
    ): void => {
      const key = [originDb, ...object] as const;
      if (!this.#has(refcounts, key)) this.#problem(table, `a row of database ${db} names object ${key.join("/")}, which is not known`);
      if (originDb !== db && silent.delete(db)) this.#problem(databases, `database ${db} names objects of others and does not say so`);
    };
    for (const [[db, chunk], { generation, originDb = db }] of this.#entries(chunks)) {
      look(chunks, db, originDb, [chunk, generation, -1]);
      await this.#pause();
    }
    for (const [[db, chunk, generation, delta], { originDb = db }] of this.#entries(chunkDeltas)) {
      look(chunkDeltas, db, originDb, [chunk, generation, delta]);
      await this.#pause();
    }
  }
}
