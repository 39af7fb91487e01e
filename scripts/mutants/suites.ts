// The suites that planted bugs are set on: test files and small parts of stages, on Deno, the quickest first.
//
// Golden bytes and reproducibility are not among them: a bug of behaviour has to be caught by its behaviour.
import { STAGE_NAMES } from "../../tests/stages/all.ts";

/** A suite. */
export interface Suite {
  readonly name: string;
  /** Arguments of `deno`. */
  readonly args: readonly string[];
  /** Longer is a hang, which catches too. */
  readonly seconds: number;
}

/** Stages run a small slice. */
const PARTS = "48";

function tests(name: string, filter?: string, seconds = 300): Suite {
  const only = filter === undefined ? [] : ["--filter", filter];
  return {
    name: filter === undefined ? name : `${name} (${filter})`,
    args: ["test", "-A", "--no-check", "--fail-fast", "--import-map", "tests/offline.json", ...only, `tests/${name}_test.ts`],
    seconds,
  };
}

/** Slices of a stage: a part of `crash` is a workload or two. */
function stage(name: string, ...parts: number[]): Suite[] {
  if (!(STAGE_NAMES as readonly string[]).includes(name)) return [];
  return parts.map((part) => {
    const where = ["--part", String(part), "--parts", PARTS];
    const args = ["run", "-A", "--no-check", "--import-map", "tests/offline.json", "tests/stages/run.ts", "--stage", name, ...where];
    return { name: part === 0 ? `stage ${name}` : `stage ${name}, part ${part}`, args, seconds: 600 };
  });
}

/** All of them, in the order in which they are tried. */
export const SUITES: readonly Suite[] = [
  tests("store/order"),
  tests("store/meta"),
  tests("store/small_damage"),
  tests("store/store"),
  tests("store/journal"),
  tests("store/fence"),
  tests("store/half_slot"),
  tests("store/stalled"),
  tests("store/moved"),
  tests("store/rolled_back"),
  tests("kernel/journal"),
  tests("manifest/change_log"),
  tests("manifest/cursors"),
  tests("manifest/follow"),
  tests("manifest/reclaim"),
  tests("manifest/deep_check"),
  tests("manifest/ranges"),
  tests("manifest/write_log"),
  tests("errors/iteration"),
  tests("errors/provoked"),
  tests("docs/damage"),
  tests("store/faults"),
  tests("manifest/transact_conflicts"),
  tests("manifest/transact_durability"),
  tests("catalogs/files/verify"),
  tests("catalogs/files/pins"),
  tests("catalogs/files/orphans"),
  tests("catalogs/lsm/edits"),
  tests("catalogs/lsm/versions"),
  tests("catalogs/lsm/orphans"),
  tests("catalogs/backup/backup"),
  tests("catalogs/backup/mend"),
  tests("catalogs/files/crash"),
  tests("catalogs/backup/crash"),
  ...stage("io_errors", 0),
  ...stage("crash", 0, 3, 5),
  ...stage("corruption", 0),
  ...stage("hostile", 0),
  ...stage("containment", 0),
  ...stage("model", 0),
  tests("store/damage"),
  tests("store/beside"),
  tests("store/crash"),
  tests("store/model"),
  tests("manifest/model"),
];

/** The suites for a mutant: the likely ones first. */
export function suitesFor(likely: readonly string[]): Suite[] {
  const first = likely.flatMap((name) => SUITES.filter((suite) => suite.name === name));
  return [...first, ...SUITES.filter((suite) => !first.includes(suite))];
}
