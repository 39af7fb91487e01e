// Write-ahead segments: entries in the order in which they were written, each record with its length and checksum.
//
//     segment  magic "LSMW", id u32, checksum of both u32, records
//     record   head, payload: one entry
//     head     length of the payload u32, bytes of the segment that were synced before u32 and u32 (low, high), checksum of the payload u32, checksum of the head so far u32
//
// Checksums begin with the segment's own. A crash can leave any part of what was not synced, so the newest segment may end in a torn record, with anything behind it: reading ends there. What is behind was never
// acknowledged. A segment that is torn is not appended to, or what follows would be lost with it: opening writes what it has read into a table and begins another segment.
//
// A record that is not whole although it was synced is no work of a crash. What was synced is known from the heads behind it: one that was written when the bad record was synced proves damage. Of the records that were
// synced last nothing behind tells: they are told from a torn end by the mark of a segment that was closed in order, a head without a payload.
import type { Folder, FolderFile } from "@waybill/manifest/files";
import { ByteReader, ByteWriter, crc32c } from "./bytes.ts";
import { decodeEntry, encodeEntry, type Entry } from "./entry.ts";
import { LsmError } from "./error.ts";
import { nameOf } from "./file_names.ts";

const MAGIC = 0x574d534c;
const HEADER = 12;
const HEAD = 20;

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
  #synced = HEADER;
  /** No write has failed. */
  #sound = true;

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
      out.raw(headOf(bytes, this.#synced, seed)).raw(bytes);
    }
    const bytes = out.take();
    this.#sound = false;
    await this.#file.write(this.#end, bytes);
    this.#end += bytes.length;
    await this.#file.sync();
    this.#synced = this.#end;
    this.#sound = true;
  }

  /** Closes the file, which another segment has followed durably. */
  close(): Promise<void> {
    return this.#file.close();
  }

  /** Marks the newest segment as whole, if it is, and closes it. The mark is not synced: nothing is lost with it. */
  async finish(): Promise<void> {
    try {
      if (this.#sound) await this.#file.write(this.#end, headOf(new Uint8Array(0), this.#synced, seedOf(this.id)));
    } finally {
      await this.#file.close();
    }
  }
}

function headOf(payload: Uint8Array, synced: number, seed: number): Uint8Array {
  const head = new ByteWriter().u32(payload.length).u32(synced % 2 ** 32).u32(Math.floor(synced / 2 ** 32)).u32(crc32c(payload, seed))
    .take();
  return new ByteWriter().raw(head).u32(crc32c(head, seed)).take();
}

interface Head {
  readonly length: number;
  readonly synced: number;
  readonly checksum: number;
}

/** The head at a position; undefined when there is none. */
function headAt(bytes: Uint8Array, at: number, seed: number): Head | undefined {
  if (at + HEAD > bytes.length) return undefined;
  const reader = new ByteReader(bytes, at);
  const [length, low, high, checksum, own] = [reader.u32(), reader.u32(), reader.u32(), reader.u32(), reader.u32()] as const;
  if (crc32c(bytes.subarray(at, at + HEAD - 4), seed) !== own) return undefined;
  return { length, synced: low + high * 2 ** 32, checksum };
}

/** Whether a record at a position that is not whole was synced: a head behind it says so. */
function wasSynced(bytes: Uint8Array, bad: number, seed: number): boolean {
  // A payload may hold anything, so what a head speaks for is passed over.
  for (let at = bad; at + HEAD <= bytes.length;) {
    const head = headAt(bytes, at, seed);
    if (head !== undefined && head.synced > bad && head.synced <= at) return true;
    at += head === undefined ? 1 : HEAD + head.length;
  }
  return false;
}

/** What a segment holds. */
export interface SegmentContent {
  readonly entries: Entry[];
  /** Whether it ends in anything but a whole record or the mark of a segment that was closed. */
  readonly torn: boolean;
}

/** Reads a segment up to its end, or to where it is torn. DAMAGED when it is missing, or what was synced is not whole. `unnamed`: no commit has named it, so even its header may be torn. */
export async function readSegment(folder: Folder, id: number, unnamed = false): Promise<SegmentContent> {
  const bytes = await readWhole(folder, nameOf({ kind: "wal", id }));
  const header = headerOf(id);
  if (header.some((byte, i) => byte !== bytes[i])) {
    if (unnamed) return { entries: [], torn: true };
    throw new LsmError("DAMAGED", `Cannot read segment ${id}: its header is damaged`);
  }
  const entries: Entry[] = [];
  const seed = seedOf(id);
  let at = HEADER;
  while (at < bytes.length) {
    const head = headAt(bytes, at, seed);
    const payload = head === undefined ? undefined : bytes.subarray(at + HEAD, at + HEAD + head.length);
    if (head === undefined || payload!.length < head.length || crc32c(payload!, seed) !== head.checksum) {
      if (wasSynced(bytes, at, seed)) throw new LsmError("DAMAGED", `Cannot read segment ${id}: a record that was synced is damaged`);
      return { entries, torn: true };
    }
    if (head.length > 0) entries.push(decodeEntry(new ByteReader(payload!)));
    at += HEAD + head.length;
  }
  return { entries, torn: false };
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
