// Operations on chunks and deltas: each row names a stored object, which is unnamed until a snapshot lists it.
import { type OperationKind, tagOf } from "../write/operation.ts";
import type { Staging } from "../write/staging.ts";
import { type ChunkDelta, type ChunkDeltaInput, chunkDeltaRecord, chunkDeltas } from "../tables/chunk_deltas.ts";
import { type Chunk, type ChunkInput, chunkRecord, chunks } from "../tables/chunks.ts";
import { databases } from "../tables/databases.ts";
import { componentsOf, objectOf, requireDatabase, rowOf } from "./rows.ts";

/** Key of a delta. */
export type DeltaKey = readonly [db: number, chunk: number, generation: number, delta: number];

/** A chunk as the transaction has left it. */
function chunkOf(staging: Staging, db: number, chunk: number): Chunk | undefined {
  return rowOf(staging, chunks, db, chunk, [db, chunk]);
}

/** What names a chunk's stored object. */
const OBJECT_FIELDS: readonly (keyof Chunk)[] = ["generation", "originDb"];

/** What names the stored object of a chunk, as the transaction has left it. */
export function chunkObjectOf(staging: Staging, db: number, chunk: number): Pick<Chunk, "generation" | "originDb"> | undefined {
  return rowOf(staging, chunks, db, chunk, [db, chunk], OBJECT_FIELDS);
}

/** A delta as the transaction has left it. */
export function deltaOf(staging: Staging, key: DeltaKey): ChunkDelta | undefined {
  const [db, chunk, generation, delta] = key;
  return rowOf(staging, chunkDeltas, db, `${chunk}/${generation}/${delta}`, key);
}

/** Notes in a database's row that it names objects of others: whoever deletes an object then knows where else it may be named. */
function markForeign(staging: Staging, db: number, originDb: number | undefined): void {
  if (originDb === undefined || originDb === db) return;
  const row = rowOf(staging, databases, db, 0, [db])!;
  if (row.foreign) return;
  const marked = { ...row, foreign: true };
  staging.put(staging.bind(databases), db, marked, 0, true);
  staging.pending(databases).set(db, 0, marked);
}

/** Puts a chunk. The object it named before keeps the counts of the snapshots that list it; while the generation stays, so does the object. */
export const UPSERT_CHUNK: OperationKind = {
  name: "upsertChunk",
  tag: tagOf("upsertChunk"),
  stage(staging, _table, key, value) {
    const [db, chunk] = componentsOf<[number, number]>(chunks, key, 2);
    const input = objectOf<ChunkInput>(chunks, value, "a chunk");
    requireDatabase(staging, db, "put a chunk");
    const record = chunkRecord(input);
    const before = chunkOf(staging, db, chunk);
    if (before?.generation === record.generation) record.originDb ??= before.originDb;
    markForeign(staging, db, record.originDb);
    staging.put(staging.bind(chunks), key, record, this.tag, false);
    const originDb = record.originDb ?? db;
    const anew = before === undefined || before.generation !== record.generation || (before.originDb ?? db) !== originDb;
    staging.refcounts.note({ originDb, chunkId: chunk, generation: record.generation }, anew, "put a chunk");
    if (staging.many) staging.pending(chunks).set(db, chunk, record);
  },
};

/** Deletes a chunk; nothing happens when there is none. */
export const DELETE_CHUNK: OperationKind = {
  name: "deleteChunk",
  tag: tagOf("deleteChunk"),
  stage(staging, _table, key) {
    const [db, chunk] = componentsOf<[number, number]>(chunks, key, 2);
    staging.delete(staging.bind(chunks), key, this.tag, false);
    if (staging.many) staging.pending(chunks).set(db, chunk, null);
  },
};

/** Puts a delta. */
export const UPSERT_CHUNK_DELTA: OperationKind = {
  name: "upsertChunkDelta",
  tag: tagOf("upsertChunkDelta"),
  stage(staging, _table, key, value) {
    const components = componentsOf<DeltaKey>(chunkDeltas, key, 4);
    const [db, chunk, generation, delta] = components;
    const input = objectOf<ChunkDeltaInput>(chunkDeltas, value, "a delta");
    requireDatabase(staging, db, "put a delta");
    const record = chunkDeltaRecord(input);
    const before = deltaOf(staging, components);
    record.originDb ??= before?.originDb;
    markForeign(staging, db, record.originDb);
    staging.put(staging.bind(chunkDeltas), key, record, this.tag, false);
    const originDb = record.originDb ?? db;
    const anew = before === undefined || (before.originDb ?? db) !== originDb;
    staging.refcounts.note({ originDb, chunkId: chunk, generation, deltaId: delta }, anew, "put a delta");
    if (staging.many) staging.pending(chunkDeltas).set(db, `${chunk}/${generation}/${delta}`, record);
  },
};

/** Deletes a delta; nothing happens when there is none. */
export const DELETE_CHUNK_DELTA: OperationKind = {
  name: "deleteChunkDelta",
  tag: tagOf("deleteChunkDelta"),
  stage(staging, _table, key) {
    const [db, chunk, generation, delta] = componentsOf<DeltaKey>(chunkDeltas, key, 4);
    staging.delete(staging.bind(chunkDeltas), key, this.tag, false);
    if (staging.many) staging.pending(chunkDeltas).set(db, `${chunk}/${generation}/${delta}`, null);
  },
};
