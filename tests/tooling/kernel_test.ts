// The kernel module as it is committed: no imports, small, the same bytes in both places, and the interface that abi.ts declares.
// That it is what assembly/ compiles to is a check of its own in the gate (`deno task build --check`).
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertLessOrEqual, assertStrictEquals } from "@std/assert";
import { functionNames } from "../../src/kernel/functions.ts";
import { kernelModule } from "../../src/kernel/loader.ts";
import { CORE_BASE64, CORE_SHA256 } from "../../src/kernel/wasm_bytes.ts";
import { test } from "../support/harness.ts";
import { codeOf } from "../support/source.ts";

const GZIP_LIMIT = 32 * 1024;

test("core.wasm: imports nothing", () => {
  assertEquals(WebAssembly.Module.imports(kernelModule()), []);
  assertEquals(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync("core.wasm"))), []);
});

test("core.wasm: at most 32 KB gzipped", () => {
  assertLessOrEqual(gzipSync(readFileSync("core.wasm"), { level: 9 }).length, GZIP_LIMIT);
});

test("wasm_bytes: holds the bytes of core.wasm", () => {
  const wasm = readFileSync("core.wasm");
  assertEquals(createHash("sha256").update(wasm).digest("hex"), CORE_SHA256);
  assert(CORE_BASE64 === wasm.toString("base64"), "the base64 in wasm_bytes.ts is not core.wasm");
});

test("core.wasm: exports its memory and its table of functions, and nothing else", () => {
  const exported = WebAssembly.Module.exports(kernelModule()).map(({ name, kind }) => `${kind} ${name}`).sort();
  assertEquals(exported, ["memory memory", "table functions"]);
});

test("KernelExports: names the functions of the module's table, all of them and no others", () => {
  const code = codeOf(readFileSync("src/kernel/abi.ts", "utf8"));
  const body = code.slice(code.indexOf("interface KernelExports"));
  const declared = [...body.matchAll(/^ {2}(\w+)\(/gm)].map((match) => match[1]!).sort();
  assertEquals(functionNames(kernelModule()), declared);
  const { exports: { functions } } = new WebAssembly.Instance(kernelModule(), {});
  assertEquals((functions as WebAssembly.Table).length, declared.length);
});

test("kernelModule: gives back the module it is given", () => {
  const given = new WebAssembly.Module(readFileSync("core.wasm"));
  assertStrictEquals(kernelModule(given), given);
});
