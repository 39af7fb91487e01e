// `deno task bench`: this project's store beside other stores, on Node, in one run.
//
//   --quick        fewer rounds; sizes stay
//   --rounds N     counted rounds (default 7, quick 5)
//   --only S4      only this workload (may be repeated). S9 makes files of up to 1 GB, F1 100,000 small ones: both run only when they are named.
//   --profile      writes a CPU profile of the run beside the report
//
// Installs the peers into .build/, bundles bench/main.ts and runs it in a fresh Node process. The report is printed and kept in .build/bench/ as
// report.json, report.md and report.svg.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { findRuntimes, npmFolder, PINS } from "../scripts/tools.ts";
import { FULL_ROWS } from "./data.ts";
import type { Task } from "./main.ts";
import { WORKLOADS } from "./workloads.ts";

const ROUNDS = 7;
const QUICK_ROUNDS = 5;
const OUT = ".build/bench";
const BUNDLE = `${OUT}/main.mjs`;

/** What is installed for benchmarks: stores with their programs in the package, and the plotting library. */
const STORES = { "lmdb": PINS.lmdb, "classic-level": "3.0.0" };
const PLOT = { "vega": "6.4.0", "vega-lite": "6.5.0" };
const SQLITE = { "better-sqlite3": "12.11.1" }; // the newest for Node 20

/** Opens something with each store: one that was built for another Node may take the whole process down. */
const PROBES: Record<string, string> = {
  "lmdb": `require("lmdb").open({ path: process.argv[1] + "/lmdb" })`,
  "classic-level": `new (require("classic-level").ClassicLevel)(process.argv[1] + "/level")`,
  "better-sqlite3": `new (require("better-sqlite3"))(":memory:").pragma("journal_mode")`,
};

const { values } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean" },
    rounds: { type: "string" },
    only: { type: "string", multiple: true },
    profile: { type: "boolean" },
  },
});

/** Folders of the packages, by name; those that cannot be installed are named in `missing`. */
async function installPeers(node: string, missing: Record<string, string>): Promise<Record<string, string>> {
  const packages: Record<string, string> = {};
  const add = async (folder: string, dependencies: Record<string, string>, install = npmFolder): Promise<void> => {
    try {
      const place = await install(folder, dependencies);
      for (const name of Object.keys(dependencies)) packages[name] = place;
    } catch (error) {
      for (const name of Object.keys(dependencies)) missing[name] = String(error instanceof Error ? error.message : error).split("\n")[0]!;
    }
  };
  await add("bench-stores", STORES);
  await add("bench-plot", PLOT);
  await add("bench-sqlite", SQLITE, buildPackage);
  for (const [name, code] of Object.entries(PROBES)) {
    if (packages[name] === undefined) continue;
    const scratch = await Deno.makeTempDir();
    const args = ["-e", `${code}; process.exit(0)`, scratch];
    const probe = await new Deno.Command(node, { args, cwd: packages[name], stdin: "null", stdout: "null", stderr: "piped" }).output();
    await Deno.remove(scratch, { recursive: true });
    if (probe.success) continue;
    missing[name] = `it does not run here (exit ${probe.signal ?? probe.code})`;
    delete packages[name];
  }
  return packages;
}

/** Installs a package whose install script has to run, because it fetches or compiles its program. */
async function buildPackage(name: string, dependencies: Record<string, string>): Promise<string> {
  const folder = resolve(".build", name);
  const stamp = `${folder}/installed.json`;
  const wanted = JSON.stringify(dependencies);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return folder;
  console.error(`Installing ${Object.keys(dependencies).join(", ")} (compiled here where no ready one can be fetched: a minute)`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/package.json`, JSON.stringify({ private: true, dependencies }, null, 2) + "\n");
  const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  const { code, stderr } = await new Deno.Command("npm", { args, stdin: "null", stdout: "null", stderr: "piped" }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr).trim() || `npm ended with ${code}`);
  writeFileSync(stamp, wanted);
  return folder;
}

function chosenWorkloads(): string[] {
  const usual = [...WORKLOADS.map(({ id }) => id as string), "S12", "S13"];
  const only = values.only ?? usual;
  const named = ["S9", "F1"];
  const unknown = only.filter((id) => !usual.includes(id) && !named.includes(id));
  if (unknown.length > 0) throw new Error(`Cannot run workload ${unknown.join(", ")}: there are ${[...usual, ...named].join(", ")}`);
  return only;
}

function chosenRounds(): number {
  const rounds = Number(values.rounds ?? (values.quick ? QUICK_ROUNDS : ROUNDS));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("Cannot run: --rounds is not a whole number from 1 on");
  return rounds;
}

const only = chosenWorkloads();
const rounds = chosenRounds();
mkdirSync(OUT, { recursive: true });
const runtimes = await findRuntimes();
const missing: Record<string, string> = {};
const packages = await installPeers(runtimes.node, missing);
await build({
  entryPoints: ["bench/main.ts"],
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  outfile: BUNDLE,
  sourcemap: "inline",
  logLevel: "error",
});

const version = (JSON.parse(readFileSync("deno.json", "utf8")) as { version: string }).version;
const task: Task = { version, rounds, only, rows: FULL_ROWS, packages, missing, folder: resolve(OUT) };
const flags = ["--expose-gc", "--no-warnings", ...values.profile ? ["--cpu-prof", `--cpu-prof-dir=${OUT}`] : []];
const child = new Deno.Command(runtimes.node, { args: [...flags, BUNDLE, JSON.stringify(task)], stdin: "null" }).spawn();
const { code } = await child.status;
if (code === 0) console.log(`The report is in ${OUT}: report.json, report.md, report.svg`);
Deno.exit(code);
