// What a commit costs, counted at the storage contract: one write and one sync for a group, with the change log on.
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { defineTable, Manifest, type ManifestOptions, type Storage, text, u53 } from "../../mod.ts";
import { openFile } from "../../src/storage/file.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

const table = defineTable({ name: "owners", key: [u53("id")], value: { team: text() } });

async function openCounted(inner: Storage, options: ManifestOptions = {}): Promise<{ manifest: Manifest; storage: CountingStorage }> {
  const storage = new CountingStorage(inner, { recording: true });
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, environment: testEnvironment(1), ...options });
  return { manifest, storage };
}

// The journal is emptied first, so that no checkpoint that falls due lies between the counted calls; a checkpoint is no part of a commit.
async function oneByOne(inner: Storage, options: ManifestOptions): Promise<void> {
  const { manifest, storage } = await openCounted(inner, options);
  for (let i = 0; i < 3; i++) await manifest.begin().put(table, i, { team: "warm" }).commit();
  const changes = manifest.latestChangeSequence();
  for (let i = 0; i < 60; i++) {
    if (i % 6 === 0) await manifest.checkpoint();
    storage.reset();
    await manifest.begin().put(table, i, { team: `t${i}` }).commit();
    assertEquals(
      [storage.counts.write, storage.syncs, storage.counts.truncate, storage.counts.read],
      [1, 1, 0, 0],
      JSON.stringify(storage.calls),
    );
    const [write] = storage.calls.filter(({ kind }) => kind === "write");
    assert(write!.at % 4096 === 0 && write!.length === 8192, "one block and its parity");
  }
  assertEquals(manifest.latestChangeSequence(), changes + 60);
  assertEquals(manifest.stats().changes.latest, changes + 60);
  await manifest.close();
}

async function together(inner: Storage, options: ManifestOptions): Promise<void> {
  const { manifest, storage } = await openCounted(inner, options);
  await manifest.begin().put(table, 0, { team: "warm" }).commit();
  for (let round = 0; round < 3; round++) {
    storage.reset();
    const before = manifest.latestChangeSequence();
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) => manifest.begin().put(table, i, { team: `a team of round ${round}` }).commit()),
    );
    assert(storage.syncs <= 8, `round ${round}: 1000 commits cost ${storage.syncs} syncs, ${storage.counts.write} writes`);
    assertEquals(manifest.latestChangeSequence(), before + 1000);
    console.log(
      `round ${round}: 1000 commits together: ${storage.syncs} syncs, ${storage.counts.write} writes, ${storage.bytesWritten} bytes`,
    );
  }
  await manifest.close();
}

for (const syncMode of ["inline", "async"] as const) {
  test(`ManifestTxn.commit: one operation is exactly one write and one sync, ${syncMode}, in memory`, () =>
    oneByOne(new MemoryStorage(), { syncMode }));

  test(`ManifestTxn.commit: one operation is exactly one write and one sync, ${syncMode}, in a file`, () =>
    withFolder((folder) => oneByOne(openFile(join(folder, "m.waybill"), { create: true }), { syncMode })));

  test(`ManifestTxn.commit: 1,000 issued together cost at most 8 syncs, ${syncMode}, in memory`, () =>
    together(new MemoryStorage(), { syncMode }));

  test(`ManifestTxn.commit: 1,000 issued together cost at most 8 syncs, ${syncMode}, in a file`, () =>
    withFolder((folder) => together(openFile(join(folder, "m.waybill"), { create: true }), { syncMode })));
}

test("ManifestTxn.commit: with all defaults, 1,000 issued together cost at most 8 syncs", () =>
  withFolder(async (folder) => {
    const storage = new CountingStorage(openFile(join(folder, "m.waybill"), { create: true }));
    const manifest = await Manifest.open(storage, { create: true });
    await manifest.createTable(table);
    storage.reset();
    await Promise.all(Array.from({ length: 1000 }, (_, i) => manifest.begin().put(table, i, { team: `team ${i}` }).commit()));
    assert(storage.syncs <= 8, `${storage.syncs} syncs`);
    await manifest.close();
  }));
