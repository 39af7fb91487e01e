// Forking a database: a second one that begins as the first is, in one commit.
//
// Copied: write-ahead-log state (without the job that flushes now and its error), chunks, deltas, log artifacts and snapshots. The stored objects are not copied: both name the same ones, by the
// database that wrote them, and the copied snapshots count them. Jobs stay with the first.
import { fail, failRange, failType } from "../../errors.ts";
import { type OperationKind, tagOf } from "../write/operation.ts";
import type { Staging } from "../write/staging.ts";
import { chunkDeltas } from "../tables/chunk_deltas.ts";
import { chunks } from "../tables/chunks.ts";
import { type DatabaseInput, databaseRecord, databases } from "../tables/databases.ts";
import { snapshots } from "../tables/snapshots.ts";
import { walArtifacts } from "../tables/wal_artifacts.ts";
import { walStates } from "../tables/wal_states.ts";
import { databaseOf } from "./databases.ts";
import { numberOf, rowOf, rowsOf } from "./rows.ts";

const ACTION = "fork a database";

/** What `forkDb` is given. */
export interface Fork {
  /** The database to copy. */
  readonly source: number;
  /** What is different in the copy. */
  readonly input: Partial<DatabaseInput>;
}

/** Forks a database. */
export const FORK_DB: OperationKind = {
  name: "forkDb",
  tag: tagOf("forkDb"),
  stage(staging, _table, key, value) {
    const target = numberOf(key);
    const { source, input } = value as Fork;
    if (typeof source !== "number") failType(`Cannot ${ACTION}: the source is not a number`, { field: "source" });
    if (typeof input !== "object" || input === null) failType(`Cannot ${ACTION}: its record is not an object`, { table: databases.name });
    if (source === target) failRange(`Cannot ${ACTION}: source and target are the same`, { db: target });
    const from = databaseOf(staging, source);
    if (from === undefined) {
      fail("NOT_FOUND", `Cannot ${ACTION}: there is no database ${source}`, { detail: { table: databases.name, db: source } });
    }
    if (databaseOf(staging, target) !== undefined) {
      fail("EXISTS", `Cannot ${ACTION}: there is a database ${target}`, { detail: { table: databases.name, db: target } });
    }
    const merged = { ...from, createdAt: undefined, ...input, options: { ...from.options, ...input.options } };
    const record = databaseRecord(merged, staging.now, { forkOf: source, foreign: true });
    staging.put(staging.bind(databases), key, record, this.tag, false);
    staging.pending(databases).set(target, 0, record);
    copyLog(staging, source, target);
    copyObjects(staging, source, target);
  },
};

function copyLog(staging: Staging, source: number, target: number): void {
  const state = rowOf(staging, walStates, source, 0, [source]);
  if (state !== undefined) {
    const copy = { ...state, flushGate: { lastSuccessAt: state.flushGate.lastSuccessAt } };
    staging.put(staging.bind(walStates), [target], copy, 0, true);
    staging.pending(walStates).set(target, 0, copy);
  }
  for (const [[artifact], row] of rowsOf(staging, walArtifacts, source)) {
    staging.put(staging.bind(walArtifacts), [target, artifact], row, 0, true);
    staging.pending(walArtifacts).set(target, artifact!, row);
  }
}

function copyObjects(staging: Staging, source: number, target: number): void {
  const { refcounts } = staging;
  for (const [[chunk], row] of rowsOf(staging, chunks, source)) {
    const copy = { ...row, originDb: row.originDb ?? source };
    refcounts.note({ originDb: copy.originDb, chunkId: chunk!, generation: row.generation }, false, ACTION);
    staging.put(staging.bind(chunks), [target, chunk], copy, 0, true);
    staging.pending(chunks).set(target, chunk!, copy);
  }
  for (const [[chunk, generation, delta], row] of rowsOf(staging, chunkDeltas, source)) {
    const copy = { ...row, originDb: row.originDb ?? source };
    refcounts.note({ originDb: copy.originDb, chunkId: chunk!, generation: generation!, deltaId: delta }, false, ACTION);
    staging.put(staging.bind(chunkDeltas), [target, chunk, generation, delta], copy, 0, true);
    staging.pending(chunkDeltas).set(target, `${chunk}/${generation}/${delta}`, copy);
  }
  for (const [[id], snapshot] of rowsOf(staging, snapshots, source)) {
    for (const object of snapshot.chunks) refcounts.increment(object, ACTION);
    staging.put(staging.bind(snapshots), [target, id], snapshot, 0, true);
    staging.pending(snapshots).set(target, id!, snapshot);
  }
}
