// Storage whose n-th call fails, with any error of the platform, once, some times or for good.
//
// A plan may be shared by several handles, so that calls are counted through closing and opening again.
import { ManifestError } from "../../src/errors.ts";
import { type IoAction, platformError } from "../../src/storage/errno.ts";
import type { LockRequest, Storage, StorageLock } from "../../src/storage/storage.ts";
import { WrappedStorage } from "./counting_storage.ts";
import { CrashStorage } from "./crash_storage.ts";

/** What can be made to fail. */
export type FaultKind = "read" | "write" | "truncate" | "sync" | "size" | "lock";

/** Instead of an errno: the platform makes no progress, as the file adapter reports it. */
export const STALLED = "stalled";

/** Which call fails, and how. */
export interface Fault {
  /** Counts, from 0, the calls of the kinds named. */
  at: number;
  /** What the platform would answer: EIO, ENOSPC, EDQUOT, EACCES, ...; or `STALLED`. */
  errno: string;
  /** Kinds that count. Default: all. */
  kinds?: readonly FaultKind[];
  /** Kinds that fail from there on. Default: those that count. */
  fails?: readonly FaultKind[];
  /** How many calls fail from there on. Default 1; Infinity: forever. */
  times?: number;
  /** How much of the first failing write is done before it fails, 0 to 1; later ones do nothing. Default 0. */
  part?: number;
}

const ACTIONS: Readonly<Record<FaultKind, IoAction>> = {
  read: "read",
  write: "write",
  truncate: "truncate",
  sync: "sync",
  size: "measure",
  lock: "lock",
};

/** What fails, and what was called so far. */
export class FaultPlan {
  /** What fails; undefined while nothing does. */
  fault: Fault | undefined;
  /** Calls that counted for the fault so far. */
  counted = 0;
  /** Calls that failed so far. */
  failed = 0;
  /** Every call so far, when kept. */
  calls: FaultKind[] | undefined;
  /** Hears of every write that is passed on. */
  onWrite: (at: number, from: Uint8Array) => void = () => {};

  constructor(fault?: Fault) {
    this.fault = fault;
  }

  /** Counts a call; whether it fails. */
  fails(kind: FaultKind): boolean {
    this.calls?.push(kind);
    const { fault } = this;
    if (fault === undefined || (fault.kinds !== undefined && !fault.kinds.includes(kind))) return false;
    const index = this.counted++;
    const fails = index >= fault.at && index < fault.at + (fault.times ?? 1) && (fault.fails?.includes(kind) ?? true);
    if (fails) this.failed++;
    return fails;
  }
}

/** Passes calls on until one fails as planned. */
export class FaultyStorage extends WrappedStorage {
  readonly #plan: FaultPlan;
  /** Syncs of this handle that failed, and calls that tried to change or sync the storage behind the first of them. */
  failedSyncs = 0;
  triedAfterFailedSync = 0;
  /** Writes, truncations and syncs tried on this handle. */
  changes = 0;

  constructor(inner: Storage, fault?: Fault | FaultPlan) {
    super(inner);
    this.#plan = fault instanceof FaultPlan ? fault : new FaultPlan(fault);
  }

  /** What fails; undefined while nothing does. */
  get fault(): Fault | undefined {
    return this.#plan.fault;
  }

  /** Calls that counted for the fault so far. */
  get counted(): number {
    return this.#plan.counted;
  }

  /** Calls that failed so far. */
  get failed(): number {
    return this.#plan.failed;
  }

  /** Plans another fault, counting from here. */
  plan(fault: Fault | undefined): void {
    this.#plan.fault = fault;
    this.#plan.counted = 0;
  }

  #fails(kind: FaultKind): boolean {
    if (kind === "write" || kind === "truncate" || kind === "sync") {
      this.changes++;
      if (this.failedSyncs > 0) this.triedAfterFailedSync++;
    }
    return this.#plan.fails(kind);
  }

  #error(kind: FaultKind, offset = 0, length = 0): Error {
    const { errno } = this.fault!;
    if (errno === STALLED) {
      return new ManifestError(kind === "read" ? "IO_READ" : "IO_WRITE", `Cannot ${kind} "${this.name}": the system makes no progress`, {
        detail: { file: this.name, offset, length },
      });
    }
    const cause = Object.assign(new Error(errno), { code: errno, syscall: kind });
    return platformError(ACTIONS[kind], this.name, cause, { offset, length });
  }

  #failSync(): void {
    if (!this.#fails("sync")) return;
    const error = this.#error("sync");
    if (!(this.inner instanceof CrashStorage)) throw error;
    this.inner.disk.failNextSync(this.fault!.errno); // the disk keeps what the sync left in doubt
  }

  override size(): number {
    if (this.#fails("size")) throw this.#error("size");
    return super.size();
  }
  override read(at: number, into: Uint8Array): number {
    if (this.#fails("read")) throw this.#error("read", at, into.length);
    return super.read(at, into);
  }
  override write(at: number, from: Uint8Array): void {
    if (!this.#fails("write")) {
      this.#plan.onWrite(at, from);
      return super.write(at, from);
    }
    const part = this.#plan.failed > 1 ? 0 : Math.floor(from.length * (this.fault!.part ?? 0));
    if (part > 0) super.write(at, from.subarray(0, part));
    throw this.#error("write", at, from.length);
  }
  override truncate(size: number): void {
    if (this.#fails("truncate")) throw this.#error("truncate", size);
    super.truncate(size);
  }
  override sync(): void {
    try {
      this.#failSync();
      super.sync();
    } catch (error) {
      this.failedSyncs++;
      throw error;
    }
  }
  override async syncAsync(): Promise<void> {
    try {
      this.#failSync();
      await super.syncAsync();
    } catch (error) {
      // What is written while it runs, and in the turn of the queue in which the caller is about to hear of it, comes before anybody can know.
      queueMicrotask(() => queueMicrotask(() => this.failedSyncs++));
      throw error;
    }
  }
  override lock(request: LockRequest): StorageLock {
    if (this.#fails("lock")) throw this.#error("lock");
    return super.lock(request);
  }
}
