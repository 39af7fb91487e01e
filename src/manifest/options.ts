// How a manifest is opened: defaults and validation.
import { type OptionNames, readArgument, takeOptions } from "../arguments.ts";
import { failRange, failType } from "../errors.ts";
import { STORE_OPTIONS } from "../store/options.ts";
import { Store, type StoreOptions } from "../store/store.ts";
import { ChangeCache, type ChangeCacheId } from "./log/change_cache.ts";
import { type LogRetention, resolveRetention } from "./log/change_log.ts";
import type { EventListener } from "./events.ts";

/** How a manifest is opened. */
export interface ManifestOptions extends StoreOptions {
  /** Bytes of page cache. Default 64 MiB. */
  cacheBytes?: number;
  /** What the change log keeps while no cursor is registered. Default: the newest 1,024 changes or 1 MiB, whichever is less. */
  logRetention?: LogRetention;
  /** A cursor that is behind by more changes than this is told about: event `cursor-lagging`. Default 100,000. */
  lagWarning?: number;
  /** The cache of recent change records: one to share, or false for none. Default: an own one of 4 MiB. */
  changeCache?: ChangeCache | false;
  /**
   * Names the file in the cache. Default: the file id. Manifests that share a cache and this id share entries: they must be of the same file and define its tables alike.
   */
  changeCacheId?: ChangeCacheId;
  /** Opened for reading: how often somebody who waits looks at the file for writers in other processes, in milliseconds. 0 = never. Default 250. */
  pollMs?: number;
  /** Hears events from the beginning, `recovered` included. */
  onEvent?: EventListener;
  /** Puts jobs that were under way when the last writer died back among those that wait. Default true. */
  requeueJobs?: boolean;
  /** Opens what a symbolic link leads to; without it a link is refused. */
  followSymlink?: boolean;
}

/** Bytes of page cache unless the options say otherwise. */
export const CACHE_BYTES: number = 64 << 20;
const LAG_WARNING = 100_000;
const POLL = 250;
const POLL_MAX = 0x7fffffff;

/** Options of the manifest itself, valid. */
export interface ResolvedManifestOptions {
  readonly store: StoreOptions;
  readonly retention: Required<LogRetention>;
  readonly lagWarning: number;
  readonly cache: ChangeCache | undefined;
  readonly cacheId: ChangeCacheId | undefined;
  readonly pollMs: number;
  readonly onEvent: EventListener | undefined;
  readonly requeueJobs: boolean;
  readonly followSymlink: boolean | undefined;
}

function flag(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean") failType(`Cannot open: option ${option} is not a boolean`, { option });
}

function whole(option: string, value: unknown, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") failType(`Cannot open: option ${option} is not a number`, { option });
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    failRange(`Cannot open: option ${option} is not a whole number from ${least} to ${most}`, { option, value });
  }
  return value;
}

const NAMES: OptionNames<ManifestOptions> = {
  ...STORE_OPTIONS,
  logRetention: true,
  lagWarning: true,
  changeCache: true,
  changeCacheId: true,
  pollMs: true,
  onEvent: true,
  requeueJobs: true,
  followSymlink: true,
};

/** Everything that can be wrong with the options is found before a file is touched. */
export function resolveManifestOptions(options: ManifestOptions): ResolvedManifestOptions {
  const taken = takeOptions(options, NAMES, "open");
  const { logRetention, lagWarning, changeCache, changeCacheId, pollMs, onEvent, requeueJobs, followSymlink, ...store } = taken;
  Store.checkOptions(store);
  flag("requeueJobs", requeueJobs);
  flag("followSymlink", followSymlink);
  if (
    changeCache !== undefined && changeCache !== false &&
    !readArgument("open", "option changeCache", () => changeCache instanceof ChangeCache)
  ) {
    failType("Cannot open: option changeCache is neither a ChangeCache nor false", { option: "changeCache" });
  }
  if (changeCacheId !== undefined && typeof changeCacheId !== "string" && typeof changeCacheId !== "number") {
    failType("Cannot open: option changeCacheId is neither text nor a number", { option: "changeCacheId" });
  }
  if (onEvent !== undefined && typeof onEvent !== "function") {
    failType("Cannot open: option onEvent is not a function", { option: "onEvent" });
  }
  return {
    store: { ...store, cacheBytes: store.cacheBytes ?? CACHE_BYTES },
    retention: resolveRetention(logRetention),
    lagWarning: whole("lagWarning", lagWarning, LAG_WARNING, 1, Number.MAX_SAFE_INTEGER),
    cache: changeCache === false ? undefined : changeCache ?? new ChangeCache(),
    cacheId: changeCacheId,
    pollMs: whole("pollMs", pollMs, POLL, 0, POLL_MAX),
    onEvent,
    requeueJobs: requeueJobs !== false,
    followSymlink,
  };
}
