// docs/files.md: every test of the original and every defect has a row, every row tests that exist under names of their own, and every test of those kinds is in a row.
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "../../support/harness.ts";
import { quoted, type Row, sections, testFile, testsIn } from "../../parity/page.ts";

const ORIGINAL = [
  "test_manifest_write_read",
  "test_atomic_commit",
  "test_orphan_detection",
  "test_manifest_atomic_commit",
  "test_crash_recovery",
  "test_durability",
  "test_delete_persist",
  "test_acid_audit",
  "deferred_deletion_keeps_files_alive",
  "orphan_cleanup_on_open",
  "tombstone_not_dropped_at_intermediate_level",
  "test_no_bloat",
];
const DEFECTS = 11;
const TABLES = ["Tests of the original", "Items of the test list", "Defects of the original"];

/** Only the sections whose tables end in tests. */
const PAGE = sections(
  readFileSync("docs/files.md", "utf8").split(/^(?=## )/m).filter((part) => TABLES.some((heading) => part.startsWith(`## ${heading}\n`)))
    .join(""),
);
const rows = (heading: string): Row[] => PAGE.get(heading)!;

test("files.md: every row names tests that exist, each by the beginning of one name", () => {
  for (const heading of TABLES) {
    for (const { cells, tests } of rows(heading)) {
      for (const { file, name } of tests) {
        const code = testFile(file);
        assert(code !== undefined && name !== undefined, `${cells[0]}: there is no tests/${file}`);
        assertEquals(
          testsIn(code).filter((one) => one.name.startsWith(name)).length,
          1,
          `${cells[0]}: tests of ${file} that begin with "${name}"`,
        );
      }
    }
  }
});

test("files.md: every test of the original has a row, and its name ends the name of ours", () => {
  assertEquals(rows(TABLES[0]!).map(({ cells }) => quoted(cells[0]!)[0]), ORIGINAL);
  for (const { cells, tests: [{ file, name }] } of rows(TABLES[0]!) as (Row & { tests: [Row["tests"][0]] })[]) {
    const full = testsIn(testFile(file)!).find((one) => one.name.startsWith(name!))!.name;
    assert(full.split(": ").at(-1)!.split(", ").includes(quoted(cells[0]!)[0]!), full);
  }
});

test("files.md: items and defects are complete, and their tests begin with their numbers", () => {
  assertEquals(rows(TABLES[1]!).map(({ cells }) => cells[0]), ["33", "50"]);
  for (const { cells, tests } of rows(TABLES[1]!)) assert(tests.every(({ name }) => name!.startsWith(`item ${cells[0]}: `)), cells[0]);
  assertEquals(rows(TABLES[2]!).map(({ cells }) => cells[0]), Array.from({ length: DEFECTS }, (_, i) => `${i + 1}`));
  for (const { cells, tests } of rows(TABLES[2]!)) assert(tests.every(({ name }) => name!.startsWith(`defect ${cells[0]}: `)), cells[0]);
});

test("files.md: every test of the original's, of an item and of a defect is in a row", () => {
  const named = TABLES.flatMap(rows).flatMap(({ tests }) => tests);
  for (const file of ["original", "defects", "orphans", "read"].map((name) => `catalogs/files/${name}_test.ts`)) {
    for (const { name } of testsIn(testFile(file)!)) {
      if (!/^(?:file set|item \d+|defect \d+): /.test(name)) continue;
      assert(named.some((one) => one.file === file && name.startsWith(one.name!)), `${file}: "${name}" is in no row`);
    }
  }
});
