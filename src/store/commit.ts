// Commits: from a staged transaction to its receipt, group by group.
//
//   take      stage → encode → apply to the private version → the body joins the gathered group
//   close     at the end of the turn: write the group, seal the version, sync, publish, deliver receipts
//   boundary  between groups, when nothing is unsealed or unsynced: checkpoints begin here, a batch beyond the journal commits here, waiting commits go on
//
// Invariants: a receipt is delivered behind what its durability mode promises; a transaction that fails leaves the others of its group applied, in order;
// what is reported as not applied is in no journal block; behind a failed sync nothing is written any more. Where a group is cut and when a checkpoint begins
// follow from the commits alone, never from time, as long as syncs are made inside the turn.
import { CTRL_TREE, OK } from "../../assembly/format.ts";
import { type ErrorCode, invariant, isManifestError, ManifestError, type ManifestErrorFields } from "../errors.ts";
import type { Checkpointer, CheckpointOptions } from "./checkpoint.ts";
import { CommitIds, parseCommitId } from "./commit_ids.ts";
import type { Core } from "./core.ts";
import type { Timer } from "./environment.ts";
import { Gatherer } from "./gatherer.ts";
import { IdleCheckpoint } from "./idle_checkpoint.ts";
import type { Position } from "./journal.ts";
import { eraseGroup, fence, holdsGroup, isLost, reserveSpace, writeGroup } from "./order.ts";
import { Progress } from "./progress.ts";
import type { Registry } from "./registry.ts";
import { RelaxedSync } from "./relaxed.ts";
import type { CommitRequest, Receipt } from "./types.ts";
import { WriteLog, type WriteWatch } from "./write_log.ts";
import { type Pending, WriteQueue } from "./write_queue.ts";

/** Syncs expected to take longer than this, in milliseconds, run off the event loop. */
const QUICK_SYNC = 1;
/** Overflow values written since the last freeze ask for a checkpoint beyond this, or a quarter of the journal if that is more. */
const RUN_BYTES = 1 << 20;
/** Pages of dropped tables that a checkpoint frees. Not a share of the cache: its size never decides where pages go. */
const DROP_PAGES = 512;

/** What a medium answers that may not be written any more. */
const FORBIDDEN: readonly ErrorCode[] = ["PERMISSION", "READ_ONLY_MEDIUM"];
/** What a medium answers that has not taken anything. */
const REFUSALS: readonly ErrorCode[] = ["NO_SPACE", "QUOTA", ...FORBIDDEN];

function isForbidden(error: unknown): error is ManifestErrorFields {
  return isManifestError(error) && FORBIDDEN.includes(error.code);
}

/** A group that is written but not durable yet. */
interface Flying {
  readonly items: readonly (Pending | undefined)[];
  readonly version: number;
  readonly group: number;
}

/** The error of a commit that is certainly not applied, and with which writing ends. */
function ending(cause: ManifestErrorFields): ManifestError {
  const { code, message, detail } = cause;
  return new ManifestError(code, message, { cause, detail, handle: "read_only", retryable: false });
}

interface Waiter {
  readonly options: CheckpointOptions;
  resolve(): void;
  reject(error: unknown): void;
}

interface Maintenance {
  step(): number;
  resolve(status: number): void;
  reject(error: unknown): void;
}

/** Applies, writes and acknowledges transactions. */
export class Committer {
  /** Receipts delivered and groups written since opening. */
  commits = 0;
  groups = 0;
  /** Whether a checkpoint may lengthen the journal: not while the file is being made smaller. */
  mayGrow = true;
  /** Ids of this store's commits. */
  readonly ids: CommitIds;
  /** What becomes of applied transactions. */
  readonly progress: Progress;
  readonly #core: Core;
  readonly #checkpointer: Checkpointer;
  readonly #queue: WriteQueue;
  readonly #onDurable: () => void;
  readonly #gathered: Gatherer;
  #flying: Flying | undefined;
  /** The last group that was closed: settled, or lost if something breaks now; then its outcome is unknown if anything of it was written. */
  #leaving: readonly (Pending | undefined)[] = [];
  #leavingWritten = false;
  /** Encoded in the kernel, too large for the journal. */
  #exclusive: Pending | undefined;
  #exclusiveRunning = false;
  #exclusiveDurable = false;
  /** A failed group is being erased. */
  #undoing = false;
  #scheduled = false;
  #window: Timer | undefined;
  #checkpointWanted: Waiter[] = [];
  #maintenance: Maintenance[] = [];
  /** A trigger came while a checkpoint ran: commits wait for its end. */
  #held = false;
  readonly #relaxed: RelaxedSync;
  readonly #idle: IdleCheckpoint;
  readonly #writes: WriteLog;

  constructor(core: Core, checkpointer: Checkpointer, registry: Registry, onDurable: () => void) {
    this.#core = core;
    this.ids = new CommitIds(core);
    this.#checkpointer = checkpointer;
    this.#writes = new WriteLog(core.kernel);
    this.#gathered = new Gatherer(core, registry, this.#writes);
    this.progress = new Progress(core);
    this.#idle = new IdleCheckpoint(core, () => this.#guarded(() => this.#checkpointIdle()));
    this.#relaxed = new RelaxedSync(core, (error) => this.failAll(error), onDurable);
    this.#queue = new WriteQueue(core.options.queueCapacity);
    this.#onDurable = onDurable;
  }

  /** The line of commits that have no receipt yet. */
  get queue(): WriteQueue {
    return this.#queue;
  }

  /** Commits that have no receipt yet. */
  get waiting(): number {
    return this.#queue.length + this.#gathered.length + (this.#flying?.items.length ?? 0) + (this.#exclusive ? 1 : 0);
  }

  // ---- taking ---------------------------------------------------------------------------------------------

  /** Commits a transaction; `registry` when it changes the tables. */
  commit(request: CommitRequest, registry = false): Promise<Receipt> {
    try {
      this.#core.checkWritable("commit");
      const id = request.commitId === undefined ? this.ids.next() : parseCommitId(request.commitId);
      request.id = id;
      const item = this.#queue.accept(request, id, registry);
      if (this.#queue.length === 0 && this.#admits()) this.#take(item);
      else {
        this.#queue.push(item);
        this.#schedule();
      }
      return item.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Runs what no caller waits for: a trap, or an error that nobody expected, ends writing and settles every commit. */
  #guarded(body: () => void): void {
    try {
      body();
    } catch (error) {
      this.failAll(error);
    }
  }

  /** Whether the next transaction may be applied now. */
  #admits(): boolean {
    if (
      this.#gathered.staging || this.#exclusive || this.#held || this.#checkpointWanted.length > 0 || this.#maintenance.length > 0 ||
      this.#core.failure ||
      this.#core.ended || this.#undoing || this.#checkpointer.halfFrozen || this.#checkpointer.restarts
    ) return false;
    const blocks = this.#core.kernel.exports.groupBlocks();
    const { journal } = this.#core;
    if (blocks >= journal.groupLimit) return false;
    return this.#core.options.durability === "none" || Math.max(blocks, 2) + journal.transactionBlocks <= journal.room;
  }

  #admitWaiting(): void {
    while (this.#queue.length > 0 && this.#admits()) {
      const item = this.#queue.shift()!;
      if (!item.settled) this.#take(item);
    }
    if (this.#gathered.length > 0 || this.#exclusive) this.#schedule();
  }

  #take(item: Pending): void {
    item.taken();
    if (!this.#gathered.encode(item)) return;
    if (this.#gathered.encodedBlocks > this.#core.journal.transactionBlocks) {
      this.#exclusive = item;
      return this.#schedule();
    }
    try {
      this.#gathered.apply(item);
    } catch (error) {
      const items = [...this.#gathered.items, item];
      try {
        if (!this.#core.ended) this.#gathered.applyWithout(item, error);
      } catch (again) {
        if (!this.#core.ended) throw again;
      }
      if (this.#core.ended) return this.failAll(this.#core.ended, [], items);
    }
    this.#schedule();
  }

  // ---- closing --------------------------------------------------------------------------------------------

  #schedule(): void {
    if (this.#scheduled || this.#flying) return;
    this.#scheduled = true;
    const { groupWindow } = this.#core.options;
    if (groupWindow > 0 && this.#checkpointWanted.length === 0) {
      this.#window = this.#core.environment.timer(groupWindow, () => this.#guarded(() => this.#close()));
    } else queueMicrotask(() => this.#guarded(() => this.#close()));
  }

  #close(): void {
    this.#scheduled = false;
    this.#window = undefined;
    if (this.#flying || this.#undoing || this.#core.failure || this.#core.ended) return;
    if (this.#gathered.length === 0) return this.#boundary();
    const items = this.#gathered.leave();
    this.#leaving = items;
    this.#leavingWritten = false;
    if (this.#core.options.durability === "none") this.#closeUnwritten(items);
    else this.#closeWritten(items);
  }

  #closeUnwritten(items: (Pending | undefined)[]): void {
    const x = this.#core.kernel.exports;
    x.groupClear();
    let version: number;
    try {
      version = this.#seal();
    } catch (error) {
      return this.#groupFailed(items, error, undefined, 0);
    }
    this.#core.publish(version);
    this.#deliver(items);
    this.#boundary();
  }

  #seal(): number {
    const { kernel, io } = this.#core;
    const status = io.run(() => kernel.exports.groupSeal(), "commit");
    invariant(status === OK, "a group without a change");
    const version = kernel.word(CTRL_TREE);
    this.#core.onProgress();
    return version;
  }

  #closeWritten(items: (Pending | undefined)[]): void {
    const core = this.#core;
    const { journal, options } = core;
    const blocks = core.kernel.exports.groupBlocks();
    const position = journal.find(blocks);
    invariant(position, "a group was gathered that the journal has no room for");
    let version: number;
    try {
      writeGroup(core, position, items[0]!.frame, () => this.#leavingWritten = true);
      version = this.#seal();
    } catch (error) {
      return this.#groupFailed(items, error, position, blocks);
    }
    const group = journal.nextGroup;
    journal.add(position, blocks);
    this.groups++;
    const flying: Flying = { items, version, group };
    if (options.durability === "relaxed") {
      const x = core.kernel.exports;
      this.#relaxed.written({ sequence: x.versionSequence(version), frame: x.versionFrame(version), group });
      this.#core.publish(version);
      this.#deliver(items);
      return this.#boundary();
    }
    // Beside a checkpoint "auto" leaves the turn: a loop of awaited commits that sync inline lives in microtasks alone, and the checkpoint would never get on.
    const quick = options.syncMode === "auto" && !this.#checkpointer.running && core.file.quick(QUICK_SYNC);
    const inline = !core.file.syncing && (options.syncMode === "inline" || quick);
    if (inline) {
      try {
        core.file.sync();
        fence(core);
      } catch (error) {
        return this.failAll(error, items);
      }
      return this.#landed(flying);
    }
    this.#flying = flying;
    core.file.syncLater().then(() => {
      if (core.ended || core.failure) return;
      fence(core);
      this.#flying = undefined;
      this.#landed(flying);
    }).catch((error) => {
      this.#flying = undefined;
      this.failAll(error, items);
    });
  }

  /** The group is durable: readers see it, receipts go out. */
  #landed(flying: Flying): void {
    const x = this.#core.kernel.exports;
    const before = this.#core.durableSequence;
    this.#core.publish(flying.version);
    this.#core.durable(x.versionSequence(flying.version), x.versionFrame(flying.version), flying.group);
    this.#deliver(flying.items);
    if (this.#core.durableSequence !== before) this.#onDurable();
    if (this.#gathered.length > 0) this.#schedule();
    else this.#boundary();
  }

  #deliver(items: readonly (Pending | undefined)[]): void {
    for (const item of items) {
      if (!item) continue;
      this.commits++;
      item.succeed();
    }
    this.#idle.committed();
  }

  /** Writing or sealing a group failed. Unless its blocks can be erased, or none of them was written, its outcome is unknown. */
  #groupFailed(items: (Pending | undefined)[], error: unknown, position: Position | undefined, blocks: number): void {
    const core = this.#core;
    if (core.ended) return this.failAll(error);
    if (isLost(error)) {
      // Found out before anything was written.
      for (const item of items) item?.fail(error);
      return this.failAll(error);
    }
    try {
      const erased = position && eraseGroup(core, position, blocks);
      if (!erased) return this.#dropGroup(items, error);
      // A checkpoint's sync is running; until the zeros are durable too, nothing may be applied on top of the group.
      this.#undoing = true;
      erased.then(() => {
        this.#undoing = false;
        this.#dropGroup(items, error);
      }).catch((failure) => {
        this.#undoing = false;
        this.#notErased(items, error, failure, position!, blocks);
      });
    } catch (failure) {
      this.#notErased(items, error, failure, position!, blocks);
    }
  }

  /** The blocks of a failed group could not be erased. A medium that has refused them whole holds none of them, and there is nothing to erase. */
  #notErased(items: (Pending | undefined)[], error: unknown, failure: unknown, position: Position, blocks: number): void {
    const core = this.#core;
    const refused = isManifestError(error) && isManifestError(failure) && REFUSALS.includes(error.code) && REFUSALS.includes(failure.code);
    try {
      if (!refused || holdsGroup(core, position, blocks)) return this.failAll(failure, items);
    } catch (unreadable) {
      return this.failAll(core.ended ?? unreadable, items);
    }
    this.#dropGroup(items, error);
  }

  /** Nothing of the group is in the file. There may be room again; what is forbidden stays so. */
  #dropGroup(items: (Pending | undefined)[], error: unknown): void {
    if (isForbidden(error)) {
      this.#leaving = [];
      for (const item of items) item?.fail(ending(error));
      return this.failAll(error);
    }
    this.#gathered.discard();
    for (const item of items) item?.fail(error);
    this.#core.onProgress();
    this.#boundary();
  }

  // ---- between groups -------------------------------------------------------------------------------------

  /** Whether the journal or the cache asks for a checkpoint. It follows from the commits alone: neither time nor a running checkpoint changes the answer. */
  #pressed(): boolean {
    const { journal, kernel, frames } = this.#core;
    const x = kernel.exports;
    // Runs put between two freezes stay busy until the next generation, whatever becomes of them.
    const runs = x.dirtyRunPages() * this.#core.pageSize > Math.max(RUN_BYTES, journal.capacity * 1024);
    return journal.due || runs || x.unplacedPages() * 2 > frames;
  }

  #boundary(): void {
    if (this.#core.failure || this.#core.ended || this.#flying || this.#undoing || this.#gathered.length > 0 || this.#exclusiveRunning) {
      return;
    }
    if (!this.#checkpointer.halfFrozen) this.#maintain();
    const asked = this.#checkpointWanted.length > 0;
    const stuck = !this.#exclusive && this.#queue.length > 0 && !this.#held && !asked && !this.#admits();
    if (this.#checkpointer.running) {
      this.#held ||= asked || stuck || this.#exclusive !== undefined || this.#pressed();
      if (!this.#held) this.#admitWaiting();
      return;
    }
    this.#held = false;
    invariant(!stuck || !this.#core.journal.empty || this.#checkpointer.stalled, "an empty journal has no room for a commit");
    if (asked || stuck || this.#pressed() || (this.#exclusive && this.#checkpointer.stalled)) this.#startCheckpoint();
    else if (this.#exclusive) {
      this.#commitExclusive(this.#exclusive).catch((error) => this.failAll(error));
    }
    this.#admitWaiting();
  }

  /** Steps that change pages but nothing that a reader sees: sealed and published by themselves, in no journal group. */
  #maintain(): void {
    const { kernel, io } = this.#core;
    for (const { step, resolve, reject } of this.#maintenance.splice(0)) {
      try {
        const status = step();
        if (io.run(() => kernel.exports.groupSeal(), "tidy up") === OK) this.#core.publish(kernel.word(CTRL_TREE));
        resolve(status);
      } catch (error) {
        if (!this.#core.ended) kernel.exports.groupDiscard();
        reject(error);
      }
    }
  }

  /** Runs a step between groups; resolves with its status. */
  maintain(step: () => number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#core.checkWritable("tidy up");
      this.#maintenance.push({ step, resolve, reject });
      this.#schedule();
    });
  }

  #startCheckpoint(): void {
    // One that had stopped half way is finished first: it does not hold what came after its freeze, so those who ask wait for the next.
    const waiters = this.#checkpointer.stalled ? [] : this.#checkpointWanted.splice(0);
    const options: CheckpointOptions = {
      grow: this.mayGrow && this.#journalPressed(),
      ...Object.assign({}, ...waiters.map((waiter) => waiter.options)),
    };
    const before = this.#core.durableSequence;
    // The journal can only lose extents while no group is written.
    this.#held = options.shrink === true || this.#checkpointer.restarts;
    this.#prepare(options).then(() => {
      for (const waiter of waiters) waiter.resolve();
      this.#guarded(() => {
        if (this.#core.durableSequence !== before) this.#onDurable();
        this.#held = false;
        this.#boundary();
      });
    }, (error) => {
      this.#guarded(() => this.#checkpointFailed(error, waiters));
    });
  }

  #journalPressed(): boolean {
    const { journal } = this.#core;
    return this.#core.options.durability !== "none" && (journal.due || !this.#roomForOne());
  }

  #roomForOne(): boolean {
    const { journal } = this.#core;
    return 2 + journal.transactionBlocks <= journal.room;
  }

  /** Frees some pages of dropped tables, then freezes, all in this turn; the rest of the checkpoint follows. */
  #prepare(options: CheckpointOptions): Promise<void> {
    const { kernel, io } = this.#core;
    try {
      if (!this.#checkpointer.stalled) {
        io.run(() => kernel.exports.dropStep(DROP_PAGES), "checkpoint");
        if (io.run(() => kernel.exports.groupSeal(), "checkpoint") === OK) {
          this.#core.publish(kernel.word(CTRL_TREE));
          options = { ...options, force: true };
        }
      }
    } catch (error) {
      if (!this.#core.ended) kernel.exports.groupDiscard();
      return Promise.reject(error);
    }
    return this.#checkpointer.start(options);
  }

  #checkpointFailed(error: unknown, waiters: readonly Waiter[]): void {
    for (const waiter of waiters) waiter.reject(error);
    this.#held = false;
    if (this.#core.ended || this.#core.file.failure || isLost(error) || isForbidden(error)) return this.failAll(error);
    // Stalled: acknowledged commits are safe in the journal. Those that need the room it would make are refused; the next one tries again.
    const blocked = this.#checkpointer.halfFrozen || this.#checkpointer.restarts;
    if (blocked || (this.#core.options.durability !== "none" && !this.#roomForOne())) {
      for (const item of this.#queue.drain()) item.fail(error);
    }
    for (const waiter of [...this.#checkpointWanted.splice(0), ...this.#maintenance.splice(0)]) waiter.reject(error);
    if (this.#exclusive) {
      this.#exclusive.fail(error);
      this.#exclusive = undefined;
    }
    this.#admitWaiting();
  }

  /** A batch beyond the journal: applied alone, sealed, and durable with the generation that holds it. */
  async #commitExclusive(item: Pending): Promise<void> {
    const x = this.#core.kernel.exports;
    this.#exclusiveRunning = true;
    let version: number;
    let grow: boolean;
    try {
      x.groupRecord(0);
      this.#gathered.apply(item);
      this.#checkpointer.adoptExtent();
      grow = this.#reserve();
      version = this.#seal();
    } catch (error) {
      if (!this.#core.ended) this.#gathered.discard();
      item.fail(error);
      this.#core.onProgress();
      this.#exclusiveEnded();
      return;
    }
    x.groupClear();
    this.#gathered.leave();
    const before = this.#core.durableSequence;
    try {
      await this.#checkpointer.start({ grow, force: true });
    } catch (error) {
      // The version is sealed, so this handle cannot go on without it. Whether it is in the file only opening again tells, unless no meta slot can name it.
      const core = this.#core;
      if (!core.ended && !this.#checkpointer.named && isManifestError(error) && error.outcome === "not_applied") item.fail(ending(error));
      this.failAll(error);
      return;
    }
    this.#exclusiveDurable = true;
    this.#core.publish(version);
    this.#deliver([item]);
    if (this.#core.durableSequence !== before) this.#onDurable();
    this.#exclusiveEnded();
  }

  /** Makes sure of space for a batch beyond the journal, if need be without a longer journal; whether the journal may grow. */
  #reserve(): boolean {
    try {
      reserveSpace(this.#core, this.mayGrow);
      return this.mayGrow;
    } catch (error) {
      if (!this.mayGrow || !isManifestError(error) || error.code !== "NO_SPACE") throw error;
      reserveSpace(this.#core, false);
      return false;
    }
  }

  #exclusiveEnded(): void {
    this.#exclusive = undefined;
    this.#exclusiveRunning = this.#exclusiveDurable = false;
    this.#boundary();
  }

  // ---- asking and waiting ---------------------------------------------------------------------------------

  /** Moves everything applied before the call into the tree. */
  checkpoint(options: CheckpointOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      // Behind a failed write nobody would come for it.
      this.#core.checkWritable("checkpoint");
      this.#checkpointWanted.push({ options, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when every commit issued before the call is settled. */
  async settled(): Promise<void> {
    const items = [...this.#queue.items(), ...this.#gathered.items, ...(this.#flying?.items ?? []), this.#exclusive];
    await Promise.allSettled(items.map((item) => item?.promise));
  }

  // ---- states that are not published yet --------------------------------------------------------------------

  /** Whether applied transactions wait to be sealed and nothing is in the way: they will be at the end of the turn, or of the group's window. */
  get sealing(): boolean {
    return this.gathering && !this.#flying && !this.#undoing;
  }

  /** Whether applied transactions wait to be sealed, be it behind a group that is on its way. */
  get gathering(): boolean {
    return this.#gathered.length > 0 && !this.#core.failure && !this.#core.ended;
  }

  /** Keeps what is written behind the newest sealed state. */
  watchWrites(frame: number): WriteWatch {
    const started = !this.#writes.active;
    const watch = this.#writes.watch(frame);
    if (started && !this.#core.ended) this.#gathered.recordWrites();
    return watch;
  }

  /** Resolves when no checkpoint runs. */
  async idle(): Promise<void> {
    while (this.#checkpointer.running) await this.#checkpointer.over();
  }

  /** Syncs what relaxed commits have written. */
  flush(): Promise<void> {
    return this.#relaxed.flush();
  }

  #checkpointIdle(): void {
    if (this.#core.kernel.exports.versionFrame(-1) !== this.#core.meta.frame) void this.checkpoint().catch(() => {});
  }

  /** The store is closed: whoever still waits for something is told. */
  end(error: ManifestErrorFields): void {
    for (const waiter of this.#checkpointWanted.splice(0)) waiter.reject(error);
    for (const waiter of this.#maintenance.splice(0)) waiter.reject(error);
    this.#core.onProgress();
  }

  /** Calls off every timer. */
  stopTimers(): void {
    this.#relaxed.cancel();
    this.#idle.cancel();
    this.#window?.cancel();
    if (this.#window) {
      this.#window = undefined;
      queueMicrotask(() => this.#guarded(() => this.#close()));
    }
  }

  /** Ends writing: what may be in the file (`written` among it) has an unknown outcome, everything else (`unwritten` among it) is not applied. */
  failAll(cause: unknown, written: readonly (Pending | undefined)[] = [], unwritten: readonly (Pending | undefined)[] = []): void {
    const core = this.#core;
    const error: ManifestErrorFields = isManifestError(cause)
      ? cause
      : new ManifestError("IO_WRITE", "Cannot write: the storage failed", { cause });
    const first = core.failure === undefined;
    core.failure ??= error;
    this.stopTimers();
    // A batch beyond the journal is in no file before a meta slot names it.
    const named = this.#exclusiveRunning && (this.#exclusiveDurable || this.#checkpointer.named || error.code === "SYNC_FAILED");
    const unknown = [
      ...written,
      ...(this.#flying?.items ?? []),
      ...(this.#leavingWritten ? this.#leaving : []),
      named ? this.#exclusive : undefined,
    ];
    const unwrittenGroup = this.#leaving;
    this.#leaving = [];
    this.#flying = undefined;
    for (const item of unknown) item?.fail(this.#unknown(error, item));
    const refused = [...unwritten, ...unwrittenGroup, ...this.#gathered.items, this.#exclusive, ...this.#queue.drain()];
    this.#gathered.leave();
    this.#exclusive = undefined;
    for (const item of refused) {
      item?.fail(
        core.ended ?? new ManifestError("READ_ONLY", "Cannot commit: an earlier write failed; close and open again", {
          cause: error,
          handle: "read_only",
        }),
      );
    }
    for (const waiter of this.#checkpointWanted.splice(0)) waiter.reject(error);
    for (const waiter of this.#maintenance.splice(0)) waiter.reject(error);
    if (!core.ended) {
      core.kernel.exports.groupDiscard();
      core.kernel.exports.groupClear();
    }
    core.onProgress();
    core.discards++;
    if (first) core.onEvent({ type: "write-failed", error });
  }

  #unknown(cause: ManifestErrorFields, { id }: Pending): ManifestError {
    const detail = { ...cause.detail, commitId: id.toString() };
    if (cause.code === "SYNC_FAILED" || cause.code === "CORE_TRAP") {
      return new ManifestError(cause.code, cause.message, { cause, detail, outcome: "unknown" });
    }
    return new ManifestError(
      "COMMIT_UNKNOWN",
      "Cannot commit: a write failed, and whether the commit is durable is not known; open again and resolve its id",
      {
        cause,
        detail,
      },
    );
  }
}
