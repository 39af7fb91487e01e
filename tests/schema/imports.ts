// What the schema tests use, in one place.
import { isManifestError } from "../../src/errors.ts";

export * from "../../src/schema/schema.ts";

/** Whether an error is one of ours with this code. */
export function isManifestErrorCode(error: unknown, code: string): boolean {
  return isManifestError(error) && error.code === code;
}
