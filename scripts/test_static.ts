// The part of the gate that runs no test: formatting, lint, types, documentation, the package as it would be published, and the kernel against its sources.
import { existsSync, readdirSync } from "node:fs";
import { type Job, runProgram, tail } from "./gate.ts";

const SOURCES = ["mod.ts", "src", "scripts", "tests", "bench"];

function sources(): string[] {
  return SOURCES.filter((path) => existsSync(path) && (path.endsWith(".ts") || hasTypeScript(path)));
}

function hasTypeScript(folder: string): boolean {
  return readdirSync(folder, { recursive: true }).some((name) => String(name).endsWith(".ts"));
}

/** The static checks; `importMap` stands in for JSR where it does not answer. */
export function staticJobs(importMap: string | undefined): Job[] {
  const mapped = importMap === undefined ? [] : ["--import-map", importMap];
  const checks: [name: string, args: string[]][] = [
    ["deno fmt --check", ["fmt", "--check"]],
    ["deno lint", ["lint"]],
    ["deno check", ["check", ...mapped, ...sources()]],
    ["deno doc --lint", ["doc", "--lint", "mod.ts", "src/flush/mod.ts", "src/inspect/mod.ts", "src/cli/mod.ts"]],
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
