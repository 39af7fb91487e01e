// Power cuts: after every call of the folder that a backup goes into, and of the folder and the disk that it is restored to, with what was not synced lost in whole, in part, or not at all.
//
// Whatever the moment of a backup, every record that is there is one that restores completely, every acknowledged one is there, and the next backup goes on. Whatever the moment of a restore, under its name there is nothing, or everything.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Manifest, ManifestError } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { FileSetCatalog, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { subFolder } from "../../../src/storage/sub_folder.ts";
import { type MachineImage, SimMachine } from "../../support/disk/sim_machine.ts";
import { testEnvironment } from "../../support/environment.ts";
import { test } from "../../support/harness.ts";
import { recycling } from "../../support/kernel_pool.ts";
import { type Random, seeded } from "../../support/random.ts";
import { isShare, SHARE } from "../../support/share.ts";
import { type FolderCall, WrappedFolder } from "../../support/wrapped_folder.ts";
import { commitFiles, fileBytes, filesIn, notes, rowsOf, type Scene, scene } from "./parts.ts";

const SEED = 20_261_122;
/** Images of each moment. */
const IMAGES = 14;

/** What a backup is of. */
interface Model {
  readonly rows: readonly string[];
  readonly files: ReadonlyMap<string, string>;
}

async function contentsOf(folder: Folder): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const path of await filesIn(folder)) files.set(path, new TextDecoder().decode(await fileBytes(folder, path)));
  return files;
}

async function modelOf({ manifest, folder }: Scene): Promise<Model> {
  return { rows: rowsOf(manifest), files: await contentsOf(folder) };
}

/** Holds a restored manifest and its files against what was backed up. */
async function compare(into: Folder, name: string, { rows, files }: Model, what: string): Promise<void> {
  const storage = into.storage(`${name}/manifest.waybill`, { readOnly: true });
  await using manifest = await Manifest.open(storage, { readOnly: true, environment: testEnvironment(99) });
  assertEquals(rowsOf(manifest), rows, what);
  const folder = subFolder(into, `${name}/files-1`);
  assertEquals(await contentsOf(folder), files, what);
  assertEquals((await (await FileSetCatalog.open(manifest, folder, { create: false })).verify()).ok, true, what);
}

/** A folder whose manifest lies on a disk of its own; its name is a file in the folder. */
class Place extends WrappedFolder {
  readonly #disk: (readOnly: boolean) => Storage;

  constructor(folder: Folder, disk: (readOnly: boolean) => Storage) {
    super(folder);
    this.#disk = disk;
  }

  /** Over a manifest in memory. */
  static spare(folder: Folder): Place {
    const file = new MemoryFile();
    return new Place(folder, (readOnly) => new MemoryStorage(file, { readOnly, created: !readOnly }));
  }

  override storage(path: string, { create = false, readOnly = false }: { create?: boolean; readOnly?: boolean } = {}): Storage {
    if (create) void this.inner.create(path); // a simulated folder does it at once
    return this.#disk(readOnly);
  }
}

/** Distinct images of all moments, each with the number of calls before it; images are told apart behind different promises. */
function* images(
  machine: SimMachine,
  random: Random,
  promised: (calls: number) => number,
): Generator<{ calls: number; image: MachineImage }> {
  const seen = new Set<string>();
  for (const [calls, moment] of machine.moments().entries()) {
    let number = 0;
    for (const image of machine.crashes(moment, random.fork(calls))) {
      const key = `${image.hash} ${promised(calls)}`;
      if (!seen.has(key)) yield { calls, image };
      seen.add(key);
      if (++number === IMAGES) break;
    }
  }
}

test("BackupStore.backup: a power cut at any call of a full and of an incremental one: each record that is there restores completely, each acknowledged one is there, the next backup goes on", async () => {
  const random = seeded(SEED);
  const machine = new SimMachine();
  const made = await scene(1, machine.folder);
  const { manifest, catalog, backups } = made;
  /** Calls when the folder was ready, and when each backup was acknowledged. */
  const done = [machine.calls];
  const models: Model[] = [];
  const backup = async (): Promise<void> => {
    models.push(await modelOf(made));
    await backups.backup({ manifest, fileSets: [catalog], parallel: 1 });
    done.push(machine.calls);
  };
  await commitFiles(made, { "a": "one", "dir/b": "two", "dir/c": "" });
  await manifest.begin().put(notes, ["x"], { n: 1 }).commit();
  await backup();
  await commitFiles(made, { "a@2": "three", "d": "one" });
  await catalog.prune(1);
  await backup();
  await commitFiles(made, { "e": "five" });
  const now = await modelOf(made);
  const stageAt = (calls: number): number => done.filter((at) => at <= calls).length;
  let count = 0, restored = 0, again = 0;
  const judge = async (folder: Folder, known: readonly Model[], least: number, most: number, what: string): Promise<void> => {
    const store = await BackupStore.open(folder, { create: true, environment: testEnvironment(2) });
    const there = (await store.list()).length;
    assert(there >= least && there <= most, `${what}: ${there} backups`);
    const { problems } = await store.verify({ parallel: 1 });
    assertEquals(problems.filter(({ reason }) => there > 0 || reason !== "unrecorded"), [], what);
    for (let number = there; number >= 1; number--) {
      const into = memoryFolder();
      await store.restore({ into, name: "r", backup: number, parallel: 1 });
      await compare(into, "r", known[number - 1]!, what);
      restored++;
    }
  };
  const look = async (calls: number, image: MachineImage): Promise<void> => {
    const what = `call ${calls}, image ${image.index}`;
    const stage = stageAt(calls);
    const recovering = image.open();
    if (stage > 0) await BackupStore.open(recovering.folder); // it is durable
    await judge(recovering.folder, models, Math.max(0, stage - 1), Math.min(2, stage), what);
    const store = await BackupStore.open(recovering.folder, { environment: testEnvironment(3) });
    const { number } = await store.backup({ manifest, fileSets: [catalog], parallel: 1 });
    const known = [...models.slice(0, number - 1), now];
    if (++count % 10 !== 0) return;
    // The one that goes on is cut in turn, on its way and behind its end.
    const moments = recovering.moments();
    const last = moments.at(-1)!;
    for (const moment of [random.pick(moments), last]) {
      for (const second of recovering.crashes(moment, random)) {
        await judge(second.open().folder, known, moment === last ? number : number - 1, number, `${what}, again`);
        again++;
        if (second.index === 1) break;
      }
    }
  };
  for (const { calls, image } of images(machine, random, stageAt)) if (isShare(calls)) await recycling(() => look(calls, image));
  console.log(`seed ${SEED}: ${machine.calls} calls, ${count} images, ${restored} restored, ${again} cut again`);
  assert(count > 200 / SHARE && restored > 200 / SHARE && again > 40 / SHARE);
  await manifest.close();
});

test("BackupStore.restore: a power cut at any call: under its name there is nothing, or everything, once it is acknowledged everything, and the next one names what is left", async () => {
  const random = seeded(SEED);
  const made = await scene(2);
  await commitFiles(made, { "a": "one", "dir/b": "two", "dir/deep/c": "" });
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  const model = await modelOf(made);
  const machine = new SimMachine();
  await made.backups.restore({ into: new Place(machine.folder, (readOnly) => machine.disk.open({ readOnly })), name: "r", parallel: 1 });
  const end = machine.calls;
  let count = 0, complete = 0;
  const look = async (calls: number, image: MachineImage): Promise<void> => {
    const what = `call ${calls}, image ${image.index}`;
    const recovering = image.open({ recording: false });
    const into = new Place(recovering.folder, () => recovering.storage);
    const names = (await into.list("")).map(({ name }) => name);
    assert(names.length <= 1 && names.every((name) => /^r(\.restoring-[0-9a-f]{12})?$/.test(name)), `${what}: ${names}`);
    count++;
    if (names.includes("r")) {
      await compare(into, "r", model, what);
      complete++;
    } else {
      assert(calls < end, `${what}: what was restored is gone`);
      const place = Place.spare(recovering.folder);
      assertEquals((await made.backups.restore({ into: place, name: "r", parallel: 1 })).unfinished, names, what);
      await compare(place, "r", model, what);
    }
  };
  for (const { calls, image } of images(machine, random, (calls) => calls === end ? 1 : 0)) await recycling(() => look(calls, image));
  console.log(`seed ${SEED}: ${machine.calls} calls, ${count} images, ${complete} complete`);
  assert(count > 40 && complete > 1);
  await made.manifest.close();
});

/** Holds every image of every moment from `from` on against `look`; counts them. */
async function everyImage(machine: SimMachine, from: number, look: (folder: Folder, what: string) => Promise<void>): Promise<number> {
  let count = 0;
  for (const { calls, image } of images(machine, seeded(SEED), (calls) => calls < from ? 0 : 1)) {
    if (calls < from) continue;
    await look(image.open({ recording: false }).folder, `call ${calls}, image ${image.index}`);
    count++;
  }
  return count;
}

test("BackupStore.backup: a record that did not get its name has none behind a power cut: one that another was faster than, and one that could not be read again", async () => {
  const machine = new SimMachine();
  const made = await scene(3, machine.folder);
  const { manifest, catalog, backups } = made;
  await commitFiles(made, { "a": "one" });
  await backups.backup({ manifest, fileSets: [catalog] });
  const later = { ...testEnvironment(4), now: () => 1_800_000_000_000 };
  const other = await BackupStore.open(machine.folder, { environment: later });
  const both = await Promise.allSettled([backups, other].map((store) => store.backup({ manifest, fileSets: [catalog] })));
  const lost = both.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  assert(lost.length > 0 && lost.every(({ reason }) => (reason as ManifestError).code === "CONFLICT"));
  const left = (await backups.list()).length;
  assertEquals(left, 3 - lost.length);
  let count = await everyImage(machine, machine.calls, async (folder, what) => {
    assertEquals((await (await BackupStore.open(folder)).list()).length, left, what);
  });

  class Unreadable extends WrappedFolder {
    override before(call: FolderCall, path: string): void {
      if (call === "open" && path.endsWith(".json")) throw new ManifestError("IO_READ", "Cannot read: the call fails");
    }
  }
  await commitFiles(made, { "b": "two" });
  const place = new SimMachine();
  const first = await BackupStore.open(new Unreadable(place.folder), { create: true, environment: testEnvironment(5) });
  await assertRejects(() => first.backup({ manifest, fileSets: [catalog] }), ManifestError, "the call fails");
  await commitFiles(made, { "c": "three" });
  const from = place.calls;
  const second = await BackupStore.open(place.folder, { environment: testEnvironment(6) });
  await second.backup({ manifest, fileSets: [catalog] });
  count += await everyImage(place, from, async (folder, what) => {
    const store = await BackupStore.open(folder);
    assert((await store.list()).length <= 1, what);
  });
  assert(count > 20, `${count} images`);
  await manifest.close();
});

test("BackupStore.backup: a process that ended has made nothing durable: the backup that uses what it left does", async () => {
  /** Comes no further than the first sync of a directory behind the note that the first backup has begun. */
  class Ending extends WrappedFolder {
    #noted = false;
    override before(call: FolderCall, path: string): void {
      if (call === "create") this.#noted ||= path === "objects/new/first";
      if (call !== "syncDirectory" || (this.#noted && ["objects/new", "objects", ""].includes(path))) return;
      throw new ManifestError("SYNC_FAILED", "Cannot sync: the process has ended");
    }
  }
  const made = await scene(8);
  const { manifest, catalog } = made;
  await commitFiles(made, { "a": "one", "b": "two" });
  const model = await modelOf(made);
  const machine = new SimMachine();
  const { folder } = machine;
  const ended = new Ending(folder);
  await assertRejects(() => BackupStore.open(ended, { create: true }), ManifestError, "has ended");
  const environment = testEnvironment(9);
  await assertRejects(
    async () => await (await BackupStore.open(ended, { environment })).backup({ manifest, fileSets: [catalog] }),
    ManifestError,
    "has ended",
  );
  const report = await (await BackupStore.open(folder, { environment })).backup({ manifest, fileSets: [catalog] });
  assertEquals([report.filesCopied, report.piecesWritten], [0, 0]);
  await everyImage(machine, machine.calls, async (folder, what) => {
    const into = memoryFolder();
    await (await BackupStore.open(folder)).restore({ into, name: "r" });
    await compare(into, "r", model, what);
  });
  await manifest.close();
});

test("BackupStore.restore: when the last sync fails the name is taken back, and no crash brings it back without what belongs to it", async () => {
  const made = await scene(7);
  await commitFiles(made, { "a": "one", "dir/b": "two" });
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  const model = await modelOf(made);
  for (const failing of [1, 2]) {
    let failed = 0;
    class Unsynced extends Place {
      override before(call: FolderCall, path: string): void {
        if (call !== "syncDirectory" || path !== "" || ++failed > failing) return;
        throw new ManifestError("SYNC_FAILED", "Cannot sync: the call fails");
      }
    }
    const machine = new SimMachine();
    const into = new Unsynced(machine.folder, (readOnly) => machine.disk.open({ readOnly }));
    await assertRejects(() => made.backups.restore({ into, name: "r", parallel: 1 }), ManifestError, "the call fails");
    // When it cannot be made durable that the name is gone, what has it is left whole under the other one.
    const names = (await machine.folder.list("")).map(({ name }) => name);
    assert(failing === 1 ? names.length === 0 : names.length === 1 && names[0]!.startsWith("r.restoring-"), `${names}`);
    let complete = 0;
    for (const { calls, image } of images(machine, seeded(SEED), () => 0)) {
      const recovering = image.open({ recording: false });
      if (await recovering.folder.facts("r") === undefined) continue;
      await compare(new Place(recovering.folder, () => recovering.storage), "r", model, `call ${calls}, image ${image.index}`);
      complete++;
    }
    assert(complete > 0);
  }
  await made.manifest.close();
});
