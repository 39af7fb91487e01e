// What a transaction hands to the store: its operations, staged when its turn has come.
import {
  ArgumentRangeError,
  ArgumentTypeError,
  type ErrorDetail,
  isManifestError,
  ManifestError,
  type ManifestErrorFields,
} from "../../errors.ts";
import type { AnyTable } from "../../schema/schema.ts";
import type { CommitRequest, Staged } from "../../store/store.ts";
import type { CommitReceipt } from "./receipt.ts";
import { type Generations, NO_GENERATIONS } from "../log/change.ts";
import type { ManifestCore } from "../core.ts";
import type { OperationKind } from "./operation.ts";
import type { Staging } from "./staging.ts";

/** An operation takes this many places in the list of the further ones: kind, table, key, value. */
const STRIDE = 4;

/** The operations of one transaction. */
export class Batch implements CommitRequest {
  /** The transaction's id; undefined until somebody asks. */
  commitId: string | undefined;
  /** The id that the store took it under. */
  id: { toString(): string } | undefined;
  /** The time that its records were given, when they were given one. */
  committedAt: number | undefined;
  /** The time to give them, when they have been given one already. */
  time: number | undefined;
  /** Called before anything is staged; what it throws refuses the transaction. */
  guard: (() => void) | undefined;
  /** Whether it makes tables; known when it is staged. */
  registry = false;
  /** Calls the commit off while it waits. */
  signal: AbortSignal | undefined;
  /** Tags the change. */
  readonly origin: string | undefined;
  readonly #core: ManifestCore;
  // The first operation lies in fields: most transactions have one, and a list costs more than it.
  #kind: OperationKind | undefined;
  #table: AnyTable | undefined;
  #key: unknown;
  #value: unknown;
  #further: unknown[] | undefined;
  /** Number of the first effect of each operation, kept when there is more than one. */
  #starts: number[] | undefined;
  #generations: Generations = NO_GENERATIONS;
  /** Whether any of them is, or was, bookkeeping. */
  #bookkeeping = false;

  constructor(core: ManifestCore, origin: string | undefined) {
    this.#core = core;
    this.origin = origin;
  }

  /** The transaction's id: the one that the store took it under, else one that it will be taken under. */
  get name(): string {
    return this.commitId ??= this.id?.toString() ?? this.#core.store.newCommitId();
  }

  /** Number of operations. */
  get length(): number {
    if (this.#kind === undefined) return 0;
    return this.#further === undefined ? 1 : 1 + this.#further.length / STRIDE;
  }

  /** Whether it is a change: not when all its operations are bookkeeping. */
  get change(): boolean {
    if (!this.#bookkeeping) return true;
    if (this.#kind?.bookkeeping !== true) return true;
    const further = this.#further ?? [];
    for (let at = 0; at < further.length; at += STRIDE) if ((further[at] as OperationKind).bookkeeping !== true) return true;
    return false;
  }

  /** Adds an operation. */
  add(kind: OperationKind, table: AnyTable, key: unknown, value: unknown): void {
    if (kind.bookkeeping === true) this.#bookkeeping = true;
    if (this.#kind === undefined) {
      this.#kind = kind;
      this.#table = table;
      this.#key = key;
      this.#value = value;
    } else if (this.#further === undefined) this.#further = [kind, table, key, value];
    else this.#further.push(kind, table, key, value);
  }

  /** Forgets the operations behind the first `length`. */
  truncate(length: number): void {
    if (length >= this.length) return;
    if (length === 0) {
      this.#kind =
        this.#table =
        this.#key =
        this.#value =
        this.#further =
          undefined;
    } else if (length === 1) this.#further = undefined;
    else this.#further!.length = (length - 1) * STRIDE;
  }

  /** Stages the operations from number `from` on; `starts` takes the number of each one's first effect. */
  stageOnto(staging: Staging, from: number, starts?: number[]): void {
    const further = this.#further;
    let index = from;
    try {
      if (index === 0) {
        starts?.push(0);
        this.#kind!.stage(staging, this.#table!, this.#key, this.#value);
        index = 1;
      }
      if (further === undefined) return;
      for (let at = (index - 1) * STRIDE; at < further.length; at += STRIDE, index++) {
        starts?.push(staging.count);
        (further[at] as OperationKind).stage(staging, further[at + 1] as AnyTable, further[at + 2], further[at + 3]);
      }
    } catch (error) {
      throw this.#explain(error, index);
    }
  }

  /** Stages all operations. */
  stage(): Staged {
    const core = this.#core;
    const { staging } = core;
    const many = this.#further !== undefined;
    const starts: number[] | undefined = many ? [] : undefined;
    this.guard?.();
    staging.begin(many);
    staging.time = this.time;
    this.stageOnto(staging, 0, starts);
    this.#starts = starts;
    staging.settle();
    this.registry = staging.makesTables;
    core.log.maintain(staging);
    const staged = staging.finish(this.#extra());
    this.committedAt = staging.time;
    return staged;
  }

  /** What the change record holds beyond its effects. */
  #extra(): Uint8Array | undefined {
    const { staging, changes } = this.#core;
    const bumped = staging.generations;
    if (bumped === undefined) {
      this.#generations = NO_GENERATIONS;
      return this.origin === undefined ? undefined : changes.encodeExtra({ origin: this.origin });
    }
    this.#generations = Object.fromEntries(bumped);
    const generations = [...bumped].map(([component, generation]) => ({ component, generation }));
    return changes.encodeExtra(this.origin === undefined ? { generations } : { origin: this.origin, generations });
  }

  /** The receipt: what the commit's promise resolves with. */
  finish(sequence: number, id: { toString(): string }): CommitReceipt {
    return { sequence, commitId: id.toString(), generations: this.#generations };
  }

  /** The error of the store with the operation it speaks of, when it speaks of one. */
  explain(error: unknown): unknown {
    if (!isManifestError(error)) return error;
    const record = error.detail.operation;
    if (typeof record !== "number" || error.kind !== "usage") return error;
    const starts = this.#starts ?? [0];
    let index = starts.length - 1;
    while (index > 0 && starts[index]! > record) index--;
    return this.#explain(error, index);
  }

  #explain(error: unknown, index: number): unknown {
    if (!isManifestError(error)) {
      // A getter or a codec of the user's has thrown.
      return this.#explain(new ArgumentTypeError("Cannot commit: a key or a record could not be read", { cause: error }), index);
    }
    const at = (index - 1) * STRIDE;
    const operation = index === 0 ? this.#kind!.name : (this.#further![at] as OperationKind).name;
    const table = index === 0 ? this.#table! : this.#further![at + 1] as AnyTable;
    return withDetail(error, ` (operation ${index}, ${operation})`, { table: table.name, ...error.detail, operation, index });
  }
}

/** The same error with a longer message and more detail. */
function withDetail(error: ManifestErrorFields, suffix: string, detail: ErrorDetail): Error {
  const message = error.message + suffix;
  const { cause, code } = error;
  if (error instanceof TypeError) return new ArgumentTypeError(message, { detail, cause }, code);
  if (error instanceof RangeError) return new ArgumentRangeError(message, { detail, cause }, code);
  const { outcome, handle, retryable } = error;
  return new ManifestError(code, message, { detail, cause, outcome, handle, retryable });
}
