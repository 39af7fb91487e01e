// Tapes: values as fixed-width slots in linear memory, and back.
//
// A slot is 8 bytes: numbers and bools as f64, u64 and i64 as integers, text, bytes and vectors as u32 offset and u32 length, a list as u32 offset and
// u32 count of element tapes, a union as u32 variant and u32 offset of the variant's tape, an optional field as a presence slot (f64 0 or 1) before the
// slots of its type, nested records and tuples inline. Written tapes hold offsets from the arena's start, those read hold absolute addresses.
//
// A plan is a type laid out in slots. No code is generated (content security policies forbid it): one function walks the plan each way. A property of a
// user's object is read only where the plan names it, and a name that objects inherit is read as an own property or not at all.
import {
  KIND_BOOL,
  KIND_BYTES,
  KIND_ENUM,
  KIND_F32,
  KIND_F64,
  KIND_FIXED,
  KIND_I16,
  KIND_I32,
  KIND_I64,
  KIND_I8,
  KIND_LIST,
  KIND_RECORD,
  KIND_TEXT,
  KIND_U16,
  KIND_U32,
  KIND_U53,
  KIND_U64,
  KIND_U8,
  KIND_UNION,
  KIND_VECTOR,
} from "../../assembly/format.ts";
import { failLimit, failRange, failType } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Arena } from "./arena.ts";
import { getText, putText } from "./text.ts";
import { inProgramOrder, kindOf, type Member, membersSlots, tapeSlots, type Type } from "./type.ts";

/** Kinds beyond the kernel's: here a tuple is an array, and a custom type calls the user's functions. */
const KIND_TUPLE = 64;
const KIND_CUSTOM = 65;

/** A record or tuple laid out in slots. */
export interface Plan {
  /** Name of the table, for messages. */
  readonly table: string;
  /** Whether values are arrays. */
  readonly isTuple: boolean;
  /** Fields in program order. */
  readonly fields: readonly PlanField[];
  /** Slots together. */
  readonly slots: number;
}

/** A field laid out in slots. */
export interface PlanField {
  /** Property, or position in a tuple. */
  readonly name: string;
  /** Position in a tuple. */
  readonly index: number;
  /** Where it is in the outermost record, for messages. */
  readonly path: string;
  readonly kind: number;
  readonly optional: boolean;
  /** Objects inherit something of this name: only an own property counts. */
  readonly inherited: boolean;
  /** First slot, counted from the record's. */
  readonly slot: number;
  /** Length of fixed bytes or a vector; greatest number of an integer kind. */
  readonly most: number;
  /** Least number of an integer kind. */
  readonly least: number;
  /** Record, tuple: its plan. */
  readonly plan: Plan | undefined;
  /** List: its elements; custom: what it is encoded to. */
  readonly element: PlanField | undefined;
  /** Slots of a list's element. */
  readonly step: number;
  /** Enum: its values; union: its variants. */
  readonly names: readonly string[];
  readonly numbers: ReadonlyMap<string, number>;
  readonly tag: string;
  readonly variants: readonly Plan[];
  readonly encode: ((value: unknown) => unknown) | undefined;
  readonly decode: ((value: unknown) => unknown) | undefined;
}

// ---- plans ----------------------------------------------------------------------------------------------

const RANGES: ReadonlyMap<number, readonly [number, number]> = new Map([
  [KIND_U8, [0, 255]],
  [KIND_U16, [0, 65535]],
  [KIND_U32, [0, 4294967295]],
  [KIND_U53, [0, Number.MAX_SAFE_INTEGER]],
  [KIND_I8, [-128, 127]],
  [KIND_I16, [-32768, 32767]],
  [KIND_I32, [-2147483648, 2147483647]],
]);

/** Lays members out: a key's as a tuple, a record's by name. */
export function planOf(table: string, members: readonly Member[], isTuple: boolean, path = ""): Plan {
  let slot = 0;
  const fields = inProgramOrder(members).map((member, index) => {
    if (member.optional) slot++;
    const field = fieldOf(
      table,
      member.type,
      member.name,
      index,
      path === "" ? member.name : `${path}.${member.name}`,
      slot,
      member.optional,
    );
    slot += tapeSlots(member.type);
    return field;
  });
  return { table, isTuple, fields, slots: membersSlots(members) };
}

function fieldOf(table: string, type: Type, name: string, index: number, path: string, slot: number, optional: boolean): PlanField {
  const custom = type.is === "custom";
  const kind = custom ? KIND_CUSTOM : type.is === "tuple" ? KIND_TUPLE : kindOf(type);
  const [least, most] = RANGES.get(kind) ?? [0, 0];
  const names = type.is === "enum" ? type.values : type.is === "union" ? type.variants.map((variant) => variant.name) : [];
  const inner = type.is === "list" ? type.element : custom ? type.base : undefined;
  return {
    name,
    index,
    path,
    kind,
    optional,
    inherited: name in Object.prototype,
    slot,
    least,
    most: type.is === "fixed" || type.is === "vector" ? type.length : most,
    plan: type.is === "record" || type.is === "tuple" ? planOf(table, type.members, type.is === "tuple", path) : undefined,
    element: inner && fieldOf(table, inner, name, index, custom ? path : `${path}[]`, custom ? slot : 0, false),
    step: type.is === "list" ? tapeSlots(type.element) : 0,
    names,
    numbers: new Map(names.map((value, number) => [value, number])),
    tag: type.is === "union" ? type.tag : "",
    variants: type.is === "union" ? type.variants.map((variant) => planOf(table, variant.members, false, `${path}.${variant.name}`)) : [],
    encode: custom ? type.encode : undefined,
    decode: custom ? type.decode : undefined,
  };
}

// ---- writing --------------------------------------------------------------------------------------------

const WORDS: ReadonlyMap<number, string> = new Map([
  [KIND_U8, "a whole number from 0 to 255"],
  [KIND_U16, "a whole number from 0 to 65535"],
  [KIND_U32, "a whole number from 0 to 4294967295"],
  [KIND_U53, "a whole number from 0 to 2^53 - 1"],
  [KIND_U64, "a bigint from 0 to 2^64 - 1"],
  [KIND_I8, "a whole number from -128 to 127"],
  [KIND_I16, "a whole number from -32768 to 32767"],
  [KIND_I32, "a whole number from -2147483648 to 2147483647"],
  [KIND_I64, "a bigint from -2^63 to 2^63 - 1"],
  [KIND_F32, "a number"],
  [KIND_F64, "a number"],
  [KIND_BOOL, "a boolean"],
  [KIND_TEXT, "a string"],
  [KIND_BYTES, "a Uint8Array"],
  [KIND_LIST, "an array"],
]);

function expected(field: PlanField): string {
  switch (field.kind) {
    case KIND_FIXED:
      return `a Uint8Array of ${field.most} bytes`;
    case KIND_VECTOR:
      return `a Float32Array of ${field.most} numbers`;
    case KIND_ENUM:
      return `one of ${field.names.slice(0, 12).map((name) => `"${name}"`).join(", ")}${field.names.length > 12 ? ", …" : ""}`;
    case KIND_UNION:
      return `an object whose "${field.tag}" is one of ${field.names.slice(0, 12).map((name) => `"${name}"`).join(", ")}`;
    case KIND_TUPLE:
      return `an array of ${field.plan!.fields.length} components`;
    case KIND_RECORD:
      return "an object";
    default:
      return WORDS.get(field.kind)!;
  }
}

function refuse(plan: Plan, field: PlanField, value: unknown): never {
  const subject = plan.isTuple ? "key component" : "field";
  const start = `Cannot write "${plan.table}": ${subject} "${field.path}" is `;
  const detail = { table: plan.table, field: field.path };
  if (value === undefined || value === null) failType(`${start}missing: it should be ${expected(field)}`, detail);
  if (typeof value === "number" && RANGES.has(field.kind)) {
    if (field.kind === KIND_U53 && value > Number.MAX_SAFE_INTEGER) failLimit(`${start}above 2^53 - 1`, detail);
    failRange(`${start}not ${expected(field)}`, detail);
  }
  if (typeof value === "bigint" && (field.kind === KIND_U64 || field.kind === KIND_I64)) {
    failRange(`${start}not ${expected(field)}`, detail);
  }
  failType(`${start}not ${expected(field)}`, detail);
}

/** Writes a record or a tuple to the slots from `base` on, which have been taken. */
export function writeTape(arena: Arena, plan: Plan, base: number, value: unknown): void {
  const { fields, isTuple } = plan;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const slot = base + field.slot;
    const item = isTuple
      ? (value as readonly unknown[])[i]
      : field.inherited && !Object.hasOwn(value as object, field.name)
      ? undefined
      : (value as Record<string, unknown>)[field.name];
    if (field.optional) {
      if (item === undefined) {
        arena.f64[slot - 1] = 0;
        continue;
      }
      arena.f64[slot - 1] = 1;
    }
    if (typeof item === "number") {
      const kind = field.kind;
      if (kind <= KIND_I32 && kind !== KIND_U64) {
        // An integer kind: NaN and fractions fail the last comparison.
        if (item < field.least || item > field.most || Math.floor(item) !== item) refuse(plan, field, item);
        arena.f64[slot] = item;
        continue;
      }
      if (kind === KIND_F64 || kind === KIND_F32) {
        if (item !== item && isTuple) {
          failRange(`Cannot write "${plan.table}": key component "${field.path}" is NaN`, { table: plan.table, field: field.path });
        }
        arena.f64[slot] = item;
        continue;
      }
    } else if (typeof item === "string" && field.kind === KIND_TEXT) {
      const at = arena.top;
      const length = putText(arena, item);
      if (length < 0) {
        failType(`Cannot write "${plan.table}": ${isTuple ? "key component" : "field"} "${field.path}" has a lone surrogate`, {
          table: plan.table,
          field: field.path,
        });
      }
      arena.u32[slot * 2] = at;
      arena.u32[slot * 2 + 1] = length;
      continue;
    }
    writeField(arena, plan, field, slot, item);
  }
}

/** Everything but the common kinds that `writeTape` handles itself, and list elements. */
function writeField(arena: Arena, plan: Plan, field: PlanField, slot: number, value: unknown): void {
  switch (field.kind) {
    case KIND_U64:
    case KIND_I64:
      if (typeof value !== "bigint" || (field.kind === KIND_U64 ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value)) !== value) {
        refuse(plan, field, value);
      }
      arena.i64[slot] = value;
      return;
    case KIND_F32:
    case KIND_F64:
      if (typeof value !== "number") refuse(plan, field, value);
      arena.f64[slot] = value;
      return;
    case KIND_BOOL:
      if (typeof value !== "boolean") refuse(plan, field, value);
      arena.f64[slot] = value ? 1 : 0;
      return;
    case KIND_TEXT: {
      if (typeof value !== "string") refuse(plan, field, value);
      const at = arena.top;
      const length = putText(arena, value);
      if (length < 0) {
        failType(`Cannot write "${plan.table}": field "${field.path}" has a lone surrogate`, { table: plan.table, field: field.path });
      }
      arena.u32[slot * 2] = at;
      arena.u32[slot * 2 + 1] = length;
      return;
    }
    case KIND_BYTES:
    case KIND_FIXED: {
      if (!(value instanceof Uint8Array) || (field.kind === KIND_FIXED && value.length !== field.most)) refuse(plan, field, value);
      const at = arena.put(value);
      arena.u32[slot * 2] = at;
      arena.u32[slot * 2 + 1] = value.length;
      return;
    }
    case KIND_VECTOR: {
      if (!(value instanceof Float32Array) || value.length !== field.most) refuse(plan, field, value);
      const at = arena.tape((value.length + 1) >>> 1) * 8;
      new Float32Array(arena.u8.buffer, arena.base + at, value.length).set(value);
      arena.u32[slot * 2] = at;
      arena.u32[slot * 2 + 1] = value.length;
      return;
    }
    case KIND_ENUM: {
      const number = typeof value === "string" ? field.numbers.get(value) : undefined;
      if (number === undefined) refuse(plan, field, value);
      arena.f64[slot] = number;
      return;
    }
    case KIND_LIST: {
      if (!Array.isArray(value)) refuse(plan, field, value);
      const count = value.length;
      const element = field.element!;
      const first = arena.tape(count * field.step);
      for (let i = 0; i < count; i++) writeField(arena, plan, element, first + i * field.step, value[i]);
      arena.u32[slot * 2] = first * 8;
      arena.u32[slot * 2 + 1] = count;
      return;
    }
    case KIND_UNION: {
      const name = typeof value === "object" && value !== null &&
        (Object.hasOwn(value, field.tag) ? (value as Record<string, unknown>)[field.tag] : undefined);
      const number = typeof name === "string" ? field.numbers.get(name) : undefined;
      if (number === undefined) refuse(plan, field, value);
      const variant = field.variants[number]!;
      const at = arena.tape(variant.slots);
      writeTape(arena, variant, at, value);
      arena.u32[slot * 2] = number;
      arena.u32[slot * 2 + 1] = at * 8;
      return;
    }
    case KIND_RECORD:
      if (typeof value !== "object" || value === null) refuse(plan, field, value);
      writeTape(arena, field.plan!, slot, value);
      return;
    case KIND_TUPLE:
      if (!Array.isArray(value) || value.length !== field.plan!.fields.length) refuse(plan, field, value);
      writeTape(arena, field.plan!, slot, value);
      return;
    case KIND_CUSTOM:
      writeField(arena, plan, field.element!, slot, field.encode!(value));
      return;
    default:
      if (typeof value !== "number" || value < field.least || value > field.most || Math.floor(value) !== value) refuse(plan, field, value);
      arena.f64[slot] = value;
  }
}

// ---- reading --------------------------------------------------------------------------------------------

/** Views of the whole memory, taken anew when it has grown. */
export class Memory {
  u8: Uint8Array = new Uint8Array(0);
  u32: Uint32Array = new Uint32Array(0);
  f64: Float64Array = new Float64Array(0);
  i64: BigInt64Array = new BigInt64Array(0);
  #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Call after a kernel call, before reading: a grown memory leaves its old views empty. */
  renew(): void {
    if (this.u8.length !== 0) return;
    this.u8 = this.#kernel.u8;
    this.u32 = this.#kernel.u32;
    this.f64 = this.#kernel.f64;
    this.i64 = this.#kernel.i64;
  }
}

/** Reads a record from the slots from `base` on (address / 8). */
export function readRecord(memory: Memory, plan: Plan, base: number, out: Record<string, unknown> = {}): Record<string, unknown> {
  const { fields } = plan;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const slot = base + field.slot;
    if (field.optional && memory.f64[slot - 1] === 0) continue;
    const kind = field.kind;
    const value = kind <= KIND_I32 && kind !== KIND_U64
      ? memory.f64[slot]!
      : kind === KIND_TEXT
      ? getText(memory.u8, memory.u32[slot * 2]!, memory.u32[slot * 2 + 1]!)
      : readField(memory, field, slot);
    if (field.inherited) Object.defineProperty(out, field.name, { value, writable: true, enumerable: true, configurable: true });
    else out[field.name] = value;
  }
  return out;
}

/** Reads a tuple from the slots from `base` on (address / 8). */
export function readTuple(memory: Memory, plan: Plan, base: number): unknown[] {
  const { fields } = plan;
  const out: unknown[] = [];
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const slot = base + field.slot;
    out.push(field.kind <= KIND_I32 && field.kind !== KIND_U64 ? memory.f64[slot]! : readField(memory, field, slot));
  }
  return out;
}

function readField(memory: Memory, field: PlanField, slot: number): unknown {
  switch (field.kind) {
    case KIND_U64:
      return BigInt.asUintN(64, memory.i64[slot]!);
    case KIND_I64:
      return memory.i64[slot];
    case KIND_BOOL:
      return memory.f64[slot] !== 0;
    case KIND_TEXT:
      return getText(memory.u8, memory.u32[slot * 2]!, memory.u32[slot * 2 + 1]!);
    case KIND_BYTES:
    case KIND_FIXED: {
      const at = memory.u32[slot * 2]!;
      return memory.u8.slice(at, at + memory.u32[slot * 2 + 1]!);
    }
    case KIND_VECTOR: {
      const at = memory.u32[slot * 2]!;
      return new Float32Array(memory.u8.slice(at, at + field.most * 4).buffer);
    }
    case KIND_ENUM:
      return field.names[memory.f64[slot]!];
    case KIND_LIST: {
      const first = memory.u32[slot * 2]! >>> 3;
      const count = memory.u32[slot * 2 + 1]!;
      const { step } = field;
      const element = field.element!;
      const out: unknown[] = [];
      for (let i = 0; i < count; i++) out.push(readField(memory, element, first + i * step));
      return out;
    }
    case KIND_UNION: {
      const number = memory.u32[slot * 2]!;
      const out: Record<string, unknown> = {};
      Object.defineProperty(out, field.tag, { value: field.names[number], writable: true, enumerable: true, configurable: true });
      return readRecord(memory, field.variants[number]!, memory.u32[slot * 2 + 1]! >>> 3, out);
    }
    case KIND_RECORD:
      return readRecord(memory, field.plan!, slot);
    case KIND_TUPLE:
      return readTuple(memory, field.plan!, slot);
    case KIND_CUSTOM:
      return field.decode!(readField(memory, field.element!, slot));
    default:
      return memory.f64[slot];
  }
}
