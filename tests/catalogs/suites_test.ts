// docs/lsm.md: its table of suites, items and defects is complete, and every test that it names exists under a name that has the source's.
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { quoted, type Row, sections, testFile, testsIn } from "../parity/page.ts";
import { test } from "../support/harness.ts";

const HEADING = "Suites, items and defects of both catalogs";

/** Suites of the first source's engine; tests and suites of the second. */
const SUITES = [
  ...["crash_flush", "crash_compaction", "crash_recovery", "multi_crash", "lsn_crash", "lsn_continuity", "file_cleanup"],
  ...["s1_single_segment_get", "s2_multiple_flushes_create_multiple_segments", "s3_merge_all_distinct_keys_across_segments"],
  ...["s3_merge_newest_version_wins", "s4_manifest_records_and_recovers", "s5_compaction_merges_to_one_segment"],
  ...["s5_compaction_dedups_same_key", "acid_test", "test_mvcc_recovery", "test_e2e_crash_and_stress", "test_compaction_integrity"],
  ...["test_manifest_write_read", "test_atomic_commit", "test_orphan_detection", "test_manifest_atomic_commit", "test_crash_recovery"],
  ...["test_durability", "test_delete_persist", "test_acid_audit", "deferred_deletion_keeps_files_alive", "orphan_cleanup_on_open"],
  ...["tombstone_not_dropped_at_intermediate_level", "test_no_bloat"],
];
const NUMBERED = [
  ...["3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5", "6.2.1", "6.2.2", "6.2.3", "6.2.4"].map((number) => `defect ${number}`),
  ...["item 33", "item 50"],
];

function rowsOf(page: string): Row[] {
  return sections(page.split(/^(?=## )/m).find((part) => part.startsWith(`## ${HEADING}\n`))!).get(HEADING)!;
}

const ROWS = rowsOf(readFileSync("docs/lsm.md", "utf8"));

/** Full names of the tests of a row; each is named by the beginning of one. */
function testsOf({ cells, tests }: Row): string[] {
  return tests.map(({ file, name }) => {
    const code = testFile(file);
    assert(code !== undefined && name !== undefined, `${cells[0]}: there is no tests/${file}`);
    const found = testsIn(code).filter((one) => one.name.startsWith(name));
    assertEquals(found.length, 1, `${cells[0]}: tests of ${file} that begin with "${name}"`);
    return found[0]!.name;
  });
}

test("catalog suites: every suite, item and defect of the sources has a row", () => {
  assertEquals(ROWS.flatMap(({ cells }) => quoted(cells[0]!)), SUITES);
  assertEquals(ROWS.map(({ cells }) => cells[0]!).filter((cell) => !cell.includes("`")), NUMBERED);
});

test("catalog suites: every test of a row exists, and the source's name is found in it", () => {
  for (const row of ROWS) {
    const names = testsOf(row);
    const cell = row.cells[0]!;
    for (const suite of quoted(cell)) {
      for (const name of names) assert(name.split(": ").at(-1)!.split(", ").includes(suite), `${suite}: ${name}`);
    }
    const number = /^(?:item|defect) (.*)$/.exec(cell)?.[1];
    if (number === undefined) continue;
    // The tests of one page count the defects of its source alone.
    const [short] = number.split(".").slice(-1);
    const has = (name: string): boolean => [`item ${number}`, `defect ${number}`, `defect ${short}: `].some((text) => name.includes(text));
    assertEquals(names.filter((name) => !has(name)), [], cell);
  }
});

test("catalog suites: every test of the engine's suites is in a row, and a row that is missing is seen", () => {
  const file = "examples/lsm_suites_test.ts";
  const named = ROWS.flatMap(({ tests }) => tests).filter((one) => one.file === file);
  for (const { name } of testsIn(testFile(file)!)) assert(named.some((one) => name.startsWith(one.name!)), `"${name}" is in no row`);
  const page = readFileSync("docs/lsm.md", "utf8");
  const line = page.split("\n").find((line) => line.startsWith("| `crash_flush`"))!;
  assertEquals(rowsOf(page.replace(`${line}\n`, "")).length, ROWS.length - 1);
});
