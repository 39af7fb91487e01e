// The process that measures: Node, one for the whole run. Started by run.ts with its task as JSON, writes report.json, report.md and report.svg.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import type { Contender } from "./contender.ts";
import { DataSet } from "./data.ts";
import { FILES_SIZES, measureFiles } from "./files.ts";
import { machineFacts } from "./machine.ts";
import { lmdbOpener, measureOpening, OPEN_SIZES, type Opener, WAYBILL_OPENER } from "./opening.ts";
import { measureOwn, OWN_SIZES } from "./own.ts";
import { plot, type PlotModules } from "./plot.ts";
import { type BenchReport, describe, markdown, ratios } from "./report.ts";
import { load, runAll } from "./rounds.ts";
import { type BetterSqlite3Module, BetterSqlite3Store } from "./stores/better_sqlite3.ts";
import { type ClassicLevelModule, ClassicLevelStore } from "./stores/classic_level.ts";
import { type LmdbModule, LmdbStore, LmdbSyncStore } from "./stores/lmdb.ts";
import { RawSync } from "./stores/raw_sync.ts";
import { WaybillStore } from "./stores/waybill.ts";
import { FULL_SIZES, WORKLOADS } from "./workloads.ts";

/** What run.ts asks for. */
export interface Task {
  version: string;
  rounds: number;
  /** Workloads to run. */
  only: string[];
  /** Rows of the data set. */
  rows: number;
  /** Folder of each npm package that is there. */
  packages: Record<string, string>;
  missing: Record<string, string>;
  /** Where the stores are made, and where the report goes. */
  folder: string;
}

/** A round of F1 takes milliseconds. */
const FILES_ROUNDS = 50;

function requirePackage<T>(task: Task, name: string): { module: T; version: string } {
  const require = createRequire(`${task.packages[name]}/node_modules/none.js`);
  const folder = `${task.packages[name]}/node_modules/${name}`;
  return { module: require(name) as T, version: (require(`${folder}/package.json`) as { version: string }).version };
}

function makeContenders(task: Task): Contender[] {
  const contenders: Contender[] = [new WaybillStore(task.version)];
  const add = <T>(name: string, make: (module: T, version: string) => Contender[]): void => {
    if (task.packages[name] === undefined) return;
    try {
      const { module, version } = requirePackage<T>(task, name);
      contenders.push(...make(module, version));
    } catch (error) {
      task.missing[name] = String(error).split("\n")[0]!;
    }
  };
  add<LmdbModule>("lmdb", (module, version) => [new LmdbStore(module, version), new LmdbSyncStore(module, version)]);
  add<ClassicLevelModule>("classic-level", (module, version) => [new ClassicLevelStore(module, version)]);
  add<BetterSqlite3Module>("better-sqlite3", (module, version) => [new BetterSqlite3Store(module, version)]);
  return [...contenders, new RawSync()];
}

function makeOpeners(task: Task): Opener[] {
  return task.packages["lmdb"] === undefined
    ? [WAYBILL_OPENER]
    : [WAYBILL_OPENER, lmdbOpener(requirePackage<LmdbModule>(task, "lmdb").module)];
}

async function drawing(task: Task): Promise<PlotModules> {
  const from = createRequire(`${task.packages["vega"]}/node_modules/none.js`);
  const [vega, vegaLite] = await Promise.all([import(from.resolve("vega")), import(from.resolve("vega-lite"))]);
  return { vega, vegaLite } as PlotModules;
}

const task = JSON.parse(process.argv[2]!) as Task;
const workloads = WORKLOADS.filter(({ id }) => task.only.includes(id));
const contenders = makeContenders(task).filter(({ takes }) => workloads.some(({ id }) => takes.includes(id)));
const data = new DataSet(task.rows);
const folder = mkdtempSync(`${task.folder}/stores-`);
const startedAt = new Date().toISOString();
const report = (line: string): void => console.error(line);

try {
  for (const [i, contender] of contenders.entries()) {
    mkdirSync(`${folder}/${i}`);
    await contender.open(`${folder}/${i}`, data);
  }
  const options = { data, contenders, workloads, sizes: FULL_SIZES, rounds: task.rounds, now: () => performance.now(), report };
  if (workloads.length > 0) await load(options);
  const outcomes = await runAll(options);
  for (const contender of contenders) await contender.close();
  const opening = task.only.includes("S9")
    ? await measureOpening({ openers: makeOpeners(task), sizes: OPEN_SIZES, rounds: task.rounds, folder, now: options.now, report })
    : [];
  const own = await measureOwn({ only: task.only, sizes: OWN_SIZES, rounds: task.rounds, folder, now: options.now, report });
  const files = task.only.includes("F1")
    ? await measureFiles({ sizes: FILES_SIZES, rounds: Math.max(task.rounds, FILES_ROUNDS), folder, now: options.now, report })
    : [];
  const result: BenchReport = {
    startedAt,
    machine: machineFacts(folder),
    rounds: task.rounds,
    contenders: contenders.map(describe),
    missing: task.missing,
    outcomes: outcomes.map((outcome) => ({ ...outcome, ratios: ratios(outcome, workloads.find(({ id }) => id === outcome.id)!) })),
    opening,
    own,
    files,
  };
  writeFileSync(`${task.folder}/report.json`, JSON.stringify(result, null, 2) + "\n");
  writeFileSync(`${task.folder}/report.md`, markdown(result));
  if (outcomes.length > 0 && task.packages["vega"] !== undefined) {
    writeFileSync(`${task.folder}/report.svg`, await plot(result, await drawing(task)));
  }
  console.log(markdown(result));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(process.exitCode ?? 0); // lmdb-js keeps handles open
