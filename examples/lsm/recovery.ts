// Opening: what a crash has left is deleted, what the segments hold goes into a table, and a new segment begins.
//
// Everything that counts happens in one commit: the table in, the segments out, the log sequence number forward, the new segment active. Before it nothing that is named has changed; a crash anywhere leaves the work to the
// next opening. No segment is ever appended to again, so a torn end is never written behind.
import type { LsmCatalog, SstInput } from "@waybill/manifest/lsm";
import type { Folder } from "@waybill/manifest/files";
import { LsmError } from "./error.ts";
import { nameOf } from "./file_names.ts";
import { deleteObsolete, deleteOrphans, deleteUnnamedSegments } from "./leftovers.ts";
import { Memtable } from "./memtable.ts";
import { readSegment, SegmentWriter } from "./segment.ts";
import { TableWriter } from "./sorted_table.ts";
import type { TableCache } from "./table_cache.ts";

/** What opening has found. */
export interface RecoveryReport {
  /** Entries that were only in segments. */
  readonly replayed: number;
  /** Whether the newest segment ended in something that is no whole record. */
  readonly torn: boolean;
  /** Files deleted that no commit named. */
  readonly orphans: number;
}

/** Brings the files in order; returns the new active segment. */
export async function recover(
  catalog: LsmCatalog,
  folder: Folder,
  tables: TableCache,
  blockBytes: number,
): Promise<{ segment: SegmentWriter; lastLsn: number; report: RecoveryReport }> {
  await folder.makeDirectory("");
  await checkTables(catalog, folder);
  const { memtable, segments, torn, entries } = await replay(catalog, folder);
  // All that the catalog names is there, and the log goes on from it: what it does not name is nobody's.
  const orphans = await deleteUnnamedSegments(catalog, folder) + await deleteOrphans(catalog, folder);
  const segment = await SegmentWriter.create(folder, catalog.peekNextWalId());
  const edit = catalog.edit().setActiveWal(segment.id);
  const sst = await flushMemtable(catalog, folder, memtable, blockBytes);
  await edit.flush({ sst: sst === undefined ? [] : [sst], wal: segments, lsn: memtable.maxLsn }).commit();
  await makeDurable(catalog);
  await deleteObsolete(catalog, folder, tables);
  return { segment, lastLsn: catalog.getLastLsn(), report: { replayed: entries, torn, orphans } };
}

/** Waits until a segment is named durably: before, nothing in it is. */
export async function makeDurable({ manifest }: LsmCatalog): Promise<void> {
  if (manifest.durability().mode !== "sync") await manifest.sync();
}

/** Writes a memtable to a table, which a commit may name then; undefined when there is nothing in it. */
export async function flushMemtable(
  catalog: LsmCatalog,
  folder: Folder,
  memtable: Memtable,
  blockBytes: number,
): Promise<SstInput | undefined> {
  if (memtable.entries.length === 0) return undefined;
  const writer = await TableWriter.create(folder, await catalog.allocateSstId(), blockBytes);
  try {
    for (const entry of memtable.entries) await writer.add(entry);
    const sst = await writer.finish();
    await folder.syncDirectory("");
    return sst;
  } finally {
    await writer.close();
  }
}

/** Every table that the catalog names is there, and as long as it says. */
async function checkTables(catalog: LsmCatalog, folder: Folder): Promise<void> {
  for (const { id, sizeBytes } of catalog.listSsts()) {
    const found = await folder.facts(nameOf({ kind: "sst", id }));
    if (found?.sizeBytes !== sizeBytes) {
      throw new LsmError("DAMAGED", `Cannot open: table ${id} ${found === undefined ? "is missing" : "has another length"}`);
    }
  }
}

/** Reads what is only in segments. Log sequence numbers go on from the catalog's without a gap: a missing one would be a write that was lost. */
async function replay(
  catalog: LsmCatalog,
  folder: Folder,
): Promise<{ memtable: Memtable; segments: number[]; torn: boolean; entries: number }> {
  const active = catalog.getActiveWal();
  const segments = [...catalog.getFrozenWals(), ...catalog.getRetiredWals(), ...active === 0 ? [] : [active]].sort((a, b) => a - b);
  const memtable = new Memtable(0);
  let next = catalog.getLastLsn() + 1, torn = false, entries = 0;
  for (const id of segments) {
    if (torn) throw new LsmError("DAMAGED", `Cannot open: a segment before ${id} ends in a damaged record`);
    const content = await readSegment(folder, id);
    for (const entry of content.entries) {
      if (entry.lsn !== next) throw new LsmError("DAMAGED", `Cannot open: segment ${id} goes on with write ${entry.lsn}, not ${next}`);
      next++;
      entries++;
      memtable.put(entry);
    }
    torn = content.torn;
  }
  return { memtable, segments, torn, entries };
}
