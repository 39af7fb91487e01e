// Where journal groups lie: extents, the position of the next group, what is still needed, and how much room is left.
//
// The extents form a ring. A group lies in one extent: where the rest of an extent is too short it is skipped. Everything from the tail (the first group that the newest
// meta generation does not hold) to the head is live. Invariants: a group is never placed over a live one; live groups lie in ring order from the tail; group numbers
// rise by one for the whole life of the file.
import { BLOCK_SIZE, JOURNAL_PAYLOAD, META_EXTENTS_MAX } from "../../assembly/format.ts";
import { invariant } from "../errors.ts";
import type { Extent } from "./meta.ts";

/** A place in the journal. */
export interface Position {
  readonly extent: number;
  readonly block: number;
}

interface LiveGroup extends Position {
  readonly group: number;
  readonly blocks: number;
}

/** Where the journal of a generation starts. */
export interface JournalMark extends Position {
  /** Number of the first group there. */
  readonly group: number;
}

const MIB = 1 << 20;
/**
 * The journal grows to a quarter of the tree, but a small tree's to this. A checkpoint costs about 20 ms whatever it holds (its syncs, and pages written here and there), and 16 MiB
 * spread that over 1,000 single commits; with 4 MiB every commit paid a third of its own sync for checkpoints.
 */
const SMALL_TREE_LIMIT = 16 * MIB;
const LIMIT = 64 * MIB;
/** The first growth goes straight to this. */
const FIRST_GROWTH = 1 * MIB;

/** Bytes of the journal of a new file, right behind the meta slots. */
export const INITIAL_BYTES = 128 << 10;

/** Blocks of a group, parity included, with `bytes` of payload. */
export function groupBlocksFor(bytes: number): number {
  return Math.ceil(bytes / JOURNAL_PAYLOAD) + 1;
}

/** The journal's positions. */
export class Journal {
  readonly #pageShift: number;
  #extents: Extent[];
  #head: Position;
  #live: LiveGroup[] = [];
  /** Live groups before this index are gone; compacted now and then. */
  #first = 0;
  // Derived numbers, renewed when extents or live groups change; −1 = unknown.
  #room = -1;
  #capacity = 0;
  #longest = 0;
  /** Number of the next group. */
  nextGroup: number;
  /** Blocks written or skipped since the last freeze, and since the tail. */
  sinceFreeze = 0;

  constructor(pageShift: number, extents: readonly Extent[], mark: JournalMark) {
    this.#pageShift = pageShift;
    this.#extents = [...extents];
    this.#head = { extent: mark.extent, block: mark.block };
    this.nextGroup = mark.group;
    this.#measure();
  }

  /** Whether so much of it was written since the last freeze that a checkpoint should begin. The other half serves commits until it is over. */
  get due(): boolean {
    return this.sinceFreeze * 2 > this.capacity;
  }

  /** The extents, in ring order. */
  get extents(): readonly Extent[] {
    return this.#extents;
  }

  /** Blocks of an extent. */
  blocksOf(extent: number): number {
    return (this.#extents[extent]!.pages * 2 ** this.#pageShift) / BLOCK_SIZE;
  }

  #measure(): void {
    this.#capacity = 0;
    this.#longest = 0;
    for (let i = 0; i < this.#extents.length; i++) {
      const blocks = this.blocksOf(i);
      this.#capacity += blocks;
      this.#longest = Math.max(this.#longest, blocks);
    }
  }

  /** Blocks of all extents. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Blocks of live groups. */
  get liveBlocks(): number {
    let sum = 0;
    for (let i = this.#first; i < this.#live.length; i++) sum += this.#live[i]!.blocks;
    return sum;
  }

  /** Whether no live group is left. */
  get empty(): boolean {
    return this.#first === this.#live.length;
  }

  /** Byte offset of a position in the file. */
  offset(position: Position): number {
    return this.#extents[position.extent]!.page * 2 ** this.#pageShift + position.block * BLOCK_SIZE;
  }

  /**
   * Largest payload, in blocks with parity, that one transaction may have: a quarter of the journal, and of its longest extent, because room for it is kept before
   * a transaction is taken. Groups would be cut short where an extent ends if that were more.
   */
  get transactionBlocks(): number {
    return Math.floor(Math.min(this.capacity, this.#longest) / 4);
  }

  /** Blocks at which a group closes, so that one more transaction still fits beside it. */
  get groupLimit(): number {
    return Math.min(1024, Math.floor(this.#longest / 2));
  }

  /** Free stretches from the head on, in ring order: calls back until it returns true. */
  #stretches(visit: (position: Position, blocks: number) => boolean): void {
    const tail = this.#live[this.#first];
    const count = this.#extents.length;
    for (let i = 0; i <= count; i++) {
      const extent = (this.#head.extent + i) % count;
      const block = i === 0 ? this.#head.block : 0;
      const ahead = tail !== undefined && tail.extent === extent && (i > 0 || tail.block >= block);
      const end = ahead ? tail.block : this.blocksOf(extent);
      if (end > block && visit({ extent, block }, end - block)) return;
      if (ahead) return;
    }
  }

  /** The longest group that could be placed now, in blocks. */
  get room(): number {
    if (this.#room >= 0) return this.#room;
    let most = 0;
    this.#stretches((_, blocks) => {
      most = Math.max(most, blocks);
      return false;
    });
    this.#room = most;
    return most;
  }

  /** The place of a group of that many blocks. */
  find(blocks: number): Position | undefined {
    let found: Position | undefined;
    this.#stretches((position, free) => {
      if (free < blocks) return false;
      found = position;
      return true;
    });
    return found;
  }

  /** The group has been written at its place: it is live, the head is behind it. */
  add(position: Position, blocks: number): void {
    invariant(position.block + blocks <= this.blocksOf(position.extent), "a journal group that leaves its extent");
    let skipped = 0;
    for (let extent = this.#head.extent; extent !== position.extent; extent = (extent + 1) % this.#extents.length) {
      skipped += this.blocksOf(extent) - (extent === this.#head.extent ? this.#head.block : 0);
    }
    this.#live.push({ ...position, group: this.nextGroup, blocks });
    this.#head = { extent: position.extent, block: position.block + blocks };
    this.nextGroup++;
    this.#room = -1;
    this.sinceFreeze += blocks + skipped;
  }

  /** Where the journal continues now: what a freeze at this moment makes the start of its generation's journal. */
  mark(): JournalMark {
    return { ...this.#head, group: this.nextGroup };
  }

  /** A freeze began. */
  freezeBegun(): void {
    this.sinceFreeze = 0;
  }

  /** Groups below this number are held by a durable generation. */
  release(group: number): void {
    this.#room = -1;
    while (this.#first < this.#live.length && this.#live[this.#first]!.group < group) this.#first++;
    if (this.#first > 1024 || this.#first === this.#live.length) {
      this.#live = this.#live.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Pages to add at a checkpoint of a tree of `treePages` pages; 0 = none. */
  growth(treePages: number): number {
    if (this.#extents.length >= META_EXTENTS_MAX) return 0;
    const pageSize = 2 ** this.#pageShift;
    const bytes = this.capacity * BLOCK_SIZE;
    const limit = Math.min(LIMIT, Math.max(SMALL_TREE_LIMIT, (treePages * pageSize) / 4));
    const wanted = Math.min(limit, Math.max(bytes * 2, FIRST_GROWTH));
    return wanted < bytes * 1.25 ? 0 : Math.floor((wanted - bytes) / pageSize);
  }

  /** An extent that a durable generation names may be used. */
  append(extent: Extent): void {
    this.#extents.push(extent);
    this.#room = -1;
    this.#measure();
  }

  /** Starts over with these extents; nothing is live. */
  restart(extents: readonly Extent[], position: Position): void {
    invariant(this.empty, "a journal with live groups cannot change its extents");
    this.#extents = [...extents];
    this.#head = position;
    this.#room = -1;
    this.#measure();
  }

  /** A position half the journal away from the head: a successor starts where its predecessor cannot be writing. */
  farPosition(): Position {
    let left = Math.floor(this.capacity / 2);
    let { extent, block } = this.#head;
    for (;;) {
      const rest = this.blocksOf(extent) - block;
      if (left < rest) return { extent, block: block + left };
      left -= rest;
      extent = (extent + 1) % this.#extents.length;
      block = 0;
    }
  }
}
