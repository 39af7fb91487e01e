// A process that opens a manifest and says how that went. Argument: path.
//
// `{ opened: { pid, changes } }`, and then it commits once for each line of its input and answers `{ sequence }`; or `{ error }`, and it ends. The end of its input closes the manifest.
import { createInterface } from "node:readline";
import process from "node:process";
import { isManifestError, Manifest } from "../../../mod.ts";

const [path = ""] = process.argv.slice(2);

function say(value: unknown): void {
  process.stdout.write(JSON.stringify(value) + "\n");
}

try {
  const manifest = await Manifest.open(path, { create: true });
  const changes = manifest.latestChangeSequence();
  say({ opened: { pid: process.pid, changes } });
  for await (const line of createInterface({ input: process.stdin })) {
    const { sequence } = await manifest.begin().putDb(1, { name: line }).commit();
    say({ sequence });
  }
  await manifest.close();
  say({ closed: true });
} catch (error) {
  if (!isManifestError(error)) throw error;
  say({ error: error.toJSON() });
}
