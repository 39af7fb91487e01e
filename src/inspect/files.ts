// Files as storage, for inspections: one that is only read, and one that is new.
import { fail } from "../errors.ts";
import { openFile } from "../storage/file.ts";
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
