// A process that claims a file and says so: for the lock tests. Arguments: path, locking ("auto" or "claim").
//
// Prints one line of JSON, `{ held, strength, previous }` or `{ error }`. Holding, it waits: a line on its input makes it close and end, the end of its input too.
import process from "node:process";
import { isManifestError } from "../../../src/errors.ts";
import { openFile } from "../../../src/storage/file.ts";
import type { Locking } from "../../../src/storage/file_lock.ts";

const [path = "", locking = "auto", nonce = "nonce-of-a-child-0"] = process.argv.slice(2);

function say(value: unknown): void {
  process.stdout.write(JSON.stringify(value) + "\n");
}

try {
  const storage = openFile(path, { create: true, locking: locking as Locking });
  try {
    const lock = storage.lock({ now: Date.UTC(2026, 5, 6), nonce });
    process.stdin.once("data", () => {
      storage.close();
      process.exit(0);
    });
    process.stdin.once("end", () => process.exit(0));
    say({ held: lock.holder, strength: lock.strength, previous: lock.previous ?? null });
  } catch (error) {
    storage.close();
    throw error;
  }
} catch (error) {
  if (!isManifestError(error)) throw error;
  say({ error: error.toJSON() });
}
