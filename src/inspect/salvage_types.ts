// The shapes that go in and out of a salvage.
import type { Finding, FindingCounts } from "./finding.ts";
import type { InspectOptions, InspectProgress } from "./check_types.ts";

/**
 * Where rows come from. `best`: the newest meta generation with the journal behind it, what opening would give, without what is damaged; refused where a generation is unreadable that may be the newest. `older`: the
 * other meta generation (the only one, where one is unreadable), with what is left of the journal behind it. `scan`: every page of the file; where the newest state of a table is damaged, older states that are still in the
 * file fill in.
 */
export type SalvageFrom = "best" | "older" | "scan";

/** How to salvage a file. */
export interface SalvageOptions extends InspectOptions {
  /** Where rows come from. Default "best". */
  from?: SalvageFrom;
  /** Only tells what would be kept and lost; nothing is written, and no target is needed. Default false. */
  dryRun?: boolean;
  /** Replays the journal behind the state. Default true; false stops exactly at the meta generation. */
  journal?: boolean;
  /** Hears what is damaged in the source. */
  onFinding?: (finding: Finding) => void;
  /** Hears now and then how far it is. */
  onProgress?: (progress: InspectProgress) => void;
  /** Bytes of memory for pages of the target. Default 64 MiB. */
  cacheBytes?: number;
}

/** What became of a table. */
export interface SalvagedTable {
  /** Its id. */
  readonly id: number;
  /** Its name; `#id` when no page tells it. */
  readonly name: string;
  /** Rows in the target. */
  readonly kept: number;
  /** Rows that the source's state should have and that are lost, as far as its counts tell; undefined when nothing tells. */
  readonly lost: number | undefined;
  /** Of the rows kept, those from an older state than the rest of the table (`scan` only): they may have been changed or deleted since. */
  readonly older: number;
  /** Its rows follow from those of others and were made anew: what the source held does not count. */
  readonly rebuilt: boolean;
}

/** What was salvaged. */
export interface SalvageReport {
  /** Where rows came from. */
  readonly from: SalvageFrom;
  /** Whether nothing was written. */
  readonly dryRun: boolean;
  /** Nothing is lost and nothing is older than it should be, as far as the source tells. */
  readonly whole: boolean;
  /** Meta generation that was used; undefined when none was readable. */
  readonly generation: number | undefined;
  /** Journal groups and frames replayed behind it. */
  readonly groups: number;
  /** Frames replayed. */
  readonly frames: number;
  /** The tables, by id. */
  readonly tables: readonly SalvagedTable[];
  /** Rows kept and lost of all tables. */
  readonly kept: number;
  /** Rows lost, as far as counts tell. */
  readonly lost: number;
  /** Pages of the source that are damaged. */
  readonly pagesDamaged: number;
  /** Leaf pages that are whole and that no rows were taken from (`scan` only): of superseded states, of the log, or below damage. */
  readonly pagesUnused: number;
  /** The newest change sequence seen in the source. */
  readonly sequenceBefore: number;
  /** That of the target: greater. All between are gone, and cursors that stand before it get CURSOR_TRUNCATED. */
  readonly sequenceAfter: number;
  /** Findings in the source by severity. */
  readonly findings: FindingCounts;
  /** File id of the source; undefined when nothing tells. */
  readonly sourceFileId: string | undefined;
  /** File id of the target; undefined for a dry run. */
  readonly fileId: string | undefined;
  /** History id of the target; undefined for a dry run. */
  readonly historyId: string | undefined;
  /** Whether the target passed the deep check; undefined for a dry run. */
  readonly verified: boolean | undefined;
  /** Databases that rows belong to and whose own row is lost: they were made anew, without a name. */
  readonly databasesMade: readonly number[];
  /** Stored objects that were in use and whose snapshots are lost: they are held, so that nothing deletes them; `adjustRefcount` lets them go. */
  readonly objectsHeld: number;
}
