// Operations: what a transaction is made of. Each kind has a name, a tag that is kept in the file, and a function that stages its effects.
import type { AnyTable } from "../../schema/schema.ts";
import type { Staging } from "./staging.ts";

/** A kind of operation. */
export interface OperationKind {
  /** Its name: the `op` of a change, and the method of a transaction. */
  readonly name: OperationName;
  /** Its number in the file; 0 for the plain ones. */
  readonly tag: number;
  /** It is bookkeeping: shown in no change, and a transaction with nothing else is none. */
  readonly bookkeeping?: true;
  /** Stages its effects against the newest applied state. Throws when it is not possible; nothing is applied then. */
  stage(staging: Staging, table: AnyTable, key: unknown, value: unknown): void;
}

/** Names of operations by their tag in the file: new ones are added at the end, none is ever removed. */
export const OPERATION_NAMES = [
  "put",
  "putDb",
  "deleteDb",
  "upsertChunk",
  "deleteChunk",
  "publishSnapshot",
  "dropSnapshot",
  "putWalState",
  "deleteWalState",
  "upsertChunkDelta",
  "deleteChunkDelta",
  "upsertWalArtifact",
  "deleteWalArtifact",
  "putJob",
  "updateJobState",
  "removeJob",
  "upsertPendingJob",
  "deletePendingJob",
  "mergeMetric",
  "adjustRefcount",
  "bumpGeneration",
  "persistJobCounter",
  "putRemoteNamespace",
  "deleteRemoteNamespace",
  "forkDb",
] as const;

/** The name of an operation on a transaction. */
export type OperationName = (typeof OPERATION_NAMES)[number] | "delete" | "deleteRange" | "createDb" | "acknowledge";

/** The tag of an operation that has one. */
export function tagOf(name: (typeof OPERATION_NAMES)[number]): number {
  return OPERATION_NAMES.indexOf(name);
}
