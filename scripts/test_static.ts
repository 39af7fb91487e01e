// The part of the gate that runs no test: formatting, lint, types, documentation, the package as it would be published, and the kernel against its sources.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Job, runProgram, tail } from "./gate.ts";

const SOURCES = ["mod.ts", "src", "scripts", "tests", "bench", "examples"];

function sources(): string[] {
  return SOURCES.filter((path) => existsSync(path) && (path.endsWith(".ts") || hasTypeScript(path)));
}

function hasTypeScript(folder: string): boolean {
  return readdirSync(folder, { recursive: true }).some((name) => String(name).endsWith(".ts"));
}

/** What users can import: the modules that the package exports, without the program of the command line. */
function entryPoints(): string[] {
  const { exports } = JSON.parse(readFileSync("deno.json", "utf8")) as { exports: Record<string, string> };
  return Object.values(exports).filter((path) => path.endsWith("mod.ts"));
}

/** The static checks; `importMap` stands in for JSR where it does not answer. */
export function staticJobs(importMap: string | undefined): Job[] {
  const mapped = importMap === undefined ? [] : ["--import-map", importMap];
  const checks: [name: string, args: string[]][] = [
    ["deno fmt --check", ["fmt", "--check"]],
    ["deno lint", ["lint"]],
    ["deno check", ["check", ...mapped, ...sources()]],
    ["deno doc --lint", ["doc", "--lint", ...entryPoints()]],
    ["deno publish --dry-run", ["publish", "--dry-run", "--allow-dirty"]],
    ["kernel: core.wasm is what assembly/ compiles to", ["run", "-A", "scripts/build.ts", "--check"]],
  ];
  return checks.map(([name, args]) => ({
    stage: "static",
    name,
    weight: 1e6, // first: cheap, and what fails here often explains the rest
    async run() {
      const { code, text } = await runProgram(Deno.execPath(), args);
      return code === 0 ? { passed: 1, failures: [] } : { passed: 0, failures: [`${name}\n${tail(text)}`] };
    },
  }));
}
