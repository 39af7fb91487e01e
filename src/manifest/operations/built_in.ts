// The built-in tables, and what a plain put or delete means for each: its own operation, or nothing (the engine keeps it).
//
// A new table is added here and, where it has operations, to OPERATION_NAMES.
import type { AnyTable } from "../../schema/schema.ts";
import type { OperationKind } from "../write/operation.ts";
import { chunkDeltas } from "../tables/chunk_deltas.ts";
import { chunks } from "../tables/chunks.ts";
import { cursors } from "../tables/cursors.ts";
import { databases } from "../tables/databases.ts";
import { generations } from "../tables/generations.ts";
import { jobs, jobStates, pendingJobs } from "../tables/jobs.ts";
import { meta } from "../tables/meta.ts";
import { metrics } from "../tables/metrics.ts";
import { collectable, refcounts } from "../tables/refcounts.ts";
import { remoteNamespaces } from "../tables/remote_namespaces.ts";
import { snapshots } from "../tables/snapshots.ts";
import { walArtifacts } from "../tables/wal_artifacts.ts";
import { walStates } from "../tables/wal_states.ts";
import { VIRTUAL } from "../read/virtual_tables.ts";
import { DELETE_CHUNK, DELETE_CHUNK_DELTA, UPSERT_CHUNK, UPSERT_CHUNK_DELTA } from "./chunks.ts";
import { DELETE_DB, PUT_DB } from "./databases.ts";
import { PUT_JOB, REMOVE_JOB } from "./jobs.ts";
import { DELETE_REMOTE_NAMESPACE, PUT_REMOTE_NAMESPACE } from "./remote_namespaces.ts";
import { DROP_SNAPSHOT, PUBLISH_SNAPSHOT } from "./snapshots.ts";
import { DELETE_WAL_ARTIFACT, DELETE_WAL_STATE, PUT_WAL_STATE, UPSERT_WAL_ARTIFACT } from "./write_ahead_log.ts";

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
  { table: walStates, put: PUT_WAL_STATE, delete: DELETE_WAL_STATE },
  { table: chunks, put: UPSERT_CHUNK, delete: DELETE_CHUNK },
  { table: chunkDeltas, put: UPSERT_CHUNK_DELTA, delete: DELETE_CHUNK_DELTA },
  { table: snapshots, put: PUBLISH_SNAPSHOT, delete: DROP_SNAPSHOT },
  { table: walArtifacts, put: UPSERT_WAL_ARTIFACT, delete: DELETE_WAL_ARTIFACT },
  { table: jobs, put: PUT_JOB, delete: REMOVE_JOB },
  { table: pendingJobs },
  { table: jobStates },
  { table: metrics },
  { table: generations },
  { table: refcounts },
  { table: collectable },
  { table: remoteNamespaces, put: PUT_REMOTE_NAMESPACE, delete: DELETE_REMOTE_NAMESPACE },
  { table: cursors },
  { table: meta },
];

const BY_NAME: ReadonlyMap<string, BuiltIn> = new Map(
  [...BUILT_IN, ...VIRTUAL.map((table) => ({ table }))].map((one) => [one.table.name, one]),
);
const BY_TABLE: ReadonlyMap<AnyTable, BuiltIn> = new Map(BUILT_IN.map((one) => [one.table, one]));

/** The built-in table that a definition names, whoever made the definition. */
export function builtIn(table: AnyTable): BuiltIn | undefined {
  return BY_TABLE.get(table) ?? BY_NAME.get(table.name);
}

/** The built-in table of a name. */
export function builtInNamed(name: string): BuiltIn | undefined {
  return BY_NAME.get(name);
}
