// The same work on Deno, Bun and Node, held against each other: seeds of the models, plans carried out on real files, and calls of the file system that fail.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runChild } from "./proof_child.ts";
import { RUNTIMES } from "./runtimes.ts";

const MODEL = "tests/support/children/runtime_model.ts";
const FILES = "tests/support/children/proof_determinism.ts";
const ERRNO = "tests/support/children/runtime_errno.ts";

/** Lines of each runtime must be equal; `explain` tells more about the first that are not. */
function sameLines(lines: readonly (readonly string[])[], explain: (line: number, other: number) => string): readonly string[] {
  const [first, ...others] = lines;
  others.forEach((other, i) => {
    if (other.length !== first!.length) throw new Error(`${RUNTIMES[0]} has ${first!.length} answers, ${RUNTIMES[i + 1]} ${other.length}`);
    const at = first!.findIndex((line, j) => line !== other[j]);
    if (at >= 0) throw new Error(`${RUNTIMES[0]} and ${RUNTIMES[i + 1]} differ: ${explain(at, i + 1)}`);
  });
  return first!;
}

function firstDifference(a: string, b: string): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const around = (text: string): string => text.slice(Math.max(0, at - 80), at + 120);
  return `\n  …${around(a)}\n  …${around(b)}`;
}

/** What one seed of a model came to. */
export interface EqualModel {
  readonly kind: string;
  readonly operations: number;
}

/** Runs seeds of both models on each runtime: the bytes at the end, and everything counted on the way, are equal. */
export async function equalModels(first: number, count: number): Promise<EqualModel[]> {
  const lines: string[][] = [];
  for (const runtime of RUNTIMES) lines.push(await runChild(runtime, MODEL, [first, count]));
  const same = sameLines(lines, (at, other) => `model seed ${first + at}${firstDifference(lines[0]![at]!, lines[other]![at]!)}`);
  if (same.length !== count) throw new Error(`${same.length} of ${count} seeds were run`);
  return same.map((line) => JSON.parse(line) as EqualModel);
}

/** Carries plans out on real files with each runtime: the files are equal, and each runtime checks those of the others. */
export async function equalFiles(root: string, first: number, count: number): Promise<{ seeds: number; bytes: number; checked: number }> {
  const folders = RUNTIMES.map((runtime) => join(root, runtime));
  const lines: string[][] = [];
  for (const [i, runtime] of RUNTIMES.entries()) {
    mkdirSync(folders[i]!);
    lines.push(await runChild(runtime, FILES, ["make", folders[i]!, first, count]));
  }
  const trace = (runtime: number, at: number): string => readFileSync(join(folders[runtime]!, `${first + at}.trace`), "utf8");
  const same = sameLines(lines, (at, other) => `plan of seed ${first + at}${firstDifference(trace(0, at), trace(other, at))}`);
  let checked = 0;
  for (const [i, runtime] of RUNTIMES.entries()) {
    for (const folder of folders.filter((_, j) => j !== i)) {
      checked += (await runChild(runtime, FILES, ["check", folder, first, count])).length;
    }
  }
  return { seeds: same.length, bytes: same.reduce((sum, line) => sum + (JSON.parse(line) as { bytes: number }).bytes, 0), checked };
}

interface ErrnoLine {
  readonly call: string;
  readonly failed: boolean;
  readonly steps: readonly (readonly [string, unknown])[];
}

/** One case, or what one of its steps came to. */
export interface EqualError {
  readonly call: string;
  readonly step: string;
  readonly answer: string;
}

/** Makes calls of the file system fail on each runtime: every step answers with the same code, outcome and JSON. */
export async function equalErrors(root: string): Promise<EqualError[]> {
  const lines: string[][] = [];
  for (const runtime of RUNTIMES) {
    const folder = join(root, runtime);
    mkdirSync(folder);
    lines.push(await runChild(runtime, ERRNO, [folder]));
  }
  const same = sameLines(lines, (at, other) => `call ${at}${firstDifference(lines[0]![at]!, lines[other]![at]!)}`);
  return same.map((line) => JSON.parse(line) as ErrnoLine).filter(({ failed }) => failed).flatMap(({ call, steps }) => {
    const answers = steps.flatMap(([step, answer]): EqualError[] => {
      if (typeof answer !== "object" || answer === null) return [];
      const { code, outcome } = answer as { code: string; outcome: string };
      return [{ call, step, answer: `${code} ${outcome}` }];
    });
    return [
      { call, step: "case", answer: "" },
      ...answers.length > 0 ? answers : [{ call, step: "all", answer: "absorbed" }],
    ];
  });
}
