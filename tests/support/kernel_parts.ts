// A module of some files of assembly/ with every function that they export: for tests of a part of the kernel whose functions are not on the boundary.
//
// Compiled by Deno, whatever runtime asks, with the flags of the real build, and kept in .build/ under a hash of the kernel's sources.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { runtimePath } from "./runtimes.ts";
import { sourceFiles } from "./source.ts";

const modules = new Map<string, WebAssembly.Module>();

/** The module of these files ("space" means assembly/space.ts). */
export function kernelParts(...names: string[]): WebAssembly.Module {
  const key = names.join("-");
  const known = modules.get(key);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for (const path of [...sourceFiles("assembly"), "scripts/kernel_build.ts"]) hash.update(path).update(readFileSync(path));
  mkdirSync(".build/kernels", { recursive: true });
  const out = `.build/kernels/${key}-${hash.digest("hex").slice(0, 16)}.wasm`;
  if (!existsSync(out)) {
    const entries = names.map((name) => `assembly/${name}.ts`);
    const made = spawnSync(runtimePath("deno"), ["run", "-A", "scripts/build.ts", "--parts", out, ...entries], { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`Cannot compile ${entries.join(", ")}: ${made.stderr}`);
  }
  const module = new WebAssembly.Module(readFileSync(out));
  modules.set(key, module);
  return module;
}
