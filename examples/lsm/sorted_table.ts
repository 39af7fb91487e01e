// Sorted tables: entries by key in blocks, an index of the blocks, a filter of the keys. Written once, never changed.
//
//     table    blocks, index, filter, footer
//     block    entries, checksum u32
//     index    for each block: its last key, where it begins, its length
//     footer   id u32, length of the index u32, length of the filter u32, checksum of index, filter and these u32, magic "LSMS"
import type { Folder, FolderFile } from "@waybill/manifest/files";
import type { Sst, SstInput } from "@waybill/manifest/lsm";
import { makeBloom, mayHold } from "./bloom.ts";
import { ByteReader, ByteWriter, compareKeys, crc32c } from "./bytes.ts";
import { decodeEntry, encodeEntry, type Entry } from "./entry.ts";
import { LsmError } from "./error.ts";
import { nameOf } from "./file_names.ts";

const MAGIC = 0x534d534c;
const FOOTER = 20;

interface Block {
  readonly lastKey: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** Writes a table. */
export class TableWriter {
  readonly #id: number;
  readonly #file: FolderFile;
  readonly #blockBytes: number;
  readonly #block = new ByteWriter();
  readonly #index = new ByteWriter();
  readonly #keys: Uint8Array[] = [];
  #end = 0;
  #digest = 0;
  #minLsn = Infinity;
  #maxLsn = 0;

  private constructor(id: number, file: FolderFile, blockBytes: number) {
    this.#id = id;
    this.#file = file;
    this.#blockBytes = blockBytes;
  }

  /** Begins a table. Until it is finished, and its directory synced, no commit may name it. */
  static async create(folder: Folder, id: number, blockBytes: number): Promise<TableWriter> {
    return new TableWriter(id, await folder.create(nameOf({ kind: "sst", id })), blockBytes);
  }

  /** Bytes so far. */
  get sizeBytes(): number {
    return this.#end + this.#block.length;
  }

  /** Appends an entry; its key is behind all before. */
  async add(entry: Entry): Promise<void> {
    encodeEntry(this.#block, entry);
    this.#keys.push(entry.key);
    this.#minLsn = Math.min(this.#minLsn, entry.lsn);
    this.#maxLsn = Math.max(this.#maxLsn, entry.lsn);
    if (this.#block.length >= this.#blockBytes) await this.#endBlock();
  }

  async #endBlock(): Promise<void> {
    if (this.#block.length === 0) return;
    const entries = this.#block.take();
    const block = new ByteWriter().raw(entries).u32(crc32c(entries)).take();
    this.#index.sized(this.#keys.at(-1)!).varint(this.#end).varint(block.length);
    await this.#write(block);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(this.#end, bytes);
    this.#end += bytes.length;
    this.#digest = crc32c(bytes, this.#digest);
  }

  /** Closes the file. One that was not finished is an orphan. */
  close(): Promise<void> {
    return this.#file.close();
  }

  /** Writes the rest and syncs the file; tells what the catalog is to know of it, but for the level. */
  async finish(): Promise<SstInput> {
    await this.#endBlock();
    const index = this.#index.take(), filter = makeBloom(this.#keys);
    const tail = new ByteWriter().raw(index).raw(filter).u32(this.#id).u32(index.length).u32(filter.length).take();
    await this.#write(new ByteWriter().raw(tail).u32(crc32c(tail)).u32(MAGIC).take());
    await this.#file.sync();
    return {
      id: this.#id,
      minKey: this.#keys[0]!,
      maxKey: this.#keys.at(-1)!,
      sizeBytes: this.#end,
      entries: this.#keys.length,
      minLsn: this.#minLsn,
      maxLsn: this.#maxLsn,
      digest: this.#digest.toString(16).padStart(8, "0"),
    };
  }
}

/** A table that is read. */
export class SortedTable {
  readonly #sst: Sst;
  readonly #file: FolderFile;
  readonly #blocks: readonly Block[];
  readonly #filter: Uint8Array;

  private constructor(sst: Sst, file: FolderFile, blocks: readonly Block[], filter: Uint8Array) {
    this.#sst = sst;
    this.#file = file;
    this.#blocks = blocks;
    this.#filter = filter;
  }

  /** Opens the table that the catalog describes. */
  static async open(folder: Folder, sst: Sst): Promise<SortedTable> {
    const file = await folder.open(nameOf({ kind: "sst", id: sst.id }));
    try {
      const { sizeBytes } = await file.facts();
      if (sizeBytes !== sst.sizeBytes) damaged(sst, `it has ${sizeBytes} bytes, not ${sst.sizeBytes}`);
      const footer = await readAt(file, sst, sizeBytes - FOOTER, FOOTER);
      const reader = new ByteReader(footer);
      const id = reader.u32(), indexLength = reader.u32(), filterLength = reader.u32(), checksum = reader.u32();
      if (id !== sst.id || reader.u32() !== MAGIC) damaged(sst, "its footer is another one's");
      const tail = await readAt(file, sst, sizeBytes - FOOTER - filterLength - indexLength, indexLength + filterLength);
      if (crc32c(footer.subarray(0, 12), crc32c(tail)) !== checksum) damaged(sst, "its index is damaged");
      const blocks: Block[] = [];
      const index = new ByteReader(tail.subarray(0, indexLength));
      while (!index.ended) blocks.push({ lastKey: index.sized(), at: index.varint(), length: index.varint() });
      return new SortedTable(sst, file, blocks, tail.subarray(indexLength));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #read({ at, length }: Block): Promise<ByteReader> {
    const bytes = await readAt(this.#file, this.#sst, at, length);
    const entries = bytes.subarray(0, -4);
    if (new ByteReader(bytes, length - 4).u32() !== crc32c(entries)) damaged(this.#sst, `the block at ${at} is damaged`);
    return new ByteReader(entries);
  }

  /** The first block that may hold keys from this one on. */
  #firstBlock(from: Uint8Array): number {
    let low = 0, high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#blocks[middle]!.lastKey, from) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The entry of a key. */
  async get(key: Uint8Array): Promise<Entry | undefined> {
    if (!mayHold(this.#filter, key)) return undefined;
    const block = this.#blocks[this.#firstBlock(key)];
    if (block === undefined) return undefined;
    for (const reader = await this.#read(block); !reader.ended;) {
      const entry = decodeEntry(reader);
      const order = compareKeys(entry.key, key);
      if (order >= 0) return order === 0 ? entry : undefined;
    }
    return undefined;
  }

  /** Entries from a key on. */
  async *entries(from?: Uint8Array): AsyncGenerator<Entry> {
    for (let at = from === undefined ? 0 : this.#firstBlock(from); at < this.#blocks.length; at++) {
      for (const reader = await this.#read(this.#blocks[at]!); !reader.ended;) {
        const entry = decodeEntry(reader);
        if (from === undefined || compareKeys(entry.key, from) >= 0) yield entry;
      }
    }
  }

  /** Reads the whole file and holds it against the digest; DAMAGED when it is not what was written. */
  async verify(): Promise<void> {
    const bytes = await readAt(this.#file, this.#sst, 0, this.#sst.sizeBytes);
    if (crc32c(bytes).toString(16).padStart(8, "0") !== this.#sst.digest) damaged(this.#sst, "it has another digest");
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#file.close();
  }
}

async function readAt(file: FolderFile, sst: Sst, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  if (at < 0 || (await file.read(at, bytes)) !== length) damaged(sst, "it is too short");
  return bytes;
}

function damaged({ id }: Sst, state: string): never {
  throw new LsmError("DAMAGED", `Cannot read table ${id}: ${state}`);
}
