// Opening: choosing the state, making a new file, recovery, and the epoch under which this handle writes.
import { META_BYTES, META_FILE_ID, META_FRAME, META_PAGE_COUNT, META_SEQUENCE, OK } from "../../assembly/format.ts";
import { fail, isManifestError } from "../errors.ts";
import { Kernel } from "../kernel/kernel.ts";
import { kernelModule } from "../kernel/loader.ts";
import type { Storage, StorageLock } from "../storage/storage.ts";
import { Checkpointer } from "./checkpoint.ts";
import { Core, DURABILITY_CODES } from "./core.ts";
import { INITIAL_BYTES, Journal } from "./journal.ts";
import { isCreated, isInterruptedCreation } from "./interrupted_creation.ts";
import { chooseMeta, type Chosen, damagedSlots, newestMeta, sealSlot, slotChecksum, slotOffset, toHex } from "./meta.ts";
import { checkBounds, checkFeatures } from "./meta_limits.ts";
import { cacheFrames, type ResolvedOptions } from "./options.ts";
import { createFile, freshSlot } from "./order.ts";
import { PageFile } from "./page_file.ts";
import { PageIo } from "./page_io.ts";
import { Replay } from "./recovery.ts";
import type { RecoveryReport } from "./types.ts";

/** An opened core and what happened on the way. */
export interface Opened {
  readonly core: Core;
  readonly report: RecoveryReport;
}

/** Opens, creates or recovers. On failure the lock is given back; the storage stays the caller's. */
export async function openCore(storage: Storage, options: ResolvedOptions): Promise<Opened> {
  const readOnly = options.readOnly || storage.readOnly;
  const environment = options.environment;
  const lock = readOnly ? undefined : storage.lock({ now: environment.now(), nonce: nonce(options) });
  try {
    if (readOnly) return await openBesideWriter(storage, options);
    return await new Opening(storage, options, readOnly, lock).open();
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** Attempts to read a state that a writer in another process may be replacing. */
const ATTEMPTS = 5;

/** A reader takes no lock: what looks damaged may be the work of a writer between two reads. Damage that stays is damage. */
async function openBesideWriter(storage: Storage, options: ResolvedOptions): Promise<Opened> {
  for (let attempt = 1;; attempt++) {
    const opening = new Opening(storage, options, true, undefined);
    try {
      return await opening.open();
    } catch (error) {
      if (attempt === ATTEMPTS || !isManifestError(error) || error.kind !== "data" || error.code === "NOT_A_MANIFEST") throw error;
      // No page of a generation is written again before a newer one is durable: without one, a damaged page is damaged.
      if (error.code === "CORRUPT_PAGE" && !opening.overtaken()) throw error;
      await options.environment.yield();
    }
  }
}

function nonce(options: ResolvedOptions): string {
  const bytes = new Uint8Array(16);
  options.environment.random(bytes);
  return toHex(bytes);
}

class Opening {
  readonly #storage: Storage;
  readonly #options: ResolvedOptions;
  readonly #readOnly: boolean;
  readonly #lock: StorageLock | undefined;
  readonly #file: PageFile;
  readonly #kernel: Kernel;
  readonly #checksum: (bytes: Uint8Array) => number;
  #chosen: Core["meta"] | undefined;
  readonly #report: RecoveryReport = {
    created: false,
    clean: false,
    groups: 0,
    frames: 0,
    cut: undefined,
    rebuilt: [],
    damagedGroups: [],
    repairedSlots: [],
    damagedSlots: [],
  };

  constructor(storage: Storage, options: ResolvedOptions, readOnly: boolean, lock: StorageLock | undefined) {
    this.#storage = storage;
    this.#options = options;
    this.#readOnly = readOnly;
    this.#lock = lock;
    this.#file = new PageFile(storage, options.environment, readOnly, options.cacheBytes);
    this.#kernel = new Kernel(kernelModule(options.wasm));
    this.#checksum = slotChecksum(this.#kernel);
  }

  async open(): Promise<Opened> {
    const size = this.#file.size();
    const region = new Uint8Array(Math.min(size, META_BYTES));
    this.#file.read(0, region);
    if (size === 0 || (size <= freshBytes(1 << 16) && this.#isInterrupted(size, region))) {
      if (this.#readOnly || !this.#options.create) {
        fail("EMPTY_FILE", `Cannot open "${this.#storage.name}": ${size === 0 ? "it is empty" : "its creation was interrupted"}`, {
          detail: { file: this.#storage.name },
        });
      }
      this.#checkSequence(0);
      return await this.#create();
    }
    return await this.#openExisting(chooseMeta(region, this.#checksum, this.#storage.name));
  }

  /** Throws ROLLED_BACK when the caller knows of changes that are not here. Of what opening leaves behind only copies of meta slots have been written by then. */
  #checkSequence(sequence: number): void {
    const { expectSequence } = this.#options;
    if (sequence >= expectSequence) return;
    fail("ROLLED_BACK", `Cannot open "${this.#storage.name}": its newest change is ${sequence}, and ${expectSequence} was there`, {
      detail: { file: this.#storage.name, sequence, expected: expectSequence },
    });
  }

  /** Whether a writer has made a newer meta generation durable than the one that was chosen. */
  overtaken(): boolean {
    const region = new Uint8Array(META_BYTES);
    this.#file.read(0, region);
    const chosen = this.#chosen;
    return chosen === undefined || (newestMeta(region, this.#checksum, chosen.fileId)?.generation ?? -1) > chosen.generation;
  }

  #isInterrupted(size: number, region: Uint8Array): boolean {
    if (isCreated(region, this.#checksum)) return false; // nearly every small file: the rest need not be read
    const whole = new Uint8Array(size);
    this.#file.read(0, whole);
    return isInterruptedCreation(whole, this.#checksum, FRESH_LENGTHS);
  }

  #init(pageShift: number, fileId: Uint8Array): void {
    const view = new DataView(fileId.buffer, fileId.byteOffset, 16);
    const status = this.#kernel.exports.init(
      pageShift,
      cacheFrames(this.#options.cacheBytes, pageShift),
      view.getUint32(0, true),
      view.getUint32(4, true),
    );
    if (status !== OK) fail("UNAVAILABLE", "Cannot open: the kernel's memory does not suffice for this cache", { handle: "closed" });
    this.#kernel.exports.bodyLimits(this.#options.maxTransactionBytes, this.#options.maxTransactionBytes + (1 << 20));
  }

  #core(meta: Core["meta"]): Core {
    const pageSize = 2 ** meta.pageShift;
    const gap = Math.ceil((this.#options.maxTransactionBytes * 4) / pageSize) + cacheFrames(this.#options.cacheBytes, meta.pageShift);
    return new Core({
      kernel: this.#kernel,
      file: this.#file,
      io: new PageIo(this.#kernel, this.#file, pageSize, gap),
      options: this.#options,
      pageSize,
      lock: this.#lock,
      journal: new Journal(meta.pageShift, meta.extents, meta),
      meta,
    });
  }

  async #create(): Promise<Opened> {
    const { pageShift, environment, durability, continued } = this.#options;
    const pageSize = 2 ** pageShift;
    const slot = freshSlot(pageShift, environment.random);
    this.#init(pageShift, slot.subarray(META_FILE_ID, META_FILE_ID + 16));
    const metaPages = Math.ceil(META_BYTES / pageSize);
    const journalPages = Math.ceil(INITIAL_BYTES / pageSize);
    const pages = metaPages + journalPages;
    const view = new DataView(slot.buffer);
    view.setUint32(META_PAGE_COUNT, pages, true);
    view.setBigUint64(META_SEQUENCE, BigInt(continued.sequence), true);
    view.setBigUint64(META_FRAME, BigInt(continued.frame), true);
    await createFile(
      this.#file,
      slot,
      pages,
      pageSize,
      { page: metaPages, pages: journalPages },
      DURABILITY_CODES[durability],
      this.#kernel,
    );
    const region = new Uint8Array(META_BYTES);
    this.#file.read(0, region);
    const core = this.#core(chooseMeta(region, this.#checksum, this.#storage.name).current);
    this.#load(core, undefined);
    core.committedAt = continued.committedAt;
    this.#report.created = true;
    return { core, report: this.#report };
  }

  /** Gives the kernel the state of the chosen generation. Where no checkpoint was ever made, what is in use are the meta slots and the journal. */
  #load(core: Core, older: Core["meta"] | undefined): void {
    const { kernel, io, meta } = core;
    const x = kernel.exports;
    const at = x.arena(2 * meta.bytes.length) >>> 0;
    kernel.u8.set(meta.bytes, at);
    if (older) kernel.u8.set(older.bytes, at + meta.bytes.length);
    io.run(() => x.stateLoad(at, older ? at + meta.bytes.length : 0), "open");
    core.durable(meta.sequence, meta.frame, meta.group - 1);
  }

  async #openExisting(chosen: Chosen): Promise<Opened> {
    const name = this.#storage.name;
    const { current } = chosen;
    this.#chosen = current;
    checkFeatures(current, !this.#readOnly, name);
    checkBounds(current, this.#file.size(), name);
    this.#report.clean = current.clean;
    this.#init(current.pageShift, current.bytes.subarray(META_FILE_ID, META_FILE_ID + 16));
    const core = this.#core(current);
    if (!this.#readOnly) await this.#repair(chosen);
    this.#load(core, chosen.older);
    if (!current.clean) new Replay(core, this.#report).run();
    this.#checkSequence(this.#kernel.exports.versionSequence(-1));
    if (this.#readOnly) {
      core.durable(this.#kernel.exports.versionSequence(-1), this.#kernel.exports.versionFrame(-1), core.journal.nextGroup - 1);
      return { core, report: this.#report };
    }
    core.epoch = current.epoch + 1;
    // Nothing new is acknowledged before what was adopted is in the tree, under the new epoch. Without a lock of the operating system the predecessor
    // may still be writing: the journal goes on where it is not.
    const quick = current.clean;
    if (quick) this.#file.settle(); // everything was durable before the clean mark was written
    await new Checkpointer(core).start({ far: this.#lock?.strength === "claim", force: this.#report.frames > 0, lazy: quick });
    return { core, report: this.#report };
  }

  /**
   * Makes slots that do not hold what they should what their other copies are, durably, before anything else is written. What is left of a half-written slot may differ from a whole one in a single sector, which
   * another write that is cut short could put right: then a state would be back whose pages have been overwritten. The other copies are not touched: there is none to spare.
   */
  async #repair(chosen: Chosen): Promise<void> {
    const { stale } = chosen;
    if (stale.length === 0) return;
    for (const { slot, meta } of stale) {
      const copy = slot < 2 ? 1 : 2;
      this.#file.write(slotOffset(meta.generation, copy), sealSlot(meta.bytes, copy, this.#checksum));
    }
    await this.#file.syncLater();
    this.#report.repairedSlots = stale.map(({ slot }) => slot);
    this.#report.damagedSlots = damagedSlots(chosen);
  }
}

/** Bytes of a fresh file at a page size. */
export function freshBytes(pageSize: number): number {
  return (Math.ceil(META_BYTES / pageSize) + Math.ceil(INITIAL_BYTES / pageSize)) * pageSize;
}

/** Lengths that a fresh file can have. */
export const FRESH_LENGTHS: readonly number[] = [12, 13, 14, 15, 16].map((shift) => freshBytes(2 ** shift));
