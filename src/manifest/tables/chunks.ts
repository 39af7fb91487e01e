// Table "chunk_catalog": the chunks of each database and the stored object that holds each of them now.
//
// A chunk's object is named by (origin database, chunk, generation): putting the chunk with another generation names another object, and the old one
// stays counted for the snapshots that list it.
import { bool, bytes, defineTable, enumOf, optional, type Table, text, timestamp, u53 } from "../../schema/schema.ts";
import { LOCAL, type Residency, residency } from "./residency.ts";

/** What the manifest knows of a chunk. */
export interface Chunk {
  /** Its file. */
  fileName: string;
  /** Generation of its object. */
  generation: number;
  /** Its size. */
  sizeBytes: number;
  /** How it is compressed. */
  compression: "none" | "zstd";
  /** Whether it is encrypted. */
  encrypted: boolean;
  /** Where its bytes are. */
  residency: Residency;
  /** The database that wrote the object, when that is another one (after a fork). */
  originDb?: number;
  /** When it was uploaded, milliseconds since 1970. */
  uploadedAt?: number;
  /** When its local copy may go, milliseconds since 1970. */
  purgeAfter?: number;
  /** Digest of its content. */
  contentHash?: Uint8Array;
  /** Size of its pages. */
  pageSize?: number;
  /** Number of its pages. */
  pageCount?: number;
}

/** What `upsertChunk` takes: everything but the file name has a default. */
export interface ChunkInput extends Partial<Chunk> {
  /** Its file. */
  fileName: string;
}

/** Key: database id, chunk id. */
export const chunks: Table<[db: number, chunk: number], Chunk> = defineTable({
  name: "chunk_catalog",
  key: [u53("db"), u53("chunk")],
  value: {
    fileName: text(),
    generation: u53(),
    sizeBytes: u53(),
    compression: enumOf("none", "zstd"),
    encrypted: bool(),
    residency,
    originDb: optional(u53()),
    uploadedAt: optional(timestamp()),
    purgeAfter: optional(timestamp()),
    contentHash: optional(bytes()),
    pageSize: optional(u53()),
    pageCount: optional(u53()),
  },
});

/** The whole record behind an input. */
export function chunkRecord(input: ChunkInput): Chunk {
  return {
    fileName: input.fileName,
    generation: input.generation ?? 0,
    sizeBytes: input.sizeBytes ?? 0,
    compression: input.compression ?? "none",
    encrypted: input.encrypted ?? false,
    residency: input.residency ?? LOCAL,
    originDb: input.originDb,
    uploadedAt: input.uploadedAt,
    purgeAfter: input.purgeAfter,
    contentHash: input.contentHash,
    pageSize: input.pageSize,
    pageCount: input.pageCount,
  };
}
