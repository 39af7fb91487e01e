/**
 * The catalog of a log-structured merge tree: sorted tables in levels, write-ahead segments, versions that readers pin: `@waybill/manifest/lsm`.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { LsmCatalog } from "@waybill/manifest/lsm";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const catalog = await LsmCatalog.open(manifest);
 * const key = (text: string) => new TextEncoder().encode(text);
 * const [a, b] = await catalog.allocateSstIds(2);
 * await catalog.addSst({ id: a!, level: 1, minKey: key("a"), maxKey: key("f"), sizeBytes: 1 << 20 });
 * await catalog.applyCompaction({ added: [{ id: b!, level: 2, minKey: key("a"), maxKey: key("f") }], removed: [a!] });
 * for (const { level, ssts } of catalog.listLevels()) console.log(level, ssts); // 2 1
 * ```
 *
 * @module
 */
export { LsmCatalog, type LsmCatalogOptions, type LsmStats } from "./lsm_catalog.ts";
export { type Compaction, type FileRef, type Flush, LsmEdit } from "./edit.ts";
export { type LsmLevel, LsmReader, type ObsoleteFile, type OverlapQuery } from "./reader.ts";
export { LsmVersion, type PinOptions } from "./version.ts";
export { LsmTransaction } from "./transaction.ts";
export type { LsmOpening } from "./rebuild.ts";
export type { FoundFile, OrphanDoubt, OrphanOptions, OrphanReport } from "./orphans.ts";
export type { Sst, SstInput } from "./sst.ts";
export {
  type FileKind,
  type LevelRecord,
  lsmLevels,
  lsmObsolete,
  lsmRanges,
  lsmSsts,
  type LsmStateRecord,
  lsmStates,
  lsmWals,
  type ObsoleteRecord,
  type SstRecord,
  type WalRecord,
} from "./tables.ts";
export { type CatalogKind, type CatalogRecord, catalogs, type CatalogSummary, listCatalogs } from "../catalog.ts";
