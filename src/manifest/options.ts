// How a manifest is opened.
import type { StoreOptions } from "../store/store.ts";
import type { LogRetention } from "./change_log.ts";

/** How a manifest is opened. */
export interface ManifestOptions extends StoreOptions {
  /** Bytes of page cache. Default 64 MiB. */
  cacheBytes?: number;
  /** What the change log keeps while no cursor is registered. Default: the newest 1,024 changes or 1 MiB, whichever is less. */
  logRetention?: LogRetention;
  /** Puts jobs that were under way when the last writer died back among those that wait. Default true. */
  requeueJobs?: boolean;
  /** Opens what a symbolic link leads to; without it a link is refused. */
  followSymlink?: boolean;
}

/** Bytes of page cache unless the options say otherwise. */
export const CACHE_BYTES: number = 64 << 20;
