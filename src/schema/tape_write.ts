// Values onto tapes.
//
// Every value is checked here, so that errors name the field in the user's words; the kernel checks numbers once more. A property of a user's object is read
// only where the plan names it, and a name that all objects inherit counts only as an own property.
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
import type { Arena } from "./arena.ts";
import { KIND_CUSTOM, KIND_TUPLE, type Plan, type PlanField, RANGES } from "./plan.ts";
import { putText } from "./text.ts";

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

/** How messages begin: keys are also those of reads. */
function subject(plan: Plan, field: PlanField): string {
  return plan.isTuple
    ? `Cannot use a key of "${plan.table}": key component "${field.path}"`
    : `Cannot write "${plan.table}": field "${field.path}"`;
}

function refuse(plan: Plan, field: PlanField, value: unknown): never {
  const start = `${subject(plan, field)} is `;
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

/** Writes the first `count` components of a tuple to the slots from `base` on, which have been taken. */
export function writeTuple(arena: Arena, plan: Plan, base: number, values: readonly unknown[], count: number): void {
  const { fields } = plan;
  for (let i = 0; i < count; i++) {
    const field = fields[i]!;
    const slot = base + field.slot;
    const item = values[i];
    const kind = field.kind;
    // An integer kind: NaN and fractions fail the last comparison.
    if (typeof item === "number" && kind <= KIND_I32 && kind !== KIND_U64) {
      if (item < field.least || item > field.most || Math.floor(item) !== item) refuse(plan, field, item);
      arena.f64[slot] = item;
    } else if (item !== item && (kind === KIND_F64 || kind === KIND_F32)) {
      failRange(`${subject(plan, field)} is NaN`, { table: plan.table, field: field.path });
    } else {
      writeField(arena, plan, field, slot, item);
    }
  }
}

/** Writes a record to the slots from `base` on, which have been taken. */
export function writeRecord(arena: Arena, plan: Plan, base: number, value: object): void {
  const { fields } = plan;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const slot = base + field.slot;
    const item = field.inherited && !Object.hasOwn(value, field.name) ? undefined : (value as Record<string, unknown>)[field.name];
    if (field.optional) {
      if (item === undefined) {
        arena.f64[slot - 1] = 0;
        continue;
      }
      arena.f64[slot - 1] = 1;
    }
    const kind = field.kind;
    if (typeof item === "number" && kind <= KIND_I32 && kind !== KIND_U64) {
      if (item < field.least || item > field.most || Math.floor(item) !== item) refuse(plan, field, item);
      arena.f64[slot] = item;
    } else if (typeof item === "string" && kind === KIND_TEXT) {
      writeText(arena, plan, field, slot, item);
    } else {
      writeField(arena, plan, field, slot, item);
    }
  }
}

function writeText(arena: Arena, plan: Plan, field: PlanField, slot: number, value: string): void {
  const at = arena.top;
  const length = putText(arena, value);
  if (length < 0) {
    failType(`${subject(plan, field)} has a lone surrogate`, { table: plan.table, field: field.path });
  }
  arena.u32[slot * 2] = at;
  arena.u32[slot * 2 + 1] = length;
}

/** Everything but the common kinds that the loops above handle themselves, and list elements. */
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
    case KIND_TEXT:
      if (typeof value !== "string") refuse(plan, field, value);
      return writeText(arena, plan, field, slot, value);
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
      writeRecord(arena, variant, at, value as object);
      arena.u32[slot * 2] = number;
      arena.u32[slot * 2 + 1] = at * 8;
      return;
    }
    case KIND_RECORD:
      if (typeof value !== "object" || value === null) refuse(plan, field, value);
      writeRecord(arena, field.plan!, slot, value);
      return;
    case KIND_TUPLE:
      if (!Array.isArray(value) || value.length !== field.plan!.fields.length) refuse(plan, field, value);
      writeTuple(arena, field.plan!, slot, value, value.length);
      return;
    case KIND_CUSTOM:
      writeField(arena, plan, field.element!, slot, field.encode!(value));
      return;
    default:
      if (typeof value !== "number" || value < field.least || value > field.most || Math.floor(value) !== value) refuse(plan, field, value);
      arena.f64[slot] = value;
  }
}
