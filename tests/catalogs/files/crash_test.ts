// Power cuts: after every call of the disk and the folder, with what was not synced lost in whole, in part, or not at all.
//
// Whatever the moment, opening again finds every acknowledged version whole, with the contents of its files; a prune goes on where it stood and leaves neither a file that nothing names nor a row without its file; and what a commit
// had not committed are orphans.
import { assert, assertEquals } from "@std/assert";
import { Manifest } from "../../../mod.ts";
import { FileSetCatalog, type Folder } from "../../../src/catalogs/files/mod.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { type MachineImage, type Moment, SimMachine } from "../../support/disk/sim_machine.ts";
import { testEnvironment } from "../../support/environment.ts";
import { test } from "../../support/harness.ts";
import { recycling } from "../../support/kernel_pool.ts";
import { seeded } from "../../support/random.ts";
import { currentRuntime } from "../../support/runtimes.ts";
import { data, filesIn, putFile, StandingClock } from "./parts.ts";

const SEED = 20_261_104;
/** Images of each moment. */
const IMAGES = 7;
/** Every moment on one runtime, every fourth on the others: what is done is the same on all. */
const EVERY = currentRuntime() === "deno" ? 1 : 4;
/** Of so many recoveries one is itself cut at some of its moments. */
const AGAIN = 60 / EVERY;

type Names = Readonly<Record<string, string>>;

/** What is durable, and what may be, from some call on. */
interface Stage {
  /** Calls when it was acknowledged. */
  readonly calls: number;
  /** Versions that are there. */
  readonly versions: ReadonlyMap<number, Names>;
  /** What comes next: a version that is being committed, or versions that are being dropped. */
  readonly next: { readonly added?: readonly [number, Names]; readonly dropped?: readonly number[] };
}

const clock = new StandingClock();

async function openAt(storage: Storage, folder: Folder): Promise<{ manifest: Manifest; catalog: FileSetCatalog }> {
  const environment = { ...testEnvironment(7), now: clock.now };
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, environment });
  return { manifest, catalog: await FileSetCatalog.open(manifest, folder, { environment, parallel: 1 }) };
}

/** Commits, pins and prunes; what was durable when. */
async function run(machine: SimMachine): Promise<Stage[]> {
  const stages: Stage[] = [];
  const versions = new Map<number, Names>();
  const { folder } = machine;
  let names: Names = {};
  const { manifest, catalog } = await openAt(machine.disk.open(), folder);
  const stage = (next: Stage["next"]): void => void stages.push({ calls: machine.calls, versions: new Map(versions), next });
  const commit = async (set: Names, remove: readonly string[] = []): Promise<void> => {
    const after = Object.fromEntries(Object.entries({ ...names, ...set }).filter(([name]) => !remove.includes(name)));
    const number = (catalog.current()?.version ?? 0) + 1;
    stage({ added: [number, after] });
    for (const path of Object.values(set)) if (await folder.facts(path) === undefined) await putFile(folder, path, `contents of ${path}`);
    const { version } = await catalog.commit({
      set: Object.entries(set).map(([name, path]) => data(name, path)),
      remove: remove.map((name) => ({ kind: "data", name })),
    });
    assertEquals(version, number);
    versions.set(version, names = after);
  };
  const prune = async (keep: number, dropped: readonly number[]): Promise<void> => {
    stage({ dropped });
    assertEquals((await catalog.prune(keep)).dropped, dropped);
    for (const version of dropped) versions.delete(version);
  };
  await commit({ a: "a1", b: "dir/b1", c: "dir/deep/c1" });
  await commit({ a: "a2" });
  await commit({ d: "dir/d1" }, ["b"]);
  const pin = await catalog.pin({ owner: "backup", version: 2, ttlMs: 1000 });
  await commit({ a: "a4", c: "dir/deep/c4", e: "a4" });
  await prune(1, [1, 3]);
  await commit({ a: "a2" });
  await pin.release();
  await prune(2, [2]);
  await manifest.checkpoint();
  await prune(1, [4]);
  stage({});
  await manifest.close();
  return stages;
}

/** Holds an opened image against what may be there; what it finds is what was. */
async function judge(storage: Storage, folder: Folder, stage: Stage, committed: ReadonlySet<string>): Promise<void> {
  const { manifest, catalog } = await openAt(storage, folder);
  try {
    assertEquals(catalog.check(), { ok: true, problems: [] });
    const { added, dropped = [] } = stage.next;
    const found = catalog.versions().map(({ version }) => version);
    for (const version of stage.versions.keys()) assert(found.includes(version) || dropped.includes(version), `version ${version} is lost`);
    for (const version of found) {
      const expected = stage.versions.get(version) ?? (added?.[0] === version ? added[1] : undefined);
      assert(expected !== undefined, `version ${version} should not be there`);
      using view = catalog.read(version);
      assertEquals(Object.fromEntries([...view.entries()].map(({ name, path }) => [name, path])), expected);
    }
    const { damaged } = await catalog.verify();
    assertEquals(damaged, []);
    if (found.length === 0) return;
    const { failed, remaining } = await catalog.prune(found.length);
    assertEquals([failed, remaining], [[], 0]);
    assertEquals(catalog.check(), { ok: true, problems: [] });
    using state = catalog.state();
    const named = new Set([...state.files()].map(({ path }) => path));
    const disk = await filesIn(folder);
    for (const path of named) assert(disk.includes(path), `${path} is gone`);
    const pending = new Set(Object.values(added?.[1] ?? {}));
    for (const path of disk) {
      assert(named.has(path) || pending.has(path) || !committed.has(path), `${path} is left, and nothing names it`);
    }
    // Life goes on: orphans of the commit that was cut are told apart and deleted, and the next version is above all.
    const report = await catalog.orphans({ minAgeMs: 0 });
    assertEquals(report.orphans.map(({ path }) => path), disk.filter((path) => !named.has(path)));
    const { deleted } = await catalog.deleteOrphans(report);
    assertEquals(deleted, report.orphans.length);
    assertEquals((await catalog.commit({ label: "after" })).version, found.at(-1)! + 1);
  } finally {
    await manifest.close();
  }
}

function stageAt(stages: readonly Stage[], calls: number): Stage | undefined {
  return stages.findLast((stage) => stage.calls <= calls);
}

test("FileSetCatalog: a power cut at any call loses no acknowledged version and no file of one, and what it interrupts is finished or an orphan", async () => {
  const random = seeded(SEED);
  const machine = new SimMachine(undefined, undefined, undefined, { now: clock.now });
  const stages = await run(machine);
  const moments = machine.moments();
  const committed = new Set(stages.flatMap(({ versions }) => [...versions.values()].flatMap((names) => Object.values(names))));
  let images = 0, again = 0;
  const look = async (image: MachineImage, stage: Stage): Promise<void> => {
    const recovering = image.open({ now: clock.now });
    await judge(recovering.storage, recovering.folder, stage, committed);
    images++;
    if (images % AGAIN !== 0) return;
    // Recovery, the prune that goes on and the deletion of orphans are cut in turn. From then on the version "after" may be there.
    const last = Math.max(0, ...stage.versions.keys(), stage.next.added?.[0] ?? 0);
    const within = recovering.moments();
    const places: Moment[] = [];
    for (let i = 0; i < 6; i++) places.push(random.pick(within));
    for (const place of places) {
      for (const second of recovering.crashes(place, random)) {
        const end = second.open({ now: clock.now });
        const { manifest, catalog } = await openAt(end.storage, end.folder);
        assertEquals(catalog.check(), { ok: true, problems: [] });
        for (const { version, label } of catalog.versions()) {
          assert(label === "after" || version <= last, `version ${version}`);
        }
        for (const version of stage.versions.keys()) {
          if (!(stage.next.dropped ?? []).includes(version)) assert(catalog.versions().some((one) => one.version === version));
        }
        assertEquals((await catalog.verify()).damaged, []);
        await manifest.close();
        again++;
        break;
      }
    }
  };
  for (const [calls, moment] of moments.entries()) {
    const stage = stageAt(stages, calls);
    if (stage === undefined || calls % EVERY > 0) continue; // the catalog is being made
    let number = 0;
    for (const image of machine.crashes(moment, random.fork(calls))) {
      await recycling(() => look(image, stage));
      if (++number === IMAGES) break;
    }
  }
  console.log(`seed ${SEED}: ${moments.length} moments, ${images} images, ${again} of recoveries`);
  assert(images * EVERY > 400 && again > 30, `${images} images, ${again} of recoveries`);
});
