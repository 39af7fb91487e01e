// CRC32C (Castagnoli, reflected), continued from a seed, sixteen bytes at a time.
//
// Sixteen tables of 256 words are made at first use: table k holds the effect of a byte that is followed by k zero bytes, so one step of sixteen
// bytes is sixteen independent look-ups. The seed is the checksum of what came before (0 to start), so
// crc32c(b, crc32c(a, 0)) is the checksum of a followed by b.

const POLYNOMIAL: u32 = 0x82f63b78;
const tables = memory.data(16384, 16);
let ready = false;

function prepare(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (POLYNOMIAL & (0 - (crc & 1)));
    store<u32>(tables + (i << 2), crc);
  }
  for (let i: u32 = 256; i < 4096; i++) {
    const before = load<u32>(tables + ((i - 256) << 2));
    store<u32>(tables + (i << 2), (before >>> 8) ^ load<u32>(tables + ((before & 0xff) << 2)));
  }
  ready = true;
}

/** The checksum of `length` bytes at `at`, continued from `seed`. */
export function crc32c(at: usize, length: u32, seed: u32): u32 {
  if (!ready) prepare();
  let crc = ~seed;
  const wholeEnd = at + (length & ~15);
  const end = at + length;
  while (at < wholeEnd) {
    const a = load<u32>(at) ^ crc;
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    const rest = load<u32>(tables + ((b & 0xff) << 2), 11 << 10) ^ load<u32>(tables + ((b >>> 6) & 0x3fc), 10 << 10) ^
      load<u32>(tables + ((b >>> 14) & 0x3fc), 9 << 10) ^ load<u32>(tables + ((b >>> 24) << 2), 8 << 10) ^
      load<u32>(tables + ((c & 0xff) << 2), 7 << 10) ^ load<u32>(tables + ((c >>> 6) & 0x3fc), 6 << 10) ^
      load<u32>(tables + ((c >>> 14) & 0x3fc), 5 << 10) ^ load<u32>(tables + ((c >>> 24) << 2), 4 << 10) ^
      load<u32>(tables + ((d & 0xff) << 2), 3 << 10) ^ load<u32>(tables + ((d >>> 6) & 0x3fc), 2 << 10) ^
      load<u32>(tables + ((d >>> 14) & 0x3fc), 1 << 10) ^ load<u32>(tables + ((d >>> 24) << 2));
    // Last what depends on the step before: the shortest chain from one step to the next.
    crc = (load<u32>(tables + ((a & 0xff) << 2), 15 << 10) ^ load<u32>(tables + ((a >>> 6) & 0x3fc), 14 << 10)) ^
      ((load<u32>(tables + ((a >>> 14) & 0x3fc), 13 << 10) ^ load<u32>(tables + ((a >>> 24) << 2), 12 << 10)) ^ rest);
    at += 16;
  }
  while (at < end) {
    crc = (crc >>> 8) ^ load<u32>(tables + (((crc ^ load<u8>(at)) & 0xff) << 2));
    at++;
  }
  return ~crc;
}
