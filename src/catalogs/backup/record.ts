// The record of a backup: what it holds, and which one it follows. JSON in one form only: keys in the order below, no spaces.
//
// Its file is named by its digest, so that one that was changed is told from itself; `parent` is the digest of the record before, so that the chain is told from its last link.
import { fail } from "../../errors.ts";
import { type ObjectName, objectText, parseObject } from "./names.ts";

/** Version of the format. A reader refuses a greater one. */
export const BACKUP_FORMAT = 1;

/** The manifest in a backup. */
export interface ManifestPart {
  /** Names the file, and the history of it, that was backed up. */
  readonly fileId: string;
  readonly historyId: string;
  /** The last change and the last frame. */
  readonly sequence: number;
  readonly frame: number;
  readonly pageSize: number;
  /** Rows of all tables. */
  readonly rows: number;
  /** The rows, in order (rows.ts). */
  readonly pieces: readonly ObjectName[];
}

/** A file set in a backup. */
export interface FilesPart {
  /** The catalog's name. */
  readonly catalog: string;
  readonly files: number;
  readonly bytes: number;
  /** Its files, in the order of their paths (file_list.ts). */
  readonly lists: readonly ObjectName[];
}

/** A record. */
export interface BackupRecord {
  readonly number: number;
  /** Digest of the record before; undefined: this is the first. */
  readonly parent: string | undefined;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  readonly manifest: ManifestPart;
  readonly fileSets: readonly FilesPart[];
}

const HEX_128 = /^[0-9a-f]{32}$/;
const HEX_256 = /^[0-9a-f]{64}$/;

/** A record as it is stored. */
export function encodeRecord({ number, parent, takenAt, manifest, fileSets }: BackupRecord): Uint8Array {
  const { fileId, historyId, sequence, frame, pageSize, rows, pieces } = manifest;
  const text = JSON.stringify({
    format: BACKUP_FORMAT,
    number,
    parent: parent ?? null,
    takenAt,
    manifest: { fileId, historyId, sequence, frame, pageSize, rows, pieces: pieces.map(objectText) },
    fileSets: fileSets.map(({ catalog, files, bytes, lists }) => ({ catalog, files, bytes, lists: lists.map(objectText) })),
  });
  return new TextEncoder().encode(text);
}

/** A record out of bytes whose digest is right. BACKUP_DAMAGED when it makes no sense all the same; FORMAT_TOO_NEW. */
export function decodeRecord(bytes: Uint8Array, file: string): BackupRecord {
  const damaged = (what: string): never =>
    fail("BACKUP_DAMAGED", `Cannot read a backup: its record ${what}`, { detail: { file, reason: "record" } });
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)) as Record<string, unknown>;
  } catch {
    return damaged("is not JSON");
  }
  if (typeof value !== "object" || value === null) return damaged("is no object");
  if (typeof value.format === "number" && value.format > BACKUP_FORMAT) {
    fail("FORMAT_TOO_NEW", `Cannot read a backup: its format is ${value.format}, this version reads up to ${BACKUP_FORMAT}`, {
      detail: { file, version: value.format, limit: BACKUP_FORMAT },
    });
  }
  const whole = (of: Record<string, unknown>, name: string, from = 0): number => {
    const number = of[name];
    return Number.isSafeInteger(number) && (number as number) >= from ? number as number : damaged(`has no number "${name}"`);
  };
  const text = (of: Record<string, unknown>, name: string, pattern: RegExp): string => {
    const found = of[name];
    return typeof found === "string" && pattern.test(found) ? found : damaged(`has no "${name}"`);
  };
  const names = (of: Record<string, unknown>, name: string): ObjectName[] => {
    const found = of[name];
    return Array.isArray(found)
      ? found.map((item) => parseObject(item) ?? damaged(`names no object in "${name}"`))
      : damaged(`has no "${name}"`);
  };
  const part = (of: unknown): Record<string, unknown> =>
    typeof of === "object" && of !== null ? of as Record<string, unknown> : damaged("lacks a part");
  const manifest = part(value.manifest);
  const pageSize = whole(manifest, "pageSize", 1);
  const record: BackupRecord = {
    number: whole(value, "number", 1),
    parent: value.parent === null ? undefined : text(value, "parent", HEX_256),
    takenAt: whole(value, "takenAt"),
    manifest: {
      fileId: text(manifest, "fileId", HEX_128),
      historyId: text(manifest, "historyId", HEX_128),
      sequence: whole(manifest, "sequence"),
      frame: whole(manifest, "frame"),
      pageSize: [12, 13, 14, 15, 16].some((shift) => pageSize === 2 ** shift) ? pageSize : damaged("has an impossible page size"),
      rows: whole(manifest, "rows"),
      pieces: names(manifest, "pieces"),
    },
    fileSets: (Array.isArray(value.fileSets) ? value.fileSets : damaged("has no file sets")).map((item: unknown) => {
      const set = part(item);
      return {
        catalog: text(set, "catalog", /^[^\0]{1,128}$/u),
        files: whole(set, "files"),
        bytes: whole(set, "bytes"),
        lists: names(set, "lists"),
      };
    }),
  };
  if (value.format !== BACKUP_FORMAT || !same(encodeRecord(record), bytes)) return damaged("is not in the form that records have");
  return record;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
