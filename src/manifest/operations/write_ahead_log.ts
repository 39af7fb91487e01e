// Operations on what the manifest knows of write-ahead logs: their state and their artifacts.
import { type OperationKind, tagOf } from "../write/operation.ts";
import { type WalArtifactInput, walArtifactRecord, walArtifacts } from "../tables/wal_artifacts.ts";
import { type WalStateInput, walStateRecord, walStates } from "../tables/wal_states.ts";
import { componentsOf, numberOf, objectOf, requireDatabase } from "./rows.ts";

/** Puts the state of a database's log. */
export const PUT_WAL_STATE: OperationKind = {
  name: "putWalState",
  tag: tagOf("putWalState"),
  stage(staging, _table, key, value) {
    const db = numberOf(key);
    const record = walStateRecord(objectOf<WalStateInput>(walStates, value, "the state of a log"));
    requireDatabase(staging, db, "put the state of a log");
    staging.put(staging.bind(walStates), key, record, this.tag, false);
    if (staging.many) staging.pending(walStates).set(db, 0, record);
  },
};

/** Deletes the state of a database's log; nothing happens when there is none. */
export const DELETE_WAL_STATE: OperationKind = {
  name: "deleteWalState",
  tag: tagOf("deleteWalState"),
  stage(staging, _table, key) {
    staging.delete(staging.bind(walStates), key, this.tag, false);
    if (staging.many) staging.pending(walStates).set(numberOf(key), 0, null);
  },
};

/** Puts an artifact. */
export const UPSERT_WAL_ARTIFACT: OperationKind = {
  name: "upsertWalArtifact",
  tag: tagOf("upsertWalArtifact"),
  stage(staging, _table, key, value) {
    const [db, artifact] = componentsOf<[number, number]>(walArtifacts, key, 2);
    const record = walArtifactRecord(objectOf<WalArtifactInput>(walArtifacts, value, "a log artifact"), staging.now);
    requireDatabase(staging, db, "put a log artifact");
    staging.put(staging.bind(walArtifacts), key, record, this.tag, false);
    if (staging.many) staging.pending(walArtifacts).set(db, artifact, record);
  },
};

/** Deletes an artifact; nothing happens when there is none. */
export const DELETE_WAL_ARTIFACT: OperationKind = {
  name: "deleteWalArtifact",
  tag: tagOf("deleteWalArtifact"),
  stage(staging, _table, key) {
    const [db, artifact] = componentsOf<[number, number]>(walArtifacts, key, 2);
    staging.delete(staging.bind(walArtifacts), key, this.tag, false);
    if (staging.many) staging.pending(walArtifacts).set(db, artifact, null);
  },
};
