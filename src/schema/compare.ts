// Whether a table definition fits the schema that a file has for it.
//
// Allowed to grow: optional fields at the end of a record, values of an enum and variants of a union at their end. Everything else must be equal.
import { parseSchema } from "./description.ts";
import type { Member, Type } from "./type.ts";

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
