// Storage that passes every call on and keeps count: how many calls a piece of work costs, and in which order they came.
import type { Durability, LockRequest, Storage, StorageLock } from "../../src/storage/storage.ts";

/** A call that passed through. */
export type CallKind = "size" | "read" | "write" | "truncate" | "sync" | "syncAsync" | "lock" | "close";

/** One recorded call. */
export interface StorageCall {
  kind: CallKind;
  /** Offset, or the new size of a truncation. */
  at: number;
  /** Bytes asked for or given. */
  length: number;
}

/** A storage that passes everything on; wrappers override what they watch. */
export class WrappedStorage implements Storage {
  readonly inner: Storage;

  constructor(inner: Storage) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }
  get identity(): string {
    return this.inner.identity;
  }
  get durability(): Durability {
    return this.inner.durability;
  }
  get readOnly(): boolean {
    return this.inner.readOnly;
  }
  get created(): boolean {
    return this.inner.created;
  }
  size(): number {
    return this.inner.size();
  }
  read(at: number, into: Uint8Array): number {
    return this.inner.read(at, into);
  }
  write(at: number, from: Uint8Array): void {
    this.inner.write(at, from);
  }
  truncate(size: number): void {
    this.inner.truncate(size);
  }
  sync(): void {
    this.inner.sync();
  }
  syncAsync(): Promise<void> {
    return this.inner.syncAsync();
  }
  lock(request: LockRequest): StorageLock {
    return this.inner.lock(request);
  }
  close(): void {
    this.inner.close();
  }
}

/** Counts calls and bytes; records the calls when `recording` is set. */
export class CountingStorage extends WrappedStorage {
  /** Calls by kind since the last reset. */
  counts: Record<CallKind, number> = zeros();
  /** Bytes that reads returned. */
  bytesRead = 0;
  /** Bytes that writes were given. */
  bytesWritten = 0;
  /** The calls in order, while `recording`. */
  calls: StorageCall[] = [];
  /** Whether calls are kept. */
  recording: boolean;

  constructor(inner: Storage, options: { recording?: boolean } = {}) {
    super(inner);
    this.recording = options.recording ?? false;
  }

  /** Syncs of both kinds. */
  get syncs(): number {
    return this.counts.sync + this.counts.syncAsync;
  }

  /** Writes and truncations. */
  get changes(): number {
    return this.counts.write + this.counts.truncate;
  }

  /** Forgets all counts and calls. */
  reset(): void {
    this.counts = zeros();
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.calls = [];
  }

  #count(kind: CallKind, at = 0, length = 0): void {
    this.counts[kind]++;
    if (this.recording) this.calls.push({ kind, at, length });
  }

  override size(): number {
    this.#count("size");
    return super.size();
  }
  override read(at: number, into: Uint8Array): number {
    this.#count("read", at, into.length);
    const length = super.read(at, into);
    this.bytesRead += length;
    return length;
  }
  override write(at: number, from: Uint8Array): void {
    this.#count("write", at, from.length);
    this.bytesWritten += from.length;
    super.write(at, from);
  }
  override truncate(size: number): void {
    this.#count("truncate", size);
    super.truncate(size);
  }
  override sync(): void {
    this.#count("sync");
    super.sync();
  }
  override syncAsync(): Promise<void> {
    this.#count("syncAsync");
    return super.syncAsync();
  }
  override lock(request: LockRequest): StorageLock {
    this.#count("lock");
    return super.lock(request);
  }
  override close(): void {
    this.#count("close");
    super.close();
  }
}

function zeros(): Record<CallKind, number> {
  return { size: 0, read: 0, write: 0, truncate: 0, sync: 0, syncAsync: 0, lock: 0, close: 0 };
}
