// The calls that a disk has answered, and what a crash after some of them may still lose.
//
// A crash after the first `at` calls leaves everything that a completed sync covers and any part of the rest. A write in flight needs no case of its own: it is a change that no sync covers yet.
import type { Change } from "./change.ts";

/** Counts calls that change or sync the disk: the state after the first `at` of them. */
export type CallIndex = number;

/** One call. `covers`: changes before that index are durable when the sync has completed. */
export type DiskCall = (Change & { doubtful?: boolean }) | { readonly kind: "sync"; readonly covers: CallIndex };

/** A change that lies behind what is certainly durable. `fixed`: it is durable although one before it is not. */
export interface Pending {
  readonly change: Change;
  readonly fixed: boolean;
}

/** The calls of a disk. */
export class CallLog {
  /** Every call so far. */
  readonly calls: DiskCall[] = [];

  /** Notes a change that was made. */
  change(change: Change): void {
    if (change.kind === "truncate" || change.data.length > 0) this.calls.push(change);
  }

  /** Notes a sync that has completed; it began after the first `covers` calls. */
  sync(covers: CallIndex): void {
    this.calls.push({ kind: "sync", covers });
  }

  /** Notes a sync that has failed: what it should have covered is in doubt until it is written again. */
  doubt(covers: CallIndex): void {
    for (let index = this.covered(this.calls.length); index < covers; index++) {
      const call = this.calls[index]!;
      if (call.kind !== "sync") call.doubtful = true;
    }
  }

  /** How many of the first `at` calls the newest sync among them covers; `lost`: if the last so many syncs did nothing. */
  covered(at: CallIndex, lost = 0): CallIndex {
    for (let index = at - 1; index >= 0; index--) {
      const call = this.calls[index]!;
      if (call.kind === "sync" && lost-- <= 0) return call.covers; // of later syncs, the later one covers more
    }
    return 0;
  }

  /** The first call whose change is not certainly durable when the first `covered` calls are covered. */
  settled(covered: CallIndex): CallIndex {
    for (let index = 0; index < covered; index++) if ((this.calls[index] as { doubtful?: boolean }).doubtful === true) return index;
    return covered;
  }

  /** The changes from call `from` to call `at`. */
  pending(from: CallIndex, at: CallIndex, covered: CallIndex): Pending[] {
    const pending: Pending[] = [];
    for (let index = from; index < at; index++) {
      const call = this.calls[index]!;
      if (call.kind !== "sync") pending.push({ change: call, fixed: index < covered && call.doubtful !== true });
    }
    return pending;
  }
}
