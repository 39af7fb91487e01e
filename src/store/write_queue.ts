// Transactions between `commit` and their receipt, and the line of those whose turn has not come.
//
// Invariant: transactions without a receipt, wherever they are, are never more than the capacity. Those that only change the tables are not counted: each belongs to a commit
// or a call that is.
import { checkSignal } from "../arguments.ts";
import { fail, failType } from "../errors.ts";
import type { CommitId } from "./commit_ids.ts";
import type { CommitRequest, Receipt } from "./types.ts";

/** A transaction on its way. */
export class Pending {
  readonly request: CommitRequest;
  /** Commit id. */
  readonly id: CommitId;
  /** Whether it changes the tables. */
  registry: boolean;
  readonly promise: Promise<Receipt>;
  committedAt = 0;
  sequence = 0;
  frame = 0;
  /** Resolved or rejected. */
  settled = false;
  #resolve!: (receipt: Receipt) => void;
  #reject!: (error: unknown) => void;
  #unlisten: (() => void) | undefined;
  #left: (() => void) | undefined;

  /** `left` is called when it is settled. */
  constructor(request: CommitRequest, id: CommitId, registry: boolean, left?: () => void) {
    this.#left = left;
    this.request = request;
    this.id = id;
    this.registry = registry;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Lets the signal reject it while it waits. */
  listen(signal: AbortSignal, aborted: () => void): void {
    signal.addEventListener("abort", aborted, { once: true });
    this.#unlisten = () => signal.removeEventListener("abort", aborted);
  }

  /** Its turn has come: it can no longer be called off. */
  taken(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  /** Delivers the receipt. */
  succeed(): void {
    if (this.settled) return;
    this.settled = true;
    this.#left?.();
    const { request } = this;
    const receipt = request.finish === undefined
      ? { sequence: this.sequence, commitId: this.id.toString(), frame: this.frame, committedAt: this.committedAt }
      : request.finish(this.sequence, this.id);
    this.#resolve(receipt as Receipt);
  }

  /** Delivers an error. */
  fail(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#left?.();
    this.taken();
    this.#reject(this.request.explain === undefined ? error : this.request.explain(error));
  }
}

/** The line of transactions that wait for their turn. */
export class WriteQueue {
  /** Called when there is room again after there was none. */
  onRoom: () => void = () => {};
  readonly #capacity: number;
  #items: Pending[] = [];
  #first = 0;
  #unsettled = 0;
  readonly #left: () => void = () => {
    if (this.#unsettled-- === this.#capacity) this.onRoom();
  };

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether one more transaction would be accepted. */
  get hasRoom(): boolean {
    return this.#unsettled < this.#capacity;
  }

  /** Transactions in line. */
  get length(): number {
    return this.#items.length - this.#first;
  }

  /** Makes a transaction of a request; throws ABORTED, or UNAVAILABLE when too many have no receipt yet. */
  accept(request: CommitRequest, id: CommitId, registry: boolean): Pending {
    if (typeof request?.stage !== "function") failType("Cannot commit: stage is not a function");
    const signal = checkSignal(request.signal, "commit");
    if (signal?.aborted) fail("ABORTED", "Cannot commit: the signal is aborted", { cause: signal.reason });
    if (registry) return new Pending(request, id, registry);
    if (!this.hasRoom) {
      const detail = { waiting: this.#unsettled, capacity: this.#capacity };
      fail("UNAVAILABLE", "Cannot commit: too many commits are waiting; ready() tells when there is room", { detail });
    }
    this.#unsettled++;
    return new Pending(request, id, registry, this.#left);
  }

  /** Puts a transaction at the end of the line. */
  push(item: Pending): void {
    this.#items.push(item);
    const signal = item.request.signal;
    if (!signal) return;
    item.listen(signal, () => {
      const at = this.#items.indexOf(item, this.#first);
      if (at >= 0) this.#items.splice(at, 1);
      try {
        fail("ABORTED", "Cannot commit: it was aborted while it waited", { cause: signal.reason });
      } catch (error) {
        item.fail(error);
      }
    });
  }

  /** Takes the first in line. */
  shift(): Pending | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#first++;
    if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    } else if (this.#first === this.#items.length) {
      this.#items = [];
      this.#first = 0;
    }
    return item;
  }

  /** Empties the line. */
  drain(): Pending[] {
    const items = this.#items.slice(this.#first);
    this.#items = [];
    this.#first = 0;
    return items;
  }

  /** Those in line. */
  items(): Pending[] {
    return this.#items.slice(this.#first);
  }
}
