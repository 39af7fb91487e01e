// `deno task build`: compiles the kernel and writes core.wasm and src/kernel/wasm_bytes.ts. With --check it writes nothing and fails unless
// the committed files are byte for byte what the sources compile to. With --parts OUT ENTRY... it compiles those files of assembly/ into the module OUT,
// every function that they export included: what tests of a part of the kernel run (tests/support/kernel_parts.ts).
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";
import { Buffer } from "node:buffer";
import { BYTES_FILE, compileKernel, faults, GZIP_LIMIT, WASM_FILE } from "./kernel_build.ts";

function committed(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    return new Uint8Array(0);
  }
}

const parts = process.argv.indexOf("--parts");
if (parts >= 0) {
  const [out, ...entries] = process.argv.slice(parts + 1);
  const draft = `${out}.${process.pid}`;
  writeFileSync(draft, (await compileKernel(entries)).wasm);
  renameSync(draft, out!);
  process.exit(0);
}

const check = process.argv.includes("--check");
const build = await compileKernel();
const found = faults(build);

if (check) {
  if (Buffer.compare(committed(WASM_FILE), build.wasm) !== 0) {
    found.push(`${WASM_FILE} is not what assembly/ compiles to: run deno task build`);
  }
  if (Buffer.compare(committed(BYTES_FILE), Buffer.from(build.source)) !== 0) {
    found.push(`${BYTES_FILE} is not what assembly/ compiles to: run deno task build`);
  }
} else if (found.length === 0) {
  writeFileSync(WASM_FILE, build.wasm);
  writeFileSync(BYTES_FILE, build.source);
}

const size = `${build.wasm.length} bytes, ${build.gzipBytes} gzipped (limit ${GZIP_LIMIT})`;
console.log(`kernel ${size}, sha256 ${build.sha256.slice(0, 16)}${check ? ", checked" : ""}`);
for (const fault of found) console.error(`Cannot build the kernel: ${fault}`);
process.exit(found.length === 0 ? 0 : 1);
