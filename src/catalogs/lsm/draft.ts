// A draft: one commit of a catalog in the making. Operations change it one after the other, in memory, over what the transaction reads; `finish` puts what differs.
//
// Invariants: nothing is written before everything is known to be possible; a draft that changes nothing writes nothing. A file that was named and is not any more goes to the obsolete files in the same commit, unless
// the same commit names it again, be it under another id. The rules of tables.ts hold behind every draft.
import { fail, failLimit, failRange, failType } from "../../errors.ts";
import { compareBytes } from "../../manifest/read/bounds.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { idsOfFileName } from "./names.ts";
import { overlappingIn } from "./overlap.ts";
import { stateOf } from "./reader.ts";
import type { FileRef } from "./edit.ts";
import { overlaps, recordOf, sameRecord, type Sst } from "./sst.ts";
import {
  type FileKind,
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
  type ObsoleteRecord,
  type SstRecord,
  type WalRecord,
} from "./tables.ts";

/** A row as the transaction found it and as it is to be; undefined: none. */
interface Row<V> {
  readonly before: V | undefined;
  now: V | undefined;
}

/** Rows of one table by id, read when they are first asked for. */
class Rows<V> {
  readonly all = new Map<number, Row<V>>();
  readonly #read: (id: number) => V | undefined;

  constructor(read: (id: number) => V | undefined) {
    this.#read = read;
  }

  of(id: number): Row<V> {
    let row = this.all.get(id);
    if (row === undefined) {
      const before = this.#read(id);
      this.all.set(id, row = { before, now: before });
    }
    return row;
  }
}

/** One commit in the making. */
export class Draft {
  /** Files that it has named, or that were named and that it takes out: whoever wrote them is done. */
  readonly named: FileRef[] = [];
  /** The scalars, as they are to be. */
  readonly state: LsmStateRecord;
  readonly #txn: Transaction;
  readonly #name: string;
  readonly #disjoint: boolean;
  readonly #before: LsmStateRecord;
  /** The number of this edit, if it changes anything. */
  readonly #edit: number;
  readonly #ssts: Rows<SstRecord>;
  readonly #wals: Rows<WalRecord>;
  readonly #obsolete: Readonly<Record<FileKind, Rows<ObsoleteRecord>>>;

  /** Over what `txn` reads. With `disjoint` no two tables of a level from 1 on may overlap. */
  constructor(txn: Transaction, name: string, disjoint: boolean) {
    this.#txn = txn;
    this.#name = name;
    this.#disjoint = disjoint;
    this.#before = stateOf(txn, name);
    this.state = { ...this.#before };
    this.#edit = this.#before.edit + 1;
    this.#ssts = new Rows((id) => txn.get(lsmSsts, [name, id]));
    this.#wals = new Rows((id) => txn.get(lsmWals, [name, id]));
    this.#obsolete = {
      sst: new Rows((id) => txn.get(lsmObsolete, [name, "sst", id])),
      wal: new Rows((id) => txn.get(lsmObsolete, [name, "wal", id])),
    };
  }

  // ---- scalars ----------------------------------------------------------------------------------------------

  /** Takes `count` ids; returns the first one. */
  allocateSstIds(count: number): number {
    const first = this.state.nextSstId;
    const next = first + count;
    if (!Number.isSafeInteger(next)) failLimit("Cannot allocate sorted table ids: there are not so many left", { field: "count" });
    this.state.nextSstId = next;
    return first;
  }

  /** Raises the greatest log sequence number. */
  raiseLsn(lsn: number): void {
    this.state.lastLsn = Math.max(this.state.lastLsn, lsn);
  }

  // ---- sorted tables ----------------------------------------------------------------------------------------

  /** Adds a table, unless it is there. */
  addSst(sst: Sst): void {
    const { id, fileName } = sst;
    const row = this.#ssts.of(id);
    if (row.now !== undefined) return;
    const obsolete = this.#obsolete.sst.of(id);
    if (obsolete.before !== undefined) this.#condemned("sst", id);
    if (obsolete.now !== undefined && obsolete.now.fileName !== fileName) {
      failType(`Cannot add the sorted table ${id}: the same commit has removed it with another file`, { field: "fileName" });
    }
    row.now = recordOf(sst, obsolete.now?.since ?? this.#edit);
    obsolete.now = undefined;
    this.named.push({ kind: "sst", id });
    this.state.nextSstId = Math.max(this.state.nextSstId, id + 1);
  }

  /** Removes a table, if it is there. */
  removeSst(id: number): void {
    const row = this.#ssts.of(id);
    if (row.now === undefined) return;
    const { since, sizeBytes, fileName } = row.now;
    this.named.push({ kind: "sst", id });
    this.#obsolete.sst.of(id).now = { since, removedAt: this.#edit, sizeBytes, ...fileName === undefined ? {} : { fileName } };
    row.now = undefined;
  }

  // ---- write-ahead segments -----------------------------------------------------------------------------------

  /** Makes a segment the active one; the former one is retired unless it is frozen. */
  setActiveWal(wal: number): void {
    const { state } = this;
    const { activeWal } = state;
    const since = this.#nameWal(wal);
    this.#wals.of(wal).now = undefined;
    if (activeWal === wal) return;
    if (activeWal !== undefined) this.#wals.of(activeWal).now ??= { state: "retired", since: state.activeSince! };
    state.activeWal = wal;
    state.activeSince = since;
  }

  /** Freezes the active segment and makes another one active. */
  rotateWal(wal: number): void {
    const { activeWal } = this.state;
    if (activeWal === wal) failRange(`Cannot rotate the write-ahead log: segment ${wal} is the active one`, { field: "wal", value: wal });
    if (activeWal !== undefined) this.addFrozenWal(activeWal);
    this.setActiveWal(wal);
  }

  /** Puts a segment among the frozen ones, unless it is there. */
  addFrozenWal(wal: number): void {
    const since = this.#nameWal(wal);
    const row = this.#wals.of(wal);
    if (row.now?.state !== "frozen") row.now = { state: "frozen", since };
  }

  /** Takes a segment from the frozen ones, if it is there. */
  removeFrozenWal(wal: number): void {
    if (this.#wals.of(wal).now?.state === "frozen") this.#dropWal(wal);
  }

  /** Takes out a segment that is frozen or retired: what it held is in tables now. */
  flushWal(wal: number): void {
    if (this.state.activeWal === wal) failRange(`Cannot flush segment ${wal}: it is the active one`, { field: "wal", value: wal });
    this.#dropWal(wal);
  }

  #dropWal(wal: number): void {
    const row = this.#wals.of(wal);
    if (row.now === undefined) return;
    this.named.push({ kind: "wal", id: wal });
    if (this.state.activeWal !== wal) this.#obsolete.wal.of(wal).now = { since: row.now.since, removedAt: this.#edit, sizeBytes: 0 };
    row.now = undefined;
  }

  /** Notes that a segment is named; returns the first edit that does. */
  #nameWal(wal: number): number {
    const { state } = this;
    const obsolete = this.#obsolete.wal.of(wal);
    if (obsolete.before !== undefined) this.#condemned("wal", wal);
    const since = obsolete.now?.since ?? this.#wals.of(wal).now?.since ?? (state.activeWal === wal ? state.activeSince! : this.#edit);
    obsolete.now = undefined;
    this.named.push({ kind: "wal", id: wal });
    state.nextWalId = Math.max(state.nextWalId, wal + 1);
    return since;
  }

  // ---- obsolete files -----------------------------------------------------------------------------------------

  /** Forgets a file that was removed, if it is kept as such. */
  forget(kind: FileKind, id: number): void {
    const row = this.#obsolete[kind].of(id);
    if (row.now === undefined) return;
    this.named.push({ kind, id });
    row.now = undefined;
  }

  #condemned(kind: FileKind, id: number): never {
    fail("OBJECT_CONDEMNED", `Cannot name the file: ${kind} ${id} was removed and is being deleted`, {
      detail: { catalog: this.#name, [kind]: id },
    });
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  /** Puts what differs. LEVEL_OVERLAP when tables would overlap that must not; EXISTS when two tables would have one file. */
  finish(): void {
    this.#settleNames();
    const levels = this.#levels();
    const txn = this.#txn;
    const name = this.#name;
    const { length } = txn;
    this.#putSsts();
    this.#putNames();
    for (const [level, record] of levels) {
      if (record.ssts === 0) txn.delete(lsmLevels, [name, level]);
      else txn.put(lsmLevels, [name, level], record);
    }
    for (const [wal, { before, now }] of this.#wals.all) {
      if (now === undefined) before !== undefined && txn.delete(lsmWals, [name, wal]);
      else if (before?.state !== now.state || before.since !== now.since) txn.put(lsmWals, [name, wal], now);
    }
    for (const kind of ["sst", "wal"] as const) {
      for (const [id, { before, now }] of this.#obsolete[kind].all) {
        if (now === undefined) before !== undefined && txn.delete(lsmObsolete, [name, kind, id]);
        else if (now !== before) txn.put(lsmObsolete, [name, kind, id], now);
      }
    }
    const { state } = this;
    const names = Object.keys(state) as (keyof LsmStateRecord)[];
    if (txn.length === length && names.every((field) => state[field] === this.#before[field])) return;
    txn.put(lsmStates, name, { ...state, edit: this.#edit });
  }

  #putSsts(): void {
    const txn = this.#txn;
    const name = this.#name;
    const added: [id: number, record: SstRecord][] = [];
    for (const [id, { before, now }] of this.#ssts.all) {
      if (now !== undefined && before !== undefined && sameRecord(before, now)) continue;
      if (now !== undefined) {
        txn.put(lsmSsts, [name, id], now);
        added.push([id, now]);
      } else if (before !== undefined) txn.delete(lsmSsts, [name, id]);
      if (before !== undefined) txn.delete(lsmRanges, [name, before.level, indexKey(before.minKey), id]);
    }
    for (const [id, { level, minKey }] of added) txn.put(lsmRanges, [name, level, indexKey(minKey), id], {});
  }

  /** A file name has one row. A file that one table gives up and another gets has moved: it was named since the first one had it, and is not obsolete. */
  #settleNames(): void {
    const names = new Map<string, { got: number[]; gone: number[] }>();
    const of = (fileName: string): { got: number[]; gone: number[] } => {
      let ids = names.get(fileName);
      if (ids === undefined) names.set(fileName, ids = { got: [], gone: [] });
      return ids;
    };
    for (const [id, { before, now }] of this.#ssts.all) {
      if (now?.fileName !== undefined && now.fileName !== before?.fileName) of(now.fileName).got.push(id);
    }
    const obsolete = this.#obsolete.sst;
    for (const [id, { before, now }] of obsolete.all) {
      if (before === undefined && now?.fileName !== undefined) of(now.fileName).gone.push(id);
    }
    for (const [fileName, { got, gone }] of names) {
      if (got.length > 0) this.#assertFree(fileName, got);
      const rest = got.length > 0 ? gone : gone.slice(1);
      const since = Math.min(...gone.map((id) => obsolete.of(id).now!.since));
      const row = got.length > 0 ? this.#ssts.of(got[0]!) : obsolete.of(gone[0]!);
      if (gone.length > 0 && row.now!.since > since) row.now = { ...row.now!, since } as SstRecord & ObsoleteRecord;
      for (const id of rest) obsolete.of(id).now = undefined;
    }
  }

  /** Throws unless the tables that get a file are one, and nobody else has it, nor has removed it before this commit. */
  #assertFree(fileName: string, [id, ...more]: readonly number[]): void {
    for (const other of new Set([...more, ...idsOfFileName(this.#txn, this.#name, fileName)])) {
      if (other === id) continue;
      if (this.#ssts.of(other).now?.fileName === fileName) {
        fail("EXISTS", `Cannot add the sorted table ${id}: table ${other} has the same file`, {
          detail: { catalog: this.#name, sst: id, other, fileName },
        });
      }
      if (this.#obsolete.sst.of(other).before?.fileName === fileName) {
        fail("OBJECT_CONDEMNED", `Cannot name the file: it was removed with sorted table ${other} and is being deleted`, {
          detail: { catalog: this.#name, sst: other },
        });
      }
    }
  }

  #putNames(): void {
    const { all } = this.#obsolete.sst;
    for (const id of new Set([...this.#ssts.all.keys(), ...all.keys()])) {
      const sst = this.#ssts.all.get(id), obsolete = all.get(id);
      const before = sst?.before?.fileName ?? obsolete?.before?.fileName;
      const now = sst?.now?.fileName ?? obsolete?.now?.fileName;
      if (before === now) continue;
      if (before !== undefined) this.#txn.delete(lsmNames, [this.#name, fileNameKey(before), id]);
      if (now !== undefined) this.#txn.put(lsmNames, [this.#name, fileNameKey(now), id], {});
    }
  }

  /** The levels whose sums change, as they are to be. */
  #levels(): Map<number, LevelRecord> {
    const levels = new Map<number, LevelRecord>();
    const added = new Map<number, [id: number, record: SstRecord][]>();
    const levelOf = (level: number): LevelRecord => {
      let record = levels.get(level);
      if (record === undefined) {
        record = { ...this.#txn.get(lsmLevels, [this.#name, level]) ?? { ssts: 0, sizeBytes: 0, entries: 0, overlapping: level === 0 } };
        levels.set(level, record);
      }
      return record;
    };
    const count = ({ level, sizeBytes, entries }: SstRecord, sign: 1 | -1): void => {
      const record = levelOf(level);
      record.ssts += sign;
      record.sizeBytes += sign * sizeBytes;
      record.entries += sign * entries;
    };
    for (const [id, { before, now }] of this.#ssts.all) {
      if (before !== undefined && now !== undefined && sameRecord(before, now)) continue;
      if (before !== undefined) count(before, -1);
      if (now === undefined) continue;
      count(now, 1);
      const list = added.get(now.level);
      if (list === undefined) added.set(now.level, [[id, now]]);
      else list.push([id, now]);
    }
    for (const [level, list] of added) {
      const record = levelOf(level);
      if (level === 0 || (record.overlapping && !this.#disjoint)) continue;
      const pair = this.#overlap(level, record.overlapping, list);
      if (pair === undefined) continue;
      if (this.#disjoint) {
        fail("LEVEL_OVERLAP", `Cannot add the sorted table ${pair[0]}: its range overlaps that of ${pair[1]} in level ${level}`, {
          detail: { catalog: this.#name, level, sst: pair[0], other: pair[1] },
        });
      }
      record.overlapping = true;
    }
    return levels;
  }

  /** Two tables of a level that overlap, at least one of them new in it; undefined when there are none. */
  #overlap(level: number, overlapping: boolean, added: [id: number, record: SstRecord][]): [id: number, other: number] | undefined {
    added.sort((a, b) => compareBytes(a[1].minKey, b[1].minKey) || a[0] - b[0]);
    let last: [id: number, record: SstRecord] | undefined;
    for (const one of added) {
      if (last !== undefined && overlaps(last[1], { from: one[1].minKey, to: one[1].maxKey })) return [one[0], last[0]];
      if (last === undefined || compareBytes(last[1].maxKey, one[1].maxKey) < 0) last = one;
    }
    for (const [id, { minKey, maxKey }] of added) {
      for (const [other] of overlappingIn(this.#txn, this.#name, level, overlapping, { from: minKey, to: maxKey })) {
        const row = this.#ssts.all.get(other);
        // What this commit touches is gone from here, or is among those added, or is as it was.
        if (row === undefined || (row.now !== undefined && sameRecord(row.before!, row.now))) return [id, other];
      }
    }
    return undefined;
  }
}
