// Records: round trips, one encoding per value, damaged input, older records under newer schemas, fields in place.
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  type AnyTable,
  bool,
  bytes,
  custom,
  defineTable,
  enumOf,
  f32,
  f64,
  fixedBytes,
  i16,
  i32,
  i64,
  i8,
  isManifestErrorCode,
  list,
  optional,
  record,
  text,
  timestamp,
  u16,
  u32,
  u53,
  u64,
  u8,
  union,
  vector,
} from "./imports.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { bind, randomMembers, randomRecord, tableOf, testKernel, type Values } from "./values.ts";

const SEED = 77;
const KEY = [{ name: "id", optional: false, type: { is: "u32" } }] as const;

function randomTable(random: ReturnType<typeof seeded>): AnyTable {
  return tableOf(KEY, randomMembers(random));
}

test("recordDecode: gives back what was encoded, over 60,000 records of 600 schemas", () => {
  const random = seeded(SEED);
  let kernel = testKernel();
  for (let round = 0; round < 600; round++) {
    if (round % 50 === 0) kernel = testKernel();
    const table = randomTable(random);
    const { codec } = bind(table, kernel);
    for (let i = 0; i < 100; i++) {
      const value = randomRecord(random, table.value);
      const encoded = codec.encodeValue(value);
      const decoded = codec.valueFromBytes(encoded);
      assertEquals(decoded, value, `seed ${SEED}, round ${round}`);
      assertEquals(codec.encodeValue(decoded), encoded, `seed ${SEED}, round ${round}`);
    }
    codec.release();
  }
});

test("recordDecode: truncated and bit-flipped records are CORRUPT_RECORD or encode to the same bytes again", () => {
  const random = seeded(SEED + 1);
  let refused = 0, accepted = 0;
  for (let round = 0; round < 250; round++) {
    const table = randomTable(random);
    const { codec } = bind(table);
    const encoded = codec.encodeValue(randomRecord(random, table.value));
    const tries: Uint8Array[] = [];
    for (let cut = 0; cut < Math.min(encoded.length, 300); cut++) tries.push(encoded.slice(0, cut));
    tries.push(new Uint8Array([...encoded, 0]), new Uint8Array([...encoded, 1]));
    for (let i = 0; i < Math.min(encoded.length * 8, 800); i++) {
      const copy = encoded.slice();
      const bit = encoded.length <= 100 ? i : random.int(encoded.length * 8);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      tries.push(copy);
    }
    for (let i = 0; i < 40; i++) tries.push(random.bytes(random.int(40)));
    for (const damaged of tries) {
      let value: Values;
      try {
        value = codec.valueFromBytes(damaged);
      } catch (error) {
        assert(isManifestErrorCode(error, "CORRUPT_RECORD"), String(error));
        refused++;
        continue;
      }
      assertEquals(codec.encodeValue(value), damaged, `seed ${SEED + 1}, round ${round}`);
      accepted++;
    }
  }
  assert(refused > 5000 && accepted > 5000, `${refused} refused, ${accepted} accepted`);
});

test("recordDecode: a length beyond the record never reaches the bytes behind it", () => {
  const { kernel, arena, codec } = bind(defineTable({ name: "t", key: [u32("id")], value: { a: text(), b: list(u8()) } }));
  arena.reset();
  // The record is followed by bytes that would make it whole.
  const whole = codec.encodeValue({ a: "abcdef", b: [1, 2, 3] });
  const at = arena.base + arena.put(whole);
  for (let cut = 0; cut < whole.length; cut++) {
    assertNotEquals(kernel.exports.codecRecordDecode(codec.valueCodec, at, cut, 0), 0, `${cut} bytes`);
  }
  assertEquals(kernel.exports.codecRecordDecode(codec.valueCodec, at, whole.length, 0), 0);
});

test("recordDecode: what has two encodings has only one", () => {
  const { codec } = bind(
    defineTable({ name: "t", key: [u32("id")], value: { n: u53(), t: text(), o: optional(bool()), p: optional(f64()) } }),
  );
  const refuse = (...encoded: number[]): void => {
    const error = assertThrows(() => codec.valueFromBytes(new Uint8Array(encoded)), Error, 'Cannot read "t"');
    assert(isManifestErrorCode(error, "CORRUPT_RECORD"));
  };
  assertEquals(codec.valueFromBytes(new Uint8Array([5, 1, 0x61])), { n: 5, t: "a" });
  assertEquals(codec.valueFromBytes(new Uint8Array([5, 1, 0x61, 1, 1])), { n: 5, t: "a", o: true });
  refuse(0x85, 0, 1, 0x61); // padded varint
  refuse(5, 0x81, 0, 0x61); // padded length
  refuse(5, 1, 0x61, 0); // presence bits that should have been left out
  refuse(5, 1, 0x61, 4); // a bit that no field has
  refuse(5, 1, 0x61, 1, 2); // a bool that is neither
  refuse(5, 1, 0x61, 2, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f); // another NaN
  refuse(5, 1, 0xc0); // text that is not UTF-8
  refuse(5, 3, 0xed, 0xa0, 0x80); // a surrogate
  refuse(5, 2, 0xc1, 0x81); // an overlong form
  refuse(5, 4, 0xf4, 0x90, 0x80, 0x80); // above U+10FFFF
  refuse(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0); // 2^56 − 1: above 2^53 − 1
  refuse(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0); // above 64 bits
});

test("recordEncode: −0, NaN and infinities survive outside keys; integers have no −0", () => {
  const { codec } = bind(defineTable({ name: "t", key: [u32("id")], value: { a: f64(), b: f32(), c: u53() } }));
  const back = (value: Values): Values => codec.valueFromBytes(codec.encodeValue(value));
  assert(Object.is(back({ a: -0, b: -0, c: 0 }).a, -0));
  assert(Object.is(back({ a: -0, b: -0, c: 0 }).b, -0));
  assert(Object.is(back({ a: 1, b: 1, c: -0 }).c, 0));
  assert(Object.is(back({ a: NaN, b: NaN, c: 0 }).b, NaN));
  assertEquals(back({ a: -Infinity, b: 1e300, c: 0 }), { a: -Infinity, b: Infinity, c: 0 });
  assertEquals(back({ a: 0, b: 0.1, c: 0 }).b, Math.fround(0.1));
});

const FIRST = { team: text(), seen: u53() };
const SECOND = { ...FIRST, note: optional(text()) };
const THIRD = { ...FIRST, note: optional(text()), size: optional(u32()), at: optional(timestamp()) };

test("recordDecode: records of an older schema read under a newer one, and keep their bytes", () => {
  const key = [u32("id")] as const;
  const tables = [FIRST, SECOND, THIRD].map((value) => bind(defineTable({ name: "t", key, value })).codec);
  const one = tables[0]!.encodeValue({ team: "core", seen: 7 });
  for (const codec of tables) {
    assertEquals(codec.valueFromBytes(one), { team: "core", seen: 7 });
    assertEquals(codec.encodeValue({ team: "core", seen: 7 }), one);
  }
  const two = tables[1]!.encodeValue({ team: "core", seen: 7, note: "x" });
  assertEquals(tables[2]!.valueFromBytes(two), { team: "core", seen: 7, note: "x" });
  assertEquals(tables[2]!.encodeValue({ team: "core", seen: 7, note: "x" }), two);
  const three = tables[2]!.encodeValue({ team: "core", seen: 7, at: 5 });
  const error = assertThrows(() => tables[1]!.valueFromBytes(three));
  assert(isManifestErrorCode(error, "CORRUPT_RECORD"));
});

test("recordDecode: a fixed layout takes optional fields without moving", () => {
  const key = [u32("id")] as const;
  const old = bind(defineTable({ name: "t", key, value: { a: u32(), b: f64() } })).codec;
  const now = bind(defineTable({ name: "t", key, value: { a: u32(), c: optional(u32()), b: f64() } })).codec;
  const encoded = old.encodeValue({ a: 1, b: 2 });
  assertEquals(encoded.length, 12);
  assertEquals(now.valueFromBytes(encoded), { a: 1, b: 2 });
  assertEquals(now.encodeValue({ a: 1, b: 2 }), encoded);
  assertEquals(now.encodeValue({ a: 1, b: 2, c: 300 }), new Uint8Array([...encoded, 1, 0xac, 2]));
});

test("fixedField: reads fields where they lie", () => {
  const table = defineTable({
    name: "fixed",
    key: [u32("id")],
    value: {
      a: u8(),
      b: u16(),
      c: u32(),
      d: u64(),
      e: i8(),
      f: i16(),
      g: i32(),
      h: i64(),
      i: f32(),
      j: f64(),
      k: bool(),
      l: fixedBytes(5),
      m: vector(3),
      n: custom(u32(), { encode: (value: string) => value.length, decode: (value) => "x".repeat(value) }),
      o: optional(u8()),
    },
  });
  const { arena, codec } = bind(table);
  const value = {
    a: 200,
    b: 60000,
    c: 4e9,
    d: 2n ** 63n,
    e: -5,
    f: -300,
    g: -70000,
    h: -(2n ** 40n),
    i: 0.5,
    j: Math.PI,
    k: true,
    l: new Uint8Array([1, 2, 3, 4, 5]),
    m: new Float32Array([1, -2, 3.5]),
    n: "xxxx",
    o: 9,
  };
  const encoded = codec.encodeValue(value);
  for (let shift = 0; shift < 4; shift++) {
    arena.reset();
    arena.take(shift);
    const at = arena.base + arena.put(encoded);
    for (const name of Object.keys(value) as (keyof typeof value)[]) {
      const field = codec.fixedField(name);
      if (name === "o") assertEquals(field, undefined);
      else assertEquals(field!.read(at), value[name], name);
    }
  }
  assertEquals(bind(defineTable({ name: "t", key: [u32("id")], value: { a: u32(), b: text() } })).codec.fixedField("a"), undefined);
});

test("recordEncode: properties of any name are data", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "0", "then"];
  const shape = Object.fromEntries(names.map((name) => [name, optional(text())]));
  Object.defineProperty(shape, "__proto__", { value: optional(text()), enumerable: true });
  const { codec } = bind(defineTable({ name: "t", key: [u32("id")], value: { id: u8(), ...shape } }));
  const empty = codec.valueFromBytes(codec.encodeValue({ id: 1 }));
  assertEquals(Object.keys(empty), ["id"]);
  const value: Values = { id: 1 };
  for (const name of names) Object.defineProperty(value, name, { value: `is ${name}`, enumerable: true });
  const back = codec.valueFromBytes(codec.encodeValue(value));
  assertEquals(Object.getPrototypeOf(back), Object.prototype);
  for (const name of names) assertEquals(Object.getOwnPropertyDescriptor(back, name)?.value, `is ${name}`);
  assertEquals(({} as Values).polluted, undefined);
});

test("recordEncode: a wrong field is named, and nothing is left behind", () => {
  const table = defineTable({
    name: "owners",
    key: [u32("id")],
    value: {
      team: text(),
      seen: u53(),
      small: u8(),
      big: u64(),
      signed: i64(),
      on: bool(),
      hash: fixedBytes(4),
      raw: bytes(),
      state: enumOf("open", "closed"),
      parts: list(record({ size: u32(), label: optional(text()) })),
      change: union("op", { put: { size: u32() }, drop: {} }),
      weights: vector(2),
      ratio: f64(),
      level: optional(i8()),
    },
  });
  const { codec, arena } = bind(table);
  const good: Values = {
    team: "core",
    seen: 7,
    small: 1,
    big: 1n,
    signed: -1n,
    on: true,
    hash: new Uint8Array(4),
    raw: new Uint8Array(2),
    state: "open",
    parts: [{ size: 1 }],
    change: { op: "drop" },
    weights: new Float32Array(2),
    ratio: 0.5,
  };
  const encoded = codec.encodeValue(good);
  const top = arena.top;
  const bad = (field: string, value: unknown, type: typeof TypeError | typeof RangeError, code: string, message: string): void => {
    const error = assertThrows(() => codec.encodeValue({ ...good, [field]: value }), type as ErrorConstructor, message);
    assert(isManifestErrorCode(error, code), String(error));
    assertEquals(arena.top, top);
  };
  bad("team", 5, TypeError, "INVALID_ARGUMENT", 'Cannot write "owners": field "team" is not a string');
  bad("team", undefined, TypeError, "INVALID_ARGUMENT", 'field "team" is missing: it should be a string');
  bad("team", null, TypeError, "INVALID_ARGUMENT", 'field "team" is missing');
  bad("team", "\udc00", TypeError, "INVALID_ARGUMENT", 'field "team" has a lone surrogate');
  bad("team", "x".repeat(100) + "\ud83d", TypeError, "INVALID_ARGUMENT", 'field "team" has a lone surrogate');
  bad("seen", "7", TypeError, "INVALID_ARGUMENT", 'field "seen" is not a whole number from 0 to 2^53 - 1');
  bad("seen", 7n, TypeError, "INVALID_ARGUMENT", 'field "seen" is not a whole number');
  bad("seen", 2 ** 53, RangeError, "LIMIT", 'field "seen" is above 2^53 - 1');
  bad("seen", -1, RangeError, "INVALID_ARGUMENT", 'field "seen" is not a whole number');
  bad("seen", 1.5, RangeError, "INVALID_ARGUMENT", 'field "seen" is not a whole number');
  bad("seen", NaN, RangeError, "INVALID_ARGUMENT", 'field "seen" is not a whole number');
  bad("seen", Infinity, RangeError, "LIMIT", 'field "seen" is above');
  bad("small", 256, RangeError, "INVALID_ARGUMENT", 'field "small" is not a whole number from 0 to 255');
  bad("big", 5, TypeError, "INVALID_ARGUMENT", 'field "big" is not a bigint');
  bad("big", 2n ** 64n, RangeError, "INVALID_ARGUMENT", 'field "big" is not a bigint from 0 to 2^64 - 1');
  bad("big", -1n, RangeError, "INVALID_ARGUMENT", 'field "big" is not a bigint');
  bad("signed", 2n ** 63n, RangeError, "INVALID_ARGUMENT", 'field "signed" is not a bigint from -2^63');
  bad("on", 1, TypeError, "INVALID_ARGUMENT", 'field "on" is not a boolean');
  bad("hash", new Uint8Array(3), TypeError, "INVALID_ARGUMENT", 'field "hash" is not a Uint8Array of 4 bytes');
  bad("raw", [1], TypeError, "INVALID_ARGUMENT", 'field "raw" is not a Uint8Array');
  bad("raw", new Uint16Array(2), TypeError, "INVALID_ARGUMENT", 'field "raw" is not a Uint8Array');
  bad("state", "half", TypeError, "INVALID_ARGUMENT", 'field "state" is not one of "open", "closed"');
  bad("state", "toString", TypeError, "INVALID_ARGUMENT", 'field "state" is not one of');
  bad("parts", {}, TypeError, "INVALID_ARGUMENT", 'field "parts" is not an array');
  bad("parts", [5], TypeError, "INVALID_ARGUMENT", 'field "parts[]" is not an object');
  bad("parts", [{ size: "1" }], TypeError, "INVALID_ARGUMENT", 'field "parts[].size" is not a whole number');
  bad("change", { op: "move" }, TypeError, "INVALID_ARGUMENT", 'field "change" is not an object whose "op" is one of "put", "drop"');
  bad("change", { op: "put" }, TypeError, "INVALID_ARGUMENT", 'field "change.put.size" is missing');
  bad("weights", [1, 2], TypeError, "INVALID_ARGUMENT", 'field "weights" is not a Float32Array of 2 numbers');
  bad("ratio", "1", TypeError, "INVALID_ARGUMENT", 'field "ratio" is not a number');
  bad("level", 128, RangeError, "INVALID_ARGUMENT", 'field "level" is not a whole number from -128 to 127');
  bad("level", null, TypeError, "INVALID_ARGUMENT", 'field "level" is missing');
  assertThrows(() => codec.encodeValue(null as never), TypeError, "the record is not an object");
  assertEquals(codec.encodeValue(good), encoded);
  assertEquals(codec.encodeValue({ ...good, level: undefined }), encoded);
});

test("custom: values go through the pair of functions wherever the type stands", () => {
  const date = custom(timestamp(), { encode: (value: Date) => value.getTime(), decode: (value) => new Date(value) });
  const csv = custom(list(text()), { encode: (value: string) => value.split(","), decode: (value) => value.join(",") });
  const table = defineTable({ name: "t", key: [u32("id")], value: { at: date, more: optional(date), all: list(date), words: csv } });
  const { codec } = bind(table);
  const value = { at: new Date(5), more: new Date(0), all: [new Date(1), new Date(2)], words: "a,b,c" };
  assertEquals(codec.valueFromBytes(codec.encodeValue(value)), value);
  assertEquals(new TextDecoder().decode(table.schema).includes("custom"), false);
  assertThrows(() => codec.encodeValue({ ...value, at: new Date(NaN) }), RangeError, 'field "at" is not a whole number');
});

test("recordEncode: texts and bytes of megabytes, and lists of many elements", () => {
  const { codec } = bind(defineTable({ name: "t", key: [u32("id")], value: { t: text(), b: bytes(), l: list(list(u53())) } }));
  const random = seeded(5);
  const value = {
    t: "grüße".repeat(300_000),
    b: random.bytes(3_000_000),
    l: Array.from({ length: 2000 }, (_, i) => Array.from({ length: i % 50 }, () => random.u32())),
  };
  assertEquals(codec.valueFromBytes(codec.encodeValue(value)), value);
  assertEquals(codec.valueFromBytes(codec.encodeValue({ t: "", b: new Uint8Array(0), l: [] })), { t: "", b: new Uint8Array(0), l: [] });
});

test("decodeRows: decodes a chunk of keys and values in one call", () => {
  const table = defineTable({
    name: "t",
    key: [u32("db"), text("path")],
    value: { team: text(), tags: list(text()), size: optional(u53()) },
  });
  const { kernel, arena, codec } = bind(table);
  const random = seeded(9);
  const rows = Array.from({ length: 500 }, (_, i) => ({
    key: [i, random.letters(random.int(40)) + (i % 7 === 0 ? "\0" : "")] as const,
    value: {
      team: random.letters(5),
      tags: Array.from({ length: random.int(4) }, () => random.letters(3)),
      ...(i % 3 === 0 ? { size: i } : {}),
    },
  }));
  const encoded = rows.map(({ key, value }) => [codec.encodeKey(key), codec.encodeValue(value)] as const);
  arena.reset();
  const index = arena.tape(rows.length * 2) * 2;
  const start = arena.top;
  encoded.forEach(([key, value], i) => {
    const at = [arena.put(key), arena.put(value)] as const;
    arena.u32.set([at[0] - start, key.length, at[1] - start, i === 250 ? 0xffffffff : value.length], index + i * 4);
  });
  for (const [keys, values] of [[true, true], [true, false], [false, true]] as const) {
    const tapes = codec.decodeRows(arena.base + index * 4, rows.length, arena.base + start, keys, values);
    rows.forEach((row, i) => {
      if (keys) assertEquals(codec.readKey(tapes.keys + i * codec.keyTapeBytes), row.key);
      if (values && i !== 250) assertEquals(codec.readValue(tapes.values + i * codec.valueTapeBytes), row.value);
    });
  }
  arena.u32[index + 4 * 100 + 1]! -= 1;
  const error = assertThrows(() => codec.decodeRows(arena.base + index * 4, rows.length, arena.base + start, true, false));
  assert(isManifestErrorCode(error, "CORRUPT_RECORD"));
  assertEquals(kernel.exports.rowsDecode(arena.base + index * 4, rows.length, arena.base + start, codec.valueCodec, 0) > 0, true);
});
