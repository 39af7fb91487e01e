// Keys and records encoded as docs/FORMAT.md says, in plain TypeScript: no code and no number of the kernel.
import type { Member, Type } from "../../../src/schema/type.ts";

type Record_ = Readonly<Record<string, unknown>>;

const encoder = new TextEncoder();

function bigEndian(value: bigint, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * (size - 1 - i))) & 0xffn));
}

function littleEndian(value: bigint, size: number): number[] {
  return bigEndian(value, size).reverse();
}

/** Seven bits a byte, the lowest first; the highest bit says that there are more. */
function varint(value: bigint): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
  return out;
}

function zigzag(value: bigint): bigint {
  return value < 0n ? -2n * value - 1n : 2n * value;
}

function floatBits(value: number, size: 4 | 8): bigint {
  const view = new DataView(new ArrayBuffer(8));
  if (size === 4) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  if (Number.isNaN(value)) return size === 4 ? 0x7fc00000n : 0x7ff8000000000000n;
  return size === 4 ? BigInt(view.getUint32(0)) : view.getBigUint64(0);
}

const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, i8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8, bool: 1 };

function bytesOf(type: Type, value: unknown): Uint8Array {
  return type.is === "text" ? encoder.encode(value as string) : value as Uint8Array;
}

function keyBytes(type: Type, value: unknown): number[] {
  switch (type.is) {
    case "u53":
    case "timestamp":
      return bigEndian(BigInt(value as number), 8);
    case "f32":
    case "f64": {
      const size = WIDTHS[type.is] as 4 | 8;
      const bits = floatBits(value === 0 ? 0 : value as number, size);
      const sign = 1n << BigInt(size * 8 - 1);
      return bigEndian((bits & sign) !== 0n ? bits ^ (2n * sign - 1n) : bits ^ sign, size);
    }
    case "bool":
      return [value === true ? 1 : 0];
    case "text":
    case "bytes":
      return [...[...bytesOf(type, value)].flatMap((byte) => byte < 2 ? [1, byte + 1] : [byte]), 0];
    case "fixed":
      return [...value as Uint8Array];
    case "enum":
      return [type.values.indexOf(value as string)];
    case "tuple":
      return encodeKey(type.members, value as unknown[]);
    default: {
      const size = WIDTHS[type.is]!;
      const number = BigInt(value as number | bigint);
      return bigEndian(type.is[0] === "i" ? number + (1n << BigInt(size * 8 - 1)) : number, size);
    }
  }
}

/** Encodes a key. */
export function encodeKey(members: readonly Member[], key: readonly unknown[]): number[] {
  return members.flatMap(({ type }, i) => keyBytes(type, key[i]));
}

function isFixed(type: Type): boolean {
  if (type.is === "fixed" || type.is === "vector") return true;
  if (type.is !== "record") return type.is in WIDTHS;
  return type.members.length > 0 && type.members.every((member) => !member.optional && isFixed(member.type));
}

function valueBytes(type: Type, value: unknown, fixed: boolean): number[] {
  switch (type.is) {
    case "u53":
    case "timestamp":
      return varint(BigInt(value as number));
    case "f32":
    case "f64": {
      const size = WIDTHS[type.is] as 4 | 8;
      return littleEndian(floatBits(value as number, size), size);
    }
    case "bool":
      return [value === true ? 1 : 0];
    case "text":
    case "bytes": {
      const bytes = bytesOf(type, value);
      return [...varint(BigInt(bytes.length)), ...bytes];
    }
    case "fixed":
      return [...value as Uint8Array];
    case "enum":
      return varint(BigInt(type.values.indexOf(value as string)));
    case "vector": {
      const { buffer, byteOffset, byteLength } = value as Float32Array;
      return [...new Uint8Array(buffer, byteOffset, byteLength)];
    }
    case "list": {
      const list = value as unknown[];
      return [...varint(BigInt(list.length)), ...list.flatMap((element) => valueBytes(type.element, element, false))];
    }
    case "record":
      return encodeRecord(type.members, value as Record_, false);
    case "union": {
      const variant = type.variants.findIndex(({ name }) => name === (value as Record_)[type.tag]);
      return [...varint(BigInt(variant)), ...encodeRecord(type.variants[variant]!.members, value as Record_, false)];
    }
    case "tuple":
    case "custom":
      throw new Error(`${type.is} in a record`);
    default: {
      const size = WIDTHS[type.is]!;
      const number = BigInt(value as number | bigint);
      if (fixed || size === 1) return littleEndian(BigInt.asUintN(size * 8, number), size);
      return varint(type.is[0] === "i" ? zigzag(number) : number);
    }
  }
}

/** Encodes a record; a nested one always has the bits of its optional fields. */
export function encodeRecord(members: readonly Member[], record: Record_, outermost = true): number[] {
  const required = members.filter(({ optional }) => !optional);
  const optional = members.filter((member) => member.optional);
  const fixed = required.every(({ type }) => isFixed(type));
  const out = required.flatMap(({ name, type }) => valueBytes(type, record[name], fixed));
  const there = optional.map(({ name }) => Object.hasOwn(record, name) && record[name] !== undefined);
  if (optional.length === 0 || (outermost && !there.includes(true))) return out;
  out.push(...varint(there.reduce((bits, one, i) => one ? bits | 1n << BigInt(i) : bits, 0n)));
  optional.forEach(({ name, type }, i) => {
    if (there[i]) out.push(...valueBytes(type, record[name], false));
  });
  return out;
}
