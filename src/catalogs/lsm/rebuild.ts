// A catalog whose rows have come from another history: a manifest that was restored or salvaged.
//
// A salvage loses rows, of any table. What follows from the sorted tables' rows is made anew, so that no query is wrong in silence; what is lost with the scalars goes on far behind everything that is left. What the
// sorted tables' rows themselves have lost nobody can tell here: the catalog stays marked as foreign until the engine says that it is right, and tells no orphans meanwhile.
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { compareBytes } from "../../manifest/read/bounds.ts";
import { hasFileName } from "./names.ts";
import {
  fileNameKey,
  indexKey,
  type LevelRecord,
  lsmLevels,
  lsmNames,
  lsmObsolete,
  lsmRanges,
  lsmSsts,
  type LsmStateRecord,
  lsmStates,
  lsmWals,
  newState,
  type SstRecord,
} from "./tables.ts";

/** Numbers go on so far behind the greatest one that is left: further than a process hands out between two commits that survive. */
const FAR = 2 ** 32;

/** What opening has found of a catalog. */
export interface LsmOpening {
  /** It was made now. */
  readonly created: boolean;
  /** Its rows have come from another history of the manifest, by a restore or a salvage, and `acceptHistory` was not called since. */
  readonly foreign: boolean;
  /** Its scalars were lost: ids and the log sequence number go on far behind what is left, the active segment is not known. */
  readonly stateLost: boolean;
  /** Rows of the index and of the levels' sums that were made anew. */
  readonly rowsRebuilt: number;
}

/** Makes what follows from the sorted tables anew, and takes the history for the catalog's own. */
export function rebuild(txn: Transaction, name: string, historyId: string): LsmOpening {
  const prefix = [name] as const;
  const ssts = txn.range(lsmSsts, { prefix }).toArray().map(([[, id], record]): [number, SstRecord] => [id, record]);
  const found = txn.get(lsmStates, name);
  const state = found ?? lostState(txn, name, ssts);
  const { length } = txn;
  rebuildRanges(txn, name, ssts);
  rebuildLevels(txn, name, ssts);
  rebuildNames(txn, name, ssts);
  // What is named is not obsolete: a salvage of every page may have found both.
  for (const [[, kind, id], { fileName }] of txn.range(lsmObsolete, { prefix }).toArray()) {
    const named = kind === "sst" ? txn.has(lsmSsts, [name, id]) : id === state.activeWal || txn.has(lsmWals, [name, id]);
    if (!named && (fileName === undefined || !hasFileName(txn, name, fileName))) continue;
    txn.delete(lsmObsolete, [name, kind, id]);
    if (!named && fileName !== undefined) txn.delete(lsmNames, [name, fileNameKey(fileName), id]);
  }
  const rowsRebuilt = txn.length - length;
  const nextSstId = ssts.reduce((next, [id]) => Math.max(next, id + 1), state.nextSstId);
  txn.put(lsmStates, name, { ...state, nextSstId, edit: state.edit + 1, historyId, foreign: true });
  return { created: false, foreign: true, stateLost: found === undefined, rowsRebuilt };
}

/** Whether there are rows of a catalog of this name. */
export function hasRows(txn: Transaction, name: string): boolean {
  const prefix = [name] as const;
  return txn.has(lsmStates, name) || txn.count(lsmSsts, { prefix }) > 0 || txn.count(lsmWals, { prefix }) > 0 ||
    txn.count(lsmObsolete, { prefix }) > 0;
}

/** Scalars that are certainly not behind those that were lost. */
function lostState(txn: Transaction, name: string, ssts: readonly [id: number, record: SstRecord][]): LsmStateRecord {
  const state = newState("");
  let sst = 0, wal = 0, lsn = 0, edit = 0;
  for (const [id, { since, minLsn = 0, maxLsn = minLsn }] of ssts) {
    sst = Math.max(sst, id);
    lsn = Math.max(lsn, maxLsn);
    edit = Math.max(edit, since);
  }
  for (const [[, id], { since }] of txn.range(lsmWals, { prefix: [name] })) {
    wal = Math.max(wal, id);
    edit = Math.max(edit, since);
  }
  for (const [[, kind, id], { removedAt }] of txn.range(lsmObsolete, { prefix: [name] })) {
    if (kind === "sst") sst = Math.max(sst, id);
    else wal = Math.max(wal, id);
    edit = Math.max(edit, removedAt);
  }
  return { ...state, nextSstId: sst + FAR, nextWalId: wal + FAR, lastLsn: lsn + FAR, edit: edit + FAR };
}

function rebuildRanges(txn: Transaction, name: string, ssts: readonly [id: number, record: SstRecord][]): void {
  const wanted = new Map(ssts);
  for (const [, level, beginning, id] of txn.keys(lsmRanges, { prefix: [name] }).toArray()) {
    const record = wanted.get(id);
    if (record !== undefined && record.level === level && compareBytes(indexKey(record.minKey), beginning) === 0) wanted.delete(id);
    else txn.delete(lsmRanges, [name, level, beginning, id]);
  }
  for (const [id, { level, minKey }] of wanted) txn.put(lsmRanges, [name, level, indexKey(minKey), id], {});
}

function rebuildNames(txn: Transaction, name: string, ssts: readonly [id: number, record: SstRecord][]): void {
  const wanted = new Map(txn.range(lsmObsolete, { prefix: [name, "sst"] }).toArray().map(([[, , id], { fileName }]) => [id, fileName]));
  for (const [id, { fileName }] of ssts) wanted.set(id, fileName);
  for (const [, beginning, id] of txn.keys(lsmNames, { prefix: [name] }).toArray()) {
    const fileName = wanted.get(id);
    if (fileName !== undefined && compareBytes(fileNameKey(fileName), beginning) === 0) wanted.delete(id);
    else txn.delete(lsmNames, [name, beginning, id]);
  }
  for (const [id, fileName] of wanted) if (fileName !== undefined) txn.put(lsmNames, [name, fileNameKey(fileName), id], {});
}

function rebuildLevels(txn: Transaction, name: string, ssts: readonly [id: number, record: SstRecord][]): void {
  const levels = new Map<number, LevelRecord>();
  const ends = new Map<number, Uint8Array>();
  const sorted = [...ssts].sort((a, b) => compareBytes(a[1].minKey, b[1].minKey) || a[0] - b[0]);
  for (const [, { level, minKey, maxKey, sizeBytes, entries }] of sorted) {
    const sum = levels.get(level) ?? { ssts: 0, sizeBytes: 0, entries: 0, overlapping: level === 0 };
    const end = ends.get(level);
    if (end !== undefined && compareBytes(end, minKey) >= 0) sum.overlapping = true;
    if (end === undefined || compareBytes(end, maxKey) < 0) ends.set(level, maxKey);
    levels.set(level, {
      ssts: sum.ssts + 1,
      sizeBytes: sum.sizeBytes + sizeBytes,
      entries: sum.entries + entries,
      overlapping: sum.overlapping,
    });
  }
  for (const [[, level], kept] of txn.range(lsmLevels, { prefix: [name] }).toArray()) {
    const sum = levels.get(level);
    if (sum === undefined) txn.delete(lsmLevels, [name, level]);
    else if (
      sum.ssts === kept.ssts && sum.sizeBytes === kept.sizeBytes && sum.entries === kept.entries && sum.overlapping === kept.overlapping
    ) levels.delete(level);
  }
  for (const [level, sum] of levels) txn.put(lsmLevels, [name, level], sum);
}
