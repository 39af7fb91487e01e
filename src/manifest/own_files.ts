// Telling the files of manifests from others: for whoever lists a folder and must not take one for something that nobody needs.
import { BLOCK_SIZE, MAGIC_HI, MAGIC_LO, META_BYTES, META_FILE_ID, META_MAGIC, META_SLOTS } from "../../assembly/format.ts";
import { toHex } from "../store/meta.ts";

/** Bytes at the beginning of a file that tell whether it is a manifest. */
export const MANIFEST_HEAD: number = META_BYTES;

/** What a manifest's name is given for the files that its writer keeps beside it: the lock file, and the directory of claims. */
export const LOCK_ENDING = ".lock";
/** The directory of claims. */
export const CLAIMS_ENDING = ".lock.d";

const FILE_ID_BYTES = 16;

/** File ids in these first bytes of a file, as far as its meta slots begin as those of a manifest; none: it is no manifest. */
export function manifestIdsIn(head: Uint8Array): string[] {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const ids: string[] = [];
  for (let at = 0; at < META_SLOTS * BLOCK_SIZE && at + META_FILE_ID + FILE_ID_BYTES <= head.length; at += BLOCK_SIZE) {
    if (view.getUint32(at + META_MAGIC, true) !== MAGIC_LO || view.getUint32(at + META_MAGIC + 4, true) !== MAGIC_HI) continue;
    ids.push(toHex(head.subarray(at + META_FILE_ID, at + META_FILE_ID + FILE_ID_BYTES)));
  }
  return ids;
}

/** Whether these first bytes of a file are those of a manifest, whole or damaged: one meta slot that begins as one is enough. */
export function isManifestHead(head: Uint8Array): boolean {
  return manifestIdsIn(head).length > 0;
}
