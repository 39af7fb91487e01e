// The files of a file set as a stream of bytes, and back: a line of JSON for each, [path, object], in the order in which the catalog has them.
import { fail } from "../../errors.ts";
import { releaseHasher, takeHasher } from "../files/digest.ts";
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

/** What comes of many files: how many, their bytes, and a sum of what identifies each of them that does not depend on the order. */
export class FilesTotal {
  files = 0;
  bytes = 0;
  #sum = 0n;

  /** Adds a file. The hasher is for BLAKE3. */
  add(hasher: Awaited<ReturnType<typeof takeHasher>>, file: ListedFile): void {
    const digest = hasher.init().update(encodeFile(file)).digest("hex");
    this.files++;
    this.bytes += file.object.sizeBytes;
    this.#sum = BigInt.asUintN(128, this.#sum + BigInt(`0x${digest.slice(0, 32)}`));
  }

  /** Adds what came of others. */
  join(other: FilesTotal): void {
    this.files += other.files;
    this.bytes += other.bytes;
    this.#sum = BigInt.asUintN(128, this.#sum + other.#sum);
  }

  /** Whether both are of the same files. */
  equals(other: FilesTotal): boolean {
    return this.files === other.files && this.bytes === other.bytes && this.#sum === other.#sum;
  }
}

/** How far the files of a file set have been gone through. */
export interface ListPlace {
  /** The last path, folded; undefined: none yet. */
  readonly last: string | undefined;
  /** Files whose path the last one begins with, shortest first: one of them may turn out to be a directory of what follows. */
  readonly open: readonly string[];
}

/** Before the first file. */
export const LIST_START: ListPlace = { last: undefined, open: [] };

/** Goes through a list; BACKUP_DAMAGED when it is not in the order of the paths with ASCII letters in lower case, when two of them are one file on some platform, or when one is a directory of another. */
export async function walkList(listed: readonly ListedFile[], from: ListPlace): Promise<{ end: ListPlace; total: FilesTotal }> {
  const total = new FilesTotal();
  const open = [...from.open];
  let { last } = from;
  const hasher = await takeHasher("blake3");
  try {
    for (const file of listed) {
      const { path } = file;
      const folded = foldPath(path);
      const wrong = (what: string): never =>
        fail("BACKUP_DAMAGED", `Cannot read a backup: ${what}`, { detail: { file: path, reason: "path" } });
      if (last !== undefined) {
        const order = compareText(last, folded);
        if (order === 0) wrong("two files of it have one path");
        if (order > 0) wrong("a list of files is not in order");
      }
      while (open.length > 0 && !folded.startsWith(open.at(-1)!)) open.pop();
      if (open.some((other) => folded[other.length] === "/")) wrong("a file of it is a directory of another one");
      open.push(folded);
      last = folded;
      total.add(hasher, file);
    }
  } finally {
    releaseHasher("blake3", hasher);
  }
  return { end: { last, open }, total };
}

/** The order of encoded text: by code points. */
function compareText(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points behind all others. */
function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
}
