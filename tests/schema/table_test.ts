// Table definitions: inferred types, refused definitions, stored schemas and their comparison.
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  bool,
  bytes,
  custom,
  defineTable,
  enumOf,
  f64,
  fixedBytes,
  isManifestErrorCode,
  type KeyOf,
  list,
  named,
  optional,
  record,
  tableFromSchema,
  text,
  timestamp,
  tuple,
  u16,
  u32,
  u53,
  u64,
  u8,
  union,
  type ValueOf,
  vector,
} from "./imports.ts";
import { compareSchemas } from "../../src/schema/compare.ts";
import { parseSchema } from "../../src/schema/description.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { bind, randomComponents, randomMembers, randomRecord, randomValue, tableOf } from "./values.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
function typed<_T extends true>(): void {}

const owners = defineTable({
  name: "owners",
  key: [u53("db"), text("path"), tuple("at", [u32("x"), u64("y")]), named("state", enumOf("on", "off"))],
  value: {
    team: text(),
    seen: u53(),
    note: optional(text()),
    parts: list(record({ size: u32(), label: optional(text()) })),
    change: union("op", { put: { size: u32(), hash: optional(fixedBytes(4)) }, drop: {} }),
    at: custom(timestamp(), { encode: (value: Date) => value.getTime(), decode: (value) => new Date(value) }),
    weights: vector(2),
    on: optional(bool()),
  },
});

test("defineTable: key and record types are inferred", () => {
  typed<Same<KeyOf<typeof owners>, [number, string, [number, bigint], "on" | "off"]>>();
  typed<
    Same<ValueOf<typeof owners>, {
      team: string;
      seen: number;
      note?: string;
      parts: { size: number; label?: string }[];
      change: { op: "put"; size: number; hash?: Uint8Array } | { op: "drop" };
      at: Date;
      weights: Float32Array;
      on?: boolean;
    }>
  >();
  type Owner = ValueOf<typeof owners>;
  const good: Owner = { team: "a", seen: 1, parts: [], change: { op: "drop" }, at: new Date(0), weights: new Float32Array(2) };
  // @ts-expect-error: a number is no text
  const wrong: Owner = { ...good, team: 5 };
  // @ts-expect-error: no such field
  const unknown: Owner = { ...good, teem: "a" };
  // @ts-expect-error: a required field is missing
  const missing: Owner = { team: "a", parts: [], change: { op: "drop" }, at: new Date(0), weights: new Float32Array(2) };
  // @ts-expect-error: no such variant
  const variant: Owner = { ...good, change: { op: "move" } };
  // @ts-expect-error: a bigint component takes no number
  const key: KeyOf<typeof owners> = [1, "a", [1, 2], "on"];
  // @ts-expect-error: no such value
  const state: KeyOf<typeof owners> = [1, "a", [1, 2n], "half"];
  // @ts-expect-error: a list is no key component
  assertThrows(() => defineTable({ name: "t", key: [list(u8())], value: {} }));
  // @ts-expect-error: an optional field is no list element
  assertThrows(() => list(optional(u8())));
  assert([wrong, unknown, missing, variant, key, state].length === 6);
});

test("defineTable: definitions that cannot work are refused", () => {
  const refuse = (define: () => unknown, message: string): void => {
    const error = assertThrows(define, Error, message);
    assert(isManifestErrorCode(error, "INVALID_ARGUMENT") || isManifestErrorCode(error, "NAME_INVALID"), String(error));
  };
  refuse(() => defineTable({ name: "", key: [u8("a")], value: {} }), "its name is not 1 to 255 bytes");
  refuse(() => defineTable({ name: "x".repeat(256), key: [u8("a")], value: {} }), "its name is not 1 to 255 bytes");
  refuse(() => defineTable({ name: "a\0", key: [u8("a")], value: {} }), "without NUL");
  refuse(() => defineTable({ name: 5 as never, key: [u8("a")], value: {} }), "its name is not a string");
  refuse(() => defineTable({ name: "t", key: [], value: {} }), "its key has no components");
  refuse(() => defineTable({ name: "t", key: [u8("a"), u8("a")], value: {} }), '"a" is there twice');
  refuse(() => defineTable({ name: "t", key: [u8() as never], value: {} }), "a component has no name");
  refuse(() => defineTable({ name: "t", key: [named("a", vector(3))], value: {} }), "cannot be part of a key");
  refuse(() => defineTable({ name: "t", key: [u8("a")], value: { x: 5 as never } }), 'Cannot define the field "x"');
  refuse(() => defineTable({ name: "t", key: [u8("a")], value: { x: list(record({})) } }), "records without fields");
  refuse(() => defineTable({ name: "t", key: [u8("a")], value: { "\ud800": u8() } }), "not well-formed");
  refuse(() => enumOf(...["a", "a"] as [string, string]), "there twice");
  refuse(() => union("op", { put: { op: text() } }), 'a field named as the tag "op"');
  refuse(() => fixedBytes(0), "not a whole number from 1");
  refuse(() => vector(1.5), "not a whole number from 1");
  let deep = list(u8()) as unknown as ReturnType<typeof list<number>>;
  for (let i = 0; i < 16; i++) deep = list(deep) as never;
  refuse(() => defineTable({ name: "t", key: [u8("a")], value: { deep } }), "nested more than 16 deep");
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`f${i}`, optional(u8())]));
  refuse(() => defineTable({ name: "t", key: [u8("a")], value: many }), "more than 64 optional fields");
  delete many.f64;
  const { codec } = bind(defineTable({ name: "t", key: [u8("a")], value: many }));
  const all = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`f${i}`, i]));
  assertEquals(codec.valueFromBytes(codec.encodeValue(all)), all);
});

test("tableFromSchema: a table read from its stored schema decodes the same bytes", () => {
  const random = seeded(31);
  for (let round = 0; round < 200; round++) {
    const table = tableOf(randomComponents(random), randomMembers(random));
    const again = tableFromSchema("random", table.schema);
    assertEquals(again.schema, table.schema);
    const a = bind(table).codec, b = bind(again).codec;
    const key = table.key.map((member) => randomValue(random, member.type, true)), value = randomRecord(random, table.value);
    assertEquals(b.keyFromBytes(a.encodeKey(key)), key);
    assertEquals(b.valueFromBytes(a.encodeValue(value)), value);
  }
  const parsed = tableFromSchema("owners", owners.schema);
  assertEquals(parsed.key.map((member) => member.name), ["db", "path", "at", "state"]);
});

test("parseSchema: damaged descriptions are refused, never taken for others", () => {
  const encoder = new TextEncoder();
  for (
    const json of [
      "",
      "{}",
      "[]",
      "null",
      '{"v":1}',
      '{"v":1,"key":[],"value":[]}',
      '{"v":1,"key":[["a","no"]],"value":[]}',
      '{"v":1,"key":[["a","toString"]],"value":[]}',
      '{"v":1,"key":[["a",["list","u8"]]],"value":[]}',
      '{"v":1,"key":[["a","u8"]],"value":[["b",["fixed",0]]]}',
      '{"v":1,"key":[["a","u8"]],"value":[["b",' + '["list",'.repeat(40) + '"u8"' + "]".repeat(40) + "]]}",
    ]
  ) {
    assertEquals(parseSchema(encoder.encode(json)), undefined, json);
    const error = assertThrows(() => tableFromSchema("t", encoder.encode(json)));
    assert(isManifestErrorCode(error, "CORRUPT_RECORD"));
  }
  assertEquals(parseSchema(new Uint8Array([0xff])), undefined);
});

test("compareSchemas: added optional fields, enum values and variants are older or newer, all else is a mismatch", () => {
  const key = [u32("id")] as const;
  const schema = (value: Parameters<typeof defineTable>[0]["value"]): Uint8Array => defineTable({ name: "t", key, value }).schema;
  const base = {
    a: text(),
    b: optional(u32()),
    e: enumOf("x", "y"),
    u: union("op", { put: { n: u8() } }),
    r: record({ p: u8(), q: optional(u8()) }),
    n: record({ p: u8() }),
  };
  const same = (stored: Uint8Array, wanted: Uint8Array): void => assertEquals(compareSchemas(stored, wanted).result, "same");
  const older = (value: Parameters<typeof schema>[0]): void => {
    assertEquals(compareSchemas(schema(base), schema(value)).result, "older");
    assertEquals(compareSchemas(schema(value), schema(base)).result, "newer");
  };
  const mismatch = (value: Parameters<typeof schema>[0], reason: string): void => {
    for (const comparison of [compareSchemas(schema(base), schema(value)), compareSchemas(schema(value), schema(base))]) {
      assertEquals(comparison.result, "mismatch");
    }
    const { reason: actual } = compareSchemas(schema(base), schema(value));
    assert(actual.includes(reason), actual);
  };
  same(schema(base), schema({ ...base }));
  same(schema({ a: u8(), b: optional(u8()) }), schema({ b: optional(u8()), a: u8() }));
  same(
    schema({ a: timestamp() }),
    schema({ a: custom(timestamp(), { encode: (value: Date) => value.getTime(), decode: (value) => new Date(value) }) }),
  );
  older({ ...base, c: optional(u8()) });
  older({ ...base, e: enumOf("x", "y", "z") });
  older({ ...base, u: union("op", { put: { n: u8() }, drop: {} }) });
  older({ ...base, r: record({ p: u8(), q: optional(u8()), s: optional(text()) }) });
  mismatch({ ...base, c: u8() }, "required fields");
  mismatch({ ...base, a: bytes() }, '"a" is text in the file and bytes in the definition');
  mismatch({ ...base, b: optional(u16()) }, '"b" is u32');
  mismatch({ ...base, b: u32() }, "required fields");
  mismatch({ ...base, e: enumOf("y", "x") }, "not in the same order");
  mismatch({ ...base, n: record({ p: u8(), q: optional(u8()) }) }, "nested record that had none");
  mismatch({ ...base, e: enumOf("x"), c: optional(u8()) }, "but");
  assertEquals(compareSchemas(schema(base), defineTable({ name: "t", key: [u53("id")], value: base }).schema).result, "mismatch");
  assertEquals(compareSchemas(schema(base), defineTable({ name: "t", key: [u32("id"), u8("b")], value: base }).schema).result, "mismatch");
  assertEquals(compareSchemas(schema(base), defineTable({ name: "t", key: [u32("no")], value: base }).schema).result, "mismatch");
  assertEquals(compareSchemas(new TextEncoder().encode('{"v":2,"shape":0}'), schema(base)).result, "newer");
  assertEquals(compareSchemas(new Uint8Array(3), schema(base)).result, "mismatch");
  assertEquals(compareSchemas(schema({ a: f64() }), schema({ a: f64() })).result, "same");
});

test("describeSchema: the stored form is stable", () => {
  assertEquals(
    new TextDecoder().decode(owners.schema),
    '{"v":1,"key":[["db","u53"],["path","text"],["at",["tuple",[["x","u32"],["y","u64"]]]],["state",["enum","on","off"]]],' +
      '"value":[["team","text"],["seen","u53"],["parts",["list",["record",[["size","u32"],["label","text",1]]]]],' +
      '["change",["union","op",[["put",[["size","u32"],["hash",["fixed",4],1]]],["drop",[]]]]],["at","timestamp"],["weights",["vector",2]],' +
      '["note","text",1],["on","bool",1]]}',
  );
});
