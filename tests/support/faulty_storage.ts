// Storage whose n-th call fails, with any error of the platform, once, some times or for good.
import { platformError } from "../../src/storage/errno.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { WrappedStorage } from "./counting_storage.ts";
import { CrashStorage } from "./crash_storage.ts";

/** What can be made to fail. */
export type FaultKind = "read" | "write" | "truncate" | "sync";

/** Which call fails, and how. */
export interface Fault {
  /** Counts, from 0, the calls of the kinds named. */
  at: number;
  /** What the platform would answer: EIO, ENOSPC, EDQUOT, EACCES, ... */
  errno: string;
  /** Kinds that count. Default: all. */
  kinds?: readonly FaultKind[];
  /** How many calls fail from there on. Default 1; Infinity: forever. */
  times?: number;
  /** How much of a failing write is done before it fails, 0 to 1. Default 0. */
  part?: number;
}

/** Passes calls on until one fails as planned. */
export class FaultyStorage extends WrappedStorage {
  /** What fails; undefined while nothing does. */
  fault: Fault | undefined;
  /** Calls that counted for the fault so far. */
  counted = 0;
  /** Calls that failed so far. */
  failed = 0;

  constructor(inner: Storage, fault?: Fault) {
    super(inner);
    this.fault = fault;
  }

  /** Plans another fault, counting from here. */
  plan(fault: Fault | undefined): void {
    this.fault = fault;
    this.counted = 0;
  }

  #fails(kind: FaultKind): boolean {
    const { fault } = this;
    if (fault === undefined || (fault.kinds !== undefined && !fault.kinds.includes(kind))) return false;
    const index = this.counted++;
    return index >= fault.at && index < fault.at + (fault.times ?? 1);
  }

  #error(kind: FaultKind, offset = 0, length = 0): Error {
    this.failed++;
    const { errno } = this.fault!;
    return platformError(kind, this.name, Object.assign(new Error(errno), { code: errno, syscall: kind }), { offset, length });
  }

  #failSync(): void {
    if (!this.#fails("sync")) return;
    const error = this.#error("sync");
    if (!(this.inner instanceof CrashStorage)) throw error;
    this.inner.disk.failNextSync(this.fault!.errno); // the disk keeps what the sync left in doubt
  }

  override read(at: number, into: Uint8Array): number {
    if (this.#fails("read")) throw this.#error("read", at, into.length);
    return super.read(at, into);
  }
  override write(at: number, from: Uint8Array): void {
    if (!this.#fails("write")) return super.write(at, from);
    const part = Math.floor(from.length * (this.fault!.part ?? 0));
    if (part > 0) super.write(at, from.subarray(0, part));
    throw this.#error("write", at, from.length);
  }
  override truncate(size: number): void {
    if (this.#fails("truncate")) throw this.#error("truncate", size);
    super.truncate(size);
  }
  override sync(): void {
    this.#failSync();
    super.sync();
  }
  override async syncAsync(): Promise<void> {
    this.#failSync();
    await super.syncAsync();
  }
}
