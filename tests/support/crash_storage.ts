// A simulated disk that knows every state a crash could leave behind.
//
// It records each write, truncation and sync. A crash after the first `at` calls leaves everything that a completed sync covers, and any subset of the rest: each change kept, dropped or cut, at
// sectors of 512 bytes or at any byte, truncations and growth included. A write in flight needs no case of its own: it is a change that no sync covers yet.
//
// A sync that fails (`failNextSync`) leaves what it should have covered in doubt for good, as Linux does: reads show it, a later sync does not make it durable, only writing it again does.
import { platformError } from "../../src/storage/errno.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { WrappedStorage } from "./counting_storage.ts";
import { type Change, type Fate, ImageBuilder } from "./crash_image.ts";
import type { Random } from "./random.ts";

/** Counts calls that change or sync the disk: the state after the first `at` of them. */
export type CallIndex = number;

/** One call of a disk's log. `covers`: changes before that index are durable when the sync has completed. */
export type DiskCall = (Change & { doubtful?: boolean }) | { readonly kind: "sync"; readonly covers: CallIndex };

/** How a disk behaves. */
export interface DiskOptions {
  /** Cut sectors may also turn into random bytes. Default false. */
  garbage?: boolean;
  /** How long an asynchronous sync takes: a promise made when it starts. Default: three turns of the microtask queue. */
  syncTime?: () => Promise<void>;
}

const SUBSETS = 7; // all subsets of up to so many changes
const MISSES = 96; // random images that were all known before: nothing new is left
const PLANS = 1500;

/** The disk: its bytes, its log, its possible crashes. */
export class SimDisk {
  /** Every call so far. */
  readonly log: DiskCall[] = [];
  #file: MemoryFile;
  #initial: Uint8Array;
  #options: DiskOptions;
  #builder: ImageBuilder;
  #adopted = 0; // calls of the log that are in the builder's base
  #end: number;
  #failSyncs: string[] = [];

  /** A disk with these bytes, durable. */
  constructor(bytes: Uint8Array = new Uint8Array(0), options: DiskOptions = {}) {
    this.#file = new MemoryFile(bytes, "crash");
    this.#initial = bytes.slice();
    this.#options = options;
    this.#end = bytes.length;
    this.#builder = new ImageBuilder(bytes.length, bytes);
  }

  /** How many calls were made. */
  get calls(): CallIndex {
    return this.log.length;
  }

  /** The bytes as reads see them now. */
  live(): Uint8Array {
    return this.#file.bytes();
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
    if (change.kind === "write") {
      if (change.data.length === 0) return;
      this.#end = Math.max(this.#end, change.at + change.data.length);
    } else {
      this.#end = Math.max(this.#end, change.size);
    }
    this.log.push(change);
  }

  /** For CrashStorage: completes a sync that began after the first `covers` calls. */
  completeSync(covers: CallIndex): void {
    const errno = this.#failSyncs.shift();
    if (errno === undefined) {
      this.log.push({ kind: "sync", covers });
      return;
    }
    const durable = this.#covered(this.log.length);
    for (let index = durable; index < covers; index++) {
      const call = this.log[index]!;
      if (call.kind !== "sync") call.doubtful = true;
    }
    throw platformError("sync", this.#file.name, Object.assign(new Error(errno), { code: errno, syscall: "fdatasync" }));
  }

  /** For CrashStorage: waits as long as an asynchronous sync takes. */
  async syncTime(): Promise<void> {
    if (this.#options.syncTime !== undefined) return await this.#options.syncTime();
    for (let turn = 0; turn < 3; turn++) await undefined;
  }

  #covered(at: CallIndex): CallIndex {
    for (let index = at - 1; index >= 0; index--) {
      const call = this.log[index]!;
      if (call.kind === "sync") return call.covers; // of later syncs, the later one covers more
    }
    return 0;
  }

  // Brings the builder's base to what is durable after `at` calls and returns the changes behind it. Those that are durable although they follow one in doubt have the fate "keep".
  #prepare(at: CallIndex): { change: Change; fixed: boolean }[] {
    if (at < 0 || at > this.log.length) throw new RangeError(`Cannot crash after call ${at}: there are ${this.log.length}`);
    const covered = this.#covered(at);
    let base = covered;
    for (let index = 0; index < base; index++) if ((this.log[index] as { doubtful?: boolean }).doubtful === true) base = index;
    if (base < this.#adopted || this.#end > this.#builder.capacity) {
      this.#builder = new ImageBuilder(Math.max(this.#end, this.#builder.capacity), this.#initial);
      this.#adopted = 0;
    }
    this.#builder.reset();
    if (base > this.#adopted) {
      for (; this.#adopted < base; this.#adopted++) {
        const call = this.log[this.#adopted]!;
        if (call.kind !== "sync") this.#builder.apply(call, "keep");
      }
      this.#builder.adopt();
    }
    const pending: { change: Change; fixed: boolean }[] = [];
    for (let index = base; index < at; index++) {
      const call = this.log[index]!;
      if (call.kind !== "sync") pending.push({ change: call, fixed: index < covered && call.doubtful !== true });
    }
    return pending;
  }

  /** What is certainly on the disk after the first `at` calls: everything that a completed sync covers, nothing else. */
  durable(at: CallIndex = this.log.length): Uint8Array {
    for (const { change, fixed } of this.#prepare(at)) this.#builder.apply(change, fixed ? "keep" : "drop");
    return this.#builder.bytes();
  }

  /** How many changes after the first `at` calls no sync covers. */
  pending(at: CallIndex): number {
    return this.#prepare(at).filter(({ fixed }) => !fixed).length;
  }

  /**
   * Distinct images that a crash after the first `at` calls could leave, at most `limit`. Images whose hash is in `seen` are left out and new ones are put in: pass one set for all crash points that
   * must answer the same question, and count its members.
   *
   * The loop's body may run anything but another `images` or `durable` of this disk.
   */
  *images(at: CallIndex, random: Random, limit: number, seen: Set<number> = new Set()): Generator<Uint8Array, void, void> {
    const pending = this.#prepare(at);
    const free: Change[] = pending.filter(({ fixed }) => !fixed).map(({ change }) => change);
    const builder = this.#builder;
    const plans = planFates(free, random);
    let found = 0, misses = 0;
    for (let turn = 0; found < limit && misses < MISSES; turn++) {
      // The two plain ones first, then plans and random images by turns.
      const planned = turn < 2 || turn % 2 === 0 ? plans.next().value : undefined;
      const fates = planned ?? free.map((change) => randomFate(change, random, this.#options.garbage === true));
      builder.reset();
      let next = 0;
      for (const { change, fixed } of pending) builder.apply(change, fixed ? "keep" : fates[next++]!);
      const hash = builder.hash();
      if (seen.has(hash)) {
        if (planned === undefined) misses++;
        if (free.length === 0) return;
        continue;
      }
      seen.add(hash);
      found++;
      misses = 0;
      yield builder.bytes();
    }
  }
}

// Nothing kept and all kept; then, in random order: subsets, each change alone dropped or alone kept, prefixes, and cuts of each change with the others there, away, or there before it.
function* planFates(changes: readonly Change[], random: Random): Generator<Fate[], undefined, void> {
  const fill = (fate: Fate): Fate[] => changes.map(() => fate);
  yield fill("drop");
  yield fill("keep");
  const plans: Fate[][] = [];
  const count = changes.length;
  if (count <= SUBSETS) {
    for (let mask = 1; mask < (1 << count) - 1; mask++) plans.push(changes.map((_, i) => (mask >>> i) & 1 ? "keep" : "drop"));
  } else {
    for (let i = 0; i < count; i++) {
      plans.push(changes.map((_, j) => j === i ? "drop" : "keep"), changes.map((_, j) => j === i ? "keep" : "drop"));
      plans.push(changes.map((_, j) => j < i ? "keep" : "drop"));
    }
  }
  for (let i = 0; i < count && plans.length < PLANS; i++) {
    for (const cut of cutsOf(changes[i]!, random)) {
      plans.push(changes.map((_, j) => j === i ? cut : "keep"), changes.map((_, j) => j === i ? cut : "drop"));
      plans.push(changes.map((_, j) => j === i ? cut : j < i ? "keep" : "drop"));
    }
  }
  yield* random.shuffle(plans);
  return undefined;
}

function cutsOf(change: Change, random: Random): Fate[] {
  if (change.kind === "truncate") return [];
  const { length } = change.data;
  const cuts: Fate[] = ["grow", { from: 0, to: random.int(length) }];
  const sectors = Math.ceil(length / 512);
  const step = Math.max(1, Math.floor(sectors / 8));
  for (let sector = step; sector < sectors; sector += step) {
    cuts.push({ from: 0, to: sector * 512 }, { from: sector * 512, to: length });
  }
  return cuts;
}

function randomFate(change: Change, random: Random, garbage: boolean): Fate {
  const roll = random.int(100);
  if (roll < 40) return "keep";
  if (roll < 72 || change.kind === "truncate") return roll < 70 ? "drop" : "keep";
  const { length } = change.data;
  if (roll < 75) return "grow";
  if (roll < 82) return { from: 0, to: random.int(length + 1) };
  if (roll < 86) return { from: random.int(length), to: length };
  return garbage && roll < 92 ? { mask: random.u32(), garbage: random } : { mask: random.u32() };
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
    return this.disk.calls === 0 && this.inner.size() === 0;
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
