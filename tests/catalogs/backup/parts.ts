// What the tests of backups share: a manifest with a file set, folders as maps of bytes, and what a manifest holds as text.
import { TABLE_ID_COMMITS } from "../../../assembly/format.ts";
import { defineTable, Manifest, memoryStorage, type Table, text, u53 } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { encodedRows } from "../../../src/catalogs/backup/rows.ts";
import { FileSetCatalog, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { hexOf } from "../../../src/catalogs/files/digest.ts";
import { testEnvironment } from "../../support/environment.ts";

/** A table of the user. */
export const notes: Table<[name: string], { n: number }> = defineTable({ name: "notes", key: [text("name")], value: { n: u53() } });

/** Puts a file in a folder, with the directories on the way. */
export async function putFile(folder: Folder, path: string, content: string | Uint8Array): Promise<void> {
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) await folder.makeDirectory(path.slice(0, at));
  await folder.remove(path);
  const file = await folder.create(path);
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  if (bytes.length > 0) await file.write(0, bytes);
  await file.close();
}

/** A file's bytes. */
export async function fileBytes(folder: Folder, path: string): Promise<Uint8Array> {
  const file = await folder.open(path);
  const bytes = new Uint8Array((await file.facts()).sizeBytes);
  await file.read(0, bytes);
  await file.close();
  return bytes;
}

/** Every file below a directory, by path. */
export async function filesIn(folder: Folder, directory = ""): Promise<string[]> {
  const found: string[] = [];
  for (const { name, kind } of await folder.list(directory)) {
    const path = directory === "" ? name : `${directory}/${name}`;
    if (kind === "directory") found.push(...await filesIn(folder, path));
    else found.push(path);
  }
  return found.sort();
}

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
    await putFile(folder, path, content);
    set.push({ kind: "data", name: path.replace(/@\d+$/, ""), path });
  }
  return (await catalog.commit({ set })).version;
}

/** Opens what was restored. */
export async function openRestored(into: Folder, path: string): Promise<Manifest> {
  return await Manifest.open(into.storage(path), { environment: testEnvironment(99) });
}
