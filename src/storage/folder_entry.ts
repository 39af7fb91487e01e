// Checks of names in a folder that every adapter makes in the same words.
import { baseName, type ErrorCode, fail } from "../errors.ts";
import type { EntryKind } from "./folder.ts";

/** What a kind is called in messages. */
const CALLED: Readonly<Record<EntryKind, string>> = {
  file: "a file",
  directory: "a directory",
  link: "a symbolic link",
  other: "a device",
};

/** Throws the error of a call on a name in a folder. */
export function failEntry(code: ErrorCode, action: string, path: string, state: string): never {
  fail(code, `Cannot ${action} "${baseName(path)}": ${state}`, { detail: { file: path }, handle: "ok" });
}

/** Throws NOT_FOUND. */
export function failMissing(action: string, path: string): never {
  failEntry("NOT_FOUND", action, path, "no such file or directory");
}

/** Throws unless what lies at a path is a directory. */
export function checkDirectory(kind: EntryKind, action: string, path: string): void {
  if (kind === "link") failEntry("NOT_A_REGULAR_FILE", action, path, "it is a symbolic link");
  if (kind !== "directory") failEntry("NOT_A_DIRECTORY", action, path, `it is ${CALLED[kind]}`);
}

/** Throws unless what lies at a path is a regular file. */
export function checkFile(kind: EntryKind, action: string, path: string): void {
  if (kind !== "file") failEntry("NOT_A_REGULAR_FILE", action, path, `it is ${CALLED[kind]}`);
}

/** Throws unless what lies at `from` may get the name `to`, where `there` lies now. Equal paths are no matter of this check. */
export function checkRename(kind: EntryKind, from: string, to: string, there: EntryKind | undefined): void {
  if (kind === "directory") {
    if (to.startsWith(`${from}/`)) failEntry("NAME_INVALID", "rename", from, "the new name lies inside of it");
    if (there !== undefined) failEntry("EXISTS", "rename", to, `there is ${CALLED[there]}`);
  } else {
    checkFile(kind, "rename", from);
    if (there !== undefined) checkFile(there, "rename", to);
  }
}
