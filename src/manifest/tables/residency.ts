// Where the bytes of a stored object are, as it is part of several records.
import { bool, type Field, union } from "../../schema/schema.ts";
import { type RemoteObject, remoteObject } from "./remote_object.ts";

/** Where the bytes of a stored object are. */
export type Residency =
  | { at: "local" }
  | { at: "remote"; object: RemoteObject; verified: boolean }
  | { at: "local-and-remote"; object: RemoteObject; verified: boolean }
  | { at: "evicted" };

/** The field type of a {@linkcode Residency}. */
export const residency: Field<Residency> = union("at", {
  local: {},
  remote: { object: remoteObject, verified: bool() },
  "local-and-remote": { object: remoteObject, verified: bool() },
  evicted: {},
});

/** On this machine only: the default. */
export const LOCAL: Residency = Object.freeze({ at: "local" });
