// Values from tapes that the kernel has decoded: nothing can be wrong with them any more.
//
// Property names are data: a name that objects inherit is defined, not assigned. Bytes and vectors are copies.
import {
  KIND_BOOL,
  KIND_BYTES,
  KIND_ENUM,
  KIND_FIXED,
  KIND_I32,
  KIND_I64,
  KIND_LIST,
  KIND_RECORD,
  KIND_TEXT,
  KIND_U64,
  KIND_UNION,
  KIND_VECTOR,
} from "../../assembly/format.ts";
import { fail, isManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { KIND_CUSTOM, KIND_TUPLE, type Plan, type PlanField } from "./plan.ts";
import { getText } from "./text.ts";

/** Views of the whole memory, taken anew when it has grown. */
export class Memory {
  /** Bytes: index = address. */
  u8: Uint8Array = new Uint8Array(0);
  /** Words: index = address / 4. */
  u32: Uint32Array = new Uint32Array(0);
  /** Doubles: index = address / 8, a slot. */
  f64: Float64Array = new Float64Array(0);
  /** 64-bit integers: index = slot. */
  i64: BigInt64Array = new BigInt64Array(0);
  #kernel: Kernel;

  /** Views of a kernel's memory. */
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

/** What the user's function makes of a value; CALLBACK_FAILED when it throws. */
function decoded(field: PlanField, value: unknown): unknown {
  try {
    return field.decode!(value);
  } catch (cause) {
    if (isManifestError(cause)) throw cause;
    fail("CALLBACK_FAILED", `Cannot read a record: the function that decodes field "${field.path}" has thrown`, {
      cause,
      detail: { field: field.path },
    });
  }
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
      return decoded(field, readField(memory, field.element!, slot));
    default:
      return memory.f64[slot];
  }
}
