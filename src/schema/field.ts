// Field types: what users write in `defineTable`.
//
// Every function returns a descriptor that carries the TypeScript type of its values. Called with a name, the types that can be part of a key return a
// key component: `key: [u53("db"), text("path")]`. The descriptors are plain data; type.ts says what is inside.
import { CODEC_FIELDS } from "../../assembly/format.ts";
import { readArgument } from "../arguments.ts";
import { failRange, failType } from "../errors.ts";
import type { Member, ScalarName, Type, Variant } from "./type.ts";

/** A field type whose values are `T`. */
export interface Field<T> {
  /** What it is, as data. */
  readonly type: Type;
  /** Never there: tells it from an optional field. */
  readonly optional?: never;
  /** Carries `T`; never there at run time. */
  readonly "~value"?: T;
}

/** A record field that may be absent. */
export interface OptionalField<T> {
  /** What it is, as data. */
  readonly type: Type;
  /** Marks it. */
  readonly optional: true;
  /** Carries `T`; never there at run time. */
  readonly "~value"?: T;
}

/** A named component of a key. */
export interface KeyField<T, Name extends string = string> extends Field<T> {
  /** The component's name, for messages and for the stored schema. */
  readonly name: Name;
}

/** The fields of a record. */
export type Shape = { readonly [name: string]: Field<unknown> | OptionalField<unknown> };

/** The value type of a field. */
// deno-lint-ignore no-explicit-any
export type FieldValue<F> = F extends { readonly "~value"?: infer T } ? Exclude<T, undefined> : any;

/** Names of the optional fields of a shape. */
export type OptionalNames<S extends Shape> = { [K in keyof S]: S[K] extends OptionalField<unknown> ? K : never }[keyof S];

/** The same type, spelled out in messages of the compiler. */
export type Flat<T> = { [K in keyof T]: T[K] };

/** The value type of a record with these fields: optional fields are optional properties. */
export type RecordValue<S extends Shape> = Flat<
  & { [K in Exclude<keyof S, OptionalNames<S>>]: FieldValue<S[K]> }
  & { [K in OptionalNames<S>]?: FieldValue<S[K]> }
>;

/** The value type of a tuple of key components. */
export type TupleValue<K extends readonly KeyField<unknown>[]> = { -readonly [I in keyof K]: FieldValue<K[I]> };

/** The value type of a union: the tag property tells the variants apart. */
export type UnionValue<Tag extends string, V extends { readonly [variant: string]: Shape }> = {
  [K in keyof V & string]: Flat<{ [T in Tag]: K } & RecordValue<V[K]>>;
}[keyof V & string];

/** Makes a field type, or with a name a key component. */
export interface ScalarBuilder<T> {
  /** A field type. */
  (): Field<T>;
  /** A key component. */
  <Name extends string>(name: Name): KeyField<T, Name>;
}

// deno-lint-ignore no-explicit-any
function component(type: Type, name: string | undefined): any {
  return name === undefined ? { type } : { type, name: checkName(name) };
}

const TYPES: ReadonlySet<string> = new Set<Type["is"]>([
  ...["u8", "u16", "u32", "u53", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool", "text", "bytes", "timestamp"] as const,
  ...["fixed", "vector", "enum", "list", "record", "tuple", "union", "custom"] as const,
]);

/** The type inside a field; `what` completes "Cannot define …". */
function typeOf(field: { readonly type: Type }, what: string): Type {
  const { type } = readArgument(`define ${what}`, "its type", () => ({ type: field?.type }));
  if (typeof type !== "object" || type === null || !TYPES.has(type.is)) failType(`Cannot define ${what}: its type is no field type`);
  return type;
}

function scalar<T>(is: ScalarName): ScalarBuilder<T> {
  return (name?: string) => component({ is }, name);
}

function checkName(name: unknown): string {
  if (typeof name !== "string" || name === "") failType("Cannot define a field: its name is not a string, or is empty");
  return name;
}

/** Integer from 0 to 255. */
export const u8: ScalarBuilder<number> = scalar("u8");
/** Integer from 0 to 65,535. */
export const u16: ScalarBuilder<number> = scalar("u16");
/** Integer from 0 to 2^32 − 1. */
export const u32: ScalarBuilder<number> = scalar("u32");
/** Integer from 0 to 2^53 − 1, as a number: ids, sequences, sizes. */
export const u53: ScalarBuilder<number> = scalar("u53");
/** Integer from 0 to 2^64 − 1, as a bigint. */
export const u64: ScalarBuilder<bigint> = scalar("u64");
/** Integer from −128 to 127. */
export const i8: ScalarBuilder<number> = scalar("i8");
/** Integer from −32,768 to 32,767. */
export const i16: ScalarBuilder<number> = scalar("i16");
/** Integer from −2^31 to 2^31 − 1. */
export const i32: ScalarBuilder<number> = scalar("i32");
/** Integer from −2^63 to 2^63 − 1, as a bigint. */
export const i64: ScalarBuilder<bigint> = scalar("i64");
/** Number, rounded to 32 bits as `Math.fround` does. */
export const f32: ScalarBuilder<number> = scalar("f32");
/** Number. In keys NaN is refused and −0 becomes 0; elsewhere both are kept. */
export const f64: ScalarBuilder<number> = scalar("f64");
/** `true` or `false`. */
export const bool: ScalarBuilder<boolean> = scalar("bool");
/** Well-formed text. In keys it sorts by its UTF-8 bytes. */
export const text: ScalarBuilder<string> = scalar("text");
/** Bytes of any length. */
export const bytes: ScalarBuilder<Uint8Array> = scalar("bytes");
/** Milliseconds since 1970, a whole number from 0 to 2^53 − 1. */
export const timestamp: ScalarBuilder<number> = scalar("timestamp");

/** Exactly `length` bytes. */
export function fixedBytes(length: number): Field<Uint8Array>;
/** Exactly `length` bytes, as a key component. */
export function fixedBytes<Name extends string>(length: number, name: Name): KeyField<Uint8Array, Name>;
export function fixedBytes(length: number, name?: string): Field<Uint8Array> {
  return component({ is: "fixed", length: checkLength(length, 65535) }, name);
}

/** A vector of exactly `length` 32-bit floats. */
export function vector(length: number): Field<Float32Array> {
  return { type: { is: "vector", length: checkLength(length, 65535) } };
}

function checkLength(length: number, most: number): number {
  if (!Number.isInteger(length) || length < 1 || length > most) {
    failRange(`Cannot define a field: its length is not a whole number from 1 to ${most}`);
  }
  return length;
}

/** One of the given texts. Stored as its position: new values may only be added at the end. */
export function enumOf<const V extends readonly [string, ...string[]]>(...values: V): Field<V[number]> {
  for (const value of values) checkName(value);
  if (values.length === 0 || values.length > CODEC_FIELDS) {
    failRange(`Cannot define an enum: it has ${values.length} values, not 1 to ${CODEC_FIELDS}`);
  }
  if (new Set(values).size !== values.length) failType("Cannot define an enum: a value is there twice");
  return { type: { is: "enum", values: [...values] } };
}

/** A record field that may be absent: an optional property of the value. */
export function optional<T>(field: Field<T>): OptionalField<T> {
  return { type: typeOf(field, "an optional field"), optional: true };
}

/** A list of values of one type. */
export function list<T>(field: Field<T>): Field<T[]> {
  const element = typeOf(field, "a list");
  if ("optional" in field) failType("Cannot define a list: its elements are optional");
  return { type: { is: "list", element } };
}

/** A record inside a record. */
export function record<const S extends Shape>(fields: S): Field<RecordValue<S>> {
  return { type: { is: "record", members: membersOf(fields) } };
}

/**
 * One of several records, told apart by the property `tag`: `union("op", { put: { size: u53() }, delete: {} })` has the values `{ op: "put", size: 1 }`
 * and `{ op: "delete" }`. New variants may only be added at the end.
 */
export function union<const Tag extends string, const V extends { readonly [variant: string]: Shape }>(
  tag: Tag,
  variants: V,
): Field<UnionValue<Tag, V>> {
  checkName(tag);
  if (typeof variants !== "object" || variants === null) failType("Cannot define a union: its variants are not an object");
  const all: Variant[] = readArgument(
    "define a union",
    "its variants",
    () => Object.keys(variants).map((name) => ({ name, members: membersOf(variants[name]!) })),
  );
  if (all.length === 0 || all.length > CODEC_FIELDS) {
    failRange(`Cannot define a union: it has ${all.length} variants, not 1 to ${CODEC_FIELDS}`);
  }
  for (const { name, members } of all) {
    if (members.some((member) => member.name === tag)) {
      failType(`Cannot define a union: variant "${name}" has a field named as the tag "${tag}"`);
    }
  }
  return { type: { is: "union", tag, variants: all } };
}

/** A tuple inside a key: it sorts by its components in order. */
export function tuple<Name extends string, const K extends readonly KeyField<unknown>[]>(
  name: Name,
  components: K,
): KeyField<TupleValue<K>, Name> {
  checkName(name);
  if (!Array.isArray(components)) failType(`Cannot define the key component "${name}": its components are not a list`);
  if (components.length === 0) failType(`Cannot define the key component "${name}": it has no components`);
  return component({ is: "tuple", members: componentsOf(components) }, name);
}

/** Gives a field type a name, for use in a key: `key: [named("state", enumOf("open", "done"))]`. */
export function named<T, Name extends string>(name: Name, field: Field<T>): KeyField<T, Name> {
  return component(typeOf(field, "a key component"), name);
}

/** Any field type behind a pair of functions: values are encoded to what `field` takes and decoded from what it gives. Both must be pure. */
export function custom<T, Base>(field: Field<Base>, codec: { encode(value: T): Base; decode(value: Base): T }): Field<T> {
  const base = typeOf(field, "a custom field");
  if ("optional" in field) failType("Cannot define a custom field: wrap it the other way round, optional(custom(…))");
  const { encode, decode } = readArgument("define a custom field", "its codec", () => ({ ...codec }));
  if (typeof encode !== "function" || typeof decode !== "function") {
    failType("Cannot define a custom field: encode and decode are not both functions");
  }
  return {
    type: { is: "custom", base, encode: (value) => encode(value as T), decode: (value) => decode(value as Base) },
  };
}

/** The members of a shape, as declared. */
export function membersOf(shape: Shape): Member[] {
  if (typeof shape !== "object" || shape === null) failType("Cannot define a record: its fields are not an object");
  return readArgument("define a record", "its fields", () =>
    Object.keys(shape).map((name) => {
      const field = shape[name]!;
      const type = typeOf(field, `the field "${name}"`);
      return { name: checkName(name), optional: "optional" in field && field.optional === true, type };
    }));
}

/** The members of a tuple of key components. */
export function componentsOf(components: readonly KeyField<unknown>[]): Member[] {
  return readArgument("define a key", "its components", () =>
    components.map((field) => {
      if (typeof field?.name !== "string") failType("Cannot define a key: a component has no name");
      return { name: field.name, optional: false, type: typeOf(field, `the key component "${field.name}"`) };
    }));
}
