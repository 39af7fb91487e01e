// The name of an object in remote storage, as it is part of several records.
import { type Field, optional, record, text, u16, u53, union } from "../../schema/schema.ts";

/** The name of an object in remote storage. */
export interface RemoteObject {
  /** Its namespace (bucket and prefix). */
  namespaceId: number;
  /** The database that wrote it. */
  originDb: number;
  /** Its chunk. */
  chunkId: number;
  /** What it is. */
  kind: { is: "base" } | { is: "delta"; deltaId: number } | { is: "wal"; shard: number } | { is: "custom"; tag: number };
  /** Its generation. */
  generation: number;
  /** What the remote storage calls this version. */
  etag?: string;
}

/** The field type of a {@linkcode RemoteObject}. */
export const remoteObject: Field<RemoteObject> = record({
  namespaceId: u53(),
  originDb: u53(),
  chunkId: u53(),
  kind: union("is", { base: {}, delta: { deltaId: u16() }, wal: { shard: u16() }, custom: { tag: u16() } }),
  generation: u53(),
  etag: optional(text()),
});
