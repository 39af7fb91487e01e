/**
 * Verified, incremental backups of a manifest with its file sets: `@waybill/manifest/backup`.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
 * import { BackupStore } from "@waybill/manifest/backup";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const folder = memoryFolder(); // or fileFolder("data")
 * const catalog = await FileSetCatalog.open(manifest, folder);
 * const backups = await BackupStore.open(memoryFolder(), { create: true }); // or fileFolder("backup")
 * for (const path of ["data-1.sst", "data-2.sst"]) {
 *   const file = await folder.create(path);
 *   await file.write(0, new TextEncoder().encode(path));
 *   await file.close();
 *   await catalog.commit({ set: [{ kind: "data", name: path, path }] });
 *   const { number, files, filesCopied } = await backups.backup({ manifest, fileSets: [catalog] });
 *   console.log(number, files, filesCopied); // 1 1 1, then 2 2 1
 * }
 * console.log((await backups.verify()).ok); // true
 * ```
 *
 * @module
 */
export { type BackupInfo, type BackupOptions, BackupStore, type BackupStoreOptions } from "./backup_store.ts";
export type { BackupVerifyOptions, BackupWorkOptions, RestoreOptions } from "./backup_store.ts";
export type { ObjectFault } from "./objects.ts";
export type { BackupProgress } from "./progress.ts";
export type { RestoreReport } from "./restore.ts";
export type { BackupReport } from "./take.ts";
export type { BackupProblem, BackupVerifyReport } from "./verify.ts";
