// A folder for one test, removed behind it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new empty folder. */
export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "waybill-test-"));
}

/** Removes a folder with everything in it. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a body with a folder of its own. */
export async function withFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = makeFolder();
  try {
    await body(folder);
  } finally {
    removeFolder(folder);
  }
}
