// docs/lsm.md: its table of the source's tests is complete, and every test that it names exists.
import { assert, assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { LSM_TABLES } from "../../../src/catalogs/lsm/tables.ts";
import { LsmCatalog, LsmEdit } from "../../../src/catalogs/lsm/mod.ts";
import { quoted, testFile, testsIn } from "../../parity/page.ts";
import { test } from "../../support/harness.ts";

const PAGE = readFileSync("docs/lsm.md", "utf8");

/** The source's tests of its manifest and of its log. */
const SOURCE = [
  ...[
    "opens_without_snapshot",
    "set_active_wal_persists",
    "frozen_wal_list_works",
    "sstables_persist",
    "updates_lsn",
    "checkpoint_truncates_wal",
  ],
  ...["recovers_from_corrupted_snapshot_via_wal", "reopens_after_crash_using_wal"],
  ...[
    "dirty_flag_lifecycle",
    "peek_next_sst_id_does_not_allocate",
    "mutation_replay_sets_dirty",
    "corrupt_snapshot_recovers_post_checkpoint_wal",
  ],
  ...["allocate_sst_id_strict_monotonicity", "clean_after_checkpoint_reopen", "allocate_sst_id_with_intermixed_ops"],
  ...["leftover_tmp_from_interrupted_checkpoint", "multiple_rapid_checkpoints", "allocate_sst_id_monotonic_after_checkpoint"],
  ...["allocate_sst_id_monotonic_after_wal_recovery", "large_state_checkpoint_round_trip", "mutations_after_checkpoint_replayed"],
  ...["corrupt_snapshot_falls_back_to_wal", "compaction_event_survives_checkpoint"],
  ...["remove_nonexistent_sstable_is_silent", "remove_nonexistent_frozen_wal_is_silent", "double_add_same_sstable_id_is_idempotent"],
  ...["checkpoint_empty_state", "snapshot_plus_incremental_wal_replay"],
  ...["one_append_and_replay", "many_appends_and_replay", "append_replay_and_truncate", "full_cycle_write_truncate_rewrite"],
  ...["corrupted_header_checksum", "corrupted_record_length", "corrupted_record_data_checksum", "corrupted_record_data"],
  ...["partial_replay_after_last_record_corrupted", "wal_header_accessors", "wal_accessors", "wal_iter_debug", "append_record_too_large"],
  ...["truncated_payload_during_replay", "truncated_checksum_during_replay", "bad_magic_byte_in_header", "wal_seq_mismatch_on_reopen"],
  ...["record_crc_mismatch_during_replay", "max_record_size_rejects_oversized_record", "open_nonexistent_directory_fails"],
  ...[
    "empty_wal_replay_yields_nothing",
    "concurrent_append_all_records_survive",
    "rotate_next_increments_seq",
    "multi_rotation_persists_all_data",
  ],
  ...[
    "open_fails_if_file_was_renamed",
    "rapid_successive_rotations",
    "append_works_after_rotation",
    "wal_sequence_gap_segments_open_independently",
  ],
  ...["rotation_preserves_max_record_size", "to_header_only", "mid_length_field", "mid_payload", "missing_checksum", "partial_checksum"],
  ...["second_record_first_survives", "zero_length_file_opens_as_fresh", "truncated_header_fails_to_open"],
  "append_after_truncation_recovers_prior_records",
];

interface Row {
  readonly names: readonly string[];
  readonly cell: string;
}

/** Rows of the table under a heading. */
function rows(page: string): Row[] {
  const section = page.split("\n## From the source system\n")[1]!.split("\n## ")[0]!;
  const lines = section.split("\n").filter((line) => line.startsWith("|")).slice(2);
  return lines.map((line) => {
    const [names, cell] = line.split("|").slice(1, -1);
    return { names: quoted(names!), cell: cell!.trim() };
  });
}

/** Names in the brackets at the end of a test's name; a name may go over two texts. */
function namedAt(code: string): string[] {
  return [...code.matchAll(/\(([a-z0-9_]+(?:, (?:"\s*\+\s*")?[a-z0-9_]+)*)\)",/g)].flatMap((match) =>
    match[1]!.replace(/"\s*\+\s*"/g, "").split(", ")
  );
}

test("lsm page: every test of the source is in the table once", () => {
  assertEquals(new Set(SOURCE).size, 66);
  assertEquals(rows(PAGE).flatMap(({ names }) => names).sort(), [...SOURCE].sort());
});

test("lsm page: every row names tests that exist, and tests with the source's names are named by a row", () => {
  const listed = new Map<string, Set<string>>();
  for (const { names, cell } of rows(PAGE)) {
    const alone = /^`([\w/]+_test\.ts)`$/.exec(cell);
    if (alone !== null) {
      const code = testFile(alone[1]!);
      assert(code !== undefined, `there is no tests/${alone[1]}`);
      const found = namedAt(code);
      for (const name of names) assertEquals(found.filter((one) => one === name).length, 1, `${alone[1]}: tests that end with ${name}`);
      listed.set(alone[1]!, new Set([...listed.get(alone[1]!) ?? [], ...names]));
      continue;
    }
    for (const part of cell.split("<br>")) {
      const [, file, name] = /^`([\w/]+_test\.ts)`: `([^`]+)`$/.exec(part.trim())!;
      const code = testFile(file!);
      assert(code !== undefined, `there is no tests/${file}`);
      const own = code.includes(`test(\`${name}`) || testsIn(code).filter((one) => one.name.startsWith(name!)).length === 1;
      assert(own, `${file}: tests whose names begin with "${name}"`);
    }
  }
  for (const name of readdirSync("tests/catalogs/lsm").filter((name) => name.endsWith("_test.ts") && name !== "table_test.ts")) {
    const file = `catalogs/lsm/${name}`;
    const extra = namedAt(testFile(file)!).filter((one) => one.includes("_") && !listed.get(file)?.has(one));
    assertEquals(extra, [], `${file}: names that no row has`);
  }
});

test("lsm page: names every table, every event and every defect that has a test", () => {
  const named = new Set(quoted(PAGE.replace(/^```[\s\S]*?^```$/gm, "")));
  assertEquals([...LSM_TABLES.map(({ name }) => name), "catalogs"].filter((name) => !named.has(name)), []);
  const methods = [...Object.getOwnPropertyNames(LsmEdit.prototype), "allocateSstId", "edit", "within(txn)"];
  const told = (name: string): boolean => named.has(name) || PAGE.includes(`\`${name}(`) || PAGE.includes(`${name}(`);
  assertEquals(methods.filter((name) => !["constructor", "length", "commit"].includes(name) && !told(name)), []);
  for (const name of ["pin", "deletable", "orphans", "isDirty", "checkpoint", "overlapping", "acceptHistory", "allocateSstIds"]) {
    assert(name in LsmCatalog.prototype && told(name), name);
  }
  const defects = testsIn(testFile("catalogs/lsm/defects_test.ts")!).flatMap(({ name }) => /defect (3\.3\.\d)/.exec(name)?.[1] ?? []);
  assertEquals([...new Set(defects)].sort(), ["3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5"]);
  for (const defect of defects) assert(PAGE.includes(`(${defect})`), defect);
});

test("lsm page: its reader sees a row that is missing, and a test that is renamed", () => {
  const row = PAGE.split("\n").find((line) => line.includes("`one_append_and_replay`"))!;
  assertEquals(rows(PAGE.replace(`${row}\n`, "")).length, rows(PAGE).length - 1);
  assertEquals(namedAt('test("a: b (one_two, three_four)", () => {\ntest(\n  "c: d (five_six, " +\n    "seven_eight)",\n'), [
    "one_two",
    "three_four",
    "five_six",
    "seven_eight",
  ]);
  assertEquals(namedAt('test("a: b (not a name)", () => {'), []);
});
