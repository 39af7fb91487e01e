// How commands open a manifest.
import { ManifestError } from "../errors.ts";
import { Manifest } from "../manifest/manifest.ts";
import type { ManifestOptions } from "../manifest/options.ts";
import { systemEnvironment } from "../store/environment.ts";
import type { Invocation } from "./command.ts";
import { hasCode } from "./printer.ts";

/** Newer states looked for in a row, each replaced by a writer before it was read, until that is told. */
const EXPIRED_MAX = 100;

/** Opens the manifest for reading: nothing is written to it or beside it, whoever else writes. */
export async function openForReading({ file, options }: Invocation): Promise<Manifest> {
  return await unlessExpired(() => Manifest.open(file, { ...common(options), readOnly: true }), () => systemEnvironment.yield());
}

/** How often, and behind what, a reading is begun again. */
export interface Again {
  /** So many times at most. */
  readonly most?: number;
  /** Whether an error is one that a newer state may not have. Default: SNAPSHOT_EXPIRED. */
  readonly behind?: (error: unknown) => boolean;
}

/** Reads from the newest state; again when a writer has replaced it meanwhile. */
export async function readNewest<T>(manifest: Manifest, read: () => T | Promise<T>, again: Again = {}): Promise<T> {
  return await unlessExpired(read, () => manifest.refresh(), again);
}

async function unlessExpired<T>(
  read: () => T | Promise<T>,
  renew: () => Promise<void>,
  { most = EXPIRED_MAX, behind = isExpired }: Again = {},
): Promise<T> {
  for (let times = 0;;) {
    try {
      return await read();
    } catch (error) {
      if (!behind(error) || ++times > most) throw error;
    }
    await renew();
  }
}

/** Whether the state that was read is gone. */
export function isExpired(error: unknown): boolean {
  return hasCode(error, "SNAPSHOT_EXPIRED");
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
