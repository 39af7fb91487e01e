// Journal groups in the kernel: what is written comes back, one damaged block is made good, more damage is named.
import { assert, assertEquals } from "@std/assert";
import {
  BLOCK_SIZE,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  DONE,
  JOURNAL_CRC,
  JOURNAL_MAGIC,
  MORE,
  NOT_FOUND,
  OK,
} from "../../assembly/format.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelModule } from "../../src/kernel/loader.ts";
import { test } from "../support/harness.ts";
import { type Random, seeded } from "../support/random.ts";

const EPOCH = 7;
const ARENA = 1 << 20;

function start(fileIdLo = 0x1234, fileIdHi = 0x5678): Kernel {
  const kernel = new Kernel(kernelModule());
  assertEquals(kernel.exports.init(12, 64, fileIdLo, fileIdHi), OK);
  return kernel;
}

function append(kernel: Kernel, body: Uint8Array): void {
  const at = kernel.exports.arena(Math.max(ARENA, body.length)) >>> 0;
  kernel.u8.set(body, at);
  assertEquals(kernel.exports.frameAppend(at, body.length), OK);
}

/** Seals the gathered group and copies it out. */
function seal(kernel: Kernel, group: number, firstFrame = 1, durable = 0): Uint8Array {
  assertEquals(kernel.exports.journalEncode(EPOCH, group, firstFrame, durable), OK);
  const at = kernel.word(CTRL_OUT_AT);
  return kernel.u8.slice(at, at + kernel.word(CTRL_OUT_COUNT) * BLOCK_SIZE);
}

interface Parsed {
  status: number;
  bodies: Uint8Array[];
  rebuilt: number;
  torn: number;
}

function parse(kernel: Kernel, image: Uint8Array, group: number, epoch = EPOCH): Parsed {
  const at = kernel.exports.journalBuffer(image.length) >>> 0;
  kernel.u8.set(image, at);
  const status = kernel.exports.groupParse(at, image.length / BLOCK_SIZE, epoch, group);
  const bodies: Uint8Array[] = [];
  for (let i = 0; kernel.exports.frameAt(i) === OK; i++) {
    const from = kernel.word(CTRL_OUT_AT);
    bodies.push(kernel.u8.slice(from, from + kernel.word(CTRL_OUT_COUNT)));
  }
  return { status, bodies, rebuilt: kernel.exports.parsedRebuilt(), torn: kernel.exports.parsedTorn() };
}

function someBodies(random: Random, count: number, largest: number): Uint8Array[] {
  return Array.from({ length: count }, () => random.bytes(random.int(largest + 1)));
}

test("journalEncode: bodies of any length come back in order, and their numbers with them", () => {
  const random = seeded(101);
  const kernel = start();
  for (const [group, [count, largest]] of [[1, 0], [1, 36], [3, 100], [1, 4032], [1, 4033], [40, 900], [5, 20000], [1, 600000]].entries()) {
    const bodies = someBodies(random, count!, largest!);
    if (count === 1) bodies[0] = random.bytes(largest!);
    for (const body of bodies) append(kernel, body);
    assertEquals(kernel.exports.groupFrames(), count);
    const blocks = kernel.exports.groupBlocks();
    const image = seal(kernel, group, 1000 + group, 900);
    assertEquals(image.length, blocks * BLOCK_SIZE);
    assertEquals(kernel.exports.groupFrames(), 0);
    const parsed = parse(kernel, image, group);
    assertEquals(parsed, { status: OK, bodies, rebuilt: -1, torn: 0 });
    assertEquals(kernel.exports.parsedFirstFrame(), 1000 + group);
    assertEquals(kernel.exports.parsedDurableGroup(), 900);
    assertEquals(kernel.exports.parsedSize(), blocks);
  }
});

test("journalEncode: nothing gathered is DONE, and equal bodies give equal blocks", () => {
  const kernel = start();
  assertEquals(kernel.exports.journalEncode(EPOCH, 1, 1, 0), DONE);
  const random = seeded(102);
  const body = random.bytes(300);
  append(kernel, random.bytes(9000));
  seal(kernel, 1);
  append(kernel, random.bytes(9000));
  seal(kernel, 2);
  // Both buffers hold old bytes by now: none of them may show behind the payload.
  append(kernel, body);
  const first = seal(kernel, 3);
  append(kernel, body);
  const second = seal(kernel, 3);
  assertEquals(second, first);
  assertEquals(first.subarray(32 + 24 + 8 + 300, BLOCK_SIZE).every((byte) => byte === 0), true);
});

test("journalEncode: the sealed group stays untouched while the next one gathers", () => {
  const random = seeded(103);
  const kernel = start();
  append(kernel, random.bytes(5000));
  assertEquals(kernel.exports.journalEncode(EPOCH, 1, 1, 0), OK);
  const at = kernel.word(CTRL_OUT_AT);
  const length = kernel.word(CTRL_OUT_COUNT) * BLOCK_SIZE;
  const before = kernel.u8.slice(at, at + length);
  for (let i = 0; i < 40; i++) append(kernel, random.bytes(5000));
  assertEquals(kernel.u8.slice(at, at + length), before);
});

test("groupParse: any one damaged block is rebuilt and named", () => {
  const random = seeded(104);
  const kernel = start();
  for (const [group, [count, largest]] of [[1, 50], [4, 3000], [30, 2000]].entries()) {
    const bodies = someBodies(random, count!, largest!);
    for (const body of bodies) append(kernel, body);
    const image = seal(kernel, group);
    for (let block = 0; block < image.length / BLOCK_SIZE; block++) {
      const damaged = image.slice();
      const at = block * BLOCK_SIZE;
      if (random.chance(0.5)) damaged.fill(0, at, at + BLOCK_SIZE);
      else damaged[at + random.int(BLOCK_SIZE)]! ^= 1 << random.int(8);
      assertEquals(parse(kernel, damaged, group), { status: OK, bodies, rebuilt: block, torn: 0 }, `group ${group} block ${block}`);
    }
  }
});

test("groupParse: damage beyond parity leaves the frames in front of it, or nothing", () => {
  const random = seeded(105);
  const kernel = start();
  const bodies = someBodies(random, 30, 2000);
  for (const body of bodies) append(kernel, body);
  const image = seal(kernel, 9);
  const blocks = image.length / BLOCK_SIZE;
  for (let first = 0; first < blocks; first++) {
    for (let second = first + 1; second < blocks; second++) {
      const damaged = image.slice();
      damaged.fill(0xa5, first * BLOCK_SIZE, (first + 1) * BLOCK_SIZE);
      damaged.fill(0xa5, second * BLOCK_SIZE, (second + 1) * BLOCK_SIZE);
      const parsed = parse(kernel, damaged, 9);
      if (first === 0) {
        assertEquals(parsed.status, NOT_FOUND);
        assertEquals(parsed.bodies.length, 0);
        continue;
      }
      assertEquals([parsed.status, parsed.torn], [OK, 1]);
      let bytes = 24;
      let whole = 0;
      while (whole < bodies.length && bytes + 8 + bodies[whole]!.length <= Math.min(first, blocks - 1) * 4064) {
        bytes += 8 + bodies[whole++]!.length;
      }
      assertEquals(parsed.bodies, bodies.slice(0, whole), `blocks ${first} and ${second}`);
    }
  }
});

test("groupParse: asks for more blocks, and takes no other group, epoch or file", () => {
  const random = seeded(106);
  const kernel = start();
  append(kernel, random.bytes(10000));
  const image = seal(kernel, 5);
  assertEquals(parse(kernel, image.subarray(0, 2 * BLOCK_SIZE), 5).status, MORE);
  assertEquals(kernel.word(CTRL_OUT_COUNT), 4);
  assertEquals(parse(kernel, image, 6).status, NOT_FOUND);
  assertEquals(parse(kernel, image, 5, EPOCH + 1).status, NOT_FOUND);
  assertEquals(parse(start(0x1235), image, 5).status, NOT_FOUND);
  assertEquals(parse(kernel, image, 5).status, OK);
});

test("groupParse: crafted blocks with valid checksums never reach outside their group", () => {
  const random = seeded(107);
  const kernel = start();
  for (const body of someBodies(random, 6, 2500)) append(kernel, body);
  const image = seal(kernel, 3);
  for (let round = 0; round < 2000; round++) {
    const crafted = image.slice();
    const view = new DataView(crafted.buffer);
    const block = random.int(image.length / BLOCK_SIZE) * BLOCK_SIZE;
    for (let i = random.between(1, 3); i > 0; i--) {
      // Headers, group header and the first frame's length are where numbers live.
      const at = random.chance(0.8) ? 26 + random.int(40) : JOURNAL_MAGIC + random.int(BLOCK_SIZE - JOURNAL_MAGIC);
      crafted[block + at] = random.chance(0.5) ? 255 : random.int(256);
    }
    const arena = kernel.exports.arena(ARENA) >>> 0;
    kernel.u8.set(crafted.subarray(block, block + BLOCK_SIZE), arena);
    view.setUint32(block + JOURNAL_CRC, kernel.exports.crc32c(arena + JOURNAL_MAGIC, BLOCK_SIZE - JOURNAL_MAGIC, 0) >>> 0, true);
    for (const body of parse(kernel, crafted, 3).bodies) assert(body.length < image.length);
  }
});

test("blockPeek: names a valid block and refuses everything else", () => {
  const random = seeded(108);
  const kernel = start();
  append(kernel, random.bytes(5000));
  const image = seal(kernel, 2 ** 40 + 3, 1, 2 ** 40);
  const at = kernel.exports.journalBuffer(image.length) >>> 0;
  kernel.u8.set(image, at);
  for (let block = 0; block < 3; block++) {
    assertEquals(kernel.exports.blockPeek(at + block * BLOCK_SIZE), OK);
    assertEquals([kernel.word(CTRL_OUT_AT), kernel.word(CTRL_OUT_COUNT), kernel.word(CTRL_OUT_PAGE)], [block, 2, EPOCH]);
    assertEquals(kernel.exports.peekGroup(), 2 ** 40 + 3);
    assertEquals(kernel.exports.peekDurable(), block === 0 ? 2 ** 40 : -1);
  }
  kernel.u8[at + 100]! ^= 1;
  assertEquals(kernel.exports.blockPeek(at), NOT_FOUND);
  assertEquals(kernel.exports.blockPeek(0), NOT_FOUND);
  assertEquals(kernel.exports.blockPeek(at + 2 ** 28), NOT_FOUND);
});

test("groupBody: gives back every gathered body until the group is cleared", () => {
  const random = seeded(109);
  const kernel = start();
  const bodies = someBodies(random, 12, 6000);
  for (const body of bodies) append(kernel, body);
  for (const index of [0, 5, 11, 3, 3, 0]) {
    assertEquals(kernel.exports.groupBody(index), OK);
    const at = kernel.word(CTRL_OUT_AT);
    assertEquals(kernel.u8.slice(at, at + kernel.word(CTRL_OUT_COUNT)), bodies[index]);
  }
  assertEquals(kernel.exports.groupBody(12), NOT_FOUND);
  kernel.exports.groupClear();
  assertEquals(kernel.exports.groupBody(0), NOT_FOUND);
  assertEquals([kernel.exports.groupBytes(), kernel.exports.groupBlocks(), kernel.exports.groupFrames()], [0, 0, 0]);
});

test("groupRecord: bodies that are not kept are counted and make no group", () => {
  const kernel = start();
  kernel.exports.groupRecord(0);
  append(kernel, new Uint8Array(100));
  assertEquals([kernel.exports.groupFrames(), kernel.exports.groupBlocks()], [1, 0]);
  assertEquals(kernel.exports.journalEncode(EPOCH, 1, 1, 0), DONE);
  kernel.exports.groupClear();
  append(kernel, new Uint8Array(100));
  assertEquals([kernel.exports.groupFrames(), kernel.exports.groupBlocks()], [1, 2]);
});
