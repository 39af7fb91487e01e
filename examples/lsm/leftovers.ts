// Deleting files: those that the catalog has removed and nobody reads, and those that a crash has left and no commit has ever named.
import type { FileRef, LsmCatalog } from "@waybill/manifest/lsm";
import type { Folder } from "@waybill/manifest/files";
import { LsmError } from "./error.ts";
import { listFiles, nameOf } from "./file_names.ts";
import { readSegment } from "./segment.ts";
import type { TableCache } from "./table_cache.ts";

/** Deletes files that the catalog has removed and no held version names; returns how many. */
export async function deleteObsolete(catalog: LsmCatalog, folder: Folder, tables: TableCache): Promise<number> {
  const files = await catalog.deletable();
  if (files.length === 0) return 0;
  for (const file of files) {
    if (file.kind === "sst") await tables.drop(file.id);
    await folder.remove(nameOf(file));
  }
  await folder.syncDirectory(""); // first they are gone for good, then they are forgotten
  await catalog.forget(files);
  return files.length;
}

/** Deletes files that no state of the catalog names and nobody is writing; returns how many. ORPHANS_REFUSED when opening the manifest has repaired what no crash leaves: opened again it is whole. */
export async function deleteOrphans(catalog: LsmCatalog, folder: Folder): Promise<number> {
  const { orphans } = await catalog.orphans(await listFiles(folder));
  return await remove(folder, orphans.map(({ file }) => file!));
}

/**
 * Deletes segments that no commit has named, before the engine is open; returns how many. A segment is made before the commit that names it, and gets entries only behind that: one that was never named is empty, or the
 * catalog is not of these files.
 */
export async function deleteUnnamedSegments(catalog: LsmCatalog, folder: Folder): Promise<number> {
  const unnamed = (await listFiles(folder)).filter(({ kind, id }) => kind === "wal" && id >= catalog.peekNextWalId());
  for (const { id } of unnamed) {
    if ((await readSegment(folder, id, true)).entries.length > 0) {
      throw new LsmError("DAMAGED", `Cannot open: the catalog does not know segment ${id}, which has entries`);
    }
  }
  return await remove(folder, unnamed);
}

async function remove(folder: Folder, files: readonly FileRef[]): Promise<number> {
  for (const file of files) await folder.remove(nameOf(file));
  if (files.length > 0) await folder.syncDirectory("");
  return files.length;
}
