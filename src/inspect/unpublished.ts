// A target that is no manifest before it is finished: its meta slots are held back until everything else is durable.
//
// Whoever opens it before finds zeros in their place (NOT_A_MANIFEST), whatever interrupts the work.
import { META_BYTES } from "../../assembly/format.ts";
import type { Durability, LockHolder, LockRequest, Storage, StorageLock } from "../storage/storage.ts";

/** Storage whose first 16 KiB stay in memory until they are published. Its lock and its end are the caller's. */
export class UnpublishedStorage implements Storage {
  readonly #storage: Storage;
  readonly #holder: LockHolder;
  readonly #region = new Uint8Array(META_BYTES);
  /** Bytes of the region that were written. */
  #held = 0;

  constructor(storage: Storage, holder: LockHolder) {
    this.#storage = storage;
    this.#holder = holder;
  }

  get name(): string {
    return this.#storage.name;
  }

  get identity(): string {
    return this.#storage.identity;
  }

  get durability(): Durability {
    return this.#storage.durability;
  }

  get readOnly(): boolean {
    return false;
  }

  get created(): boolean {
    return this.#storage.created;
  }

  size(): number {
    return Math.max(this.#storage.size(), this.#held);
  }

  read(at: number, into: Uint8Array): number {
    const count = this.#storage.read(at, into);
    if (at >= META_BYTES) return count;
    const part = this.#region.subarray(at, Math.min(META_BYTES, at + into.length));
    into.set(part);
    return Math.max(count, Math.min(part.length, Math.max(0, this.#held - at)));
  }

  write(at: number, from: Uint8Array): void {
    if (at >= META_BYTES) return this.#storage.write(at, from);
    const held = from.subarray(0, META_BYTES - at);
    this.#region.set(held, at);
    this.#held = Math.max(this.#held, at + held.length);
    if (from.length > held.length) this.#storage.write(META_BYTES, from.subarray(held.length));
  }

  truncate(size: number): void {
    this.#held = Math.min(this.#held, size);
    this.#region.fill(0, this.#held);
    this.#storage.truncate(size);
  }

  sync(): void {
    this.#storage.sync();
  }

  syncAsync(): Promise<void> {
    return this.#storage.syncAsync();
  }

  /** The target is locked by whoever salvages into it. */
  lock(_request: LockRequest): StorageLock {
    return { strength: "process", holder: this.#holder, previous: undefined, verify: () => {}, release: () => {} };
  }

  close(): void {}

  /** Makes the file what it is: everything else durable first, then the slots. Whatever of them is left of an interrupted write, the rest is whole. */
  async publish(): Promise<void> {
    await this.#storage.syncAsync();
    this.#storage.write(0, this.#region);
    await this.#storage.syncAsync();
  }
}
