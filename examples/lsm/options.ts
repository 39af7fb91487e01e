// What an engine is opened with.
import type { Folder } from "@waybill/manifest/files";
import type { Manifest } from "@waybill/manifest";

/** Sizes at which things happen. */
export interface Sizes {
  /** A memtable of so many bytes is frozen and flushed. */
  memtableBytes: number;
  /** About so long is a block of a table. */
  blockBytes: number;
  /** About so long is a table that a compaction writes. */
  tableBytes: number;
  /** So many tables in level 0 are compacted. */
  levelZeroTables: number;
  /** Level 1 is compacted above so many bytes, each further one above ten times as many. */
  levelBytes: number;
}

/** The usual ones. */
export const SIZES: Sizes = { memtableBytes: 1 << 20, blockBytes: 4096, tableBytes: 2 << 20, levelZeroTables: 4, levelBytes: 10 << 20 };

/** What an engine is opened with. */
export interface EngineOptions extends Partial<Sizes> {
  /** Keeps the catalog. Whoever has it open for writing is the only engine on the folder. */
  manifest: Manifest;
  /** Holds the files of the engine, and nothing else is in it. */
  folder: Folder;
  /** Flushes and compacts when the sizes say so. Default true; else only when asked to. */
  automatic?: boolean;
}
