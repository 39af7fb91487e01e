// What the tests of the manifest share: memory that outlives a handle, and an error's code.
import { assert } from "@std/assert";
import { isManifestError, Manifest, type ManifestErrorFields, type ManifestOptions } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";

/** Bytes that can be opened again. */
export class Medium {
  readonly file: MemoryFile = new MemoryFile();

  /** Opens a manifest over the bytes; makes it the first time. */
  open(options: ManifestOptions = {}): Promise<Manifest> {
    const readOnly = options.readOnly === true;
    return Manifest.open(new MemoryStorage(this.file, { readOnly }), { create: !readOnly, idleCheckpoint: 0, ...options });
  }
}

/** The error that a call throws or rejects with. */
export async function errorOf(call: () => unknown): Promise<ManifestErrorFields> {
  try {
    await call();
  } catch (error) {
    assert(isManifestError(error), `not an error of this package: ${error}`);
    return error;
  }
  throw new Error("nothing was thrown");
}

/** The code of the error that a call throws or rejects with. */
export async function codeOf(call: () => unknown): Promise<string> {
  return (await errorOf(call)).code;
}
