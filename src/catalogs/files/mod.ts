/**
 * Sets of files that change atomically, by versions: `@waybill/manifest/files`. Each file is digested and synced before the version that names it commits; old versions stay readable until they are pruned.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FileSetCatalog, memoryFolder } from "@waybill/manifest/files";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const folder = memoryFolder(); // or fileFolder("data")
 * const catalog = await FileSetCatalog.open(manifest, folder);
 * for (const path of ["data-1.sst", "data-2.sst"]) {
 *   await (await folder.create(path)).close();
 *   await catalog.commit({ set: [{ kind: "data", name: "main", path }] });
 * }
 * console.log(catalog.diff(1, 2).changed.length, (await catalog.verify()).ok); // 1 true
 * const { dropped, deleted } = await catalog.prune(1);
 * console.log(dropped, deleted); // [ 1 ] 1
 * ```
 *
 * @module
 */
export { FileSetCatalog, type VersionReceipt } from "./file_set_catalog.ts";
export type { FileChanges, RemoveFile, SetFile } from "./changes.ts";
export type { FileSetCheck } from "./check.ts";
export type { ChangedFile, FileSetDiff } from "./diff.ts";
export { FILE_KINDS, type FileKind } from "./names.ts";
export type { CommitVersionOptions, FileSetOptions, FileWorkOptions, OrphanOptions, VerifyOptions } from "./options.ts";
export type { KeptFile, OrphanRemoval } from "./orphan_removal.ts";
export type { NestedKind, NestedStore } from "./nested_stores.ts";
export type { OrphanFile, OrphanReport, UnsafeName } from "./orphans.ts";
export { FileSetPin, type PinInfo, type PinRequest } from "./pins.ts";
export { PreparedCommit } from "./prepare.ts";
export type { FileProgress } from "./progress.ts";
export type { PruneReport, UndeletedFile } from "./prune.ts";
export type { CommittedVersion } from "./stage.ts";
export { type CondemnedFile, FileSetState, type FileSetStats } from "./state.ts";
export type { DigestAlgorithm } from "./tables.ts";
export type { DamagedFile, FileProblem, VerifyReport } from "./verify.ts";
export { type EntryOptions, type FileEntry, FileSetVersion, type StoredFile, type VersionInfo } from "./version.ts";
export { fileFolder } from "../../storage/file_folder.ts";
export { type FolderClock, memoryFolder } from "../../storage/memory_folder.ts";
export type { EntryKind, FileFacts, Folder, FolderEntry, FolderFile } from "../../storage/folder.ts";
