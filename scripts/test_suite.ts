// Runs the test files on Deno, Bun and Node.
//
// Deno runs the sources, each file in a process of its own: a crash, a leak or a hang stays in its file, and no file leans on another. Bun and Node run an esbuild bundle of each folder of tests, because starting with such a bundle takes them
// as long as most files take; with @std/assert replaced by tests/support/assert.ts. Every runtime writes a JUnit file; the files of a folder must run the same tests, by name, on all of them. The folders of documents and tools are Deno's alone.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { build } from "esbuild";
import { type Job, type JobResult, runProgram, tail } from "./gate.ts";
import type { Runtimes } from "./tools.ts";
import { packageAliases } from "../tests/support/source.ts";

/** A runtime of the suite. */
export type RuntimeName = "deno" | "bun" | "node";
/** All of them, in the order of the summary. */
export const RUNTIMES: readonly RuntimeName[] = ["deno", "bun", "node"];

const BUNDLES = ".build/tests";
const REPORTS = ".build/reports";
const TIMINGS = ".build/timings.json";
const TIMEOUT_SECONDS = 1800;
const FIGURE = "figure: ";
/** Bun collects garbage at each new kernel beyond so many whose memories are alive; as delivered it bears 4, and files that open thousands take three times as long. */
const BUN_ENVIRONMENT = { BUN_JSC_maxNumWasmFastMemories: "64" };
/** Proofs at full size: each starts processes of all three runtimes itself, so Deno runs it, once. */
const SCALE = "tests/proofs/scale";

/** Tests of documents and of the project's own tools, which Deno runs whatever runtime asks: once, on Deno. */
const DENO_ALONE: ReadonlySet<string> = new Set(["tests/docs", "tests/tooling"]);

/** Names of the tests that ran, by runtime and unit. */
export type Ran = Map<RuntimeName, Map<string, string[]>>;

/** Test files that are compared, and on Bun and Node run, together: those of a folder. */
interface Unit {
  readonly name: string;
  readonly files: readonly string[];
}

function unitsOf(files: readonly string[]): Unit[] {
  const units = new Map<string, string[]>();
  for (const file of files) {
    const name = dirname(file);
    const known = units.get(name);
    if (known === undefined) units.set(name, [file]);
    else known.push(file);
  }
  return [...units].map(([name, files]) => ({ name, files }));
}

/** How to run the suite. */
export interface SuiteOptions {
  runtimes: Runtimes;
  on: readonly RuntimeName[];
  files: string[];
  importMap: string | undefined;
  /** Runs only tests whose name matches. */
  name: string | undefined;
  ran: Ran;
}

/** Every test file, sorted. */
export function testFiles(): string[] {
  return readdirSync("tests", { recursive: true }).map((name) => `tests/${String(name).replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith("_test.ts")).sort();
}

/** Every proof at full size, sorted. */
export function scaleFiles(): string[] {
  if (!existsSync(SCALE)) return [];
  return readdirSync(SCALE).filter((name) => name.endsWith("_proof.ts")).map((name) => `${SCALE}/${name}`).sort();
}

/** Seconds that jobs took in earlier runs, by stage and name. */
export function readTimings(): Record<string, number> {
  return existsSync(TIMINGS) ? JSON.parse(readFileSync(TIMINGS, "utf8")) as Record<string, number> : {};
}

/** Keeps what jobs took for the next run. */
export function writeTimings(timings: Record<string, number>): void {
  writeFileSync(TIMINGS, JSON.stringify(timings, null, 2) + "\n");
}

async function bundle(units: readonly Unit[]): Promise<void> {
  rmSync(BUNDLES, { recursive: true, force: true });
  mkdirSync(BUNDLES, { recursive: true });
  for (const { name, files } of units) {
    writeFileSync(sourceOf(name), files.map((file) => `import "../../${file}";\n`).join(""));
  }
  await build({
    entryPoints: units.map(({ name }) => sourceOf(name)),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    outdir: BUNDLES,
    outbase: BUNDLES,
    outExtension: { ".js": ".mjs" },
    external: ["bun:*"],
    // packages of the old module format call for Node's modules by name
    banner: { js: 'import { createRequire as createRequireOf } from "node:module";\nconst require = createRequireOf(import.meta.url);' },
    alias: { "@std/assert": "./tests/support/assert.ts", ...packageAliases() },
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "error",
  });
}

function sourceOf(unit: string): string {
  return `${BUNDLES}/${unit.replace(/^tests\//, "").replace(/\.ts$/, "").replaceAll("/", "-")}_test.ts`;
}

function bundleOf(unit: string): string {
  return sourceOf(unit).replace(/\.ts$/, ".mjs");
}

/** `what`: a test file on Deno, the name of a unit on the others. */
function command(options: SuiteOptions, runtime: RuntimeName, what: string, report: string): [string, string[]] {
  const { name, importMap, runtimes } = options;
  switch (runtime) {
    case "deno": {
      const mapped = importMap === undefined ? [] : ["--import-map", importMap];
      const filter = name === undefined ? [] : ["--filter", `/${name}/`];
      return [runtimes.deno, ["test", "-A", "--no-check", ...mapped, ...filter, "--junit-path", report, what]];
    }
    case "bun": {
      const filter = name === undefined ? [] : ["-t", name];
      const output = ["--reporter=junit", `--reporter-outfile=${report}`];
      return [runtimes.bun, ["test", `--timeout=${TIMEOUT_SECONDS * 1000}`, ...output, ...filter, `./${bundleOf(what)}`]];
    }
    case "node": {
      const filter = name === undefined ? [] : [`--test-name-pattern=${name}`];
      const reporters = ["junit", report, "spec", "stdout"];
      const output = [`--test-reporter=${reporters[0]}`, `--test-reporter-destination=${reporters[1]}`]
        .concat(`--test-reporter=${reporters[2]}`, `--test-reporter-destination=${reporters[3]}`);
      // Two processes share two cores: collecting garbage beside the program only takes the other's.
      return [runtimes.node, ["--no-warnings", "--enable-source-maps", "--single-threaded-gc", ...output, ...filter, bundleOf(what)]];
    }
  }
}

interface Case {
  name: string;
  failed: boolean;
  skipped: boolean;
}

function unescape(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|(lt|gt|quot|apos|amp));/gi, (_all, hex, decimal, word) => {
    if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(parseInt(decimal, 10));
    return { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" }[word as string]!;
  });
}

/** The test cases of a JUnit file. */
export function parseJunit(xml: string): Case[] {
  const cases: Case[] = [];
  for (const match of xml.matchAll(/<testcase((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const name = /\sname="([^"]*)"/.exec(match[1]!)?.[1] ?? "";
    const inner = match[2] ?? "";
    // Node 20 escapes quotes twice and ">" not at all
    cases.push({
      name: unescape(name.replaceAll("&amp;quot;", "&quot;")),
      failed: /<(failure|error)\b/.test(inner),
      skipped: /<skipped\b/.test(inner),
    });
  }
  return cases;
}

/** Runs a file (Deno) or a unit, and adds the names of its tests to those of `unit`. */
async function runTests(options: SuiteOptions, runtime: RuntimeName, what: string, unit: string): Promise<JobResult> {
  const base = `${REPORTS}/${runtime}/${what.replace(/^tests\//, "").replace(/\.ts$/, "")}`;
  const report = `${base}.xml`;
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const [cmd, args] = command(options, runtime, what, report);
  const output = await runProgram(cmd, args, TIMEOUT_SECONDS, runtime === "bun" ? BUN_ENVIRONMENT : {});
  writeFileSync(`${base}.log`, output.text);

  const cases = existsSync(report) ? parseJunit(readFileSync(report, "utf8")) : [];
  const ran = cases.filter((item) => !item.skipped);
  const names = options.ran.get(runtime)!;
  names.set(unit, [...names.get(unit) ?? [], ...ran.map((item) => item.name)].sort());
  const bad = ran.filter((item) => item.failed);
  const failures = bad.map((item, i) => `${runtime} ${what}: ${item.name}${i === bad.length - 1 ? `\n${tail(output.text)}` : ""}`);
  if (output.timedOut) failures.push(`${runtime} ${what}: ended after ${TIMEOUT_SECONDS} s\n${tail(output.text)}`);
  else if (output.code !== 0 && bad.length === 0 && !(options.name !== undefined && ran.length === 0)) {
    failures.push(`${runtime} ${what}: exit code ${output.code}\n${tail(output.text)}`);
  }
  if (options.name === undefined) {
    for (const item of cases.filter((item) => item.skipped)) failures.push(`${runtime} ${what}: skipped: ${item.name}`);
    if (cases.length === 0 && failures.length === 0) failures.push(`${runtime} ${what}: no test ran\n${tail(output.text)}`);
  }
  return { passed: ran.length - bad.length, failures, figures: figuresIn(output.text) };
}

/** What a test measured: the lines that begin with the word. */
function figuresIn(text: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(FIGURE)).map((line) => line.slice(FIGURE.length));
}

/** One job for every test file on Deno, for every unit on Bun and Node. Bundles first when they take part. */
export async function suiteJobs(options: SuiteOptions): Promise<Job[]> {
  const units = unitsOf(options.files);
  const everywhere = units.filter(({ name }) => !DENO_ALONE.has(name));
  if (options.on.some((runtime) => runtime !== "deno")) await bundle(everywhere);
  const timings = readTimings();
  const jobs: Job[] = [];
  for (const runtime of options.on) {
    options.ran.set(runtime, new Map());
    for (const { name: unit, files } of runtime === "deno" ? units : everywhere) {
      for (const what of runtime === "deno" ? files : [unit]) {
        jobs.push({
          stage: runtime,
          name: what,
          weight: timings[`${runtime} ${what}`] ?? 1000 * (runtime === "deno" ? 1 : files.length),
          run: async () => ({ ...await runTests(options, runtime, what, unit), figures: undefined }), // the same on three runtimes: in the log only
        });
      }
    }
  }
  return jobs;
}

/** One job for every proof at full size. */
export function scaleJobs(options: Omit<SuiteOptions, "on" | "ran">): Job[] {
  const alone: SuiteOptions = { ...options, on: ["deno"], ran: new Map([["deno", new Map()]]) };
  const timings = readTimings();
  return options.files.map((file) => ({
    stage: "scale",
    name: file,
    weight: timings[`scale ${file}`] ?? 2000, // before the suite: some take minutes
    run: () => runTests(alone, "deno", file, file),
  }));
}

/** Where the runtimes did not run the same tests, in words. */
export function differences(ran: Ran): string[] {
  const found: string[] = [];
  const [first, ...others] = [...ran.keys()];
  if (first === undefined) return found;
  for (const [unit, names] of ran.get(first)!) {
    if (DENO_ALONE.has(unit)) continue;
    for (const other of others) {
      const theirs = ran.get(other)!.get(unit) ?? [];
      if (theirs.join("\n") === names.join("\n")) continue;
      const missing = names.filter((name) => !theirs.includes(name)), extra = theirs.filter((name) => !names.includes(name));
      found.push(
        `${unit}: ${first} ran ${names.length} tests, ${other} ${theirs.length}; only ${first}: ${list(missing)}; only ${other}: ${
          list(extra)
        }`,
      );
    }
  }
  return found;
}

function list(names: string[]): string {
  return names.length === 0 ? "none" : names.slice(0, 5).join(", ") + (names.length > 5 ? " …" : "");
}
