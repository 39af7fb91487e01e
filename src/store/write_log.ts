// The write log: what applied transactions have written, kept while somebody holds a state that later has to be compared with it.
//
// Invariants: it holds every write behind the oldest state watched, in the order of the frames, or says that it does not (`missed`); what is dropped before it was sealed
// leaves the log with it. Without a watch nothing is recorded. Keys are text of one character a byte, so that comparing them compares the bytes.
import {
  CTRL_ROWS,
  CTRL_ROWS_AT,
  EFFECT_DELETE_RANGE,
  EFFECT_DROP_TABLE,
  EFFECT_HIDDEN,
  EFFECT_KEY_AT_WORD,
  EFFECT_KEY_LENGTH_WORD,
  EFFECT_KIND_WORD,
  EFFECT_TABLE_WORD,
  EFFECT_VALUE_AT_WORD,
  EFFECT_VALUE_LENGTH_WORD,
  EFFECT_WORDS,
  OK,
  TABLE_ID_USER,
} from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";

/** Bytes of memory that the log may take, about; beyond it the oldest writes are forgotten. */
const LOG_BYTES = 16 << 20;
/** What a write takes besides its keys. */
const WRITE_BYTES = 64;

/** One write. */
export interface Write {
  /** The table's id. */
  readonly table: number;
  /** The row's key; of a range the first position. */
  readonly key: string;
  /** Of a range the last position, exclusive; null: everything from `key` on; undefined: the one row. */
  readonly upper: string | null | undefined;
}

/** What one frame wrote. */
export interface FrameWrites {
  /** The frame's number. */
  readonly frame: number;
  /** Its change; 0 when it is none. */
  readonly sequence: number;
  /** Its writes to tables of rows. */
  readonly writes: readonly Write[];
}

/** Encoded key bytes as text of one character a byte. */
export function keyText(bytes: Uint8Array, at = 0, length: number = bytes.length): string {
  return String.fromCharCode.apply(null, bytes.subarray(at, at + length) as unknown as number[]);
}

/** The bytes behind {@linkcode keyText}. */
export function keyBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** A state whose later writes are kept. */
export class WriteWatch {
  /** The state's frame. */
  readonly frame: number;
  readonly #log: WriteLog;

  /** Made by `WriteLog.watch`. */
  constructor(log: WriteLog, frame: number) {
    this.#log = log;
    this.frame = frame;
  }

  /** Whether writes behind this state have been forgotten. */
  get missed(): boolean {
    return this.#log.missed(this.frame);
  }

  /** What was written behind this state, oldest first. */
  writes(): Iterable<FrameWrites> {
    return this.#log.behind(this.frame);
  }

  /** Lets the log forget; a second call does nothing. */
  end(): void {
    this.#log.unwatch(this);
  }
}

/** The write log of a store. */
export class WriteLog {
  readonly #kernel: Kernel;
  /** By age of their states: states are watched in the order of their frames. */
  readonly #watches = new Set<WriteWatch>();
  #frames: (FrameWrites & { bytes: number })[] = [];
  #first = 0;
  #bytes = 0;
  /** Writes up to this frame may be missing. */
  #floor = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Whether anybody watches. */
  get active(): boolean {
    return this.#watches.size > 0;
  }

  /** Keeps what is written behind a frame, which is none before an earlier watch's. What was applied behind it before must be recorded by the caller when the log was not active. */
  watch(frame: number): WriteWatch {
    if (!this.active) this.#floor = frame;
    const watch = new WriteWatch(this, frame);
    this.#watches.add(watch);
    return watch;
  }

  /** Ends a watch. */
  unwatch(watch: WriteWatch): void {
    if (!this.#watches.delete(watch)) return;
    if (!this.active) {
      this.#frames = [];
      this.#first = 0;
      this.#bytes = 0;
      return;
    }
    const [oldest] = this.#watches;
    while (this.#first < this.#frames.length && this.#frames[this.#first]!.frame <= oldest!.frame) this.#forget();
  }

  /** Whether writes behind a frame have been forgotten. */
  missed(frame: number): boolean {
    return frame < this.#floor;
  }

  /** What was written behind a frame, oldest first. */
  *behind(frame: number): Iterable<FrameWrites> {
    let low = this.#first;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#frames[middle]!.frame <= frame) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#frames.length; low++) yield this.#frames[low]!;
  }

  /** Records a body in kernel memory that has been applied. */
  record(frame: number, sequence: number, bodyAt: number, length: number): void {
    const kernel = this.#kernel;
    if (kernel.exports.bodyRead(bodyAt, length) !== OK) return this.#forgetAll(frame);
    const count = kernel.word(CTRL_ROWS);
    const index = kernel.word(CTRL_ROWS_AT) >>> 2;
    const { u8, u32 } = kernel;
    const writes: Write[] = [];
    let bytes = WRITE_BYTES;
    for (let row = index; row < index + count * EFFECT_WORDS; row += EFFECT_WORDS) {
      const table = u32[row + EFFECT_TABLE_WORD]!;
      if (table < TABLE_ID_USER) continue; // registry, change log and commit ids hold no rows that a transaction reads
      const kind = u32[row + EFFECT_KIND_WORD]! & ~EFFECT_HIDDEN;
      const key = keyText(u8, u32[row + EFFECT_KEY_AT_WORD]!, u32[row + EFFECT_KEY_LENGTH_WORD]!);
      const upper = kind === EFFECT_DROP_TABLE
        ? null
        : kind === EFFECT_DELETE_RANGE
        ? keyText(u8, u32[row + EFFECT_VALUE_AT_WORD]!, u32[row + EFFECT_VALUE_LENGTH_WORD]!)
        : undefined;
      bytes += WRITE_BYTES + key.length + (upper?.length ?? 0);
      if (bytes > LOG_BYTES) return this.#forgetAll(frame);
      writes.push({ table, key, upper });
    }
    this.#frames.push({ frame, sequence, writes, bytes });
    this.#bytes += bytes;
    while (this.#bytes > LOG_BYTES) {
      this.#floor = this.#frames[this.#first]!.frame;
      this.#forget();
    }
  }

  /** Everything behind a frame has been dropped again. */
  dropBehind(frame: number): void {
    while (this.#frames.length > this.#first && this.#frames[this.#frames.length - 1]!.frame > frame) {
      this.#bytes -= this.#frames.pop()!.bytes;
    }
    // A frame too large for the log was among them, perhaps: its number will be given again.
    this.#floor = Math.min(this.#floor, frame);
  }

  #forget(): void {
    this.#bytes -= this.#frames[this.#first]!.bytes;
    this.#first++;
    if (this.#first > 1024 && this.#first * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#first);
      this.#first = 0;
    }
  }

  #forgetAll(frame: number): void {
    this.#frames = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#floor = frame;
  }
}
