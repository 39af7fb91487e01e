// The command line in tests: run in this process with outputs that are kept, or as a program on a runtime; and the manifest that most of its tests look into.
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bytes, defineTable, f64, Manifest, optional, text, u53, u64 } from "../../mod.ts";
import { type CliIo, type ExitCode, run } from "../../src/cli/mod.ts";
import { testEnvironment } from "./environment.ts";
import { runtimeCommand, type RuntimeName } from "./runtimes.ts";

/** What a run printed, and how it ended. */
export interface CliResult {
  code: ExitCode;
  out: string;
  err: string;
}

/** What a run finds around it. */
export interface CliOptions {
  /** Both outputs are terminals. */
  terminal?: boolean;
  env?: Record<string, string>;
  signal?: AbortSignal;
  closed?: AbortSignal;
  /** Hears what goes to the standard output as it goes. */
  heard?: (text: string) => void;
}

/** Runs the command line in this process. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const never = new AbortController().signal;
  const kept = { out: "", err: "" };
  const { terminal: isTerminal = false, env = {}, signal = never, closed = never, heard } = options;
  const io: CliIo = {
    stdout: {
      isTerminal,
      write: (part) => {
        kept.out += part;
        heard?.(part);
      },
    },
    stderr: { isTerminal, columns: 80, write: (part) => void (kept.err += part) },
    signal,
    closed,
    env: (name) => env[name],
  };
  const code = await run(args, io);
  return { code, ...kept };
}

/** The lines of JSON that a run printed. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Starts the command line as a program. */
export function spawnCli(runtime: RuntimeName, args: readonly string[], output: "pipe" | number = "pipe"): ChildProcess {
  const { cmd, args: all } = runtimeCommand(runtime, "src/cli/main.ts", [...args]);
  return spawn(cmd, all, { stdio: ["ignore", output, "pipe"] });
}

/** Everything in a folder, byte for byte. */
export function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path).toString("base64")] as const;
    }).sort(),
  );
}

/** A table of the user with a value of each awkward kind. */
export const owners = defineTable({
  name: "owners",
  key: [u53("db"), text("path")],
  value: { team: text(), digest: bytes(), total: u64(), share: f64(), note: optional(text()) },
});

/** Makes the manifest that the tests look into: the same bytes each time. Three changes, one cursor. */
export async function makeManifest(path: string): Promise<void> {
  const manifest = await Manifest.open(path, { create: true, environment: testEnvironment(41), idleCheckpoint: 0, syncMode: "inline" });
  await manifest.registerChangeCursor("replica-a", { start: "oldest" });
  await manifest.begin().putDb(1, { name: "events" })
    .upsertChunk([1, 42], { fileName: "c-42.seg", generation: 7, sizeBytes: 1 << 20 })
    .upsertChunk([1, 43], { fileName: "c-43.seg", sizeBytes: 4096 })
    .publishSnapshot([1, 1], { sourceGeneration: 7, chunks: [{ chunkId: 42 }] })
    .commit();
  await manifest.begin({ origin: "importer" })
    .put(owners, [1, "a/b"], { team: "core", digest: Uint8Array.of(0, 255), total: 2n ** 64n - 1n, share: -0 })
    .put(owners, [1, "a/c"], { team: "web", digest: new Uint8Array(0), total: 0n, share: NaN, note: "n\u001b[31m" })
    .commit();
  await manifest.begin().deleteChunk([1, 43]).commit();
  await manifest.close();
}

/** Makes a manifest of a few MiB whose rows are gone: the same bytes each time. */
export async function makeSparse(path: string): Promise<void> {
  const manifest = await Manifest.open(path, { create: true, environment: testEnvironment(42), idleCheckpoint: 0, syncMode: "inline" });
  for (let n = 0; n < 20; n++) {
    const txn = manifest.begin();
    for (let db = 1; db <= 20; db++) txn.putDb(20 * n + db, { name: "x".repeat(2000) });
    await txn.commit();
  }
  for (let n = 0; n < 20; n++) {
    const txn = manifest.begin();
    for (let db = 1; db <= 20; db++) txn.deleteDb(20 * n + db);
    await txn.commit();
  }
  await manifest.close();
}
