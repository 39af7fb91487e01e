// Operations on snapshots and on the holds of stored objects, as their documentation has them.
import type { Snapshot, SnapshotChunk, SnapshotInput, SnapshotItem, StoredObject } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";
import { type ObjectKey, refuse, type State } from "./state.ts";

function listed(state: State, db: number, { chunkId, deltaId, generation }: SnapshotItem): SnapshotChunk {
  const chunk = state.chunks.get(db, chunkId);
  if (deltaId === undefined) {
    if (chunk === undefined || generation !== undefined && generation !== chunk.generation) return refuse("NOT_FOUND");
    return { chunkId, originDb: chunk.originDb ?? db, generation: chunk.generation };
  }
  const of = generation ?? chunk?.generation ?? refuse("NOT_FOUND");
  const delta = state.deltas.get(db, chunkId, of, deltaId) ?? refuse("NOT_FOUND");
  return { chunkId, originDb: delta.originDb ?? db, generation: of, deltaId, baseChunkId: delta.baseChunkId ?? chunkId };
}

export function publishSnapshot(key: readonly [number, number], input: SnapshotInput): ModelOperation {
  return {
    name: "publishSnapshot",
    add: (txn) => txn.publishSnapshot(key, input),
    apply(state) {
      state.requireDb(key[0]);
      const chunks: SnapshotChunk[] = [];
      for (const item of input.chunks) {
        const one = listed(state, key[0], item);
        const again = chunks.some((other) =>
          other.chunkId === one.chunkId && other.deltaId === one.deltaId &&
          (one.deltaId === undefined || other.generation === one.generation)
        );
        if (again) refuse("INVALID_ARGUMENT");
        state.name([one.originDb, one.chunkId, one.generation, one.deltaId ?? -1], true);
        chunks.push(one);
      }
      const row: Snapshot = { createdAt: input.createdAt ?? state.now, sourceGeneration: input.sourceGeneration ?? 0, chunks };
      state.snapshots.set(key, row);
      state.show("publishSnapshot", "snapshot_index", key, row);
    },
  };
}

export function dropSnapshot(key: readonly [number, number]): ModelOperation {
  return {
    name: "dropSnapshot",
    add: (txn) => txn.dropSnapshot(key),
    apply(state) {
      if (!state.snapshots.has(...key)) refuse("NOT_FOUND");
      state.snapshots.delete(...key);
      state.show("dropSnapshot", "snapshot_index", key);
    },
  };
}

export function adjustRefcount(object: StoredObject, delta: number): ModelOperation {
  const key: ObjectKey = [object.originDb, object.chunkId, object.generation, object.deltaId ?? -1];
  return {
    name: "adjustRefcount",
    add: (txn) => txn.adjustRefcount(object, delta),
    apply(state) {
      if (delta === 0) return;
      const facts = state.facts(key);
      if (delta > 0 && facts.condemned) refuse("OBJECT_CONDEMNED");
      const held = facts.held + delta;
      if (held < 0) refuse("REFCOUNT_UNDERFLOW");
      if (held > Number.MAX_SAFE_INTEGER) refuse("LIMIT");
      const after = { ...facts, held };
      state.objects.set(key, after);
      state.show("adjustRefcount", "gc_refcounts", key, state.refcount(key, after, state.counts()));
    },
  };
}
