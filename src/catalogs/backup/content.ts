// The name of bytes that are all there.
import { releaseHasher, takeHasher } from "../files/digest.ts";
import type { ObjectName } from "./names.ts";

/** The object that these bytes are. */
export async function contentName(bytes: Uint8Array): Promise<ObjectName> {
  const hasher = await takeHasher("blake3");
  try {
    return { algorithm: "blake3", digest: hasher.update(bytes).digest("hex"), sizeBytes: bytes.length };
  } finally {
    releaseHasher("blake3", hasher);
  }
}
