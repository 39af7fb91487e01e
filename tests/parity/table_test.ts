// The parity page: complete, and every row with a test that exists, opens again and asserts behind it.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { readFileSync } from "node:fs";
import { BUILT_IN } from "../../src/manifest/operations/built_in.ts";
import { OPERATION_NAMES } from "../../src/manifest/write/operation.ts";
import { OperationBuilder } from "../../src/manifest/write/operation_builder.ts";
import { VIRTUAL } from "../../src/manifest/read/virtual_tables.ts";
import { test } from "../support/harness.ts";
import {
  BAD_INPUT,
  DEFECTS,
  ITEMS,
  SOURCE_ERRORS,
  SOURCE_METHODS,
  SOURCE_OPERATIONS,
  SOURCE_OPTIONS,
  SOURCE_TABLES,
  SOURCE_TXN_METHODS,
} from "./inventory.ts";
import { citations, parityFiles, quoted, reopensAndAsserts, type Row, sections, testFile, testsIn } from "./page.ts";

const PAGE = readFileSync("docs/parity.md", "utf8");
const PARITY = sections(PAGE);

/** Rows under a heading. */
function rows(heading: string): Row[] {
  const found = PARITY.get(heading);
  assert(found !== undefined, `docs/parity.md has no table under "${heading}"`);
  return found;
}

/** What of `wanted` the column of a table lacks. */
function lacking(wanted: readonly string[], heading: string, column: number): string[] {
  const named = new Set(
    rows(heading).flatMap(({ cells }) => quoted(cells[column]!).flatMap((text) => [text, text.replace(/\(.*\)$/, "")])),
  );
  return wanted.filter((name) => !named.has(name));
}

test("parity page: every row names tests that exist, one of them a parity test", () => {
  for (const [heading, all] of PARITY) {
    for (const { cells, tests } of all) {
      const where = `"${heading}", row ${cells.join(" | ")}`;
      assert(tests.some(({ file, name }) => file.startsWith("parity/") && name !== undefined), `${where}: no parity test`);
      for (const { file, name } of tests) {
        const code = testFile(file);
        assert(code !== undefined, `${where}: there is no tests/${file}`);
        if (name === undefined) continue;
        const matching = testsIn(code).filter((one) => one.name.startsWith(name));
        assertEquals(matching.length, 1, `${where}: tests of ${file} whose names begin with "${name}"`);
      }
    }
  }
});

test("parity page: every parity test opens again and asserts behind it, and is named by a row", () => {
  const named = [...PARITY.values()].flat().flatMap(({ tests }) => tests);
  for (const file of parityFiles()) {
    const code = testFile(file)!;
    const tests = testsIn(code);
    assertEquals(tests.length, (code.match(/^ *test\(/gm) ?? []).length, `${file}: tests that were not read`);
    for (const one of tests) {
      assert(reopensAndAsserts(code, one), `${file}: "${one.name}" does not open again before it asserts`);
      assert(
        named.some((cited) => cited.file === file && cited.name !== undefined && one.name.startsWith(cited.name)),
        `${file}: "${one.name}" is in no row`,
      );
    }
  }
});

test("parity page: names every table, operation, method, option and error of the source", () => {
  assertEquals(SOURCE_TABLES.length, 16);
  assertEquals(SOURCE_OPERATIONS.length, 21);
  assertEquals(lacking(SOURCE_TABLES, "Tables", 0), []);
  assertEquals(lacking([...SOURCE_OPERATIONS, ...SOURCE_TXN_METHODS], "Operations", 0), []);
  assertEquals(lacking(SOURCE_METHODS, "Methods", 0), []);
  assertEquals(lacking(SOURCE_OPTIONS, "Options", 0), []);
  assertEquals(lacking(SOURCE_ERRORS, "Errors", 0), []);
});

test("parity page: names every table and every operation of this library", () => {
  assertEquals(lacking([...BUILT_IN.map(({ table }) => table.name), ...VIRTUAL.map(({ name }) => name)], "Tables", 1), []);
  const methods = Object.getOwnPropertyNames(OperationBuilder.prototype).filter((name) => name !== "constructor" && name !== "enqueueJob");
  assertEquals(lacking([...OPERATION_NAMES, ...methods], "Operations", 1).sort(), []);
});

test("parity page: the row of a table or an operation names the test of that table or operation", () => {
  for (const { cells: [source = "", here = ""], tests } of rows("Tables")) {
    const name = quoted(source)[0] ?? quoted(here)[0]!;
    assert(tests[0]!.name!.startsWith(`parity table ${name}:`), name);
  }
  for (const operation of SOURCE_OPERATIONS) {
    const row = rows("Operations").find(({ cells }) => quoted(cells[0]!).some((text) => text.split(", ")[0] === operation));
    assert(row?.tests[0]?.name?.startsWith(`parity operation ${operation}:`), operation);
  }
});

test("parity page: every item and every defect has tests that begin with its number, and every kind of bad input has one", () => {
  assertEquals(rows("Test list, by item").map(({ cells }) => cells[0]), [...ITEMS]);
  for (const { cells: [item], tests } of rows("Test list, by item")) {
    const own = tests.filter(({ file }) => file.startsWith("parity/"));
    assert(own.length > 0 && own.every(({ name }) => name?.startsWith(`item ${item}:`)), `item ${item}`);
  }
  assertEquals(rows("Defects of the original, by number").map(({ cells }) => cells[0]), [...DEFECTS]);
  for (const { cells: [defect], tests } of rows("Defects of the original, by number")) {
    assert(tests.every(({ name }) => name?.startsWith(`defect ${defect}:`)), `defect ${defect}`);
  }
  assertEquals(rows("Bad input").length, BAD_INPUT);
  assert(rows("Bad input").every(({ tests }) => tests.every(({ name }) => name?.startsWith("bad input:"))));
});

test("parity page: its reader sees a missing row, a test that is renamed and one that does not open again", () => {
  const row = PAGE.split("\n").find((line) => line.startsWith("| 22 "))!;
  const without = sections(PAGE.replace(`${row}\n`, "")).get("Test list, by item")!;
  assertEquals(without.length, ITEMS.length - 1);
  assertThrows(() => citations("later"));
  const code =
    'test("a: b", async () => {\n  await make();\n  assertEquals(1, 1);\n});\ntest("c: d", async () => {\n  await subject.reopen();\n  assertEquals(1, 1);\n});\n';
  const [first, second] = testsIn(code);
  assertEquals([first!.name, second!.name], ["a: b", "c: d"]);
  assertEquals([reopensAndAsserts(code, first!), reopensAndAsserts(code, second!)], [false, true]);
  const early = testsIn('test("e: f", async () => {\n  assertEquals(1, 1);\n  await subject.reopen();\n});\n')[0]!;
  assertEquals(reopensAndAsserts("", early), false);
});
