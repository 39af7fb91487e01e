// The reference data set "chunks" and the sequences of operations that the workloads run on it.
//
// 100,000 rows in random order: key (u32 database of 16, u64 chunk), value 100 bytes. Everything follows from a seed, so that each contender sees the same rows,
// the same look-ups and the same writes in every round.
import { Buffer } from "node:buffer";

/** Bytes of a value. */
export const VALUE_BYTES = 100;
/** Bytes of a key as peers store it: u32 and u64, big-endian. */
export const KEY_BYTES = 12;
/** Rows of the full data set. */
export const FULL_ROWS = 100_000;

const DATABASES = 16;

/** A random generator: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number below `bound`. */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }
}

/** Writes: row `rows[i]` gets the value that row `values[i]` was loaded with. */
export interface Writes {
  readonly rows: Uint32Array;
  readonly values: Uint32Array;
}

/** Rows in the order in which they are loaded. */
export class DataSet {
  /** Number of rows. */
  readonly count: number;
  /** Database of each row. */
  readonly dbs: Uint32Array;
  /** Chunk of each row. */
  readonly chunks: Float64Array;
  /** Value of each row. */
  readonly values: Buffer[] = [];
  readonly #seed: number;

  constructor(count: number = FULL_ROWS, seed = 1) {
    this.count = count;
    this.#seed = seed;
    const random = new Random(seed);
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const other = random.below(i + 1);
      const held = order[i]!;
      order[i] = order[other]!;
      order[other] = held;
    }
    this.dbs = order.map((n) => n % DATABASES);
    this.chunks = Float64Array.from(order, (n) => Math.floor(n / DATABASES));
    const bytes = Buffer.alloc(count * VALUE_BYTES);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(random.next(), at);
    for (let i = 0; i < count; i++) this.values.push(bytes.subarray(i * VALUE_BYTES, (i + 1) * VALUE_BYTES));
  }

  /** Rows to look up, drawn at random. */
  lookups(count: number, round: number): Uint32Array {
    const random = new Random(this.#seed * 1_000_003 + round * 7919 + 17);
    return Uint32Array.from({ length: count }, () => random.below(this.count));
  }

  /** Writes to rows drawn at random. */
  writes(count: number, round: number): Writes {
    const random = new Random(this.#seed * 1_000_003 + round * 7919 + count);
    const rows = new Uint32Array(count), values = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      rows[i] = random.below(this.count);
      values[i] = random.below(this.count);
    }
    return { rows, values };
  }

  /** The load as writes: every row once, with its own value. */
  loading(): Writes {
    const all = Uint32Array.from({ length: this.count }, (_, i) => i);
    return { rows: all, values: all };
  }

  /** Puts the key of a row into `into`, as peers store it. */
  writeKey(row: number, into: Buffer): void {
    const chunk = this.chunks[row]!;
    into.writeUInt32BE(this.dbs[row]!, 0);
    into.writeUInt32BE(Math.floor(chunk / 0x1_0000_0000), 4);
    into.writeUInt32BE(chunk >>> 0, 8);
  }
}

/** The record that S2 decodes: what a manifest knows of a chunk, in fields. */
export interface ChunkRecord {
  fileName: string;
  generation: number;
  sizeBytes: number;
  pageCount: number;
  remote: boolean;
  uploadedAt: number;
  contentHash: Uint8Array;
}

/** Record of a row: about 100 bytes encoded. */
export function chunkRecord(data: DataSet, row: number): ChunkRecord {
  const db = data.dbs[row]!, chunk = data.chunks[row]!;
  return {
    fileName: `segments/db-${db}/chunk-${String(chunk).padStart(9, "0")}.seg`,
    generation: 1 + (chunk % 7),
    sizeBytes: (1 << 20) + chunk,
    pageCount: 256,
    remote: (chunk & 1) === 1,
    uploadedAt: 1_700_000_000_000 + chunk,
    contentHash: data.values[row]!.subarray(0, 32),
  };
}
