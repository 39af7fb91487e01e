// Shapes of the model of a manifest: how many databases, chunks and jobs, which operations and actions how often, which store below.
import type { ManifestOptions } from "../../../mod.ts";
import type { ClockHabit } from "../model_clock.ts";

/** How often operations of each family are drawn. */
export interface Families {
  readonly databases: number;
  readonly logs: number;
  readonly chunks: number;
  readonly deltas: number;
  readonly snapshots: number;
  readonly holds: number;
  readonly jobs: number;
  readonly metrics: number;
  readonly generations: number;
  readonly namespaces: number;
  readonly user: number;
}

/** How often each action is taken. */
export interface Actions {
  readonly commit: number;
  readonly group: number;
  readonly transact: number;
  readonly empty: number;
  readonly cursor: number;
  readonly fetch: number;
  readonly acknowledge: number;
  readonly reclaim: number;
  readonly requeue: number;
  readonly reserve: number;
  readonly table: number;
  readonly misuse: number;
  readonly resolve: number;
  readonly read: number;
  readonly hold: number;
  readonly release: number;
  readonly compare: number;
  readonly check: number;
  readonly checkpoint: number;
  readonly reopen: number;
  readonly crash: number;
  readonly fault: number;
  readonly breakdown: number;
  readonly readOnly: number;
}

/** How a run is shaped. */
export interface Shape {
  /** Its first seed. */
  readonly seed: number;
  /** Operations to be asked for. */
  readonly operations: number;
  readonly options: ManifestOptions;
  /** Cache sizes; each opening takes one. */
  readonly caches: readonly number[];
  /** How many ids there are of each kind, in each database. */
  readonly databases: number;
  readonly chunks: number;
  readonly generations: number;
  readonly snapshots: number;
  readonly jobs: number;
  /** Most operations of a transaction; most bytes of a long value. */
  readonly most: number;
  readonly longest: number;
  /** How many transactions in a hundred are to fail. */
  readonly wrong: number;
  /** How the clock behaves. Default: right. */
  readonly clock?: ClockHabit;
  /** On a simulated disk: crashes may be power losses, syncs may fail. Remembers every write, so for short runs. */
  readonly disk?: boolean;
  readonly families?: Partial<Families>;
  readonly actions?: Partial<Actions>;
}

const KIB = 1 << 10;
const MIB = 1 << 20;

/** Families where a shape says nothing. */
export const FAMILIES: Families = {
  databases: 8,
  logs: 12,
  chunks: 22,
  deltas: 14,
  snapshots: 18,
  holds: 6,
  jobs: 18,
  metrics: 5,
  generations: 5,
  namespaces: 3,
  user: 8,
};

/** Actions where a shape says nothing. */
export const ACTIONS: Actions = {
  commit: 500,
  group: 60,
  transact: 60,
  empty: 4,
  cursor: 10,
  fetch: 24,
  acknowledge: 16,
  reclaim: 22,
  requeue: 4,
  reserve: 6,
  table: 5,
  misuse: 12,
  resolve: 16,
  read: 40,
  hold: 6,
  release: 6,
  compare: 8,
  check: 1,
  checkpoint: 3,
  reopen: 2,
  crash: 4,
  fault: 6,
  breakdown: 0,
  readOnly: 2,
};

/** Every shape by name. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  // Few ids: everything meets everything.
  dense: {
    seed: 7100,
    operations: 15_000,
    options: { syncMode: "inline", maxTransactionBytes: 4 * MIB, logRetention: { changes: 100, bytes: 64 * MIB } },
    caches: [256 * KIB, MIB],
    databases: 4,
    chunks: 4,
    generations: 3,
    snapshots: 4,
    jobs: 30,
    most: 8,
    longest: 300,
    wrong: 18,
    actions: { table: 25 },
  },
  // Databases that are forked, deleted and reclaimed all the time.
  forks: {
    seed: 7200,
    operations: 8700,
    options: { syncMode: "inline", maxTransactionBytes: 4 * MIB, logRetention: { changes: 20, bytes: 64 * MIB } },
    caches: [512 * KIB],
    databases: 6,
    chunks: 6,
    generations: 2,
    snapshots: 3,
    jobs: 10,
    most: 6,
    longest: 100,
    wrong: 12,
    clock: "unsteady",
    families: { databases: 22, jobs: 4, user: 2, metrics: 1, generations: 1, namespaces: 1, holds: 10 },
    actions: { reclaim: 60, crash: 8 },
  },
  // Jobs, and crashes with jobs under way.
  queue: {
    seed: 7300,
    operations: 7500,
    options: { syncMode: "inline", maxTransactionBytes: MIB, logRetention: { changes: 1000, bytes: 16 * KIB } },
    caches: [256 * KIB],
    databases: 3,
    chunks: 3,
    generations: 2,
    snapshots: 2,
    jobs: 120,
    most: 10,
    longest: 5000,
    wrong: 20,
    families: { jobs: 120, databases: 6 },
    actions: { crash: 12, requeue: 10, reserve: 20 },
  },
  // Many rows under a cache of 64 frames: eviction and checkpoints all the time.
  wide: {
    seed: 7400,
    operations: 10_000,
    options: { syncMode: "inline", pageSize: 4096, maxTransactionBytes: MIB, logRetention: { changes: 300, bytes: 64 * MIB } },
    caches: [256 * KIB],
    databases: 12,
    chunks: 40,
    generations: 4,
    snapshots: 6,
    jobs: 200,
    most: 30,
    longest: 6000,
    wrong: 8,
    families: { databases: 3 },
    actions: { compare: 3, read: 60 },
  },
  // Groups whose syncs run off the event loop, cursors at many speeds.
  groups: {
    seed: 7500,
    operations: 11_200,
    options: { syncMode: "async", pageSize: 16_384, maxTransactionBytes: 4 * MIB, logRetention: { changes: 0 } },
    caches: [MIB],
    databases: 5,
    chunks: 6,
    generations: 3,
    snapshots: 4,
    jobs: 40,
    most: 5,
    longest: 200,
    wrong: 15,
    actions: { commit: 200, group: 200, cursor: 30, fetch: 60, acknowledge: 60, crash: 8, readOnly: 4 },
  },
};
