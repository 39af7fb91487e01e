// Table "wal_catalog": the files of each database's write-ahead log that must be kept.
import { defineTable, optional, type Table, text, timestamp, u53, union } from "../../schema/schema.ts";
import { type RemoteObject, remoteObject } from "./remote_object.ts";

/** What an artifact is: a segment that was appended to, or a bundle of page frames. */
export type WalArtifactKind =
  | { is: "segment"; startPage: number; endPage: number; sizeBytes: number }
  | { is: "bundle"; frameCount: number };

/** A file of a write-ahead log. */
export interface WalArtifact {
  /** When it was made, milliseconds since 1970. */
  createdAt: number;
  /** What it is. */
  kind: WalArtifactKind;
  /** Its file. */
  localPath: string;
  /** Its copy in remote storage. */
  remote?: RemoteObject;
}

/** What `upsertWalArtifact` takes: everything but kind and path has a default. */
export interface WalArtifactInput {
  /** What it is. */
  kind: WalArtifactKind;
  /** Its file. */
  localPath: string;
  /** Default: now. */
  createdAt?: number;
  /** Default: none. */
  remote?: RemoteObject;
}

/** Key: database id, artifact id. */
export const walArtifacts: Table<[db: number, artifact: number], WalArtifact> = defineTable({
  name: "wal_catalog",
  key: [u53("db"), u53("artifact")],
  value: {
    createdAt: timestamp(),
    kind: union("is", {
      segment: { startPage: u53(), endPage: u53(), sizeBytes: u53() },
      bundle: { frameCount: u53() },
    }),
    localPath: text(),
    remote: optional(remoteObject),
  },
});

/** The whole record behind an input. */
export function walArtifactRecord(input: WalArtifactInput, now: number): WalArtifact {
  return { createdAt: input.createdAt ?? now, kind: input.kind, localPath: input.localPath, remote: input.remote };
}
