// A file that is renamed, removed or replaced while it is open: nothing is acknowledged that nobody could find again.
import { assertEquals } from "@std/assert";
import { existsSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DurabilityMode, isManifestError, Manifest } from "../../mod.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

const MOVES: Readonly<Record<string, (path: string) => void>> = {
  renamed: (path) => renameSync(path, `${path}.moved`),
  removed: (path) => unlinkSync(path),
  replaced: (path) => {
    renameSync(path, `${path}.moved`);
    writeFileSync(path, "another");
  },
};

async function codeOf(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
    return "done";
  } catch (error) {
    return isManifestError(error) ? [error.code, error.outcome] : error;
  }
}

async function checkMove(how: string, durability: DurabilityMode, action: (manifest: Manifest) => Promise<unknown>): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "m.waybill");
    const manifest = await Manifest.open(path, { create: true, idleCheckpoint: 0, durability });
    await manifest.begin().putDb(1, { name: "before" }).commit();
    await manifest.sync();
    MOVES[how]!(path);
    assertEquals(await codeOf(() => action(manifest)), ["FILE_MOVED", "not_applied"], how);
    assertEquals(await codeOf(() => manifest.begin().putDb(3, { name: "later" }).commit()), ["READ_ONLY", "not_applied"], how);
    assertEquals(manifest.getDb(1)?.name, "before");
    await manifest.close();
    if (!existsSync(`${path}.moved`)) return;
    const moved = await Manifest.open(`${path}.moved`);
    assertEquals([moved.getDb(1)?.name, moved.getDb(2), moved.getDb(3)], ["before", undefined, undefined], how);
    await moved.close();
  });
}

test("Manifest.commit: a file that was moved while it was open is FILE_MOVED, and holds what was acknowledged", async () => {
  for (const how of Object.keys(MOVES)) await checkMove(how, "sync", (manifest) => manifest.begin().putDb(2, { name: "after" }).commit());
});

test("Manifest.checkpoint: so is it with durability none, before anything is called durable", async () => {
  for (const how of Object.keys(MOVES)) {
    await checkMove(how, "none", async (manifest) => {
      await manifest.begin().putDb(2, { name: "after" }).commit();
      await manifest.checkpoint();
    });
  }
});

test("Manifest.sync: so is it with durability relaxed", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "m.waybill");
    const manifest = await Manifest.open(path, { create: true, idleCheckpoint: 0, durability: "relaxed" });
    await manifest.begin().putDb(1, { name: "before" }).commit();
    unlinkSync(path);
    await manifest.begin().putDb(2, { name: "after" }).commit();
    assertEquals(await codeOf(() => manifest.sync()), ["FILE_MOVED", "not_applied"]);
    await manifest.close();
  });
});
