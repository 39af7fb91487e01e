// Tables bound to an open store: id, schema check and codecs.
//
// A definition is looked up by its name in the state that is read or written, so a table that was dropped and made again is another table. Codecs are made
// once for each definition; definitions with equal schemas and without custom types share them.
import { fail, failType } from "../errors.ts";
import { Arena } from "../schema/arena.ts";
import { TableCodec } from "../schema/codec.ts";
import { compareSchemas } from "../schema/compare.ts";
import { type AnyTable, tableFromSchema } from "../schema/schema.ts";
import type { Type } from "../schema/type.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { TableInfo, View } from "../store/store.ts";

/** Codecs of a table whose types the program does not know. */
// deno-lint-ignore no-explicit-any
export type AnyCodec = TableCodec<any, any>;

/** A definition bound to a table of the store. */
export interface Bound {
  /** The table's registry entry. */
  readonly info: TableInfo;
  /** The definition. */
  readonly table: AnyTable;
  /** Its codecs. */
  readonly codec: AnyCodec;
  /** The stored schema lacks what the definition has added: it must be replaced before the first write. */
  readonly older: boolean;
}

function isCustom(type: Type): boolean {
  switch (type.is) {
    case "custom":
      return true;
    case "list":
      return isCustom(type.element);
    case "record":
    case "tuple":
      return type.members.some((member) => isCustom(member.type));
    case "union":
      return type.variants.some((variant) => variant.members.some((member) => isCustom(member.type)));
    default:
      return false;
  }
}

function hasCustom(table: AnyTable): boolean {
  return table.key.some((member) => isCustom(member.type)) || table.value.some((member) => isCustom(member.type));
}

/** Whether a schema lacks what another one has added. */
function lacks(schema: Uint8Array, other: Uint8Array): boolean {
  return compareSchemas(other, schema).result === "newer";
}

/** The tables that a program has used with one store. */
export class Bindings {
  /** Where operations and keys are put for the kernel. */
  readonly arena: Arena;
  readonly #kernel: Kernel;
  readonly #bound = new WeakMap<AnyTable, Bound>();
  readonly #byId = new Map<number, Bound>();
  readonly #shared = new Map<string, AnyCodec>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.arena = new Arena(kernel);
  }

  /** Binds a definition in a view; undefined when the view has no such table. */
  find(view: View, table: AnyTable): Bound | undefined {
    const info = view.table(table.name);
    if (info === undefined) return undefined;
    const known = this.#bound.get(table);
    return known !== undefined && known.info === info ? known : this.#bind(info, table);
  }

  /** The same; TABLE_UNKNOWN when there is none. `action` completes "Cannot …". */
  need(view: View, table: AnyTable, action: string): Bound {
    return this.find(view, table) ??
      fail("TABLE_UNKNOWN", `Cannot ${action}: there is no table "${table.name}"`, { detail: { table: table.name } });
  }

  /** A table that is not there yet, for trying a transaction out. */
  provisional(table: AnyTable): Bound {
    return { info: { id: 0, name: table.name, schema: table.schema }, table, codec: this.#codecOf(table), older: false };
  }

  /** Binds a definition to a table that is about to be made, or to get another schema. */
  bindTo(info: TableInfo, table: AnyTable): Bound {
    return this.#bind(info, table);
  }

  #bind(info: TableInfo, table: AnyTable): Bound {
    if (!(table.schema instanceof Uint8Array)) {
      failType(`Cannot use table "${table.name}": it is no definition made by defineTable`, { table: table.name });
    }
    const { result, reason } = compareSchemas(info.schema, table.schema);
    const detail = { table: table.name, reason };
    if (result === "newer") fail("SCHEMA_TOO_NEW", `Cannot use table "${table.name}": ${reason}`, { detail });
    if (result === "mismatch") fail("SCHEMA_MISMATCH", `Cannot use table "${table.name}": ${reason}`, { detail });
    const bound: Bound = { info, table, codec: this.#codecOf(table), older: result === "older" };
    this.#bound.set(table, bound);
    // A definition that was read with in an older state must not replace the one that has more.
    const known = this.#byId.get(info.id);
    if (known === undefined || !lacks(table.schema, known.table.schema)) this.#byId.set(info.id, bound);
    return bound;
  }

  #codecOf(table: AnyTable): AnyCodec {
    const known = this.#bound.get(table);
    if (known !== undefined) return known.codec;
    if (hasCustom(table)) return new TableCodec(this.#kernel, this.arena, table);
    const name = `${table.name}\0${new TextDecoder().decode(table.schema)}`;
    let codec = this.#shared.get(name);
    if (codec === undefined) this.#shared.set(name, codec = new TableCodec(this.#kernel, this.arena, table));
    return codec;
  }

  /** A table by id, as a view knows it: with the definition that the program used, else with the one stored in the file. Undefined when it is gone. */
  byId(view: View, id: number): Bound | undefined {
    const known = this.#byId.get(id);
    if (known !== undefined) {
      const there = view.table(known.info.name);
      if (there?.id === id && (there === known.info || !lacks(known.table.schema, there.schema))) return known;
    }
    const info = view.tables().find((one) => one.id === id);
    if (info === undefined) return undefined;
    return this.find(view, tableFromSchema(info.name, info.schema));
  }
}
