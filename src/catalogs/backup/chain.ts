// The records of a backup folder: read, held against each other, and written.
//
// Invariants:
// - Numbers rise by one from the first record that is there; each names the digest of the one before; all are of one history of one manifest.
// - A record is written when everything that it names is durable, and lies under its name whole or not at all.
// - Of one number there is one record, whoever writes at the same time: it lies in a directory that is called by the number, and comes there with it, by a rename that fails where something is. That directory is never empty, so that
//   systems whose rename replaces an empty one do not replace it.
// - A record that has its name is never taken away: somebody may have gone on behind it.
// - Where there are objects and no record, either `objects/new/first` is there, and the first backup did not end, or the records are lost.
import { fail, isManifestError } from "../../errors.ts";
import type { Environment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { contentName } from "./content.ts";
import {
  FIRST,
  isDraft,
  OBJECTS,
  parseRecordName,
  recordDirectory,
  recordDraft,
  type RecordName,
  recordPath,
  RECORDS,
  UNFINISHED,
} from "./names.ts";
import { type BackupRecord, decodeRecord, encodeRecord } from "./record.ts";

/** No record is longer. */
const RECORD_MOST = 256 << 20;

/** A record, and the name that it has. */
export interface Link {
  readonly name: RecordName;
  readonly record: BackupRecord;
}

/** Names of the records that are there, oldest first. Everything else is told in `others`, by its path from the directory of records: what is no directory, a directory that no number has, one without a record, what lies beside a record. */
export async function recordNames(folder: Folder): Promise<{ names: RecordName[]; others: string[] }> {
  const names: RecordName[] = [];
  const others: string[] = [];
  for (const { name: directory, kind } of await folder.list(RECORDS)) {
    if (kind === "directory" && isDraft(RECORDS, directory)) continue;
    const from = kind === "directory" && recordDirectory(Number(directory)) === `${RECORDS}/${directory}`
      ? await folder.list(`${RECORDS}/${directory}`)
      : [];
    if (from.length === 0) others.push(directory);
    for (const { name, kind } of from) {
      const path = `${directory}/${name}`;
      const parsed = kind === "file" ? parseRecordName(path) : undefined;
      if (parsed === undefined) others.push(path);
      else names.push(parsed);
    }
  }
  return { names: names.sort((a, b) => a.number - b.number || (a.digest < b.digest ? -1 : 1)), others };
}

/** Throws when something that is no record lies in the place of one, up to `last`: BACKUP_DAMAGED, or BACKUP_INCOMPLETE when it is a directory without anything. What has no number is in nobody's place. */
async function checkPlaces(folder: Folder, others: readonly string[], last: number): Promise<void> {
  for (const other of others) {
    const number = /^[0-9]+/.exec(other)?.[0];
    if (number === undefined || Number(number) > last) continue;
    const file = `${RECORDS}/${other}`;
    const empty = !other.includes("/") && (await folder.facts(file))?.kind === "directory" && (await folder.list(file)).length === 0;
    if (empty) fail("BACKUP_INCOMPLETE", `Cannot read a backup: record ${Number(number)} is missing`, { detail: { file } });
    fail("BACKUP_DAMAGED", `Cannot read a backup: what lies in the place of record ${Number(number)} is none`, {
      detail: { file, reason: "kind" },
    });
  }
}

/** Reads a record. BACKUP_INCOMPLETE when it is missing, BACKUP_DAMAGED when its bytes are not what its name says. */
export async function readRecord(folder: Folder, name: RecordName, path: string = recordPath(name)): Promise<BackupRecord> {
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
  const { names, others } = await recordNames(folder);
  await checkPlaces(folder, others, last ?? Infinity);
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

/** The record that the next one follows, of a chain that is verified; undefined when there is none yet. BACKUP_INCOMPLETE when there are objects whose records are lost. */
export async function parentOfNext(folder: Folder): Promise<Link | undefined> {
  const before = await lastLink(folder);
  // In this order: an object is seen no sooner than the note, and the note goes no sooner than the record comes.
  if (before !== undefined || !await hasObjects(folder) || await folder.facts(FIRST) !== undefined) return before;
  const meanwhile = await lastLink(folder);
  if (meanwhile !== undefined) return meanwhile;
  fail("BACKUP_INCOMPLETE", "Cannot back up: there are objects of backups, and all records are missing", { detail: { file: RECORDS } });
}

/** Notes that the first backup has begun; durable when it resolves. No object is stored before. */
export async function noteFirst(folder: Folder): Promise<void> {
  await folder.makeDirectory(UNFINISHED);
  try {
    await (await folder.create(FIRST)).close();
  } catch (error) {
    if (!isManifestError(error) || error.code !== "EXISTS") throw error;
  }
  for (const directory of [UNFINISHED, OBJECTS, ""]) await folder.syncDirectory(directory);
}

async function hasObjects(folder: Folder): Promise<boolean> {
  for (const { name, kind } of await folder.list(OBJECTS)) {
    if (kind === "directory" && /^[0-9a-f]{2}$/.test(name) && (await folder.list(`${OBJECTS}/${name}`)).length > 0) return true;
  }
  return false;
}

/**
 * Writes a record; durable when it resolves. CONFLICT when somebody else has written one of that number meanwhile.
 *
 * When the sync of its name fails it stays: whether it outlasts a power cut is not known then, until the next one is written.
 */
export async function writeRecord(folder: Folder, environment: Environment, record: BackupRecord): Promise<RecordName> {
  const bytes = encodeRecord(record);
  decodeRecord(bytes, `${RECORDS}/${record.number}`); // what could not be read again is not written
  const name = { number: record.number, digest: (await contentName(bytes)).digest };
  const draft = recordDraft(environment);
  const path = `${draft}/${name.digest}.json`;
  try {
    await folder.makeDirectory(draft);
    await writeWhole(folder, path, bytes);
    await folder.syncDirectory(draft);
    await readRecord(folder, name, path);
    await claim(folder, draft, name.number);
  } catch (error) {
    // What went wrong first says more.
    await folder.remove(path).catch(() => {});
    await folder.removeDirectory(draft).catch(() => {});
    throw error;
  }
  await folder.syncDirectory(RECORDS);
  await folder.remove(FIRST).catch(() => {}); // the backup is there; the next one removes it
  return name;
}

async function writeWhole(folder: Folder, path: string, bytes: Uint8Array): Promise<void> {
  const file = await folder.create(path);
  try {
    await file.write(0, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives a directory with a record its number. */
async function claim(folder: Folder, draft: string, number: number): Promise<void> {
  const directory = recordDirectory(number);
  try {
    await folder.rename(draft, directory);
  } catch (error) {
    // Systems say in several ways that something is there.
    if (await folder.facts(directory).catch(() => undefined) === undefined) throw error;
    fail("CONFLICT", `Cannot back up: another backup ${number} was taken at the same time`, { detail: { number } });
  }
}
