// The planted bugs fit the sources: a refactoring must not disable one unnoticed. That each is caught is shown by `deno task test:mutants`.
import { assertEquals } from "@std/assert";
import { existsSync, readFileSync } from "node:fs";
import { CATALOGS, FURTHER, PLANNED } from "../../scripts/mutants/list.ts";
import { misfit } from "../../scripts/mutants/mutant.ts";
import { test } from "../support/harness.ts";

const ALL = [...PLANNED, ...FURTHER, ...CATALOGS];

test("mutants: there are the 24 of the plan, each under a name of its own", () => {
  assertEquals(PLANNED.length, 24);
  assertEquals(new Set(ALL.map(({ name }) => name)).size, ALL.length);
});

test("mutants: every replacement fits the source exactly once", () => {
  const wrong = ALL.map((mutant) => misfit(mutant, (file) => readFileSync(file, "utf8"))).filter((line) => line !== undefined);
  assertEquals(wrong, []);
});

test("docs/durability.md: its tables name every planted bug, and suites that exist", () => {
  const rows = readFileSync("docs/durability.md", "utf8").split("\n").map((line) => line.split("|").map((cell) => cell.trim()))
    .filter(([, bug]) => /^`[a-z0-9-]+`$/.test(bug ?? "") && ALL.some(({ name }) => bug === `\`${name}\``));
  assertEquals(rows.map(([, bug, what]) => [bug, what]), ALL.map(({ name, what }) => [`\`${name}\``, what]));
  for (const [, bug, , suite] of rows) {
    const name = suite!.replaceAll("`", "");
    const file = name.startsWith("stage ") ? `tests/stages/${name.slice(6).split(",")[0]}.ts` : `tests/${name}_test.ts`;
    assertEquals(existsSync(file), true, `${bug} is caught by ${suite}`);
  }
});
