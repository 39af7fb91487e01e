// The storage of one store: counted, measured, one sync at a time, and never written again after a failed sync.
//
// Opened for reading only, writes stay in memory (an overlay): a replayed journal may place overflow runs, and nothing may reach the storage.
import { type ErrorDetail, fail, failLimit, isManifestError, ManifestError, type ManifestErrorFields } from "../errors.ts";
import { type IoAction, platformError } from "../storage/errno.ts";
import type { Storage } from "../storage/storage.ts";
import type { Environment } from "./environment.ts";

const OVERLAY_UNIT = 4096;

/** The storage of one store. */
export class PageFile {
  /** Storage calls since opening. */
  reads = 0;
  writes = 0;
  syncs = 0;
  bytesWritten = 0;
  /** Milliseconds of recent syncs, smoothed; undefined before the first. */
  syncTime: number | undefined;
  /** What ended writing, if anything did. */
  failure: ManifestErrorFields | undefined;
  readonly storage: Storage;
  readonly readOnly: boolean;
  readonly #environment: Environment;
  readonly #overlayLimit: number;
  readonly #overlay = new Map<number, Uint8Array>();
  #inFlight: Promise<void> | undefined;
  // Changes made, and how many of them a completed sync covers. One more to begin with: a predecessor may have left something.
  #changes = 1;
  #covered = 0;

  constructor(storage: Storage, environment: Environment, readOnly: boolean, overlayLimit: number) {
    this.storage = storage;
    this.readOnly = readOnly;
    this.#environment = environment;
    this.#overlayLimit = overlayLimit;
  }

  /** Bytes of the storage. */
  size(): number {
    try {
      return this.storage.size();
    } catch (error) {
      throw this.#known("measure", error);
    }
  }

  /** Reads into all of `into`; what lies behind the end reads as zeros. Returns the bytes that were there. */
  read(at: number, into: Uint8Array): number {
    this.reads++;
    let count: number;
    try {
      count = this.storage.read(at, into);
    } catch (error) {
      throw this.#known("read", error, { offset: at, length: into.length });
    }
    if (count < into.length) into.fill(0, count);
    if (this.#overlay.size === 0) return count;
    for (let done = 0; done < into.length; done += OVERLAY_UNIT) {
      const kept = this.#overlay.get(at + done);
      if (!kept) continue;
      into.set(kept.subarray(0, Math.min(OVERLAY_UNIT, into.length - done)), done);
      count = Math.max(count, Math.min(into.length, done + OVERLAY_UNIT));
    }
    return count;
  }

  /** Writes all of `from` at `at`. */
  write(at: number, from: Uint8Array): void {
    if (this.readOnly) return this.#lay(at, from);
    if (this.failure) throw this.failure;
    this.writes++;
    this.#changes++;
    this.bytesWritten += from.length;
    try {
      this.storage.write(at, from);
    } catch (error) {
      throw this.#known("write", error, { offset: at, length: from.length });
    }
  }

  /** What a storage throws is an error of this package, or is made one: a raw RangeError must not pass for a trap of the kernel. */
  #known(action: IoAction, error: unknown, facts?: ErrorDetail): unknown {
    return isManifestError(error) ? error : platformError(action, this.storage.name, error, facts);
  }

  #lay(at: number, from: Uint8Array): void {
    if ((this.#overlay.size * OVERLAY_UNIT) + from.length > this.#overlayLimit) {
      failLimit("Cannot open for reading: the journal to replay is larger than the cache", { limit: this.#overlayLimit });
    }
    for (let done = 0; done < from.length; done += OVERLAY_UNIT) this.#overlay.set(at + done, from.slice(done, done + OVERLAY_UNIT));
  }

  /** Cuts the storage. */
  truncate(size: number): void {
    if (this.failure) throw this.failure;
    this.#changes++;
    try {
      this.storage.truncate(size);
    } catch (error) {
      throw this.#known("truncate", error, { length: size });
    }
  }

  /** Whether anything was written that no completed sync covers. */
  get dirty(): boolean {
    return this.#changes > this.#covered;
  }

  /** Everything in the storage is known to be durable: its last writer said so. */
  settle(): void {
    this.#covered = this.#changes;
  }

  /** Whether a sync is running off the event loop. */
  get syncing(): boolean {
    return this.#inFlight !== undefined;
  }

  /** Whether the next sync of a commit is expected to be quick enough to wait for in the turn. */
  quick(limit: number): boolean {
    return this.syncTime !== undefined && this.syncTime < limit;
  }

  #measured(since: number): void {
    const time = Math.max(0, this.#environment.monotonic() - since);
    this.syncTime = this.syncTime === undefined ? time : this.syncTime * 0.75 + time * 0.25;
  }

  #failed(cause: unknown): ManifestErrorFields {
    this.failure ??= new ManifestError("SYNC_FAILED", `Cannot sync "${this.storage.name}": the storage reported a failure`, {
      cause,
      detail: isManifestError(cause) ? { file: this.storage.name, ...cause.detail } : { file: this.storage.name },
    });
    return this.failure;
  }

  /** Syncs within the turn. None may be in flight. */
  sync(): void {
    if (this.failure) throw this.failure;
    if (this.#inFlight) fail("INVARIANT", "Cannot sync: another sync is in flight");
    this.syncs++;
    const since = this.#environment.monotonic();
    try {
      this.storage.sync();
    } catch (cause) {
      throw this.#failed(cause);
    }
    this.#covered = this.#changes;
    this.#measured(since);
  }

  /** Syncs off the event loop, after the one in flight. Covers everything written before the call. */
  async syncLater(): Promise<void> {
    while (this.#inFlight) await this.#inFlight.catch(() => {});
    if (this.failure) throw this.failure;
    this.syncs++;
    const since = this.#environment.monotonic();
    // What is written while it runs may not be covered.
    const covers = this.#changes;
    try {
      await (this.#inFlight = this.storage.syncAsync());
    } catch (cause) {
      throw this.#failed(cause);
    } finally {
      this.#inFlight = undefined;
    }
    this.#covered = Math.max(this.#covered, covers);
    this.#measured(since);
  }
}
