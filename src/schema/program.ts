// From types to what the kernel and the file keep: the program of a codec, and the canonical description of a table's schema.
//
// The description is JSON in UTF-8: {"v":1,"key":[member…],"value":[member…]} with members in program order (required fields first). A member is
// [name, type], or [name, type, 1] when optional; a type is a name for the plain ones, else [name, parameter…]. Equal schemas have equal bytes.
import {
  CODEC_DEPTH,
  CODEC_FIELDS,
  CODEC_KEY,
  CODEC_OPTIONALS,
  CODEC_RECORD,
  KIND_ENUM,
  KIND_FIXED,
  KIND_LIST,
  KIND_OPTIONAL,
  KIND_RECORD,
  KIND_UNION,
  KIND_VECTOR,
} from "../../assembly/format.ts";
import { failRange, failType } from "../errors.ts";
import { inProgramOrder, isKeyType, kindOf, type Member, type ScalarName, SCALARS, type Type, type Variant } from "./type.ts";

const VERSION = 1;

// ---- programs -------------------------------------------------------------------------------------------

function pushNumber(out: number[], value: number): void {
  while (value > 127) {
    out.push(value & 127 | 128);
    value >>>= 7;
  }
  out.push(value);
}

function pushMembers(out: number[], members: readonly Member[], depth: number): void {
  out.push(KIND_RECORD);
  pushNumber(out, members.length);
  for (const member of inProgramOrder(members)) {
    if (member.optional) out.push(KIND_OPTIONAL);
    pushType(out, member.type, depth + 1);
  }
}

function pushType(out: number[], type: Type, depth: number): void {
  switch (type.is) {
    case "custom":
      return pushType(out, type.base, depth);
    case "record":
    case "tuple":
      return pushMembers(out, type.members, depth);
    case "fixed":
      out.push(KIND_FIXED);
      return pushNumber(out, type.length);
    case "vector":
      out.push(KIND_VECTOR);
      return pushNumber(out, type.length);
    case "enum":
      out.push(KIND_ENUM);
      return pushNumber(out, type.values.length);
    case "list":
      out.push(KIND_LIST);
      return pushType(out, type.element, depth + 1);
    case "union":
      out.push(KIND_UNION);
      pushNumber(out, type.variants.length);
      for (const variant of type.variants) pushMembers(out, variant.members, depth + 1);
      return;
    default:
      out.push(kindOf(type));
  }
}

/** The kernel program of a key or of a record. */
export function programOf(codec: "key" | "record", members: readonly Member[]): Uint8Array {
  const out: number[] = [codec === "key" ? CODEC_KEY : CODEC_RECORD];
  pushMembers(out, members, 0);
  return new Uint8Array(out);
}

// ---- checks ---------------------------------------------------------------------------------------------

function checkMembers(table: string, members: readonly Member[], path: string, depth: number): void {
  if (members.length > CODEC_FIELDS) failRange(`Cannot define "${table}": ${path || "the record"} has more than ${CODEC_FIELDS} fields`);
  const optionals = members.filter((member) => member.optional).length;
  if (optionals > CODEC_OPTIONALS) {
    failRange(`Cannot define "${table}": ${path || "the record"} has more than ${CODEC_OPTIONALS} optional fields`);
  }
  const names = new Set<string>();
  for (const member of members) {
    const at = path === "" ? member.name : `${path}.${member.name}`;
    if (names.has(member.name)) failType(`Cannot define "${table}": the name "${at}" is there twice`);
    if (!wellFormed(member.name)) failType(`Cannot define "${table}": a field name is not well-formed text`);
    names.add(member.name);
    checkType(table, member.type, at, depth + 1);
  }
}

function checkType(table: string, type: Type, path: string, depth: number): void {
  if (depth >= CODEC_DEPTH) failRange(`Cannot define "${table}": field "${path}" is nested more than ${CODEC_DEPTH} deep`);
  switch (type.is) {
    case "custom":
      return checkType(table, type.base, path, depth);
    case "record":
    case "tuple":
      return checkMembers(table, type.members, path, depth);
    case "list":
      if (leastBytes(type.element) === 0) failType(`Cannot define "${table}": the elements of list "${path}" are records without fields`);
      return checkType(table, type.element, `${path}[]`, depth + 1);
    case "union":
      for (const variant of type.variants) checkMembers(table, variant.members, `${path}.${variant.name}`, depth + 1);
      return;
    case "enum":
      if (type.values.some((value) => !wellFormed(value))) {
        failType(`Cannot define "${table}": a value of enum "${path}" is not well-formed text`);
      }
      return;
  }
}

/** 0 only for records that take no bytes at all. */
function leastBytes(type: Type): number {
  if (type.is === "custom") return leastBytes(type.base);
  if (type.is !== "record" && type.is !== "tuple") return 1;
  return type.members.reduce((sum, member) => sum + (member.optional ? 1 : leastBytes(member.type)), 0);
}

function wellFormed(value: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(value);
}

/** Refuses what the kernel could not compile, in words that name the field. */
export function checkSchema(table: string, key: readonly Member[], value: readonly Member[]): void {
  if (key.length === 0) failType(`Cannot define "${table}": its key has no components`);
  for (const member of key) {
    if (!isKeyType(member.type)) failType(`Cannot define "${table}": "${member.name}" has a type that cannot be part of a key`);
    if (member.type.is === "enum" && member.type.values.length > 255) {
      failRange(`Cannot define "${table}": enum "${member.name}" has more than 255 values`);
    }
  }
  checkMembers(table, key, "", 0);
  checkMembers(table, value, "", 0);
}

// ---- description ------------------------------------------------------------------------------------------

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

// ---- comparing --------------------------------------------------------------------------------------------

/** How a stored schema relates to the wanted one. */
export interface SchemaComparison {
  /** "older": the stored one lacks optional fields, enum values or variants that the wanted one adds at the end. "newer": the other way round. */
  readonly result: "same" | "older" | "newer" | "mismatch";
  /** What differs, in words. */
  readonly reason: string;
}

class Comparison {
  older = "";
  newer = "";
  mismatch = "";

  /** Both lists agree as far as they go; notes which one is longer. */
  growth(stored: number, wanted: number, what: string): void {
    if (stored < wanted) this.older ||= `${what} were added`;
    if (stored > wanted) this.newer ||= `the file has ${what} that this definition lacks`;
  }

  members(stored: readonly Member[], wanted: readonly Member[], path: string, nested: boolean): void {
    const storedRequired = stored.filter((member) => !member.optional), wantedRequired = wanted.filter((member) => !member.optional);
    const storedOptional = stored.filter((member) => member.optional), wantedOptional = wanted.filter((member) => member.optional);
    const where = path === "" ? "the record" : `"${path}"`;
    if (storedRequired.length !== wantedRequired.length) {
      this.mismatch ||= `${where} has ${storedRequired.length} required fields in the file and ${wantedRequired.length} in the definition`;
      return;
    }
    for (let i = 0; i < storedRequired.length; i++) this.member(storedRequired[i]!, wantedRequired[i]!, path);
    const common = Math.min(storedOptional.length, wantedOptional.length);
    for (let i = 0; i < common; i++) this.member(storedOptional[i]!, wantedOptional[i]!, path);
    // A nested record without optional fields has no presence bits, so none can be added later.
    if (nested && storedOptional.length !== wantedOptional.length && common === 0) {
      this.mismatch ||= `optional fields cannot be added to ${where}, a nested record that had none`;
    }
    this.growth(storedOptional.length, wantedOptional.length, `optional fields of ${where}`);
  }

  member(stored: Member, wanted: Member, path: string): void {
    const at = path === "" ? wanted.name : `${path}.${wanted.name}`;
    if (stored.name !== wanted.name) {
      this.mismatch ||= `the file has "${stored.name}" where the definition has "${wanted.name}"`;
      return;
    }
    this.type(stored.type, wanted.type, at);
  }

  type(stored: Type, given: Type, path: string): void {
    const wanted = given.is === "custom" ? given.base : given;
    if (wanted.is === "custom" || stored.is === "custom") {
      return this.type(stored.is === "custom" ? stored.base : stored, wanted, path);
    }
    if (stored.is === "fixed" && wanted.is === "fixed" || stored.is === "vector" && wanted.is === "vector") {
      if (stored.length !== wanted.length) {
        this.mismatch ||= `"${path}" has length ${stored.length} in the file and ${wanted.length} in the definition`;
      }
    } else if (stored.is === "enum" && wanted.is === "enum") {
      this.growth(stored.values.length, wanted.values.length, `values of "${path}"`);
      for (let i = 0; i < Math.min(stored.values.length, wanted.values.length); i++) {
        if (stored.values[i] !== wanted.values[i]) this.mismatch ||= `values of "${path}" are not the same, or not in the same order`;
      }
    } else if (stored.is === "list" && wanted.is === "list") {
      this.type(stored.element, wanted.element, `${path}[]`);
    } else if (stored.is === "record" && wanted.is === "record" || stored.is === "tuple" && wanted.is === "tuple") {
      this.members(stored.members, wanted.members, path, true);
    } else if (stored.is === "union" && wanted.is === "union") {
      if (stored.tag !== wanted.tag) {
        this.mismatch ||= `the tag of "${path}" is "${stored.tag}" in the file and "${wanted.tag}" in the definition`;
      }
      this.growth(stored.variants.length, wanted.variants.length, `variants of "${path}"`);
      for (let i = 0; i < Math.min(stored.variants.length, wanted.variants.length); i++) {
        const a = stored.variants[i]!, b = wanted.variants[i]!;
        if (a.name !== b.name) this.mismatch ||= `variants of "${path}" are not the same, or not in the same order`;
        else this.members(a.members, b.members, `${path}.${a.name}`, true);
      }
    } else if (stored.is !== wanted.is) {
      this.mismatch ||= `"${path}" is ${stored.is} in the file and ${wanted.is} in the definition`;
    }
  }

  get outcome(): SchemaComparison {
    if (this.mismatch) return { result: "mismatch", reason: this.mismatch };
    if (this.older && this.newer) return { result: "mismatch", reason: `${this.older}, but ${this.newer}` };
    if (this.newer) return { result: "newer", reason: this.newer };
    if (this.older) return { result: "older", reason: this.older };
    return { result: "same", reason: "" };
  }
}

/** Compares the description stored in a file with the one that a table definition wants. */
export function compareSchemas(stored: Uint8Array, wanted: Uint8Array): SchemaComparison {
  if (stored.length === wanted.length && stored.every((byte, i) => byte === wanted[i])) return { result: "same", reason: "" };
  const a = parseSchema(stored), b = parseSchema(wanted);
  if (a === undefined || b === undefined) return { result: "mismatch", reason: "the stored schema cannot be read" };
  if (a.version > b.version) return { result: "newer", reason: `the file describes schemas in form ${a.version}` };
  const comparison = new Comparison();
  if (a.key.length !== b.key.length) {
    return { result: "mismatch", reason: `the key has ${a.key.length} components in the file and ${b.key.length} in the definition` };
  }
  comparison.members(a.key, b.key, "", false);
  comparison.members(a.value, b.value, "", false);
  return comparison.outcome;
}
