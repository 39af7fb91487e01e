// What the tests of backups share: a manifest with a file set, folders as maps of bytes, and what a manifest holds as text.
import { TABLE_ID_COMMITS } from "../../../assembly/format.ts";
import { defineTable, Manifest, memoryStorage, type Table, text, u53 } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { recordDirectory, type RecordName, recordPath } from "../../../src/catalogs/backup/names.ts";
import { encodedRows } from "../../../src/catalogs/backup/rows.ts";
import { FileSetCatalog, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { hexOf } from "../../../src/catalogs/files/digest.ts";
import { testEnvironment } from "../../support/environment.ts";
import { replaceFile } from "../files/parts.ts";

export { fileBytes, filesIn, replaceFile as putFile } from "../files/parts.ts";

/** A table of the user. */
export const notes: Table<[name: string], { n: number }> = defineTable({ name: "notes", key: [text("name")], value: { n: u53() } });

/** Every row of the newest state, as text, but for commit ids, of which a restored manifest has those of the restore besides: two manifests with equal lists hold the same. */
export function rowsOf(manifest: Manifest): string[] {
  using view = manifest.read();
  return [...encodedRows(view)].flat().filter((row) => new DataView(row.buffer).getUint32(0, true) !== TABLE_ID_COMMITS).map(hexOf);
}

/** A manifest with a file set in memory, and a place for backups. */
export interface Scene {
  readonly manifest: Manifest;
  readonly folder: Folder;
  readonly catalog: FileSetCatalog;
  readonly place: Folder;
  readonly backups: BackupStore;
}

/** Makes one; everything follows from the seed. */
export async function scene(seed: number, place: Folder = memoryFolder()): Promise<Scene> {
  const environment = testEnvironment(seed);
  const manifest = await Manifest.open(memoryStorage(), { create: true, environment });
  const folder = memoryFolder();
  const catalog = await FileSetCatalog.open(manifest, folder, { environment });
  const backups = await BackupStore.open(place, { create: true, environment });
  return { manifest, folder, catalog, place, backups };
}

/** Commits a version that sets names to new files of these contents. */
export async function commitFiles({ folder, catalog }: Scene, files: Readonly<Record<string, string>>): Promise<number> {
  const set: { kind: string; name: string; path: string }[] = [];
  for (const [path, content] of Object.entries(files)) {
    await replaceFile(folder, path, content);
    set.push({ kind: "data", name: path.replace(/@\d+$/, ""), path });
  }
  return (await catalog.commit({ set })).version;
}

/** Opens what was restored. */
export async function openRestored(into: Folder, path: string): Promise<Manifest> {
  return await Manifest.open(into.storage(path), { environment: testEnvironment(99) });
}

/** Removes a record with its directory. */
export async function removeRecord(place: Folder, name: RecordName): Promise<void> {
  await place.remove(recordPath(name));
  await place.removeDirectory(recordDirectory(name.number)).catch(() => {}); // another one may lie there
}
