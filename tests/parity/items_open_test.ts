// Items 13, 18, 19, 20 and 38 of the test list: opening, checkpoints, the sentinel, ids over crashes, the lock of a dead writer.
import { assert, assertEquals } from "@std/assert";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BLOCK_SIZE, META_BYTES, META_MAGIC, META_MIN_READER, META_SLOTS } from "../../assembly/format.ts";
import { Manifest } from "../../mod.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelModule } from "../../src/kernel/loader.ts";
import { sealSlot, slotChecksum } from "../../src/store/meta.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { currentRuntime, runtimeCommand } from "../support/runtimes.ts";
import { owners } from "./every_operation.ts";
import { reopenFile, stateOf, Subject } from "./subject.ts";

/** The bytes of a manifest with one database, closed. */
async function closedImage(): Promise<Uint8Array> {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "kept" }).commit();
  await subject.manifest.close();
  return subject.disk.live();
}

test("item 13: empty, header only, cut short, of another kind, of a newer version: a typed error each, and not a byte is written", async () => {
  const image = await closedImage();
  const checksum = slotChecksum(new Kernel(kernelModule()));
  const newer = image.slice();
  for (let slot = 0; slot < META_SLOTS; slot++) {
    const bytes = newer.slice(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
    new DataView(bytes.buffer).setUint16(META_MIN_READER, 9, true);
    newer.set(sealSlot(bytes, slot < 2 ? 1 : 2, checksum), slot * BLOCK_SIZE);
  }
  const otherMagic = image.slice();
  for (let slot = 0; slot < META_SLOTS; slot++) otherMagic[slot * BLOCK_SIZE + META_MAGIC]! ^= 0xff;
  const cases: [what: string, bytes: Uint8Array, code: string][] = [
    ["zero-length", new Uint8Array(0), "EMPTY_FILE"],
    ["one slot", image.slice(0, BLOCK_SIZE), "TRUNCATED"],
    ["header only", image.slice(0, META_BYTES), "TRUNCATED"],
    ["cut short", image.slice(0, image.length - BLOCK_SIZE), "TRUNCATED"],
    ["wrong magic", otherMagic, "NOT_A_MANIFEST"],
    ["text", new TextEncoder().encode("a text that somebody wrote\n".repeat(2000)), "NOT_A_MANIFEST"],
    ["newer version", newer, "FORMAT_TOO_NEW"],
  ];
  for (const [what, bytes, code] of cases) {
    for (const create of what === "zero-length" ? [false] : [false, true]) {
      const disk = new SimDisk(bytes);
      const error = await errorOf(() => Manifest.open(disk.open(), { create, idleCheckpoint: 0 }));
      assertEquals([error.code, error.outcome, disk.calls], [code, "not_applied", 0], what);
      assertEquals(disk.live(), bytes, what);
    }
  }
  await using subject = await Subject.reopened(image);
  assertEquals((await subject.reopen()).getDb(1)?.name, "kept");
});

test("item 13: a file that was renamed while closed opens under its new name", async () => {
  await withFolder(async (folder) => {
    const first = await Manifest.open(join(folder, "a.waybill"), { create: true });
    await first.begin().putDb(1, { name: "kept" }).commit();
    const { fileId } = first;
    await first.close();
    renameSync(join(folder, "a.waybill"), join(folder, "b.waybill"));
    const again = await reopenFile(join(folder, "b.waybill"));
    assertEquals([again.getDb(1)?.name, again.fileId, again.recovery.clean], ["kept", fileId, true]);
    await again.close();
    assertEquals((await errorOf(() => Manifest.open(join(folder, "a.waybill")))).code, "NOT_FOUND");
  });
});

test("item 18: checkpoints beside commits, and many in a row, lose nothing", async () => {
  await using subject = await Subject.make({ syncMode: "async" });
  const random = seeded(18);
  const commits: Promise<unknown>[] = [], checkpoints: Promise<void>[] = [];
  for (let i = 0; i < 400; i++) {
    commits.push(
      subject.manifest.begin().put(owners, i, { team: random.letters(random.int(400)) }).mergeMetric([1, 1], { sum: 1 }).commit(),
    );
    if (i % 7 === 0) checkpoints.push(subject.manifest.checkpoint());
    if (i % 20 === 0) await commits.at(-1);
  }
  await Promise.all([...commits, ...checkpoints]);
  for (let i = 0; i < 30; i++) await subject.manifest.checkpoint();
  const before = stateOf(subject.manifest);
  const manifest = await subject.crashAndReopen();
  assertEquals(stateOf(manifest), before);
  assertEquals([manifest.count(owners), manifest.getMetric(1, 1)?.sum], [400, 400]);
  assertEquals((await manifest.check()).problems, []);
});

test("item 18: there is no temporary file: a folder holds the manifest and its lock", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "m.waybill");
    const manifest = await Manifest.open(path, { create: true });
    for (let i = 0; i < 20; i++) {
      await manifest.begin().put(owners, i, { team: "t" }).commit();
      await manifest.checkpoint();
    }
    await manifest.compact();
    assertEquals(readdirSync(folder).sort(), ["m.waybill", "m.waybill.lock"]);
    await manifest.close();
    await using again = await reopenFile(path);
    assertEquals(again.count(owners), 20);
  });
});

test("item 19: a clean close is told from a crash", async () => {
  await using subject = await Subject.make();
  await subject.manifest.begin().putDb(1, { name: "a" }).commit();
  assertEquals((await subject.reopen()).crashDetected, false);
  await subject.manifest.begin().putDb(2, { name: "b" }).commit();
  assertEquals((await subject.crashAndReopen()).crashDetected, true);
  assertEquals((await subject.reopen()).crashDetected, false);
  // Opening alone, without a commit, sets the sentinel too.
  assertEquals((await subject.crashAndReopen()).crashDetected, true);
  await subject.manifest.close();
  const reader = await subject.reopen({ readOnly: true, create: false });
  assertEquals([reader.crashDetected, reader.runtimeState()], [false, undefined]);
  assertEquals(subject.manifest.listDbs().toArray().length, 2);
});

test("item 19: the sentinel goes last: whatever close was doing when it was killed, a file that says clean needs nothing", async () => {
  const subject = await Subject.make();
  await subject.manifest.checkpoint();
  for (let i = 0; i < 10; i++) await subject.manifest.begin().put(owners, i, { team: "t" }).commit();
  const from = subject.disk.calls;
  const expected = stateOf(subject.manifest);
  const closing = subject.manifest;
  const late = closing.begin().put(owners, 10, { team: "accepted before close" }).commit();
  await Promise.all([late, closing.close()]);
  const random = seeded(19), seen = new Set<number>();
  const clean: number[] = [];
  for (let at = from; at <= subject.disk.calls; at++) {
    for (const image of subject.disk.images(at, random, 6, seen)) {
      await using crashed = await Subject.reopened(image);
      const { recovery } = crashed.manifest;
      const manifest = await crashed.reopen();
      const held = manifest.count(owners);
      assert(held === 10 || held === 11);
      if (held === 10) assertEquals({ ...stateOf(manifest) }, { ...expected });
      if (!recovery.clean) continue;
      clean.push(at);
      assertEquals([recovery.frames, recovery.groups, held], [0, 0, 11]);
    }
  }
  assert(clean.length > 0 && clean.every((at) => at > from + 2), `clean after ${clean} of ${from} to ${subject.disk.calls}`);
});

test("item 20: sequences, job, cursor and table ids rise over five crashes, and none is given twice", async () => {
  await using subject = await Subject.make({ requeueJobs: false });
  const jobIds: number[] = [], cursorIds: number[] = [], sequences: number[] = [], epochs: number[] = [], commitIds = new Set<string>();
  for (let round = 0; round < 6; round++) {
    const { manifest } = subject;
    epochs.push(manifest.stats().epoch);
    for (let i = 0; i < 4; i++) {
      const txn = manifest.begin();
      jobIds.push(txn.enqueueJob({ kind: "gc" }));
      const receipt = await txn.commit();
      sequences.push(receipt.sequence);
      commitIds.add(receipt.commitId);
    }
    await manifest.begin().removeJob(jobIds.at(-1)!).commit().then(({ sequence }) => sequences.push(sequence));
    const cursor = await manifest.registerChangeCursor(`c${round}`, { start: "latest" });
    cursorIds.push(cursor.id);
    if (round % 2 === 0) await manifest.unregisterChangeCursor(cursor.id);
    else await manifest.acknowledgeChanges(cursor.id, manifest.latestChangeSequence() + 1);
    if (round === 3) await manifest.checkpoint();
    await subject.crashAndReopen();
    assertEquals(subject.manifest.latestChangeSequence(), sequences.at(-1));
  }
  assertEquals(sequences, Array.from({ length: 30 }, (_, i) => i + 1));
  for (const ids of [jobIds, cursorIds, epochs]) assert(ids.every((id, i) => i === 0 || id > ids[i - 1]!), `${ids}`);
  assertEquals(commitIds.size, 24);
});

test("item 38: the lock of a writer that was killed is taken over, with everything that it was told is durable", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "m.waybill");
    const { cmd, args } = runtimeCommand(currentRuntime(), "tests/support/children/parity_writer.ts", [path]);
    const child: ChildProcess = spawn(cmd, args, { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise<void>((done) => child.once("close", () => done()));
    try {
      await new Promise<void>((done, failed) => {
        createInterface({ input: child.stdout! }).once("line", () => done());
        child.once("close", (code) => failed(new Error(`the writer ended with ${code} and said nothing`)));
      });
      const refused = await errorOf(() => Manifest.open(path));
      assertEquals([refused.code, (refused.detail.holder as { pid: number }).pid], ["LOCKED", child.pid]);
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
    assert(readdirSync(folder).includes("m.waybill.lock"));
    await using manifest = await reopenFile(path, { environment: { ...testEnvironment(1), now: Date.now } });
    assertEquals([manifest.recovery.clean, manifest.listDbs().toArray().map(([[db]]) => db)], [false, [1, 2, 3, 4, 5]]);
    assertEquals((await manifest.begin().putDb(6, { name: "mine" }).commit()).sequence, 6);
  });
});
