// Bytes: comparing keys, checksums, and a writer and a reader of the few encodings that files of the engine use.

/** The order of keys: byte by byte, a prefix first. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
  return n;
});

/** CRC-32C, also of bytes that come in parts: `before` is what the parts before gave. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Collects bytes. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  /** A whole number from 0 to 2^53 - 1, seven bits a byte, lowest first. */
  varint(value: number): this {
    this.#reserve(8);
    for (; value >= 0x80; value = Math.floor(value / 0x80)) this.#bytes[this.#length++] = (value % 0x80) | 0x80;
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** 32 bits, lowest byte first. */
  u32(value: number): this {
    this.#reserve(4);
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#length++] = value >>> shift;
    return this;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Bytes behind their length. */
  sized(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** A copy of everything so far; the writer begins anew. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }
}

/** Reads what a {@linkcode ByteWriter} has written; RangeError behind the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  /** Reads from a position on. */
  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Where it stands. */
  get at(): number {
    return this.#at;
  }

  /** Whether everything was read. */
  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** As {@linkcode ByteWriter.varint}. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.raw(1)[0]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number has too many bytes");
  }

  /** As {@linkcode ByteWriter.u32}. */
  u32(): number {
    const [a, b, c, d] = this.raw(4);
    return (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
  }

  /** As {@linkcode ByteWriter.raw}: a view, not a copy. */
  raw(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError(`the bytes end before ${end}`);
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** As {@linkcode ByteWriter.sized}: a view, not a copy. */
  sized(): Uint8Array {
    return this.raw(this.varint());
  }
}
