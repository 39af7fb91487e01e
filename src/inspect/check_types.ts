// The shapes that go in and out of a check.
import type { KernelModule } from "../kernel/loader.ts";
import type { Environment } from "../store/environment.ts";
import type { Finding, FindingCounts, Verdict } from "./finding.ts";
import type { GenerationSummary } from "./header.ts";

/** What every inspection takes. */
export interface InspectOptions {
  /** Ends it with ABORTED. */
  signal?: AbortSignal;
  /** Clock, entropy and timers. Default: the platform's. */
  environment?: Environment;
  /** A compiled kernel, for runtimes that forbid compiling. */
  wasm?: KernelModule;
}

/** How far an inspection has come: `done` of `total` pages, in one of its steps. */
export interface InspectProgress {
  /** What is being done. */
  readonly step: "header" | "journal" | "tree" | "deep" | "scan" | "copy" | "rebuild" | "verify";
  /** Pages, or rows where there is no total. */
  readonly done: number;
  /** All of them; 0 when not known. */
  readonly total: number;
}

/**
 * `header`: the four meta slots. `tree`: also the journal, every page that the newest readable state reaches, the contents of overflow values, and the bitmap of space in use. `deep`: also every
 * record, and what the tables say of each other.
 */
export type CheckLevel = "header" | "tree" | "deep";

/** How to check a file. */
export interface CheckOptions extends InspectOptions {
  /** How much is looked at. Default "tree". */
  level?: CheckLevel;
  /** Hears every finding as soon as it is certain. */
  onFinding?: (finding: Finding) => void;
  /** Hears now and then how far it is. */
  onProgress?: (progress: InspectProgress) => void;
  /** Findings handed out; the rest is only counted. Default 1000. */
  maxFindings?: number;
  /** Bytes of memory for pages, and for the journal of a file that was not closed. Default 64 MiB. */
  cacheBytes?: number;
}

/** The journal behind the state that was judged. */
export interface JournalSummary {
  /** Bytes of all extents. */
  readonly bytes: number;
  /** Groups behind the state. */
  readonly groups: number;
  /** Of them whole. */
  readonly whole: number;
  /** Made whole by parity. */
  readonly rebuilt: number;
  /** Torn at the end: what a crash leaves. */
  readonly torn: number;
  /** Acknowledged and damaged. */
  readonly damaged: number;
  /** Frames that can be replayed. */
  readonly frames: number;
}

/** Pages of the state that was judged, by what they are. */
export interface PageSummary {
  /** All of them. */
  readonly total: number;
  /** Meta slots. */
  readonly meta: number;
  /** Journal. */
  readonly journal: number;
  /** Branch pages. */
  readonly branch: number;
  /** Leaf pages. */
  readonly leaf: number;
  /** Overflow values. */
  readonly overflow: number;
  /** Bitmaps of space in use, and their index. */
  readonly bitmap: number;
  /** Free. */
  readonly free: number;
  /** In use, and reached by nothing. */
  readonly leaked: number;
}

/** What a check found, in numbers. */
export interface CheckSummary {
  /** What follows. */
  readonly verdict: Verdict;
  /** How much was looked at. */
  readonly level: CheckLevel;
  /** Base name of the file. */
  readonly file: string;
  /** Its length. */
  readonly fileBytes: number;
  /** Findings by severity, those that were not handed out included. */
  readonly findings: FindingCounts;
  /** The two meta generations, each with its two copies. */
  readonly generations: readonly [GenerationSummary, GenerationSummary];
  /** Bytes read from the storage, and reads. */
  readonly bytesRead: number;
  /** Reads of the storage. */
  readonly reads: number;
  /** How often it began again, because a writer had replaced what was being looked at. */
  readonly restarts: number;
  /** File id, 32 hex digits. */
  readonly fileId?: string;
  /** History id. */
  readonly historyId?: string;
  /** Page size. */
  readonly pageSize?: number;
  /** Meta generation that was judged; absent when none is readable. */
  readonly judged?: number;
  /** The newest change: of the tree, and of the journal behind it where that was read. */
  readonly sequence?: number;
  /** The journal; from level "tree" on. */
  readonly journal?: JournalSummary;
  /** Pages by what they are; from level "tree" on. */
  readonly pages?: PageSummary;
  /** Tables; from level "tree" on. */
  readonly tables?: number;
  /** Rows of all tables; from level "tree" on. */
  readonly rows?: number;
}
