// The kernel's module: compiled once, when this file is loaded, from the bytes in wasm_bytes.ts.
//
// Compiling at module top level is what lets `open` work without a fetch on every runtime that may compile at start only. A runtime that forbids it
// altogether gets a ready module through `open({ wasm })`; failing to compile is therefore not an error before a store is opened without one.
import { ManifestError } from "../errors.ts";
import { CORE_BASE64 } from "./wasm_bytes.ts";

/** A compiled kernel: `core.wasm` as the platform's module object. */
export type KernelModule = WebAssembly.Module;

let compiled: WebAssembly.Module | undefined;
let failure: unknown;

try {
  compiled = new WebAssembly.Module(decode(CORE_BASE64));
} catch (error) {
  failure = error;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Whether a value is a compiled module. */
export function isKernelModule(value: unknown): value is KernelModule {
  return typeof WebAssembly === "object" && value instanceof WebAssembly.Module;
}

/** The module to instantiate: the given one, or the one compiled at load. Throws RUNTIME_UNSUPPORTED when there is neither. */
export function kernelModule(given?: KernelModule): KernelModule {
  const module = given ?? compiled;
  if (module !== undefined) return module;
  throw new ManifestError(
    "RUNTIME_UNSUPPORTED",
    "Cannot load the kernel: this runtime does not compile WebAssembly from bytes. Import @waybill/manifest/core.wasm as a WebAssembly.Module and pass it: open(path, { wasm: module })",
    { cause: failure },
  );
}
