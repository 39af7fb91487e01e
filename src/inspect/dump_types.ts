// The shapes that dumping tables gives out.
import type { InspectOptions } from "./check_types.ts";

/** How to dump tables. */
export interface DumpOptions extends InspectOptions {
  /** Only this table. TABLE_UNKNOWN when there is none. Default: all, those with computed rows included. */
  table?: string;
  /** Shows keys and records. Default: only how long they are. */
  values?: boolean;
  /** Bytes of memory for pages, and for the journal of a file that was not closed. Default 64 MiB. */
  cacheBytes?: number;
}

/** One thing out of a dump: a table begins, one of its rows, or damage at which the rest of the table is left out. */
export type DumpItem =
  | { readonly type: "table"; readonly table: string; readonly builtIn: boolean; readonly rows: number; readonly schema?: string }
  | {
    readonly type: "row";
    readonly table: string;
    /** Bytes of the encoded key; absent where rows are computed. */
    readonly keyBytes?: number;
    /** Bytes of the encoded record. */
    readonly valueBytes?: number;
    /** The key's components; only when values were asked for. */
    readonly key?: readonly unknown[];
    /** The record; only when values were asked for. */
    readonly value?: unknown;
  }
  | { readonly type: "damage"; readonly table: string; readonly code: string; readonly message: string; readonly page?: number };
