// The registry of tables: name → id and schema, in a table of its own.
//
// A row's key is the name in UTF-8, its value u32 id, u32 flags (0), schema bytes. The row with the one-byte key 0 holds the next id: ids are never reused.
import { TABLE_DROPPED, TABLE_ID_TABLES, TABLE_ID_USER } from "../../assembly/format.ts";
import { fail, failLimit, failType } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { type RawOp, stageRaw } from "./raw_ops.ts";
import type { Staged, TableDefinition, TableInfo } from "./types.ts";
import type { Scan, View } from "./views.ts";

const NAME_MAX = 255;
const SCHEMA_MAX = 1 << 20;
const NEXT_ID = new Uint8Array([0]);
const ROW_HEADER = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A row of the registry, encoded. */
export interface RegistryRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

function nameKey(name: string): Uint8Array {
  if (typeof name !== "string") failType("Cannot use a table: its name is not a string");
  if (!name.isWellFormed() || name.includes("\0") || name === "") {
    fail("NAME_INVALID", "Cannot use a table: its name is empty, or holds NUL or a lone surrogate");
  }
  const key = encoder.encode(name);
  if (key.length > NAME_MAX) failLimit("Cannot use a table: its name is longer than 255 bytes", { length: key.length, limit: NAME_MAX });
  return key;
}

function rowOf(id: number, schema: Uint8Array): Uint8Array {
  const row = new Uint8Array(ROW_HEADER + schema.length);
  new DataView(row.buffer).setUint32(0, id, true);
  row.set(schema, ROW_HEADER);
  return row;
}

function checkSchema(schema: Uint8Array): void {
  if (!(schema instanceof Uint8Array)) failType("Cannot use a table: its schema is not a Uint8Array");
  if (schema.length > SCHEMA_MAX) {
    failLimit("Cannot use a table: its schema is longer than 1 MiB", { length: schema.length, limit: SCHEMA_MAX });
  }
}

function putRow({ key, value }: RegistryRow): RawOp {
  return { kind: "put", table: TABLE_ID_TABLES, key, value, hidden: true };
}

/** The tables of a store. */
export class Registry {
  readonly #kernel: Kernel;
  #newest: Map<string, TableInfo> | undefined;
  /** Frame of the last change of the registry that was applied. */
  #changedAt = 0;
  readonly #older = new WeakMap<View, Map<string, TableInfo>>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** The registry has changed at this frame, or may have. */
  changed(frame: number): void {
    this.#newest = undefined;
    this.#changedAt = frame;
  }

  /** The tables of a view. */
  tablesOf(view: View, newest: View): Map<string, TableInfo> {
    if (view.version < 0 || view.frame >= this.#changedAt) return this.#newest ??= this.#read(newest);
    let tables = this.#older.get(view);
    if (!tables) this.#older.set(view, tables = this.#read(view));
    return tables;
  }

  #read(view: View): Map<string, TableInfo> {
    const tables = new Map<string, TableInfo>();
    const scan = view.tree(TABLE_ID_TABLES).scan();
    try {
      this.#collect(scan, tables);
    } finally {
      scan.close();
    }
    return tables;
  }

  #collect(scan: Scan, tables: Map<string, TableInfo>): void {
    const ids = new Set<number>();
    while (scan.next(256, 1 << 18) > 0) {
      // Overflowing schemas are read by calls that leave the batch alone.
      const rows = Array.from({ length: scan.rows }, (_, row) => ({ key: scan.key(row), value: scan.value(row) }));
      for (const { key, value } of rows) {
        if (key.length === 1 && key[0] === 0) continue;
        if (value.length < ROW_HEADER) fail("CORRUPT_RECORD", "Cannot read the tables: a row of the registry is too short");
        let name: string;
        try {
          name = decoder.decode(key);
        } catch (cause) {
          fail("CORRUPT_RECORD", "Cannot read the tables: a name in the registry is not UTF-8", { cause });
        }
        const id = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
        // A name that nobody could give, and an id that is the engine's or another table's, would lead to rows of somebody else.
        if (name === "" || name.includes("\0") || key.length > NAME_MAX || id < TABLE_ID_USER || id >= TABLE_DROPPED || ids.has(id)) {
          fail("CORRUPT_RECORD", "Cannot read the tables: a row of the registry names what no table can have", { detail: { id } });
        }
        ids.add(id);
        tables.set(name, { id, name, schema: value.subarray(ROW_HEADER) });
      }
    }
  }

  /** The id that the next table gets. */
  nextId(newest: View): number {
    const counter = newest.tree(TABLE_ID_TABLES).get(NEXT_ID);
    return counter && counter.length >= 4 ? new DataView(counter.buffer, counter.byteOffset).getUint32(0, true) : TABLE_ID_USER;
  }

  /** What registers a table under an id: the rows to put. EXISTS when the name is taken. */
  create(newest: View, { name, schema }: TableDefinition, id: number): RegistryRow[] {
    const key = nameKey(name);
    checkSchema(schema);
    if (this.tablesOf(newest, newest).has(name)) {
      fail("EXISTS", `Cannot create table "${name}": it exists`, { detail: { table: name } });
    }
    if (id >= TABLE_DROPPED) fail("LIMIT", "Cannot create a table: no table ids are left");
    const counter = new Uint8Array(4);
    new DataView(counter.buffer).setUint32(0, id + 1, true);
    return [{ key, value: rowOf(id, schema) }, { key: NEXT_ID, value: counter }];
  }

  /** What gives a table another schema: the row to put. */
  replace({ id, name }: TableInfo, schema: Uint8Array): RegistryRow {
    checkSchema(schema);
    return { key: nameKey(name), value: rowOf(id, schema) };
  }

  /** Stages the creation of tables; `ids` is filled in. */
  stageCreate(newest: View, definitions: readonly TableDefinition[], ids: number[]): Staged {
    let next = this.nextId(newest);
    const rows: RegistryRow[] = [];
    const seen = new Set<string>();
    for (const definition of definitions) {
      const { name } = definition;
      if (seen.has(name)) fail("EXISTS", `Cannot create table "${name}": it is there twice`, { detail: { table: name } });
      seen.add(name);
      rows.push(...this.create(newest, definition, next));
      ids.push(next++);
    }
    return stageRaw(this.#kernel, rows.map(putRow));
  }

  #existing(newest: View, name: string, action: string): TableInfo {
    nameKey(name);
    return this.tablesOf(newest, newest).get(name) ??
      fail("TABLE_UNKNOWN", `Cannot ${action} table "${name}": there is none`, { detail: { table: name } });
  }

  /** Stages another schema for a table. */
  stageSchema(newest: View, name: string, schema: Uint8Array): Staged {
    checkSchema(schema);
    return stageRaw(this.#kernel, [putRow(this.replace(this.#existing(newest, name, "change"), schema))]);
  }

  /** Stages the end of a table. */
  stageDrop(newest: View, name: string): Staged {
    const table = this.#existing(newest, name, "drop");
    return stageRaw(this.#kernel, [
      { kind: "delete", table: TABLE_ID_TABLES, key: nameKey(name), hidden: true },
      { kind: "dropTable", table: table.id, hidden: true },
    ]);
  }
}
