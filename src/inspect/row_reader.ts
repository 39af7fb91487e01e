// Rows read with the schemas of their tables, outside of any store: for who holds rows as bytes and no file that they are in.
import { isManifestError } from "../errors.ts";
import { Kernel } from "../kernel/kernel.ts";
import { kernelModule } from "../kernel/loader.ts";
import type { TableCodec } from "../schema/codec.ts";
import { RowJudge } from "./row_judge.ts";

// deno-lint-ignore no-explicit-any
type AnyCodec = TableCodec<any, any>;

/** Reads rows of tables that it is told the schemas of. */
export class RowReader {
  readonly #judge = new RowJudge(new Kernel(kernelModule()));
  readonly #codecs = new Map<string, { readonly schema: Uint8Array; readonly codec: AnyCodec | undefined }>();

  /** A row; undefined when the schema describes no table, or the row is none of it. */
  read(
    name: string,
    schema: Uint8Array,
    key: Uint8Array,
    value: Uint8Array,
  ): { key: unknown[]; value: Record<string, unknown> } | undefined {
    let known = this.#codecs.get(name);
    if (known?.schema !== schema) this.#codecs.set(name, known = { schema, codec: this.#judge.codec(name, schema) });
    if (known.codec === undefined) return undefined;
    try {
      return { key: known.codec.keyFromBytes(key) as unknown[], value: known.codec.valueFromBytes(value) as Record<string, unknown> };
    } catch (error) {
      if (!isManifestError(error) || error.kind !== "data") throw error;
      return undefined;
    }
  }
}
