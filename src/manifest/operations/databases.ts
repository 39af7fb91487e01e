// Operations on databases.
//
// Deleting a database deletes what belongs to it, in the same commit: its write-ahead-log state and artifacts, chunks, deltas, the jobs that wait, and its snapshots, whose objects are released. Jobs
// that are under way or have ended stay: they are history. The change shows the one operation.
import { fail } from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import { type OperationKind, tagOf } from "../write/operation.ts";
import type { Staging } from "../write/staging.ts";
import { chunkDeltas } from "../tables/chunk_deltas.ts";
import { chunks } from "../tables/chunks.ts";
import { type Database, type DatabaseInput, databaseRecord, databases } from "../tables/databases.ts";
import { snapshots } from "../tables/snapshots.ts";
import { walArtifacts } from "../tables/wal_artifacts.ts";
import { walStates } from "../tables/wal_states.ts";
import { removeWaitingJobs } from "./jobs.ts";
import { numberOf, objectOf, requireDatabase, rowOf, rowsOf } from "./rows.ts";

/** Tables whose keys begin with a database. */
const OF_DATABASE: readonly AnyTable[] = [walStates, chunks, chunkDeltas, snapshots, walArtifacts];

/** A database as the transaction has left it. */
export function databaseOf(staging: Staging, db: number): Database | undefined {
  return rowOf(staging, databases, db, 0, [db]);
}

/** Puts a database. */
export const PUT_DB: OperationKind = {
  name: "putDb",
  tag: tagOf("putDb"),
  stage(staging, _table, key, value) {
    const input = objectOf<DatabaseInput>(databases, value, "a database");
    const db = numberOf(key);
    const record = databaseRecord(input, staging.now, databaseOf(staging, db));
    staging.put(staging.bind(databases), key, record, this.tag, false);
    if (staging.many) staging.pending(databases).set(db, 0, record);
  },
};

/** Puts a database that must not exist yet. */
export const CREATE_DB: OperationKind = {
  name: "createDb",
  tag: PUT_DB.tag,
  stage(staging, table, key, value) {
    const db = numberOf(key);
    if (databaseOf(staging, db) !== undefined) {
      fail("EXISTS", `Cannot create a database: there is a database ${db}`, { detail: { table: databases.name, db } });
    }
    PUT_DB.stage(staging, table, key, value);
  },
};

/** Deletes a database with all that belongs to it. */
export const DELETE_DB: OperationKind = {
  name: "deleteDb",
  tag: tagOf("deleteDb"),
  stage(staging, _table, key) {
    const db = numberOf(key);
    requireDatabase(staging, db, "delete a database");
    staging.delete(staging.bind(databases), key, this.tag, false);
    for (const [, snapshot] of rowsOf(staging, snapshots, db)) {
      for (const object of snapshot.chunks) staging.refcounts.decrement(object);
    }
    removeWaitingJobs(staging, db);
    for (const table of OF_DATABASE) {
      const bound = staging.bind(table);
      const { lower, upper } = bound.codec.prefixRange([db]);
      staging.deleteRange(bound.info.id, lower, upper!, 0, true);
      staging.pending(table).empty(db);
    }
    staging.pending(databases).set(db, 0, null);
    staging.knownDb = undefined;
  },
};
