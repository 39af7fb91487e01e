// The built-in tables, and what a plain put or delete means for each: its own operation, or nothing (the engine keeps it).
//
// A new table is added here and, where it has operations, to OPERATION_NAMES.
import type { AnyTable } from "../../schema/schema.ts";
import type { OperationKind } from "../operation.ts";
import { chunks } from "../tables/chunks.ts";
import { cursors } from "../tables/cursors.ts";
import { databases } from "../tables/databases.ts";
import { meta } from "../tables/meta.ts";
import { collectable, refcounts } from "../tables/refcounts.ts";
import { snapshots } from "../tables/snapshots.ts";
import { DELETE_CHUNK, UPSERT_CHUNK } from "./chunks.ts";
import { DELETE_DB, PUT_DB } from "./databases.ts";
import { DROP_SNAPSHOT, PUBLISH_SNAPSHOT } from "./snapshots.ts";

/** A built-in table. */
export interface BuiltIn {
  /** Its definition. */
  readonly table: AnyTable;
  /** What a plain put does; undefined: refused. */
  readonly put?: OperationKind;
  /** What a plain delete does; undefined: refused. */
  readonly delete?: OperationKind;
}

/** All of them, in the order in which they are created. */
export const BUILT_IN: readonly BuiltIn[] = [
  { table: databases, put: PUT_DB, delete: DELETE_DB },
  { table: chunks, put: UPSERT_CHUNK, delete: DELETE_CHUNK },
  { table: snapshots, put: PUBLISH_SNAPSHOT, delete: DROP_SNAPSHOT },
  { table: refcounts },
  { table: collectable },
  { table: cursors },
  { table: meta },
];

const BY_NAME: ReadonlyMap<string, BuiltIn> = new Map(BUILT_IN.map((one) => [one.table.name, one]));
const BY_TABLE: ReadonlyMap<AnyTable, BuiltIn> = new Map(BUILT_IN.map((one) => [one.table, one]));

/** The built-in table that a definition names, whoever made the definition. */
export function builtIn(table: AnyTable): BuiltIn | undefined {
  return BY_TABLE.get(table) ?? BY_NAME.get(table.name);
}

/** The built-in table of a name. */
export function builtInNamed(name: string): BuiltIn | undefined {
  return BY_NAME.get(name);
}
