// Copies of the tree with a bug planted in each. Nothing is ever changed in place.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { runProgram, tail } from "../gate.ts";
import { type Mutant, mutate } from "./mutant.ts";

const FOLDER = ".build/mutants";
const LEFT_OUT = new Set([".git", ".build", "node_modules", "coverage", "bench"]);
const LINKED = ["runtimes.json"];

/** The tree's own text of a file. */
export function original(file: string): string {
  return readFileSync(file, "utf8");
}

/** Makes the copy of a mutant, or of the tree as it is; returns its folder. Throws when the kernel does not compile. */
export async function plant(name: string, mutant?: Mutant): Promise<string> {
  const folder = resolve(FOLDER, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}/.build`, { recursive: true });
  for (const entry of readdirSync(".")) if (!LEFT_OUT.has(entry)) cpSync(entry, `${folder}/${entry}`, { recursive: true });
  if (existsSync("node_modules")) symlinkSync(resolve("node_modules"), `${folder}/node_modules`);
  for (const file of LINKED) if (existsSync(`.build/${file}`)) symlinkSync(resolve(`.build/${file}`), `${folder}/.build/${file}`);
  if (mutant === undefined) return folder;
  const changed = mutate(mutant, original);
  for (const [file, text] of changed) {
    mkdirSync(dirname(`${folder}/${file}`), { recursive: true });
    writeFileSync(`${folder}/${file}`, text);
  }
  if ([...changed.keys()].some((file) => file.startsWith("assembly/"))) {
    const { code, text } = await runProgram(Deno.execPath(), ["run", "-A", "scripts/build.ts"], 300, {}, folder);
    if (code !== 0) throw new Error(`Cannot plant ${name}: the kernel does not compile\n${tail(text)}`);
  }
  return folder;
}

/** The entry points that what a mutant changes is part of. */
function entriesOf({ name, edits }: Mutant): string[] {
  const catalogs = edits.map(({ file }) => /^src\/catalogs\/\w+\//.exec(file)?.[0]).filter((catalog) => catalog !== undefined);
  return [...new Set(["", ...catalogs])].map((folder) => `${FOLDER}/${name}/${folder}mod.ts`);
}

/** What the compiler says of the copies; a mutant that does not compile proves nothing. */
export async function compiled(mutants: readonly Mutant[]): Promise<string | undefined> {
  const entries = mutants.flatMap(entriesOf);
  const { code, text } = await runProgram(
    Deno.execPath(),
    ["check", "-q", "--no-config", "--import-map", "tests/offline.json", ...entries],
    900,
  );
  return code === 0 ? undefined : tail(text, 30);
}

/** Removes a copy. */
export function remove(name: string): void {
  rmSync(resolve(FOLDER, name), { recursive: true, force: true });
}
