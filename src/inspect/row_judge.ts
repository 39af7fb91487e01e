// Whether rows can be read with the schemas of their tables: a salvage hands on no record that nobody could read.
import { isManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { Arena } from "../schema/arena.ts";
import { TableCodec } from "../schema/codec.ts";
import { type AnyTable, bytes, defineTable, type Table, tableFromSchema } from "../schema/schema.ts";

/** The definition under which rows are kept whose table nobody knows any more: as the bytes that they were. */
export function unnamedTable(id: number): Table<[key: Uint8Array], { value: Uint8Array }> {
  return defineTable({ name: `lost-${id}`, key: [bytes("key")], value: { value: bytes() } });
}

// deno-lint-ignore no-explicit-any
type AnyCodec = TableCodec<any, any>;

/** Judges rows of tables by their schemas. */
export class RowJudge {
  readonly #kernel: Kernel;
  readonly #arena: Arena;
  #unnamed: AnyCodec | undefined;

  /** Takes a kernel of its own. */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#arena = new Arena(kernel);
  }

  /** The codec of a table; undefined when its schema describes none. */
  codec(name: string, schema: Uint8Array): AnyCodec | undefined {
    try {
      return this.#codecOf(tableFromSchema(name, schema));
    } catch (error) {
      if (!isManifestError(error)) throw error;
      return undefined;
    }
  }

  #codecOf(table: AnyTable): AnyCodec {
    return new TableCodec(this.#kernel, this.#arena, table);
  }

  /** Whether key and record can be read. */
  reads(codec: AnyCodec, key: Uint8Array, value: Uint8Array): boolean {
    try {
      codec.keyFromBytes(key);
      codec.valueFromBytes(value);
      return true;
    } catch (error) {
      if (!isManifestError(error) || error.kind !== "data") throw error;
      return false;
    }
  }

  /** Whether a key can be read. */
  readsKey(codec: AnyCodec, key: Uint8Array): boolean {
    try {
      codec.keyFromBytes(key);
      return true;
    } catch (error) {
      if (!isManifestError(error) || error.kind !== "data") throw error;
      return false;
    }
  }

  /** A row of a table that nobody knows, as bytes; undefined when its key does not fit. */
  asBytes(key: Uint8Array, value: Uint8Array): { key: Uint8Array; value: Uint8Array } | undefined {
    const codec = this.#unnamed ??= this.#codecOf(unnamedTable(0));
    try {
      return { key: codec.encodeKey([key]), value: codec.encodeValue({ value }) };
    } catch (error) {
      if (!isManifestError(error) || error.code !== "LIMIT") throw error;
      return undefined;
    }
  }
}
