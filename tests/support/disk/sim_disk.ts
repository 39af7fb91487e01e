// A simulated disk that knows every state a crash could leave behind.
//
// It records each write, truncation and sync. A crash after the first `at` calls leaves everything that a completed sync covers, and any part of the rest: each change kept, dropped, cut at sectors or at any byte,
// sectors of it zero or garbage, truncations and growth included, in any order within an epoch.
//
// A sync that fails (`failNextSync`) leaves what it should have covered in doubt for good, as Linux does: reads show it, a later sync does not make it durable, only writing it again does. A device that lies
// (`lost`) has said yes to the last syncs without doing anything.
import { platformError } from "../../../src/storage/errno.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { WrappedStorage } from "../counting_storage.ts";
import type { Random } from "../random.ts";
import { type CallIndex, CallLog, type DiskCall, type Pending } from "./call_log.ts";
import type { Change } from "./change.ts";
import { CrashImage, crashOf, type DiskCrash } from "./crash.ts";
import { type Device, planFates } from "./fates.ts";
import { ImageBuilder } from "./image_builder.ts";

/** How a disk behaves. */
export interface DiskOptions {
  /** Bytes that land as one: 512 (default) or 4096. */
  sector?: number;
  /** A sector that is being written may also end as zeros or as random bytes. Default false. */
  garbage?: boolean;
  /** How long an asynchronous sync takes: a promise made when it starts. Default: three turns of the microtask queue. */
  syncTime?: () => Promise<void>;
}

/** Images in a row that were all known before: nothing new is left. */
const MISSES = 96;

/** What is certainly durable up to some call, kept from one crash point to the next. */
class Base {
  readonly builder: ImageBuilder;
  adopted = 0;

  constructor(initial: Uint8Array) {
    this.builder = new ImageBuilder(initial);
  }
}

/** The disk: its bytes, its log, its possible crashes. */
export class SimDisk {
  readonly #log = new CallLog();
  readonly #file: MemoryFile;
  readonly #initial: Uint8Array;
  readonly #device: Device;
  readonly #syncTime: (() => Promise<void>) | undefined;
  /** By how many syncs are lost: lies go back to an older base, and would make the honest one start over. */
  readonly #bases = new Map<number, Base>();
  readonly #failSyncs: string[] = [];

  /** A disk with these bytes, durable. */
  constructor(bytes: Uint8Array = new Uint8Array(0), { sector = 512, garbage = false, syncTime }: DiskOptions = {}) {
    this.#file = new MemoryFile(bytes, "crash");
    this.#initial = bytes.slice();
    this.#device = { sector, garbage };
    this.#syncTime = syncTime;
  }

  /** Every call so far. */
  get log(): readonly DiskCall[] {
    return this.#log.calls;
  }

  /** How many calls were made. */
  get calls(): CallIndex {
    return this.#log.calls.length;
  }

  /** Whether there was never anything on it. */
  get blank(): boolean {
    return this.calls === 0 && this.#file.size === 0;
  }

  /** The bytes as reads see them now. */
  live(): Uint8Array {
    return this.#file.bytes();
  }

  /** The longest that the file has been. */
  get longest(): number {
    const ends = this.log.map((call) => call.kind === "write" ? call.at + call.data.length : call.kind === "truncate" ? call.size : 0);
    return Math.max(this.#initial.length, ...ends);
  }

  /** Opens the disk. */
  open(options: { readOnly?: boolean } = {}): CrashStorage {
    return new CrashStorage(this, new MemoryStorage(this.#file, options));
  }

  /** The next syncs fail, one for each errno. */
  failNextSync(...errnos: string[]): void {
    this.#failSyncs.push(...errnos);
  }

  /** For CrashStorage: notes a change that was made. */
  record(change: Change): void {
    this.#log.change(change);
  }

  /** For CrashStorage: completes a sync that began after the first `covers` calls. */
  completeSync(covers: CallIndex): void {
    const errno = this.#failSyncs.shift();
    if (errno === undefined) return this.#log.sync(covers);
    this.#log.doubt(covers);
    throw platformError("sync", this.#file.name, Object.assign(new Error(errno), { code: errno, syscall: "fdatasync" }));
  }

  /** For CrashStorage: waits as long as an asynchronous sync takes. */
  async syncTime(): Promise<void> {
    if (this.#syncTime !== undefined) return await this.#syncTime();
    for (let turn = 0; turn < 3; turn++) await undefined;
  }

  /** The builder with everything as its base that is durable after `at` calls (if the last `lost` syncs did nothing), and the changes behind it. */
  #prepare(at: CallIndex, lost: number): { builder: ImageBuilder; pending: Pending[] } {
    if (at < 0 || at > this.calls) throw new RangeError(`Cannot crash after call ${at}: there are ${this.calls}`);
    const covered = this.#log.covered(at, lost);
    const from = this.#log.settled(covered);
    let base = this.#bases.get(lost);
    if (base === undefined || from < base.adopted) this.#bases.set(lost, base = new Base(this.#initial));
    const { builder } = base;
    builder.reset();
    if (from > base.adopted) {
      for (; base.adopted < from; base.adopted++) {
        const call = this.#log.calls[base.adopted]!;
        if (call.kind !== "sync") builder.apply(call, "keep");
      }
      builder.adopt();
    }
    return { builder, pending: this.#log.pending(from, at, covered) };
  }

  /** What is certainly on the disk after the first `at` calls: everything that a completed sync covers, nothing else. */
  durable(at: CallIndex = this.calls): Uint8Array {
    const { builder, pending } = this.#prepare(at, 0);
    for (const { change, fixed } of pending) builder.apply(change, fixed ? "keep" : "drop");
    return builder.bytes();
  }

  /** How many changes after the first `at` calls no sync covers. */
  pending(at: CallIndex): number {
    return this.#prepare(at, 0).pending.filter(({ fixed }) => !fixed).length;
  }

  /**
   * Images that a crash after the first `at` calls could leave, in the order of `planFates`: without end unless nothing is pending. `lost`: the device has lied about the last so many syncs.
   *
   * The loop's body may run anything but another walk over images of this disk, or `durable`.
   */
  *crashes(at: CallIndex, random: Random, lost = 0): Generator<CrashImage, void, void> {
    const { changes, build } = this.crash(at, lost);
    let index = 0;
    for (const fates of planFates(changes, this.#device, random)) yield build(index++, fates);
  }

  /** The changes that a crash after the first `at` calls may lose, and the image for the fates of all of them; under the conditions of `crashes`. */
  crash(at: CallIndex, lost = 0): DiskCrash {
    const { builder, pending } = this.#prepare(at, lost);
    return crashOf(pending, (index, outcomes) => new CrashImage(builder, index, outcomes));
  }

  /**
   * Distinct images that a crash after the first `at` calls could leave, at most `limit`. Images whose hash is in `seen` are left out and new ones are put in: pass one set for all crash points that
   * must answer the same question, and count its members.
   */
  *images(at: CallIndex, random: Random, limit: number, seen: Set<number> = new Set()): Generator<Uint8Array, void, void> {
    for (const image of this.distinct(at, random, limit, seen)) yield image.bytes();
  }

  /** The same, without a copy of their bytes; under the conditions of `crashes`. */
  *distinct(at: CallIndex, random: Random, limit: number, seen: Set<number> = new Set()): Generator<CrashImage, void, void> {
    let found = 0, misses = 0;
    for (const image of this.crashes(at, random)) {
      if (seen.has(image.hash)) {
        if (++misses === MISSES) return;
        continue;
      }
      seen.add(image.hash);
      misses = 0;
      yield image;
      if (++found === limit) return;
    }
  }
}

/** A handle on a {@linkcode SimDisk}. */
export class CrashStorage extends WrappedStorage {
  /** The disk behind it. */
  readonly disk: SimDisk;

  /** Opens a disk; with bytes or nothing, a new one. */
  constructor(disk: SimDisk | Uint8Array = new SimDisk(), inner?: MemoryStorage) {
    const behind = disk instanceof SimDisk ? disk : new SimDisk(disk);
    super(inner ?? behind.open().inner);
    this.disk = behind;
  }

  /** Another handle on the same disk. */
  reopen(options: { readOnly?: boolean } = {}): CrashStorage {
    return this.disk.open(options);
  }

  override get created(): boolean {
    return this.disk.blank;
  }

  override write(at: number, from: Uint8Array): void {
    super.write(at, from);
    this.disk.record({ kind: "write", at, data: from.slice() });
  }

  override truncate(size: number): void {
    super.truncate(size);
    this.disk.record({ kind: "truncate", size });
  }

  override sync(): void {
    super.sync();
    this.disk.completeSync(this.disk.calls);
  }

  override async syncAsync(): Promise<void> {
    const covers = this.disk.calls;
    await super.syncAsync();
    await this.disk.syncTime();
    this.disk.completeSync(covers);
  }

  /** Distinct images of a crash after the first `at` calls; see {@linkcode SimDisk.images}. */
  images(at: CallIndex, random: Random, limit: number, seen?: Set<number>): Generator<Uint8Array, void, void> {
    return this.disk.images(at, random, limit, seen);
  }
}
