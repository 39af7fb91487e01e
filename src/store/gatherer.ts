// The gathered group: transactions that are encoded and applied to the kernel's private version, and wait for their group to be written.
//
// Invariants: `items` are the bodies in the kernel's group, in order; a transaction that fails half way leaves the others as if it had never come, because everything unsealed
// is dropped and their bodies, which hold resolved effects, are applied again; one of them that fails then takes those behind it along.
import {
  BODY_COMMIT_ID,
  BODY_COMMITTED_AT,
  BODY_EFFECTS,
  BODY_EXTRA,
  BODY_FLAGS,
  BODY_HAS_ID,
  BODY_IS_CHANGE,
  BODY_VERSION,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  OK,
} from "../../assembly/format.ts";
import { invariant, isManifestError, ManifestError } from "../errors.ts";
import { needsPruning, pruneCommits } from "./commit_ids.ts";
import type { Core } from "./core.ts";
import { groupBlocksFor } from "./journal.ts";
import type { Registry } from "./registry.ts";
import { ARENA_START } from "./views.ts";
import type { WriteLog } from "./write_log.ts";
import type { Pending } from "./write_queue.ts";

/** The error of a transaction behind one that could not be applied: it may be tried again, unless what failed has ended writing. */
function behindFailed(cause: unknown): ManifestError {
  if (isManifestError(cause) && cause.handle !== "ok") {
    const { handle } = cause;
    return new ManifestError("READ_ONLY", "Cannot commit: writing has ended with a transaction of the same group before it", {
      cause,
      handle,
    });
  }
  return new ManifestError("UNAVAILABLE", "Cannot commit: a transaction of the same group before it could not be applied", { cause });
}

/** The group that is being gathered. */
export class Gatherer {
  /** Applied transactions, in order; undefined = the store's own maintenance. */
  items: (Pending | undefined)[] = [];
  /** A transaction is laying its operations into the arena: a commit made meanwhile, by its own codecs or getters, waits in line. */
  staging = false;
  readonly #core: Core;
  readonly #registry: Registry;
  readonly #writes: WriteLog;
  /** Where the body encoded last lies. */
  #bodyAt = 0;
  #bodyLength = 0;

  constructor(core: Core, registry: Registry, writes: WriteLog) {
    this.#core = core;
    this.#registry = registry;
    this.#writes = writes;
  }

  /** Transactions gathered. */
  get length(): number {
    return this.items.length;
  }

  /** Empties the list: the group is on its way, or has been dropped. */
  leave(): (Pending | undefined)[] {
    const { items } = this;
    this.items = [];
    return items;
  }

  /** Stages a transaction and encodes its body in the kernel. False: it failed, and has been told. */
  encode(item: Pending): boolean {
    const { kernel, io } = this.#core;
    const x = kernel.exports;
    try {
      this.staging = true;
      const staged = item.request.stage();
      this.staging = false;
      if (item.request.registry) item.registry = true;
      this.#writeHeader(item, staged.extraLength);
      io.run(() => x.txnEncode(staged.at, staged.count, 0, staged.extraAt, staged.extraLength), "commit");
      this.#bodyAt = kernel.word(CTRL_OUT_AT);
      this.#bodyLength = kernel.word(CTRL_OUT_COUNT);
      return true;
    } catch (error) {
      item.fail(error);
      return false;
    } finally {
      this.staging = false;
    }
  }

  /** Blocks that the body encoded last would take as a group of its own. */
  get encodedBlocks(): number {
    return groupBlocksFor(this.#bodyLength + 32);
  }

  /** Applies the encoded body and the maintenance that falls due with it. */
  apply(item: Pending): void {
    const { kernel, io } = this.#core;
    const x = kernel.exports;
    io.run(() => x.txnApply(), "commit");
    item.sequence = x.txnSequence();
    item.frame = x.txnFrame();
    this.#core.committedAt = item.committedAt;
    this.items.push(item);
    if (this.#writes.active) this.#writes.record(item.frame, item.sequence, this.#bodyAt, this.#bodyLength);
    if (item.registry) this.#registry.changed(item.frame);
    if (needsPruning(item.frame)) {
      this.#writeHeader(undefined, 0);
      const staged = pruneCommits(kernel, item.frame);
      io.run(() => x.txnEncode(staged.at, staged.count, 0, staged.extraAt, 0), "commit");
      io.run(() => x.txnApply(), "commit");
      this.items.push(undefined);
    }
  }

  /** Body header in the store's part of the arena. */
  #writeHeader(item: Pending | undefined, extraLength: number): void {
    const { kernel } = this.#core;
    if (item) {
      item.committedAt = Math.max(this.#core.committedAt, item.request.committedAt ?? this.#core.now());
    }
    const committedAt = item?.committedAt ?? this.#core.committedAt;
    const at = kernel.exports.arena(ARENA_START) >>> 0;
    const u8 = kernel.u8;
    const u32 = kernel.u32;
    const word = at >>> 2; // the arena and the header's fields are aligned
    const change = item !== undefined && item.request.change !== false;
    u32[word + (BODY_FLAGS >>> 2)] = (change ? BODY_IS_CHANGE : 0) | (item ? BODY_HAS_ID : 0) | 1 << (8 * BODY_VERSION);
    if (item) item.id.write(u8, at + BODY_COMMIT_ID);
    else u8.fill(0, at + BODY_COMMIT_ID, at + BODY_COMMITTED_AT);
    u32[word + (BODY_COMMITTED_AT >>> 2)] = committedAt;
    u32[word + (BODY_COMMITTED_AT >>> 2) + 1] = Math.floor(committedAt / 0x1_0000_0000);
    u32[word + (BODY_EFFECTS >>> 2)] = 0;
    u32[word + (BODY_EXTRA >>> 2)] = extraLength;
  }

  /** One transaction could not be applied: everything unsealed is dropped, the others of the group are applied again from their bodies. */
  applyWithout(item: Pending, error: unknown): void {
    const { kernel } = this.#core;
    const x = kernel.exports;
    // Maintenance that failed leaves its transaction gathered: that one is at fault then.
    const at = this.items.lastIndexOf(item);
    const kept = at < 0 ? this.items : this.items.slice(0, at);
    const bodies: Uint8Array[] = [];
    for (let i = 0; i < kept.length; i++) {
      invariant(x.groupBody(i) === OK, "a gathered body is missing");
      const from = kernel.word(CTRL_OUT_AT);
      bodies.push(kernel.u8.slice(from, from + kernel.word(CTRL_OUT_COUNT)));
    }
    this.discard();
    item.fail(error);
    for (let i = 0; i < bodies.length; i++) {
      try {
        this.#applyBody(bodies[i]!, kept[i]);
      } catch (again) {
        // The same page fails for others too. What comes behind was staged, and answered, on top of this one: none of it may stay without it.
        this.discard();
        kept[i]?.fail(again);
        for (const behind of kept.slice(i + 1)) behind?.fail(behindFailed(again));
        kept.length = bodies.length = i;
        i = -1;
      }
    }
  }

  #applyBody(body: Uint8Array, item: Pending | undefined): void {
    const { kernel, io } = this.#core;
    const x = kernel.exports;
    const at = (x.arena(ARENA_START + body.length) >>> 0) + ARENA_START;
    kernel.u8.set(body, at);
    io.run(() => x.txnLoad(at, body.length), "commit");
    io.run(() => x.txnApply(), "commit");
    if (item) {
      item.sequence = x.txnSequence();
      item.frame = x.txnFrame();
      if (this.#writes.active) this.#writes.record(item.frame, item.sequence, at, body.length);
    }
    this.items.push(item);
  }

  /** Tells the write log, which has just become active, what is applied and not sealed. */
  recordWrites(): void {
    const { kernel } = this.#core;
    this.items.forEach((item, index) => {
      if (item === undefined) return;
      invariant(kernel.exports.groupBody(index) === OK, "a gathered body is missing");
      this.#writes.record(item.frame, item.sequence, kernel.word(CTRL_OUT_AT), kernel.word(CTRL_OUT_COUNT));
    });
  }

  /** Drops everything unsealed. */
  discard(): void {
    const x = this.#core.kernel.exports;
    x.groupDiscard();
    x.groupClear();
    this.items = [];
    const frame = x.versionFrame(-1);
    this.#registry.changed(frame);
    this.#writes.dropBehind(frame);
    this.#core.discards++;
  }
}
