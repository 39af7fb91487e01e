// The kernel's checksum against an independent implementation.
import { assertEquals } from "@std/assert";
import { createCRC32 } from "hash-wasm";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { testKernel } from "../schema/values.ts";

const CASTAGNOLI = 0x82f63b78;

test("crc32c: equals the oracle for every length from 0 to 300 at every alignment", async () => {
  const random = seeded(11);
  const oracle = await createCRC32(CASTAGNOLI);
  const kernel = testKernel();
  const base = kernel.exports.arena(4096) >>> 0;
  const data = random.bytes(4096);
  kernel.u8.set(data, base);
  for (let length = 0; length <= 300; length++) {
    for (let shift = 0; shift < 17; shift++) {
      const expected = parseInt(oracle.init().update(data.subarray(shift, shift + length)).digest(), 16);
      assertEquals(kernel.exports.crc32c(base + shift, length, 0) >>> 0, expected, `length ${length} at ${shift}`);
    }
  }
});

test("crc32c: is continued from a seed at every cut", () => {
  const random = seeded(12);
  const kernel = testKernel();
  const base = kernel.exports.arena(8192) >>> 0;
  kernel.u8.set(random.bytes(8192), base);
  for (let i = 0; i < 2000; i++) {
    const length = random.int(4000), cut = random.int(length + 1), at = base + random.int(4096);
    const whole = kernel.exports.crc32c(at, length, 0) >>> 0;
    const first = kernel.exports.crc32c(at, cut, 0);
    assertEquals(kernel.exports.crc32c(at + cut, length - cut, first) >>> 0, whole);
  }
});

test("crc32c: equals the oracle over big buffers and known vectors", async () => {
  const random = seeded(13);
  const oracle = await createCRC32(CASTAGNOLI);
  const kernel = testKernel();
  const base = kernel.exports.arena(3 << 20) >>> 0;
  for (const length of [4092, 4096, 65536, 1 << 20, (3 << 20) - 5]) {
    const data = random.bytes(length);
    kernel.u8.set(data, base);
    assertEquals(kernel.exports.crc32c(base, length, 0) >>> 0, parseInt(oracle.init().update(data).digest(), 16));
  }
  kernel.u8.set(new TextEncoder().encode("123456789"), base);
  assertEquals(kernel.exports.crc32c(base, 9, 0) >>> 0, 0xe3069283);
  kernel.u8.fill(0, base, base + 32);
  assertEquals(kernel.exports.crc32c(base, 32, 0) >>> 0, 0x8a9136aa);
  kernel.u8.fill(255, base, base + 32);
  assertEquals(kernel.exports.crc32c(base, 32, 0) >>> 0, 0x62a8ab43);
});
