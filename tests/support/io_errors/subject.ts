// A store or a manifest under a fault: opened, used, and held against what its errors have said.
//
// A subject calls through one plan of faults, whatever it opens and closes. Each commit has an entry in the ledger; what a file holds is found by asking for every id, and must then be, row by row, what the model says.
import type { ErrorCode } from "../../../mod.ts";
import { MemoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import type { DurabilityMode, Resolution, SyncMode } from "../../../src/store/store.ts";
import type { SimDisk } from "../crash_storage.ts";
import { type TestEnvironment, testEnvironment } from "../environment.ts";
import type { DiskCall } from "../disk/call_log.ts";
import { type FaultPlan, FaultyStorage } from "../faulty_storage.ts";
import { type Random, seeded } from "../random.ts";
import type { TrapPlan } from "../containment/trap_plan.ts";
import { historyName } from "./history.ts";
import { checkError, ENDED, type Entry, type Handle, Ledger } from "./ledger.ts";

/** The last commits that were acknowledged are asked for by their ids. */
const ASKED = 6;
/** A workload ends so many calls behind the first failure: what comes later is what came in other runs. */
const CALLS_BEHIND = 14;

/** The workload has gone on for long enough behind the failure. */
export class Enough extends Error {}

/** How a subject is opened. */
export interface SubjectOptions {
  readonly durability?: DurabilityMode;
  readonly syncMode?: SyncMode;
  readonly cacheBytes?: number;
  readonly readOnly?: boolean;
}

/** What stores and manifests have in common. */
export interface Openable extends Handle {
  checkpoint(): Promise<void>;
  compact(): Promise<void>;
  check(): Promise<{ readonly problems: readonly unknown[] }>;
  resolve(commitId: string): Promise<Resolution>;
  close(): Promise<void>;
}

/** What was found to be in order; shared by the runs of a workload. */
export class Seen {
  /** What the workload does to its disk when nothing fails: most histories begin like it. */
  readonly usual: readonly DiskCall[];
  /** Images, by the outcomes that they were held against. */
  readonly images = new Map<string, Set<number>>();
  /** Everything that happened to a disk, with the outcomes. */
  readonly histories = new Set<string>();

  constructor(usual: readonly DiskCall[] = []) {
    this.usual = usual;
  }

  /** Images so far. */
  get count(): number {
    return [...this.images.values()].reduce((sum, images) => sum + images.size, 0);
  }
}

/** One run. */
export abstract class Subject<H extends Openable> {
  readonly disk: SimDisk;
  readonly plan: FaultPlan;
  readonly ledger = new Ledger();
  readonly random: Random;
  environment!: TestEnvironment;
  options: SubjectOptions = {};
  /** Traps of the kernel, where they are what fails. */
  traps: TrapPlan | undefined;
  /** Number of the kernel of the handle. */
  #kernel = 0;
  /** The open handle. */
  handle: H | undefined;
  storage: FaultyStorage | undefined;
  /** The weakest durability that a commit was made under: what a crash may take follows from it. */
  #sync = true;
  /** Changes tried when the handle was first seen to be for reading only. */
  #changesAtEnd: number | undefined;
  #changesAtTrap = 0;
  #opens = 0;
  #behind = 0;
  #finishing = false;
  /** Commits under way; whether the one in hand was ever beside another. */
  #underWay = 0;
  #together = false;
  readonly #codes: readonly ErrorCode[];
  readonly #seed: number;

  constructor(disk: SimDisk, plan: FaultPlan, codes: readonly ErrorCode[], seed: number) {
    this.disk = disk;
    this.plan = plan;
    this.#codes = codes;
    this.#seed = seed;
    this.random = seeded(seed);
  }

  protected abstract openHandle(storage: Storage, options: SubjectOptions, environment: TestEnvironment): Promise<H>;
  /** Throws unless a handle shows the state after these commits. */
  protected abstract compare(handle: H, kept: ReadonlySet<number>): void;
  /** Commits something. Rejects as the handle does. */
  protected abstract commitOne(handle: H): Promise<unknown>;
  /** Names a commit that the model finds impossible after those before it, if it is. */
  protected refusalOf(_kept: ReadonlySet<number>, _number: number): ErrorCode | undefined {
    return undefined;
  }

  /** The open handle; there must be one. */
  get open(): H {
    if (this.handle === undefined) throw new Error("nothing is open");
    return this.handle;
  }

  get #failed(): boolean {
    return this.plan.failed > 0 || (this.traps?.trapped ?? 0) > 0;
  }

  /** Whether the kernel of the handle has trapped: nothing works any more. */
  get ended(): boolean {
    return this.handle !== undefined && this.traps !== undefined && this.traps.trapped === this.#kernel;
  }

  /** Whose kernel has trapped. */
  get trappedWhere(): "open" | "opening" | "other" {
    return this.ended ? "open" : this.#trappedOpening ? "opening" : "other";
  }

  #trappedOpening = false;

  /** The storage that a handle is opened on; a workload may put something in between. */
  protected wrap(storage: Storage): Storage {
    return storage;
  }

  /** Opens; when a fault prevents it, it must leave nothing behind, and the next attempt succeeds. */
  async start(options: SubjectOptions = {}): Promise<void> {
    this.goOn();
    this.options = options;
    if ((options.durability ?? "sync") !== "sync") this.#sync = false;
    for (let attempt = 1; this.handle === undefined; attempt++) {
      this.environment = testEnvironment(this.#seed + ++this.#opens); // never the same commit ids again
      const storage = new FaultyStorage(this.disk.open({ readOnly: options.readOnly }), this.plan);
      this.storage = storage;
      this.#changesAtEnd = undefined;
      this.#kernel = (this.traps?.instances ?? 0) + 1;
      if (this.traps !== undefined) this.traps.onTrap = () => this.#changesAtTrap = storage.changes;
      try {
        this.handle = await this.openHandle(this.wrap(storage), options, this.environment);
      } catch (error) {
        this.#expectFault(error);
        checkError(error, this.#codes, undefined);
        this.#checkSyncs();
        this.#trappedOpening = true;
        if (attempt === 2) this.plan.fault = undefined; // it has been seen to; a fault for good would fail for ever
        if (attempt > 3) throw new Error("it does not open, although nothing fails any more", { cause: error });
      }
    }
    if (options.readOnly !== true) await this.#settle(this.handle);
  }

  /** Opened again: what was unknown can be asked for, and so can what a weaker mode has not made durable. It stays as it is from now on. */
  async #settle(handle: H): Promise<void> {
    if (this.#sync && this.ledger.with("unknown").length === 0) return;
    const kept = await this.#keptBy(handle);
    this.ledger.checkKept(kept, this.#sync);
    for (const entry of this.ledger.entries) entry.outcome = kept.has(entry.number) ? "applied" : "not_applied";
  }

  /** The commits that a handle says are applied. */
  async #keptBy(handle: H): Promise<Set<number>> {
    const kept = new Set<number>();
    // Asking for each of many costs more than everything else: of those that were acknowledged long before, the rows tell.
    const { entries } = this.ledger;
    for (const entry of entries) {
      const told = this.#sync && entry.outcome === "applied" && entry.number < entries.length - ASKED;
      if (told || await this.isApplied(handle, entry)) kept.add(entry.number);
    }
    return kept;
  }

  /** What a handle says of a commit. */
  protected async isApplied(handle: H, { number, commitId }: Entry): Promise<boolean> {
    const { state } = await handle.resolve(commitId);
    if (state === "expired") throw new Error(`commit ${number} is too old to tell`);
    return state === "applied";
  }

  /** What the strictest check finds. */
  protected async problems(handle: H): Promise<readonly unknown[]> {
    return (await handle.check()).problems;
  }

  /** Ends the workload when it has gone on for long enough; never in the middle of a group. To be called before anything is issued. */
  protected goOn(): void {
    if (this.#finishing || this.#underWay > 0 || !this.#failed || ++this.#behind <= CALLS_BEHIND) return;
    throw new Enough("enough");
  }

  #expectFault(error: unknown): void {
    if (!this.#failed) throw new Error(`an error although nothing has failed: ${(error as Error).message}`, { cause: error });
  }

  #checkSyncs(): void {
    const tried = this.storage!.triedAfterFailedSync;
    if (tried > 0) throw new Error(`${tried} writes or syncs behind a failed sync`);
  }

  /** Notes when writing has ended, and throws when something was written behind it. */
  #watch(): void {
    const { handle, storage } = this;
    this.#checkSyncs();
    if (this.ended && storage!.changes > this.#changesAtTrap) throw new Error("a write or sync behind a trap");
    if (handle === undefined || !handle.readOnly || this.options.readOnly === true) return;
    this.#changesAtEnd ??= storage!.changes;
    const more = storage!.changes - this.#changesAtEnd;
    if (more > 0) throw new Error(`${more} writes or syncs on a handle for reading only`);
  }

  /** Does something that may fail because of the fault, and in no other way. Whether it succeeded. */
  async attempt(call: () => unknown): Promise<boolean> {
    this.goOn();
    try {
      await call();
      return true;
    } catch (error) {
      this.#expectFault(error);
      checkError(error, this.#codes, this.ended ? ENDED : this.open);
      return false;
    } finally {
      this.#watch();
    }
  }

  /** Does something with another handle on the same disk; `handle` undefined: there is none yet. */
  async beside(call: () => unknown, handle: Handle | undefined): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.#expectFault(error);
      // A trap may have hit the handle's kernel, or that of its successor.
      checkError(error, this.#codes, this.traps !== undefined && (error as { handle?: unknown }).handle === "closed" ? ENDED : handle);
    }
  }

  /** Issues a commit and notes what it came to. */
  async commit(commitId: string, issue: () => Promise<unknown>): Promise<boolean> {
    const entry = this.ledger.issue(commitId);
    if (this.#underWay++ > 0) this.#together = true;
    try {
      await issue();
      entry.outcome = "applied";
      return true;
    } catch (error) {
      this.#note(entry, error);
      return false;
    } finally {
      if (--this.#underWay === 0) this.#together = false;
      this.#watch();
    }
  }

  #note(entry: Entry, error: unknown): void {
    const refusal = this.refusalOf(new Set(this.ledger.with("applied")), entry.number);
    if (refusal !== undefined && (error as { code?: unknown }).code === refusal) {
      entry.refusal = refusal;
      entry.outcome = "not_applied";
      return;
    }
    this.#expectFault(error);
    const found = checkError(error, this.#codes, this.ended ? ENDED : this.open, entry.commitId);
    // Another commit of the same turn may have ended writing behind this one's failure.
    if (!this.#together && !this.ended && this.open.readOnly && found.handle !== "read_only") {
      throw new Error(`the handle can no longer be written, and ${found.code} says ${found.handle}`, { cause: error });
    }
    entry.outcome = found.outcome;
  }

  /** Reads everything; twice when the first time fails. */
  async read(): Promise<void> {
    if (await this.attempt(() => this.compareOpen())) return;
    if (!await this.attempt(() => this.compareOpen())) await this.attempt(() => this.compareOpen());
  }

  /** The handle shows exactly what was acknowledged. */
  compareOpen(): void {
    this.compare(this.open, new Set(this.ledger.with("applied")));
  }

  /** Closes the handle in order. */
  async stop(): Promise<void> {
    const { handle } = this;
    if (handle === undefined) return;
    await this.attempt(() => handle.close());
    this.#checkSyncs();
    this.handle = undefined;
  }

  /** The process is gone: the handle is left as it is, the lock with it. */
  lose(): void {
    this.storage?.close();
    this.handle = undefined;
  }

  /** Nothing fails any more: what is there must be what the ledger says, on this handle, behind a crash and behind closing. */
  async finish(seen: Seen): Promise<"ok" | "read_only" | "closed"> {
    this.#finishing = true;
    const short = (this.plan.fault?.part ?? 0) > 0;
    this.plan.fault = undefined;
    if (this.handle === undefined) await this.start(this.options);
    // What is written half and then erased has states in between.
    await this.#verifyImages(seen, short ? 6 : this.plan.counted % 4 === 0 ? 3 : 2, false);
    const handle = this.open;
    if (this.ended) return await this.#checkLost(handle);
    this.compareOpen();
    const ended = handle.readOnly && this.options.readOnly !== true;
    if (ended) await this.#checkEnded(handle);
    else if (this.options.readOnly !== true) {
      if (this.ledger.with("unknown").length > 0) throw new Error("an unknown outcome on a handle that goes on");
      await this.commitOne(handle);
      if (this.ledger.entries.at(-1)!.outcome !== "applied") throw new Error("a commit on a handle that is said to be usable");
      this.compareOpen();
    }
    await handle.close();
    this.#watch();
    this.handle = undefined;
    if (!ended) await this.#verifyImages(seen, 1, true);
    return ended ? "read_only" : "ok";
  }

  /** A handle without a kernel answers nothing, writes nothing, and can be closed. */
  async #checkLost(handle: H): Promise<"closed"> {
    const number = this.ledger.entries.length;
    await this.commitOne(handle);
    if (this.ledger.entries[number]!.outcome !== "not_applied") throw new Error("a commit behind a trap");
    if (await this.attempt(() => this.compareOpen())) throw new Error("an answer behind a trap");
    if (await this.attempt(() => handle.checkpoint())) throw new Error("a checkpoint behind a trap");
    await handle.close();
    this.#watch();
    this.handle = undefined;
    this.ledger.entries.splice(number); // its id is not known to the file
    await this.start(this.options);
    this.compareOpen();
    await this.open.close();
    return "closed";
  }

  async #checkEnded(handle: H): Promise<void> {
    const number = this.ledger.entries.length;
    await this.commitOne(handle);
    const { outcome } = this.ledger.entries[number]!;
    if (outcome !== "not_applied") throw new Error(`a commit on a handle for reading only is ${outcome}`);
    if (await this.attempt(() => handle.checkpoint())) throw new Error("a checkpoint on a handle for reading only");
    this.compareOpen();
  }

  /** Looks at images of a crash at this moment: what is certainly there, what reads show, then others. */
  async #verifyImages(seen: Seen, limit: number, exact: boolean): Promise<void> {
    const signature = `${this.ledger.signature()} ${exact}`;
    const known = seen.images.get(signature) ?? seen.images.set(signature, new Set()).get(signature)!;
    const history = `${signature} ${limit} ${historyName(this.disk.log, seen.usual)}`;
    if (seen.histories.has(history)) return;
    seen.histories.add(history);
    for (const image of this.disk.distinct(this.disk.calls, this.random.fork(1), limit)) {
      if (known.has(image.hash)) continue;
      known.add(image.hash);
      await this.#verify(image.bytes(), exact);
    }
  }

  async #verify(image: Uint8Array, exact: boolean): Promise<void> {
    const { durability, cacheBytes } = this.options;
    const handle = await this.openHandle(this.wrap(new MemoryStorage(image)), { durability, cacheBytes }, testEnvironment(77));
    const kept = await this.#keptBy(handle);
    this.ledger.checkKept(kept, exact || this.#sync);
    this.compare(handle, kept);
    const problems = await this.problems(handle);
    if (problems.length > 0) throw new Error(`the check of an image finds ${JSON.stringify(problems.slice(0, 3))}`);
    await handle.close();
  }
}
