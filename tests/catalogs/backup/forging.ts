// What the tests of forged backups share: records and objects that say something else, with digests that are right.
import { recordNames } from "../../../src/catalogs/backup/chain.ts";
import { contentName } from "../../../src/catalogs/backup/content.ts";
import { type ObjectName, objectPath, objectText, recordPath } from "../../../src/catalogs/backup/names.ts";
import { type BackupRecord, decodeRecord, encodeRecord } from "../../../src/catalogs/backup/record.ts";
import { decodedRows, type RawRow } from "../../../src/catalogs/backup/rows.ts";
import type { Folder } from "../../../src/catalogs/files/mod.ts";
import { fileBytes, putFile } from "./parts.ts";

/** The newest record. */
export async function newest(place: Folder): Promise<BackupRecord> {
  const { names } = await recordNames(place);
  return decodeRecord(await fileBytes(place, recordPath(names.at(-1)!)), "record");
}

/** Replaces the newest record by one that `change` makes of it. */
export async function forge(place: Folder, change: (record: BackupRecord) => BackupRecord | Promise<BackupRecord>): Promise<void> {
  const record = await newest(place);
  const digest = (await contentName(encodeRecord(record))).digest;
  const bytes = encodeRecord(await change(record));
  await place.remove(recordPath({ number: record.number, digest }));
  await putFile(place, recordPath({ number: record.number, digest: (await contentName(bytes)).digest }), bytes);
}

/** Puts an object. */
export async function putObject(place: Folder, content: string | Uint8Array): Promise<ObjectName> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const name = await contentName(bytes);
  await putFile(place, objectPath(name), bytes);
  return name;
}

/** A list of files. */
export function listOf(files: readonly (readonly [path: string, object: ObjectName])[]): string {
  return files.map(([path, object]) => `${JSON.stringify([path, objectText(object)])}\n`).join("");
}

/** All rows of a record's manifest. */
export async function rowsIn(place: Folder, { manifest: { pieces } }: BackupRecord): Promise<RawRow[]> {
  const rows: RawRow[] = [];
  for (const piece of pieces) rows.push(...decodedRows(await fileBytes(place, objectPath(piece)), "piece"));
  return rows;
}

/** Rows as a piece. */
export function pieceOf(rows: readonly RawRow[]): Uint8Array {
  const out: number[] = [];
  const header = new Uint8Array(12);
  for (const { table, key, value } of rows) {
    [table, key.length, value.length].forEach((number, i) => new DataView(header.buffer).setUint32(i * 4, number, true));
    for (const part of [header, key, value]) for (const byte of part) out.push(byte);
  }
  return new Uint8Array(out);
}
