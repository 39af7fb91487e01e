// Reading a catalog: what the catalog itself, its pinned versions and its view of a transaction have in common. Each method shows one state.
import { takeOptions } from "../../arguments.ts";
import { fail, failRange } from "../../errors.ts";
import { compareBytes } from "../../manifest/read/bounds.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import { overlappingIn, sstRow } from "./overlap.ts";
import { checkKey, checkList, checkNumber, ID_MAX, LEVEL_MAX, type Sst, sstOf } from "./sst.ts";
import {
  type FileKind,
  lsmLevels,
  lsmObsolete,
  lsmRanges,
  lsmSsts,
  type LsmStateRecord,
  lsmStates,
  lsmWals,
  type ObsoleteRecord,
} from "./tables.ts";

/** A level with tables. */
export interface LsmLevel {
  /** Its number. */
  readonly level: number;
  /** Its sorted tables. */
  readonly ssts: number;
  /** Bytes of their files. */
  readonly sizeBytes: number;
  /** Their entries. */
  readonly entries: number;
  /** Ranges of two of them may overlap: always in level 0, elsewhere only where overlaps were allowed. */
  readonly overlapping: boolean;
}

/** A file that was removed from the catalog and that nobody has told to be deleted. */
export interface ObsoleteFile {
  /** A sorted table or a write-ahead segment. */
  readonly kind: FileKind;
  /** Its id. */
  readonly id: number;
  /** The first state that does not name it, as `edit` of a version counts. */
  readonly removedAt: number;
  /** Its length, as far as the catalog was told. */
  readonly sizeBytes: number;
  /** Its name, where the catalog was told one. */
  readonly fileName?: string;
}

/** Which keys to look for, and where. */
export interface OverlapQuery {
  /** First key, included. Default: the first one there is. */
  from?: Uint8Array;
  /** Last key, included. Default: the last one there is. */
  to?: Uint8Array;
  /** These levels only. Default: all. */
  levels?: Iterable<number>;
}

/** Reads a catalog: the methods that an {@linkcode LsmCatalog}, an {@linkcode LsmVersion} and an {@linkcode LsmTransaction} share. */
export abstract class LsmReader {
  /** The catalog's name. */
  readonly name: string;

  /**
   * Reads the catalog of this name.
   * @internal
   */
  constructor(name: string) {
    this.name = name;
  }

  /**
   * Where the rows are read.
   * @internal
   */
  protected abstract get rows(): Reader;

  /**
   * The scalars.
   * @internal
   */
  protected get state(): LsmStateRecord {
    return stateOf(this.rows, this.name);
  }

  /** The engine's own number, set by `setVersion`: 1 in a new catalog. Not to be mixed up with versions that readers pin. */
  getVersion(): number {
    return this.state.version;
  }

  /** The greatest log sequence number told, 0 when none was. */
  getLastLsn(): number {
    return this.state.lastLsn;
  }

  /** The write-ahead segment that is written to, 0 when none was set. */
  getActiveWal(): number {
    return this.state.activeWal ?? 0;
  }

  /** Segments that wait to be flushed, by id. */
  getFrozenWals(): number[] {
    return this.#wals("frozen");
  }

  /** Segments that were active and were replaced by `setActiveWal` without being frozen, by id: they may hold what no table has. `addFrozenWal` freezes them, a `flush` takes them out. */
  getRetiredWals(): number[] {
    return this.#wals("retired");
  }

  #wals(state: "frozen" | "retired"): number[] {
    return this.rows.range(lsmWals, { prefix: [this.name] }).toArray().filter(([, row]) => row.state === state).map(([[, wal]]) => wal);
  }

  /** The id that `allocateSstId` would give out next. Nothing is allocated. */
  peekNextSstId(): number {
    return this.state.nextSstId;
  }

  /** The id that `rotateWal` would choose: above every segment that was ever named. Nothing is allocated. */
  peekNextWalId(): number {
    return this.state.nextWalId;
  }

  /** A sorted table; undefined when the catalog does not name it. */
  getSst(id: number): Sst | undefined {
    const record = this.rows.get(lsmSsts, [this.name, checkNumber("get the sorted table", "id", id, ID_MAX)]);
    return record && sstOf(id, record);
  }

  /** Sorted tables by id; those of one level by their first keys. */
  listSsts(options: { level?: number } = {}): Sst[] {
    const { level } = takeOptions(options, { level: true }, "list sorted tables");
    const { rows, name } = this;
    if (level === undefined) return rows.range(lsmSsts, { prefix: [name] }).toArray().map(([[, id], record]) => sstOf(id, record));
    checkNumber("list sorted tables", "level", level, LEVEL_MAX);
    const ids = rows.keys(lsmRanges, { prefix: [name, level] }).toArray().map(([, , , id]) => id);
    return ids.map((id) => sstOf(id, sstRow(rows, name, id))).sort((a, b) => compareBytes(a.minKey, b.minKey) || a.id - b.id);
  }

  /** Levels that have tables, with their sums, by number. Sums are kept, not counted. */
  listLevels(): LsmLevel[] {
    return this.rows.range(lsmLevels, { prefix: [this.name] }).toArray().map(([[, level], record]) => ({ level, ...record }));
  }

  /** How many sorted tables there are. */
  countSsts(): number {
    return this.listLevels().reduce((sum, { ssts }) => sum + ssts, 0);
  }

  /** Files that were removed and not forgotten, by kind and id, whether versions name them or not. */
  listObsolete(): ObsoleteFile[] {
    return this.rows.range(lsmObsolete, { prefix: [this.name] }).toArray().map(([[, kind, id], row]) => obsoleteOf(kind, id, row));
  }

  /**
   * Sorted tables with room for a key from `from` to `to`, both included: level after level, in the order of their first keys; newest id first in level 0 and where overlaps were allowed. In a level
   * without overlaps it costs a look-up and the result, whatever the number of tables; elsewhere all tables that begin before `to` are looked at. INVALID_ARGUMENT when `from` is behind `to`.
   */
  overlapping(query: OverlapQuery = {}): Sst[] {
    const action = "find overlapping sorted tables";
    const { from, to, levels } = takeOptions(query, { from: true, to: true, levels: true }, action);
    const range = {
      from: from === undefined ? undefined : checkKey(action, "from", from),
      to: to === undefined ? undefined : checkKey(action, "to", to),
    };
    if (range.from !== undefined && range.to !== undefined && compareBytes(range.from, range.to) > 0) {
      failRange(`Cannot ${action}: from is behind to`, { field: "from" });
    }
    const only = levels === undefined
      ? undefined
      : new Set(checkList(action, "levels", levels).map((level) => checkNumber(action, "levels", level, LEVEL_MAX)));
    const { rows, name } = this;
    const found: Sst[] = [];
    for (const { level, overlapping } of this.listLevels()) {
      if (only !== undefined && !only.has(level)) continue;
      for (const [id, record] of overlappingIn(rows, name, level, overlapping, range)) found.push(sstOf(id, record));
    }
    return found;
  }
}

/** A removed file, as callers see it. */
export function obsoleteOf(kind: FileKind, id: number, { since: _since, ...record }: ObsoleteRecord): ObsoleteFile {
  return { kind, id, ...record };
}

/** The scalars of a catalog; NOT_FOUND when there is none. */
export function stateOf(reader: Reader, name: string): LsmStateRecord {
  return reader.get(lsmStates, name) ??
    fail("NOT_FOUND", `Cannot read the catalog "${name}": there is none`, { detail: { catalog: name } });
}

/** Whether a state of a catalog names a file. */
export function namesFile(reader: Reader, name: string, kind: FileKind, id: number): boolean {
  if (kind === "sst") return reader.has(lsmSsts, [name, id]);
  return reader.has(lsmWals, [name, id]) || stateOf(reader, name).activeWal === id;
}
