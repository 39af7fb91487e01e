// Tables: a name, a key of named components, a record of fields, and the types that follow from them.
import { isWellFormed } from "./text.ts";
import { takeOptions } from "../arguments.ts";
import { ArgumentTypeError, fail } from "../errors.ts";
import { componentsOf, type KeyField, membersOf, type RecordValue, type Shape, type TupleValue } from "./field.ts";
import { describeSchema, parseSchema } from "./description.ts";
import { checkSchema } from "./program.ts";
import type { Member } from "./type.ts";

/** A defined table: keys are `K`, a tuple of the key's components; records are `V`. Made by {@linkcode defineTable}. */
export interface Table<K extends readonly unknown[], V> {
  /** The table's name in the file. */
  readonly name: string;
  /** Components of the key. */
  readonly key: readonly Member[];
  /** Fields of the record, as declared. */
  readonly value: readonly Member[];
  /** The canonical description that the file keeps. */
  readonly schema: Uint8Array;
  /** Carries the types; never there at run time. */
  readonly "~types"?: [K, V];
}

/** A table whose types are not known to the program: read from a file's own schema. */
// deno-lint-ignore no-explicit-any
export type AnyTable = Table<any, any>;

/** The key type of a table. */
export type KeyOf<T> = T extends { readonly "~types"?: [infer K, unknown] } ? K : never;

/** The record type of a table. */
export type ValueOf<T> = T extends { readonly "~types"?: [unknown, infer V] } ? V : never;

/** What is accepted for a key: its tuple, or the bare value of a key with one component. */
export type KeyInput<K extends readonly unknown[]> =
  | Readonly<K>
  | (K extends readonly [infer Only] ? Only extends readonly unknown[] ? never : Only : never);

/** The first components of a key, for prefix ranges. */
export type KeyPrefix<K extends readonly unknown[]> = K extends readonly [infer First, ...infer Rest]
  ? readonly [] | readonly [First, ...KeyPrefix<Rest>]
  : readonly [];

/**
 * Defines a table: `defineTable({ name: "owners", key: [u53("db"), text("path")], value: { team: text(), seen: u53() } })`. A definition is plain data; it
 * may be made at module level and used with any number of files.
 */
export function defineTable<const K extends readonly KeyField<unknown>[], const S extends Shape>(definition: {
  name: string;
  key: K;
  value: S;
}): Table<TupleValue<K>, RecordValue<S>> {
  if (typeof definition !== "object" || definition === null) throw new ArgumentTypeError("Cannot define a table: there is no definition");
  definition = takeOptions(definition, { name: true, key: true, value: true }, "define a table");
  const name = checkTableName(definition.name);
  if (!Array.isArray(definition.key)) throw new ArgumentTypeError(`Cannot define "${name}": its key is not a list of components`);
  return makeTable(name, componentsOf(definition.key), membersOf(definition.value));
}

/** The table that a schema stored in a file describes; records and keys come without types. CORRUPT_RECORD when it describes none. */
export function tableFromSchema(name: string, schema: Uint8Array): AnyTable {
  const stored = parseSchema(schema);
  if (stored === undefined || stored.key.length === 0) {
    fail("CORRUPT_RECORD", `Cannot read table "${name}": its stored schema is damaged or newer than this version`);
  }
  return makeTable(name, stored.key, stored.value);
}

function makeTable<K extends readonly unknown[], V>(name: string, key: readonly Member[], value: readonly Member[]): Table<K, V> {
  checkSchema(name, key, value);
  return Object.freeze({ name, key, value, schema: describeSchema(key, value) });
}

function checkTableName(name: unknown): string {
  if (typeof name !== "string") throw new ArgumentTypeError("Cannot define a table: its name is not a string", {}, "NAME_INVALID");
  const length = new TextEncoder().encode(name).length;
  if (length < 1 || length > 255 || name.includes("\0") || !isWellFormed(name)) {
    throw new ArgumentTypeError(
      "Cannot define a table: its name is not 1 to 255 bytes of text without NUL",
      { detail: { length } },
      "NAME_INVALID",
    );
  }
  return name;
}
