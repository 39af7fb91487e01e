// Backups into one folder at the same time: each number is one backup's, none that was acknowledged is lost, the others end with CONFLICT; and whoever dies beside them leaves a folder in which all goes on.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { ManifestError } from "../../../mod.ts";
import { type BackupReport, BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { fileFolder, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { SimMachine } from "../../support/disk/sim_machine.ts";
import { testEnvironment } from "../../support/environment.ts";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { recycling } from "../../support/kernel_pool.ts";
import { type Random, seeded } from "../../support/random.ts";
import { SHARE } from "../../support/share.ts";
import { type FolderCall, WrappedFolder } from "../../support/wrapped_folder.ts";
import { commitFiles, openRestored, rowsOf, type Scene, scene } from "./parts.ts";

const SEED = 20_261_123;
/** Of all calls the same: equal states make equal records. */
const now = (): number => 1_700_000_000_000;

/** Waits a while before each call. */
class Halting extends WrappedFolder {
  readonly #random: Random;

  constructor(inner: Folder, random: Random) {
    super(inner);
    this.#random = random;
  }

  override async before(): Promise<void> {
    for (let turns = this.#random.int(12); turns > 0; turns--) await undefined;
  }
}

/** Takes several at once, and holds what became of them against the list. */
async function round({ manifest, catalog }: Scene, stores: readonly BackupStore[], acknowledged: Set<number>): Promise<number> {
  const ended = await Promise.allSettled(stores.map((store) => store.backup({ manifest, fileSets: [catalog], parallel: 2 })));
  let lost = 0;
  for (const one of ended) {
    if (one.status === "fulfilled") {
      const { number } = one.value as BackupReport;
      assert(!acknowledged.has(number), `two backups are acknowledged as ${number}`);
      acknowledged.add(number);
      continue;
    }
    const { code, retryable } = one.reason as ManifestError;
    assertEquals([code, retryable], ["CONFLICT", true], `${one.reason}`);
    lost++;
  }
  assert(lost < stores.length, "all have lost");
  const there = (await stores[0]!.list()).map(({ number }) => number);
  assertEquals([...acknowledged].sort((a, b) => a - b), there, "what was acknowledged, and what is there");
  return lost;
}

for (const objects of [1, 2]) {
  test(`BackupStore.backup: of three at the same time, of ${objects} stores, none that was acknowledged is lost, and no number is given twice`, async () => {
    let rounds = 0, lost = 0;
    for (let turn = 0; turn < 25; turn++) {
      const random = seeded(SEED + turn);
      const made = await scene(turn);
      await commitFiles(made, { "a": "one", "b": "two" });
      const open = async (number: number): Promise<BackupStore> =>
        await BackupStore.open(new Halting(made.place, random.fork(number)), {
          environment: { ...testEnvironment(turn * 10 + number), now },
        });
      const first = await open(1), second = objects === 1 ? first : await open(2);
      const acknowledged = new Set<number>();
      for (let i = 0; i < 8; i++, rounds++) {
        if (random.int(3) === 0) await commitFiles(made, { [`c@${i}`]: `content ${i}` });
        lost += await round(made, [first, second, first], acknowledged);
      }
      assertEquals((await first.verify()).problems, [], `seed ${SEED + turn}`);
      const into = memoryFolder();
      const copy = await openRestored(into, (await first.restore({ into, name: "r" })).manifest);
      assertEquals(rowsOf(copy), rowsOf(made.manifest));
      await copy.close();
      await made.manifest.close();
    }
    console.log(`seed ${SEED}: ${rounds} rounds, ${lost} conflicts`);
    assert(rounds === 200 && lost > 100);
  });
}

test("BackupStore.backup: at the same time on a file system, with verify and list beside them, which find nothing wrong", async () => {
  await withFolder(async (root) => {
    const made = await scene(1, fileFolder(join(root, "backup")));
    await commitFiles(made, { "a": "one" });
    const { manifest, catalog, place, backups } = made;
    const stores: BackupStore[] = [];
    for (let i = 0; i < 4; i++) {
      stores.push(await BackupStore.open(fileFolder(join(root, "backup")), { environment: { ...testEnvironment(i), now } }));
    }
    await backups.backup({ manifest, fileSets: [catalog] });
    const acknowledged = new Set([1]);
    let lost = 0;
    for (let i = 0; i < 12; i++) {
      const [conflicts, verified, listed] = await Promise.all([round(made, stores, acknowledged), backups.verify(), backups.list()]);
      lost += conflicts;
      assertEquals(verified.problems, []);
      assert(listed.length > i);
    }
    assert(lost > 12, `${lost} conflicts`);
    assertEquals((await place.list("backups")).length, acknowledged.size, "a draft is left");
    await manifest.close();
  });
});

test("BackupStore.backup: a process that dies, or whose call fails, at any call beside another's backup: what that one acknowledged stays, and all goes on", async () => {
  class Dying extends WrappedFolder {
    calls = 0;
    from = Infinity;
    times = Infinity;
    dead: () => void = () => {};
    resume: Promise<void> = Promise.resolve();

    override async before(call: FolderCall): Promise<void> {
      const number = this.calls++;
      if (number === this.from) {
        this.dead();
        await this.resume;
      }
      if (number >= this.from && number < this.from + this.times) {
        throw new ManifestError("IO_WRITE", `Cannot ${call}: the process is gone`);
      }
    }
  }
  let died = 0, conflicts = 0;
  for (const before of [0, 1]) {
    const one = async (turn: number): Promise<boolean> => {
      const made = await scene(7);
      const { manifest, catalog, place, backups } = made;
      await commitFiles(made, { "a": "one" });
      if (before === 1) await backups.backup({ manifest, fileSets: [catalog] });
      await commitFiles(made, { "b": "two" });
      const dying = new Dying(place);
      const other = await BackupStore.open(dying, { environment: { ...testEnvironment(turn), now } });
      // Stops at the call; the other one takes its backup as a whole; then the call is made, or fails, this once or with all that follow.
      dying.calls = 0;
      dying.from = Math.floor(turn / 3) * SHARE;
      dying.times = [0, 1, Infinity][turn % 3]!;
      const stopped = new Promise<void>((done) => dying.dead = done);
      let go = (): void => {};
      dying.resume = new Promise((done) => go = done);
      const ending = other.backup({ manifest, fileSets: [catalog], parallel: 1 }).then(() => undefined, (error) => error as ManifestError);
      const what = `${before} before, call ${dying.from}, ${dying.times}`;
      const over = await Promise.race([stopped.then(() => false), ending.then(() => true)]);
      let number: number | undefined;
      await backups.backup({ manifest, fileSets: [catalog], parallel: 1 }).then((report) => number = report.number);
      go();
      const error = await ending;
      if (error?.code === "CONFLICT") conflicts++;
      if (error !== undefined) died++;
      if (dying.times === 0 && error !== undefined) assertEquals(error.code, "CONFLICT", what);
      const there = (await backups.list()).map(({ number }) => number);
      assert(there.includes(number!), `${what}: the acknowledged backup ${number} is lost`);
      assertEquals((await backups.verify()).problems, [], what);
      await backups.restore({ into: memoryFolder(), name: "r", backup: number! });
      assertEquals((await backups.backup({ manifest, fileSets: [catalog] })).number, there.length + 1, what);
      await manifest.close();
      return over;
    };
    for (let turn = 0; !await recycling(() => one(turn)); turn++);
  }
  console.log(`${died} died, ${conflicts} of them with CONFLICT`);
  assert(died > 100 / SHARE && conflicts > 20 / SHARE);
});

test("BackupStore.backup: a power cut at any call of two at the same time: each acknowledged one is there and restores, and all goes on", async () => {
  let count = 0, restored = 0;
  for (const turn of [0, 1, 2]) {
    const random = seeded(SEED + turn);
    const machine = new SimMachine();
    const made = await scene(20 + turn, machine.folder);
    const { manifest, catalog } = made;
    await commitFiles(made, { "a": "one" });
    const open = async (number: number): Promise<BackupStore> =>
      await BackupStore.open(new Halting(machine.folder, random.fork(number)), { environment: { ...testEnvironment(number), now } });
    const ready = machine.calls;
    const done: number[] = [];
    const stores = [await open(1), await open(2)];
    for (let i = 0; i < 2; i++) {
      await Promise.allSettled(stores.map(async (store) => {
        await store.backup({ manifest, fileSets: [catalog], parallel: 1 });
        done.push(machine.calls);
      }));
    }
    const seen = new Set<string>();
    for (const [calls, moment] of machine.moments().entries()) {
      if (calls < ready) continue;
      const least = done.filter((at) => at <= calls).length;
      let number = 0;
      for (const image of machine.crashes(moment, random.fork(calls))) {
        if (++number > 8) break;
        if (seen.has(`${image.hash} ${least}`)) continue;
        seen.add(`${image.hash} ${least}`);
        await recycling(async () => {
          const what = `turn ${turn}, call ${calls}, image ${image.index}`;
          const store = await BackupStore.open(image.open({ recording: false }).folder, { create: true, environment: testEnvironment(3) });
          const there = await store.list();
          assert(there.length >= least, `${what}: ${there.length} of ${least}`);
          assertEquals((await store.verify()).problems.filter(({ reason }) => there.length > 0 || reason !== "unrecorded"), [], what);
          if (there.length > 0) {
            await store.restore({ into: memoryFolder(), name: "r", parallel: 1 });
            restored++;
          }
          assertEquals((await store.backup({ manifest, fileSets: [catalog], parallel: 1 })).number, there.length + 1, what);
          count++;
        });
      }
    }
    await manifest.close();
  }
  console.log(`seed ${SEED}: ${count} images, ${restored} restored`);
  assert(count > 200 && restored > 50);
});

test("BackupStore.backup: what fails behind the name of a record does not take it away: somebody may have gone on behind it", async () => {
  const made = await scene(9);
  const { manifest, catalog, place, backups } = made;
  await commitFiles(made, { "a": "one" });
  let second: BackupReport | undefined;
  class Unsynced extends WrappedFolder {
    override async before(call: FolderCall, path: string): Promise<void> {
      if (call !== "syncDirectory" || path !== "backups") return;
      second = await backups.backup({ manifest, fileSets: [catalog] });
      throw new ManifestError("SYNC_FAILED", "Cannot sync: the call fails");
    }
  }
  const store = await BackupStore.open(new Unsynced(place));
  const error = await assertRejects(() => store.backup({ manifest, fileSets: [catalog] }), ManifestError);
  assertEquals([error.code, second?.number], ["SYNC_FAILED", 2]);
  assertEquals((await backups.list()).map(({ number }) => number), [1, 2]);
  assertEquals((await backups.verify()).problems, []);
  await manifest.close();
});

test("BackupStore.backup: one that stood still for a day, and goes on while another removes its draft, gives no number to what is empty", async () => {
  let time = 1_700_000_000_000;
  const clock = { now: () => time };
  const place = memoryFolder(clock);
  const made = await scene(10, place);
  const { manifest, catalog } = made;
  await commitFiles(made, { "a": "one" });
  for (const moment of ["list", "rename", "remove", "removeDirectory"] as const) {
    let go = (): void => {}, stand = (): void => {};
    const going = new Promise<void>((done) => go = done), standing = new Promise<void>((done) => stand = done);
    class Standing extends WrappedFolder {
      override async before(call: FolderCall, path: string): Promise<void> {
        if (call !== "rename" || !path.startsWith("backups/new-")) return;
        stand();
        await going;
      }
    }
    const first = await BackupStore.open(new Standing(place), { environment: { ...testEnvironment(1), ...clock } });
    const slow = first.backup({ manifest, fileSets: [catalog] }).then(() => undefined, () => undefined);
    let met = 0;
    class Meeting extends WrappedFolder {
      override async before(call: FolderCall, path: string): Promise<void> {
        if (call !== moment || !path.startsWith("backups/new-") || met++ > 0) return;
        go();
        await slow;
      }
    }
    await standing;
    time += 25 * 3_600_000;
    const second = await BackupStore.open(new Meeting(place), { environment: { ...testEnvironment(2), ...clock } });
    await second.backup({ manifest, fileSets: [catalog] }).catch((error) =>
      assertEquals((error as ManifestError).code, "CONFLICT", moment)
    );
    assert(met > 0, moment);
    const { problems, backups } = await made.backups.verify();
    assertEquals(problems, [], moment);
    assertEquals((await made.backups.list()).length, backups);
    assertEquals((await made.backups.backup({ manifest, fileSets: [catalog] })).number, backups + 1, moment);
  }
  await manifest.close();
});
