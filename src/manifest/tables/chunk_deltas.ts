// Table "chunk_delta_index": deltas, each a stored object of its own that applies to one generation of a chunk.
import { defineTable, optional, type Table, text, u16, u53 } from "../../schema/schema.ts";
import { LOCAL, type Residency, residency } from "./residency.ts";

/** What the manifest knows of a delta. */
export interface ChunkDelta {
  /** Its file. */
  fileName: string;
  /** Its size. */
  sizeBytes: number;
  /** Where its bytes are. */
  residency: Residency;
  /** The chunk that it applies to, when that is another one than it is listed under. */
  baseChunkId?: number;
  /** The database that wrote the object, when that is another one (after a fork). */
  originDb?: number;
}

/** What `upsertChunkDelta` takes: everything but the file name has a default. */
export interface ChunkDeltaInput extends Partial<ChunkDelta> {
  /** Its file. */
  fileName: string;
}

/** Key: database id, chunk id, generation of the chunk, delta id. */
export const chunkDeltas: Table<[db: number, chunk: number, generation: number, delta: number], ChunkDelta> = defineTable({
  name: "chunk_delta_index",
  key: [u53("db"), u53("chunk"), u53("generation"), u16("delta")],
  value: {
    fileName: text(),
    sizeBytes: u53(),
    residency,
    baseChunkId: optional(u53()),
    originDb: optional(u53()),
  },
});

/** The whole record behind an input. */
export function chunkDeltaRecord(input: ChunkDeltaInput): ChunkDelta {
  return {
    fileName: input.fileName,
    sizeBytes: input.sizeBytes ?? 0,
    residency: input.residency ?? LOCAL,
    baseChunkId: input.baseChunkId,
    originDb: input.originDb,
  };
}
