// Random tables and values for the schema tests, and an order of keys that knows nothing of bytes in the kernel.
import { Arena } from "../../src/schema/arena.ts";
import { TableCodec } from "../../src/schema/codec.ts";
import type { AnyTable } from "../../src/schema/table.ts";
import type { Member, ScalarName, Type } from "../../src/schema/type.ts";
import { describeSchema } from "../../src/schema/description.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelModule } from "../../src/kernel/loader.ts";
import type { Random } from "../support/random.ts";

/** A kernel of its own for a test. */
export function testKernel(): Kernel {
  return new Kernel(kernelModule());
}

/** A table bound to a kernel of its own. */
export function bind<T extends AnyTable>(
  table: T,
  kernel: Kernel = testKernel(),
): { kernel: Kernel; arena: Arena; codec: TableCodec<KeyArray, Values> } {
  const arena = new Arena(kernel);
  arena.reset();
  return { kernel, arena, codec: new TableCodec<KeyArray, Values>(kernel, arena, table) };
}

/** A key of any table. */
export type KeyArray = readonly unknown[];
/** A record of any table. */
export type Values = Record<string, unknown>;

/** A table from members, without the checks of `defineTable`. */
export function tableOf(key: readonly Member[], value: readonly Member[]): AnyTable {
  return { name: "random", key, value, schema: describeSchema(key, value) };
}

const KEY_SCALARS: readonly ScalarName[] = [
  "u8",
  "u16",
  "u32",
  "u53",
  "u64",
  "i8",
  "i16",
  "i32",
  "i64",
  "f32",
  "f64",
  "bool",
  "text",
  "bytes",
  "timestamp",
];

/** A random type that a key may hold. */
export function randomKeyType(random: Random, depth = 0): Type {
  const choice = random.int(20);
  if (choice === 0) return { is: "fixed", length: random.between(1, 20) };
  if (choice === 1) return { is: "enum", values: Array.from({ length: random.between(1, 9) }, (_, i) => `value${i}`) };
  if (choice <= 3 && depth < 3) return { is: "tuple", members: randomComponents(random, depth + 1) };
  return { is: random.pick(KEY_SCALARS) };
}

/** Random components of a key or of a tuple. */
export function randomComponents(random: Random, depth = 0): Member[] {
  return Array.from({ length: random.between(1, 4) }, (_, i) => ({ name: `k${i}`, optional: false, type: randomKeyType(random, depth) }));
}

const NAMES = ["a", "size", "__proto__", "valueOf", "toString", "7", "naïve", "digest", "x y", "hasOwnProperty", "state", "b"];

/** A random type that a record may hold. */
export function randomType(random: Random, depth: number): Type {
  const choice = random.int(24);
  const deeper = depth < 3;
  if (choice < 2) return { is: "fixed", length: random.between(1, 40) };
  if (choice < 4) return { is: "enum", values: Array.from({ length: random.pick([1, 2, 5, 200, 300]) }, (_, i) => `value${i}`) };
  if (choice < 5) return { is: "vector", length: random.between(1, 9) };
  if (choice < 8 && deeper) return { is: "list", element: leastOne(randomType(random, depth + 1)) };
  if (choice < 10 && deeper) return { is: "record", members: randomMembers(random, depth + 1) };
  if (choice < 12 && deeper) {
    const variants = Array.from(
      { length: random.between(1, 4) },
      (_, i) => ({ name: `variant${i}`, members: randomMembers(random, depth + 1) }),
    );
    return { is: "union", tag: "op", variants };
  }
  return { is: random.pick(KEY_SCALARS) };
}

function leastOne(type: Type): Type {
  return type.is === "record" ? { is: "record", members: [...type.members, { name: "last", optional: false, type: { is: "u8" } }] } : type;
}

/** Random fields of a record. */
export function randomMembers(random: Random, depth = 0): Member[] {
  const names = random.shuffle([...NAMES]).slice(0, random.int(7));
  const plain = random.chance(0.2);
  return names.map((name) => ({
    name,
    optional: random.chance(0.3),
    type: plain
      ? { is: random.pick(["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool"] as const) }
      : randomType(random, depth),
  }));
}

const EDGES = [
  0,
  1,
  2,
  126,
  127,
  128,
  255,
  256,
  16383,
  16384,
  32767,
  32768,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 49,
  2 ** 53 - 1,
];
const FLOATS = [
  0,
  -0,
  1,
  -1,
  0.1,
  -0.1,
  5e-324,
  -5e-324,
  1.7976931348623157e308,
  -1.7976931348623157e308,
  Infinity,
  -Infinity,
  2 ** 53,
  1e-40,
  Math.PI,
];
const TEXTS = [
  "",
  "\0",
  "\x01",
  "\0\0",
  "a",
  "a\0",
  "a\x01",
  "a\0b",
  "ab",
  "b",
  "\x02",
  "é",
  "\u007f",
  "\u0080",
  "\u07ff",
  "\u0800",
  "\uffff",
  "\u{10000}",
  "\u{10ffff}",
  "﻿x",
];

function whole(random: Random, least: number, most: number): number {
  if (random.chance(0.4)) {
    const edge = random.pick(EDGES) * (least < 0 && random.chance(0.5) ? -1 : 1) + random.between(-1, 1);
    if (edge >= least && edge <= most) return edge === 0 ? 0 : edge;
  }
  if (random.chance(0.3)) return random.between(Math.max(least, -3), 3);
  const value = least + Math.floor((random.float() + random.float() / 2 ** 32) * (most - least + 1));
  return Math.min(most, Math.max(least, value));
}

function wide(random: Random, signed: boolean): bigint {
  const value = random.chance(0.4)
    ? BigInt(random.pick(EDGES)) * (random.chance(0.5) ? -1n : 1n)
    : BigInt(random.u32()) << 32n | BigInt(random.u32());
  return signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
}

function float(random: Random, forKey: boolean): number {
  if (random.chance(0.4)) return random.pick(FLOATS);
  if (!forKey && random.chance(0.1)) return NaN;
  return (random.float() - 0.5) * 10 ** random.between(-20, 20);
}

function string(random: Random): string {
  let out = "";
  for (let i = random.int(3); i >= 0; i--) {
    out += random.chance(0.5) ? random.pick(TEXTS) : random.letters(random.pick([0, 1, 3, 7, 8, 9, 15, 31, 33, 45, 70]));
  }
  return out;
}

function blob(random: Random): Uint8Array {
  const out = random.bytes(random.pick([0, 1, 2, 3, 7, 8, 9, 16, 40]));
  for (let i = 0; i < out.length; i++) if (random.chance(0.4)) out[i] = random.pick([0, 1, 2, 254, 255]);
  return out;
}

/** A random value of a type. Key floats have no NaN and no −0. */
export function randomValue(random: Random, type: Type, forKey = false): unknown {
  switch (type.is) {
    case "u8":
      return whole(random, 0, 255);
    case "u16":
      return whole(random, 0, 65535);
    case "u32":
      return whole(random, 0, 2 ** 32 - 1);
    case "u53":
    case "timestamp":
      return whole(random, 0, Number.MAX_SAFE_INTEGER);
    case "i8":
      return whole(random, -128, 127);
    case "i16":
      return whole(random, -32768, 32767);
    case "i32":
      return whole(random, -(2 ** 31), 2 ** 31 - 1);
    case "u64":
      return wide(random, false);
    case "i64":
      return wide(random, true);
    case "f32":
      return Math.fround(float(random, forKey)) + (forKey ? 0 : 0);
    case "f64":
      return float(random, forKey);
    case "bool":
      return random.chance(0.5);
    case "text":
      return string(random);
    case "bytes":
      return blob(random);
    case "fixed": {
      const out = random.bytes(type.length);
      if (random.chance(0.5)) out.fill(random.pick([0, 1, 255]), random.int(type.length));
      return out;
    }
    case "vector":
      return Float32Array.from({ length: type.length }, () => float(random, true));
    case "enum":
      return random.pick(type.values);
    case "list":
      return Array.from({ length: random.pick([0, 0, 1, 2, 3, 20]) }, () => randomValue(random, type.element));
    case "record":
      return randomRecord(random, type.members);
    case "tuple":
      return type.members.map((member) => randomValue(random, member.type, forKey));
    case "union": {
      const variant = random.pick(type.variants);
      return { [type.tag]: variant.name, ...randomRecord(random, variant.members) };
    }
    case "custom":
      throw new Error("not random");
  }
}

/** A random record. */
export function randomRecord(random: Random, members: readonly Member[]): Values {
  const out: Values = {};
  for (const member of members) {
    if (member.optional && random.chance(0.5)) continue;
    Object.defineProperty(out, member.name, {
      value: randomValue(random, member.type),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return out;
}

// ---- comparing --------------------------------------------------------------------------------------------

const encoder = new TextEncoder();

/** Order of byte strings. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** Order of two values of a key type, as users understand it. */
export function compareValues(type: Type, a: unknown, b: unknown): number {
  switch (type.is) {
    case "text":
      return compareBytes(encoder.encode(a as string), encoder.encode(b as string));
    case "bytes":
    case "fixed":
      return compareBytes(a as Uint8Array, b as Uint8Array);
    case "enum":
      return type.values.indexOf(a as string) - type.values.indexOf(b as string);
    case "tuple":
      return compareKeys(type.members, a as unknown[], b as unknown[]);
    default:
      return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
  }
}

/** Order of two keys. */
export function compareKeys(members: readonly Member[], a: KeyArray, b: KeyArray): number {
  for (let i = 0; i < members.length; i++) {
    const order = compareValues(members[i]!.type, a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
}
