// Shapes of the model: which files, which rows, which operations how often.
import type { StoreOptions } from "../../src/store/store.ts";
import type { ClockHabit } from "./model_clock.ts";
import type { KeyStyle } from "./model_keys.ts";

/** What a run does besides single commits; the numbers are weights. */
export interface Weights {
  commit: number;
  group: number;
  rows: number;
  range: number;
  hold: number;
  release: number;
  create: number;
  drop: number;
  describe: number;
  empty: number;
  checkpoint: number;
  compact: number;
  check: number;
  reopen: number;
  crash: number;
  fork: number;
  resolve: number;
  sync: number;
  time: number;
  fault: number;
  breakdown: number;
  compare: number;
}

/** How a run is shaped. */
export interface Shape {
  /** Its first seed. */
  readonly seed: number;
  /** Operations on rows that are committed. */
  readonly operations: number;
  readonly options: StoreOptions;
  /** Cache sizes; each opening takes one. */
  readonly caches: readonly number[];
  /** Styles of keys, one for each table in turn; how many different keys. */
  readonly styles: readonly KeyStyle[];
  readonly space: number;
  readonly tables: number;
  /** Most operations of a transaction, and of one in ten. */
  readonly operationsEach: number;
  readonly operationsMany: number;
  /** Lengths of values: [weight, most]; the length is random up to it. */
  readonly lengths: readonly (readonly [number, number])[];
  readonly weights?: Partial<Weights>;
  /** How the clock behaves. Default: right. */
  readonly clock?: ClockHabit;
  /** On a simulated disk: crashes may be power losses, syncs may fail. Remembers every write, so for short runs. */
  readonly disk?: boolean;
  /** Checkpoints are always slow: commits beside them fill the journal. */
  readonly slow?: boolean;
}

const KIB = 1 << 10;
const MIB = 1 << 20;

/** Weights where a shape says nothing. */
export const WEIGHTS: Weights = {
  commit: 400,
  group: 60,
  rows: 60,
  range: 50,
  hold: 20,
  release: 16,
  create: 4,
  drop: 3,
  describe: 2,
  empty: 3,
  checkpoint: 12,
  compact: 2,
  check: 3,
  reopen: 3,
  crash: 4,
  fork: 3,
  resolve: 20,
  sync: 6,
  time: 10,
  fault: 10,
  breakdown: 0,
  compare: 3,
};

/** Every shape by name. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  // 4 KiB pages, 64 frames, every style of key: eviction and spilling all the time.
  small: {
    seed: 4100,
    operations: 23_300,
    options: { syncMode: "inline", maxTransactionBytes: 4 * MIB },
    caches: [256 * KIB, 256 * KIB, 400 * KIB],
    styles: ["numbers", "paths", "short", "long", "growing", "groups"],
    space: 2500,
    tables: 5,
    operationsEach: 12,
    operationsMany: 300,
    lengths: [[10, 0], [60, 120], [20, KIB], [7, 4 * KIB], [3, 20 * KIB]],
  },
  // Long keys in groups: branch pages hold few separators, the tree gets deep.
  deep: {
    seed: 4200,
    operations: 16_600,
    options: { syncMode: "inline", maxTransactionBytes: 4 * MIB },
    caches: [512 * KIB],
    styles: ["groups", "groups", "long"],
    space: 20_000,
    tables: 3,
    operationsEach: 20,
    operationsMany: 400,
    lengths: [[10, 0], [60, 300], [30, KIB], [1, 9 * KIB]],
    weights: { empty: 2, drop: 1, create: 2 },
  },
  // Many small rows in few tables, large transactions.
  rows: {
    seed: 4300,
    operations: 36_600,
    options: { syncMode: "auto", pageSize: 4096, maxTransactionBytes: 8 * MIB },
    caches: [300 * KIB, 600 * KIB],
    styles: ["numbers", "growing", "paths"],
    space: 40_000,
    tables: 3,
    operationsEach: 40,
    operationsMany: 2000,
    lengths: [[20, 0], [80, 60]],
    weights: { drop: 1, create: 2, empty: 1, compare: 2, commit: 300 },
  },
  // Pages of 16 KiB, syncs off the event loop: readers and crashes meet groups that are written but not durable.
  async: {
    seed: 4400,
    operations: 16_600,
    options: { syncMode: "async", pageSize: 16384, maxTransactionBytes: 8 * MIB },
    caches: [MIB, 2 * MIB],
    styles: ["paths", "numbers", "groups", "short", "long"],
    space: 4000,
    tables: 5,
    operationsEach: 10,
    operationsMany: 300,
    lengths: [[10, 0], [60, 200], [20, 3 * KIB], [8, 16 * KIB], [2, 90 * KIB]],
    weights: { group: 150, commit: 250 },
  },
  // Pages of 64 KiB, a window for groups.
  wide: {
    seed: 4500,
    operations: 10_000,
    options: { pageSize: 65536, groupWindow: 2, maxTransactionBytes: 16 * MIB },
    caches: [4 * MIB],
    styles: ["numbers", "paths", "groups", "long"],
    space: 6000,
    tables: 4,
    operationsEach: 12,
    operationsMany: 400,
    lengths: [[10, 0], [60, 400], [20, 6 * KIB], [8, 60 * KIB], [1, 300 * KIB]],
    weights: { check: 1, reopen: 2, crash: 2, fork: 1 },
  },
  // Values up to 16 MiB: batches beyond the journal.
  huge: {
    seed: 4600,
    operations: 600,
    options: { syncMode: "inline" },
    caches: [256 * KIB, MIB],
    styles: ["paths", "numbers"],
    space: 120,
    tables: 2,
    operationsEach: 4,
    operationsMany: 12,
    lengths: [[10, 0], [50, 2 * KIB], [25, 60 * KIB], [10, MIB], [4, 16 * MIB]],
    weights: { hold: 6, check: 1, compact: 1, crash: 1, fork: 0, reopen: 1, compare: 1, checkpoint: 6, fault: 2 },
  },
  // Syncs within 100 ms behind the receipt: a crash may take acknowledged commits back, in order.
  relaxed: {
    seed: 4700,
    operations: 10_000,
    options: { durability: "relaxed", idleCheckpoint: 400, maxTransactionBytes: 4 * MIB },
    caches: [512 * KIB, 16 * MIB],
    styles: ["paths", "short", "numbers", "growing"],
    space: 2000,
    tables: 4,
    operationsEach: 8,
    operationsMany: 200,
    lengths: [[10, 0], [60, 120], [20, 2 * KIB], [5, 30 * KIB]],
    weights: { time: 40, crash: 8 },
  },
  // A journal that is kept short by compaction and full by slow checkpoints: it goes round all the time.
  ring: {
    seed: 4901,
    operations: 6600,
    options: { syncMode: "inline", maxTransactionBytes: MIB },
    caches: [512 * KIB, 4 * MIB],
    styles: ["numbers", "paths"],
    space: 300,
    tables: 2,
    operationsEach: 6,
    operationsMany: 40,
    lengths: [[10, 0], [60, 300], [30, 12 * KIB]],
    weights: { commit: 100, compact: 12, group: 300, crash: 25, fork: 30, fault: 2, checkpoint: 6 },
    slow: true,
  },
  // No journal: durable at checkpoints.
  none: {
    seed: 4800,
    operations: 10_000,
    options: { durability: "none", maxTransactionBytes: 4 * MIB },
    caches: [512 * KIB],
    styles: ["paths", "short", "numbers", "long"],
    space: 2000,
    tables: 4,
    operationsEach: 8,
    operationsMany: 200,
    lengths: [[10, 0], [60, 120], [20, 2 * KIB], [5, 30 * KIB]],
    weights: { crash: 8, checkpoint: 20 },
  },
};
