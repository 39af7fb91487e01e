// How commands open a manifest.
import { ManifestError } from "../errors.ts";
import { Manifest } from "../manifest/manifest.ts";
import type { ManifestOptions } from "../manifest/options.ts";
import type { Invocation } from "./command.ts";

/** Opens the manifest for reading: nothing is written to it or beside it, whoever else writes. */
export function openForReading({ file, options }: Invocation): Promise<Manifest> {
  return Manifest.open(file, { ...common(options), readOnly: true });
}

/** Opens the manifest for writing: recovers, takes the lock. Jobs of the process that died are its owner's business. */
export function openForWriting({ file, options }: Invocation): Promise<Manifest> {
  return Manifest.open(file, { ...common(options), requeueJobs: false });
}

function common(options: Invocation["options"]): ManifestOptions {
  const { followSymlink, cache } = options;
  return {
    ...(followSymlink === true ? { followSymlink } : {}),
    ...(typeof cache === "number" ? { cacheBytes: cache * 2 ** 20 } : {}),
  };
}

/** The error of a command that was told to end before it was done. */
export function interrupted(action: string): ManifestError {
  return new ManifestError("ABORTED", `Cannot ${action}: interrupted`);
}
