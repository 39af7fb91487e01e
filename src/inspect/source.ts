// The storage under inspection: read, counted, never written and never closed.
import { fail, isManifestError } from "../errors.ts";
import { platformError } from "../storage/errno.ts";
import type { Durability, Storage, StorageLock } from "../storage/storage.ts";

/** A storage that can only be read, and that belongs to somebody else. */
export class Source implements Storage {
  /** Calls and bytes that were read. */
  reads = 0;
  bytes = 0;
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
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
    return true;
  }

  get created(): boolean {
    return false;
  }

  size(): number {
    return this.#storage.size();
  }

  read(at: number, into: Uint8Array): number {
    let count: number;
    try {
      count = this.#storage.read(at, into);
    } catch (error) {
      throw isManifestError(error) ? error : platformError("read", this.name, error, { offset: at, length: into.length });
    }
    this.reads++;
    this.bytes += count;
    return count;
  }

  /** Reads all of `into`, zeros behind the end; false when the storage could not read. */
  take(at: number, into: Uint8Array): boolean {
    try {
      const count = this.read(at, into);
      if (count < into.length) into.fill(0, count);
      return true;
    } catch (error) {
      if (!isManifestError(error) || error.code === "HANDLE_CLOSED") throw error;
      into.fill(0);
      return false;
    }
  }

  write(): void {
    this.#refuse("write");
  }

  truncate(): void {
    this.#refuse("truncate");
  }

  sync(): void {
    this.#refuse("sync");
  }

  // deno-lint-ignore require-await
  async syncAsync(): Promise<void> {
    this.#refuse("sync");
  }

  lock(): StorageLock {
    this.#refuse("lock");
  }

  /** The storage stays open: it is the caller's. */
  close(): void {}

  #refuse(action: string): never {
    fail("READ_ONLY", `Cannot ${action} "${this.name}": it is only looked at`, { detail: { file: this.name } });
  }
}
