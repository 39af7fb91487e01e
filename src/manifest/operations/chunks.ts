// Operations on chunks.
import { failType } from "../../errors.ts";
import { type OperationKind, tagOf } from "../operation.ts";
import type { Staging } from "../staging.ts";
import { type Chunk, type ChunkInput, chunkRecord, chunks } from "../tables/chunks.ts";
import { requireDatabase } from "./databases.ts";

/** The two numbers of a key; its components are checked when it is written. */
export function pairOf(table: string, key: unknown): readonly [number, number] {
  if (!Array.isArray(key) || key.length !== 2) failType(`Cannot write "${table}": the key is not an array of 2 components`, { table });
  return key as unknown as [number, number];
}

/** A chunk as the transaction has left it. */
export function chunkOf(staging: Staging, db: number, chunk: number): Chunk | undefined {
  const pending = staging.many ? staging.pending(chunks).get(db, chunk) : undefined;
  if (pending !== undefined) return pending ?? undefined;
  return staging.reader(chunks).get([db, chunk]) as Chunk | undefined;
}

/** Puts a chunk. The object it named before keeps the counts of the snapshots that list it. */
export const UPSERT_CHUNK: OperationKind = {
  name: "upsertChunk",
  tag: tagOf("upsertChunk"),
  stage(staging, _table, key, value) {
    const [db, chunk] = pairOf(chunks.name, key);
    if (typeof value !== "object" || value === null) failType("Cannot put a chunk: its record is not an object", { table: chunks.name });
    requireDatabase(staging, db, "put a chunk");
    const record = chunkRecord(value as ChunkInput);
    staging.put(staging.bind(chunks), key, record, this.tag, false);
    if (staging.many) staging.pending(chunks).set(db, chunk, record);
  },
};

/** Deletes a chunk; nothing happens when there is none. */
export const DELETE_CHUNK: OperationKind = {
  name: "deleteChunk",
  tag: tagOf("deleteChunk"),
  stage(staging, _table, key) {
    const [db, chunk] = pairOf(chunks.name, key);
    staging.delete(staging.bind(chunks), key, this.tag, false);
    if (staging.many) staging.pending(chunks).set(db, chunk, null);
  },
};
