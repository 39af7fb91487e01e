// Tapes: values as fixed-width slots in linear memory, between JavaScript values and the kernel's encoding.
//
// A slot is 8 bytes: numbers and bools as f64, u64 and i64 as integers, text, bytes and vectors as u32 offset and u32 length, a list as u32 offset and
// u32 count of element tapes, a union as u32 variant and u32 offset of the variant's tape, an optional field as a presence slot (f64 0 or 1) before the
// slots of its type, nested records and tuples inline. Written tapes hold offsets from the arena's start, those read hold absolute addresses.
//
// A plan is a type laid out in slots. No code is generated (content security policies forbid it): one function walks the plan each way
// (tape_write.ts, tape_read.ts).
import { KIND_I16, KIND_I32, KIND_I8, KIND_U16, KIND_U32, KIND_U53, KIND_U8 } from "../../assembly/format.ts";
import { inProgramOrder, kindOf, type Member, membersSlots, tapeSlots, type Type } from "./type.ts";

/** Beyond the kernel's kinds: a tuple is an array here. */
export const KIND_TUPLE = 64;
/** A custom type calls the user's functions. */
export const KIND_CUSTOM = 65;

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
  /** KIND_*, here or of format.ts. */
  readonly kind: number;
  /** Whether a presence slot lies before it. */
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
  /** Their positions. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Union: the property that tells the variants apart. */
  readonly tag: string;
  /** Union: a plan for each variant. */
  readonly variants: readonly Plan[];
  /** Custom: the user's functions. */
  readonly encode: ((value: unknown) => unknown) | undefined;
  /** The way back. */
  readonly decode: ((value: unknown) => unknown) | undefined;
}

/** Least and greatest number of the integer kinds. */
export const RANGES: ReadonlyMap<number, readonly [number, number]> = new Map([
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
