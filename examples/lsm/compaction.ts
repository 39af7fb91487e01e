// Leveled compaction: in level 0 tables overlap, in each level below they do not. A compaction merges some tables of a level with those below that they overlap.
import type { LsmCatalog, LsmReader, Sst, SstInput } from "@waybill/manifest/lsm";
import type { Folder } from "@waybill/manifest/files";
import { compareKeys } from "./bytes.ts";
import type { Entry } from "./entry.ts";
import { merge } from "./merge.ts";
import type { Sizes } from "./options.ts";
import { TableWriter } from "./sorted_table.ts";
import type { TableCache } from "./table_cache.ts";

/** Tables to merge, and where the result goes. */
export interface CompactionPlan {
  readonly inputs: readonly Sst[];
  readonly level: number;
}

function rangeOf(ssts: readonly Sst[]): { from: Uint8Array; to: Uint8Array } {
  let { minKey: from, maxKey: to } = ssts[0]!;
  for (const { minKey, maxKey } of ssts) {
    if (compareKeys(minKey, from) < 0) from = minKey;
    if (compareKeys(maxKey, to) > 0) to = maxKey;
  }
  return { from, to };
}

/** What is to be compacted next; undefined: nothing. `always`: whatever there is above the lowest level, whatever the sizes. */
export function planCompaction(catalog: LsmReader, sizes: Sizes, always = false): CompactionPlan | undefined {
  const levels = catalog.listLevels();
  const lowest = levels.at(-1)?.level ?? 0;
  for (const { level, ssts, sizeBytes } of levels) {
    const full = level === 0 ? ssts >= sizes.levelZeroTables : sizeBytes > sizes.levelBytes * 10 ** (level - 1);
    if (!full && !(always && level < Math.max(lowest, 1))) continue;
    const tables = catalog.listSsts({ level });
    const upper = level === 0 ? tables : [tables.reduce((oldest, sst) => sst.id < oldest.id ? sst : oldest)];
    const lower = catalog.overlapping({ ...rangeOf(upper), levels: [level + 1] });
    return { inputs: [...upper, ...lower], level: level + 1 };
  }
  return undefined;
}

/** Merges tables, and exchanges them for the result in one commit. */
export async function compact(
  catalog: LsmCatalog,
  folder: Folder,
  tables: TableCache,
  { inputs, level }: CompactionPlan,
  sizes: Sizes,
): Promise<void> {
  const removed = inputs.map(({ id }) => id);
  if (inputs.length === 1) { // nothing below it: only its level changes
    await catalog.applyCompaction({ added: [{ ...inputs[0]!, level }], removed });
    return;
  }
  // What was deleted need not be told any more when no older entry of these keys can be further below.
  const range = rangeOf(inputs);
  const bottom = !catalog.listLevels().some((below) =>
    below.level > level && catalog.overlapping({ ...range, levels: [below.level] }).length > 0
  );
  const sources = await Promise.all(inputs.map(async (sst) => (await tables.get(sst)).entries()));
  const added = await writeTables(catalog, folder, merge(sources), bottom, sizes);
  await catalog.applyCompaction({ added: added.map((sst) => ({ ...sst, level })), removed });
}

/** Writes entries to tables, which a commit may name then. */
async function writeTables(
  catalog: LsmCatalog,
  folder: Folder,
  entries: AsyncIterable<Entry>,
  bottom: boolean,
  sizes: Sizes,
): Promise<SstInput[]> {
  const written: SstInput[] = [];
  let writer: TableWriter | undefined;
  try {
    const finish = async (): Promise<void> => {
      if (writer === undefined) return;
      written.push(await writer.finish());
      await writer.close();
      writer = undefined;
    };
    for await (const entry of entries) {
      if (bottom && entry.value === undefined) continue;
      writer ??= await TableWriter.create(folder, await catalog.allocateSstId(), sizes.blockBytes);
      await writer.add(entry);
      if (writer.sizeBytes >= sizes.tableBytes) await finish();
    }
    await finish();
  } finally {
    await writer?.close();
  }
  if (written.length > 0) await folder.syncDirectory("");
  return written;
}
