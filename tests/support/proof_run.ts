// Carries a plan out on a manifest, and compares a manifest with what its plan must have left.
import {
  bytes,
  defineTable,
  Manifest,
  type ManifestOptions,
  type Reader,
  type ReadTransaction,
  type Storage,
  systemEnvironment,
  type Table,
  text,
} from "../../mod.ts";
import { testEnvironment } from "./environment.ts";
import { isValue, type Plan, type PlannedOp, type Rows, valueBytes } from "./proof_plan.ts";

/** A table of a plan. */
export type PlanTable = Table<[key: string], { data: Uint8Array }>;

const defined = new Map<string, PlanTable>();

/** The definition of a plan's table. */
export function planTable(name: string): PlanTable {
  let table = defined.get(name);
  if (table === undefined) defined.set(name, table = defineTable({ name, key: [text("key")], value: { data: bytes() } }) as PlanTable);
  return table;
}

/** What a run did. */
export interface RunReport {
  /** Checkpoints finished, explicit and others, by all openings together. */
  checkpoints: number;
  groups: number;
  /** How the store stood after each step, for finding where two runs part. */
  trace: string[];
}

/** Compares a table row by row; throws at the first difference. */
export function compareTable(reader: Reader, name: string, rows: Rows): void {
  const table = planTable(name);
  const wanted = [...rows.keys()].sort();
  if (reader.count(table) !== wanted.length) throw new Error(`${name} has ${reader.count(table)} rows, expected ${wanted.length}`);
  let at = 0;
  for (const [[key], { data }] of reader.range(table)) {
    if (key !== wanted[at]) throw new Error(`${name}: row ${at} is ${JSON.stringify(key)}, expected ${JSON.stringify(wanted[at])}`);
    if (!isValue(data, rows.get(key)!)) throw new Error(`${name}: ${JSON.stringify(key)} has another value`);
    at++;
  }
  if (at !== wanted.length) throw new Error(`${name}: a range gave ${at} rows, expected ${wanted.length}`);
}

/** Compares the whole manifest with the plan's end: rows, snapshots, and reference counts recounted from them. */
export function compareManifest(manifest: Manifest, plan: Plan): void {
  if (manifest.latestChangeSequence() !== plan.sequence) {
    throw new Error(`sequence ${manifest.latestChangeSequence()}, expected ${plan.sequence}`);
  }
  const names = manifest.listTables().filter(({ builtIn }) => !builtIn).map(({ name }) => name).join();
  const wanted = [...plan.tables.keys()].sort().join();
  if (names !== wanted) throw new Error(`tables are ${names}, expected ${wanted}`);
  for (const [name, rows] of plan.tables) compareTable(manifest, name, rows);
  const counts = new Map<string, number>();
  let snapshots = 0;
  for (const db of [1, 2, 3]) {
    for (const [[, snapshot], found] of manifest.listSnapshots(db)) {
      const planned = plan.snapshots.get(`${db}/${snapshot}`);
      const list = found.chunks.map(({ chunkId, generation }) => `${chunkId}:${generation}`).sort().join();
      const expected = planned?.map(({ id, generation }) => `${id}:${generation}`).sort().join();
      if (list !== expected) throw new Error(`snapshot ${db}/${snapshot} lists ${list}, expected ${expected}`);
      for (const { originDb, chunkId, generation } of found.chunks) {
        const object = `${originDb}/${chunkId}/${generation}`;
        counts.set(object, (counts.get(object) ?? 0) + 1);
      }
      snapshots++;
    }
  }
  if (snapshots !== plan.snapshots.size) throw new Error(`${snapshots} snapshots, expected ${plan.snapshots.size}`);
  for (const [object, count] of counts) {
    const [originDb, chunkId, generation] = object.split("/").map(Number) as [number, number, number];
    const kept = manifest.getRefcount({ originDb, chunkId, generation })?.strong;
    if (kept !== count) throw new Error(`object ${object} is counted ${kept} times, ${count} snapshots list it`);
  }
}

/** A full check; throws on any finding. */
export async function checkClean(manifest: Manifest): Promise<void> {
  const report = await manifest.check();
  if (!report.ok || report.problems.length > 0) throw new Error(`the check found ${JSON.stringify(report.problems.slice(0, 4))}`);
}

/**
 * Carries a plan out. `open` is called for each opening. Clock and entropy are injected, time-triggered work is off, syncs are made inside the turn, so the file's bytes follow from the plan
 * alone.
 */
export async function runPlan(plan: Plan, open: () => Storage, options: ManifestOptions = {}): Promise<RunReport> {
  let held: ReadTransaction[] = [];
  const report: RunReport = { checkpoints: 0, groups: 0, trace: [] };
  let opened = 0;
  const openManifest = (): Promise<Manifest> =>
    Manifest.open(open(), {
      create: true,
      pageSize: plan.pageSize,
      cacheBytes: plan.cacheBytes,
      idleCheckpoint: 0,
      syncMode: "inline",
      // Syncs off the event loop need turns of it: only time and entropy are injected, not yielding.
      environment: { ...testEnvironment(plan.seed * 1000 + opened++), yield: systemEnvironment.yield },
      ...options,
    });
  let manifest = await openManifest();
  for (const db of [1, 2, 3]) await manifest.begin().putDb(db, { name: `db ${db}` }).commit();

  const commit = (ops: readonly PlannedOp[]): Promise<unknown> => {
    const txn = manifest.begin();
    for (const op of ops) {
      const table = planTable(op.table);
      if (op.kind === "put") txn.put(table, [op.key], { data: valueBytes(op.value) });
      else if (op.kind === "delete") txn.delete(table, [op.key]);
      else txn.deleteRange(table, { gte: [op.key], lt: [op.to] });
    }
    return txn.commit();
  };
  const close = async (): Promise<void> => {
    for (const transaction of held) transaction.close();
    held = [];
    const { checkpoints, groups } = manifest.stats();
    report.checkpoints += checkpoints;
    report.groups += groups;
    await manifest.close();
  };

  for (const [index, step] of plan.steps.entries()) {
    try {
      switch (step.kind) {
        case "commit":
          await commit(step.ops);
          break;
        case "together":
          await Promise.all(step.transactions.map(commit));
          break;
        case "publish": {
          const txn = manifest.begin();
          for (const { id, generation } of step.chunks) txn.upsertChunk([step.db, id], { fileName: `c${id}`, generation });
          await txn.publishSnapshot([step.db, step.snapshot], { chunks: step.chunks.map(({ id }) => ({ chunkId: id })) }).commit();
          break;
        }
        case "unpublish":
          await manifest.begin().dropSnapshot([step.db, step.snapshot]).commit();
          break;
        case "create":
          await manifest.createTable(planTable(step.table));
          break;
        case "drop":
          await manifest.dropTable(step.table);
          break;
        case "hold":
          held.push(manifest.read());
          break;
        case "release":
          held.shift()!.close();
          break;
        case "checkpoint":
          await manifest.checkpoint();
          break;
        case "compact":
          await manifest.compact();
          break;
        case "check":
          await checkClean(manifest);
          break;
        case "reopen":
          await close();
          manifest = await openManifest();
          break;
      }
    } catch (error) {
      throw new Error(`seed ${plan.seed}, step ${index} (${step.kind})`, { cause: error });
    }
    const { durableFrame, groups, checkpoints, fileBytes } = manifest.stats();
    report.trace.push(`${index} ${step.kind}: frame ${durableFrame}, groups ${groups}, checkpoints ${checkpoints}, bytes ${fileBytes}`);
  }
  compareManifest(manifest, plan);
  await close();
  return report;
}
