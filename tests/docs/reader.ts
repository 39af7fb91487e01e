// A reader of page files made from docs/FORMAT.md alone: it shares no code and no number with the kernel or the store.
//
// It proves that the document suffices, and is a second opinion on files that the store writes. Slow and strict: the first thing that is wrong throws.

/** A durable state of a file. */
export interface State {
  readonly slot: number;
  readonly generation: number;
  readonly epoch: number;
  readonly clean: boolean;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly sequence: number;
  readonly frame: number;
  readonly group: number;
  readonly journalExtent: number;
  readonly journalBlock: number;
  readonly birth: number;
  readonly fileId: Uint8Array;
  readonly roots: Pointer;
  readonly rootsLevel: number;
  readonly bitmap: Pointer;
  readonly bitmapLevel: number;
  readonly extents: readonly { page: number; pages: number }[];
}

/** What names a page. */
export interface Pointer {
  readonly page: number;
  readonly crc: number;
  readonly birth: number;
}

/** One row: encoded key and value. */
export type Row = readonly [key: Uint8Array, value: Uint8Array];

/** One journalled transaction, or row of the change log. */
export interface Body {
  readonly isChange: boolean;
  readonly hasId: boolean;
  readonly commitId: Uint8Array;
  readonly committedAt: number;
  readonly effects: readonly { kind: number; tag: number; table: number; key: Uint8Array; value: Uint8Array | undefined }[];
  readonly extra: Uint8Array;
  /** All of it, as it lies in the change log. */
  readonly bytes: Uint8Array;
}

function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`Cannot read the file: ${what}`);
}

/** CRC32C, a bit at a time. */
export function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** A little-endian number of so many bytes. */
function number(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  demand(Number.isSafeInteger(value), "a number above 2^53");
  return value;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function pointer(bytes: Uint8Array, at: number): Pointer {
  return { page: number(bytes, at, 4), crc: number(bytes, at + 4, 4), birth: number(bytes, at + 8, 6) };
}

const MAGIC = Uint8Array.of(0x57, 0x41, 0x59, 0x42, 0x49, 0x4c, 0x4c, 0x1a);

function readSlot(bytes: Uint8Array, slot: number): State | undefined {
  if (!same(bytes.subarray(0, 8), MAGIC) || checksum(bytes.subarray(12)) !== number(bytes, 8, 4)) return undefined;
  demand(number(bytes, 14, 2) <= 2, "it needs a newer version");
  demand(number(bytes, 12, 2) >= 2, "it is of an older version");
  const generation = number(bytes, 72, 8);
  if (bytes[29] !== slot || generation % 2 !== slot % 2) return undefined;
  const extents = Array.from(
    { length: number(bytes, 86, 2) },
    (_, i) => ({ page: number(bytes, 256 + i * 8, 4), pages: number(bytes, 260 + i * 8, 4) }),
  );
  return {
    slot,
    generation,
    epoch: number(bytes, 68, 4),
    clean: bytes[30] === 1,
    pageSize: 2 ** bytes[28]!,
    pageCount: number(bytes, 80, 4),
    sequence: number(bytes, 120, 8),
    frame: number(bytes, 128, 8),
    group: number(bytes, 136, 8),
    journalExtent: number(bytes, 144, 4),
    journalBlock: number(bytes, 148, 4),
    birth: number(bytes, 152, 6),
    fileId: bytes.slice(32, 48),
    roots: pointer(bytes, 88),
    rootsLevel: bytes[84]!,
    bitmap: pointer(bytes, 104),
    bitmapLevel: bytes[85]!,
    extents,
  };
}

/** The newest state of a file. */
export function chooseState(file: Uint8Array): State {
  const slots = [0, 1, 2, 3].map((slot) => readSlot(file.subarray(slot * 4096, slot * 4096 + 4096), slot));
  const pairs = [0, 1].map((pair) => {
    const [first, second] = [slots[pair], slots[pair + 2]];
    if (first && second && second.generation === first.generation) return second.epoch > first.epoch ? second : first;
    if (first && second) return second.generation > first.generation ? second : first;
    return first ?? second;
  });
  const [a, b] = pairs;
  demand(a !== undefined && b !== undefined, "both copies of a meta generation are unreadable");
  const state = a.generation > b.generation ? a : b;
  const word = file.subarray(state.slot * 4096);
  demand(number(word, 24, 4) === 0 && number(word, 64, 4) === 0 && word[31] === 0, "an unknown feature");
  demand(state.pageCount * state.pageSize <= file.length, "the file is too short");
  return state;
}

/** Reads the trees, runs, bitmap and journal of one state. */
export class Reader {
  readonly state: State;
  /** Pages reached so far. */
  readonly reached = new Set<number>();
  readonly #file: Uint8Array;

  constructor(file: Uint8Array, state: State = chooseState(file)) {
    this.#file = file;
    this.state = state;
    for (let page = 0; page * state.pageSize < 16384; page++) this.reached.add(page);
    for (const extent of state.extents) for (let i = 0; i < extent.pages; i++) this.reached.add(extent.page + i);
  }

  #pages(at: Pointer, pages: number, type: number, level: number): Uint8Array {
    const { pageSize, pageCount, fileId, birth } = this.state;
    demand(at.page > 0 && at.page + pages <= pageCount, `page ${at.page} is outside the file`);
    for (let i = 0; i < pages; i++) {
      demand(!this.reached.has(at.page + i), `page ${at.page + i} is reached twice`);
      this.reached.add(at.page + i);
    }
    const bytes = this.#file.subarray(at.page * pageSize, (at.page + pages) * pageSize);
    demand(checksum(bytes.subarray(4)) === number(bytes, 0, 4), `page ${at.page} is damaged`);
    demand(same(bytes.subarray(12, 20), fileId.subarray(0, 8)), `page ${at.page} is of another file`);
    demand(number(bytes, 8, 4) === at.page, `page ${at.page} is misplaced`);
    demand(number(bytes, 0, 4) === at.crc && number(bytes, 20, 6) === at.birth && at.birth <= birth, `page ${at.page} is stale`);
    demand(bytes[4] === type && bytes[5] === level, `page ${at.page} has the wrong type`);
    return bytes;
  }

  /** Rows of a tree in key order. */
  *rows(root: Pointer, level: number, from: Uint8Array = new Uint8Array(0), to?: Uint8Array): Generator<Row> {
    if (root.page === 0) return;
    const page = this.#pages(root, 1, level > 0 ? 2 : 1, level);
    const prefix = page.subarray(32, 32 + number(page, 26, 2));
    const slots = 32 + Math.ceil(prefix.length / 4) * 4;
    const count = number(page, 6, 2);
    const fixed = level > 0 ? 14 : 2;
    const cells = Array.from({ length: count }, (_, i) => {
      const slot = slots + i * 8;
      const length = number(page, slot + 6, 2);
      const head = page.slice(slot, slot + 4).reverse();
      demand(head.subarray(length).every((byte) => byte === 0), "a head that does not end with its key");
      const cell = page.subarray(number(page, slot + 4, 2));
      const rest = Math.max(0, length - 4);
      const bare = level > 0 && i === 0;
      const key = bare ? from : join(prefix, head.subarray(0, length), cell.subarray(fixed, fixed + rest));
      demand(compare(key, from) >= 0 && (to === undefined || compare(key, to) < 0), "a key outside the separators");
      return { key, cell, rest };
    });
    for (let i = 0; i < count; i++) {
      const { key, cell, rest } = cells[i]!;
      const next = cells[i + 1]?.key;
      demand(next === undefined || compare(key, next) < 0 || level > 0 && i === 0, "keys out of order");
      if (level > 0) yield* this.rows(pointer(cell, 0), level - 1, key, next ?? to);
      else {
        const word = number(cell, 0, 2);
        const value = cell.subarray(2 + rest);
        yield [key, word & 0x8000 ? this.#run(pointer(value, 0), number(value, 14, 4)) : value.slice(0, word)];
      }
    }
  }

  #run(at: Pointer, length: number): Uint8Array {
    const pages = Math.ceil((length + 40) / this.state.pageSize);
    const bytes = this.#pages(at, pages, 3, 0);
    demand(number(bytes, 32, 4) === length, "a run of another length");
    demand(bytes.subarray(40 + length).every((byte) => byte === 0), "bytes behind a run's value");
    return bytes.slice(40, 40 + length);
  }

  /** Every table's rows by table id. */
  tables(): Map<number, Row[]> {
    const tables = new Map<number, Row[]>();
    for (const [key, record] of this.rows(this.state.roots, this.state.rootsLevel)) {
      const id = number(key.slice().reverse(), 0, 4);
      const rows = [...this.rows(pointer(record, 0), record[14]!)];
      demand(rows.length === number(record, 16, 8), `table ${id} has ${rows.length} rows`);
      tables.set(id, rows);
    }
    return tables;
  }

  /** Pages in use, from the bitmap. */
  used(): Set<number> {
    const used = new Set<number>();
    this.#bitmap(this.state.bitmap, this.state.bitmapLevel, 0, used);
    return used;
  }

  #bitmap(at: Pointer, level: number, position: number, used: Set<number>): void {
    const page = this.#pages(at, 1, level > 0 ? 5 : 4, level);
    demand(number(page, 28, 4) === position, "a bitmap page at another position");
    const room = this.state.pageSize - 32;
    if (level === 0) {
      for (let bit = 0; bit < room * 8; bit++) if (page[32 + (bit >> 3)]! & (1 << (bit & 7))) used.add(position * room * 8 + bit);
      return;
    }
    const entries = Math.floor(room / 18);
    for (let i = 0; i < entries; i++) {
      const entry = page.subarray(32 + i * 18, 32 + i * 18 + 18);
      const before = used.size;
      if (number(entry, 0, 4) !== 0) this.#bitmap(pointer(entry, 0), level - 1, position * entries + i, used);
      demand(used.size - before === number(entry, 14, 4), "an index page that counts wrong");
    }
  }

  /** The frames to replay, in order. One damaged block of a group is rebuilt. */
  frames(): Body[] {
    const { state } = this;
    const bodies: Body[] = [];
    let place = { extent: state.journalExtent, block: state.journalBlock };
    let frame = state.frame + 1;
    for (let group = state.group; !state.clean; group++) {
      const count = state.extents.length;
      const candidates = [place, ...state.extents.map((_, i) => ({ extent: (place.extent + 1 + i) % count, block: 0 }))];
      const found = candidates.map((at) => ({ at, payload: this.#group(at, group) })).find(({ payload }) => payload !== undefined);
      if (found === undefined) break;
      const payload = found.payload!.bytes;
      demand(number(payload, 0, 8) === frame, "a gap between frames");
      let at = 24;
      for (let left = number(payload, 8, 4); left > 0; left--) {
        const body = payload.subarray(at + 8, at + 8 + number(payload, at, 4));
        demand(checksum(body) === number(payload, at + 4, 4), "a damaged frame");
        bodies.push(readBody(body));
        at += 8 + body.length;
        frame++;
      }
      demand(at === payload.length, "bytes behind the last frame");
      place = { extent: found.at.extent, block: found.at.block + found.payload!.blocks };
    }
    return bodies;
  }

  #group(at: { extent: number; block: number }, group: number): { bytes: Uint8Array; blocks: number } | undefined {
    const { extents, pageSize, epoch, fileId } = this.state;
    const extent = extents[at.extent]!;
    const bytes = this.#file.subarray(extent.page * pageSize + at.block * 4096, (extent.page + extent.pages) * pageSize);
    const blockAt = (index: number, count?: number): Uint8Array | undefined => {
      const block = bytes.subarray(index * 4096, index * 4096 + 4096);
      const right = block.length === 4096 && checksum(block.subarray(4)) === number(block, 0, 4) && number(block, 4, 4) === 0x314a4257 &&
        same(block.subarray(8, 16), fileId.subarray(0, 8)) && number(block, 16, 4) === epoch && number(block, 20, 6) === group &&
        number(block, 26, 2) === index && (count === undefined || number(block, 28, 2) === count);
      return right ? block : undefined;
    };
    const leader = blockAt(0) ?? blockAt(1);
    if (leader === undefined) return undefined;
    const count = number(leader, 28, 2);
    const blocks = Array.from({ length: count + 1 }, (_, index) => blockAt(index, count));
    const damaged = blocks.filter((block) => block === undefined).length;
    demand(damaged <= 1, `group ${group} is torn`);
    const mended = blocks.map((block) => {
      if (block !== undefined) return block.subarray(30);
      const sum = new Uint8Array(4066);
      for (const other of blocks) other?.subarray(30).forEach((byte, i) => sum[i]! ^= byte);
      return sum;
    });
    return { bytes: join(...mended.slice(0, count).map((block) => block.subarray(2, 2 + number(block, 0, 2)))), blocks: count + 1 };
  }
}

/** Reads a frame body. */
export function readBody(body: Uint8Array): Body {
  demand(body[1] === 1, "a body of another version");
  const end = body.length - number(body, 32, 4);
  let at = 36;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = body[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const take = (): Uint8Array => {
    const length = varint();
    at += length;
    return body.slice(at - length, at);
  };
  const effects = Array.from({ length: number(body, 28, 4) }, () => {
    const kind = body[at++]!;
    const tag = body[at++]!;
    const table = varint();
    const key = take();
    const long = (kind & 0x7f) === 1 || (kind & 0x7f) === 3;
    return { kind, tag, table, key, value: long ? take() : undefined };
  });
  demand(at === end, "effects that do not fill the body");
  return {
    isChange: (body[0]! & 1) !== 0,
    hasId: (body[0]! & 2) !== 0,
    commitId: body.slice(4, 20),
    committedAt: number(body, 20, 6),
    effects,
    extra: body.slice(end),
    bytes: body.slice(),
  };
}
