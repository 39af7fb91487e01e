// Findings: what an inspection says about a file, one at a time, and what follows from all of them.
//
// Invariants: nothing is said twice, also when an inspection beside a writer starts over; no more than so many are handed out, but all are counted; keys and values of
// the user are not in them.

/** How bad it is: data is damaged or contradicts itself; something was damaged and made good, or will be when the file is opened; a fact worth knowing. */
export type FindingSeverity = "error" | "warning" | "info";

/** What was found; stable. Codes of errors mean what they mean in errors. */
export type FindingCode =
  /** No copy of a meta generation is readable, or slots belong to different files. */
  | "CORRUPT_HEADER"
  /** A page is not what its pointer says, or breaks the rules of its kind. */
  | "CORRUPT_PAGE"
  /** A record, name or schema cannot be read. */
  | "CORRUPT_RECORD"
  /** A journal group that was acknowledged cannot be read. */
  | "CORRUPT_JOURNAL"
  /** The journal is of a later writer than the meta slots: the slots are of an older state. */
  | "ROLLED_BACK"
  /** The change log has a gap, or a change that cannot be read. */
  | "CORRUPT_LOG"
  /** The file is shorter than its state. */
  | "TRUNCATED"
  /** It is empty, or its creation was interrupted. */
  | "EMPTY_FILE"
  /** Nothing in it says that it is a manifest. */
  | "NOT_A_MANIFEST"
  /** It needs a newer version. */
  | "FORMAT_TOO_NEW"
  /** It was written in a version that is no longer read. */
  | "FORMAT_TOO_OLD"
  /** It uses a feature that this version does not know. */
  | "UNKNOWN_FEATURE"
  /** The storage could not read bytes. */
  | "IO_READ"
  /** Tables contradict each other: a count, an index, a cursor. */
  | "INCONSISTENT"
  /** One copy of a meta generation is damaged; the other one stands for it, and opening for writing repairs it. */
  | "META_COPY_DAMAGED"
  /** One copy of a meta generation is of the time before: what a crash between the two writes leaves. Opening for writing repairs it. */
  | "META_COPY_STALE"
  /** The newest readable meta generation was judged, and a newer one may have been there. */
  | "OLDER_GENERATION_JUDGED"
  /** A journal block is damaged; parity makes it good. */
  | "JOURNAL_BLOCK_REBUILT"
  /** The newest journal group is not whole: what a crash leaves. Opening for writing cuts it. */
  | "JOURNAL_TORN"
  /** The last writer has not closed the file: it has crashed, or is at work. */
  | "NOT_CLOSED"
  /** Pages are in use that nothing reaches. Space is lost, no data. */
  | "PAGES_LEAKED"
  /** The file goes on behind its state; what lies there means nothing. */
  | "TRAILING_BYTES"
  /** Part of the inspection could not be made because of damage that other findings name. */
  | "INCOMPLETE";

/** One thing that was found. */
export interface Finding {
  /** How bad it is. */
  readonly severity: FindingSeverity;
  /** What it is. */
  readonly code: FindingCode;
  /** More exactly, in a stable word: `crc`, `stale`, `misplaced`, `type`, `order`, `bounds`, `cycle`, `depth`, `duplicate`, `foreign_file`, `count`, ... */
  readonly reason: string;
  /** For people; may change. */
  readonly message: string;
  /** What to do, for people. */
  readonly advice: string;
  /** Page number. */
  readonly page?: number;
  /** Byte offset in the file. */
  readonly offset?: number;
  /** Page numbers from the root of the roots tree down to the page, itself included. */
  readonly path?: readonly number[];
  /** Name of the table, or `#id` when the file does not tell it. */
  readonly table?: string;
  /** Encoded key in hex digits; only when values were asked for. */
  readonly key?: string;
  /** Change sequence. */
  readonly sequence?: number;
  /** Journal group. */
  readonly group?: number;
  /** What should be there: checksum, page, level, count, as the reason says. */
  readonly expected?: number;
  /** What is there. */
  readonly actual?: number;
}

/**
 * What follows from all findings: nothing wrong; something was wrong and is made good without loss; data is damaged; nothing can be judged because no state is readable. Exit codes of the command
 * line: 0, 1, 2, 3.
 */
export type Verdict = "clean" | "absorbed" | "damaged" | "unreadable";

/** How many findings there are of each severity, handed out or not. */
export interface FindingCounts {
  /** Damage. */
  error: number;
  /** Made good. */
  warning: number;
  /** Facts. */
  info: number;
}

/** Gathers findings and hands them out. */
export class Findings {
  readonly counts: FindingCounts = { error: 0, warning: 0, info: 0 };
  readonly #hand: (finding: Finding) => void;
  readonly #most: number;
  readonly #said = new Set<string>();

  constructor(hand: (finding: Finding) => void, most: number) {
    this.#hand = hand;
    this.#most = most;
  }

  /** Takes a finding; one that was there before is left out. */
  add(finding: Finding): void {
    const { code, reason, page, offset, table, sequence, group, message } = finding;
    const name = JSON.stringify([code, reason, page, offset, table, sequence, group, page === undefined ? message : ""]);
    if (this.#said.has(name)) return;
    this.counts[finding.severity]++;
    if (this.#said.size >= this.#most) return;
    this.#said.add(name);
    this.#hand(finding);
  }

  /** Findings that are only counted: nobody keeps them. */
  uncounted(severity: FindingSeverity, count: number): void {
    this.counts[severity] += Math.max(0, count);
  }

  /** What follows. `judged`: whether any state could be looked at. */
  verdict(judged: boolean): Verdict {
    if (!judged) return "unreadable";
    return this.counts.error > 0 ? "damaged" : this.counts.warning > 0 ? "absorbed" : "clean";
  }
}
