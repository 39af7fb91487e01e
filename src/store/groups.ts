// Journal groups read back: the one that follows, at each place where it may lie, and whether a missing one had been acknowledged.
//
// The next group lies behind the one before, or, where it did not fit, at the start of a following extent; its number and epoch tell it apart from everything older. Nothing is applied here.
import {
  BLOCK_SIZE,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  JOURNAL_EPOCH,
  JOURNAL_GROUP,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  MORE,
  NOT_FOUND,
  OK,
} from "../../assembly/format.ts";
import { fail, isManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Journal, Position } from "./journal.ts";

/** Journal blocks read at a time: 64 KiB, so that the buffer of a small journal is small. */
const CHUNK_BLOCKS = 16;

/** What groups are read from. */
export interface JournalSource {
  readonly kernel: Kernel;
  /** Reads all of `into`, zeros behind the end; throws what storage throws. */
  readonly file: { read(at: number, into: Uint8Array): unknown };
  /** Where they lie. */
  readonly journal: Journal;
  /** Of the meta generation that they are behind. */
  readonly meta: { readonly epoch: number; readonly durability: number };
}

/** A group that was found; its frames are in the kernel until the next call. */
export interface FoundGroup extends Position {
  /** Its number. */
  readonly group: number;
  /** Blocks, parity included. */
  readonly blocks: number;
  /** Frames that are whole. */
  readonly frames: number;
  /** Number of the first. */
  readonly firstFrame: number;
  /** The block that parity has made good; −1: none was damaged. */
  readonly rebuilt: number;
  /** Damaged beyond parity: only the frames in front of the damage are there. */
  readonly torn: boolean;
  /** The newest group that this one says was durable when it was written; −1: nobody asked, or the block that says so is damaged. */
  readonly durable: number;
}

/** Reads the groups of one journal. */
export class GroupReader {
  readonly #source: JournalSource;
  // What the kernel's buffer holds.
  #extent = -1;
  #block = 0;
  #count = 0;
  #at = 0;
  /** Blocks that the storage did not give, by their offset. */
  readonly #unreadable = new Map<number, Error>();

  constructor(source: JournalSource) {
    this.#source = source;
  }

  /** Gives the kernel's buffer back. */
  end(): void {
    this.forget();
    this.#source.kernel.exports.journalBuffer(0);
  }

  /** What was read may have changed. */
  forget(): void {
    this.#extent = -1;
  }

  /** Parses the group that follows, at each place where it may be. `nextFrame` is the number that its first frame must have. */
  find(nextFrame: number, asksDurable = false): FoundGroup | undefined {
    const { group } = this.#source.journal.mark();
    for (const place of this.#places()) {
      const found = this.#parse(place, group, nextFrame, asksDurable);
      if (found) return found;
    }
    return undefined;
  }

  /** Where the next group may begin: at the head, and at the start of each extent. */
  #places(): Position[] {
    const { journal } = this.#source;
    const { extent: first, block } = journal.mark();
    const count = journal.extents.length;
    const places: Position[] = [{ extent: first, block }];
    for (let i = 1; i < count || (i === count && block > 0); i++) places.push({ extent: (first + i) % count, block: 0 });
    return places;
  }

  #parse(position: Position, group: number, nextFrame: number, asksDurable: boolean): FoundGroup | undefined {
    const { kernel, journal, meta } = this.#source;
    const x = kernel.exports;
    const rest = journal.blocksOf(position.extent) - position.block;
    if (rest < 2) return undefined;
    let wanted = Math.min(rest, 2);
    for (;;) {
      const at = this.#load(position, wanted);
      const have = this.#block + this.#count - position.block;
      const durable = asksDurable ? this.#durableAt(at) : -1;
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
      // Parsing destroys the bytes of the group, and of a torn one nobody knows how many.
      const size = x.parsedSize();
      const torn = x.parsedTorn() === 1;
      if (status !== OK || torn) this.forget();
      else this.#passed(position, size);
      if (status !== OK) fail("CORRUPT_JOURNAL", `Cannot recover: journal group ${group} does not parse`, { detail: { group } });
      const frames = x.parsedCount();
      const firstFrame = x.parsedFirstFrame();
      if (frames > 0 && firstFrame !== nextFrame) {
        fail("CORRUPT_JOURNAL", `Cannot recover: journal group ${group} starts at frame ${firstFrame}, expected ${nextFrame}`, {
          detail: { group },
        });
      }
      return { ...position, group, blocks: size, frames, firstFrame, rebuilt: x.parsedRebuilt(), torn, durable };
    }
  }

  /** What the group whose first two blocks are at an address says was durable; −1 when neither of them can say. The parity of a single block is its mirror. */
  #durableAt(at: number): number {
    const { exports: x } = this.#source.kernel;
    return [at, at + BLOCK_SIZE].map((block) => x.blockPeek(block) === OK ? x.peekDurable() : -1).find((durable) => durable >= 0) ?? -1;
  }

  /** A whole group of `size` blocks has been parsed: what counts as read is what lies behind it. */
  #passed(position: Position, size: number): void {
    const blocks = position.block + size - this.#block;
    this.#block += blocks;
    this.#count -= blocks;
    this.#at += blocks * BLOCK_SIZE;
  }

  /** Makes at least `wanted` blocks from a position on resident; returns the address of the first. */
  #load(position: Position, wanted: number): number {
    const inside = this.#extent === position.extent && position.block >= this.#block &&
      position.block + wanted <= this.#block + this.#count;
    if (!inside) this.#fill(position, Math.max(wanted, CHUNK_BLOCKS));
    return this.#at + (position.block - this.#block) * BLOCK_SIZE;
  }

  #fill(position: Position, blocks: number): void {
    const { kernel, journal, file } = this.#source;
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
        this.#source.file.read(from + at, block);
      } catch (error) {
        if (!isManifestError(error)) throw error;
        this.#unreadable.set(from + at, error);
        block.fill(0);
      }
    }
  }

  /**
   * `found` is what `find` has given last: no group, or a torn one. What cannot be read is damage that parity may mend, but no proof that nothing is there: throws the storage's error where the next group could hide
   * in blocks that it does not give, or was cut because of them. Else what was acknowledged would vanish because a device was away for a moment.
   */
  refuseUnreadable(found: FoundGroup | undefined): void {
    const { journal } = this.#source;
    const unreadable = (position: Position, block: number): Error | undefined =>
      this.#unreadable.get(journal.offset({ ...position, block: position.block + block }));
    if (found === undefined) {
      // A group has at least two blocks, and would have been found by any one of them.
      for (const place of this.#places()) {
        const error = unreadable(place, 0);
        if (error && unreadable(place, 1)) throw error;
      }
    }
    for (let block = 0; block < (found?.blocks ?? 0); block++) {
      const error = unreadable(found!, block);
      if (error) throw error;
    }
  }

  /**
   * Looks around for what has become of group `missing`, which is not whole. Throws CORRUPT_JOURNAL when a later group of this epoch shows that it had been durable, ROLLED_BACK when a newer writer has been here than
   * the meta slots know of. Returns whether something of it was there: a block of it, or a place for its beginning of which neither block can be read. Every other block of the journal is whole, also one that no
   * group has used yet.
   */
  refuseLaterGroups(missing: number): boolean {
    const { kernel, journal, meta } = this.#source;
    const x = kernel.exports;
    let later = false;
    let told = false;
    let some = false;
    for (let extent = 0; extent < journal.extents.length; extent++) {
      const blocks = journal.blocksOf(extent);
      for (let block = 0; block < blocks; block += this.#count) {
        this.#fill({ extent, block }, CHUNK_BLOCKS);
        for (let i = 0; i < this.#count; i++) {
          const at = this.#at + i * BLOCK_SIZE;
          if (!this.#mayMatter(at, missing) || x.blockPeek(at) !== OK) continue;
          const epoch = kernel.word(CTRL_OUT_PAGE);
          if (epoch > meta.epoch) this.#rolledBack(epoch);
          if (x.peekGroup() === missing) {
            some = true;
            continue;
          }
          later = true;
          const durable = x.peekDurable();
          if (durable >= 0) told = true;
          if (durable >= missing) this.#corrupt(missing, x.peekGroup());
        }
      }
    }
    this.forget();
    // No later block says what was durable. In "sync" mode a group is written only behind the sync of the one before.
    if (later && !told && meta.durability === 0) this.#corrupt(missing, missing + 1);
    return some || this.#destroyedBeginning();
  }

  /** Whether neither of the first two blocks is whole at a place where the next group may begin. */
  #destroyedBeginning(): boolean {
    const { kernel: { exports: x }, journal } = this.#source;
    for (const place of this.#places()) {
      if (journal.blocksOf(place.extent) - place.block < 2) continue;
      const at = this.#load(place, 2);
      const destroyed = x.blockPeek(at) !== OK && x.blockPeek(at + BLOCK_SIZE) !== OK;
      if (destroyed) {
        this.forget();
        return true;
      }
    }
    this.forget();
    return false;
  }

  #rolledBack(epoch: number): never {
    fail(
      "ROLLED_BACK",
      "Cannot recover: the journal holds groups of a writer that the meta slots know nothing of, so they are of an older state",
      {
        detail: { epoch, known: this.#source.meta.epoch },
      },
    );
  }

  /** Whether a block says of itself that it is of a newer writer, or of this epoch and not of an earlier group. Only such a one is worth its checksum: most of a journal is older, or was never written. */
  #mayMatter(at: number, missing: number): boolean {
    const { kernel: { u32 }, meta } = this.#source;
    if (u32[(at + JOURNAL_MAGIC) >>> 2] !== JOURNAL_MAGIC_VALUE) return false;
    const epoch = u32[(at + JOURNAL_EPOCH) >>> 2]!;
    if (epoch !== meta.epoch) return epoch > meta.epoch;
    return u32[(at + JOURNAL_GROUP) >>> 2]! + (u32[(at + JOURNAL_GROUP + 4) >>> 2]! & 0xffff) * 0x1_0000_0000 >= missing;
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
