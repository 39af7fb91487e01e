// Diagnostics: everything about a manifest that somebody who looks into a problem would ask for, as JSON, without any data of the user: no keys, no values, no names of tables or cursors.
import { FORMAT_VERSION } from "../../assembly/format.ts";
import { type ErrorJson, isManifestError } from "../errors.ts";
import type { RecoveryReport, StoreStats } from "../store/store.ts";
import type { ChangeCacheMetrics } from "./log/change_cache.ts";
import type { ManifestCore } from "./core.ts";
import { collectableCount } from "./gc/reclaim.ts";
import type { DurabilityReport } from "./manifest.ts";
import type { ResolvedManifestOptions } from "./options.ts";
import type { RuntimeState } from "./tables/runtime_state.ts";

/** Version of this library. */
export const LIBRARY_VERSION: string = "0.1.0";
/** Version of the file format that it writes. */
export const WRITTEN_FORMAT: number = FORMAT_VERSION;

/** What `Manifest.diagnostics` answers: plain JSON. */
export interface Diagnostics {
  /** Version of this shape. */
  readonly version: 1;
  /** Version of the library. */
  readonly library: string;
  /** Version of the file format that it writes. */
  readonly format: number;
  /** Names the file for its whole life. */
  readonly fileId: string;
  /** Names its history: another one after a restore or a salvage. */
  readonly historyId: string;
  /** Options in effect, by name. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What a commit survives here. */
  readonly durability: DurabilityReport;
  /** Whether writing is refused. */
  readonly readOnly: boolean;
  /** Whether the last writer had not closed the file. */
  readonly crashDetected: boolean;
  /** What recovery did. */
  readonly recovery: RecoveryReport;
  /** The opening for writing; missing when there is none. */
  readonly runtimeState?: RuntimeState;
  /** Numbers about the store; missing when they cannot be told any more. */
  readonly stats?: StoreStats;
  /** The newest durable change and the oldest that is kept; missing when they cannot be told any more. */
  readonly changes?: { readonly latest: number; readonly oldest: number };
  /** Cursors by id, with their lag; missing when they cannot be told any more. */
  readonly cursors?: readonly { readonly id: number; readonly nextSequence: number; readonly lag: number; readonly maxLag?: number }[];
  /** Tables and their rows: how many tables, and rows of all. */
  readonly tables?: { readonly count: number; readonly rows: number };
  /** Objects that no snapshot lists. */
  readonly collectable?: number;
  /** The cache of change records; missing without one. */
  readonly changeCache?: ChangeCacheMetrics;
  /** Who waits: for changes, for generations, for room in the queue. */
  readonly waiters: { readonly changes: number; readonly generations: number; readonly room: number };
  /** Followers that are under way. */
  readonly followers: number;
  /** Listeners of events. */
  readonly listeners: number;
  /** What ended writing, if anything did. */
  readonly failure?: ErrorJson;
}

/** What the manifest itself adds. */
type Known = Pick<Diagnostics, "durability" | "recovery" | "crashDetected" | "waiters" | "followers" | "listeners">;

/** A part that cannot be told any more is left out: diagnostics are asked for when something is broken. */
function tell<T>(part: () => T): T | undefined {
  try {
    return part();
  } catch (error) {
    if (!isManifestError(error)) throw error;
    return undefined;
  }
}

/** Collects the diagnostics of an open manifest, or of what is left of it. */
export function diagnose(core: ManifestCore, options: ResolvedManifestOptions, known: Known): Diagnostics {
  const { store, log } = core;
  const { environment: _environment, wasm: _wasm, ...inEffect } = store.options;
  const { retention, lagWarning, pollMs, requeueJobs, cache } = options;
  const state = core.virtual.runtimeState();
  const latest = log.latest;
  const told: { -readonly [K in keyof Diagnostics]?: Diagnostics[K] } = {
    runtimeState: state,
    stats: tell(() => store.stats()),
    changes: tell(() => ({ latest, oldest: log.oldest(core.published()) })),
    cursors: tell(() =>
      core.cursors.list(core.published()).map(({ id, nextSequence, maxLag }) => {
        const lag = Math.max(0, latest + 1 - nextSequence);
        return maxLag === undefined ? { id, nextSequence, lag } : { id, nextSequence, lag, maxLag };
      })
    ),
    tables: tell(() => {
      const view = core.published();
      const tables = view.tables();
      return { count: tables.length, rows: tables.reduce((sum, { id }) => sum + view.tree(id).rows, 0) };
    }),
    collectable: tell(() => collectableCount(core)),
    changeCache: cache?.metrics,
    failure: store.failure?.toJSON(),
  };
  for (const name of Object.keys(told) as (keyof Diagnostics)[]) if (told[name] === undefined) delete told[name];
  const all: Diagnostics = {
    version: 1,
    library: LIBRARY_VERSION,
    format: WRITTEN_FORMAT,
    fileId: store.fileId,
    historyId: store.historyId,
    options: { ...inEffect, logRetention: retention, lagWarning, pollMs, requeueJobs, changeCache: cache !== undefined },
    readOnly: store.readOnly,
    ...known,
    ...told,
  };
  return JSON.parse(JSON.stringify(all)); // what is absent is absent
}
