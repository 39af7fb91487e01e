// What became of a planted bug: which suites caught it, by which test, and what that test said.
import type { Mutant } from "./mutant.ts";
import type { Suite } from "./suites.ts";

/** A suite's failure. */
export interface Failure {
  /** The test, or undefined where the suite is a stage or did not get as far. */
  readonly test: string | undefined;
  /** How it failed, in a line. */
  readonly line: string;
}

/** A suite that caught a bug. */
export interface Catch extends Failure {
  readonly suite: Suite;
}

/** A bug that was hunted. */
export interface Verdict {
  readonly mutant: Mutant;
  readonly catches: readonly Catch[];
  readonly seconds: number;
}

/** What failed, from a suite's output. */
export function failureOf(text: string): Failure {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const test = lines.find((line) => / \.\.\. FAILED/.test(line))?.replace(/ \.\.\. FAILED.*/, "");
  const at = lines.findIndex((line) => /^error: (?!Test failed)/.test(line));
  const values = lines.slice(at + 1, at + 3).filter((line) => /^(actual|expected):/.test(line));
  const found = at >= 0
    ? [lines[at]!.slice("error: ".length), ...values].join(" ")
    : lines.find((line) => /--replay|failed:|wrong/i.test(line));
  return { test, line: (found ?? lines.at(-1) ?? "no output").slice(0, 200) };
}

/** A catch in words. */
export function inWords({ suite, test, line }: Catch): string {
  return `${suite.name}${test === undefined ? "" : `, "${test}"`}: ${line}`;
}

/** The verdicts as a table in Markdown: a row for each bug, with the suite that caught it first. */
export function tableOf(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ mutant, catches: [first] }) => {
    return `| \`${mutant.name}\` | ${mutant.what} | ${first === undefined ? "not caught" : `\`${first.suite.name}\``} |`;
  });
  return ["| bug | what it does | caught by |", "| --- | --- | --- |", ...rows].join("\n") + "\n";
}
