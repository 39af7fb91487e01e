// Names inside a backup: ours, made of digests and numbers, never of anything that the data says.
//
//   backups/<number>/<digest of the record>.json     one record for each backup, in a directory of its own; 8 digits or more
//   objects/<first byte>/<algorithm>-<digest>-<size>   contents, each stored once
//   backups/new-<random>/                            the directory of a record that is being written
//   objects/new/<random>                             an object that is being written
//   objects/new/first                                there is no record yet: the first backup has begun
import type { Environment } from "../../store/environment.ts";
import { hexOf } from "../files/digest.ts";
import type { DigestAlgorithm } from "../files/tables.ts";

/** Where records are. */
export const RECORDS = "backups";
/** Where objects are. */
export const OBJECTS = "objects";
/** Where objects are while they are written. */
export const UNFINISHED = "objects/new";
/** Says that the first backup has begun: from before the first object until the first record is durable. */
export const FIRST = "objects/new/first";

/** An object: its content, named by digest and length. */
export interface ObjectName {
  readonly algorithm: DigestAlgorithm;
  readonly digest: string;
  readonly sizeBytes: number;
}

/** A record: its number is the directory, its digest the file. */
export interface RecordName {
  readonly number: number;
  readonly digest: string;
}

const DIGITS: Readonly<Record<DigestAlgorithm, number>> = { blake3: 64, sha256: 64, xxh3: 32 };
const OBJECT = /^(blake3|sha256|xxh3)-([0-9a-f]+)-(0|[1-9][0-9]{0,15})$/;
const RECORD = /^([0-9]{8,15})\/([0-9a-f]{64})\.json$/;
const NUMBER_DIGITS = 8;
const RECORD_DRAFT = "new-";

/** An object's name as text. */
export function objectText({ algorithm, digest, sizeBytes }: ObjectName): string {
  return `${algorithm}-${digest}-${sizeBytes}`;
}

/** An object's name out of text; undefined when it is none. */
export function parseObject(text: unknown): ObjectName | undefined {
  const match = typeof text === "string" ? OBJECT.exec(text) : null;
  if (match === null) return undefined;
  const [, algorithm, digest, size] = match as unknown as [string, DigestAlgorithm, string, string];
  const sizeBytes = Number(size);
  return digest.length === DIGITS[algorithm] && Number.isSafeInteger(sizeBytes) ? { algorithm, digest, sizeBytes } : undefined;
}

/** The directory of an object. */
export function objectDirectory({ digest }: ObjectName): string {
  return `${OBJECTS}/${digest.slice(0, 2)}`;
}

/** The path of an object. */
export function objectPath(name: ObjectName): string {
  return `${objectDirectory(name)}/${objectText(name)}`;
}

/** The directory of the records of a number, of which there is one. */
export function recordDirectory(number: number): string {
  return `${RECORDS}/${`${number}`.padStart(NUMBER_DIGITS, "0")}`;
}

/** The path of a record. */
export function recordPath({ number, digest }: RecordName): string {
  return `${recordDirectory(number)}/${digest}.json`;
}

/** What a path from `backups` on is called after; undefined when it is no record's. */
export function parseRecordName(name: string): RecordName | undefined {
  const match = RECORD.exec(name);
  if (match === null) return undefined;
  const number = Number(match[1]);
  return number >= 1 && recordPath({ number, digest: match[2]! }) === `${RECORDS}/${name}` ? { number, digest: match[2]! } : undefined;
}

/** A path for an object that is being written. */
export function draftName(environment: Environment): string {
  return `${UNFINISHED}/${randomName(environment)}`;
}

/** A path for the directory of a record that is being written: beside those that have their number, so that getting it is one change of one directory. */
export function recordDraft(environment: Environment): string {
  return `${RECORDS}/${RECORD_DRAFT}${randomName(environment)}`;
}

/** Whether a name in a directory of ours is that of something that is being written. */
export function isDraft(directory: typeof RECORDS | typeof UNFINISHED, name: string): boolean {
  return (directory === RECORDS ? /^new-[0-9a-f]{24}$/ : /^[0-9a-f]{24}$/).test(name);
}

function randomName(environment: Environment): string {
  const random = new Uint8Array(12);
  environment.random(random);
  return hexOf(random);
}
