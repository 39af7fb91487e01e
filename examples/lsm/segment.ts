// Write-ahead segments: entries in the order in which they were written, each record with its length and checksum.
//
//     segment  magic "LSMW", id u32, checksum of both u32, records
//     record   length u32, checksum of id and payload u32, payload: one entry
//
// A crash can leave any part of what was not synced, so the newest segment may end in a torn record, with anything behind it: reading ends there. What is behind was never acknowledged. A segment that is torn is not
// appended to, or what follows would be lost with it: opening writes what it has read into a table and begins another segment.
import type { Folder, FolderFile } from "@waybill/manifest/files";
import { ByteReader, ByteWriter, crc32c } from "./bytes.ts";
import { decodeEntry, encodeEntry, type Entry } from "./entry.ts";
import { LsmError } from "./error.ts";
import { nameOf } from "./file_names.ts";

const MAGIC = 0x574d534c;
const HEADER = 12;

function headerOf(id: number): Uint8Array {
  const head = new ByteWriter().u32(MAGIC).u32(id).take();
  return new ByteWriter().raw(head).u32(crc32c(head)).take();
}

/** Checksums begin with the segment's own, so that no record of another segment counts. */
const seedOf = (id: number): number => crc32c(headerOf(id));

/** A segment that is written to. */
export class SegmentWriter {
  /** Its id. */
  readonly id: number;
  readonly #file: FolderFile;
  #end = HEADER;

  private constructor(id: number, file: FolderFile) {
    this.id = id;
    this.#file = file;
  }

  /** Makes a segment. It and its name are durable: a commit may name it. */
  static async create(folder: Folder, id: number): Promise<SegmentWriter> {
    const file = await folder.create(nameOf({ kind: "wal", id }));
    await file.write(0, headerOf(id));
    await file.sync();
    await folder.syncDirectory("");
    return new SegmentWriter(id, file);
  }

  /** Appends entries; they are durable when it has resolved. */
  async append(entries: readonly Entry[]): Promise<void> {
    const out = new ByteWriter(), payload = new ByteWriter(), seed = seedOf(this.id);
    for (const entry of entries) {
      encodeEntry(payload, entry);
      const bytes = payload.take();
      out.u32(bytes.length).u32(crc32c(bytes, seed)).raw(bytes);
    }
    const bytes = out.take();
    await this.#file.write(this.#end, bytes);
    this.#end += bytes.length;
    await this.#file.sync();
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#file.close();
  }
}

/** What a segment holds. */
export interface SegmentContent {
  readonly entries: Entry[];
  /** Whether it ends in anything but a whole record. */
  readonly torn: boolean;
}

/** Reads a segment up to its end, or to where it is torn. `unnamed`: no commit has named it, so even its header may be torn. */
export async function readSegment(folder: Folder, id: number, unnamed = false): Promise<SegmentContent> {
  const bytes = await readWhole(folder, nameOf({ kind: "wal", id }));
  const header = headerOf(id);
  if (header.some((byte, i) => byte !== bytes[i])) {
    if (unnamed) return { entries: [], torn: true };
    throw new LsmError("DAMAGED", `Cannot read segment ${id}: its header is damaged`);
  }
  const entries: Entry[] = [];
  const seed = seedOf(id);
  const reader = new ByteReader(bytes, HEADER);
  try {
    while (!reader.ended) {
      const length = reader.u32(), checksum = reader.u32();
      const payload = reader.raw(length);
      if (crc32c(payload, seed) !== checksum) return { entries, torn: true };
      entries.push(decodeEntry(new ByteReader(payload)));
    }
    return { entries, torn: false };
  } catch (error) {
    if (error instanceof RangeError) return { entries, torn: true };
    throw error;
  }
}

/** A whole file; DAMAGED when it is missing. */
export async function readWhole(folder: Folder, name: string): Promise<Uint8Array> {
  const found = await folder.facts(name);
  if (found?.kind !== "file") throw new LsmError("DAMAGED", `Cannot read ${name}: it is missing`);
  const file = await folder.open(name);
  try {
    const bytes = new Uint8Array(found.sizeBytes);
    return bytes.subarray(0, await file.read(0, bytes));
  } finally {
    await file.close();
  }
}
