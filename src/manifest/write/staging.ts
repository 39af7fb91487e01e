// Staging: the operations of one transaction become effects in the kernel's arena, against the newest applied state.
//
// Invariants: everything happens in one turn, inside the store's call; what earlier operations of the same transaction have done is seen by later ones through
// `pending` and `refcounts`, because the tree does not hold it yet; what throws leaves nothing behind.
import { EFFECT_DELETE, EFFECT_DELETE_RANGE, EFFECT_HIDDEN, EFFECT_PUT, OP_WORDS, TABLE_ID_TABLES } from "../../../assembly/format.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Arena } from "../../schema/arena.ts";
import type { AnyTable, Table } from "../../schema/schema.ts";
import { ARENA_START, type Staged, type Store, type TableInfo, type View } from "../../store/store.ts";
import type { Bindings, Bound } from "../bindings.ts";
import type { ChangeLog } from "../log/change_log.ts";
import type { CursorRows } from "../log/cursor_index.ts";
import { type KeyRest, PendingRows } from "./pending_rows.ts";
import { RefcountChanges } from "../gc/refcount_changes.ts";
import { type RowReader, TableReader } from "../read/table_reader.ts";

/** Stages one transaction at a time. */
export class Staging {
  /** The store. */
  readonly store: Store;
  /** The kernel's arena. */
  readonly arena: Arena;
  /** The time of this transaction, when something has asked for it. */
  time: number | undefined;
  /** Number of this transaction. */
  serial = 0;
  /** The change log. */
  readonly log: ChangeLog;
  /** A database that is known to exist in this transaction. */
  knownDb: number | undefined;
  /** The id that the next job gets, when something has asked for it. */
  nextJobId: number | undefined;
  /** Whether the transaction has more than one operation. */
  many = false;
  readonly #kernel: Kernel;
  readonly #bindings: Bindings;
  readonly #readers = new Map<AnyTable, TableReader>();
  #records = new Uint32Array(OP_WORDS * 64);
  #count = 0;
  #pending: Map<AnyTable, PendingRows<unknown>> | undefined;
  #refcounts: RefcountChanges | undefined;
  #generations: Map<number, number> | undefined;
  #lastBound: Bound | undefined;
  /** Tables that the transaction makes, or whose schemas it replaces. */
  #made: Map<string, TableInfo> | undefined;
  #nextTableId: number | undefined;

  /** `log`: makes the change log, or gives the one there is. */
  constructor(store: Store, bindings: Bindings, log: (staging: Staging) => ChangeLog) {
    this.store = store;
    this.log = log(this);
    this.arena = bindings.arena;
    this.#kernel = store.kernel;
    this.#bindings = bindings;
  }

  /** The change cursors as the transaction has left them. */
  get cursors(): CursorRows {
    return this.log.cursors;
  }

  /** Starts a transaction; `many` when it has more than one operation. */
  begin(many: boolean): void {
    this.serial++;
    this.arena.reset(ARENA_START);
    this.#count = 0;
    this.time = undefined;
    this.#lastBound = undefined;
    this.#pending = undefined;
    this.#refcounts = undefined;
    this.#generations = undefined;
    this.#made = undefined;
    this.#nextTableId = undefined;
    this.knownDb = undefined;
    this.nextJobId = undefined;
    this.many = many;
  }

  /** The state that the transaction is applied to. Rows are read through `reader`, which a read-write transaction notes. */
  get view(): View {
    return this.store.newest;
  }

  /** Effects staged so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes staged so far, tapes included. */
  get bytes(): number {
    return this.arena.top - ARENA_START;
  }

  /** The time of this transaction. */
  get now(): number {
    return this.time ??= this.store.now();
  }

  /** Rows of a table that earlier operations have put or deleted. */
  pending<V>(table: Table<[number, ...KeyRest[]], V> | Table<[number], V>): PendingRows<V> {
    const all = this.#pending ??= new Map();
    let rows = all.get(table);
    if (rows === undefined) all.set(table, rows = new PendingRows());
    return rows as PendingRows<V>;
  }

  /** Changes of reference counts. */
  get refcounts(): RefcountChanges {
    return this.#refcounts ??= new RefcountChanges(this);
  }

  /** Generations that this transaction has bumped; undefined when none. */
  get generations(): ReadonlyMap<number, number> | undefined {
    return this.#generations;
  }

  /** Notes a generation for the change record and the receipt. */
  bumped(component: number, generation: number): void {
    (this.#generations ??= new Map()).set(component, generation);
  }

  /** A table to write. One that is not there yet is made with the transaction, and one whose stored schema lacks what the definition has added gets the new one: both are there together, or neither. */
  bind(table: AnyTable): Bound {
    const last = this.#lastBound;
    if (last !== undefined && last.table === table) return last;
    const found = this.#bindings.find(this.store.newest, table);
    return this.#lastBound = found === undefined || found.older ? this.#make(table, found) : found;
  }

  /** Whether the transaction makes tables, or replaces their schemas. */
  get makesTables(): boolean {
    return this.#made !== undefined;
  }

  #make(table: AnyTable, found: Bound | undefined): Bound {
    const { store } = this;
    const made = this.#made?.get(table.name);
    const known = made === undefined ? found : this.#bindings.bindTo(made, table);
    if (known !== undefined && !known.older) return known; // an earlier operation has made it
    const { name, schema } = table;
    const id = known?.info.id ?? this.#nextTableId ?? store.nextTableId();
    const rows = known === undefined ? store.tableRows({ name, schema }, id) : [store.schemaRow(known.info, schema)];
    for (const { key, value } of rows) this.#putEncoded(TABLE_ID_TABLES, key, value);
    if (known === undefined) this.#nextTableId = id + 1;
    const info = { id, name, schema };
    (this.#made ??= new Map()).set(name, info);
    return this.#bindings.bindTo(info, table);
  }

  /** Reads a table of the newest applied state; what is staged is not in it. */
  reader(table: AnyTable): RowReader {
    let reader = this.#readers.get(table);
    if (reader === undefined || reader.bound !== this.#bindings.find(this.store.newest, table)) {
      const bound = this.#bindings.need(this.store.newest, table, "commit");
      reader = new TableReader(this.#kernel, this.arena, bound, this.store.newest.tree(bound.info.id));
      this.#readers.set(table, reader);
    }
    return reader;
  }

  /** Stages a row. */
  put(bound: Bound, key: unknown, value: unknown, tag: number, hidden: boolean): void {
    const { codec } = bound;
    const keyAt = codec.writeKey(this.arena, key);
    const valueAt = codec.writeValue(this.arena, value);
    this.#add(EFFECT_PUT | (hidden ? EFFECT_HIDDEN : 0) | tag << 8, bound.info.id, codec.keyCodec, keyAt, 0, codec.valueCodec, valueAt, 0);
  }

  /** Stages the end of a row. */
  delete(bound: Bound, key: unknown, tag: number, hidden: boolean): void {
    const { codec } = bound;
    const keyAt = codec.writeKey(this.arena, key);
    this.#add(EFFECT_DELETE | (hidden ? EFFECT_HIDDEN : 0) | tag << 8, bound.info.id, codec.keyCodec, keyAt, 0, 0, 0, 0);
  }

  /** Stages the end of all rows from `lower` on, before `upper`. */
  deleteRange(tableId: number, lower: Uint8Array, upper: Uint8Array, tag: number, hidden: boolean): void {
    const lowerAt = this.arena.put(lower);
    const upperAt = this.arena.put(upper);
    const kind = EFFECT_DELETE_RANGE | (hidden ? EFFECT_HIDDEN : 0) | tag << 8;
    this.#add(kind, tableId, 0, lowerAt, lower.length, 0, upperAt, upper.length);
  }

  /** Stages the end of a row named by its encoded key. */
  deleteEncoded(tableId: number, key: Uint8Array, hidden: boolean): void {
    const keyAt = this.arena.put(key);
    this.#add(EFFECT_DELETE | (hidden ? EFFECT_HIDDEN : 0), tableId, 0, keyAt, key.length, 0, 0, 0);
  }

  #putEncoded(tableId: number, key: Uint8Array, value: Uint8Array): void {
    const keyAt = this.arena.put(key);
    const valueAt = this.arena.put(value);
    this.#add(EFFECT_PUT | EFFECT_HIDDEN, tableId, 0, keyAt, key.length, 0, valueAt, value.length);
  }

  #add(
    kind: number,
    table: number,
    keyCodec: number,
    keyAt: number,
    keyLength: number,
    valueCodec: number,
    valueAt: number,
    valueLength: number,
  ): void {
    let at = this.#count * OP_WORDS;
    if (at === this.#records.length) {
      const grown = new Uint32Array(at * 2);
      grown.set(this.#records);
      this.#records = grown;
    }
    const records = this.#records;
    records[at++] = kind;
    records[at++] = table;
    records[at++] = keyCodec;
    records[at++] = keyAt;
    records[at++] = keyLength;
    records[at++] = valueCodec;
    records[at++] = valueAt;
    records[at++] = valueLength;
    records[at] = 0;
    this.#count++;
  }

  /** Stages what follows from the operations together, above the rows that were read: a read-write transaction takes back what it has staged and calls it again behind further operations. */
  settle(): void {
    this.#refcounts?.stage();
  }

  /** Lays the records and the change's extra bytes into the arena. */
  finish(extra: Uint8Array | undefined): Staged {
    const arena = this.arena;
    const count = this.#count;
    const words = count * OP_WORDS;
    const at = arena.tape((words + 1) >>> 1) * 8;
    if (count < 8) {
      const u32 = arena.u32, records = this.#records, from = at >>> 2;
      for (let i = 0; i < words; i++) u32[from + i] = records[i]!;
    } else arena.u32.set(this.#records.subarray(0, words), at >>> 2);
    if (extra === undefined) return { at, count, extraAt: 0, extraLength: 0 };
    return { at, count, extraAt: arena.put(extra), extraLength: extra.length };
  }
}
