// Errors of backups.
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { memoryFolder } from "../../../src/catalogs/files/mod.ts";
import type { Folder } from "../../../src/storage/folder.ts";
import { Manifest } from "../../../mod.ts";
import { on, type Provocations } from "./provocation.ts";

/** Paths of the records, oldest first. */
async function recordsIn(place: Folder): Promise<string[]> {
  const paths: string[] = [];
  for (const { name: number } of await place.list("backups")) {
    for (const { name } of await place.list(`backups/${number}`)) paths.push(`backups/${number}/${name}`);
  }
  return paths.sort();
}

async function backedUp(manifest: Manifest): Promise<{ place: Folder; backups: BackupStore; objects: string[] }> {
  const place = memoryFolder();
  const backups = await BackupStore.open(place, { create: true });
  await backups.backup({ manifest, fileSets: [] });
  const objects: string[] = [];
  for (const { name: directory } of await place.list("objects")) {
    for (const { name } of await place.list(`objects/${directory}`)) objects.push(`objects/${directory}/${name}`);
  }
  return { place, backups, objects };
}

export const BACKUP: Provocations = {
  BACKUP_DAMAGED: [
    on("an object that is shorter than its name says", async (manifest) => {
      const { place, backups, objects } = await backedUp(manifest);
      await place.remove(objects[0]!);
      await (await place.create(objects[0]!)).close();
      await backups.restore({ into: memoryFolder(), name: "restored" });
    }),
  ],
  BACKUP_INCOMPLETE: [
    on("the first record of two that is gone", async (manifest) => {
      const { place, backups } = await backedUp(manifest);
      await backups.backup({ manifest, fileSets: [] });
      const [first] = await recordsIn(place);
      await place.remove(first!);
      await place.removeDirectory(first!.slice(0, first!.lastIndexOf("/")));
      await backups.list();
    }),
    on("an object that is gone", async (manifest) => {
      const { place, backups, objects } = await backedUp(manifest);
      await place.remove(objects[0]!);
      await backups.restore({ into: memoryFolder(), name: "restored" });
    }),
  ],
  BACKUP_MISMATCH: [
    on("two first records in one folder", async (manifest) => {
      const { place, backups } = await backedUp(manifest);
      const other = await backedUp(manifest);
      const [theirs] = await recordsIn(other.place);
      const from = await other.place.open(theirs!);
      const bytes = new Uint8Array((await from.facts()).sizeBytes);
      await from.read(0, bytes);
      const [ours] = await recordsIn(place);
      if (theirs === ours) throw new Error("the two backups are one");
      await (await place.create(theirs!)).write(0, bytes);
      await backups.list();
    }),
    on("a manifest that was restored, into the folder it was restored from", async (manifest) => {
      const { backups } = await backedUp(manifest);
      const into = memoryFolder();
      const restored = await backups.restore({ into, name: "restored" });
      await using copy = await Manifest.open(into.storage(restored.manifest));
      await backups.backup({ manifest: copy, fileSets: [] });
    }),
  ],
};
