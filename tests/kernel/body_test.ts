// Frame bodies: what operation records become, byte by byte against a reader of its own, and how damaged bodies are read.
import { assert, assertEquals } from "@std/assert";
import {
  BODY_COMMIT_ID,
  BODY_EFFECTS,
  BODY_EXTRA,
  BODY_HEADER,
  BODY_VERSION,
  CORRUPT_RECORD,
  CTRL_DATA_AT,
  CTRL_DATA_LENGTH,
  CTRL_ERROR_A,
  CTRL_ERROR_FIELD,
  CTRL_ERROR_OP,
  CTRL_ERROR_REASON,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  EFFECT_DELETE,
  EFFECT_DELETE_RANGE,
  EFFECT_DROP_TABLE,
  EFFECT_HIDDEN,
  EFFECT_PUT,
  EFFECT_WORDS,
  FIELD_NAN,
  INVALID_FIELD,
  KEY_TOO_LONG,
  LIMIT_VALUE,
  OK,
  OP_WORDS,
  VALUE_TOO_LONG,
} from "../../assembly/format.ts";
import { defineTable, f64, text, u32, u53 } from "../../src/schema/schema.ts";
import { test } from "../support/harness.ts";
import { type Random, seeded } from "../support/random.ts";
import { bind } from "../schema/values.ts";

/** An effect as the test sees it; a delete has no value. */
interface Effect {
  kind: number;
  tag: number;
  table: number;
  key: Uint8Array;
  value: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** A header with anything in it but the version. */
function randomHeader(random: Random): Uint8Array {
  const header = random.bytes(BODY_HEADER);
  header[BODY_VERSION] = 1;
  return header;
}
const owners = defineTable({ name: "owners", key: [u32("db"), text("path")], value: { team: text(), seen: u53() } });
const floats = defineTable({ name: "floats", key: [f64("x")], value: {} });

/** Reads a body by the format's description. */
function parse(body: Uint8Array): { effects: Effect[]; extra: Uint8Array } {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const count = view.getUint32(BODY_EFFECTS, true), extraLength = view.getUint32(BODY_EXTRA, true);
  let at = BODY_HEADER;
  const number = (): number => {
    let value = 0, scale = 1;
    while (true) {
      const byte = body[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  const bytes = (): Uint8Array => {
    const length = number();
    at += length;
    return body.slice(at - length, at);
  };
  const effects = Array.from({ length: count }, () => {
    const kind = body[at++]!, tag = body[at++]!, table = number(), key = bytes();
    const plain = kind & ~EFFECT_HIDDEN;
    return { kind, tag, table, key, value: plain === EFFECT_PUT || plain === EFFECT_DELETE_RANGE ? bytes() : NOTHING };
  });
  assertEquals(at, body.length - extraLength);
  return { effects, extra: body.slice(at) };
}

function randomEffect(random: Random): Effect {
  const kind = random.pick([EFFECT_PUT, EFFECT_PUT, EFFECT_PUT, EFFECT_DELETE, EFFECT_DELETE_RANGE, EFFECT_DROP_TABLE]);
  return {
    kind: kind | (random.chance(0.2) ? EFFECT_HIDDEN : 0),
    tag: random.int(256),
    table: random.pick([1, 16, 127, 128, 70000, 2 ** 32 - 1]),
    key: kind === EFFECT_DROP_TABLE ? NOTHING : random.bytes(random.pick([0, 1, 12, 127, 128, 129, 1024])),
    value: kind === EFFECT_PUT
      ? random.bytes(random.pick([0, 1, 100, 127, 128, 5000, 70_000]))
      : kind === EFFECT_DELETE_RANGE
      ? random.bytes(random.int(1025))
      : NOTHING,
  };
}

type Bound = ReturnType<typeof bind>;

/** Stages raw effects and encodes them. */
function encode({ kernel, arena }: Bound, effects: readonly Effect[], extra: Uint8Array, header: Uint8Array): Uint8Array {
  arena.reset(4096);
  const headerAt = arena.put(header), extraAt = arena.put(extra);
  const ops = arena.tape(Math.ceil(effects.length * OP_WORDS / 2)) * 8;
  effects.forEach((effect, i) => {
    const keyAt = arena.put(effect.key), valueAt = arena.put(effect.value);
    arena.u32.set(
      [effect.kind | effect.tag << 8, effect.table, 0, keyAt, effect.key.length, 0, valueAt, effect.value.length, 0],
      ops / 4 + i * OP_WORDS,
    );
  });
  assertEquals(kernel.exports.txnEncode(ops, effects.length, headerAt, extraAt, extra.length), OK);
  const at = kernel.word(CTRL_OUT_AT);
  return kernel.u8.slice(at, at + kernel.word(CTRL_OUT_COUNT));
}

/** Reads a body with the kernel; undefined when it is refused. */
function read({ kernel, arena }: Bound, body: Uint8Array): { effects: Effect[]; extra: Uint8Array } | undefined {
  arena.reset(4096);
  const start = arena.base + arena.put(body);
  const status = kernel.exports.bodyRead(start, body.length);
  if (status !== OK) {
    assertEquals(status, CORRUPT_RECORD);
    return undefined;
  }
  const index = kernel.word(CTRL_ROWS_AT) / 4;
  const inside = (at: number, length: number): Uint8Array => {
    assert(length === 0 || (at >= start && at + length <= start + body.length), "an effect lies outside its body");
    return kernel.u8.slice(at, at + length);
  };
  const effects = Array.from({ length: kernel.word(CTRL_ROWS) }, (_, i) => {
    const [kind, tag, table, keyAt, keyLength, valueAt, valueLength] = kernel.u32.subarray(
      index + i * EFFECT_WORDS,
      index + i * EFFECT_WORDS + 7,
    );
    return { kind: kind!, tag: tag!, table: table!, key: inside(keyAt!, keyLength!), value: inside(valueAt!, valueLength!) };
  });
  return { effects, extra: inside(kernel.word(CTRL_DATA_AT), kernel.word(CTRL_DATA_LENGTH)) };
}

test("bodyEncode: raw operations become the described bytes, and are read back", () => {
  const random = seeded(41);
  const bound = bind(owners);
  for (let round = 0; round < 300; round++) {
    const effects = Array.from({ length: random.pick([0, 1, 1, 2, 5, 40]) }, () => randomEffect(random));
    const extra = random.bytes(random.pick([0, 0, 1, 300, 20_000])), header = randomHeader(random);
    const body = encode(bound, effects, extra, header);
    assertEquals(parse(body), { effects, extra }, `seed 41, round ${round}`);
    assertEquals(body.slice(0, BODY_EFFECTS), header.slice(0, BODY_EFFECTS));
    assertEquals(read(bound, body), { effects, extra });
  }
});

test("bodyEncode: typed operations hold the bytes that the codecs give", () => {
  const random = seeded(42);
  const bound = bind(owners);
  const { kernel, arena, codec } = bound;
  for (let round = 0; round < 100; round++) {
    const rows = Array.from({ length: random.between(1, 60) }, () => ({
      key: [random.u32(), random.letters(random.pick([0, 5, 121, 122, 123, 124, 130, 900]))] as const,
      value: { team: random.letters(random.pick([0, 5, 200, 9000])), seen: random.u32() },
    }));
    const expected = rows.map(({ key, value }, i) =>
      i % 5 === 4
        ? { kind: EFFECT_DELETE_RANGE, tag: 0, table: 20, key: codec.encodeKey(key), value: codec.encodeKey([0xffffffff, "z"]) }
        : { kind: EFFECT_PUT, tag: i, table: 17, key: codec.encodeKey(key), value: codec.encodeValue(value) }
    );
    arena.reset(4096);
    const header = arena.take(BODY_HEADER);
    arena.u8.fill(0, header, header + BODY_HEADER);
    arena.u8[header + BODY_VERSION] = 1;
    arena.u8.fill(7, header + BODY_COMMIT_ID, header + BODY_COMMIT_ID + 16);
    const ops = arena.tape(Math.ceil(rows.length * OP_WORDS / 2)) * 8;
    rows.forEach(({ key, value }, i) => {
      const words = i % 5 === 4
        ? [
          EFFECT_DELETE_RANGE,
          20,
          codec.keyCodec,
          codec.writeKey(arena, key),
          0,
          codec.keyCodec,
          codec.writeKey(arena, [0xffffffff, "z"]),
          0,
          0,
        ]
        : [EFFECT_PUT | i << 8, 17, codec.keyCodec, codec.writeKey(arena, key), 0, codec.valueCodec, codec.writeValue(arena, value), 0, 0];
      arena.u32.set(words, ops / 4 + i * OP_WORDS);
    });
    assertEquals(kernel.exports.txnEncode(ops, rows.length, header, 0, 0), OK);
    const at = kernel.word(CTRL_OUT_AT);
    assertEquals(parse(kernel.u8.slice(at, at + kernel.word(CTRL_OUT_COUNT))).effects, expected, `seed 42, round ${round}`);
  }
});

test("bodyEncode: a refused operation is named", () => {
  const { kernel, arena, codec } = bind(owners);
  const other = bind(floats, kernel);
  const attempt = (words: (arena: Bound["arena"]) => number[]): number => {
    other.arena.reset(4096);
    const ops = other.arena.tape(9) * 8;
    const header = other.arena.take(BODY_HEADER);
    other.arena.u8[header + BODY_VERSION] = 1;
    const good = [EFFECT_DELETE, 17, 0, header, 4, 0, 0, 0, 0];
    const bad = words(other.arena);
    other.arena.u32.set(good, ops / 4);
    other.arena.u32.set(bad, ops / 4 + OP_WORDS);
    const status = kernel.exports.txnEncode(ops, 2, header, 0, 0);
    if (status !== OK) assertEquals(kernel.word(CTRL_ERROR_OP), 1);
    return status;
  };
  arena.reset(4096);
  assertEquals(attempt(() => [EFFECT_DELETE, 17, 0, 0, 1024, 0, 0, 0, 0]), OK);
  assertEquals(attempt(() => [EFFECT_DELETE, 17, 0, 0, 1025, 0, 0, 0, 0]), KEY_TOO_LONG);
  assertEquals(kernel.word(CTRL_ERROR_A), 1025);
  assertEquals(
    attempt((to) => [EFFECT_DELETE, 17, codec.keyCodec, codec.writeKey(to, [1, "x".repeat(1100)]), 0, 0, 0, 0, 0]),
    KEY_TOO_LONG,
  );
  assertEquals(attempt(() => [EFFECT_PUT, 17, 0, 0, 4, 0, 0, 2 ** 30, 0]), VALUE_TOO_LONG);
  assertEquals(kernel.word(CTRL_ERROR_REASON), LIMIT_VALUE);
  assertEquals(attempt(() => [0, 17, 0, 0, 4, 0, 0, 0, 0]), INVALID_FIELD);
  assertEquals(attempt(() => [9, 17, 0, 0, 4, 0, 0, 0, 0]), INVALID_FIELD);
  assertEquals(attempt(() => [EFFECT_PUT, 17, 999, 0, 4, 0, 0, 0, 0]), INVALID_FIELD);
  assertEquals(attempt(() => [EFFECT_PUT, 17, codec.valueCodec, 0, 4, 0, 0, 0, 0]), INVALID_FIELD);
  assertEquals(attempt(() => [EFFECT_PUT, 17, 0, 0, 4, codec.keyCodec, 0, 0, 0]), INVALID_FIELD);
  const nan = attempt((to) => {
    const slot = to.tape(1);
    to.f64[slot] = NaN;
    return [EFFECT_DELETE, 17, other.codec.keyCodec, slot * 8, 0, 0, 0, 0, 0];
  });
  assertEquals(nan, INVALID_FIELD);
  assertEquals(kernel.word(CTRL_ERROR_REASON), FIELD_NAN);
  assertEquals(kernel.word(CTRL_ERROR_FIELD), 0);
  const half = attempt((to) => {
    const tape = codec.writeValue(to, { team: "a", seen: 1 });
    to.f64[tape / 8 + 1] = 0.5;
    return [EFFECT_PUT, 17, 0, 0, 4, codec.valueCodec, tape, 0, 0];
  });
  assertEquals(half, INVALID_FIELD);
  assertEquals(kernel.word(CTRL_ERROR_FIELD), 1);
});

test("bodyEncode: bodies of many megabytes, and small ones after them", () => {
  const random = seeded(43);
  const bound = bind(owners);
  const header = randomHeader(random);
  const big = Array.from(
    { length: 40 },
    () => ({ kind: EFFECT_PUT, tag: 0, table: 16, key: random.bytes(20), value: random.bytes(400_000) }),
  );
  assertEquals(parse(encode(bound, big, NOTHING, header)).effects, big);
  let memory = 0;
  for (let i = 0; i < 20; i++) {
    if (i === 2) memory = bound.kernel.memoryBytes;
    assertEquals(parse(encode(bound, big, NOTHING, header)).effects.length, 40);
    const small = [randomEffect(random)];
    assertEquals(parse(encode(bound, small, NOTHING, header)).effects, small);
  }
  // The block of a long body is given back and taken again: only blocks of sizes not seen before may come on top.
  assert(bound.kernel.memoryBytes <= memory + (2 << 20));
});

test("bodyRead: truncated, flipped and random bodies are refused or stay inside", () => {
  const random = seeded(44);
  const bound = bind(owners);
  let refused = 0, accepted = 0;
  for (let round = 0; round < 60; round++) {
    const effects = Array.from({ length: random.int(6) }, () => {
      const effect = randomEffect(random);
      return { ...effect, key: effect.key.slice(0, 130), value: effect.value.slice(0, 200) };
    });
    const body = encode(bound, effects, random.bytes(random.int(9)), randomHeader(random));
    const tries: Uint8Array[] = [];
    for (let cut = 0; cut < body.length; cut++) tries.push(body.slice(0, cut));
    for (let i = 0; i < 400; i++) {
      const copy = body.slice();
      for (let flips = random.pick([1, 1, 2, 8]); flips > 0; flips--) copy[random.between(24, body.length - 1)]! ^= 1 << random.int(8);
      tries.push(copy);
    }
    for (const damaged of tries) {
      const found = read(bound, damaged);
      if (found === undefined) refused++;
      else {
        assertEquals(encode(bound, found.effects, found.extra, damaged.slice(0, BODY_HEADER)), damaged, `seed 44, round ${round}`);
        accepted++;
      }
    }
  }
  assert(refused > 1000 && accepted > 1000, `${refused} refused, ${accepted} accepted`);
});
