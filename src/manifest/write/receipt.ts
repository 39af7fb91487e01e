// Receipts of commits.
import type { Generations } from "../log/change.ts";

/** What a commit was given. */
export interface CommitReceipt {
  /** The number of the change; 0 when the transaction held no operation and nothing was committed. */
  readonly sequence: number;
  /** The transaction's id, 32 hex digits: `resolve` tells later what became of it. */
  readonly commitId: string;
  /** Generations that it bumped; of an empty transaction the current generations of all components. */
  readonly generations: Generations;
}
