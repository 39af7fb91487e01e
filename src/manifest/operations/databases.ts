// Operations on databases.
//
// Deleting a database deletes what belongs to it, in the same commit: its chunks and its snapshots, whose objects are released. The change shows the one operation.
import { fail, failType } from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import { type OperationKind, tagOf } from "../operation.ts";
import { Range } from "../range.ts";
import type { Staging } from "../staging.ts";
import { chunks } from "../tables/chunks.ts";
import { type DatabaseInput, databaseRecord, databases } from "../tables/databases.ts";
import { type Snapshot, snapshots } from "../tables/snapshots.ts";

/** Tables whose keys begin with a database. */
const OF_DATABASE: readonly AnyTable[] = [chunks, snapshots];

/** The id in a key of one component. */
function idOf(key: unknown): number {
  return (Array.isArray(key) ? key[0] : key) as number;
}

/** Throws NOT_FOUND unless the database exists; `action` completes "Cannot …". */
export function requireDatabase(staging: Staging, db: number, action: string): void {
  if (staging.knownDb === db) return;
  const pending = staging.many ? staging.pending(databases).get(db, 0) : undefined;
  if (pending === null || (pending === undefined && !staging.reader(databases).find([db]))) {
    fail("NOT_FOUND", `Cannot ${action}: there is no database ${db}`, { detail: { table: databases.name, db } });
  }
  staging.knownDb = db;
}

/** Puts a database. */
export const PUT_DB: OperationKind = {
  name: "putDb",
  tag: tagOf("putDb"),
  stage(staging, _table, key, value) {
    if (typeof value !== "object" || value === null) {
      failType("Cannot put a database: its record is not an object", { table: databases.name });
    }
    const record = databaseRecord(value as DatabaseInput, staging.now);
    staging.put(staging.bind(databases), key, record, this.tag, false);
    if (staging.many) staging.pending(databases).set(idOf(key), 0, record);
  },
};

/** Deletes a database with all that belongs to it. */
export const DELETE_DB: OperationKind = {
  name: "deleteDb",
  tag: tagOf("deleteDb"),
  stage(staging, _table, key) {
    const db = idOf(key);
    requireDatabase(staging, db, "delete a database");
    staging.delete(staging.bind(databases), key, this.tag, false);
    for (const snapshot of liveSnapshots(staging, db)) {
      for (const object of snapshot.chunks) staging.refcounts.decrement(object);
    }
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

/** The snapshots of a database, as the transaction has left them. */
function* liveSnapshots(staging: Staging, db: number): Iterable<Snapshot> {
  const pending = staging.pending(snapshots);
  if (!pending.emptied(db)) {
    const source = { reader: staging.reader(snapshots), release: () => {} };
    const rows = new Range<[[number, number], Snapshot]>(() => source, { prefix: [db] } as object, "entries");
    for (const [[, id], snapshot] of rows) if (pending.get(db, id) === undefined) yield snapshot;
  }
  for (const [, snapshot] of pending.rowsOf(db)) if (snapshot !== null) yield snapshot;
}
