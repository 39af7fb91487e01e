// The records of a backup folder: read, held against each other, and written.
//
// Invariants:
// - Numbers rise by one from the first record that is there; each names the digest of the one before; all are of one history of one manifest.
// - A record is written when everything that it names is durable, and lies under its name whole or not at all.
import { fail } from "../../errors.ts";
import type { Environment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { contentName } from "./content.ts";
import { draftName, parseRecordName, type RecordName, recordPath, RECORDS } from "./names.ts";
import { type BackupRecord, decodeRecord, encodeRecord } from "./record.ts";

/** No record is longer. */
const RECORD_MOST = 256 << 20;

/** A record, and the name that it has. */
export interface Link {
  readonly name: RecordName;
  readonly record: BackupRecord;
}

/** Names of the records that are there, oldest first. Files with other names are told in `others`. */
export async function recordNames(folder: Folder): Promise<{ names: RecordName[]; others: string[] }> {
  const names: RecordName[] = [];
  const others: string[] = [];
  for (const { name, kind } of await folder.list(RECORDS)) {
    const parsed = kind === "file" ? parseRecordName(name) : undefined;
    if (parsed === undefined) others.push(name);
    else names.push(parsed);
  }
  return { names: names.sort((a, b) => a.number - b.number || (a.digest < b.digest ? -1 : 1)), others };
}

/** Reads a record. BACKUP_INCOMPLETE when it is missing, BACKUP_DAMAGED when its bytes are not what its name says. */
export async function readRecord(folder: Folder, name: RecordName): Promise<BackupRecord> {
  const path = recordPath(name);
  const facts = await folder.facts(path);
  if (facts === undefined) fail("BACKUP_INCOMPLETE", `Cannot read a backup: record ${name.number} is missing`, { detail: { file: path } });
  const damaged = (reason: string): never =>
    fail("BACKUP_DAMAGED", `Cannot read a backup: record ${name.number} is damaged`, { detail: { file: path, reason } });
  if (facts.kind !== "file" || facts.sizeBytes > RECORD_MOST) return damaged("size");
  const file = await folder.open(path);
  try {
    const bytes = new Uint8Array(facts.sizeBytes);
    if (await file.read(0, bytes) !== bytes.length || (await contentName(bytes)).digest !== name.digest) return damaged("digest");
    const record = decodeRecord(bytes, path);
    return record.number === name.number ? record : damaged("number");
  } finally {
    await file.close();
  }
}

/** Throws unless `next` follows `before`: BACKUP_INCOMPLETE when a link is missing between them, BACKUP_MISMATCH when they are of different manifests or chains. */
export function checkLink(before: Link | undefined, next: Link): void {
  const { number, parent, manifest } = next.record;
  const detail = { file: recordPath(next.name), number };
  if (before === undefined) {
    if (parent !== undefined) {
      fail("BACKUP_INCOMPLETE", `Cannot read a backup: record ${number - 1}, which ${number} follows, is missing`, { detail });
    }
    return;
  }
  if (manifest.fileId !== before.record.manifest.fileId || manifest.historyId !== before.record.manifest.historyId) {
    fail("BACKUP_MISMATCH", `Cannot read a backup: records ${before.name.number} and ${number} are of different manifests`, { detail });
  }
  if (number === before.name.number) fail("BACKUP_MISMATCH", `Cannot read a backup: there are two records ${number}`, { detail });
  if (number !== before.name.number + 1) {
    fail("BACKUP_INCOMPLETE", `Cannot read a backup: record ${before.name.number + 1} is missing`, { detail });
  }
  if (parent !== before.name.digest) {
    fail("BACKUP_MISMATCH", `Cannot read a backup: record ${number} follows another record ${number - 1}`, { detail });
  }
}

/** The whole chain, verified, oldest first, up to `last` when that is given; of its records one is held and the one before. NOT_FOUND when there is no such backup. */
export async function* readChain(folder: Folder, last?: number): AsyncGenerator<Link> {
  const { names } = await recordNames(folder);
  let before: Link | undefined;
  for (const name of names) {
    if (last !== undefined && name.number > last) break;
    const link = { name, record: await readRecord(folder, name) };
    checkLink(before, link);
    yield before = link;
  }
  if (last !== undefined && before?.name.number !== last) {
    const missing = names.some(({ number }) => number > last);
    fail(missing ? "BACKUP_INCOMPLETE" : "NOT_FOUND", `Cannot read a backup: there is no backup ${last}`, { detail: { number: last } });
  }
}

/** The last record of the whole chain, which is verified; undefined when there is none. */
export async function lastLink(folder: Folder, last?: number): Promise<Link | undefined> {
  let link: Link | undefined;
  for await (link of readChain(folder, last));
  return link;
}

/** Writes a record; durable when it resolves. CONFLICT when somebody else has written one of that number meanwhile: ours is gone then. */
export async function writeRecord(folder: Folder, environment: Environment, record: BackupRecord): Promise<RecordName> {
  const bytes = encodeRecord(record);
  decodeRecord(bytes, `${RECORDS}/${record.number}`); // what could not be read again is not written
  const name = { number: record.number, digest: (await contentName(bytes)).digest };
  const draft = draftName(environment);
  const file = await folder.create(draft);
  try {
    await file.write(0, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await folder.rename(draft, recordPath(name));
  try {
    await folder.syncDirectory(RECORDS);
    await readRecord(folder, name);
    const { names } = await recordNames(folder);
    if (names.some(({ number, digest }) => number === name.number && digest !== name.digest)) {
      fail("CONFLICT", `Cannot back up: another backup ${name.number} was taken at the same time`, { detail: { number: name.number } });
    }
  } catch (error) {
    await removeRecord(folder, name).catch(() => {}); // what went wrong first says more
    throw error;
  }
  return name;
}

/** Durable when it resolves: one that came back behind a crash would lie beside the next one of its number. */
async function removeRecord(folder: Folder, name: RecordName): Promise<void> {
  await folder.remove(recordPath(name));
  await folder.syncDirectory(RECORDS);
}
