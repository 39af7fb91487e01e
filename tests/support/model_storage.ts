// The storage of the model: memory whose syncs take a random while, whose reads can be made to fail, and which knows where journal groups were written.
import { BLOCK_SIZE, JOURNAL_COUNT, JOURNAL_GROUP, JOURNAL_MAGIC, JOURNAL_MAGIC_VALUE } from "../../assembly/format.ts";
import { ManifestError } from "../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { WrappedStorage } from "./counting_storage.ts";
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

/** Memory storage for one store of the model. */
export class ModelStorage extends WrappedStorage {
  /** Groups written lately and not overwritten, oldest first. */
  groups: WrittenGroup[] = [];
  /** Times the journal went back to its start. */
  wraps = 0;
  /** While the journal is being shortened, going back is no wrap. */
  shrinking = false;
  /** So many reads fail from now on. */
  failReads = 0;
  /** Most microtasks that a sync off the event loop takes; now and then ten times as many. */
  pace = 20;
  /** Reads that failed. */
  failed = 0;
  readonly #file: MemoryFile;
  readonly #random: Random;
  readonly #firstExtentEnd: number;
  #lastAt = 0;

  constructor(file: MemoryFile, random: Random, pageSize: number) {
    super(new MemoryStorage(file));
    this.#file = file;
    this.#random = random;
    this.#firstExtentEnd = Math.ceil(4 * BLOCK_SIZE / pageSize) * pageSize + (128 << 10);
  }

  override read(at: number, into: Uint8Array): number {
    if (this.failReads > 0) {
      this.failReads--;
      this.failed++;
      throw new ManifestError("IO_READ", "Cannot read: the test says so");
    }
    return super.read(at, into);
  }

  override write(at: number, from: Uint8Array): void {
    const end = at + from.length;
    if (this.groups.some((each) => each.at < end && at < each.at + each.blocks * BLOCK_SIZE)) {
      this.groups = this.groups.filter((each) => each.at >= end || at >= each.at + each.blocks * BLOCK_SIZE);
    }
    const view = new DataView(from.buffer, from.byteOffset, from.length);
    if (from.length >= 2 * BLOCK_SIZE && from.length % BLOCK_SIZE === 0 && view.getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE) {
      const group = view.getUint32(JOURNAL_GROUP, true) + view.getUint16(JOURNAL_GROUP + 4, true) * 0x1_0000_0000;
      this.groups = this.groups.filter((each) => each.group < group).slice(1 - GROUPS_KEPT);
      this.groups.push({ group, at, blocks: view.getUint16(JOURNAL_COUNT, true) + 1 });
      if (at < this.#lastAt && at < this.#firstExtentEnd && !this.shrinking) this.wraps++;
      this.#lastAt = at;
    }
    super.write(at, from);
  }

  override async syncAsync(): Promise<void> {
    for (let turns = this.#random.int(this.#random.chance(0.1) ? 10 * this.pace : this.pace); turns > 0; turns--) await null;
    await super.syncAsync();
  }

  /** A copy of the bytes as they are; gaps cost nothing. */
  image(): MemoryFile {
    const copy = new MemoryFile();
    const chunk = new Uint8Array(CHUNK);
    const words = new Int32Array(chunk.buffer);
    for (let at = 0; at < this.#file.size; at += CHUNK) {
      const length = this.#file.read(at, chunk);
      chunk.fill(0, length);
      let some = 0;
      for (let i = 0; i < words.length; i++) some |= words[i]!;
      if (some !== 0) copy.write(at, chunk.subarray(0, length));
    }
    copy.truncate(this.#file.size);
    return copy;
  }
}
