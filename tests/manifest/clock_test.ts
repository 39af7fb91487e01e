// The clock as it comes: set back, set forward, standing still, out of its mind. Order and identity never depend on it, times never go back, nothing expires by it.
import { assert, assertEquals } from "@std/assert";
import type { ClockBackwardsEvent, Manifest, ManifestEvent } from "../../mod.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { Medium } from "./open_manifest.ts";

const DAY = 86_400_000;
const START = 1_700_000_000_000;

/** A manifest whose clock shows what `clock.now` says. */
class Clocked {
  now = START;
  readonly told: ClockBackwardsEvent[] = [];
  readonly medium = new Medium();
  manifest!: Manifest;

  async open(): Promise<Manifest> {
    const environment = { ...testEnvironment(1), now: () => this.now };
    const onEvent = (event: ManifestEvent): void => void (event.type === "clock-backwards" && this.told.push(event));
    return this.manifest = await this.medium.open({ environment, onEvent });
  }

  /** Commits a database and a job. Returns the times that they were given, and the time of the change. */
  async commit(db: number): Promise<number[]> {
    const txn = this.manifest.begin().putDb(db, { name: "x" });
    const job = txn.enqueueJob({ kind: "k" });
    const { sequence } = await txn.commit();
    let committedAt = 0;
    for await (const change of this.manifest.changes({ from: sequence })) committedAt = change.committedAt;
    const state = this.manifest.getJob(job)!.state;
    assert(state.is === "pending");
    return [this.manifest.getDb(db)!.createdAt, this.manifest.getJob(job)!.createdAt, state.enqueuedAt, committedAt];
  }
}

test("Manifest: when the clock is set back by days, times stand still, sequences go on, and it is told once", async () => {
  const clock = new Clocked();
  const manifest = await clock.open();
  assertEquals(await clock.commit(1), [START, START, START, START]);
  clock.now = START - 3 * DAY;
  for (let db = 2; db < 6; db++, clock.now += 1000) assertEquals(await clock.commit(db), [START, START, START, START]);
  assertEquals(clock.told, [{ type: "clock-backwards", shown: START - 3 * DAY, committedAt: START }]);
  // It catches up, and goes back again.
  clock.now = START + 5;
  assertEquals((await clock.commit(6))[0], START + 5);
  clock.now = START + 4;
  assertEquals(await clock.commit(7), [START + 5, START + 5, START + 5, START + 5]);
  assertEquals(clock.told.length, 2);
  assertEquals(manifest.latestChangeSequence(), 7);
  await manifest.close();
});

test("Manifest: times do not go back behind a reopening or a crash", async () => {
  const clock = new Clocked();
  await clock.open();
  await clock.commit(1);
  clock.now = START - DAY;
  await clock.manifest.close();
  await clock.open();
  assertEquals((await clock.commit(2))[0], START);
  assertEquals(clock.told.length, 1);
  // The writer is gone: what replay found counts.
  clock.now = START + DAY;
  assertEquals((await clock.commit(3))[3], START + DAY);
  const left = new Clocked();
  left.medium.file.write(0, clock.medium.file.bytes());
  left.now = START;
  const manifest = await left.open();
  assert(manifest.crashDetected);
  assertEquals((await left.commit(4))[0], START + DAY);
  await manifest.close();
  await clock.manifest.close();
});

test("Manifest: a read-write transaction gives no record a time before that of the commit that it read", async () => {
  const clock = new Clocked();
  const manifest = await clock.open();
  await clock.commit(1);
  clock.now = START - DAY;
  await manifest.transact((txn) => {
    txn.putDb(2, { name: "y" });
    assertEquals(txn.getDb(2)!.createdAt, START);
  });
  assertEquals(manifest.getDb(2)!.createdAt, START);
  await manifest.close();
});

test("Manifest: a clock that jumps ahead by years expires nothing", async () => {
  const clock = new Clocked();
  const manifest = await clock.open();
  const cursor = await manifest.registerChangeCursor("slow", { start: "oldest" });
  const { commitId } = await manifest.begin().putDb(1, { name: "x" }).upsertChunk([1, 1], { fileName: "c" }).commit();
  await clock.commit(4);
  const jobs = manifest.listJobs().length;
  clock.now += 10_000 * DAY;
  await clock.commit(2);
  assertEquals((await manifest.fetchChangePage(cursor.id)).changes.length, 3);
  assertEquals((await manifest.resolve(commitId)).state, "applied");
  assertEquals(manifest.listJobs().length, jobs + 1);
  assertEquals(await manifest.reclaim(10, () => {}), { deleted: 0, remaining: 0 });
  // Back on time: the times stay where they have got to.
  clock.now = START + 10;
  assertEquals((await clock.commit(3))[0], START + 10_000 * DAY);
  await manifest.close();
});

test("Manifest: under a clock that stands still, commit ids, job ids and sequences are all different", async () => {
  const clock = new Clocked();
  const manifest = await clock.open();
  const jobs: number[] = [];
  const receipts = await Promise.all(
    Array.from({ length: 500 }, () => {
      const txn = manifest.begin();
      jobs.push(txn.enqueueJob({ kind: "k" }));
      return txn.commit();
    }),
  );
  assertEquals(new Set(receipts.map(({ commitId }) => commitId)).size, 500);
  assertEquals(receipts.map(({ sequence }) => sequence), Array.from({ length: 500 }, (_, i) => i + 1));
  assertEquals(new Set(jobs).size, 500);
  assertEquals(clock.told, []);
  await manifest.close();
});

test("Manifest: what no clock should show is taken for the time of the commit before", async () => {
  const clock = new Clocked();
  await clock.open();
  await clock.commit(1);
  for (const [db, shown] of [NaN, Infinity, -Infinity, -5, 2 ** 48, 1e300].entries()) {
    clock.now = shown;
    assertEquals(await clock.commit(2 + db), [START, START, START, START], `${shown}`);
  }
  clock.now = 2 ** 48 - 1;
  assertEquals((await clock.commit(20))[3], 2 ** 48 - 1);
  clock.now = START + 0.75;
  assertEquals((await clock.commit(21))[3], 2 ** 48 - 1);
  await clock.manifest.close();
  await clock.open();
  assertEquals((await clock.commit(22))[3], 2 ** 48 - 1);
  assertEquals((await clock.manifest.check({ level: "deep" })).problems, []);
  await clock.manifest.close();
});
