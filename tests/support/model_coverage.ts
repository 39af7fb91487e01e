// What runs of the models must have come across, by the names that they count under.
import { MARKS } from "./kernel_disk.ts";

/** The store's, at any size of run: marks of the kernel, and events. */
export const STORE_EVENTS: readonly string[] = [
  "eviction",
  "spilled page",
  "journal wrap",
  "journal growth",
  "journal mostly full",
  "parity rebuild",
  "group replayed",
  "crash",
  "commits taken back",
  "fork",
  "read-only opening",
  "clean opening",
  "checkpoint",
  "compaction",
  "check",
  "reader",
  "read of unconfirmed",
  "pinned between",
  "refused commit",
  "failed read",
  "commit IO_READ",
  "commit NO_SPACE",
  "value of 0 bytes",
  "value beyond a page",
];

/** The store's, in short runs on simulated disks. */
export const STORE_COVERAGE: readonly string[] = [
  ...MARKS,
  ...STORE_EVENTS,
  "power loss",
  "process crash",
  "torn tail",
  "failed sync",
  "outcome unknown",
  "outcome not_applied",
  "maintenance NO_SPACE",
];

/** The manifest's, in short runs on simulated disks, besides what is in its own list. */
export const SWARM_COVERAGE: readonly string[] = [
  "power loss",
  "failed sync",
  "unknown outcome",
  "code SYNC_FAILED",
];
