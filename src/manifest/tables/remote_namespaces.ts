// Table "remote_namespaces": where objects lie in remote storage.
import { defineTable, optional, type Table, text, u53 } from "../../schema/schema.ts";

/** A place in remote storage that objects are named in. */
export interface RemoteNamespace {
  /** Its bucket. */
  bucket: string;
  /** What the names of its objects begin with. */
  prefix: string;
  /** Name of the profile that says how its objects are encrypted. */
  encryptionProfile?: string;
}

/** What `putRemoteNamespace` takes: everything but the bucket has a default. */
export interface RemoteNamespaceInput {
  /** Its bucket. */
  bucket: string;
  /** Default "". */
  prefix?: string;
  /** Default: none. */
  encryptionProfile?: string;
}

/** Key: namespace id. */
export const remoteNamespaces: Table<[namespace: number], RemoteNamespace> = defineTable({
  name: "remote_namespaces",
  key: [u53("namespace")],
  value: { bucket: text(), prefix: text(), encryptionProfile: optional(text()) },
});

/** The whole record behind an input. */
export function remoteNamespaceRecord(input: RemoteNamespaceInput): RemoteNamespace {
  return { bucket: input.bucket, prefix: input.prefix ?? "", encryptionProfile: input.encryptionProfile };
}
