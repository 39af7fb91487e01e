// The canonical description of a table's schema: what the file keeps.
//
// JSON in UTF-8: {"v":1,"key":[member…],"value":[member…]} with members in program order (required fields first). A member is [name, type], or
// [name, type, 1] when optional; a type is a name for the plain ones, else [name, parameter…]. Equal schemas have equal bytes.
import { CODEC_DEPTH } from "../../assembly/format.ts";
import { inProgramOrder, isKeyType, type Member, type ScalarName, SCALARS, type Type, type Variant } from "./type.ts";

const VERSION = 1;

type MemberJson = [name: string, type: TypeJson, optional?: 1];
type TypeJson = string | [string, ...unknown[]];

function memberJson(members: readonly Member[]): MemberJson[] {
  return inProgramOrder(members).map((member) =>
    member.optional ? [member.name, typeJson(member.type), 1] : [member.name, typeJson(member.type)]
  );
}

function typeJson(type: Type): TypeJson {
  switch (type.is) {
    case "custom":
      return typeJson(type.base);
    case "fixed":
    case "vector":
      return [type.is, type.length];
    case "enum":
      return ["enum", ...type.values];
    case "list":
      return ["list", typeJson(type.element)];
    case "record":
    case "tuple":
      return [type.is, memberJson(type.members)];
    case "union":
      return ["union", type.tag, type.variants.map((variant) => [variant.name, memberJson(variant.members)])];
    default:
      return type.is;
  }
}

/** The canonical description of a schema, as stored in the file. */
export function describeSchema(key: readonly Member[], value: readonly Member[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: VERSION, key: memberJson(key), value: memberJson(value) }));
}

/** A stored description read back. */
export interface StoredSchema {
  /** Version of the description's form. */
  readonly version: number;
  /** Key components. */
  readonly key: readonly Member[];
  /** Record fields, in program order. */
  readonly value: readonly Member[];
}

/** Reads a stored description; undefined when it is none. A version above ours comes back with nothing but the version. */
export function parseSchema(stored: Uint8Array): StoredSchema | undefined {
  try {
    const json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(stored));
    if (typeof json?.v !== "number") return undefined;
    if (json.v > VERSION) return { version: json.v, key: [], value: [] };
    const schema = { version: VERSION, key: parseMembers(json.key, 0), value: parseMembers(json.value, 0) };
    return schema.key.length > 0 && schema.key.every((member) => isKeyType(member.type)) ? schema : undefined;
  } catch {
    return undefined;
  }
}

class Unreadable extends Error {}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Unreadable();
  return value;
}

function word(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new Unreadable();
  return value;
}

function parseMembers(value: unknown, depth: number): Member[] {
  return list(value).map((item) => {
    const [name, type, optional] = list(item);
    return { name: word(name), optional: optional === 1, type: parseType(type, depth + 1) };
  });
}

function parseType(value: unknown, depth: number): Type {
  if (depth > CODEC_DEPTH) throw new Unreadable();
  if (typeof value === "string") {
    if (!Object.hasOwn(SCALARS, value)) throw new Unreadable();
    return { is: value as ScalarName };
  }
  const [is, ...rest] = list(value);
  switch (is) {
    case "fixed":
    case "vector":
      if (typeof rest[0] !== "number" || !Number.isInteger(rest[0]) || rest[0] < 1) throw new Unreadable();
      return { is, length: rest[0] };
    case "enum":
      return { is, values: rest.map(word) };
    case "list":
      return { is, element: parseType(rest[0], depth + 1) };
    case "record":
    case "tuple":
      return { is, members: parseMembers(rest[0], depth) };
    case "union": {
      const variants: Variant[] = list(rest[1]).map((item) => {
        const [name, members] = list(item);
        return { name: word(name), members: parseMembers(members, depth + 1) };
      });
      return { is, tag: word(rest[0]), variants };
    }
    default:
      throw new Unreadable();
  }
}
