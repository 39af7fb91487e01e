// Telling the files of manifests from others: for whoever lists a folder and must not take one for something that nobody needs.
import { BLOCK_SIZE, MAGIC_HI, MAGIC_LO, META_BYTES, META_MAGIC, META_SLOTS } from "../../assembly/format.ts";

/** Bytes at the beginning of a file that tell whether it is a manifest. */
export const MANIFEST_HEAD: number = META_BYTES;

/** What a manifest's name is given for the files that its writer keeps beside it: the lock file, and the directory of claims. */
export const LOCK_ENDING = ".lock";
/** The directory of claims. */
export const CLAIMS_ENDING = ".lock.d";

/** Whether these first bytes of a file are those of a manifest, whole or damaged: one meta slot that begins as one is enough. */
export function isManifestHead(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let slot = 0; slot < META_SLOTS; slot++) {
    const at = slot * BLOCK_SIZE + META_MAGIC;
    if (at + 8 > head.length) return false;
    if (view.getUint32(at, true) === MAGIC_LO && view.getUint32(at + 4, true) === MAGIC_HI) return true;
  }
  return false;
}
