// `deno task test:mutants`: planted bugs. Each of the named mutants of our own code is planted in a copy of the tree, and the suites run there until one catches it.
//
//   --name TEXT      only mutants whose name contains TEXT (may be repeated)
//   --suite TEXT     only suites whose name contains TEXT (may be repeated)
//   --all-suites     every suite runs, and all that catch are named
//   --width N        copies that are worked on at a time (default: 2, or 1 on one core)
//   --table FILE     writes who caught what as tables in Markdown: those of the plan, the further ones, those of catalogs
//   --keep           leaves the copies in .build/mutants
//
// Ends with 0 only when every mutant was caught and compiles, each suite that caught something passes on an unchanged copy, and, without --name, there are 24 of the plan beside the further ones and those of catalogs.
import { parseArgs } from "node:util";
import { runProgram } from "./gate.ts";
import { CATALOGS, FURTHER, PLANNED } from "./mutants/list.ts";
import { misfit, type Mutant } from "./mutants/mutant.ts";
import { type Suite, suitesFor } from "./mutants/suites.ts";
import { type Catch, failureOf, inWords, tableOf, type Verdict } from "./mutants/verdict.ts";
import { compiled, original, plant, remove } from "./mutants/workshop.ts";

const WANTED = 24;
const CONTROL = "control";
const WIDEST = Math.max(1, Math.min(2, navigator.hardwareConcurrency));

const { values } = parseArgs({
  args: Deno.args,
  options: {
    table: { type: "string" },
    name: { type: "string", multiple: true },
    suite: { type: "string", multiple: true },
    "all-suites": { type: "boolean" },
    keep: { type: "boolean" },
    width: { type: "string" },
  },
});
const atATime = values.width === undefined ? WIDEST : Number(values.width);
if (!Number.isInteger(atATime) || atATime < 1) throw new Error(`Cannot work on ${values.width} copies at a time`);

async function run(suite: Suite, folder: string): Promise<Catch | undefined> {
  const { code, text, timedOut } = await runProgram(Deno.execPath(), [...suite.args], suite.seconds, {}, folder);
  if (code === 0 && !timedOut) return undefined;
  return timedOut ? { suite, test: undefined, line: `no end after ${suite.seconds} s` } : { suite, ...failureOf(text) };
}

async function hunt(mutant: Mutant): Promise<Verdict> {
  const start = performance.now();
  const folder = await plant(mutant.name, mutant);
  const catches: Catch[] = [];
  const suites = suitesFor(mutant.likely).filter(({ name }) => values.suite?.some((part) => name.includes(part)) ?? true);
  for (const suite of suites) {
    const found = await run(suite, folder);
    if (found !== undefined) catches.push(found);
    if (found !== undefined && values["all-suites"] !== true) break;
  }
  return { mutant, catches, seconds: (performance.now() - start) / 1000 };
}

/** Calls `work` for each item, `atATime` at once. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}

const chosen = [...PLANNED, ...FURTHER, ...CATALOGS].filter(({ name }) => values.name?.some((part) => name.includes(part)) ?? true);
if (chosen.length === 0) throw new Error(`Cannot find a mutant named ${values.name?.join(" or ")}`);
const wrong = chosen.map((mutant) => misfit(mutant, original)).filter((line) => line !== undefined);
if (wrong.length > 0) throw new Error(`Cannot plant\n  ${wrong.join("\n  ")}`);

const begun = performance.now();
const width = Math.max(...chosen.map(({ name }) => name.length));
const verdicts: Verdict[] = [];
const problems: string[] = [];
await each(chosen, async (mutant) => {
  try {
    const verdict = await hunt(mutant);
    verdicts.push(verdict);
    const caught = verdict.catches.length > 0;
    const told = caught ? `caught by ${verdict.catches.map(inWords).join("; ")}` : "SURVIVED";
    console.log(`${mutant.name.padEnd(width)}  ${verdict.seconds.toFixed(0).padStart(4)} s  ${told}`);
    if (!caught) problems.push(`${mutant.name} survives: ${mutant.what}`);
  } catch (error) {
    problems.push(`${mutant.name}: ${error instanceof Error ? error.message : error}`);
    console.log(`${mutant.name.padEnd(width)}  ${problems.at(-1)}`);
  }
});

console.log("\nCompiling all copies, then the suites that caught something on an unchanged one");
const checked = await compiled(verdicts.map(({ mutant }) => mutant));
if (checked !== undefined) problems.push(`a mutant does not compile, so its catch proves nothing:\n${checked}`);

const used = new Map(verdicts.flatMap(({ catches }) => catches.map(({ suite }) => [suite.name, suite] as const)));
const control = await plant(CONTROL);
await each([...used.values()], async (suite) => {
  const found = await run(suite, control);
  if (found !== undefined) problems.push(`${suite.name} fails without any mutant too: ${inWords(found)}`);
});
if (values.keep !== true) { for (const name of [CONTROL, ...chosen.map((mutant) => mutant.name)]) remove(name); }

verdicts.sort((a, b) => chosen.indexOf(a.mutant) - chosen.indexOf(b.mutant));
if (values.table !== undefined) {
  const tables = [PLANNED, FURTHER, CATALOGS].map((list) => tableOf(verdicts.filter(({ mutant }) => list.includes(mutant))));
  Deno.writeTextFileSync(values.table, tables.join("\n"));
}
const caught = new Set(verdicts.filter(({ catches }) => catches.length > 0).map(({ mutant }) => mutant.name));
const [planned, further, catalogs] = [PLANNED, FURTHER, CATALOGS].map((list) => list.filter(({ name }) => caught.has(name)).length);
console.log("");
for (const suite of used.values()) {
  const names = verdicts.filter(({ catches }) => catches.some((one) => one.suite === suite)).map(({ mutant }) => mutant.name);
  console.log(`${suite.name} caught ${names.length}: ${names.join(", ")}`);
}
if (values.name === undefined && PLANNED.length !== WANTED) problems.push(`there are ${PLANNED.length} mutants of the plan, not ${WANTED}`);
for (const problem of problems) console.log(`\n${problem}`);
const count = values.name === undefined
  ? `${planned} of ${WANTED} planted bugs caught, ${further} of ${FURTHER.length} further ones, ${catalogs} of ${CATALOGS.length} of catalogs and backups`
  : `${caught.size} of ${chosen.length} caught`;
console.log(`\n${count}, ${((performance.now() - begun) / 1000).toFixed(0)} s`);
Deno.exit(problems.length === 0 ? 0 : 1);
