// Keys: order, round trips, prefixes, limits.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { bytes, defineTable, enumOf, f64, fixedBytes, isManifestErrorCode, named, text, tuple, u32, u53 } from "./imports.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { bind, compareBytes, compareKeys, type KeyArray, randomComponents, randomValue, tableOf, testKernel } from "./values.ts";

const SEED = 2026;

function mutated(random: ReturnType<typeof seeded>, members: ReturnType<typeof randomComponents>, key: KeyArray): KeyArray {
  const copy = [...key];
  const at = random.int(members.length);
  copy[at] = randomValue(random, members[at]!.type, true);
  return copy;
}

test("keyEncode: bytes sort as the values do, over 120,000 pairs", () => {
  const random = seeded(SEED);
  let pairs = 0;
  for (let round = 0; pairs < 120_000; round++) {
    const members = randomComponents(random);
    const kernel = testKernel();
    const { codec } = bind(tableOf(members, []), kernel);
    const keys: KeyArray[] = [], encoded: Uint8Array[] = [];
    for (let i = 0; i < 60; i++) {
      const key = i > 0 && random.chance(0.7)
        ? mutated(random, members, random.pick(keys))
        : members.map((member) => randomValue(random, member.type, true));
      keys.push(key);
      encoded.push(codec.encodeKey(key));
    }
    for (let i = 0; i < keys.length; i++) {
      for (let j = i; j < keys.length; j++) {
        const wanted = Math.sign(compareKeys(members, keys[i]!, keys[j]!));
        const actual = Math.sign(compareBytes(encoded[i]!, encoded[j]!));
        if (wanted !== actual) {
          assertEquals(
            actual,
            wanted,
            `seed ${SEED}, round ${round}: ${JSON.stringify(members)} ${String(keys[i])} against ${String(keys[j])}`,
          );
        }
        pairs++;
      }
    }
  }
});

test("keyDecode: gives back what was encoded, over 20,000 keys", () => {
  const random = seeded(SEED + 1);
  for (let round = 0; round < 200; round++) {
    const members = randomComponents(random);
    const { codec } = bind(tableOf(members, []));
    for (let i = 0; i < 100; i++) {
      const key = members.map((member) => randomValue(random, member.type, true));
      const encoded = codec.encodeKey(key);
      const decoded = codec.keyFromBytes(encoded);
      assertEquals(decoded, key, `seed ${SEED + 1}, round ${round}`);
      assertEquals(codec.encodeKey(decoded), encoded);
    }
  }
});

test("keyDecode: damaged keys are refused or are another key's bytes", () => {
  const random = seeded(SEED + 2);
  let refused = 0, accepted = 0;
  for (let round = 0; round < 150; round++) {
    const members = randomComponents(random);
    const { codec } = bind(tableOf(members, []));
    const encoded = codec.encodeKey(members.map((member) => randomValue(random, member.type, true)));
    const tries: Uint8Array[] = [];
    for (let cut = 0; cut < encoded.length; cut++) tries.push(encoded.slice(0, cut));
    tries.push(new Uint8Array([...encoded, 0]), new Uint8Array([...encoded, 255]));
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const copy = encoded.slice();
      copy[bit >> 3]! ^= 1 << (bit & 7);
      tries.push(copy);
    }
    for (const bytes of tries) {
      let key: KeyArray;
      try {
        key = codec.keyFromBytes(bytes);
      } catch (error) {
        assert(isManifestErrorCode(error, "CORRUPT_RECORD"), String(error));
        refused++;
        continue;
      }
      assertEquals(codec.encodeKey(key), bytes);
      accepted++;
    }
  }
  assert(refused > 1000 && accepted > 1000, `${refused} refused, ${accepted} accepted`);
});

test("prefixRange: holds exactly the keys that start with the components", () => {
  const random = seeded(SEED + 3);
  for (let round = 0; round < 300; round++) {
    const members = randomComponents(random);
    const { codec } = bind(tableOf(members, []));
    const keys: KeyArray[] = [];
    for (let i = 0; i < 40; i++) {
      keys.push(
        i > 0 && random.chance(0.8)
          ? mutated(random, members, random.pick(keys))
          : members.map((member) => randomValue(random, member.type, true)),
      );
    }
    for (let count = 0; count <= members.length; count++) {
      const prefix = random.pick(keys).slice(0, count);
      const { lower, upper } = codec.prefixRange(prefix as never);
      for (const key of keys) {
        const encoded = codec.encodeKey(key);
        const inside = compareBytes(encoded, lower) >= 0 && (upper === undefined || compareBytes(encoded, upper) < 0);
        assertEquals(inside, compareKeys(members.slice(0, count), prefix, key) === 0, `seed ${SEED + 3}, round ${round}`);
      }
    }
  }
});

test("prefixRange: an open prefix holds the texts that begin with the last component", () => {
  const table = defineTable({ name: "paths", key: [u53("db"), text("path")], value: {} });
  const { codec } = bind(table);
  const paths = ["", "a", "a/", "a/b", "a/\0", "a/\u{10ffff}", "a0", "b", "A/", "a\x01", "a/\x01"];
  for (const start of paths) {
    const { lower, upper } = codec.prefixRange([1, start] as never, true);
    for (const path of paths) {
      const encoded = codec.encodeKey([1, path]);
      const inside = compareBytes(encoded, lower) >= 0 && (upper === undefined || compareBytes(encoded, upper) < 0);
      assertEquals(inside, path.startsWith(start), JSON.stringify([start, path]));
    }
    assert(compareBytes(codec.encodeKey([2, start]), upper!) >= 0);
  }
  assertThrows(() => codec.prefixRange([1] as never, true), TypeError, "open prefix");
  assertThrows(() => codec.prefixRange([1, "a", 2] as never), TypeError, "the prefix has 3 components");
  assertEquals(codec.prefixRange([] as never).upper, undefined);
});

test("keyEncode: the layout is big-endian numbers and escaped text with a terminator", () => {
  const { codec } = bind(defineTable({ name: "t", key: [u32("a"), u53("b"), text("c"), bytes("d")], value: {} }));
  assertEquals(
    codec.encodeKey([1, 2 ** 40 + 5, "a\0b\x01", new Uint8Array([0, 255])]),
    new Uint8Array([0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 5, 0x61, 1, 1, 0x62, 1, 2, 0, 1, 1, 255, 0]),
  );
});

test("keyEncode: a key with one component may be given bare", () => {
  const { codec } = bind(defineTable({ name: "one", key: [text("name")], value: {} }));
  assertEquals(codec.encodeKey("abc" as never), codec.encodeKey(["abc"]));
  assertEquals(codec.keyFromBytes(codec.encodeKey(["abc"])), ["abc"]);
  const nested = bind(defineTable({ name: "nested", key: [tuple("at", [u32("x"), u32("y")])], value: {} }));
  assertEquals(nested.codec.keyFromBytes(nested.codec.encodeKey([[1, 2]])), [[1, 2]]);
  assertThrows(() => nested.codec.encodeKey([1, 2]), TypeError, "2 components, not 1");
});

test("keyEncode: −0 is stored as +0, NaN is refused", () => {
  const { codec } = bind(defineTable({ name: "floats", key: [f64("x")], value: {} }));
  assertEquals(codec.encodeKey([-0]), codec.encodeKey([0]));
  assert(Object.is(codec.keyFromBytes(codec.encodeKey([-0]))[0], 0));
  const error = assertThrows(() => codec.encodeKey([NaN]), RangeError, 'Cannot use a key of "floats": key component "x" is NaN');
  assert(isManifestErrorCode(error, "INVALID_ARGUMENT"));
});

test("keyEncode: keys up to 1,024 bytes are taken, longer ones are LIMIT", () => {
  const { codec } = bind(defineTable({ name: "long", key: [bytes("b")], value: {} }));
  assertEquals(codec.encodeKey([new Uint8Array(1023).fill(7)]).length, 1024);
  const error = assertThrows(() => codec.encodeKey([new Uint8Array(1024).fill(7)]), RangeError, "longer than 1024 bytes");
  assert(isManifestErrorCode(error, "LIMIT"));
  assertEquals(codec.encodeKey([new Uint8Array(511)]).length, 1023);
  assertThrows(() => codec.encodeKey([new Uint8Array(512)]), RangeError, "longer than 1024 bytes");
  assertThrows(() => codec.encodeKey([new Uint8Array(5_000_000)]), RangeError, "longer than 1024 bytes");
});

test("keyEncode: wrong components are named", () => {
  const { codec } = bind(
    defineTable({ name: "owners", key: [u53("db"), text("path"), named("state", enumOf("on", "off")), fixedBytes(4, "hash")], value: {} }),
  );
  const good: unknown[] = [1, "a", "on", new Uint8Array(4)];
  codec.encodeKey(good);
  const bad = (
    index: number,
    value: unknown,
    type: ErrorConstructor | TypeErrorConstructor | RangeErrorConstructor,
    code: string,
    message: string,
  ): void => {
    const error = assertThrows(() => codec.encodeKey(good.with(index, value)), type as ErrorConstructor, message);
    assert(isManifestErrorCode(error, code), String(error));
  };
  bad(0, "1", TypeError, "INVALID_ARGUMENT", 'Cannot use a key of "owners": key component "db" is not a whole number from 0 to 2^53 - 1');
  bad(0, 2 ** 53, RangeError, "LIMIT", 'key component "db" is above 2^53 - 1');
  bad(0, -1, RangeError, "INVALID_ARGUMENT", 'key component "db" is not a whole number');
  bad(0, 0.5, RangeError, "INVALID_ARGUMENT", 'key component "db" is not a whole number');
  bad(0, NaN, RangeError, "INVALID_ARGUMENT", 'key component "db" is not a whole number');
  bad(0, undefined, TypeError, "INVALID_ARGUMENT", 'key component "db" is missing');
  bad(1, "a\ud800", TypeError, "INVALID_ARGUMENT", 'key component "path" has a lone surrogate');
  bad(1, 5, TypeError, "INVALID_ARGUMENT", 'key component "path" is not a string');
  bad(2, "no", TypeError, "INVALID_ARGUMENT", 'key component "state" is not one of "on", "off"');
  bad(3, new Uint8Array(5), TypeError, "INVALID_ARGUMENT", 'key component "hash" is not a Uint8Array of 4 bytes');
  assertThrows(() => codec.encodeKey([1] as never), TypeError, "it has 1 components, not 4");
  assertThrows(() => codec.encodeKey(7 as never), TypeError, "not an array of 4 components");
  codec.encodeKey(good);
});
