// Runs a script on another runtime, or on this one in a process of its own.
//
// Every runtime gets the same bundle of the script, made at first use in this process: no import map is needed and the sources cannot be stale. Paths are
// relative to the project's root, which is the working directory of every test. The programs' places come from .build/runtimes.json; when that is
// missing and this is Deno (one test file run directly), scripts/tools.ts makes it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { basename, resolve } from "node:path";
import process from "node:process";
import { packageAliases } from "./source.ts";

/** A runtime that the package supports on a machine with files. */
export type RuntimeName = "deno" | "bun" | "node";

/** All of them. */
export const RUNTIMES: readonly RuntimeName[] = ["deno", "bun", "node"];

/** A program with its arguments, as `node:child_process` takes them. */
export interface RuntimeCommand {
  cmd: string;
  args: string[];
}

type Places = Record<RuntimeName | "esbuild", string>;

const PLACES_FILE = ".build/runtimes.json";
const bundles = new Map<string, string>();
let places: Places | undefined;

function readPlaces(): Places | undefined {
  if (!existsSync(PLACES_FILE)) return undefined;
  const read = JSON.parse(readFileSync(PLACES_FILE, "utf8")) as Places;
  return [...RUNTIMES, "esbuild" as const].every((name) => existsSync(read[name])) ? read : undefined;
}

function findPlaces(): Places {
  places ??= readPlaces();
  if (places === undefined && "Deno" in globalThis) {
    const found = spawnSync(process.execPath, ["run", "-A", "scripts/tools.ts"], { stdio: ["ignore", "ignore", "inherit"] });
    if (found.status === 0) places = readPlaces();
  }
  if (places === undefined) throw new Error(`Cannot find the runtimes: run "deno run -A scripts/tools.ts" in the project's root first`);
  return places;
}

/** The runtime that runs this test. */
export function currentRuntime(): RuntimeName {
  if ("Deno" in globalThis) return "deno";
  return "bun" in process.versions ? "bun" : "node";
}

/** The program of a runtime. */
export function runtimePath(runtime: RuntimeName): string {
  return findPlaces()[runtime];
}

/** The esbuild program. */
export function esbuildPath(): string {
  return findPlaces().esbuild;
}

/** Bundles a script, once a process, and returns the bundle's absolute path. */
export function bundleScript(scriptPath: string): string {
  const known = bundles.get(scriptPath);
  if (known !== undefined) return known;
  mkdirSync(".build/scripts", { recursive: true });
  const out = resolve(".build/scripts", scriptPath.replace(/[\\/]/g, "-").replace(/\.ts$/, "") + ".mjs");
  const draft = `${out}.${process.pid}.${basename(out)}`;
  const made = spawnSync(findPlaces().esbuild, [
    scriptPath,
    "--bundle",
    "--format=esm",
    "--platform=node",
    "--target=node20",
    "--external:bun:*",
    // packages of the old module format call for Node's modules by name
    `--banner:js=import { createRequire as createRequireOf } from "node:module"; const require = createRequireOf(import.meta.url);`,
    "--alias:@std/assert=./tests/support/assert.ts",
    ...Object.entries(packageAliases()).map(([name, path]) => `--alias:${name}=${path}`),
    "--log-level=error",
    `--outfile=${draft}`,
  ], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`Cannot bundle ${scriptPath}: ${made.stderr}`);
  renameSync(draft, out); // at once, because test processes run beside each other
  bundles.set(scriptPath, out);
  return out;
}

/** The command that runs a script (path from the project's root) on a runtime. */
export function runtimeCommand(runtime: RuntimeName, scriptPath: string, args: string[] = []): RuntimeCommand {
  const bundle = bundleScript(scriptPath);
  const cmd = findPlaces()[runtime];
  switch (runtime) {
    case "deno":
      return { cmd, args: ["run", "-A", "--no-config", "--no-check", "--quiet", bundle, ...args] };
    case "bun":
      return { cmd, args: ["run", bundle, ...args] };
    case "node":
      return { cmd, args: ["--no-warnings", bundle, ...args] };
  }
}
