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

/** A receipt whose id is turned into digits when somebody asks: most receipts are only waited for. */
export class Committed implements CommitReceipt {
  readonly sequence: number;
  readonly generations: Generations;
  readonly #id: { toString(): string };

  constructor(sequence: number, id: { toString(): string }, generations: Generations) {
    this.sequence = sequence;
    this.generations = generations;
    this.#id = id;
  }

  get commitId(): string {
    return this.#id.toString();
  }

  toJSON(): CommitReceipt {
    return { sequence: this.sequence, commitId: this.commitId, generations: this.generations };
  }
}
