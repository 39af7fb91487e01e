// Operations on chunks and deltas, as their documentation has them.
import type { Chunk, ChunkDelta, ChunkDeltaInput, ChunkInput } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";
import type { State } from "./state.ts";

/** Key of a delta. */
export type DeltaKey = readonly [db: number, chunk: number, generation: number, delta: number];

function markForeign(state: State, db: number, originDb: number | undefined): void {
  const row = state.requireDb(db);
  if (originDb !== undefined && originDb !== db && !row.foreign) state.databases.set([db], { ...row, foreign: true });
}

export function upsertChunk(key: readonly [number, number], input: ChunkInput): ModelOperation {
  return {
    name: "upsertChunk",
    add: (txn) => txn.upsertChunk(key, input),
    apply(state) {
      const [db, chunk] = key;
      state.requireDb(db);
      const before = state.chunks.get(db, chunk);
      const generation = input.generation ?? 0;
      // The same generation is the same object.
      const originDb = input.originDb ?? (before?.generation === generation ? before.originDb : undefined);
      const row: Chunk = {
        ...input,
        generation,
        originDb,
        sizeBytes: input.sizeBytes ?? 0,
        compression: input.compression ?? "none",
        encrypted: input.encrypted ?? false,
        residency: input.residency ?? { at: "local" },
      };
      markForeign(state, db, originDb);
      const anew = before?.generation !== generation || (before.originDb ?? db) !== (originDb ?? db);
      state.name([originDb ?? db, chunk, generation, -1], false, anew);
      state.chunks.set(key, row);
      state.show("upsertChunk", "chunk_catalog", key, row);
    },
  };
}

export function deleteChunk(key: readonly [number, number]): ModelOperation {
  return {
    name: "deleteChunk",
    add: (txn) => txn.deleteChunk(key),
    apply(state) {
      state.chunks.delete(...key);
      state.show("deleteChunk", "chunk_catalog", key);
    },
  };
}

export function upsertChunkDelta(key: DeltaKey, input: ChunkDeltaInput): ModelOperation {
  return {
    name: "upsertChunkDelta",
    add: (txn) => txn.upsertChunkDelta(key, input),
    apply(state) {
      const [db, chunk, generation, delta] = key;
      state.requireDb(db);
      const before = state.deltas.get(...key);
      const originDb = input.originDb ?? before?.originDb;
      const row: ChunkDelta = {
        fileName: input.fileName,
        sizeBytes: input.sizeBytes ?? 0,
        residency: input.residency ?? { at: "local" },
        baseChunkId: input.baseChunkId,
        originDb,
      };
      markForeign(state, db, originDb);
      const anew = before === undefined || (before.originDb ?? db) !== (originDb ?? db);
      state.name([originDb ?? db, chunk, generation, delta], false, anew);
      state.deltas.set(key, row);
      state.show("upsertChunkDelta", "chunk_delta_index", key, row);
    },
  };
}

export function deleteChunkDelta(key: DeltaKey): ModelOperation {
  return {
    name: "deleteChunkDelta",
    add: (txn) => txn.deleteChunkDelta(key),
    apply(state) {
      state.deltas.delete(...key);
      state.show("deleteChunkDelta", "chunk_delta_index", key);
    },
  };
}
