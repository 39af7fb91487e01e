// The planted bugs fit the sources: a refactoring must not disable one unnoticed. That each is caught is shown by `deno task test:mutants`.
import { assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { FURTHER, PLANNED } from "../../scripts/mutants/list.ts";
import { misfit } from "../../scripts/mutants/mutant.ts";
import { test } from "../support/harness.ts";

const ALL = [...PLANNED, ...FURTHER];

test("mutants: there are the 24 of the plan, each under a name of its own", () => {
  assertEquals(PLANNED.length, 24);
  assertEquals(new Set(ALL.map(({ name }) => name)).size, ALL.length);
});

test("mutants: every replacement fits the source exactly once", () => {
  const wrong = ALL.map((mutant) => misfit(mutant, (file) => readFileSync(file, "utf8"))).filter((line) => line !== undefined);
  assertEquals(wrong, []);
});
