// Replaying the journal: the groups behind the newest meta generation, in order, up to the end or a torn group.
//
// The next group lies behind the one before, or, where it did not fit, at the start of a following extent; its number and epoch tell it apart from everything older.
// In the last group, damage beyond parity is a torn tail: the frames in front of it count, the rest is cut and reported. It is corruption when a valid later group
// says that this one had been durable. Invariant: frames are applied in order without a gap, or opening fails.
import {
  BLOCK_SIZE,
  BODY_COMMITTED_AT,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  CTRL_TREE,
  MORE,
  NOT_FOUND,
  OK,
} from "../../assembly/format.ts";
import { fail, invariant, isManifestError } from "../errors.ts";
import type { Core } from "./core.ts";
import type { Position } from "./journal.ts";
import type { RecoveryReport } from "./types.ts";

/** A reader beside a writer looks this often for a group before it calls it damaged. */
const REREADS = 32;
/** Journal bytes read at a time. */
const CHUNK_BLOCKS = 64;

interface Found extends Position {
  readonly blocks: number;
  readonly frames: number;
  readonly torn: boolean;
}

/** Reads the journal of a store that was not closed. */
export class Replay {
  readonly #core: Core;
  readonly #report: RecoveryReport;
  // What the kernel's buffer holds.
  #extent = -1;
  #block = 0;
  #count = 0;
  #at = 0;

  constructor(core: Core, report: RecoveryReport) {
    this.#core = core;
    this.#report = report;
  }

  /** Applies every group that is there. Leaves the result as the published version. */
  run(): void {
    const { kernel, io, journal } = this.#core;
    for (;;) {
      let found = this.#find();
      if (!found || found.torn) found = this.#findAgain(found !== undefined);
      if (!found) break;
      this.#apply(found.frames);
      if (found.torn) this.#report.cut = { group: journal.nextGroup, frames: found.frames };
      // A torn group is never counted as journal: the checkpoint behind recovery adopts its frames.
      journal.add(found, found.blocks);
      this.#report.groups++;
      if (found.torn) break;
    }
    kernel.exports.journalBuffer(0);
    if (io.run(() => kernel.exports.groupSeal(), "recover") === OK) kernel.exports.versionPublish(kernel.word(CTRL_TREE));
  }

  /**
   * Applies the whole groups that a writer has added since, and publishes what they give; for a reader. A group that is not whole may be one that is being written: it is looked at again
   * the next time. Returns whether there was any.
   */
  follow(): boolean {
    const { kernel, io, journal } = this.#core;
    let any = false;
    for (let found = this.#find(); found && !found.torn; found = this.#find()) {
      this.#apply(found.frames);
      journal.add(found, found.blocks);
      this.#report.groups++;
      any = true;
    }
    kernel.exports.journalBuffer(0);
    if (any && io.run(() => kernel.exports.groupSeal(), "refresh") === OK) this.#core.publish(kernel.word(CTRL_TREE));
    return any;
  }

  /**
   * The next group is not whole. What is kept of a torn one is parsed again, because looking around uses the buffer. A reader may have looked while a writer was writing: then the
   * group is whole the next time, and later ones prove nothing.
   */
  #findAgain(torn: boolean): Found | undefined {
    const { journal, file } = this.#core;
    for (let again = 0;; again++) {
      try {
        this.#refuseLaterGroups(journal.nextGroup);
        return torn ? this.#find() : undefined;
      } catch (error) {
        if (!file.readOnly || again === REREADS) throw error;
        this.#extent = -1;
        const found = this.#find();
        if (found && !found.torn) return found;
        torn = found !== undefined;
      }
    }
  }

  /** Parses the next group at each place where it may be. */
  #find(): Found | undefined {
    const { journal } = this.#core;
    const head = journal.mark();
    const count = journal.extents.length;
    for (let i = 0; i <= count; i++) {
      const extent = (head.extent + i) % count;
      const block = i === 0 ? head.block : 0;
      if (i === count && head.block === 0) break;
      const found = this.#parse({ extent, block }, head.group);
      if (found) return found;
    }
    return undefined;
  }

  #parse(position: Position, group: number): Found | undefined {
    const { kernel, journal, meta } = this.#core;
    const x = kernel.exports;
    const rest = journal.blocksOf(position.extent) - position.block;
    if (rest < 2) return undefined;
    let wanted = Math.min(rest, 2);
    for (;;) {
      const at = this.#load(position, wanted);
      const have = this.#block + this.#count - position.block;
      const status = x.groupParse(at, have, meta.epoch, group);
      if (status === MORE) {
        const needed = kernel.word(CTRL_OUT_COUNT);
        // A group never leaves its extent: a block that says so is not one of ours, whatever its checksum.
        if (needed > rest) {
          fail("CORRUPT_JOURNAL", `Cannot recover: journal group ${group} is longer than its extent`, { detail: { group } });
        }
        wanted = needed;
        continue;
      }
      if (status === NOT_FOUND) return undefined;
      // Parsing destroys the bytes of the group.
      this.#extent = -1;
      if (status !== OK) fail("CORRUPT_JOURNAL", `Cannot recover: journal group ${group} does not parse`, { detail: { group } });
      const rebuilt = x.parsedRebuilt();
      if (rebuilt >= 0) this.#report.rebuilt.push({ group, block: rebuilt });
      const frames = x.parsedCount();
      const torn = x.parsedTorn() === 1;
      const first = x.parsedFirstFrame();
      if (frames > 0 && first !== x.versionFrame(-1) + 1) {
        fail("CORRUPT_JOURNAL", `Cannot recover: journal group ${group} starts at frame ${first}, expected ${x.versionFrame(-1) + 1}`, {
          detail: { group },
        });
      }
      return { ...position, blocks: x.parsedSize(), frames, torn };
    }
  }

  /** Makes at least `wanted` blocks from a position on resident; returns the address of the first. */
  #load(position: Position, wanted: number): number {
    const inside = this.#extent === position.extent && position.block >= this.#block &&
      position.block + wanted <= this.#block + this.#count;
    if (!inside) this.#fill(position, Math.max(wanted, CHUNK_BLOCKS));
    return this.#at + (position.block - this.#block) * BLOCK_SIZE;
  }

  #fill(position: Position, blocks: number): void {
    const { kernel, journal, file } = this.#core;
    const count = Math.min(blocks, journal.blocksOf(position.extent) - position.block);
    this.#extent = position.extent;
    this.#block = position.block;
    this.#count = count;
    this.#at = kernel.exports.journalBuffer(count * BLOCK_SIZE) >>> 0;
    if (this.#at === 0) fail("UNAVAILABLE", "Cannot recover: the kernel's memory cannot grow", { detail: { length: count * BLOCK_SIZE } });
    const from = journal.offset(position);
    const into = kernel.u8.subarray(this.#at, this.#at + count * BLOCK_SIZE);
    try {
      file.read(from, into);
    } catch (error) {
      if (!isManifestError(error)) throw error;
      this.#fillByBlock(from, into);
    }
  }

  /** Some block cannot be read: it is damage like any other, the rest is still there. */
  #fillByBlock(from: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; at += BLOCK_SIZE) {
      const block = into.subarray(at, at + BLOCK_SIZE);
      try {
        this.#core.file.read(from + at, block);
      } catch (error) {
        if (!isManifestError(error)) throw error;
        block.fill(0);
      }
    }
  }

  #apply(frames: number): void {
    const { kernel, io } = this.#core;
    const x = kernel.exports;
    x.groupClear();
    x.groupRecord(0);
    for (let i = 0; i < frames; i++) {
      invariant(x.frameAt(i) === OK, "a parsed frame is missing");
      const at = kernel.word(CTRL_OUT_AT);
      const length = kernel.word(CTRL_OUT_COUNT);
      io.run(() => x.txnLoad(at, length), "recover");
      const view = new DataView(kernel.u8.buffer, at + BODY_COMMITTED_AT, 6);
      this.#core.committedAt = Math.max(this.#core.committedAt, view.getUint32(0, true) + view.getUint16(4, true) * 0x1_0000_0000);
      io.run(() => x.txnApply(), "recover");
    }
    x.groupClear();
    this.#report.frames += frames;
  }

  /** Throws CORRUPT_JOURNAL when a later group of this epoch shows that group `missing` had been durable. */
  #refuseLaterGroups(missing: number): void {
    const { kernel, journal, meta } = this.#core;
    const x = kernel.exports;
    let later = false;
    let told = false;
    for (let extent = 0; extent < journal.extents.length; extent++) {
      const blocks = journal.blocksOf(extent);
      for (let block = 0; block < blocks; block += this.#count) {
        this.#fill({ extent, block }, CHUNK_BLOCKS * 4);
        for (let i = 0; i < this.#count; i++) {
          if (x.blockPeek(this.#at + i * BLOCK_SIZE) !== OK) continue;
          if (kernel.word(CTRL_OUT_PAGE) !== meta.epoch || x.peekGroup() <= missing) continue;
          later = true;
          const durable = x.peekDurable();
          if (durable >= 0) told = true;
          if (durable >= missing) this.#corrupt(missing, x.peekGroup());
        }
      }
    }
    this.#extent = -1;
    // No later block says what was durable. In "sync" mode a group is written only behind the sync of the one before.
    if (later && !told && meta.durability === 0) this.#corrupt(missing, missing + 1);
  }

  #corrupt(group: number, later: number): never {
    fail(
      "CORRUPT_JOURNAL",
      `Cannot recover: journal group ${group} is damaged, and group ${later} behind it shows that it was acknowledged`,
      {
        detail: { group, later },
      },
    );
  }
}
