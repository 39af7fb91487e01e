// The switch behind which proofs show that their checks can fail.
import type { Environment } from "../../store/environment.ts";

/**
 * Environments of manifests whose transactions are not validated: for proofs that a check of serialisability can fail.
 * @internal
 */
export const unvalidated: WeakSet<Environment> = new WeakSet();
