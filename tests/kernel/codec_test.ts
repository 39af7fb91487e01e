// Schema programs: which ones the kernel takes, and that it never trusts a tape or a record beyond memory.
import { assert, assertEquals } from "@std/assert";
import {
  CODEC_DEPTH,
  CODEC_KEY,
  CODEC_RECORD,
  CORRUPT_RECORD,
  INVALID_FIELD,
  KEY_TOO_LONG,
  KIND_BYTES,
  KIND_ENUM,
  KIND_FIXED,
  KIND_LIST,
  KIND_OPTIONAL,
  KIND_RECORD,
  KIND_TEXT,
  KIND_U32,
  KIND_U8,
  KIND_UNION,
  KIND_VECTOR,
  OK,
  VALUE_TOO_LONG,
} from "../../assembly/format.ts";
import { Arena } from "../../src/schema/arena.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { testKernel } from "../schema/values.ts";

function register(kernel: Kernel, ...program: number[]): number {
  const arena = new Arena(kernel);
  arena.reset();
  const at = arena.put(new Uint8Array(program));
  return kernel.exports.codecRegister(arena.base + at, program.length);
}

test("codecRegister: takes well-formed programs and lays out their tapes", () => {
  const kernel = testKernel();
  const slots = (...program: number[]): number => {
    const id = register(kernel, ...program);
    assert(id > 0, `${program}: ${id}`);
    return kernel.exports.codecTape(id) / 8;
  };
  assertEquals(slots(CODEC_RECORD, KIND_RECORD, 0), 0);
  assertEquals(slots(CODEC_KEY, KIND_RECORD, 1, KIND_U8), 1);
  assertEquals(slots(CODEC_KEY, KIND_RECORD, 2, KIND_RECORD, 2, KIND_U8, KIND_TEXT, KIND_U32), 3);
  assertEquals(slots(CODEC_RECORD, KIND_RECORD, 3, KIND_U8, KIND_OPTIONAL, KIND_TEXT, KIND_OPTIONAL, KIND_RECORD, 2, KIND_U8, KIND_U8), 6);
  assertEquals(slots(CODEC_RECORD, KIND_RECORD, 1, KIND_LIST, KIND_LIST, KIND_FIXED, 200, 1), 1);
  assertEquals(slots(CODEC_RECORD, KIND_RECORD, 1, KIND_UNION, 2, KIND_RECORD, 0, KIND_RECORD, 1, KIND_VECTOR, 5), 1);
});

test("codecRegister: refuses malformed programs", () => {
  const kernel = testKernel();
  const refused = (...program: number[]): void => assertEquals(register(kernel, ...program), -INVALID_FIELD, String(program));
  refused();
  refused(CODEC_KEY);
  refused(9, KIND_RECORD, 1, KIND_U8);
  refused(CODEC_KEY, KIND_U8);
  refused(CODEC_KEY, KIND_RECORD, 0);
  refused(CODEC_KEY, KIND_RECORD, 2, KIND_U8);
  refused(CODEC_KEY, KIND_RECORD, 1, KIND_U8, KIND_U8);
  refused(CODEC_KEY, KIND_RECORD, 1, KIND_OPTIONAL, KIND_U8);
  refused(CODEC_KEY, KIND_RECORD, 1, KIND_LIST, KIND_U8);
  refused(CODEC_KEY, KIND_RECORD, 1, KIND_VECTOR, 1);
  refused(CODEC_KEY, KIND_RECORD, 1, KIND_UNION, 1, KIND_RECORD, 0);
  refused(CODEC_RECORD, KIND_RECORD, 2, KIND_OPTIONAL, KIND_U8, KIND_U8);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_OPTIONAL, KIND_OPTIONAL, KIND_U8);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_LIST, KIND_OPTIONAL, KIND_U8);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_LIST, KIND_RECORD, 0);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_FIXED, 0);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_FIXED, 0x81, 0);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_FIXED, 0xff, 0xff, 0xff, 0xff, 0xff);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_ENUM, 0);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_UNION, 0);
  refused(CODEC_RECORD, KIND_RECORD, 1, KIND_UNION, 1, KIND_U8);
  refused(CODEC_RECORD, KIND_RECORD, 1, 99);
  refused(CODEC_RECORD, KIND_RECORD, 0xff, 7);
  const nested = (depth: number): number[] => [CODEC_RECORD, KIND_RECORD, 1, ...new Array(depth).fill(KIND_LIST), KIND_U8];
  refused(...nested(CODEC_DEPTH - 1));
  assert(register(kernel, ...nested(CODEC_DEPTH - 2)) > 0);
});

test("codecRegister: random programs are taken or refused, and what is taken decodes random bytes without harm", () => {
  const random = seeded(51);
  let kernel = testKernel();
  let taken = 0, decoded = 0;
  for (let round = 0; round < 30_000; round++) {
    if (round % 2000 === 0) kernel = testKernel();
    const program = [random.pick([CODEC_KEY, CODEC_RECORD]), KIND_RECORD, random.int(4)];
    for (let i = random.int(12); i > 0; i--) program.push(random.chance(0.8) ? random.between(1, 22) : random.int(256));
    const id = register(kernel, ...program);
    if (id < 0) {
      assertEquals(id, -INVALID_FIELD);
      continue;
    }
    taken++;
    const arena = new Arena(kernel);
    arena.reset();
    for (let i = 0; i < 20; i++) {
      arena.reset();
      const bytes = random.bytes(random.int(30)).map((byte) => random.chance(0.6) ? byte % 3 : byte);
      const at = arena.base + arena.put(bytes);
      const status = program[0] === CODEC_KEY
        ? kernel.exports.codecKeyDecode(id, at, bytes.length, 0)
        : kernel.exports.codecRecordDecode(id, at, bytes.length, 0);
      assert(status === OK || status === CORRUPT_RECORD, String(status));
      if (status === OK) decoded++;
    }
    kernel.exports.codecRelease(id);
  }
  assert(taken > 300 && decoded > 300, `${taken} taken, ${decoded} decoded`);
});

test("codecRelease: ids are given out again, and unknown ids are refused", () => {
  const kernel = testKernel();
  const ids = Array.from({ length: 300 }, () => register(kernel, CODEC_KEY, KIND_RECORD, 1, KIND_U8));
  assertEquals(new Set(ids).size, 300);
  kernel.exports.codecRelease(ids[7]!);
  kernel.exports.codecRelease(ids[7]!);
  assertEquals(register(kernel, CODEC_RECORD, KIND_RECORD, 1, KIND_U8), ids[7]);
  for (const id of [0, 301, 2 ** 31, 2 ** 32 - 1]) {
    assertEquals(kernel.exports.codecKeyEncode(id, 0, 0, 0, 0), -INVALID_FIELD);
    assertEquals(kernel.exports.codecRecordEncode(id, 0, 0, 0, 0), -INVALID_FIELD);
    assertEquals(kernel.exports.codecKeyDecode(id, 0, 0, 0), INVALID_FIELD);
    assertEquals(kernel.exports.codecRecordDecode(id, 0, 0, 0), INVALID_FIELD);
    kernel.exports.codecRelease(id);
  }
  // A key codec is no record codec, and the other way round.
  assertEquals(kernel.exports.codecRecordDecode(ids[0]!, 0, 0, 0), INVALID_FIELD);
  assertEquals(kernel.exports.codecKeyDecode(ids[7]!, 0, 0, 0), INVALID_FIELD);
  const memory = kernel.memoryBytes;
  for (let i = 0; i < 20_000; i++) kernel.exports.codecRelease(register(kernel, CODEC_KEY, KIND_RECORD, 1, KIND_U8));
  assertEquals(kernel.memoryBytes, memory);
});

test("codecRecordEncode: lengths that reach beyond memory are refused", () => {
  const kernel = testKernel();
  const arena = new Arena(kernel);
  const out = (): number => arena.base + arena.take(4096);
  for (const kind of [[KIND_TEXT], [KIND_BYTES], [KIND_FIXED, 4], [KIND_LIST, KIND_U32], [KIND_UNION, 1, KIND_RECORD, 1, KIND_U8]]) {
    const id = register(kernel, CODEC_RECORD, KIND_RECORD, 1, ...kind);
    for (const [at, length] of [[0xfffffff0, 4], [0, 0x7fffffff], [0x3fffffff, 0xffffffff], [5, 0xfffffffb]] as const) {
      arena.reset();
      const slot = arena.tape(1);
      arena.u32[slot * 2] = kind[0] === KIND_UNION ? 0 : at;
      arena.u32[slot * 2 + 1] = kind[0] === KIND_UNION ? 0xfff00000 : length;
      assertEquals(kernel.exports.codecRecordEncode(id, arena.base + slot * 8, arena.base, out(), 4096), -INVALID_FIELD, `${kind}`);
    }
  }
  const text = register(kernel, CODEC_KEY, KIND_RECORD, 1, KIND_TEXT);
  arena.reset();
  const slot = arena.tape(1);
  arena.u32[slot * 2] = 0;
  arena.u32[slot * 2 + 1] = 0xffffffff;
  assertEquals(kernel.exports.codecKeyEncode(text, arena.base + slot * 8, arena.base, out(), 1024), -INVALID_FIELD);
});

test("codecKeyEncode, codecRecordEncode: a limit is kept to the byte", () => {
  const kernel = testKernel();
  const arena = new Arena(kernel);
  const key = register(kernel, CODEC_KEY, KIND_RECORD, 2, KIND_TEXT, KIND_U32),
    record = register(kernel, CODEC_RECORD, KIND_RECORD, 2, KIND_TEXT, KIND_U32);
  const random = seeded(61);
  for (let round = 0; round < 500; round++) {
    arena.reset();
    const content = Uint8Array.from({ length: random.int(40) }, () => random.pick([0, 1, 65, 66]));
    const slot = arena.tape(2);
    arena.u32[slot * 2] = arena.put(content);
    arena.u32[slot * 2 + 1] = content.length;
    arena.f64[slot + 1] = random.u32();
    const out = arena.take(256);
    for (const [encode, id, tooLong] of [["codecKeyEncode", key, KEY_TOO_LONG], ["codecRecordEncode", record, VALUE_TOO_LONG]] as const) {
      const length = kernel.exports[encode](id, arena.base + slot * 8, arena.base, arena.base + out, 200);
      assert(length > 0);
      for (const limit of [0, 1, length - 1, length]) {
        arena.u8.fill(0xee, out, out + 256);
        const result = kernel.exports[encode](id, arena.base + slot * 8, arena.base, arena.base + out, limit);
        assertEquals(result, limit < length ? -tooLong : length);
        assert(arena.u8.subarray(out + limit, out + 256).every((byte) => byte === 0xee), `${encode} wrote beyond ${limit}`);
      }
    }
  }
});
