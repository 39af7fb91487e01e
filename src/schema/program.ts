// The program of a codec: what the kernel compiles a key or a record from; and the checks that let it compile.
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
import { inProgramOrder, isKeyType, kindOf, type Member, type Type } from "./type.ts";

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
