// The files of a file set as a stream of bytes, and back: a line of JSON for each, [path, object], in the order in which the catalog has them.
import { fail } from "../../errors.ts";
import { foldPath } from "../files/tables.ts";
import type { StoredFile } from "../files/version.ts";
import { checkRelativePath } from "../../storage/relative_path.ts";
import { type ObjectName, objectText, parseObject } from "./names.ts";

/** A file of a backup. */
export interface ListedFile {
  /** Its path in the folder of its file set. */
  readonly path: string;
  /** Its content. */
  readonly object: ObjectName;
}

/** The object that a stored file's content is. */
export function objectOf({ algorithm, digest, sizeBytes }: StoredFile): ObjectName {
  return { algorithm, digest, sizeBytes };
}

/** A file as a line. */
export function encodeFile({ path, object }: ListedFile): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify([path, objectText(object)])}\n`);
}

/** The files of a piece, which holds whole lines. BACKUP_DAMAGED when it does not; NAME_INVALID for a path that leads out of the folder. */
export function decodeFiles(piece: Uint8Array, file: string): ListedFile[] {
  const damaged = (): never =>
    fail("BACKUP_DAMAGED", "Cannot read a backup: a list of files makes no sense", { detail: { file, reason: "list" } });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(piece);
  } catch {
    return damaged();
  }
  if (!text.endsWith("\n")) return damaged();
  return text.slice(0, -1).split("\n").map((line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return damaged();
    }
    const [path, name] = Array.isArray(value) && value.length === 2 ? value as [unknown, unknown] : damaged();
    const object = parseObject(name) ?? damaged();
    if (typeof path !== "string") return damaged();
    checkRelativePath(path, "restore");
    return { path, object };
  });
}

/** Notes paths; BACKUP_DAMAGED when two of them are one file on some platform, or one is a directory of another. */
export class PathSet {
  readonly #files = new Set<string>();
  readonly #directories = new Set<string>();

  add(path: string): void {
    const folded = foldPath(path);
    let clash = this.#files.has(folded) || this.#directories.has(folded);
    for (let at = folded.indexOf("/"); at >= 0; at = folded.indexOf("/", at + 1)) {
      const directory = folded.slice(0, at);
      clash ||= this.#files.has(directory);
      this.#directories.add(directory);
    }
    this.#files.add(folded);
    if (clash) fail("BACKUP_DAMAGED", "Cannot restore: two files of the backup have one path", { detail: { file: path, reason: "path" } });
  }
}
