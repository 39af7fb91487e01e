// The storage of the model: memory, or a simulated disk, whose syncs take a random while, whose calls can be made to fail, which can be full, and which knows where journal groups were written.
import { BLOCK_SIZE, JOURNAL_COUNT, JOURNAL_GROUP, JOURNAL_MAGIC, JOURNAL_MAGIC_VALUE } from "../../assembly/format.ts";
import { platformError } from "../../src/storage/errno.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { WrappedStorage } from "./counting_storage.ts";
import { SimDisk } from "./crash_storage.ts";
import type { Random } from "./random.ts";

/** A journal group that was written. */
export interface WrittenGroup {
  readonly group: number;
  readonly at: number;
  /** Blocks, parity included. */
  readonly blocks: number;
}

const GROUPS_KEPT = 64;
const CHUNK = 1 << 16;

/** Power losses are drawn among so many images: the first two keep nothing and everything that was not synced. */
const IMAGES = 5;

/** Storage for one store of the model. */
export class ModelStorage extends WrappedStorage {
  /** Groups written lately and not overwritten, oldest first. */
  groups: WrittenGroup[] = [];
  /** Times the journal went back to its start. */
  wraps = 0;
  /** While the journal is being shortened, going back is no wrap. */
  shrinking = false;
  /** So many reads, or writes, fail from now on. */
  failReads = 0;
  failWrites = 0;
  /** The disk is full: nothing can be written from here on. */
  room = Infinity;
  /** Most microtasks that a sync off the event loop takes; now and then ten times as many. */
  pace = 20;
  /** A group has been written, and no sync has ended since. */
  unsynced = false;
  /** Reads that failed. */
  failed = 0;
  readonly #medium: MemoryFile | SimDisk;
  readonly #random: Random;
  readonly #firstExtentEnd: number;
  #lastAt = 0;

  constructor(medium: MemoryFile | SimDisk, random: Random, pageSize: number) {
    super(medium instanceof SimDisk ? medium.open() : new MemoryStorage(medium));
    this.#medium = medium;
    this.#random = random;
    this.#firstExtentEnd = Math.ceil(4 * BLOCK_SIZE / pageSize) * pageSize + (128 << 10);
  }

  override read(at: number, into: Uint8Array): number {
    if (this.failReads > 0) {
      this.failReads--;
      this.failed++;
      this.#fail("read", "EIO", at, into.length);
    }
    return super.read(at, into);
  }

  #fail(kind: "read" | "write" | "truncate", code: string, offset: number, length: number): never {
    throw platformError(kind, this.name, Object.assign(new Error(code), { code, syscall: kind }), { offset, length });
  }

  /** The next sync fails, and what it should have made durable is in doubt for good. */
  failSync(): void {
    if (!(this.#medium instanceof SimDisk)) throw new Error("only syncs of a simulated disk can be made to fail");
    this.#medium.failNextSync("EIO");
  }

  override truncate(size: number): void {
    if (size > this.size() && size > this.room) this.#fail("truncate", "ENOSPC", size, 0);
    super.truncate(size);
  }

  override write(at: number, from: Uint8Array): void {
    const end = at + from.length;
    if (end > this.room) {
      if (at < this.room) super.write(at, from.subarray(0, this.room - at));
      this.#fail("write", "ENOSPC", at, from.length);
    }
    if (this.failWrites > 0) {
      this.failWrites--;
      const done = this.#random.chance(0.5) ? from.length : this.#random.int(from.length + 1);
      if (done > 0) super.write(at, from.subarray(0, done));
      this.#fail("write", "EIO", at, from.length);
    }
    if (this.groups.some((each) => each.at < end && at < each.at + each.blocks * BLOCK_SIZE)) {
      this.groups = this.groups.filter((each) => each.at >= end || at >= each.at + each.blocks * BLOCK_SIZE);
    }
    const view = new DataView(from.buffer, from.byteOffset, from.length);
    if (from.length >= 2 * BLOCK_SIZE && from.length % BLOCK_SIZE === 0 && view.getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE) {
      const group = view.getUint32(JOURNAL_GROUP, true) + view.getUint16(JOURNAL_GROUP + 4, true) * 0x1_0000_0000;
      if (group > 0) this.#written(group, at, view.getUint16(JOURNAL_COUNT, true) + 1); // 0: blank blocks
    }
    super.write(at, from);
  }

  #written(group: number, at: number, blocks: number): void {
    this.groups = this.groups.filter((each) => each.group < group).slice(1 - GROUPS_KEPT);
    this.groups.push({ group, at, blocks });
    if (at < this.#lastAt && at < this.#firstExtentEnd && !this.shrinking) this.wraps++;
    this.#lastAt = at;
    this.unsynced = true;
  }

  override sync(): void {
    super.sync();
    this.unsynced = false;
  }

  override async syncAsync(): Promise<void> {
    for (let turns = this.#random.int(this.#random.chance(0.1) ? 10 * this.pace : this.pace); turns > 0; turns--) await null;
    await super.syncAsync();
    this.unsynced = false;
  }

  /** What the processes of this machine see: the bytes as they are. Gaps cost nothing. */
  image(): MemoryFile {
    if (this.#medium instanceof SimDisk) return new MemoryFile(this.#medium.live());
    const copy = new MemoryFile();
    const chunk = new Uint8Array(CHUNK);
    const words = new Int32Array(chunk.buffer);
    for (let at = 0; at < this.#medium.size; at += CHUNK) {
      const length = this.#medium.read(at, chunk);
      chunk.fill(0, length);
      let some = 0;
      for (let i = 0; i < words.length; i++) some |= words[i]!;
      if (some !== 0) copy.write(at, chunk.subarray(0, length));
    }
    copy.truncate(this.#medium.size);
    return copy;
  }

  /** One of the images that a power loss could leave now: what no sync covers is kept, dropped or torn. */
  powerLoss(): MemoryFile {
    if (!(this.#medium instanceof SimDisk)) throw new Error("only a simulated disk knows what a power loss leaves");
    let left = this.#random.between(1, IMAGES);
    let image = this.#medium.durable();
    for (const bytes of this.#medium.images(this.#medium.calls, this.#random, IMAGES)) {
      image = bytes;
      if (--left === 0) break;
    }
    return new MemoryFile(image);
  }
}
