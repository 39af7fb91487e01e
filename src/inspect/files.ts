// Files as storage, for inspections: one that is only read, and one that is new.
import { fail } from "../errors.ts";
import { discardFile } from "../storage/discard.ts";
import { FileStorage, openFile } from "../storage/file.ts";
import type { Storage } from "../storage/storage.ts";

/** Opens a file for looking into it. Nothing is written and no lock is taken; close it. NOT_FOUND, NOT_A_REGULAR_FILE, PERMISSION. */
export function openSource(path: string | URL, options: { followSymlink?: boolean } = {}): Storage {
  return openFile(path, { readOnly: true, followSymlink: options.followSymlink });
}

/** Makes a file that was not there, as the target of a salvage; close it. EXISTS when there is one. */
export function createTarget(path: string | URL): Storage {
  const storage = openFile(path, { create: true });
  if (storage.created) return storage;
  storage.close();
  fail("EXISTS", `Cannot make "${storage.name}": it exists`, { detail: { file: storage.name }, handle: "closed" });
}

/** Closes a target that came to nothing and removes it with what lies beside it. Never throws; a file that was not made by `createTarget` stays. */
export function discardTarget(target: Storage): void {
  try {
    target.close();
  } catch {
    // it is to go anyway
  }
  if (target instanceof FileStorage && target.created) discardFile(target);
}
