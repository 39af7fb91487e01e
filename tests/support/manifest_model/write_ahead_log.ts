// Operations on what is known of write-ahead logs, as their documentation has them.
import type { WalArtifactInput, WalStateInput } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";

export function putWalState(db: number, input: WalStateInput): ModelOperation {
  return {
    name: "putWalState",
    add: (txn) => txn.putWalState(db, input),
    apply(state) {
      state.requireDb(db);
      const row = {
        lastSealedSegment: input.lastSealedSegment ?? 0,
        lastAppliedLsn: input.lastAppliedLsn ?? 0,
        lastCheckpointGeneration: input.lastCheckpointGeneration ?? 0,
        restartEpoch: input.restartEpoch ?? 0,
        flushGate: input.flushGate ?? {},
      };
      state.walStates.set([db], row);
      state.show("putWalState", "wal_state", [db], row);
    },
  };
}

export function deleteWalState(db: number): ModelOperation {
  return {
    name: "deleteWalState",
    add: (txn) => txn.deleteWalState(db),
    apply(state) {
      state.walStates.delete(db);
      state.show("deleteWalState", "wal_state", [db]);
    },
  };
}

export function upsertWalArtifact(key: readonly [number, number], input: WalArtifactInput): ModelOperation {
  return {
    name: "upsertWalArtifact",
    add: (txn) => txn.upsertWalArtifact(key, input),
    apply(state) {
      state.requireDb(key[0]);
      const row = { ...input, createdAt: input.createdAt ?? state.now };
      state.walArtifacts.set(key, row);
      state.show("upsertWalArtifact", "wal_catalog", key, row);
    },
  };
}

export function deleteWalArtifact(key: readonly [number, number]): ModelOperation {
  return {
    name: "deleteWalArtifact",
    add: (txn) => txn.deleteWalArtifact(key),
    apply(state) {
      state.walArtifacts.delete(...key);
      state.show("deleteWalArtifact", "wal_catalog", key);
    },
  };
}
