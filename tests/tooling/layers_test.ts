// The directions of the architecture: who may import whom, and where runtime globals, WebAssembly, the clock and entropy may appear.
import { readFileSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { test } from "../support/harness.ts";
import { codeOf, importsOf, sourceFiles } from "../support/source.ts";

/** A layer and the layers it may import besides itself. Everything may import errors.ts and arguments.ts; both import nothing else. */
const BELOW: Record<string, readonly string[]> = {
  "mod.ts": ["manifest", "schema", "store", "kernel", "storage", "errors.ts"],
  cli: ["catalogs", "inspect", "manifest", "store", "storage", "errors.ts"],
  inspect: ["manifest", "schema", "store", "kernel", "storage", "errors.ts", "format"],
  flush: ["manifest", "store", "errors.ts"],
  catalogs: ["inspect", "manifest", "schema", "store", "storage", "errors.ts", "format"],
  manifest: ["schema", "store", "kernel", "storage", "errors.ts", "format"],
  schema: ["kernel", "errors.ts", "format"],
  store: ["kernel", "storage", "errors.ts", "format"],
  kernel: ["errors.ts", "format"],
  storage: ["errors.ts"],
  "arguments.ts": ["errors.ts"],
  "errors.ts": ["errors"],
  errors: ["errors.ts"],
};

/** What is not of this package, by the files that may import it. */
const FOREIGN: Record<string, readonly string[]> = {
  commander: ["src/cli/arguments.ts", "src/cli/command.ts", "src/cli/run.ts"],
  "cli-progress": ["src/cli/progress.ts"],
  "node:process": ["src/cli/main.ts"],
  "hash-wasm": ["src/catalogs/files/digest.ts"],
};

/** The command line as a program: the only file outside of src/storage that knows a process. */
const PROGRAM = "src/cli/main.ts";
const ENVIRONMENT = "src/store/environment.ts";
const FILES = ["mod.ts", ...sourceFiles("src")];

function layerOf(path: string): string {
  if (path === "mod.ts") return path;
  if (path === "assembly/format.ts") return "format";
  return path.split("/")[1]!;
}

/** Places, as path:line, where a pattern occurs in code (not in comments or texts) of files that may not have it. */
function places(pattern: RegExp, allowed: (path: string) => boolean): string[] {
  const found: string[] = [];
  for (const path of FILES.filter((path) => !allowed(path))) {
    const code = codeOf(readFileSync(path, "utf8"));
    for (const match of code.matchAll(pattern)) found.push(`${path}:${code.slice(0, match.index).split("\n").length} ${match[0]}`);
  }
  return found;
}

test("layers: imports point down", () => {
  const wrong: string[] = [];
  for (const path of FILES) {
    const layer = layerOf(path);
    const below = BELOW[layer];
    assert(below !== undefined, `${path} belongs to no layer`);
    for (const item of importsOf(path)) {
      if (item.path === undefined) continue;
      const target = layerOf(item.path);
      if (target === "arguments.ts" && !BELOW[target]!.includes(layer)) continue;
      if (target !== layer && !below.includes(target)) wrong.push(`${path} imports ${item.path}`);
    }
  }
  assertEquals(wrong, []);
});

test("layers: kernel and storage do not know each other", () => {
  const wrong = FILES.flatMap((path) => importsOf(path).map((item) => [layerOf(path), layerOf(item.path ?? "src/none")].sort().join(" ")))
    .filter((pair) => pair === "kernel storage");
  assertEquals(wrong, []);
});

test("layers: of the store, catalogs know the environment only", () => {
  const wrong = FILES.filter((path) => layerOf(path) === "catalogs").flatMap((path) =>
    importsOf(path).filter((item) => item.path?.startsWith("src/store/") && item.path !== ENVIRONMENT).map((item) =>
      `${path} imports ${item.path}`
    )
  );
  assertEquals(wrong, []);
});

test("layers: every import of the package is relative, but for what the command line takes from others", () => {
  const foreign = (path: string): string[] =>
    importsOf(path).filter((item) => item.path === undefined && !FOREIGN[item.specifier]?.includes(path)).map((item) => item.specifier);
  assertEquals(FILES.flatMap((path) => foreign(path).map((specifier) => `${path}: ${specifier}`)), []);
});

test("layers: nothing reachable from mod.ts imports node: or bun:, or what is not of this package", () => {
  const reached = new Set<string>();
  const wrong: string[] = [];
  const queue = ["mod.ts"];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    for (const item of importsOf(path)) {
      if (item.path !== undefined) queue.push(item.path);
      else wrong.push(`${path}: ${item.specifier}`);
    }
  }
  assertEquals(wrong, []);
  assert(reached.has("src/kernel/loader.ts"), "the walk from mod.ts did not reach the kernel's loader");
});

test("layers: runtime globals only in src/storage and in the program of the command line", () => {
  const globals = /(?<![.\w$#])(?:Deno|Bun|process|Buffer|require|__dirname|__filename)\b/g;
  assertEquals(places(globals, (path) => path.startsWith("src/storage/") || path === PROGRAM), []);
});

// By way of globalThis every other rule could be got round.
test("layers: globalThis only in src/storage and in the environment", () => {
  assertEquals(places(/\b(?:globalThis|self)\b(?!\s*:)/g, (path) => path.startsWith("src/storage/") || path === ENVIRONMENT), []);
});

test("layers: WebAssembly only in src/kernel", () => {
  assertEquals(places(/(?<![.\w$#])WebAssembly\b/g, (path) => path.startsWith("src/kernel/")), []);
});

test("layers: clock, entropy and timers only in src/store/environment.ts", () => {
  const outside =
    /\bDate\s*\.\s*now\b|\bDate\s*\(\s*\)|\bMath\s*\.\s*random\b|(?<![.\w$#])(?:crypto|performance|setTimeout|setInterval|setImmediate)\b/g;
  assertEquals(places(outside, (path) => path === ENVIRONMENT), []);
});

test("layers: codeOf blanks comments, texts and regular expressions and keeps the code between them", () => {
  const source = 'a("Deno"); // Deno\nb(`Deno ${c("x", { d: 1 })} Deno`); /* Bun\n */ const r = /["Deno]\\//g; e / f / g;';
  const code = codeOf(source);
  assertEquals(code.length, source.length);
  assert(!/Deno|Bun/.test(code), code);
  for (const kept of ["a(", "b(", "c(", "{ d: 1 }", "const r =", "e / f / g"]) assert(code.includes(kept), kept);
});
