// A manifest, or a read transaction on it, against a state of the reference: every table row by row, and what the lists of the built-in tables say.
import {
  type AnyTable,
  chunkDeltas,
  chunks,
  collectable,
  cursors,
  databases,
  generations,
  type Job,
  jobs,
  type JobStateName,
  jobStates,
  type Manifest,
  meta,
  metrics,
  type ObjectState,
  pendingJobs,
  type QueuedJob,
  type Reader,
  refcounts,
  remoteNamespaces,
  snapshots,
  type StoredObject,
  type Table,
  walArtifacts,
  walStates,
} from "../../../mod.ts";
import type { Random } from "../random.ts";
import { compareKeys, type Key, type Row, type Rows, type Undo } from "./rows.ts";
import { expectSame, same, show } from "./same.ts";
import type { ObjectKey, State } from "./state.ts";
import { type Bounds, within } from "./user_rows.ts";

/** A table whose keys and records are not looked into here. */
type Any = Table<(number | string)[], unknown>;

const JOB_STATES: readonly JobStateName[] = ["pending", "held", "in-flight", "completed", "failed"];
const WAITING = ["unnamed", "collectable", "condemned"] as const;

/** Tables whose rows the reference keeps. */
export function keptTables(state: State): [AnyTable, Rows<unknown>][] {
  return [
    [databases, state.databases],
    [walStates, state.walStates],
    [walArtifacts, state.walArtifacts],
    [chunks, state.chunks],
    [chunkDeltas, state.deltas],
    [snapshots, state.snapshots],
    [jobs, state.jobs],
    [metrics, state.metrics],
    [generations, state.generations],
    [remoteNamespaces, state.namespaces],
    [cursors, state.cursors],
    [meta, state.meta],
    ...[...state.userTables.values()].map(({ definition, rows }): [AnyTable, Rows<unknown>] => [definition.table, rows]),
  ];
}

function refcountRows(state: State): Row<unknown>[] {
  const counts = state.counts();
  return state.objects.sorted().map(({ key, value }) => ({ key, value: state.refcount(key as unknown as ObjectKey, value, counts) }));
}

function collectableRows(state: State): Row<unknown>[] {
  return WAITING.flatMap((name) => state.waiting(name).map(({ since, key }) => ({ key: [name, since, ...key], value: {} })));
}

function jobStateRows(state: State): Row<unknown>[] {
  const all = state.jobs.all().map(({ key: [id], value }) => ({ is: value.state.is, key: [value.kind, id!] as Key }));
  all.sort((a, b) => JOB_STATES.indexOf(a.is) - JOB_STATES.indexOf(b.is) || compareKeys(a.key, b.key));
  return all.map(({ is, key }) => ({ key: [is, ...key], value: {} }));
}

function pendingJobRows(state: State): Row<unknown>[] {
  const all = state.jobs.all().filter(({ value }) => value.state.is === "pending");
  return all.map(({ key: [id], value }) => ({ key: [value.db ?? -1, value.kind, id!], value: {} })).sort((a, b) =>
    compareKeys(a.key, b.key)
  );
}

function compareTable(reader: Reader, { name }: AnyTable, table: Any, wanted: readonly Row<unknown>[], random: Random): void {
  const count = reader.count(table);
  if (count !== wanted.length) throw new Error(`${name} has ${count} rows, expected ${wanted.length}`);
  const reverse = random.chance(0.4);
  const at = (i: number): Row<unknown> => wanted[reverse ? wanted.length - 1 - i : i]!;
  let seen = 0;
  const compare = (key: Key, value: unknown): void => {
    if (seen === wanted.length) throw new Error(`${name} has another row, ${show(key)}`);
    const row = at(seen++);
    if (!same(key, row.key)) throw new Error(`${name}: row ${seen - 1} is ${show(key)}, expected ${show(row.key)}`);
    if (!same(value, row.value)) throw new Error(`${name}: the row of ${show(key)} is ${show(value)}, expected ${show(row.value)}`);
  };
  if (random.chance(0.2)) {
    // In parts, each behind the one before.
    for (let after: Uint8Array | undefined, limit = random.between(1, 60), got = 1; got > 0;) {
      const part = reader.range(table, { reverse, limit, ...after === undefined ? {} : { after } });
      got = 0;
      for (const [key, value] of part) {
        compare(key, value);
        got++;
      }
      after = part.position;
    }
  } else for (const [key, value] of reader.range(table, { reverse })) compare(key, value);
  if (seen !== wanted.length) throw new Error(`${name}: a range has ${seen} rows, expected ${wanted.length}`);
  for (let n = Math.min(3, wanted.length); n > 0; n--) {
    const { key, value } = random.pick(wanted);
    expectSame(reader.get(table, [...key]), value, `${name}: get of ${show(key)}`);
    if (!reader.has(table, [...key])) throw new Error(`${name}: has does not know ${show(key)}`);
  }
}

/** Compares every table. */
export function compareTables(reader: Reader, state: State, random: Random): void {
  for (const [table, rows] of keptTables(state)) compareTable(reader, table, table as Any, rows.sorted(), random);
  compareTable(reader, refcounts, refcounts as unknown as Any, refcountRows(state), random);
  compareTable(reader, collectable, collectable as unknown as Any, collectableRows(state), random);
  compareTable(reader, jobStates, jobStates as unknown as Any, jobStateRows(state), random);
  compareTable(reader, pendingJobs, pendingJobs as unknown as Any, pendingJobRows(state), random);
}

/** Compares the list of tables. */
export function compareTableNames(manifest: Manifest, state: State): void {
  const found = manifest.listTables().filter(({ builtIn }) => !builtIn).map(({ name, rows }) => `${name} ${rows}`);
  const wanted = [...state.userTables].map(([name, { rows }]) => `${name} ${rows.size}`).sort();
  expectSame(found, wanted, "the list of user tables");
}

/** Compares the rows that some transactions have touched, whether they were applied or not. */
export function compareTouched(reader: Reader, state: State, touched: Undo): void {
  const seen = new Map<Rows<unknown>, Set<string>>();
  const tables = new Map(keptTables(state).map(([table, rows]) => [rows, table]));
  let counts: Map<string, number> | undefined;
  for (const { rows, key } of touched) {
    if (rows === undefined || key === undefined) continue;
    let keys = seen.get(rows);
    if (keys === undefined) seen.set(rows, keys = new Set());
    const name = key.join("/");
    if (keys.has(name)) continue;
    keys.add(name);
    if (rows === state.objects as Rows<unknown>) {
      const facts = state.objects.get(...key);
      const object = key as unknown as ObjectKey;
      const wanted = facts && state.refcount(object, facts, counts ??= state.counts());
      expectSame(reader.get(refcounts, [...object]), wanted, `the count of object ${name}`);
      continue;
    }
    const table = tables.get(rows);
    if (table === undefined) continue; // a user table that was not made
    expectSame(reader.get(table as Any, [...key]), rows.get(...key), `${table.name}: the row of ${show(key)}`);
    if (rows === state.jobs as Rows<unknown>) compareJobIndexes(reader, key[0] as number, state.jobs.get(...key));
  }
}

function compareJobIndexes(reader: Reader, id: number, job: Job | undefined): void {
  if (job === undefined) return;
  for (const is of JOB_STATES) {
    if (reader.has(jobStates, [is, job.kind, id]) !== (job.state.is === is)) {
      throw new Error(`job ${id} is ${job.state.is}: index entry ${is}`);
    }
  }
  if (reader.has(pendingJobs, [job.db ?? -1, job.kind, id]) !== (job.state.is === "pending")) {
    throw new Error(`job ${id} is ${job.state.is}: index entry of those that wait`);
  }
}

function ofDb<V>(rows: Rows<V>, ...prefix: number[]): [Key, V][] {
  return rows.sorted().filter(({ key }) => prefix.every((one, i) => key[i] === one)).map(({ key, value }) => [key, value]);
}

function objects(
  state: State,
  name: ObjectState,
  before: number | undefined,
  limit: number | undefined,
): (StoredObject & { since: number })[] {
  return state.waiting(name).filter(({ since }) => before === undefined || since < before).slice(0, limit)
    .map(({ since, key: [originDb, chunkId, generation, delta] }) => ({
      originDb,
      chunkId,
      generation,
      deltaId: delta < 0 ? undefined : delta,
      since,
    }));
}

function queued(ids: readonly (readonly [number, Job])[]): QueuedJob[] {
  return ids.map(([job, row]) => ({ job, ...row }));
}

function sortedJobs(state: State, keep: (job: Job) => boolean, byKind: boolean): [number, Job][] {
  const rows = state.jobs.sorted().filter(({ value }) => keep(value));
  if (byKind) rows.sort((a, b) => compareKeys([a.value.kind, a.key[0]!], [b.value.kind, b.key[0]!]));
  return rows.map(({ key, value }) => [key[0] as number, value]);
}

/** Compares one of the lists of the built-in tables, with random filters. */
export function compareList(reader: Reader, state: State, random: Random): void {
  const ids = state.databases.sorted().map(({ key }) => key[0] as number);
  const db = ids.length > 0 && random.chance(0.9) ? random.pick(ids) : random.int(9);
  const limit = random.chance(0.5) ? random.int(6) : undefined;
  const kind = random.chance(0.5) ? random.pick(["flush", "gc", "a b"]) : undefined;
  switch (random.int(14)) {
    case 0:
      expectSame(reader.listDbs({ limit }).toArray(), ofDb(state.databases).slice(0, limit), "listDbs");
      return expectSame(reader.maxDbId(), ids.at(-1) ?? 0, "maxDbId");
    case 1:
      expectSame(reader.getDb(db), state.databases.get(db), `getDb ${db}`);
      return expectSame(reader.listWalStates().toArray(), ofDb(state.walStates), "listWalStates");
    case 2:
      expectSame(reader.getWalState(db), state.walStates.get(db), `getWalState ${db}`);
      return expectSame(reader.listWalArtifacts(db, { limit }).toArray(), ofDb(state.walArtifacts, db).slice(0, limit), "listWalArtifacts");
    case 3: {
      const { length } = ofDb(state.chunks, db);
      expectSame(reader.count(chunks, { prefix: [db] }), length, "the count of a database's chunks");
      const options = { limit, reverse: random.chance(0.5) };
      const wanted = options.reverse ? ofDb(state.chunks, db).reverse() : ofDb(state.chunks, db);
      return expectSame(reader.listChunks(db, options).toArray(), wanted.slice(0, limit), "listChunks");
    }
    case 4: {
      const chunk = random.chance(0.5) ? random.int(4) : undefined;
      const wanted = chunk === undefined ? ofDb(state.deltas, db) : ofDb(state.deltas, db, chunk);
      return expectSame(reader.listChunkDeltas(db, chunk, { limit }).toArray(), wanted.slice(0, limit), "listChunkDeltas");
    }
    case 5:
      return expectSame(reader.listSnapshots(db).toArray(), ofDb(state.snapshots, db), "listSnapshots");
    case 6:
    case 7: {
      const name = random.pick(WAITING);
      const all = state.waiting(name);
      const before = all.length > 0 && random.chance(0.5) ? random.pick(all).since + random.int(2) : undefined;
      const list = { unnamed: "listUnnamed", collectable: "listCollectable", condemned: "listCondemned" } as const;
      const options = { ...limit === undefined ? {} : { limit }, ...before === undefined ? {} : { before } };
      return expectSame(reader[list[name]](options), objects(state, name, before, limit), list[name]);
    }
    case 8:
      return expectSame(reader.countCollectable(), state.waiting("collectable").length, "countCollectable");
    case 9:
    case 10: {
      const is = random.chance(0.8) ? random.pick(JOB_STATES) : undefined;
      const wanted = sortedJobs(
        state,
        (job) => (is === undefined || job.state.is === is) && (kind === undefined || job.kind === kind),
        is !== undefined,
      );
      return expectSame(reader.listJobs({ state: is, kind, limit }), queued(wanted.slice(0, limit)), `listJobs ${is} ${kind}`);
    }
    case 11: {
      const of = random.chance(0.3) ? null : random.chance(0.3) ? undefined : db;
      const wanted = sortedJobs(
        state,
        (job) => job.state.is === "pending" && (kind === undefined || job.kind === kind) && (of === undefined || (job.db ?? null) === of),
        true,
      );
      return expectSame(
        reader.listPendingJobs({ db: of, kind, limit }),
        queued(wanted.slice(0, limit)),
        `listPendingJobs ${of} ${kind}`,
      );
    }
    case 12: {
      expectSame(reader.listGenerations().toArray(), ofDb(state.generations), "listGenerations");
      const component = random.int(12);
      return expectSame(reader.currentGeneration(component), state.generations.get(component)?.generation, "currentGeneration");
    }
    default:
      expectSame(reader.listMetrics({ limit }).toArray(), ofDb(state.metrics).slice(0, limit), "listMetrics");
      return expectSame(reader.listRemoteNamespaces().toArray(), ofDb(state.namespaces), "listRemoteNamespaces");
  }
}

/** Compares a range of a user table with random bounds. */
export function compareUserRange(reader: Reader, table: AnyTable, rows: Rows<unknown>, bounds: Bounds, reverse: boolean): void {
  const wanted = rows.sorted().filter(({ key }) => within(key, bounds)).map(({ key, value }) => [key, value]);
  if (reverse) wanted.reverse();
  expectSame(reader.range(table as Any, { ...bounds, reverse } as never).toArray(), wanted, `${table.name} within ${show(bounds)}`);
  expectSame(reader.count(table as Any, bounds as never), wanted.length, `the count of ${table.name} within ${show(bounds)}`);
}
