// Checkpoints: one version becomes the next meta generation, in slices beside commits.
//
// Freezing is one step of a turn; sealing and writing pages, then blanking a new journal extent, go slice by slice; the order behind that is in order.ts.
// A step that fails without a failed sync leaves the checkpoint stalled: starting again makes the same writes. Nothing is lost meanwhile: acknowledged commits are
// in the journal, whose tail moves only when both copies of the new generation are durable.
import { CTRL_OUT_PAGE, META_FILE_ID, OK } from "../../assembly/format.ts";
import { fail } from "../errors.ts";
import type { Core } from "./core.ts";
import type { JournalMark } from "./journal.ts";
import { type Extent, readMeta } from "./meta.ts";
import { cutTail, fence, metaSteps, nextMeta, writeBlank } from "./order.ts";

/** Pages sealed and written before others get a turn. */
const SLICE_PAGES = 64;
const SLICE_BYTES = 1 << 20;

/** How a checkpoint is made. */
export interface CheckpointOptions {
  /** Mark the generation as left by an orderly close. */
  clean?: boolean;
  /** Lengthen the journal if it may grow. */
  grow?: boolean;
  /** Freeze even if no frame was applied since the last one. */
  force?: boolean;
  /** Where the journal continues, when not at the head; for a successor without a kernel lock. */
  far?: boolean;
  /** The second copy of the meta slot need not be durable yet; only where nothing is frozen and no journal is freed. */
  lazy?: boolean;
  /** Give every journal extent but the first back. No group may be written until it is done. */
  shrink?: boolean;
}

interface Work {
  readonly mark: JournalMark;
  /** The journal starts over at the mark when done. */
  readonly restart: boolean;
  readonly sequence: number;
  readonly frame: number;
  /** Whether there is anything to freeze. */
  readonly frozen: boolean;
  /** Extents when done, and the new one among them. */
  readonly extents: readonly Extent[];
  readonly extent: Extent | undefined;
  readonly lazy: boolean;
  clean: boolean;
  /** Whether the freeze itself is over. */
  placed: boolean;
  sealed: boolean;
  blanked: number;
  meta: Uint8Array<ArrayBuffer> | undefined;
  steps: (() => void | Promise<void>)[];
  step: number;
}

/** Makes checkpoints, one at a time. */
export class Checkpointer {
  readonly #core: Core;
  /** A journal extent that the newest generation names. It is used from the next freeze on, so that where groups lie does not depend on how long a checkpoint takes. */
  #grown: Extent | undefined;
  #waiting: (() => void)[] = [];
  #work: Work | undefined;
  #running = false;
  #sealing = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Whether one is running. */
  get running(): boolean {
    return this.#running;
  }

  /** Whether one has stopped half way and waits to be started again. */
  get stalled(): boolean {
    return this.#work !== undefined && !this.#running;
  }

  /** Whether a freeze has failed half way: nothing may be applied before it is taken up again. */
  get halfFrozen(): boolean {
    return this.#work !== undefined && !this.#work.placed;
  }

  /** Whether a meta slot may name the state that is being made durable: its first copy was tried. */
  get named(): boolean {
    return this.#work !== undefined && this.#work.step > 0;
  }

  /** Whether the journal will start over when the one that runs, or is stalled, is done: no group may be written before. */
  get restarts(): boolean {
    return this.#work !== undefined && this.#work.restart;
  }

  /**
   * Freezes the newest sealed version now (no change may be unsealed) and resolves when its generation is durable. A stalled checkpoint is taken up where it stopped
   * instead.
   */
  async start(options: CheckpointOptions = {}): Promise<void> {
    if (this.#running) fail("INVARIANT", "Cannot checkpoint: one is running");
    this.#running = true;
    try {
      this.#work ??= this.#begin(options);
      if (!this.#work.placed) this.#freeze(this.#work);
      if (options.clean && !this.#work.meta) this.#work.clean = true;
      await this.#perform(this.#work);
      this.#work = undefined;
    } finally {
      this.#running = false;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  /** Resolves when the running one ends, either way. */
  over(): Promise<void> {
    return this.#running ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  /** Takes the extent that the newest generation names into use: a freeze is about to begin. */
  adoptExtent(): void {
    if (this.#grown) this.#core.journal.append(this.#grown);
    this.#grown = undefined;
  }

  #begin(options: CheckpointOptions): Work {
    const { kernel, io, journal } = this.#core;
    const x = kernel.exports;
    this.adoptExtent();
    let extent: Extent | undefined;
    const pages = options.grow && !options.shrink ? journal.growth(x.filePages()) : 0;
    if (pages > 0) {
      io.run(() => x.extentAllocate(pages), "lengthen the journal");
      extent = { page: kernel.word(CTRL_OUT_PAGE), pages };
    }
    const given = options.shrink ? journal.extents.slice(1) : [];
    for (const { page, pages } of given) io.run(() => x.extentFree(page, pages), "shorten the journal");
    const frame = x.versionFrame(-1);
    // Compaction and the end of dropped tables leave pages without places though no frame was applied.
    const changed = frame !== this.#core.meta.frame || x.unplacedPages() > 0 || x.dirtyRunPages() > 0;
    const frozen = options.force === true || extent !== undefined || given.length > 0 || changed;
    const head = journal.mark();
    const start = options.shrink ? { extent: 0, block: 0 } : options.far ? journal.farPosition() : head;
    const kept = options.shrink ? journal.extents.slice(0, 1) : journal.extents;
    if (!frozen) journal.freezeBegun();
    return {
      mark: { ...start, group: head.group },
      restart: options.shrink === true || options.far === true,
      sequence: x.versionSequence(-1),
      frame,
      frozen,
      extents: extent ? [...kept, extent] : kept,
      extent,
      lazy: !frozen && options.lazy === true,
      clean: options.clean ?? false,
      placed: !frozen,
      sealed: !frozen,
      blanked: 0,
      meta: undefined,
      steps: [],
      step: 0,
    };
  }

  /** Gives the newest sealed version its places; after a failure it goes on where it stopped. */
  #freeze(work: Work): void {
    const { kernel, io, journal } = this.#core;
    io.run(() => kernel.exports.freezeBegin(), "checkpoint");
    work.placed = true;
    journal.freezeBegun();
  }

  async #perform(work: Work): Promise<void> {
    const core = this.#core;
    const { environment, io } = core;
    while (!work.sealed) {
      this.#alive();
      this.#sealSlice(work);
      await environment.yield();
    }
    if (work.extent) {
      const start = work.extent.page * core.pageSize;
      const bytes = work.extent.pages * core.pageSize;
      while (work.blanked < bytes) {
        this.#alive();
        const end = Math.min(bytes, work.blanked + SLICE_BYTES);
        io.clearSpills(work.extent.page, work.extent.pages);
        fence(core);
        writeBlank(core.file, core.kernel, core.meta.bytes.subarray(META_FILE_ID), start + work.blanked, start + end);
        work.blanked = end;
        await environment.yield();
      }
    }
    if (!work.meta) {
      work.meta = nextMeta(core, work.frozen ? this.#savedState() : core.meta.bytes, {
        clean: work.clean,
        group: work.mark.group,
        extent: work.mark.extent,
        block: work.mark.block,
        extents: work.extents,
      });
      work.steps = metaSteps(core, work.meta, work.lazy);
    }
    while (work.step < work.steps.length) {
      this.#alive();
      await work.steps[work.step]!();
      work.step++;
    }
    this.#done(work);
  }

  /** Seals and writes some pages. The kernel names the same ones again until it hears that they are written. */
  #sealSlice(work: Work): void {
    const { kernel, io } = this.#core;
    this.#sealing = true;
    try {
      if (io.run(() => kernel.exports.sealNext(SLICE_PAGES), "checkpoint") !== OK) {
        work.sealed = true;
        return;
      }
      fence(this.#core);
      io.writeSealed(io.sealedRun());
      kernel.exports.sealWritten();
    } finally {
      this.#sealing = false;
    }
  }

  /** For a call that finds no room in the cache: frozen pages leave it by being sealed. Whether that was possible. */
  assist(): boolean {
    const work = this.#work;
    if (!work || !work.placed || work.sealed || this.#sealing) return false;
    this.#sealSlice(work);
    return true;
  }

  #alive(): void {
    if (this.#core.ended) throw this.#core.ended;
    if (this.#core.failure) throw this.#core.failure;
  }

  /** The newest slot with the kernel's part of the frozen state over it. */
  #savedState(): Uint8Array {
    const { kernel, meta } = this.#core;
    const at = kernel.exports.arena(meta.bytes.length) >>> 0;
    kernel.u8.set(meta.bytes, at);
    kernel.exports.stateSave(at);
    return kernel.u8.slice(at, at + meta.bytes.length);
  }

  #done(work: Work): void {
    const core = this.#core;
    core.meta = readMeta(work.meta!);
    core.kernel.exports.freezeDone();
    core.journal.release(work.mark.group);
    if (work.restart) core.journal.restart(work.extents, work.mark);
    else this.#grown = work.extent;
    core.durable(work.sequence, work.frame, work.mark.group - 1);
    core.checkpoints++;
    cutTail(core);
    core.io.moveSpills();
    core.onEvent({ type: "checkpoint", generation: core.meta.generation, sequence: work.sequence, frame: work.frame });
  }
}
