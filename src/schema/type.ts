// What a field type is made of, after the builder functions of field.ts: plain data that program, tape and schema description are derived from.
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

/** Names of the types that need no parameters, and the kernel's kind for each. */
export const SCALARS: Readonly<Record<ScalarName, number>> = {
  u8: KIND_U8,
  u16: KIND_U16,
  u32: KIND_U32,
  u53: KIND_U53,
  u64: KIND_U64,
  i8: KIND_I8,
  i16: KIND_I16,
  i32: KIND_I32,
  i64: KIND_I64,
  f32: KIND_F32,
  f64: KIND_F64,
  bool: KIND_BOOL,
  text: KIND_TEXT,
  bytes: KIND_BYTES,
  timestamp: KIND_U53,
};

/** A type that needs no parameters. */
export type ScalarName =
  | "u8"
  | "u16"
  | "u32"
  | "u53"
  | "u64"
  | "i8"
  | "i16"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "bool"
  | "text"
  | "bytes"
  | "timestamp";

/** A type as data. */
export type Type =
  | { readonly is: ScalarName }
  | { readonly is: "fixed"; readonly length: number }
  | { readonly is: "vector"; readonly length: number }
  | { readonly is: "enum"; readonly values: readonly string[] }
  | { readonly is: "list"; readonly element: Type }
  | { readonly is: "record"; readonly members: readonly Member[] }
  | { readonly is: "tuple"; readonly members: readonly Member[] }
  | { readonly is: "union"; readonly tag: string; readonly variants: readonly Variant[] }
  | {
    readonly is: "custom";
    readonly base: Type;
    readonly encode: (value: unknown) => unknown;
    readonly decode: (value: unknown) => unknown;
  };

/** A field of a record or a component of a tuple. */
export interface Member {
  /** Its name. */
  readonly name: string;
  /** Whether it may be absent (records only). */
  readonly optional: boolean;
  /** Its type. */
  readonly type: Type;
}

/** One alternative of a union. */
export interface Variant {
  /** Value of the union's tag. */
  readonly name: string;
  /** Its fields. */
  readonly members: readonly Member[];
}

/** A record's fields in program order: required ones first, optional ones behind, each as declared. */
export function inProgramOrder(members: readonly Member[]): readonly Member[] {
  return [...members.filter((member) => !member.optional), ...members.filter((member) => member.optional)];
}

/** The kernel's kind of a type. */
export function kindOf(type: Type): number {
  switch (type.is) {
    case "fixed":
      return KIND_FIXED;
    case "vector":
      return KIND_VECTOR;
    case "enum":
      return KIND_ENUM;
    case "list":
      return KIND_LIST;
    case "record":
    case "tuple":
      return KIND_RECORD;
    case "union":
      return KIND_UNION;
    case "custom":
      return kindOf(type.base);
    default:
      return SCALARS[type.is];
  }
}

/** Whether a type can be part of a key. */
export function isKeyType(type: Type): boolean {
  switch (type.is) {
    case "vector":
    case "list":
    case "record":
    case "union":
      return false;
    case "custom":
      return isKeyType(type.base);
    case "tuple":
      return type.members.every((member) => isKeyType(member.type));
    default:
      return true;
  }
}

/** Bytes a type takes where it is stored in place, 0 when that varies. */
export function fixedWidth(type: Type): number {
  switch (type.is) {
    case "u8":
    case "i8":
    case "bool":
      return 1;
    case "u16":
    case "i16":
      return 2;
    case "u32":
    case "i32":
    case "f32":
      return 4;
    case "u64":
    case "i64":
    case "f64":
      return 8;
    case "fixed":
      return type.length;
    case "vector":
      return type.length * 4;
    case "custom":
      return fixedWidth(type.base);
    case "record":
    case "tuple": {
      let sum = 0;
      for (const member of type.members) {
        const width = member.optional ? 0 : fixedWidth(member.type);
        if (width === 0) return 0;
        sum += width;
      }
      return sum;
    }
    default:
      return 0;
  }
}

/** Slots of 8 bytes that a type takes on the tape. */
export function tapeSlots(type: Type): number {
  switch (type.is) {
    case "record":
    case "tuple":
      return membersSlots(type.members);
    case "custom":
      return tapeSlots(type.base);
    default:
      return 1;
  }
}

/** Slots of a record's fields together, presence slots included. */
export function membersSlots(members: readonly Member[]): number {
  let sum = 0;
  for (const member of members) sum += tapeSlots(member.type) + (member.optional ? 1 : 0);
  return sum;
}
