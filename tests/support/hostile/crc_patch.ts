// Four bytes that give some bytes a checksum that was chosen before: CRC32C is linear, so a forger solves 32 equations.
import { crc32c } from "../damage/crc.ts";

/** Sets the four bytes at `at` so that the checksum of `bytes` is `wanted`. */
export function patchChecksum(bytes: Uint8Array, at: number, wanted: number): void {
  bytes.fill(0, at, at + 4);
  const base = crc32c(bytes);
  // What each bit of the four bytes changes.
  const rows = Array.from({ length: 32 }, (_, bit) => {
    bytes[at + (bit >> 3)]! ^= 1 << (bit & 7);
    const effect = (crc32c(bytes) ^ base) >>> 0;
    bytes[at + (bit >> 3)]! ^= 1 << (bit & 7);
    return { effect, bits: (1 << bit) >>> 0 };
  });
  let left = (wanted ^ base) >>> 0;
  let chosen = 0;
  for (let column = 0; column < 32; column++) {
    const mask = (1 << column) >>> 0;
    const pivot = rows.findIndex(({ effect }, i) => i >= 0 && (effect & mask) !== 0);
    if (pivot < 0) throw new Error("Cannot patch a checksum: the bytes do not reach all of it");
    const [row] = rows.splice(pivot, 1);
    for (const other of rows) {
      if ((other.effect & mask) === 0) continue;
      other.effect = (other.effect ^ row!.effect) >>> 0;
      other.bits = (other.bits ^ row!.bits) >>> 0;
    }
    if ((left & mask) === 0) continue;
    left = (left ^ row!.effect) >>> 0;
    chosen = (chosen ^ row!.bits) >>> 0;
  }
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, chosen, true);
  if (crc32c(bytes) !== wanted >>> 0) throw new Error("Cannot patch a checksum: it came out otherwise");
}
