// Files for inspections: filled manifests as bytes, with what they hold, and ways to damage them.
import { META_CRC, META_FORMAT, PAGE_NUMBER, PAGE_TYPE } from "../../assembly/format.ts";
import { defineTable, Manifest, optional, type Table, text, u53 } from "../../mod.ts";
import { checkFile, type CheckOptions, type CheckSummary, type Finding } from "../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { seeded } from "../support/random.ts";

export const BLOCK = 4096;

export interface Note {
  text: string;
  rank: number;
}

/** A table of the user's with several levels of pages. */
export const notes: Table<[id: number], Note> = defineTable({ name: "notes", key: [u53("id")], value: { text: text(), rank: u53() } });
/** One with overflow values. */
export const blobs: Table<[name: string], { text?: string }> = defineTable({
  name: "blobs",
  key: [text("name")],
  value: { text: optional(text()) },
});

/** A filled file. */
export interface Filled {
  readonly bytes: Uint8Array;
  readonly pageSize: number;
  /** What each table holds: JSON of the record by JSON of the key. */
  readonly rows: Map<string, Map<string, string>>;
  readonly sequence: number;
  readonly fileId: string;
  /** Every record that a note ever was, as JSON behind the JSON of its key. */
  readonly ever: ReadonlySet<string>;
}

export interface FillOptions {
  pageSize?: number;
  notes?: number;
  /** Left behind a clean close, else as a crash leaves it with groups in the journal. */
  closed?: boolean;
  seed?: number;
}

/** Every stored row of every table, as text. */
export function rowsOf(manifest: Manifest): Map<string, Map<string, string>> {
  const all = new Map<string, Map<string, string>>();
  for (const { name } of manifest.listTables()) {
    const table = manifest.tableDefinition(name);
    if (table === undefined) continue;
    const rows = new Map<string, string>();
    for (const [key, value] of manifest.range(table)) rows.set(JSON.stringify(key), JSON.stringify(value));
    all.set(name, rows);
  }
  return all;
}

/** Makes a file: databases, chunks, snapshots, jobs, cursors, rows of the user's; several checkpoints; some commits behind the last. */
export async function fill({ pageSize = 4096, notes: count = 400, closed = false, seed = 1 }: FillOptions = {}): Promise<Filled> {
  const random = seeded(9000 + seed);
  const file = new MemoryFile(undefined, "filled.waybill");
  const manifest = await Manifest.open(new MemoryStorage(file), {
    create: true,
    pageSize,
    idleCheckpoint: 0,
    syncMode: "inline",
    environment: testEnvironment(seed),
  });
  const ever = new Set<string>();
  const note = (id: number, text: string, rank: number): [Table<[id: number], Note>, [number], Note] => {
    ever.add(JSON.stringify([id]) + JSON.stringify({ text, rank }));
    return [notes, [id], { text, rank }];
  };
  const cursor = await manifest.registerChangeCursor("slow");
  for (let db = 1; db <= 4; db++) await manifest.begin().putDb(db, { name: `db ${db}` }).commit();
  for (let db = 1; db <= 4; db++) {
    const txn = manifest.begin();
    for (let chunk = 1; chunk <= 10; chunk++) txn.upsertChunk([db, chunk], { fileName: `c-${db}-${chunk}`, sizeBytes: chunk * 100 });
    txn.publishSnapshot([db, 1], { chunks: Array.from({ length: 8 }, (_, i) => ({ chunkId: i + 1 })) });
    await txn.commit();
    await manifest.begin().putJob(manifest.reserveJobId(), { kind: "flush", db }).commit();
  }
  await manifest.begin().dropSnapshot([4, 1]).commit();
  for (let id = 0; id < count;) {
    const txn = manifest.begin();
    for (const end = Math.min(count, id + 50); id < end; id++) {
      txn.put(...note(id, `note ${id} ${"x".repeat(random.int(80))}`, id));
    }
    await txn.commit();
  }
  await manifest.checkpoint();
  for (let i = 0; i < 4; i++) await manifest.begin().put(blobs, [`blob ${i}`], { text: "y".repeat(9000 + i * 3000) }).commit();
  for (let i = 0; i < 30; i++) await manifest.begin().put(...note(random.int(count), `changed ${i}`, i)).commit();
  await manifest.checkpoint();
  await manifest.acknowledgeChanges(cursor.id, 3);
  for (let i = 0; i < 6; i++) {
    await manifest.begin().put(...note(count + i, `late ${i}`, i)).delete(notes, [i * 7]).commit();
  }
  const rows = rowsOf(manifest);
  const sequence = manifest.latestChangeSequence();
  const { fileId } = manifest;
  const crashed = file.bytes();
  await manifest.close();
  return { bytes: closed ? file.bytes() : crashed, pageSize, rows, sequence, fileId, ever };
}

/** A copy with one thing changed. */
export function damaged(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  return copy;
}

/** Flips a bit in the middle of a page. */
export function rot(bytes: Uint8Array, page: number, pageSize: number, at = pageSize >> 1): Uint8Array {
  return damaged(bytes, (copy) => {
    copy[page * pageSize + at]! ^= 0x10;
  });
}

/** Pages whose header says that they are of a kind, in file order. */
export function pagesOfKind(bytes: Uint8Array, pageSize: number, kind: number, level?: number): number[] {
  const found: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let page = Math.ceil(16384 / pageSize); page < bytes.length / pageSize; page++) {
    const at = page * pageSize;
    if (bytes[at + PAGE_TYPE] !== kind || view.getUint32(at + PAGE_NUMBER, true) !== page) continue;
    if (level === undefined || bytes[at + 5] === level) found.push(page);
  }
  return found;
}

/** CRC32C, as the format has it. */
export function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** Gives a meta slot that was changed its checksum again. */
export function sealSlot(bytes: Uint8Array, slot: number): void {
  const at = slot * BLOCK;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + META_CRC, crc32c(bytes.subarray(at + META_FORMAT, at + BLOCK)), true);
}

/** Gives a page that was changed its checksum again. */
export function sealPage(bytes: Uint8Array, page: number, pageSize: number): void {
  const at = page * pageSize;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, crc32c(bytes.subarray(at + 4, at + pageSize)), true);
}

/** Checks bytes; what was found besides the summary. */
export async function check(bytes: Uint8Array, options: CheckOptions = {}): Promise<CheckSummary & { found: Finding[] }> {
  const found: Finding[] = [];
  const storage = new MemoryStorage(bytes, { readOnly: true, name: "damaged.waybill" });
  const summary = await checkFile(storage, { environment: testEnvironment(2), ...options, onFinding: (finding) => found.push(finding) });
  storage.close();
  return { ...summary, found };
}
