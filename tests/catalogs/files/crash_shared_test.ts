// Power cuts beside two file sets and an LSM catalog over one folder, in every durability mode.
//
// Whatever the moment and whatever was only applied: no file is gone that a state names which a crash may bring back. Prunes and deletions of orphans act on what is durable, whatever the mode promises of commits.
import { assert, assertEquals } from "@std/assert";
import { Manifest, type ManifestOptions } from "../../../mod.ts";
import { FileSetCatalog, type Folder } from "../../../src/catalogs/files/mod.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { SimMachine } from "../../support/disk/sim_machine.ts";
import { testEnvironment } from "../../support/environment.ts";
import { test } from "../../support/harness.ts";
import { recycling } from "../../support/kernel_pool.ts";
import { seeded } from "../../support/random.ts";
import { currentRuntime } from "../../support/runtimes.ts";
import { data, filesIn, putFile, StandingClock } from "./parts.ts";

const SEED = 20_261_122;
/** Images of each moment. */
const IMAGES = 3;
/** Every moment on one runtime, every fourth on the others: what is done is the same on all. */
const EVERY = currentRuntime() === "deno" ? 1 : 4;
const SETS = ["first", "second"] as const;

type Mode = NonNullable<ManifestOptions["durability"]>;
type Versions = ReadonlyMap<number, readonly string[]>;

/** What is so from some call on. */
interface Stage {
  readonly calls: number;
  /** Versions that were acknowledged and not dropped, by set. */
  readonly kept: readonly (readonly number[])[];
  /** Versions of which it was acknowledged that they are dropped. */
  readonly gone: readonly (readonly number[])[];
}

interface Opened {
  readonly manifest: Manifest;
  readonly sets: readonly FileSetCatalog[];
  readonly tables: LsmCatalog;
}

const clock = new StandingClock();

async function openAt(storage: Storage, folder: Folder, durability: Mode): Promise<Opened> {
  const environment = { ...testEnvironment(11), now: clock.now };
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, environment, durability });
  const sets: FileSetCatalog[] = [];
  for (const name of SETS) sets.push(await FileSetCatalog.open(manifest, folder, { environment, parallel: 1, name }));
  return { manifest, sets, tables: await LsmCatalog.open(manifest, { name: "tables" }) };
}

/** Commits, prunes and deletes orphans; what every version holds, and what was so when. */
async function run(machine: SimMachine, mode: Mode): Promise<{ stages: Stage[]; versions: Versions[] }> {
  const { folder } = machine;
  const { manifest, sets, tables } = await openAt(machine.disk.open(), folder, mode);
  const versions = SETS.map(() => new Map<number, string[]>());
  const kept: number[][] = [[], []], gone: number[][] = [[], []];
  const stages: Stage[] = [];
  const stage = (): void =>
    void stages.push({ calls: machine.calls, kept: kept.map((list) => [...list]), gone: gone.map((list) => [...list]) });
  const commit = async (at: 0 | 1, add: readonly string[], remove: readonly string[] = []): Promise<void> => {
    const number = (sets[at]!.current()?.version ?? 0) + 1;
    const before = versions[at]!.get(number - 1) ?? [];
    versions[at]!.set(number, [...new Set([...before, ...add])].filter((path) => !remove.includes(path)).sort());
    for (const path of add) if (await folder.facts(path) === undefined) await putFile(folder, path, `contents of ${path}`);
    await sets[at]!.commit({ set: add.map((path) => data(path, path)), remove: remove.map((name) => ({ kind: "data", name })) });
    kept[at]!.push(number);
    stage();
  };
  const prune = async (at: 0 | 1, shared: number, deleted: number): Promise<void> => {
    const dropped = kept[at]!.slice(0, -1);
    kept[at] = kept[at]!.slice(-1);
    stage(); // from here on they may be gone
    const report = await sets[at]!.prune(1);
    assertEquals([report.dropped, report.shared, report.deleted, report.remaining], [dropped, shared, deleted, 0]);
    gone[at]!.push(...dropped);
    stage();
  };
  stage();
  await commit(0, ["a", "both", "d/both"]);
  await commit(1, ["both", "d/both", "x"]);
  await manifest.sync(); // what comes behind it a crash takes back as a whole, where nothing else is durable
  await commit(0, ["a2"], ["a", "both"]);
  await prune(0, 1, 1); // "both" is the other's from now on
  await commit(1, [], ["both", "d/both"]);
  await prune(1, 1, 1); // "d/both" is the first one's
  await commit(0, ["both"], ["d/both"]); // "both" is a new file
  await commit(1, ["both"], ["x"]);
  await prune(0, 0, 1);
  await commit(0, [], ["both"]);
  await Promise.all([prune(0, 1, 0), prune(1, 0, 1)]);
  // A table that was removed and forgotten is an orphan; where that is not durable a crash brings it back.
  const table = await folder.create("table");
  await table.write(0, new Uint8Array(5));
  await table.sync();
  await table.close();
  await folder.syncDirectory("");
  const id = await tables.allocateSstId();
  await tables.edit().addSst({ id, level: 1, minKey: new Uint8Array([1]), maxKey: new Uint8Array([2]), fileName: "table" }).commit();
  await manifest.sync();
  await tables.edit().removeSst(id).commit();
  await tables.forget([{ kind: "sst", id }]);
  const { deleted } = await sets[0]!.deleteOrphans(await sets[0]!.orphans({ minAgeMs: 0 }));
  assertEquals([deleted, await filesIn(folder)], [1, ["a2", "both"]]);
  await commit(0, ["last"]);
  await manifest.close();
  return { stages, versions };
}

/** Holds an image against what may be there. */
async function judge(storage: Storage, folder: Folder, mode: Mode, stage: Stage, versions: readonly Versions[]): Promise<void> {
  const { manifest, sets, tables } = await openAt(storage, folder, mode);
  try {
    for (const [at, catalog] of sets.entries()) {
      assertEquals(catalog.check(), { ok: true, problems: [] });
      const found = catalog.versions().map(({ version }) => version);
      if (mode === "sync") {
        for (const version of stage.kept[at]!) assert(found.includes(version), `${SETS[at]} has lost version ${version}`);
      }
      for (const version of found) {
        assert(!stage.gone[at]!.includes(version), `${SETS[at]} has version ${version}, which was dropped`);
        using view = catalog.read(version);
        assertEquals([...view.entries()].map(({ path }) => path), versions[at]!.get(version));
      }
      assertEquals((await catalog.verify()).damaged, [], SETS[at]);
    }
    if (tables.getSst(1) !== undefined) assert((await filesIn(folder)).includes("table"), "the table is gone");
    // What was interrupted is finished: no file is left that nothing names but those of commits that were cut.
    for (const catalog of sets) {
      const { failed, remaining } = await catalog.prune(100);
      assertEquals([failed, remaining], [[], 0]);
    }
    for (const catalog of sets) assertEquals((await catalog.verify()).damaged, []);
    const named = new Set(sets.flatMap((catalog) => {
      using state = catalog.state();
      return [...state.files()].map(({ path }) => path);
    }));
    if (tables.getSst(1) !== undefined || (await tables.deletable()).length > 0) named.add("table");
    const disk = await filesIn(folder);
    for (const catalog of sets) {
      const { orphans } = await catalog.orphans({ minAgeMs: 0 });
      assertEquals(orphans.map(({ path }) => path), disk.filter((path) => !named.has(path)));
    }
  } finally {
    await manifest.close();
  }
}

for (const mode of ["sync", "relaxed", "none"] as const) {
  test(`crash: two file sets and an LSM catalog over one folder lose no file that any of them may name, durability ${mode}`, async () => {
    const random = seeded(SEED);
    const machine = new SimMachine(undefined, undefined, undefined, { now: clock.now });
    const { stages, versions } = await run(machine, mode);
    let images = 0;
    const moments = machine.moments();
    for (const [calls, moment] of moments.entries()) {
      const stage = stages.findLast((one) => one.calls <= calls);
      if (stage === undefined || calls % EVERY > 0) continue; // the catalogs are being made
      let number = 0;
      for (const image of machine.crashes(moment, random.fork(calls))) {
        const recovering = image.open({ now: clock.now, recording: false });
        await recycling(() => judge(recovering.storage, recovering.folder, mode, stage, versions));
        images++;
        if (++number === IMAGES) break;
      }
    }
    console.log(`seed ${SEED}: ${moments.length} moments, ${images} images`);
    assert(images * EVERY > 150, `${images} images`);
  });
}
