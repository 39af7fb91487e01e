// Operations on remote namespaces.
import { type OperationKind, tagOf } from "../write/operation.ts";
import { type RemoteNamespaceInput, remoteNamespaceRecord, remoteNamespaces } from "../tables/remote_namespaces.ts";
import { objectOf } from "./rows.ts";

/** Puts a namespace. */
export const PUT_REMOTE_NAMESPACE: OperationKind = {
  name: "putRemoteNamespace",
  tag: tagOf("putRemoteNamespace"),
  stage(staging, _table, key, value) {
    const record = remoteNamespaceRecord(objectOf<RemoteNamespaceInput>(remoteNamespaces, value, "a namespace"));
    staging.put(staging.bind(remoteNamespaces), key, record, this.tag, false);
  },
};

/** Deletes a namespace; nothing happens when there is none. */
export const DELETE_REMOTE_NAMESPACE: OperationKind = {
  name: "deleteRemoteNamespace",
  tag: tagOf("deleteRemoteNamespace"),
  stage(staging, _table, key) {
    staging.delete(staging.bind(remoteNamespaces), key, this.tag, false);
  },
};
