// What takes part in a benchmark. Each contender has the loops of the workloads itself, in the form that is fastest for it, so that no shared call in
// between slows one down more than another. It names the workloads that it takes.
//
// Loops that read return a hash of what they read; a wrong hash is a failed run, so a faster answer cannot be a different one.
import type { DataSet, Writes } from "./data.ts";

/** Names of the workloads; see workloads.ts. */
export type WorkloadId = "S1" | "S2" | "S3" | "S4" | "S5" | "S6";

/** A store that takes part. */
export interface Contender {
  /** Its name in reports. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** The options that it runs with, for the report. */
  readonly options: string;
  /** The workloads that it takes. */
  readonly takes: readonly WorkloadId[];
  /** Opens the store in a folder, making it when it is not there. */
  open(folder: string, data: DataSet): Promise<void>;
  /** Closes it. */
  close(): Promise<void>;
  /** Durable commits of `size` writes each, one after another. S6, and loading. */
  commitBatches(writes: Writes, size: number): Promise<void>;
  /** Looks rows up and views their bytes. S1, and checking what was written. */
  gets?(rows: Uint32Array): number;
  /** Stores a record of fields for each row. S2. */
  loadRecords?(): Promise<void>;
  /** Looks rows up and decodes them into objects. S2. */
  records?(rows: Uint32Array): number;
  /** Reads all rows in order: key and bytes of the value. S3. */
  scan?(): number;
  /** Durable commits of one write, one after another. S4. */
  commitEach?(writes: Writes): Promise<void>;
  /** Durable commits of one write, all issued at once; resolves when all are durable. S5. */
  commitTogether?(writes: Writes): Promise<void>;
  /** What is due between rounds and belongs to none. */
  settle?(): Promise<void>;
}

/** Takes a row that was looked up into a hash. */
export function foldBytes(hash: number, value: Uint8Array, at: number): number {
  return (Math.imul(hash, 31) + value[at]! + (value[at + 99]! << 8)) | 0;
}

/** Takes a row of a scan into a hash. */
export function foldRow(hash: number, db: number, chunk: number, value: Uint8Array, at: number): number {
  return (Math.imul(hash, 31) + Math.imul(db, 65599) + chunk + value[at]! + (value[at + 99]! << 8)) | 0;
}

/** Takes a record into a hash. */
export function foldRecord(hash: number, generation: number, sizeBytes: number, fileName: string, contentHash: Uint8Array): number {
  return (Math.imul(hash, 31) + generation + sizeBytes + fileName.length + contentHash[31]!) | 0;
}
