// What the parts of one open store share: its kernel, file, journal, meta state and whether it may still be written.
import { ManifestError, type ManifestErrorFields } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { StorageLock } from "../storage/storage.ts";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { type Meta, slotChecksum } from "./meta.ts";
import { cacheFrames, type ResolvedOptions } from "./options.ts";
import type { StoreEvent } from "./types.ts";
import type { PageFile } from "./page_file.ts";
import type { PageIo } from "./page_io.ts";

/** The latest time that a frame can hold, milliseconds since 1970. */
const TIME_MAX = 2 ** 48 - 1;

/** Durability modes as the meta slot records them. */
export const DURABILITY_CODES = { sync: 0, relaxed: 1, none: 2 } as const;

/** The parts of one open store. */
export class Core {
  readonly kernel: Kernel;
  readonly file: PageFile;
  readonly io: PageIo;
  readonly options: ResolvedOptions;
  readonly environment: Environment;
  readonly pageSize: number;
  readonly frames: number;
  readonly checksum: (bytes: Uint8Array) => number;
  readonly lock: StorageLock | undefined;
  journal: Journal;
  /** The newest durable meta generation. */
  meta: Meta;
  /** Epoch of this writer. */
  epoch: number;
  /** Newest durable change sequence, frame and journal group. */
  durableSequence = 0;
  durableFrame = 0;
  durableGroup = 0;
  /** Frame of the published state. */
  publishedFrame = 0;
  /** Time of the newest applied commit, or of the newest that recovery found. */
  committedAt: number;
  /** Why the handle may not be written any more. */
  failure: ManifestErrorFields | undefined;
  /** The kernel is lost, or the handle closed: nothing works any more. */
  ended: ManifestErrorFields | undefined;
  /** The clock is behind the newest commit, and that was told. */
  #clockBehind = false;
  checkpoints = 0;
  /** How often applied transactions were taken back: what was read from the newest applied state before may be wrong then. */
  discards = 0;

  constructor(parts: {
    kernel: Kernel;
    file: PageFile;
    io: PageIo;
    options: ResolvedOptions;
    pageSize: number;
    lock: StorageLock | undefined;
    journal: Journal;
    meta: Meta;
  }) {
    this.kernel = parts.kernel;
    this.file = parts.file;
    this.io = parts.io;
    this.options = parts.options;
    this.environment = parts.options.environment;
    this.pageSize = parts.pageSize;
    this.frames = cacheFrames(parts.options.cacheBytes, 31 - Math.clz32(parts.pageSize));
    this.lock = parts.lock;
    this.journal = parts.journal;
    this.meta = parts.meta;
    this.epoch = parts.meta.epoch;
    this.committedAt = parts.meta.committedAt;
    this.checksum = slotChecksum(parts.kernel);
  }

  /** Throws unless the store may be written; `action` completes "Cannot …". */
  checkWritable(action: string): void {
    if (this.ended) throw this.ended;
    if (this.file.readOnly) throw new ManifestError("READ_ONLY", `Cannot ${action}: the store was opened for reading only`);
    if (this.failure) {
      throw new ManifestError("READ_ONLY", `Cannot ${action}: an earlier write failed; close and open again`, {
        cause: this.failure,
        handle: "read_only",
      });
    }
  }

  /** Throws when nothing can be read any more. */
  checkReadable(): void {
    if (this.ended) throw this.ended;
  }

  /** Called before another version is published. */
  onPublish: () => void = () => {};

  /** Called when a group has been sealed, published or dropped, and when writing or everything has ended. */
  onProgress: () => void = () => {};

  /**
   * The time that a commit is given: what the clock shows, and never less than the commit before was given. So times stand still while the clock is behind, for example because it was set back; that is
   * told once, and again only when it has caught up in between.
   */
  now(): number {
    const shown = Math.floor(this.environment.now());
    if (shown >= this.committedAt && shown <= TIME_MAX) {
      this.#clockBehind = false;
      return shown;
    }
    if (shown < this.committedAt && !this.#clockBehind) {
      this.#clockBehind = true;
      this.onEvent({ type: "clock-backwards", shown, committedAt: this.committedAt });
    }
    return this.committedAt;
  }

  /** Called when a checkpoint is done, when writing has ended for good, and when the clock has gone back. */
  onEvent: (event: StoreEvent) => void = () => {};

  /** Readers see this version from now on. */
  publish(version: number): void {
    this.onPublish();
    this.kernel.exports.versionPublish(version);
    this.publishedFrame = this.kernel.exports.versionFrame(version);
    this.onProgress();
  }

  /** Everything up to here is durable. */
  durable(sequence: number, frame: number, group: number): void {
    this.durableSequence = Math.max(this.durableSequence, sequence);
    this.durableFrame = Math.max(this.durableFrame, frame);
    this.durableGroup = Math.max(this.durableGroup, group);
  }
}
